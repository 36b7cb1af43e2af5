//! The rules between the fields of a policy. Each is a function over the fields that it needs, so that one bad field does not
//! hide what is wrong with the others.

use weir_document::{Allowed, Collector, Path};

use crate::headers::is_reserved;
use crate::{
    Candidate, Claim, Cohort, Control, HeaderName, IdentitySource, Match, Mode, NO_COHORT, Noise, Routing,
    Shadow, Text,
};

/// Headers that carry credentials: never an identity, never compared with a text in a policy.
const CREDENTIAL_HEADERS: &[&str] = &["authorization", "proxy-authorization", "x-api-key", "api-key"];

/// Registered claims (RFC 7519 section 4.1) that do not name a user.
const SHARED_CLAIMS: &[&str] = &["aud", "exp", "iat", "iss", "jti", "nbf"];

/// Headers that routing may not overwrite.
pub(crate) const PROTOCOL_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// Every mode has what it needs.
pub(crate) fn check_mode(
    mode: &Mode,
    candidate: &Option<Candidate>,
    identity: &[IdentitySource],
    cohorts: &[Cohort],
    shadow: &Shadow,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let routes = matches!(mode, Mode::Canary | Mode::Full);
    if candidate.is_none() && (routes || *mode == Mode::Shadow) {
        problems
            .report(&at.key("candidate"), "is missing")
            .hint(format!("mode {mode} sends requests to the candidate; add it, or set mode: off"));
    }
    if routes && identity.is_empty() {
        problems.report(&at.key("identity"), "is missing").hint(format!(
            "mode {mode} needs to know users again, or nobody gets the candidate; add for example [{{header: x-user-id}}]"
        ));
    }
    if routes && cohorts.iter().all(|cohort| cohort.candidate_percent.is_zero()) {
        problems.report(&at.key("cohorts"), "give nobody a share of the candidate").hint(format!(
            "mode {mode} needs a cohort with candidatePercent above 0; for none, set mode: shadow"
        ));
    }
    let copies = !shadow.percent.is_zero()
        || cohorts.iter().any(|cohort| cohort.shadow_percent.is_some_and(|share| !share.is_zero()));
    if *mode == Mode::Shadow && !copies {
        problems
            .report(&at.key("shadow").key("percent"), "is 0, so that nothing is compared")
            .hint("mode shadow needs shadow.percent, or a cohort's shadowPercent, above 0");
    }
}

/// Control and candidate are served by different clusters.
pub(crate) fn check_clusters(
    control: &Control,
    candidate: &Option<Candidate>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let Some(candidate) = candidate else { return };
    let at = at.key("candidate");
    let clusters =
        [("cluster", Some(&candidate.cluster)), ("shadowCluster", candidate.shadow_cluster.as_ref())];
    for (key, cluster) in clusters {
        if let Some(cluster) = cluster.filter(|cluster| **cluster == control.cluster) {
            problems
                .report(&at.key(key), "is control's cluster too")
                .text_value(cluster)
                .hint("control would be compared with itself; give the candidate its own cluster");
        }
    }
}

/// Noise copies need a cluster.
pub(crate) fn check_noise(noise: &Noise, at: &Path<'_>, problems: &mut Collector) {
    if !noise.percent.is_zero() && noise.cluster.is_none() {
        problems
            .report(&at.key("cluster"), "is missing")
            .hint("noise.percent is above 0; name a cluster with control's endpoints, or set percent: 0");
    }
}

/// Noise copies go to control, not to the candidate.
pub(crate) fn check_noise_cluster(
    noise: &Noise,
    candidate: &Option<Candidate>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let (Some(cluster), Some(candidate)) = (&noise.cluster, candidate) else { return };
    if *cluster == candidate.cluster || cluster == candidate.shadow_cluster() {
        problems
            .report(&at.key("noise").key("cluster"), "is the candidate's cluster")
            .text_value(cluster)
            .hint("noise is a second answer of control; name a cluster with control's endpoints");
    }
}

/// Cohorts can be told apart and reached.
pub(crate) fn check_cohorts(cohorts: &[Cohort], at: &Path<'_>, problems: &mut Collector) {
    let at = at.key("cohorts");
    let mut catch_all: Option<&Cohort> = None;
    for (index, cohort) in cohorts.iter().enumerate() {
        let at = at.index(index);
        if cohort.name == NO_COHORT {
            problems
                .report(&at.key("name"), "is the name of requests that no cohort matches")
                .text_value(&cohort.name)
                .hint("choose another name");
        }
        if let Some(first) = cohorts.iter().take(index).position(|earlier| earlier.name == cohort.name) {
            problems
                .report(&at.key("name"), format!("is the name of cohorts[{first}] too"))
                .text_value(&cohort.name)
                .hint("samples are counted by cohort; give each its own name");
        }
        if let Some(catch_all) = catch_all {
            problems.report(&at, "can never match").text_value(&cohort.name).hint(format!(
                "the cohort {:?} before it matches every request; move it to the end",
                catch_all.name
            ));
        } else if cohort.rule.is_none() {
            catch_all = Some(cohort);
        }
    }
}

