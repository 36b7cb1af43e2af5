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
}

#[derive(Clone)]
struct Bench {
    manner: Manner,
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
        Manner::Down => (StatusCode::SERVICE_UNAVAILABLE, header, String::new()),
        Manner::First => {
            let first = r#"{\"correct\": \"first\", \"helpful\": \"first\", \"polite\": \"first\"}"#;
            (StatusCode::OK, header, said(first))
        }
    }
}

async fn bench(manner: Manner) -> (Judge, Bench) {
    let bench = Bench { manner, calls: Arc::default(), under_way: Arc::default(), most: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(bench.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let endpoint = Endpoint::new("bench", "m", &url, None, Duration::from_secs(5)).unwrap();
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

async fn run(data: &Path, judges: &[Judge], mode: Mode, budget: Budget) -> Judged {
    let rubric = Rubric::parse("r", include_str!("../../../examples/rubrics/support.yaml")).unwrap();
    let options = JudgeOptions {
        data_dir: data.into(),
        experiment: "e".into(),
        revision: None,
        first: None,
        mode,
        concurrency: 4,
        rate_per_second: None,
        budget,
        dry_run: false,
    };
    judge(&options, &rubric, judges, &mut |_, _| {}).await.unwrap()
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
