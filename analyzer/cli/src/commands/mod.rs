//! One file per command: read the arguments, call the room that does the work, print, give the exit code.
//!
//! Invariant: data goes to standard output, everything else to standard error.

pub(crate) mod analyze;
pub(crate) mod assign;
mod board;
pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod documents;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod eval_tripwires;
mod eval_views;
pub(crate) mod golden;
pub(crate) mod hands;
pub(crate) mod import;
pub(crate) mod judge;
pub(crate) mod label;
pub(crate) mod man;
pub(crate) mod one_look;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod render;
pub(crate) mod report;
mod standing;
pub(crate) mod store;
pub(crate) mod upkeep;
pub(crate) mod validate;
pub(crate) mod watch;

use std::path::Path;

use crate::exit::{Exit, Failure, failure};

/// Reads a document's text; the error names the file.
fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "\n  hint: check the path; examples are in examples/",
            std::io::ErrorKind::InvalidData => "\n  hint: documents are UTF-8 text, YAML or JSON",
            _ => "",
        };
        failure(Exit::Usage, format!("{}: cannot be read: {error}{hint}", path.display()))
    })
}

/// A bar for work that is counted in `things`.
fn bar(what: &'static str, things: &'static str) -> impl FnMut(usize, usize) {
    let shown = weir_report::Progress::new(what, weir_report::Unit::Count(things));
    move |done, all| shown.at(done as u64, all as u64)
}

/// Completes at Ctrl-C or SIGTERM.
async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}
