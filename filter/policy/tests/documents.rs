//! The policy document: examples, defaults, every kind of mistake, schema, digest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy, policy_with, refusal};
use proptest::prelude::*;
use serde_json::Value;
use weir_policy::{Leg, Mode, PluginConfiguration, Policy, Share, Variant, headers};

const EXAMPLES: [(&str, &str); 3] = [
    ("shadow.yaml", include_str!("../../../examples/policies/shadow.yaml")),
    ("canary.yaml", include_str!("../../../examples/policies/canary.yaml")),
    ("rolled-back.yaml", include_str!("../../../examples/policies/rolled-back.yaml")),
];

const MINIMAL: &str = "
apiVersion: weir/v1
kind: Policy
experiment: a
revision: 1
mode: 'off'
control: {cluster: control, snapshot: {model: {name: m, version: '1'}}}
";

#[test]
fn the_examples_are_valid_and_survive_being_written() {
    for (name, text) in EXAMPLES {
        let policy = Policy::parse(name, text).unwrap_or_else(|problems| panic!("{problems}"));
        let again = Policy::parse(name, &policy.to_json()).unwrap();
        assert_eq!(policy, again);
        assert_eq!(policy.digest(), again.digest());
        policy.check(name).unwrap();
    }
}

#[test]
fn the_examples_do_what_they_say() {
    let [shadow, canary, rolled_back] = EXAMPLES.map(|(_, text)| parse(text));
    assert_eq!([shadow.mode, canary.mode, rolled_back.mode], [Mode::Shadow, Mode::Canary, Mode::RolledBack]);

    let request = [("x-user-id", "ada")];
    let decision = shadow.capture_decision(&shadow.assign(&request), b"1");
    assert!(decision.shadow && decision.inclusion_probability_primary == 1.0);

    let cohort = |headers: &[(&str, &str)]| canary.cohort_name(&canary.assign(headers)).to_owned();
    assert_eq!(cohort(&[("x-tier", "employees")]), "internal");
    assert_eq!(cohort(&[("x-tier", "beta"), ("user-agent", "curl")]), "beta");
    assert_eq!(cohort(&[("x-tier", "beta"), ("user-agent", "a robot")]), "general");

    let decision = rolled_back.capture_decision(&rolled_back.assign(&request), b"1");
    assert!(!decision.shadow && (decision.inclusion_probability_primary - 0.05).abs() < 1e-12);
}

#[test]
fn defaults_are_filled_in() {
    insta::assert_snapshot!(parse(MINIMAL).to_json());
}

#[test]
fn clusters_salt_and_owned_headers_follow_from_the_policy() {
    let canary =
        parse(&policy_with("canary", "routing: {variantHeader: X-Variant, clusterHeader: x-weir-cluster}"));
    assert_eq!(canary.cluster(Variant::Control), Some("control"));
    assert_eq!(canary.cluster(Variant::Candidate), Some("candidate"));
    assert_eq!(canary.shadow_cluster(), Some("candidate-shadow"));
    assert_eq!(canary.salt(), "support-answers");
    assert_eq!(canary.sink.authority(), "weir-collector");
    for owned in [&b"x-weir-anything"[..], b"X-Weir-Shadow", b"x-variant", b"X-VARIANT"] {
        assert!(canary.owns_header(owned), "{owned:?}");
    }
    for other in [&b"x-weir"[..], b"x-wei", b"", b"x-variants", b"\xff\xfe", b"x-weir\xff-"] {
        assert!(!canary.owns_header(other), "{other:?}");
    }
    let minimal = parse(MINIMAL);
    assert_eq!(
        (minimal.cluster(Variant::Candidate), minimal.shadow_cluster(), minimal.snapshot(Variant::Candidate)),
        (None, None, None)
    );
}

#[test]
fn own_headers_are_reserved() {
    assert!(headers::ALL.iter().all(|name| headers::is_reserved(name) && name.starts_with(headers::PREFIX)));
    assert!(headers::is_reserved("X-WEIR-new"));
    assert!(!headers::is_reserved("x-weird"));
    assert!(!headers::is_reserved("x-weïr-variant"));
}

#[test]
fn a_policy_with_many_mistakes_lists_them_all() {
    insta::assert_snapshot!(refusal(
        "
apiVersion: weir/v1
kind: Policy
experiment: Support Answers
revision: 0
mode: canari
control: {cluster: control, snapshot: {model: {name: gpt-x, version: 1}}}
candidate: {cluster: control, shadow_cluster: copy, snapshot: {model: {version: '2'}}}
identity: [{header: Authorization}, {cookie: session, header: x-user-id}, {}]
cohorts:
  - {name: all, candidatePercent: 150}
  - {name: beta, match: {header: x-tier, exact: beta}, candidatePercent: '5', autonomy: robot}
shadow: {percent: -1}
noise: {percent: 2}
sampling: {percent: 0.00001}
routing: {variantHeader: x-weir-shadow, clusterHeader: host}
limits: {bodyBytesMax: 1024, bodyTailBytesMax: 2048, outboxBytesMax: 1, flushIntervalMs: 1s}
sink: {path: v1/logs}
color: red
"
    ));
}

