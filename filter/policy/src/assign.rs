//! Which cohort a request belongs to, and which variant answers it.
//!
//! An [`Assignment`] is a handful of numbers that stay valid for the policy that made it. Nothing here allocates, apart from
//! identities that the host gives or that have escapes (see [`IdentitySource`]).

use std::borrow::Cow;

use weir_document::choice;

use crate::{
    Autonomy, Claim, Cohort, IdentitySource, Mode, NO_COHORT, Policy, Purpose, Share, Variant, bucket_ppm,
    identity_hash,
};

/// What is known of a request, wherever it is kept.
pub trait RequestView {
    /// The value of the header `name`, which is in lower case; the first one where it is there several times.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// The value of a claim as the host gives it: text as it is, a number as the eight bytes of a double.
    fn claim(&self, claim: &Claim) -> Option<Cow<'_, [u8]>> {
        let _ = claim;
        None
    }

    /// The client's address, with or without port.
    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// What was decided about a request. It belongs to the policy that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Index of the cohort in the policy.
    pub cohort: Option<u16>,
    /// Index of the identity source in the policy that gave the identity.
    pub identity: Option<u16>,
    /// Stands for the identity in samples.
    pub identity_hash: Option<u64>,
    /// Bucket of the identity, 0 to 999,999.
    pub bucket_ppm: Option<u32>,
    /// The candidate answers the buckets below this, 0 to 1,000,000.
    pub share_ppm: u32,
    /// Which version answers.
    pub variant: Variant,
    /// Why.
    pub reason: Reason,
}

choice! {
    /// Why a request got its variant.
    pub enum Reason {
        /// The policy's mode is off.
        Off = "off",
        /// The policy's mode is rolled-back.
        RolledBack = "rolled-back",
        /// The policy's mode is shadow: control answers everybody.
        ShadowOnly = "shadow-only",
        /// The experiment is not about this request, or the identity is in another part of its layer.
        Outside = "outside",
        /// No cohort matches.
        NoCohort = "no-cohort",
        /// The cohort has no share of the candidate.
        NoShare = "no-share",
        /// No source gave an identity, so that the choice could not be sticky.
        NoIdentity = "no-identity",
        /// The identity is on the deny list.
        Denied = "denied",
        /// The request chose by the force header, and its tier may.
        Forced = "forced",
        /// The identity's bucket is inside the share.
        InsideShare = "inside-share",
        /// The identity's bucket is outside the share.
        OutsideShare = "outside-share",
    }
}

impl Policy {
    /// Decides which variant answers a request.
    #[must_use]
    pub fn assign<V: RequestView + ?Sized>(&self, request: &V) -> Assignment {
        let mut assignment = Assignment {
            cohort: None,
            identity: None,
            identity_hash: None,
            bucket_ppm: None,
            share_ppm: 0,
            variant: Variant::Control,
            reason: Reason::Off,
        };
        if self.mode == Mode::Off {
            return assignment;
        }
        if !self.takes(request) {
            assignment.reason = Reason::Outside;
            return assignment;
        }
        let cohort = self
            .cohorts
            .iter()
            .position(|cohort| cohort.rule.as_ref().is_none_or(|rule| rule.matches(request)))
            .and_then(|index| u16::try_from(index).ok());
        assignment.cohort = cohort;
        let identity = self
            .identity
            .iter()
            .enumerate()
            .find_map(|(index, source)| Some((u16::try_from(index).ok()?, source.find(request)?)));
        if let Some((index, identity)) = &identity {
            assignment.identity = Some(*index);
            assignment.identity_hash = Some(identity_hash(self.salt(), identity));
            assignment.bucket_ppm = Some(bucket_ppm(self.salt(), Purpose::Route, identity));
        }
        let cohort_share = self.cohort(&assignment).map(|cohort| cohort.candidate_percent);
        (assignment.share_ppm, assignment.variant, assignment.reason) =
            self.choose(cohort_share, assignment.bucket_ppm);
        let identity = identity.as_ref().map(|(_, identity)| identity);
        if let Some((variant, reason)) = self.overridden(request, self.tier(&assignment), identity) {
            (assignment.variant, assignment.reason) = (variant, reason);
        }
        assignment
    }

    /// The cohort of an assignment.
    #[must_use]
    pub fn cohort(&self, assignment: &Assignment) -> Option<&Cohort> {
        self.cohorts.get(usize::from(assignment.cohort?))
    }

    /// The name of an assignment's cohort, or [`NO_COHORT`].
    #[must_use]
    pub fn cohort_name(&self, assignment: &Assignment) -> &str {
        self.cohort(assignment).map_or(NO_COHORT, |cohort| &cohort.name)
    }

    /// The tier of an assignment's cohort, or [`NO_COHORT`].
    #[must_use]
    pub fn tier(&self, assignment: &Assignment) -> &str {
        self.cohort(assignment).map_or(NO_COHORT, Cohort::tier)
    }

    /// The autonomy level of an assignment's cohort.
    #[must_use]
    pub fn autonomy(&self, assignment: &Assignment) -> Option<Autonomy> {
        self.cohort(assignment)?.autonomy
    }

    /// The source that gave an assignment's identity.
    #[must_use]
    pub fn identity_source(&self, assignment: &Assignment) -> Option<&IdentitySource> {
        self.identity.get(usize::from(assignment.identity?))
    }

    fn choose(&self, cohort_share: Option<Share>, bucket_ppm: Option<u32>) -> (u32, Variant, Reason) {
        let control = |share_ppm, reason| (share_ppm, Variant::Control, reason);
        match self.mode {
            Mode::Off => return control(0, Reason::Off),
            Mode::Shadow => return control(0, Reason::ShadowOnly),
            Mode::RolledBack => return control(0, Reason::RolledBack),
            Mode::Canary | Mode::Full => {}
        }
        let Some(cohort_share) = cohort_share else { return control(0, Reason::NoCohort) };
        if cohort_share.is_zero() {
            return control(0, Reason::NoShare);
        }
        let share_ppm = if self.mode == Mode::Full { Share::ALL.ppm() } else { cohort_share.ppm() };
        match bucket_ppm {
            None => control(share_ppm, Reason::NoIdentity),
            Some(bucket) if bucket < share_ppm => (share_ppm, Variant::Candidate, Reason::InsideShare),
            Some(_) => control(share_ppm, Reason::OutsideShare),
        }
    }
}

impl Assignment {
    /// Whether the exchange takes no part in the comparison: an override decided, or the experiment is not about it.
    #[must_use]
    pub const fn is_apart(&self) -> bool {
        matches!(self.reason, Reason::Denied | Reason::Forced | Reason::Outside)
    }

    /// The identity's hash as 16 hex digits, as it stands in samples.
    #[must_use]
    pub fn identity_hash_hex(&self) -> Option<String> {
        self.identity_hash.map(|hash| format!("{hash:016x}"))
    }
}

/// Pairs of name and value, names in any case: for tools and tests.
impl<N: AsRef<str>, T: AsRef<[u8]>> RequestView for [(N, T)] {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }
}

impl<N: AsRef<str>, T: AsRef<[u8]>, const LENGTH: usize> RequestView for [(N, T); LENGTH] {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.as_slice().header(name)
    }
}

impl<N: AsRef<str>, T: AsRef<[u8]>> RequestView for Vec<(N, T)> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.as_slice().header(name)
    }
}
