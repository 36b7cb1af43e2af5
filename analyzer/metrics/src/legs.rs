//! Legs as figures: a part file of samples is read, each leg measured, and its texts dropped.
//!
//! Of each leg stays: who it is (sample id, leg, variant), when, and one number per metric (NaN where the metric has no
//! value).

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use polars::prelude::{BooleanType, Float64Type, Int32Type, Int64Type, StringType};
use weir_sample::{Leg, Sample, Variant};
use xxhash_rust::xxh3::xxh3_64;

use crate::LoadOptions;
use crate::answer::Answer;
use crate::assembled::{Needs, Traits};
use crate::cache::Outcome;
use crate::error::MetricsError;
use crate::expression::Expression;
use crate::family::session::asked;
use crate::figures::{Facts, Figures, Gathering, LegFigures};
use crate::kinds::{Kinds, Row, merge};
use crate::marks::Marks;
use crate::metric::Metric;
use crate::scan::{self, Cells, Frame, Refusal, Tags, Word, scan, window};

/// Rows from which the halves of a file are measured side by side.
const HALVED_MIN: usize = 8_192;

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
    let (gathering, facts) = match columns.measured(metrics) {
        Ok(measured) => measured,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let requests = columns.request_text.map(|column| move |row: usize| column.get(row));
    let id = |row: usize| text(columns.sample_id, row).unwrap_or_default();
    let marks = Marks::of(path, frame.rows(), id, |row| columns.answer(row).body, requests);
    Ok(marks.map(|marks| gathering.figures(path, facts, marks)))
}

/// The columns of one file.
struct Columns<'a> {
    rows: usize,
    sample_id: Option<Cells<'a, StringType>>,
    leg: Option<Cells<'a, StringType>>,
    variant: Option<Cells<'a, StringType>>,
    ts: Option<Cells<'a, Int64Type>>,
    revision: Option<Cells<'a, Int64Type>>,
    policy_digest: Option<Cells<'a, StringType>>,
    snapshot: Option<Cells<'a, StringType>>,
    cohort: Option<Cells<'a, StringType>>,
    tier: Option<Cells<'a, StringType>>,
    autonomy: Option<Cells<'a, StringType>>,
    tags: Option<Tags>,
    identity_hash: Option<Cells<'a, StringType>>,
    session_id: Option<Cells<'a, StringType>>,
    proxy: Option<Cells<'a, StringType>>,
    worker: Option<Cells<'a, StringType>>,
    sequence: Option<Cells<'a, Int64Type>>,
    path: Option<Cells<'a, StringType>>,
    inclusion_probability: Option<Cells<'a, Float64Type>>,
    candidate_share: Option<Cells<'a, Float64Type>>,
    copies: Option<Cells<'a, StringType>>,
    status: Option<Cells<'a, Int32Type>>,
    complete: Option<Cells<'a, BooleanType>>,
    latency_ms: Option<Cells<'a, Float64Type>>,
    ttft_ms: Option<Cells<'a, Float64Type>>,
    response_truncated: Option<Cells<'a, BooleanType>>,
    response_text: Option<Cells<'a, StringType>>,
    response_format: Option<Cells<'a, StringType>>,
    finish_reason: Option<Cells<'a, StringType>>,
    prompt_tokens: Option<Cells<'a, Int64Type>>,
    completion_tokens: Option<Cells<'a, Int64Type>>,
    cached_tokens: Option<Cells<'a, Int64Type>>,
    tool_calls: Option<Cells<'a, Int64Type>>,
    tool_call_text: Option<Cells<'a, StringType>>,
    error_type: Option<Cells<'a, StringType>>,
    model: Option<Cells<'a, StringType>>,
    refusal: Option<Cells<'a, StringType>>,
    response_chars: Option<Cells<'a, Int64Type>>,
    response_words: Option<Cells<'a, Int64Type>>,
    request_text: Option<Cells<'a, StringType>>,
    /// The operator's expressions, by metric.
    own: Vec<(&'a str, Cells<'a, Float64Type>)>,
    needs: Needs,
}

