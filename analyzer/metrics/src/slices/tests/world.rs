//! A data folder with three hours of traffic, and looks at it: by slices and as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use weir_gate::{Evaluation, Gates, Spending, evaluate};
use weir_report::Exemplar;
use weir_sample::{Kind, Leg, ResponseFormat, Sample, Variant, list_files, write_samples};
use xxhash_rust::xxh3::xxh3_64;

use crate::assemble;
use crate::cache::Cache;
use crate::health::ExpectedShare;
use crate::metric::{self, Metric};
use crate::slices::{self, Reading, Sliced};
use crate::{LoadOptions, Loaded};

pub(super) const SECOND_US: i64 = 1_000_000;
pub(super) const MINUTE_US: i64 = 60 * SECOND_US;
pub(super) const HOUR_US: i64 = 60 * MINUTE_US;
/// Ten minutes after the begin of a window.
pub(super) const START_US: i64 = 1_760_000_400_000_000 + 10 * MINUTE_US;
pub(super) const END_US: i64 = START_US + 3 * HOUR_US;
/// How wide windows of so few legs of three hours are.
pub(super) const WIDTH_US: i64 = 30 * MINUTE_US;
/// When the policy changes: a cohort is captured less often from then on.
pub(super) const CHANGE_US: i64 = END_US - 50 * MINUTE_US;

const SHADOW: f64 = 1.0 / 3.0;
const CANDIDATE_PPM: u32 = 300_000;

/// Margins that no estimate hits.
const GATES: &str = "apiVersion: weir/v1
kind: Gates
gates:
- {name: difference, metric: response_chars, direction: both, margin: {absolute: 15.17}, severity: major}
- {name: share, metric: error, margin: {absolute: 0.0917}, severity: critical}
- {name: ratio, metric: latency_ms, margin: {relative: 0.0517}, severity: major}
- {name: percentile, metric: 'latency_ms:p90', margin: {relative: 0.0517}, severity: major}
- {name: tokens, metric: completion_tokens, direction: lower, margin: {relative: 0.1517}, severity: advisory}
- {name: bound, metric: refusal, margin: {bound: 0.2131}, direction: lower, severity: major}
- {name: bounded-percentile, metric: 'latency_ms:p50', margin: {bound: 491.3}, direction: lower, severity: major}
- {name: own, metric: error, margin: {absolute: 0.0917}, severity: major, segment: {tier: pro}}
";

/// SplitMix64 (S. Vigna, public domain).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A primary leg of control with nothing of its own but a time and a person.
pub(super) fn leg(id: &str, ts_us: i64, person: u64) -> Sample {
    Sample {
        experiment: "support".into(),
        sample_id: id.to_owned(),
        variant: Variant::Control,
        ts_us,
        revision: Some(4),
        policy_digest: Some(if ts_us < CHANGE_US { "d1" } else { "d2" }.into()),
        snapshot: Some("old".into()),
        cohort: Some(if person.is_multiple_of(4) { "beta" } else { "general" }.into()),
        tier: Some(if person.is_multiple_of(3) { "pro" } else { "free" }.into()),
        tags: BTreeMap::from([("region".into(), if person % 5 < 2 { "eu" } else { "us" }.into())]),
        identity_hash: Some(format!("person {person}")),
        session_id: Some(format!("session {person} {}", ts_us / HOUR_US)),
        proxy: Some("proxy".into()),
        worker: Some(format!("{}", person % 2)),
        inclusion_probability: 1.0,
        path: Some("/v1/chat".into()),
        status: Some(200),
        complete: Some(true),
        latency_ms: Some(250.0),
        request_text: Some("user: where is it?".into()),
        response_text: Some("on its way".into()),
        response_format: Some(ResponseFormat::OpenaiChat),
        finish_reason: Some("stop".into()),
        ..Sample::default()
    }
}

/// The copy of a leg, as the filter captures it.
pub(super) fn copy(primary: &Sample, leg: Leg, variant: Variant) -> Sample {
    let snapshot = if variant == Variant::Control { "old" } else { "new" };
    Sample { leg, variant, snapshot: Some(snapshot.into()), copies: None, ..primary.clone() }
}

fn answered(leg: &mut Sample, random: &mut Random) {
    let candidate = leg.variant == Variant::Candidate;
    let slower = if candidate { 1.3 } else { 1.0 };
    leg.latency_ms = Some((200.0 * slower * (1.0 + 3.0 * random.unit().powi(3))).round());
    let failed = random.unit() < if candidate { 0.25 } else { 0.03 };
    leg.status = Some(if failed { 500 } else { 200 });
    leg.completion_tokens = Some((random.unit() * 300.0) as i64);
    leg.response_text = (!failed).then(|| match random.next() % 8 {
        0 => format!("{{\"answer\": {}}}", random.next() % 90),
        1 => "I'm sorry, but I can't help with that.".to_owned(),
        _ => format!("answer {} {}", random.next() % 700, "word ".repeat((random.next() % 30) as usize)),
    });
}

