//! Looks at more exchanges than can be looked at again and again: time is cut into slices, of which each is looked at once.
//!
//! A slice is what a look needs to know of the exchanges that began within a window: sums of every metric ([`weir_gate::Settled`]), what
//! the checks of the capture have to know ([`crate::health::Observed`]), pairs that a report may show. A look puts the slices
//! together. Slices are kept beside the data, so that the next look goes over those windows only whose files are others.
//!
//! - The answer does not depend on which slices were kept: they are cut and put together in the same way.
//! - A slice is made anew where its files changed, where twice as many legs or as much time make samples thinner or slices wider, and
//!   where a least chance of capture is less than any before.
//! - Not sliced, and looked at whole: fewer than [`LEGS_MIN`] legs, data with judges' scores or people's labels, a time window,
//!   metrics of sessions (which go on from slice to slice), and data with copies that were not captured by the filter and whose
//!   original is at another time.
//! - Legs of one exchange that begin more than two minutes apart are none: the filter gives all of them one start.

mod merge;
mod shown;
mod slice;
mod store;
mod stored;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::slice::{Slice, SliceChances, exchanges};
use self::store::{Kept as KeptSlice, Store};
use self::window::Window;
use crate::cache::Cache;
use crate::error::MetricsError;
use crate::figures::Figures;
use crate::health::{Chances, Choice, PAIRING_GRACE_US};
use crate::kept::Identity;
use crate::marks::{self, EXCHANGES_MAX};
use crate::metric::{Assembled, Metric, ValueOf};
use crate::parallel;
use crate::scan::Refusal;
use crate::{LoadOptions, Loaded};

/// Legs from which a look is sliced.
pub(crate) const LEGS_MIN: usize = 750_000;
/// Windows at the end whose files stay in memory for the next look.
const OPEN: usize = 2;
/// Legs of a metric's sample at most.
const SAMPLE_LEGS_MAX: usize = 1 << 17;
/// Legs whose identities are checked one by one at most.
const CHECKED_LEGS_MAX: usize = 1 << 20;

/// What all slices of a look have alike.
struct Frame<'a> {
    metrics: &'a [Metric],
    options: &'a LoadOptions,
    choices: Choices,
    newest_us: i64,
}

/// Which of many are looked at one by one.
#[derive(Clone, Copy, Debug)]
struct Choices {
    /// Identities whose values are all kept.
    sample: Choice,
    /// Identities whose variants are checked.
    identities: Choice,
    /// Exchanges that tripwires go by.
    marks: marks::Choice,
}

/// What is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) options: &'a LoadOptions,
    pub(crate) experiment: &'a str,
    pub(crate) metrics: &'a [Metric],
}

/// What came of slicing.
pub(crate) enum Sliced {
    /// All slices, put together; and files that could not be used.
    Loaded(Box<Loaded>, Vec<(PathBuf, Refusal)>),
    /// It has to be looked at whole.
    Whole,
}

/// Whether a look with these options can be sliced, however many legs there are.
pub(crate) fn possible(options: &LoadOptions, metrics: &[Metric]) -> bool {
    let of_sessions = |metric: &Metric| {
        matches!(
            metric.value,
            ValueOf::Assembled(
                Assembled::Retry
                    | Assembled::Reprompt
                    | Assembled::Abandonment
                    | Assembled::ConversationLength
            )
        )
    };
    options.settle
        && !options.one_sided
        && options.people.is_empty()
        && options.since_us.is_none()
        && options.until_us.is_none()
        && !metrics.iter().any(of_sessions)
}

impl Choices {
    fn of(legs: usize) -> Self {
        let halvings = |most: usize| Choice(legs.div_ceil(most).next_power_of_two().trailing_zeros());
        Self {
            sample: halvings(SAMPLE_LEGS_MAX),
            identities: halvings(CHECKED_LEGS_MAX),
            marks: marks::Choice::of(legs, EXCHANGES_MAX),
        }
    }
}

impl Frame<'_> {
    /// Exchanges of a window with a leg at this time or later may still be without some of their legs.
    fn settled_before_us(&self, window: Window) -> i64 {
        self.newest_us.saturating_sub(PAIRING_GRACE_US).min(window.with_margin().until_us)
    }
}

/// A window, and the files that have legs of its exchanges.
type Wanted = (Window, Vec<(PathBuf, Option<Identity>)>);

/// A slice that was kept, with the chances that it was made by; or one that is to be made.
enum Part {
    Kept(Box<KeptSlice>),
    Missing,
}

