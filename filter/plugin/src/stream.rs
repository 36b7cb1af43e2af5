//! The listener's side of an exchange: assign, mark for the router, decide about copies and capture, tell the client.
//!
//! Host calls of an exchange that is not captured: one for the request's headers, one per forged header, none for
//! control, one for the candidate and one for each of `upstreamHeaders`, one for `clusterHeader`, and one
//! for each response header. An identity that is a claim or the client's address costs one more where it is looked for.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use weir_policy::{
    Assignment, CaptureDecision, Claim, Reason, RequestView, UpstreamHeader, Variant, headers as names,
    table_hash,
};
use weir_wire::LegKind;

use crate::active::Active;
use crate::callouts::HEADERS_BYTES_MAX;
use crate::captured::Captured;
use crate::copying::Places;
use crate::details::tags;
use crate::exchange::{Ended, Exchange};
use crate::filter::{Filter, Stream};
use crate::headers::Headers;
use crate::host::{Host, Map};
use crate::metrics::{Apart, Count, Skip};
use crate::sampling::Sampled;
use crate::texts::TEXT_BYTES_MAX;

/// Longest path that is kept.
const PATH_BYTES_MAX: usize = 2048;

/// The request as the policy may see it. What is not in the headers is asked of the host when the policy wants it.
struct View<'a, H> {
    headers: Headers<'a>,
    /// Hides the headers that a client has forged and that are removed.
    without_owned_by: Option<&'a Active>,
    host: &'a H,
    /// Host calls that failed.
    refused: Cell<u64>,
}

impl<H: Host> View<'_, H> {
    fn property(&self, path: &[&str]) -> Option<Cow<'_, [u8]>> {
        let mut value = Vec::new();
        match self.host.property(path, &mut value) {
            Ok(found) => found.then_some(Cow::Owned(value)),
            Err(_) => {
                self.refused.set(self.refused.get() + 1);
                None
            }
        }
    }
}

impl<H: Host> RequestView for View<'_, H> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        if self.without_owned_by.is_some_and(|active| active.owns_header(name.as_bytes())) {
            return None;
        }
        self.headers.get(name.as_bytes())
    }

    fn claim(&self, claim: &Claim) -> Option<Cow<'_, [u8]>> {
        self.property(&["metadata", "filter_metadata", &claim.namespace, &claim.payload, &claim.name])
    }

    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        self.property(&["source", "address"])
    }
}

impl<H: Host> Filter<H> {
    /// Request headers on the listener's side.
    pub(crate) fn begin_exchange(&mut self, context: u32, active: Rc<Active>, end: bool) {
        let mut bytes = self.take_scratch();
        if self.host.headers(Map::Request, &mut bytes).is_err() {
            // Nothing is known of the request: it passes untouched, and the routes' default is control.
            self.metrics.count(Count::HostRefusals);
            self.streams.remove(&context);
            self.return_scratch(bytes);
            return;
        }
        let stream = self.decide(context, &active, Headers::new(&bytes), end);
        self.streams.insert(context, stream);
        self.return_scratch(bytes);
    }

