//! What the legs of a file have alike, each once: found for a row by small numbers of its words, so that it is put together
//! once for all rows that say the same.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use weir_policy::headers::PROBE_PATH;
use weir_sample::{Leg, Variant};

use crate::figures::Facts;
use crate::labels::{Interner, RowLabels};
use crate::scan::Word;

/// What a row says about itself that others may say as well.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) leg: Leg,
    pub(crate) variant: Variant,
    pub(crate) revision: Option<i64>,
    pub(crate) policy_digest: Option<Word<'a>>,
    pub(crate) snapshot: Option<Word<'a>>,
    pub(crate) cohort: Option<Word<'a>>,
    pub(crate) tier: Option<Word<'a>>,
    pub(crate) autonomy: Option<Word<'a>>,
    pub(crate) path: Option<Word<'a>>,
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) proxy: Option<Word<'a>>,
    pub(crate) worker: Option<Word<'a>>,
    pub(crate) identified: bool,
    /// Parts per million.
    pub(crate) candidate_ppm: Option<u32>,
    pub(crate) copies: Option<Word<'a>>,
    pub(crate) truncated: bool,
}

/// The kinds of a file's legs, in order of first appearance.
#[derive(Default)]
pub(crate) struct Kinds {
    words: [Words; COLUMNS],
    tags: Words,
    by_key: HashMap<Key, u32, RandomState>,
    by_facts: HashMap<Facts, u32>,
    facts: Vec<Facts>,
    shared: HashMap<String, Arc<str>>,
    interner: Interner,
}

/// Columns of words that are part of a kind.
const COLUMNS: usize = 9;

/// A row's words by their numbers, and what else makes its kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    words: [u32; COLUMNS],
    tags: u32,
    revision: Option<i64>,
    candidate_ppm: Option<u32>,
    leg: Leg,
    variant: Variant,
    identified: bool,
    truncated: bool,
}

/// The words of one column, numbered from 1; 0 is none.
#[derive(Default)]
struct Words {
    known: HashMap<String, u32, RandomState>,
    /// Some of the last ones, by what the column knows them by: most rows have one of them again.
    last: [(u128, u32); LAST],
}

/// Words of a column that are found again without looking at them.
const LAST: usize = 8;

impl Kinds {
    /// The place of a row's kind.
    pub(crate) fn place(&mut self, row: &Row<'_>) -> u32 {
        let columns = [
            row.policy_digest,
            row.snapshot,
            row.cohort,
            row.tier,
            row.autonomy,
            row.path,
            row.proxy,
            row.worker,
            row.copies,
        ];
        let mut words = [0; COLUMNS];
        for ((number, known), word) in words.iter_mut().zip(&mut self.words).zip(columns) {
            *number = word.map_or(0, |word| known.number(word));
        }
        let key = Key {
            words,
            tags: if row.tags.is_empty() { 0 } else { self.tags.of_text(&joined(row.tags)) },
            revision: row.revision,
            candidate_ppm: row.candidate_ppm,
            leg: row.leg,
            variant: row.variant,
            identified: row.identified,
            truncated: row.truncated,
        };
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let facts = self.facts(row);
        let fresh = u32::try_from(self.facts.len()).unwrap_or(u32::MAX);
        let place = *self.by_facts.entry(facts).or_insert_with_key(|facts| {
            self.facts.push(facts.clone());
            fresh
        });
        self.by_key.insert(key, place);
        place
    }

    /// What the kinds are, by their places.
    pub(crate) fn into_facts(self) -> Vec<Facts> {
        self.facts
    }

    fn facts(&mut self, row: &Row<'_>) -> Facts {
        let labels = RowLabels {
            tier: text(row.tier),
            autonomy: text(row.autonomy),
            cohort: text(row.cohort),
            path: text(row.path),
            tags: row.tags,
        };
        let emitter = match (text(row.proxy), text(row.worker)) {
            (None, None) => None,
            (proxy, worker) => Some(format!("{}/{}", proxy.unwrap_or_default(), worker.unwrap_or_default())),
        };
        Facts {
            leg: row.leg,
            variant: row.variant,
            revision: row.revision,
            policy_digest: self.shared(text(row.policy_digest)),
            snapshot: self.shared(text(row.snapshot)),
            cohort: self.shared(text(row.cohort)),
            labels: self.interner.labels(&labels),
            emitter: self.shared(emitter.as_deref()),
            identified: row.identified,
            probe: text(row.path) == Some(PROBE_PATH),
            candidate_ppm: row.candidate_ppm,
            shadowed: text(row.copies).map(|copies| copies.split(',').any(|copy| copy == "shadow")),
            truncated: row.truncated,
        }
    }

    fn shared(&mut self, word: Option<&str>) -> Option<Arc<str>> {
        let word = word?;
        if let Some(known) = self.shared.get(word) {
            return Some(Arc::clone(known));
        }
        let shared: Arc<str> = Arc::from(word);
        self.shared.insert(word.to_owned(), Arc::clone(&shared));
        Some(shared)
    }
}

