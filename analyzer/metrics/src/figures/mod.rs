//! The legs of one file as columns of figures: what is left of them once their texts are read.
//!
//! Some 80 bytes a leg: numbers are in the smallest form that gives them back bit for bit, and what repeats from leg to leg
//! (variant, revision, cohort, labels, ...) is there once, with its place for each leg.

mod gathering;

use std::path::Path;
use std::sync::Arc;

use weir_gate::Values;
use weir_sample::{Leg, Variant};
use weir_tripwire::Mark;

use crate::assembled::Traits;
use crate::family::session::Request;
use crate::integers::Integers;
use crate::labels::LegLabels;
use crate::marks::Marks;
use crate::packed::{Reader, Writer};
use crate::spans::Span;

pub(crate) use gathering::Gathering;

/// One leg before it is put into the columns.
#[derive(Clone, Debug)]
pub(crate) struct LegFigures<'a> {
    pub(crate) sample_id: &'a str,
    /// The place of its facts.
    pub(crate) kind: u32,
    pub(crate) ts_us: i64,
    /// Hash of the identity, or of the session where no identity is known.
    pub(crate) identity: Option<u64>,
    /// Hash of the session, or of the identity where no session is known.
    pub(crate) session: Option<u64>,
    /// Hash of what the request asks, where a metric compares it; never 0.
    pub(crate) asked: Option<u64>,
    /// What other legs are compared with, where a metric asks for it.
    pub(crate) traits: Option<Box<Traits>>,
    pub(crate) sequence: Option<i64>,
    pub(crate) inclusion_probability: f64,
    pub(crate) latency_ms: Option<f64>,
}

/// What many legs have alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    pub(crate) leg: Leg,
    pub(crate) variant: Variant,
    pub(crate) revision: Option<i64>,
    pub(crate) policy_digest: Option<Arc<str>>,
    pub(crate) snapshot: Option<Arc<str>>,
    pub(crate) cohort: Option<Arc<str>>,
    /// What the exchange is labelled with; nothing where there are no labels.
    pub(crate) labels: Option<Arc<LegLabels>>,
    /// Proxy and worker that numbered the record.
    pub(crate) emitter: Option<Arc<str>>,
    /// Whether the identity is one, and not the session in its place.
    pub(crate) identified: bool,
    /// Sent by a push to see the revision; it was numbered like any other, and is nothing to compare.
    pub(crate) probe: bool,
    /// The candidate's share of the cohort's identities by policy, parts per million; primary legs, where recorded.
    pub(crate) candidate_ppm: Option<u32>,
    /// Whether a copy to the candidate was asked for; primary legs, where recorded.
    pub(crate) shadowed: Option<bool>,
    /// The capture limits cut the response.
    pub(crate) truncated: bool,
}

/// The legs of one file.
#[derive(Debug)]
pub(crate) struct Figures {
    path: Arc<Path>,
    rows: usize,
    ids: String,
    /// Where each id ends.
    id_ends: Vec<u32>,
    ts_us: Integers,
    facts: Vec<Facts>,
    /// For each leg the place of its facts.
    places: Vec<u32>,
    identity: Vec<u64>,
    /// Empty where it is the identity everywhere.
    session: Vec<u64>,
    /// 0 where it is not known; empty where it is nowhere.
    asked: Vec<u64>,
    sequence: Integers,
    /// NaN where it is not known, here and below.
    inclusion_probability: Values,
    latency_ms: Values,
    values: Vec<Values>,
    /// Empty where none has any.
    traits: Vec<Option<Box<Traits>>>,
    marks: Marks,
}

/// One leg of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegRef<'a> {
    file: &'a Figures,
    row: u32,
}

impl<'a> LegRef<'a> {
    /// Its place in the file.
    pub(crate) fn row(self) -> usize {
        self.row as usize
    }

    /// The same, as it is kept.
    pub(crate) fn place(self) -> u32 {
        self.row
    }

