//! What the page's script may call. Texts in, texts out: JSON, HTML that is escaped already, or the text of an error.
#![allow(unsafe_code, unreachable_pub)] // what wasm-bindgen generates, and what only the browser reaches

use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;
use weir_gate::{Gates, MetricSeries};
use weir_report::{Format, RenderOptions, Report};

use crate::change::judge;
use crate::{Change, difference, playground, to_yaml, trajectories};

/// The part that is drawn apart, since it takes longest.
const OVER_TIME: &str = "trajectories";

/// An opened report.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    /// Without its evidence.
    report: Report,
    evidence: Vec<MetricSeries>,
}

#[wasm_bindgen]
impl Session {
    /// Opens the report's JSON.
    ///
    /// # Errors
    /// Why it cannot be read, with line and column.
    #[wasm_bindgen(constructor)]
    pub fn new(report: &str) -> Result<Self, String> {
        let mut report = weir_report::parse(report).map_err(|error| error.to_string())?;
        let evidence = std::mem::take(&mut report.evidence);
        Ok(Self { report, evidence })
    }

    /// Whether the evidence, judged again without a change, gives the evaluation of the report.
    pub fn agrees(&self) -> bool {
        let mut again = self.report.clone();
        let judged = judge(&mut again, &self.evidence, &Change::default());
        judged.is_ok() && again.evaluation == self.report.evaluation
    }

    /// The report with a change (JSON), as `weir report --gates` writes it.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn report(&self, change: &str) -> Result<String, String> {
        let (mut changed, gates) = self.changed(change)?;
        changed.trajectories = trajectories(&changed, &self.evidence, &gates);
        changed.evidence.clone_from(&self.evidence);
        weir_report::render(&changed, Format::Json, &RenderOptions::default())
            .map_err(|error| error.to_string())
    }

    /// The page's parts with a change (JSON): `{"said": text, "verdict": word, "parts": {name: html},
    /// "outcomes": [[gate, html]]}`.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn view(&self, change: &str) -> Result<String, String> {
        let (changed, _) = self.changed(change)?;
        let parts: serde_json::Map<String, Value> = weir_report::fragments(&changed)
            .into_iter()
            .filter(|(name, _)| *name != OVER_TIME)
            .map(|(name, html)| (name.to_owned(), Value::from(html)))
            .collect();
        Ok(json!({
            "said": difference(&self.report.evaluation, &changed.evaluation),
            "verdict": changed.evaluation.verdict.as_str(),
            "parts": parts,
            "outcomes": weir_report::outcomes(&changed),
        })
        .to_string())
    }

    /// The gates over time with a change (JSON), as HTML. Takes as long as a view of each look.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn over_time(&self, change: &str) -> Result<String, String> {
        let (mut changed, gates) = self.changed(change)?;
        changed.trajectories = trajectories(&changed, &self.evidence, &gates);
        let parts = weir_report::fragments(&changed);
        Ok(parts.into_iter().find(|(name, _)| *name == OVER_TIME).map(|(_, html)| html).unwrap_or_default())
    }

    /// The gates of a change (JSON) as YAML.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn yaml(&self, change: &str) -> Result<String, String> {
        Ok(to_yaml(&self.changed(change)?.0.gates))
    }

    fn changed(&self, change: &str) -> Result<(Report, Gates), String> {
        let change: Change = serde_json::from_str(change).map_err(|error| error.to_string())?;
        let mut changed = self.report.clone();
        let gates = judge(&mut changed, &self.evidence, &change).map_err(|error| error.to_string())?;
        Ok((changed, gates))
    }
}

/// A request assigned by a policy, as HTML; see [`playground`].
///
/// # Errors
/// The policy's problems, or the line of headers that is none.
#[wasm_bindgen]
pub fn assign(policy: &str, before: &str, headers: &str) -> Result<String, String> {
    playground(policy, before, headers).map(|result| result.to_html())
}
