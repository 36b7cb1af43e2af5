//! What is rendered: kept in `envoy/manifests`, accepted by the schemas of the custom resources and by a real Envoy.
//!
//! `WEIR_UPDATE_MANIFESTS=1` writes the examples anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use place::place;
use serde_json::{Value, json};
use weir_envoy::{
    Environment, ManifestFile, Place, find_envoy, find_filter, render, render_experiments, validate,
};
use weir_policy::{Experiments, Policy, Transport};

/// Several experiments; Envoy Gateway gets them with copies by callout.
const EXPERIMENTS: &str = "search-and-support.yaml";

const EXAMPLES: [(&str, Environment, &str); 10] = [
    ("envoy", Environment::Envoy, "canary.yaml"),
    ("envoy-ecds", Environment::EnvoyEcds, "canary.yaml"),
    ("istio", Environment::Istio, "canary.yaml"),
    ("istio-without-copies", Environment::Istio, "cohorts-only.yaml"),
    ("envoy-gateway", Environment::EnvoyGateway, "cohorts-only.yaml"),
    ("envoy-gateway-callout", Environment::EnvoyGateway, "callout.yaml"),
    ("experiments-envoy", Environment::Envoy, EXPERIMENTS),
    ("experiments-envoy-ecds", Environment::EnvoyEcds, EXPERIMENTS),
    ("experiments-istio", Environment::Istio, EXPERIMENTS),
    ("experiments-envoy-gateway", Environment::EnvoyGateway, EXPERIMENTS),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn policy(file: &str) -> Policy {
    let text = fs::read_to_string(root().join("examples/policies").join(file)).unwrap();
    Policy::parse(file, &text).unwrap()
}

fn experiments(environment: Environment) -> Experiments {
    let text = fs::read_to_string(root().join("examples/experiments").join(EXPERIMENTS)).unwrap();
    let mut document = Experiments::parse(EXPERIMENTS, &text).unwrap();
    if environment == Environment::EnvoyGateway {
        document.experiments[2].shadow.transport = Some(Transport::Callout);
    }
    document
}

/// The experiments' clusters, where the environment asks for them.
fn clusters(environment: Environment) -> BTreeMap<String, String> {
    let places: &[(&str, &str)] = match environment {
        Environment::Envoy | Environment::EnvoyEcds => &[
            ("support", "127.0.0.1:8001"),
            ("support-model", "127.0.0.1:8002"),
            ("support-prompt", "127.0.0.1:8003"),
            ("search", "127.0.0.1:8004"),
            ("search-next", "127.0.0.1:8005"),
        ],
        Environment::Istio => &[
            ("search", "search.default.svc.cluster.local"),
            ("search-next", "search.default.svc.cluster.local"),
        ],
        Environment::EnvoyGateway => &[],
    };
    places.iter().map(|(name, place)| ((*name).to_owned(), (*place).to_owned())).collect()
}

fn rendered(environment: Environment, file: &str, place: &Place) -> Vec<ManifestFile> {
    if file == EXPERIMENTS {
        let place = Place { clusters: clusters(environment), ..place.clone() };
        return render_experiments(file, &experiments(environment), environment, &place).unwrap();
    }
    render(file, &policy(file), environment, place).unwrap()
}

/// Examples of an Envoy by itself, or of a mesh.
fn examples(mesh: bool) -> impl Iterator<Item = (&'static str, Environment, &'static str)> {
    let is_mesh = |environment| matches!(environment, Environment::Istio | Environment::EnvoyGateway);
    EXAMPLES.into_iter().filter(move |(_, environment, _)| is_mesh(*environment) == mesh)
}

/// The objects of all manifests, by what kind they are.
fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for (folder, environment, file) in examples(true) {
        for manifest in rendered(environment, file, &place(&[])) {
            for (index, text) in manifest.text.split("---\n").enumerate() {
                let name = format!("{folder}/{}#{index}", manifest.path);
                objects.push((name.clone(), weir_document::parse(&name, text).unwrap()));
            }
        }
    }
    objects
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn the_examples_in_the_repository_are_what_is_rendered() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for (folder, environment, file) in EXAMPLES {
        let folder = kept.join(folder);
        let manifests = rendered(environment, file, &place(&[]));
        for manifest in &manifests {
            let path = folder.join(&manifest.path);
            if std::env::var_os("WEIR_UPDATE_MANIFESTS").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &manifest.text).unwrap();
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(text, manifest.text, "{}: WEIR_UPDATE_MANIFESTS=1 writes it anew", path.display());
        }
        assert_eq!(files_below(&folder).len(), manifests.len(), "{}", folder.display());
    }
}

