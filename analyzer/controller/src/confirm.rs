//! Confirmation: a push is done when the proxies say so, not when it was sent.
//!
//! A proxy has confirmed a revision when its admin interface shows it as `version_text` of the extension *and* a probe
//! through its listener is answered with it in `x-weir-revision`. `config_reload` and `/config_dump` are not used: Envoy
//! shows rejected configurations in both. A rejection (one of Envoy's failure counters grew and the version did not come)
//! is reported at once instead of waiting for the timeout.
//!
//! Limits: a proxy is polled every 10 ms; the listener is probed on [`PROBES_PER_ROUND`] fresh connections at a time, all
//! of which must show the revision, because a new configuration reaches an Envoy's workers one after the other. Only
//! proxies that were named are asked. A probe is sent only after the admin interface shows the revision (where there is
//! one), so that a push adds a handful of exchanges to the traffic and not hundreds. Where a later revision will do
//! ([`Shown::or_later`]), answers that show one count only if `version_text` shows the same: proxies that serve a later
//! policy on and refuse the one that was pushed show it in answers alone. Without an admin address nobody can tell.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use weir_envoy::Admin;

use crate::ecds_file::Carried;
use crate::push::milliseconds;
use crate::target::{EnvoyTarget, Probe};

/// Fresh connections per probe round; all of them must show the revision.
pub const PROBES_PER_ROUND: usize = 4;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
const REVISION_HEADER: &str = "x-weir-revision";
/// Counters of Envoy that grow when an update is not taken.
const FAILURE_COUNTERS: [&str; 4] = ["update_rejected", "update_failure", "config_fail", "config_conflict"];

/// How long one proxy took to confirm, counted from the start of the push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyConfirmation {
    /// The proxy, as in `--envoy`.
    pub proxy: String,
    /// Until `version_text` showed the revision; absent when there is no admin address.
    pub admin_ms: Option<f64>,
    /// Until every probe of a round showed the revision; absent when the proxy is not probed.
    pub probe_ms: Option<f64>,
}

/// What proxies have to show for a push to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The revision.
    pub revision: u64,
    /// Whether a later one will do: of several experiments somebody else may have changed another one meanwhile, and every
    /// later document has this one's change, too.
    pub or_later: bool,
    /// Whether answers show it, so that probes make sense.
    pub in_answers: bool,
}

impl Shown {
    /// What the ECDS file carries.
    pub fn of(carried: &Carried) -> Self {
        Self {
            revision: carried.revision,
            or_later: carried.is_of_several(),
            in_answers: carried.shows_revision(),
        }
    }

    /// The revision that is shown, where it will do.
    fn accepts(&self, shown: &str) -> Option<u64> {
        let shown = shown.parse::<u64>().ok()?;
        (shown == self.revision || (self.or_later && shown > self.revision)).then_some(shown)
    }
}

/// What a proxy shows now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyReport {
    /// The proxy, as in `--envoy`.
    pub proxy: String,
    /// The version of the configuration in use, by the admin interface.
    pub version_text: Option<String>,
    /// `x-weir-revision` of a probe's answer.
    pub probe_revision: Option<String>,
    /// Updates that this proxy refused since it started.
    pub update_rejected: Option<u64>,
    /// What could not be asked, and why.
    pub problems: Vec<String>,
}

/// The extension's statistics, as the admin interface shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtensionStats {
    /// Version of the configuration in use; empty until there was one.
    pub version_text: Option<String>,
    /// Counters by their last name, for example `update_rejected`.
    pub counters: BTreeMap<String, u64>,
}

