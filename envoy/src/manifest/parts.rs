//! Pieces of Envoy configuration that the meshes' objects carry.

use serde_json::{Value, json};
use weir_policy::headers;

use super::installation::Installation;
use super::{COLLECTOR_PORT, Place};
use crate::bootstrap::{STATS_TAGS, UPSTREAM_CODEC};
use crate::{ecds, template};

/// The module as an HTTP filter, in the listener or on a cluster.
pub(super) fn wasm(configuration: &str, place: &Place) -> Value {
    json!({"name": "weir", "typed_config": ecds::wasm(configuration, &place.module_path)})
}

/// The module on a cluster that gets copies.
pub(super) fn capture(leg: &str, place: &Place) -> Value {
    wasm(&json!({"apiVersion": "weir/v1", "kind": "Capture", "leg": leg}).to_string(), place)
}

/// `early_header_mutation_extensions`: what a client says about Weir is dropped before any filter sees it.
pub(super) fn early_mutation(installation: &Installation<'_>) -> Value {
    json!([{
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": everything_of_weir(installation),
        },
    }])
}

/// Mutations that remove all that is Weir's.
pub(super) fn everything_of_weir(installation: &Installation<'_>) -> Value {
    let prefix =
        json!({"remove_on_match": {"key_matcher": {"prefix": headers::PREFIX, "ignore_case": true}}});
    let others = installation.own_names().into_iter().map(|name| json!({"remove": name}));
    Value::Array([prefix].into_iter().chain(others).collect())
}

/// Upstream filter that says which copy this is, since a mesh's mirror cannot.
pub(super) fn leg(leg: &str) -> Value {
    let header = json!({"key": headers::LEG, "value": leg});
    let append = json!({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}});
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [append]},
        },
    })
}

/// The protocol options of a cluster with these upstream filters.
pub(super) fn protocol_options(mut filters: Vec<Value>) -> Result<Value, String> {
    filters.push(template::render_json(UPSTREAM_CODEC, &[])?);
    Ok(
        json!({"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "http_filters": filters,
        }}}),
    )
}

/// The bootstrap's `stats_config`.
pub(super) fn stats_config() -> Result<Value, String> {
    Ok(json!({"stats_tags": template::render_json(STATS_TAGS, &[])?}))
}

/// A text in a regular expression (RE2) that stands for itself.
pub(super) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The collector's cluster under the name that the policy gives it.
pub(super) fn collector_cluster(installation: &Installation<'_>, place: &Place) -> Value {
    cluster(&installation.first.sink.cluster, &place.collector_host, COLLECTOR_PORT)
}

/// A cluster of one host name.
pub(super) fn cluster(name: &str, host: &str, port: u16) -> Value {
    let address = json!({"address": host, "port_value": port});
    json!({
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": address}}}]}],
        },
    })
}
