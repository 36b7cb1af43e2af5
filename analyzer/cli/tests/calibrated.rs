//! People's labels correct the gates on judges' scores: `weir label`, `weir analyze` as processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const RUBRIC: &str = "examples/rubrics/support.yaml";
const GATES: &str = "apiVersion: weir/v1\nkind: Gates\ngates:\n  - {name: helpful, metric: 'score:helpful', margin: {absolute: 0.05}}\n";

fn weir(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_weir")).current_dir(root).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Folder {
    _temporary: tempfile::TempDir,
    data: String,
    gates: String,
    labels: PathBuf,
}

/// 800 pairs: people find control's answer helpful in three of five and the candidate's in two of five; the judge agrees on
/// control, and takes most of the candidate's bad answers for helpful. People label every seventh exchange.
fn flattered() -> Folder {
    let temporary = tempfile::tempdir().unwrap();
    let path = |name: &str| temporary.path().join(name);
    let (mut lines, mut labels) = (String::new(), String::new());
    for at in 0..800_u32 {
        let truth = (f64::from(u8::from(at % 5 < 3)), f64::from(u8::from(at / 5 % 5 < 2)));
        let judge = (truth.0, if truth.1 == 0.0 && at % 8 < 6 { 1.0 } else { truth.1 });
        for (leg, variant, judge, truth) in
            [("primary", "control", judge.0, truth.0), ("shadow", "candidate", judge.1, truth.1)]
        {
            let line = json!({
                "sample_id": format!("s{at:04}"), "leg": leg, "variant": variant, "tier": "internal",
                "ts": 1_770_000_000_000_u64 + u64::from(at) * 1000, "request_text": format!("question {at}"),
                "response_text": format!("{leg:.1}{at} is the answer, {}", "word ".repeat(at as usize % 7)),
                "scores": {"helpful": judge},
            });
            lines += &format!("{line}\n");
            if at.is_multiple_of(7) {
                let label = json!({"sample_id": format!("s{at:04}"), "leg": leg, "criterion": "helpful", "score": truth});
                labels += &format!("{label}\n");
            }
        }
    }
    std::fs::write(path("log.jsonl"), lines).unwrap();
    std::fs::write(path("labels.jsonl"), labels).unwrap();
    std::fs::write(path("gates.yaml"), GATES).unwrap();
    let data = path("data").display().to_string();
    let log = path("log.jsonl").display().to_string();
    let imported = weir(&["import", &log, "--data", &data, "--experiment", "e", "--format", "jsonl"]);
    assert!(imported.status.success(), "{}", text(&imported));
    let (gates, labels) = (path("gates.yaml").display().to_string(), path("labels.jsonl"));
    Folder { data, gates, labels, _temporary: temporary }
}

fn report(folder: &Folder) -> (Option<i32>, Value) {
    let output = weir(&["analyze", "--data", &folder.data, "--gates", &folder.gates, "--output", "json"]);
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output))),
    )
}

#[test]
fn labels_turn_a_flattering_judges_verdict_and_the_report_says_both_estimates() {
    let folder = flattered();
    let (code, before) = report(&folder);
    assert_eq!(code, Some(4), "the judge alone finds it better: {}", before["evaluation"]["reasons"]);
    assert!(before["evaluation"]["gates"][0]["correction"].is_null());
    let labels = folder.labels.display().to_string();
    let labelled = weir(&["label", "--data", &folder.data, "--rubric", RUBRIC, "--from", &labels]);
    assert!(labelled.status.success(), "{}", text(&labelled));
    assert!(text(&labelled).contains("variant=candidate"), "{}", text(&labelled));
    let (code, after) = report(&folder);
    assert!(matches!(code, Some(1 | 3)), "{code:?} {}", after["evaluation"]["reasons"]);
    let gate = &after["evaluation"]["gates"][0];
    let correction = &gate["correction"];
    assert_eq!(correction["applied"], true, "{gate}");
    assert_eq!((&correction["labels_control"], &correction["labels_candidate"]), (&json!(115), &json!(115)));
    assert!(correction["raw_estimate"].as_f64().unwrap() > 0.1, "{gate}");
    assert!(gate["estimate"].as_f64().unwrap() < -0.1, "{gate}");
    let judge = &after["judges"][0];
    assert!(
        judge["share"].as_f64().unwrap() > 0.7 && judge["bias_candidate"].as_f64().unwrap() > 0.3,
        "{judge}"
    );
    let parts: Vec<&str> =
        judge["parts"].as_array().unwrap().iter().map(|part| part["of"].as_str().unwrap()).collect();
    assert!(parts.contains(&"tier=internal") && parts.contains(&"variant=control"), "{parts:?}");
    let table = weir(&["analyze", "--data", &folder.data, "--gates", &folder.gates]);
    let flat = text(&table).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("by the judge alone +0.") && flat.contains("115 and 115 labels of people"),
        "{flat}"
    );
    assert_eq!(report(&folder).1, after, "the same bytes again");
}

