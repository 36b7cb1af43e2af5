//! Asking a judge: an OpenAI-compatible endpoint, or recorded scores.
//!
//! Retries: [`ATTEMPTS`] tries, for refused connections, timeouts, 429 and 5xx, with doubling pauses and jitter; `Retry-After`
//! is heeded up to [`PAUSE_MAX`]. Other statuses are not tried again. A reply that is no judgement is paid and not asked again.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::prompt::{Mode, Question, read_reply};
use crate::rubric::Rubric;
use crate::store::Said;

/// Tries of one question.
pub const ATTEMPTS: u32 = 4;
/// Longest pause between two tries.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Bytes of a reply that are read.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// Why a judge cannot be asked at all.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// The key's variable is empty.
    #[error(
        "judge {judge:?} needs a key: the variable {variable} is not set\n  hint: export {variable}=..., or leave --key-variable away for an endpoint without keys"
    )]
    NoKey {
        /// The judge.
        judge: String,
        /// The variable.
        variable: String,
    },
    /// Not an address.
    #[error(
        "judge {judge:?}: {url:?} is no address of an endpoint; allowed: http://... or https://..., up to and with /v1"
    )]
    Url {
        /// The judge.
        judge: String,
        /// What was given.
        url: String,
    },
    /// No HTTP client could be made.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Recorded scores that cannot be read.
    #[error(
        "{path}: {message}\n  hint: each line is a JSON object with text and scores: {{criterion: 0 to 1}}"
    )]
    Recorded {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// An OpenAI-compatible endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    name: String,
    model: String,
    url: String,
    key: Option<String>,
    client: reqwest::Client,
}

impl Endpoint {
    /// An endpoint at `url` (up to and with `/v1`); its key is read from an environment variable, if one is named.
    ///
    /// # Errors
    /// A bad address, or a key that is not set.
    pub fn new(
        name: &str,
        model: &str,
        url: &str,
        key_variable: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, JudgeError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(JudgeError::Url { judge: name.to_owned(), url: url.to_owned() });
        }
        let key = match key_variable {
            None => None,
            Some(variable) => {
                let key = std::env::var(variable).ok().filter(|key| !key.is_empty());
                Some(key.ok_or_else(|| JudgeError::NoKey {
                    judge: name.to_owned(),
                    variable: variable.to_owned(),
                })?)
            }
        };
        Ok(Self {
            name: name.to_owned(),
            model: model.to_owned(),
            url: format!("{}/chat/completions", url.trim_end_matches('/')),
            key,
            client: reqwest::Client::builder().timeout(timeout).build()?,
        })
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// One chat completion: the text and the tokens.
    ///
    /// # Errors
    /// What the endpoint did, in words, after all tries.
    pub async fn complete(&self, body: &Value) -> Result<(String, u64, u64), String> {
        let mut problem = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt, &self.name, body)).await;
            }
            let mut request =
                self.client.post(&self.url).header("content-type", "application/json").body(body.to_string());
            if let Some(key) = &self.key {
                request = request.bearer_auth(key);
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    problem = if error.is_timeout() {
                        "timed out".into()
                    } else {
                        format!("cannot be reached: {}", error.without_url())
                    };
                    continue;
                }
            };
            let status = answer.status();
            let wait = answer
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
            let bytes = match answer.bytes().await {
                Ok(bytes) if bytes.len() <= REPLY_BYTES_MAX => bytes,
                Ok(bytes) => {
                    return Err(format!("answered {} bytes; allowed: {REPLY_BYTES_MAX}", bytes.len()));
                }
                Err(_) => {
                    problem = "broke off".into();
                    continue;
                }
            };
            if status.is_success() {
                return completion(&bytes);
            }
            problem = format!("answered {}", status.as_u16());
            if status.as_u16() != 429 && !status.is_server_error() {
                return Err(problem);
            }
            if let Some(seconds) = wait.filter(|seconds| seconds.is_finite() && *seconds > 0.0) {
                tokio::time::sleep(Duration::from_secs_f64(seconds.min(PAUSE_MAX.as_secs_f64()))).await;
            }
        }
        Err(format!("{problem}, {ATTEMPTS} times"))
    }
}

/// `choices[0].message.content` and `usage`.
fn completion(bytes: &[u8]) -> Result<(String, u64, u64), String> {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let content = value.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
    let tokens = |name: &str| value.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
    Ok((content.to_owned(), tokens("prompt_tokens"), tokens("completion_tokens")))
}

