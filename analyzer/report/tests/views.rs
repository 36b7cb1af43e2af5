//! Every view of one ordinary and one hostile report.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixed;

use weir_report::{Format, RenderOptions, Report, parse, render};

fn drawn(report: &Report, format: Format) -> String {
    // The live page is there or not, as it was built; its own tests open it in a browser.
    render(report, format, &RenderOptions { live: false, ..RenderOptions::default() }).unwrap()
}

#[test]
fn the_table_says_the_verdict_first_and_fits_80_columns() {
    let text = drawn(&fixed::rollback(), Format::Table);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_table_uses_a_wider_terminal() {
    let text = render(
        &fixed::rollback(),
        Format::Table,
        &RenderOptions { colour: false, width: 120, ..RenderOptions::default() },
    )
    .unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn colour_adds_nothing_but_colour() {
    let coloured = render(
        &fixed::rollback(),
        Format::Table,
        &RenderOptions { colour: true, width: 80, ..RenderOptions::default() },
    )
    .unwrap();
    assert!(coloured.contains("\u{1b}[1;31mROLL BACK\u{1b}[0m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let uncoloured = drawn(&fixed::rollback(), Format::Table);
    assert_eq!(trimmed, uncoloured.lines().collect::<Vec<_>>());
}

#[test]
fn the_markdown_fits_a_comment() {
    let text = drawn(&fixed::rollback(), Format::Markdown);
    assert!(text.len() < 60_000);
    insta::assert_snapshot!(text);
}

#[test]
fn junit_has_a_case_for_each_gate() {
    insta::assert_snapshot!(drawn(&fixed::rollback(), Format::Junit));
}

#[test]
fn prometheus_gets_the_verdict_and_every_gate() {
    insta::assert_snapshot!(drawn(&fixed::rollback(), Format::Prometheus));
}

#[test]
fn hostile_text_stays_a_label_in_prometheus() {
    let text = drawn(&fixed::hostile(), Format::Prometheus);
    assert!(!text.contains(fixed::BIDI));
    for line in text.lines() {
        let value = line.rsplit(' ').next().unwrap();
        assert!(line.starts_with("# ") || value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn the_json_is_the_report_and_reads_back() {
    let report = fixed::rollback();
    let text = drawn(&report, Format::Json);
    assert_eq!(parse(&text).unwrap(), report);
    assert_eq!(drawn(&parse(&text).unwrap(), Format::Json), text);
    insta::assert_snapshot!(text);
}

#[test]
fn the_page_is_one_file_without_scripts_or_addresses() {
    let text = drawn(&fixed::rollback(), Format::Html);
    for forbidden in
        ["<script", "javascript:", "http://", "https://", " src=", " href=\"h", " style=", "url(", "@import"]
    {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    let body = text.split_once("</style>").unwrap().1;
    insta::assert_snapshot!(body);
}

#[test]
fn a_hold_says_what_is_missing() {
    insta::assert_snapshot!(drawn(&fixed::hold(), Format::Table));
}

#[test]
fn a_report_without_anything_is_drawn_all_the_same() {
    let mut report = fixed::hold();
    report.evaluation.gates.clear();
    report.evaluation.reasons.clear();
    report.absent.clear();
    for format in Format::ALL {
        assert!(drawn(&report, format).ends_with('\n'), "{format}");
    }
}

#[test]
fn hostile_text_stays_text_in_the_table() {
    let text = drawn(&fixed::hostile(), Format::Table);
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()));
    assert!(!text.contains(fixed::BIDI));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn hostile_text_stays_text_in_markdown() {
    let text = drawn(&fixed::hostile(), Format::Markdown);
    assert!(!text.contains(fixed::BIDI));
    insta::assert_snapshot!(text);
}

#[test]
fn hostile_text_stays_text_in_junit() {
    let text = drawn(&fixed::hostile(), Format::Junit);
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()));
    assert!(!text.contains("]]>") && !text.contains("<script"));
    insta::assert_snapshot!(text);
}

#[test]
fn hostile_text_stays_text_on_the_page() {
    let text = drawn(&fixed::hostile(), Format::Html);
    assert!(!text.contains("<script") && !text.contains("<img"));
    assert!(!text.contains(fixed::BIDI));
    assert_eq!(text.matches("</style>").count(), 1);
    insta::assert_snapshot!(text.split_once("</style>").unwrap().1);
}

#[test]
fn a_huge_text_neither_breaks_nor_floods_a_comment() {
    let mut report = fixed::hostile();
    for exemplar in &mut report.exemplars {
        exemplar.candidate_text = "`".repeat(1_000_000);
    }
    report.evaluation.reasons[0].text = "|".repeat(100_000);
    assert!(drawn(&report, Format::Markdown).len() < 60_000);
}

/// Every key of a value must be a property of its schema, all the way down.
fn described(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value, at: &str) {
    let resolve = |schema: &serde_json::Value| -> serde_json::Value {
        match schema.get("$ref").and_then(serde_json::Value::as_str) {
            Some(name) => root.pointer(name.trim_start_matches('#')).unwrap().clone(),
            None => schema.clone(),
        }
    };
    let schema = resolve(schema);
    let options: Vec<serde_json::Value> = match schema.get("anyOf").and_then(serde_json::Value::as_array) {
        Some(options) => options.iter().map(resolve).collect(),
        None => vec![schema],
    };
    match value {
        serde_json::Value::Object(map) => {
            for (key, inner) in map {
                let known = options.iter().find_map(|option| {
                    option.get("properties")?.get(key).or_else(|| option.get("additionalProperties"))
                });
                let fallback = options.iter().find_map(|option| option.get("additionalProperties"));
                let free = options.iter().any(|option| option.get("type").is_none());
                match known.or(fallback) {
                    Some(schema) => described(inner, schema, root, &format!("{at}.{key}")),
                    None => assert!(free, "{at}.{key} is not in the schema"),
                }
            }
        }
        serde_json::Value::Array(items) => {
            for item in items {
                if let Some(schema) = options.iter().find_map(|option| option.get("items")) {
                    described(item, schema, root, &format!("{at}[]"));
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_describes_every_field_of_a_report() {
    let schema = weir_report::json_schema();
    let report = serde_json::from_str(&drawn(&fixed::rollback(), Format::Json)).unwrap();
    described(&report, &schema, &schema, "report");
    assert_eq!(schema.pointer("/properties/schema/type").unwrap(), "string");
}

#[test]
fn a_report_of_another_schema_is_refused_by_name() {
    let text = drawn(&fixed::hold(), Format::Json).replace("weir.report/2", "weir.report/9");
    insta::assert_snapshot!(parse(&text).unwrap_err().to_string());
}

#[test]
fn a_report_that_was_cut_says_where() {
    let text = drawn(&fixed::hold(), Format::Json);
    insta::assert_snapshot!(parse(&text[..200]).unwrap_err().to_string());
}

#[test]
fn a_format_that_does_not_exist_is_refused_with_those_that_do() {
    insta::assert_snapshot!("pdf".parse::<Format>().unwrap_err().to_string());
    for format in Format::ALL {
        assert_eq!(format.name().parse::<Format>().unwrap(), format);
    }
}

#[test]
fn a_corrected_score_is_told_with_the_judges_own_and_its_labels_in_every_view() {
    let mut report = fixed::rollback();
    let gate = &mut report.evaluation.gates[0];
    gate.unit = "score".into();
    gate.correction = Some(weir_gate::Correction {
        applied: true,
        raw_estimate: Some(0.117),
        raw_interval: Some((0.068, 0.167)),
        labels_control: 80,
        labels_candidate: 75,
        judge_weight: Some(0.62),
        needed_labels: Some(1_240),
        ..weir_gate::Correction::default()
    });
    let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "");
    for format in [Format::Table, Format::Markdown, Format::Html] {
        let text = flat(drawn(&report, format));
        for expected in
            ["by the judge alone +0.117", "80 and 75 labels of people", "1,240 more labels of each variant"]
        {
            assert!(text.contains(expected), "{format:?} lacks {expected}");
        }
    }
    let json = drawn(&report, Format::Json);
    assert_eq!(parse(&json).unwrap().evaluation.gates[0].correction, report.evaluation.gates[0].correction);
}

#[test]
fn a_report_from_before_there_was_a_meaning_section_is_read() {
    let mut older: serde_json::Value =
        serde_json::from_str(&drawn(&fixed::rollback(), Format::Json)).unwrap();
    older.as_object_mut().unwrap().remove("meaning").unwrap();
    let map = older["prompts"].as_object_mut().unwrap();
    map.remove("clusters").unwrap();
    for point in map["points"].as_array_mut().unwrap() {
        let point = point.as_object_mut().unwrap();
        point.remove("noise").unwrap();
        point.remove("cluster").unwrap();
    }
    let report = parse(&older.to_string()).unwrap();
    assert_eq!((&report.meaning, report.prompts.unwrap().points[0].cluster), (&None, None));
    assert_eq!(report.evaluation, fixed::rollback().evaluation);
}
