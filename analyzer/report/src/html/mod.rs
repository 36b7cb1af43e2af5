//! The HTML view: one file that works from `file://` and asks nobody for anything.
//!
//! Everything that is to be read is in the document itself, drawn here, so that it is there without scripts, too. The live
//! page (`weir-page`, this crate among it, compiled to WebAssembly) is embedded with the report's JSON; it draws the same
//! parts again with [`fragments`] when somebody tries other gates.
//!
//! The content security policy allows the one style sheet and the one script, each by its hash, and WebAssembly
//! (`'wasm-unsafe-eval'` allows compiling a module and no evaluation of text). Nothing may be loaded or sent. Everything
//! that was captured or configured passes [`crate::escape::html`].

mod evidence;
mod gates;
mod head;
mod meaning;
mod pairs;
mod places;
mod plots;
mod record;
mod trial;
mod versions;

use std::fmt::Write as _;

use crate::escape::{Lines, html};
use crate::model::Report;
use crate::words;

pub use trial::outcomes;

const STYLE: &str = include_str!("style.css");
/// SHA-256 of [`STYLE`], base64; a test keeps it right.
const STYLE_HASH: &str = "6dXWHl77UETYk4e5GJMxZFM1T+cI0+WLBd7gDWsATbY=";

/// The built live page.
#[derive(Clone, Copy)]
struct Live {
    /// Glue and page script.
    script: &'static str,
    /// SHA-256 of `script`, base64.
    hash: &'static str,
    /// The module, gzip and base64.
    module: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/live.rs"));

/// Draws the report; `live` asks for the live page where it was built.
pub(crate) fn render(report: &Report, live: bool) -> String {
    let live = if live { LIVE } else { None };
    let mut page = String::with_capacity(1024 * 1024);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let script =
        live.map_or_else(|| "'none'".to_owned(), |live| format!("'sha256-{}' 'wasm-unsafe-eval'", live.hash));
    // Writing to a String cannot fail, here and in all sections.
    let _ = write!(
        page,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; \
         script-src {script}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{}: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        words::verdict(report.evaluation.verdict),
        text(&report.experiment),
    );
    body(&mut page, report);
    match live {
        Some(live) => embed(&mut page, report, live),
        None => page.push_str(
            "<p class=\"note\">Made without its live part: gates and policy cannot be tried here.</p>\n",
        ),
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// The parts that depend on the evaluation, each with the name of the element that holds it.
#[must_use]
pub fn fragments(report: &Report) -> Vec<(&'static str, String)> {
    let part = |draw: fn(&mut String, &Report)| {
        let mut text = String::new();
        draw(&mut text, report);
        text
    };
    vec![
        ("verdict", part(head::verdict)),
        ("reasons", part(head::reasons)),
        ("open", part(head::open)),
        ("gates", part(gates::table)),
        ("trajectories", part(gates::trajectories)),
        ("segments", part(evidence::segments)),
    ]
}

/// The order is that of the questions: what happened, how sure is that, why, can it be argued with, what did people see.
fn body(page: &mut String, report: &Report) {
    page.push_str("<a class=\"skip\" href=\"#gates\">To the gates</a>\n");
    let parts = fragments(report);
    let part = |page: &mut String, name: &str| {
        let text = parts.iter().find(|(part, _)| *part == name).map_or("", |(_, text)| text);
        let _ = writeln!(page, "<div data-part=\"{name}\">{text}</div>");
    };
    page.push_str("<header>\n");
    part(page, "verdict");
    head::facts(page, report);
    page.push_str("</header>\n");
    head::contents(page, report);
    page.push_str("<main>\n<section id=\"gates\">\n<h2>Gates</h2>\n");
    part(page, "gates");
    page.push_str("</section>\n<div class=\"columns\">\n<section id=\"why\">\n<h2>Why</h2>\n");
    part(page, "reasons");
    page.push_str("</section>\n<section id=\"open\">\n<h2>Not decided, not measured</h2>\n");
    part(page, "open");
    page.push_str("</section>\n</div>\n");
    trial::gates(page, report);
    part(page, "trajectories");
    part(page, "segments");
    pairs::all(page, report);
    evidence::distributions(page, report);
    evidence::cost(page, report);
    meaning::section(page, report);
    evidence::judges(page, report);
    record::timeline(page, report);
    record::health(page, report);
    trial::policy(page, report);
    record::methods(page, report);
    record::provenance(page, report);
    page.push_str("</main>\n");
}

/// The report's JSON, the module and the script.
fn embed(page: &mut String, report: &Report, live: Live) {
    // A report that could be drawn can be written: its numbers are finite or null.
    let data = serde_json::to_string(report).unwrap_or_default().replace('<', "\\u003c");
    let _ = write!(
        page,
        "<script type=\"application/json\" id=\"report\">{data}</script>\n\
         <script type=\"application/octet-stream\" id=\"module\">{}</script>\n<script>{}</script>\n",
        live.module, live.script
    );
}

/// Captured or configured text within a line.
fn text(text: &str) -> String {
    html(text, Lines::Join)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_style_sheet_by_its_hash() {
        assert_eq!(STYLE_HASH, STANDARD.encode(Sha256::digest(STYLE)));
    }

    #[test]
    fn the_policy_names_the_script_by_its_hash() {
        if let Some(live) = LIVE {
            assert_eq!(live.hash, STANDARD.encode(Sha256::digest(live.script)));
            assert!(!live.script.contains("</script"));
        }
    }
}
