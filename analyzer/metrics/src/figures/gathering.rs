//! The columns of a file while its legs are read, one after the other.

use std::path::Path;

use super::{Facts, Figures, LegFigures};
use crate::assembled::Traits;
use crate::integers::Integers;
use crate::marks::Marks;

/// Columns that grow by a leg at a time.
#[derive(Debug)]
pub(crate) struct Gathering {
    ids: String,
    id_ends: Vec<u32>,
    places: Vec<u32>,
    ts_us: Vec<Option<i64>>,
    sequence: Vec<Option<i64>>,
    identity: Vec<u64>,
    session: Vec<u64>,
    asked: Vec<u64>,
    inclusion_probability: Vec<f64>,
    latency_ms: Vec<f64>,
    values: Vec<Vec<f64>>,
    traits: Vec<Option<Box<Traits>>>,
}

impl Gathering {
    /// Columns for so many metrics, with room for so many rows.
    pub(crate) fn new(metrics: usize, rows: usize) -> Self {
        Self {
            ids: String::new(),
            id_ends: Vec::with_capacity(rows),
            places: Vec::with_capacity(rows),
            ts_us: Vec::with_capacity(rows),
            sequence: Vec::with_capacity(rows),
            identity: Vec::with_capacity(rows),
            session: Vec::with_capacity(rows),
            asked: Vec::with_capacity(rows),
            inclusion_probability: Vec::with_capacity(rows),
            latency_ms: Vec::with_capacity(rows),
            values: (0..metrics).map(|_| Vec::with_capacity(rows)).collect(),
            traits: Vec::with_capacity(rows),
        }
    }

    /// Appends a leg with one value for each metric, where it has one.
    pub(crate) fn push(&mut self, leg: LegFigures<'_>, values: impl Iterator<Item = Option<f64>>) {
        self.ids.push_str(leg.sample_id);
        self.id_ends.push(u32::try_from(self.ids.len()).unwrap_or(u32::MAX));
        self.places.push(leg.kind);
        self.ts_us.push(Some(leg.ts_us));
        self.sequence.push(leg.sequence);
        self.identity.push(leg.identity.unwrap_or(0));
        self.session.push(leg.session.unwrap_or(0));
        self.asked.push(leg.asked.unwrap_or(0));
        self.inclusion_probability.push(leg.inclusion_probability);
        self.latency_ms.push(leg.latency_ms.unwrap_or(f64::NAN));
        for (column, value) in self.values.iter_mut().zip(values) {
            column.push(value.unwrap_or(f64::NAN));
        }
        self.traits.push(leg.traits);
    }

    /// Appends legs that were read apart from these; `kinds` are the places of what theirs have alike.
    pub(crate) fn append(&mut self, later: Self, kinds: &[u32]) {
        let before = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.push_str(&later.ids);
        self.id_ends.extend(later.id_ends.iter().map(|end| before.saturating_add(*end)));
        self.places
            .extend(later.places.iter().map(|place| kinds.get(*place as usize).copied().unwrap_or(u32::MAX)));
        self.ts_us.extend(later.ts_us);
        self.sequence.extend(later.sequence);
        self.identity.extend(later.identity);
        self.session.extend(later.session);
        self.asked.extend(later.asked);
        self.inclusion_probability.extend(later.inclusion_probability);
        self.latency_ms.extend(later.latency_ms);
        for (column, later) in self.values.iter_mut().zip(later.values) {
            column.extend(later);
        }
        self.traits.extend(later.traits);
    }

    /// The legs of the file, with what they have alike and what tripwires go by.
    pub(crate) fn figures(mut self, path: &Path, facts: Vec<Facts>, marks: Marks) -> Figures {
        if self.session == self.identity {
            self.session = Vec::new();
        }
        if self.asked.iter().all(|hash| *hash == 0) {
            self.asked = Vec::new();
        }
        if self.traits.iter().all(Option::is_none) {
            self.traits = Vec::new();
        }
        self.ids.shrink_to_fit();
        Figures {
            path: path.into(),
            rows: self.places.len(),
            ids: self.ids,
            id_ends: self.id_ends,
            ts_us: Integers::of(self.ts_us),
            facts,
            places: self.places,
            identity: self.identity,
            session: self.session,
            asked: self.asked,
            sequence: Integers::of(self.sequence),
            inclusion_probability: self.inclusion_probability.into(),
            latency_ms: self.latency_ms.into(),
            values: self.values.into_iter().map(Into::into).collect(),
            traits: self.traits,
            marks,
        }
    }
}
