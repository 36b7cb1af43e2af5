//! Figures kept beside the data: the answer is the one of all samples, byte for byte, whatever happened to files and figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use weir_gate::{Gates, Spending, evaluate};
use weir_metrics::{Cache, LoadOptions, ReportParts, load_cached};
use weir_sample::{
    Kind, Leg, ResponseFormat, Sample, Variant, list_files, read_file, write_file, write_merged,
    write_samples,
};

const START_US: i64 = 1_760_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    /// A file with this many of the legs that have not arrived yet, in a shuffled order.
    Arrive(usize),
    /// Files of a folder become one.
    Compact(Index),
    /// An identity is forgotten: its rows are gone from every file.
    Forget(u64),
    /// Figures are cut, changed in a byte, emptied, deleted, or taken for those of another file.
    Damage(Index, Index, u8),
    /// The next look wants another metric, or no longer.
    Want(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..40_usize).prop_map(Step::Arrive),
        2 => any::<Index>().prop_map(Step::Compact),
        1 => (0..9_u64).prop_map(Step::Forget),
        3 => (any::<Index>(), any::<Index>(), 0..5_u8).prop_map(|(file, at, how)| Step::Damage(file, at, how)),
        1 => any::<bool>().prop_map(Step::Want),
    ];
    prop::collection::vec(step, 3..8)
}

