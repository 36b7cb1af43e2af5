//! `weir analyze --judge fixed-n|kayenta`: other tools' answers to the same question, to compare with the gates'.

use std::fmt::Write as _;

use serde_json::to_string_pretty;
use weir_gate::{
    FixedMetric, KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE, KayentaScore, MetricSeries, fixed_tests,
    kayenta_score,
};
use weir_report::Format;

use crate::arguments::{AnalyzeArguments, AnalyzeJudge};
use crate::exit::{Exit, OrExit, Outcome, failure};
use crate::say::say_text;

/// Level of the intervals.
const ALPHA: f64 = 0.05;
/// Seed of the random sign flips.
const SEED: u64 = 1;
/// Kayenta's usual thresholds for "pass" and "marginal".
const KAYENTA_PASS: f64 = 95.0;
const KAYENTA_MARGINAL: f64 = 75.0;

/// Runs it.
pub(crate) fn run(arguments: &AnalyzeArguments, series: &[MetricSeries]) -> Outcome {
    let output = &arguments.output;
    let json = match (output.output.as_slice(), output.output_file.as_slice()) {
        ([] | [Format::Table], []) => false,
        ([Format::Json], []) => true,
        _ => {
            let hint = "hint: --output table or --output json, on standard output";
            return Err(failure(
                Exit::Usage,
                format!("--judge fixed-n and kayenta make no report\n  {hint}"),
            ));
        }
    };
    if arguments.judge == AnalyzeJudge::FixedN {
        let tests = fixed_tests(series, ALPHA, SEED);
        say_text!(
            "{}",
            if json { to_string_pretty(&tests).or_data()? + "\n" } else { tests_as_text(&tests) }
        );
        return Ok(Exit::Pass);
    }
    let score = kayenta_score(series, KAYENTA_TOLERANCE, KAYENTA_CONFIDENCE);
    say_text!("{}", if json { to_string_pretty(&score).or_data()? + "\n" } else { score_as_text(&score) });
    Ok(match score.score {
        score if score >= KAYENTA_PASS => Exit::Pass,
        score if score >= KAYENTA_MARGINAL => Exit::Human,
        _ => Exit::Rollback,
    })
}

fn tests_as_text(metrics: &[FixedMetric]) -> String {
    let mut text =
        "one look with fixed-n tests: p values hold for this look alone, and decide nothing\n".to_owned();
    for metric in metrics {
        let adjusted = metric.adjusted_p.map_or(String::new(), |p| format!(", adjusted p {}", shown(p)));
        let _infallible = writeln!(
            text,
            "\n{}: {} pairs, {} of control, {} of the candidate{adjusted}",
            metric.metric, metric.pairs, metric.control, metric.candidate
        );
        for (kind, tests) in [("pairs", &metric.paired), ("samples", &metric.unpaired)] {
            for test in tests {
                let found = match (test.p, test.effect, test.statistic) {
                    (Some(p), ..) => format!("p {}", shown(p)),
                    (None, Some((value, low, high)), _) => {
                        format!("{} [{}, {}]", shown(value), shown(low), shown(high))
                    }
                    (None, None, statistic) => statistic.map(shown).unwrap_or_default(),
                };
                let _infallible = writeln!(text, "  {kind:<8} {:<29} {found}", test.test);
            }
        }
    }
    text
}

fn score_as_text(score: &KayentaScore) -> String {
    let mut text = format!(
        "Kayenta's rule (tolerance {KAYENTA_TOLERANCE}, confidence {KAYENTA_CONFIDENCE}): score {:.0} of 100\n",
        score.score
    );
    for metric in &score.metrics {
        let mark = if metric.fails { "fails" } else { "" };
        let shift = metric.shift.map_or(String::new(), |(value, low, high)| {
            format!("shift {} [{}, {}]", shown(value), shown(low), shown(high))
        });
        let line = format!("  {:<28} {:<7} {mark:<6} {shift}", metric.metric, metric.class);
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Four significant digits.
fn shown(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 6) };
        format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
    } else {
        format!("{value:.3e}")
    }
}
