//! A real judge over HTTP that misbehaves in every way: nothing is lost, nothing is paid twice, nothing is made up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Router, extract::State};
use weir_judge::Rubric;
use weir_judge::client::{Endpoint, Judge};
use weir_judge::prompt::Mode;
use weir_judge::run::{Budget, JudgeOptions, Judged, judge};
use weir_sample::{Kind, Leg, Sample, Score, Variant, list_files, read_file, write_samples};

const GOOD: &str = r#"{\"correct\": 5, \"helpful\": 3, \"polite\": 1}"#;

#[derive(Clone, Copy)]
enum Manner {
    Good,
    Nonsense,
    /// 429 for every first try.
    Limited,
    Down,
    /// Always prefers what it sees first.
    First,
    /// Answers after the client has given up.
    Slow,
    /// JSON of the wrong shape, a different one for each call.
    Wrong,
    /// A score that changes from call to call.
    Moody,
    /// 429 with a pause that has to be kept, for every first try.
    Paused,
}

/// What [`Manner::Paused`] asks for.
const PAUSE: Duration = Duration::from_millis(700);

#[derive(Clone)]
struct Bench {
    manner: Manner,
    /// When the last 429 went out, and tries that came before its pause was over.
    refused: Arc<std::sync::Mutex<(Option<std::time::Instant>, u64)>>,
    calls: Arc<AtomicU64>,
    under_way: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

async fn answer(
    State(bench): State<Bench>,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    assert!(body.contains("captured texts"), "the judge is told that texts are data");
    let call = bench.calls.fetch_add(1, Ordering::SeqCst);
    bench.most.fetch_max(bench.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    bench.under_way.fetch_sub(1, Ordering::SeqCst);
    let said = |content: &str| {
        let usage = r#""usage": {"prompt_tokens": 100, "completion_tokens": 10}"#;
        format!(r#"{{"choices": [{{"message": {{"content": "{content}"}}}}], {usage}}}"#)
    };
    let header = [("retry-after", "0.01")];
    match bench.manner {
        Manner::Good => (StatusCode::OK, header, said(GOOD)),
        Manner::Nonsense => (StatusCode::OK, header, said("Both are lovely!")),
        Manner::Limited if call.is_multiple_of(2) => (StatusCode::TOO_MANY_REQUESTS, header, String::new()),
        Manner::Limited => (StatusCode::OK, header, said(GOOD)),
        Manner::Slow => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            (StatusCode::OK, header, said(GOOD))
        }
        Manner::Wrong => {
            let shapes = [
                r#"{\"correct\": 5, \"helpful\": 3}"#,
                r#"{\"correct\": 9, \"helpful\": 3, \"polite\": 1}"#,
                r#"{\"correct\": \"5\", \"helpful\": 3, \"polite\": 1}"#,
                r#"{\"correct\": 5, \"helpful\": 3, \"polite\": 1, \"verdict\": \"promote\"}"#,
                r#"[5, 3, 1]"#,
                r#"{\"correct\": null, \"helpful\": 3, \"polite\": 1}"#,
            ];
            (StatusCode::OK, header, said(shapes[call as usize % shapes.len()]))
        }
        Manner::Moody => {
            let moods = [GOOD, r#"{\"correct\": 5, \"helpful\": 4, \"polite\": 1}"#];
            (StatusCode::OK, header, said(moods[(call / 4) as usize % 2]))
        }
        Manner::Paused => {
            let mut refused = bench.refused.lock().unwrap();
            let now = std::time::Instant::now();
            if call == 0 {
                refused.0 = Some(now);
                return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0.7")], String::new());
            }
            let early = refused.0.is_some_and(|at| now.duration_since(at) < PAUSE);
            refused.1 += u64::from(early);
            (StatusCode::OK, header, said(GOOD))
        }
        Manner::Down => (StatusCode::SERVICE_UNAVAILABLE, header, String::new()),
        Manner::First => {
            let first = r#"{\"correct\": \"first\", \"helpful\": \"first\", \"polite\": \"first\"}"#;
            (StatusCode::OK, header, said(first))
        }
    }
}

async fn bench(manner: Manner) -> (Judge, Bench) {
    named("bench", manner, Duration::from_secs(5)).await
}

async fn named(name: &str, manner: Manner, timeout: Duration) -> (Judge, Bench) {
    let bench = Bench {
        manner,
        refused: Arc::default(),
        calls: Arc::default(),
        under_way: Arc::default(),
        most: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(bench.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let endpoint = Endpoint::new(name, "m", &url, None, timeout).unwrap();
    (Judge::Endpoint(endpoint), bench)
}

fn samples(data: &Path, pairs: usize) {
    let mut rows = Vec::new();
    for at in 0..pairs {
        for (leg, variant) in [(Leg::Primary, Variant::Control), (Leg::Shadow, Variant::Candidate)] {
            rows.push(Sample {
                experiment: "e".into(),
                sample_id: format!("s{at}"),
                leg,
                variant,
                ts_us: 1_700_000_000_000_000 + at as i64,
                inclusion_probability: 1.0,
                tier: Some(if at.is_multiple_of(4) { "internal" } else { "general" }.into()),
                request_text: Some(format!("question {at}")),
                response_text: Some(format!("answer {at} of {}", variant.as_str())),
                ..Sample::default()
            });
        }
    }
    write_samples(data, "part-1", rows).unwrap();
}

fn scores(data: &Path) -> Vec<Score> {
    let files = list_files(data, Kind::Scores, Some("e")).unwrap();
    files.iter().flat_map(|file| read_file::<Score>(file).unwrap()).collect()
}

fn rubric() -> Rubric {
    Rubric::parse("r", include_str!("../../../examples/rubrics/support.yaml")).unwrap()
}

async fn run(data: &Path, judges: &[Judge], mode: Mode, budget: Budget) -> Judged {
    judge(&options(data, mode, budget), &rubric(), judges, &mut |_, _| {}).await.unwrap()
}

fn options(data: &Path, mode: Mode, budget: Budget) -> JudgeOptions {
    JudgeOptions {
        data_dir: data.into(),
        experiment: "e".into(),
        revision: None,
        first: None,
        segments: Vec::new(),
        seed: 0,
        again: 0,
        mode,
        concurrency: 4,
        rate_per_second: None,
        budget,
        dry_run: false,
    }
}

#[tokio::test]
async fn every_answer_is_scored_and_paid_once_with_the_endpoint_kept_busy() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 10);
    let (judge, bench) = bench(Manner::Good).await;
    let judges = [judge];
    let first = run(data.path(), &judges, Mode::Pointwise, Budget::default()).await;
    assert_eq!((first.questions, first.calls, first.scores, first.tokens), (20, 20, 60, 2_200));
    assert_eq!(bench.most.load(Ordering::SeqCst), 4);
    let rows = scores(data.path());
    assert!(rows.iter().filter(|row| row.criterion == "helpful").all(|row| row.score == 0.5));
    let second = run(data.path(), &judges, Mode::Pointwise, Budget::default()).await;
    assert_eq!((second.known, second.calls, second.scores), (20, 0, 60));
    assert_eq!(bench.calls.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn nonsense_is_missing_and_counted_and_never_a_zero() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 3);
    let (judge, bench) = bench(Manner::Nonsense).await;
    let judges = [judge];
    for _ in 0..2 {
        let judged = run(data.path(), &judges, Mode::Pointwise, Budget::default()).await;
        assert_eq!((judged.unparsable, judged.scores), (6, 0));
    }
    assert!(scores(data.path()).is_empty());
    assert_eq!(bench.calls.load(Ordering::SeqCst), 6, "what was paid is not asked again");
}

#[tokio::test]
async fn a_limited_endpoint_is_tried_again_until_all_is_scored() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 2);
    let (judge, _) = bench(Manner::Limited).await;
    let judged = run(data.path(), &[judge], Mode::Pointwise, Budget::default()).await;
    assert_eq!((judged.calls, judged.failed, judged.scores), (4, 0, 12));
}

#[tokio::test]
async fn a_judge_that_is_down_leaves_everything_for_the_next_run() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 20);
    let (down, bench_down) = bench(Manner::Down).await;
    let judged = run(data.path(), &[down], Mode::Pointwise, Budget::default()).await;
    assert_eq!((judged.calls, judged.scores), (0, 0));
    assert!(judged.failed >= 5 && judged.failed + judged.left == 40, "{judged:?}");
    assert_eq!(judged.problems, ["judge bench answered 503, 4 times"]);
    assert!(bench_down.calls.load(Ordering::SeqCst) <= 9 * 4, "an endpoint that is down is not hammered");
    // The same judge under the same name comes back.
    let (up, _) = bench(Manner::Good).await;
    assert_eq!(run(data.path(), &[up], Mode::Pointwise, Budget::default()).await.scores, 120);
}