#[test]
fn both_bootstraps_pass_envoys_own_validation_with_the_real_module() {
    let folder = tempfile::tempdir().unwrap();
    let ecds = folder.path().join("ecds/weir.json");
    fs::create_dir(ecds.parent().unwrap()).unwrap();
    let place = Place { module_path: find_filter(None).unwrap(), ecds: ecds.clone(), ..place(&[]) };
    for (_, environment, file) in examples(false) {
        let files = rendered(environment, file, &place);
        if let Some(carried) = files.iter().find(|file| file.path == "weir.json") {
            fs::write(&ecds, &carried.text).unwrap();
        }
        let bootstrap = files.iter().find(|file| file.path == "envoy.yaml").unwrap();
        validate(&find_envoy(None).unwrap(), &bootstrap.text, folder.path()).unwrap();
    }
}

/// A bootstrap around the pieces that the objects of a mesh merge into Envoy's configuration.
fn merged(objects: &[(String, Value)]) -> String {
    let mut filters = Vec::new();
    let mut clusters: BTreeMap<String, Value> = BTreeMap::new();
    let (mut stats, mut early) = (json!({}), json!([]));
    let named = |name: &str| json!({"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": name}});
    for (_, object) in objects {
        if object["kind"] == "EnvoyProxy" {
            let value =
                weir_document::parse("bootstrap", object["spec"]["bootstrap"]["value"].as_str().unwrap());
            let value = value.unwrap();
            assert!(value["stats_config"]["stats_tags"].is_array());
            stats = value["stats_config"].clone();
            for added in value["static_resources"]["clusters"].as_array().unwrap() {
                clusters.insert(added["name"].as_str().unwrap().to_owned(), added.clone());
            }
        }
        for patch in object["spec"]["configPatches"].as_array().into_iter().flatten() {
            let value = patch["patch"]["value"].clone();
            match patch["applyTo"].as_str().unwrap() {
                "HTTP_FILTER" => filters.push(value),
                "BOOTSTRAP" => stats = value["stats_config"].clone(),
                "NETWORK_FILTER" => early = value["typed_config"]["early_header_mutation_extensions"].clone(),
                "CLUSTER" if patch["patch"]["operation"] == "ADD" => {
                    clusters.insert(value["name"].as_str().unwrap().to_owned(), value);
                }
                "CLUSTER" => {
                    let name = patch["match"]["cluster"]["subset"].as_str().unwrap();
                    let mut cluster = named(name);
                    cluster["typed_extension_protocol_options"] =
                        value["typed_extension_protocol_options"].clone();
                    clusters.insert(name.to_owned(), cluster);
                }
                other => panic!("{other} is not put into the bootstrap"),
            }
        }
    }
    filters.push(json!({"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "merged",
        "early_header_mutation_extensions": early,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]},
    });
    let listener = json!({
        "name": "merged",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    });
    let clusters: Vec<Value> = clusters.into_values().collect();
    json!({"stats_config": stats, "static_resources": {"listeners": [listener], "clusters": clusters}})
        .to_string()
}

