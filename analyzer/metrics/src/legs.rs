//! Legs as figures, and the cache of the files they came from.
//!
//! Of each leg stays: who it is (sample id, leg, variant), when, and one number per metric (NaN where the metric has no
//! value). Files are read one after the other, so that the texts of one file at most are in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use polars::prelude::{
    BooleanChunked, Float64Chunked, Int32Chunked, Int64Chunked, PolarsError, StringChunked,
};
use weir_policy::headers::PROBE_PATH;
use weir_sample::{Leg, Sample, Variant};
use xxhash_rust::xxh3::xxh3_64;

use crate::LoadOptions;
use crate::answer::Answer;
use crate::assembled::{Needs, Traits};
use crate::error::MetricsError;
use crate::expression::Expression;
use crate::family::session::Request;
use crate::labels::{Interner, LegLabels, RowLabels};
use crate::metric::Metric;
use crate::scan::{Frame, Refusal, Tags, check, scan, window};
use crate::scores::{self, Judgement};

const COLUMNS: [&str; 38] = [
    "sample_id",
    "leg",
    "variant",
    "ts",
    "revision",
    "policy_digest",
    "snapshot",
    "cohort",
    "tier",
    "autonomy",
    "tags",
    "identity_hash",
    "session_id",
    "proxy",
    "worker",
    "sequence",
    "path",
    "inclusion_probability",
    "candidate_share",
    "copies",
    "status",
    "complete",
    "latency_ms",
    "ttft_ms",
    "response_truncated",
    "response_text",
    "response_format",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "tool_calls",
    "tool_call_text",
    "error_type",
    "model",
    "refusal",
    "response_chars",
    "response_words",
];

/// One leg, as figures.
#[derive(Clone, Debug)]
pub(crate) struct LegFigures {
    pub(crate) sample_id: String,
    pub(crate) leg: Leg,
    pub(crate) variant: Variant,
    pub(crate) ts_us: i64,
    pub(crate) revision: Option<i64>,
    pub(crate) policy_digest: Option<Arc<str>>,
    pub(crate) snapshot: Option<Arc<str>>,
    pub(crate) cohort: Option<Arc<str>>,
    /// What the exchange is labelled with; nothing where there are no labels.
    pub(crate) labels: Option<Arc<LegLabels>>,
    /// Hash of the identity, or of the session where no identity is known.
    pub(crate) identity: Option<u64>,
    /// Whether that is the identity itself, by which the variant was chosen.
    pub(crate) identified: bool,
    /// Hash of the session, or of the identity where no session is known.
    pub(crate) session: Option<u64>,
    /// What other legs are compared with, where a metric asks for it.
    pub(crate) traits: Option<Box<Traits>>,
    /// Proxy and worker that numbered the record.
    pub(crate) emitter: Option<Arc<str>>,
    pub(crate) sequence: Option<i64>,
    /// Sent by a push to see the revision; it was numbered like any other, and is nothing to compare.
    pub(crate) probe: bool,
    pub(crate) inclusion_probability: f64,
    /// The candidate's share of the cohort's identities by policy, parts per million; primary legs, where recorded.
    pub(crate) candidate_ppm: Option<u32>,
    /// Whether a copy to the candidate was asked for; primary legs, where recorded.
    pub(crate) shadowed: Option<bool>,
    pub(crate) latency_ms: Option<f64>,
    /// The capture limits cut the response.
    pub(crate) truncated: bool,
    /// One value per metric, NaN where there is none.
    pub(crate) values: Box<[f64]>,
}

impl LegFigures {
    /// The identity by which the variant was chosen.
    pub(crate) fn assigned_identity(&self) -> Option<u64> {
        self.identity.filter(|_| self.identified)
    }

    /// What the request asked, where a metric compares it.
    pub(crate) fn request(&self) -> Option<&Request> {
        self.traits.as_ref()?.request.as_ref()
    }

