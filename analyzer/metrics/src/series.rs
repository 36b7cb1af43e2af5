//! Legs to series: exchanges put together by sample id, pairs and strata per metric in order of time.
//!
//! - A pair is the primary leg that the control served and the candidate's shadow leg of the same exchange; a noise
//!   pair has the control's second answer instead.
//! - Unpaired values are primary legs that had the same chance to be captured as the others of their revision, cohort and
//!   variant ([`crate::inclusion`]), by cohort; where the data spans several policy revisions also by revision,
//!   since the share of the candidate differs between them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use weir_gate::{Better, MetricSeries, Places, SCORE_PREFIX, Stratum};
use weir_report::Prefix;
use weir_sample::{Leg, Variant};

use crate::LoadOptions;
use crate::assembled;
use crate::exchange::{Exchange, Exchanges};
use crate::figures::LegRef;
use crate::identities::Identities;
use crate::labels::ExchangeLabels;
use crate::metric::{DISTANCE, Metric, ValueOf};
use crate::pairs::PairIndex;
use crate::parallel;
use crate::pattern::{Gathering, Has, Pattern};
use crate::people::People;
use crate::scores::Scores;

const NO_COHORT: &str = "none";

/// What became of the metrics: series, and the ones without a series with the reason.
pub(crate) struct AllSeries {
    pub(crate) series: Vec<MetricSeries>,
    pub(crate) absent: Vec<(String, String)>,
    pub(crate) pairs: PairIndex,
    /// Earlier times in microseconds since 1970 UTC, each with the lengths that the series had then.
    pub(crate) looks: Vec<(i64, Vec<Prefix>)>,
}

/// Earlier times at which the lengths of the series are noted: fewer where there are many exchanges, since the gates are
/// judged again at each.
fn looks(exchanges: usize) -> usize {
    match exchanges {
        0..=20_000 => 24,
        20_001..=200_000 => 12,
        _ => 6,
    }
}

/// What series are put together of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that a look sees.
    Look,
    /// A stretch of time, whose series are put together with those of others: what only all of them can say is left open.
    Stretch,
}

/// The series of every metric and of every score criterion.
pub(crate) fn all_series(
    exchanges: &Exchanges<'_>,
    identities: &Identities,
    metrics: &[Metric],
    scores: &Scores,
    unpaired: &[bool],
    options: &LoadOptions,
    extent: Extent,
) -> AllSeries {
    let mut builder = Builder::new(exchanges, identities, scores, unpaired, options.one_sided, extent);
    let places: Vec<usize> = (0..metrics.len()).collect();
    let build = |place: &usize| {
        let metric = metrics.get(*place)?;
        if let Some(needs) = &metric.needs_control
            && extent == Extent::Look
            && !control_has(exchanges, metrics, needs.metric)
        {
            return Some(Built::absent(empty_series(metric), needs.otherwise));
        }
        let assembled = match metric.value {
            ValueOf::Assembled(what) => Some(assembled::values(exchanges, what, metrics)),
            _ => None,
        };
        let value = |exchange: usize, found: LegRef<'_>| match &assembled {
            Some(values) => values.at(exchange, found.leg()),
            None => found.value(*place),
        };
        Some(builder.built(empty_series(metric), value))
    };
    for built in parallel::map(&places, build, |_| {}).into_iter().flatten() {
        builder.keep(built);
    }
    for criterion in scores.criteria() {
        if criterion.starts_with(DISTANCE) {
            let value = |found: LegRef<'_>| distance(scores, found, criterion);
            builder.keep(builder.built(distance_series(criterion), |_, found| value(found)));
            continue;
        }
        let value = |found: LegRef<'_>| scores.of(found.sample_id(), found.leg(), criterion);
        let series = score_series(exchanges, criterion, value);
        let people = People::of(&options.people, criterion);
        builder.keep(builder.labelled(series, |_, found| value(found), people));
    }
    let unscored = unscored(options, |id| builder.has(id));
    builder.absent.extend(unscored);
    let left_out = std::mem::take(&mut builder.labels.left_out);
    let segments = left_out.into_iter().map(|(dimension, why)| (format!("segments by {dimension}"), why));
    builder.absent.extend(segments);
    AllSeries {
        series: builder.series,
        absent: builder.absent,
        pairs: builder.pairs,
        looks: builder.times.into_iter().zip(builder.prefixes).collect(),
    }
}

