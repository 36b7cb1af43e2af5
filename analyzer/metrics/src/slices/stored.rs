//! A slice as bytes.
//!
//! A reader trusts no length and no place: what does not fit is nothing. Whether bytes are those that were written a checksum says,
//! which is the keeper's.

use std::collections::{BTreeMap, BTreeSet};

use weir_gate::{Arm, Labels, MetricSeries, Pairs, Part, PartPairs, Places, Settled, Stratum, Values};
use weir_stats::{Buckets, Column, Grid, Moments, PairMoments, PairSums};
use weir_tripwire::{Mark, Seen};

use super::shown::Shown;
use super::slice::{Named, Slice, SliceChances, SliceMetric};
use crate::assemble::Times;
use crate::health::{Chances, Observed};
use crate::inclusion::Least;
use crate::packed::{Reader, Writer};
use crate::pairs::Origins;

/// Columns that several series have alike, in memory and in the bytes once.
#[derive(Default)]
struct Columns(Vec<Places>);

impl SliceChances {
    pub(super) fn write(&self, to: &mut Writer) {
        self.least.write(to);
        self.chances.write(to);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { least: Least::read(from)?, chances: Chances::read(from)? })
    }
}

impl Slice {
    pub(super) fn write(&self, to: &mut Writer) {
        self.chances.write(to);
        for count in [self.times.legs, self.duplicates, self.thinned, self.stray] {
            to.number(count);
        }
        to.option(self.times.ends, |to, (first, last)| {
            to.number(first.cast_unsigned());
            to.number(last.cast_unsigned());
        });
        self.named.write(to);
        self.observed.write(to);
        write_seen(&self.seen, to);
        write_list(&self.sets, to, |set, to| write_list(set, to, write_two));
        write_list(&self.left_out, to, write_two);
        to.column(&self.identities, u64::to_le_bytes);
        let mut columns = Columns::default();
        let mut metrics = Writer::default();
        for metric in &self.metrics {
            metrics.option(metric.as_ref(), |to, metric| metric.write(&mut columns, to));
        }
        self.control_has.iter().for_each(|has| metrics.flag(*has));
        self.shown.write(&mut columns, &mut metrics);
        write_list(&columns.0, to, |column, to| to.column(column, u32::to_le_bytes));
        to.bytes(&metrics.into_bytes());
    }

    /// Nothing where the bytes are no slice with so many metrics.
    pub(super) fn read(metrics: usize, from: &mut Reader<'_>) -> Option<Self> {
        let chances = SliceChances::read(from)?;
        let (legs, duplicates, thinned, stray) =
            (from.number()?, from.number()?, from.number()?, from.number()?);
        let ends = from.option(|from| Some((from.number()?.cast_signed(), from.number()?.cast_signed())))?;
        let named = Named::read(from)?;
        let observed = Observed::read(from)?;
        let seen = read_seen(from)?;
        let sets = read_list(from, |from| read_list(from, read_two))?;
        let left_out = read_list(from, read_two)?;
        let identities = from.column(u64::from_le_bytes)?;
        let columns = read_list(from, |from| Some(Places::from(from.column(u32::from_le_bytes)?)))?;
        let columns = Columns(columns);
        let mut from_metrics = Reader::new(from.bytes()?);
        let own = (0..metrics)
            .map(|_| from_metrics.option(|from| SliceMetric::read(&columns, from)))
            .collect::<Option<Vec<_>>>()?;
        let control_has = (0..metrics).map(|_| from_metrics.flag()).collect::<Option<Vec<_>>>()?;
        let shown = Shown::read(&columns, &mut from_metrics)?;
        from_metrics.is_empty().then_some(Self {
            chances,
            times: Times { legs, ends },
            duplicates,
            thinned,
            stray,
            named,
            observed,
            seen,
            sets,
            left_out,
            identities,
            metrics: own,
            control_has,
            shown,
        })
    }
}

impl Named {
    fn write(&self, to: &mut Writer) {
        for names in [&self.control_snapshots, &self.candidate_snapshots, &self.policy_digests] {
            let names: Vec<&String> = names.iter().collect();
            write_list(&names, to, |name, to| to.text(name));
        }
        let revisions: Vec<i64> = self.revisions.iter().copied().collect();
        to.column(&revisions, i64::to_le_bytes);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let names = |from: &mut Reader<'_>| -> Option<BTreeSet<String>> {
            Some(read_list(from, |from| Some(from.text()?.to_owned()))?.into_iter().collect())
        };
        Some(Self {
            control_snapshots: names(from)?,
            candidate_snapshots: names(from)?,
            policy_digests: names(from)?,
            revisions: from.column(i64::from_le_bytes)?.into_iter().collect(),
        })
    }
}

impl SliceMetric {
    fn write(&self, columns: &mut Columns, to: &mut Writer) {
        to.number(self.missing);
        write_arm(&self.noise, to);
        write_list(self.settled.strata(), to, |name, to| to.text(name));
        let parts: Vec<(u32, &Part)> = self.settled.parts().collect();
        write_list(&parts, to, |(place, part), to| {
            to.number(u64::from(*place));
            write_part(part, to);
        });
        write_sample(self.settled.sample(), columns, to);
    }

