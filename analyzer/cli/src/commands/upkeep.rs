//! `weir compact`, `weir forget`: merges and retention, erasure of one identity.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use weir_collector::upkeep::{
    CompactOptions, CompactSummary, ForgetOptions, ForgetSummary, UpkeepError, compact, compact_store,
    forget, forget_in_store,
};
use weir_policy::Policy;
use weir_report::{Progress, Unit};

use crate::arguments::{CompactArguments, ForgetArguments};
use crate::commands::documents::{self, Traffic};
use crate::commands::store;
use crate::exit::{Exit, Failure, Outcome};
use crate::say::say;

/// How long a running collector may take to write its log to Parquet.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `weir compact`.
pub(crate) fn run_compact(arguments: &CompactArguments) -> Outcome {
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let options = CompactOptions {
        data_dir: arguments.data.clone(),
        experiment: arguments.experiment.clone(),
        now_us: i64::try_from(now_us).unwrap_or(i64::MAX),
        keep_days: arguments.keep_days,
        keep_bytes: arguments.keep_bytes,
        dry_run: arguments.dry_run,
        progress: hours,
    };
    let done = match store::of(&arguments.data) {
        Some(store) => compact_store(&store, &options),
        None => compact(&options),
    };
    let done = done.map_err(refused)?;
    done.problems.iter().for_each(|problem| eprintln!("warning: {problem}"));
    say!("{}", compacted(&done, arguments));
    Ok(Exit::Pass)
}

/// Runs `weir forget`.
pub(crate) fn run_forget(arguments: &ForgetArguments) -> Outcome {
    let mut exit = Exit::Pass;
    for identity_hash in identity_hashes(arguments)? {
        if forget_one(arguments, identity_hash)? == Exit::Data {
            exit = Exit::Data;
        }
    }
    Ok(exit)
}

/// The hashes of an identity: one per experiment, since each has its own salt.
fn identity_hashes(arguments: &ForgetArguments) -> Result<Vec<String>, Failure> {
    let (Some(identity), Some(path)) = (&arguments.identity, &arguments.policy) else {
        return Ok(vec![arguments.identity_hash.clone().unwrap_or_default()]);
    };
    let policies = match documents::read(path, None)? {
        Traffic::Policy(policy) => vec![*policy],
        Traffic::Experiments(several) => several.experiments,
    };
    let hash = |policy: &Policy| weir_policy::identity_hash(policy.salt(), identity.as_bytes());
    Ok(policies.iter().map(|policy| format!("{:016x}", hash(policy))).collect())
}

fn forget_one(arguments: &ForgetArguments, identity_hash: String) -> Outcome {
    let options = ForgetOptions {
        data_dir: arguments.data.clone(),
        identity_hash: identity_hash.clone(),
        dry_run: arguments.dry_run,
        patience: PATIENCE,
        progress: files,
        log: Arc::new(|line| eprintln!("log: {line}")),
    };
    let done = match store::of(&arguments.data) {
        Some(store) => forget_in_store(&store, &options),
        None => forget(&options),
    };
    let done = done.map_err(refused)?;
    say!("{}", forgotten(&done, &identity_hash, arguments.dry_run));
    done.unsearched.iter().for_each(|problem| eprintln!("warning: not searched: {problem}"));
    Ok(if done.unsearched.is_empty() { Exit::Pass } else { Exit::Data })
}

fn compacted(done: &CompactSummary, arguments: &CompactArguments) -> String {
    let mut text = String::new();
    let would = if arguments.dry_run { "would be " } else { "" };
    if arguments.keep_days.is_some() || arguments.keep_bytes.is_some() {
        text = format!(
            "{} {would}removed, {} with {}\n",
            counted(done.removed_files, "file"),
            counted(done.removed_hours, "hour"),
            size(done.removed_bytes)
        );
    }
    text += &format!("{} {would}merged into {}", counted(done.merged_files, "file"), done.new_files);
    if done.merged_files > 0 && arguments.dry_run {
        text += &format!(": {}, {}", counted(done.rows, "row"), size(done.bytes_before));
    } else if done.merged_files > 0 {
        text += &format!(
            ": {}, {} to {}, {} left out",
            counted(done.rows, "row"),
            size(done.bytes_before),
            size(done.bytes_after),
            counted(done.duplicates, "duplicate")
        );
    }
    if done.open_hours > 0 {
        text += &format!("; {} not closed yet", counted(done.open_hours, "hour"));
    }
    if done.left_over > 0 {
        text += &format!("; {} of an interrupted run removed", counted(done.left_over, "file"));
    }
    text
}

fn forgotten(done: &ForgetSummary, hash: &str, dry_run: bool) -> String {
    let what = format!(
        "{} and {} of identity {hash}",
        counted(done.samples, "sample"),
        counted(done.scores, "score"),
    );
    if dry_run {
        let files = done.rewritten_files + done.removed_files;
        let in_log = counted(done.in_log, "sample");
        return format!("{what} would be erased from {}, and {in_log} from the log", counted(files, "file"));
    }
    format!(
        "{what} erased; {} written anew, {} removed",
        counted(done.rewritten_files, "file"),
        done.removed_files
    )
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[allow(clippy::cast_precision_loss)] // shown with one digit
fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// How many hours are merged.
fn hours(done: u64, all: u64) {
    static SHOWN: LazyLock<Progress> = LazyLock::new(|| Progress::new("merging", Unit::Count("hours")));
    SHOWN.at(done, all);
}

/// How many files are searched.
fn files(done: u64, all: u64) {
    static SHOWN: LazyLock<Progress> = LazyLock::new(|| Progress::new("searching", Unit::Count("files")));
    SHOWN.at(done, all);
}

fn refused(error: UpkeepError) -> Failure {
    match error {
        UpkeepError::Store(error) => store::refused(error),
        error => Failure { exit: Exit::Data, error: error.into() },
    }
}