impl<'a> Columns<'a> {
    fn of(frame: &'a Frame, own: &[(&'a str, &Expression)], needs: Needs) -> Result<Self, MetricsError> {
        let mut values = Vec::with_capacity(own.len());
        for (name, _) in own {
            values.extend(frame.floats(name)?.map(|column| (*name, column)));
        }
        Ok(Self {
            rows: frame.rows(),
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

    /// Every leg with its figures, and what they have alike. The halves of a large file are measured side by side, so that one that
    /// is left over at the end keeps two processors busy.
    fn measured(&self, metrics: &[Metric]) -> Result<(Gathering, Vec<Facts>), Refusal> {
        let rows = self.rows;
        if rows < HALVED_MIN {
            return self.measured_in(0..rows, metrics);
        }
        let (first, second) = thread::scope(|scope| {
            let second = scope.spawn(|| self.measured_in(rows / 2..rows, metrics));
            let first = self.measured_in(0..rows / 2, metrics);
            // A panic of the other thread is one of this.
            (first, second.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let ((mut legs, mut facts), (later, of_later)) = (first?, second?);
        legs.append(later, &merge(&mut facts, of_later));
        Ok((legs, facts))
    }

    fn measured_in(
        &self,
        rows: Range<usize>,
        metrics: &[Metric],
    ) -> Result<(Gathering, Vec<Facts>), Refusal> {
        let mut kinds = Kinds::default();
        let mut gathering = Gathering::new(metrics.len(), rows.len());
        for row in rows {
            let tags = self.tags.as_ref().map(|tags| tags.at(row)).unwrap_or_default();
            let mut answer = self.answer(row);
            if self.needs.tags {
                answer.tags = tags.iter().copied().collect();
            }
            let leg = self.leg(row, &tags, &answer, &mut kinds)?;
            gathering.push(leg, metrics.iter().map(|metric| metric.value(&answer)));
        }
        Ok((gathering, kinds.into_facts()))
    }

    fn leg(
        &self,
        row: usize,
        tags: &[(&str, &str)],
        answer: &Answer<'_>,
        kinds: &mut Kinds,
    ) -> Result<LegFigures<'a>, Refusal> {
        let leg_word = text(self.leg, row).unwrap_or_default();
        let leg = Leg::parse(leg_word)
            .ok_or_else(|| format!("row {row}: leg is {leg_word:?}; allowed: {}", Leg::ALL.join(", ")))?;
        let variant_word = text(self.variant, row).unwrap_or_default();
        let variant = Variant::parse(variant_word).ok_or_else(|| {
            format!("row {row}: variant is {variant_word:?}; allowed: {}", Variant::ALL.join(", "))
        })?;
        let (identity, session) = (text(self.identity_hash, row), text(self.session_id, row));
        let kind = kinds.place(&Row {
            leg,
            variant,
            revision: self.revision.and_then(|column| column.get(row)),
            policy_digest: word(self.policy_digest, row),
            snapshot: word(self.snapshot, row),
            cohort: word(self.cohort, row),
            tier: word(self.tier, row),
            autonomy: word(self.autonomy, row),
            path: word(self.path, row),
            tags,
            proxy: word(self.proxy, row),
            worker: word(self.worker, row),
            identified: identity.is_some_and(|word| !word.is_empty()),
            candidate_ppm: self.candidate_share.and_then(|column| column.get(row)).and_then(ppm),
            copies: word(self.copies, row),
            truncated: answer.truncated,
        });
        let hash =
            |word: Option<&str>| word.filter(|word| !word.is_empty()).map(|word| xxh3_64(word.as_bytes()));
        let request = text(self.request_text, row);
        Ok(LegFigures {
            sample_id: text(self.sample_id, row).unwrap_or_default(),
            kind,
            ts_us: self.ts.and_then(|column| column.get(row)).unwrap_or_default(),
            identity: hash(identity.or(session)),
            session: hash(session.or(identity)),
            asked: request.filter(|_| self.needs.asked).map(asked),
            traits: Traits::of(self.needs, answer, request),
            sequence: self.sequence.and_then(|column| column.get(row)),
            inclusion_probability: self
                .inclusion_probability
                .and_then(|column| column.get(row))
                .filter(|probability| *probability > 0.0 && *probability <= 1.0)
                .unwrap_or(1.0),
            latency_ms: answer.latency_ms,
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

fn word<'a>(column: Option<Cells<'a, StringType>>, row: usize) -> Option<Word<'a>> {
    column.and_then(|column| column.word(row))
}

fn text<'a>(column: Option<Cells<'a, StringType>>, row: usize) -> Option<&'a str> {
    column.and_then(|column| column.get(row))
}
