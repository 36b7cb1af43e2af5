//! A judge that is played back: every captured answer gets a score that is known already, a second or two later.
//!
//! It works as a real judge would: it reads new samples from the Parquet folder, and posts `weir.score` records to the
//! collector. The synthetic support desk is scored by [`quality`], a function of the text that does not know who speaks;
//! a recorded answer by the score that its model's file gives it.
//!
//! Limits: at most [`WAITING_MAX`] scores wait to be due (later ones are counted as unscored), [`BATCH_MAX`] go in one post.
//! A post that fails is tried again with the next round; only acknowledged scores leave the queue.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;
use weir_sample::{Kind, Sample};
use weir_wire::{LegKind, Resource, Score, encode_batch, encode_score};

use crate::answers::Voicebook;
use crate::documents::{CRITERION, EXPERIMENT};
use crate::quality::quality;
use crate::random::Random;

/// Scores that wait at the same time.
pub const WAITING_MAX: usize = 100_000;
/// Scores in one post.
pub const BATCH_MAX: usize = 500;
/// Between two looks at the folder.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long the judge pretends to think, in milliseconds.
const DELAY_MS: (usize, usize) = (1000, 2000);

/// What the judge goes by.
#[derive(Clone)]
pub enum Ruling {
    /// The text itself.
    Quality,
    /// The scores that the recorded answers of these models carry.
    Recorded {
        /// What control answers.
        control: Arc<Voicebook>,
        /// What the candidate answers.
        candidate: Arc<Voicebook>,
    },
}

/// What the judge reads and where it posts.
#[derive(Clone)]
pub struct JudgeOptions {
    /// The data folder that the collector writes.
    pub data: PathBuf,
    /// The collector.
    pub collector: SocketAddr,
    /// What it goes by.
    pub ruling: Ruling,
    /// Seed of the delays.
    pub seed: u64,
}

/// What the judge has done.
#[derive(Debug, Default)]
pub struct JudgeCounts {
    /// Scores that the collector has acknowledged.
    pub posted: AtomicU64,
    /// Answers that have no score: no text, or a text that no recorded answer has.
    pub unscored: AtomicU64,
    /// Posts that failed and were tried again.
    pub retried: AtomicU64,
    /// Parquet files that could not be read.
    pub unreadable: AtomicU64,
}

/// A judge at work; dropping it ends it.
pub struct Judge {
    /// What it has done so far.
    pub counts: Arc<JudgeCounts>,
    task: JoinHandle<()>,
}

