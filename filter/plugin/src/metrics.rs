//! Counters and gauges, counted in memory and handed to the host once per tick.
//!
//! The host's metrics have no labels, so a label is packed into the name as `;label=value`, after a base name:
//! `weir_requests_total;variant=control;cohort=general;tier=general`. Envoy keeps them below `wasmcustom.`, a prefix
//! that its Prometheus output drops. These `stats_tags` turn the packed labels into real ones (the first group is cut
//! out of the name, the second is the value):
//!
//! ```yaml
//! - {tag_name: variant, regex: "(;variant=([^;]*))"}
//! - {tag_name: cohort,  regex: "(;cohort=([^;]*))"}
//! - {tag_name: tier,    regex: "(;tier=([^;]*))"}
//! - {tag_name: experiment, regex: "(;experiment=([^;]*))"}
//! - {tag_name: leg,     regex: "(;leg=([^;]*))"}
//! - {tag_name: reason,  regex: "(;reason=([^;]*))"}
//! - {tag_name: digest,  regex: "(;digest=([^;]*))"}
//! ```
//!
//! | metric | labels | counts |
//! |---|---|---|
//! | `weir_requests_total` | variant, cohort, tier, and experiment where there are several | exchanges that the policy looked at |
//! | `weir_no_identity_total` | | exchanges without any of the policy's identities (served by control) |
//! | `weir_set_apart_total` | reason | exchanges that take no part: overrides, and bodies that cannot be rewritten |
//! | `weir_not_rewritten_total` | | bodies for the candidate that were no JSON object after all, and passed as they were |
//! | `weir_forged_headers_total` | | inbound `x-weir-*` headers that were removed |
//! | `weir_mirrored_total` | leg (shadow, noise) | exchanges whose copy was asked for |
//! | `weir_skipped_total` | leg (primary, shadow, noise), reason | captures and copies that were not made |
//! | `weir_pairs_total` | leg (shadow, noise) | exchanges of which both legs ended |
//! | `weir_half_pairs_total` | leg (the one that never ended), reason (age, full, push) | the others |
//! | `weir_unmatched_total` | leg | upstream exchanges that no downstream exchange is known of, or a repeated attempt |
//! | `weir_samples_total` | leg, variant | legs put into the outbox |
//! | `weir_sent_total` | variant | legs that the sink confirmed |
//! | `weir_resent_total` | | records sent once more, which the sink may have got twice (it knows them by their numbers) |
//! | `weir_drops_total` | variant, reason | legs that were given up |
//! | `weir_sink_failures_total` | | batches that were refused, not answered or not dispatched |
//! | `weir_host_refusals_total` | | host calls that failed |
//! | `weir_clock_backwards_total` | | times that ran backwards and were taken as 0 |
//! | `weir_config_rejected_total` | | configurations that were refused; those that come late, once per worker |
//! | `weir_config_accepted_total` | | configurations that were taken, once per worker and once in the trial VM |
//! | `weir_guard_trips_total` | cohort, reason (failures, slow) | cohorts that a guard took from the candidate |
//! | `weir_guard_held_total` | | exchanges that control served because of it |
//! | `weir_guard_held_cohorts` (gauge) | | cohorts that are taken from the candidate now, all workers |
//! | `weir_crowded_total` | | legs whose bodies were cut short for want of memory |
//! | `weir_capture_bytes` (gauge) | | memory of bodies that are being captured, all workers |
//! | `weir_guest_memory_bytes` (gauge) | | memory of the VMs, all workers; never given back |
//! | `weir_heartbeat_total` | | ticks; no growth means that the filter is bypassed |
//! | `weir_outbox_bytes` (gauge) | | estimated bytes in all workers' outboxes |
//! | `weir_pending_pairs` (gauge) | | exchanges waiting for a leg, all workers |
//! | `weir_config_digest` (gauge) | | the first 13 of the 16 hex digits of that policy's digest, as a number |
//! | `weir_config_revision` (gauge) | | revision of the policy, or of the document of several experiments, that took traffic last |
//!
//! Bound: at most [`REQUEST_SERIES_MAX`] series of requests; cohorts beyond it are counted as cohort `other`.

use weir_wire::{LegKind, Variant};

use crate::host::{Host, MetricKind};

/// Series of `weir_requests_total` that one worker names, over all policies it has seen.
pub const REQUEST_SERIES_MAX: usize = 1000;

/// Why a leg was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The outbox was full.
    OutboxFull,
    /// It was older than the policy allows.
    TooOld,
    /// It alone was larger than a batch may be.
    TooLarge,
    /// The sink said that it would never take it.
    Refused,
}