#[tokio::test]
async fn the_budget_stops_before_it_is_exceeded_and_pairs_come_first() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 10);
    let (judge, bench) = bench(Manner::Good).await;
    let judges = [judge];
    let calls = Budget { calls: Some(6), ..Budget::default() };
    let judged = run(data.path(), &judges, Mode::Pointwise, calls).await;
    assert_eq!((judged.calls, judged.left), (6, 14));
    let mut by_id = std::collections::BTreeMap::new();
    scores(data.path()).iter().for_each(|row| *by_id.entry(row.sample_id.clone()).or_insert(0) += 1);
    assert!(by_id.values().all(|count| *count == 6), "both answers of each pair: {by_id:?}");
    let money = Budget { money: Some(0.0), price_prompt: 1.0, ..Budget::default() };
    assert_eq!(run(data.path(), &judges, Mode::Pointwise, money).await.calls, 0);
    assert_eq!(bench.calls.load(Ordering::SeqCst), 6);
    assert_eq!(run(data.path(), &judges, Mode::Pointwise, Budget::default()).await.calls, 14);
}

#[tokio::test]
async fn a_judge_that_prefers_the_first_position_sees_a_tie() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 4);
    let (judge, _) = bench(Manner::First).await;
    let judged = run(data.path(), &[judge], Mode::Pairwise, Budget::default()).await;
    assert_eq!((judged.calls, judged.scores), (8, 24));
    assert!(scores(data.path()).iter().all(|row| row.score == 0.5 && row.criterion.ends_with("-pairwise")));
}