/// Puts slices together: those that are kept, and the others made from the figures of their files.
pub(crate) fn loaded(reading: Reading<'_>, cache: &mut Cache) -> Result<Sliced, MetricsError> {
    let parts = cache.parts().filter(|(.., span)| span.rows > 0);
    let files: Vec<_> = parts.map(|(path, identity, span)| (path.to_owned(), identity, span)).collect();
    let looked_at = files.iter().filter(|(.., span)| span.may_have(reading.options.revision));
    let ends = looked_at.map(|(.., span)| (span.first_us, span.last_us));
    let Some((first_us, last_us)) = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) else {
        return Ok(Sliced::Whole);
    };
    let legs = cache.rows_of(reading.options.revision);
    let frame = Frame {
        metrics: reading.metrics,
        options: reading.options,
        choices: Choices::of(legs),
        newest_us: last_us,
    };
    let store = cache.kept().map(|kept| Store::new(kept, &frame));
    let of_window = |window: Window| {
        let wide = window.with_margin();
        let own = files.iter().filter(|(.., span)| wide.meets(span.first_us, span.last_us));
        let files: Vec<_> = own.map(|(path, identity, _)| (path.clone(), *identity)).collect();
        (window, files)
    };
    let mut windows: Vec<Wanted> = Window::all(first_us, last_us, legs)
        .into_iter()
        .map(of_window)
        .filter(|(_, files)| !files.is_empty())
        .collect();
    let read = |(window, files): &Wanted| {
        let kept = store.as_ref().and_then(|store| store.read(&frame, *window, files));
        kept.map_or(Part::Missing, |kept| Part::Kept(Box::new(kept)))
    };
    let mut parts = parallel::map(&windows, read, |_| {});
    let mut refused = Vec::new();
    let slices = loop {
        let wanted: BTreeSet<PathBuf> = windows
            .iter()
            .zip(&parts)
            .filter(|(_, part)| matches!(part, Part::Missing))
            .flat_map(|((_, files), _)| files.iter().map(|(path, _)| path.clone()))
            .collect();
        refused.extend(cache.load(&wanted, reading.options, reading.experiment, reading.metrics)?);
        // A file that cannot be used is none of a slice, and one that was replaced is another.
        let known: BTreeMap<&Path, Option<Identity>> =
            cache.parts().map(|(path, identity, _)| (path, identity)).collect();
        for (_, files) in &mut windows {
            files.retain_mut(|(path, identity)| {
                let now = known.get(path.as_path());
                now.into_iter().for_each(|now| *identity = *now);
                now.is_some()
            });
        }
        // Some that are kept may have been made by other chances, and are missing then.
        if let Some(slices) = made(&frame, cache, &windows, &mut parts, store.as_ref()) {
            break slices;
        }
    };
    if slices.iter().any(|slice| slice.stray > 0) {
        return Ok(Sliced::Whole);
    }
    if let Some(store) = &store {
        store.tidy(windows.iter().map(|(window, _)| *window));
    }
    // The next look wants those of the last windows again, unless they are closed by then.
    let open: BTreeSet<&PathBuf> =
        windows.iter().rev().take(OPEN).flat_map(|(_, files)| files.iter().map(|(path, _)| path)).collect();
    cache.let_go(|path| open.contains(&path.to_owned()));
    let loaded = merge::loaded(&frame, reading.experiment, slices);
    Ok(Sliced::Loaded(Box::new(loaded), refused))
}

/// All slices, those that are missing made now; nothing where some that were kept turn out to be missing as well.
fn made(
    frame: &Frame<'_>,
    cache: &Cache,
    windows: &[Wanted],
    parts: &mut [Part],
    store: Option<&Store>,
) -> Option<Vec<Slice>> {
    let figures = |files: &[(PathBuf, Option<Identity>)]| -> Vec<&Figures> {
        files.iter().filter_map(|(path, _)| cache.figures(path)).collect()
    };
    let places: Vec<usize> = (0..windows.len()).collect();
    let begun = |place: &usize| {
        let (window, files) = windows.get(*place)?;
        match parts.get(*place)? {
            Part::Kept(_) => None,
            Part::Missing => {
                let exchanges = exchanges(frame, *window, &figures(files));
                let own = SliceChances::of(&exchanges);
                Some((exchanges, own))
            }
        }
    };
    let begun = parallel::map(&places, begun, |_| {});
    let own = |place: usize| match (parts.get(place), begun.get(place)) {
        (Some(Part::Kept(kept)), _) => kept.slice.chances.clone(),
        (_, Some(Some((_, own)))) => own.clone(),
        _ => SliceChances::default(),
    };
    let used = used(&places.iter().map(|place| own(*place)).collect::<Vec<_>>());
    let stale: Vec<bool> = parts
        .iter()
        .zip(&used)
        .map(|(part, used)| matches!(part, Part::Kept(kept) if kept.used != *used))
        .collect();
    if stale.contains(&true) {
        for (part, _) in parts.iter_mut().zip(stale).filter(|(_, stale)| *stale) {
            *part = Part::Missing;
        }
        return None;
    }
    let finish = |place: &usize| {
        let (window, files) = windows.get(*place)?;
        let (exchanges, own) = begun.get(*place)?.as_ref()?;
        let used = used.get(*place)?;
        let slice = Slice::of(frame, *window, &figures(files), exchanges, own.clone(), used);
        if let Some(store) = store {
            store.write(frame, *window, files, used, &slice);
        }
        Some(slice)
    };
    let finished = parallel::map(&places, finish, |_| {});
    let mut slices = Vec::with_capacity(places.len());
    for (part, fresh) in parts.iter_mut().zip(finished) {
        match (std::mem::replace(part, Part::Missing), fresh) {
            (Part::Kept(kept), _) => slices.push(kept.slice),
            (Part::Missing, Some(slice)) => slices.push(slice),
            (Part::Missing, None) => {}
        }
    }
    Some(slices)
}

/// The chances that each slice is to be made by.
fn used(own: &[SliceChances]) -> Vec<SliceChances> {
    let mut all = SliceChances::default();
    for slice in own {
        all.least.append(&slice.least);
        all.chances.append(slice.chances.clone());
    }
    let mut so_far = Chances::default();
    let each = own.iter().map(|slice| {
        so_far.append(slice.chances.clone());
        slice.used(&all, &so_far)
    });
    each.collect()
}
