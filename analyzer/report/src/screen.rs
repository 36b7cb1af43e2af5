//! Lines that scroll, and a status that is redrawn below them; and the progress of long work. Standard error only.
//!
//! Without a terminal (a pipe, a CI log, `TERM=dumb`) lines are plain, nothing is redrawn and progress is silent. Colour is
//! on where the terminal is and `NO_COLOR` is not set, and only repeats what a word says. A line of the status never wraps:
//! the terminal cuts it, so that the number of lines to go up is known.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::numbers;

/// Time between two drawings of progress.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// Work that is done sooner shows no progress at all.
const QUIET: Duration = Duration::from_millis(400);
const BAR_COLUMNS: u64 = 24;

/// Standard error, drawn on from several threads.
#[derive(Debug)]
pub struct Screen {
    live: bool,
    colour: bool,
    drawn: Mutex<Drawn>,
}

#[derive(Debug, Default)]
struct Drawn {
    /// Lines of the status that are on the screen now.
    lines: usize,
    /// The status, to draw again below a new line.
    status: Vec<String>,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// Redraws where standard error is a terminal that understands it.
    #[must_use]
    pub fn new() -> Self {
        let live =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { live, colour: live && !no_colour, drawn: Mutex::default() }
    }

    /// Whether there is anything to redraw on.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether colours are wanted.
    #[must_use]
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// A line that stays, above the status.
    pub fn say(&self, line: &str) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}{line}\n{}", up(drawn.lines), block(&drawn.status));
        drawn.lines = drawn.status.len();
        write(&text);
    }

    /// The status from now on; nothing where nothing can be redrawn.
    pub fn show(&self, status: Vec<String>) {
        if !self.live {
            return;
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = up(drawn.lines) + &block(&status);
        drawn.lines = status.len();
        drawn.status = status;
        write(&text);
    }

    /// Takes the status away.
    pub fn clear(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        write(&up(drawn.lines));
        *drawn = Drawn::default();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After Ctrl-C nobody has taken the status away.
        self.clear();
    }
}

/// How far long work has come, with rate and time left; nothing where standard error is no terminal.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    what: &'static str,
    unit: Unit,
    started: Instant,
    last: Mutex<Option<Instant>>,
}

/// What amounts of work are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as megabytes.
    Bytes,
    /// Things, by their name in the plural: `texts`, `calls`.
    Count(&'static str),
}

impl Progress {
    /// Work that begins now; `what` is a word such as `reading`.
    #[must_use]
    pub fn new(what: &'static str, unit: Unit) -> Self {
        Self { screen: Screen::new(), what, unit, started: Instant::now(), last: Mutex::default() }
    }

    /// So much of so much is done. All of it takes the line away.
    pub fn at(&self, done: u64, all: u64) {
        let elapsed = self.started.elapsed();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.screen.is_live()
            || elapsed < QUIET
            || last.is_some_and(|last| last.elapsed() < REDRAW_EVERY && done < all)
        {
            return;
        }
        *last = Some(Instant::now());
        let status =
            if done < all { vec![line(self.what, self.unit, done, all, elapsed)] } else { Vec::new() };
        self.screen.show(status);
    }
}

/// `reading  [######      ]  24 %  12.0 of 50.0 MB, 8.1 MB/s, 5 s left`.
#[allow(clippy::cast_precision_loss)] // amounts far below 2^53
fn line(what: &str, unit: Unit, done: u64, all: u64, elapsed: Duration) -> String {
    let share = done as f64 / all.max(1) as f64;
    let filled = usize::try_from(done.saturating_mul(BAR_COLUMNS) / all.max(1)).unwrap_or(0);
    let empty = usize::try_from(BAR_COLUMNS).unwrap_or(0).saturating_sub(filled);
    let per_second = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let amounts = match unit {
        Unit::Bytes => {
            let megabytes = |bytes: f64| format!("{:.1}", bytes / 1e6);
            let (done, all) = (megabytes(done as f64), megabytes(all as f64));
            format!("{done} of {all} MB, {} MB/s", megabytes(per_second))
        }
        Unit::Count(name) => {
            let digits = usize::from(per_second < 10.0);
            format!("{} of {} {name}, {per_second:.digits$}/s", numbers::count(done), numbers::count(all))
        }
    };
    let left = match per_second > 0.0 {
        true => format!(", {} left", time_left((all.saturating_sub(done)) as f64 / per_second)),
        false => String::new(),
    };
    format!("{what}  [{}{}] {:>3.0} %  {amounts}{left}", "#".repeat(filled), " ".repeat(empty), share * 100.0)
}

/// `7 s`, `12 min`, `3.5 h`: rounded up.
pub(crate) fn time_left(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 100.0 => format!("{:.0} s", seconds.ceil()),
        seconds if seconds < 5_400.0 => format!("{:.0} min", (seconds / 60.0).ceil()),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Goes up over the drawn status and clears it.
fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\r\x1b[J") }
}

/// The lines without wrapping: what is too long is cut by the terminal.
fn block(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("\x1b[?7l{}\n\x1b[?7h", lines.join("\n")) }
}

fn write(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut out = std::io::stderr().lock();
    // Nobody is left to be told that standard error is closed.
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_share_amount_rate_and_time_left() {
        assert_eq!(
            line("reading", Unit::Bytes, 12_000_000, 50_000_000, Duration::from_secs(2)),
            "reading  [#####                   ]  24 %  12.0 of 50.0 MB, 6.0 MB/s, 7 s left"
        );
        assert_eq!(
            line("judging", Unit::Count("calls"), 50, 2_000, Duration::from_secs(20)),
            "judging  [                        ]   2 %  50 of 2,000 calls, 2.5/s, 13 min left"
        );
        assert_eq!(time_left(7_200.0), "2.0 h");
    }

    #[test]
    fn progress_of_nothing_is_a_line_all_the_same() {
        assert!(line("reading", Unit::Bytes, 0, 0, Duration::ZERO).starts_with("reading  ["));
    }

    #[test]
    fn a_status_is_cut_and_not_wrapped_and_gone_over_line_by_line() {
        assert_eq!(block(&["a".to_owned(), "b".to_owned()]), "\x1b[?7la\nb\n\x1b[?7h");
        assert_eq!(up(2), "\x1b[2A\r\x1b[J");
        assert_eq!(up(0), "");
    }
}