    fn read(columns: &Columns, from: &mut Reader<'_>) -> Option<Self> {
        let missing = from.number()?;
        let noise = read_arm(from)?;
        let strata = read_list(from, |from| Some(from.text()?.to_owned()))?;
        let parts = read_list(from, |from| Some((u32::try_from(from.number()?).ok()?, read_part(from)?)))?;
        let fits = parts.iter().all(|(_, part)| part.strata.len() == strata.len());
        let parts: BTreeMap<u32, Part> = parts.into_iter().collect();
        let sample = read_sample(columns, from)?;
        fits.then(|| Self { settled: Settled::of_parts(strata, parts, sample), missing, noise })
    }
}

impl Shown {
    fn write(&self, columns: &mut Columns, to: &mut Writer) {
        self.origins.write(to);
        write_list(&self.series, to, |(series, places), to| {
            to.text(&series.name);
            write_pairs(&series.pairs, to);
            columns.write(&series.labels.pairs, to);
            columns.write(&Places::from(places.clone()), to);
        });
    }

    fn read(columns: &Columns, from: &mut Reader<'_>) -> Option<Self> {
        let origins = Origins::read(from)?;
        let series = read_list(from, |from| {
            let name = from.text()?.to_owned();
            let pairs = read_pairs(from)?;
            let labels = Labels { pairs: columns.read(from)?, ..Labels::default() };
            let places = columns.read(from)?;
            let fits = places.len() == pairs.len()
                && (labels.pairs.is_empty() || labels.pairs.len() == pairs.len())
                && places.iter().all(|place| (*place as usize) < origins.len());
            let series = MetricSeries { name, pairs, labels, ..MetricSeries::default() };
            fits.then(|| (series, places.into()))
        })?;
        Some(Self { origins, series })
    }
}

impl Columns {
    fn write(&mut self, column: &Places, to: &mut Writer) {
        let place = self.0.iter().position(|known| known == column).unwrap_or(self.0.len());
        if place == self.0.len() {
            self.0.push(column.clone());
        }
        to.number(length(place));
    }

    fn read(&self, from: &mut Reader<'_>) -> Option<Places> {
        self.0.get(from.count()?).cloned()
    }
}

fn write_sample(sample: &MetricSeries, columns: &mut Columns, to: &mut Writer) {
    write_pairs(&sample.pairs, to);
    columns.write(&sample.pair_clusters, to);
    columns.write(&sample.labels.pairs, to);
    write_list(&sample.strata, to, |stratum, to| {
        to.text(&stratum.name);
        to.bytes(&stratum.control.to_bytes());
        to.bytes(&stratum.candidate.to_bytes());
        columns.write(&stratum.control_clusters, to);
        columns.write(&stratum.candidate_clusters, to);
    });
    write_list(&sample.labels.strata, to, |(control, candidate), to| {
        columns.write(control, to);
        columns.write(candidate, to);
    });
}

fn read_sample(columns: &Columns, from: &mut Reader<'_>) -> Option<MetricSeries> {
    let pairs = read_pairs(from)?;
    let (pair_clusters, of_pairs) = (columns.read(from)?, columns.read(from)?);
    let strata = read_list(from, |from| {
        Some(Stratum {
            name: from.text()?.to_owned(),
            control: Values::from_bytes(from.bytes()?)?,
            candidate: Values::from_bytes(from.bytes()?)?,
            control_clusters: columns.read(from)?,
            candidate_clusters: columns.read(from)?,
        })
    })?;
    let of_strata = read_list(from, |from| Some((columns.read(from)?, columns.read(from)?)))?;
    let beside = |places: &Places, values: usize| places.is_empty() || places.len() == values;
    let fits = beside(&pair_clusters, pairs.len())
        && beside(&of_pairs, pairs.len())
        && strata.iter().all(|own| {
            beside(&own.control_clusters, own.control.len())
                && beside(&own.candidate_clusters, own.candidate.len())
        });
    let labels = Labels { sets: Vec::new(), pairs: of_pairs, strata: of_strata };
    fits.then(|| MetricSeries { pairs, pair_clusters, strata, labels, ..MetricSeries::default() })
}

fn write_part(part: &Part, to: &mut Writer) {
    let pairs = &part.pairs;
    let sums = &pairs.sums;
    for moments in [&sums.moments.first, &sums.moments.second, &sums.differences] {
        write_moments(moments, to);
    }
    for number in [sums.moments.products, sums.sizes.0, sums.sizes.1] {
        to.number(number.to_bits());
    }
    write_grid(&sums.grid, to);
    write_grid(&pairs.within, to);
    for count in [pairs.left_out, pairs.outside.0, pairs.outside.1] {
        to.number(count);
    }
    write_buckets(&pairs.control, to);
    write_buckets(&pairs.candidate, to);
    write_list(&part.strata, to, |(control, candidate), to| {
        write_arm(control, to);
        write_arm(candidate, to);
    });
}

