//! Data in object stores: `--data s3://BUCKET/PREFIX`, `gs://` or `az://`.
//!
//! What reads samples reads a mirror of them in a cache folder of this user (files 0600), brought up to date each time.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use weir_collector::{StoreError, StoreOptions, mirror};

use crate::exit::{Exit, Failure, failure};

/// The store that `--data` names; `None` for a folder.
pub(crate) fn of(data: &Path) -> Option<StoreOptions> {
    let url = data.to_str()?;
    url.contains("://").then(|| StoreOptions { url: url.to_owned(), settings: settings().collect() })
}

/// Credentials, region and endpoint by their usual variables.
pub(crate) fn settings() -> impl Iterator<Item = (String, String)> {
    // Not `vars`, which panics where a variable is not UTF-8.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The folder to read: `data` itself, or its mirror.
pub(crate) fn folder(data: &Path, cache: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(options) = of(data) else { return Ok(data.to_path_buf()) };
    let cache = cache.map_or_else(default_cache, |cache| Ok(cache.to_path_buf()))?;
    let done = mirror(&options, &cache, progress).map_err(refused)?;
    if done.fetched + done.removed > 0 {
        eprintln!(
            "{}: {} files fetched ({} bytes), {} there already, {} removed",
            done.folder.display(),
            done.fetched,
            done.fetched_bytes,
            done.kept,
            done.removed
        );
    }
    Ok(done.folder)
}

/// A store's failure; an address that is none is the command line's.
pub(crate) fn refused(error: StoreError) -> Failure {
    let exit = if matches!(error, StoreError::Address { .. }) { Exit::Usage } else { Exit::Data };
    Failure { exit, error: error.into() }
}

fn default_cache() -> Result<PathBuf, Failure> {
    let from =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("weir")).ok_or_else(|| {
        let text = "no cache folder for the files of the store: neither XDG_CACHE_HOME nor HOME is set\n  hint: name one with --cache DIR";
        failure(Exit::Usage, text.to_owned())
    })
}

/// A line that is written over; only where somebody watches.
fn progress(done: u64, all: u64) {
    if std::io::stderr().is_terminal() {
        eprint!("\rfetching {done} of {all}{}", if done == all { "\r\x1b[K" } else { "" });
    }
}
