//! Caps on copies, per worker: how many are under way, how many were made in this minute, how many tokens they cost.
//!
//! A minute is one of the host's clock, not of each policy: caps survive pushes. What is under way when a cap is reached
//! goes on to its end. A clock that goes backwards starts a new minute.
//!
//! Tokens are estimated, never read: four bytes of a body are one, and an event of an event stream is one (streaming
//! models send a token per event, in some 200 bytes of JSON). A question is charged when its copy is asked for, by its
//! `content-length`, or when the copy ends where there is none; an answer is charged when the copy ends.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use weir_policy::Shadow;

use crate::capture::Kept;
use crate::metrics::Skip;

const BYTES_PER_TOKEN: u64 = 4;
const MINUTE_NS: u64 = 60_000_000_000;

/// What copies used so far.
#[derive(Debug, Default)]
pub(crate) struct Copying {
    in_flight: Rc<Cell<u64>>,
    minute: u64,
    copies: u64,
    tokens: u64,
}

/// A copy's place among those under way; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    in_flight: Rc<Cell<u64>>,
    /// Whether the question's tokens were charged already.
    pub(crate) question_charged: bool,
}

/// The places of an exchange's copies, until their streams take them.
#[derive(Default)]
pub(crate) struct Places {
    shadow: Cell<Option<Place>>,
    noise: Cell<Option<Place>>,
}

impl Copying {
    /// Whether one more copy may be made, besides `more` others that are about to be.
    pub(crate) fn obstacle(&mut self, caps: &Shadow, more: u64, now: u64) -> Option<Skip> {
        self.turn(now);
        let reached = |used: u64, max: Option<u64>| max.is_some_and(|max| used >= max);
        if reached(self.in_flight.get() + more, caps.in_flight_max) {
            Some(Skip::InFlight)
        } else if reached(self.copies + more, caps.per_minute_max) {
            Some(Skip::PerMinute)
        } else if reached(self.tokens, caps.tokens_per_minute_max) {
            Some(Skip::Tokens)
        } else {
            None
        }
    }

    /// Makes a copy; `question_bytes` where the request says its length.
    pub(crate) fn begin(&mut self, question_bytes: Option<u64>) -> Place {
        self.in_flight.set(self.in_flight.get() + 1);
        self.copies += 1;
        self.tokens = self.tokens.saturating_add(question_bytes.map_or(0, tokens_of_bytes));
        Place { in_flight: Rc::clone(&self.in_flight), question_charged: question_bytes.is_some() }
    }

    /// A copy ended.
    pub(crate) fn end(&mut self, place: Place, question_bytes: u64, answer_tokens: u64, now: u64) {
        self.turn(now);
        let question = if place.question_charged { 0 } else { tokens_of_bytes(question_bytes) };
        self.tokens = self.tokens.saturating_add(question).saturating_add(answer_tokens);
    }

    fn turn(&mut self, now: u64) {
        let minute = now / MINUTE_NS;
        if minute != self.minute {
            self.minute = minute;
            self.copies = 0;
            self.tokens = 0;
        }
    }
}

impl Places {
    pub(crate) fn new(shadow: Option<Place>, noise: Option<Place>) -> Self {
        Self { shadow: Cell::new(shadow), noise: Cell::new(noise) }
    }