#[test]
fn impossible_combinations_are_refused() {
    let canary = || policy_with("canary", "");
    let without = |text: String, line: &str| {
        text.lines()
            .filter(|candidate| !candidate.trim_start().starts_with(line))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let cases = [
        (
            "mode without candidate",
            without(policy_with("shadow", ""), "candidate:").replace("candidate-shadow", "x"),
        ),
        ("canary without candidate", without(canary(), "candidate:")),
        ("canary without identity", without(canary(), "identity:")),
        (
            "canary without share",
            canary()
                .replace("candidatePercent: 50", "candidatePercent: 0")
                .replace("candidatePercent: 5}", "candidatePercent: 0}"),
        ),
        ("full without cohorts", without(without(policy_with("full", ""), "cohorts:"), "- {name")),
        (
            "shadow of nothing",
            policy_with("shadow", "").replace("shadow: {percent: 40}", "shadow: {percent: 0}"),
        ),
        (
            "same clusters",
            canary()
                .replace("cluster: candidate,", "cluster: control,")
                .replace("candidate-shadow", "control"),
        ),
        ("noise without cluster", canary().replace(", cluster: control-noise", "")),
        ("noise to the candidate", canary().replace("control-noise", "candidate-shadow")),
        ("cohort twice", canary().replace("name: general", "name: internal")),
        ("cohort called none", canary().replace("name: general", "name: none")),
        ("unreachable cohorts", canary().replace("match: {header: x-tier, exact: internal}, ", "")),
        ("identity twice", canary().replace("{cookie: session}", "{header: X-User-Id}")),
        ("identity from a cookie header", canary().replace("{cookie: session}", "{header: cookie}")),
        ("identity from weir", canary().replace("x-user-id", "x-weir-user")),
        ("identity of a request", canary().replace("x-user-id", "x-request-id")),
        ("one routing header", policy_with("canary", "routing: {variantHeader: x-v, clusterHeader: X-V}")),
        (
            "overwriting a request",
            policy_with("canary", "routing: {variantHeader: ':path', clusterHeader: authorization}"),
        ),
        (
            "batch above outbox",
            policy_with("canary", "limits: {outboxBytesMax: 300000, batchBytesMax: 400000}"),
        ),
        (
            "sample above outbox",
            policy_with("canary", "limits: {outboxBytesMax: 65536, batchBytesMax: 65536}"),
        ),
        (
            "tail longer than head",
            policy_with("canary", "limits: {bodyBytesMax: 1024, bodyTailBytesMax: 1025}"),
        ),
        (
            "samples too short-lived",
            policy_with("canary", "limits: {flushIntervalMs: 5000, sampleAgeMsMax: 5000}"),
        ),
        ("revision too large", canary().replace("revision: 7", "revision: '9007199254740993'")),
        ("key twice", format!("{}\nmode: shadow", canary())),
    ];
    let texts = cases.map(|(name, text)| format!("# {name}\n{}", refusal(&text)));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn what_a_mode_does_not_use_may_stay() {
    for mode in ["off", "rolled-back", "shadow", "canary", "full"] {
        parse(&policy_with(mode, ""));
    }
    // A rolled-back policy needs neither candidate nor cohorts.
    parse(&MINIMAL.replace("'off'", "rolled-back"));
}

#[test]
fn the_numbers_of_a_protobuf_struct_are_read() {
    let policy = parse(
        &policy_with("canary", "")
            .replace("revision: 7", "revision: 7.0")
            .replace("percent: 40", "percent: 40.0"),
    );
    assert_eq!((policy.revision, policy.shadow.percent), (7, Share::from_whole_percent(40)));
    assert_eq!(
        parse(&policy_with("canary", "").replace("revision: 7", "revision: '9007199254740992'")).revision,
        1 << 53
    );
}

#[test]
fn shares_have_a_grain_of_one_millionth() {
    for (percent, ppm) in
        [("0.0001", 1), ("33.3333", 333_333), ("12.5", 125_000), ("100", 1_000_000), ("0.07", 700)]
    {
        let policy = parse(&policy_with("canary", "").replace("percent: 40", &format!("percent: {percent}")));
        assert_eq!(policy.shadow.percent.ppm(), ppm);
        assert_eq!(Policy::parse("again", &policy.to_json()).unwrap().shadow.percent.ppm(), ppm);
    }
    assert_eq!(Share::from_percent(100.01), None);
    assert_eq!(Share::from_percent(f64::NAN), None);
    assert_eq!(Share::from_ppm(1_000_001), None);
    assert_eq!(Share::from_whole_percent(5).to_string(), "5 %");
}

#[test]
fn digests_follow_content_and_not_notation() {
    let yaml = policy("canary");
    let json = parse(&yaml.to_json());
    assert_eq!(yaml.digest(), json.digest());
    let mut other = yaml.clone();
    other.revision += 1;
    assert_ne!(yaml.digest(), other.digest());
    assert_eq!(yaml.digest().len(), 16);

    let snapshot = |parameters: &str| {
        parse(
            &policy_with("canary", "")
                .replace("version: '1'}}}", &format!("version: '1'}}, parameters: {parameters}}}}}")),
        )
        .control
        .snapshot
    };
    assert_eq!(snapshot("{a: 1, b: {d: 2, c: 3}}").digest(), snapshot("{b: {c: 3, d: 2}, a: 1}").digest());
    assert_ne!(snapshot("{a: 1}").digest(), snapshot("{a: 2}").digest());
    assert_ne!(snapshot("{a: 1}").label(), snapshot("{a: 2}").label());
    assert_eq!(snapshot("{}").label(), "gpt-x@1");
    let canary = parse(EXAMPLES[1].1);
    assert_eq!(
        canary.control.snapshot.label(),
        "gpt-x@1 prompt=support@14 tools=order-tools@2026-02-11 knowledge-base=handbook@311 parameters=f68e065b"
    );
}

#[test]
fn plugin_configurations_are_told_apart_by_kind() {
    let PluginConfiguration::Policy(parsed) =
        PluginConfiguration::parse("c", &policy_with("canary", "")).unwrap()
    else {
        panic!("not a policy");
    };
    assert_eq!(*parsed, policy("canary"));
    let PluginConfiguration::Capture(capture) =
        PluginConfiguration::parse("c", r#"{"apiVersion": "weir/v1", "kind": "Capture", "leg": "noise"}"#)
            .unwrap()
    else {
        panic!("not a capture");
    };
    assert_eq!(capture.leg, Leg::Noise);
    let texts = [
        "",
        "kind: Rollout",
        "kind: 7",
        "{apiVersion: weir/v1, kind: Capture, leg: primary}",
        "{apiVersion: weir/v1, kind: Capture, legs: shadow}",
        "{experiment: a",
    ];
    let refusal = |text: &str| PluginConfiguration::parse("plugin", text).unwrap_err().to_string();
    insta::assert_snapshot!(texts.map(|text| format!("{text:?}\n{}", refusal(text))).join("\n\n"));
}

#[test]
fn the_schema_names_every_field() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&Policy::json_schema()).unwrap());
}

