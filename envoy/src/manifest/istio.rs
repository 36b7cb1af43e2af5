//! Objects for an Istio ingress gateway.
//!
//! A `WasmPlugin` or `TrafficExtension` gets an environment of Istio's own, and so a VM of its own: the filter on a cluster
//! could not find the exchange that a copy belongs to. Where Envoy makes copies, both filters therefore come from one
//! `EnvoyFilter`, with the same VM; where the filter makes them itself (`shadow.transport: callout`), one plugin is enough.

use serde_json::{Value, json};

use super::installation::{Copies, Installation, asked_mirrors, every_copy};
use super::requests::{Alternative, Is, Test};
use super::routes::{Route, routes};
use super::{ManifestFile, Place, file, kustomization, parts};

/// Label of the pods that tells the versions apart.
const VARIANT_LABEL: &str = "weir.dev/variant";
/// The same where there are several experiments: the cluster's name.
const CLUSTER_LABEL: &str = "weir.dev/cluster";

/// Tests of requests that routes can have.
pub(super) const TESTS: &str = ":path prefix without a query, :method exact, :authority exact or prefix; of other headers every test but those of an empty text, one of a header, or one and one negated";

/// The files.
pub(super) fn files(installation: &Installation<'_>, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let base = ["destination-rule.yaml", "virtual-service.yaml", "envoy-filter.yaml"];
    let mut files = vec![
        kustomization("base/kustomization.yaml", installation, &base),
        file("base/destination-rule.yaml", installation, &destination_rules(installation, place)),
        file("base/virtual-service.yaml", installation, &[virtual_service(installation, place)]),
        file("base/envoy-filter.yaml", installation, &[base_filter(installation, place)?]),
    ];
    let overlays: &[(&str, &str, Value)] = &if mirrors(installation) {
        vec![("shadow", "envoy-filter-module.yaml", module_filter(installation, place)?)]
    } else {
        vec![
            ("canary", "wasm-plugin.yaml", wasm_plugin(installation, place)?),
            ("canary-traffic-extension", "traffic-extension.yaml", traffic_extension(installation, place)?),
        ]
    };
    for (overlay, name, object) in overlays {
        files.push(kustomization(
            &format!("overlays/{overlay}/kustomization.yaml"),
            installation,
            &["../../base", name],
        ));
        files.push(file(&format!("overlays/{overlay}/{name}"), installation, std::slice::from_ref(object)));
    }
    Ok(files)
}

fn object(api_version: &str, kind: &str, name: &str, place: &Place, spec: Value) -> Value {
    let metadata = json!({
        "name": name,
        "namespace": place.namespace,
        "labels": {"app.kubernetes.io/part-of": "weir"},
    });
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
}

/// Host name of the service of a cluster; a cluster of copies is where what it copies is.
pub(super) fn host<'p>(installation: &Installation<'_>, cluster: &str, place: &'p Place) -> &'p str {
    let copied = || installation.policies.iter().flat_map(every_copy).find(|copy| copy.cluster == cluster);
    let given = |name: &str| place.clusters.get(name);
    given(cluster).or_else(|| given(copied()?.like)).unwrap_or(&place.service)
}

/// Whether Envoy is asked for copies at all.
fn mirrors(installation: &Installation<'_>) -> bool {
    installation.policies.iter().any(|policy| !asked_mirrors(policy).is_empty())
}

/// A rule for each service, with a subset for each cluster; those of the copies are the same pods under another name, so that
/// they can be told apart.
fn destination_rules(installation: &Installation<'_>, place: &Place) -> Vec<Value> {
    let label = |name: &str| match (installation.several, installation.first.control.cluster == name) {
        (true, _) => json!({CLUSTER_LABEL: name}),
        (false, true) => json!({VARIANT_LABEL: "control"}),
        (false, false) => json!({VARIANT_LABEL: "candidate"}),
    };
    let serving = installation.serving().into_iter().map(|name| (name, name));
    let copying = installation.copying(asked_mirrors).into_iter().map(|copy| (copy.cluster, copy.like));
    let mut hosts: Vec<(&str, Vec<Value>)> = Vec::new();
    for (name, like) in serving.chain(copying) {
        let (host, subset) = (host(installation, name, place), json!({"name": name, "labels": label(like)}));
        match hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, subsets)) => subsets.push(subset),
            None => hosts.push((host, vec![subset])),
        }
    }
    let rule = |(index, (host, subsets)): (usize, (&str, Vec<Value>))| {
        let number = index + 1;
        let name = if index == 0 { "weir".to_owned() } else { format!("weir-{number}") };
        let spec = json!({"host": host, "subsets": subsets});
        object("networking.istio.io/v1", "DestinationRule", &name, place, spec)
    };
    hosts.into_iter().enumerate().map(rule).collect()
}

