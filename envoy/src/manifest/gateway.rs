//! Objects for Envoy Gateway.
//!
//! Envoy Gateway gives each extension policy a VM of its own and no place on an upstream cluster, so Envoy's mirror is of no
//! use here, and `check` in the module above refuses policies that ask for it. Copies by callout go to clusters of the bootstrap
//! under the policy's names, at the services of the versions.

use serde_json::{Value, json};
use weir_document::{Collector, Path};

use super::installation::{Installation, asked_copies};
use super::requests::{Alternative, Is, Test};
use super::routes::{Route, routes};
use super::{ManifestFile, Place, file, kustomization, parts, yaml};

/// Tests of requests that routes can have.
pub(super) const TESTS: &str = "one :path prefix that begins with / and has no query; of other headers every test but negated ones and those of an empty text, one of a header";
/// Names that a list of headers to remove has room for.
const NAMES_MAX: usize = 16;
/// Rules that an `HTTPRoute` has room for.
const RULES_MAX: usize = 16;
/// Matches that all its rules have room for.
const MATCHES_MAX: usize = 128;

/// The files.
pub(super) fn files(installation: &Installation<'_>, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let base = ["http-route.yaml", "client-traffic-policy.yaml", "envoy-proxy.yaml"];
    Ok(vec![
        kustomization("base/kustomization.yaml", installation, &base),
        file("base/http-route.yaml", installation, &[http_route(installation, place)]),
        file("base/client-traffic-policy.yaml", installation, &[client_traffic_policy(installation, place)]),
        file("base/envoy-proxy.yaml", installation, &[envoy_proxy(installation, place)?]),
        kustomization(
            "overlays/canary/kustomization.yaml",
            installation,
            &["../../base", "envoy-extension-policy.yaml"],
        ),
        file(
            "overlays/canary/envoy-extension-policy.yaml",
            installation,
            &[extension_policy(installation, place)?],
        ),
    ])
}

fn object(api_version: &str, kind: &str, place: &Place, spec: Value) -> Value {
    let labels = json!({"app.kubernetes.io/part-of": "weir"});
    let metadata = json!({"name": "weir", "namespace": place.namespace, "labels": labels});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
}

fn target(place: &Place) -> Value {
    json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": place.gateway}])
}

/// The candidates by header, else control, which sees nothing of Weir.
fn http_route(installation: &Installation<'_>, place: &Place) -> Value {
    let rules: Vec<Value> =
        listed(installation).iter().map(|route| rule(installation, route, place)).collect();
    let spec = json!({"parentRefs": [{"name": place.gateway}], "rules": rules});
    object("gateway.networking.k8s.io/v1", "HTTPRoute", place, spec)
}

fn listed<'a>(installation: &Installation<'a>) -> Vec<Route<'a>> {
    routes(installation, |_| Vec::new(), true)
}

fn rule(installation: &Installation<'_>, route: &Route<'_>, place: &Place) -> Value {
    let removed = if route.candidate { installation.marks() } else { installation.all_names() };
    let matches: Vec<Value> = route.when.iter().map(|tests| request_match(&route.marks, tests)).collect();
    json!({
        "matches": matches,
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": removed}}],
        "backendRefs": [{"name": route.to, "port": place.service_port}],
    })
}

fn request_match(marks: &[(&str, &str)], tests: &Alternative) -> Value {
    let mut path = json!({"type": "PathPrefix", "value": "/"});
    let exact = |(name, value): &(&str, &str)| json!({"type": "Exact", "name": name, "value": value});
    let mut headers: Vec<Value> = marks.iter().map(exact).collect();
    for test in tests {
        match &test.is {
            // A PathPrefix matches whole elements, the policy's prefix any beginning.
            Is::Prefix(text) if test.header == ":path" => {
                path = json!({"type": "RegularExpression", "value": format!("{}.*", parts::escaped(text))});
            }
            Is::Exact(text) => headers.push(exact(&(test.header.as_str(), text.as_str()))),
            Is::Prefix(text) => headers.push(pattern(test, &format!("{}.*", parts::escaped(text)))),
            Is::Suffix(text) => headers.push(pattern(test, &format!(".*{}", parts::escaped(text)))),
            Is::Contains(text) => headers.push(pattern(test, &format!(".*{}.*", parts::escaped(text)))),
            Is::Present => headers.push(pattern(test, ".*")),
        }
    }
    let mut found = json!({"path": path});
    if let Some(map) = found.as_object_mut().filter(|_| !headers.is_empty()) {
        map.insert("headers".to_owned(), Value::Array(headers));
    }
    found
}

