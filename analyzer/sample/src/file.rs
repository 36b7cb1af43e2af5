//! Parquet files of rows: written whole and atomically, checked before they are trusted.
//!
//! Format: zstd, dictionaries, statistics and page index, rows sorted by `ts`; key-value metadata `weir.schema_version`,
//! `weir.experiment` and `weir.kind`. Limits: [`BATCH_ROWS_MAX`] and [`BATCH_TEXT_BYTES_MAX`] bound the memory of one
//! batch, [`ROW_GROUP_ROWS_MAX`] a row group.
//! Invariant: the same rows under the same name give the same bytes, so writing again is harmless.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use thiserror::Error;

use crate::arrow::{data_type, from_batch, schema, to_batch};
use crate::disk::{Disk, RealDisk, Source};
use crate::durable::{DurableError, create_folder_on, write_atomically_on};
use crate::layout::Partition;
use crate::record::{Access, Kind, Record, SCHEMA_VERSION};
use crate::replaced::{METADATA_REPLACES, settled, without_replaced_on};

/// Metadata key of the schema version.
pub const METADATA_SCHEMA_VERSION: &str = "weir.schema_version";
/// Metadata key of the experiment.
pub const METADATA_EXPERIMENT: &str = "weir.experiment";
/// Metadata key of the table's name.
pub const METADATA_KIND: &str = "weir.kind";
/// Rows that become one record batch at most.
pub const BATCH_ROWS_MAX: usize = 8_192;
/// Text that goes into one record batch, about, bytes.
pub const BATCH_TEXT_BYTES_MAX: usize = 64 << 20;
/// Rows of a row group at most.
pub const ROW_GROUP_ROWS_MAX: usize = 131_072;

const ZSTD_LEVEL: i32 = 3;

/// Why a Parquet file could not be written or read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file system refused.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// Not Parquet, or damaged.
    #[error("{}: is not a readable Parquet file: {source}\n  hint: move the file out of the data folder; nothing else depends on it", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: ParquetError,
    },
    /// The columns do not fit.
    #[error("{}: {source}\n  hint: the file was not written by weir, or by another version of it", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// Which column, and how.
        source: ArrowError,
    },
    /// Another table, or another version of it.
    #[error("{}: {key} is {found}; expected {expected}\n  hint: {hint}", path.display(), hint = version_hint(key))]
    Schema {
        /// The file.
        path: PathBuf,
        /// The metadata key.
        key: &'static str,
        /// What the file says, or "not there".
        found: String,
        /// What this version reads.
        expected: String,
    },
    /// A row that has no folder.
    #[error(
        "row {sample_id:?} has no place: experiment {experiment:?}, ts {ts_us} us\n  hint: an experiment is 1 to 63 of a-z, 0-9 and -, and a time lies in 1970 to 9999"
    )]
    Unplaced {
        /// The row.
        sample_id: String,
        /// Its experiment.
        experiment: String,
        /// Its time.
        ts_us: i64,
    },
}

/// What [`check_file`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The experiment in the metadata.
    pub experiment: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the values in memory, about, bytes.
    pub unpacked_bytes: u64,
    /// Columns of a newer version, which a reader of this one passes over.
    pub unknown_columns: usize,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its path.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size, bytes.
    pub bytes: u64,
}

/// Writes rows into their folders, one file `<name>.parquet` per folder, each durable and atomic.
/// Rows of any experiments, dates and hours may be mixed; a file of the same name is replaced.
///
/// # Errors
/// The first file that could not be written; files before it are complete.
pub fn write_samples<R: Record>(
    data_dir: &Path,
    name: &str,
    rows: Vec<R>,
) -> Result<Vec<WrittenFile>, FileError> {
    write_samples_on(&RealDisk, data_dir, name, rows)
}