/// Why a revision counts as not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// A proxy refused the configuration and goes on with the old one.
    #[error(
        "revision {revision}: rejected by {proxy}, which still serves '{serves}' ({grown})\n  hint: {proxy}'s log has the reason in the line with 'weir'; check the policy with `weir validate`"
    )]
    Rejected {
        /// The revision that was pushed.
        revision: u64,
        /// Who refused.
        proxy: String,
        /// What it still serves.
        serves: String,
        /// The counters that grew, for example `update_rejected 0 -> 1`.
        grown: String,
    },
    /// The time was over.
    #[error(
        "revision {revision}: not confirmed within {waited_ms} ms\n{shows}  hint: the file was written; check that these proxies run and watch its folder, then `weir status`"
    )]
    TimedOut {
        /// The revision that was pushed.
        revision: u64,
        /// How long was waited.
        waited_ms: u128,
        /// One indented line per proxy: what it shows instead.
        shows: String,
    },
    /// An admin address does not lead anywhere.
    #[error(
        "admin={url}: no such address: {source}\n  hint: --envoy wants the host and port of Envoy's admin interface"
    )]
    Address {
        /// The address in `--envoy`.
        url: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Asks the proxies of one target.
#[derive(Clone, Debug)]
pub struct Confirmer {
    client: Client,
    name: String,
    proxies: Vec<Proxy>,
    timeout: Duration,
}

/// One proxy, ready to be asked.
#[derive(Clone, Debug)]
struct Proxy {
    label: String,
    admin: Option<Admin>,
    probe: Option<Probe>,
}

impl Confirmer {
    /// A client without connection reuse (every probe must be able to meet another worker) and without proxies of the
    /// environment. Names in admin addresses are resolved here, once.
    ///
    /// # Errors
    /// When the HTTP client cannot be made or an admin address cannot be resolved.
    pub fn new(target: &EnvoyTarget) -> Result<Self, ConfirmError> {
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let mut proxies = Vec::with_capacity(target.proxies.len());
        for proxy in &target.proxies {
            let admin = proxy.admin.as_ref().map(resolve).transpose()?;
            proxies.push(Proxy { label: proxy.label(), admin, probe: proxy.probe.clone() });
        }
        Ok(Self { client, name: target.name.clone(), proxies, timeout: target.timeout })
    }

    /// The statistics before a push, to see afterwards what grew; `None` for a proxy that does not answer within `limit`.
    pub async fn baseline(&self, limit: Duration) -> Vec<Option<ExtensionStats>> {
        self.each(|confirmer, proxy| async move {
            let admin = proxy.admin?;
            tokio::time::timeout(limit, confirmer.stats(&admin)).await.ok()?.ok()
        })
        .await
    }

    /// Waits until every proxy shows it. Times are counted from `started`, the timeout runs from now.
    ///
    /// # Errors
    /// At once when a proxy rejected the configuration, else after the timeout with what each proxy shows.
    pub async fn confirm(
        &self,
        shown: Shown,
        baseline: &[Option<ExtensionStats>],
        started: Instant,
    ) -> Result<Vec<ProxyConfirmation>, ConfirmError> {
        let revision = shown.revision;
        let mut tasks = JoinSet::new();
        let called = Instant::now();
        for (index, proxy) in self.proxies.iter().enumerate() {
            let wait = Wait {
                confirmer: self.clone(),
                proxy: proxy.clone(),
                shown,
                baseline: baseline.get(index).cloned().flatten(),
                started,
                deadline: called + self.timeout,
            };
            tasks.spawn(async move { (index, wait.run().await) });
        }
        let mut confirmed = BTreeMap::new();
        let mut shows = BTreeMap::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok((index, Ok(confirmation))) => {
                    confirmed.insert(index, confirmation);
                }
                Ok((_, Err(Missing::Rejected { proxy, serves, grown }))) => {
                    return Err(ConfirmError::Rejected { revision, proxy, serves, grown });
                }
                Ok((index, Err(Missing::TimedOut(text)))) => {
                    shows.insert(index, text);
                }
                Err(error) => {
                    shows.insert(usize::MAX, format!("a confirmation task ended early: {error}"));
                }
            }
        }
        if shows.is_empty() {
            return Ok(confirmed.into_values().collect());
        }
        let mut text = String::new();
        for line in shows.values() {
            let _ = writeln!(text, "  {line}");
        }
        Err(ConfirmError::TimedOut { revision, waited_ms: called.elapsed().as_millis(), shows: text })
    }

    /// What every proxy shows now.
    pub async fn report(&self) -> Vec<ProxyReport> {
        self.each(|confirmer, proxy| async move { confirmer.report_one(&proxy).await }).await
    }

    /// Runs the same question against all proxies at the same time; answers in their order.
    async fn each<T, F, Answer>(&self, ask: F) -> Vec<T>
    where
        T: Send + 'static,
        F: Fn(Self, Proxy) -> Answer,
        Answer: Future<Output = T> + Send + 'static,
    {
        let tasks: Vec<_> =
            self.proxies.iter().map(|proxy| tokio::spawn(ask(self.clone(), proxy.clone()))).collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            if let Ok(answer) = task.await {
                answers.push(answer);
            }
        }
        answers
    }

    async fn report_one(&self, proxy: &Proxy) -> ProxyReport {
        let mut report = ProxyReport {
            proxy: proxy.label.clone(),
            version_text: None,
            probe_revision: None,
            update_rejected: None,
            problems: Vec::new(),
        };
        if let Some(admin) = &proxy.admin {
            match self.stats(admin).await {
                Ok(stats) => {
                    report.update_rejected = stats.counters.get("update_rejected").copied();
                    report.version_text = stats.version_text;
                }
                Err(text) => report.problems.push(text),
            }
        }
        if let Some(probe) = &proxy.probe {
            match self.probe_once(probe).await {
                Ok(revision) => report.probe_revision = revision,
                Err(text) => report.problems.push(text),
            }
        }
        report
    }

    /// Reads the extension's statistics from the admin interface; every poll has its own time limit, so that a hanging
    /// admin interface is named and not waited for.
    async fn stats(&self, admin: &Admin) -> Result<ExtensionStats, String> {
        let address = admin.address();
        match tokio::time::timeout(REQUEST_TIMEOUT, admin.stats("extension_config_discovery")).await {
            Ok(Ok(stats)) => Ok(extension_stats(&stats, &self.name)),
            Ok(Err(error)) => Err(format!("admin {address} cannot be asked: {}", root_cause(&error))),
            Err(_) => Err(format!("admin {address} cannot be asked: no answer in time")),
        }
    }

    /// The revision in one probe's answer; `None` when the answer has no such header.
    async fn probe_once(&self, probe: &Probe) -> Result<Option<String>, String> {
        let mut request = self.client.get(probe.url.clone());
        for (name, value) in &probe.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| {
            let reason =
                if error.is_timeout() { String::from("no answer in time") } else { root_cause(&error) };
            format!("probe {} cannot be asked: {reason}", probe.url)
        })?;
        let revision = answer.headers().get(REVISION_HEADER);
        Ok(revision.and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    /// One round of probes on fresh connections: the latest revision shown when all show what is wanted, else what one
    /// of them showed.
    async fn probe_round(&self, probe: &Probe, wanted: Shown) -> Result<u64, String> {
        let mut round = JoinSet::new();
        for _ in 0..PROBES_PER_ROUND {
            let (confirmer, probe) = (self.clone(), probe.clone());
            round.spawn(async move { confirmer.probe_once(&probe).await });
        }
        let mut latest = wanted.revision;
        while let Some(joined) = round.join_next().await {
            let shown = joined.map_err(|error| error.to_string())??;
            match shown.as_deref().map(|shown| wanted.accepts(shown)) {
                Some(Some(revision)) => latest = latest.max(revision),
                Some(None) => {
                    return Err(format!("the probe's answer shows revision {}", shown.unwrap_or_default()));
                }
                None => return Err(format!("the probe's answer has no {REVISION_HEADER}")),
            }
        }
        Ok(latest)
    }
}

