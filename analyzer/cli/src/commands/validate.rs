//! `weir validate`: every problem of every document, at once.

use std::path::Path;

use weir_policy::{Newest, PluginConfiguration};

use crate::arguments::{DocumentKind, ValidateArguments};
use crate::commands::read_text;
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::say;

/// Runs the command.
pub(crate) fn run(arguments: &ValidateArguments) -> Outcome {
    if let Some(kind) = arguments.schema {
        say!("{:#}", schema(kind));
        return Ok(Exit::Pass);
    }
    let newest = arguments.after.as_deref().map(newest).transpose()?;
    let mut refused = 0_usize;
    for path in &arguments.documents {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("error: {}", error.error);
                refused += 1;
                continue;
            }
        };
        match check(path, &text).and_then(|summary| in_time(path, &text, newest.as_ref()).map(|()| summary)) {
            Ok(summary) => say!("{}: {summary}", path.display()),
            Err(problems) => {
                eprintln!("{problems}");
                refused += 1;
            }
        }
    }
    match refused {
        0 => Ok(Exit::Pass),
        _ => {
            Err(failure(Exit::Usage, format!("{refused} of {} documents refused", arguments.documents.len())))
        }
    }
}

/// What proxies that serve this document have taken.
fn newest(path: &Path) -> Result<Newest, Failure> {
    let text = read_text(path)?;
    let serving = PluginConfiguration::parse(&path.display().to_string(), &text).or_usage()?;
    let mut newest = Newest::default();
    newest.take(&serving);
    Ok(newest)
}

/// Whether proxies that have taken the newest would take a document: what the filter says of it, see [`Newest`].
fn in_time(path: &Path, text: &str, newest: Option<&Newest>) -> Result<(), weir_policy::Problems> {
    let name = path.display().to_string();
    match (newest, PluginConfiguration::parse(&name, text)) {
        (Some(newest), Ok(configuration)) => newest.check(&name, &configuration),
        // Documents of other kinds are not pushed.
        _ => Ok(()),
    }
}

fn schema(kind: DocumentKind) -> serde_json::Value {
    match kind {
        DocumentKind::Policy => weir_policy::Policy::json_schema(),
        DocumentKind::Experiments => weir_policy::Experiments::json_schema(),
        DocumentKind::Gates => weir_gate::Gates::json_schema(),
        DocumentKind::Metrics => weir_metrics::MetricsFile::json_schema(),
        DocumentKind::Report => weir_report::json_schema(),
        DocumentKind::Collector => weir_collector::configuration::Collector::json_schema(),
        DocumentKind::Config => weir_document::json_schema::<crate::settings::Config>(),
        DocumentKind::Rollout => weir_controller::Rollout::json_schema(),
    }
}

/// Checks one document by its `kind`; the answer is a line that says what it is.
fn check(path: &Path, text: &str) -> Result<String, weir_policy::Problems> {
    let name = path.display().to_string();
    let tree = weir_document::parse(&name, text)?;
    match tree.get("kind").and_then(serde_json::Value::as_str) {
        Some("Gates") => weir_gate::Gates::parse(&name, text)
            .map(|gates| format!("gates, {} of them, alpha {}", gates.gates.len(), gates.alpha)),
        Some("Metrics") => weir_metrics::MetricsFile::parse(&name, text).map(|file| {
            let (own, routes, prices) = (file.metrics.len(), file.routes.len(), file.prices.len());
            format!("metrics, {own} of your own, {routes} routes, {prices} prices")
        }),
        Some("Rollout") => weir_controller::Rollout::parse(&name, text)
            .map(|rollout| format!("rollout of {}, {} steps", rollout.experiment, rollout.steps.len())),
        Some("Policy") => weir_policy::Policy::parse(&name, text).map(|policy| {
            format!(
                "policy of {}, revision {}, mode {}, digest {}",
                policy.experiment,
                policy.revision,
                policy.mode,
                policy.digest()
            )
        }),
        Some("Collector") => weir_collector::configuration::Collector::parse(&name, text).map(|collector| {
            let redaction = &collector.redaction;
            format!(
                "collector, captures {}, {} patterns and {} fields of your own",
                collector.capture,
                redaction.patterns.len(),
                redaction.fields.len()
            )
        }),
        Some("Experiments") => weir_policy::Experiments::parse(&name, text).map(|experiments| {
            let names: Vec<&str> =
                experiments.experiments.iter().map(|policy| policy.experiment.as_str()).collect();
            format!(
                "experiments {}, revision {}, digest {}",
                names.join(", "),
                experiments.revision,
                experiments.digest()
            )
        }),
        Some("Config") => weir_document::read::<crate::settings::Config>(&name, text)
            .map(|_| "defaults of the command line".to_owned()),
        Some("Capture") => {
            weir_policy::PluginConfiguration::parse(&name, text).map(|_| "capture on a cluster".to_owned())
        }
        _ => Err(unknown_kind(&name, &tree)),
    }
}

fn unknown_kind(name: &str, tree: &serde_json::Value) -> weir_policy::Problems {
    let mut problems = weir_document::Collector::new();
    let at = weir_document::Path::Root;
    let kind = at.key("kind");
    let problem = match tree.get("kind") {
        Some(value) => problems.report(&kind, "is not a known kind").value(value),
        None => problems.report(&kind, "is missing"),
    };
    problem
        .allowed("Policy, Experiments, Gates, Metrics, Rollout, Collector, Capture, Config")
        .hint("start with `apiVersion: weir/v1` and `kind: Policy`");
    problems.into_problems(name)
}