/// Scores and distances that are asked for and not there, with the reason.
pub(crate) fn unscored(options: &LoadOptions, has: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let why = |id: &str| {
        let distance = "no answer has one yet: `weir embed` measures it, against noise copies";
        let score = "no score of this criterion has arrived";
        let of_score = id.starts_with(SCORE_PREFIX) && !id.ends_with('*');
        id.starts_with(DISTANCE).then_some(distance).or(of_score.then_some(score))
    };
    let absent = |id: &String| Some((id.clone(), why(id).filter(|_| !has(id))?.to_owned()));
    options.metrics.iter().filter_map(absent).collect()
}

/// A cohort, and a revision where there are several.
type StratumKey = (String, Option<i64>);

/// Times at equal distances from the first exchange to the last one.
fn times(exchanges: &Exchanges<'_>) -> Vec<i64> {
    let mut all = exchanges.iter().map(|exchange| exchange.ts_us).filter(|time| *time != i64::MAX);
    let Some(first) = all.next() else { return Vec::new() };
    let span = all.next_back().map_or(0, |last| last - first);
    let looks = looks(exchanges.len());
    let step = span / i64::try_from(looks).unwrap_or(i64::MAX);
    if step == 0 {
        return Vec::new();
    }
    // The last one at the last exchange, so that it is about all of them.
    let between = (1..looks).filter_map(|look| Some(first + step * i64::try_from(look).ok()?));
    between.chain([first + span]).collect()
}

/// One series, put together.
struct Built {
    series: MetricSeries,
    /// Why there is none.
    absent: Option<String>,
    /// For each of its pairs the place among all pairs.
    places: Places,
    /// Its lengths at each earlier time.
    prefixes: Vec<Prefix>,
}

impl Built {
    fn absent(series: MetricSeries, why: &str) -> Self {
        Self { series, absent: Some(why.to_owned()), places: Places::default(), prefixes: Vec::new() }
    }
}

struct Builder<'a, 'b> {
    exchanges: &'b Exchanges<'a>,
    /// For each exchange its place among the pairs.
    pair_places: Vec<Option<u32>>,
    series: Vec<MetricSeries>,
    absent: Vec<(String, String)>,
    pairs: PairIndex,
    /// For each exchange the number of its identity; one of its own where none is known. Empty where none repeats.
    clusters: &'b [u32],
    /// Cohorts that only control served are kept.
    one_sided: bool,
    extent: Extent,
    /// What the exchanges are labelled with.
    labels: ExchangeLabels,
    /// For each exchange whose primary leg counts among the unpaired values, who served it.
    arms: Vec<Option<Variant>>,
    /// The strata that primary legs are in, in order.
    strata: Vec<StratumKey>,
    /// For each exchange the place of its stratum.
    stratum_places: Vec<u32>,
    /// How many primary legs of control and of the candidate each stratum has.
    stratum_sizes: Vec<(usize, usize)>,
    /// When it is noted how long the series are.
    times: Vec<i64>,
    /// For each of these times the lengths of each series.
    prefixes: Vec<Vec<Prefix>>,
    /// What the series so far have values for.
    patterns: Mutex<Vec<Arc<Pattern>>>,
}

