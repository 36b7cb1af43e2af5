//! The bootstrap of one proxy: listener, routes, mirrors, clusters, and the filter at its two places.
//!
//! Invariants of every rendered bootstrap:
//! - inbound `x-weir-*` headers are dropped by the connection manager, before the filter and also without it;
//! - a request without the filter's own header goes to control, so a bypassed filter means control;
//! - nobody is mirrored unless the filter has set the mirror's header;
//! - control gets what the client sent, without anything of Weir's; the candidate does not see the filter's marks for
//!   copies and samples.

pub(crate) mod pieces;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_policy::{Candidate, Policy, headers};

use crate::{ecds, template};
use pieces::{cluster, exactly, route, seconds};

const BOOTSTRAP: &str = include_str!("../../templates/bootstrap.yaml");
const ROUTER: &str = include_str!("../../templates/router.json");
pub(crate) const STATS_TAGS: &str = include_str!("../../templates/stats_tags.json");
pub(crate) const UPSTREAM_CODEC: &str = include_str!("../../templates/upstream_codec.json");
const WEIR_ECDS: &str = include_str!("../../templates/weir_ecds.json");

/// Where the filter's policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterSource {
    /// An ECDS file, see [`crate::ecds_response`]. It must exist when Envoy starts (Envoy refuses the bootstrap
    /// otherwise); as long as it holds no acceptable policy, requests pass as if there were no filter.
    Ecds {
        /// The file; its folder is watched for renames.
        file: PathBuf,
        /// The module, for the capturing side at the upstream clusters (the policy's side names it in the file).
        module: PathBuf,
    },
    /// In the bootstrap itself. `envoy --mode validate` then runs the module's real `on_configure`.
    Static {
        /// The policy document as JSON.
        policy_json: String,
        /// The module.
        module: PathBuf,
    },
    /// No filter: the proxy as it was before Weir, with the same routes. For comparison.
    Absent,
}

/// The addresses behind the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstreams {
    /// Control; also answers the noise copies.
    pub control: SocketAddr,
    /// Candidate; also answers the shadow copies.
    pub candidate: SocketAddr,
    /// The collector's OTLP receiver.
    pub collector: SocketAddr,
}

/// How routes pick the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// By the variant header: `candidate` goes to the candidate cluster, anything else to control.
    #[default]
    VariantHeader,
    /// By a header that names the cluster; control where it is missing.
    ClusterHeader,
}

/// The names that the policy and the bootstrap must agree on. The defaults are the policy's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Cluster of control.
    pub control: String,
    /// Cluster of the candidate.
    pub candidate: String,
    /// Cluster of the shadow copies.
    pub shadow: String,
    /// Cluster of the noise copies.
    pub noise: String,
    /// Cluster of the collector.
    pub collector: String,
    /// Header that says `candidate`.
    pub variant_header: String,
    /// Header that names the cluster.
    pub cluster_header: String,
}

impl Names {
    /// The policy's names; the defaults where it does not say.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let defaults = Self::default();
        let candidate = policy.candidate.as_ref();
        Self {
            control: policy.control.cluster.clone(),
            candidate: candidate.map_or(defaults.candidate, |candidate| candidate.cluster.clone()),
            shadow: candidate.map(Candidate::shadow_cluster).map_or(defaults.shadow, str::to_owned),
            noise: policy.noise.cluster.clone().unwrap_or(defaults.noise),
            collector: policy.sink.cluster.clone(),
            variant_header: policy.routing.variant_header.to_string(),
            cluster_header: policy
                .routing
                .cluster_header
                .as_ref()
                .map_or(defaults.cluster_header, ToString::to_string),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            control: "control".to_owned(),
            candidate: "candidate".to_owned(),
            shadow: "candidate-shadow".to_owned(),
            noise: "control-noise".to_owned(),
            collector: "weir-collector".to_owned(),
            variant_header: headers::VARIANT.to_owned(),
            cluster_header: headers::CLUSTER.to_owned(),
        }
    }
}