    /// Whether the leg passes a revision filter. A shadow or noise leg without a revision belongs to its primary leg,
    /// which is not known here.
    pub(crate) fn may_belong_to(&self, revision: Option<i64>) -> bool {
        match (revision, self.revision) {
            (None, _) => true,
            (Some(wanted), Some(own)) => wanted == own,
            (Some(_), None) => self.leg != Leg::Primary,
        }
    }
}

/// What has been read, by file. Give the same cache to the next look and only new files are read.
///
/// A file is read again when its size or time of change differs, and everything when the
/// options differ in more than revision and shares: a rollout goes from revision to revision and need not read again.
#[derive(Debug, Default)]
pub struct Cache {
    key: Option<(LoadOptions, String)>,
    samples: BTreeMap<PathBuf, Cached<LegFigures>>,
    scores: BTreeMap<PathBuf, Cached<Judgement>>,
    /// Told how many of how many bytes of new files are read.
    progress: Option<fn(u64, u64)>,
}

#[derive(Debug)]
struct Cached<T> {
    state: FileState,
    rows: Vec<T>,
}

type FileState = (u64, Option<SystemTime>);

impl Cache {
    /// An empty cache; `progress` is called with the bytes of new files that are read, and with all of them.
    #[must_use]
    pub fn with_progress(progress: fn(u64, u64)) -> Self {
        Self { progress: Some(progress), ..Self::default() }
    }

    /// Reads what is new and forgets what is gone. Gives the files that cannot be used, each with what is wrong with it.
    ///
    /// # Errors
    /// A file that is gone, or that the system does not let us read.
    pub(crate) fn refresh(
        &mut self,
        options: &LoadOptions,
        experiment: &str,
        metrics: &[Metric],
        samples: &[PathBuf],
        scores: &[PathBuf],
    ) -> Result<Vec<(PathBuf, Refusal)>, MetricsError> {
        let key = (
            LoadOptions { revision: None, expected_shares: Vec::new(), ..options.clone() },
            experiment.to_owned(),
        );
        if self.key.as_ref() != Some(&key) {
            *self = Self { key: Some(key), progress: self.progress, ..Self::default() };
        }
        let mut refused = Vec::new();
        let told = self.progress;
        let all = if told.is_some() { bytes(samples) } else { 0 };
        let mut done = 0;
        let progress = |path: &Path| {
            if let Some(told) = told {
                done += bytes(std::slice::from_ref(&path));
                told(done, all);
            }
        };
        let read = |path: &Path| read(path, experiment, options, metrics);
        update(&mut self.samples, samples, &mut refused, read, progress)?;
        update(&mut self.scores, scores, &mut refused, |path| scores::read(path, experiment), |_| {})?;
        Ok(refused)
    }

    /// Whether any file of samples was read.
    pub(crate) fn has_samples(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Every leg with the file it is in, in the order of the files.
    pub(crate) fn legs(&self) -> impl Iterator<Item = (&Path, &LegFigures)> {
        self.samples.iter().flat_map(|(path, file)| file.rows.iter().map(move |leg| (path.as_path(), leg)))
    }

    /// Every judgement.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.scores.values().flat_map(|file| &file.rows)
    }
}

