//! Where identities come from: every source, their order, what does not count, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy_with, refusal};
use proptest::prelude::*;
use weir_policy::{Policy, Reason, Request, Variant, query_value};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn policy(identity: &str) -> Policy {
    let text = policy_with("canary", "")
        .replace("[{header: x-user-id}, {cookie: session}]", identity)
        .replace("candidatePercent: 5}", "candidatePercent: 50}");
    parse(&text)
}

fn every_source() -> Policy {
    policy(
        "[{header: x-user-id}, {cookie: session}, {query: user}, {claim: {name: sub}}, {from: trace-id}, {from: client-address}]",
    )
}

fn request(headers: &[(&str, &str)], claims: &[(&str, &str)], address: Option<&str>) -> Request {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Request { headers: owned(headers), claims: owned(claims), client_address: address.map(str::to_owned) }
}

#[test]
fn the_first_source_in_the_policys_order_that_gives_something_counts() {
    let policy = every_source();
    let everything = [
        ("x-user-id", "ada"),
        ("cookie", "session=s1"),
        (":path", "/chat?user=grace"),
        ("traceparent", TRACE),
    ];
    let sources = [
        "header x-user-id",
        "cookie session",
        "query parameter user",
        "claim sub",
        "trace id",
        "client address",
    ];
    for (first, source) in sources.iter().enumerate() {
        // Without the sources before this one.
        let headers: Vec<_> = everything
            .iter()
            .enumerate()
            .filter(|(index, _)| *index + usize::from(*index == 3) >= first)
            .map(|(_, header)| *header)
            .collect();
        let claims: &[(&str, &str)] = if first <= 3 { &[("sub", "alan")] } else { &[] };
        let assignment = policy.assign(&request(&headers, claims, Some("192.0.2.7:4711")));
        let found = policy.identity_source(&assignment).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(*source), "{headers:?}");
        assert_eq!(assignment.identity, Some(u16::try_from(first).unwrap()));
    }
    let none = policy.assign(&request(&[("x-user-id", ""), (":path", "/chat?user=")], &[("sub", "")], None));
    assert_eq!((none.variant, none.reason), (Variant::Control, Reason::NoIdentity));
}

#[test]
fn the_same_identity_is_the_same_user_wherever_it_stands() {
    let policy = every_source();
    let address = "[2001:db8::1]:80";
    let buckets = [
        request(&[("x-user-id", "2001:db8::1")], &[], None),
        request(&[("cookie", "a=b; session=2001:db8::1")], &[], None),
        request(&[(":path", "/?x=1&user=2001%3adb8%3A%3A1&user=2")], &[], None),
        request(&[], &[("sub", "2001:db8::1")], None),
        request(&[("traceparent", "00-broken")], &[], Some(address)),
    ]
    .map(|request| policy.assign(&request).bucket_ppm.unwrap());
    assert!(buckets.iter().all(|bucket| *bucket == buckets[0]), "{buckets:?}");
}

#[test]
fn a_query_is_read_as_browsers_write_it() {
    let value = |path: &str, name: &str| {
        query_value(path.as_bytes(), name.as_bytes())
            .map(|value| String::from_utf8_lossy(&value).into_owned())
    };
    assert_eq!(value("/a?user=ada", "user").as_deref(), Some("ada"));
    assert_eq!(value("/a?b=1&user=ada%20l+ovelace&user=2", "user").as_deref(), Some("ada l ovelace"));
    assert_eq!(value("/a?us%65r=x%3Dy=z%", "user").as_deref(), Some("x=y=z%"));
    assert_eq!(value("/a?user=%zz%4", "user").as_deref(), Some("%zz%4"));
    assert_eq!(value("/a?user=&user=second", "user").as_deref(), Some("second"));
    for without in ["/user=1", "/a?xuser=1", "/a?user", "/a?User=1", "/a#?user=1", "/a?#user=1", "", "?"] {
        assert_eq!(value(without, "user"), None, "{without}");
    }
}

#[test]
fn sources_that_are_none_or_too_many_are_refused_with_their_place() {
    let identity = "[{}, {header: a, cookie: b}, {query: ''}, {claim: {name: iss}}, {claim: {}}, {from: session}, {header: authorization}, {query: u}, {query: u}]";
    let text = policy_with("canary", "").replace("[{header: x-user-id}, {cookie: session}]", identity);
    insta::assert_snapshot!(refusal(&text));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_escaped_parameter_is_read_back_and_hostile_paths_never_panic(
        value in prop::collection::vec(any::<u8>(), 1..30), path in prop::collection::vec(any::<u8>(), 0..60), before in "[a-z=]{0,8}",
    ) {
        let escaped: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
        let written = format!("/x?q{before}&user={escaped}&z=1");
        prop_assert_eq!(query_value(written.as_bytes(), b"user").map(|found| found.into_owned()), Some(value));
        let _ = query_value(&path, b"user");
        let policy = every_source();
        let _ = policy.assign(&[(":path", path.as_slice()), ("traceparent", path.as_slice())]);
    }
}