/// [`write_samples`] on a given file system.
///
/// # Errors
/// The first file that could not be written; files before it are complete.
pub fn write_samples_on<R: Record>(
    disk: &dyn Disk,
    data_dir: &Path,
    name: &str,
    rows: Vec<R>,
) -> Result<Vec<WrittenFile>, FileError> {
    let mut partitions: BTreeMap<Partition, Vec<R>> = BTreeMap::new();
    for row in rows {
        let partition =
            Partition::of(R::KIND, row.experiment(), row.ts_us()).ok_or_else(|| FileError::Unplaced {
                sample_id: row.sample_id().to_owned(),
                experiment: row.experiment().to_owned(),
                ts_us: row.ts_us(),
            })?;
        partitions.entry(partition).or_default().push(row);
    }
    let mut written = Vec::with_capacity(partitions.len());
    for (partition, rows) in partitions {
        let folder = partition.folder(data_dir);
        create_folder_on(disk, data_dir, &folder)?;
        written.push(write_file_on(
            disk,
            &folder.join(format!("{name}.parquet")),
            &partition.experiment,
            rows,
        )?);
    }
    Ok(written)
}

/// Writes one file of one experiment's rows, sorted by `ts`, durable and atomic.
///
/// # Errors
/// The file system refused, or a column outgrew Arrow's limits.
pub fn write_file<R: Record>(path: &Path, experiment: &str, rows: Vec<R>) -> Result<WrittenFile, FileError> {
    write_file_on(&RealDisk, path, experiment, rows)
}

/// [`write_file`] on a given file system.
///
/// # Errors
/// The file system refused, or a column outgrew Arrow's limits.
pub fn write_file_on<R: Record>(
    disk: &dyn Disk,
    path: &Path,
    experiment: &str,
    rows: Vec<R>,
) -> Result<WrittenFile, FileError> {
    write_merged_on(disk, path, experiment, rows, &BTreeSet::new())
}

/// [`write_merged_on`] on the operating system's.
///
/// # Errors
/// Those of [`write_file`].
pub fn write_merged<R: Record>(
    path: &Path,
    experiment: &str,
    rows: Vec<R>,
    replaces: &BTreeSet<String>,
) -> Result<WrittenFile, FileError> {
    write_merged_on(&RealDisk, path, experiment, rows, replaces)
}

/// As [`write_file_on`], for a file that stands for others of its folder: from the moment it appears those do not count
/// (see [`crate::replaced`]). They are not deleted here.
///
/// # Errors
/// Those of [`write_file`].
pub fn write_merged_on<R: Record>(
    disk: &dyn Disk,
    path: &Path,
    experiment: &str,
    mut rows: Vec<R>,
    replaces: &BTreeSet<String>,
) -> Result<WrittenFile, FileError> {
    rows.sort_by_key(Record::ts_us);
    let parquet_error = |source| FileError::Parquet { path: path.to_path_buf(), source };
    let bytes = write_atomically_on(disk, path, |file| {
        let properties = properties::<R>(experiment, replaces).map_err(parquet_error)?;
        let mut writer =
            ArrowWriter::try_new(file, schema::<R>(), Some(properties)).map_err(parquet_error)?;
        for batch in batches(&rows) {
            let batch =
                to_batch(batch).map_err(|source| FileError::Columns { path: path.to_path_buf(), source })?;
            writer.write(&batch).map_err(parquet_error)?;
        }
        writer.finish().map_err(parquet_error)?;
        Ok::<_, FileError>(writer.bytes_written())
    })?;
    Ok(WrittenFile { path: path.to_path_buf(), rows: rows.len() as u64, bytes: bytes as u64 })
}

/// Reads a file's rows after [`check_file`]'s checks.
///
/// # Errors
/// Those of [`check_file`], and damage found later.
pub fn read_file<R: Record>(path: &Path) -> Result<Vec<R>, FileError> {
    read_file_on(&RealDisk, path)
}

/// [`read_file`] on a given file system.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_on<R: Record>(disk: &dyn Disk, path: &Path) -> Result<Vec<R>, FileError> {
    read_rows(path, open_file(disk, path)?)
}

/// Reads rows from the bytes of a file; `path` is only told in errors.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes<R: Record>(path: &Path, bytes: bytes::Bytes) -> Result<Vec<R>, FileError> {
    read_rows(path, bytes)
}

fn read_rows<R: Record>(path: &Path, source: impl ChunkReader + 'static) -> Result<Vec<R>, FileError> {
    let (facts, builder) = open::<R, _>(path, source)?;
    let parquet_error = |source| FileError::Parquet { path: path.to_path_buf(), source };
    let columns_error = |source| FileError::Columns { path: path.to_path_buf(), source };
    let mut rows: Vec<R> = Vec::new();
    for batch in builder.build().map_err(parquet_error)? {
        rows.append(&mut from_batch(&batch.map_err(columns_error)?).map_err(columns_error)?);
    }
    for row in &mut rows {
        row.set_experiment(facts.experiment.clone());
    }
    Ok(rows)
}

