//! What the page's script may call. Texts in, texts out: JSON, HTML that is escaped already, or the text of an error.
#![allow(unsafe_code, unreachable_pub)] // what wasm-bindgen generates, and what only the browser reaches

use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;
use weir_report::{Format, RenderOptions, Report};

use crate::{Change, difference, playground, to_yaml, what_if};

/// An opened report.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    report: Report,
}

#[wasm_bindgen]
impl Session {
    /// Opens the report's JSON.
    ///
    /// # Errors
    /// Why it cannot be read, with line and column.
    #[wasm_bindgen(constructor)]
    pub fn new(report: &str) -> Result<Self, String> {
        Ok(Self { report: weir_report::parse(report).map_err(|error| error.to_string())? })
    }

    /// Whether the evidence, judged again without a change, gives the evaluation of the report.
    pub fn agrees(&self) -> bool {
        what_if(&self.report, &Change::default())
            .is_ok_and(|again| again.evaluation == self.report.evaluation)
    }

    /// The report with a change (JSON), as `weir report --gates` writes it.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn report(&self, change: &str) -> Result<String, String> {
        weir_report::render(&self.changed(change)?, Format::Json, &RenderOptions::default())
            .map_err(|error| error.to_string())
    }

    /// The page's parts with a change (JSON): `{"said": text, "verdict": word, "parts": {name: html}}`.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn view(&self, change: &str) -> Result<String, String> {
        let changed = self.changed(change)?;
        let parts: serde_json::Map<String, Value> = weir_report::fragments(&changed)
            .into_iter()
            .map(|(name, html)| (name.to_owned(), Value::from(html)))
            .collect();
        Ok(json!({
            "said": difference(&self.report.evaluation, &changed.evaluation),
            "verdict": changed.evaluation.verdict.as_str(),
            "parts": parts,
        })
        .to_string())
    }

    /// The gates of a change (JSON) as YAML.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn yaml(&self, change: &str) -> Result<String, String> {
        Ok(to_yaml(&self.changed(change)?.gates))
    }

    fn changed(&self, change: &str) -> Result<Report, String> {
        let change: Change = serde_json::from_str(change).map_err(|error| error.to_string())?;
        what_if(&self.report, &change).map_err(|error| error.to_string())
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
