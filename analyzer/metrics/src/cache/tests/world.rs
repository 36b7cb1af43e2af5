//! A data folder to refresh caches from.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use weir_sample::{Kind, Sample, Variant, list_files, write_samples};

use crate::LoadOptions;
use crate::cache::Cache;
use crate::kept::Kept;
use crate::metric::{self, Metric};
use crate::scan::Refusal;

pub(super) const START_US: i64 = 1_760_000_000_000_000;
pub(super) const HOUR_US: i64 = 3_600_000_000;

thread_local! {
    /// Bytes of files that were to be read, as far as progress told.
    pub(super) static TOLD: Cell<u64> = const { Cell::new(0) };
}

/// A data folder with a file of samples for each hour.
pub(super) struct World {
    pub(super) data: tempfile::TempDir,
    pub(super) metrics: Vec<Metric>,
}

impl World {
    pub(super) fn new(hours: i64) -> Self {
        let world =
            Self { data: tempfile::tempdir().unwrap(), metrics: metric::registry(&[], None).unwrap() };
        (0..hours).for_each(|hour| world.arrive(hour));
        world
    }

    /// `hour + 2` legs of an hour, one every ten seconds.
    pub(super) fn arrive(&self, hour: i64) {
        let rows = (0..hour + 2).map(|number| leg(hour, number)).collect();
        write_samples(self.data.path(), &format!("part-{hour}"), rows).unwrap();
    }

    pub(super) fn samples(&self) -> Vec<PathBuf> {
        list_files(self.data.path(), Kind::Samples, Some("support")).unwrap()
    }

    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions { data_dir: self.data.path().to_path_buf(), keep_figures: true, ..LoadOptions::default() }
    }

    pub(super) fn refresh_with(
        &self,
        cache: &mut Cache,
        options: &LoadOptions,
        lazily: bool,
    ) -> Vec<(PathBuf, Refusal)> {
        let scores = list_files(self.data.path(), Kind::Scores, Some("support")).unwrap();
        cache.refresh(options, "support", &self.metrics, &self.samples(), &scores, lazily).unwrap()
    }

    pub(super) fn refresh(&self, cache: &mut Cache, lazily: bool) {
        assert_eq!(self.refresh_with(cache, &self.options(), lazily), []);
    }

    /// A new cache after a refresh.
    pub(super) fn cache(&self, lazily: bool) -> Cache {
        let mut cache = Cache::with_progress(|_, all| TOLD.set(all));
        self.refresh(&mut cache, lazily);
        cache
    }

    /// What the samples say, whatever is kept.
    pub(super) fn direct(&self) -> Cache {
        let mut cache = Cache::default();
        let options = LoadOptions { keep_figures: false, ..self.options() };
        assert_eq!(self.refresh_with(&mut cache, &options, false), []);
        cache
    }

    pub(super) fn load(&self, cache: &mut Cache, wanted: &[PathBuf]) -> Vec<(PathBuf, Refusal)> {
        let wanted = wanted.iter().cloned().collect();
        cache.load(&wanted, &self.options(), "support", &self.metrics).unwrap()
    }

    pub(super) fn kept(&self) -> Kept {
        Kept::of(&self.options(), "support", &self.metrics).unwrap()
    }

    /// Where the spans, or the figures of a file, are kept.
    pub(super) fn kept_file(&self, name: &str) -> PathBuf {
        let definitions = self.data.path().join(".figures/experiment=support");
        let folder = fs::read_dir(definitions).unwrap().next().unwrap().unwrap().path();
        let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(name);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(named).unwrap()
    }
}

pub(super) fn leg(hour: i64, number: i64) -> Sample {
    Sample {
        experiment: "support".into(),
        sample_id: format!("s-{hour}-{number}"),
        variant: if number % 2 == 0 { Variant::Control } else { Variant::Candidate },
        ts_us: START_US + hour * HOUR_US + number * 10_000_000,
        inclusion_probability: 1.0,
        revision: Some(hour + number.min(1)),
        response_text: Some(format!("answer {number}")),
        ..Sample::default()
    }
}
