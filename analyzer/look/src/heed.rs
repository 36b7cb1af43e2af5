//! What a verdict has to heed beside its gates: tripwires, and how far judges are to be trusted.

use std::path::{Path, PathBuf};

use weir_gate::{Evaluation, JudgeTrust, Tripwire};
use weir_judge::breakdown::Part;
use weir_judge::labels::{Calibration, LabelError, Settled, calibrate, file, read_labels, settled, stored};
use weir_judge::run::{JUDGE_PART, RunError};
use weir_metrics::PersonScore;
use weir_report::{JudgeCalibration, JudgePart};

use weir_sample::{Kind, list_files};

use crate::error::LookError;

/// Tripwires and the trust in judges, applied to a verdict.
///
/// # Errors
/// Calibrations that are there and cannot be read.
pub(crate) fn heed(
    evaluation: Evaluation,
    tripwires: &[Tripwire],
    data_dir: &Path,
    experiment: &str,
) -> Result<Evaluation, LookError> {
    let judges = judges(data_dir, experiment)?;
    Ok(weir_gate::restrain(evaluation, tripwires, &judges))
}

/// How far judges are to be trusted, as the last `weir judge` or `weir label` found it.
///
/// # Errors
/// A calibration that cannot be read.
pub fn judges(data_dir: &Path, experiment: &str) -> Result<Vec<JudgeTrust>, LookError> {
    let calibration = calibration(data_dir, experiment)?;
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

/// What people say of answers, for the gates on judges' scores.
///
/// # Errors
/// Labels that cannot be read.
pub fn people(data_dir: &Path) -> Result<Vec<PersonScore>, LookError> {
    let labels = read_labels(&file(data_dir))?;
    let one = |label: Settled| PersonScore {
        sample_id: label.sample_id,
        leg: label.leg,
        criterion: label.criterion,
        score: label.score,
        weight: label.weight,
    };
    Ok(settled(&labels).into_iter().map(one).collect())
}

/// The same for the report, with the agreement.
///
/// # Errors
/// A calibration that cannot be read.
pub fn calibrations(data_dir: &Path, experiment: &str) -> Result<Vec<JudgeCalibration>, LookError> {
    let calibration = calibration(data_dir, experiment)?;
    let trust = calibration.trust.into_iter();
    Ok(trust
        .map(|trust| JudgeCalibration {
            labels: (trust.labels.0 + trust.labels.1) as u64,
            measure: "kappa".to_owned(),
            agreement: trust.kappa,
            share: trust.agreement,
            alpha: trust.alpha,
            bias_control: trust.bias.0,
            bias_candidate: trust.bias.1,
            length_bias: trust.length_bias,
            pairs_both_orders: trust.position.map_or(0, |position| position.pairs as u64),
            flips: trust.position.map_or(0, |position| position.flips as u64),
            asked_twice: trust.twice.map_or(0, |twice| twice.answers as u64),
            same_twice: trust.twice.map_or(0, |twice| twice.same as u64),
            first_preferred: trust.position.map(|position| position.first),
            parts: trust.parts.into_iter().map(part).collect(),
            criterion: trust.criterion,
            judge: trust.judge,
            calibrated: trust.calibrated,
            text: trust.text,
            interval: None,
        })
        .collect())
}

/// What is stored; where a judge's scores are there before anybody has held them against labels, that is done now, so that
/// no judge passes for one that nobody has to trust.
fn calibration(data_dir: &Path, experiment: &str) -> Result<Calibration, LookError> {
    if let Some(stored) = stored(data_dir, experiment)? {
        return Ok(stored);
    }
    let files = list_files(data_dir, Kind::Scores, Some(experiment))
        .map_err(RunError::from)
        .map_err(LabelError::from)?;
    let by_judge = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(JUDGE_PART))
    };
    if !files.iter().any(by_judge) {
        return Ok(Calibration::default());
    }
    Ok(calibrate(data_dir, experiment, &read_labels(&file(data_dir))?)?)
}

fn part(part: Part) -> JudgePart {
    JudgePart {
        of: part.of,
        labels: part.labels as u64,
        share: part.agreement,
        kappa: part.kappa,
        bias: part.bias,
        length_bias: part.length_bias,
    }
}