/// One ECDS extension's part of Envoy's statistics.
pub fn extension_stats(all: &BTreeMap<String, String>, name: &str) -> ExtensionStats {
    let prefix = format!("extension_config_discovery.http_filter.{name}.");
    let mut stats = ExtensionStats::default();
    for (key, value) in all {
        let Some((_, key)) = key.split_once(prefix.as_str()) else { continue };
        if key == "version_text" {
            stats.version_text = Some(value.clone());
        } else if let Ok(number) = value.parse::<u64>() {
            stats.counters.insert(key.to_owned(), number);
        }
    }
    stats
}

/// The wait for one proxy.
struct Wait {
    confirmer: Confirmer,
    proxy: Proxy,
    shown: Shown,
    baseline: Option<ExtensionStats>,
    started: Instant,
    deadline: Instant,
}

enum Missing {
    Rejected { proxy: String, serves: String, grown: String },
    TimedOut(String),
}

impl Wait {
    async fn run(mut self) -> Result<ProxyConfirmation, Missing> {
        let admin_ms = match self.proxy.admin.clone() {
            Some(admin) => Some(self.wait_for_admin(&admin).await?),
            None => None,
        };
        let probe_ms = match self.proxy.probe.clone().filter(|_| self.shown.in_answers) {
            Some(probe) => Some(self.wait_for_probe(&probe, self.proxy.admin.as_ref()).await?),
            None => None,
        };
        let proxy = self.proxy.label.clone();
        if admin_ms.is_none() && probe_ms.is_none() {
            return Err(Missing::TimedOut(format!(
                "{proxy}: has only a probe, and this policy shows no revision in responses; add its admin=URL"
            )));
        }
        Ok(ProxyConfirmation { proxy, admin_ms, probe_ms })
    }