#[test]
fn labels_that_cannot_be_used_are_errors_or_are_named() {
    let folder = flattered();
    let from = |lines: &str| {
        let path = folder.labels.with_file_name("bad.jsonl");
        std::fs::write(&path, lines).unwrap();
        weir(&["label", "--data", &folder.data, "--rubric", RUBRIC, "--from", path.to_str().unwrap()])
    };
    let off = from(concat!(
        "{\"sample_id\": \"s0000\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 5}\n",
        "{\"sample_id\": \"s0000\", \"leg\": \"copy\", \"criterion\": \"helpful\", \"score\": 1}\n",
        "{\"sample_id\": \"s0000\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 1, \"probability\": 2}\n",
        "{\"sample_id\": \"s0000\", \"leg\": \"primary\", \"criterion\": \"charming\", \"score\": 1}\n",
    ));
    assert_eq!(off.status.code(), Some(2), "{}", text(&off));
    for expected in [
        "line 1: score 5",
        "line 2: leg is \"copy\"",
        "line 3: probability 2",
        "line 4: criterion \"charming\"",
    ] {
        assert!(text(&off).contains(expected), "{expected}: {}", text(&off));
    }
    assert!(!Path::new(&folder.data).join("judge/labels.jsonl").exists(), "nothing of a bad file is kept");
    let two = from(concat!(
        "{\"sample_id\": \"s0001\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 1, \"by\": \"ann\"}\n",
        "{\"sample_id\": \"s0001\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 0, \"by\": \"ben\"}\n",
        "{\"sample_id\": \"s0002\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 0, \"by\": \"ann\"}\n",
        "{\"sample_id\": \"s0002\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 1, \"by\": \"ann\"}\n",
        "{\"sample_id\": \"ghost\", \"leg\": \"primary\", \"criterion\": \"helpful\", \"score\": 1, \"by\": \"ann\"}\n",
    ));
    assert!(two.status.success(), "{}", text(&two));
    for expected in [
        "people disagree by 1.00 on helpful (primary) of s0001: the mean 0.50 counts",
        "labels of 1 samples that are not there are left out: ghost",
    ] {
        assert!(text(&two).contains(expected), "{expected}: {}", text(&two));
    }
    assert!(!text(&two).contains("s0002"), "the same person's later word counts: {}", text(&two));
}

/// A judge over HTTP that answers `reply` with this status, and counts.
fn judge(
    status: &'static str,
    reply: &'static str,
) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
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
                reader.read_exact(&mut vec![0; length]).unwrap();
                let usage = json!({"prompt_tokens": 100, "completion_tokens": 10});
                let body = json!({"choices": [{"message": {"content": reply}}], "usage": usage}).to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).unwrap();
            });
        }
    });
    (url, calls)
}