/// What a policy, or several experiments, make of a bootstrap besides the filter.
pub(crate) struct Pieces {
    /// What is dropped of every request before any filter sees it.
    pub(crate) inbound_mutations: Value,
    /// The routes.
    pub(crate) routes: Value,
    /// The clusters.
    pub(crate) clusters: Value,
}

/// One proxy's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Envoy's node id; every sample carries it as `weir.proxy`.
    pub node_id: String,
    /// Where clients connect; port 0 lets Envoy pick one, see [`crate::Envoy::listener`].
    pub listen: SocketAddr,
    /// Port of the admin interface on loopback; 0 lets Envoy pick one, see [`crate::Envoy::admin`].
    pub admin_port: u16,
    /// What is behind the clusters.
    pub upstreams: Upstreams,
    /// Addresses of clusters by name, instead of those in `upstreams`.
    pub addresses: BTreeMap<String, SocketAddr>,
    /// The filter's policy.
    pub filter: FilterSource,
    /// How routes pick the cluster.
    pub routing: Routing,
    /// Names shared with the policy.
    pub names: Names,
    /// Whether Envoy makes the copies, and a filter on their clusters captures; else the filter makes them (by callout).
    pub mirrored: bool,
    /// How long an answer may take, shadows included; 0 is without a limit. Seconds.
    pub route_timeout_s: u32,
    /// Where the access log is written, if at all: one line per exchange with time, method, path, status, the response
    /// headers of the filter and its filter state, which the policy has to ask for.
    pub access_log: Option<PathBuf>,
    /// HTTP filters before Weir's, in Envoy's own words: one that verifies tokens, for example.
    pub filters_before: Vec<Value>,
}

impl Bootstrap {
    /// A proxy on free loopback ports with the default names, routing by the variant header.
    #[must_use]
    pub fn new(upstreams: Upstreams, filter: FilterSource) -> Self {
        Self {
            node_id: "weir-envoy".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_port: 0,
            upstreams,
            addresses: BTreeMap::new(),
            filter,
            routing: Routing::default(),
            names: Names::default(),
            mirrored: true,
            route_timeout_s: 300,
            access_log: None,
            filters_before: Vec::new(),
        }
    }

    /// The bootstrap as YAML.
    #[must_use]
    pub fn render(&self) -> String {
        // Places and values are constants of this crate that a test renders in every combination.
        self.try_render().unwrap_or_default()
    }

    fn try_render(&self) -> Result<String, String> {
        self.render_around(Pieces {
            inbound_mutations: self.remove_all(),
            routes: self.routes()?,
            clusters: self.clusters()?,
        })
    }

    /// The bootstrap with other pieces than those for one policy.
    pub(crate) fn render_around(&self, pieces: Pieces) -> Result<String, String> {
        let values = [
            ("node_id", json!(self.node_id)),
            ("admin_port", json!(self.admin_port)),
            ("stats_tags", template::render_json(STATS_TAGS, &[])?),
            ("listen_host", json!(self.listen.ip().to_string())),
            ("listen_port", json!(self.listen.port())),
            ("stream_idle_timeout", seconds(self.route_timeout_s)),
            ("inbound_mutations", pieces.inbound_mutations),
            ("access_log", self.access_log()),
            ("http_filters", self.http_filters()?),
            ("routes", pieces.routes),
            ("clusters", pieces.clusters),
        ];
        template::render(BOOTSTRAP, &values)
    }

    /// Everything that is Weir's: the prefix covers its own names, and the policy may have given the routing headers
    /// other ones.
    fn remove_all(&self) -> Value {
        let mut mutations = vec![
            json!({"remove_on_match": {"key_matcher": {"prefix": headers::PREFIX, "ignore_case": true}}}),
        ];
        for name in [&self.names.variant_header, &self.names.cluster_header] {
            if !headers::is_reserved(name) {
                mutations.push(json!({"remove": name}));
            }
        }
        Value::Array(mutations)
    }