fn pattern(test: &Test, pattern: &str) -> Value {
    json!({"type": "RegularExpression", "name": test.header, "value": pattern})
}

/// A test that no route can have, alone or after those before it.
pub(super) fn unfit(tests: &Alternative) -> Option<&Test> {
    let fits = |test: &Test| match (&test.is, test.header.as_str()) {
        _ if test.not => false,
        (Is::Exact(text), _) if text.is_empty() => false,
        (Is::Prefix(text), ":path") => text.starts_with('/') && !text.contains('?'),
        (_, header) => !header.starts_with(':'),
    };
    let repeats =
        |index: usize, test: &Test| tests.iter().take(index).any(|other| other.header == test.header);
    let mut all = tests.iter().enumerate();
    all.find(|(index, test)| !fits(test) || repeats(*index, test)).map(|(_, test)| test)
}

/// What the objects have room for.
pub(super) fn check_sizes(installation: &Installation<'_>, problems: &mut Collector) {
    let list = Path::Root.key("experiments");
    let routes = listed(installation);
    let matches = routes.iter().map(|route| route.when.len()).sum();
    let hint = "give experiments the same control, each a routing.variantHeader of its own, and rules of fewer alternatives";
    for (count, most, what) in
        [(routes.len(), RULES_MAX, "rules"), (matches, MATCHES_MAX, "matches of requests")]
    {
        if count > most {
            problems
                .report(&list, format!("need {count} {what} of one HTTPRoute"))
                .allowed(format!("up to {most}"))
                .hint(hint);
        }
    }
    let names = installation.all_names().len();
    if names > NAMES_MAX {
        problems
            .report(&list, format!("have {names} request headers to remove, with those of `routing`"))
            .allowed(format!("up to {NAMES_MAX}"))
            .hint("use fewer routing headers: experiments whose `requests` exclude each other can share one");
    }
}

/// What clients say about Weir is dropped before the filter chain.
fn client_traffic_policy(installation: &Installation<'_>, place: &Place) -> Value {
    let spec = json!({
        "targetRefs": target(place),
        "headers": {"earlyRequestHeaders": {"remove": installation.all_names()}},
    });
    object("gateway.envoyproxy.io/v1alpha1", "ClientTrafficPolicy", place, spec)
}

/// Stats tags, the collector's cluster and those of the copies, merged into the bootstrap. The `GatewayClass` or `Gateway` names this object.
fn envoy_proxy(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let bootstrap = json!({
        "stats_config": parts::stats_config()?,
        "static_resources": {"clusters": clusters(installation, place)},
    });
    let spec = json!({"bootstrap": {"type": "Merge", "value": yaml::document(&bootstrap)}});
    Ok(object("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", place, spec))
}

fn clusters(installation: &Installation<'_>, place: &Place) -> Vec<Value> {
    let service = |name: &str, of: &str| {
        parts::cluster(name, &format!("{of}.{}.svc.cluster.local", place.namespace), place.service_port)
    };
    let mut called = Vec::new();
    for copy in installation.policies.iter().flat_map(asked_copies) {
        if !called.iter().any(|(name, _)| *name == copy.cluster) {
            called.push((copy.cluster, copy.like));
        }
    }
    let called = called.into_iter().map(|(name, of)| service(name, of));
    [parts::collector_cluster(installation, place)].into_iter().chain(called).collect()
}

fn extension_policy(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let config: Value = serde_json::from_str(&installation.json).map_err(|error| error.to_string())?;
    let image = json!({"url": place.image, "sha256": place.image_sha256});
    let wasm = json!({
        "name": "weir",
        "rootID": "weir",
        "failOpen": true,
        "code": {"type": "Image", "image": image, "pullPolicy": "IfNotPresent"},
        "config": config,
    });
    let spec = json!({"targetRefs": target(place), "wasm": [wasm]});
    Ok(object("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy", place, spec))
}
