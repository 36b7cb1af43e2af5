//! Merging, retention and erasure: every row exactly once for whoever reads meanwhile, also when the process is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::*;
use weir_collector::Collector;
use weir_collector::upkeep::*;
use weir_sample::*;

/// 2026-09-21 14:13:20 UTC.
const TS: i64 = 1_790_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;
const DATA: &str = "WEIR_UPKEEP_DATA";
const DO: &str = "WEIR_UPKEEP_DO";
const ADA: &str = "00000000000000aa";

fn compacting(data: &Path) -> CompactOptions {
    CompactOptions {
        data_dir: data.to_path_buf(),
        experiment: None,
        now_us: TS + 10 * HOUR_US,
        keep_days: None,
        keep_bytes: None,
        dry_run: false,
        progress: |_, _| {},
    }
}

fn forgetting(data: &Path) -> ForgetOptions {
    ForgetOptions {
        data_dir: data.to_path_buf(),
        identity_hash: ADA.into(),
        dry_run: false,
        patience: Duration::from_secs(20),
        progress: |_, _| {},
        log: Arc::new(|_| {}),
    }
}

fn sample(id: &str, ts_us: i64) -> Sample {
    Sample {
        experiment: "e-1".into(),
        sample_id: id.into(),
        ts_us,
        response_text: Some(format!("answer {id}")),
        ..Sample::default()
    }
}

fn numbered(id: &str, ts_us: i64, sequence: i64) -> Sample {
    Sample {
        proxy: Some("p".into()),
        worker: Some("w".into()),
        sequence: Some(sequence),
        ..sample(id, ts_us)
    }
}

fn score(id: &str, ts_us: i64) -> Score {
    Score {
        experiment: "e-1".into(),
        sample_id: id.into(),
        ts_us,
        criterion: "helpful".into(),
        score: 0.5,
        ..Score::default()
    }
}

/// Names as the collector gives them.
fn segment(number: u64) -> String {
    format!("part-{:016x}-{number:08x}", 0x0006_4000_0000_0000_u64)
}

fn files(data: &Path) -> Vec<PathBuf> {
    [Kind::Samples, Kind::Scores]
        .into_iter()
        .flat_map(|kind| list_all_files(data, kind, None).unwrap())
        .collect()
}

fn ids(data: &Path) -> Vec<String> {
    let mut ids: Vec<String> = samples(data).into_iter().map(|row| row.sample_id).collect();
    ids.sort();
    ids
}

#[test]
fn small_files_of_closed_hours_become_one_sorted_and_retries_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_samples(data, &segment(1), vec![numbered("b", TS + 5, 1), numbered("a", TS, 2)]).unwrap();
    write_samples(data, &segment(2), vec![numbered("c", TS + 3, 3), numbered("b", TS + 5, 1)]).unwrap();
    write_samples(data, "part-import-0123-0", vec![sample("d", TS + 1), sample("d", TS + 1)]).unwrap();
    write_samples(data, "part-embed", vec![score("a", TS)]).unwrap();
    write_samples(data, &segment(3), vec![score("a", TS), score("b", TS)]).unwrap();
    write_samples(data, &segment(4), vec![score("a", TS)]).unwrap();
    // Its hour is not closed.
    write_samples(data, &segment(5), vec![numbered("e", TS + 10 * HOUR_US, 4)]).unwrap();
    write_samples(data, &segment(6), vec![numbered("f", TS + 10 * HOUR_US, 5)]).unwrap();
    let before = files(data);

    let dry = compact(&CompactOptions { dry_run: true, ..compacting(data) }).unwrap();
    assert_eq!((dry.merged_files, dry.new_files, dry.rows, dry.open_hours), (5, 2, 9, 1));
    assert_eq!(files(data), before, "a dry run changes nothing");

    let done = compact(&compacting(data)).unwrap();
    assert_eq!((done.merged_files, done.new_files, done.rows, done.duplicates), (5, 2, 7, 2));
    assert_eq!(done.problems, [""; 0]);
    let hour = data.join("samples/experiment=e-1/date=2026-09-21/hour=14");
    let merged: Vec<_> = list_files(data, Kind::Samples, None)
        .unwrap()
        .into_iter()
        .filter(|path| path.starts_with(&hour))
        .collect();
    assert_eq!(merged.len(), 1);
    let order: Vec<_> =
        read_file::<Sample>(&merged[0]).unwrap().into_iter().map(|row| row.sample_id).collect();
    assert_eq!(
        order,
        ["a", "d", "d", "c", "b"],
        "sorted by time; imported rows have no number to be told by"
    );
    let names: Vec<_> = files(data)
        .iter()
        .filter(|path| path.starts_with(data.join("scores")))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names.contains(&"part-embed.parquet".to_owned()),
        "what is written anew with other rows stays: {names:?}"
    );

    let after = files(data);
    let again = compact(&compacting(data)).unwrap();
    assert_eq!((again.merged_files, again.left_over), (0, 0));
    assert_eq!(files(data), after);
}

