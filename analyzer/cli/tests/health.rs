//! Biased captures and bad input at the command line: the reason and the remedy are shown, and nothing is promoted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs `weir` in `folder` and gives its exit code and all that it said.
fn weir(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).env("COLUMNS", "120");
    for name in ["WEIR_DATA", "WEIR_GATES", "WEIR_POLICY", "WEIR_CONFIG", "WEIR_EXPERIMENT"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

fn import(folder: &Path, lines: &str) {
    std::fs::write(folder.join("legs.jsonl"), lines).unwrap();
    let (code, text) = weir(
        folder,
        &["import", "--format", "jsonl", "legs.jsonl", "--data", "data", "--experiment", "support"],
    );
    assert_eq!(code, 0, "{text}");
}

/// Words without the line breaks of a table.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn policy(revision: u64, percent: u64) -> String {
    format!(
        "apiVersion: weir/v1\nkind: Policy\nexperiment: support\nrevision: {revision}\nmode: canary\n\
         control: {{cluster: control, snapshot: {{model: {{name: a, version: \"1\"}}}}}}\ncandidate: {{cluster: candidate, snapshot: {{model: {{name: b, version: \"1\"}}}}}}\n\
         identity: [{{header: x-user-id}}]\ncohorts: [{{name: general, candidatePercent: {percent}}}]\n"
    )
}

/// 1,500 people, of whom `every`-th has the candidate; both variants answer alike.
fn canary(every: u64) -> String {
    let mut lines = String::new();
    for number in 0..1_500_u64 {
        let variant = if number % every == 0 { "candidate" } else { "control" };
        let ts = 1_760_000_000_000_u64 + 1_000 * number;
        writeln!(
            lines,
            r#"{{"sample_id":"s{number}","leg":"primary","variant":"{variant}","ts":{ts},"revision":7,"cohort":"general","identity_hash":"{number:016x}","status":200,"complete":true,"response_text":"yes"}}"#
        )
        .unwrap();
    }
    lines
}

const GATES: &str =
    "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: errors, metric: error, margin: {absolute: 0.5}}\n";

#[test]
fn a_sample_ratio_mismatch_refuses_the_promotion_that_the_gates_would_give() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &canary(4));
    for (name, text) in [("gates.yaml", GATES), ("25.yaml", &policy(7, 25)), ("40.yaml", &policy(7, 40))] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let analyze = ["analyze", "--data", "data", "--gates", "gates.yaml", "--policy"];
    let (code, text) = weir(folder.path(), &[&analyze[..], &["25.yaml"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(
        words(&text).contains("375 of 1,500 identities have the candidate, as the policy says (25 %)"),
        "{text}"
    );
    let (code, text) = weir(folder.path(), &[&analyze[..], &["40.yaml"]].concat());
    assert_eq!(code, 3, "{text}");
    let said = words(&text);
    assert!(said.contains("sample-ratio mismatch: the candidate has 375 of 1500 identities of cohort general, revision 7 (25 %)"), "{text}");
    assert!(said.contains("the gates alone would say promote; biased capture decides nothing"), "{text}");
}

#[test]
fn a_policy_of_another_revision_or_experiment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &canary(4));
    std::fs::write(folder.path().join("other.yaml"), policy(9, 25)).unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--policy", "other.yaml"]);
    assert_eq!(
        (code, text.as_str()),
        (
            2,
            "error: other.yaml: is revision 9, the samples are of 7\n  hint: give the policy that was in force, as it was pushed\n"
        )
    );
    std::fs::write(folder.path().join("other.yaml"), policy(7, 25).replace("support", "billing")).unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--policy", "other.yaml"]);
    assert_eq!(code, 2);
    assert!(text.contains("is a policy of experiment \"billing\", the samples are of \"support\""), "{text}");
}

