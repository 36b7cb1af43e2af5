//! Bearer tokens from a file: several, so that they can be exchanged one after the other.
//!
//! Only digests are kept. A token is compared with all of them, in a time that does not depend on how much is right.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::watched::Watched;
use super::{AccessError, unreadable};
use crate::status::LogSink;

/// Tokens in a file at most.
pub const TOKENS_MAX: usize = 1_000;
/// Shortest token, characters.
pub const TOKEN_CHARS_MIN: usize = 16;
/// Longest token, characters.
pub const TOKEN_CHARS_MAX: usize = 1_024;

type Digests = Vec<[u8; 32]>;

pub(crate) struct Tokens(Watched<Digests, Box<dyn Fn() -> Result<Digests, AccessError> + Send + Sync>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Tokens")
    }
}

impl Tokens {
    pub(crate) fn new(path: &Path, log: &LogSink) -> Result<Self, AccessError> {
        let of: PathBuf = path.to_path_buf();
        let make: Box<dyn Fn() -> Result<Digests, AccessError> + Send + Sync> = Box::new(move || read(&of));
        Ok(Self(Watched::new(vec![path.to_path_buf()], make, log)?))
    }

    /// Whether the value of an `authorization` header is `Bearer` with one of the tokens.
    pub(crate) fn allow(&self, authorization: &str) -> bool {
        let (scheme, token) = authorization.trim().split_once(' ').unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
        let known = self.0.get();
        let found = known.iter().fold(Choice::from(0), |found, one| found | one.ct_eq(&digest));
        scheme.eq_ignore_ascii_case("bearer") && bool::from(found)
    }
}

fn read(path: &Path) -> Result<Digests, AccessError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let error = |problem: String| AccessError {
        path: path.to_path_buf(),
        problem,
        hint: "one token per line; `openssl rand -hex 32` makes one",
    };
    let mut digests = Digests::new();
    for (number, line) in (1..).zip(text.lines()) {
        let token = line.trim();
        if token.is_empty() || token.starts_with('#') {
            continue;
        }
        let is_token = (TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            // Not the token itself: this text ends in a log.
            return Err(error(format!(
                "line {number} is no token; allowed: {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} visible ASCII characters without spaces"
            )));
        }
        digests.push(Sha256::digest(token.as_bytes()).into());
    }
    match digests.len() {
        0 => Err(error("holds no token".to_owned())),
        1..=TOKENS_MAX => Ok(digests),
        many => Err(error(format!("holds {many} tokens; allowed: 1 to {TOKENS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::sync::{Arc, Mutex};

    use super::super::watched::LOOK_INTERVAL;
    use super::*;

    #[test]
    fn several_tokens_are_good_a_changed_file_is_read_again_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log: LogSink = Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        std::fs::write(&path, "# first\n0123456789abcdef\n\n  fedcba9876543210  \n").unwrap();
        let tokens = Tokens::new(&path, &log).unwrap();
        assert!(tokens.allow("Bearer 0123456789abcdef") && tokens.allow("bearer  fedcba9876543210"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcde",
            "0123456789abcdef",
            "Bearer # first",
        ] {
            assert!(!tokens.allow(wrong), "{wrong:?}");
        }
        #[allow(clippy::disallowed_methods)] // no executor here
        let wait = || std::thread::sleep(LOOK_INTERVAL);
        std::fs::write(&path, "short\n").unwrap();
        wait();
        assert!(tokens.allow("Bearer 0123456789abcdef"), "the last good file stays in force");
        std::fs::write(&path, "a-new-token-of-today\n").unwrap();
        wait();
        assert!(tokens.allow("Bearer a-new-token-of-today") && !tokens.allow("Bearer 0123456789abcdef"));
        let lines = lines.lock().unwrap();
        assert!(lines[0].contains("line 1 is no token") && !lines[0].contains("short"), "{lines:?}");
        assert!(lines[1].ends_with("tokens: read again"), "{lines:?}");
    }

    #[test]
    fn a_file_without_tokens_or_with_too_many_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Tokens::new(&path, &(Arc::new(|_: &str| {}) as LogSink)).unwrap_err().to_string()
        };
        assert!(refused("# nothing\n").contains("holds no token\n  hint:"));
        assert!(refused(&"0123456789abcdef\n".repeat(TOKENS_MAX + 1)).contains("allowed: 1 to 1000"));
        std::fs::remove_file(&path).unwrap();
        let message = Tokens::new(&path, &(Arc::new(|_: &str| {}) as LogSink)).unwrap_err().to_string();
        assert!(message.contains("tokens: cannot be read: No such file"), "{message}");
    }
}