/// Three hours of traffic through a filter with a share, sampling, and copies of control's exchanges.
pub(super) fn traffic(seed: u64, requests: u64) -> Vec<Sample> {
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
    let mut legs = Vec::new();
    for number in 0..requests {
        let person = random.next() % (requests / 6);
        let ts_us = START_US + (random.unit() * (END_US - START_US) as f64) as i64;
        let mut primary = leg(&format!("s-{:016x}-{number}", random.next()), ts_us, person);
        let beta = primary.cohort.as_deref() == Some("beta");
        let sampling = match ts_us < CHANGE_US {
            _ if !beta => 0.6,
            true => 0.4,
            false => 0.2,
        };
        if random.next().is_multiple_of(2) {
            primary.path = Some(format!("/v1/orders/{}/notes", random.next() % 900));
        }
        let candidate = Random(person).unit() < f64::from(CANDIDATE_PPM) / 1e6;
        let copied = !candidate && random.unit() < SHADOW;
        if !copied && random.unit() >= sampling {
            continue;
        }
        primary.inclusion_probability =
            if candidate { sampling } else { 1.0 - (1.0 - sampling) * (1.0 - SHADOW) };
        if candidate {
            primary.variant = Variant::Candidate;
            primary.snapshot = Some("new".into());
        }
        // Filters of one cohort are old ones, that do not say of what there are copies.
        primary.copies = (!beta).then(|| if copied { "shadow".into() } else { "none".into() });
        answered(&mut primary, &mut random);
        if copied {
            let mut shadow = copy(&primary, Leg::Shadow, Variant::Candidate);
            shadow.inclusion_probability = SHADOW;
            answered(&mut shadow, &mut random);
            legs.push(shadow);
        }
        if !candidate && random.next().is_multiple_of(10) {
            let mut noise = copy(&primary, Leg::Noise, Variant::Control);
            answered(&mut noise, &mut random);
            legs.push(noise);
        }
        legs.push(primary);
    }
    legs.sort_by_key(|leg| leg.ts_us + (leg.latency_ms.unwrap_or_default() * 1e3) as i64);
    number(&mut legs);
    legs
}

/// Numbers the legs of each worker as they come.
pub(super) fn number(legs: &mut [Sample]) {
    let mut numbers: BTreeMap<Option<String>, i64> = BTreeMap::new();
    for leg in legs {
        let number = numbers.entry(leg.worker.clone()).or_default();
        leg.sequence = Some(*number);
        *number += 1;
    }
}

/// A data folder.
pub(super) struct World {
    pub(super) data: tempfile::TempDir,
    pub(super) metrics: Vec<Metric>,
}

impl World {
    /// Legs in several files whose times overlap, and whose names are not in the order of time.
    pub(super) fn of(legs: Vec<Sample>) -> Self {
        let world =
            Self { data: tempfile::tempdir().unwrap(), metrics: metric::registry(&[], None).unwrap() };
        let mut files: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for leg in legs {
            let late_us = i64::from(leg.leg != Leg::Primary) * 3 * MINUTE_US;
            let drawn = (xxh3_64(leg.sample_id.as_bytes()) % 420) as i64 * SECOND_US;
            files.entry((leg.ts_us + late_us + drawn) / (50 * MINUTE_US)).or_default().push(leg);
        }
        for (at, rows) in files {
            world.arrive(&format!("part-{:04x}", xxh3_64(&at.to_le_bytes()) % 0xffff), rows);
        }
        world
    }

    pub(super) fn arrive(&self, name: &str, rows: Vec<Sample>) {
        write_samples(self.data.path(), name, rows).unwrap();
    }

    pub(super) fn samples(&self) -> Vec<PathBuf> {
        list_files(self.data.path(), Kind::Samples, Some("support")).unwrap()
    }

    pub(super) fn options(&self) -> LoadOptions {
        let share =
            |cohort: &str| ExpectedShare { revision: 4, cohort: cohort.into(), candidate_ppm: CANDIDATE_PPM };
        LoadOptions {
            data_dir: self.data.path().to_path_buf(),
            expected_shares: vec![share("beta"), share("general")],
            keep_figures: true,
            settle: true,
            ..LoadOptions::default()
        }
    }

    fn refresh(&self, options: &LoadOptions, cache: &mut Cache, lazily: bool) {
        let refused = cache.refresh(options, "support", &self.metrics, &self.samples(), &[], lazily).unwrap();
        assert_eq!(refused, []);
    }

    /// What slices say; nothing where it has to be looked at whole.
    pub(super) fn try_sliced(&self, options: &LoadOptions, cache: &mut Cache) -> Option<Loaded> {
        self.refresh(options, cache, true);
        let reading = Reading { options, experiment: "support", metrics: &self.metrics };
        match slices::loaded(reading, cache).unwrap() {
            Sliced::Loaded(loaded, refused) => {
                assert_eq!(refused, []);
                Some(*loaded)
            }
            Sliced::Whole => None,
        }
    }

    pub(super) fn sliced(&self, options: &LoadOptions, cache: &mut Cache) -> Loaded {
        self.try_sliced(options, cache).expect("it can be sliced")
    }

    /// What slices say where nothing is kept.
    pub(super) fn fresh(&self, options: &LoadOptions) -> Loaded {
        let options = LoadOptions { keep_figures: false, ..options.clone() };
        self.sliced(&options, &mut Cache::default())
    }

    /// What a look at everything says.
    pub(super) fn whole(&self, options: &LoadOptions) -> Loaded {
        let options = LoadOptions { keep_figures: false, ..options.clone() };
        let mut cache = Cache::default();
        self.refresh(&options, &mut cache, false);
        assemble::loaded("support", &self.metrics, &options, &cache)
    }

    /// The slices that are kept, in order of time.
    pub(super) fn kept(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.data.path().join(".figures")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                match path.extension() {
                    _ if path.is_dir() => folders.push(path),
                    Some(extension) if extension == "slice" => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

pub(super) fn judged(loaded: &Loaded) -> Evaluation {
    evaluate(&Gates::parse("gates", GATES).unwrap(), &loaded.series, &loaded.health, Spending::ALL)
}

pub(super) fn exemplars(loaded: &Loaded) -> Vec<Exemplar> {
    loaded.exemplars(&judged(loaded), 3).unwrap()
}
