//! Exceptions from the assignment: a header by which trusted tiers choose for themselves, and identities that are left alone.
//!
//! Exchanges that an override decided are neither captured nor copied: a choice is no random draw, and who is on the deny
//! list takes no part. They are counted. Mode `off` knows no overrides.

use std::borrow::Cow;

use weir_document::{Allowed, Collector, Items, Path, document};

use crate::check::{PROTOCOL_HEADERS, is_credential};
use crate::headers::is_reserved;
use crate::{
    Cohort, HeaderName, IdentitySource, Mode, NO_COHORT, Policy, Reason, RequestView, Text, Variant,
};

document! {
    /// Exceptions from the assignment.
    pub struct Overrides {
        /// Request header by which a client chooses: `control` or `candidate`. It counts in the modes canary and full, for
        /// the tiers below only; it is passed on as it is.
        pub force_header: Option<HeaderName>,
        /// Tiers whose requests may choose. They must be matched by headers that clients cannot set.
        pub force_tiers: Vec<String> = Vec::new() => Items(0..=64),
        /// Identities that control always answers, and of which nothing is captured or copied.
        pub deny: Vec<String> = Vec::new() => Items(0..=1_000),
    }
    validate check_overrides;
}

impl Policy {
    /// What an override says about a request of a tier.
    pub(crate) fn overridden<V: RequestView + ?Sized>(
        &self,
        request: &V,
        tier: &str,
        identity: Option<&Cow<'_, [u8]>>,
    ) -> Option<(Variant, Reason)> {
        let overrides = self.overrides.as_ref()?;
        let denied =
            |identity: &Cow<'_, [u8]>| overrides.deny.iter().any(|text| text.as_bytes() == identity.as_ref());
        if identity.is_some_and(denied) {
            return Some((Variant::Control, Reason::Denied));
        }
        let header = overrides.force_header.as_deref()?;
        if !matches!(self.mode, Mode::Canary | Mode::Full)
            || !overrides.force_tiers.iter().any(|name| name == tier)
        {
            return None;
        }
        let wanted = request.header(header)?;
        let variant = Variant::ALL.iter().find(|variant| variant.as_str().as_bytes() == wanted)?;
        Some((*variant, Reason::Forced))
    }
}

/// A header that chooses has somebody who may choose, and the other way round.
pub(crate) fn check_overrides(overrides: &Overrides, at: &Path<'_>, problems: &mut Collector) {
    match &overrides.force_header {
        Some(header) => check_force_header(header, overrides, at, problems),
        None if !overrides.force_tiers.is_empty() => {
            problems
                .report(&at.key("forceHeader"), "is missing")
                .hint("forceTiers may choose by a header; name it, for example x-force-variant");
        }
        None => {}
    }
    for (index, identity) in overrides.deny.iter().enumerate() {
        let at = at.key("deny");
        let refusal = Text::HeaderValue.check(identity).err();
        if identity.is_empty() {
            problems.report(&at.index(index), "is empty").hint("an empty identity counts as none");
        } else if let Some(refusal) = refusal {
            problems
                .report(&at.index(index), refusal.message)
                .text_value(identity)
                .allowed(refusal.allowed.unwrap_or_default());
        }
    }
}

fn check_force_header(header: &HeaderName, overrides: &Overrides, at: &Path<'_>, problems: &mut Collector) {
    let place = at.key("forceHeader");
    if overrides.force_tiers.is_empty() {
        problems
            .report(&at.key("forceTiers"), "is missing")
            .hint("name the tiers that may choose; without any, remove forceHeader");
    }
    if is_reserved(header) {
        problems
            .report(&place, "is removed from every request, so that it chooses nothing")
            .text_value(header)
            .allowed("a header that does not start with x-weir-");
    } else if header.is_pseudo() || is_credential(header) || PROTOCOL_HEADERS.contains(&header.as_str()) {
        problems
            .report(&place, "has another meaning")
            .text_value(header)
            .hint("use a header of its own, for example x-force-variant");
    }
}

/// The tiers that may choose exist, and who is denied can be known.
pub(crate) fn check_override_names(
    overrides: &Option<Overrides>,
    identity: &[IdentitySource],
    cohorts: &[Cohort],
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let Some(overrides) = overrides else { return };
    let at = at.key("overrides");
    for (index, tier) in overrides.force_tiers.iter().enumerate() {
        if tier == NO_COHORT || !cohorts.iter().any(|cohort| cohort.tier() == tier) {
            let mut tiers: Vec<&str> = Vec::new();
            for cohort in cohorts {
                if !tiers.contains(&cohort.tier()) {
                    tiers.push(cohort.tier());
                }
            }
            problems
                .report(&at.key("forceTiers").index(index), "is no cohort's tier")
                .text_value(tier)
                .allowed(tiers.join(", "));
        }
    }
    for (index, cohort) in cohorts.iter().enumerate() {
        let may_choose = overrides.force_tiers.iter().any(|tier| tier == cohort.tier());
        if may_choose && cohort.rule.is_none() {
            problems
                .report(
                    &at.key("forceTiers"),
                    format!("has the tier of cohorts[{index}], which every request is in"),
                )
                .text_value(cohort.tier())
                .hint("anybody could choose; name tiers that are matched by a header of your gateway");
        }
    }
    if !overrides.deny.is_empty() && identity.is_empty() {
        problems
            .report(&at.key("deny"), "has identities, but the policy knows none")
            .hint("add for example identity: [{header: x-user-id}]");
    }
}
