//! Vectors by content: `DATA/meaning/embeddings/<identity>/part-*.parquet`, each distinct text once.
//!
//! Format: `key` (32 hex digits: XXH3-128 of the text that counts) and `vector` (fixed-size list of f32). Files are written
//! whole and atomically after every [`PART_TEXTS`] texts, so an interrupted run loses at most one part.
//! Invariant: a folder holds vectors of one identity; the same texts give the same files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{FixedSizeListArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use weir_sample::durable::{DurableError, create_folder, write_atomically};
use xxhash_rust::xxh3::xxh3_128;

use crate::embedder::{Embedder, cut};
use crate::error::MeaningError;
use crate::legs::{Answer, Exchange};

/// Texts of one part file.
pub const PART_TEXTS: usize = 2_048;

/// The key of a text.
#[must_use]
pub fn key(text: &str) -> u128 {
    xxh3_128(cut(text).as_bytes())
}

/// Vectors by the key of their text.
#[derive(Debug, Default)]
pub struct Vectors {
    by_key: HashMap<u128, Vec<f32>>,
    /// Texts that were embedded now, not read from the cache.
    pub embedded: usize,
}

impl Vectors {
    /// The vector of an answer: of its text, or what was kept in the text's place.
    #[must_use]
    pub fn of_answer<'a>(&'a self, answer: &'a Answer) -> Option<&'a [f32]> {
        answer.vector.as_deref().or_else(|| self.of(answer.text.as_deref()?))
    }

    /// The vector of a prompt, in the same way.
    #[must_use]
    pub fn of_request<'a>(&'a self, exchange: &'a Exchange) -> Option<&'a [f32]> {
        exchange.request_vector.as_deref().or_else(|| self.of(exchange.request.as_deref()?))
    }

    /// The vector of a text.
    #[must_use]
    pub fn of(&self, text: &str) -> Option<&[f32]> {
        self.by_key.get(&key(text)).map(Vec::as_slice)
    }
}

/// The vectors of all texts: from the cache where they are in it, embedded and stored otherwise. `progress` hears how many
/// of the missing ones are done, and how many there are.
///
/// # Errors
/// A cache file that cannot be read or written; the model failed.
pub fn vectors(
    data_dir: &Path,
    embedder: &Embedder,
    texts: &[&str],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vectors, MeaningError> {
    let folder = data_dir.join("meaning").join("embeddings").join(embedder.identity());
    let mut vectors = Vectors { by_key: load(&folder)?, embedded: 0 };
    let mut missing: Vec<(u128, &str)> = texts.iter().map(|text| (key(text), cut(text))).collect();
    missing.retain(|(key, _)| !vectors.by_key.contains_key(key));
    missing.sort_by_key(|(key, text)| (std::cmp::Reverse(text.len()), *key));
    missing.dedup_by_key(|(key, _)| *key);
    if missing.is_empty() {
        return Ok(vectors);
    }
    create_folder(data_dir, &folder)?;
    let mut done = 0;
    for part in missing.chunks(PART_TEXTS) {
        let chosen: Vec<&str> = part.iter().map(|(_, text)| *text).collect();
        let embedded = embedder.embed(&chosen, &mut |more| {
            done += more;
            progress(done, missing.len());
        })?;
        let rows: Vec<(u128, Vec<f32>)> = part.iter().map(|(key, _)| *key).zip(embedded).collect();
        store(&folder, &rows)?;
        vectors.by_key.extend(rows);
    }
    vectors.embedded = missing.len();
    Ok(vectors)
}

fn load(folder: &Path) -> Result<HashMap<u128, Vec<f32>>, MeaningError> {
    let mut found = HashMap::new();
    for path in parts(folder)? {
        let wrong = |message: String| MeaningError::Parquet { path: path.clone(), message };
        let file = std::fs::File::open(&path).map_err(|error| wrong(error.to_string()))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| wrong(error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            let keys = batch.column_by_name("key").and_then(|column| column.as_string_opt::<i32>());
            let lists = batch.column_by_name("vector").and_then(|column| column.as_fixed_size_list_opt());
            let (Some(keys), Some(lists)) = (keys, lists) else {
                return Err(wrong("has no columns key and vector".to_owned()));
            };
            for (key, list) in keys.iter().zip(lists.iter()) {
                let key = key.and_then(|key| u128::from_str_radix(key, 16).ok());
                let vector = list.as_ref().and_then(|list| list.as_primitive_opt::<Float32Type>());
                if let (Some(key), Some(vector)) = (key, vector) {
                    found.insert(key, vector.values().to_vec());
                }
            }
        }
    }
    Ok(found)
}

fn parts(folder: &Path) -> Result<Vec<PathBuf>, MeaningError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(DurableError { path: folder.to_path_buf(), action: "read the folder", source }.into());
        }
    };
    let mut parts: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with("part-") && name.ends_with(".parquet")
            })
        })
        .collect();
    parts.sort();
    Ok(parts)
}

/// The name is a digest of the keys, so that writing the same part again replaces it.
fn store(folder: &Path, rows: &[(u128, Vec<f32>)]) -> Result<(), MeaningError> {
    let name = rows.iter().fold(0_u128, |all, (key, _)| all.rotate_left(1) ^ key);
    let path = folder.join(format!("part-{name:032x}.parquet"));
    let wrong = |message: String| MeaningError::Parquet { path: path.clone(), message };
    let length = i32::try_from(rows.first().map_or(0, |(_, vector)| vector.len())).unwrap_or(0);
    let keys = StringArray::from_iter_values(rows.iter().map(|(key, _)| format!("{key:032x}")));
    let lists = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        rows.iter().map(|(_, vector)| Some(vector.iter().copied().map(Some))),
        length,
    );
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let schema = Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("vector", DataType::FixedSizeList(item, length), true),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(keys), Arc::new(lists)])
        .map_err(|error| wrong(error.to_string()))?;
    write_atomically(&path, |file| {
        let level = ZstdLevel::try_new(1).map_err(|error| wrong(error.to_string()))?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let mut writer =
            ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| wrong(error.to_string()))?;
        writer.write(&batch).map_err(|error| wrong(error.to_string()))?;
        writer.finish().map_err(|error| wrong(error.to_string()))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::embedder::EmbedderChoice;

    #[test]
    fn each_distinct_text_is_embedded_once_and_read_back_exactly() {
        let data = tempfile::tempdir().unwrap();
        let embedder = Embedder::open(&EmbedderChoice::Lexical, 1).unwrap();
        let mut heard = Vec::new();
        let first = vectors(data.path(), &embedder, &["one", "two", "one"], &mut |done, all| {
            heard.push((done, all));
        })
        .unwrap();
        assert_eq!((first.embedded, heard), (2, vec![(2, 2)]));
        let second = vectors(data.path(), &embedder, &["two", "one", "three"], &mut |_, _| {}).unwrap();
        assert_eq!(second.embedded, 1);
        assert_eq!(first.of("one"), second.of("one"));
        assert_eq!(second.of("one").unwrap(), weir_sample::lexical::embed("one"));
        assert_eq!(vectors(data.path(), &embedder, &["three"], &mut |_, _| {}).unwrap().embedded, 0);
    }

    #[test]
    fn a_damaged_part_is_named() {
        let data = tempfile::tempdir().unwrap();
        let embedder = Embedder::open(&EmbedderChoice::Lexical, 1).unwrap();
        let folder = data.path().join("meaning/embeddings").join(embedder.identity());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("part-1.parquet"), "no parquet").unwrap();
        let error = vectors(data.path(), &embedder, &["x"], &mut |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("part-1.parquet: "), "{error}");
    }
}
