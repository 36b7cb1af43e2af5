//! One row as bytes, for the write-ahead log: compact, exact (doubles keep their bits), readable by newer versions.
//!
//! Format: experiment (u32 length, UTF-8), then for each column that is present its position in the table (u8) and its
//! value: text and words as u32 length and UTF-8, integers and doubles as 8 bytes (`status`: 4), booleans as 1, tags
//! as u32 count and that many pairs of texts, vectors as u32 count and that many f32. All little-endian.
//! Invariants: decoding never panics, whatever the bytes; a position beyond the table is an error, because columns are
//! only added at the end and a row of a newer version must not be half-read.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::record::{Access, Column, Record};

/// Why bytes are not a row.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RowError {
    /// The bytes end inside a value.
    #[error("row ends early in {0}")]
    Short(&'static str),
    /// Text that is not UTF-8.
    #[error("row holds invalid UTF-8 in {0}")]
    Text(&'static str),
    /// A word outside its set.
    #[error("row holds a foreign word in {0}")]
    Word(&'static str),
    /// A column of a newer version.
    #[error(
        "row has a column at position {0} that this version does not know\n  hint: it was written by a newer version of weir"
    )]
    Column(u8),
}

/// Appends the row's bytes.
pub fn encode_row<R: Record>(row: &R, to: &mut Vec<u8>) {
    put_text(row.experiment(), to);
    for (position, column) in (0u8..=u8::MAX).zip(R::COLUMNS) {
        encode_column(position, column, row, to);
    }
}

/// Reads a row from exactly these bytes.
///
/// # Errors
/// The place where they stop being a row.
pub fn decode_row<R: Record>(bytes: &[u8]) -> Result<R, RowError> {
    let mut rest = bytes;
    let mut row = R::default();
    row.set_experiment(take_text(&mut rest, "experiment")?);
    while let Some((&position, after)) = rest.split_first() {
        rest = after;
        let column = R::COLUMNS.get(usize::from(position)).ok_or(RowError::Column(position))?;
        decode_column(column, &mut row, &mut rest)?;
    }
    Ok(row)
}

fn encode_column<R: Record>(position: u8, column: &Column<R>, row: &R, to: &mut Vec<u8>) {
    let mut put = |bytes: &[u8]| {
        to.push(position);
        to.extend_from_slice(bytes);
    };
    match &column.access {
        Access::Text { get, .. } | Access::Label { get, .. } => {
            if let Some(text) = get(row) {
                to.push(position);
                put_text(text, to);
            }
        }
        Access::Word { get, .. } => {
            if let Some(word) = get(row) {
                to.push(position);
                put_text(word, to);
            }
        }
        Access::Integer { get, .. } => get(row).into_iter().for_each(|value| put(&value.to_le_bytes())),
        Access::SmallInteger { get, .. } => get(row).into_iter().for_each(|value| put(&value.to_le_bytes())),
        Access::Float { get, .. } => get(row).into_iter().for_each(|value| put(&value.to_le_bytes())),
        Access::Boolean { get, .. } => get(row).into_iter().for_each(|value| put(&[u8::from(value)])),
        Access::Timestamp { get, .. } => put(&get(row).to_le_bytes()),
        Access::Vector { get, .. } => {
            if let Some(vector) = get(row) {
                to.push(position);
                to.extend_from_slice(&u32::try_from(vector.len()).unwrap_or(u32::MAX).to_le_bytes());
                vector.iter().for_each(|value| to.extend_from_slice(&value.to_le_bytes()));
            }
        }
        Access::Tags { get, .. } => {
            let tags = get(row);
            if !tags.is_empty() {
                to.push(position);
                to.extend_from_slice(&u32::try_from(tags.len()).unwrap_or(u32::MAX).to_le_bytes());
                for (key, value) in tags {
                    put_text(key, to);
                    put_text(value, to);
                }
            }
        }
    }
}

