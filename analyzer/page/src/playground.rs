//! Who gets what by a policy, and who moves when it changes: the filter's own assignment, called for one request and for
//! many users like it.

use std::fmt::Write as _;

use serde::Serialize;
use weir_policy::{BUCKETS, Explanation, Policy, Variant, cookie_value};
use weir_report::escape_html;

/// Users that are assigned by both policies to see who moves.
const USERS: u32 = 10_000;
/// Lines of headers that are read.
const HEADERS_MAX: usize = 200;

/// A request assigned, and users like it before and after a change of the policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Playground {
    /// The request's assignment.
    pub explanation: Explanation,
    /// Who moves, where there is a policy to compare with and the request has an identity.
    pub moves: Option<Moves>,
}

/// Users with the request's headers and an identity each, assigned by two policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    /// How many users were assigned.
    pub users: u32,
    /// Of them, those that the candidate answered before.
    pub candidate_before: u32,
    /// Of them, those that it answers now.
    pub candidate_after: u32,
    /// From control to the candidate.
    pub to_candidate: u32,
    /// From the candidate back to control.
    pub to_control: u32,
}

/// Assigns the request with `headers` (lines of `name: value`) by the policy, and compares with the policy `before`.
///
/// # Errors
/// The policy's problems, or a line of headers that is none, as text.
pub fn playground(policy: &str, before: &str, headers: &str) -> Result<Playground, String> {
    let headers = read_headers(headers)?;
    let now = Policy::parse("policy", policy).map_err(|problems| problems.to_string())?;
    let explanation = now.explain(&now.assign(&headers));
    // A policy before that cannot be read is nothing to compare with.
    let before = Policy::parse("policy before", before).ok();
    let moves = before.and_then(|before| moves(&before, &now, &headers));
    Ok(Playground { explanation, moves })
}

fn read_headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate().take(HEADERS_MAX) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(format!("headers line {}: no colon\n  hint: write `name: value`", number + 1));
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

/// Each user is the request with another identity in place of its own.
fn moves(before: &Policy, now: &Policy, headers: &[(String, String)]) -> Option<Moves> {
    let place = Place::of(now, headers)?;
    let mut users = headers.to_vec();
    let mut moves = Moves { users: USERS, ..Moves::default() };
    for user in 0..USERS {
        place.put(&mut users, &format!("user-{user}"));
        let candidate = |policy: &Policy| policy.assign(users.as_slice()).variant == Variant::Candidate;
        let (was, is) = (candidate(before), candidate(now));
        moves.candidate_before += u32::from(was);
        moves.candidate_after += u32::from(is);
        moves.to_candidate += u32::from(!was && is);
        moves.to_control += u32::from(was && !is);
    }
    Some(moves)
}

/// Where a request's identity is: which header, and which cookie in it.
struct Place {
    header: usize,
    cookie: Option<String>,
}

impl Place {
    fn of(policy: &Policy, headers: &[(String, String)]) -> Option<Self> {
        let assignment = policy.assign(headers);
        let source = policy.identity_source(&assignment)?;
        // Only an identity that is a header or a cookie can be replaced in a list of headers.
        let name = source.header.as_deref().or_else(|| source.cookie.as_ref().map(|_| "cookie"))?;
        let header = headers.iter().position(|(header, _)| header.eq_ignore_ascii_case(name))?;
        let cookie = source.cookie.as_ref().map(ToString::to_string);
        Some(Self { header, cookie })
    }

    fn put(&self, headers: &mut [(String, String)], identity: &str) {
        let Some((_, value)) = headers.get_mut(self.header) else { return };
        *value = match &self.cookie {
            None => identity.to_owned(),
            Some(cookie) => format!("{cookie}={identity}"),
        };
        debug_assert!(
            self.cookie.as_ref().is_none_or(|cookie| cookie_value(value.as_bytes(), cookie).is_some())
        );
    }
}

impl Playground {
    /// For the page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let explanation = &self.explanation;
        let mut html = format!("<p><strong>{}</strong> answers", escape_html(&explanation.variant));
        if let Some(cluster) = &explanation.cluster {
            let _ = write!(html, " (cluster {})", escape_html(cluster));
        }
        let _ = write!(html, ": {}.</p>", escape_html(&explanation.why));
        if let Some(bucket) = explanation.bucket_ppm {
            bar(&mut html, bucket, explanation.share_ppm);
        }
        html.push_str("<dl class=\"facts\">");
        let rule = match explanation.rule_number {
            Some(number) => format!("{number}: {}", explanation.rule),
            None => explanation.rule.clone(),
        };
        let none = || "none".to_owned();
        for (name, value) in [
            ("Cohort", explanation.cohort.clone()),
            ("Tier", explanation.tier.clone()),
            ("Rule", rule),
            ("Identity from", explanation.identity_source.clone().unwrap_or_else(none)),
            ("In samples as", explanation.identity_hash.clone().unwrap_or_else(none)),
            ("Bucket", explanation.bucket_ppm.map_or_else(none, |bucket| format!("{bucket} of {BUCKETS}"))),
            ("Mode", explanation.mode.clone()),
        ] {
            let _ = write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", escape_html(&value));
        }
        html.push_str("</dl>");
        if let Some(moves) = self.moves {
            let _ = write!(
                html,
                "<p>Of {} users with these headers the candidate answers {} instead of {}: {} move to it, {} move back to control.</p>",
                moves.users,
                moves.candidate_after,
                moves.candidate_before,
                moves.to_candidate,
                moves.to_control
            );
        }
        html
    }
}

/// The share of the buckets that the candidate answers, and where this request is.
fn bar(html: &mut String, bucket: u32, share: u32) {
    let place = |ppm: u32| f64::from(ppm) * 320.0 / f64::from(BUCKETS);
    let _ = write!(
        html,
        "<svg class=\"bar\" viewBox=\"0 0 320 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"bucket {bucket} of {BUCKETS}, the candidate answers those below {share}\">\
         <rect class=\"all\" width=\"320\" height=\"16\"/><rect class=\"share\" width=\"{:.2}\" height=\"16\"/>\
         <line class=\"you\" x1=\"{1:.2}\" x2=\"{1:.2}\" y1=\"0\" y2=\"16\"/></svg>",
        place(share),
        place(bucket)
    );
}
