//! Sampling beyond the share: sessions that were seen, rules that decide at the end, places per second.
//!
//! Places are counted in billionths of a place, so that a tick may bring a part of one. They are filled up at every tick
//! with the time that has passed, at most to those of a second (or of a tick, where that is longer), and start full. An
//! exchange that was drawn needs a place that is left; one that an always-rule takes may also use as many again in
//! advance. So a second never sees more than three times the cap, and a minute hardly more than sixty times. No clock is
//! asked during an exchange.
//!
//! Memory: [`SESSIONS_MAX`] hashes of sessions; the oldest is forgotten first, and its next exchange is a first one again.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;

use weir_policy::{Always, CaptureDecision, Purpose, Share, Variant, bucket_ppm, table_hash};
use weir_wire::LegKind;

use crate::active::Active;
use crate::captured::Captured;
use crate::filter::{Filter, IdHasher};
use crate::headers::Headers;
use crate::host::Host;
use crate::metrics::{Count, Skip};

/// Sessions that one worker remembers.
pub(crate) const SESSIONS_MAX: usize = 16_384;

const PLACE: i128 = 1_000_000_000;

/// What sampling of one worker remembers.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// None before the first tick: places for a second, and nothing known of the traffic.
    room: Option<Room>,
    /// How many exchanges the share has drawn since the latest tick, on average.
    expected: f64,
    scale: Share,
    sessions: HashSet<u64, BuildHasherDefault<IdHasher>>,
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct Room {
    billionths: i128,
    since: u64,
    cap: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            room: None,
            expected: 0.0,
            scale: Share::ALL,
            sessions: HashSet::default(),
            order: VecDeque::new(),
        }
    }
}

impl Sampler {
    /// Fills up the places; `cap` is that of the policy that serves now.
    pub(crate) fn tick(&mut self, now: u64, interval_ms: u64, cap: Option<u64>) {
        let Some(cap) = cap else {
            self.room = None;
            self.scale = Share::ALL;
            return;
        };
        let per_second = i128::from(cap) * PLACE;
        let full = per_second.max(per_second * i128::from(interval_ms) / 1_000);
        let room = match &self.room {
            Some(room) if room.cap == cap => {
                let passed = i128::from(now.saturating_sub(room.since));
                (room.billionths + i128::from(cap) * passed).min(full)
            }
            _ => full,
        };
        let places = room.max(0) as f64 / PLACE as f64;
        let part = if self.expected > places { places / self.expected } else { 1.0 };
        self.scale = Share::from_percent(part * 100.0).unwrap_or(Share::ALL);
        self.expected = 0.0;
        self.room = Some(Room { billionths: room, since: now, cap });
    }

    /// Takes a place; `in_advance` for what an always-rule takes.
    fn admit(&mut self, cap: u64, in_advance: bool) -> bool {
        let full = i128::from(cap) * PLACE;
        let room = self.room.get_or_insert(Room { billionths: full, since: 0, cap });
        let least = if in_advance { -full } else { 0 };
        let admitted = room.billionths > least;
        if admitted {
            room.billionths -= PLACE;
        }
        admitted
    }

    /// Whether a session was not seen before (or so long ago that it was forgotten).
    fn is_new_session(&mut self, session: u64) -> bool {
        if !self.sessions.insert(session) {
            return false;
        }
        self.order.push_back(session);
        if self.order.len() > SESSIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        true
    }
}

/// How a leg came to be captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sampled {
    /// It was not drawn: only a rule at its end can keep it.
    pub(crate) tentative: bool,
    /// A rule took it, whatever was drawn.
    pub(crate) certain: bool,
}

impl<H: Host> Filter<H> {
    /// What sampling makes of a decision when the request's headers are known.
    pub(crate) fn sample(
        &mut self,
        active: &Active,
        decision: CaptureDecision,
        variant: Variant,
        headers: Headers<'_>,
        key: &[u8],
    ) -> (CaptureDecision, Sampled) {
        let sampling = &active.policy.sampling;
        if sampling.always.is_none() && sampling.per_second_max.is_none() {
            return (decision, Sampled::default());
        }
        let certain =
            sampling.always.as_ref().is_some_and(|always| self.takes_at_once(always, variant, headers));
        let mut decision = decision;
        if sampling.per_second_max.is_some() {
            self.sampler.expected += decision.probability_sample;
            let scale = self.sampler.scale;
            if !certain && scale != Share::ALL {
                let taken = decision.sample
                    && bucket_ppm(active.policy.salt(), Purpose::SampleCap, key) < scale.ppm();
                decision = decision.thinned(scale, taken);
            }
            let needs_place = (decision.sample || certain) && !decision.shadow && !decision.noise;
            if needs_place && !self.take_place(active, Sampled { certain, ..Sampled::default() }) {
                decision.sample = false;
                let tentative = sampling.decides_at_the_end() && !certain;
                return (decision, Sampled { tentative, certain: false });
            }
        }
        if certain {
            return (decision.certain(), Sampled { tentative: false, certain });
        }
        let tentative = !decision.capture_primary() && sampling.decides_at_the_end();
        (decision, Sampled { tentative, certain })
    }