#[test]
fn a_file_that_was_merged_and_is_written_again_by_a_replayed_log_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_samples(data, &segment(1), vec![sample("a", TS)]).unwrap();
    write_samples(data, &segment(2), vec![sample("b", TS)]).unwrap();
    compact(&compacting(data)).unwrap();
    write_samples(data, &segment(3), vec![sample("c", TS)]).unwrap();
    compact(&compacting(data)).unwrap();
    // The merged file stands for the files of the file that it merged, too.
    write_samples(data, &segment(1), vec![sample("a", TS)]).unwrap();
    assert_eq!((files(data).len(), ids(data)), (2, ["a", "b", "c"].map(str::to_owned).to_vec()));
    let swept = compact(&compacting(data)).unwrap();
    assert_eq!((swept.left_over, swept.merged_files, files(data).len()), (1, 0, 1));
}

#[test]
fn foreign_damaged_and_newer_files_are_named_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let first = write_samples(data, &segment(1), vec![sample("a", TS)]).unwrap().remove(0).path;
    write_samples(data, &segment(2), vec![sample("b", TS)]).unwrap();
    let damaged = first.with_file_name(format!("{}.parquet", segment(7)));
    std::fs::write(&damaged, "PAR1 no PAR1").unwrap();
    let elsewhere = data.join("samples/experiment=e-1/part-1.parquet");
    std::fs::copy(&first, &elsewhere).unwrap();
    let done = compact(&compacting(data)).unwrap();
    assert_eq!((done.merged_files, done.problems.len()), (2, 2));
    assert!(done.problems[0].contains("part-1.parquet: is in no folder of ours"), "{:?}", done.problems);
    assert!(done.problems[1].contains("is not a readable Parquet file"), "{:?}", done.problems);
    assert!(damaged.exists() && elsewhere.exists());
}

#[test]
fn the_oldest_closed_hours_go_by_age_and_by_bytes_and_open_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let day = 24 * HOUR_US;
    for (number, back) in (1..).zip([5 * day, 3 * day, HOUR_US * 5, 0]) {
        write_samples(data, &segment(number), vec![sample(&format!("s{number}"), TS - back)]).unwrap();
    }
    let options = CompactOptions { now_us: TS, keep_days: Some(4), ..compacting(data) };
    let done = compact(&CompactOptions { dry_run: true, ..options.clone() }).unwrap();
    assert_eq!((done.removed_hours, done.removed_files, files(data).len()), (1, 1, 4));
    let done = compact(&options).unwrap();
    assert_eq!((done.removed_hours, done.removed_files), (1, 1));
    assert_eq!(ids(data), ["s2", "s3", "s4"]);
    assert!(!data.join("samples/experiment=e-1/date=2026-09-16").exists(), "no empty folders stay");
    let newest_two: u64 = files(data)[1..].iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    compact(&CompactOptions { now_us: TS, keep_bytes: Some(newest_two), ..compacting(data) }).unwrap();
    assert_eq!(ids(data), ["s3", "s4"]);
    compact(&CompactOptions { now_us: TS, keep_bytes: Some(0), keep_days: Some(0), ..compacting(data) })
        .unwrap();
    assert_eq!(ids(data), ["s4"], "its hour is open");
}

