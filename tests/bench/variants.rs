//! The proxies that are compared.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_envoy::{
    Bootstrap, Envoy, FilterSource, StartOptions, Upstreams, ecds_response, find_envoy, find_filter,
    render_template, write_ecds,
};
use weir_tests::empty_module;
use weir_tests::world::{Failure, policy};

const PLAIN: &str = include_str!("plain.yaml");
const ASSIGN: &str = include_str!("assign.lua");

/// One of the proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// Envoy with a route.
    Plain,
    /// With Envoy's own mirror, whose answers it throws away.
    Mirror,
    /// With a Lua filter that assigns a cohort.
    Lua,
    /// With a wasm filter that does nothing.
    Empty,
    /// Weir's bootstrap without its module: what stripping, marks and routes cost by themselves.
    Bootstrap,
    /// Weir: half of the users to the candidate, nothing captured.
    Routing,
    /// Weir: one user in twenty to the candidate, nothing captured, and clients are told nothing: one host call, and rarely two.
    RoutingUntold,
    /// Weir: every exchange mirrored, both answers captured and shipped.
    Capture,
    /// Weir: a tenth of the exchanges mirrored and a tenth of the others sampled.
    Capture10,
}

impl Variant {
    /// All, plain first.
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Mirror,
        Self::Lua,
        Self::Empty,
        Self::Bootstrap,
        Self::Routing,
        Self::RoutingUntold,
        Self::Capture,
        Self::Capture10,
    ];

    /// Its name in the table and in the figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Mirror => "mirror",
            Self::Lua => "lua",
            Self::Empty => "empty",
            Self::Bootstrap => "bootstrap",
            Self::Routing => "routing",
            Self::RoutingUntold => "routing_untold",
            Self::Capture => "capture",
            Self::Capture10 => "capture10",
        }
    }

    /// What it is, for the table.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Plain => "Envoy, one route",
            Self::Mirror => "Envoy's own mirror, answer discarded",
            Self::Lua => "Lua filter that assigns a cohort",
            Self::Empty => "wasm filter that does nothing",
            Self::Bootstrap => "Weir's configuration without its module",
            Self::Routing => "Weir, 50 % canary, nothing captured",
            Self::RoutingUntold => "Weir, 5 % canary, clients not told",
            Self::Capture => "Weir, 100 % shadow, both answers shipped",
            Self::Capture10 => "Weir, 10 % shadow, 10 % sampling",
        }
    }

    /// Starts it with one worker.
    ///
    /// # Errors
    /// Envoy or the module is missing, or Envoy does not come up.
    pub(crate) async fn start(self, upstreams: Upstreams, folder: &Path) -> Result<Proxy, Failure> {
        let folder = folder.join(self.name());
        fs::create_dir(&folder)?;
        let bootstrap = self.bootstrap(upstreams, &folder)?;
        let options =
            StartOptions { concurrency: 1, ..StartOptions::new(find_envoy(None)?, bootstrap, folder) };
        let envoy = Envoy::start(options).await?;
        let address = envoy.listener("weir").ok_or("envoy has no listener")?;
        // A refused policy bypasses the filter, and would be measured as a very cheap one.
        let wanted = matches!(self, Self::Routing | Self::RoutingUntold | Self::Capture | Self::Capture10)
            .then(|| "1".to_owned());
        if envoy.admin().version_text().await? != wanted {
            return Err(format!("{}: the policy was refused\n{}", self.name(), envoy.log_tail()).into());
        }
        Ok(Proxy { envoy, address })
    }

    fn bootstrap(self, upstreams: Upstreams, folder: &Path) -> Result<String, Failure> {
        match self {
            Self::Plain => plain(upstreams, vec![], vec![route(json!({"cluster": "control"}))]),
            Self::Mirror => {
                let mirrored =
                    json!({"cluster": "control", "request_mirror_policies": [{"cluster": "candidate"}]});
                plain(upstreams, vec![], vec![route(mirrored)])
            }
            Self::Lua => plain(upstreams, vec![lua()], routes_by_cohort()),
            Self::Empty => {
                let module = folder.join("empty.wasm");
                fs::write(&module, empty_module())?;
                plain(upstreams, vec![wasm(&module)], vec![route(json!({"cluster": "control"}))])
            }
            Self::Bootstrap => Ok(Bootstrap::new(upstreams, FilterSource::Absent).render()),
            Self::Routing => weir(upstreams, folder, &policy("canary", 50.0, nothing_captured())),
            Self::RoutingUntold => weir(upstreams, folder, &policy("canary", 5.0, clients_not_told())),
            Self::Capture => weir(upstreams, folder, &policy("shadow", 0.0, json!({}))),
            Self::Capture10 => {
                let shares = json!({"shadow": {"percent": 10}, "sampling": {"percent": 10}});
                weir(upstreams, folder, &policy("shadow", 0.0, shares))
            }
        }
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    /// The process.
    pub(crate) envoy: Envoy,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
}

fn nothing_captured() -> Value {
    json!({"shadow": {"percent": 0}, "sampling": {"percent": 0}})
}

fn clients_not_told() -> Value {
    let mut fields = nothing_captured();
    if let Value::Object(fields) = &mut fields {
        fields.insert("responseHeaders".to_owned(), json!({"variant": false, "revision": false}));
    }
    fields
}

fn weir(upstreams: Upstreams, folder: &Path, policy: &Value) -> Result<String, Failure> {
    let module = find_filter(None)?;
    let file: PathBuf = folder.join("ecds/weir.json");
    fs::create_dir(folder.join("ecds"))?;
    write_ecds(&file, &ecds_response(&policy.to_string(), 1, &module))?;
    Ok(Bootstrap::new(upstreams, FilterSource::Ecds { file, module }).render())
}

fn plain(upstreams: Upstreams, filters: Vec<Value>, routes: Vec<Value>) -> Result<String, Failure> {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let values = [
        ("http_filters", Value::Array(filters.into_iter().chain([router]).collect())),
        ("routes", Value::Array(routes)),
        ("control_port", json!(upstreams.control.port())),
        ("candidate_port", json!(upstreams.candidate.port())),
    ];
    render_template(PLAIN, &values).map_err(|place| format!("plain.yaml: {place}").into())
}

fn route(action: Value) -> Value {
    json!({"match": {"prefix": "/"}, "route": action})
}

fn routes_by_cohort() -> Vec<Value> {
    let header = json!({"name": "x-cohort", "string_match": {"exact": "candidate"}});
    let candidate = json!({"match": {"prefix": "/", "headers": [header]}, "route": {"cluster": "candidate"}});
    vec![candidate, route(json!({"cluster": "control"}))]
}

fn lua() -> Value {
    json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": ASSIGN},
        },
    })
}

fn wasm(module: &Path) -> Value {
    json!({
        "name": "empty",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "empty",
                "root_id": "empty",
                "failure_policy": "FAIL_OPEN",
                "vm_config": {
                    "vm_id": "empty",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module.to_string_lossy()}},
                },
            },
        },
    })
}
