//! What became of golden cases run by run, as JSON lines, so that a set says which of its cases tell nothing apart any more.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::golden::{GoldenError, Went, passes};

/// Runs after which a case that always went alike is called one that tells nothing apart.
pub const RUNS_MIN: usize = 3;

/// A case in one run: whether most of its repeats held all expectations; absent where there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// The case.
    pub id: String,
    /// Control.
    pub control: Option<bool>,
    /// The candidate.
    pub candidate: Option<bool>,
}

/// Appends one run.
///
/// # Errors
/// The file cannot be written.
pub fn append_history(path: &Path, went: &[Went]) -> Result<(), GoldenError> {
    let wrong = |what: String| GoldenError { path: path.display().to_string(), problems: vec![what] };
    let mut lines = String::new();
    for one in went {
        let ran =
            Ran { id: one.id.clone(), control: passes(&one.control), candidate: passes(&one.candidate) };
        lines += &serde_json::to_string(&ran).map_err(|error| wrong(error.to_string()))?;
        lines.push('\n');
    }
    let wrap = |error: std::io::Error| wrong(format!("cannot be written: {error}"));
    let mut file = std::fs::File::options().append(true).create(true).open(path).map_err(wrap)?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(wrap)
}

/// Reads all runs; every bad line at once.
///
/// # Errors
/// A file that cannot be read, or lines that are none.
pub fn read_history(path: &Path) -> Result<Vec<Ran>, GoldenError> {
    let wrong = |problems: Vec<String>| GoldenError { path: path.display().to_string(), problems };
    let text =
        std::fs::read_to_string(path).map_err(|error| wrong(vec![format!("cannot be read: {error}")]))?;
    let (mut runs, mut problems) = (Vec::new(), Vec::new());
    for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        match serde_json::from_str(row) {
            Ok(ran) => runs.push(ran),
            Err(error) => problems.push(format!("line {}: {error}", line + 1)),
        }
    }
    if problems.is_empty() { Ok(runs) } else { Err(wrong(problems)) }
}

/// Cases whose two versions went alike in each of their last [`RUNS_MIN`] runs that both answered, with how they went.
#[must_use]
pub fn telling_nothing(runs: &[Ran]) -> BTreeMap<String, bool> {
    let mut by_case: BTreeMap<&str, Vec<(bool, bool)>> = BTreeMap::new();
    for ran in runs {
        if let Some(both) = ran.control.zip(ran.candidate) {
            by_case.entry(&ran.id).or_default().push(both);
        }
    }
    let alike = |(id, runs): (&str, Vec<(bool, bool)>)| {
        let last = runs.len().checked_sub(RUNS_MIN).and_then(|from| runs.get(from..))?;
        let (first, _) = *last.first()?;
        last.iter().all(|both| *both == (first, first)).then(|| (id.to_owned(), first))
    };
    by_case.into_iter().filter_map(alike).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_case_that_went_alike_three_times_tells_nothing_apart() {
        let went = |id: &str, control: f64, candidate: Option<f64>| Went {
            id: id.into(),
            control: vec![Some(control)],
            candidate: vec![candidate],
            missed: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.jsonl");
        for run in 0..4 {
            let turns = if run == 0 { 0.0 } else { 1.0 };
            let flips = f64::from(u8::from(run % 2 == 0));
            append_history(
                &path,
                &[
                    went("easy", 1.0, Some(turns)),
                    went("hard", 0.0, Some(0.0)),
                    went("good", 1.0, Some(flips)),
                    went("silent", 1.0, None),
                ],
            )
            .unwrap();
        }
        let alike = telling_nothing(&read_history(&path).unwrap());
        let expected = [("easy".to_owned(), true), ("hard".to_owned(), false)];
        assert_eq!(alike, BTreeMap::from(expected), "the last three runs count, silence does not");
        std::fs::write(&path, "{\"id\": \"x\"}\nnothing\n").unwrap();
        assert!(
            read_history(&path).unwrap_err().to_string().contains("line 2"),
            "absent answers may be left away"
        );
    }
}