#[test]
fn a_judge_that_is_down_or_talks_nonsense_holds_and_one_that_nobody_labelled_never_promotes() {
    let temporary = tempfile::tempdir().unwrap();
    let path = |name: &str| temporary.path().join(name).display().to_string();
    let mut lines = String::new();
    for at in 0..60_u32 {
        for (leg, variant) in [("primary", "control"), ("shadow", "candidate")] {
            let line = json!({
                "sample_id": format!("s{at}"), "leg": leg, "variant": variant, "ts": 1_770_000_000_000_u64 + u64::from(at),
                "request_text": format!("question {at}"), "response_text": format!("{variant} answers {at}"),
            });
            lines += &format!("{line}\n");
        }
    }
    std::fs::write(path("log.jsonl"), lines).unwrap();
    // Wide enough that sixty equal scores are inside.
    std::fs::write(path("gates.yaml"), GATES.replace("0.05}", "0.5}")).unwrap();
    let (data, log, gates) = (path("data"), path("log.jsonl"), path("gates.yaml"));
    let imported = weir(&["import", &log, "--data", &data, "--experiment", "e", "--format", "jsonl"]);
    assert!(imported.status.success(), "{}", text(&imported));
    let ask = |url: &str, more: &[&str]| {
        let judge = format!("j=m@{url}");
        let mut all = vec!["judge", "--data", &data, "--rubric", RUBRIC, "--judge", &judge];
        all.extend(more);
        weir(&all)
    };
    let verdict = || weir(&["analyze", "--data", &data, "--gates", &gates]).status.code();
    let (refusing, _) = judge("401 Unauthorized", "");
    let down = ask(&refusing, &[]);
    assert_eq!(down.status.code(), Some(3), "{}", text(&down));
    assert!(text(&down).contains("judge j answered 401"), "{}", text(&down));
    assert_eq!(verdict(), Some(3), "no scores: hold");
    let (babbling, _) = judge("200 OK", "What a lovely answer!");
    let babble = weir(&["judge", "--data", &data, "--rubric", RUBRIC, "--judge", &format!("b=m@{babbling}")]);
    assert!(text(&babble).contains("120 replies could not be read (missing)"), "{}", text(&babble));
    assert_eq!(verdict(), Some(3), "nonsense is no score: hold");
    let reply = "{\"correct\": 4, \"helpful\": 4, \"polite\": 4, \"reason\": \"It says\\n little.\"}";
    let (good, calls) = judge("200 OK", reply);
    let prices = ["--price-prompt", "10", "--price-completion", "30"];
    let dry = ask(&good, &[&["--dry-run"][..], &prices].concat());
    assert!(text(&dry).contains("would ask 120 of 120 questions (0 are known)"), "{}", text(&dry));
    let cost: f64 = text(&dry).trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(cost > 0.1 && calls.load(std::sync::atomic::Ordering::SeqCst) == 0, "{}", text(&dry));
    let part = ask(&good, &["--max-calls", "50"]);
    assert_eq!(part.status.code(), Some(3), "{}", text(&part));
    let whole = ask(&good, &prices);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert!(text(&whole).contains("50 known, 70 asked now"), "{}", text(&whole));
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 120, "nothing is paid twice");
    assert_eq!(verdict(), Some(3), "inside, and not calibrated: hold");
    let report = weir(&["analyze", "--data", &data, "--gates", &gates, "--output", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(
        report["exemplars"][0]["remarks"],
        json!(["j on the answers (correct, helpful, polite): It says little."])
    );
    std::fs::remove_file(Path::new(&data).join("judge/experiment=e/calibration.json")).unwrap();
    let output = weir(&["analyze", "--data", &data, "--gates", &gates]);
    assert_eq!(output.status.code(), Some(3), "a lost calibration is none: {}", text(&output));
    let flat = text(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("judge j of helpful is not calibrated"), "{flat}");
}

#[test]
fn reasons_that_were_imported_stand_beside_their_pairs_in_every_view_redacted_and_escaped() {
    let temporary = tempfile::tempdir().unwrap();
    let path = |name: &str| temporary.path().join(name).display().to_string();
    let mut lines = String::new();
    for at in 0..60_u32 {
        for (leg, variant, score) in [("primary", "control", 0.9), ("shadow", "candidate", 0.2)] {
            let why = format!("<b>{variant}</b> [x](y) writes to ann@example.com \u{1b}[2J");
            let line = json!({
                "sample_id": format!("s{at}"), "leg": leg, "variant": variant, "ts": 1_770_000_000_000_u64 + u64::from(at),
                "request_text": format!("question {at}"), "response_text": format!("{variant} answers {}", "x".repeat(at as usize)),
                "scores": {"helpful": score, "polite": score}, "reasons": {"helpful": why},
            });
            lines += &format!("{line}\n");
        }
    }
    std::fs::write(path("log.jsonl"), lines).unwrap();
    std::fs::write(path("gates.yaml"), GATES).unwrap();
    let (data, log, gates) = (path("data"), path("log.jsonl"), path("gates.yaml"));
    let imported = weir(&["import", &log, "--data", &data, "--experiment", "e", "--format", "jsonl"]);
    assert!(text(&imported).contains("120 secrets masked"), "{}", text(&imported));
    let view = |form: &str| {
        let output = weir(&["analyze", "--data", &data, "--gates", &gates, "--output", form]);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stdout);
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!flat.contains("ann@example.com") && !flat.contains('\u{1b}'), "{flat}");
        flat
    };
    let report: Value = serde_json::from_str(&view("json")).unwrap();
    let remarks: Vec<&str> = report["exemplars"][0]["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said.as_str().unwrap())
        .collect();
    assert_eq!(remarks.len(), 2);
    assert!(remarks[0].starts_with("a judge on control (helpful): <b>control</b>"), "{remarks:?}");
    assert!(remarks[1].starts_with("a judge on candidate (helpful): <b>candidate</b>"), "{remarks:?}");
    for (form, parts) in [
        ("table", ["scores control helpful 0.9", "judged a judge on candidate (helpful): <b>candidate</b>"]),
        ("markdown", ["- scores\\: control helpful 0.9", "&lt;b&gt;candidate&lt;/b&gt;"]),
        (
            "html",
            [
                "helpful 0.9",
                "<p class=\"remark\">a judge on candidate (helpful): &lt;b&gt;candidate&lt;/b&gt;",
            ],
        ),
    ] {
        let page = view(form);
        for part in parts {
            assert!(page.contains(part), "{form} has no {part}: {page}");
        }
    }
}

