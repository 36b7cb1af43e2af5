//! The users: requests at a steady rate whatever the answers do (open loop), each checked to its last byte.
//!
//! A failed request is one without an answer, with another status than 200, or with a body that is no whole chat
//! completion. At most [`OPEN_MAX`] requests are open; what is due beyond that is skipped and counted, so that a stuck
//! mesh cannot eat the machine. There are no retries: a retry would hide a failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::corpus::User;
use crate::openai::{request_body, text_of_events, text_of_json};
use crate::random::Random;
use crate::tally::{AnsweredBy, Served, Tally};

/// Requests open at the same time.
pub const OPEN_MAX: usize = 512;
/// A request that takes longer has failed.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone)]
pub enum Prompts {
    /// Again and again, in random order, until the traffic is stopped.
    Endless(Arc<Vec<String>>),
    /// Each in this order, then the traffic ends.
    Once(Arc<Vec<String>>),
}

/// How the users behave.
#[derive(Clone)]
pub struct TrafficOptions {
    /// The mesh's address, `127.0.0.1:port`.
    pub address: String,
    /// Who asks.
    pub users: Arc<Vec<User>>,
    /// What they ask.
    pub prompts: Prompts,
    /// The system message of every request.
    pub system: String,
    /// Requests per second over all users.
    pub rate_per_second: f64,
    /// A field of the answer's JSON text that the users' programs need; none: any text will do.
    pub needed_field: Option<String>,
    /// Seed of who asks what.
    pub seed: u64,
}

/// Running traffic. Dropping it stops everything at once.
pub struct Traffic {
    /// What the users have seen so far.
    pub tally: Arc<Tally>,
    stop: watch::Sender<bool>,
    sender: JoinHandle<()>,
}

impl Traffic {
    /// Starts to send.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn start(options: TrafficOptions) -> Result<Self, reqwest::Error> {
        // A proxy of the environment must not come between the users and the mesh.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let tally = Arc::new(Tally::default());
        let (stop, stopped) = watch::channel(false);
        let sender = tokio::spawn(send_all(client, options, Arc::clone(&tally), stopped));
        Ok(Self { tally, stop, sender })
    }

    /// True when a finite list of prompts has been asked and answered.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.sender.is_finished()
    }

    /// Sends nothing more and waits for the open requests (at most [`TIMEOUT`]).
    pub async fn finish(&mut self) {
        // The receiver is gone only when the traffic has ended by itself.
        let _ended = self.stop.send(true);
        let _finished = tokio::time::timeout(TIMEOUT, &mut self.sender).await;
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// One request of the plan.
struct Errand {
    user: User,
    prompt: String,
    stream: bool,
}

async fn send_all(
    client: reqwest::Client,
    options: TrafficOptions,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) {
    let mut random = Random::new(options.seed);
    let open = Arc::new(Semaphore::new(OPEN_MAX));
    let options = Arc::new(options);
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / options.rate_per_second.max(0.1)));
    // After a stall the missed requests are not sent as one burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => break,
            _ = ticks.tick() => {}
        }
        let Some(errand) = next_errand(&options, number, &mut random) else { break };
        number += 1;
        let Ok(permit) = Arc::clone(&open).try_acquire_owned() else {
            tally.skipped();
            continue;
        };
        let (client, options, tally) = (client.clone(), Arc::clone(&options), Arc::clone(&tally));
        tokio::spawn(async move {
            run_errand(&client, &options, &tally, &errand).await;
            drop(permit);
        });
    }
    // All permits back: every open request has ended.
    let _all = open.acquire_many(u32::try_from(OPEN_MAX).unwrap_or(u32::MAX)).await;
}

fn next_errand(options: &TrafficOptions, number: usize, random: &mut Random) -> Option<Errand> {
    let prompt = match &options.prompts {
        Prompts::Endless(prompts) => random.pick(prompts)?,
        Prompts::Once(prompts) => prompts.get(number)?,
    };
    Some(Errand {
        user: random.pick(&options.users)?.clone(),
        prompt: prompt.clone(),
        stream: random.chance(0.5),
    })
}

async fn run_errand(client: &reqwest::Client, options: &TrafficOptions, tally: &Tally, errand: &Errand) {
    tally.sent();
    match ask(client, options, errand).await {
        Ok(served) => tally.answered(served),
        Err(why) => tally.failed(why),
    }
}

