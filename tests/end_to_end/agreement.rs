//! The filter in a real Envoy and the policy as `weir assign` runs it give the same answer, for policies and requests drawn
//! at random: every identity source (a verified token's claims and the client's address too), rules in every nesting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weir_policy::{Experiments, Policy, Variant};
use weir_tests::generated::{Generated, Token, exchange, policy_fields};
use weir_tests::http::request;
use weir_tests::random::Random;
use weir_tests::traffic::exchange_all;
use weir_tests::world::{Plan, World, policy, revised};
use weir_wire::Leg;

const POLICIES: u64 = 24;
const REQUESTS: usize = 160;
const WITHIN: Duration = Duration::from_secs(10);

fn key_set() -> (Value, Vec<Token>) {
    let file: Value = serde_json::from_str(include_str!("agreement/tokens.json")).unwrap();
    let token = |entry: &Value| Token {
        token: entry["token"].as_str().unwrap().to_owned(),
        claims: entry["claims"].clone(),
    };
    (file["jwks"].clone(), file["tokens"].as_array().unwrap().iter().map(token).collect())
}

/// Envoy's filter that verifies tokens and leaves their payload in the dynamic metadata.
fn jwt_authn(key_set: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"tests": {
                "issuer": "weir-tests",
                "local_jwks": {"inline_string": key_set.to_string()},
                "payload_in_metadata": "payload",
            }},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [{"provider_name": "tests"}, {"allow_missing": {}}]}},
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_and_weir_assign_agree_on_random_policies_and_requests() {
    let (key_set, tokens) = key_set();
    let first = policy("canary", 50.0, json!({"shadow": {"percent": 1}}));
    let plan = Plan { filters_before: vec![jwt_authn(&key_set)], ..Plan::new(first.clone()) };
    let world = World::start(plan).await.unwrap();
    let mut random = Random::new(3);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for revision in 2..2 + POLICIES {
        let document = revised(&first, revision, policy_fields(&mut random));
        let native = Policy::parse("policy", &document.to_string()).unwrap();
        world.push_confirmed(&document).await.unwrap_or_else(|error| panic!("{error}\n{document}"));
        // The other worker may have the policy a moment later.
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.sink.clear();
        let generated: Vec<_> = (0..REQUESTS)
            .map(|number| exchange(&mut random, REQUESTS * revision as usize + number, &tokens))
            .collect();
        let requests = generated.iter().map(|generated| generated.bytes.clone()).collect();
        let answers = exchange_all(world.address(), 4, requests).await.unwrap();
        let captured = |generated: &&Generated| !native.assign(&generated.request).is_apart();
        let captured = generated.iter().filter(captured).count();
        let primary =
            |leg: &&Leg| leg.leg == weir_wire::LegKind::Primary && leg.path.starts_with("/exchange/");
        let all = world.sink.wait_until(WITHIN, |received| {
            received.iter().filter(|received| primary(&&received.leg)).count() >= captured
        });
        assert!(all.await, "every exchange is captured, but for those that an override decided");
        let received = world.sink.received();
        let legs: BTreeMap<&str, &Leg> = received
            .iter()
            .map(|received| &received.leg)
            .filter(primary)
            .map(|leg| (leg.path.as_str(), leg))
            .collect();
        for (generated, answer) in generated.iter().zip(&answers) {
            let assignment = native.assign(&generated.request);
            let source = native.identity_source(&assignment).map_or("none".to_owned(), ToString::to_string);
            *reasons.entry(source).or_default() += 1;
            *reasons.entry(assignment.reason.to_string()).or_default() += 1;
            let told = answer.head.header("x-weir-variant");
            if assignment.is_apart() {
                assert_eq!(told, Some(assignment.variant.as_str()), "{generated:?}\n{document}");
                assert!(!legs.contains_key(generated.path.as_str()));
                continue;
            }
            let leg = legs[generated.path.as_str()];
            let expected = (
                Some(assignment.variant.as_str()),
                native.cohort_name(&assignment),
                native.tier(&assignment),
                assignment.identity_hash_hex().unwrap_or_default(),
            );
            let found = (told, leg.cohort.as_str(), leg.tier.as_str(), leg.identity_hash.clone());
            assert_eq!(found, expected, "{generated:?}\n{document}\n{}", native.explain(&assignment));
            assert_eq!(
                leg.variant == weir_wire::Variant::Candidate,
                assignment.variant == Variant::Candidate
            );
        }
    }
    // The generator reaches everything that there is to agree on.
    for reason in [
        "claim sub",
        "claim uid",
        "client address",
        "cookie session",
        "denied",
        "forced",
        "header x-user-id",
        "none",
        "query parameter user",
        "trace id",
        "inside-share",
        "outside-share",
        "no-cohort",
        "no-identity",
        "no-share",
    ] {
        assert!(reasons.get(reason).is_some_and(|count| *count >= 10), "{reason}: {reasons:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_experiments_share_the_traffic_as_weir_assign_says() {
    let member = |name: &str, fields: Value| {
        let mut member = policy("canary", 50.0, json!({"experiment": name, "shadow": {"percent": 0}}));
        let object = member.as_object_mut().unwrap();
        for field in ["apiVersion", "kind", "revision"] {
            object.remove(field);
        }
        object.extend(fields.as_object().unwrap().clone());
        member
    };
    let chat = json!({"header": ":path", "prefix": "/chat"});
    let document = json!({
        "apiVersion": "weir/v1",
        "kind": "Experiments",
        "revision": 3,
        "experiments": [
            member("chat-model", json!({"requests": chat, "layer": {"name": "chat", "toPercent": 35.5}})),
            member("chat-prompt", json!({"requests": chat, "layer": {"name": "chat", "fromPercent": 35.5, "toPercent": 90}})),
            member("search", json!({"requests": {"header": ":path", "prefix": "/search"}})),
        ],
    });
    let native = Experiments::parse("experiments", &document.to_string()).unwrap();
    let world = World::start(Plan { workers: 4, ..Plan::new(document) }).await.unwrap();
    let exchanges: Vec<(String, String)> = (0..900)
        .map(|number| {
            let path = ["/chat", "/chat", "/search", "/other"][number % 4];
            (format!("user-{}", number % 300), format!("{path}/{number}"))
        })
        .collect();
    let requests = exchanges.iter().map(|(user, path)| request("POST", path, &[("x-user-id", user)], b"{}"));
    let answers = exchange_all(world.address(), 8, requests.collect()).await.unwrap();
    let asked = |(user, path): &(String, String)| [("x-user-id", user.clone()), (":path", path.clone())];
    let inside = exchanges.iter().filter(|exchange| native.of(&asked(exchange)).is_some()).count();
    assert!(world.sink.wait_for_legs(WITHIN, inside).await);
    let legs: BTreeMap<String, Leg> =
        world.sink.received().into_iter().map(|received| (received.leg.path.clone(), received.leg)).collect();
    assert_eq!(legs.len(), inside, "what belongs to no experiment is not captured");
    let mut experiments: BTreeMap<String, usize> = BTreeMap::new();
    for (exchange, answer) in exchanges.iter().zip(&answers) {
        let policy = native.answering(&asked(exchange)).unwrap();
        let assignment = policy.assign(&asked(exchange));
        assert_eq!(answer.head.header("x-weir-variant"), Some(assignment.variant.as_str()), "{exchange:?}");
        assert_eq!(answer.head.header("x-weir-revision"), Some("3"));
        let experiment = native.of(&asked(exchange)).map(|policy| policy.experiment.clone());
        assert_eq!(legs.get(&exchange.1).map(|leg| leg.experiment.clone()), experiment, "{exchange:?}");
        *experiments.entry(experiment.unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(experiments.len(), 4, "{experiments:?}");
    assert!(experiments.values().all(|count| *count > 100), "{experiments:?}");
}
