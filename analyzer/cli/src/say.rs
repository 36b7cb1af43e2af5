//! Text on standard output, instead of `println!`, which panics where nobody reads any more (`weir ... | head`).
//!
//! Invariants: a reader who has had enough is no failure; whatever else cannot be written is told once on standard error and
//! ends the process with [`Exit::Data`], when the command is done.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Exit;

/// Whether something could not be written.
static FAILED: AtomicBool = AtomicBool::new(false);

/// A line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Text on standard output that has its own line ends.
macro_rules! say_text {
    ($($text:tt)*) => { $crate::say::write(format_args!($($text)*)) };
}

pub(crate) use {say, say_text};

/// Writes to standard output.
pub(crate) fn write(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    heed(stdout.write_fmt(text).and_then(|()| stdout.flush()));
}

/// Keeps a failure to write for the end.
fn heed(written: std::io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() != ErrorKind::BrokenPipe && !FAILED.swap(true, Ordering::Relaxed) {
        eprintln!("error: standard output: cannot be written: {error}");
    }
}

/// The way out, or [`Exit::Data`] where standard output could not be written.
pub(crate) fn ended(exit: Exit) -> Exit {
    if FAILED.load(Ordering::Relaxed) { Exit::Data } else { exit }
}
