//! Whether the capture can carry a comparison: counts, and the problems that would bias it, each with its remedy.
//!
//! - A problem is named only where there is enough to see it by: a handful of legs is always incomplete somewhere.
//! - A check of something that varies by itself (shares, rates) is a sequential test at [`ALPHA`] over all looks, and most
//!   also want a difference that matters; a check of something that must not happen at all (numbers that never arrived,
//!   two policies under one revision) counts. Six tests together cry wolf in fewer than six of a thousand analyses, however often each
//!   is looked at; `tests.rs` simulates it.
//! - Every check is a summary of a stretch of time ([`Observed`]) that adds up with that of the next one, and a judgement of
//!   the sum: a look at everything is one of a single stretch.

mod assignment;
mod chances;
mod clock;
mod completeness;
mod counts;
mod flags;
mod groups;
mod hashes;
mod latencies;
mod mixture;
mod observed;
mod pairing;
mod ranges;
mod stickiness;
#[cfg(test)]
mod tests;
mod workers;

pub use assignment::ExpectedShare;
pub(crate) use chances::Chances;
pub(crate) use hashes::Choice;
pub(crate) use observed::Observed;

use weir_gate::CaptureHealth;
use weir_sample::Variant;

use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::identities::Identities;

/// Chance that one sequential check names a problem where there is none, over all looks.
const ALPHA: f64 = 0.001;
/// A shadow answer may still be under way: exchanges this close to the newest one are not expected to be pairs yet.
pub(crate) const PAIRING_GRACE_US: i64 = 5_000_000;

/// Looks at the capture of all exchanges as one stretch; see [`Observed::of`] for `numbered`.
pub(crate) fn capture_health<'a>(
    exchanges: &Exchanges<'a>,
    identities: &Identities,
    expected: &[ExpectedShare],
    numbered: impl Iterator<Item = LegRef<'a>> + Send,
) -> CaptureHealth {
    let newest_us = exchanges.legs().map(LegRef::ts_us).max().unwrap_or(i64::MAX);
    let settled_before_us = newest_us.saturating_sub(PAIRING_GRACE_US);
    let chances = Chances::of(exchanges);
    Observed::of(exchanges, identities, &chances, settled_before_us, Choice(0), numbered).health(expected)
}

/// A primary leg by whose identity the variant was chosen.
struct Identified<'a> {
    kind: usize,
    leg: LegRef<'a>,
    /// The number of the identity among those of these exchanges.
    number: u32,
    hash: u64,
}

impl Identified<'_> {
    fn by_candidate(&self) -> bool {
        self.leg.variant() == Variant::Candidate
    }
}

fn identified<'a>(
    exchanges: &Exchanges<'a>,
    identities: &Identities,
) -> impl Iterator<Item = Identified<'a>> {
    let primaries = exchanges.primaries().zip(identities.numbers());
    primaries.filter_map(|(primary, number)| {
        let (kind, leg) = primary?;
        Some(Identified { kind, leg, number: *number, hash: leg.assigned_identity()? })
    })
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `31.2`, `5` or `0.04`: a share in percent with at most three digits that say something.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let text = if percent >= 10.0 { format!("{percent:.1}") } else { format!("{percent:.2}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
