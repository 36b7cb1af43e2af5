//! Envoy without a control plane: its bootstrap, and the file that carries the policy.

use std::net::SocketAddr;

use serde_json::{Value, json};
use weir_document::Collector;

use super::installation::{Copies, Installation, every_copy};
use super::places::{Addresses, addresses};
use super::requests::{Alternative, Is, Test};
use super::routes::{Route, routes};
use super::{ManifestFile, Place, parts};
use crate::bootstrap::{Bootstrap, FilterSource, Names, Pieces, Upstreams, pieces};
use crate::ecds_response;

/// Tests of requests that routes can have.
pub(super) const TESTS: &str = "every test but the negation of exact: \"\"";

/// Everything in the bootstrap.
pub(super) fn fixed(installation: &Installation<'_>, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let source =
        FilterSource::Static { policy_json: installation.json.clone(), module: place.module_path.clone() };
    Ok(vec![bootstrap(installation, place, source)?, pin(place)])
}

/// The policy in a file that Envoy watches.
pub(super) fn ecds(installation: &Installation<'_>, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let source = FilterSource::Ecds { file: place.ecds.clone(), module: place.module_path.clone() };
    let name = place.ecds.file_name().map_or_else(|| "weir.json".into(), |name| name.to_string_lossy());
    let text = ecds_response(&installation.json, installation.revision, &place.module_path) + "\n";
    let carried = ManifestFile { path: name.into_owned(), text };
    Ok(vec![bootstrap(installation, place, source)?, carried, pin(place)])
}

/// A test that no route can have: a header that is not there would count as empty.
pub(super) fn unfit(tests: &Alternative) -> Option<&Test> {
    tests.iter().find(|test| test.not && test.is == Is::Exact(String::new()))
}

fn bootstrap(
    installation: &Installation<'_>,
    place: &Place,
    source: FilterSource,
) -> Result<ManifestFile, String> {
    // What is wrong with the places was reported before.
    let addresses = addresses(installation, place, &mut Collector::new());
    let at = |name: &str| addresses.get(name).copied().unwrap_or(place.collector);
    let names = Names::of(installation.first);
    let upstreams = Upstreams {
        control: at(&names.control),
        candidate: at(&names.candidate),
        collector: place.collector,
    };
    let mut bootstrap = Bootstrap::new(upstreams, source);
    bootstrap.names = names;
    bootstrap.mirrored = installation.several || !installation.first.shadow.calls_out();
    bootstrap.listen = place.listen;
    bootstrap.admin_port = 9901;
    let text = if installation.several {
        bootstrap.render_around(several(installation, &bootstrap, &addresses)?)?
    } else {
        bootstrap.addresses = addresses;
        bootstrap.render()
    };
    Ok(ManifestFile { path: "envoy.yaml".to_owned(), text })
}

/// What the bootstrap of several experiments has other than that of one.
fn several(
    installation: &Installation<'_>,
    bootstrap: &Bootstrap,
    addresses: &Addresses,
) -> Result<Pieces, String> {
    let mut listed = Vec::new();
    for route in routes(installation, every_copy, false) {
        for (index, tests) in route.when.iter().enumerate() {
            listed.push(of_route(installation, bootstrap, &route, index, tests)?);
        }
    }
    Ok(Pieces {
        inbound_mutations: parts::everything_of_weir(installation),
        routes: Value::Array(listed),
        clusters: Value::Array(clusters(installation, bootstrap, addresses)?),
    })
}

/// A route of one alternative; those after the first have a number.
fn of_route(
    installation: &Installation<'_>,
    bootstrap: &Bootstrap,
    route: &Route<'_>,
    index: usize,
    tests: &Alternative,
) -> Result<Value, String> {
    let number = index + 1;
    let name = if index == 0 { route.name.clone() } else { format!("{}-{number}", route.name) };
    let marks = route.marks.iter().map(|(header, value)| pieces::exactly(header, value));
    let matches = marks.chain(tests.iter().map(matcher)).collect();
    let mirrors = route.copies.iter().map(|copy| pieces::mirror(copy.cluster, copy.leg));
    let mirrors = mirrors.collect::<Result<Vec<_>, _>>()?;
    let mut action = json!({"cluster": route.to, "timeout": pieces::seconds(bootstrap.route_timeout_s)});
    if let Some(action) = action.as_object_mut().filter(|_| !mirrors.is_empty()) {
        action.insert("request_mirror_policies".to_owned(), Value::Array(mirrors));
    }
    let removed = installation.marks();
    let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
    pieces::route(&name, &removed, matches, action)
}

fn matcher(test: &Test) -> Value {
    let string = |key: &str, text: &str| json!({"name": test.header, "string_match": {key: text}});
    let mut matcher = match &test.is {
        Is::Exact(text) => string("exact", text),
        Is::Prefix(text) => string("prefix", text),
        Is::Suffix(text) => string("suffix", text),
        Is::Contains(text) => string("contains", text),
        Is::Present => return json!({"name": test.header, "present_match": !test.not}),
    };
    if let Some(matcher) = matcher.as_object_mut().filter(|_| test.not) {
        matcher.insert("invert_match".to_owned(), json!(true));
        matcher.insert("treat_missing_header_as_empty".to_owned(), json!(true));
    }
    matcher
}

/// First what serves, then the collector, then what only gets copies.
fn clusters(
    installation: &Installation<'_>,
    bootstrap: &Bootstrap,
    addresses: &Addresses,
) -> Result<Vec<Value>, String> {
    let collector = bootstrap.upstreams.collector;
    let at = |name: &str| -> SocketAddr { addresses.get(name).copied().unwrap_or(collector) };
    let all: Vec<Copies<'_>> = installation.policies.iter().flat_map(every_copy).collect();
    let capture = |name: &str| {
        let copy = all.iter().find(|copy| copy.cluster == name && copy.mirrored);
        copy.map_or(Ok(None), |copy| bootstrap.capture(copy.leg))
    };
    let mut clusters = Vec::new();
    for name in installation.serving() {
        clusters.push(pieces::cluster(name, at(name), capture(name)?)?);
    }
    clusters.push(pieces::cluster(&installation.first.sink.cluster, collector, None)?);
    for copy in installation.copying(every_copy) {
        clusters.push(pieces::cluster(copy.cluster, at(copy.cluster), capture(copy.cluster)?)?);
    }
    Ok(clusters)
}

/// Envoy does not check a local module's digest; `sha256sum --check` does, before it starts.
fn pin(place: &Place) -> ManifestFile {
    let text = format!("{}  {}\n", place.module_sha256, place.module_path.display());
    ManifestFile { path: "SHA256SUMS".to_owned(), text }
}
