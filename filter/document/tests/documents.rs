//! Tree to type: every kind of field, every kind of problem, and what the one definition gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_document::{Items, PROBLEMS_MAX, camel_case, choice, closest, document, json_schema, read};

choice! {
    /// How hard a thing is.
    pub enum Hardness {
        /// It yields.
        Soft = "soft",
        /// It does not yield.
        RockHard = "rock-hard",
    }
}

document! {
    /// A part
    /// in two lines.
    pub struct Part {
        /// Its size.
        pub size: u64 = 3 => 1..=5,
        /// Its weight in kilograms.
        pub weight_kg: f64 = 0.5 => 0.0..=10.0,
    }
}

document! {
    /// A thing with a field of every kind.
    pub struct Thing kind "Thing" {
        /// Needed.
        pub name: String,
        /// Needed too.
        pub hardness: Hardness,
        /// A part that need not be there.
        pub part: Part,
        /// Parts.
        pub parts: Vec<Part> = Vec::new() => Items(0..=2),
        /// A part in a box.
        pub spare: Option<Box<Part>>,
        /// Below zero works.
        pub offset: i64 = -1,
        /// A small number.
        pub count: Option<u32> => 1..=9,
        /// Yes or no.
        pub shiny: bool = true,
        /// Named numbers.
        pub sizes: BTreeMap<String, f64> = BTreeMap::new(),
        /// Anything.
        pub extra as "x-extra": Option<Value>,
    }
    check at_most_size(name, part);
    validate not_hard_and_dull;
}

fn at_most_size(
    name: &str,
    part: &Part,
    at: &weir_document::Path<'_>,
    problems: &mut weir_document::Collector,
) {
    if name.len() as u64 > part.size {
        problems.report(&at.key("name"), "is longer than part.size").text_value(name);
    }
}

fn not_hard_and_dull(thing: &Thing, at: &weir_document::Path<'_>, problems: &mut weir_document::Collector) {
    if thing.hardness == Hardness::RockHard && !thing.shiny {
        problems.report(at, "is hard and dull").hint("polish it");
    }
}

const HEAD: &str = "apiVersion: weir/v1\nkind: Thing\n";

fn thing(rest: &str) -> Thing {
    read("t", &format!("{HEAD}{rest}")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refusal(rest: &str) -> String {
    read::<Thing>("thing.yaml", &format!("{HEAD}{rest}")).unwrap_err().to_string()
}

#[test]
fn fields_that_are_not_there_have_their_defaults() {
    let short = thing("{name: abc, hardness: soft}".replace(['{', '}'], "").replace(", ", "\n").as_str());
    let long = thing(
        "name: abc\nhardness: soft\npart: {size: 3, weightKg: 0.5}\nparts: null\nspare: ~\noffset: -1\nshiny: true\nsizes: {}",
    );
    assert_eq!(short, long);
    assert_eq!(short.part, Part { size: 3, weight_kg: 0.5 });
}

#[test]
fn numbers_of_a_protobuf_struct_are_read() {
    let thing =
        thing("name: abc\nhardness: soft\npart: {size: 5.0}\noffset: -9.0\ncount: '7'\nspare: {weightKg: 2}");
    assert_eq!((thing.part.size, thing.offset, thing.count), (5, -9, Some(7)));
    assert_eq!(thing.spare.unwrap().weight_kg, 2.0);
}

#[test]
fn every_problem_is_reported_at_once() {
    insta::assert_snapshot!(refusal(
        "
name: 12
hardnes: soft
part: {size: 9, weightKg: '2', sizze: 1}
parts: [{size: -1}, [], {size: 1.5}]
spare: text
offset: .5
count: 4294967296
shiny: 'true'
sizes: {small: 1, large: 5%, 'odd key': x}
colour: red
"
    ));
}

#[test]
fn values_are_shortened_and_escaped() {
    let long = "x".repeat(500);
    insta::assert_snapshot!(refusal(&format!(
        "name: abc\nhardness: \"a\\u001b[31m\\n{long}\"\n\"{long}\": 1\n\"a\\nb\": 2\n"
    )));
}

#[test]
fn a_wrong_envelope_is_refused() {
    insta::assert_snapshot!(
        [
            "name: abc\nhardness: soft",
            "apiVersion: weir/v2\nkind: Thingy\nname: abc\nhardness: soft",
            "[]",
            "",
            "12"
        ]
        .map(|text| read::<Thing>("thing.yaml", text).unwrap_err().to_string())
        .join("\n\n")
    );
}

#[test]
fn a_check_runs_once_its_fields_are_good_whatever_the_others_are() {
    assert_eq!(
        refusal("name: long name\nhardness: 7\n"),
        "error: thing.yaml: hardness: 7 is not one of the choices; allowed: soft, rock-hard\n\
         error: thing.yaml: name: \"long name\" is longer than part.size"
    );
    // Not without its fields: the name's own problem is enough.
    assert_eq!(
        refusal("name: 1\nhardness: soft\n"),
        "error: thing.yaml: name: 1 is not text\n  hint: put it in quotes: \"1\""
    );
}

#[test]
fn a_validator_sees_the_whole_value() {
    assert_eq!(
        refusal("name: abc\nhardness: rock-hard\nshiny: false"),
        "error: thing.yaml: is hard and dull\n  hint: polish it"
    );
}

#[test]
fn the_number_of_problems_is_bounded() {
    let fields: String = (0..PROBLEMS_MAX + 50).map(|index| format!("unknown{index}: 1\n")).collect();
    let problems = read::<Thing>("t", &format!("{HEAD}name: abc\nhardness: soft\n{fields}")).unwrap_err();
    assert_eq!((problems.problems.len(), problems.further), (PROBLEMS_MAX, 50));
    assert!(problems.to_string().ends_with("error: t: and 50 more"));
}

#[test]
fn problems_fit_in_one_line_of_a_log() {
    let line = read::<Thing>("t", "kind: Thing\nname: 1").unwrap_err().one_line();
    assert_eq!(
        line,
        "t: apiVersion: is missing (hint: add `apiVersion: weir/v1`) | name: 1 is not text (hint: put it in quotes: \"1\") | hardness: is missing"
    );
}

#[test]
fn the_schema_follows_from_the_definition() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_schema::<Thing>()).unwrap());
}

