//! Samples to a verdict and its report.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weir_gate::{Evaluation, Gates, Spending, Tripwire};
use weir_metrics::{Cache, LoadOptions, Loaded, MetricsFile, ReportParts};
use weir_report::{Report, TimelineEntry};

use crate::embedding::Embedding;
use crate::error::LookError;
use crate::heed::{calibrations, heed, judges, people};
use crate::judging::Judging;
use crate::meaning::{meaning, prompt_map};
use crate::pack::{pack_metrics, unmeasured};
use crate::tripwires::tripwires;
use crate::undecided::Undecided;

/// One look: what was loaded, by which gates it was judged, and how.
#[derive(Clone, Debug)]
pub struct Look {
    /// The evidence.
    pub loaded: Loaded,
    /// The gates.
    pub gates: Gates,
    /// The part of alpha that the look may spend.
    pub spending: Spending,
    /// What no score may override.
    pub tripwires: Vec<Tripwire>,
    /// What the gates say, tripwires and the trust in judges heeded.
    pub evaluation: Evaluation,
}

impl Look {
    /// Loads and judges. Without gates, the built-in pack for the metrics that are there.
    ///
    /// # Errors
    /// Evidence that cannot be read.
    pub fn take(
        options: &LoadOptions,
        gates: Option<&Gates>,
        spending: Spending,
        cache: &mut Cache,
    ) -> Result<Self, LookError> {
        let of_pack = || pack_metrics(options.definitions.as_deref());
        let metrics = gates.map_or_else(of_pack, metrics_of);
        let people = people(&options.data_dir)?;
        let mut loaded =
            weir_metrics::load_cached(&LoadOptions { metrics, people, ..options.clone() }, cache)?;
        if gates.is_none() {
            loaded.absent.extend(unmeasured(&loaded.series));
        }
        let gates = gates.cloned().unwrap_or_else(|| Gates::default_pack(&loaded.series));
        let evaluation = weir_gate::evaluate(&gates, &loaded.series, &loaded.health, spending);
        let tripwires = tripwires(&options.data_dir, &loaded)?;
        let evaluation = heed(evaluation, &tripwires, &options.data_dir, &loaded.experiment)?;
        Ok(Self { loaded, gates, spending, tripwires, evaluation })
    }

    /// The report of this look.
    ///
    /// # Errors
    /// Exemplars, findings or calibrations that cannot be read.
    pub fn report(&self, data_dir: &Path, timeline: Vec<TimelineEntry>) -> Result<Report, LookError> {
        let parts = ReportParts {
            data: data_dir.display().to_string(),
            gates_digest: self.gates.digest(),
            weir_version: env!("CARGO_PKG_VERSION").to_owned(),
            timeline,
        };
        let mut report = self.loaded.report(self.evaluation.clone(), parts)?;
        report.tripwires.clone_from(&self.tripwires);
        if let Some(findings) = weir_meaning::read_findings(data_dir, &self.loaded.experiment)? {
            report.meaning = Some(meaning(&findings));
            report.prompts = findings.map.as_ref().map(|map| prompt_map(map, &findings.embedder));
        }
        report.trust = judges(data_dir, &self.loaded.experiment)?;
        report.judges = calibrations(data_dir, &self.loaded.experiment)?;
        weir_page::complete_over(&mut report, &self.loaded.series, &self.gates, self.spending);
        Ok(report)
    }
}

/// Looks at one revision again and again; keeps what it has read for the next look.
pub struct Looker {
    data_dir: PathBuf,
    gates: Gates,
    cache: Mutex<Cache>,
    last: Mutex<Option<Arc<Look>>>,
    embedding: Option<Embedding>,
    judging: Option<Arc<Judging>>,
    definitions: Option<Arc<MetricsFile>>,
    keep_figures: bool,
}

impl Looker {
    /// Nothing is read before the first look.
    #[must_use]
    pub fn new(data_dir: PathBuf, gates: Gates) -> Self {
        Self {
            data_dir,
            gates,
            cache: Mutex::default(),
            last: Mutex::default(),
            embedding: None,
            judging: None,
            definitions: None,
            keep_figures: false,
        }
    }

    /// Embeds new answers before looks.
    #[must_use]
    pub fn embedding(self, embedding: Option<Embedding>) -> Self {
        Self { embedding, ..self }
    }

    /// Tells judges which revision is looked at.
    #[must_use]
    pub fn judging(self, judging: Option<Arc<Judging>>) -> Self {
        Self { judging, ..self }
    }

    /// Schemas, prices and metrics of the operator's own.
    #[must_use]
    pub fn defining(self, definitions: Option<Arc<MetricsFile>>) -> Self {
        Self { definitions, ..self }
    }

    /// Keeps the figures of files beside the data, so that a watch that starts again need not read them.
    #[must_use]
    pub fn keeping(self, keep_figures: bool) -> Self {
        Self { keep_figures, ..self }
    }

    /// One look at the samples of a revision.
    ///
    /// # Errors
    /// [`LookError`].
    pub fn look(&self, experiment: &str, revision: u64, spending: Spending) -> Result<Arc<Look>, LookError> {
        if let Some(embedding) = &self.embedding {
            embedding.refresh(&self.data_dir, experiment)?;
        }
        let number = i64::try_from(revision).map_err(|_| LookError::Revision(revision))?;
        if let Some(judging) = &self.judging {
            judging.prefer(number);
        }
        let options = LoadOptions {
            data_dir: self.data_dir.clone(),
            experiment: Some(experiment.to_owned()),
            revision: Some(number),
            definitions: self.definitions.clone(),
            keep_figures: self.keep_figures,
            settle: true,
            ..LoadOptions::default()
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let look = Arc::new(Look::take(&options, Some(&self.gates), spending, &mut cache)?);
        if let Some(judging) = &self.judging {
            judging.focus(Undecided::of(&look.evaluation));
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&look));
        Ok(look)
    }

    /// When the newest sample of the last look was asked for, in microseconds since 1970 UTC.
    #[must_use]
    pub fn newest_us(&self) -> Option<i64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.loaded.last_ts_us
    }

    /// The report of the last look, if there was one.
    ///
    /// # Errors
    /// [`Look::report`].
    pub fn report(&self, timeline: Vec<TimelineEntry>) -> Result<Option<Report>, LookError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|look| look.report(&self.data_dir, timeline)).transpose()
    }
}

fn metrics_of(gates: &Gates) -> Vec<String> {
    gates.gates.iter().map(|gate| gate.metric.clone()).collect()
}
