//! Rows to Arrow record batches and back, driven by the table of columns.
//!
//! Types: text is Utf8, integers are Int64 (`status`: Int32), `ts` is Timestamp(us, UTC), `tags` is Map<Utf8, Utf8>, vectors are `List<Float32>`.
//! Invariant: a batch made from rows gives the same rows back. Reading accepts files that lack nullable columns
//! (older ones) or have more (newer ones); a missing required column or another type is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListBuilder,
    MapBuilder, MapFieldNames, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::record::{Access, Column, Record};

/// The schema of a table; `experiment`, `date` and `hour` are in the folders' names only.
pub fn schema<R: Record>() -> SchemaRef {
    let fields: Vec<Field> = R::COLUMNS
        .iter()
        .map(|column| Field::new(column.name, data_type(&column.access), !never_null(column)))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Rows as one batch.
///
/// # Errors
/// Text of one column beyond 2 GiB; callers keep batches far below that.
pub fn to_batch<R: Record>(rows: &[R]) -> Result<RecordBatch, ArrowError> {
    let arrays = R::COLUMNS.iter().map(|column| array(column, rows)).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema::<R>(), arrays)
}

/// The rows of a batch; `experiment` comes from the folder and stays empty here.
///
/// # Errors
/// A required column is missing, or a column has another type than [`schema`] says.
pub fn from_batch<R: Record>(batch: &RecordBatch) -> Result<Vec<R>, ArrowError> {
    let mut rows = vec![R::default(); batch.num_rows()];
    for column in R::COLUMNS {
        let Some(array) = batch.column_by_name(column.name) else {
            if column.required {
                return Err(ArrowError::SchemaError(format!("column `{}` is missing", column.name)));
            }
            continue;
        };
        fill(column, array, &mut rows)?;
    }
    Ok(rows)
}

/// The Arrow type of a column.
pub fn data_type<R>(access: &Access<R>) -> DataType {
    match access {
        Access::Text { .. } | Access::Label { .. } | Access::Word { .. } => DataType::Utf8,
        Access::Integer { .. } => DataType::Int64,
        Access::SmallInteger { .. } => DataType::Int32,
        Access::Float { .. } => DataType::Float64,
        Access::Boolean { .. } => DataType::Boolean,
        Access::Timestamp { .. } => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Access::Vector { .. } => DataType::List(vector_item()),
        Access::Tags { .. } => tags_type(),
    }
}

fn never_null<R>(column: &Column<R>) -> bool {
    column.required || column.name == "inclusion_probability"
}

/// The names that the Parquet format prescribes for maps, so that every reader sees a map.
fn tags_type() -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
}

/// The name that the Parquet format prescribes for the items of a list.
fn vector_item() -> FieldRef {
    Arc::new(Field::new("element", DataType::Float32, false))
}

fn array<R: Record>(column: &Column<R>, rows: &[R]) -> Result<ArrayRef, ArrowError> {
    Ok(match &column.access {
        Access::Text { get, .. } | Access::Label { get, .. } => {
            Arc::new(rows.iter().map(get).collect::<StringArray>()) as ArrayRef
        }
        Access::Word { get, .. } => Arc::new(rows.iter().map(get).collect::<StringArray>()),
        Access::Integer { get, .. } => {
            let mut builder = Int64Builder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(get(row)));
            Arc::new(builder.finish())
        }
        Access::SmallInteger { get, .. } => {
            let mut builder = Int32Builder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(get(row)));
            Arc::new(builder.finish())
        }
        Access::Float { get, .. } => {
            let mut builder = Float64Builder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(get(row)));
            Arc::new(builder.finish())
        }
        Access::Boolean { get, .. } => {
            let mut builder = BooleanBuilder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(get(row)));
            Arc::new(builder.finish())
        }
        Access::Timestamp { get, .. } => {
            let mut builder = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
            rows.iter().for_each(|row| builder.append_value(get(row)));
            Arc::new(builder.finish())
        }
        Access::Vector { get, .. } => vectors_array(rows.iter().map(get)),
        Access::Tags { get, .. } => tags_array(rows.iter().map(get))?,
    })
}

fn vectors_array<'a>(rows: impl Iterator<Item = Option<&'a [f32]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new()).with_field(vector_item());
    for vector in rows {
        builder.values().append_slice(vector.unwrap_or_default());
        builder.append(vector.is_some());
    }
    Arc::new(builder.finish())
}

fn tags_array<'a>(rows: impl Iterator<Item = &'a BTreeMap<String, String>>) -> Result<ArrayRef, ArrowError> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for tags in rows {
        for (key, value) in tags {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(!tags.is_empty())?;
    }
    debug_assert!(builder.keys().len() == builder.values().len());
    Ok(Arc::new(builder.finish()))
}

fn fill<R: Record>(column: &Column<R>, array: &ArrayRef, rows: &mut [R]) -> Result<(), ArrowError> {
    let expected = data_type(&column.access);
    let mismatch = || {
        let found = array.data_type();
        ArrowError::SchemaError(format!("column `{}` is {found}; expected {expected}", column.name))
    };
    let present = |index: usize| array.is_valid(index);
    match &column.access {
        Access::Text { set, .. } | Access::Label { set, .. } => {
            let values = array.as_string_opt::<i32>().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index).to_owned()));
        }
        Access::Word { set, .. } => {
            let values = array.as_string_opt::<i32>().ok_or_else(mismatch)?;
            for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| present(*index)) {
                if !set(row, values.value(index)) {
                    let word = values.value(index);
                    return Err(ArrowError::ParseError(format!(
                        "column `{}` holds the word {word:?}",
                        column.name
                    )));
                }
            }
        }
        Access::Integer { set, .. } => {
            let values = array.as_primitive_opt::<Int64Type>().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index)));
        }
        Access::SmallInteger { set, .. } => {
            let values = array.as_primitive_opt::<Int32Type>().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index)));
        }
        Access::Float { set, .. } => {
            let values = array.as_primitive_opt::<Float64Type>().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index)));
        }
        Access::Boolean { set, .. } => {
            let values = array.as_boolean_opt().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index)));
        }
        Access::Timestamp { set, .. } => {
            let values = array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(mismatch)?;
            each(rows, present, |index, row| set(row, values.value(index)));
        }
        Access::Vector { set, .. } => {
            let values = array.as_list_opt::<i32>().ok_or_else(mismatch)?;
            for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| present(*index)) {
                let list = values.value(index);
                let numbers = list.as_primitive_opt::<Float32Type>().ok_or_else(mismatch)?;
                set(row, numbers.values().to_vec());
            }
        }
        Access::Tags { set, .. } => {
            let values = array.as_map_opt().ok_or_else(mismatch)?;
            let keys = values.keys().as_string_opt::<i32>().ok_or_else(mismatch)?;
            let texts = values.values().as_string_opt::<i32>().ok_or_else(mismatch)?;
            for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| present(*index)) {
                let start =
                    usize::try_from(values.value_offsets().get(index).copied().unwrap_or(0)).unwrap_or(0);
                let end =
                    usize::try_from(values.value_offsets().get(index + 1).copied().unwrap_or(0)).unwrap_or(0);
                let tags = (start..end).map(|at| (keys.value(at).to_owned(), texts.value(at).to_owned()));
                set(row, tags.collect());
            }
        }
    }
    Ok(())
}

fn each<R>(rows: &mut [R], present: impl Fn(usize) -> bool, mut write: impl FnMut(usize, &mut R)) {
    for (index, row) in rows.iter_mut().enumerate() {
        if present(index) {
            write(index, row);
        }
    }
}
