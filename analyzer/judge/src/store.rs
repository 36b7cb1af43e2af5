//! What judges have said, on disk before the next call: `DATA/judge/said.jsonl`, one line per paid reply.
//!
//! The key is a digest of judge, model, rubric and question, so that the same question is paid once, in whatever run.
//! A reply that could not be read is kept too (it was paid); failures of the endpoint are not. A last line that was cut by a
//! crash is passed over. Limit: the file is read whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_sample::durable::{DurableError, create_folder};

/// One paid reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Digest of the question.
    pub key: String,
    /// Scores by criterion; none where the reply could not be read.
    pub scores: Option<BTreeMap<String, f64>>,
    /// Why, in the judge's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was wrong with it.
    pub problem: Option<String>,
    /// Tokens that the endpoint counted.
    pub prompt_tokens: u64,
    /// Tokens that the endpoint counted.
    pub completion_tokens: u64,
}

/// All replies so far.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    said: HashMap<String, Said>,
}

impl Store {
    /// Opens the store of a data folder.
    ///
    /// # Errors
    /// The file system refused.
    pub fn open(data_dir: &Path) -> Result<Self, DurableError> {
        let folder = data_dir.join("judge");
        create_folder(data_dir, &folder)?;
        let path = folder.join("said.jsonl");
        let wrap = |source| DurableError { path: path.clone(), action: "open", source };
        let mut file = File::options().read(true).append(true).create(true).open(&path).map_err(wrap)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(wrap)?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // A cut line must not swallow the next one.
            file.write_all(b"\n").map_err(wrap)?;
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok());
        let said = lines.map(|said| (said.key.clone(), said)).collect();
        Ok(Self { path, file, said })
    }

    /// What was said to a question.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Said> {
        self.said.get(key)
    }

    /// Keeps a reply, durable when this returns.
    ///
    /// # Errors
    /// The file system refused.
    pub fn put(&mut self, said: Said) -> Result<(), DurableError> {
        let wrap = |source| DurableError { path: self.path.clone(), action: "append to", source };
        let mut line = serde_json::to_vec(&said).map_err(|error| wrap(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(wrap)?;
        self.file.sync_data().map_err(wrap)?;
        self.said.insert(said.key.clone(), said);
        Ok(())
    }
}