impl Words {
    fn number(&mut self, word: Word<'_>) -> u32 {
        let place = last_place(word.known_by);
        if let Some((_, number)) =
            self.last.get(place).filter(|(known_by, number)| *known_by == word.known_by && *number != 0)
        {
            return *number;
        }
        let number = self.of_text(word.text);
        self.last.get_mut(place).into_iter().for_each(|last| *last = (word.known_by, number));
        number
    }

    fn of_text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let fresh = u32::try_from(self.known.len() + 1).unwrap_or(u32::MAX);
        self.known.insert(text.to_owned(), fresh);
        fresh
    }
}

/// Where among the last words one is looked for.
fn last_place(known_by: u128) -> usize {
    let folded = (known_by ^ known_by >> 64) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as usize
}

fn text(word: Option<Word<'_>>) -> Option<&str> {
    word.map(|word| word.text)
}

/// Appends the kinds that are not there yet; gives the place of each.
pub(crate) fn merge(facts: &mut Vec<Facts>, others: Vec<Facts>) -> Vec<u32> {
    let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    let mut known: HashMap<Facts, u32> =
        facts.iter().enumerate().map(|(at, facts)| (facts.clone(), place(at))).collect();
    let of = |other: Facts| {
        *known.entry(other).or_insert_with_key(|new| {
            facts.push(new.clone());
            place(facts.len() - 1)
        })
    };
    others.into_iter().map(of).collect()
}

/// Tags as one text, in which no two lists are the same.
fn joined(tags: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for part in tags.iter().flat_map(|(name, value)| [name, value]) {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn word(text: &str) -> Option<Word<'_>> {
        Some(Word { text, known_by: xxh3_128(text.as_bytes()) })
    }

    fn row<'a>(path: &'a str, worker: &'a str, tags: &'a [(&'a str, &'a str)]) -> Row<'a> {
        Row {
            leg: Leg::Primary,
            variant: Variant::Control,
            revision: Some(1),
            policy_digest: None,
            snapshot: word("control-1"),
            cohort: word("general"),
            tier: None,
            autonomy: None,
            path: word(path),
            tags,
            proxy: None,
            worker: word(worker),
            identified: true,
            candidate_ppm: Some(5),
            copies: word("noise,shadow"),
            truncated: false,
        }
    }

    #[test]
    fn rows_that_say_the_same_are_of_one_kind_and_others_are_not() {
        let mut kinds = Kinds::default();
        let (one, other) = ([("a", "b"), ("c", "")], [("a", "bc"), ("", "")]);
        let rows = [
            row("/orders/1", "w0", &one),
            row("/orders/2", "w0", &one),
            row("/orders/1", "w1", &one),
            row("/orders/1", "w0", &other),
            row("/orders/1", "w0", &one),
            Row { truncated: true, ..row("/orders/1", "w0", &one) },
            Row { copies: None, ..row("/orders/1", "w0", &one) },
            Row { revision: None, ..row("/orders/1", "w0", &one) },
        ];
        let places: Vec<u32> = rows.iter().map(|row| kinds.place(row)).collect();
        assert_eq!(places, [0, 0, 1, 2, 0, 3, 4, 5], "a route is one kind, whatever its identifiers");
        let facts = kinds.into_facts();
        assert_eq!(facts[0].emitter.as_deref(), Some("/w0"));
        assert_eq!((facts[0].shadowed, facts[4].shadowed), (Some(true), None));
        assert!(facts[0].labels.as_ref().unwrap().contains_key("tag:a"));
        assert_eq!(facts.len(), 6);
    }

    #[test]
    fn words_are_told_apart_however_many_there_are() {
        let mut words = Words::default();
        let texts: Vec<String> = (0..100).map(|number| format!("w{number}")).collect();
        for _ in 0..2 {
            let numbers: Vec<u32> = texts.iter().map(|text| words.number(word(text).unwrap())).collect();
            assert!(numbers.into_iter().eq(1..=100));
        }
        assert_eq!(Words::default().number(Word { text: "", known_by: 0 }), 1, "an empty word is one");
        assert_eq!(words.number(Word { text: "w7", known_by: 7 }), 8, "known by another number");
    }

    #[test]
    fn kinds_of_two_parts_are_those_of_the_whole() {
        let workers = ["w0", "w1", "w0", "w2", "w1", "w3", "w0"];
        let of = |workers: &[&str]| {
            let mut kinds = Kinds::default();
            let places: Vec<u32> =
                workers.iter().map(|worker| kinds.place(&row("/chat", worker, &[]))).collect();
            (places, kinds.into_facts())
        };
        let (places, facts) = of(&workers);
        for at in 0..=workers.len() {
            let ((mut joined, mut first), (second, others)) = (of(&workers[..at]), of(&workers[at..]));
            let moved = merge(&mut first, others);
            joined.extend(second.iter().map(|place| moved[*place as usize]));
            assert_eq!((joined, first), (places.clone(), facts.clone()), "{at}");
        }
    }
}