/// Why a capture or a copy was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// As many exchanges as allowed are being captured.
    Busy,
    /// The host refused a call.
    HostRefused,
    /// The request has no `x-request-id` that its copies could be known by.
    NoRequestId,
    /// An exchange with the same `x-request-id` is still waited for.
    RepeatedRequestId,
    /// The policy does not allow copies of this method.
    Method,
    /// The policy does not allow copies of this content type.
    ContentType,
    /// As many copies as allowed are under way.
    InFlight,
    /// As many copies as allowed were made in this minute.
    PerMinute,
    /// The copies of this minute have cost their tokens.
    Tokens,
    /// As many samples as allowed were taken in this second.
    PerSecond,
    /// The bodies that are being captured take all the memory that they may.
    Memory,
    /// The connection becomes something else than HTTP.
    Upgrade,
    /// The question is too large to be sent again.
    TooLarge,
}

/// Why an exchange takes no part: it is neither captured nor copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Its identity is on the deny list.
    Denied,
    /// It chose by the force header.
    Forced,
    /// Its body is larger than the candidate's request may be rewritten in.
    BodyTooLarge,
    /// Its body's length is not known when its headers come.
    BodyLengthUnknown,
    /// Its body is not JSON, so that no field of it can be set.
    BodyNotJson,
    /// Its body is compressed.
    BodyEncoded,
    /// No experiment is about it.
    Outside,
}

/// Why an exchange stayed half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The other leg did not end in time.
    Age,
    /// The table was full.
    Full,
    /// A policy push took the root that waited for the answer to its call.
    Push,
}

/// A counter without free labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// `weir_no_identity_total`
    NoIdentity,
    /// `weir_forged_headers_total`
    ForgedHeaders,
    /// `weir_mirrored_total`
    Mirrored(LegKind),
    /// `weir_set_apart_total`
    SetApart(Apart),
    /// `weir_not_rewritten_total`
    NotRewritten,
    /// `weir_skipped_total`
    Skipped(LegKind, Skip),
    /// `weir_pairs_total`
    Pairs(LegKind),
    /// `weir_half_pairs_total`
    HalfPairs(LegKind, Half),
    /// `weir_unmatched_total`
    Unmatched(LegKind),
    /// `weir_samples_total`
    Samples(LegKind, Variant),
    /// `weir_sent_total`
    Sent(Variant),
    /// `weir_drops_total`
    Drops(Variant, Loss),
    /// `weir_sink_failures_total`
    SinkFailures,
    /// `weir_host_refusals_total`
    HostRefusals,
    /// `weir_clock_backwards_total`
    ClockBackwards,
    /// `weir_config_rejected_total`
    ConfigRejected,
    /// `weir_config_accepted_total`
    ConfigAccepted,
    /// `weir_heartbeat_total`
    Heartbeat,
    /// `weir_guard_held_total`
    GuardHeld,
    /// `weir_crowded_total`
    Crowded,
    /// `weir_resent_total`
    Resent,
}

/// Index of a series of `weir_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSeries(usize);

/// All metrics of one worker.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Vec<Counter>,
    requests: Vec<Counter>,
    guard_trips: Vec<Counter>,
    held_cohorts: Sum,
    outbox_bytes: Sum,
    capture_bytes: Sum,
    guest_memory: Sum,
    pending_pairs: Sum,
    /// Revision and digest, and whether the host has them.
    policy: Option<([u64; 2], bool)>,
    policy_ids: [Option<u32>; 2],
}

#[derive(Debug)]
struct Counter {
    name: String,
    id: Option<u32>,
    unsent: u64,
}

/// This worker's part of a gauge that all workers add to.
#[derive(Debug, Default)]
struct Sum {
    id: Option<u32>,
    sent: i64,
    now: i64,
}

impl Metrics {
    /// Adds one.
    pub fn count(&mut self, what: Count) {
        self.count_many(what, 1);
    }

    /// Adds some.
    pub fn count_many(&mut self, what: Count, many: u64) {
        let index = what.index();
        while self.counters.len() <= index {
            self.counters.push(Counter::named(String::new()));
        }
        if let Some(counter) = self.counters.get_mut(index) {
            if counter.name.is_empty() {
                counter.name = what.name();
            }
            counter.unsent = counter.unsent.saturating_add(many);
        }
    }

