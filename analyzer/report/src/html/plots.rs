//! Inline SVG: an interval against its margin, and two histograms over each other.
//!
//! Colours come from the style sheet by class, so that both themes fit; every plot has its content as a label in words.

use std::fmt::Write as _;

use weir_gate::{GateResult, Outcome};

use crate::escape::{Lines, html};
use crate::model::{Distribution, Histogram};
use crate::numbers;
use crate::words::{self, Plot};

const INTERVAL_WIDTH: f64 = 240.0;
const INTERVAL_HEIGHT: f64 = 40.0;
/// Space at both ends for labels and arrow heads.
const INSET: f64 = 12.0;
const LINE_Y: f64 = 13.0;
const ZONE_HEIGHT: f64 = 26.0;
/// Space that the label of a margin takes to either side.
const ZERO_LABEL_SPACE: f64 = 28.0;

/// Drawing size of a chart without its axis labels.
pub(super) const CHART_WIDTH: f64 = 320.0;
pub(super) const CHART_HEIGHT: f64 = 110.0;

/// `good`, `bad` or `open`: the class of an outcome's colour.
pub(super) fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Inside | Outcome::Improved => "good",
        Outcome::Breach | Outcome::Diverged => "bad",
        Outcome::Undecided | Outcome::NoData => "open",
    }
}

/// A gate's interval against its margin; nothing where there is no interval.
pub(super) fn interval(gate: &GateResult) -> String {
    let Some(plot) = words::plot(gate) else {
        return String::new();
    };
    let label = format!("change {}: {}", words::finding(gate), words::outcome(gate.outcome));
    let mut svg = format!(
        "<svg class=\"interval\" viewBox=\"0 0 {INTERVAL_WIDTH} {INTERVAL_HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        html(&label, Lines::Join)
    );
    zones(&mut svg, &plot);
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<line class=\"zero\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{ZONE_HEIGHT}\"/>",
        x(plot.zero)
    );
    let margin = numbers::margin(&gate.unit, gate.relative, gate.margin);
    let margins = [plot.margin_low, plot.margin_high];
    // The label of a margin close by would lie over it.
    if margins.into_iter().flatten().all(|place| (x(place) - x(plot.zero)).abs() > ZERO_LABEL_SPACE) {
        let _ = write!(svg, "<text x=\"{:.1}\" y=\"37\" text-anchor=\"middle\">0</text>", x(plot.zero));
    }
    for (place, sign) in [(plot.margin_low, "−"), (plot.margin_high, "+")] {
        if let Some(place) = place {
            let _ = write!(
                svg,
                "<line class=\"margin\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{ZONE_HEIGHT}\"/>\
                 <text x=\"{0:.1}\" y=\"37\" text-anchor=\"middle\">{sign}{1}</text>",
                x(place),
                html(&margin, Lines::Join)
            );
        }
    }
    range(&mut svg, &plot, tone(gate.outcome));
    svg.push_str("</svg>");
    svg
}

/// The area past the margin.
fn zones(svg: &mut String, plot: &Plot) {
    if let Some(place) = plot.margin_low {
        let _ = write!(
            svg,
            "<rect class=\"zone\" x=\"0\" y=\"0\" width=\"{:.1}\" height=\"{ZONE_HEIGHT}\"/>",
            x(place)
        );
    }
    if let Some(place) = plot.margin_high {
        let _ = write!(
            svg,
            "<rect class=\"zone\" x=\"{0:.1}\" y=\"0\" width=\"{1:.1}\" height=\"{ZONE_HEIGHT}\"/>",
            x(place),
            INTERVAL_WIDTH - x(place)
        );
    }
}

/// The interval with its estimate; an end that goes on beyond the plot has an arrow head.
fn range(svg: &mut String, plot: &Plot, tone: &str) {
    let (low, high) = (x(plot.low.0), x(plot.high.0));
    let _ = write!(
        svg,
        "<line class=\"range {tone}\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{LINE_Y}\" y2=\"{LINE_Y}\"/>"
    );
    for (end, cut, outwards) in [(low, plot.low.1, -1.0), (high, plot.high.1, 1.0)] {
        let _ = if cut {
            write!(
                svg,
                "<path class=\"point {tone}\" d=\"M{end:.1} {0:.1}L{1:.1} {LINE_Y}L{end:.1} {2:.1}Z\"/>",
                LINE_Y - 5.0,
                end + outwards * 9.0,
                LINE_Y + 5.0
            )
        } else {
            write!(
                svg,
                "<line class=\"range {tone}\" x1=\"{end:.1}\" x2=\"{end:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                LINE_Y - 5.0,
                LINE_Y + 5.0
            )
        };
    }
    let _ = write!(
        svg,
        "<circle class=\"point {tone}\" cx=\"{:.1}\" cy=\"{LINE_Y}\" r=\"4\"/>",
        x(plot.estimate)
    );
}

fn x(place: f64) -> f64 {
    INSET + place * (INTERVAL_WIDTH - 2.0 * INSET)
}

