//! Sums of one part of a series: the values of one stretch of time with one set of labels.

use weir_stats::{Buckets, Column, ColumnAdder, Counting, Grid, PairAdder, PairSums};

use super::Lengths;
use crate::names::WITH_PERCENTILES;
use crate::series::MetricSeries;
use crate::values::Values;

/// Sums of a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Of its pairs.
    pub pairs: PartPairs,
    /// Of its unpaired values, control's and the candidate's, by stratum.
    pub strata: Vec<(Arm, Arm)>,
}

/// Sums of pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartPairs {
    /// Of those of two finite numbers.
    pub sums: PairSums,
    /// Where the candidate's values lie between their bounds.
    pub within: Grid,
    /// How many pairs have a value that is no finite number.
    pub left_out: u64,
    /// How many values of control and of the candidate are outside their bounds.
    pub outside: (u64, u64),
    /// Control's values by size; nothing where no percentile is asked of the metric, here and below.
    pub control: Buckets,
    /// The candidate's.
    pub candidate: Buckets,
}

/// Sums of unpaired values of one variant in one stratum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arm {
    /// Of those that are finite numbers.
    pub column: Column,
    /// How many are not.
    pub left_out: u64,
    /// How many are outside their bounds.
    pub outside: u64,
    /// Values by size.
    pub sizes: Buckets,
}

impl Part {
    /// Takes in another part.
    pub fn append(&mut self, other: &Self) {
        self.pairs.append(&other.pairs);
        self.append_strata(other);
    }

    /// Takes in another part's unpaired values.
    pub(super) fn append_strata(&mut self, other: &Self) {
        if self.strata.len() < other.strata.len() {
            self.strata.resize_with(other.strata.len(), Default::default);
        }
        for ((control, candidate), (others, new)) in self.strata.iter_mut().zip(&other.strata) {
            control.append(others);
            candidate.append(new);
        }
    }

    /// Takes in how many of another part's unpaired values are left out.
    pub(super) fn append_left_out(&mut self, other: &Self) {
        self.strata.resize_with(self.strata.len().max(1), Default::default);
        let left_out: u64 = other.strata.iter().map(|(old, new)| old.left_out + new.left_out).sum();
        self.strata.first_mut().into_iter().for_each(|(first, _)| first.left_out += left_out);
    }

    /// Whether there is no value at all, not even one that is left out.
    pub(super) fn is_empty(&self) -> bool {
        let mut all = Lengths { pairs: 0, strata: vec![(0, 0); self.strata.len()] };
        self.count(&mut all);
        all.pairs == 0 && all.strata.iter().all(|arms| *arms == (0, 0))
    }

    /// With each stratum at its new place.
    pub(super) fn with_strata(self, places: &[usize]) -> Self {
        let mut strata: Vec<(Arm, Arm)> = Vec::new();
        strata.resize_with(places.iter().max().map_or(0, |most| most + 1), Default::default);
        for ((control, candidate), place) in self.strata.iter().zip(places) {
            if let Some((old, new)) = strata.get_mut(*place) {
                old.append(control);
                new.append(candidate);
            }
        }
        Self { pairs: self.pairs, strata }
    }

    pub(super) fn keep_strata(&mut self, kept: &[usize]) {
        self.strata = kept.iter().map(|at| self.strata.get(*at).cloned().unwrap_or_default()).collect();
    }

    /// Adds how many values it has.
    pub(super) fn count(&self, to: &mut Lengths) {
        let all = |n: usize, left_out: u64| n + usize::try_from(left_out).unwrap_or(0);
        to.pairs += all(self.pairs.sums.differences.n, self.pairs.left_out);
        for ((m, n), (control, candidate)) in to.strata.iter_mut().zip(&self.strata) {
            *m += all(control.column.moments.n, control.left_out);
            *n += all(candidate.column.moments.n, candidate.left_out);
        }
    }
}

impl PartPairs {
    pub(super) fn append(&mut self, other: &Self) {
        self.sums.append(&other.sums);
        self.within.append(&other.within);
        self.left_out += other.left_out;
        self.outside = (self.outside.0 + other.outside.0, self.outside.1 + other.outside.1);
        self.control.append(&other.control);
        self.candidate.append(&other.candidate);
    }

