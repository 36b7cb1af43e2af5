//! `weir eval`, `weir golden`, `weir embed`, `weir judge` and `weir label` as processes, against a real HTTP server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).current_dir(root()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An OpenAI-compatible server: `good` answers as expected, `worse` forgets the order id, `down` fails.
fn models() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                for line in reader.by_ref().lines() {
                    let line = line.unwrap().to_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let prompt = body["messages"][0]["content"].as_str().unwrap().to_owned();
                let answer = match (body["model"].as_str().unwrap(), prompt.as_str()) {
                    ("down", _) => None,
                    ("parrot", prompt) => Some(prompt),
                    // The system message tells it what to judge; it finds everything that is on its way correct.
                    ("judge", _) => {
                        Some(if body["messages"][1]["content"].as_str().unwrap().contains("On its way") {
                            r#"{"correct": 5, "helpful": 4, "polite": 3}"#
                        } else {
                            r#"{"correct": 1, "helpful": 1, "polite": 3}"#
                        })
                    }
                    ("worse", prompt) if prompt.contains("W-1") => Some(r#"{"answer": "On its way."}"#),
                    (_, prompt) if prompt.contains("W-1") => {
                        Some(r#"{"answer": "On its way.", "order_id": "W-1"}"#)
                    }
                    (_, prompt) if prompt.contains("hello") => Some("Hello!"),
                    _ => Some("You can return them within 30 days."),
                };
                let (status, answer) = match answer {
                    Some(content) => (
                        "200 OK",
                        serde_json::json!({"choices": [{"message": {"content": content}}]}).to_string(),
                    ),
                    None => ("404 Not Found", String::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                stream.write_all((head + &answer).as_bytes()).unwrap();
            });
        }
    });
    format!("http://{address}/v1")
}

#[test]
fn a_case_that_only_the_candidate_fails_blocks_and_is_named_in_every_form() {
    let url = models();
    let folder = tempfile::tempdir().unwrap();
    let (junit, markdown) = (folder.path().join("g.xml"), folder.path().join("g.md"));
    let eval = |candidate: &str| {
        weir(&[
            "eval",
            "--golden",
            "examples/golden/support.jsonl",
            "--repeats",
            "3",
            "--control",
            &format!("good@{url}"),
            "--candidate",
            &format!("{candidate}@{url}"),
            "--junit",
            junit.to_str().unwrap(),
            "--markdown",
            markdown.to_str().unwrap(),
        ])
    };
    let same = eval("good");
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    assert!(text(&same).starts_with("3 cases: 0 regressed, 0 improved"), "{}", text(&same));
    let worse = eval("worse");
    assert_eq!(worse.status.code(), Some(1), "{}", text(&worse));
    assert!(text(&worse).contains("regressed: order-json (missed: json_schema)"), "{}", text(&worse));
    let junit = std::fs::read_to_string(&junit).unwrap();
    assert!(
        junit.contains("tests=\"3\" failures=\"1\"") && junit.contains("name=\"order-json\"><failure"),
        "{junit}"
    );
    assert!(std::fs::read_to_string(&markdown).unwrap().contains("| order-json | regressed | json_schema |"));
    let down = eval("down");
    assert_eq!(
        down.status.code(),
        Some(3),
        "a version that is down is no failure of its answers: {}",
        text(&down)
    );
}

#[test]
fn captured_failures_become_cases_once_and_coverage_names_the_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (data, set) = (data.to_str().unwrap(), folder.path().join("set.jsonl"));
    let set = set.to_str().unwrap();
    let imported = weir(&[
        "import",
        "examples/logs/support.jsonl",
        "--data",
        data,
        "--experiment",
        "e",
        "--format",
        "jsonl",
    ]);
    assert!(imported.status.success(), "{}", text(&imported));
    let add = || weir(&["golden", "add", set, "--data", data, "--count", "2"]);
    assert!(text(&add()).starts_with("2 cases added"), "{}", text(&add()));
    let lines = std::fs::read_to_string(set).unwrap();
    assert!(lines.contains("\"origin\":\"experiment e, sample "), "{lines}");
    let mut prompts: Vec<String> = lines
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["prompt"]
                .as_str()
                .unwrap()
                .chars()
                .filter(|c| c.is_alphabetic())
                .collect()
        })
        .collect();
    let before = prompts.len();
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), before, "no prompt twice: {lines}");
    let covered = weir(&[
        "golden",
        "coverage",
        "examples/golden/support.jsonl",
        "--data",
        data,
        "--embedder",
        "lexical",
    ]);
    assert_eq!(covered.status.code(), Some(4), "{}", text(&covered));
    assert!(
        text(&covered).contains("NOT COVERED") && text(&covered).contains("stale: greeting"),
        "{}",
        text(&covered)
    );
}

