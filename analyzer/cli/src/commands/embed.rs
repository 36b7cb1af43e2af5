//! `weir embed`: answers to vectors, distances and findings.

use std::path::Path;

use weir_meaning::hub::Hub;
use weir_meaning::{EmbedOptions, Embedder, EmbedderChoice, Findings};

use crate::arguments::{EmbedArguments, EmbedderArguments, TextOrJson};
use crate::commands::bar;
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::{say, say_text};

/// Groups that the text names.
const GROUPS_SHOWN: usize = 5;

/// Runs the command.
pub(crate) fn run(arguments: &EmbedArguments) -> Outcome {
    if !(arguments.alpha > 0.0 && arguments.alpha <= 0.5) {
        let text = format!("--alpha {}: allowed: above 0, up to 0.5", arguments.alpha);
        return Err(failure(Exit::Usage, text));
    }
    let choice = choice(&arguments.embedder)?;
    let experiment = experiment(&arguments.data.data, arguments.data.experiment.as_deref())?;
    let threads = arguments.embedder.threads.unwrap_or_else(processors);
    let embedder = Embedder::open(&choice, threads).or_usage()?;
    let options = EmbedOptions {
        data_dir: arguments.data.data.clone(),
        experiment,
        revision: arguments.revision,
        alpha: arguments.alpha,
        seed: arguments.seed,
    };
    let (findings, embedded) =
        weir_meaning::embed(&options, &embedder, &mut bar("embedding", "texts")).or_data()?;
    eprintln!("{embedded} texts embedded with {}, the others were there", findings.embedder);
    match arguments.output {
        TextOrJson::Json => say!("{}", serde_json::to_string_pretty(&findings).or_data()?),
        TextOrJson::Text => say_text!("{}", text(&findings)),
    }
    Ok(Exit::Pass)
}

/// The embedder that the arguments name; a model by name is fetched first where it is not in the cache.
pub(crate) fn choice(arguments: &EmbedderArguments) -> Result<EmbedderChoice, Failure> {
    let choice = EmbedderChoice::of(arguments.embedder.as_deref(), arguments.embedding_model.as_deref());
    let shown = weir_report::Progress::new("fetching the model", weir_report::Unit::Bytes);
    // Nothing to show where the hub does not say how much there is.
    let mut heard = |done: u64, all: u64| {
        if all > 0 {
            shown.at(done, all);
        }
    };
    choice.or_usage()?.fetched(&Hub::from_environment(), &mut heard).or_usage()
}

/// The experiment that is asked for, or the only one.
pub(crate) fn experiment(data: &Path, wanted: Option<&str>) -> Result<String, Failure> {
    let existing = weir_metrics::experiments(data).or_data()?;
    match (wanted, existing.as_slice()) {
        (Some(wanted), all) if all.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (wanted, all) => {
            let asked =
                wanted.map_or("no experiment was named".to_owned(), |name| format!("no experiment {name:?}"));
            let there = all.join(", ");
            Err(failure(
                Exit::Data,
                format!("{asked} in {}\n  hint: --experiment, one of {there}", data.display()),
            ))
        }
    }
}

/// As many threads as there are processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The findings for people; captured text stays on one line and without control characters.
fn text(findings: &Findings) -> String {
    let mut lines = vec![format!("meaning: {}", findings.sentence())];
    let tests = [
        ("beyond noise", &findings.beyond_noise),
        ("  between exchanges", &findings.beyond_noise_apart),
        ("other spread", &findings.systematic),
        ("common direction", &findings.mean_shift),
        ("served cohorts", &findings.cohorts),
    ];
    for (name, test) in tests {
        lines.push(match test.looks.last() {
            Some(look) => format!(
                "  {name:<19} {} at n = {} (p {:.4}, level {:.4}, statistic {:.4})",
                if test.detected { "moved" } else { "not found" },
                look.n,
                look.p,
                look.level,
                look.statistic
            ),
            None => format!(
                "  {name:<19} too little data: the first look is at {}",
                weir_meaning::drift::FIRST_LOOK
            ),
        });
    }
    if !findings.moved.is_empty() {
        lines.push("what moved most (distance, control to itself, pairs)".to_owned());
    }
    for group in findings.moved.iter().take(GROUPS_SHOWN) {
        let noise = group.noise_distance.map_or("-".to_owned(), |noise| format!("{noise:.3}"));
        let (dimension, value) = (&group.dimension, shown(&group.value));
        lines.push(format!("  {:.3}  {noise:>5}  {:>6}  {dimension} {value}", group.distance, group.pairs));
    }
    if let Some(exemplar) = findings.moved.first().and_then(|group| group.exemplars.first()) {
        lines.push(format!(
            "  for example {} (distance {:.3})",
            shown(&exemplar.sample_id),
            exemplar.distance
        ));
        lines.push(format!("    asked      {}", shown(&exemplar.request)));
        lines.push(format!("    control    {}", shown(&exemplar.control)));
        lines.push(format!("    candidate  {}", shown(&exemplar.candidate)));
    }
    for fired in &findings.tripwires {
        let weight = if fired.critical { "critical tripwire" } else { "tripwire" };
        lines.push(format!("{weight} {}: {}", fired.name, fired.text));
    }
    lines.extend(findings.not_looked_at.iter().map(|what| format!("not looked at: {what}")));
    if findings.without_text > 0 {
        lines.push(format!("{} answers without text have no distance", findings.without_text));
    }
    lines.join("\n") + "\n"
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    short.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