fn decode_column<R: Record>(column: &Column<R>, row: &mut R, rest: &mut &[u8]) -> Result<(), RowError> {
    let name = column.name;
    match &column.access {
        Access::Text { set, .. } | Access::Label { set, .. } => set(row, take_text(rest, name)?),
        Access::Word { set, .. } => {
            if !set(row, &take_text(rest, name)?) {
                return Err(RowError::Word(name));
            }
        }
        Access::Integer { set, .. } => set(row, i64::from_le_bytes(take_array(rest, name)?)),
        Access::SmallInteger { set, .. } => set(row, i32::from_le_bytes(take_array(rest, name)?)),
        Access::Float { set, .. } => set(row, f64::from_le_bytes(take_array(rest, name)?)),
        Access::Boolean { set, .. } => set(row, take_array::<1>(rest, name)? != [0]),
        Access::Timestamp { set, .. } => set(row, i64::from_le_bytes(take_array(rest, name)?)),
        Access::Vector { set, .. } => {
            let count = u32::from_le_bytes(take_array(rest, name)?);
            let mut vector = Vec::new();
            for _ in 0..count {
                vector.push(f32::from_le_bytes(take_array(rest, name)?));
            }
            set(row, vector);
        }
        Access::Tags { set, .. } => {
            let count = u32::from_le_bytes(take_array(rest, name)?);
            let mut tags = BTreeMap::new();
            // Each pair takes bytes, so a forged count ends in an error, not in memory.
            for _ in 0..count {
                let key = take_text(rest, name)?;
                tags.insert(key, take_text(rest, name)?);
            }
            set(row, tags);
        }
    }
    Ok(())
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    to.extend_from_slice(text.as_bytes());
}

fn take_text(rest: &mut &[u8], place: &'static str) -> Result<String, RowError> {
    let len = u32::from_le_bytes(take_array(rest, place)?);
    let len = usize::try_from(len).map_err(|_| RowError::Short(place))?;
    let (text, after) = rest.split_at_checked(len).ok_or(RowError::Short(place))?;
    *rest = after;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| RowError::Text(place))
}

fn take_array<const N: usize>(rest: &mut &[u8], place: &'static str) -> Result<[u8; N], RowError> {
    let (array, after) = rest.split_first_chunk::<N>().ok_or(RowError::Short(place))?;
    *rest = after;
    Ok(*array)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::record::{Leg, ResponseFormat, Sample, Score, Variant};
    use proptest::prelude::*;

    fn full() -> Sample {
        Sample {
            experiment: "e".into(),
            sample_id: "id".into(),
            leg: Leg::Shadow,
            variant: Variant::Candidate,
            ts_us: 7,
            revision: Some(i64::MAX),
            status: Some(200),
            latency_ms: Some(0.1 + 0.2),
            complete: Some(false),
            streamed: Some(true),
            response_text: Some("ü\u{0}".into()),
            response_format: Some(ResponseFormat::OpenaiChatSse),
            response_vector: Some(vec![0.6, -0.8, f32::MIN_POSITIVE]),
            tags: [("a".to_owned(), String::new()), ("b".to_owned(), "c".to_owned())].into(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_row_comes_back_bit_for_bit() {
        let mut bytes = Vec::new();
        encode_row(&full(), &mut bytes);
        assert_eq!(decode_row::<Sample>(&bytes).unwrap(), full());

        let score =
            Score { criterion: "q".into(), score: 0.1 + 0.7, judge: Some("j".into()), ..Score::default() };
        let mut bytes = Vec::new();
        encode_row(&score, &mut bytes);
        assert_eq!(decode_row::<Score>(&bytes).unwrap(), score);
    }

    #[test]
    fn a_column_of_a_newer_version_is_an_error() {
        let mut bytes = Vec::new();
        encode_row(&full(), &mut bytes);
        bytes.push(200);
        assert_eq!(decode_row::<Sample>(&bytes), Err(RowError::Column(200)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(row) = decode_row::<Sample>(&bytes) {
                let mut again = Vec::new();
                encode_row(&row, &mut again);
                // Not compared with `==`: the bytes may hold a NaN.
                let twice = decode_row::<Sample>(&again).map(|row| { let mut b = Vec::new(); encode_row(&row, &mut b); b });
                prop_assert_eq!(twice, Ok(again));
            }
        }

        #[test]
        fn a_damaged_row_never_panics(at in 0usize..400, byte: u8, cut in 0usize..400) {
            let mut bytes = Vec::new();
            encode_row(&full(), &mut bytes);
            if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
            bytes.truncate(cut);
            // Either outcome is right here; the log's checksum decides before this is called.
            prop_assert!(decode_row::<Sample>(&bytes).is_ok() || decode_row::<Sample>(&bytes).is_err());
        }
    }
}