/// Exchanges of ada and of others: primary legs carry the identity, some of the copies do not.
fn people(data: &Path, name: u64, exchanges: std::ops::Range<u64>) {
    let (mut rows, mut scores) = (Vec::new(), Vec::new());
    for n in exchanges {
        let (id, ts_us) = (format!("x{n}"), TS + i64::try_from(n).unwrap());
        let identity = if n % 3 == 0 { ADA.to_owned() } else { format!("{n:016x}") };
        rows.push(Sample { identity_hash: Some(identity.clone()), ..sample(&id, ts_us) });
        let identity_hash = (n % 2 == 0).then_some(identity);
        rows.push(Sample {
            leg: Leg::Shadow,
            variant: Variant::Candidate,
            identity_hash,
            ..sample(&id, ts_us)
        });
        scores.push(score(&id, ts_us));
    }
    let (left, right): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.leg == Leg::Primary);
    write_samples(data, &segment(2 * name), left).unwrap();
    write_samples(data, &segment(2 * name + 1), right).unwrap();
    write_samples(data, &segment(2 * name), scores).unwrap();
}

/// Exchange numbers with legs and with scores.
fn people_left(data: &Path) -> (BTreeMap<u64, u64>, BTreeSet<u64>) {
    let number = |id: &str| id[1..].parse::<u64>().unwrap();
    let mut legs = BTreeMap::new();
    samples(data).iter().for_each(|row| *legs.entry(number(&row.sample_id)).or_default() += 1);
    (legs, scores(data).iter().map(|row| number(&row.sample_id)).collect())
}

