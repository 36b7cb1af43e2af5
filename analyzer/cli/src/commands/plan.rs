//! `weir plan`: how much evidence the gates need, how long that takes at the present traffic and what the copies cost.

use std::sync::Arc;

use weir_gate::{Gates, MetricSeries, Plan, PlanOptions, Spending, Traffic};
use weir_metrics::{LoadOptions, Loaded, MetricsFile};
use weir_report::{Progress, Unit};

use crate::arguments::{PlanArguments, TextOrJson};
use crate::commands::analyze::{progress, read_gates, read_metrics};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::{say, say_text};

/// Runs the command.
pub(crate) fn run(arguments: &PlanArguments) -> Outcome {
    check(arguments)?;
    let gates = arguments.gates.as_deref().map(read_gates).transpose()?;
    let definitions = arguments.metrics.as_deref().map(|path| read_metrics(Some(path), gates.as_ref()));
    let definitions = definitions.transpose()?.flatten();
    let stated = arguments.baseline.iter().map(|text| baseline(text, arguments.seed));
    let stated = stated.collect::<Result<Vec<MetricSeries>, Failure>>()?;
    let loaded = match &arguments.data {
        Some(_) => Some(load(arguments, gates.as_ref(), definitions)?),
        None if stated.is_empty() => {
            return Err(failure(
                Exit::Usage,
                "nothing to plan from\n  hint: give --data with a history of control, or --baseline error=0.02 for each metric",
            ));
        }
        None => None,
    };
    let mut pools = stated;
    for series in loaded.iter().flat_map(|loaded| &loaded.series) {
        if !pools.iter().any(|pool| pool.name == series.name) {
            pools.push(series.clone());
        }
    }
    let gates = gates.unwrap_or_else(|| Gates::default_pack(&one_sided(&pools)));
    let spending = Spending::one_of(arguments.steps);
    let options = PlanOptions {
        paired: arguments.candidate_percent.is_none(),
        power: arguments.power / 100.0,
        spending,
        seed: arguments.seed,
    };
    let traffic = Traffic {
        requests_per_hour: arguments.requests_per_hour.or(loaded.as_ref().and_then(requests_per_hour)),
        shadow_percent: arguments.shadow_percent,
        candidate_percent: arguments.candidate_percent.unwrap_or(0.0),
        price_per_copy: arguments.price_per_copy,
    };
    let alpha = gates.alpha * spending.share();
    let shown = Progress::new("planning", Unit::Count("gates"));
    let planned = weir_gate::plan_telling(&gates, &pools, &options, |done, all| shown.at(done, all));
    let plan = Plan::new(planned, &options, alpha, traffic);
    match arguments.output {
        TextOrJson::Json => say!("{}", serde_json::to_string_pretty(&plan).or_data()?),
        TextOrJson::Text => say_text!("{}", weir_report::plan_text(&plan)),
    }
    Ok(Exit::Pass)
}

fn check(arguments: &PlanArguments) -> Result<(), Failure> {
    let within = |name: &str, value: f64, low: f64, high: f64| {
        if value > low && value <= high {
            return Ok(());
        }
        Err(failure(Exit::Usage, format!("{name} {value}: allowed: above {low}, up to {high}")))
    };
    within("--power", arguments.power, 49.9, 99.9)?;
    within("--shadow-percent", arguments.shadow_percent, 0.0, 100.0)?;
    if let Some(percent) = arguments.candidate_percent {
        within("--candidate-percent", percent, 0.0, 99.0)?;
    }
    for (name, value) in
        [("--requests-per-hour", arguments.requests_per_hour), ("--price-per-copy", arguments.price_per_copy)]
    {
        if let Some(value) = value {
            within(name, value, 0.0, 1e12)?;
        }
    }
    Ok(())
}

fn load(
    arguments: &PlanArguments,
    gates: Option<&Gates>,
    definitions: Option<Arc<MetricsFile>>,
) -> Result<Loaded, Failure> {
    let options = LoadOptions {
        data_dir: arguments.data.clone().unwrap_or_default(),
        experiment: arguments.experiment.clone(),
        metrics: metrics_of(gates, definitions.as_deref()),
        definitions,
        one_sided: true,
        ..LoadOptions::default()
    };
    weir_metrics::load_cached(&options, &mut weir_metrics::Cache::with_progress(progress)).or_data()
}

/// The metrics that gates name; without gates those of the built-in pack that the metrics document makes possible.
pub(crate) fn metrics_of(gates: Option<&Gates>, definitions: Option<&MetricsFile>) -> Vec<String> {
    match gates {
        Some(gates) => gates.gates.iter().map(|gate| gate.metric.clone()).collect(),
        None => weir_look::pack_metrics(definitions),
    }
}

/// Series that look like a comparison, so that the built-in pack takes their metrics.
pub(crate) fn one_sided(pools: &[MetricSeries]) -> Vec<MetricSeries> {
    let mut pools = pools.to_vec();
    for stratum in pools.iter_mut().flat_map(|pool| &mut pool.strata) {
        stratum.candidate = stratum.control.part(0, 1);
    }
    pools
}

/// Requests in an hour between the first sample and the last one.
#[allow(clippy::cast_precision_loss)] // counts and times are far below 2^53
fn requests_per_hour(loaded: &Loaded) -> Option<f64> {
    let hours = (loaded.last_ts_us? - loaded.first_ts_us?) as f64 / 3.6e9;
    let requests = loaded.health.primary_control + loaded.health.primary_candidate;
    (hours > 0.0 && requests > 1).then(|| requests as f64 / hours)
}

/// `latency_ms=800,400` as a pool of values.
fn baseline(text: &str, seed: u64) -> Result<MetricSeries, Failure> {
    let refused = |what: &str| {
        let hint = "write METRIC=MEAN or METRIC=MEAN,SPREAD: error=0.02, latency_ms=800,400";
        failure(Exit::Usage, format!("--baseline {text:?}: {what}\n  hint: {hint}"))
    };
    let (metric, figures) = text.split_once('=').ok_or_else(|| refused("has no ="))?;
    let mut figures = figures.split(',').map(|figure| figure.trim().parse::<f64>());
    let mean = figures.next().and_then(Result::ok).filter(|mean| mean.is_finite());
    let mean = mean.ok_or_else(|| refused("the mean is not a number"))?;
    let spread = figures.next().transpose().map_err(|_| refused("the spread is not a number"))?;
    if figures.next().is_some() {
        return Err(refused("has more than a mean and a spread"));
    }
    let Some(series) = weir_metrics::blank_series(metric.trim()) else {
        let known = weir_metrics::known_metrics().join(", ");
        return Err(refused(&format!("no such metric; allowed: {known}")));
    };
    match (series.bounds, spread) {
        (Some((low, high)), _) if !(low..=high).contains(&mean) => {
            return Err(refused(&format!("the mean is outside {low} to {high}")));
        }
        (None, _) if mean <= 0.0 => return Err(refused("the mean is not above 0")),
        (None, None) => return Err(refused("an amount needs a spread too")),
        (_, Some(spread)) if spread.is_nan() || spread < 0.0 => {
            return Err(refused("the spread is below 0"));
        }
        _ => {}
    }
    Ok(weir_gate::stated_pool(series, mean, spread, seed))
}