#[tokio::test]
async fn a_key_that_is_not_set_and_an_address_that_is_none_are_told_before_anything_is_asked() {
    let open = |url, key| Endpoint::new("j", "m", url, key, Duration::from_secs(1)).unwrap_err().to_string();
    let error = open("https://example.org/v1", Some("WEIR_TEST_NO_SUCH_KEY"));
    assert!(
        error.starts_with("judge \"j\" needs a key: the variable WEIR_TEST_NO_SUCH_KEY is not set"),
        "{error}"
    );
    assert!(open("example.org", None).contains("is no address"));
}

#[tokio::test]
async fn a_slow_judge_is_missing_for_now_and_asked_again_when_it_is_well() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 1);
    let (slow, _) = named("bench", Manner::Slow, Duration::from_millis(100)).await;
    let judged = run(data.path(), &[slow], Mode::Pointwise, Budget::default()).await;
    assert_eq!((judged.calls, judged.failed, judged.scores), (0, 2, 0));
    assert_eq!(judged.problems, ["judge bench timed out, 4 times"]);
    let (well, bench) = bench(Manner::Good).await;
    assert_eq!(run(data.path(), &[well], Mode::Pointwise, Budget::default()).await.scores, 6);
    assert_eq!(bench.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_of_the_wrong_shape_are_no_scores_whatever_the_shape() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 3);
    let (judge, bench) = bench(Manner::Wrong).await;
    let judged = run(data.path(), &[judge], Mode::Pointwise, Budget::default()).await;
    assert_eq!((judged.calls, judged.unparsable, judged.scores), (6, 6, 0));
    assert_eq!(bench.calls.load(Ordering::SeqCst), 6, "each shape was answered once");
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_gets_it() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 1);
    let (judge, bench) = bench(Manner::Paused).await;
    let options = JudgeOptions { concurrency: 1, ..options(data.path(), Mode::Pointwise, Budget::default()) };
    let judged = weir_judge::run::judge(&options, &rubric(), &[judge], &mut |_, _| {}).await.unwrap();
    assert_eq!((judged.calls, judged.failed, judged.scores), (2, 0, 6));
    assert_eq!(bench.refused.lock().unwrap().1, 0, "no try before the pause was over");
}

#[tokio::test]
async fn several_judges_score_the_same_answers_and_one_that_is_down_does_not_hold_up_the_others() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 15);
    let (one, first) = named("one", Manner::Good, Duration::from_secs(5)).await;
    let (two, second) = named("two", Manner::Good, Duration::from_secs(5)).await;
    let (three, _) = named("three", Manner::Down, Duration::from_secs(5)).await;
    let judged = run(data.path(), &[one, two, three], Mode::Pointwise, Budget::default()).await;
    assert_eq!((judged.questions, judged.calls, judged.scores), (90, 60, 180));
    assert!(judged.failed + judged.left == 30 && judged.problems.len() == 1, "{judged:?}");
    assert_eq!((first.calls.load(Ordering::SeqCst), second.calls.load(Ordering::SeqCst)), (30, 30));
    let by = |name: &str| scores(data.path()).iter().filter(|row| row.judge.as_deref() == Some(name)).count();
    assert_eq!((by("one"), by("two"), by("three")), (90, 90, 0));
}

