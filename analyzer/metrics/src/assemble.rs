//! Everything that was read, put together; and the report of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use weir_gate::{CaptureHealth, Evaluation};
use weir_report::{Look, Provenance, Report, TimelineEntry, Variants};
use weir_sample::Variant;

use crate::error::MetricsError;
use crate::health::capture_health;
use crate::histogram::distribution;
use crate::legs::{Cache, LegFigures};
use crate::metric::Metric;
use crate::scores::Scores;
use crate::series::{Exchanges, all_series};
use crate::{LoadOptions, Loaded};

/// Worst pairs shown for each gate.
const EXEMPLARS_PER_GATE: usize = 3;

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
        report.evidence.clone_from(&self.series);
        report.looks.clone_from(&self.looks);
        Ok(report)
    }
}

/// Puts together what the cache holds.
pub(crate) fn loaded(experiment: &str, metrics: &[Metric], options: &LoadOptions, cache: &Cache) -> Loaded {
    let looked_at = |leg: &LegFigures| !leg.probe && leg.may_belong_to(options.revision);
    let mut exchanges = Exchanges::new(cache.legs().filter(|(_, leg)| looked_at(leg)));
    if options.revision.is_some() {
        exchanges.drop_foreign();
    }
    let numbered: Vec<&LegFigures> = cache.legs().map(|(_, leg)| leg).collect();
    let scores = Scores::new(cache.judgements());
    let all = all_series(&exchanges, metrics, &scores, options);
    let times = || exchanges.legs().map(|found| found.leg.ts_us);
    let snapshots = |variant: Variant| {
        let labels: BTreeSet<&str> = exchanges
            .legs()
            .filter(|found| found.leg.variant == variant)
            .filter_map(|found| found.leg.snapshot.as_deref())
            .collect();
        labels.into_iter().map(str::to_owned).collect()
    };
    let revisions: BTreeSet<i64> = exchanges.legs().filter_map(|found| found.leg.revision).collect();
    let digests: BTreeSet<&str> =
        exchanges.legs().filter_map(|found| found.leg.policy_digest.as_deref()).collect();
    Loaded {
        experiment: experiment.to_owned(),
        looks: all
            .looks
            .into_iter()
            .filter_map(|(at_us, prefixes)| Some(Look { at: time(at_us)?, prefixes }))
            .collect(),
        distributions: all.series.iter().filter_map(distribution).collect(),
        series: all.series,
        health: CaptureHealth {
            span_seconds: times()
                .max()
                .zip(times().min())
                .map(|(last, first)| last.abs_diff(first) / 1_000_000),
            ..capture_health(&exchanges, &options.expected_shares, &numbered)
        },
        absent: all.absent,
        variants: Variants {
            control_snapshot: snapshots(Variant::Control),
            candidate_snapshot: snapshots(Variant::Candidate),
        },
        revisions: revisions.into_iter().collect(),
        policy_digests: digests.into_iter().map(str::to_owned).collect(),
        samples: u64::try_from(exchanges.legs().count()).unwrap_or(u64::MAX),
        duplicates: exchanges.duplicates,
        first_ts_us: times().min(),
        last_ts_us: times().max(),
        pairs: all.pairs,
    }
}

fn time(ts_us: i64) -> Option<String> {
    Timestamp::from_microsecond(ts_us).ok().map(|time| time.to_string())
}
