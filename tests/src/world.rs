//! One proxy with everything around it: control, candidate, sink, policy file.
//!
//! Everything is on free loopback ports and in a folder of its own, so that worlds run side by side. Errors are plain
//! text with their hint: a test prints them and fails; where Envoy or the module is missing nothing is skipped.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_envoy::{
    Bootstrap, Envoy, FilterSource, Routing, StartOptions, Upstreams, ecds_response, find_envoy, find_filter,
    write_ecds,
};

use crate::client::post;
use crate::http::Message;
use crate::server::{Server, Step, json_reply};
use crate::sink::Sink;

const ACCESS_LOG: &str = "access.log";
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// What goes wrong in a test's surroundings, as text.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Whether there is a filter in the proxy, and from where.
#[derive(Clone, Debug, Default)]
pub enum Filter {
    /// The real module.
    #[default]
    Weir,
    /// A stand-in for it, as the module's bytes.
    Module(Vec<u8>),
    /// None.
    Absent,
}

/// Who makes the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Envoy's mirror.
    ByMirror,
    /// The filter, on clusters that have no filter of Weir's.
    ByCallout,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first policy, see [`policy`].
    pub policy: Value,
    /// How routes pick the cluster.
    pub routing: Routing,
    /// Envoy's worker threads.
    pub workers: u32,
    /// What filter.
    pub filter: Filter,
    /// How long Envoy waits for an answer.
    pub route_timeout_s: u32,
    /// Whether Envoy writes an access log, see [`World::access_log`].
    pub access_log: bool,
    /// HTTP filters before Weir's.
    pub filters_before: Vec<Value>,
    /// Changes the rendered bootstrap, for what no field does.
    pub edit: fn(String) -> String,
    /// Something else behind the clusters than [`World::control`] and [`World::candidate`], which then nobody asks; and a sink
    /// that counts batches without reading them. For very many exchanges.
    pub upstream: Option<SocketAddr>,
    /// The filter refuses this policy, and the proxy has to come up without it.
    pub refused: bool,
}

impl Plan {
    /// Two workers, variant header, the real module.
    #[must_use]
    pub fn new(policy: Value) -> Self {
        Self {
            policy,
            routing: Routing::default(),
            workers: 2,
            filter: Filter::default(),
            route_timeout_s: 300,
            access_log: false,
            filters_before: Vec::new(),
            edit: |bootstrap| bootstrap,
            upstream: None,
            refused: false,
        }
    }
}

/// A policy with these fields over the ones that every test needs; `null` removes a field.
///
/// Identity is `x-user-id`, one cohort `everyone` with `candidatePercent`, batches leave after 50 ms.
#[must_use]
pub fn policy(mode: &str, candidate_percent: f64, fields: Value) -> Value {
    let snapshot = |version: &str| json!({"model": {"name": "model", "version": version}});
    let mut policy = json!({
        "apiVersion": "weir/v1",
        "kind": "Policy",
        "experiment": "end-to-end",
        "revision": 1,
        "mode": mode,
        "control": {"cluster": "control", "snapshot": snapshot("1")},
        "candidate": {"cluster": "candidate", "shadowCluster": "candidate-shadow", "snapshot": snapshot("2")},
        "identity": [{"header": "x-user-id"}],
        "cohorts": [{"name": "everyone", "tier": "general", "candidatePercent": candidate_percent}],
        "shadow": {"percent": 100},
        "noise": {"percent": 0, "cluster": "control-noise"},
        "sampling": {"percent": 100},
        "limits": {"flushIntervalMs": 50},
        "sink": {"cluster": "weir-collector", "authority": "weir-collector", "path": "/v1/logs"},
    });
    merge(&mut policy, fields);
    policy
}

/// The same with copies that the mirror or the filter makes.
#[must_use]
pub fn policy_with(copies: Copies, mode: &str, candidate_percent: f64, fields: Value) -> Value {
    let mut document = policy(mode, candidate_percent, fields);
    if copies == Copies::ByCallout {
        let called = json!({
            "candidate": {"shadowCluster": "candidate"},
            "shadow": {"transport": "callout"},
            "noise": {"cluster": "control"},
        });
        merge(&mut document, called);
    }
    document
}

/// The same policy as another revision.
#[must_use]
pub fn revised(policy: &Value, revision: u64, fields: Value) -> Value {
    let mut policy = policy.clone();
    merge(&mut policy, json!({"revision": revision}));
    merge(&mut policy, fields);
    policy
}