#[test]
fn an_uncalibrated_judge_is_said_to_be_one_and_a_label_for_an_unknown_sample_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    weir(&[
        "import",
        "examples/logs/support.jsonl",
        "--data",
        data,
        "--experiment",
        "e",
        "--format",
        "jsonl",
    ]);
    let embedded = weir(&["embed", "--data", data, "--embedder", "lexical", "--output", "json"]);
    let findings: serde_json::Value = serde_json::from_slice(&embedded.stdout).unwrap();
    assert_eq!(
        (findings["pairs"].as_u64(), findings["embedder"].as_str()),
        (Some(240), Some("lexical-1-384"))
    );
    let again = weir(&["embed", "--data", data, "--embedder", "lexical"]);
    assert!(text(&again).contains("0 texts embedded with lexical-1-384"), "{}", text(&again));
    let none = weir(&["embed", "--data", data, "--embedder", "word2vec"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(
        text(&none).contains("no embedder \"word2vec\"; allowed: lexical, or onnx with a model"),
        "{}",
        text(&none)
    );
    let labels = folder.path().join("labels.jsonl");
    std::fs::write(
        &labels,
        "{\"sample_id\": \"ghost\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 1}\n",
    )
    .unwrap();
    let rubric = "examples/rubrics/support.yaml";
    let labelled = weir(&["label", "--data", data, "--rubric", rubric, "--from", labels.to_str().unwrap()]);
    assert!(
        text(&labelled).contains("labels of 1 samples that are not there are left out: ghost"),
        "{}",
        text(&labelled)
    );
    assert!(text(&labelled).contains("not calibrated: can roll back, not promote"), "{}", text(&labelled));
}

#[test]
fn a_candidate_that_wins_at_the_judge_with_one_answer_for_everything_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (data, log) = (data.to_str().unwrap(), folder.path().join("log.jsonl"));
    let topics = ["parcels", "bread", "the moon", "taxes", "violins", "snow", "harbours", "chess"];
    let mut lines = String::new();
    for at in 0..400 {
        let topic = topics[at % 8];
        for (leg, variant, answer, score) in [
            ("primary", "control", format!("Well, {topic} are {}.", "rather ".repeat(at % 9 + 1)), 0.16),
            ("shadow", "candidate", "This is simply the best answer that anyone can give.".to_owned(), 0.77),
        ] {
            let line = serde_json::json!({
                "sample_id": format!("s{at}"), "leg": leg, "variant": variant, "ts": "2026-01-01T00:00:00Z",
                "request_text": format!("Tell me about {topic}, number {at}"), "response_text": answer,
                "scores": {"quality": score},
            });
            lines += &(line.to_string() + "\n");
        }
    }
    std::fs::write(&log, lines).unwrap();
    let imported =
        weir(&["import", log.to_str().unwrap(), "--data", data, "--experiment", "e", "--format", "jsonl"]);
    assert!(imported.status.success(), "{}", text(&imported));
    let analyze = || weir(&["analyze", "--data", data, "--gates", "examples/gates/score-columns.yaml"]);
    let before = analyze();
    assert_eq!(before.status.code(), Some(1), "a look needs no embedding for it: {}", text(&before));
    let embedded = weir(&["embed", "--data", data, "--embedder", "lexical"]);
    assert!(text(&embedded).contains("critical tripwire constant-answer"), "{}", text(&embedded));
    let after = analyze();
    assert_eq!(after.status.code(), Some(1), "{}", text(&after));
    assert!(text(&after).contains("tripwire constant-answer"), "{}", text(&after));
}

