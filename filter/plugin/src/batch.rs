//! Records that go to the sink together: legs of one policy, and events.
//!
//! Legs that differ only in themselves (same leg, variant, cohort, chances, kinds of content) stand under one scope, which
//! says once what they share; most batches have two or three scopes. Everything is encoded once, into the bytes that are
//! sent; an attempt that fails sends the same bytes again.

use std::rc::Rc;

use weir_wire::{
    Event, LegKind, Resource, Scope, Variant, batch_len, encode_event, encode_leg, encode_scope,
    encode_scopes,
};

use crate::active::Active;
use crate::exchange::EndedLeg;

/// Scopes that are looked at for a leg to stand under.
const SCOPES_SCANNED_MAX: usize = 16;
/// Tags and lengths of a scope and of its attributes, at most.
const SCOPE_OVERHEAD_BYTES: usize = 16;

/// Records of one policy.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The policy of all records.
    active: Rc<Active>,
    groups: Vec<Group>,
    bytes: usize,
    /// Reused for a record before its length is known.
    scratch: Vec<u8>,
}

/// Records under one scope.
#[derive(Debug)]
struct Group {
    /// None of events.
    profile: Option<Profile>,
    scope: Scope,
    records: Vec<Record>,
}

/// An encoded record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// With tag and length.
    pub(crate) bytes: usize,
    /// None of an event.
    pub(crate) variant: Option<Variant>,
    /// When its leg ended.
    pub(crate) since: u64,
}

/// What decides everything that [`encode_scope`] writes of a leg.
#[derive(Debug, PartialEq)]
struct Profile {
    kind: LegKind,
    variant: Variant,
    cohort: Option<u16>,
    probability: f64,
    share_ppm: Option<u32>,
    shadow: bool,
    noise: bool,
    method: Rc<str>,
    request_content_type: Rc<str>,
    response_content_type: Rc<str>,
    response_content_encoding: Rc<str>,
}

impl Batch {
    /// A batch without records.
    pub(crate) fn new(active: Rc<Active>) -> Self {
        Self { active, groups: Vec::new(), bytes: 0, scratch: Vec::new() }
    }

    /// The policy of all records.
    pub(crate) fn active(&self) -> &Rc<Active> {
        &self.active
    }

    /// Bytes that it will have, without its resource.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has no records.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.records.is_empty())
    }

    /// All records.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.groups.iter().flat_map(|group| &group.records)
    }

    /// Adds an event.
    pub(crate) fn push_event(&mut self, event: &Event, now: u64) {
        let at = self.groups.iter().position(|group| group.profile.is_none());
        let at = at.unwrap_or_else(|| self.open(None, Vec::new()));
        let bytes = encode_event(event);
        self.add(at, &bytes, None, now);
    }

    /// Adds a leg. `false`: it alone is larger than a batch may be.
    pub(crate) fn push(&mut self, leg: &EndedLeg, sequence: u64, since: u64, bytes_max: usize) -> bool {
        let behind = std::mem::take(&mut self.scratch);
        let (record, added) = leg.with_view(sequence, |view| {
            let record = encode_leg(view, behind);
            let profile = Profile::of(leg);
            let mut recent = (0..self.groups.len()).rev().take(SCOPES_SCANNED_MAX);
            let known = recent
                .find(|at| self.groups.get(*at).and_then(|group| group.profile.as_ref()) == Some(&profile));
            let scope = known.is_none().then(|| encode_scope(self.active.shared(), view));
            let scope_bytes = scope.as_ref().map_or(0, Vec::len);
            if batch_len(record.len()) + scope_bytes > bytes_max {
                return (record, false);
            }
            let at = known.unwrap_or_else(|| self.open(Some(profile), scope.unwrap_or_default()));
            self.add(at, &record, Some(leg.variant()), since);
            (record, true)
        });
        self.scratch = record;
        self.scratch.clear();
        added
    }

    /// Takes out the records for which this is not true, handing them over.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Record) -> bool, mut removed: impl FnMut(&Record)) {
        for group in self.groups.iter_mut().filter(|group| !group.records.iter().all(&keep)) {
            let (mut bytes, mut start) = (Vec::with_capacity(group.scope.records.len()), 0);
            for record in &group.records {
                let end = start + record.bytes;
                if keep(record) {
                    bytes.extend_from_slice(group.scope.records.get(start..end).unwrap_or_default());
                } else {
                    removed(record);
                }
                start = end;
            }
            group.scope.records = bytes;
            group.records.retain(&keep);
        }
        self.groups.retain(|group| !group.records.is_empty());
        self.bytes = self.groups.iter().map(|group| around(&group.scope) + group.scope.records.len()).sum();
    }

    /// The request's body.
    pub(crate) fn encode(&self, resource: &Resource) -> Vec<u8> {
        encode_scopes(resource, self.groups.iter().map(|group| &group.scope))
    }

    fn open(&mut self, profile: Option<Profile>, attributes: Vec<u8>) -> usize {
        let scope = Scope { attributes, records: Vec::new() };
        self.bytes += around(&scope);
        self.groups.push(Group { profile, scope, records: Vec::new() });
        self.groups.len() - 1
    }

    fn add(&mut self, at: usize, record: &[u8], variant: Option<Variant>, since: u64) {
        if let Some(group) = self.groups.get_mut(at) {
            let bytes = group.scope.push(record);
            self.bytes += bytes;
            group.records.push(Record { bytes, variant, since });
        }
    }
}

impl Profile {
    fn of(leg: &EndedLeg) -> Self {
        let exchange = &leg.exchange;
        let is_primary = leg.kind == LegKind::Primary;
        Self {
            kind: leg.kind,
            variant: leg.variant(),
            cohort: exchange.cohort,
            probability: leg.inclusion_probability(),
            share_ppm: exchange.share_ppm.filter(|_| is_primary),
            shadow: exchange.shadow,
            noise: exchange.noise,
            method: Rc::clone(&exchange.method),
            request_content_type: Rc::clone(&exchange.request_content_type),
            response_content_type: Rc::clone(&leg.seen.content_type),
            response_content_encoding: Rc::clone(&leg.seen.content_encoding),
        }
    }
}

/// Bytes of a scope besides its records.
fn around(scope: &Scope) -> usize {
    SCOPE_OVERHEAD_BYTES + scope.attributes.len()
}