impl Judge {
    /// Starts to read and to score.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn start(options: JudgeOptions) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let counts = Arc::new(JudgeCounts::default());
        let bench = Bench {
            random: Random::new(options.seed),
            options,
            client,
            counts: Arc::clone(&counts),
            read: HashSet::new(),
            waiting: VecDeque::new(),
        };
        Ok(Self { counts, task: tokio::spawn(bench.sit()) })
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ruling {
    /// The score of an answer, 0 to 1; none when there is nothing to go by.
    #[must_use]
    pub fn score(&self, variant: weir_sample::Variant, text: &str) -> Option<f64> {
        match (self, variant) {
            (Self::Quality, _) => Some(quality(text)),
            (Self::Recorded { control, .. }, weir_sample::Variant::Control) => control.score_of(text),
            (Self::Recorded { candidate, .. }, weir_sample::Variant::Candidate) => candidate.score_of(text),
        }
    }
}

struct Bench {
    options: JudgeOptions,
    client: reqwest::Client,
    counts: Arc<JudgeCounts>,
    random: Random,
    read: HashSet<PathBuf>,
    waiting: VecDeque<(Instant, Score)>,
}

impl Bench {
    async fn sit(mut self) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for sample in self.new_samples().await {
                self.consider(&sample);
            }
            self.post_due().await;
        }
    }

    /// The samples of files that were not there at the last look.
    async fn new_samples(&mut self) -> Vec<Sample> {
        let (data, known) = (self.options.data.clone(), self.read.clone());
        let look = move || {
            let files = weir_sample::list_files(&data, Kind::Samples, Some(EXPERIMENT)).unwrap_or_default();
            let new = files.into_iter().filter(|file| !known.contains(file));
            new.map(|file| (weir_sample::read_file::<Sample>(&file), file)).collect::<Vec<_>>()
        };
        let mut samples = Vec::new();
        for (rows, file) in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            match rows {
                Ok(rows) => samples.extend(rows),
                Err(_) => {
                    self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                }
            }
            self.read.insert(file);
        }
        samples
    }

    fn consider(&mut self, sample: &Sample) {
        let score =
            sample.response_text.as_deref().and_then(|text| self.options.ruling.score(sample.variant, text));
        let Some(score) = score.filter(|_| self.waiting.len() < WAITING_MAX) else {
            self.counts.unscored.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let delay = Duration::from_millis(self.random.between(DELAY_MS.0, DELAY_MS.1) as u64);
        self.waiting.push_back((Instant::now() + delay, score_of(sample, score)));
    }

    async fn post_due(&mut self) {
        let now = Instant::now();
        let (mut due, later): (VecDeque<_>, VecDeque<_>) =
            self.waiting.drain(..).partition(|(at, _)| *at <= now);
        self.waiting = later;
        while !due.is_empty() {
            let batch: Vec<(Instant, Score)> = due.drain(..due.len().min(BATCH_MAX)).collect();
            if self.post(&batch).await {
                self.counts.posted.fetch_add(batch.len() as u64, Ordering::Relaxed);
            } else {
                self.counts.retried.fetch_add(1, Ordering::Relaxed);
                self.waiting.extend(batch);
                self.waiting.extend(due);
                return;
            }
        }
    }

    async fn post(&self, batch: &[(Instant, Score)]) -> bool {
        let time_unix_nano =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let records: Vec<Vec<u8>> =
            batch.iter().map(|(_, score)| encode_score(&Score { time_unix_nano, ..score.clone() })).collect();
        let resource = Resource { proxy: "demo-judge".to_owned(), worker: String::new() };
        let answer = self
            .client
            .post(format!("http://{}/v1/logs", self.options.collector))
            .header("content-type", "application/x-protobuf")
            .body(encode_batch(&resource, &records))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

fn score_of(sample: &Sample, score: f64) -> Score {
    Score {
        sample_id: sample.sample_id.clone(),
        leg: match sample.leg {
            weir_sample::Leg::Primary => LegKind::Primary,
            weir_sample::Leg::Shadow => LegKind::Shadow,
            weir_sample::Leg::Noise => LegKind::Noise,
        },
        variant: match sample.variant {
            weir_sample::Variant::Control => weir_wire::Variant::Control,
            weir_sample::Variant::Candidate => weir_wire::Variant::Candidate,
        },
        experiment: EXPERIMENT.to_owned(),
        criterion: CRITERION.to_owned(),
        score,
        judge: "replay".to_owned(),
        time_unix_nano: 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::sync::Mutex;

    use axum::Router;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use weir_wire::{DecodeLimits, decode_request};

    use super::*;

    type Heard = Arc<Mutex<Vec<Score>>>;

    /// A collector that fails its first request and then listens.
    async fn listening() -> (SocketAddr, Heard) {
        async fn logs(
            State((heard, asked)): State<(Heard, Arc<AtomicU64>)>,
            body: bytes::Bytes,
        ) -> StatusCode {
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let request = decode_request(&body, DecodeLimits::default()).unwrap();
            for record in request
                .resource_logs
                .into_iter()
                .flat_map(|logs| logs.scope_logs)
                .flat_map(|logs| logs.log_records)
            {
                heard.lock().unwrap().push(Score::from_record(record).unwrap());
            }
            StatusCode::OK
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Heard::default();
        let router =
            Router::new().route("/v1/logs", post(logs)).with_state((Arc::clone(&heard), Arc::default()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, heard)
    }

    #[tokio::test]
    async fn every_captured_answer_is_scored_once_although_a_post_failed() {
        let data = tempfile::tempdir().unwrap();
        let (collector, heard) = listening().await;
        let options = JudgeOptions { data: data.path().into(), collector, ruling: Ruling::Quality, seed: 1 };
        let judge = Judge::start(options).unwrap();
        let text = r#"{"answer": "It left today.", "order_id": "W-1", "next_step": "Wait."}"#;
        for (file, id) in [("part-1", "a"), ("part-2", "b")] {
            let sample = Sample {
                experiment: EXPERIMENT.into(),
                sample_id: id.into(),
                leg: weir_sample::Leg::Shadow,
                variant: weir_sample::Variant::Candidate,
                ts_us: 1_700_000_000_000_000,
                response_text: Some(text.into()),
                ..Sample::default()
            };
            weir_sample::write_samples(data.path(), file, vec![sample]).unwrap();
        }
        while judge.counts.posted.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut heard = heard.lock().unwrap().clone();
        heard.sort_by(|left, right| left.sample_id.cmp(&right.sample_id));
        let ids: Vec<&str> = heard.iter().map(|score| score.sample_id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!((heard[0].score - quality(text)).abs() < 1e-12);
        assert_eq!((heard[0].leg, heard[0].variant), (LegKind::Shadow, weir_wire::Variant::Candidate));
        assert!(judge.counts.retried.load(Ordering::Relaxed) >= 1);
    }

    #[test]
    fn a_text_that_was_never_recorded_has_no_score() {
        let nothing = Ruling::Recorded { control: Arc::default(), candidate: Arc::default() };
        assert_eq!(nothing.score(weir_sample::Variant::Control, "anything"), None);
        assert!(Ruling::Quality.score(weir_sample::Variant::Control, "anything").is_some());
    }
}
