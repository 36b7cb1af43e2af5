//! Legs as figures: a part file of samples is read, each leg measured, and its texts dropped.
//!
//! Of each leg stays: who it is (sample id, leg, variant), when, and one number per metric (NaN where the metric has no
//! value).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{BooleanChunked, Float64Chunked, Int32Chunked, Int64Chunked, StringChunked};
use weir_policy::headers::PROBE_PATH;
use weir_sample::{Leg, Sample, Variant};
use xxhash_rust::xxh3::xxh3_64;

use crate::LoadOptions;
use crate::answer::Answer;
use crate::assembled::{Needs, Traits};
use crate::cache::Outcome;
use crate::error::MetricsError;
use crate::expression::Expression;
use crate::family::session::asked;
use crate::figures::{Facts, Figures, LegFigures};
use crate::labels::{Interner, RowLabels};
use crate::marks::Marks;
use crate::metric::Metric;
use crate::scan::{self, Frame, Refusal, Tags, scan, window};

/// Labels that are looked for first.
const RECENT: usize = 8;

pub(crate) const COLUMNS: [&str; 38] = [
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

/// Whether a file is one of this experiment's samples.
pub(crate) fn check(path: &Path, experiment: &str) -> Result<(), Refusal> {
    scan::check::<Sample>(path, experiment)
}

/// Reads one part file of samples, which was checked before. The inner error is a file that does not belong.
pub(crate) fn read(path: &Path, options: &LoadOptions, metrics: &[Metric]) -> Outcome<Figures> {
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
    let requests = columns.request_text.map(|column| move |row: usize| column.get(row));
    let id = |row: usize| text(columns.sample_id, row).unwrap_or_default();
    let marks = Marks::of(path, frame.rows(), id, |row| columns.answer(row).body, requests);
    Ok(marks.map(|marks| Figures::of(path, metrics.len(), legs).marked(marks)))
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
            (proxy, worker) => Some(words.pair(proxy.unwrap_or_default(), worker.unwrap_or_default())),
        };
        let tags = self.tags.as_ref().map(|tags| tags.at(row)).unwrap_or_default();
        let mut answer = self.answer(row);
        if self.needs.tags {
            answer.tags = tags.iter().copied().collect();
        }
        let value = |metric: &Metric| metric.value(&answer).unwrap_or(f64::NAN);
        Ok(LegFigures {
            sample_id: text(self.sample_id, row).unwrap_or_default().to_owned(),
            facts: Facts {
                leg,
                variant,
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
                emitter,
                identified: text(self.identity_hash, row).is_some_and(|word| !word.is_empty()),
                probe: text(self.path, row) == Some(PROBE_PATH),
                candidate_ppm: self.candidate_share.and_then(|column| column.get(row)).and_then(ppm),
                shadowed: text(self.copies, row).map(|copies| copies.split(',').any(|copy| copy == "shadow")),
                truncated: answer.truncated,
            },
            ts_us: self.ts.and_then(|column| column.get(row)).unwrap_or_default(),
            identity: text(self.identity_hash, row)
                .or_else(|| text(self.session_id, row))
                .filter(|word| !word.is_empty())
                .map(|word| xxh3_64(word.as_bytes())),
            session: text(self.session_id, row)
                .or_else(|| text(self.identity_hash, row))
                .filter(|word| !word.is_empty())
                .map(|word| xxh3_64(word.as_bytes())),
            asked: text(self.request_text, row).filter(|_| self.needs.asked).map(asked),
            traits: Traits::of(self.needs, &answer, text(self.request_text, row)),
            sequence: self.sequence.and_then(|column| column.get(row)),
            inclusion_probability: self
                .inclusion_probability
                .and_then(|column| column.get(row))
                .filter(|probability| *probability > 0.0 && *probability <= 1.0)
                .unwrap_or(1.0),
            latency_ms: answer.latency_ms,
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
struct Words {
    known: HashMap<String, Arc<str>>,
    /// The last ones, which most rows have again: found without a hash.
    recent: VecDeque<Arc<str>>,
    /// The last pairs, put together.
    pairs: VecDeque<(Arc<str>, Arc<str>, Arc<str>)>,
}

impl Words {
    fn get(&mut self, word: &str) -> Arc<str> {
        if let Some(recent) = self.recent.iter().find(|recent| ***recent == *word) {
            return Arc::clone(recent);
        }
        let shared = self.known.get(word).map_or_else(|| Arc::from(word), Arc::clone);
        self.known.entry(word.to_owned()).or_insert_with(|| Arc::clone(&shared));
        push(&mut self.recent, Arc::clone(&shared));
        shared
    }

    /// `one/other`.
    fn pair(&mut self, one: &str, other: &str) -> Arc<str> {
        let same = |pair: &&(Arc<str>, Arc<str>, Arc<str>)| *pair.0 == *one && *pair.1 == *other;
        if let Some((_, _, both)) = self.pairs.iter().find(same) {
            return Arc::clone(both);
        }
        let both = self.get(&format!("{one}/{other}"));
        let parts = (self.get(one), self.get(other), Arc::clone(&both));
        push(&mut self.pairs, parts);
        both
    }
}

fn push<T>(recent: &mut VecDeque<T>, new: T) {
    if recent.len() >= RECENT {
        recent.pop_back();
    }
    recent.push_front(new);
}
