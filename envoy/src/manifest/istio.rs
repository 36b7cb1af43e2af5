//! Objects for an Istio ingress gateway.
//!
//! A `WasmPlugin` or `TrafficExtension` gets an environment of Istio's own, and so a VM of its own: the filter on a cluster
//! could not find the exchange that a copy belongs to. Where Envoy makes copies, both filters therefore come from one
//! `EnvoyFilter`, with the same VM; where the filter makes them itself (`shadow.transport: callout`), one plugin is enough.

use serde_json::{Value, json};
use weir_policy::{Policy, headers};

use super::{
    ManifestFile, Place, file, kustomization, mirrors, mirrors_to_candidate, mirrors_to_control, parts,
};
use crate::bootstrap::Names;

/// Label of the pods that tells the versions apart.
const VARIANT_LABEL: &str = "weir.dev/variant";

/// The files.
pub(super) fn files(policy: &Policy, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let base = ["destination-rule.yaml", "virtual-service.yaml", "envoy-filter.yaml"];
    let mut files = vec![
        kustomization("base/kustomization.yaml", policy, &base),
        file("base/destination-rule.yaml", policy, &[destination_rule(policy, place)]),
        file("base/virtual-service.yaml", policy, &[virtual_service(policy, place)]),
        file("base/envoy-filter.yaml", policy, &[base_filter(policy, place)?]),
    ];
    let overlays: &[(&str, &str, Value)] = &if mirrors(policy) {
        vec![("shadow", "envoy-filter-module.yaml", module_filter(policy, place)?)]
    } else {
        vec![
            ("canary", "wasm-plugin.yaml", wasm_plugin(policy, place)?),
            ("canary-traffic-extension", "traffic-extension.yaml", traffic_extension(policy, place)?),
        ]
    };
    for (overlay, name, object) in overlays {
        files.push(kustomization(
            &format!("overlays/{overlay}/kustomization.yaml"),
            policy,
            &["../../base", name],
        ));
        files.push(file(&format!("overlays/{overlay}/{name}"), policy, std::slice::from_ref(object)));
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

/// A subset for each cluster; those of the copies are the same pods under another name, so that they can be told apart.
fn destination_rule(policy: &Policy, place: &Place) -> Value {
    let names = Names::of(policy);
    let mut subsets: Vec<Value> = Vec::new();
    let mut add = |name: &str, variant: &str| {
        if !subsets.iter().any(|subset| subset.get("name").and_then(Value::as_str) == Some(name)) {
            subsets.push(json!({"name": name, "labels": {VARIANT_LABEL: variant}}));
        }
    };
    add(&names.control, "control");
    add(&names.candidate, "candidate");
    if mirrors_to_candidate(policy) {
        add(&names.shadow, "candidate");
    }
    if mirrors_to_control(policy) {
        add(&names.noise, "control");
    }
    let spec = json!({"host": place.service, "subsets": subsets});
    object("networking.istio.io/v1", "DestinationRule", "weir", place, spec)
}

/// First the candidate, then control with every combination of copies, at last control.
fn virtual_service(policy: &Policy, place: &Place) -> Value {
    let names = Names::of(policy);
    let destination = |subset: &str| json!({"host": place.service, "subset": subset, "port": {"number": place.service_port}});
    let unmark = json!({"request": {"remove": parts::marks(policy)}});
    let to = |subset: &str| json!([{"destination": destination(subset)}]);
    let mut http = vec![json!({
        "name": "candidate",
        "match": [{"headers": {names.variant_header.as_str(): {"exact": "candidate"}}}],
        "headers": unmark,
        "route": to(&names.candidate),
    })];
    let shadow = ("shadow", headers::SHADOW, names.shadow.as_str());
    let noise = ("noise", headers::NOISE, names.noise.as_str());
    let combinations: &[&[(&str, &str, &str)]] =
        match (mirrors_to_candidate(policy), mirrors_to_control(policy)) {
            (true, true) => &[&[shadow, noise], &[shadow], &[noise]],
            (true, false) => &[&[shadow]],
            (false, true) => &[&[noise]],
            (false, false) => &[],
        };
    for copies in combinations {
        let legs: Vec<&str> = copies.iter().map(|(leg, ..)| *leg).collect();
        let marks: serde_json::Map<_, _> =
            copies.iter().map(|(_, mark, cluster)| ((*mark).to_owned(), json!({"exact": cluster}))).collect();
        let mirrors: Vec<Value> = copies
            .iter()
            .map(|(.., cluster)| json!({"destination": destination(cluster), "percentage": {"value": 100}}))
            .collect();
        http.push(json!({
            "name": format!("control-{}", legs.join("-")),
            "match": [{"headers": marks}],
            "headers": unmark,
            "route": to(&names.control),
            "mirrors": mirrors,
        }));
    }
    http.push(json!({"name": "control", "headers": unmark, "route": to(&names.control)}));
    let spec = json!({"gateways": [place.gateway], "hosts": ["*"], "http": http});
    object("networking.istio.io/v1", "VirtualService", "weir", place, spec)
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

fn at_cluster(subset: &str, place: &Place) -> Value {
    json!({
        "context": "GATEWAY",
        "cluster": {"service": place.service, "subset": subset, "portNumber": place.service_port},
    })
}

/// What holds with and without the filter: clients cannot say anything about Weir, the module's metrics have labels, and the collector has a cluster under the policy's name.
fn base_filter(policy: &Policy, place: &Place) -> Result<Value, String> {
    let manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "early_header_mutation_extensions": parts::early_mutation(policy),
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
        patch("CLUSTER", json!({"context": "GATEWAY"}), "ADD", parts::collector_cluster(policy, place)),
    ]);
    let spec = json!({"workloadSelector": selector(place), "configPatches": patches});
    Ok(object("networking.istio.io/v1alpha3", "EnvoyFilter", "weir", place, spec))
}

/// The module before the router, and once more on the clusters of the copies.
fn module_filter(policy: &Policy, place: &Place) -> Result<Value, String> {
    let names = Names::of(policy);
    let router = connection_manager(Some("envoy.filters.http.router"));
    let mut patches =
        vec![patch("HTTP_FILTER", router, "INSERT_BEFORE", parts::wasm(&policy.to_json(), place))];
    let mut on = |cluster: &str, leg: &str| -> Result<(), String> {
        let filters = vec![parts::leg(leg), parts::capture(leg, place)];
        patches.push(patch(
            "CLUSTER",
            at_cluster(cluster, place),
            "MERGE",
            parts::protocol_options(filters)?,
        ));
        Ok(())
    };
    if mirrors_to_candidate(policy) {
        on(&names.shadow, "shadow")?;
    }
    if mirrors_to_control(policy) {
        on(&names.noise, "noise")?;
    }
    let spec = json!({"workloadSelector": selector(place), "configPatches": patches});
    Ok(object("networking.istio.io/v1alpha3", "EnvoyFilter", "weir-module", place, spec))
}

/// The policy as a Struct, in which every number is a double; the reader takes whole doubles.
fn plugin_config(policy: &Policy) -> Result<Value, String> {
    serde_json::from_str(&policy.to_json()).map_err(|error| error.to_string())
}

fn module(policy: &Policy, place: &Place) -> Result<Value, String> {
    Ok(json!({
        "url": format!("oci://{}", place.image),
        "sha256": place.image_sha256,
        "imagePullPolicy": "IfNotPresent",
        "failStrategy": "FAIL_OPEN",
        "pluginName": "weir",
        "type": "HTTP",
        "pluginConfig": plugin_config(policy)?,
    }))
}

fn wasm_plugin(policy: &Policy, place: &Place) -> Result<Value, String> {
    let mut spec = module(policy, place)?;
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("selector".to_owned(), json!({"matchLabels": {"istio": place.gateway}}));
    }
    Ok(object("extensions.istio.io/v1alpha1", "WasmPlugin", "weir", place, spec))
}

fn traffic_extension(policy: &Policy, place: &Place) -> Result<Value, String> {
    let spec = json!({"selector": {"matchLabels": {"istio": place.gateway}}, "wasm": module(policy, place)?});
    Ok(object("extensions.istio.io/v1alpha1", "TrafficExtension", "weir", place, spec))
}