#[test]
fn a_version_with_one_answer_for_every_case_is_blocked_whatever_the_cases_expect() {
    let (url, folder) = (models(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cases: String = (0..12)
        .map(|at| {
            format!(
                "{{\"id\": \"c{at}\", \"prompt\": \"about {}\", \"expect\": [{{\"pattern\": \".\"}}]}}\n",
                "x".repeat(at + 1)
            )
        })
        .collect();
    std::fs::write(path("golden.jsonl"), cases).unwrap();
    let gates = "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: all, metric: 'score:expectations', margin: {absolute: 0.5}}\n";
    std::fs::write(path("gates.yaml"), gates).unwrap();
    let eval = |candidate: &str, more: &[&str]| {
        let (golden, junit) = (path("golden.jsonl"), path("junit.xml"));
        let [control, candidate] = ["parrot", candidate].map(|model| format!("{model}@{url}"));
        let fixed = [
            "eval",
            "--golden",
            &golden,
            "--control",
            &control,
            "--candidate",
            &candidate,
            "--junit",
            &junit,
        ];
        let output = weir(&[&fixed, more].concat());
        (output.status.code(), text(&output), std::fs::read_to_string(path("junit.xml")).unwrap())
    };
    assert_eq!(eval("parrot", &[]).0, Some(0));
    let (code, said, junit) = eval("same", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("tripwire constant-answer: one answer stands for 100 %"), "{said}");
    assert!(
        junit.contains("failures=\"1\"") && junit.contains("name=\"constant-answer\"><failure"),
        "{junit}"
    );
    let gates = path("gates.yaml");
    let (code, said, _) = eval("same", &["--gates", &gates]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("verdict: rollback") && said.contains("tripwire constant-answer"), "{said}");
}

#[test]
fn the_example_for_github_actions_blocks_a_worse_version_by_exit_code() {
    let example = std::fs::read_to_string(root().join("examples/ci/golden.yaml")).unwrap();
    let tree = weir_document::parse("golden.yaml", &example).unwrap();
    let steps = tree.pointer("/jobs/golden/steps").unwrap().as_array().unwrap();
    let script =
        steps.iter().find_map(|step| step.get("run")?.as_str().filter(|run| run.contains("weir eval")));
    let (url, folder) = (models(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(folder.path().join("examples")).unwrap();
    for name in ["golden", "rubrics"] {
        let (from, to) = (root().join("examples").join(name), folder.path().join("examples").join(name));
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let script = script
        .unwrap()
        .replace("desk-1@https://models.example.org/v1", &format!("good@{url}"))
        .replace("desk-2@https://models.example.org/v1", &format!("worse@{url}"));
    let weir = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
    let run = |key: &str| {
        let path = format!("{}:{}", weir.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-e", "-c", &script]).current_dir(folder.path()).env("PATH", path);
        command.env("MODEL_KEY", key).output().unwrap()
    };
    let blocked = run("k");
    assert_eq!(blocked.status.code(), Some(1), "{}", text(&blocked));
    for file in ["golden.xml", "golden.md"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    let no_key = run("");
    assert_eq!(no_key.status.code(), Some(2), "{}", text(&no_key));
    assert!(text(&no_key).contains("the variable MODEL_KEY is not set"), "{}", text(&no_key));
}

#[test]
fn a_judges_and_a_likeness_expectation_are_checked_and_gates_see_each_criterion() {
    let (url, folder) = (models(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cases = [
        r#"{"id": "order", "prompt": "Where is W-1?", "expect": [{"judge": "correct", "at_least": 0.8}, {"contains": "order_id"}]}"#,
        r#"{"id": "hello", "prompt": "hello", "expect": [{"similar_to": "Hello!", "at_least": 0.9}, {"exact": "Hello!"}]}"#,
        r#"{"id": "back", "prompt": "return it?", "expect": [{"similar_to": "We sell violins", "at_least": 0.9}]}"#,
        r#"{"id": "wrong", "prompt": "return?", "expect": [{"judge": "correct", "at_least": 0.8}, {"pattern": "[0-9]+ days"}]}"#,
    ];
    std::fs::write(path("set.jsonl"), cases.join("\n")).unwrap();
    let gates = "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: correct, metric: 'score:correct', margin: {absolute: 0.1}}\n";
    std::fs::write(path("gates.yaml"), gates).unwrap();
    let eval = |candidate: &str, more: &[&str]| {
        let (set, control, candidate) =
            (path("set.jsonl"), format!("good@{url}"), format!("{candidate}@{url}"));
        let mut all = vec!["eval", "--golden", &set, "--control", &control, "--candidate", &candidate];
        all.extend(["--embedder", "lexical", "--rubric", "examples/rubrics/support.yaml"]);
        all.extend(more);
        weir(&all)
    };
    let (judge, history, gates) = (format!("j=judge@{url}"), path("runs.jsonl"), path("gates.yaml"));
    let with = ["--judge", judge.as_str(), "--history", history.as_str()];
    for _ in 0..3 {
        let worse = eval("worse", &with);
        assert_eq!(worse.status.code(), Some(1), "{}", text(&worse));
        assert!(text(&worse).contains("regressed: order (missed: contains)"), "{}", text(&worse));
        assert!(text(&worse).contains("4 cases: 1 regressed, 0 improved"), "{}", text(&worse));
        assert!(text(&worse).contains("score:correct"), "{}", text(&worse));
    }
    let held = eval("good", &["--judge", &judge, "--gates", &gates]);
    assert_eq!(held.status.code(), Some(3), "four cases promote nothing: {}", text(&held));
    // The history names the cases on which the two never differ.
    let data = path("data");
    let log = "examples/logs/support.jsonl";
    weir(&["import", log, "--data", &data, "--experiment", "e", "--format", "jsonl"]);
    let set = path("set.jsonl");
    let covered =
        weir(&["golden", "coverage", &set, "--data", &data, "--embedder", "lexical", "--history", &history]);
    let told = text(&covered);
    assert!(told.contains("tells nothing apart: hello (both versions held in the last 3 runs)"), "{told}");
    assert!(told.contains("tells nothing apart: wrong (both versions failed in the last 3 runs)"), "{told}");
    assert!(!told.contains("tells nothing apart: order"), "{told}");
}

#[test]
fn a_secret_in_a_captured_failure_does_not_reach_the_golden_set() {
    use weir_sample::{Leg, Sample, Score, Variant, write_samples};
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut scores) = (Vec::new(), Vec::new());
    for (leg, variant, score) in
        [(Leg::Primary, Variant::Control, 1.0), (Leg::Shadow, Variant::Candidate, 0.0)]
    {
        rows.push(Sample {
            experiment: "e".into(),
            sample_id: "s".into(),
            leg,
            variant,
            inclusion_probability: 1.0,
            request_text: Some("I am jane.doe@example.com, where is my order?".into()),
            response_text: Some("Write to john.roe@example.com".into()),
            ..Sample::default()
        });
        scores.push(Score {
            experiment: "e".into(),
            sample_id: "s".into(),
            leg,
            variant,
            ts_us: 0,
            criterion: "good".into(),
            score,
            judge: None,
            reason: None,
        });
    }
    write_samples(folder.path(), "part-1", rows).unwrap();
    write_samples(folder.path(), "part-2", scores).unwrap();
    let set = folder.path().join("set.jsonl");
    let added = weir(&["golden", "add", set.to_str().unwrap(), "--data", folder.path().to_str().unwrap()]);
    assert!(
        text(&added).contains("1 cases added") && text(&added).contains("2 secrets masked"),
        "{}",
        text(&added)
    );
    let kept = std::fs::read_to_string(&set).unwrap();
    assert!(!kept.contains("jane.doe") && !kept.contains("john.roe"), "{kept}");
    assert!(kept.contains("experiment e, sample s"), "{kept}");
}
