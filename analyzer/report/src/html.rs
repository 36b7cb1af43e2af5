//! The HTML view.

use crate::model::Report;

/// Draws the report.
pub(crate) fn render(report: &Report) -> String {
    format!(
        "<!doctype html>\n<title>{}</title>\n",
        crate::escape::html(&report.experiment, crate::escape::Lines::Join)
    )
}
