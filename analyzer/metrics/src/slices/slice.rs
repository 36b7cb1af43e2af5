//! One slice: what a look needs to know of the exchanges that began within a window.

use std::collections::BTreeSet;

use weir_gate::{Arm, Lengths, MetricSeries, Sampled, Settled};
use weir_sample::Variant;
use weir_tripwire::Seen;

use super::Frame;
use super::shown::{Shown, shown};
use super::window::Window;
use crate::assemble::Times;
use crate::exchange::Exchanges;
use crate::figures::{Figures, LegRef};
use crate::health::{Chances, Observed};
use crate::identities::Identities;
use crate::inclusion::Least;
use crate::marks;
use crate::parallel;
use crate::scores::Scores;
use crate::series::{Extent, all_series, control_has};

/// A slice.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) chances: SliceChances,
    pub(super) times: Times,
    pub(super) duplicates: u64,
    pub(super) thinned: u64,
    /// Copies without their primary leg of samples that no filter captured: the leg may be at any other time.
    pub(super) stray: u64,
    pub(super) named: Named,
    pub(super) observed: Observed,
    pub(super) seen: Seen,
    /// Each set of labels once, in order of first appearance; empty where nothing is labelled.
    pub(super) sets: Vec<Vec<(String, String)>>,
    /// Dimensions without a label, with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// Hashes of the identities of samples, by their numbers.
    pub(super) identities: Vec<u64>,
    /// By metric; nothing where no leg has a value.
    pub(super) metrics: Vec<Option<SliceMetric>>,
    /// For each metric that is of use only where control has another one whether it has.
    pub(super) control_has: Vec<bool>,
    pub(super) shown: Shown,
}

/// Inclusion probabilities: those of the slice's legs, and whether those that it was made with are still those of all slices.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SliceChances {
    pub(super) least: Least,
    pub(super) chances: Chances,
}

/// Names that a report lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) control_snapshots: BTreeSet<String>,
    pub(super) candidate_snapshots: BTreeSet<String>,
    pub(super) revisions: BTreeSet<i64>,
    pub(super) policy_digests: BTreeSet<String>,
}

/// What is left of a metric's values.
#[derive(Debug)]
pub(super) struct SliceMetric {
    pub(super) settled: Settled,
    pub(super) missing: u64,
    /// Control's second answers, of noise pairs.
    pub(super) noise: Arm,
}

impl SliceChances {
    pub(super) fn of(exchanges: &Exchanges<'_>) -> Self {
        Self { least: Least::of(exchanges), chances: Chances::of(exchanges) }
    }

    /// Those of this slice's groups out of those of all slices, with what was usual up to it.
    pub(super) fn used(&self, all: &Self, so_far: &Chances) -> Self {
        Self {
            least: all.least.of_groups(&self.least),
            chances: all.chances.with_usual(so_far).of_groups(&self.chances),
        }
    }
}

/// The exchanges of a slice.
pub(super) fn exchanges<'a>(frame: &Frame<'_>, window: Window, files: &[&'a Figures]) -> Exchanges<'a> {
    let wide = window.with_margin();
    let looked_at = |leg: &LegRef<'_>| {
        wide.holds(leg.ts_us()) && !leg.probe() && leg.may_belong_to(frame.options.revision)
    };
    let legs = files.iter().flat_map(|file| file.legs()).filter(looked_at);
    let most = files.iter().map(|file| file.rows()).sum();
    let mut exchanges = Exchanges::within(legs, most, Some((window.from_us, window.until_us)));
    if frame.options.revision.is_some() {
        exchanges.drop_foreign();
    }
    exchanges
}

