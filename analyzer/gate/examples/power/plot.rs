//! The tables as a picture: one panel per scenario, one line per rule, drawn as SVG with nothing but text.

use std::fmt::Write as _;

use crate::{PAIRS, RULES};

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (310.0, 240.0);
/// The axes within a panel: left, top, width, height.
const AXES: (f64, f64, f64, f64) = (44.0, 34.0, 246.0, 160.0);
const LEGEND: f64 = 44.0;
/// Colour and dashes of each rule (Okabe and Ito's colours, which people with any colour vision tell apart).
const STYLES: [(&str, &str); 5] =
    [("#0072B2", ""), ("#56B4E9", "6 3"), ("#E69F00", "6 3"), ("#D55E00", ""), ("#009E73", "2 3")];

/// One scenario: its name, and for each rule the share of rollouts that were rolled back at each n.
pub(crate) type Panel = (String, [[f64; PAIRS.len()]; RULES.len()]);

/// The picture.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (PANEL.0 * COLUMNS as f64, LEGEND + PANEL.1 * rows as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <title>Share of simulated rollouts that are rolled back, by pairs</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    legend(&mut text);
    for (at, panel) in panels.iter().enumerate() {
        let (x, y) = ((at % COLUMNS) as f64 * PANEL.0, LEGEND + (at / COLUMNS) as f64 * PANEL.1);
        draw(&mut text, panel, x, y);
    }
    text.push_str("</svg>\n");
    text
}

fn legend(text: &mut String) {
    for (at, (name, (colour, dashes))) in RULES.iter().zip(STYLES).enumerate() {
        let (x, y) = (14.0 + (at % COLUMNS) as f64 * PANEL.0, 16.0 + (at / COLUMNS) as f64 * 18.0);
        let _infallible = writeln!(
            text,
            "<path d=\"M{x} {y}h28\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\
             <text x=\"{}\" y=\"{}\">{name}</text>",
            x + 34.0,
            y + 4.0
        );
    }
}

fn draw(text: &mut String, (name, rules): &Panel, x: f64, y: f64) {
    let (left, top, width, height) = (x + AXES.0, y + AXES.1, AXES.2, AXES.3);
    let across = |at: usize| left + width * at as f64 / (PAIRS.len() - 1) as f64;
    let up = |share: f64| top + height * (1.0 - share);
    let title = name.split_once(": ").map_or(name.as_str(), |(short, _)| short);
    let _infallible =
        writeln!(text, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 12.0);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _infallible = writeln!(
            text,
            "<path d=\"M{left} {at}h{width}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0} %</text>",
            left - 5.0,
            up(share) + 4.0,
            100.0 * share,
            at = up(share)
        );
    }
    for (at, n) in PAIRS.iter().enumerate() {
        let (x, y) = (across(at), top + height + 15.0);
        let _infallible = writeln!(text, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{n}</text>");
    }
    let _infallible = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">pairs</text>",
        left + width / 2.0,
        top + height + 30.0
    );
    for (shares, (colour, dashes)) in rules.iter().zip(STYLES) {
        let points: Vec<String> = shares
            .iter()
            .enumerate()
            .map(|(at, share)| format!("{:.1},{:.1}", across(at), up(*share)))
            .collect();
        let _infallible = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            points.join(" ")
        );
    }
}
