//! The sample record: one captured leg (or one judgement of it) at rest, as Parquet in Hive folders.
//!
//! What is here: the rows and their table of columns (`record`), Arrow and Parquet (`arrow`, `file`), folders
//! (`layout`), which files count (`replaced`), durable file creation (`durable`) on a file system that tests can break
//! (`disk`), the row encoding of the write-ahead log (`row`), JSONL lines (`import`), content encodings (`encoding`), text
//! out of captured bodies (`text`), captured legs to rows (`capture`), calls of models that others observed (`gen_ai`), and
//! the built-in embedder, for texts that are not kept, too (`lexical`).
//! What is not: statistics, networks, clocks.

pub mod arrow;
pub mod capture;
pub mod disk;
pub mod durable;
pub mod encoding;
pub mod file;
pub mod gen_ai;
pub mod import;
pub mod layout;
pub mod lexical;
pub mod record;
pub mod replaced;
mod requests;
pub mod row;
pub mod search;
pub mod text;

pub use file::{
    FileError, FileFacts, WrittenFile, check_file, check_file_on, list_all_files, list_all_files_on,
    list_files, list_files_on, read_bytes, read_file, read_file_on, write_file, write_file_on, write_merged,
    write_merged_on, write_samples, write_samples_on,
};
pub use layout::{Partition, experiment_folder, is_experiment};
pub use record::{Access, Column, Kind, Leg, Record, ResponseFormat, SCHEMA_VERSION, Sample, Score, Variant};
pub use requests::read_requests;
