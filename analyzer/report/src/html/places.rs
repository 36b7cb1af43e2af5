//! Inline SVG of places: a gate's interval over the looks, distances over time, and prompts on a plane.

use std::fmt::Write as _;

use weir_gate::Better;

use super::plots::{CHART_HEIGHT, CHART_WIDTH};
use crate::escape::{Lines, html, shorten};
use crate::meaning::MeaningPeriod;
use crate::model::{PromptMap, PromptPoint, TimelineEntry, Trajectory, TrajectoryPoint};
use crate::numbers;

/// Room for figures to the left of a trajectory.
const LEFT: f64 = 46.0;
/// Prompts that are drawn; more would hide each other.
const PROMPTS_MAX: usize = 1_500;
const MAP_WIDTH: f64 = 640.0;
const MAP_HEIGHT: f64 = 360.0;
/// Half of the room that a cluster's name takes.
const NAME_SPACE: f64 = 60.0;

/// A gate's interval at each look, with the timeline's revisions and decisions as numbered lines.
pub(super) fn trajectory(trajectory: &Trajectory, timeline: &[TimelineEntry]) -> String {
    let (Some(first), Some(last)) = (trajectory.points.first(), trajectory.points.last()) else {
        return "<p class=\"small\">No look had an interval yet.</p>".to_owned();
    };
    let amount = |value| numbers::difference(&trajectory.unit, trajectory.relative, value);
    let label = format!(
        "{} looks from {} to {}; the last: {}, interval {} to {}",
        trajectory.points.len(),
        first.at,
        last.at,
        amount(last.estimate),
        amount(last.low),
        amount(last.high)
    );
    let scale = Scale::of(trajectory);
    let mut svg = format!(
        "<svg class=\"chart trajectory\" viewBox=\"0 0 {CHART_WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        CHART_HEIGHT + 16.0,
        html(&label, Lines::Join)
    );
    scale.margins(&mut svg, trajectory);
    band(&mut svg, trajectory, &scale);
    marks(&mut svg, trajectory, timeline, &scale);
    for (x, at, anchor) in [(LEFT, &first.at, "start"), (CHART_WIDTH, &last.at, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            CHART_HEIGHT + 13.0,
            html(&clock(at), Lines::Join)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Places of looks and changes on the drawing.
struct Scale {
    reach: f64,
    looks: usize,
}

impl Scale {
    /// Symmetric about no change: all of the last interval, and at least 1.6 margins to each side, so that the margin is
    /// in sight; earlier intervals up to five margins.
    fn of(trajectory: &Trajectory) -> Self {
        let reach_of = |points: &[TrajectoryPoint]| {
            let ends = points.iter().flat_map(|point| [point.low.abs(), point.high.abs()]);
            ends.filter(|end| end.is_finite()).fold(0.0, f64::max) * 1.05
        };
        let (first, last) = trajectory.points.split_at(trajectory.points.len().saturating_sub(1));
        let margin = trajectory.margin.abs();
        let early = if margin > 0.0 { reach_of(first).min(margin * 5.0) } else { reach_of(first) };
        let reach = reach_of(last).max(early).max(margin * 1.6).max(f64::MIN_POSITIVE);
        Self { reach, looks: trajectory.points.len() }
    }

    #[allow(clippy::cast_precision_loss)] // looks are few
    fn x(&self, look: usize) -> f64 {
        let share = if self.looks > 1 { look as f64 / (self.looks - 1) as f64 } else { 1.0 };
        LEFT + share * (CHART_WIDTH - LEFT)
    }

    fn y(&self, change: f64) -> f64 {
        (0.5 - (change / self.reach).clamp(-1.0, 1.0) / 2.0) * CHART_HEIGHT
    }

    /// No change, the margins and what lies past them.
    fn margins(&self, svg: &mut String, trajectory: &Trajectory) {
        let amount = |value| numbers::difference(&trajectory.unit, trajectory.relative, value);
        let label = |svg: &mut String, value: f64, text: &str| {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 4.0,
                self.y(value) + 3.5,
                html(text, Lines::Join)
            );
        };
        let sides = match trajectory.better {
            Better::Higher => vec![-1.0],
            Better::Lower => vec![1.0],
            Better::Neither => vec![-1.0, 1.0],
        };
        for side in sides {
            let edge = self.y(side * trajectory.margin);
            let (top, height) = if side > 0.0 { (0.0, edge) } else { (edge, CHART_HEIGHT - edge) };
            let _ = write!(
                svg,
                "<rect class=\"zone\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{}\" height=\"{height:.1}\"/>\
                 <line class=\"margin\" x1=\"{LEFT}\" x2=\"{CHART_WIDTH}\" y1=\"{edge:.1}\" y2=\"{edge:.1}\"/>",
                CHART_WIDTH - LEFT
            );
            label(svg, side * trajectory.margin, &amount(side * trajectory.margin));
        }
        let _ = write!(
            svg,
            "<line class=\"zero\" x1=\"{LEFT}\" x2=\"{CHART_WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>",
            self.y(0.0)
        );
        label(svg, 0.0, "0");
    }
}

/// The interval as a band, the estimate as a line.
fn band(svg: &mut String, trajectory: &Trajectory, scale: &Scale) {
    let path = |value: fn(&TrajectoryPoint) -> f64| -> Vec<String> {
        let place = |(look, point): (usize, &TrajectoryPoint)| {
            format!("{:.1} {:.1}", scale.x(look), scale.y(value(point)))
        };
        trajectory.points.iter().enumerate().map(place).collect()
    };
    let mut back = path(|point| point.low);
    back.reverse();
    let _ = write!(
        svg,
        "<path class=\"band\" d=\"M{}L{}Z\"/><path class=\"line\" d=\"M{}\"/>",
        path(|point| point.high).join("L"),
        back.join("L"),
        path(|point| point.estimate).join("L")
    );
}

fn marks(svg: &mut String, trajectory: &Trajectory, timeline: &[TimelineEntry], scale: &Scale) {
    let mut last_x = f64::NEG_INFINITY;
    for (number, entry) in timeline.iter().enumerate() {
        let after = trajectory.points.iter().take_while(|point| point.at < entry.at).count();
        if after == 0 || after > trajectory.points.len() {
            continue;
        }
        let x = scale.x(after.min(trajectory.points.len().saturating_sub(1)));
        let _ =
            write!(svg, "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{CHART_HEIGHT}\"/>");
        // Numbers that would lie over each other are left out; the lines stay.
        if x - last_x > 14.0 {
            let _ =
                write!(svg, "<text x=\"{:.1}\" y=\"9\" text-anchor=\"end\">{}</text>", x - 2.0, number + 1);
            last_x = x;
        }
    }
}

/// The time of day of an RFC 3339 time, or the whole text.
fn clock(at: &str) -> String {
    at.split_once('T')
        .map(|(_, time)| time.split(['.', 'Z', '+']).next().unwrap_or(time).to_owned())
        .unwrap_or_else(|| at.to_owned())
}

/// Steps of a dot's colour and size.
pub(super) const LEVELS: u8 = 5;

/// The prompts, each as a dot that is larger and darker the further the answers are apart; dots of little shift lie below.
pub(super) fn scatter(map: &PromptMap) -> String {
    let mut drawn: Vec<&PromptPoint> = map
        .points
        .iter()
        .filter(|point| point.x.is_finite() && point.y.is_finite() && point.shift.is_finite())
        .take(PROMPTS_MAX)
        .collect();
    let (across, upwards) =
        (Ends::of(drawn.iter().map(|one| one.x)), Ends::of(drawn.iter().map(|one| one.y)));
    let x = |value| across.place(value, MAP_WIDTH);
    let y = |value| MAP_HEIGHT - upwards.place(value, MAP_HEIGHT);
    let mut svg = format!(
        "<svg class=\"map\" viewBox=\"0 0 {MAP_WIDTH} {MAP_HEIGHT}\" role=\"img\" aria-label=\"{} prompts by likeness and shift\">",
        drawn.len()
    );
    drawn.sort_by(|one, other| one.shift.total_cmp(&other.shift));
    for point in &drawn {
        let level = level(point.shift);
        let _ = write!(
            svg,
            "<circle class=\"shift{level}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{}\"><title>{}: {}</title></circle>",
            x(point.x),
            y(point.y),
            2.5 + f64::from(level),
            numbers::value("score", point.shift),
            html(&shorten(&point.text, 160), Lines::Join)
        );
    }
    names(&mut svg, map, &drawn, (&x, &y));
    svg.push_str("</svg>");
    svg
}

/// The step of a shift, 0 to 4.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 to 4
fn level(shift: f64) -> u8 {
    (shift.clamp(0.0, 1.0) * (f64::from(LEVELS) - 0.001)) as u8
}

/// Each cluster's name at the middle of its dots, where no other name is near.
#[allow(clippy::cast_precision_loss)] // prompts are few
fn names(
    svg: &mut String,
    map: &PromptMap,
    drawn: &[&PromptPoint],
    (x, y): (&dyn Fn(f64) -> f64, &dyn Fn(f64) -> f64),
) {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for (number, name) in map.clusters.iter().enumerate() {
        let own: Vec<&&PromptPoint> = drawn.iter().filter(|point| point.cluster == Some(number)).collect();
        if own.is_empty() {
            continue;
        }
        let n = own.len() as f64;
        let middle = (
            own.iter().map(|point| x(point.x)).sum::<f64>() / n,
            own.iter().map(|point| y(point.y)).sum::<f64>() / n,
        );
        let middle = (middle.0.clamp(NAME_SPACE, MAP_WIDTH - NAME_SPACE), middle.1);
        let near = |other: &(f64, f64)| {
            (other.0 - middle.0).abs() < 2.0 * NAME_SPACE && (other.1 - middle.1).abs() < 14.0
        };
        if taken.iter().any(near) {
            continue;
        }
        taken.push(middle);
        let _ = write!(
            svg,
            "<text class=\"cluster\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            middle.0,
            middle.1,
            html(&shorten(name, 28), Lines::Join)
        );
    }
}

/// The least and the greatest of some values.
struct Ends {
    low: f64,
    high: f64,
}

impl Ends {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let start = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        values.fold(start, |ends, value| Self { low: ends.low.min(value), high: ends.high.max(value) })
    }

    /// Where a value lies on a drawing of this size.
    fn place(&self, value: f64, size: f64) -> f64 {
        let share = if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 };
        12.0 + share * (size - 24.0)
    }
}