#[test]
fn of_several_experiments_the_named_ones_policy_is_held_against_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &canary(4));
    let one = |text: &str| {
        let fields: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("apiVersion") && !line.starts_with("kind"))
            .collect();
        format!("- {}\n", fields.join("\n  "))
    };
    let billing =
        policy(9, 50).replace("support", "billing") + "requests: {header: \":path\", prefix: /billing}\n";
    let both = format!(
        "apiVersion: weir/v1\nkind: Experiments\nrevision: 9\nexperiments:\n{}{}",
        one(&billing),
        one(&policy(7, 25))
    );
    for (name, text) in [("gates.yaml", GATES), ("both.yaml", &both)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let analyze = ["analyze", "--data", "data", "--gates", "gates.yaml", "--policy", "both.yaml"];
    let (code, text) = weir(folder.path(), &[&analyze[..], &["--experiment", "support"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(
        words(&text).contains("375 of 1,500 identities have the candidate, as the policy says (25 %)"),
        "{text}"
    );
    let (code, text) = weir(folder.path(), &analyze);
    assert_eq!(code, 2);
    assert!(
        text.contains("both.yaml: has the experiments billing, support") && text.contains("--experiment"),
        "{text}"
    );
}

/// Pairs of which `leg` says the columns after the usual ones: (number, whether it is the candidate's) to JSON.
fn pairs(count: u64, columns: impl Fn(u64, bool) -> String) -> String {
    let mut lines = String::new();
    for number in 0..count {
        for (leg, variant, candidate) in [("primary", "control", false), ("shadow", "candidate", true)] {
            let ts = 1_760_000_000_000_u64 + 1_000 * number;
            let columns = columns(number, candidate);
            writeln!(
                lines,
                r#"{{"sample_id":"s{number}","leg":"{leg}","variant":"{variant}","ts":{ts},"revision":2,"status":200,"complete":true,{columns}}}"#
            )
            .unwrap();
        }
    }
    lines
}

fn gates(list: &str) -> String {
    format!("apiVersion: weir/v1\nkind: Gates\ngates:\n{list}")
}

/// Imports, analyses with these gates, and gives the exit code and what was said, in one line.
fn judged(lines: &str, list: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), lines);
    std::fs::write(folder.path().join("gates.yaml"), gates(list)).unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--gates", "gates.yaml"]);
    (code, words(&text))
}

const ERRORS: &str = "  - {name: errors, metric: error, margin: {absolute: 0.05}}\n";
const LATENCY: &str = "  - {name: latency, metric: latency_ms, margin: {relative: 0.1}}\n";

#[test]
fn without_pairs_and_without_a_second_cohort_a_gate_holds_for_want_of_values() {
    let control: String = pairs(300, |_, _| r#""response_text":"x""#.into())
        .lines()
        .step_by(2)
        .fold(String::new(), |all, line| all + line + "\n");
    let (code, said) = judged(&control, ERRORS);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no data") && said.contains("a gate without values never promotes"), "{said}");
}

#[test]
fn one_cohort_with_one_variant_only_is_left_out_and_named() {
    let cohorts = canary(4)
        .replace("\"cohort\":\"general\"", "\"cohort\":\"internal\"")
        .lines()
        .take(200)
        .fold(String::new(), |all, line| {
            // Of the internal people only control's answers are there.
            let kept = if line.contains("candidate") {
                String::new()
            } else {
                line.replace("\"sample_id\":\"s", "\"sample_id\":\"i") + "\n"
            };
            all + &kept
        });
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &(cohorts + &canary(4)));
    std::fs::write(folder.path().join("gates.yaml"), GATES).unwrap();
    let (code, text) =
        weir(folder.path(), &["analyze", "--data", "data", "--gates", "gates.yaml", "--output", "json"]);
    assert_eq!(code, 0, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let strata = report["evidence"][0]["strata"].as_array().unwrap();
    assert_eq!(strata.len(), 1, "a cohort without a counterpart is nothing to compare");
    assert_eq!(strata[0]["name"], "general");
}

#[test]
fn a_handful_of_constant_values_holds_and_thousands_of_equal_ones_are_no_change() {
    let constant = |_: u64, _: bool| r#""latency_ms":100,"response_text":"x""#.to_owned();
    let (code, said) = judged(&pairs(20, constant), LATENCY);
    assert_eq!(code, 3, "{said}");
    let (code, said) = judged(&pairs(1_500, constant), LATENCY);
    assert_eq!(code, 0, "{said}");
    let worse = |_: u64, candidate: bool| {
        format!(r#""latency_ms":{},"response_text":"x""#, if candidate { 200 } else { 100 })
    };
    let (code, said) = judged(&pairs(1_500, worse), LATENCY);
    assert_eq!(code, 4, "constant and worse: {said}");
}

#[test]
fn values_that_are_no_numbers_and_negative_latencies_are_refused_at_the_door() {
    let folder = tempfile::tempdir().unwrap();
    for value in ["NaN", "-5", "1e999", "\"fast\""] {
        let lines = pairs(1, |_, _| format!(r#""latency_ms":{value}"#));
        std::fs::write(folder.path().join("legs.jsonl"), lines).unwrap();
        let (code, text) = weir(
            folder.path(),
            &["import", "--format", "jsonl", "legs.jsonl", "--data", "data", "--experiment", "support"],
        );
        assert_eq!(code, 5, "{value}: {text}");
        assert!(text.contains("line 1"), "{value}: {text}");
    }
}

#[test]
fn a_gate_whose_values_are_all_missing_holds_with_the_reason() {
    let (code, said) = judged(&pairs(300, |_, _| r#""response_text":"x""#.into()), LATENCY);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("latency_ms: no sample has a value for it"), "{said}");
}

#[test]
fn a_part_that_is_no_parquet_is_named_and_skipped_and_nothing_is_promoted_on_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &pairs(3, |_, _| r#""response_text":"x""#.into()));
    let parts = folder.path().join("data/samples/experiment=support/date=2025-10-09/hour=08");
    std::fs::write(parts.join("part-other.parquet"), "not what it says").unwrap();
    let (code, text) = weir(folder.path(), &["analyze", "--data", "data"]);
    assert_eq!(code, 3, "{text}");
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["1 part file cannot be read", "part-other.parquet", "hint:", "biased capture decides nothing"]
    {
        assert!(said.contains(part), "{part}: {text}");
    }
    assert!(parts.join("part-other.parquet").exists(), "nothing foreign is deleted");
}

#[test]
fn clocks_that_disagree_refuse_a_promotion_with_the_remedy() {
    let lines = pairs(300, |number, candidate| {
        let sequence = 2 * number + u64::from(candidate);
        format!(
            r#""proxy":"envoy-1","worker":"00ff","sequence":{sequence},"latency_ms":10,"response_text":"x""#
        )
    });
    let (code, said) = judged(&lines, ERRORS);
    assert_eq!(code, 0, "{said}");
    let mut skewed = String::new();
    for line in lines.lines() {
        let ts: u64 = line.split("\"ts\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        let late = line.replace(&format!("\"ts\":{ts}"), &format!("\"ts\":{}", ts + 60_000));
        skewed += if line.contains("shadow") { &late } else { line };
        skewed.push('\n');
    }
    let (code, said) = judged(&skewed, ERRORS);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("clocks disagree") && said.contains("hint: synchronise the clocks"), "{said}");
}

#[test]
fn a_gate_on_a_metric_that_does_not_exist_or_with_a_margin_of_the_wrong_sign_is_refused() {
    let cases = [
        ("  - {name: a, metric: latencyms, margin: {relative: 0.1}}\n", "did you mean `latency_ms`?"),
        (
            "  - {name: a, metric: error, margin: {absolute: -0.02}}\n",
            "gates[0].margin.absolute: -0.02 is out of range",
        ),
        (
            "  - {name: a, metric: error, margin: {relative: 0}}\n",
            "gates[0].margin.relative: 0 is out of range",
        ),
        ("  - {name: a, metric: 'own:slow', margin: {absolute: 0.02}}\n", "--metrics FILE"),
    ];
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &pairs(3, |_, _| r#""response_text":"x""#.into()));
    for (list, expected) in cases {
        std::fs::write(folder.path().join("gates.yaml"), gates(list)).unwrap();
        let (code, text) = weir(folder.path(), &["analyze", "--data", "data", "--gates", "gates.yaml"]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_example_document_validates_and_its_gates_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, from) in [
        ("gates.yaml", "examples/gates/support-metrics.yaml"),
        ("metrics.yaml", "examples/metrics/support-answers.yaml"),
    ] {
        std::fs::copy(root.join(from), folder.path().join(name)).unwrap();
    }
    let (code, text) = weir(folder.path(), &["validate", "metrics.yaml", "gates.yaml"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("metrics, 2 of your own, 2 routes, 3 prices"), "{text}");
    let columns = |number: u64, candidate: bool| {
        let answer = if candidate && number.is_multiple_of(2) {
            "{\\\"answer\\\":1}"
        } else {
            "{\\\"answer\\\":\\\"x\\\",\\\"order_id\\\":1}"
        };
        format!(
            r#""path":"/v1/orders","model":"gpt-x","prompt_tokens":100,"completion_tokens":20,"latency_ms":50,"response_text":"{answer}""#
        )
    };
    import(folder.path(), &pairs(300, columns));
    let analyze = ["analyze", "--data", "data", "--gates", "gates.yaml", "--metrics", "metrics.yaml"];
    let (code, text) = weir(folder.path(), &analyze);
    assert_eq!(code, 1, "a critical gate on json_schema: {text}");
    assert!(words(&text).contains("share of answers that keep their JSON Schema"), "{text}");
}