/// Control (filled) and candidate (outlined) over the same bins, each as a share of its own values.
pub(super) fn histogram(distribution: &Distribution) -> String {
    let (control, candidate) = (shares(&distribution.control), shares(&distribution.candidate));
    let noise = distribution.noise.as_ref().map(shares).unwrap_or_default();
    let top = control.iter().chain(&candidate).chain(&noise).copied().fold(0.0, f64::max);
    let label = format!(
        "{}: control {}; candidate {}",
        distribution.metric,
        figures(distribution, &distribution.control),
        figures(distribution, &distribution.candidate)
    );
    let mut svg = chart(&label, "histogram");
    let _ = write!(svg, "<path class=\"control\" d=\"{}Z\"/>", outline(&control, top));
    if !noise.is_empty() {
        let _ = write!(svg, "<path class=\"noise\" d=\"{}\"/>", outline(&noise, top));
    }
    let _ = write!(svg, "<path class=\"candidate\" d=\"{}\"/>", outline(&candidate, top));
    axis(&mut svg, distribution);
    svg
}

/// The share of values up to each edge; the area between control and its second answers is the noise floor.
pub(super) fn cumulative(distribution: &Distribution) -> String {
    let mut svg = chart(
        &format!("{}: share of answers up to each value, control and candidate", distribution.metric),
        "cumulative",
    );
    let control = sums(&distribution.control);
    if let Some(noise) = &distribution.noise {
        let back: String = points(&sums(noise)).into_iter().rev().map(|point| format!("L{point}")).collect();
        let _ = write!(svg, "<path class=\"floor\" d=\"{}{back}Z\"/>", line(&control));
    }
    let _ = write!(
        svg,
        "<path class=\"control-line\" d=\"{}\"/><path class=\"candidate\" d=\"{}\"/>",
        line(&control),
        line(&sums(&distribution.candidate))
    );
    axis(&mut svg, distribution);
    svg
}

fn chart(label: &str, class: &str) -> String {
    format!(
        "<svg class=\"chart {class}\" viewBox=\"0 0 {CHART_WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        CHART_HEIGHT + 16.0,
        html(label, Lines::Join)
    )
}

/// The axis of a distribution with its ends; closes the drawing.
fn axis(svg: &mut String, distribution: &Distribution) {
    let first = distribution.edges.first().copied().unwrap_or(0.0);
    let last = distribution.edges.last().copied().unwrap_or(1.0);
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"0\" x2=\"{CHART_WIDTH}\" y1=\"{CHART_HEIGHT}\" y2=\"{CHART_HEIGHT}\"/>\
         <text x=\"0\" y=\"{0}\">{1}</text><text x=\"{CHART_WIDTH}\" y=\"{0}\" text-anchor=\"end\">{2} and above</text></svg>",
        CHART_HEIGHT + 13.0,
        html(&numbers::value(&distribution.unit, first), Lines::Join),
        html(&numbers::value(&distribution.unit, last), Lines::Join),
    );
}

fn figures(distribution: &Distribution, histogram: &Histogram) -> String {
    format!(
        "mean {}, median {}, 95th percentile {}",
        numbers::value_or_dash(&distribution.unit, histogram.mean),
        numbers::value_or_dash(&distribution.unit, histogram.p50),
        numbers::value_or_dash(&distribution.unit, histogram.p95)
    )
}

/// The steps of a histogram as an SVG path from the axis and back to it.
#[allow(clippy::cast_precision_loss)] // bins are few
fn outline(shares: &[f64], top: f64) -> String {
    let width = CHART_WIDTH / shares.len().max(1) as f64;
    let mut path = format!("M0 {CHART_HEIGHT}");
    for (bin, share) in shares.iter().enumerate() {
        let height = if top > 0.0 { share / top * (CHART_HEIGHT - 6.0) } else { 0.0 };
        let _ = write!(
            path,
            "L{:.1} {2:.1}L{:.1} {2:.1}",
            bin as f64 * width,
            (bin + 1) as f64 * width,
            CHART_HEIGHT - height
        );
    }
    let _ = write!(path, "L{CHART_WIDTH} {CHART_HEIGHT}");
    path
}

/// The share of values below each edge, 0 at the first and 1 at the last.
fn sums(histogram: &Histogram) -> Vec<f64> {
    let steps = shares(histogram).into_iter().scan(0.0, |sum, share| {
        *sum += share;
        Some(*sum)
    });
    std::iter::once(0.0).chain(steps).collect()
}

#[allow(clippy::cast_precision_loss)] // bins are few
fn points(sums: &[f64]) -> Vec<String> {
    let width = CHART_WIDTH / sums.len().saturating_sub(1).max(1) as f64;
    let place = |(bin, sum): (usize, &f64)| {
        format!("{:.1} {:.1}", bin as f64 * width, CHART_HEIGHT - sum * (CHART_HEIGHT - 6.0))
    };
    sums.iter().enumerate().map(place).collect()
}

fn line(sums: &[f64]) -> String {
    format!("M{}", points(sums).join("L"))
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn shares(histogram: &Histogram) -> Vec<f64> {
    let all = histogram.counts.iter().sum::<u64>().max(1) as f64;
    histogram.counts.iter().map(|count| *count as f64 / all).collect()
}
