//! The binary as a process: the collector, a rollout watched and steered by hand on a real Envoy, Ctrl-C.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use weir_envoy::{
    Bootstrap, Envoy, FilterSource, StartOptions, Upstreams, ecds_response, find_envoy, find_filter,
};

const PATIENCE: Duration = Duration::from_secs(30);

const GATES: &str = "
apiVersion: weir/v1
kind: Gates
gates:
  - {name: helpful, metric: 'score:helpful', margin: {absolute: 0.02}, severity: critical}
";

const ROLLOUT: &str = "
apiVersion: weir/v1
kind: Rollout
experiment: support-answers
lookIntervalMs: 100
steps:
  - {name: shadow, mode: shadow, shadowPercent: 100, minimumPairs: 100}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    weir(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn ended(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        pause();
    }
    child.kill().unwrap();
    panic!("process {} did not end", child.id());
}

#[allow(clippy::disallowed_methods)] // a test of processes has no executor to block
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// A proxy with an example's policy.
async fn proxy(folder: &Path) -> (Envoy, String) {
    let policy = std::fs::read_to_string(root().join("examples/policies/shadow.yaml")).unwrap();
    let policy = weir_policy::Policy::parse("shadow.yaml", &policy).unwrap();
    proxy_with(folder, &policy.to_json(), policy.revision).await
}

/// A proxy whose upstreams refuse: the answers are Envoy's own, and they carry the revision all the same.
async fn proxy_with(folder: &Path, document: &str, revision: u64) -> (Envoy, String) {
    let watched = folder.join("ecds");
    std::fs::create_dir(&watched).unwrap();
    let (file, module) = (watched.join("weir.json"), find_filter(None).unwrap());
    std::fs::write(&file, ecds_response(document, revision, &module)).unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let upstreams = Upstreams { control: nobody, candidate: nobody, collector: nobody };
    let bootstrap = Bootstrap::new(upstreams, FilterSource::Ecds { file: file.clone(), module }).render();
    let run_folder = folder.join("envoy");
    std::fs::create_dir(&run_folder).unwrap();
    let envoy =
        Envoy::start(StartOptions::new(find_envoy(None).unwrap(), bootstrap, run_folder)).await.unwrap();
    let target = format!(
        "ecds-file:{},admin=http://{},probe=http://{}",
        file.display(),
        envoy.admin().address(),
        envoy.listener("weir").unwrap()
    );
    (envoy, target)
}

