//! Which pairs there are, so that the worst ones can be shown when the legs they were made of are gone.
//!
//! Some 25 bytes a pair: ids are one text, and files are named by their places.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use weir_gate::Places;

use crate::figures::LegRef;
use crate::packed::{Reader, Writer};

/// Scores of a pair's two answers, control's first.
pub(crate) type PairScores = (BTreeMap<String, f64>, BTreeMap<String, f64>);

/// Which pairs there are and which of them each series has.
#[derive(Clone, Debug, Default)]
pub(crate) struct PairIndex {
    pub(crate) origins: Origins,
    /// By place in `origins`, where there are any.
    pub(crate) scores: BTreeMap<usize, PairScores>,
    /// By metric: for each element of the series' pairs its place in `origins`.
    pub(crate) of_metric: BTreeMap<String, Places>,
}

/// Where the two legs of each pair are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    ids: String,
    /// Where each id ends.
    id_ends: Vec<usize>,
    files: Vec<Arc<Path>>,
    /// For each pair the places of control's and the candidate's file.
    places: Vec<(u32, u32)>,
    known: HashMap<Arc<Path>, u32>,
    /// The files of the last pair, which most pairs have again: found without a hash of their paths.
    last: [Option<(Arc<Path>, u32)>; 2],
}

/// Where the two legs of a pair are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) sample_id: &'a str,
    pub(crate) control_file: &'a Path,
    pub(crate) candidate_file: &'a Path,
}

impl Origins {
    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where a pair is.
    pub(crate) fn get(&self, place: usize) -> Option<Origin<'_>> {
        let start = place.checked_sub(1).map_or(Some(0), |before| self.id_ends.get(before).copied())?;
        let (control, candidate) = *self.places.get(place)?;
        Some(Origin {
            sample_id: self.ids.get(start..*self.id_ends.get(place)?)?,
            control_file: self.files.get(control as usize)?,
            candidate_file: self.files.get(candidate as usize)?,
        })
    }

    /// Appends a pair.
    pub(crate) fn push(&mut self, control: LegRef<'_>, candidate: LegRef<'_>) {
        self.ids.push_str(control.sample_id());
        self.id_ends.push(self.ids.len());
        let mut last = std::mem::take(&mut self.last);
        let [of_control, of_candidate] = &mut last;
        let places = (self.file(control.path(), of_control), self.file(candidate.path(), of_candidate));
        self.last = last;
        self.places.push(places);
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.text(&self.ids);
        let ends: Vec<u64> = self.id_ends.iter().map(|end| u64::try_from(*end).unwrap_or(u64::MAX)).collect();
        to.column(&ends, u64::to_le_bytes);
        to.number(u64::try_from(self.files.len()).unwrap_or(u64::MAX));
        self.files.iter().for_each(|file| to.bytes(file.as_os_str().as_bytes()));
        let (control, candidate): (Vec<u32>, Vec<u32>) = self.places.iter().copied().unzip();
        to.column(&control, u32::to_le_bytes);
        to.column(&candidate, u32::to_le_bytes);
    }

    /// Nothing where the bytes are no origins.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let ids = from.text()?.to_owned();
        let id_ends = from.column(u64::from_le_bytes)?;
        let id_ends = id_ends.into_iter().map(|end| usize::try_from(end).ok()).collect::<Option<Vec<_>>>()?;
        let mut files: Vec<Arc<Path>> = Vec::new();
        for _ in 0..from.count()? {
            files.push(Path::new(OsStr::from_bytes(from.bytes()?)).into());
        }
        let (control, candidate) = (from.column(u32::from_le_bytes)?, from.column(u32::from_le_bytes)?);
        let known = control.iter().chain(&candidate).all(|place| (*place as usize) < files.len());
        let fits = known && control.len() == candidate.len() && control.len() == id_ends.len();
        let ends = id_ends.is_sorted() && id_ends.iter().all(|end| ids.is_char_boundary(*end));
        let places = control.into_iter().zip(candidate).collect();
        (fits && ends).then(|| Self { ids, id_ends, files, places, ..Self::default() })
    }

    /// Appends all pairs of others.
    pub(crate) fn append(&mut self, others: &Self) {
        let files: Vec<u32> = others.files.iter().map(|path| self.file(path, &mut None)).collect();
        let before = self.ids.len();
        self.ids.push_str(&others.ids);
        self.id_ends.extend(others.id_ends.iter().map(|end| before + end));
        let new = |place: &u32| files.get(*place as usize).copied().unwrap_or(u32::MAX);
        self.places.extend(others.places.iter().map(|(control, candidate)| (new(control), new(candidate))));
    }

    /// Appends a pair of other origins.
    pub(crate) fn copy(&mut self, others: &Self, place: usize) {
        let (Some(origin), Some((control, candidate))) = (others.get(place), others.places.get(place)) else {
            return;
        };
        self.ids.push_str(origin.sample_id);
        self.id_ends.push(self.ids.len());
        let mut of = |file: &u32| {
            let path = others.files.get(*file as usize)?;
            Some(self.file(path, &mut None))
        };
        let places = (of(control).unwrap_or(u32::MAX), of(candidate).unwrap_or(u32::MAX));
        self.places.push(places);
    }

    fn file(&mut self, path: &Arc<Path>, last: &mut Option<(Arc<Path>, u32)>) -> u32 {
        if let Some((_, place)) = last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, path)) {
            return *place;
        }
        let fresh = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let place = *self.known.entry(Arc::clone(path)).or_insert(fresh);
        if place == fresh {
            self.files.push(Arc::clone(path));
        }
        *last = Some((Arc::clone(path), place));
        place
    }
}