/// Checks that a file is a table of this version: metadata, required columns, types. Reads only the footer.
///
/// # Errors
/// Names the file, what was found and what is expected.
pub fn check_file<R: Record>(path: &Path) -> Result<FileFacts, FileError> {
    check_file_on::<R>(&RealDisk, path)
}

/// [`check_file`] on a given file system.
///
/// # Errors
/// As [`check_file`].
pub fn check_file_on<R: Record>(disk: &dyn Disk, path: &Path) -> Result<FileFacts, FileError> {
    open::<R, _>(path, open_file(disk, path)?).map(|(facts, _)| facts)
}

/// The files of a kind (of one experiment, or of all) whose rows count, sorted by path; temporary files and those that a
/// merged file stands for are left out.
///
/// # Errors
/// A folder that cannot be read. A missing folder is an empty answer.
pub fn list_files(
    data_dir: &Path,
    kind: Kind,
    experiment: Option<&str>,
) -> Result<Vec<PathBuf>, DurableError> {
    list_files_on(&RealDisk, data_dir, kind, experiment)
}

/// [`list_files`] on a given file system.
///
/// # Errors
/// As [`list_files`].
pub fn list_files_on(
    disk: &dyn Disk,
    data_dir: &Path,
    kind: Kind,
    experiment: Option<&str>,
) -> Result<Vec<PathBuf>, DurableError> {
    Ok(without_replaced_on(disk, list_all_files_on(disk, data_dir, kind, experiment)?))
}

/// As [`list_files`], with the files that a merged file stands for.
///
/// # Errors
/// A folder that cannot be read. A missing folder is an empty answer.
pub fn list_all_files(
    data_dir: &Path,
    kind: Kind,
    experiment: Option<&str>,
) -> Result<Vec<PathBuf>, DurableError> {
    list_all_files_on(&RealDisk, data_dir, kind, experiment)
}

/// [`list_all_files`] on a given file system.
///
/// # Errors
/// A folder that cannot be read. A missing folder is an empty answer.
pub fn list_all_files_on(
    disk: &dyn Disk,
    data_dir: &Path,
    kind: Kind,
    experiment: Option<&str>,
) -> Result<Vec<PathBuf>, DurableError> {
    let root = data_dir.join(kind.as_str());
    let root = experiment.map_or(root.clone(), |name| root.join(format!("experiment={name}")));
    settled(|| {
        let mut found = Vec::new();
        walk(disk, &root, &mut found)?;
        Ok(found)
    })
}

fn walk(disk: &dyn Disk, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), DurableError> {
    let wrap = |source| DurableError { path: folder.to_path_buf(), action: "read the folder", source };
    let entries = match disk.list(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(wrap(error)),
    };
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Symbolic links are not followed: the folder's owner decides what is in it.
        if disk.is_own_folder(&path) {
            walk(disk, &path, found)?;
        } else if name.ends_with(".parquet") && !name.starts_with('.') {
            found.push(path);
        }
    }
    Ok(())
}

pub(crate) fn open_file(disk: &dyn Disk, path: &Path) -> Result<Source, DurableError> {
    disk.open(path).map_err(|source| DurableError { path: path.to_path_buf(), action: "open", source })
}

pub(crate) fn open<R: Record, T: ChunkReader + 'static>(
    path: &Path,
    source: T,
) -> Result<(FileFacts, ParquetRecordBatchReaderBuilder<T>), FileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(source)
        .map_err(|source| FileError::Parquet { path: path.to_path_buf(), source })?;
    let metadata = builder.metadata().file_metadata();
    let value = |key: &str| {
        let pairs = metadata.key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.clone()
    };
    for (key, expected) in [(METADATA_SCHEMA_VERSION, SCHEMA_VERSION), (METADATA_KIND, R::KIND.as_str())] {
        let found = value(key);
        if found.as_deref() != Some(expected) {
            return Err(FileError::Schema {
                path: path.to_path_buf(),
                key,
                found: found.map_or("not there".to_owned(), |found| shortened(&found)),
                expected: format!("{expected:?}"),
            });
        }
    }
    check_columns::<R, T>(path, &builder)?;
    let facts = FileFacts {
        experiment: value(METADATA_EXPERIMENT).unwrap_or_default(),
        rows: u64::try_from(metadata.num_rows()).unwrap_or(0),
        unpacked_bytes: builder
            .metadata()
            .row_groups()
            .iter()
            .map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0))
            .sum(),
        unknown_columns: builder
            .schema()
            .fields()
            .iter()
            .filter(|field| R::COLUMNS.iter().all(|column| column.name != field.name()))
            .count(),
    };
    Ok((facts, builder))
}