    fn decide(&mut self, context: u32, active: &Rc<Active>, headers: Headers<'_>, end: bool) -> Stream {
        let forged = self.remove_forged(active, headers);
        let view = View {
            headers,
            without_owned_by: forged.then_some(active),
            host: &self.host,
            refused: Cell::new(0),
        };
        let active = active.of_request(&view);
        let mut assignment = active.policy.assign(&view);
        let refused = view.refused.get();
        self.count_refusals(refused);
        if assignment.variant == Variant::Candidate && active.is_held(assignment.cohort) {
            self.metrics.count(Count::GuardHeld);
            assignment.variant = Variant::Control;
        }
        let outside = assignment.reason == Reason::Outside;
        let unfit = active
            .rewriting
            .as_ref()
            .filter(|_| !outside)
            .and_then(|rewriting| rewriting.obstacle(headers, end));
        if unfit.is_some() {
            assignment.variant = Variant::Control;
        }
        if assignment.variant == Variant::Candidate && !self.mark_candidate(active, assignment.cohort) {
            assignment.variant = Variant::Control;
        }
        if let Some(rewriting) =
            active.rewriting.as_ref().filter(|_| assignment.variant == Variant::Candidate)
        {
            self.rewrite(context, rewriting, headers.get(b":path"), end);
        }
        if assignment.variant == Variant::Control && !outside {
            self.mark_cluster(active, Variant::Control);
        }
        if assignment.identity.is_none() && !outside {
            self.metrics.count(Count::NoIdentity);
        }
        let apart = set_apart(&assignment).or(unfit);
        if let Some(why) = apart {
            self.metrics.count(Count::SetApart(why));
        }
        if let Some(series) = active.series(assignment.cohort, to_wire(assignment.variant)) {
            self.metrics.count_request(series);
        }
        if apart.is_some() {
            return self.uncaptured(active, &assignment);
        }
        self.next_number += 1;
        let key = exchange_key(self.epoch(), self.next_number);
        let decision = active.policy.capture_decision(&assignment, &key);
        let (decision, sampled) = self.sample(active, decision, assignment.variant, headers, &key);
        if !decision.capture_primary() && !sampled.tentative {
            return self.uncaptured(active, &assignment);
        }
        if self.capturing >= active.pending_pairs_max {
            self.metrics.count(Count::Skipped(LegKind::Primary, Skip::Busy));
            return self.uncaptured(active, &assignment);
        }
        // What follows is no message of HTTP: it is neither copied nor captured.
        if headers.get(b"upgrade").is_some() || headers.get(b":method") == Some(b"CONNECT") {
            self.metrics.count(Count::Skipped(LegKind::Primary, Skip::Upgrade));
            return self.uncaptured(active, &assignment);
        }
        let legs = 1 + usize::from(decision.shadow) + usize::from(decision.noise);
        if !self.memory.fits(legs, active.capture_bytes_max) {
            self.metrics.count(Count::Skipped(LegKind::Primary, Skip::Memory));
            return self.uncaptured(active, &assignment);
        }
        let request_id = headers.get(b"x-request-id").unwrap_or_default();
        let request_id_hash = table_hash(self.epoch(), request_id);
        let now = self.now();
        let copied = decision.shadow || decision.noise;
        let mut decision = self.restrict(active, decision, headers, now);
        if copied && decision.sample && !decision.shadow && !decision.noise {
            decision.sample = self.take_place(active, sampled);
        }
        let sampled = Sampled { tentative: !decision.capture_primary(), ..sampled };
        if sampled.tentative && !active.policy.sampling.decides_at_the_end() {
            return self.uncaptured(active, &assignment);
        }
        let decision = self.ask_for_copies(active, decision, headers, request_id, request_id_hash);
        let places = self.places(active, decision, headers);
        let session_hash = self.session(active, headers, forged);
        let exchange = Rc::new(Exchange {
            active: Rc::clone(active),
            session_hash,
            start: now,
            number: self.next_number,
            epoch: self.epoch(),
            cohort: assignment.cohort,
            assigned: assignment.variant,
            identity_hash: assignment.identity_hash,
            share_ppm: share_in_force(active, &assignment),
            probability_primary: decision.inclusion_probability_primary,
            probability_shadow: decision.inclusion_probability_shadow,
            probability_noise: decision.inclusion_probability_noise,
            shadow: decision.shadow,
            noise: decision.noise,
            method: self.texts.of(headers, b":method", TEXT_BYTES_MAX),
            path: self.texts.of(headers, b":path", PATH_BYTES_MAX),
            request_id: known_text(request_id)
                .map_or_else(|| self.texts.of(headers, b"x-request-id", TEXT_BYTES_MAX), Rc::from),
            request_id_hash,
            request_content_type: self.texts.of(headers, b"content-type", TEXT_BYTES_MAX),
            ended: Ended::default(),
            places,
        });
        if exchange.paired() {
            self.pending.insert(Rc::clone(&exchange), now, active.pending_pairs_max, &mut self.metrics);
        }
        self.capturing += 1;
        self.tell_access_log(active, &assignment, Some(&exchange));
        let mut captured = Captured::new(exchange, LegKind::Primary, end, &mut self.memory);
        captured.sampled = sampled;
        tags(&active.request_headers, headers, &mut captured.tags);
        if active.policy.shadow.calls_out() && captured.exchange.paired() {
            captured.question_headers = Some(headers.bytes().into());
        }
        Stream::Captured(Box::new(captured))
    }

    /// The session of an exchange that is captured, where the policy says where it stands.
    fn session(&mut self, active: &Active, headers: Headers<'_>, forged: bool) -> Option<u64> {
        if !active.policy.knows_sessions() {
            return None;
        }
        let without_owned_by = forged.then_some(active);
        let view = View { headers, without_owned_by, host: &self.host, refused: Cell::new(0) };
        let session = active.policy.session_hash(&view);
        let refused = view.refused.get();
        self.count_refusals(refused);
        session
    }