/// 0.25 s, doubled, with up to half of it as jitter that differs between questions.
fn pause(attempt: u32, name: &str, body: &Value) -> Duration {
    let base = 0.25 * f64::from(1_u32 << attempt.min(10));
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(format!("{name}{body}").as_bytes(), u64::from(attempt));
    Duration::from_secs_f64(base * (0.75 + 0.5 * (hash >> 11) as f64 / (1_u64 << 53) as f64)).min(PAUSE_MAX)
}

/// Scores that were recorded, by the text that they judge.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    by_text: HashMap<u128, std::collections::BTreeMap<String, f64>>,
}

impl Replay {
    /// Reads lines of `{"text": ..., "scores": {criterion: 0 to 1}}`.
    ///
    /// # Errors
    /// The file, the line and what is wrong.
    pub fn read(path: &Path) -> Result<Self, JudgeError> {
        let wrong = |message: String| JudgeError::Recorded { path: path.display().to_string(), message };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut replay = Self::default();
        for (line, row) in text.lines().enumerate() {
            let row: Value =
                serde_json::from_str(row).map_err(|error| wrong(format!("line {}: {error}", line + 1)))?;
            let scores = row.get("scores").cloned().unwrap_or_default();
            let scores: std::collections::BTreeMap<String, f64> = serde_json::from_value(scores)
                .map_err(|error| wrong(format!("line {}: {error}", line + 1)))?;
            let judged = row.get("text").and_then(Value::as_str);
            let judged = judged.ok_or_else(|| wrong(format!("line {}: has no text", line + 1)))?;
            if let Some((name, score)) = scores.iter().find(|(_, score)| !(0.0..=1.0).contains(*score)) {
                return Err(wrong(format!("line {}: {name} is {score}; allowed: 0 to 1", line + 1)));
            }
            replay.by_text.insert(weir_meaning::cache::key(judged), scores);
        }
        Ok(replay)
    }
}

/// Whoever judges.
#[derive(Clone, Debug)]
pub enum Judge {
    /// Over HTTP.
    Endpoint(Endpoint),
    /// Played back.
    Replay(Replay),
}

impl Judge {
    /// The name that stands in the scores table.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Endpoint(endpoint) => &endpoint.name,
            Self::Replay(_) => "replay",
        }
    }

    /// Digest of everything that the reply depends on.
    #[must_use]
    pub fn key(&self, question: &Question) -> String {
        let model = match self {
            Self::Endpoint(endpoint) => endpoint.model.as_str(),
            Self::Replay(_) => "",
        };
        let all = format!("{}\0{model}\0{}\0{}", self.name(), question.system, question.user);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(all.as_bytes()))
    }

    /// Asks; the error is a failure of the endpoint, in words, that may be asked again later.
    ///
    /// # Errors
    /// See [`Endpoint::complete`].
    pub async fn ask(&self, rubric: &Rubric, question: &Question) -> Result<Said, String> {
        let key = self.key(question);
        match self {
            Self::Replay(replay) => {
                let judged = serde_json::from_str::<Value>(&question.user).unwrap_or_default();
                let of = |name: &str| {
                    let text = judged.get(name).and_then(Value::as_str)?;
                    replay.by_text.get(&weir_meaning::cache::key(text))
                };
                let scores = match question.mode {
                    Mode::Pointwise => of("answer").cloned(),
                    Mode::Pairwise => of("first").zip(of("second")).map(|(first, second)| {
                        let word = |(name, score): (&String, &f64)| {
                            let other = second.get(name).copied().unwrap_or(0.0);
                            let better = if (score - other).abs() < 1e-9 {
                                0.5
                            } else {
                                f64::from(u8::from(*score > other))
                            };
                            (name.clone(), better)
                        };
                        first.iter().map(word).collect()
                    }),
                };
                let problem = scores.is_none().then(|| "no recorded score".to_owned());
                Ok(Said { key, scores, reason: None, problem, prompt_tokens: 0, completion_tokens: 0 })
            }
            Self::Endpoint(endpoint) => {
                let body = json!({
                    "model": endpoint.model,
                    "temperature": 0,
                    "messages": [
                        {"role": "system", "content": question.system},
                        {"role": "user", "content": question.user},
                    ],
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "judgement", "strict": true, "schema": question.schema},
                    },
                });
                let (text, prompt_tokens, completion_tokens) = endpoint.complete(&body).await?;
                let read = read_reply(rubric, question.mode, &text);
                let problem = read.as_ref().err().map(|problem| format!("the reply {problem}"));
                let (scores, reason) = read.ok().map(|reply| (reply.scores, reply.reason)).unzip();
                let reason = reason.flatten();
                Ok(Said { key, scores, reason, problem, prompt_tokens, completion_tokens })
            }
        }
    }
}
