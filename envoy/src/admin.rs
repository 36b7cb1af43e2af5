//! Questions to a running Envoy's admin interface.
//!
//! Limits: one request per question, 5 s each; answers are read whole (a prometheus page is some hundred KB).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer, or not the expected status.
    #[error(
        "envoy's admin at {address} did not answer {path}: {source}\n  hint: is this the admin address, and is envoy running?"
    )]
    Request {
        /// The admin address.
        address: SocketAddr,
        /// The path that was asked for.
        path: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// An answer in another form than this Envoy version gives.
    #[error("envoy's admin at {address} answered {path} in an unknown form: {detail}")]
    Form {
        /// The admin address.
        address: SocketAddr,
        /// The path that was asked for.
        path: String,
        /// What is missing.
        detail: String,
    },
}

/// A client of one Envoy's admin interface. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    address: SocketAddr,
    client: reqwest::Client,
}

impl Admin {
    /// A client for the admin interface at `address`; nothing is sent yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        // Without TLS and proxies the builder has nothing that can fail; the default client differs only in those.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap_or_default();
        Self { address, client }
    }

    /// Where the admin interface listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether Envoy is live: all clusters and listeners warmed.
    pub async fn ready(&self) -> bool {
        self.get("/ready").await.is_ok_and(|text| text.trim() == "LIVE")
    }

    /// Statistics whose name matches the regular expression, by name. Counters and gauges are numbers in decimal,
    /// text readouts come without their quotes.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, String>, AdminError> {
        let encoded = percent_encoded(filter);
        let text = self.get(&format!("/stats?filter={encoded}")).await?;
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    /// One counter or gauge by its exact name; 0 where Envoy does not know it (counters appear with their first use).
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn counter(&self, name: &str) -> Result<u64, AdminError> {
        let stats = self.stats(&format!("^{}$", escaped(name))).await?;
        Ok(stats.get(name).and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// The revision of the filter's configuration that is in effect, from `version_text`; none before the first one.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn version_text(&self) -> Result<Option<String>, AdminError> {
        let stats = self.stats(r"^extension_config_discovery\.http_filter\..*version_text$").await?;
        Ok(stats.into_values().find(|version| !version.is_empty()))
    }

    /// How many configurations the filter refused.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn rejected(&self) -> Result<u64, AdminError> {
        let stats = self.stats(r"^extension_config_discovery\.http_filter\..*update_rejected$").await?;
        Ok(stats.values().filter_map(|value| value.parse::<u64>().ok()).sum())
    }

    /// The page that Prometheus scrapes.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn prometheus(&self) -> Result<String, AdminError> {
        self.get("/stats/prometheus").await
    }

    /// The listeners' addresses by name, with the ports that were picked for port 0.
    ///
    /// # Errors
    /// When Envoy does not answer or the answer has another form.
    pub async fn listeners(&self) -> Result<BTreeMap<String, SocketAddr>, AdminError> {
        let path = "/listeners?format=json";
        let text = self.get(path).await?;
        let form = |detail: String| AdminError::Form { address: self.address, path: path.to_owned(), detail };
        let answer: Value = serde_json::from_str(&text).map_err(|error| form(error.to_string()))?;
        let statuses = answer.get("listener_statuses").and_then(Value::as_array);
        let listener = |status: &Value| {
            let socket = status.pointer("/local_address/socket_address")?;
            let host = socket.get("address")?.as_str()?.parse().ok()?;
            let port = u16::try_from(socket.get("port_value")?.as_u64()?).ok()?;
            Some((status.get("name")?.as_str()?.to_owned(), SocketAddr::new(host, port)))
        };
        let statuses = statuses.ok_or_else(|| form("no listener_statuses".to_owned()))?;
        Ok(statuses.iter().filter_map(listener).collect())
    }

    async fn get(&self, path: &str) -> Result<String, AdminError> {
        let answer = async {
            let response = self.client.get(format!("http://{}{path}", self.address)).send().await?;
            response.error_for_status()?.text().await
        };
        answer.await.map_err(|source| AdminError::Request {
            address: self.address,
            path: path.to_owned(),
            source,
        })
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A text that a regular expression matches literally.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let special = !(letter.is_alphanumeric() || letter == '_');
            special.then_some('\\').into_iter().chain([letter])
        })
        .collect()
}