    /// The series for a variant of a cohort; made when a policy is taken, not per exchange.
    /// `experiment` where there are several.
    pub fn request_series(
        &mut self,
        variant: Variant,
        cohort: &str,
        tier: &str,
        experiment: Option<&str>,
    ) -> RequestSeries {
        let name = request_name(variant, cohort, tier, experiment);
        if let Some(index) = self.requests.iter().position(|counter| counter.name == name) {
            return RequestSeries(index);
        }
        // The last two places, one per variant, are for whatever does not fit.
        if self.requests.len() + 2 >= REQUEST_SERIES_MAX && cohort != OTHER {
            return self.request_series(variant, OTHER, OTHER, None);
        }
        self.requests.push(Counter::named(name));
        RequestSeries(self.requests.len() - 1)
    }

    /// Counts an exchange.
    pub fn count_request(&mut self, series: RequestSeries) {
        if let Some(counter) = self.requests.get_mut(series.0) {
            counter.unsent = counter.unsent.saturating_add(1);
        }
    }

    /// Counts a guard that tripped; rare, so that its series is made here.
    pub(crate) fn count_guard_trip(&mut self, cohort: &str, reason: &str) {
        let cohort = if self.guard_trips.len() < REQUEST_SERIES_MAX { cohort } else { OTHER };
        let name = format!("weir_guard_trips_total;cohort={};reason={reason}", label(cohort));
        match self.guard_trips.iter_mut().find(|counter| counter.name == name) {
            Some(counter) => counter.unsent = counter.unsent.saturating_add(1),
            None => self.guard_trips.push(Counter { unsent: 1, ..Counter::named(name) }),
        }
    }

    /// Sets how many cohorts this worker has taken from the candidate.
    pub(crate) fn set_held(&mut self, cohorts: usize) {
        self.held_cohorts.now = i64::try_from(cohorts).unwrap_or(i64::MAX);
    }

    /// Sets this worker's part of the gauges of memory.
    pub(crate) fn set_memory(&mut self, capture_bytes: usize, guest_memory_bytes: u64) {
        self.capture_bytes.now = i64::try_from(capture_bytes).unwrap_or(i64::MAX);
        self.guest_memory.now = i64::try_from(guest_memory_bytes).unwrap_or(i64::MAX);
    }

    /// Sets this worker's part of the gauges.
    pub fn set_levels(&mut self, outbox_bytes: usize, pending_pairs: usize) {
        self.outbox_bytes.now = i64::try_from(outbox_bytes).unwrap_or(i64::MAX);
        self.pending_pairs.now = i64::try_from(pending_pairs).unwrap_or(i64::MAX);
    }

    /// Sets the policy that this worker serves: its revision, and its digest in hex.
    pub fn set_policy(&mut self, revision: u64, digest: &str) {
        // As many digits as a double holds.
        let digits = digest.get(..13).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        self.policy = Some(([revision, digits.unwrap_or(0)], false));
    }

    /// What was counted and not yet handed over, by full name (for tests and for the curious).
    pub fn unsent(&self, name: &str) -> u64 {
        self.counters
            .iter()
            .chain(&self.requests)
            .chain(&self.guard_trips)
            .filter(|counter| counter.name == name)
            .map(|counter| counter.unsent)
            .sum()
    }

    /// Hands the counters over. What the host refuses stays for the next time.
    pub fn flush_counters(&mut self, host: &impl Host) {
        for counter in self.counters.iter_mut().chain(&mut self.requests).chain(&mut self.guard_trips) {
            counter.flush(host);
        }
    }

    /// Hands everything over. What the host refuses stays for the next time.
    pub fn flush(&mut self, host: &impl Host) {
        self.flush_counters(host);
        if self.held_cohorts.id.is_some() || self.held_cohorts.now > 0 {
            self.held_cohorts.flush(host, "weir_guard_held_cohorts");
        }
        self.outbox_bytes.flush(host, "weir_outbox_bytes");
        self.capture_bytes.flush(host, "weir_capture_bytes");
        self.guest_memory.flush(host, "weir_guest_memory_bytes");
        self.pending_pairs.flush(host, "weir_pending_pairs");
        if let Some((values, false)) = self.policy {
            let names = ["weir_config_revision", "weir_config_digest"];
            let mut set = true;
            for ((value, name), id) in values.iter().zip(names).zip(&mut self.policy_ids) {
                let id = define(host, id, MetricKind::Gauge, name);
                set &= id.is_some_and(|id| host.set_metric(id, *value).is_ok());
            }
            self.policy = Some((values, set));
        }
    }
}

impl Counter {
    fn named(name: String) -> Self {
        Self { name, id: None, unsent: 0 }
    }

    fn flush(&mut self, host: &impl Host) {
        if self.unsent == 0 {
            return;
        }
        let Some(id) = define(host, &mut self.id, MetricKind::Counter, &self.name) else {
            return;
        };
        let offset = i64::try_from(self.unsent).unwrap_or(i64::MAX);
        if host.add_metric(id, offset).is_ok() {
            self.unsent -= offset.unsigned_abs();
        }
    }
}