    /// The place of a copy; at most once.
    pub(crate) fn take(&self, leg: weir_wire::LegKind) -> Option<Place> {
        match leg {
            weir_wire::LegKind::Primary => None,
            weir_wire::LegKind::Shadow => self.shadow.take(),
            weir_wire::LegKind::Noise => self.noise.take(),
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }
}

/// Estimated tokens of an answer.
pub(crate) fn tokens_of_answer(answer: &Kept, content_type: &str) -> u64 {
    const STREAM: &str = "text/event-stream";
    let is_stream = content_type.get(..STREAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(STREAM));
    if !is_stream || answer.head.is_empty() {
        return tokens_of_bytes(answer.total);
    }
    let count = |blank: &[u8]| answer.head.windows(blank.len()).filter(|end| *end == blank).count() as u64;
    let events = count(b"\n\n") + count(b"\r\n\r\n");
    // Events behind the head are taken to be as long as those in it.
    let scaled = u128::from(events) * u128::from(answer.total) / answer.head.len() as u128;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn tokens_of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn caps(in_flight: u64, per_minute: u64, tokens: u64) -> Shadow {
        Shadow {
            percent: weir_policy::Share::ALL,
            transport: None,
            timeout_ms: None,
            methods: None,
            content_types: None,
            in_flight_max: Some(in_flight),
            per_minute_max: Some(per_minute),
            tokens_per_minute_max: Some(tokens),
        }
    }

    #[test]
    fn each_cap_closes_and_opens_by_itself() {
        let mut copying = Copying::default();
        let caps = caps(2, 3, 10);
        let first = copying.begin(Some(4));
        let second = copying.begin(None);
        assert_eq!(copying.obstacle(&caps, 0, SECOND), Some(Skip::InFlight));
        drop(first);
        assert_eq!(copying.obstacle(&caps, 0, SECOND), None);
        assert_eq!(copying.obstacle(&caps, 1, SECOND), Some(Skip::InFlight), "there is room for one only");
        copying.end(second, 8, 0, SECOND);
        let third = copying.begin(None);
        assert_eq!(copying.obstacle(&caps, 0, SECOND), Some(Skip::PerMinute));
        assert_eq!(copying.obstacle(&caps, 0, 61 * SECOND), None, "another minute");
        copying.end(third, 0, 10, 61 * SECOND);
        assert_eq!(copying.obstacle(&caps, 0, 61 * SECOND), Some(Skip::Tokens));
        assert_eq!(copying.obstacle(&caps, 0, 121 * SECOND), None);
    }

    #[test]
    fn a_question_is_charged_once() {
        let mut copying = Copying::default();
        let place = copying.begin(Some(40));
        copying.end(place, 40, 0, 0);
        assert_eq!(copying.tokens, 10);
        let place = copying.begin(None);
        copying.end(place, 40, 0, 0);
        assert_eq!(copying.tokens, 20);
    }

    #[test]
    fn tokens_of_streams_are_events_and_of_everything_else_bytes() {
        let kept = |head: &[u8], total| Kept { head: head.to_vec(), tail: Vec::new(), total };
        assert_eq!(tokens_of_answer(&kept(b"12345678", 9), "application/json"), 3);
        assert_eq!(tokens_of_answer(&kept(b"data: a\n\ndata: b\n\n", 18), "text/event-stream"), 2);
        assert_eq!(tokens_of_answer(&kept(b"data: a\r\n\r\n", 110), "Text/Event-Stream; x"), 10);
        assert_eq!(tokens_of_answer(&kept(b"", 8), "text/event-stream"), 2, "nothing was kept of it");
    }

    proptest! {
        #[test]
        fn no_cap_is_ever_passed(steps in proptest::collection::vec((0u8..3, 0u64..200, 0u64..3), 0..200), in_flight in 1u64..5, per_minute in 1u64..20) {
            let mut copying = Copying::default();
            let caps = caps(in_flight, per_minute, 1_000);
            let (mut now, mut places, mut of_minute, mut minute) = (0, Vec::new(), 0, 0);
            for (what, seconds, more) in steps {
                now += seconds * SECOND / 10;
                if now / MINUTE_NS != minute { minute = now / MINUTE_NS; of_minute = 0; }
                if what > 0 {
                    if copying.obstacle(&caps, more, now).is_none() {
                        places.push(copying.begin(Some(seconds)));
                        of_minute += 1;
                    }
                } else if let Some(place) = places.pop() {
                    copying.end(place, 0, seconds, now);
                }
                prop_assert!(places.len() as u64 <= in_flight && of_minute <= per_minute);
                prop_assert_eq!(copying.in_flight.get(), places.len() as u64);
            }
        }
    }
}
