//! The answers of an experiment, by exchange: only the columns that meaning needs are read.
//!
//! An answer whose text was not kept may have its vector in its place; it counts if the same embedder made it.
//! Limits: texts are kept in memory, cut at [`crate::embedder::TEXT_BYTES_MAX`]. A leg that comes twice counts once, the
//! first in the order of files and rows.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_sample::{Kind, Leg, Sample, Variant, check_file, list_files};

use crate::embedder::cut;
use crate::error::MeaningError;

const COLUMNS: [&str; 13] = [
    "sample_id",
    "leg",
    "variant",
    "ts",
    "revision",
    "tier",
    "path",
    "tags",
    "request_text",
    "response_text",
    "embedder",
    "request_vector",
    "response_vector",
];
/// Tags of the capture, of the upstream and of the answer make no segments: they differ with what the candidate does.
const OWN_TAGS: [&str; 4] = ["weir.", "envoy.", "response.", "upstream."];
/// Bytes of a segment's value at most; a longer one names no segment.
const SEGMENT_BYTES_MAX: usize = 64;

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who gave it.
    pub variant: Variant,
    /// When, microseconds since 1970.
    pub ts_us: i64,
    /// The text; absent where nothing was captured, or its text not kept.
    pub text: Option<String>,
    /// The vector that was kept in place of the text.
    pub vector: Option<Vec<f32>>,
}

impl Answer {
    /// Whether there is something to compare.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.text.is_some() || self.vector.is_some()
    }
}

/// One exchange: what was asked, and the answers.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The prompt, or the body it came in.
    pub request: Option<String>,
    /// The vector that was kept in place of the prompt.
    pub request_vector: Option<Vec<f32>>,
    /// Segments by dimension: `tier`, `path` (without its query), `tag:NAME`.
    pub segments: BTreeMap<String, String>,
    /// The policy revision under which it was captured.
    pub revision: Option<i64>,
    /// What the client got.
    pub primary: Option<Answer>,
    /// The candidate's copy.
    pub shadow: Option<Answer>,
    /// Control's second answer.
    pub noise: Option<Answer>,
}

impl Exchange {
    /// Control's answer and the candidate's, both with content.
    #[must_use]
    pub fn pair(&self) -> Option<(&Answer, &Answer)> {
        self.with_control(self.shadow.as_ref())
    }

    /// Control's answer and its second answer, both with content.
    #[must_use]
    pub fn noise_pair(&self) -> Option<(&Answer, &Answer)> {
        self.with_control(self.noise.as_ref())
    }

    fn with_control<'a>(&'a self, other: Option<&'a Answer>) -> Option<(&'a Answer, &'a Answer)> {
        let primary = self.primary.as_ref().filter(|answer| answer.variant == Variant::Control)?;
        let both = (primary, other?);
        (both.0.has_content() && both.1.has_content()).then_some(both)
    }

    /// The exchange's time.
    #[must_use]
    pub fn ts_us(&self) -> i64 {
        [&self.primary, &self.shadow, &self.noise].into_iter().flatten().map(|a| a.ts_us).min().unwrap_or(0)
    }
}

/// Which samples count, and by which embedder their vectors.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The experiment.
    pub experiment: &'a str,
    /// Only this policy revision.
    pub revision: Option<i64>,
    /// Identity of the embedder whose vectors count as content; without one only texts do.
    pub embedder: Option<&'a str>,
}

impl<'a> Chosen<'a> {
    /// The texts of all revisions.
    #[must_use]
    pub const fn texts(experiment: &'a str) -> Self {
        Self { experiment, revision: None, embedder: None }
    }
}

