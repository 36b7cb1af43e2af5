//! From text to type, within bounds.

use serde_json::Value;

use crate::{Collector, Decode, Path, Problems, tree};

/// Longest document, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of mappings and lists.
pub const DEPTH_MAX: usize = 64;

/// Most nodes (keys, texts, numbers, mappings, lists) that are written out in a document.
pub const NODES_MAX: usize = 100_000;

/// Reads a document: text to type.
///
/// # Errors
/// Everything that is wrong with it: either what is wrong with its form, with line and column, or all problems of its
/// content.
pub fn read<T: Decode>(document: &str, text: &str) -> Result<T, Problems> {
    decode(document, &parse(document, text)?)
}

/// Reads a tree into a type.
///
/// # Errors
/// All problems of the content.
pub fn decode<T: Decode>(document: &str, tree: &Value) -> Result<T, Problems> {
    let mut problems = Collector::new();
    match T::decode(tree, &Path::Root, &mut problems) {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems.into_problems(document)),
    }
}

/// Reads text into a tree.
///
/// # Errors
/// A text that is too large, nested too deeply or not YAML, and keys that stand there twice, with line and column.
pub fn parse(document: &str, text: &str) -> Result<Value, Problems> {
    let mut problems = Collector::new();
    if text.len() > TEXT_BYTES_MAX {
        problems
            .report(&Path::Root, format!("has {} bytes", text.len()))
            .allowed(format!("up to {TEXT_BYTES_MAX} bytes"));
        return Err(problems.into_problems(document));
    }
    match tree::build(text, &mut problems) {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems.into_problems(document)),
    }
}
