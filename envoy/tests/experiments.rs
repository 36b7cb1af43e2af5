//! Several experiments in one installation: what cannot be together is refused, where clusters are has to be said, and what is
//! rendered is the same for the same input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod place;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use place::place;
use weir_envoy::{
    Environment, ManifestFile, Place, find_envoy, find_filter, render, render_experiments, validate,
};
use weir_policy::{Experiments, Policy};

/// An experiment with these fields besides names, clusters `NAME-control` and `NAME-next` and a cohort.
fn experiment(name: &str, fields: &str) -> String {
    let mut text = format!("- experiment: {name}\n  mode: canary\n");
    text += "  identity: [{header: x-user-id}]\n  cohorts: [{name: general, candidatePercent: 50}]\n";
    let snapshot = |version: u8| format!("snapshot: {{model: {{name: m, version: '{version}'}}}}");
    if !fields.contains("control:") {
        let _ = writeln!(text, "  control: {{cluster: {name}-control, {}}}", snapshot(1));
    }
    if !fields.contains("candidate:") {
        let _ = writeln!(text, "  candidate: {{cluster: {name}-next, {}}}", snapshot(2));
    }
    for line in fields.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.replace("SNAPSHOT", &snapshot(2))
}

fn document(experiments: &[String]) -> Experiments {
    let text = format!(
        "apiVersion: weir/v1\nkind: Experiments\nrevision: 9\nexperiments:\n{}",
        experiments.concat()
    );
    Experiments::parse("experiments.yaml", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// Two on paths that exclude each other, with controls of their own and one variant header.
fn on_paths() -> Experiments {
    document(&[
        experiment("chat", "requests: {header: ':path', prefix: /chat}"),
        experiment("search", "requests: {header: ':path', prefix: /search}"),
    ])
}

const ADDRESSES: [(&str, &str); 4] = [
    ("chat-control", "10.0.0.1:80"),
    ("chat-next", "10.0.0.2:80"),
    ("search-control", "10.0.0.3:80"),
    ("search-next", "10.0.0.4:80"),
];

fn refused(document: &Experiments, environment: Environment, place: &Place) -> String {
    let refused = render_experiments("experiments.yaml", document, environment, place);
    format!("{}:\n{}\n", environment.name(), refused.expect_err("should be refused"))
}

fn routes(document: &Experiments, clusters: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let files = render_experiments("e", document, Environment::Envoy, &place(clusters)).unwrap();
    let text = files.iter().find(|file| file.path == "envoy.yaml").unwrap().text.clone();
    let bootstrap = weir_document::parse("envoy.yaml", &text).unwrap();
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let routes = format!("{manager}/route_config/virtual_hosts/0/routes");
    bootstrap.pointer(&routes).unwrap().as_array().unwrap().clone()
}

fn validated(files: &[ManifestFile], folder: &std::path::Path) {
    let bootstrap = files.iter().find(|file| file.path == "envoy.yaml").unwrap();
    validate(&find_envoy(None).unwrap(), &bootstrap.text, folder).unwrap();
}

#[test]
fn every_cluster_has_an_address_and_every_address_a_cluster() {
    let document = on_paths();
    let at = |clusters: &[(&str, &str)]| refused(&document, Environment::Envoy, &place(clusters));
    let one_for_several = Place {
        control: Some(SocketAddr::from(([10, 0, 0, 1], 80))),
        candidate: Some(SocketAddr::from(([10, 0, 0, 2], 80))),
        ..place(&ADDRESSES)
    };
    let shared = document_of_one_copies_cluster();
    let texts = [
        at(&[]),
        at(&[&ADDRESSES[..3], &[("serch-next", "10.0.0.4:80")]].concat()),
        at(&[&ADDRESSES[..3], &[("search-next", "search"), ("weir-collector", "10.0.0.5:4318")]].concat()),
        refused(&document, Environment::Envoy, &one_for_several),
        refused(&shared, Environment::EnvoyEcds, &place(&ADDRESSES)),
        refused(&document, Environment::Istio, &place(&[("serch", "search.default.svc.cluster.local")])),
        refused(&document, Environment::EnvoyGateway, &place(&ADDRESSES[..1])),
    ];
    insta::assert_snapshot!(texts.join("\n"));
    let whole = [&ADDRESSES[..], &[("copies", "10.0.0.9:80")]].concat();
    render_experiments("e", &shared, Environment::Envoy, &place(&whole)).unwrap();
}

/// Both candidates' copies go to one cluster.
fn document_of_one_copies_cluster() -> Experiments {
    document(&[
        experiment(
            "chat",
            "requests: {header: ':path', prefix: /chat}\ncandidate: {cluster: chat-next, shadowCluster: copies, SNAPSHOT}",
        ),
        experiment(
            "search",
            "requests: {header: ':path', prefix: /search}\ncandidate: {cluster: search-next, shadowCluster: copies, SNAPSHOT}",
        ),
    ])
}

#[test]
fn one_control_and_one_candidate_are_said_by_the_options_for_one() {
    let same = "control: {cluster: model, SNAPSHOT}\ncandidate: {cluster: next, SNAPSHOT}";
    let document = document(&[
        experiment("chat", &format!("requests: {{header: ':path', prefix: /chat}}\n{same}")),
        experiment("search", &format!("requests: {{header: ':path', prefix: /search}}\n{same}")),
    ]);
    let place = Place {
        control: Some(SocketAddr::from(([10, 0, 0, 1], 80))),
        candidate: Some(SocketAddr::from(([10, 0, 0, 2], 80))),
        ..place(&[])
    };
    let files = render_experiments("e", &document, Environment::Envoy, &place).unwrap();
    assert!(files[0].text.contains("\"10.0.0.1\"") && files[0].text.contains("\"10.0.0.2\""));
    assert_eq!(files[0].text.matches("\"cluster_name\":\"model\"").count(), 1, "each cluster once");
}

#[test]
fn what_experiments_cannot_have_together_is_refused_by_field_with_a_remedy() {
    let layered = |name: &str, from: u8, more: &str| {
        let requests = "requests: {header: ':path', prefix: /chat}";
        let layer = format!("layer: {{name: chat, fromPercent: {from}, toPercent: {}}}", from + 50);
        experiment(name, &format!("{requests}\n{layer}\n{more}"))
    };
    let nested =
        document(&[experiment("chat", "requests: {header: ':path', prefix: /chat}"), experiment("all", "")]);
    let longest = document(&[
        experiment("chat", "requests: {header: ':path', prefix: /chat}"),
        experiment(
            "new",
            "requests: {header: ':path', prefix: /chat/new}\nrouting: {variantHeader: x-new}\ncontrol: {cluster: chat-control, SNAPSHOT}",
        ),
        experiment("search", "requests: {header: ':path', prefix: /search}"),
    ]);
    let two_meanings = document(&[
        layered("one", 0, "routing: {clusterHeader: x-to}"),
        layered("two", 50, "routing: {clusterHeader: x-to}\ncontrol: {cluster: one-control, SNAPSHOT}"),
        experiment(
            "chat",
            "requests: {header: ':path', prefix: /chat/new}\ncontrol: {cluster: one-control, SNAPSHOT}\nrouting: {variantHeader: x-to}",
        ),
    ]);
    let copies = document(&[
        experiment(
            "chat",
            "requests: {header: ':path', prefix: /chat}\nnoise: {percent: 5, cluster: copies}",
        ),
        experiment(
            "search",
            "requests: {header: ':path', prefix: /search}\nshadow: {percent: 5}\ncandidate: {cluster: search-next, shadowCluster: copies, SNAPSHOT}",
        ),
        experiment(
            "shop",
            "requests: {header: ':path', prefix: /shop}\nshadow: {percent: 5}\ncandidate: {cluster: shop-next, shadowCluster: chat-control, SNAPSHOT}\nsink: {cluster: weir-collector}",
        ),
    ]);
    let tests = document(&[
        experiment("chat", "requests: {all: [{header: ':path', contains: chat}, {header: x-a, prefix: b}]}"),
        experiment(
            "search",
            "requests: {all: [{not: {header: ':path', contains: chat}}, {not: {header: x-b, exact: ''}}]}",
        ),
    ]);
    let rewritten = document(&[
        experiment(
            "chat",
            "requests: {header: ':path', prefix: /chat}\ncandidate: {cluster: next, request: {path: /v2/chat, headers: {x-a: b}}, SNAPSHOT}",
        ),
        experiment(
            "search",
            "requests: {all: [{header: ':path', prefix: /search}, {header: x-a, exact: b}]}",
        ),
    ]);
    let without = {
        let mut document = on_paths();
        document.experiments[1].candidate = None;
        document.experiments[0].sink.cluster = "chat-next".to_owned();
        document.experiments[1].sink.cluster = "chat-next".to_owned();
        document
    };
    let nowhere = place(&[]);
    let mut texts = Vec::new();
    for (what, document, environments) in [
        ("overlapping requests", &nested, &Environment::ALL[..]),
        ("the longest path", &longest, &Environment::ALL[3..]),
        ("a header with two meanings", &two_meanings, &Environment::ALL[..]),
        ("clusters of copies", &copies, &Environment::ALL[..]),
        ("tests of requests", &tests, &Environment::ALL[..]),
        ("requests that are rewritten", &rewritten, &Environment::ALL[..1]),
        ("no candidate", &without, &Environment::ALL[..1]),
    ] {
        for environment in environments {
            let text = refused(document, *environment, &nowhere);
            let blocks: Vec<&str> =
                text.split("error: ").filter(|block| !block.contains("has no address")).collect();
            texts.push(format!("{what}, {}", blocks.join("error: ")));
        }
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn experiments_in_one_layer_are_told_apart_by_the_named_cluster() {
    let layered = |name: &str, from: u8| {
        let fields = format!(
            "requests: {{header: ':path', prefix: /chat}}\nlayer: {{name: chat, fromPercent: {from}, toPercent: {}}}\nrouting: {{clusterHeader: x-to}}",
            from + 50
        );
        experiment(name, &fields)
    };
    let document = document(&[
        layered("one", 0),
        layered("two", 50),
        experiment("other", "requests: {not: {header: ':path', prefix: /chat}}"),
    ]);
    let names = ["one-control", "one-next", "two-control", "two-next", "other-control", "other-next"];
    let clusters: Vec<(&str, &str)> = names.iter().map(|name| (*name, "10.0.0.1:80")).collect();
    let said: Vec<String> = routes(&document, &clusters)
        .iter()
        .map(|route| {
            format!("{} {} -> {}", route["name"], route["match"]["headers"], route["route"]["cluster"])
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    let folder = tempfile::tempdir().unwrap();
    let place = Place { module_path: find_filter(None).unwrap(), ..place(&clusters) };
    validated(&render_experiments("e", &document, Environment::Envoy, &place).unwrap(), folder.path());
}

#[test]
fn every_test_of_requests_passes_envoys_own_validation_as_a_route() {
    let document = document(&[
        experiment(
            "chat",
            "requests: {all: [{header: ':path', prefix: /v1}, {header: x-a, suffix: z}, {header: x-b, contains: y}, {any: [{header: x-c, present: true}, {header: x-d, present: false}]}, {header: x-e, oneOf: [one, two]}]}",
        ),
        experiment(
            "search",
            "requests: {not: {any: [{header: ':path', prefix: /v1}, {header: x-f, exact: x}, {header: x-g, suffix: z}]}}",
        ),
    ]);
    let routes = routes(&document, &ADDRESSES);
    assert_eq!(
        routes
            .iter()
            .filter(|route| route["name"].as_str().unwrap().starts_with("chat-control-shadow"))
            .count(),
        4
    );
    let folder = tempfile::tempdir().unwrap();
    let place = Place { module_path: find_filter(None).unwrap(), ..place(&ADDRESSES) };
    validated(&render_experiments("e", &document, Environment::Envoy, &place).unwrap(), folder.path());
}

#[test]
fn the_clusters_of_one_policy_can_be_said_by_name_too() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies/canary.yaml");
    let policy = Policy::parse("canary.yaml", &std::fs::read_to_string(file).unwrap()).unwrap();
    let at = |environment, clusters: &[(&str, &str)]| {
        render("canary.yaml", &policy, environment, &place(clusters))
    };
    let plain = at(Environment::Envoy, &[]).unwrap();
    let same = [("control", "127.0.0.1:8001"), ("candidate", "127.0.0.1:8002")];
    assert_eq!(at(Environment::Envoy, &same).unwrap(), plain);
    let elsewhere = at(Environment::Envoy, &[("candidate-shadow", "10.0.0.7:80")]).unwrap();
    assert_eq!(elsewhere[0].text.matches("10.0.0.7").count(), 1);
    let texts = [
        at(Environment::EnvoyEcds, &[("shadow", "10.0.0.7:80")]).unwrap_err().to_string(),
        at(Environment::Istio, &[("control", "model.default.svc.cluster.local")]).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

/// The matches of an object's routes, each in a line.
fn matches(files: &[ManifestFile], path: &str, list: &str, key: &str) -> String {
    let file = files.iter().find(|file| file.path == path).unwrap();
    let object = weir_document::parse(path, &file.text).unwrap();
    let routes = object["spec"][list].as_array().unwrap().iter();
    let each = routes.flat_map(|route| route[key].as_array().into_iter().flatten().map(ToString::to_string));
    each.collect::<Vec<_>>().join("\n")
}

#[test]
fn meshes_have_the_tests_of_requests_in_their_own_words() {
    let tests = "{header: ':path', prefix: /v1.0}, {header: x-a, suffix: z+}, {header: x-b, contains: y}, {header: x-c, present: true}, {header: x-d, exact: w}";
    let of = |more: &str| {
        document(&[
            experiment("chat", &format!("requests: {{all: [{tests}{more}]}}")),
            experiment("search", "requests: {header: ':path', prefix: /v2}"),
        ])
    };
    let more =
        ", {header: ':method', exact: POST}, {not: {header: x-e, prefix: v}}, {header: x-f, present: false}";
    let istio = render_experiments("e", &of(more), Environment::Istio, &place(&[])).unwrap();
    let gateway = render_experiments("e", &of(""), Environment::EnvoyGateway, &place(&[])).unwrap();
    let texts = [
        matches(&istio, "base/virtual-service.yaml", "http", "match"),
        matches(&gateway, "base/http-route.yaml", "rules", "matches"),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn what_an_object_of_the_gateway_has_no_room_for_is_refused() {
    let named = |number: usize, requests: &str| {
        experiment(&format!("e{number}"), &format!("{requests}\nrouting: {{variantHeader: x-{number}}}"))
    };
    let on_path = |number| named(number, &format!("requests: {{header: ':path', prefix: /{number}/}}"));
    let many: Vec<String> = (10..20).map(on_path).collect();
    insta::assert_snapshot!(refused(&document(&many), Environment::EnvoyGateway, &place(&[])));
}

#[test]
fn the_same_document_gives_the_same_bytes_and_one_header_stripping() {
    let document = on_paths();
    let mut reversed = ADDRESSES;
    reversed.reverse();
    let one = render_experiments("e", &document, Environment::EnvoyEcds, &place(&ADDRESSES)).unwrap();
    let two = render_experiments("e", &document, Environment::EnvoyEcds, &place(&reversed)).unwrap();
    assert_eq!(one, two);
    let bootstrap = &one[0].text;
    assert_eq!(bootstrap.matches("remove_on_match").count(), 1);
    assert_eq!(bootstrap.matches("stats_tags:").count(), 1);
    let carried: serde_json::Value = serde_json::from_str(&one[1].text).unwrap();
    let value = &carried["resources"][0]["typed_config"]["config"]["configuration"]["value"];
    assert_eq!(Experiments::parse("carried", value.as_str().unwrap()).unwrap(), document);
    assert_eq!(carried["version_info"], "9");
    let paths: BTreeMap<&str, usize> = one.iter().map(|file| (file.path.as_str(), file.text.len())).collect();
    assert_eq!(paths.keys().copied().collect::<Vec<_>>(), ["SHA256SUMS", "envoy.yaml", "weir.json"]);
}
