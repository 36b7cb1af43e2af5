//! What judges said about the answers of a few exchanges: their reasons, read from the scores' files when a report is made.
//!
//! The same judge may judge again: its last word counts. One sentence for several criteria, or for both answers, is told once.
//! Limit: [`REMARKS_MAX`] of an exchange. Reasons are as hostile as what was judged; who shows them escapes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use polars::prelude::{Expr, StringType, col, lit};
use weir_sample::Leg;

use crate::error::MetricsError;
use crate::files::{self, SCORES};
use crate::scan::{Cells, scan};

/// Remarks about one exchange.
const REMARKS_MAX: usize = 8;
const COLUMNS: [&str; 6] = ["sample_id", "leg", "ts", "criterion", "judge", "reason"];

/// Sample id, judge, leg and criterion.
type Place = (String, String, &'static str, String);

/// Sample id, judge and reason.
type Remark = (String, String, String);
/// The legs and the criteria that a remark is about.
type About = (BTreeSet<&'static str>, BTreeSet<String>);

/// Remarks by sample id.
pub(crate) fn read(
    data_dir: &Path,
    experiment: &str,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Vec<String>>, MetricsError> {
    let Some(of_ids) = ids.iter().map(|id| col("sample_id").eq(lit(*id))).reduce(Expr::or) else {
        return Ok(BTreeMap::new());
    };
    let mut last: BTreeMap<Place, (i64, String)> = BTreeMap::new();
    for path in files::part_files(data_dir, SCORES, experiment)?.parts {
        match said(&path, of_ids.clone(), &mut last) {
            // Merged away, or damaged: the look has named it.
            Err(MetricsError::Query { .. }) => {}
            done => done?,
        }
    }
    let mut criteria: BTreeMap<Remark, About> = BTreeMap::new();
    for ((id, judge, leg, criterion), (_, reason)) in last {
        let (legs, of) = criteria.entry((id, judge, reason)).or_default();
        legs.insert(leg);
        of.insert(criterion);
    }
    let mut remarks: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    for ((id, judge, reason), (legs, of)) in criteria {
        let about = match legs.iter().collect::<Vec<_>>().as_slice() {
            [leg] if **leg == Leg::Primary.as_str() => "control",
            [leg] if **leg == Leg::Shadow.as_str() => "candidate",
            [_] => "control again",
            _ => "the answers",
        };
        let judge = if judge.is_empty() { "a judge" } else { judge.as_str() };
        let of: Vec<&str> = of.iter().map(String::as_str).collect();
        remarks
            .entry(id)
            .or_default()
            .push((about, format!("{judge} on {about} ({}): {reason}", of.join(", "))));
    }
    let sorted = |(id, mut remarks): (String, Vec<(&str, String)>)| {
        // Control before the candidate.
        remarks.sort_by(|one, other| other.0.cmp(one.0).then_with(|| one.1.cmp(&other.1)));
        (id, remarks.into_iter().map(|(_, remark)| remark).take(REMARKS_MAX).collect())
    };
    Ok(remarks.into_iter().map(sorted).collect())
}

fn said(path: &Path, of_ids: Expr, last: &mut BTreeMap<Place, (i64, String)>) -> Result<(), MetricsError> {
    let frame = scan(path, &COLUMNS, &[], Some(of_ids))?;
    let Some(reasons) = frame.text("reason")? else { return Ok(()) };
    let (ids, legs, times) = (frame.text("sample_id")?, frame.text("leg")?, frame.integers("ts")?);
    let (criteria, judges) = (frame.text("criterion")?, frame.text("judge")?);
    for row in 0..frame.rows() {
        let text = |column: Option<Cells<'_, StringType>>| {
            column.and_then(|column| column.get(row)).unwrap_or_default().to_owned()
        };
        let leg = legs.and_then(|column| column.get(row)).and_then(Leg::parse);
        let (Some(reason), Some(leg)) = (reasons.get(row), leg) else { continue };
        let at = times.and_then(|column| column.get(row)).unwrap_or_default();
        let new = (at, reason.to_owned());
        let place = (text(ids), text(judges), leg.as_str(), text(criteria));
        let known = last.entry(place).or_insert_with(|| new.clone());
        if new > *known {
            *known = new;
        }
    }
    Ok(())
}