    /// An exchange that is not captured; the candidate's are watched where there is a guard.
    fn uncaptured(&mut self, active: &Rc<Active>, assignment: &Assignment) -> Stream {
        let variant = assignment.variant;
        let watched = self.watched(active, variant, assignment.cohort);
        self.tell_access_log(active, assignment, None);
        Stream::Assigned { active: Rc::clone(active), variant, watched }
    }

    /// Removes inbound headers that only the filter may set. Tells whether there were any.
    fn remove_forged(&mut self, active: &Active, headers: Headers<'_>) -> bool {
        let mut forged = 0;
        for (name, _) in headers.pairs() {
            if active.owns_header(name) {
                forged += 1;
                if self.host.remove_header(Map::Request, name).is_err() {
                    self.metrics.count(Count::HostRefusals);
                }
            }
        }
        if forged > 0 {
            self.metrics.count_many(Count::ForgedHeaders, forged);
        }
        forged > 0
    }

    /// Marks a request for the candidate. `false`: a mark could not be set, and control serves it.
    fn mark_candidate(&mut self, active: &Active, cohort: Option<u16>) -> bool {
        let header = active.policy.routing.variant_header.as_str();
        // The variant is said last: whoever says candidate is routed there.
        if !self.mark_cluster(active, Variant::Candidate) || !self.set(header, Variant::Candidate.as_str()) {
            return false;
        }
        self.tell_upstream(active, cohort, true);
        true
    }

    /// Sets what the policy wants the candidate to know. A served request has its variant already.
    pub(crate) fn tell_upstream(&mut self, active: &Active, cohort: Option<u16>, served: bool) {
        for header in active.policy.upstream_headers() {
            match header {
                UpstreamHeader::Experiment => self.set(names::EXPERIMENT, &active.policy.experiment),
                UpstreamHeader::Variant if served => true,
                UpstreamHeader::Variant => self.set(names::VARIANT, Variant::Candidate.as_str()),
                UpstreamHeader::Snapshot => {
                    self.set(names::SNAPSHOT, active.snapshot(weir_wire::Variant::Candidate))
                }
                UpstreamHeader::Autonomy => match active.cohort(cohort) {
                    (_, _, "") => true,
                    (_, _, autonomy) => self.set(names::AUTONOMY, autonomy),
                },
            };
        }
    }

    /// Names the cluster, where the policy wants it named.
    fn mark_cluster(&mut self, active: &Active, variant: Variant) -> bool {
        match (&active.policy.routing.cluster_header, active.policy.cluster(variant)) {
            (Some(header), Some(cluster)) => self.set(header.as_str(), cluster),
            _ => true,
        }
    }

    /// Takes out what the policy allows no copies of, and what its caps leave no room for. What is possible depends on
    /// the request and on earlier exchanges only, never on what was drawn for this one.
    fn restrict(
        &mut self,
        active: &Active,
        decision: CaptureDecision,
        headers: Headers<'_>,
        now: u64,
    ) -> CaptureDecision {
        let limits = &active.policy.shadow;
        let possible =
            decision.inclusion_probability_shadow > 0.0 || decision.inclusion_probability_noise > 0.0;
        if !possible || !limits.is_limited() {
            return decision;
        }
        let of_request = if !limits.allows_method(headers.get(b":method").unwrap_or_default()) {
            Some(Skip::Method)
        } else if !limits.allows_content_type(headers.get(b"content-type").unwrap_or_default()) {
            Some(Skip::ContentType)
        } else {
            None
        };
        // A second answer of control gets what the candidate's answer leaves over.
        let shadows = u64::from(decision.inclusion_probability_shadow > 0.0);
        let shadow = of_request.or_else(|| self.copying.obstacle(limits, 0, now));
        let noise = of_request.or_else(|| self.copying.obstacle(limits, shadows, now));
        for (drawn, leg, why) in
            [(decision.shadow, LegKind::Shadow, shadow), (decision.noise, LegKind::Noise, noise)]
        {
            if let Some(why) = why.filter(|_| drawn) {
                self.metrics.count(Count::Skipped(leg, why));
            }
        }
        decision.restricted(shadow.is_none(), noise.is_none())
    }

    /// Counts the copies that were asked for, where they are capped.
    fn places(&mut self, active: &Active, decision: CaptureDecision, headers: Headers<'_>) -> Places {
        if !active.policy.shadow.is_capped() || !(decision.shadow || decision.noise) {
            return Places::default();
        }
        let length = headers.get(b"content-length").and_then(|digits| std::str::from_utf8(digits).ok());
        let length = length.and_then(|digits| digits.parse().ok());
        let mut place = |asked: bool| asked.then(|| self.copying.begin(length));
        Places::new(place(decision.shadow), place(decision.noise))
    }

