//! Everything that was read, put together; and the report of it.

use std::collections::BTreeSet;
use std::thread;

use jiff::Timestamp;
use weir_gate::{CaptureHealth, Evaluation, MetricSeries};
use weir_report::{Look, Provenance, Report, TimelineEntry, Variants};
use weir_sample::Variant;

use crate::cache::Cache;
use crate::error::MetricsError;
use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::health::capture_health;
use crate::histogram::distribution;
use crate::identities::Identities;
use crate::inclusion::Least;
use crate::marks::{Choice, EXCHANGES_MAX};
use crate::metric::Metric;
use crate::scores::Scores;
use crate::series::{Extent, all_series};
use crate::{LoadOptions, Loaded};
use crate::{marks, parallel, slices};

/// Worst pairs shown for each gate.
const EXEMPLARS_PER_GATE: usize = 3;

/// Numbers of the evidence that a report carries, so that other gates can be tried on it: some 100 MB of JSON.
const EVIDENCE_NUMBERS_MAX: usize = 20_000_000;

/// What a report says that the samples do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportParts {
    /// The data folder, as it was given.
    pub data: String,
    /// Digest of the gates document.
    pub gates_digest: String,
    /// The version of Weir.
    pub weir_version: String,
    /// Steps, pushes and decisions; empty outside a rollout.
    pub timeline: Vec<TimelineEntry>,
}

impl Loaded {
    /// The report of what was read and of its evaluation.
    ///
    /// # Errors
    /// A part file that can no longer be read for its worst pairs.
    pub fn report(&self, evaluation: Evaluation, parts: ReportParts) -> Result<Report, MetricsError> {
        let exemplars = self.exemplars(&evaluation, EXEMPLARS_PER_GATE)?;
        let provenance = Provenance {
            data: parts.data,
            gates_digest: parts.gates_digest,
            samples: self.samples,
            duplicates: self.duplicates,
            first_ts: self.first_ts_us.and_then(time),
            last_ts: self.last_ts_us.and_then(time),
            weir_version: parts.weir_version,
            policy_digests: self.policy_digests.clone(),
            ..Provenance::default()
        };
        let mut report = Report::new(&self.experiment, provenance, evaluation);
        report.variants = self.variants.clone();
        report.revisions.clone_from(&self.revisions);
        report.absent.clone_from(&self.absent);
        report.distributions.clone_from(&self.distributions);
        report.exemplars = exemplars;
        report.timeline = parts.timeline;
        let settled = self.series.iter().any(|series| series.settled.is_some());
        let numbers: usize = self.series.iter().map(MetricSeries::numbers).sum();
        if !settled && numbers <= EVIDENCE_NUMBERS_MAX {
            report.evidence.clone_from(&self.series);
        } else {
            let most = match settled {
                true => {
                    format!("sums are kept of more than {} samples, and not their values", slices::LEGS_MIN)
                }
                false => format!("more than {EVIDENCE_NUMBERS_MAX} numbers are not put into a report"),
            };
            let why = format!("{most}; judge a window of it");
            report.absent.push(("evidence to try other gates on".to_owned(), why));
        }
        report.looks.clone_from(&self.looks);
        Ok(report)
    }
}

/// Puts together what the cache holds.
pub(crate) fn loaded(experiment: &str, metrics: &[Metric], options: &LoadOptions, cache: &Cache) -> Loaded {
    let looked_at = |leg: &LegRef<'_>| !leg.probe() && leg.may_belong_to(options.revision);
    let mut exchanges = Exchanges::new(cache.legs().filter(looked_at), cache.rows());
    if options.revision.is_some() {
        exchanges.drop_foreign();
    }
    let scores = Scores::new(cache.judgements());
    let unpaired = Least::of(&exchanges).kept(&exchanges);
    let identities = Identities::of(&exchanges);
    let (all, health) = thread::scope(|scope| {
        let health =
            scope.spawn(|| capture_health(&exchanges, &identities, &options.expected_shares, cache.legs()));
        let all = all_series(&exchanges, &identities, metrics, &scores, &unpaired, options, Extent::Look);
        // A panic of the other thread is one of this.
        (all, health.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let times = Times::of(&exchanges);
    let facts = exchanges.facts();
    let snapshots = |variant: Variant| {
        let of_variant = facts.iter().filter(|found| found.variant == variant);
        let labels: BTreeSet<&str> = of_variant.filter_map(|found| found.snapshot.as_deref()).collect();
        labels.into_iter().map(str::to_owned).collect()
    };
    let revisions: BTreeSet<i64> = facts.iter().filter_map(|found| found.revision).collect();
    let digests: BTreeSet<&str> = facts.iter().filter_map(|found| found.policy_digest.as_deref()).collect();
    Loaded {
        experiment: experiment.to_owned(),
        looks: all
            .looks
            .into_iter()
            .filter_map(|(at_us, prefixes)| Some(Look { at: time(at_us)?, prefixes }))
            .collect(),
        distributions: parallel::map(&all.series, distribution, |_| {}).into_iter().flatten().collect(),
        series: all.series,
        health: CaptureHealth {
            thinned: unpaired.iter().map(|stays| u64::from(!stays)).sum(),
            span_seconds: times.ends.map(|(first, last)| last.abs_diff(first) / 1_000_000),
            ..health
        },
        absent: all.absent,
        variants: Variants {
            control_snapshot: snapshots(Variant::Control),
            candidate_snapshot: snapshots(Variant::Candidate),
        },
        revisions: revisions.into_iter().collect(),
        policy_digests: digests.into_iter().map(str::to_owned).collect(),
        samples: times.legs,
        duplicates: exchanges.duplicates,
        first_ts_us: times.ends.map(|(first, _)| first),
        last_ts_us: times.ends.map(|(_, last)| last),
        seen: marks::seen(&exchanges, Choice::of(exchanges.len(), EXCHANGES_MAX)),
        pairs: all.pairs,
        shown: None,
        data_dir: options.data_dir.clone(),
    }
}

/// How many legs there are, and when the first and the last one began.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) legs: u64,
    pub(crate) ends: Option<(i64, i64)>,
}

impl Times {
    pub(crate) fn of(exchanges: &Exchanges<'_>) -> Self {
        exchanges.legs().fold(Self::default(), |times, leg| {
            let at = leg.ts_us();
            let (first, last) = times.ends.unwrap_or((at, at));
            Self { legs: times.legs + 1, ends: Some((first.min(at), last.max(at))) }
        })
    }
}

pub(crate) fn time(ts_us: i64) -> Option<String> {
    Timestamp::from_microsecond(ts_us).ok().map(|time| time.to_string())
}
