//! Metrics that need more than one leg: citations and language against the request, and what a session did next.
//!
//! Requests are captured with the primary leg only, and files are read one by one. So a leg keeps a few hashes of what it
//! cites, of what its request offered and asked, where a metric wants them, and the values follow when all legs are known.

use weir_sample::Leg;
use whatlang::Lang;

use crate::answer::Answer;
use crate::exchange::{Exchange, Exchanges};
use crate::family::{citations, flag, language, session};
use crate::figures::LegRef;
use crate::metric::{Assembled, Metric, ValueOf};
use crate::packed::{Reader, Writer};

/// Metrics whose positive value at the end of a session means that it was given up.
const FAULTS: [&str; 4] = ["error", "empty", "refusal", "truncated_answer"];

/// What the metrics want to know of every leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    citations: bool,
    language: bool,
    pub(crate) asked: bool,
    words: bool,
    /// Tags by name.
    pub(crate) tags: bool,
}

/// What is kept of a leg to be compared with others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traits {
    /// Hashes of what the answer cites.
    cited: Box<[u64]>,
    /// Hashes of what the request offers to cite, sorted.
    known: Box<[u64]>,
    language: Option<Lang>,
    request_language: Option<Lang>,
    /// What `session::sketch` keeps of the request.
    words: Box<[u32]>,
}

impl Needs {
    pub(crate) fn of(metrics: &[Metric]) -> Self {
        let mut needs = Self::default();
        for metric in metrics {
            match metric.value {
                ValueOf::Assembled(Assembled::CitationValid) => needs.citations = true,
                ValueOf::Assembled(Assembled::LanguageMatch) => needs.language = true,
                ValueOf::Assembled(Assembled::Retry) => needs.asked = true,
                ValueOf::Assembled(Assembled::Reprompt) => (needs.asked, needs.words) = (true, true),
                ValueOf::Tag(..) => needs.tags = true,
                _ => {}
            }
        }
        needs
    }

    /// Whether the texts of requests are wanted.
    pub(crate) fn request(self) -> bool {
        self.citations || self.language || self.asked
    }
}

impl Traits {
    /// Nothing where there is nothing to keep, as for most legs.
    pub(crate) fn of(needs: Needs, answer: &Answer<'_>, request: Option<&str>) -> Option<Box<Self>> {
        if !(needs.citations || needs.language || needs.words) {
            return None;
        }
        let wanted = |wanted: bool| request.filter(|_| wanted);
        let traits = Self {
            cited: if needs.citations {
                citations::of_answer(answer).unwrap_or_default().into()
            } else {
                Box::default()
            },
            known: wanted(needs.citations).map(citations::of_request).unwrap_or_default().into(),
            language: needs.language.then(|| language::of_answer(answer)).flatten(),
            request_language: wanted(needs.language)
                .and_then(|text| language::detect(session::last_message(text))),
            words: wanted(needs.words).map(session::sketch).unwrap_or_default().into(),
        };
        (traits != Self::default()).then(|| Box::new(traits))
    }

    /// What `session::sketch` kept of the request.
    pub(crate) fn words(&self) -> &[u32] {
        &self.words
    }
}

impl Traits {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.column(&self.cited, u64::to_le_bytes);
        to.column(&self.known, u64::to_le_bytes);
        for language in [self.language, self.request_language] {
            to.option(language, |to, language| to.text(language.code()));
        }
        to.column(&self.words, u32::to_le_bytes);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let language = |from: &mut Reader<'_>| from.option(|from| Lang::from_code(from.text()?));
        Some(Self {
            cited: from.column(u64::from_le_bytes)?.into(),
            known: from.column(u64::from_le_bytes)?.into(),
            language: language(from)?,
            request_language: language(from)?,
            words: from.column(u32::from_le_bytes)?.into(),
        })
    }
}

/// The values of one such metric.
pub(crate) struct Values {
    /// For primary, shadow and noise legs: by place of the exchange, NaN where there is none; empty where there is none at all.
    columns: [Vec<f64>; 3],
}

impl Values {
    /// That of a leg of the exchange at this place.
    pub(crate) fn at(&self, place: usize, leg: Leg) -> Option<f64> {
        let [primary, shadow, noise] = &self.columns;
        let column = match leg {
            Leg::Primary => primary,
            Leg::Shadow => shadow,
            Leg::Noise => noise,
        };
        column.get(place).copied().filter(|value| !value.is_nan())
    }

    fn of(exchanges: usize, values: impl Iterator<Item = (usize, Leg, f64)>) -> Self {
        let mut columns: [Vec<f64>; 3] = Default::default();
        for (place, leg, value) in values {
            let [primary, shadow, noise] = &mut columns;
            let column = match leg {
                Leg::Primary => primary,
                Leg::Shadow => shadow,
                Leg::Noise => noise,
            };
            column.resize(exchanges, f64::NAN);
            if let Some(known) = column.get_mut(place) {
                *known = value;
            }
        }
        Self { columns }
    }
}

/// The values of one such metric.
pub(crate) fn values(exchanges: &Exchanges<'_>, what: Assembled, metrics: &[Metric]) -> Values {
    match what {
        Assembled::CitationValid => {
            per_leg(exchanges, |primary, leg| citations::valid(&leg.cited, &primary.known))
        }
        Assembled::LanguageMatch => {
            per_leg(exchanges, |primary, leg| Some(flag(leg.language? == primary.request_language?)))
        }
        Assembled::Retry | Assembled::Reprompt | Assembled::Abandonment | Assembled::ConversationLength => {
            let places: Vec<usize> = FAULTS
                .iter()
                .filter_map(|fault| metrics.iter().position(|metric| metric.name == *fault))
                .collect();
            let faulty = |leg: LegRef<'_>| {
                places.iter().any(|place| leg.value(*place).is_some_and(|value| value > 0.0))
            };
            let values = session::values(exchanges, what, faulty).into_iter();
            Values::of(exchanges.len(), values.map(|(place, value)| (place, Leg::Primary, value)))
        }
    }
}

/// Values of every leg whose exchange has a primary leg, which carries the request.
fn per_leg(exchanges: &Exchanges<'_>, value: impl Fn(&Traits, &Traits) -> Option<f64>) -> Values {
    let none = Traits::default();
    let of = |(place, exchange): (usize, Exchange<'_>)| {
        let request = exchange.primary.map(|primary| primary.traits().unwrap_or(&none));
        let values = exchange.legs().filter_map(|found| {
            Some((place, found.leg(), value(request?, found.traits().unwrap_or(&none))?))
        });
        values.collect::<Vec<_>>()
    };
    Values::of(exchanges.len(), exchanges.iter().enumerate().flat_map(of))
}
