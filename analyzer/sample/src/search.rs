//! Whose a file's rows are, read from two columns only.

use std::path::Path;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use parquet::arrow::ProjectionMask;

use crate::disk::Disk;
use crate::file::{FileError, open, open_file};
use crate::record::Record;

/// Calls `found` with sample id and identity hash of every row; scores have no identity of their own.
///
/// # Errors
/// Those of [`crate::check_file`], and damage found later.
pub fn each_identity<R: Record>(
    disk: &dyn Disk,
    path: &Path,
    mut found: impl FnMut(&str, Option<&str>),
) -> Result<(), FileError> {
    let (_, builder) = open::<R, _>(path, open_file(disk, path)?)?;
    let columns = ["sample_id", "identity_hash"];
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let parquet_error = |source| FileError::Parquet { path: path.to_path_buf(), source };
    for batch in builder.with_projection(mask).build().map_err(parquet_error)? {
        let batch = batch.map_err(|source| FileError::Columns { path: path.to_path_buf(), source })?;
        let [ids, identities] =
            columns.map(|name| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()));
        let Some(ids) = ids else { continue };
        for row in 0..batch.num_rows() {
            let identity = identities.filter(|column| column.is_valid(row)).map(|column| column.value(row));
            found(ids.value(row), identity);
        }
    }
    Ok(())
}
