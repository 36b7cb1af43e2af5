//! Files in the data folder that were passed over: named, counted, never touched.
//!
//! A file that is no part file by its place and name says nothing about the capture. A part file that cannot be read may have held
//! samples of ours, more of one variant than of the other: that is a problem of the capture, and nothing is promoted on it.

use std::path::{Path, PathBuf};

use weir_gate::CaptureHealth;

use crate::error::MetricsError;

/// Files that a report names; the others it counts.
const NAMED_MAX: usize = 20;
const FOREIGN: &str = "does not belong there";

/// What was passed over.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    /// Not where a part file is, or not called like one; sorted.
    pub(crate) foreign: Vec<PathBuf>,
    /// Part files that cannot be used, each with what is wrong with it; sorted.
    pub(crate) refused: Vec<(PathBuf, String)>,
}

impl Skipped {
    /// Everything, as an error: for a folder in which nothing else is.
    pub(crate) fn into_error(self, data_dir: &Path) -> MetricsError {
        if self.refused.is_empty() {
            return MetricsError::ForeignFiles { path: data_dir.to_path_buf(), paths: self.foreign };
        }
        let foreign = self.foreign.into_iter().map(|path| (path, FOREIGN.to_owned()));
        let mut files: Vec<_> = self.refused.into_iter().chain(foreign).collect();
        files.sort();
        MetricsError::BadFiles { files }
    }

    /// Tells it in the capture's health.
    pub(crate) fn tell(&self, data_dir: &Path, health: &mut CaptureHealth) {
        let name = |path: &Path| path.strip_prefix(data_dir).unwrap_or(path).display().to_string();
        let foreign = self.foreign.iter().map(|path| format!("{} {FOREIGN}", name(path)));
        let refused = self.refused.iter().map(|(path, why)| format!("{}: {why}", name(path)));
        // Those that matter come first.
        health.skipped = refused.chain(foreign).take(NAMED_MAX).collect();
        health.skipped_files = (self.foreign.len() + self.refused.len()) as u64;
        if let Some((path, why)) = self.refused.first() {
            let (path, all) = (name(path), self.refused.len());
            let more = if all > 1 { format!(", and {} more", all - 1) } else { String::new() };
            health.problems.push(format!(
                "{all} part {} cannot be read, and what {} held is missing: {path}: {why}{more}; hint: put back a good copy, or \
                 move away what is not weir's",
                if all == 1 { "file" } else { "files" },
                if all == 1 { "it" } else { "they" },
            ));
        }
    }
}