/// 300 pairs of revision 2 in which the candidate is less helpful.
fn import_worse_answers(folder: &Path, data: &str) {
    let mut lines = String::new();
    for number in 0..300 {
        for (leg, variant, score) in [("primary", "control", 0.8), ("shadow", "candidate", 0.5)] {
            writeln!(
                lines,
                r#"{{"sample_id":"s{number}","leg":"{leg}","variant":"{variant}","ts":{},"revision":2,"status":200,"response_text":"x","scores":{{"helpful":{score}}}}}"#,
                1_760_000_000_000_u64 + number
            )
            .unwrap();
        }
    }
    let file = folder.join("worse.jsonl");
    std::fs::write(&file, lines).unwrap();
    let file = file.display().to_string();
    let imported = run(&["import", "--experiment", "support-answers", "--data", data, &file]);
    assert!(imported.status.success(), "{}", text(&imported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_rollout_rolls_back_and_people_can_push_and_roll_back_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let (_envoy, target) = proxy(folder.path()).await;
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (gates, rollout) = (write("gates.yaml", GATES), write("rollout.yaml", ROLLOUT));
    let report = folder.path().join("report.html").display().to_string();
    import_worse_answers(folder.path(), &data);
    let policy = "examples/policies/shadow.yaml";
    let watched = run(&[
        "watch",
        "--data",
        &data,
        "--policy",
        policy,
        "--rollout",
        &rollout,
        "--gates",
        &gates,
        "--envoy",
        &target,
        "--deadline-seconds",
        "30",
        "--output",
        "html",
        "--output-file",
        &report,
    ]);
    assert_eq!(watched.status.code(), Some(1), "{}", text(&watched));
    assert!(text(&watched).contains("rolled back"), "{}", text(&watched));
    assert!(std::fs::read_to_string(&report).unwrap().contains("helpful"));
    let status = run(&["status", "--data", &data, "--envoy", &target]);
    assert_eq!(status.status.code(), Some(0), "{}", text(&status));
    assert!(text(&status).contains("revision 3, mode rolled-back"), "{}", text(&status));
    let history = text(&run(&["history", "--data", &data]));
    assert!(history.contains("rollback") && history.contains("score helpful fell"), "{history}");

    let lower = run(&["push", policy, "--envoy", &target]);
    assert_eq!(lower.status.code(), Some(2), "revision 1 is not above 3: {}", text(&lower));
    let shadow = std::fs::read_to_string(root().join(policy)).unwrap();
    let higher = write("higher.yaml", &shadow.replace("revision: 1", "revision: 9"));
    let pushed = run(&["push", &higher, "--envoy", &target]);
    assert_eq!(pushed.status.code(), Some(0), "{}", text(&pushed));
    assert!(text(&pushed).starts_with("revision 9 (was 3) confirmed by 1 proxy"), "{}", text(&pushed));
    let back = run(&["rollback", "--envoy", &target, "--data", &data, "--reason", "a test"]);
    assert_eq!(back.status.code(), Some(0), "{}", text(&back));
    assert!(text(&back).starts_with("rolled back: revision 10 (was 9)"), "{}", text(&back));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_draws_under_a_terminal_and_writes_plain_lines_into_a_pipe() {
    for (columns, no_colour) in [(Some(80_usize), false), (Some(200), true), (None, false)] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let (_envoy, target) = proxy(folder.path()).await;
        let (gates, rollout) = (folder.path().join("gates.yaml"), folder.path().join("rollout.yaml"));
        std::fs::write(&gates, GATES).unwrap();
        std::fs::write(&rollout, ROLLOUT).unwrap();
        import_worse_answers(folder.path(), &data);
        let policy = "examples/policies/shadow.yaml";
        let mut command = match columns {
            Some(columns) => {
                let mut command = Command::new("python3");
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py");
                command.args([script, &columns.to_string(), env!("CARGO_BIN_EXE_weir")]);
                command
            }
            None => Command::new(env!("CARGO_BIN_EXE_weir")),
        };
        command.current_dir(root()).env("TERM", "xterm").env_remove("NO_COLOR");
        if no_colour {
            command.env("NO_COLOR", "1");
        }
        command.args(["watch", "--data", &data, "--policy", policy, "--rollout"]).arg(&rollout);
        command.arg("--gates").arg(&gates).args(["--envoy", &target, "--deadline-seconds", "30"]);
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => {
                println!("skipped: no python3, which gives the test a terminal: {error}");
                return;
            }
        };
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let view = ["  share    [", "  proxies  1 of 1 serves revision 2", "  next     ", "helpful  "];
        if columns.is_none() {
            assert!(!said.contains('\u{1b}') && view.iter().all(|line| !said.contains(line)), "{said}");
            assert!(said.lines().any(|line| line.contains("Z  rolled-back ")), "{said}");
            continue;
        }
        assert!(view.iter().all(|line| said.contains(line)), "{said}");
        assert_eq!(said.contains("\u{1b}[1;31mROLL BACK\u{1b}[0m"), !no_colour, "{said}");
        assert!(said.contains("ROLL BACK"), "{said}");
        let rule = said.lines().map(|line| line.chars().filter(|sign| *sign == '─').count()).max();
        assert_eq!(rule, columns, "as wide as the terminal");
        // What is left when all is over: plain lines, nothing of the drawing.
        let last = said.rsplit("\u{1b}[J").next().unwrap();
        assert!(!last.contains("  share    ["), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_experiments_is_pushed_and_rolled_back_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = "examples/experiments/search-and-support.yaml";
    let document = std::fs::read_to_string(root().join(file)).unwrap();
    let experiments = weir_policy::Experiments::parse(file, &document).unwrap();
    let (_envoy, target) = proxy_with(folder.path(), &experiments.to_json(), experiments.revision).await;
    let said = |arguments: &[&str]| {
        let output = run(&[arguments, &["--envoy", &target]].concat());
        (output.status.code(), text(&output))
    };
    let (code, which) = said(&["rollback"]);
    assert_eq!(code, Some(2), "{which}");
    assert!(which.contains("--experiment NAME, or take all of them back with --all"), "{which}");
    let (code, back) = said(&["rollback", "--experiment", "support-prompt"]);
    assert_eq!(code, Some(0), "{back}");
    assert!(back.starts_with("rolled back: revision 13 (was 12) confirmed by 1 proxy"), "{back}");
    let (code, unchanged) = said(&["push", file, "--experiment", "support-prompt"]);
    assert_eq!(code, Some(2), "its revision 12 is not above 13: {unchanged}");
    let newer = folder.path().join("newer.yaml");
    std::fs::write(&newer, document.replace("revision: 12", "revision: 14")).unwrap();
    let newer = newer.display().to_string();
    let (code, pushed) = said(&["push", &newer, "--experiment", "support-prompt"]);
    assert_eq!(code, Some(0), "{pushed}");
    assert!(pushed.starts_with("revision 14 (was 13) confirmed"), "{pushed}");
    let (code, unknown) = said(&["push", &newer, "--experiment", "shop"]);
    assert_eq!(code, Some(2), "{unknown}");
    assert!(unknown.contains("there: support-model, support-prompt, search-ranking"), "{unknown}");
    let data = folder.path().display().to_string();
    let (code, status) = said(&["status", "--data", &data]);
    assert_eq!(code, Some(0), "{status}");
    assert!(status.contains("support-model: revision 12, mode canary"), "{status}");
    assert!(status.contains("support-prompt: revision 14, mode canary"), "{status}");
    let (code, whole) = said(&["push", &newer, "--restore"]);
    assert_eq!(code, Some(0), "{whole}");
}

#[test]
fn a_collector_says_where_it_listens_refuses_a_taken_port_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = |name: &str| folder.path().join(name).display().to_string();
    let mut collector = weir(&["collect", "--listen", "127.0.0.1:0", "--data", &data("one")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(collector.stderr.take().unwrap()).lines();
    let listening =
        lines.find_map(|line| line.unwrap().strip_prefix("listening on http://").map(str::to_owned));
    let address = listening.unwrap().split('/').next().unwrap().to_owned();
    let second = run(&["collect", "--listen", &address, "--data", &data("two")]);
    assert_eq!(second.status.code(), Some(5), "{}", text(&second));
    assert!(text(&second).contains(&format!("cannot listen on {address}")), "{}", text(&second));
    assert!(text(&second).contains("hint:"), "{}", text(&second));
    let same_folder = run(&["collect", "--listen", "127.0.0.1:0", "--data", &data("one")]);
    assert_eq!(same_folder.status.code(), Some(5), "{}", text(&same_folder));
    assert!(text(&same_folder).contains("another collector"), "{}", text(&same_folder));
    signal("-TERM", &collector);
    assert_eq!(ended(&mut collector), Some(0));
}

#[test]
fn ctrl_c_ends_a_demo_and_everything_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut demo = weir(&["demo", "--out", &out.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while !out.join("envoy/admin.address").is_file() {
        assert!(Instant::now() < until && demo.try_wait().unwrap().is_none(), "envoy did not start");
        pause();
    }
    assert!(!processes_with(&out).is_empty(), "envoy runs with a file of the demo's folder");
    signal("-INT", &demo);
    assert_eq!(ended(&mut demo), Some(130));
    assert_eq!(processes_with(&out), Vec::<String>::new());
}

fn processes_with(folder: &Path) -> Vec<String> {
    let wanted = std::fs::canonicalize(folder).unwrap().display().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&wanted) && !line.contains("weir demo"))
        .collect()
}

#[test]
fn several_experiments_are_rendered_together_and_one_of_them_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let file = "examples/experiments/search-and-support.yaml";
    let rendered = |arguments: &[&str]| {
        let output = run(&[&["render", "--for", "envoy-ecds", file, "--out", &out], arguments].concat());
        (output.status.code(), text(&output))
    };
    let (code, missing) = rendered(&["--cluster", "search=10.0.0.1:80"]);
    assert_eq!(code, Some(2), "{missing}");
    assert!(
        missing.contains("experiments[2].candidate.cluster: \"search-next\" has no address"),
        "{missing}"
    );
    assert!(missing.contains("hint: add --cluster support-prompt=ADDRESS"), "{missing}");
    let (code, twice) = rendered(&["--cluster", "search=10.0.0.1:80", "--cluster", "search=10.0.0.2:80"]);
    assert_eq!(code, Some(2), "{twice}");
    assert!(twice.contains("--cluster search is both 10.0.0.1:80 and 10.0.0.2:80"), "{twice}");
    let names = ["support", "support-model", "support-prompt", "search", "search-next"];
    let clusters: Vec<String> = names.iter().map(|name| format!("--cluster={name}=10.0.0.1:80")).collect();
    let (code, whole) = rendered(&clusters.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{whole}");
    let carried = || std::fs::read_to_string(folder.path().join("weir.json")).unwrap();
    assert!(carried().contains(r#"\"kind\":\"Experiments\""#), "{}", carried());
    let (code, one) = rendered(&["--experiment", "search-ranking"]);
    assert_eq!(code, Some(0), "{one}");
    assert!(carried().contains(r#"\"kind\":\"Policy\""#), "{}", carried());
}