    fn access_log(&self) -> Value {
        let Some(path) = &self.access_log else { return json!([]) };
        json!([{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path.to_string_lossy(),
                "log_format": {"json_format": {
                    "time": "%START_TIME%",
                    "method": "%REQ(:METHOD)%",
                    "path": "%REQ(:PATH)%",
                    "status": "%RESPONSE_CODE%",
                    "variant": "%RESP(X-WEIR-VARIANT)%",
                    "weir": "%FILTER_STATE(wasm.weir:PLAIN)%",
                }},
            },
        }])
    }

    /// What picks the route, and is of no use behind it.
    fn marks(&self) -> [&str; 3] {
        [headers::SHADOW, headers::NOISE, &self.names.cluster_header]
    }

    fn http_filters(&self) -> Result<Value, String> {
        let router = template::render_json(ROUTER, &[])?;
        let weir = match &self.filter {
            FilterSource::Absent => return Ok(self.chain(&[router])),
            FilterSource::Static { policy_json, module } => {
                json!({"name": "weir", "typed_config": ecds::wasm(policy_json, module)})
            }
            FilterSource::Ecds { file, .. } => {
                let folder = file.parent().unwrap_or_else(|| Path::new("."));
                let values = [
                    ("ecds_path", json!(file.to_string_lossy())),
                    ("ecds_folder", json!(folder.to_string_lossy())),
                ];
                template::render_json(WEIR_ECDS, &values)?
            }
        };
        Ok(self.chain(&[weir, router]))
    }

    fn chain(&self, filters: &[Value]) -> Value {
        Value::Array(self.filters_before.iter().chain(filters).cloned().collect())
    }

    /// First the candidate, then control with every combination of copies.
    ///
    /// A mirror policy can take its cluster from a header, but Envoy (1.40) reads that header only after the upstream
    /// filters of the primary request have run, and they have to remove it. So the header picks a route, and the route
    /// names the cluster; a request without copies then also has no mirror policy that copies its headers for nothing.
    fn routes(&self) -> Result<Value, String> {
        let names = &self.names;
        let timeout = seconds(self.route_timeout_s);
        let control = json!({"cluster": names.control, "timeout": timeout});
        let candidate = json!({"cluster": names.candidate, "timeout": timeout});
        let by_header = json!({"cluster_header": names.cluster_header, "timeout": timeout});
        let named = json!({"name": names.cluster_header, "present_match": true});
        let mut routes = Vec::new();
        match self.routing {
            Routing::VariantHeader => {
                let matches = vec![exactly(&names.variant_header, "candidate")];
                routes.push(route("candidate", &self.marks(), matches, candidate)?);
                routes.extend(self.with_copies("control", &[], &control)?);
            }
            Routing::ClusterHeader => {
                routes.extend(self.with_copies("by-cluster-header", &[named], &by_header)?);
                routes.push(route("bypassed", &self.marks(), vec![], control)?);
            }
        }
        Ok(Value::Array(routes))
    }

    /// The same action with both copies, with one, with the other and without, each behind the filter's marks.
    fn with_copies(&self, name: &str, matches: &[Value], action: &Value) -> Result<Vec<Value>, String> {
        let shadow = ("shadow", headers::SHADOW, self.names.shadow.as_str());
        let noise = ("noise", headers::NOISE, self.names.noise.as_str());
        let mirrored: &[&[_]] = &[&[shadow, noise], &[shadow], &[noise], &[]];
        let unmirrored: &[&[_]] = &[&[]];
        let combinations = if self.mirrored { mirrored } else { unmirrored };
        let of = |copies: &[(&str, &str, &str)]| {
            let (mut name, mut matches, mut action) = (name.to_owned(), matches.to_vec(), action.clone());
            let mut mirrors = Vec::new();
            for (leg, mark, cluster) in copies {
                name = format!("{name}-{leg}");
                matches.push(exactly(mark, cluster));
                mirrors.push(pieces::mirror(cluster, leg)?);
            }
            if let Some(action) = action.as_object_mut().filter(|_| !mirrors.is_empty()) {
                action.insert("request_mirror_policies".to_owned(), Value::Array(mirrors));
            }
            route(&name, &self.marks(), matches, action)
        };
        combinations.iter().map(|copies| of(copies)).collect()
    }

    fn clusters(&self) -> Result<Value, String> {
        let Upstreams { control, candidate, collector } = self.upstreams;
        let names = &self.names;
        let (shadow, noise) = (self.capture("shadow")?, self.capture("noise")?);
        // A cluster that gets both clients' requests and copies captures the copies, which carry their leg.
        let on_control = noise.clone().filter(|_| names.noise == names.control);
        let on_candidate = shadow.clone().filter(|_| names.shadow == names.candidate);
        let at = |name: &str, otherwise| self.addresses.get(name).copied().unwrap_or(otherwise);
        let (control, candidate) = (at(&names.control, control), at(&names.candidate, candidate));
        let mut clusters = vec![
            cluster(&names.control, control, on_control)?,
            cluster(&names.candidate, candidate, on_candidate)?,
            cluster(&names.collector, collector, None)?,
        ];
        if names.noise != names.control {
            clusters.push(cluster(&names.noise, at(&names.noise, control), noise)?);
        }
        if names.shadow != names.candidate {
            clusters.push(cluster(&names.shadow, at(&names.shadow, candidate), shadow)?);
        }
        Ok(Value::Array(clusters))
    }

    /// The same module once more, where the copy's answer comes by.
    pub(crate) fn capture(&self, leg: &str) -> Result<Option<Value>, String> {
        let module = match &self.filter {
            _ if !self.mirrored => return Ok(None),
            FilterSource::Absent => return Ok(None),
            FilterSource::Ecds { module, .. } | FilterSource::Static { module, .. } => module,
        };
        let capture = json!({"apiVersion": "weir/v1", "kind": "Capture", "leg": leg}).to_string();
        Ok(Some(json!({"name": "weir", "typed_config": ecds::wasm(&capture, module)})))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn upstreams() -> Upstreams {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Upstreams { control: at(1001), candidate: at(1002), collector: at(1003) }
    }

    fn every_filter_source() -> [FilterSource; 3] {
        let module = PathBuf::from("/module.wasm");
        [
            FilterSource::Ecds { file: PathBuf::from("/ecds/weir.json"), module: module.clone() },
            FilterSource::Static { policy_json: "{}".to_owned(), module },
            FilterSource::Absent,
        ]
    }

    #[test]
    fn every_combination_fills_every_place() {
        for filter in every_filter_source() {
            for routing in [Routing::VariantHeader, Routing::ClusterHeader] {
                let bootstrap = Bootstrap { routing, ..Bootstrap::new(upstreams(), filter.clone()) };
                bootstrap.try_render().unwrap();
            }
        }
    }

    #[test]
    fn a_candidate_without_a_shadow_cluster_of_its_own_captures_on_its_only_one() {
        let [filter, ..] = every_filter_source();
        let mut bootstrap = Bootstrap::new(upstreams(), filter);
        bootstrap.names.shadow = bootstrap.names.candidate.clone();
        let clusters = bootstrap.clusters().unwrap();
        let named = clusters.as_array().unwrap().iter().filter(|cluster| cluster["name"] == "candidate");
        let candidate = named.collect::<Vec<_>>();
        assert_eq!(candidate.len(), 1);
        let text = candidate[0].to_string();
        assert!(text.contains(r#"\"leg\":\"shadow\""#), "{text}");
    }

    #[test]
    fn where_the_filter_makes_the_copies_there_are_no_mirrors_and_no_filters_on_clusters() {
        for filter in every_filter_source() {
            let bootstrap = Bootstrap { mirrored: false, ..Bootstrap::new(upstreams(), filter) };
            let text = bootstrap.render();
            assert!(text.contains("candidate-shadow"), "the cluster that is called");
            assert!(!text.contains("request_mirror_policies") && !text.contains("Capture"), "{text}");
        }
    }

    #[test]
    fn a_routing_header_with_another_name_is_stripped_too() {
        let [filter, ..] = every_filter_source();
        let mut bootstrap = Bootstrap::new(upstreams(), filter);
        bootstrap.names.cluster_header = "x-route-to".to_owned();
        assert!(bootstrap.remove_all().to_string().contains(r#"{"remove":"x-route-to"}"#));
    }
}
