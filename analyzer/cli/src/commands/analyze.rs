//! `weir analyze` and the look that `weir watch` takes again and again: samples to a verdict.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use weir_controller::{LookError, LookRequest};
use weir_gate::{Evaluation, Gates, Spending};
use weir_metrics::{Cache, LoadOptions, Loaded, ReportParts};
use weir_report::{Progress, Report, TimelineEntry};

use crate::arguments::AnalyzeArguments;
use crate::commands::{embed, read_text};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;

/// Runs the command.
pub(crate) fn run(arguments: &AnalyzeArguments) -> Outcome {
    let plan = output::plan(&arguments.output.output, &arguments.output.output_file).or_usage()?;
    let gates = arguments.gates.as_deref().map(read_gates).transpose()?;
    let options = LoadOptions {
        data_dir: arguments.data.data.clone(),
        experiment: arguments.data.experiment.clone(),
        revision: arguments.revision,
        since_us: arguments.since.map(|time| time.as_microsecond()),
        until_us: arguments.until.map(|time| time.as_microsecond()),
        metrics: gates.as_ref().map(metrics_of).unwrap_or_default(),
    };
    let loaded = weir_metrics::load_cached(&options, &mut Cache::with_progress(progress)).or_data()?;
    let gates = gates.unwrap_or_else(|| Gates::default_pack(&loaded.series));
    let evaluation = weir_gate::evaluate(&gates, &loaded.series, &loaded.health, Spending::ALL);
    let evaluation = embed::heed(evaluation, &options.data_dir, &loaded.experiment).or_data()?;
    let mut report = report(&loaded, evaluation, (&gates, Spending::ALL), &options.data_dir, Vec::new())?;
    report.generated_from.command = again(arguments);
    output::draw(&report, &plan)?;
    Ok(Exit::of(report.evaluation.verdict))
}

/// The words that make the same report again, wherever settings came from.
fn again(arguments: &AnalyzeArguments) -> Vec<String> {
    let path = |path: &PathBuf| path.display().to_string();
    let mut words = vec!["weir".to_owned(), "analyze".to_owned()];
    let options = [
        ("--data", Some(path(&arguments.data.data))),
        ("--experiment", arguments.data.experiment.clone()),
        ("--gates", arguments.gates.as_ref().map(path)),
        ("--revision", arguments.revision.map(|revision| revision.to_string())),
        ("--since", arguments.since.map(|time| time.to_string())),
        ("--until", arguments.until.map(|time| time.to_string())),
    ];
    for (option, value) in options {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    words
}

/// Shows how much of the samples is read.
fn progress(done: u64, all: u64) {
    static SHOWN: LazyLock<Progress> = LazyLock::new(|| Progress::new("reading samples"));
    SHOWN.at(done, all);
}

/// Reads a gates document.
pub(crate) fn read_gates(path: &Path) -> Result<Gates, Failure> {
    Gates::parse(&path.display().to_string(), &read_text(path)?).or_usage()
}

/// Looks at the evidence of one revision; keeps what it has read for the next look.
pub(crate) struct Looker {
    data_dir: PathBuf,
    gates: Gates,
    cache: Mutex<Cache>,
    last: Mutex<Option<(Loaded, Evaluation, Spending)>>,
    meaning: Option<embed::Before>,
}

impl Looker {
    /// Nothing is read before the first look.
    pub(crate) fn new(data_dir: PathBuf, gates: Gates) -> Self {
        Self { data_dir, gates, cache: Mutex::default(), last: Mutex::default(), meaning: None }
    }

    /// Embeds new answers before looks.
    pub(crate) fn embedding(self, meaning: Option<embed::Before>) -> Self {
        Self { meaning, ..self }
    }

    /// One look.
    pub(crate) fn look(&self, request: &LookRequest) -> Result<Evaluation, LookError> {
        let options = LoadOptions {
            data_dir: self.data_dir.clone(),
            experiment: Some(request.experiment.clone()),
            revision: Some(i64::try_from(request.revision)?),
            metrics: metrics_of(&self.gates),
            ..LoadOptions::default()
        };
        if let Some(meaning) = &self.meaning {
            meaning.refresh(&self.data_dir, &request.experiment)?;
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = weir_metrics::load_cached(&options, &mut cache)?;
        let evaluation = weir_gate::evaluate(&self.gates, &loaded.series, &loaded.health, request.spending);
        let evaluation = embed::heed(evaluation, &self.data_dir, &request.experiment)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((loaded, evaluation.clone(), request.spending));
        Ok(evaluation)
    }

    /// When the newest sample of the last look was asked for, in microseconds since 1970 UTC.
    pub(crate) fn newest_us(&self) -> Option<i64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.0.last_ts_us
    }

    /// The report of the last look, if there was one.
    pub(crate) fn report(&self, timeline: Vec<TimelineEntry>) -> Result<Option<Report>, Failure> {
        match self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some((loaded, evaluation, spending)) => {
                let judged_by = (&self.gates, *spending);
                report(loaded, evaluation.clone(), judged_by, &self.data_dir, timeline).map(Some)
            }
            None => Ok(None),
        }
    }
}

fn report(
    loaded: &Loaded,
    evaluation: Evaluation,
    (gates, spending): (&Gates, Spending),
    data_dir: &Path,
    timeline: Vec<TimelineEntry>,
) -> Result<Report, Failure> {
    let parts = ReportParts {
        data: data_dir.display().to_string(),
        gates_digest: gates.digest(),
        weir_version: env!("CARGO_PKG_VERSION").to_owned(),
        timeline,
    };
    let mut report = loaded.report(evaluation, parts).or_data()?;
    report.tripwires = embed::tripwires(data_dir, &loaded.experiment).or_data()?;
    report.trust = embed::judges(data_dir, &loaded.experiment).or_data()?;
    report.judges = embed::calibrations(data_dir, &loaded.experiment).or_data()?;
    weir_page::complete(&mut report, gates, spending);
    Ok(report)
}

fn metrics_of(gates: &Gates) -> Vec<String> {
    gates.gates.iter().map(|gate| gate.metric.clone()).collect()
}
