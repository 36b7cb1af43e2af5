//! Routes, mirrors and clusters of a bootstrap, each by itself.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::UPSTREAM_CODEC;
use crate::template;

const CLUSTER: &str = include_str!("../../templates/cluster.json");
const MIRROR: &str = include_str!("../../templates/mirror.json");
const ROUTE: &str = include_str!("../../templates/route.json");

/// A route that takes what clients must not see behind it.
pub(crate) fn route(
    name: &str,
    marks: &[&str],
    header_matches: Vec<Value>,
    action: Value,
) -> Result<Value, String> {
    let values = [
        ("name", json!(name)),
        ("header_matches", Value::Array(header_matches)),
        ("marks", json!(marks)),
        ("action", action),
    ];
    template::render_json(ROUTE, &values)
}

/// A match of a header with this value.
pub(crate) fn exactly(header: &str, value: &str) -> Value {
    json!({"name": header, "string_match": {"exact": value}})
}

/// A cluster of one address, with the filter that captures copies where there is one.
pub(crate) fn cluster(name: &str, address: SocketAddr, capture: Option<Value>) -> Result<Value, String> {
    let codec = template::render_json(UPSTREAM_CODEC, &[])?;
    let http_filters = Value::Array(capture.into_iter().chain([codec]).collect());
    let values = [
        ("name", json!(name)),
        ("host", json!(address.ip().to_string())),
        ("port", json!(address.port())),
        ("http_filters", http_filters),
    ];
    template::render_json(CLUSTER, &values)
}

/// A duration.
pub(crate) fn seconds(seconds: u32) -> Value {
    json!(format!("{seconds}s"))
}

/// A mirror policy whose copies say which leg they are.
pub(crate) fn mirror(cluster: &str, leg: &str) -> Result<Value, String> {
    template::render_json(MIRROR, &[("cluster", json!(cluster)), ("leg", json!(leg))])
}