#[test]
fn what_the_meshes_merge_into_envoy_passes_its_own_validation_with_the_real_module() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { module_path: find_filter(None).unwrap(), ..place(&[]) };
    for (name, environment, file) in examples(true) {
        let files = rendered(environment, file, &place);
        let texts = files.iter().flat_map(|file| file.text.split("---\n").map(|text| (&file.path, text)));
        let objects: Vec<_> =
            texts.map(|(path, text)| (path.clone(), weir_document::parse(path, text).unwrap())).collect();
        let bootstrap = merged(&objects);
        assert!(bootstrap.contains("tag_name") && bootstrap.contains("weir-collector"), "{name}");
        validate(&find_envoy(None).unwrap(), &bootstrap, folder.path())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The policy of the example with what Istio wants.
fn callout_for_istio(place: &Place) -> Policy {
    let mut policy = policy("callout.yaml");
    let name = |subset: &str| Some(format!("outbound|{}|{subset}|{}", place.service_port, place.service));
    policy.candidate.as_mut().unwrap().shadow_cluster = name("candidate");
    policy.noise.cluster = name("control");
    policy
}

#[test]
fn copies_by_callout_need_one_plugin_and_no_mirror_whatever_the_mesh() {
    let place = place(&[]);
    let istio = render("callout.yaml", &callout_for_istio(&place), Environment::Istio, &place).unwrap();
    let paths: Vec<&str> = istio.iter().map(|file| file.path.as_str()).collect();
    assert!(paths.contains(&"overlays/canary/wasm-plugin.yaml"), "{paths:?}");
    for (name, files) in [
        ("istio", istio),
        ("envoy-gateway", rendered(Environment::EnvoyGateway, "callout.yaml", &place)),
        ("envoy", rendered(Environment::EnvoyEcds, "callout.yaml", &place)),
    ] {
        let text: String = files.iter().map(|file| file.text.as_str()).collect();
        assert!(text.contains("callout"), "{name}");
        assert!(!text.contains("mirror") && !text.contains("kind: Capture"), "{name}");
        assert!(!text.contains("Capture\\\""), "{name}: no filter on a cluster");
    }
    let gateway = rendered(Environment::EnvoyGateway, "callout.yaml", &place);
    let proxy = gateway.iter().find(|file| file.path == "base/envoy-proxy.yaml").unwrap();
    for (cluster, host) in [("candidate-shadow", "candidate"), ("control-noise", "control")] {
        assert!(proxy.text.contains(&format!("name: {cluster}")), "{}", proxy.text);
        assert!(proxy.text.contains(&format!("{host}.default.svc.cluster.local")), "{}", proxy.text);
    }
}

/// Schemas by kind and version; none where the folder is not there.
fn schemas() -> Option<BTreeMap<(String, String), Value>> {
    let folder = root().join("../shared/crds");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there, so no schemas to check against", folder.display());
        return None;
    }
    let mut schemas = BTreeMap::new();
    for path in
        files_below(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml"))
    {
        let text = fs::read_to_string(&path).unwrap();
        let crd = weir_document::parse(&path.display().to_string(), &text).unwrap();
        let spec = &crd["spec"];
        for version in spec["versions"].as_array().unwrap() {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            for key in ["apiVersion", "kind", "metadata"] {
                schema["properties"][key] = json!({});
            }
            let group = format!("{}/{}", spec["group"].as_str().unwrap(), version["name"].as_str().unwrap());
            schemas.insert((spec["names"]["kind"].as_str().unwrap().to_owned(), group), schema);
        }
    }
    Some(schemas)
}

fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, object, "", true, &mut found);
    found
}

/// What of a value a schema of a custom resource forbids. Unknown fields are errors where the schema is structural, as the
/// API server's strict mode has it. Keywords that are no constraint here: descriptions, formats, defaults, `x-kubernetes-*`
/// but the two that are read.
fn check(schema: &Value, value: &Value, at: &str, structural: bool, found: &mut Vec<String>) {
    let mut wrong = |why: String| found.push(format!("{at}: {why}"));
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    if let Some(expected) = schema["type"].as_str().filter(|_| !int_or_string) {
        let fits = match expected {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("{at}: type {other}"),
        };
        if !fits {
            return wrong(format!("{value} is no {expected}"));
        }
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        wrong(format!("{value} is not one of {}", schema["enum"]));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !regex::Regex::new(pattern).unwrap().is_match(text)
    {
        wrong(format!("{value} does not match {pattern}"));
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems")),
        Value::Object(map) => Some((map.len(), "minProperties", "maxProperties")),
        _ => None,
    };
    if let Some((size, least, most)) = size {
        let limit = |key: &str, other: u64| schema[key].as_u64().unwrap_or(other);
        if !(limit(least, 0)..=limit(most, u64::MAX)).contains(&(size as u64)) {
            wrong(format!("has a size of {size}"));
        }
    }
    if let Some(number) = value.as_f64() {
        let limit = |key: &str, other: f64| schema[key].as_f64().unwrap_or(other);
        if !(limit("minimum", f64::MIN)..=limit("maximum", f64::MAX)).contains(&number) {
            wrong(format!("{number} is out of range"));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            wrong(format!("{name} is missing"));
        }
    }
    let fits = |branch: &Value| {
        let mut inner = Vec::new();
        check(branch, value, at, false, &mut inner);
        inner.is_empty()
    };
    let branches = |key: &str| schema[key].as_array().map(|all| all.iter().filter(|one| fits(one)).count());
    if branches("oneOf").is_some_and(|count| count != 1) {
        wrong("fits not exactly one of the forms".to_owned());
    }
    if !int_or_string && branches("anyOf").is_some_and(|count| count == 0) {
        wrong("fits none of the forms".to_owned());
    }
    if schema.get("not").is_some_and(fits) {
        wrong("has a form that is forbidden".to_owned());
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(part, value, at, false, found);
    }
    check_children(schema, value, at, structural, found);
}

fn check_children(schema: &Value, value: &Value, at: &str, structural: bool, found: &mut Vec<String>) {
    let open = !structural || schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{at}[{index}]"), structural, found);
    }
    for (key, child) in value.as_object().into_iter().flatten() {
        let path = format!("{at}.{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(known), _) => check(known, child, &path, structural && known != &json!({}), found),
            (None, Some(of_each)) if of_each.is_object() => check(of_each, child, &path, structural, found),
            (None, _) if open => {}
            (None, _) => found.push(format!("{path}: is not a field of the schema")),
        }
    }
}

