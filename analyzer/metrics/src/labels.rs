//! What an exchange is labelled with, so that gates can be judged in parts of the traffic: tier, autonomy, cohort, route,
//! language, prompt cluster, tags.
//!
//! - `route` is the path without its query, with `*` for parts that look like identifiers; `language` and `cluster` are the
//!   tags of these names (`lang` too); every other tag is `tag:NAME`.
//! - A dimension with more than [`VALUES_MAX`] values names individuals, not segments, and is left out, with the reason; so
//!   is what would make more than [`SETS_MAX`] combinations.
//! - Tags of the answer, of the upstream and of the capture (`response.`, `envoy.`, `weir.`) are no labels: they differ with
//!   what the candidate does, and parts chosen by an outcome compare unlike with unlike.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::exchange::Exchanges;
use crate::figures::LegRef;

/// Values of a dimension at most.
pub(crate) const VALUES_MAX: usize = 24;
/// Combinations of labels at most.
pub(crate) const SETS_MAX: usize = 1_000;
/// Bytes of a label at most; a longer one is no label.
const LABEL_BYTES_MAX: usize = 64;
/// Tags of the capture, of the upstream and of the answer begin so.
const OWN_TAGS: [&str; 4] = ["weir.", "envoy.", "response.", "upstream."];

/// Labels of a leg, by dimension.
pub(crate) type LegLabels = BTreeMap<Arc<str>, Arc<str>>;

/// Labels that repeat from row to row, kept once.
#[derive(Default)]
pub(crate) struct Interner {
    words: HashMap<String, Arc<str>>,
    sets: HashMap<String, Option<Arc<LegLabels>>>,
}

/// What a row says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowLabels<'a> {
    pub(crate) tier: Option<&'a str>,
    pub(crate) autonomy: Option<&'a str>,
    pub(crate) cohort: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) tags: &'a [(&'a str, &'a str)],
}

impl Interner {
    /// The labels of a row; nothing where there are none.
    pub(crate) fn labels(&mut self, row: &RowLabels<'_>) -> Option<Arc<LegLabels>> {
        let mut key = String::new();
        for part in [row.tier, row.autonomy, row.cohort, row.path] {
            key.push_str(part.unwrap_or_default());
            key.push('\u{1f}');
        }
        for (name, value) in row.tags {
            for part in [name, value] {
                key.push_str(part);
                key.push('\u{1f}');
            }
        }
        if let Some(known) = self.sets.get(&key) {
            return known.clone();
        }
        let mut labels = LegLabels::new();
        let route = row.path.map(route);
        let fixed = [
            ("tier", row.tier),
            ("autonomy", row.autonomy),
            ("cohort", row.cohort),
            ("route", route.as_deref()),
        ];
        for (dimension, value) in fixed {
            self.add(&mut labels, dimension, value.unwrap_or_default());
        }
        for (name, value) in row.tags {
            match *name {
                name if OWN_TAGS.iter().any(|own| name.starts_with(own)) => {}
                "language" | "lang" => self.add(&mut labels, "language", value),
                "cluster" => self.add(&mut labels, "cluster", value),
                name => self.add(&mut labels, &format!("tag:{name}"), value),
            }
        }
        let set = (!labels.is_empty()).then(|| Arc::new(labels));
        self.sets.insert(key, set.clone());
        set
    }

    fn add(&mut self, labels: &mut LegLabels, dimension: &str, value: &str) {
        if !value.is_empty() && value.len() <= LABEL_BYTES_MAX {
            labels.insert(self.word(dimension), self.word(value));
        }
    }

    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(word);
        self.words.insert(word.to_owned(), Arc::clone(&shared));
        shared
    }
}

/// `/v1/orders/*/notes` for `/v1/orders/12345/notes?page=2`.
fn route(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let identifier = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let hex = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        !part.is_empty() && (digits == part.len() || hex && digits > 0 && part.len() >= 16)
    };
    let parts: Vec<&str> = path.split('/').map(|part| if identifier(part) { "*" } else { part }).collect();
    parts.join("/")
}

/// The labels of all exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExchangeLabels {
    /// Each combination once, in order of first appearance.
    pub(crate) sets: Vec<Vec<(String, String)>>,
    /// For each exchange the place of its combination; empty where nothing is labelled.
    pub(crate) places: Vec<u32>,
    /// Dimensions that were left out, with the reason.
    pub(crate) left_out: Vec<(String, String)>,
}