/// An identity source is one place, and no credential.
pub(crate) fn check_identity(source: &IdentitySource, at: &Path<'_>, problems: &mut Collector) {
    let places = [
        source.header.is_some(),
        source.cookie.is_some(),
        source.query.is_some(),
        source.claim.is_some(),
        source.from.is_some(),
    ];
    if places.iter().filter(|there| **there).count() != 1 {
        problems
            .report(at, "needs exactly one of header, cookie, query, claim and from")
            .hint("write one of them, such as {header: x-user-id} or {claim: {name: sub}}");
    }
    let Some(header) = &source.header else { return };
    let at = at.key("header");
    if is_credential(header) || matches!(header.as_str(), "cookie" | "set-cookie") {
        let hint = if header.as_str() == "cookie" {
            "name the cookie: {cookie: session}"
        } else {
            "let Envoy's jwt_authn filter or your gateway put the user's id into a header such as x-user-id"
        };
        problems
            .report(&at, "carries credentials, which are never an identity")
            .text_value(header)
            .hint(hint);
    } else if is_reserved(header) {
        problems
            .report(&at, "is removed from every request, so that it identifies nobody")
            .text_value(header)
            .allowed("a header that does not start with x-weir-");
    } else if header.is_pseudo() || header.as_str() == "x-request-id" {
        problems
            .report(&at, "does not identify a user")
            .text_value(header)
            .hint("assignment is sticky by user; name a header such as x-user-id");
    }
}

/// A claim is one that tells users apart.
pub(crate) fn check_claim(claim: &Claim, at: &Path<'_>, problems: &mut Collector) {
    if SHARED_CLAIMS.contains(&claim.name.as_str()) {
        problems
            .report(&at.key("name"), "is the same for many users, or changes with every token")
            .text_value(&claim.name)
            .hint("assignment is sticky by user; name a claim such as sub");
    }
}

/// No identity source stands there twice.
pub(crate) fn check_identities(identity: &[IdentitySource], at: &Path<'_>, problems: &mut Collector) {
    for (index, source) in identity.iter().enumerate() {
        if let Some(first) = identity.iter().take(index).position(|earlier| earlier == source) {
            problems
                .report(&at.key("identity").index(index), format!("is the same as identity[{first}]"))
                .hint("remove one of them");
        }
    }
}

/// A rule is one test of a header, or one combination of rules.
pub(crate) fn check_rule(rule: &Match, at: &Path<'_>, problems: &mut Collector) {
    let forms = [rule.all.is_some(), rule.any.is_some(), rule.not.is_some(), rule.header.is_some()];
    let tests = [
        ("exact", rule.exact.is_some()),
        ("prefix", rule.prefix.is_some()),
        ("suffix", rule.suffix.is_some()),
        ("contains", rule.contains.is_some()),
        ("oneOf", rule.one_of.is_some()),
        ("present", rule.present.is_some()),
    ];
    let tests: Vec<&str> = tests.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    if forms.iter().filter(|there| **there).count() != 1 {
        problems
            .report(at, "is not one rule")
            .allowed("exactly one of all, any, not, header")
            .hint("to match every request, leave `match` away; to join rules, write {all: [...]}");
        return;
    }
    let Some(header) = &rule.header else {
        if !tests.is_empty() {
            problems.report(at, format!("has {} without header", tests.join(", "))).hint("add header: NAME");
        }
        return;
    };
    if tests.len() != 1 {
        let message =
            if tests.is_empty() { "has no test".to_owned() } else { format!("has {}", tests.join(", ")) };
        problems
            .report(at, message)
            .allowed("exactly one of exact, prefix, suffix, contains, oneOf, present")
            .hint("to join tests, write {all: [...]} or {any: [...]}");
    }
    let empty = [("prefix", &rule.prefix), ("suffix", &rule.suffix), ("contains", &rule.contains)];
    for (test, text) in empty {
        if text.as_ref().is_some_and(String::is_empty) {
            problems
                .report(&at.key(test), "is empty")
                .hint("to ask whether the header is there, write present: true");
        }
    }
    for (index, text) in rule.one_of.iter().flatten().enumerate() {
        if let Err(refusal) = Text::HeaderValue.check(text) {
            problems
                .report(&at.key("oneOf").index(index), refusal.message)
                .text_value(text)
                .allowed(refusal.allowed.unwrap_or_default());
        }
    }
    check_matched_header(header, &at.key("header"), problems);
}