impl<'a, 'b> Builder<'a, 'b> {
    fn new(
        exchanges: &'b Exchanges<'a>,
        identities: &'b Identities,
        scores: &Scores,
        unpaired: &'b [bool],
        one_sided: bool,
        extent: Extent,
    ) -> Self {
        let revisions: BTreeSet<i64> = exchanges.facts().iter().filter_map(|found| found.revision).collect();
        let mut pairs = PairIndex::default();
        let mut pair_places = Vec::with_capacity(exchanges.len());
        for exchange in exchanges.iter() {
            let pair = exchange.pair();
            pair_places.push(pair.map(|_| u32::try_from(pairs.origins.len()).unwrap_or(u32::MAX)));
            let Some((control, candidate)) = pair else { continue };
            let of_leg = |leg| scores.all_of(control.sample_id(), leg).cloned().unwrap_or_default();
            let (of_control, of_candidate) = (of_leg(Leg::Primary), of_leg(Leg::Shadow));
            if !of_control.is_empty() || !of_candidate.is_empty() {
                pairs.scores.insert(pairs.origins.len(), (of_control, of_candidate));
            }
            pairs.origins.push(control, candidate);
        }
        let times = if extent == Extent::Look { times(exchanges) } else { Vec::new() };
        let several_revisions = extent == Extent::Stretch || revisions.len() > 1;
        let (strata, stratum_places) = strata(exchanges, several_revisions);
        let mut stratum_sizes = vec![(0, 0); strata.len()];
        let mut arms = Vec::with_capacity(exchanges.len());
        for ((exchange, place), unpaired) in exchanges.iter().zip(&stratum_places).zip(unpaired) {
            let arm = exchange.primary.filter(|_| *unpaired).map(LegRef::variant);
            if let (Some(arm), Some((control, candidate))) = (arm, stratum_sizes.get_mut(*place as usize)) {
                match arm {
                    Variant::Control => *control += 1,
                    Variant::Candidate => *candidate += 1,
                }
            }
            arms.push(arm);
        }
        Self {
            strata,
            stratum_places,
            stratum_sizes,
            exchanges,
            prefixes: vec![Vec::new(); times.len()],
            patterns: Mutex::default(),
            times,
            arms,
            clusters: match identities.repeat() || one_sided || extent == Extent::Stretch {
                true => identities.numbers(),
                false => &[],
            },
            one_sided,
            extent,
            labels: ExchangeLabels::new(exchanges),
            pair_places,
            series: Vec::new(),
            absent: Vec::new(),
            pairs,
        }
    }

    fn keep(&mut self, built: Built) {
        if let Some(why) = built.absent {
            self.absent.push((built.series.name, why));
            return;
        }
        for (prefixes, prefix) in self.prefixes.iter_mut().zip(built.prefixes) {
            prefixes.push(prefix);
        }
        self.pairs.of_metric.insert(built.series.name.clone(), built.places);
        self.series.push(built.series);
    }