/// Mean distances of the candidate over time, control's distance from itself shaded below.
#[allow(clippy::cast_precision_loss)] // periods are few
pub(super) fn distances(periods: &[MeaningPeriod]) -> String {
    let noise = |period: &MeaningPeriod| period.noise_distance.filter(|noise| noise.is_finite());
    let top =
        periods.iter().map(|one| one.distance.max(noise(one).unwrap_or(0.0))).fold(1e-9, f64::max) * 1.1;
    let x =
        |at: usize| LEFT + at as f64 / periods.len().saturating_sub(1).max(1) as f64 * (CHART_WIDTH - LEFT);
    let y = |distance: f64| (1.0 - (distance / top).clamp(0.0, 1.0)) * CHART_HEIGHT;
    let (first, last) = (periods.first(), periods.last());
    let label = format!(
        "distance of the candidate's answers from control's, {} parts of the time: first {}, last {}",
        periods.len(),
        numbers::value_or_dash("score", first.map(|one| one.distance)),
        numbers::value_or_dash("score", last.map(|one| one.distance))
    );
    let mut svg = format!(
        "<svg class=\"chart cumulative\" viewBox=\"0 0 {CHART_WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        CHART_HEIGHT + 16.0,
        html(&label, Lines::Join)
    );
    let floor: Vec<String> = periods
        .iter()
        .enumerate()
        .filter_map(|(at, period)| Some(format!("{:.1} {:.1}", x(at), y(noise(period)?))))
        .collect();
    if let (Some(from), Some(to)) = (
        periods.iter().position(|one| noise(one).is_some()),
        periods.iter().rposition(|one| noise(one).is_some()),
    ) {
        let _ = write!(
            svg,
            "<path class=\"floor\" d=\"M{:.1} {CHART_HEIGHT}L{}L{:.1} {CHART_HEIGHT}Z\"/>",
            x(from),
            floor.join("L"),
            x(to)
        );
    }
    let line: Vec<String> =
        periods.iter().enumerate().map(|(at, one)| format!("{:.1} {:.1}", x(at), y(one.distance))).collect();
    let _ = write!(
        svg,
        "<path class=\"candidate\" d=\"M{}\"/><line class=\"axis\" x1=\"{LEFT}\" x2=\"{CHART_WIDTH}\" y1=\"{CHART_HEIGHT}\" y2=\"{CHART_HEIGHT}\"/>",
        line.join("L")
    );
    for (value, place) in [(0.0, CHART_HEIGHT), (top, 9.0)] {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{place:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 4.0,
            html(&numbers::value("score", value), Lines::Join)
        );
    }
    for (place, anchor, period) in [(LEFT, "start", first), (CHART_WIDTH, "end", last)] {
        let at = period.map(|one| clock(&one.from)).unwrap_or_default();
        let _ = write!(
            svg,
            "<text x=\"{place}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            CHART_HEIGHT + 13.0,
            html(&at, Lines::Join)
        );
    }
    svg.push_str("</svg>");
    svg
}