fn read_part(from: &mut Reader<'_>) -> Option<Part> {
    let (first, second, differences) = (read_moments(from)?, read_moments(from)?, read_moments(from)?);
    let products = real(from)?;
    let sums = PairSums {
        moments: PairMoments { first, second, products },
        differences,
        sizes: (real(from)?, real(from)?),
        grid: read_grid(from)?,
    };
    let pairs = PartPairs {
        sums,
        within: read_grid(from)?,
        left_out: from.number()?,
        outside: (from.number()?, from.number()?),
        control: read_buckets(from)?,
        candidate: read_buckets(from)?,
    };
    Some(Part { pairs, strata: read_list(from, |from| Some((read_arm(from)?, read_arm(from)?)))? })
}

fn write_arm(arm: &Arm, to: &mut Writer) {
    write_moments(&arm.column.moments, to);
    to.number(arm.column.sizes.to_bits());
    write_grid(&arm.column.grid, to);
    to.number(arm.left_out);
    to.number(arm.outside);
    write_buckets(&arm.sizes, to);
}

fn read_arm(from: &mut Reader<'_>) -> Option<Arm> {
    let column = Column { moments: read_moments(from)?, sizes: real(from)?, grid: read_grid(from)? };
    Some(Arm { column, left_out: from.number()?, outside: from.number()?, sizes: read_buckets(from)? })
}

fn write_moments(moments: &Moments, to: &mut Writer) {
    to.number(length(moments.n));
    to.number(moments.mean.to_bits());
    to.number(moments.squares.to_bits());
}

fn read_moments(from: &mut Reader<'_>) -> Option<Moments> {
    Some(Moments { n: from.count()?, mean: real(from)?, squares: real(from)? })
}

fn write_grid(grid: &Grid, to: &mut Writer) {
    let (points, weights): (Vec<u16>, Vec<f64>) = grid.weights().iter().copied().unzip();
    to.column(&points, u16::to_le_bytes);
    to.column(&weights, f64::to_le_bytes);
}

fn read_grid(from: &mut Reader<'_>) -> Option<Grid> {
    let (points, weights) = (from.column(u16::from_le_bytes)?, from.column(f64::from_le_bytes)?);
    let same = points.len() == weights.len();
    Grid::of_weights(points.into_iter().zip(weights).collect()).filter(|_| same)
}

fn write_buckets(buckets: &Buckets, to: &mut Writer) {
    let (numbers, counts): (Vec<i32>, Vec<u32>) = buckets.numbers().iter().copied().unzip();
    to.column(&numbers, i32::to_le_bytes);
    to.column(&counts, u32::to_le_bytes);
}

fn read_buckets(from: &mut Reader<'_>) -> Option<Buckets> {
    let (numbers, counts) = (from.column(i32::from_le_bytes)?, from.column(u32::from_le_bytes)?);
    let same = numbers.len() == counts.len();
    Buckets::of_numbers(numbers.into_iter().zip(counts).collect()).filter(|_| same)
}

fn write_pairs(pairs: &Pairs, to: &mut Writer) {
    to.bytes(&pairs.control().to_bytes());
    to.bytes(&pairs.candidate().to_bytes());
}

fn read_pairs(from: &mut Reader<'_>) -> Option<Pairs> {
    Pairs::of_columns(Values::from_bytes(from.bytes()?)?, Values::from_bytes(from.bytes()?)?)
}

fn write_seen(seen: &Seen, to: &mut Writer) {
    to.column(&seen.control, Mark::to_bytes);
    to.column(&seen.candidate, Mark::to_bytes);
    for pairs in [&seen.pairs, &seen.noise] {
        let (one, other): (Vec<Mark>, Vec<Mark>) = pairs.iter().copied().unzip();
        to.column(&one, Mark::to_bytes);
        to.column(&other, Mark::to_bytes);
    }
}

fn read_seen(from: &mut Reader<'_>) -> Option<Seen> {
    let (control, candidate) = (from.column(Mark::from_bytes)?, from.column(Mark::from_bytes)?);
    let pairs = |from: &mut Reader<'_>| {
        let (one, other) = (from.column(Mark::from_bytes)?, from.column(Mark::from_bytes)?);
        let same = one.len() == other.len();
        same.then(|| one.into_iter().zip(other).collect::<Vec<_>>())
    };
    Some(Seen { control, candidate, pairs: pairs(from)?, noise: pairs(from)?, scores: None })
}

fn write_two((one, other): &(String, String), to: &mut Writer) {
    to.text(one);
    to.text(other);
}

fn read_two(from: &mut Reader<'_>) -> Option<(String, String)> {
    Some((from.text()?.to_owned(), from.text()?.to_owned()))
}

fn write_list<T>(items: &[T], to: &mut Writer, mut write: impl FnMut(&T, &mut Writer)) {
    to.number(length(items.len()));
    items.iter().for_each(|item| write(item, to));
}

fn read_list<T>(from: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    // Not by the number that is said: each item takes bytes that have to be there.
    let count = from.count()?;
    (0..count).map(|_| read(from)).collect()
}

fn real(from: &mut Reader<'_>) -> Option<f64> {
    Some(f64::from_bits(from.number()?)).filter(|number| number.is_finite())
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
