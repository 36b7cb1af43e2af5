//! Revisions and cohorts, within which the policy's shares and chances are the same for all; found by the kind of a leg: by
//! a small number, however many legs there are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exchange::Exchanges;
use crate::packed::{Reader, Writer};

/// Revision and cohort.
pub(super) type Group = (Option<i64>, Option<Arc<str>>);

/// Groups of all kinds of legs of some exchanges.
pub(super) struct Groups {
    pub(super) names: Vec<Group>,
    /// For each kind of leg the place of its group.
    of_kind: Vec<usize>,
}

impl Groups {
    pub(super) fn of(exchanges: &Exchanges<'_>) -> Self {
        let mut names = Vec::new();
        let mut places: HashMap<Group, usize> = HashMap::new();
        let of_kind = exchanges.kinds_by_place().map(|facts| {
            let group = (facts.revision, facts.cohort.clone());
            *places.entry(group.clone()).or_insert_with(|| {
                names.push(group);
                names.len() - 1
            })
        });
        let of_kind = of_kind.collect();
        Self { names, of_kind }
    }

    /// The place of the group of a kind of leg.
    pub(super) fn of_kind(&self, kind: usize) -> Option<usize> {
        self.of_kind.get(kind).copied()
    }
}

/// ` of cohort general, revision 3`, as far as they are known.
pub(super) fn group_name((revision, cohort): &Group) -> String {
    let cohort = cohort.as_ref().map(|cohort| format!(" of cohort {cohort}")).unwrap_or_default();
    let revision = revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    format!("{cohort}{revision}")
}

pub(super) fn write_group((revision, cohort): &Group, to: &mut Writer) {
    to.option(*revision, |to, revision| to.number(revision.cast_unsigned()));
    to.option(cohort.as_deref(), Writer::text);
}

pub(super) fn read_group(from: &mut Reader<'_>) -> Option<Group> {
    let revision = from.option(Reader::number)?.map(u64::cast_signed);
    Some((revision, from.option(Reader::text)?.map(Arc::from)))
}
