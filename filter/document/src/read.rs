//! From text to a tree, within bounds.
//!
//! YAML 1.2 with the core schema: only `true` and `false` are truth values, a repeated key is an error, anchors and aliases
//! work within the bounds, merge keys (`<<`) too. JSON is read by the same parser. Exactly one document per text.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::{Collector, Decode, Path, Problems};

/// Longest document, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of mappings and lists.
pub const DEPTH_MAX: usize = 64;

/// Most nodes (keys, values, starts and ends of collections), aliases expanded.
pub const NODES_MAX: usize = 200_000;

/// Most nodes that aliases may add.
const ALIAS_NODES_MAX: usize = 20_000;

/// Reads a document: text to type.
///
/// # Errors
/// Everything that is wrong with it: either one syntax error with line and column, or all problems of its content.
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
/// A text that is too large, nested too deeply or not YAML, with line and column.
pub fn parse(document: &str, text: &str) -> Result<Value, Problems> {
    let whole = |message: String, hint: Option<&str>| {
        let mut problems = Collector::new();
        let report = problems.report(&Path::Root, message);
        if let Some(hint) = hint {
            report.hint(hint);
        }
        problems.into_problems(document)
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(whole(format!("has {} bytes; allowed: {TEXT_BYTES_MAX}", text.len()), None));
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let error = error.without_snippet();
        let message = error.to_string();
        whole(message, None)
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: NODES_MAX,
            max_documents: 1,
            max_recorded_anchor_events: NODES_MAX,
            max_recorded_anchor_bytes: TEXT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_NODES_MAX,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}
