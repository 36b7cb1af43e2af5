//! Figures kept beside the data, so that a look reads only files that no look has read before.
//!
//! `DATA/.figures/experiment=E/DEFINITIONS/PART-IDENTITY.figures`: one file for each part file of samples. IDENTITY is a hash of the
//! part file's place, length and footer (which has the place and statistics of every column's pages), DEFINITIONS one of this crate's
//! source, of the metrics that are computed and of the metrics document. A look puts the figures of all files together as
//! if it had just read them, so that its answer is the same, byte for byte, whatever was kept.
//!
//! - What is missing, cut short, damaged or of another version is read from the samples and written anew; a checksum over
//!   everything tells. Figures of files that are gone are deleted, and so are those of more than [`DEFINITIONS_MAX`] definitions.
//! - The folder's name begins with a dot and nothing in it ends in `.parquet`: other readers pass over it. It holds no
//!   text of a request or an answer, but sample ids, labels and hashes of identities; it may be deleted at any time.
//! - `parts.spans` in the folder of the definitions says which files are kept there and when their legs began ([`crate::spans`]).
//! - `slices` there holds what large looks sum up of stretches of time (`slices/store.rs`).
//! - Where it cannot be written the look costs more, and is the same.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use weir_sample::layout::FIGURES_FOLDER;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::LoadOptions;
use crate::figures::Figures;
use crate::metric::Metric;
use crate::packed::{Reader, Writer};
use crate::spans::Spans;

/// Definitions whose figures are kept: those of two or three gates documents, and of the version before.
const DEFINITIONS_MAX: usize = 4;
/// A longer footer is none.
const FOOTER_BYTES_MAX: u64 = 256 << 20;
const MAGIC: u64 = u64::from_le_bytes(*b"weirfig1");
const MAGIC_OF_SPANS: u64 = u64::from_le_bytes(*b"weirspn1");
/// Name of the file of spans; not one that ends as figures do, which are deleted with their part file.
const SPANS: &str = "parts.spans";

/// Where figures of one experiment by one set of definitions are.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    experiment: PathBuf,
    folder: PathBuf,
    definitions: u64,
    metrics: usize,
}

/// What a part file is known by.
pub(crate) type Identity = u64;

impl Kept {
    /// Nothing where figures are not to be kept.
    pub(crate) fn of(options: &LoadOptions, experiment: &str, metrics: &[Metric]) -> Option<Self> {
        if !options.keep_figures {
            return None;
        }
        let mut hasher = Xxh3::new();
        hasher.update(env!("WEIR_METRICS_SOURCE").as_bytes());
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        for metric in metrics {
            hasher.update(metric.name.as_bytes());
            hasher.update(&[0]);
        }
        hasher.update(format!("{:?}", options.definitions).as_bytes());
        let definitions = hasher.digest();
        let experiment = options.data_dir.join(FIGURES_FOLDER).join(format!("experiment={experiment}"));
        let folder = experiment.join(format!("{definitions:016x}"));
        Some(Self { experiment, folder, definitions, metrics: metrics.len() })
    }

    /// The figures of a part file; nothing where there are none that can be trusted.
    pub(crate) fn read(&self, path: &Path, identity: Identity) -> Option<Figures> {
        let bytes = fs::read(self.place(path, identity)).ok()?;
        let mut from = unsealed(&bytes, &[MAGIC, self.definitions, identity])?;
        Figures::read(path, self.metrics, &mut from)
    }

    /// Whether there are figures of a part file, good or not.
    pub(crate) fn has(&self, path: &Path, identity: Identity) -> bool {
        self.place(path, identity).is_file()
    }

    /// Keeps the figures of a part file, if the folder can be written.
    pub(crate) fn write(&self, path: &Path, identity: Identity, figures: &Figures) {
        let bytes = sealed(&[MAGIC, self.definitions, identity], |to| figures.write(to));
        // Documented: a look does not depend on it.
        let _ = self.put(&self.place(path, identity), &bytes);
    }