    /// The candidate's values alone.
    pub(super) fn of_candidate(&self) -> Arm {
        Arm {
            column: Column {
                moments: self.sums.moments.second,
                sizes: self.sums.sizes.1,
                grid: self.within.clone(),
            },
            left_out: self.left_out,
            outside: self.outside.1,
            sizes: self.candidate.clone(),
        }
    }
}

impl Arm {
    /// Of these values, which have no bounds.
    #[must_use]
    pub fn of(values: &Values) -> Self {
        let mut arm = ArmAdder::default();
        values.iter().for_each(|value| arm.add(value, None, true));
        arm.arm()
    }

    /// Takes in the values of another.
    pub fn append(&mut self, other: &Self) {
        self.column.append(&other.column);
        self.left_out += other.left_out;
        self.outside += other.outside;
        self.sizes.append(&other.sizes);
    }
}

/// Whether values of a series are counted by size: those of a share are few, and nobody asks for their percentiles.
pub(super) fn counts_sizes(series: &MetricSeries) -> bool {
    series.unit != "share" || WITH_PERCENTILES.contains(&series.name.as_str())
}

/// A part that is added up value by value.
pub(super) struct PartAdder {
    scale: Option<Scale>,
    sizes: bool,
    pairs: PairAdder,
    within: Grid,
    left_out: u64,
    outside: (u64, u64),
    control: Counting,
    candidate: Counting,
    strata: Vec<(ArmAdder, ArmAdder)>,
}

#[derive(Clone, Debug, Default)]
struct ArmAdder {
    column: ColumnAdder,
    left_out: u64,
    outside: u64,
    sizes: Counting,
}

/// Bounds that values may have.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(bounds: Option<(f64, f64)>) -> Option<Self> {
        let (low, high) = bounds.filter(|(low, high)| low.is_finite() && high.is_finite() && low < high)?;
        Some(Self { low, high })
    }

    fn leaves_out(self, value: f64) -> u64 {
        u64::from((value < self.low) | (value > self.high))
    }

    fn of_value(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn of_difference(self, difference: f64) -> f64 {
        0.5 + difference / (2.0 * (self.high - self.low))
    }
}

impl ArmAdder {
    fn add(&mut self, value: f64, scale: Option<Scale>, sizes: bool) {
        if !value.is_finite() {
            self.left_out += 1;
            return;
        }
        self.column.add(value, scale.map(|scale| scale.of_value(value)));
        self.outside += scale.map_or(0, |scale| scale.leaves_out(value));
        if sizes {
            self.sizes.add(value);
        }
    }

    fn arm(self) -> Arm {
        Arm {
            column: self.column.column(),
            left_out: self.left_out,
            outside: self.outside,
            sizes: self.sizes.buckets(),
        }
    }
}

impl PartAdder {
    pub(super) fn new(bounds: Option<(f64, f64)>, sizes: bool, strata: usize) -> Self {
        Self {
            scale: Scale::of(bounds),
            sizes,
            pairs: PairAdder::default(),
            within: Grid::default(),
            left_out: 0,
            outside: (0, 0),
            control: Counting::default(),
            candidate: Counting::default(),
            strata: vec![Default::default(); strata],
        }
    }

    pub(super) fn pair(&mut self, (control, candidate): (f64, f64)) {
        if !(control.is_finite() && candidate.is_finite()) {
            self.left_out += 1;
            return;
        }
        self.pairs
            .add((control, candidate), self.scale.map(|scale| scale.of_difference(candidate - control)));
        if let Some(scale) = self.scale {
            self.within.add(scale.of_value(candidate));
            self.outside.0 += scale.leaves_out(control);
            self.outside.1 += scale.leaves_out(candidate);
        }
        if self.sizes {
            self.control.add(control);
            self.candidate.add(candidate);
        }
    }

    pub(super) fn single(&mut self, stratum: usize, of_candidate: bool, value: f64) {
        let Some((control, candidate)) = self.strata.get_mut(stratum) else { return };
        let arm = if of_candidate { candidate } else { control };
        arm.add(value, self.scale, self.sizes);
    }

    pub(super) fn part(self) -> Part {
        Part {
            pairs: PartPairs {
                sums: self.pairs.pairs(),
                within: self.within,
                left_out: self.left_out,
                outside: self.outside,
                control: self.control.buckets(),
                candidate: self.candidate.buckets(),
            },
            strata: self.strata.into_iter().map(|(old, new)| (old.arm(), new.arm())).collect(),
        }
    }
}
