//! What is done with each kind of find, the operator's own patterns and JSON paths, and the keyed hash.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::Regex;
use sha2::Sha256;

use super::secret::{Action, Secret};

/// Shortest key of the hash, bytes.
pub const KEY_BYTES_MIN: usize = 16;

/// What is redacted, and how.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(crate) actions: [Action; Secret::ALL.len()],
    /// The key of the hashes; without one nothing can be hashed.
    pub(crate) key: Option<HashKey>,
    /// The operator's own patterns.
    pub(crate) patterns: Vec<PatternRule>,
    /// The operator's JSON paths.
    pub(crate) fields: Vec<FieldRule>,
    /// What of the bodies' texts is kept.
    pub(crate) texts: Texts,
}

/// What of the bodies' texts is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// All, redacted.
    Kept,
    /// Numbers about them.
    Numbers,
    /// Numbers about them, and the vectors of the redacted texts.
    Vectors,
}

/// A pattern of the operator.
#[derive(Clone, Debug)]
pub struct PatternRule {
    /// Stands in the marks.
    pub name: String,
    /// Runs in linear time.
    pub pattern: Regex,
    /// What is done with its matches.
    pub action: Action,
}

/// A place in JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// The way from the root.
    pub path: Vec<Segment>,
    /// What is done with the value there.
    pub action: Action,
}

/// One step of a JSON path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// `name`: into this field.
    Key(String),
    /// `*`: into every field.
    AnyKey,
    /// `[]`: into every element of a list.
    Item,
}

/// A secret key; never shown.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl Default for Rules {
    /// Masks every kind; no patterns, no paths, no key.
    fn default() -> Self {
        Self {
            actions: [Action::Mask; Secret::ALL.len()],
            key: None,
            patterns: Vec::new(),
            fields: Vec::new(),
            texts: Texts::Kept,
        }
    }
}

impl Rules {
    /// What is done with finds of a kind.
    pub fn action(&self, secret: Secret) -> Action {
        self.actions.get(secret as usize).copied().unwrap_or(Action::Mask)
    }

    /// Sets what is done with finds of a kind.
    pub fn set_action(&mut self, secret: Secret, action: Action) {
        if let Some(slot) = self.actions.get_mut(secret as usize) {
            *slot = action;
        }
    }
}

impl HashKey {
    /// A key of at least [`KEY_BYTES_MIN`] bytes.
    pub fn new(key: &[u8]) -> Option<Self> {
        if key.len() < KEY_BYTES_MIN {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// HMAC-SHA-256 of kind and value, its first 13 bytes as letters: a mark never looks like a number.
    pub(super) fn hash(&self, kind: &str, value: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(kind.as_bytes());
        hmac.update(b"\0");
        hmac.update(value.as_bytes());
        let letter = |nibble: u8| char::from(b'a' + nibble);
        hmac.finalize()
            .into_bytes()
            .iter()
            .take(13)
            .flat_map(|byte| [letter(byte >> 4), letter(byte & 15)])
            .collect()
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("HashKey(..)")
    }
}

/// The value as it is hashed: equal for the ways in which people write the same.
pub(super) fn canonical(secret: Secret, value: &str) -> String {
    let keep =
        |test: fn(char) -> bool| value.chars().filter(|character| test(*character)).collect::<String>();
    match secret {
        Secret::Email | Secret::Ip => value.to_lowercase(),
        Secret::Card | Secret::Phone => keep(|character| character.is_ascii_digit()),
        Secret::Iban => keep(|character| character.is_ascii_alphanumeric()).to_uppercase(),
        Secret::Mac => keep(|character| character.is_ascii_hexdigit()).to_lowercase(),
        _ => value.to_owned(),
    }
}