    pub(crate) fn file(self) -> &'a Figures {
        self.file
    }

    pub(crate) fn facts(self) -> Option<&'a Facts> {
        self.file.facts.get(self.kind())
    }

    /// The place of its facts in the file.
    pub(crate) fn kind(self) -> usize {
        self.file.places.get(self.row()).map_or(usize::MAX, |place| *place as usize)
    }

    pub(crate) fn path(self) -> &'a Arc<Path> {
        &self.file.path
    }

    pub(crate) fn sample_id(self) -> &'a str {
        let end = |row: Option<usize>| row.and_then(|row| self.file.id_ends.get(row)).copied().unwrap_or(0);
        let (start, end) = (end(self.row().checked_sub(1)), end(Some(self.row())));
        self.file.ids.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn leg(self) -> Leg {
        self.facts().map_or(Leg::Primary, |facts| facts.leg)
    }

    pub(crate) fn variant(self) -> Variant {
        self.facts().map_or(Variant::Control, |facts| facts.variant)
    }

    pub(crate) fn ts_us(self) -> i64 {
        self.file.ts_us.at(self.row()).unwrap_or_default()
    }

    pub(crate) fn revision(self) -> Option<i64> {
        self.facts()?.revision
    }

    pub(crate) fn cohort(self) -> Option<&'a str> {
        self.facts()?.cohort.as_deref()
    }

    pub(crate) fn labels(self) -> Option<&'a Arc<LegLabels>> {
        self.facts()?.labels.as_ref()
    }

    pub(crate) fn emitter(self) -> Option<&'a str> {
        self.facts()?.emitter.as_deref()
    }

    pub(crate) fn probe(self) -> bool {
        self.facts().is_some_and(|facts| facts.probe)
    }

    pub(crate) fn candidate_ppm(self) -> Option<u32> {
        self.facts()?.candidate_ppm
    }

    pub(crate) fn shadowed(self) -> Option<bool> {
        self.facts()?.shadowed
    }

    pub(crate) fn identity(self) -> Option<u64> {
        self.file.identity.get(self.row()).copied().filter(|hash| *hash != 0)
    }

    /// The identity by which the variant was chosen.
    pub(crate) fn assigned_identity(self) -> Option<u64> {
        self.identity().filter(|_| self.facts().is_some_and(|facts| facts.identified))
    }

    pub(crate) fn session(self) -> Option<u64> {
        if self.file.session.is_empty() {
            return self.identity();
        }
        self.file.session.get(self.row()).copied().filter(|hash| *hash != 0)
    }

    pub(crate) fn sequence(self) -> Option<i64> {
        self.file.sequence.at(self.row())
    }

    pub(crate) fn inclusion_probability(self) -> f64 {
        self.file.inclusion_probability.get(self.row()).unwrap_or(f64::NAN)
    }

    pub(crate) fn latency_ms(self) -> Option<f64> {
        self.file.latency_ms.get(self.row()).filter(|latency_ms| !latency_ms.is_nan())
    }

    /// The value of a metric, by its place.
    pub(crate) fn value(self, metric: usize) -> Option<f64> {
        self.file.values.get(metric)?.get(self.row()).filter(|value| !value.is_nan())
    }

    pub(crate) fn traits(self) -> Option<&'a Traits> {
        self.file.traits.get(self.row())?.as_deref()
    }

    /// What tripwires go by, where the leg was chosen for it.
    pub(crate) fn mark(self) -> Option<Mark> {
        self.file.marks.at(self.row())
    }

    /// What the request asked, where a metric compares it.
    pub(crate) fn request(self) -> Option<Request<'a>> {
        let asked = self.file.asked.get(self.row()).copied().filter(|hash| *hash != 0)?;
        Some(Request::new(asked, self.traits().map(Traits::words).unwrap_or_default()))
    }

    /// Whether the leg passes a revision filter. A shadow or noise leg without a revision belongs to its primary leg,
    /// which is not known here.
    pub(crate) fn may_belong_to(self, revision: Option<i64>) -> bool {
        match (revision, self.revision()) {
            (None, _) => true,
            (Some(wanted), Some(own)) => wanted == own,
            (Some(_), None) => self.leg() != Leg::Primary,
        }
    }
}

