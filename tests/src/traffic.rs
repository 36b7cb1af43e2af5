//! Requests over several connections: a given number of them, or for as long as a test needs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::Client;
use crate::http::{Message, request};

/// Sends these requests over this many keep-alive connections; the answers are in the order of the requests.
///
/// A connection that was closed is opened again for the next request.
///
/// # Errors
/// The first request that got no answer.
pub async fn exchange_all(
    address: SocketAddr,
    connections: usize,
    requests: Vec<Vec<u8>>,
) -> io::Result<Vec<Message>> {
    let requests = Arc::new(requests);
    let mut tasks = JoinSet::new();
    for first in 0..connections {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut answers = Vec::new();
            let mut client = None;
            for (index, bytes) in requests.iter().enumerate().skip(first).step_by(connections.max(1)) {
                let mut connected = match client.take() {
                    Some(client) => client,
                    None => Client::connect(address).await?,
                };
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("request {index}: {error}"));
                let answer = connected.exchange(bytes).await.map_err(named)?;
                let closed = answer.head.header("connection") == Some("close") || !answer.complete;
                client = (!closed).then_some(connected);
                answers.push((index, answer));
            }
            Ok::<_, io::Error>(answers)
        });
    }
    let mut answers = Vec::with_capacity(requests.len());
    while let Some(task) = tasks.join_next().await {
        answers.extend(task.map_err(io::Error::other)??);
    }
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// What happened to a background load.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers with status 200 that came whole.
    pub good: u64,
    /// Everything else, in words.
    pub failures: Vec<String>,
}

/// A background load of POSTs, one user per request, with a short pause between them.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    tasks: JoinSet<Tally>,
}

impl Traffic {
    /// Starts it over this many connections.
    #[must_use]
    pub fn start(address: SocketAddr, connections: usize) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for connection in 0..connections {
            tasks.spawn(load(address, connection, Arc::clone(&stop), Arc::clone(&good)));
        }
        Self { stop, good, tasks }
    }

    /// Answers so far with status 200 that came whole.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Stops it after the requests that are under way.
    pub async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        while let Some(task) = self.tasks.join_next().await {
            match task {
                Ok(tally) => {
                    all.good += tally.good;
                    all.failures.extend(tally.failures);
                }
                Err(error) => all.failures.push(error.to_string()),
            }
        }
        all
    }
}

async fn load(address: SocketAddr, connection: usize, stop: Arc<AtomicBool>, good: Arc<AtomicU64>) -> Tally {
    let mut tally = Tally::default();
    let mut client = None;
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let user = format!("user-{connection}-{number}");
        let bytes = request("POST", &format!("/load/{user}"), &[("x-user-id", &user)], user.as_bytes());
        match answer(address, &mut client, &bytes).await {
            Ok(answer) if answer.complete && answer.head.second_word() == "200" => {
                tally.good += 1;
                good.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => tally.failures.push(answer.head.first_line),
            Err(error) => {
                tally.failures.push(error.to_string());
                client = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tally
}

async fn answer(address: SocketAddr, client: &mut Option<Client>, bytes: &[u8]) -> io::Result<Message> {
    if client.is_none() {
        *client = Some(Client::connect(address).await?);
    }
    match client {
        Some(client) => client.exchange(bytes).await,
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}