impl Sum {
    fn flush(&mut self, host: &impl Host, name: &str) {
        // A gauge that was never touched is left out by the host, and adding nothing is refused: one up, one down.
        let first = self.id.is_none();
        let Some(id) = define(host, &mut self.id, MetricKind::Gauge, name) else {
            return;
        };
        if first && self.now == 0 && host.add_metric(id, 1).is_ok() {
            self.sent = 1;
        }
        let offset = self.now.saturating_sub(self.sent);
        if offset != 0 && host.add_metric(id, offset).is_ok() {
            self.sent = self.now;
        }
    }
}

const OTHER: &str = "other";

impl Count {
    /// A dense index, so that counting is an addition in an array.
    fn index(self) -> usize {
        match self {
            Self::NoIdentity => 0,
            Self::ForgedHeaders => 1,
            Self::SinkFailures => 2,
            Self::HostRefusals => 3,
            Self::ClockBackwards => 4,
            Self::ConfigRejected => 5,
            Self::ConfigAccepted => 6,
            Self::Heartbeat => 7,
            Self::Mirrored(leg) => 8 + leg as usize,
            Self::Pairs(leg) => 11 + leg as usize,
            Self::Unmatched(leg) => 14 + leg as usize,
            Self::HalfPairs(leg, why) => 17 + 3 * (why as usize) + leg as usize,
            Self::Samples(leg, variant) => 26 + 3 * (variant as usize) + leg as usize,
            Self::Sent(variant) => 32 + variant as usize,
            Self::Drops(variant, why) => 34 + 2 * (why as usize) + variant as usize,
            Self::GuardHeld => 42,
            Self::SetApart(why) => 43 + why as usize,
            Self::Crowded => 50,
            Self::Resent => 51,
            Self::NotRewritten => 52,
            Self::Skipped(leg, why) => 53 + 3 * (why as usize) + leg as usize,
        }
    }

    fn name(self) -> String {
        match self {
            Self::NoIdentity => "weir_no_identity_total".to_owned(),
            Self::ForgedHeaders => "weir_forged_headers_total".to_owned(),
            Self::SinkFailures => "weir_sink_failures_total".to_owned(),
            Self::HostRefusals => "weir_host_refusals_total".to_owned(),
            Self::ClockBackwards => "weir_clock_backwards_total".to_owned(),
            Self::ConfigRejected => "weir_config_rejected_total".to_owned(),
            Self::ConfigAccepted => "weir_config_accepted_total".to_owned(),
            Self::Heartbeat => "weir_heartbeat_total".to_owned(),
            Self::GuardHeld => "weir_guard_held_total".to_owned(),
            Self::Crowded => "weir_crowded_total".to_owned(),
            Self::Resent => "weir_resent_total".to_owned(),
            Self::Mirrored(leg) => format!("weir_mirrored_total;leg={}", leg.as_str()),
            Self::NotRewritten => "weir_not_rewritten_total".to_owned(),
            Self::SetApart(why) => format!("weir_set_apart_total;reason={}", why.as_str()),
            Self::Pairs(leg) => format!("weir_pairs_total;leg={}", leg.as_str()),
            Self::Unmatched(leg) => format!("weir_unmatched_total;leg={}", leg.as_str()),
            Self::Skipped(leg, why) => format!(
                "weir_skipped_total;leg={};reason={}",
                leg.as_str(),
                match why {
                    Skip::Busy => "busy",
                    Skip::HostRefused => "host",
                    Skip::NoRequestId => "no_request_id",
                    Skip::RepeatedRequestId => "repeated_request_id",
                    Skip::Method => "method",
                    Skip::ContentType => "content_type",
                    Skip::InFlight => "in_flight",
                    Skip::PerMinute => "per_minute",
                    Skip::Tokens => "tokens",
                    Skip::PerSecond => "per_second",
                    Skip::Memory => "memory",
                    Skip::Upgrade => "upgrade",
                    Skip::TooLarge => "too_large",
                }
            ),
            Self::HalfPairs(leg, why) => format!(
                "weir_half_pairs_total;leg={};reason={}",
                leg.as_str(),
                match why {
                    Half::Age => "age",
                    Half::Full => "full",
                    Half::Push => "push",
                }
            ),
            Self::Samples(leg, variant) => {
                format!("weir_samples_total;leg={};variant={}", leg.as_str(), variant.as_str())
            }
            Self::Sent(variant) => format!("weir_sent_total;variant={}", variant.as_str()),
            Self::Drops(variant, why) => format!(
                "weir_drops_total;variant={};reason={}",
                variant.as_str(),
                match why {
                    Loss::OutboxFull => "outbox_full",
                    Loss::TooOld => "too_old",
                    Loss::TooLarge => "too_large",
                    Loss::Refused => "refused",
                }
            ),
        }
    }
}