impl Figures {
    /// Every leg, in the order of the file.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegRef<'_>> + Clone {
        let rows = u32::try_from(self.rows).unwrap_or(u32::MAX);
        (0..rows).map(|row| LegRef { file: self, row })
    }

    /// How many legs there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many legs there are, when they began, and of which revisions they are.
    pub(crate) fn span(&self) -> Span {
        let times_us = || self.legs().map(LegRef::ts_us);
        let revisions = || self.facts.iter().filter_map(|facts| facts.revision);
        Span {
            rows: self.rows(),
            first_us: times_us().min().unwrap_or(i64::MAX),
            last_us: times_us().max().unwrap_or(i64::MIN),
            first_revision: revisions().min().unwrap_or(i64::MAX),
            last_revision: revisions().max().unwrap_or(i64::MIN),
        }
    }

    /// What its legs have alike, each once.
    pub(crate) fn kinds(&self) -> &[Facts] {
        &self.facts
    }

    /// The leg of a row.
    pub(crate) fn leg(&self, row: u32) -> LegRef<'_> {
        LegRef { file: self, row }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(u64::try_from(self.rows).unwrap_or(u64::MAX));
        to.text(&self.ids);
        to.column(&self.id_ends, u32::to_le_bytes);
        self.ts_us.write(to);
        to.number(u64::try_from(self.facts.len()).unwrap_or(u64::MAX));
        self.facts.iter().for_each(|facts| facts.write(to));
        to.column(&self.places, u32::to_le_bytes);
        to.column(&self.identity, u64::to_le_bytes);
        to.column(&self.session, u64::to_le_bytes);
        to.column(&self.asked, u64::to_le_bytes);
        self.sequence.write(to);
        to.bytes(&self.inclusion_probability.to_bytes());
        to.bytes(&self.latency_ms.to_bytes());
        to.number(u64::try_from(self.values.len()).unwrap_or(u64::MAX));
        self.values.iter().for_each(|values| to.bytes(&values.to_bytes()));
        to.number(u64::try_from(self.traits.len()).unwrap_or(u64::MAX));
        for traits in &self.traits {
            to.option(traits.as_deref(), |to, traits| traits.write(to));
        }
        self.marks.write(to);
    }

    /// Nothing where the bytes are no legs with so many metrics.
    pub(crate) fn read(path: &Path, metrics: usize, from: &mut Reader<'_>) -> Option<Self> {
        let rows = from.count()?;
        let ids = from.text()?.to_owned();
        let id_ends = from.column(u32::from_le_bytes)?;
        let ts_us = Integers::read(from, rows)?;
        let kinds = from.count()?;
        let mut facts = Vec::new();
        for _ in 0..kinds {
            facts.push(Facts::read(from)?);
        }
        let places = from.column(u32::from_le_bytes)?;
        let identity = from.column(u64::from_le_bytes)?;
        let session = from.column(u64::from_le_bytes)?;
        let asked = from.column(u64::from_le_bytes)?;
        let sequence = Integers::read(from, rows)?;
        let mut numbers = || Values::from_bytes(from.bytes()?).filter(|values| values.len() == rows);
        let (inclusion_probability, latency_ms) = (numbers()?, numbers()?);
        if from.count()? != metrics {
            return None;
        }
        let values = (0..metrics)
            .map(|_| Values::from_bytes(from.bytes()?).filter(|values| values.len() == rows))
            .collect::<Option<Vec<_>>>()?;
        let with_traits = from.count()?;
        let mut traits = Vec::new();
        for _ in 0..with_traits {
            traits.push(from.option(Traits::read)?.map(Box::new));
        }
        let marks = Marks::read(from)?;
        let fits = id_ends.len() == rows
            && places.len() == rows
            && identity.len() == rows
            && (session.is_empty() || session.len() == rows)
            && (asked.is_empty() || asked.len() == rows)
            && (traits.is_empty() || traits.len() == rows)
            && places.iter().all(|place| (*place as usize) < facts.len())
            && from.is_empty();
        fits.then(|| Self {
            path: path.into(),
            rows,
            ids,
            id_ends,
            ts_us,
            facts,
            places,
            identity,
            session,
            asked,
            sequence,
            inclusion_probability,
            latency_ms,
            values,
            traits,
            marks,
        })
    }
}

impl Facts {
    fn write(&self, to: &mut Writer) {
        to.text(self.leg.as_str());
        to.text(self.variant.as_str());
        to.option(self.revision, |to, revision| to.number(revision.cast_unsigned()));
        for text in [&self.policy_digest, &self.snapshot, &self.cohort, &self.emitter] {
            to.option(text.as_deref(), Writer::text);
        }
        to.option(self.labels.as_deref(), |to, labels| {
            to.number(u64::try_from(labels.len()).unwrap_or(u64::MAX));
            for (dimension, value) in labels {
                to.text(dimension);
                to.text(value);
            }
        });
        to.flag(self.identified);
        to.flag(self.probe);
        to.option(self.candidate_ppm, |to, ppm| to.number(u64::from(ppm)));
        to.option(self.shadowed, Writer::flag);
        to.flag(self.truncated);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let leg = Leg::parse(from.text()?)?;
        let variant = Variant::parse(from.text()?)?;
        let revision = from.option(Reader::number)?.map(u64::cast_signed);
        let mut word = || Some(from.option(Reader::text)?.map(Arc::from));
        let (policy_digest, snapshot, cohort, emitter) = (word()?, word()?, word()?, word()?);
        let labels = from.option(|from| {
            let count = from.count()?;
            let mut labels = LegLabels::new();
            for _ in 0..count {
                labels.insert(Arc::from(from.text()?), Arc::from(from.text()?));
            }
            Some(Arc::new(labels))
        })?;
        Some(Self {
            leg,
            variant,
            revision,
            policy_digest,
            snapshot,
            cohort,
            labels,
            emitter,
            identified: from.flag()?,
            probe: from.flag()?,
            candidate_ppm: match from.option(Reader::number)? {
                Some(ppm) => Some(u32::try_from(ppm).ok()?),
                None => None,
            },
            shadowed: from.option(Reader::flag)?,
            truncated: from.flag()?,
        })
    }
}
