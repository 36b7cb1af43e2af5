//! Fields set in streaming JSON, against `serde_json`; and what a candidate's own request may say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{parse, policy_with, refusal};
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_policy::{FieldSetter, Fields};

fn wanted() -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("model".to_owned(), json!("desk-2 \u{e9}\"")),
        ("temperature".to_owned(), json!(0.25)),
        ("stop".to_owned(), json!(["\n", {"a": []}])),
    ])
}

/// The document with the fields set, fed in chunks of these sizes, over and over.
fn set(document: &[u8], sizes: &[usize]) -> (Vec<u8>, bool) {
    let mut setter = FieldSetter::new(Fields::new(&wanted()));
    let (mut out, mut rest) = (Vec::new(), document);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at((*size).clamp(1, rest.len()));
        setter.push(chunk, &mut out);
        rest = behind;
    }
    (out, setter.is_done())
}

fn set_text(document: &str) -> String {
    let whole = set(document.as_bytes(), &[usize::MAX]);
    assert_eq!(whole, set(document.as_bytes(), &[1]), "byte by byte");
    String::from_utf8(whole.0).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("\\\"{}[],:\\u0022")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..5).prop_map(|fields| json!(fields)),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("model".to_owned()),
        Just("stop".to_owned()),
        Just("mode".to_owned()),
        Just(String::new()),
        any::<String>(),
        "m{60,70}"
    ]
}

#[test]
fn values_are_replaced_missing_fields_added_and_every_other_byte_stays() {
    let added = r#""stop":["\n",{"a":[]}],"temperature":0.25"#;
    let model = r#""desk-2 é\"""#;
    for (document, expected) in [
        (r#" { "model" : "desk-1" , "n":1 } "#, format!(r#" {{ "model" : {model} , "n":1 ,{added}}} "#)),
        (
            r#"{"model":[1,{"model":"}"}],"n":{"model":2}}"#,
            format!(r#"{{"model":{model},"n":{{"model":2}},{added}}}"#),
        ),
        (r#"{"mod\u0065l":1}"#, format!(r#"{{"mod\u0065l":{model},{added}}}"#)),
        (r#"{"model":1,"model":2}"#, format!(r#"{{"model":{model},"model":{model},{added}}}"#)),
        (r#"{"model":-1.5e3}x"#, format!(r#"{{"model":{model},{added}}}x"#)),
        (r#"{"model":null }"#, format!(r#"{{"model":{model} ,{added}}}"#)),
        ("{}", format!(r#"{{"model":{model},{added}}}"#)),
        ("\n{ }\n", format!("\n{{ \"model\":{model},{added}}}\n")),
    ] {
        assert_eq!(set_text(document), expected);
    }
}

#[test]
fn what_is_not_an_object_passes_from_where_that_shows() {
    for document in [
        "[1,{\"model\":1}]",
        "\"model\"",
        "12",
        "",
        " ",
        "\u{feff}{\"model\":1}",
        "{model:1}",
        "{\"model\"1}",
        "{\"a\":}",
        "{\"a\" \"model\":1}",
    ] {
        assert_eq!(set_text(document), document);
        assert!(!set(document.as_bytes(), &[1]).1, "{document}");
    }
}

#[test]
fn what_the_candidates_request_may_not_say_is_refused_with_its_place() {
    let refused = |request: &str| {
        let candidate = format!("cluster: candidate, request: {request},");
        refusal(&policy_with("canary", "").replace("cluster: candidate,", &candidate))
    };
    insta::assert_snapshot!([
        refused("{}"),
        refused("{path: v2, host: 'a/b', bodyBytesMax: 0, model: x}"),
        refused("{path: '/v2?x=1', headers: {'a b': c, Authorization: t, x-weir-leg: shadow, host: h, ':path': p, x-ok: \"a\\u0001\"}, body: {'': 1, 'a b': 2}}"),
        refused("{body: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, m: 1, n: 1, o: 1, p: 1, q: 1}}"),
    ]
    .join("\n\n"));
}

#[test]
fn the_candidates_request_counts_only_while_the_candidate_gets_any() {
    let text = policy_with("canary", "")
        .replace("cluster: candidate,", "cluster: candidate, request: {body: {model: m2}},");
    let mut policy = parse(&text);
    assert_eq!(policy.candidate_request().unwrap().body["model"], json!("m2"));
    policy.mode = weir_policy::Mode::RolledBack;
    assert!(policy.candidate_request().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_result_is_what_serde_json_would_have_made(
        fields in prop::collection::btree_map(key(), value(), 0..6), pretty in any::<bool>(), sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let document = json!(fields);
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let (out, done) = set(text.as_bytes(), &sizes);
        // Read back, because a double's digits are not read exactly.
        let mut expected = serde_json::from_str::<serde_json::Map<String, Value>>(&text).unwrap();
        expected.extend(wanted());
        prop_assert!(done);
        prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), Value::from(expected));
    }

    #[test]
    fn other_json_and_any_bytes_give_the_same_at_every_split(
        other in value(), bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'"'), Just(b':'), Just(b'\\'), Just(b'}'), Just(b',')], 0..80), sizes in prop::collection::vec(1_usize..9, 1..8),
    ) {
        if !other.is_object() {
            let text = other.to_string();
            prop_assert_eq!(set(text.as_bytes(), &sizes), (text.into_bytes(), false));
        }
        let hostile = [b"{\"model\"".as_slice(), &bytes].concat();
        for document in [bytes.as_slice(), hostile.as_slice()] {
            prop_assert_eq!(set(document, &sizes), set(document, &[usize::MAX]));
        }
    }
}