/// Bytes of files, as far as they are there.
fn bytes<P: AsRef<Path>>(paths: &[P]) -> u64 {
    paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

fn update<T>(
    known: &mut BTreeMap<PathBuf, Cached<T>>,
    paths: &[PathBuf],
    refused: &mut Vec<(PathBuf, Refusal)>,
    read: impl Fn(&Path) -> Result<Result<Vec<T>, Refusal>, MetricsError>,
    mut progress: impl FnMut(&Path),
) -> Result<(), MetricsError> {
    let wanted: BTreeSet<&PathBuf> = paths.iter().collect();
    known.retain(|path, _| wanted.contains(path));
    for path in paths {
        progress(path);
        let metadata = fs::metadata(path).map_err(|source| MetricsError::folder(path, source))?;
        let state = (metadata.len(), metadata.modified().ok());
        if known.get(path).is_some_and(|file| file.state == state) {
            continue;
        }
        let read = match read(path) {
            // Gone since it was listed: no damage.
            Err(MetricsError::Query { source, .. }) if path.exists() => Ok(Err(damage(&source))),
            Ok(Err(_)) if !path.exists() => Err(MetricsError::folder(path, ErrorKind::NotFound.into())),
            read => read,
        };
        match read? {
            Ok(rows) => {
                known.insert(path.clone(), Cached { state, rows });
            }
            Err(refusal) => {
                known.remove(path);
                refused.push((path.clone(), refusal));
            }
        }
    }
    Ok(())
}

/// What polars says of a file whose footer was good.
fn damage(source: &PolarsError) -> Refusal {
    let text = source.to_string();
    format!("is damaged: {}", text.lines().next().unwrap_or_default())
}

/// Reads one part file of samples. The inner error is a file that does not belong.
fn read(
    path: &Path,
    experiment: &str,
    options: &LoadOptions,
    metrics: &[Metric],
) -> Result<Result<Vec<LegFigures>, Refusal>, MetricsError> {
    if let Err(refusal) = check::<Sample>(path, experiment) {
        return Ok(Err(refusal));
    }
    let filter = window(options.since_us, options.until_us);
    let needs = Needs::of(metrics);
    let mut wanted = COLUMNS.to_vec();
    if needs.request() {
        wanted.push("request_text");
    }
    let own: Vec<(&str, &Expression)> = metrics.iter().filter_map(Metric::expression).collect();
    let frame = scan(path, &wanted, &own, filter)?;
    let columns = Columns::of(&frame, &own, needs)?;
    let mut words = Words::default();
    let mut interner = Interner::default();
    let mut legs = Vec::with_capacity(frame.rows());
    for row in 0..frame.rows() {
        match columns.leg(row, metrics, &mut words, &mut interner) {
            Ok(leg) => legs.push(leg),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(legs))
}

/// The columns of one file.
struct Columns<'a> {
    sample_id: Option<&'a StringChunked>,
    leg: Option<&'a StringChunked>,
    variant: Option<&'a StringChunked>,
    ts: Option<&'a Int64Chunked>,
    revision: Option<&'a Int64Chunked>,
    policy_digest: Option<&'a StringChunked>,
    snapshot: Option<&'a StringChunked>,
    cohort: Option<&'a StringChunked>,
    tier: Option<&'a StringChunked>,
    autonomy: Option<&'a StringChunked>,
    tags: Option<Tags>,
    identity_hash: Option<&'a StringChunked>,
    session_id: Option<&'a StringChunked>,
    proxy: Option<&'a StringChunked>,
    worker: Option<&'a StringChunked>,
    sequence: Option<&'a Int64Chunked>,
    path: Option<&'a StringChunked>,
    inclusion_probability: Option<&'a Float64Chunked>,
    candidate_share: Option<&'a Float64Chunked>,
    copies: Option<&'a StringChunked>,
    status: Option<&'a Int32Chunked>,
    complete: Option<&'a BooleanChunked>,
    latency_ms: Option<&'a Float64Chunked>,
    ttft_ms: Option<&'a Float64Chunked>,
    response_truncated: Option<&'a BooleanChunked>,
    response_text: Option<&'a StringChunked>,
    response_format: Option<&'a StringChunked>,
    finish_reason: Option<&'a StringChunked>,
    prompt_tokens: Option<&'a Int64Chunked>,
    completion_tokens: Option<&'a Int64Chunked>,
    cached_tokens: Option<&'a Int64Chunked>,
    tool_calls: Option<&'a Int64Chunked>,
    tool_call_text: Option<&'a StringChunked>,
    error_type: Option<&'a StringChunked>,
    model: Option<&'a StringChunked>,
    refusal: Option<&'a StringChunked>,
    response_chars: Option<&'a Int64Chunked>,
    response_words: Option<&'a Int64Chunked>,
    request_text: Option<&'a StringChunked>,
    /// The operator's expressions, by metric.
    own: Vec<(&'a str, &'a Float64Chunked)>,
    needs: Needs,
}

impl<'a> Columns<'a> {
    fn of(frame: &'a Frame, own: &[(&'a str, &Expression)], needs: Needs) -> Result<Self, MetricsError> {
        let mut values = Vec::with_capacity(own.len());
        for (name, _) in own {
            values.extend(frame.floats(name)?.map(|column| (*name, column)));
        }
        Ok(Self {
            sample_id: frame.text("sample_id")?,
            leg: frame.text("leg")?,
            variant: frame.text("variant")?,
            ts: frame.integers("ts")?,
            revision: frame.integers("revision")?,
            policy_digest: frame.text("policy_digest")?,
            snapshot: frame.text("snapshot")?,
            cohort: frame.text("cohort")?,
            tier: frame.text("tier")?,
            autonomy: frame.text("autonomy")?,
            tags: frame.tags("tags")?,
            identity_hash: frame.text("identity_hash")?,
            session_id: frame.text("session_id")?,
            proxy: frame.text("proxy")?,
            worker: frame.text("worker")?,
            sequence: frame.integers("sequence")?,
            path: frame.text("path")?,
            inclusion_probability: frame.floats("inclusion_probability")?,
            candidate_share: frame.floats("candidate_share")?,
            copies: frame.text("copies")?,
            status: frame.small_integers("status")?,
            complete: frame.flags("complete")?,
            latency_ms: frame.floats("latency_ms")?,
            ttft_ms: frame.floats("ttft_ms")?,
            response_truncated: frame.flags("response_truncated")?,
            response_text: frame.text("response_text")?,
            response_format: frame.text("response_format")?,
            finish_reason: frame.text("finish_reason")?,
            prompt_tokens: frame.integers("prompt_tokens")?,
            completion_tokens: frame.integers("completion_tokens")?,
            cached_tokens: frame.integers("cached_tokens")?,
            tool_calls: frame.integers("tool_calls")?,
            tool_call_text: frame.text("tool_call_text")?,
            error_type: frame.text("error_type")?,
            model: frame.text("model")?,
            refusal: frame.text("refusal")?,
            response_chars: frame.integers("response_chars")?,
            response_words: frame.integers("response_words")?,
            request_text: frame.text("request_text")?,
            own: values,
            needs,
        })
    }

    fn leg(
        &self,
        row: usize,
        metrics: &[Metric],
        words: &mut Words,
        interner: &mut Interner,
    ) -> Result<LegFigures, Refusal> {
        let leg_word = text(self.leg, row).unwrap_or_default();
        let leg = Leg::parse(leg_word)
            .ok_or_else(|| format!("row {row}: leg is {leg_word:?}; allowed: {}", Leg::ALL.join(", ")))?;
        let variant_word = text(self.variant, row).unwrap_or_default();
        let variant = Variant::parse(variant_word).ok_or_else(|| {
            format!("row {row}: variant is {variant_word:?}; allowed: {}", Variant::ALL.join(", "))
        })?;
        let emitter = match (text(self.proxy, row), text(self.worker, row)) {
            (None, None) => None,
            (proxy, worker) => {
                Some(words.get(&format!("{}/{}", proxy.unwrap_or_default(), worker.unwrap_or_default())))
            }
        };
        let tags = self.tags.as_ref().map(|tags| tags.at(row)).unwrap_or_default();
        let mut answer = self.answer(row);
        if self.needs.tags {
            answer.tags = tags.iter().copied().collect();
        }
        let value = |metric: &Metric| metric.value(&answer).unwrap_or(f64::NAN);
        Ok(LegFigures {
            sample_id: text(self.sample_id, row).unwrap_or_default().to_owned(),
            leg,
            variant,
            ts_us: self.ts.and_then(|column| column.get(row)).unwrap_or_default(),
            revision: self.revision.and_then(|column| column.get(row)),
            policy_digest: text(self.policy_digest, row).map(|digest| words.get(digest)),
            snapshot: text(self.snapshot, row).map(|label| words.get(label)),
            cohort: text(self.cohort, row).map(|label| words.get(label)),
            labels: interner.labels(&RowLabels {
                tier: text(self.tier, row),
                autonomy: text(self.autonomy, row),
                cohort: text(self.cohort, row),
                path: text(self.path, row),
                tags,
            }),
            identity: text(self.identity_hash, row)
                .or_else(|| text(self.session_id, row))
                .filter(|word| !word.is_empty())
                .map(|word| xxh3_64(word.as_bytes())),
            identified: text(self.identity_hash, row).is_some_and(|word| !word.is_empty()),
            session: text(self.session_id, row)
                .or_else(|| text(self.identity_hash, row))
                .filter(|word| !word.is_empty())
                .map(|word| xxh3_64(word.as_bytes())),
            traits: Traits::of(self.needs, &answer, text(self.request_text, row)),
            emitter,
            sequence: self.sequence.and_then(|column| column.get(row)),
            probe: text(self.path, row) == Some(PROBE_PATH),
            inclusion_probability: self
                .inclusion_probability
                .and_then(|column| column.get(row))
                .filter(|probability| *probability > 0.0 && *probability <= 1.0)
                .unwrap_or(1.0),
            candidate_ppm: self.candidate_share.and_then(|column| column.get(row)).and_then(ppm),
            shadowed: text(self.copies, row).map(|copies| copies.split(',').any(|copy| copy == "shadow")),
            latency_ms: answer.latency_ms,
            truncated: answer.truncated,
            values: metrics.iter().map(value).collect(),
        })
    }

    fn answer(&self, row: usize) -> Answer<'a> {
        Answer {
            status: self.status.and_then(|column| column.get(row)),
            complete: self.complete.and_then(|column| column.get(row)),
            latency_ms: self.latency_ms.and_then(|column| column.get(row)),
            ttft_ms: self.ttft_ms.and_then(|column| column.get(row)),
            prompt_tokens: self.prompt_tokens.and_then(|column| column.get(row)),
            completion_tokens: self.completion_tokens.and_then(|column| column.get(row)),
            cached_tokens: self.cached_tokens.and_then(|column| column.get(row)),
            tool_calls: self.tool_calls.and_then(|column| column.get(row)),
            tool_call_text: text(self.tool_call_text, row),
            error_type: text(self.error_type, row),
            model: text(self.model, row),
            path: text(self.path, row),
            tags: BTreeMap::new(),
            own: self.own.iter().filter_map(|(name, column)| Some((*name, column.get(row)?))).collect(),
            finish_reason: text(self.finish_reason, row),
            refusal: text(self.refusal, row),
            response_format: text(self.response_format, row),
            truncated: self.response_truncated.and_then(|column| column.get(row)) == Some(true),
            counted: None,
            text: None,
            body: None,
        }
        .with_text(text(self.response_text, row))
        .with_counts(
            self.response_chars.and_then(|column| column.get(row)),
            self.response_words.and_then(|column| column.get(row)),
        )
    }
}

/// A share as parts per million; nothing where it is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1,000,000
fn ppm(share: f64) -> Option<u32> {
    (0.0..=1.0).contains(&share).then(|| (share * 1e6).round() as u32)
}

fn text(column: Option<&StringChunked>, row: usize) -> Option<&str> {
    column.and_then(|column| column.get(row))
}

/// Labels that repeat in every row, kept once.
#[derive(Default)]
struct Words(HashMap<String, Arc<str>>);

impl Words {
    fn get(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.0.get(word) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(word);
        self.0.insert(word.to_owned(), Arc::clone(&shared));
        shared
    }
}
