//! An OpenAI-compatible model server on a loopback port: `POST /v1/chat/completions`, streamed or whole.
//!
//! All servers draw their latency from the same distribution, whatever model answers and however long the answer is:
//! time to first token 20 to 45 ms, then 12 to 36 ms for the rest. So nothing but the text can tell the models apart.
//! Other paths answer 404. The server ends when its handle is dropped. Limit: request bodies up to axum's 2 MiB.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::answers::Voicebook;
use crate::corpus::Corpus;
use crate::openai::{Answer, ChatRequest};
use crate::quality::judgement;
use crate::random::Random;
use crate::voice::{Voice, unknown_question};

/// Who answers.
#[derive(Clone)]
pub enum Model {
    /// A synthetic support desk whose voice can be switched while it runs.
    Synthetic {
        /// The name in `model` of each answer.
        name: String,
        /// The questions that it knows.
        corpus: Arc<Corpus>,
        /// How it answers at the moment.
        voice: VoiceSwitch,
    },
    /// Recorded answers of a real model.
    Recorded(Arc<Voicebook>),
    /// A judge of the support desk, which is asked as `weir judge` asks.
    Judge(Arc<Corpus>),
}

/// The voice of a synthetic model, switched from outside while it serves.
#[derive(Clone, Debug)]
pub struct VoiceSwitch(Arc<AtomicU8>);

impl VoiceSwitch {
    /// A switch that starts with this voice.
    #[must_use]
    pub fn new(voice: Voice) -> Self {
        let switch = Self(Arc::new(AtomicU8::new(0)));
        switch.set(voice);
        switch
    }

    /// Every answer from now on has this voice.
    pub fn set(&self, voice: Voice) {
        let code = match voice {
            Voice::Healthy => 0,
            Voice::Worse => 1,
            Voice::Better => 2,
            Voice::Astray => 3,
        };
        self.0.store(code, Ordering::SeqCst);
    }

    /// The voice of an answer that starts now.
    #[must_use]
    pub fn get(&self) -> Voice {
        match self.0.load(Ordering::SeqCst) {
            1 => Voice::Worse,
            2 => Voice::Better,
            3 => Voice::Astray,
            _ => Voice::Healthy,
        }
    }
}

impl Model {
    /// The name in `model` of each answer.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Synthetic { name, .. } => name,
            Self::Recorded(book) => &book.model,
            Self::Judge(_) => "desk-judge",
        }
    }

    /// The text of an answer; none when a recorded model was never asked this.
    fn text(&self, prompt: &str, random: &mut Random) -> Option<String> {
        match self {
            Self::Synthetic { corpus, voice, .. } => {
                let answer = corpus.find(prompt).map(|question| voice.get().answer(question, random));
                Some(answer.unwrap_or_else(unknown_question))
            }
            Self::Recorded(book) => book.find(prompt).map(|recorded| recorded.output.clone()),
            Self::Judge(corpus) => Some(judgement(corpus, prompt)),
        }
    }
}