async fn ask(client: &reqwest::Client, options: &TrafficOptions, errand: &Errand) -> Result<Served, String> {
    let response = client
        .post(format!("http://{}/v1/chat/completions", options.address))
        .header("content-type", "application/json")
        .header("x-user-id", &errand.user.id)
        .header("x-tier", errand.user.tier)
        .body(request_body(&options.system, &errand.prompt, errand.stream))
        .send()
        .await
        .map_err(|error| format!("no answer: {}", with_causes(&error)))?;
    let status = response.status();
    let by = match response.headers().get("x-weir-variant").map(reqwest::header::HeaderValue::as_bytes) {
        Some(b"control") => AnsweredBy::Control,
        Some(b"candidate") => AnsweredBy::Candidate,
        _ => AnsweredBy::Unknown,
    };
    let body =
        response.bytes().await.map_err(|error| format!("the body broke off: {}", with_causes(&error)))?;
    let at = Instant::now();
    if status != reqwest::StatusCode::OK {
        let start: String = String::from_utf8_lossy(&body).chars().take(120).collect();
        return Err(format!("status {status}: {start}"));
    }
    let text = if errand.stream { text_of_events(&body) } else { text_of_json(&body) }
        .map_err(|error| error.to_string())?;
    Ok(Served { at, by, usable: is_usable(&text, options.needed_field.as_deref()) })
}

/// Whether a program that needs this field of the answer's JSON text finds it.
fn is_usable(text: &str, needed_field: Option<&str>) -> bool {
    let Some(field) = needed_field else { return true };
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|answer| answer.get(field).is_some_and(|value| !value.is_null()))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::corpus::Corpus;
    use crate::model::{Model, ModelServer, VoiceSwitch};
    use crate::voice::Voice;

    fn options(address: String, corpus: &Corpus, prompts: Prompts) -> TrafficOptions {
        TrafficOptions {
            address,
            users: Arc::new(corpus.users.clone()),
            prompts,
            system: "be kind".into(),
            rate_per_second: 400.0,
            needed_field: Some("order_id".into()),
            seed: 1,
        }
    }

    fn texts(corpus: &Corpus) -> Arc<Vec<String>> {
        Arc::new(corpus.questions.iter().map(|question| question.text.clone()).collect())
    }

    #[tokio::test]
    async fn a_finite_list_is_asked_once_each_and_then_the_traffic_ends() {
        let corpus = Arc::new(Corpus::new(1, 30, 40));
        let model = Model::Synthetic {
            name: "desk".into(),
            corpus: Arc::clone(&corpus),
            voice: VoiceSwitch::new(Voice::Healthy),
        };
        let server = ModelServer::start(model, 1).await.unwrap();
        let prompts = Prompts::Once(texts(&corpus));
        let mut traffic = Traffic::start(options(server.address.to_string(), &corpus, prompts)).unwrap();
        while !traffic.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        traffic.finish().await;
        let counts = traffic.tally.counts();
        assert_eq!(
            (counts.sent, counts.answered, counts.failed),
            (40, 40, 0),
            "{:?}",
            traffic.tally.failures()
        );
        assert_eq!((counts.by_unknown, server.answered()), (40, 40));
    }

    #[tokio::test]
    async fn a_refused_connection_and_a_wrong_status_are_failed_requests() {
        let corpus = Corpus::new(1, 3, 3);
        let mut nobody =
            Traffic::start(options("127.0.0.1:1".into(), &corpus, Prompts::Once(texts(&corpus)))).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        nobody.finish().await;
        assert!(nobody.tally.counts().failed > 0);
        assert!(nobody.tally.failures()[0].starts_with("no answer: "), "{:?}", nobody.tally.failures());
        let server = ModelServer::start(Model::Recorded(Arc::default()), 1).await.unwrap();
        let mut wrong =
            Traffic::start(options(server.address.to_string(), &corpus, Prompts::Once(texts(&corpus))))
                .unwrap();
        while !wrong.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        wrong.finish().await;
        assert_eq!(wrong.tally.counts().failed, 3);
        assert!(
            wrong.tally.failures()[0].starts_with("status 404 Not Found: "),
            "{:?}",
            wrong.tally.failures()
        );
    }

    #[test]
    fn a_consumer_needs_its_field_and_nothing_else() {
        assert!(is_usable("plain text", None));
        assert!(!is_usable("plain text", Some("order_id")));
        assert!(is_usable(r#"{"order_id": "W-1"}"#, Some("order_id")));
        assert!(!is_usable(r#"{"order_id": null}"#, Some("order_id")));
    }
}
