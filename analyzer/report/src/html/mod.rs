//! The HTML view: one file that works from `file://`, without a script and without a request to anywhere.
//!
//! The content security policy allows nothing but the one style sheet (by its hash), so that even an escaping mistake
//! could not run anything. Plots are inline SVG. Everything that was captured or configured passes
//! [`crate::escape::html`].

mod plots;
mod sections;

use crate::escape::{Lines, html};
use crate::model::Report;
use crate::words;

const STYLE: &str = include_str!("style.css");
/// SHA-256 of [`STYLE`], base64; a test keeps it right.
const STYLE_HASH: &str = "fRYSAviZIafX2DNc8nRTCmAaJQhGO+bzOCl/+9QIgvo=";

/// Draws the report.
pub(crate) fn render(report: &Report) -> String {
    let mut page = String::with_capacity(64 * 1024);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-",
    );
    page.push_str(STYLE_HASH);
    page.push_str("'; base-uri 'none'; form-action 'none'\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    page.push_str(words::verdict(report.evaluation.verdict));
    page.push_str(": ");
    page.push_str(&html(&report.experiment, Lines::Join));
    page.push_str("</title>\n<style>");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n");
    sections::all(&mut page, report);
    page.push_str("</body>\n</html>\n");
    page
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
}