/// All exchanges of an experiment by sample id. Files that are none of ours, or damaged, are passed over: `weir analyze` names
/// them.
///
/// # Errors
/// No samples, no file that can be read, or nothing but vectors of another embedder.
pub fn read(data_dir: &Path, chosen: Chosen<'_>) -> Result<BTreeMap<String, Exchange>, MeaningError> {
    let Chosen { experiment, embedder, .. } = chosen;
    let mut exchanges = BTreeMap::new();
    let mut foreign = Foreign::default();
    let mut refused = None;
    for path in list_files(data_dir, Kind::Samples, Some(experiment))? {
        match batches(&path) {
            Ok(batches) => batches.iter().for_each(|batch| take(batch, chosen, &mut exchanges, &mut foreign)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let answers = exchanges.values().flat_map(|exchange: &Exchange| {
        [&exchange.primary, &exchange.shadow, &exchange.noise].into_iter().flatten()
    });
    let nothing = !answers.into_iter().any(Answer::has_content);
    if let (Some(kept), Some(asked), true) = (foreign.embedder, embedder, nothing) {
        return Err(MeaningError::OtherVectors { kept, asked: asked.to_owned(), count: foreign.count });
    }
    if let (true, Some(error)) = (exchanges.is_empty(), refused) {
        return Err(error);
    }
    if exchanges.is_empty() {
        return Err(MeaningError::NoSamples {
            path: data_dir.to_path_buf(),
            experiment: experiment.to_owned(),
        });
    }
    Ok(exchanges)
}

/// A file's columns, all of them readable.
fn batches(path: &Path) -> Result<Vec<RecordBatch>, MeaningError> {
    check_file::<Sample>(path)?;
    let wrong = |message: String| MeaningError::Parquet { path: path.to_path_buf(), message };
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(error.to_string()))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let reader = builder.with_projection(mask).build().map_err(|error| wrong(error.to_string()))?;
    reader.map(|batch| batch.map_err(|error| wrong(error.to_string()))).collect()
}

/// Vectors that another embedder made.
#[derive(Default)]
struct Foreign {
    embedder: Option<String>,
    count: usize,
}

fn take(
    batch: &RecordBatch,
    chosen: Chosen<'_>,
    exchanges: &mut BTreeMap<String, Exchange>,
    foreign: &mut Foreign,
) {
    let revision = chosen.revision;
    let texts = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let text = |name: &str, row: usize| {
        texts(name).filter(|column| column.is_valid(row)).map(|column| column.value(row))
    };
    let times =
        batch.column_by_name("ts").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let revisions = batch.column_by_name("revision").and_then(|c| c.as_primitive_opt::<Int64Type>());
    for row in 0..batch.num_rows() {
        let of_row = revisions.filter(|column| column.is_valid(row)).map(|column| column.value(row));
        if revision.is_some() && revision != of_row {
            continue;
        }
        let (Some(id), Some(leg), Some(variant)) = (
            text("sample_id", row),
            text("leg", row).and_then(Leg::parse),
            text("variant", row).and_then(Variant::parse),
        ) else {
            continue;
        };
        let exchange: &mut Exchange = exchanges.entry(id.to_owned()).or_default();
        let embedder = text("embedder", row);
        let ours = embedder.is_some() && embedder == chosen.embedder;
        let kept = |name: &str| ours.then(|| vector(batch, name, row)).flatten();
        let answer = Answer {
            variant,
            ts_us: times.map_or(0, |column| column.value(row)),
            text: text("response_text", row)
                .filter(|text| !text.trim().is_empty())
                .map(|t| cut(t).to_owned()),
            vector: kept("response_vector"),
        };
        if let Some(other) = embedder.filter(|_| embedder != chosen.embedder) {
            foreign.embedder.get_or_insert_with(|| other.to_owned());
            foreign.count += 1;
        }
        match leg {
            Leg::Primary => exchange.primary.get_or_insert(answer),
            Leg::Shadow => exchange.shadow.get_or_insert(answer),
            Leg::Noise => exchange.noise.get_or_insert(answer),
        };
        let own = |name: &str| text(name, row).map(|text| cut(text).to_owned());
        exchange.revision = exchange.revision.or(of_row);
        exchange.request = exchange.request.take().or_else(|| own("request_text"));
        exchange.request_vector = exchange.request_vector.take().or_else(|| kept("request_vector"));
        let path = text("path", row).and_then(|path| path.split(['?', '#']).next());
        let fixed = [("tier".to_owned(), text("tier", row)), ("path".to_owned(), path)];
        let tagged = tags(batch, row).into_iter().map(|(name, value)| (format!("tag:{name}"), Some(value)));
        for (dimension, value) in fixed.into_iter().chain(tagged) {
            if let Some(value) = value.filter(|value| !value.is_empty() && value.len() <= SEGMENT_BYTES_MAX) {
                exchange.segments.entry(dimension).or_insert_with(|| value.to_owned());
            }
        }
    }
}

fn vector(batch: &RecordBatch, name: &str, row: usize) -> Option<Vec<f32>> {
    let lists = batch.column_by_name(name)?.as_list_opt::<i32>().filter(|lists| lists.is_valid(row))?;
    Some(lists.value(row).as_primitive_opt::<Float32Type>()?.values().to_vec())
}

/// The tags of a row that say what was asked.
fn tags(batch: &RecordBatch, row: usize) -> Vec<(&str, &str)> {
    let Some(map) = batch.column_by_name("tags").and_then(|column| column.as_map_opt()) else {
        return Vec::new();
    };
    let (Some(names), Some(values)) =
        (map.keys().as_string_opt::<i32>(), map.values().as_string_opt::<i32>())
    else {
        return Vec::new();
    };
    let offsets = map.value_offsets();
    let (Some(from), Some(to)) = (offsets.get(row), offsets.get(row + 1)) else { return Vec::new() };
    (*from..*to)
        .filter_map(|at| usize::try_from(at).ok())
        .filter(|at| values.is_valid(*at))
        .map(|at| (names.value(at), values.value(at)))
        .filter(|(name, _)| !OWN_TAGS.iter().any(|own| name.starts_with(own)))
        .collect()
}
