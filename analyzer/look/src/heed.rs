//! What a verdict has to heed beside its gates: tripwires of the embeddings, and how far judges are to be trusted.

use std::path::Path;

use weir_gate::{Evaluation, JudgeTrust, Severity, Tripwire};
use weir_meaning::MeaningError;
use weir_report::JudgeCalibration;

use crate::error::LookError;

/// Tripwires of the last embedding and the trust in judges, applied to a verdict.
///
/// # Errors
/// Findings or calibrations that are there and cannot be read.
pub fn heed(evaluation: Evaluation, data_dir: &Path, experiment: &str) -> Result<Evaluation, LookError> {
    let judges = judges(data_dir, experiment)?;
    Ok(weir_gate::restrain(evaluation, &tripwires(data_dir, experiment)?, &judges))
}

/// How far judges are to be trusted, as the last `weir judge` or `weir label` found it.
///
/// # Errors
/// A calibration that cannot be read.
pub fn judges(data_dir: &Path, experiment: &str) -> Result<Vec<JudgeTrust>, LookError> {
    let calibration = weir_judge::labels::stored(data_dir, experiment)?.unwrap_or_default();
    let trust = calibration.trust.into_iter();
    Ok(trust
        .map(|trust| JudgeTrust {
            criterion: trust.criterion,
            judge: trust.judge,
            calibrated: trust.calibrated,
            text: trust.text,
        })
        .collect())
}

/// The same for the report, with the agreement.
///
/// # Errors
/// A calibration that cannot be read.
pub fn calibrations(data_dir: &Path, experiment: &str) -> Result<Vec<JudgeCalibration>, LookError> {
    let calibration = weir_judge::labels::stored(data_dir, experiment)?.unwrap_or_default();
    let trust = calibration.trust.into_iter();
    Ok(trust
        .map(|trust| JudgeCalibration {
            labels: (trust.labels.0 + trust.labels.1) as u64,
            measure: "kappa".to_owned(),
            agreement: trust.kappa,
            criterion: trust.criterion,
            judge: trust.judge,
            calibrated: trust.calibrated,
            text: trust.text,
            interval: None,
        })
        .collect())
}

/// Tripwires of the last embedding.
///
/// # Errors
/// Findings that cannot be read.
pub fn tripwires(data_dir: &Path, experiment: &str) -> Result<Vec<Tripwire>, MeaningError> {
    let findings = weir_meaning::read_findings(data_dir, experiment)?;
    let fired = findings.iter().flat_map(|findings| &findings.tripwires);
    Ok(fired
        .map(|fired| Tripwire {
            name: fired.name.clone(),
            text: fired.text.clone(),
            severity: if fired.critical { Severity::Critical } else { Severity::Major },
        })
        .collect())
}
