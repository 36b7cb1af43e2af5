//! What tripwires go by: marks of the answers to some exchanges of each file, made when the file is read.
//!
//! Which exchanges is decided by the hash of the sample id, so that all legs of one are there in whichever file they are, and
//! a larger file gives a smaller share of its exchanges: about [`FILE_ROWS`] rows of a file, about [`EXCHANGES_MAX`] exchanges of
//! a look. The rules go by shares that are far from chance, for which that is plenty.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use weir_sample::{Variant, read_requests};
use weir_tripwire::{Answered, Mark, Seen};
use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::Exchanges;
use crate::figures::LegRef;
use crate::packed::{Reader, Writer};
use crate::scan::Refusal;

/// Rows of a file that have marks, about.
const FILE_ROWS: usize = 512;
/// Exchanges that a look goes by, about.
pub(crate) const EXCHANGES_MAX: usize = 1 << 14;

/// Marks of some rows of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marks {
    /// Ascending.
    rows: Vec<u32>,
    marks: Vec<Mark>,
}

/// One in two to the power of this many exchanges is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice(pub(crate) u32);

impl Choice {
    /// The share of `all` that gives about `wanted` of them.
    pub(crate) fn of(all: usize, wanted: usize) -> Self {
        Self(all.div_ceil(wanted.max(1)).max(1).next_power_of_two().trailing_zeros())
    }

    fn takes(self, sample_id: &str) -> bool {
        xxh3_64(sample_id.as_bytes()).trailing_zeros() >= self.0
    }
}

impl Marks {
    /// Marks of a file's rows, each given as its sample id and its answer, where that is a whole one. Requests are those that
    /// were read with the rows, or are read now.
    pub(crate) fn of<'a>(
        path: &Path,
        rows: usize,
        id: impl Fn(usize) -> &'a str,
        answer: impl Fn(usize) -> Option<&'a str>,
        request: Option<impl Fn(usize) -> Option<&'a str>>,
    ) -> Result<Self, Refusal> {
        let choice = Choice::of(rows, FILE_ROWS);
        let chosen: Vec<usize> = (0..rows).filter(|row| choice.takes(id(*row))).collect();
        let requests: HashMap<String, String> = match request {
            Some(request) => {
                let text = |row: &usize| Some((id(*row).to_owned(), request(*row)?.to_owned()));
                chosen.iter().rev().filter_map(text).collect()
            }
            None => read(path, choice)?,
        };
        let mut marks = Self::default();
        for row in chosen {
            let mark =
                answer(row).and_then(|answer| Mark::of(requests.get(id(row)).map(String::as_str), answer));
            if let (Some(mark), Ok(row)) = (mark, u32::try_from(row)) {
                marks.rows.push(row);
                marks.marks.push(mark);
            }
        }
        Ok(marks)
    }

    pub(crate) fn at(&self, row: usize) -> Option<Mark> {
        let place = self.rows.binary_search(&u32::try_from(row).ok()?).ok()?;
        self.marks.get(place).copied()
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.column(&self.rows, u32::to_le_bytes);
        to.column(&self.marks, Mark::to_bytes);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let read = Self { rows: from.column(u32::from_le_bytes)?, marks: from.column(Mark::from_bytes)? };
        (read.rows.len() == read.marks.len() && read.rows.is_sorted()).then_some(read)
    }
}

fn read(path: &Path, choice: Choice) -> Result<HashMap<String, String>, Refusal> {
    // As in a scan: damaged pages make some decoders panic.
    catch_unwind(AssertUnwindSafe(|| read_requests(path, move |id| choice.takes(id))))
        .map_err(|_| "is damaged: a page cannot be decoded".to_owned())?
        .map_err(|error| format!("is damaged: {}", error.to_string().lines().next().unwrap_or_default()))
}

/// The marks of the exchanges that are chosen.
pub(crate) fn seen(exchanges: &Exchanges<'_>, choice: Choice) -> Seen {
    let mut seen = Seen::default();
    let answered = |leg: LegRef<'_>| {
        Some(Answered { by_candidate: leg.variant() == Variant::Candidate, mark: leg.mark()? })
    };
    for exchange in exchanges.iter().filter(|exchange| choice.takes(exchange.sample_id())) {
        let [primary, shadow, noise] =
            [exchange.primary, exchange.shadow, exchange.noise].map(|leg| leg.and_then(answered));
        seen.take(primary, shadow, noise);
    }
    seen
}
