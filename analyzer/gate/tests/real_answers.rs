//! The verdict on real answers of real models, where the folder with them is beside the project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{healthy, series, share};
use weir_gate::{Better, Evaluation, Gates, MetricSeries, Outcome, Spending, Verdict, evaluate};

/// Length and judge score of each answer.
fn answers(folder: &Path, model: &str) -> BTreeMap<String, (f64, f64)> {
    let text = std::fs::read_to_string(folder.join(format!("{model}.jsonl"))).unwrap();
    text.lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let length = row["output"].as_str().unwrap().chars().count() as f64;
            (row["id"].to_string(), (length, row["judge_score"].as_f64().unwrap()))
        })
        .collect()
}

fn evaluate_pair(folder: &Path, control: &str, candidate: &str) -> Evaluation {
    let (control, candidate) = (answers(folder, control), answers(folder, candidate));
    let joined: Vec<((f64, f64), (f64, f64))> =
        control.iter().filter_map(|(id, left)| Some((*left, *candidate.get(id)?))).collect();
    assert_eq!(joined.len(), 805);
    let lengths = joined.iter().map(|(x, y)| (x.0, y.0)).collect();
    let scores = joined.iter().map(|(x, y)| (x.1, y.1)).collect();
    // The flags that the analyzer computes for any answer are there too, so that alpha is divided as it would be.
    let never = |name: &str| share(name, Better::Lower, vec![(0.0, 0.0); joined.len()]);
    let series: Vec<MetricSeries> = vec![
        never("error"),
        never("empty"),
        never("truncated_answer"),
        never("refusal"),
        share("json_valid", Better::Higher, vec![(0.0, 0.0); joined.len()]),
        series("response_chars", Better::Neither, None, lengths),
        share("score:judge", Better::Higher, scores),
    ];
    evaluate(&Gates::default_pack(&series), &series, &healthy(), Spending::ALL)
}

#[test]
fn real_answers_get_the_class_of_verdict_that_is_true_of_them() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/alpaca_eval/outputs");
    if !folder.is_dir() {
        println!("skipped: the folder ../shared/data with real answers is not beside the project");
        return;
    }
    let cases: [(&str, &str, &[Verdict]); 5] = [
        ("vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai", &[Verdict::Hold, Verdict::Promote]),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106_concise", &[Verdict::Rollback, Verdict::Investigate]),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106_verbose", &[Verdict::SignOff]),
        ("claude-2", "vicuna-7b", &[Verdict::Rollback]),
        ("vicuna-7b", "claude-2", &[Verdict::SignOff]),
    ];
    for (control, candidate, expected) in cases {
        let evaluation = evaluate_pair(&folder, control, candidate);
        println!("{control} -> {candidate}: {}", evaluation.verdict);
        for reason in &evaluation.reasons {
            println!("    {}", reason.text);
        }
        assert!(expected.contains(&evaluation.verdict), "{control} -> {candidate}: {}", evaluation.verdict);
    }
    let same = evaluate_pair(&folder, "vicuna-13b-v1.5", "vicuna-13b-v1.5-togetherai");
    let length = same.gates.iter().find(|gate| gate.metric == "response_chars").unwrap();
    assert_eq!(length.outcome, Outcome::Inside);
}