    /// The spans of the part files whose figures are kept; none where they cannot be trusted.
    pub(crate) fn spans(&self) -> Spans {
        let spans = |bytes: Vec<u8>| Spans::read(&mut unsealed(&bytes, &[MAGIC_OF_SPANS, self.definitions])?);
        fs::read(self.folder.join(SPANS)).ok().and_then(spans).unwrap_or_default()
    }

    /// Keeps spans, if the folder can be written.
    pub(crate) fn write_spans(&self, spans: &Spans) {
        let bytes = sealed(&[MAGIC_OF_SPANS, self.definitions], |to| spans.write(to));
        // Documented: a look does not depend on it.
        let _ = self.put(&self.folder.join(SPANS), &bytes);
    }

    /// Where slices are kept ([`crate::slices`]).
    pub(crate) fn slices(&self) -> PathBuf {
        self.folder.join("slices")
    }

    fn put(&self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        put(&self.folder, place, bytes)
    }

    /// Deletes what is of no use: figures of part files that are gone, and of old definitions.
    pub(crate) fn tidy<'a>(&self, present: impl Iterator<Item = (&'a Path, Identity)>) {
        let wanted: BTreeSet<PathBuf> = present.map(|(path, identity)| self.place(path, identity)).collect();
        if !self.folder.is_dir() {
            return;
        }
        for path in entries(&self.folder) {
            let is_figures = path.extension().is_some_and(|extension| extension == "figures");
            if is_figures && !wanted.contains(&path) {
                let _ = fs::remove_file(path);
            }
        }
        let mut others: Vec<(Option<SystemTime>, PathBuf)> = entries(&self.experiment)
            .into_iter()
            .filter(|path| *path != self.folder)
            .map(|path| (fs::metadata(&path).and_then(|metadata| metadata.modified()).ok(), path))
            .collect();
        others.sort();
        let too_many = (others.len() + 1).saturating_sub(DEFINITIONS_MAX);
        for (_, path) in others.into_iter().take(too_many) {
            let _ = fs::remove_dir_all(path);
        }
    }

    fn place(&self, path: &Path, identity: Identity) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.folder.join(format!("{stem}-{identity:016x}.figures"))
    }
}

/// What a part file is known by: its folders and name, its length, and its footer.
pub(crate) fn identity(path: &Path) -> io::Result<Identity> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut tail = [0; 8];
    let mut footer = Vec::new();
    if length >= 8 {
        file.seek(SeekFrom::Start(length - 8))?;
        file.read_exact(&mut tail)?;
        let [a, b, c, d, ..] = tail;
        let footer_length = u64::from(u32::from_le_bytes([a, b, c, d])).min(length - 8).min(FOOTER_BYTES_MAX);
        file.seek(SeekFrom::Start(length - 8 - footer_length))?;
        file.take(footer_length).read_to_end(&mut footer)?;
    }
    let mut hasher = Xxh3::new();
    // Experiment, date, hour and name: the same file elsewhere has other figures only where it is another file.
    for part in place_in_data(path) {
        hasher.update(part.as_encoded_bytes());
        hasher.update(&[0]);
    }
    hasher.update(&length.to_le_bytes());
    hasher.update(&tail);
    hasher.update(&footer);
    Ok(hasher.digest())
}

/// What stays of a place where the data folder is named otherwise: experiment, date, hour and name.
pub(crate) fn place_in_data(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.iter().rev().take(4)
}

/// Writes a file of a folder as a whole.
pub(crate) fn put(folder: &Path, place: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = place.with_extension(format!("{}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, place));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Numbers that say what it is, the content, and a checksum over both.
pub(crate) fn sealed(head: &[u64], content: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut to = Writer::default();
    head.iter().for_each(|number| to.number(*number));
    content(&mut to);
    let mut bytes = to.into_bytes();
    let checksum = xxh3_64(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The content; nothing where the checksum or the numbers before it are others.
pub(crate) fn unsealed<'a>(bytes: &'a [u8], head: &[u64]) -> Option<Reader<'a>> {
    let (content, checksum) = bytes.split_last_chunk::<8>()?;
    if xxh3_64(content).to_le_bytes() != *checksum {
        return None;
    }
    let mut from = Reader::new(content);
    for number in head {
        if from.number()? != *number {
            return None;
        }
    }
    Some(from)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
