//! What the page's script may call. Texts in, texts out: JSON, HTML that is escaped already, or the text of an error.
#![allow(unsafe_code, unreachable_pub)] // what wasm-bindgen generates, and what only the browser reaches

use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;
use weir_report::{Format, RenderOptions};

use crate::{Change, Sitting, difference, playground, to_yaml};

/// The part that is drawn apart, since it takes longest.
const OVER_TIME: &str = "trajectories";

/// An opened report.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    sitting: Sitting,
}

#[wasm_bindgen]
impl Session {
    /// Opens the report's JSON.
    ///
    /// # Errors
    /// Why it cannot be read, with line and column.
    #[wasm_bindgen(constructor)]
    pub fn new(report: &str) -> Result<Self, String> {
        let report = weir_report::parse(report).map_err(|error| error.to_string())?;
        Ok(Self { sitting: Sitting::new(report) })
    }

    /// Whether the evidence, judged again without a change, gives the evaluation of the report.
    pub fn agrees(&mut self) -> bool {
        let again = self.sitting.changed(&Change::default());
        again.is_ok_and(|(again, _)| again.evaluation == self.sitting.report().evaluation)
    }

    /// How many looks the report has.
    pub fn looks(&self) -> usize {
        self.sitting.report().looks.len()
    }

    /// The report with a change (JSON), as `weir report --gates` writes it.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn report(&mut self, change: &str) -> Result<String, String> {
        let changed = self.sitting.whole(&read(change)?).map_err(|error| error.to_string())?;
        weir_report::render(&changed, Format::Json, &RenderOptions::default())
            .map_err(|error| error.to_string())
    }

    /// The page's parts with a change (JSON): `{"said": text, "verdict": word, "parts": {name: html},
    /// "outcomes": [[gate, html]]}`.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn view(&mut self, change: &str) -> Result<String, String> {
        let (changed, _) = self.sitting.changed(&read(change)?).map_err(|error| error.to_string())?;
        let parts: serde_json::Map<String, Value> = weir_report::fragments(&changed)
            .into_iter()
            .filter(|(name, _)| *name != OVER_TIME)
            .map(|(name, html)| (name.to_owned(), Value::from(html)))
            .collect();
        Ok(json!({
            "said": difference(&self.sitting.report().evaluation, &changed.evaluation),
            "verdict": changed.evaluation.verdict.as_str(),
            "parts": parts,
            "outcomes": weir_report::outcomes(&changed),
        })
        .to_string())
    }

    /// Measures one look for [`Session::over_time`] ahead, which then only draws.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn measure_look(&mut self, change: &str, look: usize) -> Result<(), String> {
        self.sitting.measure_look(&read(change)?, look).map_err(|error| error.to_string())
    }

    /// The gates over time with a change (JSON), as HTML.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn over_time(&mut self, change: &str) -> Result<String, String> {
        let tried = self.sitting.trajectories(&read(change)?).map_err(|error| error.to_string())?;
        let (mut changed, trajectories) = tried;
        changed.trajectories = trajectories;
        let parts = weir_report::fragments(&changed);
        Ok(parts.into_iter().find(|(name, _)| *name == OVER_TIME).map(|(_, html)| html).unwrap_or_default())
    }

    /// The gates of a change (JSON) as YAML.
    ///
    /// # Errors
    /// Why the change cannot be tried.
    pub fn yaml(&mut self, change: &str) -> Result<String, String> {
        let (changed, _) = self.sitting.changed(&read(change)?).map_err(|error| error.to_string())?;
        Ok(to_yaml(&changed.gates))
    }
}

fn read(change: &str) -> Result<Change, String> {
    serde_json::from_str(change).map_err(|error| format!("the change cannot be read: {error}"))
}

/// A request assigned by a policy, as HTML; see [`playground`].
///
/// # Errors
/// The policy's problems, or the line of headers that is none.
#[wasm_bindgen]
pub fn assign(policy: &str, before: &str, headers: &str) -> Result<String, String> {
    playground(policy, before, headers).map(|result| result.to_html())
}