/// The two routing headers are different ones, and neither breaks the request.
pub(crate) fn check_routing(routing: &Routing, at: &Path<'_>, problems: &mut Collector) {
    if routing.cluster_header.as_ref() == Some(&routing.variant_header) {
        problems
            .report(&at.key("clusterHeader"), "is the variantHeader too")
            .text_value(&routing.variant_header)
            .hint("one header cannot hold both the variant and the cluster");
    }
    check_routing_header(&routing.variant_header, "x-weir-variant", &at.key("variantHeader"), problems);
    if let Some(header) = &routing.cluster_header {
        check_routing_header(header, "x-weir-cluster", &at.key("clusterHeader"), problems);
    }
}

/// The end of a body is no more than its beginning.
pub(crate) fn check_tail(
    body_bytes_max: &u64,
    body_tail_bytes_max: &u64,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if body_tail_bytes_max > body_bytes_max {
        problems
            .report(&at.key("bodyTailBytesMax"), "is more than bodyBytesMax")
            .number_value(body_tail_bytes_max)
            .allowed(format!("0 to {body_bytes_max}"));
    }
}

/// A sample and a batch fit into the outbox.
pub(crate) fn check_limits(
    body_bytes_max: &u64,
    body_tail_bytes_max: &u64,
    outbox_bytes_max: &u64,
    batch_bytes_max: &u64,
    capture_bytes_max: &Option<u64>,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    // A sample holds beginning and end of the request's and of the answer's body.
    let sample_bytes = 2 * (body_bytes_max + body_tail_bytes_max);
    if sample_bytes > *outbox_bytes_max {
        problems
            .report(&at.key("outboxBytesMax"), "is less than one sample can have")
            .number_value(outbox_bytes_max)
            .hint(format!("two bodies of bodyBytesMax + bodyTailBytesMax are {sample_bytes} bytes"));
    }
    if let Some(capture_bytes_max) = capture_bytes_max.filter(|max| sample_bytes > *max) {
        problems
            .report(&at.key("captureBytesMax"), "is less than one sample can have")
            .number_value(capture_bytes_max)
            .hint(format!("two bodies of bodyBytesMax + bodyTailBytesMax are {sample_bytes} bytes"));
    }
    if batch_bytes_max > outbox_bytes_max {
        problems
            .report(&at.key("batchBytesMax"), "is more than outboxBytesMax")
            .number_value(batch_bytes_max)
            .allowed(format!("up to {outbox_bytes_max}"));
    }
}

/// A sample lives until the next batch.
pub(crate) fn check_times(
    flush_interval_ms: &u64,
    sample_age_ms_max: &u64,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if sample_age_ms_max <= flush_interval_ms {
        problems
            .report(&at.key("sampleAgeMsMax"), "is not more than flushIntervalMs")
            .number_value(sample_age_ms_max)
            .hint("samples would be dropped before they are sent");
    }
}

/// Headers that carry credentials never leave the proxy: not the known ones, and none that is named like one.
pub(crate) fn check_kept_header(header: &HeaderName, at: &Path<'_>, problems: &mut Collector) {
    const NAMED: &[&str] =
        &["apikey", "authorization", "cookie", "credential", "passwd", "password", "secret"];
    let plain: String = header.chars().filter(|letter| *letter != '-' && *letter != '_').collect();
    let credential = is_credential(header)
        || NAMED.iter().any(|part| plain.contains(part))
        || ["token", "accesskey", "subscriptionkey", "functionskey"].iter().any(|end| plain.ends_with(end));
    if credential {
        problems
            .report(at, "carries credentials, which are never kept")
            .text_value(header)
            .hint("keep a header that your gateway derives from them, such as x-tier");
    } else if header.is_pseudo() {
        problems.report(at, "is part of every sample already").text_value(header);
    }
}

fn check_matched_header(header: &HeaderName, at: &Path<'_>, problems: &mut Collector) {
    if is_credential(header) {
        problems
            .report(at, "carries credentials, which do not belong in a policy")
            .text_value(header)
            .hint("match a header that your gateway derives from them, such as x-tier");
    } else if is_reserved(header) {
        problems
            .report(at, "is removed from every request, so that the rule never sees it")
            .text_value(header)
            .allowed("a header that does not start with x-weir-");
    }
}

fn check_routing_header(header: &HeaderName, own: &str, at: &Path<'_>, problems: &mut Collector) {
    if is_reserved(header) && header.as_str() != own {
        problems
            .report(at, "has another meaning")
            .text_value(header)
            .allowed(format!("{own}, or a header that does not start with x-weir-"));
    } else if header.is_pseudo() || is_credential(header) || PROTOCOL_HEADERS.contains(&header.as_str()) {
        problems
            .report(at, "is needed by the request itself")
            .text_value(header)
            .hint(format!("the filter overwrites it; use {own}"));
    }
}

pub(crate) fn is_credential(header: &HeaderName) -> bool {
    CREDENTIAL_HEADERS.contains(&header.as_str())
}