impl ExchangeLabels {
    pub(crate) fn new(exchanges: &Exchanges<'_>) -> Self {
        let all: Vec<Option<&Arc<LegLabels>>> =
            exchanges.iter().map(|exchange| exchange.legs().find_map(LegRef::labels)).collect();
        let mut values: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        // Most exchanges share their labels with many others.
        let mut seen: HashSet<_, RandomState> = HashSet::default();
        let different = all.iter().flatten().filter(|labels| seen.insert(Arc::as_ptr(labels)));
        for (dimension, value) in different.flat_map(|labels| labels.iter()) {
            let known = values.entry(Arc::clone(dimension)).or_default();
            // One more than allowed says enough.
            if known.len() <= VALUES_MAX {
                known.insert(Arc::clone(value));
            }
        }
        let mut left_out = Vec::new();
        let mut kept: Vec<Arc<str>> = Vec::new();
        for (dimension, values) in &values {
            if values.len() > VALUES_MAX {
                left_out.push((dimension.to_string(), format!("has more than {VALUES_MAX} values")));
            } else {
                kept.push(Arc::clone(dimension));
            }
        }
        kept.sort_by_key(|dimension| (rank(dimension), Arc::clone(dimension)));
        loop {
            if let Some((sets, places)) = sets(&all, &kept) {
                let labelled = sets.iter().any(|set| !set.is_empty());
                left_out.sort();
                return match labelled {
                    true => Self { sets, places, left_out },
                    false => Self { left_out, ..Self::default() },
                };
            }
            let Some(last) = kept.pop() else { return Self { left_out, ..Self::default() } };
            left_out.push((last.to_string(), too_many_sets()));
        }
    }
}

/// The order in which dimensions are told, and kept where there are too many.
fn rank(dimension: &str) -> usize {
    const ORDER: [&str; 6] = ["tier", "route", "language", "autonomy", "cluster", "cohort"];
    ORDER.iter().position(|known| *known == dimension).unwrap_or(ORDER.len())
}

/// Combinations of labels, each with its dimensions and values.
pub(crate) type LabelSets = Vec<Vec<(String, String)>>;

/// The combinations of several stretches of time together, as if they had been one: each once, for each stretch the places of its
/// own, and the dimensions that are left out, with the reason.
pub(crate) fn together(
    stretches: &[&LabelSets],
    mut left_out: BTreeMap<String, String>,
) -> (LabelSets, Vec<Vec<u32>>, Vec<(String, String)>) {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (dimension, value) in stretches.iter().copied().flatten().flatten() {
        values.entry(dimension).or_default().insert(value);
    }
    let mut kept = Vec::new();
    for (dimension, values) in values {
        if values.len() > VALUES_MAX {
            left_out.insert(dimension.to_owned(), format!("has more than {VALUES_MAX} values"));
        } else if !left_out.contains_key(dimension) {
            kept.push(dimension);
        }
    }
    kept.sort_by_key(|dimension| (rank(dimension), *dimension));
    loop {
        if let Some((sets, places)) = numbered(stretches, &kept) {
            let labelled = sets.iter().any(|set| !set.is_empty());
            return (if labelled { sets } else { LabelSets::new() }, places, left_out.into_iter().collect());
        }
        let Some(last) = kept.pop() else {
            return (LabelSets::new(), vec![Vec::new(); stretches.len()], left_out.into_iter().collect());
        };
        left_out.insert(last.to_owned(), too_many_sets());
    }
}

/// The combinations of the kept dimensions, in order of first appearance, and the places of each stretch's own among them; nothing
/// where there are too many.
fn numbered(stretches: &[&LabelSets], kept: &[&str]) -> Option<(LabelSets, Vec<Vec<u32>>)> {
    let mut known: BTreeMap<Vec<(String, String)>, u32> = BTreeMap::new();
    let mut sets = LabelSets::new();
    let unlabelled = vec![Vec::new()];
    let mut places = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let own = if stretch.is_empty() { &unlabelled } else { *stretch };
        let mut of_stretch = Vec::with_capacity(own.len());
        for set in own {
            let set: Vec<(String, String)> =
                set.iter().filter(|(dimension, _)| kept.contains(&dimension.as_str())).cloned().collect();
            let fresh = u32::try_from(sets.len()).ok()?;
            let place = *known.entry(set.clone()).or_insert(fresh);
            if place == fresh {
                if sets.len() >= SETS_MAX {
                    return None;
                }
                sets.push(set);
            }
            of_stretch.push(place);
        }
        places.push(of_stretch);
    }
    Some((sets, places))
}