#[test]
fn the_examples_and_all_defaults_conform_to_the_schema() {
    let schema = Policy::json_schema();
    for (name, text) in EXAMPLES {
        for tree in
            [weir_document::parse(name, text).unwrap(), serde_json::from_str(&parse(text).to_json()).unwrap()]
        {
            conforms(&tree, &schema, &schema).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        }
    }
    let mut wrong = weir_document::parse("wrong", EXAMPLES[1].1).unwrap();
    wrong["cohorts"][0]["candidatePercents"] = Value::from(1);
    assert!(conforms(&wrong, &schema, &schema).is_err());
}

/// The part of JSON Schema that the policy's schema uses.
fn conforms(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        conforms(value, root.pointer(reference.strip_prefix('#').unwrap()).unwrap(), root)?;
    }
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
        && !choices.iter().any(|choice| conforms(value, choice, root).is_ok())
    {
        return Err(format!("{value} is none of {choices:?}"));
    }
    if schema.get("const").is_some_and(|expected| expected != value) {
        return Err(format!("{value} is not {}", schema["const"]));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    if !types.is_empty() && !types.into_iter().any(is) {
        return Err(format!("{value} is not of type {}", schema["type"]));
    }
    let outside = |bound: &str, beyond: fn(f64, f64) -> bool| {
        schema[bound].as_f64().zip(value.as_f64()).is_some_and(|(bound, number)| beyond(number, bound))
    };
    if outside("minimum", |number, bound| number < bound)
        || outside("maximum", |number, bound| number > bound)
    {
        return Err(format!("{value} is out of range"));
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(item, &schema["items"], root)?;
    }
    let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    for (key, field) in fields {
        let property = properties.get(key).ok_or_else(|| format!("{key} is not a property"))?;
        conforms(field, property, root).map_err(|problem| format!("{key}: {problem}"))?;
    }
    match schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|key| !fields.contains_key(key.as_str().unwrap()))
    {
        Some(missing) => Err(format!("{missing} is missing")),
        None => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = PluginConfiguration::parse("p", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused_and_what_is_read_survives(
        start in any::<prop::sample::Index>(), length in 0_usize..40, splice in "[ -~\n]{0,20}",
    ) {
        let text = EXAMPLES[1].1;
        let from = start.index(text.len());
        let damaged = format!("{}{splice}{}", &text[..from], &text[(from + length).min(text.len())..]);
        match Policy::parse("p", &damaged) {
            Ok(policy) => {
                prop_assert_eq!(&Policy::parse("p", &policy.to_json()).unwrap(), &policy);
                let _ = policy.explain(&policy.assign(&[("x-user-id", "ada")])).to_string();
            }
            Err(problems) => prop_assert!(problems.to_string().starts_with("error: p: ")),
        }
    }
}

#[test]
fn what_may_be_copied_is_checked() {
    let with = |shadow: &str| policy_with("canary", "").replace("shadow: {percent: 40}", shadow);
    insta::assert_snapshot!(refusal(&with(
        "shadow: {percent: 40, methods: [post, ''], contentTypes: [json, 'text/html; charset=utf-8', '*/*'], inFlightMax: 0, perMinuteMax: 1.5, tokensPerMinuteMax: -1, perSecondMax: 3}"
    )));
    insta::assert_snapshot!(refusal(&with("shadow: {percent: 40, methods: [], contentTypes: []}")));
}

#[test]
fn a_guard_has_a_budget_and_looks_at_enough_answers() {
    for (name, guard) in [
        ("none", "guard: {}"),
        ("half", "guard: {slowMs: 500}"),
        (
            "wrong",
            "guard: {answers: 10, answersMin: 11, failurePercentMax: 101, failureStatuses: [600, 6xx, xx, ok, 4.5, []], slowPercentMax: 1}",
        ),
    ] {
        insta::assert_snapshot!(format!("guard_{name}"), refusal(&policy_with("canary", guard)));
    }
    let guard =
        parse(&policy_with("canary", "guard: {failurePercentMax: 5, failureStatuses: [4xx, 503.0, '502']}"));
    let again = parse(&guard.to_json());
    assert_eq!(guard, again);
    let guard = guard.guard.unwrap();
    let failing: Vec<u16> =
        [0, 200, 404, 499, 500, 502, 503].into_iter().filter(|status| guard.fails(*status)).collect();
    assert_eq!(failing, [404, 499, 502, 503]);
}

#[test]
fn what_is_sampled_and_kept_is_checked_and_credentials_are_never_kept() {
    let sampling = |sampling: &str| policy_with("canary", "").replace("sampling: {percent: 10}", sampling);
    for (name, text) in [
        ("none", sampling("sampling: {percent: 1, perSecondMax: 0, always: {}}")),
        (
            "wrong",
            sampling(
                "sampling: {always: {sessionHeader: authorization, statuses: [1000], responseFlags: [UF, uf], slowMs: 0, truncated: 1}}",
            ),
        ),
        (
            "details",
            policy_with(
                "canary",
                "capture: {requestHeaders: [x-app, x-app, ':path', cookie, Proxy-Authorization], responseHeaders: [set-cookie, x-model], upstream: 'yes'}",
            ),
        ),
    ] {
        insta::assert_snapshot!(format!("sampling_{name}"), refusal(&text));
    }
    for credential in [
        "authorization",
        "Cookie",
        "set-cookie",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "X-Goog-Api-Key",
        "apikey",
        "ocp-apim-subscription-key",
        "x-amz-security-token",
        "x-auth-token",
        "x-client-secret",
        "x_api_key",
        "x-csrf-token",
        "x-functions-key",
        "x-forwarded-authorization",
    ] {
        for list in ["requestHeaders", "responseHeaders"] {
            let text = policy_with("canary", &format!("capture: {{{list}: [{credential}]}}"));
            assert!(refusal(&text).contains("carries credentials"), "{credential}");
        }
    }
    let kept = parse(&policy_with(
        "canary",
        "capture: {requestHeaders: [x-app, idempotency-key, x-token-count, x-weir-autonomy]}",
    ));
    assert_eq!(kept.capture.unwrap().request_headers.unwrap().len(), 4);
}

#[test]
fn response_flags_have_the_bits_of_envoys_attribute() {
    use weir_policy::{flag_bit, flag_names};
    assert_eq!(flag_names(0), "");
    assert_eq!(flag_names(1 << 5 | 1 << 14 | 1 << 63), "UF,DC");
    assert_eq!(
        (flag_bit("LH"), flag_bit("URX"), flag_bit("DR"), flag_bit("")),
        (Some(1), Some(1 << 15), Some(1 << 28), None)
    );
}