#[test]
fn an_identity_is_erased_with_its_copies_and_scores_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    people(data, 1, 0..10);
    people(data, 2, 10..20);
    write_samples(data, &segment(9), vec![Sample { identity_hash: Some(ADA.into()), ..sample("x99", TS) }])
        .unwrap();
    compact(&compacting(data)).unwrap();
    people(data, 20, 20..30);
    let before = people_left(data);
    let measured = data.join(".figures/experiment=e");
    std::fs::create_dir_all(&measured).unwrap();
    let dry = forget(&ForgetOptions { dry_run: true, ..forgetting(data) }).unwrap();
    assert_eq!((dry.samples, dry.scores, dry.exchanges), (21, 10, 11));
    assert_eq!(people_left(data), before);
    assert!(measured.exists());
    let done = forget(&forgetting(data)).unwrap();
    assert!(!measured.exists(), "what looks have measured names the exchanges");
    assert_eq!(ForgetSummary { in_log: 0, ..dry }, done, "a dry run says what will be done");
    let (legs, scored) = people_left(data);
    let expected: Vec<u64> = (0..30).filter(|n| n % 3 != 0).collect();
    assert_eq!(legs.keys().copied().collect::<Vec<_>>(), expected);
    assert!(legs.values().all(|count| *count == 2));
    assert_eq!(scored.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(forget(&forgetting(data)).unwrap(), ForgetSummary::default(), "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_the_log_is_erased_too_with_and_without_a_running_collector() {
    let folder = tempfile::tempdir().unwrap();
    let (running, killed) = (folder.path().join("running"), folder.path().join("killed"));
    let mut slow = options(&running);
    slow.flush_interval = Duration::from_secs(2);
    let collector = Collector::start(slow).await.unwrap();
    let legs: Vec<_> = (0..4)
        .map(|n| weir_wire::Leg {
            identity_hash: if n % 2 == 0 { ADA.into() } else { "00000000000000bb".into() },
            ..leg(&format!("s{n}"), n, "yes")
        })
        .collect();
    assert_eq!(post(collector.address(), batch("w", &legs)).await.unwrap().status(), 200);
    // The log as a kill would leave it.
    std::fs::create_dir_all(killed.join("wal")).unwrap();
    for path in names(&running.join("wal"), "wal") {
        std::fs::copy(&path, killed.join("wal").join(path.file_name().unwrap())).unwrap();
    }
    for data in [running.clone(), killed] {
        let (dry, done) = tokio::task::spawn_blocking(move || {
            let dry = forget(&ForgetOptions { dry_run: true, ..forgetting(&data) }).unwrap();
            (dry, (forget(&forgetting(&data)).unwrap(), ids(&data)))
        })
        .await
        .unwrap();
        assert_eq!((dry.in_log, dry.samples), (2, 0));
        assert_eq!((done.0.samples, done.1), (2, vec!["s1".to_owned(), "s3".to_owned()]));
    }
    // A retry of what was erased is recognised, and does not come back.
    assert_eq!(post(collector.address(), batch("w", &legs)).await.unwrap().status(), 200);
    collector.stop().await.unwrap();
    assert_eq!(ids(&running), ["s1", "s3"]);
}

#[test]
fn one_upkeep_at_a_time_and_only_where_there_is_data() {
    let folder = tempfile::tempdir().unwrap();
    let message = compact(&compacting(folder.path())).unwrap_err().to_string();
    assert!(message.contains("holds no data\n  hint:"), "{message}");
    write_samples(folder.path(), &segment(1), vec![sample("a", TS)]).unwrap();
    let lock = std::fs::File::create(folder.path().join(".upkeep.lock")).unwrap();
    lock.try_lock().unwrap();
    let message = forget(&forgetting(folder.path())).unwrap_err().to_string();
    assert!(message.contains("another `weir compact` or `weir forget`"), "{message}");
}

/// Not a test: the process that is killed.
#[test]
#[ignore = "started and killed by the tests below"]
fn upkeep_process() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let data = Path::new(&data);
    // The test runner has written an unfinished line.
    println!("\nbegins");
    if std::env::var(DO).unwrap() == "forget" {
        forget(&forgetting(data)).unwrap();
    } else {
        compact(&compacting(data)).unwrap();
    }
    println!("done");
}

/// Runs it, and kills it when it has worked for a while; how long it worked if it came to its end before.
fn killed_after(data: &Path, what: &str, pause: Option<Duration>) -> Option<Duration> {
    killed_when(data, what, pause.map(|pause| move |began: Instant| began.elapsed() >= pause))
}

/// As [`killed_after`], at the moment that is given; looked for every millisecond.
fn killed_when(data: &Path, what: &str, moment: Option<impl Fn(Instant) -> bool>) -> Option<Duration> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "upkeep_process", "--nocapture"])
        .env(DATA, data)
        .env(DO, what)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "begins"), "the process says when its work begins");
    let began = Instant::now();
    if let Some(moment) = &moment {
        while !moment(began) && child.try_wait().unwrap().is_none() {
            #[allow(clippy::disallowed_methods)] // no executor here
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
    }
    let ended = lines.any(|line| line == "done").then(|| began.elapsed());
    let status = child.wait().unwrap();
    assert!(status.success() || status.code().is_none() && moment.is_some(), "{status}");
    ended
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Reads everything the way commands do: list, read, and list again when a file has gone in between.
fn read_all(data: &Path) -> Vec<String> {
    'again: loop {
        let mut ids = Vec::new();
        for path in list_files(data, Kind::Samples, None).unwrap() {
            match read_file::<Sample>(&path) {
                Ok(rows) => ids.extend(rows.into_iter().map(|row| row.sample_id)),
                Err(_) if !path.exists() => continue 'again,
                Err(error) => panic!("{error}"),
            }
        }
        return ids;
    }
}