/// A proxy between two servers and a sink.
pub struct World {
    /// Answers `{"variant": "control", "path": ...}` unless told otherwise.
    pub control: Server,
    /// Answers `{"variant": "candidate", "path": ...}` unless told otherwise.
    pub candidate: Server,
    /// Keeps the legs.
    pub sink: Sink,
    /// The proxy.
    pub envoy: Envoy,
    address: SocketAddr,
    ecds: PathBuf,
    module: PathBuf,
    // Last: Envoy is gone before its folder.
    folder: TempDir,
}

impl World {
    /// Builds it, and waits until the proxy serves with the plan's policy.
    ///
    /// # Errors
    /// Envoy or the module is not there (with the command that helps), or the proxy does not come up.
    pub async fn start(plan: Plan) -> Result<Self, Failure> {
        let control = Server::start(|request| answer("control", request)).await?;
        let candidate = Server::start(|request| answer("candidate", request)).await?;
        let sink = match plan.upstream {
            None => Sink::start().await?,
            Some(_) => Sink::start_counting().await?,
        };
        let folder = tempfile::tempdir()?;
        let ecds = folder.path().join("ecds/weir.json");
        fs::create_dir(folder.path().join("ecds"))?;
        let module = match &plan.filter {
            Filter::Weir => find_filter(None)?,
            Filter::Module(bytes) => {
                let path = folder.path().join("module.wasm");
                fs::write(&path, bytes)?;
                path
            }
            Filter::Absent => PathBuf::new(),
        };
        let in_effect = match plan.filter {
            Filter::Absent => None,
            _ => Some(revision(&plan.policy).to_string()).filter(|_| !plan.refused),
        };
        let source = match plan.filter {
            Filter::Absent => FilterSource::Absent,
            _ => FilterSource::Ecds { file: ecds.clone(), module: module.clone() },
        };
        let upstreams = Upstreams {
            control: plan.upstream.unwrap_or(control.address()),
            candidate: plan.upstream.unwrap_or(candidate.address()),
            collector: sink.address(),
        };
        let bootstrap = Bootstrap {
            routing: plan.routing,
            route_timeout_s: plan.route_timeout_s,
            filters_before: plan.filters_before,
            access_log: plan.access_log.then(|| folder.path().join(ACCESS_LOG)),
            ..Bootstrap::new(upstreams, source)
        };
        write_ecds(&ecds, &ecds_response(&plan.policy.to_string(), revision(&plan.policy), &module))?;
        let options = StartOptions {
            concurrency: plan.workers,
            log_level: "info".to_owned(),
            ..StartOptions::new(find_envoy(None)?, (plan.edit)(bootstrap.render()), folder.path().to_owned())
        };
        let envoy = Envoy::start(options).await?;
        let address = envoy.listener("weir").ok_or("envoy has no listener called weir")?;
        // A policy that was refused by mistake would make most tests pass for the wrong reason.
        let found = envoy.admin().version_text().await?;
        if found != in_effect {
            let log = envoy.log_tail();
            return Err(format!("the policy in effect is {found:?}, not {in_effect:?}\n{log}").into());
        }
        Ok(Self { control, candidate, sink, envoy, address, ecds, module, folder })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The access log so far; Envoy writes it with up to a second of delay.
    ///
    /// # Errors
    /// When there is none.
    pub fn access_log(&self) -> Result<String, Failure> {
        Ok(fs::read_to_string(self.folder.path().join(ACCESS_LOG))?)
    }

    /// Puts a policy where Envoy finds it, without waiting.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&self, policy: &Value) -> Result<(), Failure> {
        self.push_text(&policy.to_string(), revision(policy))
    }

    /// The same with a text that need not be a policy.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push_text(&self, policy: &str, revision: u64) -> Result<(), Failure> {
        Ok(write_ecds(&self.ecds, &ecds_response(policy, revision, &self.module))?)
    }

    /// Pushes, and waits until Envoy names the revision and a request's answer carries it.
    ///
    /// # Errors
    /// When that does not happen within 10 s; the end of Envoy's log is part of the error.
    pub async fn push_confirmed(&self, policy: &Value) -> Result<(), Failure> {
        let wanted = revision(policy).to_string();
        self.push(policy)?;
        let deadline = Instant::now() + CONFIRM_WITHIN;
        loop {
            let version = self.envoy.admin().version_text().await?;
            let probe = post(self.address, "/probe", &[], b"").await?;
            if version.as_deref() == Some(&wanted) && probe.head.header("x-weir-revision") == Some(&wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = self.envoy.log_tail();
                return Err(format!(
                    "revision {wanted} is not confirmed: version_text {version:?}, {:?}\n{log}",
                    probe.head
                )
                .into());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn answer(variant: &str, request: &Message) -> Vec<Step> {
    json_reply(200, &json!({"variant": variant, "path": request.head.second_word()}).to_string())
}

fn revision(policy: &Value) -> u64 {
    policy.get("revision").and_then(Value::as_u64).unwrap_or(0)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}