fn check_columns<R: Record, T: ChunkReader + 'static>(
    path: &Path,
    builder: &ParquetRecordBatchReaderBuilder<T>,
) -> Result<(), FileError> {
    for column in R::COLUMNS {
        let expected = data_type(&column.access);
        let message = match builder.schema().field_with_name(column.name) {
            Err(_) if column.required => format!("column `{}` is missing; expected {expected}", column.name),
            Err(_) => continue,
            Ok(field) if matches!(column.access, Access::Tags { .. }) => {
                if matches!(field.data_type(), DataType::Map(..)) {
                    continue;
                }
                format!("column `{}` is {}; expected {expected}", column.name, field.data_type())
            }
            Ok(field) if matches!(column.access, Access::Vector { .. }) && is_vector(field.data_type()) => {
                continue;
            }
            Ok(field) if *field.data_type() == expected => continue,
            Ok(field) => format!("column `{}` is {}; expected {expected}", column.name, field.data_type()),
        };
        return Err(FileError::Columns {
            path: path.to_path_buf(),
            source: ArrowError::SchemaError(message),
        });
    }
    Ok(())
}

/// A list of floats, whatever its writer calls the items.
fn is_vector(found: &DataType) -> bool {
    matches!(found, DataType::List(item) if *item.data_type() == DataType::Float32)
}

fn properties<R: Record>(
    experiment: &str,
    replaces: &BTreeSet<String>,
) -> Result<WriterProperties, ParquetError> {
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let mut metadata = vec![
        pair(METADATA_SCHEMA_VERSION, SCHEMA_VERSION),
        pair(METADATA_EXPERIMENT, experiment),
        pair(METADATA_KIND, R::KIND.as_str()),
    ];
    if !replaces.is_empty() {
        let names: Vec<&str> = replaces.iter().map(String::as_str).collect();
        metadata.push(pair(METADATA_REPLACES, &names.join("\n")));
    }
    let ts = R::COLUMNS.iter().position(|column| column.name == "ts").and_then(|at| i32::try_from(at).ok());
    let sorting =
        ts.map(|column_idx| vec![SortingColumn { column_idx, descending: false, nulls_first: false }]);
    Ok(WriterProperties::builder()
        .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_sorting_columns(sorting)
        .set_key_value_metadata(Some(metadata))
        .build())
}

/// Splits rows so that neither the rows nor the text of one batch grow without a bound.
fn batches<R: Record>(rows: &[R]) -> Vec<&[R]> {
    let mut batches = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut text_bytes = 0;
        let fit = rest
            .iter()
            .take(BATCH_ROWS_MAX)
            .take_while(|row| {
                let before = text_bytes;
                text_bytes += row_text_bytes(*row);
                before == 0 || text_bytes <= BATCH_TEXT_BYTES_MAX
            })
            .count();
        let (batch, remaining) = rest.split_at(fit.max(1));
        batches.push(batch);
        rest = remaining;
    }
    batches
}

fn row_text_bytes<R: Record>(row: &R) -> usize {
    let text = |column: &crate::record::Column<R>| match &column.access {
        Access::Text { get, .. } | Access::Label { get, .. } => get(row).map_or(0, str::len),
        Access::Tags { get, .. } => get(row).iter().map(|(key, value)| key.len() + value.len()).sum(),
        Access::Vector { get, .. } => get(row).map_or(0, std::mem::size_of_val),
        _ => 0,
    };
    R::COLUMNS.iter().map(text).sum()
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}

fn version_hint(key: &str) -> &'static str {
    if key == METADATA_KIND {
        "samples and scores have folders of their own; was a file moved by hand?"
    } else {
        "the file was not written by weir, or by another version; move it out of the data folder or use that version"
    }
}