    /// Sets the headers that make the router send copies; what could not be asked for is taken out of the decision.
    fn ask_for_copies(
        &mut self,
        active: &Active,
        mut decision: CaptureDecision,
        headers: Headers<'_>,
        request_id: &[u8],
        request_id_hash: u64,
    ) -> CaptureDecision {
        if !decision.shadow && !decision.noise {
            return decision;
        }
        if active.policy.shadow.calls_out() {
            let too_large = headers.bytes().len() > HEADERS_BYTES_MAX;
            for (asked, leg) in
                [(&mut decision.shadow, LegKind::Shadow), (&mut decision.noise, LegKind::Noise)]
            {
                if *asked {
                    *asked = !too_large;
                    let why = Count::Skipped(leg, Skip::TooLarge);
                    self.metrics.count(if too_large { why } else { Count::Mirrored(leg) });
                }
            }
            return decision;
        }
        // Decided for both copies at once: the first one would otherwise be the second one's obstacle.
        let obstacle = match known_text(request_id) {
            None => Some(Skip::NoRequestId),
            Some(_) if self.pending.waits_for(request_id_hash) => Some(Skip::RepeatedRequestId),
            Some(_) => None,
        };
        if decision.shadow {
            let cluster = active.policy.shadow_cluster();
            decision.shadow = self.ask(obstacle, names::SHADOW, cluster, LegKind::Shadow);
        }
        if decision.noise {
            let cluster = active.policy.noise.cluster.as_deref();
            decision.noise = self.ask(obstacle, names::NOISE, cluster, LegKind::Noise);
        }
        decision
    }

    fn ask(&mut self, obstacle: Option<Skip>, header: &str, cluster: Option<&str>, leg: LegKind) -> bool {
        let set = |filter: &mut Self| cluster.is_some_and(|cluster| filter.set(header, cluster));
        let why = obstacle.or_else(|| (!set(self)).then_some(Skip::HostRefused));
        self.metrics.count(why.map_or(Count::Mirrored(leg), |why| Count::Skipped(leg, why)));
        why.is_none()
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> bool {
        let set = self.host.set_header(Map::Request, name, value.as_bytes()).is_ok();
        if !set {
            self.metrics.count(Count::HostRefusals);
        }
        set
    }
}

/// Sets the response headers. Returns how many the host refused.
pub(crate) fn tell_client(host: &impl Host, active: &Active, variant: Variant) -> u64 {
    let told = &active.policy.response_headers;
    let mut refused = 0;
    if told.variant {
        let set = host.set_header(Map::Response, names::VARIANT, variant.as_str().as_bytes());
        refused += u64::from(set.is_err());
    }
    if told.revision {
        let revision = active.revision_text.as_bytes();
        let set = host.set_header(Map::Response, names::REVISION, revision);
        refused += u64::from(set.is_err());
    }
    refused
}

/// The policy's variant as samples name it.
pub(crate) fn to_wire(variant: Variant) -> weir_wire::Variant {
    match variant {
        Variant::Control => weir_wire::Variant::Control,
        Variant::Candidate => weir_wire::Variant::Candidate,
    }
}

fn set_apart(assignment: &Assignment) -> Option<Apart> {
    match assignment.reason {
        Reason::Denied => Some(Apart::Denied),
        Reason::Forced => Some(Apart::Forced),
        Reason::Outside => Some(Apart::Outside),
        _ => None,
    }
}

/// The share that decided; none where a list, a header or a guard did, so that nobody counts these identities against it.
fn share_in_force(active: &Active, assignment: &Assignment) -> Option<u32> {
    let decided = match assignment.reason {
        Reason::Denied | Reason::Forced | Reason::Outside | Reason::NoIdentity | Reason::Off => false,
        Reason::InsideShare
        | Reason::OutsideShare
        | Reason::NoShare
        | Reason::NoCohort
        | Reason::ShadowOnly
        | Reason::RolledBack => !active.is_held(assignment.cohort),
    };
    decided.then_some(assignment.share_ppm)
}

/// A request id that a copy can be known by: whole, and text.
fn known_text(request_id: &[u8]) -> Option<&str> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&request_id.len());
    fits.then(|| std::str::from_utf8(request_id).ok()).flatten()
}

/// What copies and capture of an exchange are drawn by: never anything that a client could choose.
fn exchange_key(epoch: u64, number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&epoch.to_le_bytes());
    second.copy_from_slice(&number.to_le_bytes());
    key
}