    async fn wait_for_admin(&mut self, admin: &Admin) -> Result<f64, Missing> {
        loop {
            let last = match self.confirmer.stats(admin).await {
                Ok(stats)
                    if stats.version_text.as_deref().and_then(|text| self.shown.accepts(text)).is_some() =>
                {
                    return Ok(milliseconds(self.started.elapsed()));
                }
                Ok(stats) => {
                    let serves = stats.version_text.clone().unwrap_or_default();
                    let grown = grown(self.baseline.get_or_insert_with(|| stats.clone()), &stats);
                    if !grown.is_empty() {
                        return Err(Missing::Rejected { proxy: self.proxy.label.clone(), serves, grown });
                    }
                    format!("version_text is '{serves}'")
                }
                Err(text) => text,
            };
            self.pause(&last).await?;
        }
    }

    async fn wait_for_probe(&self, probe: &Probe, admin: Option<&Admin>) -> Result<f64, Missing> {
        loop {
            match self.answers_agree(probe, admin).await {
                Ok(()) => return Ok(milliseconds(self.started.elapsed())),
                Err(last) => self.pause(&last).await?,
            }
        }
    }

    /// Whether answers show the revision, or a later one that the proxy was given.
    async fn answers_agree(&self, probe: &Probe, admin: Option<&Admin>) -> Result<(), String> {
        let latest = self.confirmer.probe_round(probe, self.shown).await?;
        let Some(admin) = admin.filter(|_| latest > self.shown.revision) else { return Ok(()) };
        let version = self.confirmer.stats(admin).await?.version_text.unwrap_or_default();
        if version == latest.to_string() {
            return Ok(());
        }
        Err(format!(
            "version_text is '{version}' and the probe's answer shows revision {latest}: the proxy serves a later policy on and refuses this one"
        ))
    }