#[tokio::test]
async fn a_run_that_is_given_up_half_way_has_kept_what_it_paid_for() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 30);
    let (judge, bench) = bench(Manner::Good).await;
    let judges = [judge];
    {
        let under_way = run(data.path(), &judges, Mode::Pointwise, Budget::default());
        let given_up = async {
            while bench.calls.load(Ordering::SeqCst) < 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! { _ = under_way => panic!("done before it was given up"), () = given_up => {} }
    }
    let paid = bench.calls.load(Ordering::SeqCst);
    let rest = run(data.path(), &judges, Mode::Pointwise, Budget::default()).await;
    assert_eq!(rest.scores, 180);
    // Only what was under way when it was given up, at most four calls, is asked again.
    assert!((16..=60).contains(&rest.known) && rest.known + 4 >= paid.min(60), "{rest:?} {paid}");
    assert_eq!(rest.known + rest.calls, 60);
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_cost_and_asks_nobody_and_tokens_are_a_budget_too() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 10);
    let (judge, bench) = bench(Manner::Good).await;
    let judges = [judge];
    let budget = Budget { price_prompt: 2.0, price_completion: 8.0, ..Budget::default() };
    let dry = JudgeOptions { dry_run: true, ..options(data.path(), Mode::Pointwise, budget) };
    let told = weir_judge::run::judge(&dry, &rubric(), &judges, &mut |_, _| {}).await.unwrap();
    assert_eq!((told.questions, told.calls, bench.calls.load(Ordering::SeqCst)), (20, 20, 0));
    assert!(told.tokens > 20 * 100 && told.money > 0.0, "{told:?}");
    let few = Budget { tokens: Some(told.tokens / 2), ..Budget::default() };
    let judged = run(data.path(), &judges, Mode::Pointwise, few).await;
    assert!(judged.tokens <= told.tokens / 2 && judged.calls > 0 && judged.left > 0, "{judged:?}");
    assert_eq!(judged.calls + judged.left, 20);
}

#[tokio::test]
async fn the_same_seed_asks_in_the_same_order_and_segments_of_undecided_gates_come_first() {
    let asked = |seed: u64, segments: Vec<std::collections::BTreeMap<String, String>>| async move {
        let data = tempfile::tempdir().unwrap();
        samples(data.path(), 40);
        let (judge, _) = bench(Manner::Good).await;
        let budget = Budget { calls: Some(16), ..Budget::default() };
        let options = JudgeOptions { seed, segments, ..options(data.path(), Mode::Pointwise, budget) };
        weir_judge::run::judge(&options, &rubric(), &[judge], &mut |_, _| {}).await.unwrap();
        scores(data.path()).into_iter().map(|row| row.sample_id).collect::<std::collections::BTreeSet<_>>()
    };
    let (one, again, other) =
        (asked(1, Vec::new()).await, asked(1, Vec::new()).await, asked(2, Vec::new()).await);
    assert_eq!((one.len(), &one), (8, &again));
    assert_ne!(one, other);
    let internal = vec![std::collections::BTreeMap::from([("tier".to_owned(), "internal".to_owned())])];
    let first = asked(1, internal).await;
    assert!(first.iter().all(|id| id[1..].parse::<usize>().unwrap().is_multiple_of(4)), "{first:?}");
}

#[tokio::test]
async fn a_judge_that_is_asked_twice_is_seen_to_agree_with_itself_or_not_and_its_second_answer_is_no_score() {
    let data = tempfile::tempdir().unwrap();
    samples(data.path(), 2);
    let (judge, bench) = bench(Manner::Moody).await;
    let judges = [judge];
    let twice =
        JudgeOptions { again: 4, concurrency: 1, ..options(data.path(), Mode::Pointwise, Budget::default()) };
    for _ in 0..2 {
        let judged = weir_judge::run::judge(&twice, &rubric(), &judges, &mut |_, _| {}).await.unwrap();
        assert_eq!((judged.questions, judged.scores), (8, 12));
    }
    assert_eq!(bench.calls.load(Ordering::SeqCst), 8, "the second time is paid once too");
    assert!(scores(data.path()).iter().filter(|row| row.criterion == "helpful").all(|row| row.score == 0.5));
    let calibration = weir_judge::labels::calibrate(data.path(), "e", &[]).unwrap();
    let of =
        |name: &str| calibration.trust.iter().find(|trust| trust.criterion == name).unwrap().twice.unwrap();
    assert_eq!((of("correct").answers, of("correct").same), (4, 4));
    assert_eq!((of("helpful").answers, of("helpful").same, of("helpful").difference), (4, 0, 0.25));
}
