//! JSONL files of other gateways to Parquet, redacted.
//!
//! Two passes: all lines are checked first, and nothing is written when one is bad (unless bad lines may be skipped). File names derive
//! from the content of the imported file, so importing the same file again replaces its rows. A file that was changed in
//! between is another file: its rows come in addition.
//! Limits: `weir_sample::import::LINE_BYTES_MAX` per line, [`PROBLEMS_TOLD_MAX`] problems in the text, [`CHUNK_ROWS_MAX`] rows and
//! [`CHUNK_TEXT_BYTES_MAX`] of lines in memory at once, 16 bytes for each leg to find double ones.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use weir_sample::durable::DurableError;
use weir_sample::import::{ImportedLine, LINE_BYTES_MAX, LineProblem, parse_line};
use weir_sample::{FileError, Sample, Score, WrittenFile, is_experiment, write_samples};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::redact::{Finds, Redactor, Rules};

/// Problems that an error's text tells; the rest is counted.
pub const PROBLEMS_TOLD_MAX: usize = 20;
/// Legs that become files together at most.
pub const CHUNK_ROWS_MAX: usize = 50_000;
/// Lines that become files together, about, bytes.
pub const CHUNK_TEXT_BYTES_MAX: usize = 256 << 20;

/// How to import.
#[derive(Clone, Default)]
pub struct ImportOptions {
    /// Leaves bad lines out instead of importing nothing.
    pub skip_bad_lines: bool,
    /// What is redacted, and how.
    pub rules: Rules,
    /// Hears how many bytes of all are read; every byte is read twice.
    pub progress: Option<fn(u64, u64)>,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Legs written.
    pub samples: u64,
    /// Scores written.
    pub scores: u64,
    /// Lines left out.
    pub skipped_lines: u64,
    /// The first problems of the lines left out, with their file.
    pub problems: Vec<String>,
    /// Secrets that were masked.
    pub redactions: u64,
    /// Parquet files written.
    pub files: Vec<PathBuf>,
}

/// The problems of the lines of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    /// The first [`PROBLEMS_TOLD_MAX`], with their file.
    pub told: Vec<String>,
    /// All problems.
    pub problems: u64,
    /// Lines that have one.
    pub lines: u64,
}

/// Why nothing, or not everything, was imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The experiment cannot be a folder.
    #[error(
        "experiment {0:?} is not a name; allowed: 1 to 63 of a-z, 0-9 and -\n  hint: name it with --experiment"
    )]
    Experiment(String),
    /// A file cannot be read.
    #[error("{}: cannot read: {source}\n  hint: check the path and its rights", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Lines are bad; nothing was imported.
    #[error("{0}")]
    Lines(BadLines),
    /// A file changed between the passes.
    #[error("{}: was changed while it was read; some of its rows may be imported\n  hint: import a copy that nobody writes to", .0.display())]
    Changed(PathBuf),
    /// Parquet could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DurableError),
    /// The redaction did not load; nothing is imported then.
    #[error("the redaction patterns do not compile: {0}\n  hint: this is a defect of weir; please report it")]
    Redaction(#[from] regex::Error),
}

impl fmt::Display for BadLines {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.told {
            writeln!(to, "{problem}")?;
        }
        let untold = self.problems.saturating_sub(self.told.len() as u64);
        if untold > 0 {
            writeln!(to, "and {untold} more problems")?;
        }
        write!(
            to,
            "{} lines are bad, nothing was imported\n  hint: repair them, or leave them out with --skip-bad-lines",
            self.lines
        )
    }
}

/// Imports files as legs (and scores) of one experiment.
///
/// # Errors
/// All bad lines of all files at once; or the file or folder that failed.
pub fn import_jsonl(
    paths: &[PathBuf],
    data_dir: &Path,
    experiment: &str,
    options: &ImportOptions,
) -> Result<ImportSummary, ImportError> {
    if !is_experiment(experiment) {
        return Err(ImportError::Experiment(experiment.chars().take(80).collect()));
    }
    let redactor = Redactor::with(options.rules.clone())?;
    let mut seen = Seen::new(paths, options.progress);
    let mut check = Check { experiment, bad: BadLines::default(), places: HashMap::new() };
    let mut hashes = Vec::with_capacity(paths.len());
    for (file, path) in paths.iter().enumerate() {
        hashes.push(check.file(file, paths, path, &mut seen)?);
    }
    if check.bad.lines > 0 && !options.skip_bad_lines {
        return Err(ImportError::Lines(check.bad));
    }
    let mut summary = ImportSummary {
        skipped_lines: check.bad.lines,
        problems: check.bad.told,
        ..ImportSummary::default()
    };
    for ((file, path), hash) in paths.iter().enumerate().zip(hashes) {
        let mut write = Write {
            data_dir,
            redactor: &redactor,
            name: format!("part-import-{hash:032x}"),
            chunk: 0,
            samples: Vec::new(),
            scores: Vec::new(),
            text_bytes: 0,
            summary: &mut summary,
        };
        let again = read_lines(path, |number, bytes| {
            seen.line(bytes);
            let Ok(line) = line(number, bytes, experiment) else { return Ok(()) };
            if check.places.get(&leg_key(&line.sample)) == Some(&(file, number)) {
                write.add(line, bytes.len())?;
            }
            Ok(())
        })?;
        write.flush()?;
        if again != hash {
            return Err(ImportError::Changed(path.clone()));
        }
    }
    seen.end();
    Ok(summary)
}

/// Bytes that were read, of both passes.
struct Seen {
    done: u64,
    all: u64,
    told: Option<fn(u64, u64)>,
}

impl Seen {
    fn new(paths: &[PathBuf], told: Option<fn(u64, u64)>) -> Self {
        // A file that cannot be read is told when it is read.
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
        Self { done: 0, all: 2 * paths.iter().map(size).sum::<u64>(), told }
    }

