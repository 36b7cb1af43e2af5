//! What people did after an answer: `retry`, `reprompt`, `abandonment` and `conversation_length`.
//!
//! A session is what shares a session id, or an identity where there is none; a pause of [`PAUSE_US`] ends it. Only
//! primary legs count: nobody saw a copy. Values belong to the answer that was given before, so the variant that caused
//! the retry gets it:
//!
//! - `retry`: 1 where the next request of the session says the same again, within ten minutes.
//! - `reprompt`: 1 where it says nearly the same in other words: over half of the words of both are shared.
//! - `abandonment`: for the last answer of a session: 1 where it failed, was empty, refused, or cut.
//! - `conversation_length`: for the last answer of a session: how many requests the session had.
//!
//! The first two are known when the next request came or ten minutes are over; the others when the pause is. What is still
//! open at the newest sample has no value.

use weir_gate::Better;
pub(crate) use weir_tripwire::last_message;
use xxhash_rust::xxh3::xxh3_64;

use super::flag;
use crate::answer::fold;
use crate::exchange::{Exchange, Exchanges};
use crate::figures::LegRef;
use crate::metric::{Assembled, Metric, SHARE, ValueOf};

/// A longer pause ends a session, microseconds.
const PAUSE_US: i64 = 30 * 60 * 1_000_000;
/// A later request is no retry, microseconds.
const RETRY_US: i64 = 10 * 60 * 1_000_000;
/// Words shared by two requests that ask nearly the same.
const SHARED_MIN: f64 = 0.5;
/// Least hashes of words that are kept of a request.
const SKETCH: usize = 16;

/// What is kept of a request to compare it with the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Request<'a> {
    /// Hash of the folded text, never 0.
    whole: u64,
    /// The least hashes of its words, ascending: two sketches share about as much as the words do. Empty where nobody asks.
    words: &'a [u32],
}

pub(crate) fn metrics() -> Vec<Metric> {
    let metric = |name: &str, unit: &'static str, better, bounds, assembled| Metric {
        name: name.to_owned(),
        unit: unit.into(),
        better,
        bounds,
        value: ValueOf::Assembled(assembled),
        needs_control: None,
    };
    vec![
        metric("retry", "share", Better::Lower, SHARE, Assembled::Retry),
        metric("reprompt", "share", Better::Lower, SHARE, Assembled::Reprompt),
        metric("abandonment", "share", Better::Lower, SHARE, Assembled::Abandonment),
        metric("conversation_length", "requests", Better::Neither, None, Assembled::ConversationLength),
    ]
}

/// Hash of the last message of a request, never 0.
pub(crate) fn asked(text: &str) -> u64 {
    let (folded, _) = fold(last_message(text));
    xxh3_64(folded.trim().as_bytes()).max(1)
}

/// The least hashes of the words of the last message of a request, ascending.
pub(crate) fn sketch(text: &str) -> Vec<u32> {
    let (folded, _) = fold(last_message(text));
    let mut words: Vec<u32> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| (xxh3_64(word.as_bytes()) >> 32) as u32)
        .collect();
    words.sort_unstable();
    words.dedup();
    words.truncate(SKETCH);
    words
}

impl<'a> Request<'a> {
    pub(crate) fn new(whole: u64, words: &'a [u32]) -> Self {
        Self { whole, words }
    }

    fn same(self, other: Self) -> bool {
        self.whole == other.whole
    }

    /// The share of shared words among the least hashes of both: an estimate of their Jaccard similarity (A. Broder, "On
    /// the resemblance and containment of documents", 1997).
    #[allow(clippy::cast_precision_loss)] // at most SKETCH
    fn similar(self, other: Self) -> bool {
        let mut all: Vec<u32> = self.words.iter().chain(other.words).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(SKETCH);
        let both = all.iter().filter(|word| self.words.contains(word) && other.words.contains(word)).count();
        !all.is_empty() && both as f64 / all.len() as f64 >= SHARED_MIN
    }
}

/// The values of one session metric, each with the place of its exchange; of primary legs.
pub(crate) fn values(
    exchanges: &Exchanges<'_>,
    what: Assembled,
    faulty: impl Fn(LegRef<'_>) -> bool,
) -> Vec<(usize, f64)> {
    let newest_us = exchanges.legs().map(|found| found.ts_us()).max().unwrap_or_default();
    let session = |(place, exchange): (usize, Exchange<'_>)| Some((exchange.primary?.session()?, place));
    let mut sessions: Vec<(u64, usize)> = exchanges.iter().enumerate().filter_map(session).collect();
    // Exchanges are in order of time, and so are those of a session.
    sessions.sort_unstable();
    let primary = |place: usize| exchanges.get(place).and_then(|exchange| exchange.primary);
    let mut values = Vec::new();
    for legs in sessions.chunk_by(|one, other| one.0 == other.0) {
        let mut length = 0_u32;
        for (index, (_, place)) in legs.iter().enumerate() {
            let Some(leg) = primary(*place) else { continue };
            length += 1;
            let next = legs.get(index + 1).and_then(|(_, place)| primary(*place));
            let after_us = next.map_or(newest_us, LegRef::ts_us).saturating_sub(leg.ts_us());
            let ends = after_us > PAUSE_US;
            let value = match what {
                Assembled::Retry | Assembled::Reprompt => again(what, leg, next, after_us),
                Assembled::Abandonment if ends => Some(flag(faulty(leg))),
                Assembled::ConversationLength if ends => Some(f64::from(length)),
                _ => None,
            };
            if let Some(value) = value {
                values.push((*place, value));
            }
            if ends {
                length = 0;
            }
        }
    }
    values
}

fn again(what: Assembled, leg: LegRef<'_>, next: Option<LegRef<'_>>, after_us: i64) -> Option<f64> {
    if after_us > RETRY_US {
        return Some(0.0);
    }
    let (asked, next) = (leg.request()?, next?.request()?);
    let same = asked.same(next);
    Some(flag(if what == Assembled::Retry { same } else { !same && asked.similar(next) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_compared_by_their_last_message() {
        let compared = |one: &str, other: &str| {
            let (words, others) = (sketch(one), sketch(other));
            let (one, other) = (Request::new(asked(one), &words), Request::new(asked(other), &others));
            (one.same(other), one.similar(other))
        };
        let first = "system: be brief\nuser: Where is my order 42?";
        assert!(compared(first, "system: be brief\nuser: where is  my order 42?").0);
        assert!(!compared(first, "user: Where is my order 43?").0);
        assert!(compared(first, "user: hello\nassistant: yes?\nuser: so where is my order 42 now?").1);
        assert!(!compared(first, "user: cancel everything please").1);
        assert!(!compared("", "").1);
    }
}
