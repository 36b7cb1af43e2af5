//! The request texts of some exchanges out of a part file: two columns are read, and of the long one only the rows that are wanted.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};

const ID: &str = "sample_id";
const REQUEST: &str = "request_text";

/// Request texts by sample id, where `wanted` says so and one was captured; the first of a file counts.
///
/// # Errors
/// A file that is not there, or not Parquet, or damaged.
pub fn read_requests(
    path: &Path,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<HashMap<String, String>, ArrowError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let has = |name: &str| builder.schema().column_with_name(name).is_some();
    let mut requests = HashMap::new();
    if !(has(ID) && has(REQUEST)) {
        return Ok(requests);
    }
    let mask = |names: &[&str]| ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let chosen = ArrowPredicateFn::new(mask(&[ID]), move |batch: RecordBatch| {
        let ids = batch.column_by_name(ID).and_then(|column| column.as_string_opt::<i32>());
        let wants = |row: usize| ids.is_some_and(|ids| ids.is_valid(row) && wanted(ids.value(row)));
        Ok((0..batch.num_rows()).map(|row| Some(wants(row))).collect::<BooleanArray>())
    });
    let both = mask(&[ID, REQUEST]);
    let filter = RowFilter::new(vec![Box::new(chosen)]);
    for batch in builder.with_projection(both).with_row_filter(filter).build()? {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (Some(ids), Some(texts)) = (column(ID), column(REQUEST)) else { continue };
        for row in (0..batch.num_rows()).filter(|row| texts.is_valid(*row)) {
            requests.entry(ids.value(row).to_owned()).or_insert_with(|| texts.value(row).to_owned());
        }
    }
    Ok(requests)
}