    fn line(&mut self, bytes: &[u8]) {
        // With its line break, which the last line may lack.
        self.done = (self.done + bytes.len() as u64 + 1).min(self.all);
        if let Some(told) = self.told.filter(|_| self.done < self.all) {
            told(self.done, self.all);
        }
    }

    fn end(&self) {
        if let Some(told) = self.told {
            told(self.all, self.all);
        }
    }
}

/// The first pass.
struct Check<'a> {
    experiment: &'a str,
    bad: BadLines,
    /// Where each leg was seen first: file and line.
    places: HashMap<u128, (usize, u64)>,
}

/// The second pass over one file.
struct Write<'a> {
    data_dir: &'a Path,
    redactor: &'a Redactor,
    name: String,
    chunk: usize,
    samples: Vec<Sample>,
    scores: Vec<Score>,
    text_bytes: usize,
    summary: &'a mut ImportSummary,
}

impl Check<'_> {
    /// Returns the hash of the content.
    fn file(
        &mut self,
        file: usize,
        paths: &[PathBuf],
        path: &Path,
        seen: &mut Seen,
    ) -> Result<u128, ImportError> {
        read_lines(path, |number, bytes| {
            seen.line(bytes);
            let problems = match line(number, bytes, self.experiment) {
                Ok(line) => match *self.places.entry(leg_key(&line.sample)).or_insert((file, number)) {
                    place if place == (file, number) => return Ok(()),
                    (other, first) => vec![double(number, &line.sample, paths.get(other), first)],
                },
                Err(problems) => problems,
            };
            self.bad.lines += 1;
            self.bad.problems += problems.len() as u64;
            let room = PROBLEMS_TOLD_MAX.saturating_sub(self.bad.told.len());
            let told = problems.iter().take(room).map(|problem| format!("{}: {problem}", path.display()));
            self.bad.told.extend(told);
            Ok(())
        })
    }
}

impl Write<'_> {
    fn add(&mut self, line: ImportedLine, bytes: usize) -> Result<(), ImportError> {
        let mut finds = Finds::default();
        let ImportedLine { mut sample, mut scores } = line;
        self.redactor.redact_row(&mut sample, &mut finds);
        scores.iter_mut().for_each(|score| self.redactor.redact_row(score, &mut finds));
        self.summary.redactions += finds.total();
        self.samples.push(sample);
        self.scores.append(&mut scores);
        self.text_bytes += bytes;
        if self.samples.len() >= CHUNK_ROWS_MAX || self.text_bytes >= CHUNK_TEXT_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        let name = format!("{}-{:04}", self.name, self.chunk);
        self.chunk += 1;
        self.text_bytes = 0;
        let samples = write_samples(self.data_dir, &name, std::mem::take(&mut self.samples))?;
        let scores = write_samples(self.data_dir, &name, std::mem::take(&mut self.scores))?;
        let rows = |files: &[WrittenFile]| files.iter().map(|file| file.rows).sum::<u64>();
        self.summary.samples += rows(&samples);
        self.summary.scores += rows(&scores);
        self.summary.files.extend(samples.into_iter().chain(scores).map(|file| file.path));
        Ok(())
    }
}

fn double(line: u64, sample: &Sample, file: Option<&PathBuf>, first: u64) -> LineProblem {
    let file = file.map(|path| path.display().to_string()).unwrap_or_default();
    let id: String = sample.sample_id.chars().take(40).collect();
    LineProblem {
        line,
        field: Some("sample_id".to_owned()),
        message: format!(
            "{id:?} has a {} leg of {} already, in {file} line {first}",
            sample.leg.as_str(),
            sample.variant.as_str()
        ),
        allowed: Some("one line for each sample_id, leg and variant".to_owned()),
        hint: None,
    }
}

fn leg_key(sample: &Sample) -> u128 {
    let key = format!("{}\n{}\n{}", sample.leg.as_str(), sample.variant.as_str(), sample.sample_id);
    xxh3_128(key.as_bytes())
}

fn line(number: u64, bytes: &[u8], experiment: &str) -> Result<ImportedLine, Vec<LineProblem>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_line(number, text, experiment),
        Err(error) => Err(vec![LineProblem {
            line: number,
            field: None,
            message: format!("byte {} is not UTF-8", error.valid_up_to()),
            allowed: Some("UTF-8".to_owned()),
            hint: None,
        }]),
    }
}

/// Calls back for each line that is not blank, without its line end; returns the hash of the whole content.
/// Of a line that is too long only one byte more than the limit is given, which the parser refuses.
fn read_lines(
    path: &Path,
    mut on_line: impl FnMut(u64, &[u8]) -> Result<(), ImportError>,
) -> Result<u128, ImportError> {
    let wrap = |source| ImportError::Read { path: path.to_path_buf(), source };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(wrap)?);
    let mut hash = Xxh3::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if (&mut reader).take(limit).read_until(b'\n', &mut line).map_err(wrap)? == 0 {
            break;
        }
        hash.update(&line);
        if line.len() > LINE_BYTES_MAX && !line.ends_with(b"\n") {
            skip_line(&mut reader, &mut hash).map_err(wrap)?;
        }
        let mut content = line.strip_suffix(b"\n").unwrap_or(&line);
        content = content.strip_suffix(b"\r").unwrap_or(content);
        if number == 1 {
            content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        }
        if !content.trim_ascii().is_empty() {
            on_line(number, content)?;
        }
    }
    Ok(hash.digest128())
}

fn skip_line(reader: &mut impl BufRead, hash: &mut Xxh3) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(buffer.len());
        hash.update(buffer.get(..used).unwrap_or_default());
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