/// A running server. Dropping it closes the port and its connections.
pub struct ModelServer {
    /// Where it listens.
    pub address: SocketAddr,
    answered: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl ModelServer {
    /// Starts a server on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(model: Model, seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answered = Arc::new(AtomicU64::new(0));
        let desk = Desk { model, seed, answered: Arc::clone(&answered) };
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::new(desk));
        let task = tokio::spawn(async move {
            // axum's accept loop retries on its own; it only returns when its listener is gone, which ends the server.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { address, answered, task })
    }

    /// How many requests it has answered, shadow copies included.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Chunks of text in a streamed answer, at most.
const PIECES: usize = 6;

/// What the handlers share.
struct Desk {
    model: Model,
    seed: u64,
    answered: Arc<AtomicU64>,
}

/// The pauses of one answer.
struct Pace {
    first: Duration,
    rest: Duration,
}

impl Pace {
    fn draw(random: &mut Random) -> Self {
        let micros = |from, to, random: &mut Random| Duration::from_micros(random.between(from, to) as u64);
        Self { first: micros(20_000, 45_000, random), rest: micros(12_000, 36_000, random) }
    }
}

async fn complete(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<ChatRequest>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the request is not a chat completion");
    };
    let number = desk.answered.fetch_add(1, Ordering::Relaxed);
    let mut random = Random::new(desk.seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let Some(content) = desk.model.text(request.prompt(), &mut random) else {
        return refuse(StatusCode::NOT_FOUND, "there is no recorded answer to this prompt");
    };
    let answer = Answer {
        id: format!("chatcmpl-{number:08}"),
        model: desk.model.name().to_owned(),
        content,
        prompt_tokens: request.tokens(),
    };
    let pace = Pace::draw(&mut random);
    tokio::time::sleep(pace.first).await;
    if request.stream {
        stream(answer.events(PIECES), pace.rest)
    } else {
        tokio::time::sleep(pace.rest).await;
        ([(header::CONTENT_TYPE, "application/json")], answer.json()).into_response()
    }
}

/// Sends the first event at once and the others evenly over `rest`.
fn stream(events: Vec<String>, rest: Duration) -> Response {
    let gap = rest / u32::try_from(events.len()).unwrap_or(u32::MAX).max(1);
    let chunks =
        futures_util::stream::unfold((events.into_iter(), false), move |(mut left, started)| async move {
            let event = left.next()?;
            if started {
                tokio::time::sleep(gap).await;
            }
            Some((Ok::<_, Infallible>(Bytes::from(event)), (left, true)))
        });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(chunks)).into_response()
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let body =
        serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::openai::{request_body, text_of_events, text_of_json};

    fn desk(voice: &VoiceSwitch) -> (Model, Arc<Corpus>) {
        let corpus = Arc::new(Corpus::new(1, 10, 20));
        let model =
            Model::Synthetic { name: "desk-1".into(), corpus: Arc::clone(&corpus), voice: voice.clone() };
        (model, corpus)
    }

    async fn ask(server: &ModelServer, prompt: &str, stream: bool) -> (u16, String, Bytes) {
        let response = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("http://{}/v1/chat/completions", server.address))
            .body(request_body("be kind", prompt, stream))
            .send()
            .await
            .unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), content_type, response.bytes().await.unwrap())
    }

    #[tokio::test]
    async fn both_forms_of_an_answer_are_about_the_order_that_was_asked_for() {
        let (model, corpus) = desk(&VoiceSwitch::new(Voice::Healthy));
        let server = ModelServer::start(model, 1).await.unwrap();
        let question = &corpus.questions[3];
        let (status, content_type, body) = ask(&server, &question.text, false).await;
        assert_eq!((status, content_type.as_str()), (200, "application/json"));
        assert!(text_of_json(&body).unwrap().contains(&format!("\"order_id\":\"{}\"", question.order)));
        let (status, content_type, body) = ask(&server, &question.text, true).await;
        assert_eq!((status, content_type.as_str()), (200, "text/event-stream"));
        assert!(text_of_events(&body).unwrap().contains(&question.order));
        assert_eq!(server.answered(), 2);
    }

    #[tokio::test]
    async fn the_switch_changes_the_answers_of_a_running_server_and_not_their_validity() {
        let voice = VoiceSwitch::new(Voice::Healthy);
        let (model, corpus) = desk(&voice);
        let server = ModelServer::start(model, 1).await.unwrap();
        voice.set(Voice::Worse);
        let mut dropped = 0;
        for question in &corpus.questions {
            let (status, _, body) = ask(&server, &question.text, false).await;
            let answer: serde_json::Value = serde_json::from_str(&text_of_json(&body).unwrap()).unwrap();
            assert_eq!(status, 200);
            dropped += usize::from(answer.get("order_id").is_none());
        }
        assert!((2..=15).contains(&dropped), "{dropped}");
    }

    #[tokio::test]
    async fn nonsense_is_refused_and_an_unknown_question_still_answered() {
        let (model, _) = desk(&VoiceSwitch::new(Voice::Healthy));
        let server = ModelServer::start(model, 1).await.unwrap();
        let (status, _, body) = ask(&server, "hello?", false).await;
        assert_eq!(status, 200);
        assert!(text_of_json(&body).unwrap().contains("order"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/v1/chat/completions", server.address);
        assert_eq!(client.post(url).body("{").send().await.unwrap().status(), 400);
        let recorded = ModelServer::start(Model::Recorded(Arc::default()), 1).await.unwrap();
        assert_eq!(ask(&recorded, "never asked", true).await.0, 404);
    }
}