fn too_many_sets() -> String {
    format!("would make more than {SETS_MAX} combinations of labels")
}

/// The combinations of the kept dimensions and each exchange's place among them; nothing where there are too many.
fn sets(all: &[Option<&Arc<LegLabels>>], kept: &[Arc<str>]) -> Option<(LabelSets, Vec<u32>)> {
    let mut known: HashMap<Vec<Option<&Arc<str>>>, u32> = HashMap::new();
    let mut sets = LabelSets::new();
    let mut places = Vec::with_capacity(all.len());
    let mut seen: HashMap<Option<*const LegLabels>, u32, RandomState> = HashMap::default();
    for labels in all {
        let same = labels.map(Arc::as_ptr);
        if let Some(place) = seen.get(&same) {
            places.push(*place);
            continue;
        }
        let key: Vec<Option<&Arc<str>>> =
            kept.iter().map(|dimension| labels.and_then(|labels| labels.get(dimension))).collect();
        let place = match known.get(&key) {
            Some(place) => *place,
            None => {
                if sets.len() >= SETS_MAX {
                    return None;
                }
                let named = kept.iter().zip(&key);
                let set = named
                    .filter_map(|(dimension, value)| Some((dimension.to_string(), (*value)?.to_string())));
                let place = u32::try_from(sets.len()).ok()?;
                sets.push(set.collect());
                known.insert(key, place);
                place
            }
        };
        seen.insert(same, place);
        places.push(place);
    }
    Some((sets, places))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn legs(values: &[&[(&str, &str)]]) -> Vec<Option<Arc<LegLabels>>> {
        let of = |labels: &&[(&str, &str)]| {
            let labels = labels.iter().map(|(dimension, value)| (Arc::from(*dimension), Arc::from(*value)));
            Some(Arc::new(labels.collect()))
        };
        values.iter().map(of).collect()
    }

    #[test]
    fn a_route_is_the_path_without_query_and_identifiers() {
        for (path, expected) in [
            ("/v1/chat?x=1", "/v1/chat"),
            ("/v1/orders/12345/notes", "/v1/orders/*/notes"),
            ("/users/9f8b1c2d-0000-4000-8000-1234567890ab", "/users/*"),
            ("/beef/deadbeef", "/beef/deadbeef"),
            ("", ""),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn combinations_are_listed_in_order_of_appearance() {
        let all =
            legs(&[&[("tier", "b"), ("route", "/x")], &[("tier", "a")], &[("tier", "b"), ("route", "/x")]]);
        let kept = [Arc::from("tier"), Arc::from("route")];
        let all: Vec<_> = all.iter().map(Option::as_ref).collect();
        let (sets, places) = sets(&all, &kept).unwrap();
        let text = |(dimension, value): (&str, &str)| (dimension.to_owned(), value.to_owned());
        assert_eq!(sets, [[("tier", "b"), ("route", "/x")].map(text).to_vec(), vec![text(("tier", "a"))]]);
        assert_eq!(places, [0, 1, 0]);
    }

    #[test]
    fn labels_that_are_empty_or_long_are_none() {
        let mut interner = Interner::default();
        let long = "x".repeat(65);
        let row = RowLabels {
            tier: Some(""),
            tags: &[
                ("note", &long),
                ("weir.choices", "2"),
                ("response.header.x", "y"),
                ("lang", "de"),
                ("region", "eu"),
            ],
            ..RowLabels::default()
        };
        let labels = interner.labels(&row).unwrap();
        let pairs: Vec<(&str, &str)> =
            labels.iter().map(|(dimension, value)| (&**dimension, &**value)).collect();
        assert_eq!(pairs, [("language", "de"), ("tag:region", "eu")]);
        assert!(interner.labels(&RowLabels::default()).is_none());
    }
}