/// First the candidates, then control with every combination of copies, at last control.
fn virtual_service(installation: &Installation<'_>, place: &Place) -> Value {
    let listed = routes(installation, asked_mirrors, false);
    let http: Vec<Value> = listed.iter().map(|route| http_route(installation, route, place)).collect();
    let spec = json!({"gateways": [place.gateway], "hosts": ["*"], "http": http});
    object("networking.istio.io/v1", "VirtualService", "weir", place, spec)
}

fn http_route(installation: &Installation<'_>, route: &Route<'_>, place: &Place) -> Value {
    let destination = |subset: &str| json!({"host": host(installation, subset, place), "subset": subset, "port": {"number": place.service_port}});
    let mut http = json!({
        "name": route.name,
        "headers": {"request": {"remove": installation.marks()}},
        "route": [{"destination": destination(route.to)}],
    });
    let mirrors: Vec<Value> = route
        .copies
        .iter()
        .map(|copy| json!({"destination": destination(copy.cluster), "percentage": {"value": 100}}))
        .collect();
    let every = route.marks.is_empty() && route.when.iter().any(Vec::is_empty);
    let Some(map) = http.as_object_mut() else { return http };
    if !every {
        let matches = route.when.iter().map(|tests| match_request(&route.marks, tests)).collect();
        map.insert("match".to_owned(), Value::Array(matches));
    }
    if !mirrors.is_empty() {
        map.insert("mirrors".to_owned(), Value::Array(mirrors));
    }
    http
}

/// The key of a test in a match of requests: a field, or a header. None where there is no such match.
fn place_of(test: &Test) -> Option<(&'static str, Option<&str>)> {
    if matches!(&test.is, Is::Exact(text) if text.is_empty()) {
        return None;
    }
    match (test.header.as_str(), &test.is, test.not) {
        (":path", Is::Prefix(text), false) if !text.contains('?') => Some(("uri", None)),
        (":method", Is::Exact(_), false) => Some(("method", None)),
        (":authority", Is::Exact(_) | Is::Prefix(_), false) => Some(("authority", None)),
        (header, _, not) if !header.starts_with(':') => {
            Some((if not { "withoutHeaders" } else { "headers" }, Some(header)))
        }
        _ => None,
    }
}

/// A test that no route can have, alone or after those before it.
pub(super) fn unfit(tests: &Alternative) -> Option<&Test> {
    let places: Vec<_> = tests.iter().map(place_of).collect();
    let repeats = |index: usize| {
        places.iter().take(index).any(|place| place.is_some() && places.get(index) == Some(place))
    };
    let mut all = tests.iter().enumerate();
    all.find(|(index, test)| place_of(test).is_none() || repeats(*index)).map(|(_, test)| test)
}

fn match_request(marks: &[(&str, &str)], tests: &Alternative) -> Value {
    let mut matching = json!({});
    for (header, value) in marks {
        insert(&mut matching, ("headers", Some(*header)), json!({"exact": value}));
    }
    for test in tests {
        if let Some(place) = place_of(test) {
            insert(&mut matching, place, string_match(&test.is));
        }
    }
    matching
}

fn insert(matching: &mut Value, (field, header): (&str, Option<&str>), value: Value) {
    let Some(map) = matching.as_object_mut() else { return };
    let Some(header) = header else {
        map.insert(field.to_owned(), value);
        return;
    };
    let headers = map.entry(field).or_insert_with(|| json!({}));
    if let Some(headers) = headers.as_object_mut() {
        headers.insert(header.to_owned(), value);
    }
}