impl Slice {
    /// Of its exchanges, by the chances of all slices.
    pub(super) fn of(
        frame: &Frame<'_>,
        window: Window,
        files: &[&Figures],
        exchanges: &Exchanges<'_>,
        own: SliceChances,
        used: &SliceChances,
    ) -> Self {
        let identities = Identities::of(exchanges);
        let unpaired = used.least.kept(exchanges);
        let numbered = files.iter().flat_map(|file| file.legs()).filter(|leg| window.holds(leg.ts_us()));
        let observed = Observed::of(
            exchanges,
            &identities,
            &used.chances,
            frame.settled_before_us(window),
            frame.choices.identities,
            numbered,
        );
        let scores = Scores::default();
        let all = all_series(
            exchanges,
            &identities,
            frame.metrics,
            &scores,
            &unpaired,
            frame.options,
            Extent::Stretch,
        );
        let (numbers, hashes) = sampled(frame, &identities.hashes(exchanges));
        let settle = |series: &MetricSeries| settled(series, &numbers);
        let settled = parallel::map(&all.series, settle, |_| {});
        let shown = shown(&all, &numbers);
        let sets = all.series.first().map(|series| series.labels.sets.clone()).unwrap_or_default();
        let left_out = all
            .absent
            .into_iter()
            .filter_map(|(what, why)| Some((what.strip_prefix("segments by ")?.to_owned(), why)));
        let mut settled: Vec<(String, SliceMetric)> =
            all.series.iter().map(|series| series.name.clone()).zip(settled).collect();
        let mut metric = |name: &str| {
            let place = settled.iter().position(|(known, _)| known == name)?;
            Some(settled.swap_remove(place).1)
        };
        let needed = |metric: &crate::metric::Metric| {
            let needs = metric.needs_control.as_ref();
            needs.is_some_and(|needs| control_has(exchanges, frame.metrics, needs.metric))
        };
        Self {
            chances: own,
            times: Times::of(exchanges),
            duplicates: exchanges.duplicates,
            thinned: unpaired.iter().map(|stays| u64::from(!stays)).sum(),
            stray: stray(exchanges),
            named: Named::of(exchanges),
            observed,
            seen: marks::seen(exchanges, frame.choices.marks),
            sets,
            left_out: left_out.collect(),
            identities: hashes,
            metrics: frame.metrics.iter().map(|own| metric(&own.name)).collect(),
            control_has: frame.metrics.iter().map(needed).collect(),
            shown,
        }
    }
}

impl Named {
    fn of(exchanges: &Exchanges<'_>) -> Self {
        let mut named = Self::default();
        for facts in exchanges.facts() {
            let snapshots = match facts.variant {
                Variant::Control => &mut named.control_snapshots,
                Variant::Candidate => &mut named.candidate_snapshots,
            };
            snapshots.extend(facts.snapshot.as_deref().map(str::to_owned));
            named.revisions.extend(facts.revision);
            named.policy_digests.extend(facts.policy_digest.as_deref().map(str::to_owned));
        }
        named
    }

    pub(super) fn append(&mut self, later: &Self) {
        self.control_snapshots.extend(later.control_snapshots.iter().cloned());
        self.candidate_snapshots.extend(later.candidate_snapshots.iter().cloned());
        self.revisions.extend(&later.revisions);
        self.policy_digests.extend(later.policy_digests.iter().cloned());
    }
}

/// For each identity its number among those of the sample, and the hashes of these.
fn sampled(frame: &Frame<'_>, hashes: &[u64]) -> (Vec<Option<u32>>, Vec<u64>) {
    let mut chosen = Vec::new();
    let number = |hash: &u64| {
        frame.choices.sample.takes(*hash).then(|| {
            chosen.push(*hash);
            u32::try_from(chosen.len() - 1).unwrap_or(u32::MAX)
        })
    };
    (hashes.iter().map(number).collect(), chosen)
}

fn settled(series: &MetricSeries, numbers: &[Option<u32>]) -> SliceMetric {
    let chosen = |clusters: &[u32]| -> Vec<bool> {
        clusters.iter().map(|cluster| numbers.get(*cluster as usize).copied().flatten().is_some()).collect()
    };
    let strata = series.strata.iter();
    let sampled = Sampled {
        pairs: chosen(&series.pair_clusters),
        strata: strata.map(|own| (chosen(&own.control_clusters), chosen(&own.candidate_clusters))).collect(),
    };
    let lengths = Lengths {
        pairs: series.pairs.len(),
        strata: series.strata.iter().map(|own| (own.control.len(), own.candidate.len())).collect(),
    };
    let mut settled = Settled::of(series, &[lengths], &sampled);
    let numbers: Vec<u32> = numbers.iter().map(|number| number.unwrap_or(u32::MAX)).collect();
    settled.renumber(&numbers);
    let noise = Arm::of(series.noise_pairs.candidate());
    SliceMetric { settled, missing: series.missing, noise }
}

/// Copies alone that no filter captured.
fn stray(exchanges: &Exchanges<'_>) -> u64 {
    let alone = exchanges.iter().filter(|exchange| exchange.primary.is_none());
    let imported = alone.filter(|exchange| exchange.legs().any(|leg| leg.emitter().is_none()));
    u64::try_from(imported.count()).unwrap_or(u64::MAX)
}
