//! `weir judge`: scores of answers by judges, within a budget.

use std::path::Path;
use std::time::Duration;

use weir_judge::Rubric;
use weir_judge::client::{Endpoint, Judge, Replay};
use weir_judge::labels::{calibrate, file, read_labels};
use weir_judge::prompt::Mode;
use weir_judge::run::{Budget, JudgeOptions, Judged, judge};
use weir_look::Undecided;

use crate::arguments::{JudgeArguments, JudgeMode, PanelArguments};
use crate::commands::bar;
use crate::commands::embed::experiment;
use crate::commands::label::report;
use crate::commands::read_text;
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::say;

/// Runs `weir judge`.
pub(crate) async fn run(arguments: &JudgeArguments) -> Outcome {
    let rubric = read_rubric(&arguments.rubric)?;
    let judges = judges(&arguments.panel)?;
    if judges.is_empty() {
        let hint = "hint: --judge NAME=MODEL@URL, or --replay FILE";
        return Err(failure(Exit::Usage, format!("nobody judges\n  {hint}")));
    }
    let experiment = experiment(&arguments.data.data, arguments.data.experiment.as_deref())?;
    let options = JudgeOptions {
        revision: arguments.revision,
        dry_run: arguments.dry_run,
        segments: undecided(arguments.report.as_deref())?.segments,
        seed: arguments.seed,
        again: arguments.again,
        ..options(&arguments.panel, &arguments.data.data, &experiment)
    };
    let judged = judge(&options, &rubric, &judges, &mut bar("judging", "answers")).await.or_data()?;
    for problem in &judged.problems {
        eprintln!("warning: {problem}");
    }
    say!("{}", told(&judged, arguments.dry_run));
    if arguments.dry_run {
        return Ok(Exit::Pass);
    }
    // Trust is written with every run, so that a verdict knows of judges without labels too.
    let labels = read_labels(&file(&arguments.data.data)).or_data()?;
    report(&calibrate(&arguments.data.data, &experiment, &labels).or_data()?);
    Ok(if judged.failed + judged.left > 0 { Exit::Hold } else { Exit::Pass })
}

/// What the undecided gates of a report are about; nothing without a report.
pub(crate) fn undecided(report: Option<&Path>) -> Result<Undecided, Failure> {
    let Some(path) = report else { return Ok(Undecided::default()) };
    let report = weir_report::parse(&read_text(path)?).or_usage()?;
    Ok(Undecided::of(&report.evaluation))
}

/// Reads a rubric.
pub(crate) fn read_rubric(path: &Path) -> Result<Rubric, Failure> {
    Rubric::parse(&path.display().to_string(), &read_text(path)?).or_usage()
}

/// How the arguments want answers judged: all revisions, and in earnest.
pub(crate) fn options(panel: &PanelArguments, data: &Path, experiment: &str) -> JudgeOptions {
    JudgeOptions {
        data_dir: data.to_path_buf(),
        experiment: experiment.to_owned(),
        revision: None,
        first: None,
        segments: Vec::new(),
        seed: 0,
        again: 0,
        mode: match panel.mode {
            JudgeMode::Pointwise => Mode::Pointwise,
            JudgeMode::Pairwise => Mode::Pairwise,
        },
        concurrency: panel.concurrency,
        rate_per_second: panel.rate_per_second,
        budget: Budget {
            calls: panel.max_calls,
            tokens: panel.max_tokens,
            money: panel.max_cost,
            price_prompt: panel.price_prompt,
            price_completion: panel.price_completion,
        },
        dry_run: false,
    }
}

/// Who judges; nobody where the arguments name nobody.
pub(crate) fn judges(arguments: &PanelArguments) -> Result<Vec<Judge>, Failure> {
    if let Some(path) = &arguments.replay {
        return Ok(vec![Judge::Replay(Replay::read(path).or_usage()?)]);
    }
    arguments
        .judges
        .iter()
        .map(|text| {
            endpoint(text, arguments.key_variable.as_deref(), arguments.timeout_seconds).map(Judge::Endpoint)
        })
        .collect()
}

/// `NAME=MODEL@URL`.
pub(crate) fn endpoint(
    text: &str,
    key_variable: Option<&str>,
    timeout_seconds: u64,
) -> Result<Endpoint, Failure> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once('@')?)));
    let Some((name, (model, url))) = parts.filter(|(name, (model, _))| !name.is_empty() && !model.is_empty())
    else {
        let hint = "hint: --judge strict=gpt-4o@https://api.openai.com/v1";
        return Err(failure(Exit::Usage, format!("--judge {text}: is not NAME=MODEL@URL\n  {hint}")));
    };
    Endpoint::new(name, model, url, key_variable, Duration::from_secs(timeout_seconds)).or_usage()
}

fn told(judged: &Judged, dry_run: bool) -> String {
    if dry_run {
        return format!(
            "would ask {} of {} questions ({} are known): about {} tokens, cost {:.4}",
            judged.calls, judged.questions, judged.known, judged.tokens, judged.money
        );
    }
    format!(
        "{} scores; {} questions: {} known, {} asked now, {} replies could not be read (missing), {} failed, {} left \
         (budget, or a judge that is down); {} tokens, cost {:.4}",
        judged.scores,
        judged.questions,
        judged.known,
        judged.calls,
        judged.unparsable,
        judged.failed,
        judged.left,
        judged.tokens,
        judged.money
    )
}
