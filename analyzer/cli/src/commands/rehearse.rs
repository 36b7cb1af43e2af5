//! `weir rehearse`: how often the gates would have fired on control's own history, split into false candidates.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use weir_gate::{Gates, MetricSeries, RehearseOptions, Rehearsed, Spending};
use weir_metrics::{Cache, LoadOptions};
use weir_report::{Progress, Unit};

use crate::arguments::{RehearseArguments, TextOrJson};
use crate::commands::analyze::{progress, read_gates, read_metrics};
use crate::commands::plan::{metrics_of, one_sided};
use crate::exit::{Exit, OrExit, Outcome, failure};
use crate::say::{say, say_text};

/// Fewest answers of control that make a history.
const HISTORY_MIN: usize = 200;

/// Runs the command.
pub(crate) fn run(arguments: &RehearseArguments) -> Outcome {
    let percent = arguments.candidate_percent;
    if !(1.0..=99.0).contains(&percent) {
        return Err(failure(Exit::Usage, format!("--candidate-percent {percent}: allowed: 1 to 99")));
    }
    let gates = arguments.gates.as_deref().map(read_gates).transpose()?;
    let definitions = arguments.metrics.as_deref().map(|path| read_metrics(Some(path), gates.as_ref()));
    let definitions = definitions.transpose()?.flatten();
    let options = LoadOptions {
        data_dir: arguments.data.data.clone(),
        experiment: arguments.data.experiment.clone(),
        since_us: arguments.since.map(|time| time.as_microsecond()),
        until_us: arguments.until.map(|time| time.as_microsecond()),
        metrics: metrics_of(gates.as_ref(), definitions.as_deref()),
        definitions,
        one_sided: true,
        ..LoadOptions::default()
    };
    let loaded = weir_metrics::load_cached(&options, &mut Cache::with_progress(progress)).or_data()?;
    let answers = |series: &MetricSeries| -> usize { series.strata.iter().map(|s| s.control.len()).sum() };
    let most = loaded.series.iter().map(answers).max().unwrap_or(0);
    if most < HISTORY_MIN {
        return Err(failure(
            Exit::Data,
            format!(
                "{}: {most} answers of control are no history to rehearse on; needed: {HISTORY_MIN}\n  hint: capture control for longer (`sampling.percent` in the policy), or import its logs",
                options.data_dir.display()
            ),
        ));
    }
    let gates = gates.unwrap_or_else(|| Gates::default_pack(&one_sided(&loaded.series)));
    let rehearse = RehearseOptions {
        splits: arguments.splits,
        looks: usize::from(arguments.looks),
        candidate_share: percent / 100.0,
        spending: Spending::ALL,
        seed: arguments.seed,
    };
    let splits = all_splits(&gates, &loaded.series, &rehearse);
    let rehearsal = weir_gate::rehearsal(&gates, &loaded.series, &rehearse, &splits);
    match arguments.output {
        TextOrJson::Json => say!("{}", serde_json::to_string_pretty(&rehearsal).or_data()?),
        TextOrJson::Text => say_text!("{}", weir_report::rehearsal_text(&rehearsal)),
    }
    Ok(Exit::Pass)
}

/// Every split, on all processors; the result does not depend on how many there are.
fn all_splits(gates: &Gates, control: &[MetricSeries], options: &RehearseOptions) -> Vec<Rehearsed> {
    let shown = Progress::new("rehearsing", Unit::Count("splits"));
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::<(u64, Rehearsed)>::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    let split = next.fetch_add(1, Ordering::Relaxed);
                    if split >= options.splits {
                        break;
                    }
                    let rehearsed = weir_gate::rehearse_one(gates, control, options, split);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((split, rehearsed));
                    shown.at(done.len() as u64, options.splits);
                }
            });
        }
    });
    let mut splits = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    splits.sort_unstable_by_key(|(split, _)| *split);
    splits.into_iter().map(|(_, rehearsed)| rehearsed).collect()
}
