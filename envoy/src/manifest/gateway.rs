//! Objects for Envoy Gateway.
//!
//! Envoy Gateway gives each extension policy a VM of its own and no place on an upstream cluster, so Envoy's mirror is of no
//! use here, and `check` in the module above refuses policies that ask for it. Copies by callout go to clusters of the bootstrap
//! under the policy's names, at the services of the versions.

use serde_json::{Value, json};
use weir_policy::{Policy, headers};

use super::{ManifestFile, Place, copies_to_candidate, copies_to_control, file, kustomization, parts, yaml};
use crate::bootstrap::Names;

/// The files.
pub(super) fn files(policy: &Policy, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let base = ["http-route.yaml", "client-traffic-policy.yaml", "envoy-proxy.yaml"];
    Ok(vec![
        kustomization("base/kustomization.yaml", policy, &base),
        file("base/http-route.yaml", policy, &[http_route(policy, place)]),
        file("base/client-traffic-policy.yaml", policy, &[client_traffic_policy(policy, place)]),
        file("base/envoy-proxy.yaml", policy, &[envoy_proxy(policy, place)?]),
        kustomization(
            "overlays/canary/kustomization.yaml",
            policy,
            &["../../base", "envoy-extension-policy.yaml"],
        ),
        file("overlays/canary/envoy-extension-policy.yaml", policy, &[extension_policy(policy, place)?]),
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

/// The candidate by header, else control, which sees nothing of Weir.
fn http_route(policy: &Policy, place: &Place) -> Value {
    let names = Names::of(policy);
    let backend = |name: &str| json!([{"name": name, "port": place.service_port}]);
    let remove =
        |names: Value| json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": names}}]);
    let matching = json!([{
        "path": {"type": "PathPrefix", "value": "/"},
        "headers": [{"type": "Exact", "name": names.variant_header, "value": "candidate"}],
    }]);
    let spec = json!({
        "parentRefs": [{"name": place.gateway}],
        "rules": [
            {"matches": matching, "filters": remove(parts::marks(policy)), "backendRefs": backend(&names.candidate)},
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "filters": remove(json!(all_names(policy))),
                "backendRefs": backend(&names.control),
            },
        ],
    });
    object("gateway.networking.k8s.io/v1", "HTTPRoute", place, spec)
}

/// Every request header of Weir's by name: the gateway's API has no prefixes, and room for 16 names.
fn all_names(policy: &Policy) -> Vec<String> {
    let reserved = headers::ALL.iter().map(|name| (*name).to_owned());
    reserved.chain(parts::own_names(policy)).collect()
}

/// What clients say about Weir is dropped before the filter chain.
fn client_traffic_policy(policy: &Policy, place: &Place) -> Value {
    let spec = json!({
        "targetRefs": target(place),
        "headers": {"earlyRequestHeaders": {"remove": all_names(policy)}},
    });
    object("gateway.envoyproxy.io/v1alpha1", "ClientTrafficPolicy", place, spec)
}

/// Stats tags, the collector's cluster and those of the copies, merged into the bootstrap. The `GatewayClass` or `Gateway` names this object.
fn envoy_proxy(policy: &Policy, place: &Place) -> Result<Value, String> {
    let bootstrap = json!({
        "stats_config": parts::stats_config()?,
        "static_resources": {"clusters": clusters(policy, place)},
    });
    let spec = json!({"bootstrap": {"type": "Merge", "value": yaml::document(&bootstrap)}});
    Ok(object("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", place, spec))
}

fn clusters(policy: &Policy, place: &Place) -> Vec<Value> {
    let service = |name: &str, of: &str| {
        parts::cluster(name, &format!("{of}.{}.svc.cluster.local", place.namespace), place.service_port)
    };
    let candidate = policy.candidate.as_ref().filter(|_| copies_to_candidate(policy));
    let noise = policy.noise.cluster.as_deref().filter(|_| copies_to_control(policy));
    let shadow = candidate.map(|candidate| service(candidate.shadow_cluster(), &candidate.cluster));
    let noise = noise.map(|name| service(name, &policy.control.cluster));
    [Some(parts::collector_cluster(policy, place)), shadow, noise].into_iter().flatten().collect()
}

fn extension_policy(policy: &Policy, place: &Place) -> Result<Value, String> {
    let config: Value = serde_json::from_str(&policy.to_json()).map_err(|error| error.to_string())?;
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
