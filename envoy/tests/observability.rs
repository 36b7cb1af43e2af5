//! Dashboards, alert rules and runbooks: valid, explained, tested by promtool, and only of metrics that exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where metrics are defined.
const SOURCES: [&str; 3] = [
    "filter/plugin/src/metrics.rs",
    "analyzer/collector/src/status.rs",
    "analyzer/controller/src/metrics.rs",
];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().ends_with(end)).collect();
    files.sort();
    files
}

fn dashboards() -> Vec<(String, Value)> {
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    files("dashboards", ".json").into_iter().map(read).collect()
}

fn rules() -> Vec<Value> {
    let text = fs::read_to_string(here().join("alerts/weir.rules.yaml")).unwrap();
    let document = weir_document::parse("weir.rules.yaml", &text).unwrap();
    let groups = document["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The words of a text that are names of Weir's metrics.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("weir_")).map(str::to_owned).collect()
}

/// Names that stand in quotes at the beginning of a text in the code, up to their labels.
fn metrics_in_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in SOURCES {
        let text = fs::read_to_string(here().join("..").join(source)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for quoted in code.split('"').filter(|quoted| quoted.starts_with("weir_")) {
            let end = quoted.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            names.insert(quoted[..end.unwrap_or(quoted.len())].to_owned());
        }
    }
    names
}

#[test]
fn every_metric_of_dashboards_and_alerts_exists_in_the_code() {
    let defined = metrics_in_code();
    assert!(defined.len() > 40, "{defined:?}");
    let mut used = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                used.extend(metrics_in(target["expr"].as_str().unwrap()));
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            used.extend(metrics_in(&variable["query"].to_string()));
        }
    }
    for rule in rules() {
        let of_rule = metrics_in(rule["expr"].as_str().unwrap());
        assert!(!of_rule.is_empty(), "{rule}");
        used.extend(of_rule);
    }
    let unknown: Vec<_> = used.difference(&defined).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not defined in {SOURCES:?}");
}

#[test]
fn dashboards_have_their_own_uid_and_explain_every_panel() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 3);
    for (name, dashboard) in dashboards {
        assert_eq!(dashboard["uid"], name.as_str());
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: id is not unique");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}: {title}: too wide");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{name}: {title}: lies on another panel");
                }
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().unwrap().len() > 10, "{name}: {title}");
            assert!(
                !panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(),
                "{name}: {title}"
            );
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {title}");
        }
    }
}

#[test]
fn every_alert_has_a_runbook_that_says_its_expression_and_every_runbook_an_alert() {
    let mut named = Vec::new();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap().to_owned();
        assert_eq!(rule["annotations"]["runbook_url"], format!("envoy/runbooks/{alert}.md"));
        let page = fs::read_to_string(here().join(format!("runbooks/{alert}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {alert}\n")), "{alert}");
        assert!(page.contains(rule["expr"].as_str().unwrap()), "{alert}: another expression in its runbook");
        assert!(page.contains("## What to do"), "{alert}");
        named.push(format!("{alert}.md"));
    }
    named.sort();
    let pages = files("runbooks", ".md");
    let pages: Vec<_> =
        pages.iter().map(|page| page.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(pages, named);
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let promtool = std::env::var_os("WEIR_PROMTOOL").unwrap_or_else(|| "promtool".into());
    for arguments in [["check", "rules", "weir.rules.yaml"], ["test", "rules", "weir.test.yaml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(here().join("alerts")).output();
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: no promtool on the PATH; `make setup-tools` installs it");
                return;
            }
            other => other.unwrap(),
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
    }
    let tested = fs::read_to_string(here().join("alerts/weir.test.yaml")).unwrap();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(tested.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
    }
}