/// A regular expression is held against the whole value.
fn string_match(is: &Is) -> Value {
    match is {
        Is::Exact(text) => json!({"exact": text}),
        Is::Prefix(text) => json!({"prefix": text}),
        Is::Suffix(text) => json!({"regex": format!(".*{}", parts::escaped(text))}),
        Is::Contains(text) => json!({"regex": format!(".*{}.*", parts::escaped(text))}),
        Is::Present => json!({}),
    }
}

fn selector(place: &Place) -> Value {
    json!({"labels": {"istio": place.gateway}})
}

fn patch(apply_to: &str, matching: Value, operation: &str, value: Value) -> Value {
    json!({"applyTo": apply_to, "match": matching, "patch": {"operation": operation, "value": value}})
}

fn connection_manager(sub_filter: Option<&str>) -> Value {
    let mut filter = json!({"name": "envoy.filters.network.http_connection_manager"});
    if let (Some(name), Some(map)) = (sub_filter, filter.as_object_mut()) {
        map.insert("subFilter".to_owned(), json!({"name": name}));
    }
    json!({"context": "GATEWAY", "listener": {"filterChain": {"filter": filter}}})
}

fn at_cluster(host: &str, subset: &str, place: &Place) -> Value {
    json!({
        "context": "GATEWAY",
        "cluster": {"service": host, "subset": subset, "portNumber": place.service_port},
    })
}

/// What holds with and without the filter: clients cannot say anything about Weir, the module's metrics have labels, and the collector has a cluster under the policy's name.
fn base_filter(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "early_header_mutation_extensions": parts::early_mutation(installation),
        },
    });
    let patches = json!([
        patch("NETWORK_FILTER", connection_manager(None), "MERGE", manager),
        patch(
            "BOOTSTRAP",
            json!({"context": "GATEWAY"}),
            "MERGE",
            json!({"stats_config": parts::stats_config()?})
        ),
        patch("CLUSTER", json!({"context": "GATEWAY"}), "ADD", parts::collector_cluster(installation, place)),
    ]);
    let spec = json!({"workloadSelector": selector(place), "configPatches": patches});
    Ok(object("networking.istio.io/v1alpha3", "EnvoyFilter", "weir", place, spec))
}

/// The module before the router, and once more on the clusters of the copies.
fn module_filter(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let router = connection_manager(Some("envoy.filters.http.router"));
    let mut patches =
        vec![patch("HTTP_FILTER", router, "INSERT_BEFORE", parts::wasm(&installation.json, place))];
    for Copies { cluster, leg, .. } in installation.copying(asked_mirrors) {
        let at = at_cluster(host(installation, cluster, place), cluster, place);
        let options = parts::protocol_options(vec![parts::leg(leg), parts::capture(leg, place)])?;
        patches.push(patch("CLUSTER", at, "MERGE", options));
    }
    let spec = json!({"workloadSelector": selector(place), "configPatches": patches});
    Ok(object("networking.istio.io/v1alpha3", "EnvoyFilter", "weir-module", place, spec))
}

/// The policy as a Struct, in which every number is a double; the reader takes whole doubles.
fn plugin_config(installation: &Installation<'_>) -> Result<Value, String> {
    serde_json::from_str(&installation.json).map_err(|error| error.to_string())
}

fn module(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    Ok(json!({
        "url": format!("oci://{}", place.image),
        "sha256": place.image_sha256,
        "imagePullPolicy": "IfNotPresent",
        "failStrategy": "FAIL_OPEN",
        "pluginName": "weir",
        "type": "HTTP",
        "pluginConfig": plugin_config(installation)?,
    }))
}

fn wasm_plugin(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let mut spec = module(installation, place)?;
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("selector".to_owned(), json!({"matchLabels": {"istio": place.gateway}}));
    }
    Ok(object("extensions.istio.io/v1alpha1", "WasmPlugin", "weir", place, spec))
}

fn traffic_extension(installation: &Installation<'_>, place: &Place) -> Result<Value, String> {
    let spec =
        json!({"selector": {"matchLabels": {"istio": place.gateway}}, "wasm": module(installation, place)?});
    Ok(object("extensions.istio.io/v1alpha1", "TrafficExtension", "weir", place, spec))
}