#[test]
fn every_object_fits_the_schema_of_its_kind() {
    let Some(schemas) = schemas() else { return };
    let mut checked = Vec::new();
    for (name, object) in objects() {
        let text = |key: &str| object[key].as_str().unwrap().to_owned();
        if let Some(schema) = schemas.get(&(text("kind"), text("apiVersion"))) {
            assert_eq!(problems(schema, &object), Vec::<String>::new(), "{name}");
            checked.push(text("kind"));
        }
    }
    checked.sort_unstable();
    checked.dedup();
    let kinds = [
        "DestinationRule",
        "EnvoyExtensionPolicy",
        "EnvoyFilter",
        "TrafficExtension",
        "VirtualService",
        "WasmPlugin",
    ];
    assert_eq!(checked, kinds);
}

/// The shapes that stand for the definitions of the other kinds: by hand, and only what the renderer uses.
fn shape(object: &Value) -> Option<Value> {
    let shapes: Value = serde_json::from_str(include_str!("shapes.json")).unwrap();
    let name = format!("{} {}", object["kind"].as_str().unwrap(), object["apiVersion"].as_str().unwrap());
    shapes.get(&name).cloned()
}

#[test]
fn objects_of_the_other_kinds_have_the_fields_that_their_references_name() {
    let mut checked = Vec::new();
    for (name, mut object) in objects() {
        let Some(shape) = shape(&object) else { continue };
        assert_eq!(problems(&shape, &object), Vec::<String>::new(), "{name}");
        object["spec"]["novel"] = json!(1);
        assert_eq!(problems(&shape, &object), [".spec.novel: is not a field of the schema"], "{name}");
        checked.push(object["kind"].as_str().unwrap().to_owned());
    }
    checked.sort_unstable();
    checked.dedup();
    assert_eq!(checked, ["ClientTrafficPolicy", "EnvoyProxy", "HTTPRoute"]);
}

#[test]
fn a_field_that_the_schema_does_not_know_is_found() {
    let Some(schemas) = schemas() else { return };
    let (_, mut plugin) = objects().into_iter().find(|(_, object)| object["kind"] == "WasmPlugin").unwrap();
    let schema = &schemas[&("WasmPlugin".to_owned(), "extensions.istio.io/v1alpha1".to_owned())];
    plugin["spec"]["failStrategie"] = json!("FAIL_OPEN");
    assert_eq!(problems(schema, &plugin).len(), 1);
    plugin["spec"].as_object_mut().unwrap().remove("failStrategie");
    plugin["spec"]["failStrategy"] = json!("FAIL_SOMEHOW");
    assert_eq!(problems(schema, &plugin).len(), 1);
}

#[test]
fn the_module_is_pinned_and_fails_open_wherever_it_is_installed() {
    let sha256 = place(&[]).image_sha256;
    for (name, object) in objects() {
        let spec = &object["spec"];
        let (digest, open) = match object["kind"].as_str().unwrap() {
            "WasmPlugin" => (&spec["sha256"], spec["failStrategy"] == "FAIL_OPEN"),
            "TrafficExtension" => (&spec["wasm"]["sha256"], spec["wasm"]["failStrategy"] == "FAIL_OPEN"),
            "EnvoyExtensionPolicy" => {
                (&spec["wasm"][0]["code"]["image"]["sha256"], spec["wasm"][0]["failOpen"] == true)
            }
            _ => continue,
        };
        assert_eq!(digest, &json!(sha256), "{name}");
        assert!(open, "{name}");
    }
}

#[test]
fn what_an_environment_cannot_do_is_refused_by_field_with_a_remedy() {
    let refused = |environment, edit: &dyn Fn(&mut Policy)| {
        let mut policy = policy("canary.yaml");
        edit(&mut policy);
        render("policy.yaml", &policy, environment, &place(&[])).unwrap_err().to_string()
    };
    let texts = [
        refused(Environment::EnvoyGateway, &|_| {}),
        refused(Environment::Istio, &|policy| {
            policy.candidate.as_mut().unwrap().shadow_cluster = None;
            policy.noise.cluster = Some("control".to_owned());
        }),
        refused(Environment::Istio, &|policy| policy.control.cluster = "outbound|80||control".to_owned()),
        refused(Environment::Envoy, &|policy| policy.candidate = None),
        refused(Environment::Istio, &|policy| policy.shadow.transport = Some(Transport::Callout)),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}