    fn built(&self, series: MetricSeries, value: impl Fn(usize, LegRef<'a>) -> Option<f64>) -> Built {
        self.labelled(series, value, People::default())
    }

    /// A series with what people say of its values.
    fn labelled(
        &self,
        mut series: MetricSeries,
        value: impl Fn(usize, LegRef<'a>) -> Option<f64>,
        mut people: People<'_>,
    ) -> Built {
        let silent = people.are_silent();
        let pairs = self.pairs.origins.len();
        let mut strata: Vec<Stratum> = vec![Stratum::default(); self.stratum_sizes.len()];
        let mut values = 0_u64;
        let mut has = Vec::with_capacity(self.exchanges.len());
        for (index, (exchange, place)) in self.exchanges.iter().zip(&self.pair_places).enumerate() {
            let value = |found: Option<LegRef<'a>>| value(index, found?);
            let (of_primary, of_shadow, of_noise) =
                (value(exchange.primary), value(exchange.shadow), value(exchange.noise));
            let known = [of_primary, of_shadow, of_noise].iter().flatten().count() as u64;
            values += known;
            series.missing += exchange.legs().count() as u64 - known;
            let mut of_exchange = Has::default();
            if let (Some(_), Some(control), Some(candidate)) = (place, of_primary, of_shadow) {
                if !silent {
                    let id = exchange.primary.map_or("", LegRef::sample_id);
                    people.paired(id, Leg::Primary, series.pairs.len());
                    people.paired(id, Leg::Shadow, series.pairs.len());
                }
                series.pairs.push_within((control, candidate), pairs);
                of_exchange.pair();
            }
            if let (Some(control), Some(noise)) = (of_primary, of_noise)
                && exchange.noise_pair().is_some()
            {
                series.noise_pairs.push((control, noise));
                of_exchange.noise_pair();
            }
            let place = self.stratum_places.get(index).map_or(0, |place| *place as usize);
            if let (Some(Some(arm)), Some(primary), Some(number), Some(stratum), Some(sizes)) = (
                self.arms.get(index),
                exchange.primary,
                of_primary,
                strata.get_mut(place),
                self.stratum_sizes.get(place),
            ) {
                let (of_candidate, values, most) = match arm {
                    Variant::Control => (false, &mut stratum.control, sizes.0),
                    Variant::Candidate => (true, &mut stratum.candidate, sizes.1),
                };
                if !silent {
                    people.unpaired(primary.sample_id(), of_candidate, place, values.len());
                }
                values.push_within(number, most);
                of_exchange.primary();
            }
            has.push(of_exchange);
        }
        if values == 0 {
            return Built::absent(series, "no sample has a value for it");
        }
        let pattern = self.pattern(has);
        let compared = |stratum: &Stratum| {
            let (of_control, of_candidate) = (!stratum.control.is_empty(), !stratum.candidate.is_empty());
            match self.extent {
                Extent::Look => of_control && (self.one_sided || of_candidate),
                Extent::Stretch => of_control || of_candidate,
            }
        };
        let kept: Vec<usize> =
            strata.iter().enumerate().filter(|(_, stratum)| compared(stratum)).map(|(at, _)| at).collect();
        series.pairs.shrink_to_fit();
        series.people = people.labels(&kept);
        series.labels.sets.clone_from(&self.labels.sets);
        series.pair_clusters = pattern.pairs.clusters.clone();
        series.labels.pairs = pattern.pairs.labels.clone();
        for (((cohort, revision), mut stratum), own) in self.strata.iter().zip(strata).zip(&pattern.strata) {
            if !compared(&stratum) {
                continue; // nothing to compare with
            }
            stratum.control.shrink_to_fit();
            stratum.candidate.shrink_to_fit();
            stratum.control_clusters = own.control.clusters.clone();
            stratum.candidate_clusters = own.candidate.clusters.clone();
            if !series.labels.is_empty() {
                series.labels.strata.push((own.control.labels.clone(), own.candidate.labels.clone()));
            }
            stratum.name = match revision {
                Some(revision) => format!("{cohort}, revision {revision}"),
                None => cohort.clone(),
            };
            series.strata.push(stratum);
        }
        let prefixes = pattern.lengths.iter().map(|lengths| lengths.prefix(&kept)).collect();
        Built { series, absent: None, places: pattern.places.clone(), prefixes }
    }

    /// What goes with values for these exchanges, in memory once for all series that have the same.
    fn pattern(&self, has: Vec<Has>) -> Arc<Pattern> {
        let known = || self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |patterns: &Vec<Arc<Pattern>>| patterns.iter().find(|pattern| pattern.has == has).cloned();
        let found = same(&known());
        if let Some(found) = found {
            return found;
        }
        let mut gathering = Gathering::new(&self.stratum_sizes, self.pairs.origins.len());
        for (index, (exchange, of_exchange)) in self.exchanges.iter().zip(&has).enumerate() {
            while self.times.get(gathering.lengths.len()).is_some_and(|time| exchange.ts_us > *time) {
                gathering.note_lengths();
            }
            gathering.add(
                *of_exchange,
                self.pair_places.get(index).copied().flatten(),
                self.arms.get(index).copied().flatten(),
                self.stratum_places.get(index).map_or(0, |place| *place as usize),
                (self.clusters.get(index).copied(), self.labels.places.get(index).copied()),
            );
        }
        while gathering.lengths.len() < self.times.len() {
            gathering.note_lengths();
        }
        // Another thread may have put the same together meanwhile.
        let mut known = known();
        let found = same(&known);
        found.unwrap_or_else(|| {
            let new = Arc::new(gathering.pattern(has));
            known.push(Arc::clone(&new));
            new
        })
    }

    fn has(&self, name: &str) -> bool {
        self.series.iter().any(|series| series.name == name)
    }
}

/// Whether an answer of the control has a positive value of a metric.
pub(crate) fn control_has(exchanges: &Exchanges<'_>, metrics: &[Metric], name: &str) -> bool {
    let Some(index) = metrics.iter().position(|metric| metric.name == name) else {
        return false;
    };
    exchanges
        .legs()
        .filter(|found| found.variant() == Variant::Control)
        .any(|found| found.value(index).is_some_and(|value| value > 0.0))
}

/// The strata of all primary legs, in order, and for each exchange the place of its own.
fn strata(exchanges: &Exchanges<'_>, several_revisions: bool) -> (Vec<StratumKey>, Vec<u32>) {
    fn key<'a>(exchange: Exchange<'a>, several_revisions: bool) -> Option<(&'a str, Option<i64>)> {
        let primary = exchange.primary?;
        Some((primary.cohort().unwrap_or(NO_COHORT), primary.revision().filter(|_| several_revisions)))
    }
    let keys: BTreeSet<(&str, Option<i64>)> =
        exchanges.iter().filter_map(|exchange| key(exchange, several_revisions)).collect();
    let keys: Vec<(&str, Option<i64>)> = keys.into_iter().collect();
    let place = |exchange: Exchange<'_>| {
        let place =
            key(exchange, several_revisions).and_then(|key| keys.binary_search(&key).ok()).unwrap_or(0);
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    let places = exchanges.iter().map(place).collect();
    (keys.into_iter().map(|(cohort, revision)| (cohort.to_owned(), revision)).collect(), places)
}

/// A series of a metric without values.
pub(crate) fn empty_series(metric: &Metric) -> MetricSeries {
    MetricSeries {
        name: metric.name.clone(),
        unit: metric.unit.clone().into_owned(),
        better: metric.better,
        bounds: metric.bounds,
        ..MetricSeries::default()
    }
}

/// A score is taken as bounded by 0 and 1 where all of its values are.
fn score_series<'a>(
    exchanges: &Exchanges<'a>,
    criterion: &str,
    value: impl Fn(LegRef<'a>) -> Option<f64>,
) -> MetricSeries {
    let unit_scale = exchanges.legs().filter_map(value).all(|score| (0.0..=1.0).contains(&score));
    MetricSeries {
        name: format!("{SCORE_PREFIX}{criterion}"),
        unit: "score".to_owned(),
        better: Better::Higher,
        bounds: unit_scale.then_some((0.0, 1.0)),
        ..MetricSeries::default()
    }
}

/// Both sides are distances from control's first answer: the second answer of control stands for control, the shadow copy
/// for the candidate.
fn distance(scores: &Scores, found: LegRef<'_>, criterion: &str) -> Option<f64> {
    match found.leg() {
        Leg::Primary => scores.of(found.sample_id(), Leg::Noise, criterion),
        Leg::Shadow => scores.of(found.sample_id(), Leg::Shadow, criterion),
        Leg::Noise => None,
    }
}

/// Cosine distances lie between 0 and 2; to be far away is neither better nor worse.
fn distance_series(criterion: &str) -> MetricSeries {
    MetricSeries {
        name: criterion.to_owned(),
        unit: "distance".to_owned(),
        better: Better::Neither,
        bounds: Some((0.0, 2.0)),
        ..MetricSeries::default()
    }
}