#[test]
fn killed_at_random_moments_a_reader_sees_every_row_exactly_once_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let kills = number("WEIR_CRASH_KILLS", 15);
    let written: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (stop, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut whole, mut ended) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let expected = written.lock().unwrap().clone();
                let found = read_all(data);
                let once: BTreeSet<String> = found.iter().cloned().collect();
                assert_eq!(once.len(), found.len(), "a row is there twice");
                let missing: Vec<_> = expected.difference(&once).collect();
                assert!(missing.is_empty(), "missing: {missing:?}");
                looks.fetch_add(1, Relaxed);
            }
        });
        for round in 0..kills {
            // New small files, late ones of old hours among them.
            for n in 0..6 {
                let (name, hour) = (round * 6 + n, i64::try_from(n % 2).unwrap() * HOUR_US);
                let rows: Vec<_> = (0..20).map(|row| sample(&format!("r{name}-{row}"), TS + hour)).collect();
                let ids: Vec<String> = rows.iter().map(|row| row.sample_id.clone()).collect();
                write_samples(data, &segment(name), rows).unwrap();
                written.lock().unwrap().extend(ids);
            }
            let pause = (round > 0).then(|| whole.mul_f64((round * 7 % 11) as f64 / 10.0));
            let took = killed_after(data, "compact", pause);
            whole = if round == 0 { took.unwrap() } else { whole };
            ended += u64::from(took.is_some());
        }
        stop.store(true, Relaxed);
    });
    let done = compact(&compacting(data)).unwrap();
    println!("{kills} kills, {ended} too late; {} looks; last run: {done:?}", looks.load(Relaxed));
    // Looks take longer as rows grow in number; one for every second kill is still many in the middle of a merge.
    assert!(ended < kills && looks.load(Relaxed) > kills / 2);
    assert_eq!(files(data).len(), 2);
    assert_eq!(ids(data), written.lock().unwrap().iter().cloned().collect::<Vec<_>>());
    assert_eq!(
        std::fs::read_dir(files(data)[0].parent().unwrap()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn killed_while_it_erases_and_run_again_nothing_of_the_identity_stays_and_nothing_else_goes() {
    let folder = tempfile::tempdir().unwrap();
    let kills = number("WEIR_CRASH_KILLS", 8).min(100);
    let mut interrupted = 0;
    for round in 0..kills {
        let data = folder.path().join(round.to_string());
        (1..4).for_each(|part| people(&data, part, (part - 1) * 10..part * 10));
        if round % 2 == 0 {
            compact(&compacting(&data)).unwrap();
        }
        // After another number of files each time.
        let inodes =
            || files(&data).iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.ino())).collect();
        let before: BTreeSet<u64> = inodes();
        let moment = |_| before.difference(&inodes()).count() as u64 > round % 6;
        let took = killed_when(&data, "forget", Some(moment));
        let (legs, scored) = people_left(&data);
        let legs: u64 = legs.iter().filter(|(n, _)| *n % 3 == 0).map(|(_, legs)| legs).sum();
        let theirs = legs + scored.iter().filter(|n| *n % 3 == 0).count() as u64;
        interrupted += u64::from(took.is_none() && (1..30).contains(&theirs));
        forget(&forgetting(&data)).unwrap();
        let (legs, scored) = people_left(&data);
        let expected: Vec<u64> = (0..30).filter(|n| n % 3 != 0).collect();
        assert_eq!(legs.keys().copied().collect::<Vec<_>>(), expected, "round {round}");
        assert!(legs.values().all(|count| *count == 2), "round {round}");
        assert_eq!(scored.into_iter().collect::<Vec<_>>(), expected, "round {round}");
    }
    println!("{kills} kills, {interrupted} in the middle of an erasure");
    assert!(interrupted > 0);
}