    /// Takes a place for an exchange that turned out to have no copies.
    pub(crate) fn take_place(&mut self, active: &Active, sampled: Sampled) -> bool {
        let admitted =
            active.policy.sampling.per_second_max.is_none_or(|cap| self.sampler.admit(cap, sampled.certain));
        if !admitted {
            self.metrics.count(Count::Skipped(LegKind::Primary, Skip::PerSecond));
        }
        admitted
    }

    fn takes_at_once(&mut self, always: &Always, variant: Variant, headers: Headers<'_>) -> bool {
        let session = always
            .session_header
            .as_ref()
            .and_then(|name| headers.get(name.as_bytes()))
            .filter(|session| !session.is_empty());
        // A session is noted also where another rule takes the exchange anyway.
        let is_new = session.is_some_and(|session| {
            let session = table_hash(self.epoch(), session);
            self.sampler.is_new_session(session)
        });
        is_new || always.candidate && variant == Variant::Candidate
    }

    /// Whether a primary leg is kept, now that it is over; notes when a rule at the end took it.
    pub(crate) fn keep(&mut self, captured: &mut Captured) -> bool {
        if captured.kind != LegKind::Primary || captured.sampled.certain {
            return true;
        }
        let active = std::rc::Rc::clone(&captured.exchange.active);
        let sampling = &active.policy.sampling;
        let Some(always) = sampling.always.as_ref().filter(|always| always.decides_at_the_end()) else {
            return !captured.sampled.tentative;
        };
        let tentative = captured.sampled.tentative;
        captured.sampled.certain = self.takes_at_the_end(always, captured);
        if !tentative {
            return true;
        }
        if !captured.sampled.certain {
            return false;
        }
        let sampled = captured.sampled;
        self.take_place(&active, sampled)
    }

    fn takes_at_the_end(&mut self, always: &Always, captured: &Captured) -> bool {
        let seen = &captured.seen;
        let slow_after = always.slow_ms.map(|slow_ms| slow_ms.saturating_mul(1_000_000));
        if always.takes_status(seen.status)
            || slow_after.is_some_and(|limit| seen.end.saturating_sub(seen.start) > limit)
            || always.truncated && (!seen.response_ended || captured.is_cut())
        {
            return true;
        }
        let wanted = always.flags();
        wanted != 0 && self.response_flags().is_some_and(|flags| flags & wanted != 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    proptest! {
        /// Any traffic, any ticks: never more than the places that time has brought.
        #[test]
        fn no_more_is_admitted_than_time_has_brought(steps in proptest::collection::vec((1u64..2_000, 0usize..40, any::<bool>()), 1..60), cap in 1u64..30) {
            let mut sampler = Sampler::default();
            let (mut now, mut drawn, mut certain) = (SECOND, 0u64, 0u64);
            sampler.tick(now, 500, Some(cap));
            for (milliseconds, exchanges, in_advance) in steps {
                for _ in 0..exchanges {
                    if sampler.admit(cap, in_advance) {
                        if in_advance { certain += 1 } else { drawn += 1 }
                    }
                }
                now += milliseconds * 1_000_000;
                sampler.tick(now, 500, Some(cap));
                let brought = cap + cap * (now - SECOND) / SECOND;
                // A place of which only a part was left is given whole.
                prop_assert!(drawn <= brought + 1 && drawn + certain <= brought + cap + 1, "{drawn} {certain} {brought}");
            }
        }
    }

    #[test]
    fn the_scale_is_the_places_over_what_the_share_would_take() {
        let mut sampler = Sampler::default();
        sampler.tick(SECOND, 1_000, Some(10));
        assert_eq!(sampler.scale, Share::ALL, "nothing is known of the traffic");
        sampler.expected = 40.0;
        sampler.tick(2 * SECOND, 1_000, Some(10));
        assert_eq!(sampler.scale, Share::from_whole_percent(25));
        sampler.expected = 40.0;
        for _ in 0..10 {
            assert!(sampler.admit(10, false));
        }
        assert!(!sampler.admit(10, false));
        sampler.tick(2 * SECOND + SECOND / 2, 1_000, Some(10));
        assert_eq!(sampler.scale.ppm(), 125_000, "half a second brings five places");
        sampler.tick(3 * SECOND, 1_000, None);
        assert_eq!(sampler.scale, Share::ALL);
    }

    #[test]
    fn a_session_is_new_once_until_it_is_forgotten() {
        let mut sampler = Sampler::default();
        assert!(sampler.is_new_session(7));
        assert!(!sampler.is_new_session(7));
        for session in 0..SESSIONS_MAX as u64 {
            sampler.is_new_session(100 + session);
        }
        assert!(sampler.is_new_session(7));
        assert!(sampler.order.len() <= SESSIONS_MAX && sampler.sessions.len() <= SESSIONS_MAX);
    }
}