impl Apart {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Forced => "forced",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyLengthUnknown => "body_length_unknown",
            Self::BodyNotJson => "body_not_json",
            Self::BodyEncoded => "body_encoded",
            Self::Outside => "outside",
        }
    }
}

fn request_name(variant: Variant, cohort: &str, tier: &str, experiment: Option<&str>) -> String {
    let experiment = experiment.map(|name| format!(";experiment={}", label(name))).unwrap_or_default();
    format!(
        "weir_requests_total;variant={};cohort={};tier={}{experiment}",
        variant.as_str(),
        label(cohort),
        label(tier)
    )
}

/// A label's value: what would end it or split a stat's name is replaced.
fn label(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' => letter,
            _ => '_',
        })
        .collect()
}

fn define(host: &impl Host, id: &mut Option<u32>, kind: MetricKind, name: &str) -> Option<u32> {
    if id.is_none() {
        *id = host.define_metric(kind, name).ok();
    }
    *id
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const LEGS: [LegKind; 3] = [LegKind::Primary, LegKind::Shadow, LegKind::Noise];
    const VARIANTS: [Variant; 2] = [Variant::Control, Variant::Candidate];

    fn every() -> Vec<Count> {
        let mut all = vec![
            Count::NoIdentity,
            Count::ForgedHeaders,
            Count::SinkFailures,
            Count::HostRefusals,
            Count::ClockBackwards,
            Count::ConfigRejected,
            Count::ConfigAccepted,
            Count::Heartbeat,
            Count::GuardHeld,
            Count::Crowded,
            Count::Resent,
            Count::NotRewritten,
        ];
        for leg in LEGS {
            all.extend([Count::Mirrored(leg), Count::Pairs(leg), Count::Unmatched(leg)]);
            all.extend(
                [
                    Skip::Busy,
                    Skip::HostRefused,
                    Skip::NoRequestId,
                    Skip::RepeatedRequestId,
                    Skip::Method,
                    Skip::ContentType,
                    Skip::InFlight,
                    Skip::PerMinute,
                    Skip::Tokens,
                    Skip::PerSecond,
                    Skip::Memory,
                    Skip::Upgrade,
                    Skip::TooLarge,
                ]
                .map(|why| Count::Skipped(leg, why)),
            );
            all.extend([Half::Age, Half::Full, Half::Push].map(|why| Count::HalfPairs(leg, why)));
            all.extend(VARIANTS.map(|variant| Count::Samples(leg, variant)));
        }
        all.extend(
            [
                Apart::Denied,
                Apart::Forced,
                Apart::BodyTooLarge,
                Apart::BodyLengthUnknown,
                Apart::BodyNotJson,
                Apart::BodyEncoded,
                Apart::Outside,
            ]
            .map(Count::SetApart),
        );
        for variant in VARIANTS {
            all.push(Count::Sent(variant));
            all.extend(
                [Loss::OutboxFull, Loss::TooOld, Loss::TooLarge, Loss::Refused]
                    .map(|why| Count::Drops(variant, why)),
            );
        }
        all
    }

    #[test]
    fn every_counter_has_its_own_place_and_name() {
        let all = every();
        let mut indexes: Vec<_> = all.iter().map(|count| count.index()).collect();
        let mut names: Vec<_> = all.iter().map(|count| count.name()).collect();
        indexes.sort_unstable();
        names.sort_unstable();
        names.dedup();
        assert_eq!(indexes, (0..all.len()).collect::<Vec<_>>());
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn series_of_requests_are_bounded() {
        let mut metrics = Metrics::default();
        for cohort in 0..3000 {
            for variant in VARIANTS {
                let series = metrics.request_series(variant, &format!("c{cohort}"), "t", None);
                metrics.count_request(series);
            }
        }
        assert_eq!(metrics.requests.len(), REQUEST_SERIES_MAX);
        assert_eq!(metrics.requests.iter().map(|counter| counter.unsent).sum::<u64>(), 6000);
    }

    #[test]
    fn a_label_cannot_break_a_name() {
        assert_eq!(
            request_name(Variant::Control, "a;b=c.d", "\u{e9}", Some("x")),
            "weir_requests_total;variant=control;cohort=a_b_c_d;tier=_;experiment=x"
        );
    }
}