#[test]
fn rubrics_endpoints_and_keys_that_cannot_be_used_are_told_before_anything_is_asked() {
    let folder = flattered();
    let rubric = |criteria: &str| {
        let path = folder.labels.with_file_name("rubric.yaml");
        let head = "apiVersion: weir/v1\nkind: Rubric\nname: r\ninstructions: i\n";
        std::fs::write(&path, format!("{head}criteria:{criteria}\n")).unwrap();
        path.display().to_string()
    };
    let ask = |rubric: &str, more: &[&str]| {
        let mut all = vec!["judge", "--data", &folder.data, "--rubric", rubric];
        all.extend(more);
        weir(&all)
    };
    let url = "j=m@http://127.0.0.1:9/v1";
    let six: String = (0..6).map(|at| format!("\n  - {{name: c{at}, description: d}}")).collect();
    for (criteria, expected) in
        [(" []", "criteria: [] is empty; allowed: 1 to 5"), (six.as_str(), "has 6 items")]
    {
        let refused = ask(&rubric(criteria), &["--judge", url]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(text(&refused).contains(expected), "{}", text(&refused));
    }
    for (more, expected) in [
        (
            vec!["--judge", url, "--key-variable", "WEIR_NO_SUCH_KEY"],
            "the variable WEIR_NO_SUCH_KEY is not set",
        ),
        (vec!["--judge", "j=m@example.org"], "is no address of an endpoint"),
        (vec!["--judge", "just-a-name"], "is not NAME=MODEL@URL"),
        (vec![], "nobody judges"),
    ] {
        let refused = ask(RUBRIC, &more);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(text(&refused).contains(expected), "{expected}: {}", text(&refused));
    }
}

/// Types into `weir label`; gives what it says.
fn interview(folder: &Folder, more: &[&str], typed: &str) -> String {
    use std::io::Write;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .current_dir(root)
        .args(["label", "--data", &folder.data, "--rubric", RUBRIC, "--by", "ann", "--count", "6"])
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn labels(folder: &Folder) -> Vec<Value> {
    let file = Path::new(&folder.data).join("judge/labels.jsonl");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn blind(said: &str) {
    for word in ["control", "candidate", "shadow", "primary"] {
        assert!(!said.contains(word), "blind: {said}");
    }
}

#[test]
fn an_interview_over_pairs_is_blind_and_keeps_a_preference_as_two_labels_that_sum_to_one() {
    let folder = flattered();
    let first = interview(&folder, &["--pairwise"], "3\n1\n2\n=\ns\nq\n");
    blind(&first);
    assert!(first.contains("\"3\" is no answer; allowed: 1, 2, = for as good, s, q"), "{first}");
    let said = labels(&folder);
    assert_eq!(said.len(), 6, "three preferences: {said:?}");
    for (pair, preference) in said.chunks(2).zip([1.0, 0.0, 0.5]) {
        let score = |at: usize| pair[at]["score"].as_f64().unwrap();
        assert_eq!((score(0), score(1)), (preference, 1.0 - preference));
        assert_eq!(pair[0]["sample_id"], pair[1]["sample_id"]);
        assert_ne!(pair[0]["leg"], pair[1]["leg"]);
        assert!(pair[0]["criterion"].as_str().unwrap().ends_with("-pairwise"), "{pair:?}");
        assert!(pair[0]["probability"].as_f64().is_some_and(|chance| chance > 0.0));
    }
    let shown = |text: &str| text.lines().find(|line| line.starts_with("answer 1:")).unwrap().to_owned();
    let second = interview(&folder, &["--pairwise"], "q\n");
    assert_ne!(shown(&first), shown(&second), "what is labelled does not come again");
}

#[test]
fn an_interview_is_blind_keeps_each_label_with_its_probability_and_goes_on_where_it_stopped() {
    let folder = flattered();
    let first = interview(&folder, &[], "4\n7\n5\n3\nq\n");
    assert!(first.contains("\"7\" is not on the scale; allowed: 1 to 5, s, q"), "{first}");
    blind(&first);
    assert_eq!(labels(&folder).len(), 3);
    assert!(
        labels(&folder).iter().all(|label| label["probability"].as_f64().is_some_and(|chance| chance > 0.0))
    );
    let shown = |text: &str| text.lines().find(|line| line.starts_with("answer:")).unwrap().to_owned();
    let second = interview(&folder, &[], "s\ns\ns\nq\n");
    assert_ne!(shown(&first), shown(&second), "what is labelled does not come again");
    assert!(second.contains("1 of 6"), "the five that are left, and one more: {second}");
    assert_eq!(labels(&folder).len(), 3, "skipped is not labelled");
}
