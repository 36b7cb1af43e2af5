//! Text to tree: what YAML and JSON mean, and what is refused before any content is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_document::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX, parse};

fn tree(text: &str) -> Value {
    parse("t", text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn refusal(text: &str) -> String {
    parse("t", text).unwrap_err().to_string()
}

#[test]
fn scalars_follow_the_core_schema() {
    let text = "
nothing: [~, null, Null, '']
truth: [true, FALSE, no, yes, on]
whole: [0, -7, +7, 0o17, 0x1F, 18446744073709551615, 007]
broken: [1.5, -0.5, 1e3, .5, 5., 6.02E+23]
words: [1.2.3, 1_000, 0b11, .inf, .nan, inf, e5, '-', +, 1e, 2026-01-01, 12:30, '7', \"true\"]
tagged: !!str 12
";
    assert_eq!(
        tree(text),
        json!({
            "nothing": [null, null, null, ""],
            "truth": [true, false, "no", "yes", "on"],
            "whole": [0, -7, 7, 15, 31, 18_446_744_073_709_551_615_u64, 7],
            "broken": [1.5, -0.5, 1000.0, 0.5, 5.0, 6.02e23],
            "words": ["1.2.3", "1_000", "0b11", ".inf", ".nan", "inf", "e5", "-", "+", "1e", "2026-01-01", "12:30", "7", "true"],
            "tagged": "12",
        })
    );
}

#[test]
fn blocks_anchors_and_comments_are_read() {
    let text = "# head\nmodel: &m\n  name: gpt-x # the model\n  note: |\n    one\n    two\nother: *m\n";
    let model = json!({"name": "gpt-x", "note": "one\ntwo\n"});
    assert_eq!(tree(text), json!({"model": model, "other": model}));
}

#[test]
fn an_empty_text_is_null() {
    assert_eq!(tree(""), Value::Null);
    assert_eq!(tree("# nothing but a comment\n"), Value::Null);
}

#[test]
fn forms_that_are_not_supported_are_refused_with_their_place() {
    insta::assert_snapshot!(
        [
            "a: [1, 2",
            "a: 1\n b: 2",
            "a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}",
            "a: 1\n---\nb: 2",
            "{[1]: 2}",
            "a: *missing",
            "a: &a [*a]",
            "a: !secret x",
            "%YAML 1.2\n---\na: 1",
            "\"\u{0}\"",
            "a: \"\\q\"",
            "{\"a\": \"x}",
        ]
        .map(|text| format!("{text:?}\n{}\n", refusal(text)))
        .join("\n")
    );
}

#[test]
fn bounds_refuse_what_is_too_large() {
    let long = format!("a: {}", "x".repeat(TEXT_BYTES_MAX));
    let many = format!("[{}]", "1,".repeat(NODES_MAX + 1));
    assert_eq!(
        refusal(&long),
        format!("error: t: has {} bytes; allowed: up to {TEXT_BYTES_MAX} bytes", long.len())
    );
    assert!(refusal(&many).contains(&format!("has more than {NODES_MAX} nodes")));
}

#[test]
fn nesting_is_bounded_in_flow_and_block_style() {
    let flow = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let block = |depth: usize| {
        (0..depth).fold(String::new(), |text, level| format!("{text}{}a:\n", " ".repeat(level)))
    };
    assert!(parse("t", &flow(DEPTH_MAX)).is_ok());
    assert!(parse("t", &block(DEPTH_MAX)).is_ok());
    for text in [flow(DEPTH_MAX + 1), block(DEPTH_MAX + 1), flow(100_000), "{a: ".repeat(50_000)] {
        let message = refusal(&text);
        assert!(message.contains("line 1") || message.contains("line 65"), "{message}");
    }
}

#[test]
fn alias_bombs_are_refused() {
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", ")));
    }
    let wide = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), vec!["*a"; 50_000].join(","));
    for text in [laughs, wide] {
        assert!(refusal(&text).contains("anchors and aliases copy more than"), "{}", refusal(&text));
    }
}

/// JSON values in a text that YAML reads too: raw control characters (DEL and U+0080 to U+009F, which JSON writers leave as
/// they are) are not printable in YAML.
fn printable() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.chars().filter(|c| !matches!(c, '\u{7f}'..='\u{9f}')).collect())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        printable().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(printable(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_json_writer_writes_is_read_as_it_was(value in json_value()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(&tree(&text), &value, "{}", text);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse("t", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_yaml_punctuation_never_panics(text in "[\\[\\]{}:,&*!|>'\"%@`#?~a0 \t\n-]{0,200}") {
        let _ = parse("t", &text);
    }
}
