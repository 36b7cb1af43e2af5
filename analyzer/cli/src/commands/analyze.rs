//! `weir analyze`: samples to a verdict.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use weir_gate::{Gates, Spending};
use weir_look::Look;
use weir_metrics::{Cache, ExpectedShare, LoadOptions, Loaded, MetricsFile};
use weir_policy::Policy;
use weir_report::{Progress, Unit};

use crate::arguments::{AnalyzeArguments, AnalyzeJudge};
use crate::commands::{documents, one_look, read_text, store};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::output;

/// Runs the command.
pub(crate) fn run(arguments: &AnalyzeArguments) -> Outcome {
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let gates = arguments.gates.as_deref().map(read_gates).transpose()?;
    let of = arguments.data.experiment.as_deref();
    let policy = arguments.policy.as_deref().map(|path| documents::read_one(path, of)).transpose()?;
    let definitions = read_metrics(arguments.metrics.as_deref(), gates.as_ref())?;
    let mut options = LoadOptions {
        data_dir: store::folder(&arguments.data.data, arguments.data.cache.as_deref())?,
        experiment: arguments.data.experiment.clone(),
        revision: arguments.revision,
        since_us: arguments.since.map(|time| time.as_microsecond()),
        until_us: arguments.until.map(|time| time.as_microsecond()),
        definitions,
        keep_figures: !arguments.no_figures,
        settle: arguments.judge == AnalyzeJudge::Gates,
        expected_shares: policy.as_ref().map(ExpectedShare::of_policy).unwrap_or_default(),
        ..LoadOptions::default()
    };
    if let Some(window) = arguments.window
        && let Some(newest_us) = weir_metrics::newest_us(&options).or_data()?
    {
        let length_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        options.since_us = Some(newest_us.saturating_sub(length_us).saturating_add(1));
    }
    let mut cache = Cache::with_progress(progress);
    let spending = Spending::one_of(usize::from(arguments.steps));
    let look = Look::take(&options, gates.as_ref(), spending, &mut cache).or_data()?;
    // The look has its own copy of what it needs.
    drop(cache);
    if let (Some(path), Some(policy)) = (&arguments.policy, &policy) {
        of_this_data(path, policy, &look.loaded)?;
    }
    if arguments.judge != AnalyzeJudge::Gates {
        return one_look::run(arguments, &look.loaded.series);
    }
    let mut report = look.report(&options.data_dir, Vec::new()).or_data()?;
    report.generated_from.data = arguments.data.data.display().to_string();
    report.generated_from.command = again(arguments, options.since_us);
    if let Some(policy) = &policy {
        // The document is JSON that was just written.
        report.policy = serde_json::from_str(&policy.to_json()).unwrap_or_default();
    }
    output::draw(&report, &plan)?;
    Ok(Exit::of(report.evaluation.verdict))
}

/// The words that make the same report again, wherever settings came from.
fn again(arguments: &AnalyzeArguments, since_us: Option<i64>) -> Vec<String> {
    let since = since_us.and_then(|since_us| jiff::Timestamp::from_microsecond(since_us).ok());
    let path = |path: &PathBuf| path.display().to_string();
    let mut words = vec!["weir".to_owned(), "analyze".to_owned()];
    let options = [
        ("--data", Some(path(&arguments.data.data))),
        ("--experiment", arguments.data.experiment.clone()),
        ("--gates", arguments.gates.as_ref().map(path)),
        ("--metrics", arguments.metrics.as_ref().map(path)),
        ("--policy", arguments.policy.as_ref().map(path)),
        ("--revision", arguments.revision.map(|revision| revision.to_string())),
        ("--since", since.map(|time| time.to_string())),
        ("--until", arguments.until.map(|time| time.to_string())),
        ("--steps", (arguments.steps > 1).then(|| arguments.steps.to_string())),
    ];
    for (option, value) in options {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    words
}

/// Shows how much of the samples is read.
pub(crate) fn progress(done: u64, all: u64) {
    static SHOWN: LazyLock<Progress> = LazyLock::new(|| Progress::new("reading samples", Unit::Bytes));
    SHOWN.at(done, all);
}

/// Reads a metrics document, and sees that it defines what gates ask for.
pub(crate) fn read_metrics(
    path: Option<&Path>,
    gates: Option<&Gates>,
) -> Result<Option<Arc<MetricsFile>>, Failure> {
    let parse = |path: &Path| MetricsFile::parse(&path.display().to_string(), &read_text(path)?).or_usage();
    let file = path.map(parse).transpose()?.map(Arc::new);
    let ids: Vec<String> =
        gates.iter().flat_map(|gates| &gates.gates).map(|gate| gate.metric.clone()).collect();
    weir_metrics::check_metrics(&ids, file.as_deref()).or_usage()?;
    Ok(file)
}

/// Refuses a policy that says nothing about these samples: assignment would pass unchecked.
fn of_this_data(path: &Path, policy: &Policy, loaded: &Loaded) -> Result<(), Failure> {
    let path = path.display();
    if policy.experiment != loaded.experiment {
        let (of, wanted) = (&policy.experiment, &loaded.experiment);
        return Err(failure(
            Exit::Usage,
            format!(
                "{path}: is a policy of experiment {of:?}, the samples are of {wanted:?}\n  hint: give the policy that was in force, or --experiment {of}"
            ),
        ));
    }
    let revision = i64::try_from(policy.revision).unwrap_or(i64::MAX);
    if loaded.revisions.is_empty() || loaded.revisions.contains(&revision) {
        return Ok(());
    }
    let found: Vec<String> = loaded.revisions.iter().map(i64::to_string).collect();
    Err(failure(
        Exit::Usage,
        format!(
            "{path}: is revision {revision}, the samples are of {}\n  hint: give the policy that was in force, as it was pushed",
            found.join(", ")
        ),
    ))
}

/// Reads a gates document.
pub(crate) fn read_gates(path: &Path) -> Result<Gates, Failure> {
    Gates::parse(&path.display().to_string(), &read_text(path)?).or_usage()
}
