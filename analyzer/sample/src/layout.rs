//! Where things are in the data folder: `DATA/<kind>/experiment=E/date=YYYY-MM-DD/hour=HH/<name>.parquet`, all UTC.
//!
//! Invariant: an experiment's name is `[a-z0-9-]{1,63}` before it becomes part of a path, so no escaping is needed.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::record::{Kind, TS_US_MAX};

/// Longest experiment name, characters.
pub const EXPERIMENT_CHARS_MAX: usize = 63;

/// The folder within the data folder in which looks keep what they have measured; it may be deleted at any time.
pub const FIGURES_FOLDER: &str = ".figures";

/// One folder of Parquet files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The table.
    pub kind: Kind,
    /// The experiment, valid by [`is_experiment`].
    pub experiment: String,
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    /// `00` to `23`, UTC.
    pub hour: String,
}

impl Partition {
    /// The partition of a row; `None` for a foreign experiment name or a time outside 1970 to 9999.
    pub fn of(kind: Kind, experiment: &str, ts_us: i64) -> Option<Self> {
        if !is_experiment(experiment) || !(0..=TS_US_MAX).contains(&ts_us) {
            return None;
        }
        let time = Timestamp::from_microsecond(ts_us).ok()?.to_zoned(TimeZone::UTC);
        Some(Self {
            kind,
            experiment: experiment.to_owned(),
            date: time.date().to_string(),
            hour: format!("{:02}", time.hour()),
        })
    }

    /// The partition whose folder this is; `None` for a folder that is none.
    pub fn of_folder(data_dir: &Path, folder: &Path) -> Option<Self> {
        let parts: Vec<&str> =
            folder.strip_prefix(data_dir).ok()?.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
        let [kind, experiment, date, hour] = parts.as_slice() else { return None };
        let kind = [Kind::Samples, Kind::Scores].into_iter().find(|known| known.as_str() == *kind)?;
        let partition = Self {
            kind,
            experiment: experiment.strip_prefix("experiment=").filter(|name| is_experiment(name))?.to_owned(),
            date: date.strip_prefix("date=")?.to_owned(),
            hour: hour.strip_prefix("hour=")?.to_owned(),
        };
        // The name must be the one that its time gives.
        let again = Self::of(kind, &partition.experiment, partition.start_us()?)?;
        (again == partition).then_some(partition)
    }

    /// The first microsecond of the hour, since 1970 UTC.
    pub fn start_us(&self) -> Option<i64> {
        let hour: i8 = self.hour.parse().ok()?;
        let time =
            self.date.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0).with().hour(hour).build().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    }

    /// The folder below `data_dir`.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        experiment_folder(data_dir, self.kind, &self.experiment)
            .join(format!("date={}", self.date))
            .join(format!("hour={}", self.hour))
    }
}

/// The folder of one experiment's rows of one kind.
pub fn experiment_folder(data_dir: &Path, kind: Kind, experiment: &str) -> PathBuf {
    data_dir.join(kind.as_str()).join(format!("experiment={experiment}"))
}

/// Whether a name may be an experiment: 1 to 63 of `a` to `z`, digits and hyphens.
pub fn is_experiment(name: &str) -> bool {
    (1..=EXPERIMENT_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