#[test]
fn what_is_written_can_be_read_again() {
    let thing = thing(
        "name: abc\nhardness: rock-hard\nparts: [{}, {size: 1}]\ncount: 4\nsizes: {a: 1.5}\nx-extra: {b: [1], a: ~}",
    );
    let text = serde_json::to_string(&thing).unwrap();
    assert_eq!(
        text,
        "{\"apiVersion\":\"weir/v1\",\"kind\":\"Thing\",\"name\":\"abc\",\"hardness\":\"rock-hard\",\
         \"part\":{\"size\":3,\"weightKg\":0.5},\"parts\":[{\"size\":3,\"weightKg\":0.5},{\"size\":1,\"weightKg\":0.5}],\
         \"offset\":-1,\"count\":4,\"shiny\":true,\"sizes\":{\"a\":1.5},\"x-extra\":{\"a\":null,\"b\":[1]}}"
    );
    assert_eq!(read::<Thing>("t", &text).unwrap(), thing);
}

#[test]
fn words_are_listed_and_written() {
    assert_eq!(Hardness::ALL, [Hardness::Soft, Hardness::RockHard]);
    assert_eq!(format!("[{:>10}]", Hardness::RockHard), "[ rock-hard]");
    assert_eq!(json!(Hardness::Soft), json!("soft"));
}

#[test]
fn keys_are_camel_case() {
    for (field, key) in [("name", "name"), ("body_tail_bytes_max", "bodyTailBytesMax"), ("r#match", "match")]
    {
        assert_eq!(camel_case(field), key);
    }
}

#[test]
fn suggestions_are_close_or_not_made() {
    let known = ["candidatePercent", "shadowPercent", "name", "tier", "match"];
    for (word, expected) in [
        ("candidate_percent", Some("candidatePercent")),
        ("candidatepercent", Some("candidatePercent")),
        ("candidtePercent", Some("candidatePercent")),
        ("mathc", Some("match")),
        ("teir", Some("tier")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(closest(word, known), expected, "{word}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = read::<Thing>("t", &text);
    }

    #[test]
    fn arbitrary_values_in_known_fields_never_panic(key in "name|hardness|part|parts|spare|offset|count|shiny|sizes", value in "[-0-9a-z.\\[\\]{}:, e]{0,30}") {
        let _ = read::<Thing>("t", &format!("{HEAD}{key}: {value}"));
    }

    #[test]
    fn every_whole_number_survives(number in any::<i64>()) {
        let thing = thing(&format!("name: abc\nhardness: soft\noffset: '{number}'"));
        prop_assert_eq!(thing.offset, number);
    }
}