    async fn pause(&self, last: &str) -> Result<(), Missing> {
        if Instant::now() >= self.deadline {
            return Err(Missing::TimedOut(format!("{}: {last}", self.proxy.label)));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        Ok(())
    }
}

/// The failure counters that grew, or nothing.
fn grown(before: &ExtensionStats, now: &ExtensionStats) -> String {
    let mut text = String::new();
    for name in FAILURE_COUNTERS {
        let (old, new) = (before.counters.get(name).copied(), now.counters.get(name).copied());
        if let (Some(old), Some(new)) = (old, new)
            && new > old
        {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{name} {old} -> {new}");
        }
    }
    text
}

fn resolve(url: &reqwest::Url) -> Result<Admin, ConfirmError> {
    let address = url.socket_addrs(|| None).and_then(|addresses| {
        addresses.first().copied().ok_or_else(|| std::io::Error::other("the name has no address"))
    });
    address.map(Admin::new).map_err(|source| ConfirmError::Address { url: url.to_string(), source })
}

/// The innermost reason: the outer ones repeat the address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    fn shown(revision: u64, in_answers: bool) -> Shown {
        Shown { revision, or_later: false, in_answers }
    }

    /// An address that answers `/stats` like Envoy's admin interface and everything else like its listener; what it
    /// answers depends on how often it was asked. Real Envoys are in `tests/`.
    async fn answers(stats: fn(u64) -> String, revision: fn(u64) -> &'static str) -> String {
        let (asked, probed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let app = Router::new()
            .route("/stats", get(move || async move { stats(asked.fetch_add(1, Ordering::Relaxed)) }))
            .fallback(get(move || async move {
                ([(REVISION_HEADER, revision(probed.fetch_add(1, Ordering::Relaxed)))], "")
            }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    fn stats(version: &str, rejected: u64) -> String {
        let prefix = "extension_config_discovery.http_filter";
        format!(
            "{prefix}.weir.version_text: \"{version}\"\n{prefix}.weir.update_rejected: {rejected}\n\
             {prefix}.weir.config_reload: 9\n{prefix}.other.update_rejected: 5\n\
             {prefix}.weir.update_duration: No recorded values\n"
        )
    }

    fn confirmer(target: &str) -> Confirmer {
        Confirmer::new(&target.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_later_revision_will_do_only_where_several_experiments_share_a_file() {
        let alone = shown(8, true);
        let shared = Shown { or_later: true, ..alone };
        for (text, by_alone, by_shared) in [
            ("7", false, false),
            ("8", true, true),
            ("9", false, true),
            ("", false, false),
            ("x", false, false),
        ] {
            let accepted = |shown: Shown| shown.accepts(text).is_some();
            assert_eq!((accepted(alone), accepted(shared)), (by_alone, by_shared), "{text}");
        }
    }

    #[tokio::test]
    async fn a_later_revision_in_answers_counts_only_where_the_proxy_was_given_it() {
        let shared = Shown { or_later: true, ..shown(8, true) };
        let given = answers(|n| stats(if n < 3 { "8" } else { "9" }, 0), |_| "9").await;
        let target = format!("ecds-file:e,admin={given},probe={given}");
        confirmer(&target).confirm(shared, &[], Instant::now()).await.unwrap();
        // The module takes no policy that is older than what it serves, and serves the newer one on.
        let refusing = answers(|_| stats("8", 0), |_| "9").await;
        let target = format!("ecds-file:e,admin={refusing},probe={refusing},timeout-ms=60");
        let error = confirmer(&target).confirm(shared, &[], Instant::now()).await.unwrap_err();
        let said = "version_text is '8' and the probe's answer shows revision 9";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[tokio::test]
    async fn a_revision_is_confirmed_when_admin_and_every_probe_show_it() {
        let proxy =
            answers(|n| stats(if n < 3 { "7" } else { "8" }, 0), |n| if n < 6 { "7" } else { "8" }).await;
        let confirmer = confirmer(&format!("ecds-file:e,admin={proxy},probe={proxy}"));
        let baseline = confirmer.baseline(Duration::from_secs(5)).await;
        assert_eq!(baseline[0].as_ref().unwrap().counters["update_rejected"], 0);
        let confirmed = confirmer.confirm(shown(8, true), &baseline, Instant::now()).await.unwrap();
        assert_eq!(confirmed.len(), 1);
        assert!(confirmed[0].admin_ms.unwrap() <= confirmed[0].probe_ms.unwrap());
    }

    #[tokio::test]
    async fn a_policy_that_shows_no_revision_is_confirmed_by_the_admin_interface_alone() {
        let proxy = answers(|_| stats("8", 0), |_| "").await;
        let with_admin = confirmer(&format!("ecds-file:e,admin={proxy},probe={proxy},timeout-ms=50"));
        let confirmed = with_admin.confirm(shown(8, false), &[], Instant::now()).await.unwrap();
        assert_eq!(confirmed[0].probe_ms, None);
        let probe_only = confirmer(&format!("ecds-file:e,probe={proxy},timeout-ms=50"));
        let error = probe_only.confirm(shown(8, false), &[], Instant::now()).await.unwrap_err();
        assert!(error.to_string().contains("add its admin=URL"), "{error}");
    }

    #[tokio::test]
    async fn a_rejection_is_told_at_once_with_the_counters() {
        let proxy = answers(|n| stats("7", u64::from(n > 0)), |_| "7").await;
        let confirmer = confirmer(&format!("ecds-file:e,admin={proxy},timeout-ms=600000"));
        let baseline = confirmer.baseline(Duration::from_secs(5)).await;
        let error = confirmer.confirm(shown(8, true), &baseline, Instant::now()).await.unwrap_err();
        let ConfirmError::Rejected { serves, grown, .. } = &error else { panic!("{error}") };
        assert_eq!((serves.as_str(), grown.as_str()), ("7", "update_rejected 0 -> 1"));
    }

    #[tokio::test]
    async fn after_the_timeout_every_proxy_that_is_missing_says_what_it_shows() {
        let good = answers(|_| stats("8", 0), |_| "8").await;
        let old = answers(|_| stats("8", 0), |_| "7").await;
        let target = format!(
            "ecds-file:e,admin={good},admin=http://127.0.0.1:1,admin={old},probe={old},timeout-ms=60"
        );
        let error = confirmer(&target).confirm(shown(8, true), &[], Instant::now()).await.unwrap_err();
        let ConfirmError::TimedOut { shows, .. } = &error else { panic!("{error}") };
        let lines: Vec<&str> = shows.lines().collect();
        assert_eq!(lines.len(), 2, "{shows}");
        assert!(lines[0].contains("127.0.0.1:1: admin 127.0.0.1:1 cannot be asked: "), "{shows}");
        assert!(lines[1].ends_with("the probe's answer shows revision 7"), "{shows}");
    }

    #[tokio::test]
    async fn a_report_shows_what_can_be_asked_and_names_the_rest() {
        let proxy = answers(|_| stats("8", 3), |_| "7").await;
        let target = format!("ecds-file:e,admin={proxy},probe={proxy},admin=http://127.0.0.1:1");
        let reports = confirmer(&target).report().await;
        assert_eq!(reports[0].version_text.as_deref(), Some("8"));
        assert_eq!((reports[0].probe_revision.as_deref(), reports[0].update_rejected), (Some("7"), Some(3)));
        assert_eq!((reports[0].problems.len(), reports[1].problems.len()), (0, 1));
    }
}
