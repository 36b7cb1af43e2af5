//! Metrics that need more than one leg: citations and language against the request, and what a session did next.
//!
//! Requests are captured with the primary leg only, and files are read one by one. So a leg keeps a few hashes of what it
//! cites, of what its request offered and asked, where a metric wants them, and the values follow when all legs are known.

use std::collections::HashMap;

use weir_sample::Leg;
use whatlang::Lang;

use crate::answer::Answer;
use crate::exchange::Exchanges;
use crate::family::session::Request;
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
    asked: bool,
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
    pub(crate) request: Option<Request>,
}

impl Needs {
    pub(crate) fn of(metrics: &[Metric]) -> Self {
        let mut needs = Self::default();
        for metric in metrics {
            match metric.value {
                ValueOf::Assembled(Assembled::CitationValid) => needs.citations = true,
                ValueOf::Assembled(Assembled::LanguageMatch) => needs.language = true,
                ValueOf::Assembled(Assembled::Retry | Assembled::Reprompt) => needs.asked = true,
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
    pub(crate) fn of(needs: Needs, answer: &Answer<'_>, request: Option<&str>) -> Option<Box<Self>> {
        if !needs.request() {
            return None;
        }
        let wanted = |wanted: bool| request.filter(|_| wanted);
        Some(Box::new(Self {
            cited: if needs.citations {
                citations::of_answer(answer).unwrap_or_default().into()
            } else {
                Box::default()
            },
            known: wanted(needs.citations).map(citations::of_request).unwrap_or_default().into(),
            language: needs.language.then(|| language::of_answer(answer)).flatten(),
            request_language: wanted(needs.language)
                .and_then(|text| language::detect(session::last_message(text))),
            request: wanted(needs.asked).map(Request::of),
        }))
    }
}

impl Traits {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.column(&self.cited, u64::to_le_bytes);
        to.column(&self.known, u64::to_le_bytes);
        for language in [self.language, self.request_language] {
            to.option(language, |to, language| to.text(language.code()));
        }
        to.option(self.request.as_ref(), |to, request| request.write(to));
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let language = |from: &mut Reader<'_>| from.option(|from| Lang::from_code(from.text()?));
        Some(Self {
            cited: from.column(u64::from_le_bytes)?.into(),
            known: from.column(u64::from_le_bytes)?.into(),
            language: language(from)?,
            request_language: language(from)?,
            request: from.option(Request::read)?,
        })
    }
}

/// The values of one such metric by sample id and leg.
pub(crate) fn values<'a>(
    exchanges: &Exchanges<'a>,
    what: Assembled,
    metrics: &[Metric],
) -> HashMap<(&'a str, Leg), f64> {
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
            let values = session::values(exchanges, what, faulty);
            values.into_iter().map(|(id, value)| ((id, Leg::Primary), value)).collect()
        }
    }
}

/// Values of every leg whose exchange has a primary leg, which carries the request.
fn per_leg<'a>(
    exchanges: &Exchanges<'a>,
    value: impl Fn(&Traits, &Traits) -> Option<f64>,
) -> HashMap<(&'a str, Leg), f64> {
    let mut values = HashMap::new();
    for exchange in &exchanges.all {
        let Some(primary) = exchange.primary.and_then(LegRef::traits) else { continue };
        for found in exchange.legs() {
            if let Some(value) = found.traits().and_then(|leg| value(primary, leg)) {
                values.insert((found.sample_id(), found.leg()), value);
            }
        }
    }
    values
}
