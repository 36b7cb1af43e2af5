//! Policies and requests drawn at random, each request in two forms: as bytes for a proxy, and as the policy sees it.
//!
//! The values come from small sets, so that rules match and sources find something about as often as not.

use serde_json::{Value, json};
use weir_policy::Request;

use crate::http::request;
use crate::random::Random;

/// Names of the headers that rules look at.
const HEADERS: [&str; 3] = ["x-tier", "x-team", "user-agent"];
const VALUES: [&str; 9] = ["internal", "beta", "be", "ta", "power-user", "a;b", "INTERNAL", "x", "zo\u{eb}"];
const USERS: [&str; 4] = ["ada", "grace%20h", "alan", "2001:db8::1"];

/// A token of the test's key set, and its claims.
#[derive(Clone, Debug)]
pub struct Token {
    /// As it stands in `authorization`, without `Bearer`.
    pub token: String,
    /// Its payload.
    pub claims: Value,
}

/// A request in both forms.
#[derive(Clone, Debug)]
pub struct Generated {
    /// As a client sends it over HTTP/1.1.
    pub bytes: Vec<u8>,
    /// As `weir assign` is told of it.
    pub request: Request,
    /// Its path, which no other request of the same generator has.
    pub path: String,
}

/// Fields of a policy for [`crate::world::policy`].
pub fn policy_fields(random: &mut Random) -> Value {
    let mode = ["canary", "canary", "canary", "full", "shadow", "rolled-back"];
    let sources = [
        json!({"header": "x-user-id"}),
        json!({"cookie": "session"}),
        json!({"query": "user"}),
        json!({"claim": {"name": "sub"}}),
        json!({"claim": {"name": "uid"}}),
        json!({"from": "trace-id"}),
        json!({"from": "client-address"}),
    ];
    let mut identity = Vec::new();
    for source in &sources {
        if random.below(3) == 0 {
            identity.insert(random.below(identity.len() + 1), source.clone());
        }
    }
    if identity.is_empty() {
        identity.extend(random.pick(&sources).cloned());
    }
    let mut cohorts = Vec::new();
    for index in 0..random.below(4) {
        cohorts.push(json!({
            "name": format!("cohort-{index}"),
            "tier": format!("tier-{}", random.below(3)),
            "match": rule(random, 3),
            "candidatePercent": percent(random),
        }));
    }
    if cohorts.is_empty() || random.below(3) > 0 {
        cohorts.push(json!({"name": "rest", "candidatePercent": percent(random)}));
    }
    if let Some(share) = cohorts.first_mut().and_then(|cohort| cohort.get_mut("candidatePercent")) {
        *share = json!(50);
    }
    json!({
        "mode": random.pick(&mode),
        "experiment": format!("experiment-{}", random.below(1000)),
        "identity": identity,
        "overrides": overrides(random, &cohorts),
        "cohorts": cohorts,
    })
}

/// For half of the policies; `null` leaves them away.
fn overrides(random: &mut Random, cohorts: &[Value]) -> Value {
    if random.below(2) == 0 {
        return Value::Null;
    }
    let matched: Vec<&Value> = cohorts.iter().filter(|cohort| cohort.get("match").is_some()).collect();
    let mut overrides = json!({"deny": ["ada", "user|1", "192.0.2.7", "s3", "4", "2001:db8::1"]});
    let tier = random.pick(&matched).and_then(|cohort| cohort.get("tier"));
    if let (Some(tier), Some(fields)) = (tier, overrides.as_object_mut()) {
        fields.insert("forceHeader".to_owned(), json!("x-force"));
        fields.insert("forceTiers".to_owned(), json!([tier]));
    }
    overrides
}

fn percent(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!(0),
        1 => json!(100),
        _ => json!(f64::from(u32::try_from(random.below(1_000_000)).unwrap_or(0)) / 10_000.0),
    }
}

fn rule(random: &mut Random, depth: usize) -> Value {
    let header = random.pick(&HEADERS);
    let value = random.pick(&VALUES);
    let kinds = if depth == 0 { 6 } else { 9 };
    match random.below(kinds) {
        0 => json!({"header": header, "exact": value}),
        1 => json!({"header": header, "prefix": value}),
        2 => json!({"header": header, "suffix": value}),
        3 => json!({"header": header, "contains": value}),
        4 => json!({"header": header, "oneOf": [value, random.pick(&VALUES)]}),
        5 => json!({"header": header, "present": random.below(2) == 0}),
        6 => json!({"not": rule(random, depth - 1)}),
        7 => json!({"all": [rule(random, depth - 1), rule(random, depth - 1)]}),
        _ => json!({"any": [rule(random, depth - 1), rule(random, depth - 1)]}),
    }
}

/// A request; `number` makes its path unique.
pub fn exchange(random: &mut Random, number: usize, tokens: &[Token]) -> Generated {
    let mut path = format!("/exchange/{number}");
    match random.below(5) {
        0 => path.push_str(&format!("?user={}", random.below(500))),
        1 => path.push_str(&format!("?a=%75ser&user={}&user=2", random.pick(&USERS).unwrap_or(&""))),
        2 => path.push_str("?user=&xuser=1"),
        _ => {}
    }
    let mut headers: Vec<(&str, String)> = Vec::new();
    for name in HEADERS {
        if random.below(2) == 0 {
            let value = random.pick(&VALUES).copied().unwrap_or_default();
            let more =
                if random.below(3) == 0 { random.pick(&VALUES).copied().unwrap_or_default() } else { "" };
            headers.push((name, format!("{value}{more}")));
        }
    }
    if random.below(3) == 0 {
        headers.push(("X-User-Id", format!("{:x}", random.number())));
    }
    if random.below(3) == 0 {
        let session = random.below(50);
        headers.push(("cookie", format!("theme=dark; session=\"s{session}\"; session=2")));
    }
    if random.below(3) == 0 {
        let end = if random.below(8) == 0 { "" } else { "-00f067aa0ba902b7-01" };
        headers.push(("traceparent", format!("00-{:016x}{:016x}{end}", random.number(), random.number())));
    }
    if random.below(3) == 0 {
        let wanted = ["control", "candidate", "candidate", "Candidate", "both"];
        headers.push(("x-force", random.pick(&wanted).copied().unwrap_or_default().to_owned()));
    }
    let mut client_address = "127.0.0.1".to_owned();
    if random.below(2) == 0 {
        client_address = match random.below(2) {
            0 => format!("192.0.2.{}", random.below(250)),
            _ => format!("2001:db8::{:x}", random.below(60_000) + 1),
        };
        headers.push(("x-forwarded-for", client_address.clone()));
    }
    let mut claims = Vec::new();
    if let Some(token) = random.pick(tokens).filter(|_| random.below(2) == 0) {
        headers.push(("authorization", format!("Bearer {}", token.token)));
        for (name, value) in token.claims.as_object().into_iter().flatten() {
            match value {
                Value::String(text) => claims.push((name.clone(), text.clone())),
                Value::Number(number) => claims.push((name.clone(), number.to_string())),
                _ => {}
            }
        }
    }
    let wire: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bytes = request("POST", &path, &wire, b"{}");
    let mut headers: Vec<(String, String)> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    headers.push((":path".to_owned(), path.clone()));
    Generated { bytes, request: Request { headers, claims, client_address: Some(client_address) }, path }
}
