//! Who may write: nobody beyond this machine, unless writers show a client certificate or a token, or the operator waives it.
//!
//! Files of certificates and tokens are read again when they change, without a restart; a new version that cannot be used is said
//! in the log, and the last good one stays. Health and metrics ask for no token: they hold no captured text.

mod tls;
mod tokens;
mod watched;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::status::LogSink;

pub(crate) use tls::Tls;
pub(crate) use tokens::Tokens;
pub use tokens::{TOKEN_CHARS_MAX, TOKEN_CHARS_MIN, TOKENS_MAX};

/// How writers are known. Nothing of it is needed on loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// Serves TLS.
    pub tls: Option<TlsFiles>,
    /// A file with one bearer token per line; lines that begin with `#` are comments.
    pub tokens: Option<PathBuf>,
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Only clients with a certificate of these authorities may connect.
    pub client_ca: Option<PathBuf>,
}

/// A file of [`AccessOptions`] that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {problem}\n  hint: {hint}", path = path.display())]
pub struct AccessError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// How to go on.
    pub hint: &'static str,
}

impl AccessOptions {
    /// Whether a writer has to show who it is.
    pub(crate) fn knows_writers(&self) -> bool {
        self.tokens.is_some() || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

/// What is checked of connections and requests.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) tls: Option<Tls>,
    pub(crate) tokens: Option<Tokens>,
}

impl Access {
    pub(crate) fn new(options: &AccessOptions, log: &LogSink) -> Result<Self, AccessError> {
        Ok(Self {
            tls: options.tls.clone().map(|files| Tls::new(files, log)).transpose()?,
            tokens: options.tokens.as_deref().map(|path| Tokens::new(path, log)).transpose()?,
        })
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> AccessError {
    AccessError {
        path: path.to_path_buf(),
        problem: format!("cannot be read: {error}"),
        hint: "check the path and its rights",
    }
}