/// The legs of `exchanges` requests in three hours, two revisions and two tiers; pairs, noise legs, failures, sessions.
fn legs(exchanges: u64) -> Vec<Sample> {
    let mut legs = Vec::new();
    for number in 0..exchanges {
        let mix =
            |salt: u64| (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(salt as u32 * 7) % 97;
        let primary = Sample {
            experiment: "support".into(),
            sample_id: format!("s-{:03}", (number * 37) % 1_000),
            variant: if mix(1) < 20 { Variant::Candidate } else { Variant::Control },
            ts_us: START_US + HOUR_US * 3 * number as i64 / exchanges as i64,
            revision: Some(if number * 3 > exchanges * 2 { 2 } else { 1 }),
            cohort: Some("general".into()),
            tier: Some(if mix(2) < 50 { "beta" } else { "general" }.into()),
            identity_hash: (mix(3) < 90).then(|| format!("identity-{}", mix(4) % 9)),
            session_id: (mix(3) < 30).then(|| format!("session-{}", mix(4))),
            proxy: Some("proxy".into()),
            sequence: Some(number as i64),
            inclusion_probability: if mix(5) < 30 { 0.5 } else { 1.0 },
            snapshot: Some("one".into()),
            status: Some(if mix(6) < 8 { 500 } else { 200 }),
            complete: Some(true),
            latency_ms: (mix(7) > 3).then_some(100.0 + mix(7) as f64 / 7.0),
            request_text: Some(format!("user: question {} about [doc-{}]", mix(4) % 5, mix(8))),
            response_text: Some(match mix(9) % 4 {
                0 => format!("{{\"answer\": {}}}", mix(1)),
                1 => "I'm sorry, but I can't help with that.".into(),
                2 => format!("See [doc-{}] für größere Pakete.", mix(8)),
                _ => "word ".repeat(mix(2) as usize),
            }),
            response_format: Some(ResponseFormat::OpenaiChat),
            finish_reason: Some("stop".into()),
            completion_tokens: Some(mix(2) as i64 * 300),
            ..Sample::default()
        };
        let copy = |leg, variant: Variant| Sample {
            leg,
            variant,
            request_text: None,
            sequence: None,
            proxy: None,
            latency_ms: Some(90.0 + mix(8) as f64 / 3.0),
            response_text: Some("another answer ".repeat(mix(5) as usize)),
            snapshot: Some(variant.as_str().into()),
            ts_us: primary.ts_us + 1_000,
            ..primary.clone()
        };
        if primary.variant == Variant::Control && mix(5) < 30 {
            legs.push(copy(Leg::Shadow, Variant::Candidate));
        }
        if primary.variant == Variant::Control && mix(6) > 80 {
            legs.push(copy(Leg::Noise, Variant::Control));
        }
        if mix(1) % 13 == 0 {
            legs.push(primary.clone()); // arrives twice
        }
        legs.push(primary);
    }
    legs
}

struct World {
    data: tempfile::TempDir,
    coming: Vec<Sample>,
    files: usize,
    metrics: Vec<String>,
    cache: Cache,
}

impl World {
    fn new() -> Self {
        let mut coming = legs(160);
        // A fixed shuffle: legs of one exchange come in different files, and late.
        coming.sort_by_key(|leg| (leg.ts_us as u64 ^ leg.leg as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Self {
            data: tempfile::tempdir().unwrap(),
            coming,
            files: 0,
            metrics: Vec::new(),
            cache: Cache::default(),
        }
    }

    fn samples(&self) -> Vec<PathBuf> {
        list_files(self.data.path(), Kind::Samples, Some("support")).unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrive(count) => {
                let rows: Vec<Sample> = self.coming.drain(..(*count).min(self.coming.len())).collect();
                write_samples(self.data.path(), &format!("part-{}", self.files), rows).unwrap();
                self.files += 1;
            }
            Step::Compact(which) => self.compact(*which),
            Step::Forget(identity) => {
                let gone = Some(format!("identity-{identity}"));
                for path in self.samples() {
                    let rows = read_file::<Sample>(&path).unwrap();
                    let left: Vec<Sample> =
                        rows.iter().filter(|row| row.identity_hash != gone).cloned().collect();
                    if left.len() < rows.len() {
                        write_file(&path, "support", left).unwrap();
                    }
                }
            }
            Step::Damage(file, at, how) => damage(self.data.path(), *file, *at, *how),
            Step::Want(more) => {
                let more: &[&str] =
                    if *more { &["citation_valid", "reprompt", "language_match"] } else { &[] };
                self.metrics = more.iter().map(|metric| (*metric).to_owned()).collect();
            }
        }
    }

    fn compact(&mut self, which: Index) {
        let all = self.samples();
        if all.is_empty() {
            return;
        }
        let folder = which.get(&all).parent().unwrap().to_path_buf();
        let sources: Vec<&PathBuf> = all.iter().filter(|path| path.starts_with(&folder)).collect();
        let rows = sources.iter().flat_map(|path| read_file::<Sample>(path).unwrap()).collect();
        let mut names: BTreeSet<String> =
            sources.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.extend(sources.iter().flat_map(|path| weir_sample::replaced::replaces(path)));
        let merged = folder.join(format!("part-compact-{}.parquet", self.files));
        self.files += 1;
        write_merged(&merged, "support", rows, &names).unwrap();
        // One of the sources is left in place, as by a merge that was cut short: it must not count any more.
        for source in sources.iter().skip(1) {
            fs::remove_file(source).unwrap();
        }
    }

    fn options(&self, keep_figures: bool) -> LoadOptions {
        LoadOptions {
            data_dir: self.data.path().to_path_buf(),
            experiment: Some("support".into()),
            metrics: self.metrics.clone(),
            keep_figures,
            ..LoadOptions::default()
        }
    }

    /// The report as it is written; the error where there is nothing to read.
    fn report(&self, options: &LoadOptions, cache: &mut Cache) -> String {
        let loaded = match load_cached(options, cache) {
            Ok(loaded) => loaded,
            Err(error) => return error.to_string(),
        };
        let gates = Gates::default_pack(&loaded.series);
        let evaluation = evaluate(&gates, &loaded.series, &loaded.health, Spending::ALL);
        serde_json::to_string(&loaded.report(evaluation, ReportParts::default()).unwrap()).unwrap()
    }

    fn check(&mut self) {
        let all = self.report(&self.options(false), &mut Cache::default());
        let kept = self.report(&self.options(true), &mut Cache::default());
        assert!(kept == all, "the kept figures say otherwise:\n{kept}\n{all}");
        let again = self.report(&self.options(true), &mut Cache::default());
        assert!(again == all, "the figures of the look before say otherwise:\n{again}\n{all}");
        let mut cache = std::mem::take(&mut self.cache);
        let watched = self.report(&self.options(true), &mut cache);
        self.cache = cache;
        assert!(watched == all, "what is in memory says otherwise:\n{watched}\n{all}");
        // A window has its part of the same figures.
        let window = |keep_figures| LoadOptions {
            since_us: Some(START_US + HOUR_US / 2),
            until_us: Some(START_US + 2 * HOUR_US),
            ..self.options(keep_figures)
        };
        let of_kept = self.report(&window(true), &mut Cache::default());
        assert!(of_kept == self.report(&window(false), &mut Cache::default()), "a window says otherwise");
    }
}

/// Everything that is kept: figures, and the spans of their files.
fn kept(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data.join(".figures")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn figures(data: &Path) -> Vec<PathBuf> {
    kept(data).into_iter().filter(|path| has_extension(path, "figures")).collect()
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

fn damage(data: &Path, file: Index, at: Index, how: u8) {
    let all = kept(data);
    if all.is_empty() {
        return;
    }
    let path = file.get(&all);
    let mut bytes = fs::read(path).unwrap();
    match how {
        0 => bytes.truncate(at.index(bytes.len().max(1))),
        1 if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= 0x11;
        }
        2 => bytes.clear(),
        3 => bytes = fs::read(at.get(&all)).unwrap(),
        _ => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

proptest! {
    // Eight, and ten times as many in `make test-long`: each is some fifty looks.
    #![proptest_config(ProptestConfig {
        cases: (ProptestConfig::default().cases / 32).max(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn kept_figures_never_change_the_answer(steps in steps()) {
        let mut world = World::new();
        world.step(&Step::Arrive(60));
        world.check();
        for step in &steps {
            world.step(step);
            world.check();
        }
    }
}

/// Overwrites everything of a Parquet file but its footer: whoever reads its rows fails, or gets others.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    let footer = u32::from_le_bytes(bytes[length - 8..length - 4].try_into().unwrap()) as usize + 8;
    bytes[4..length - footer].fill(0xA5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_look_reads_no_file_whose_figures_are_kept() {
    let mut world = World::new();
    world.step(&Step::Arrive(100));
    let before = world.report(&world.options(true), &mut Cache::default());
    let old = world.samples();
    old.iter().for_each(|path| spoil(path));
    // Without the texts of exemplars, which are read from the samples.
    assert!(
        load_cached(&world.options(false), &mut Cache::default()).is_err(),
        "the samples are readable still"
    );
    let loaded = load_cached(&world.options(true), &mut Cache::default()).unwrap();
    assert!(before.contains(&format!("\"samples\":{}", loaded.samples)), "{} samples", loaded.samples);
    world.step(&Step::Arrive(50));
    let more = load_cached(&world.options(true), &mut Cache::default()).unwrap();
    assert!(more.samples > loaded.samples, "the new file is read");
}

#[test]
fn figures_of_files_that_are_gone_and_of_old_definitions_are_deleted() {
    let mut world = World::new();
    world.step(&Step::Arrive(100));
    world.check();
    assert_eq!(figures(world.data.path()).len(), world.samples().len());
    for path in world.samples().iter().skip(1) {
        fs::remove_file(path).unwrap();
    }
    world.check();
    assert_eq!(figures(world.data.path()).len(), 1);
    for metric in ["retry", "citation", "soft_error", "repetition", "headings"] {
        world.metrics = vec![metric.to_owned()];
        world.report(&world.options(true), &mut Cache::default());
    }
    let folders = fs::read_dir(world.data.path().join(".figures/experiment=support")).unwrap().count();
    assert_eq!(folders, 4);
}

#[test]
fn figures_are_private_and_no_reader_of_samples_finds_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::new();
    world.step(&Step::Arrive(100));
    let samples = world.samples();
    world.check();
    assert_eq!(world.samples(), samples);
    for path in kept(world.data.path()) {
        assert!(has_extension(&path, "figures") || has_extension(&path, "spans"), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("sorry") && !text.contains("question"), "{} holds a text", path.display());
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_costs_time_and_not_the_look() {
    let mut world = World::new();
    world.step(&Step::Arrive(100));
    // A file where the folder would be stands for a folder that nobody may write; a test may run as root.
    fs::write(world.data.path().join(".figures"), "in the way").unwrap();
    world.check();
}
