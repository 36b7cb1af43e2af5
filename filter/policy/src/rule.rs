//! Header rules: which requests a cohort matches.
//!
//! Header names are compared without case, values byte by byte. Values may hold any bytes. Nesting is bounded by the
//! document's depth.

use std::fmt;

use weir_document::{Items, document};

use crate::check::check_rule;
use crate::{HeaderName, RequestView, Text};

document! {
    /// One test of a header (`header` with exactly one of `exact`, `prefix`, `suffix`, `contains`, `oneOf`, `present`), or
    /// several rules together (exactly one of `all`, `any`, `not`).
    pub struct Match {
        /// All of these rules match.
        pub all: Option<Vec<Match>> => Items(1..=64),
        /// At least one of these rules matches.
        pub any: Option<Vec<Match>> => Items(1..=64),
        /// This rule does not match.
        pub not: Option<Box<Match>>,
        /// Name of the header that is tested, in any case; pseudo-headers such as `:path` work too.
        pub header: Option<HeaderName>,
        /// The value is this.
        pub exact: Option<String> => Text::HeaderValue,
        /// The value begins with this.
        pub prefix: Option<String> => Text::HeaderValue,
        /// The value ends with this.
        pub suffix: Option<String> => Text::HeaderValue,
        /// The value has this in it.
        pub contains: Option<String> => Text::HeaderValue,
        /// The value is one of these.
        pub one_of: Option<Vec<String>> => Items(1..=256),
        /// Whether the header is there.
        pub present: Option<bool>,
    }
    validate check_rule;
}

impl Match {
    /// Whether a request matches. A header that is not there matches only `present: false`.
    #[must_use]
    pub fn matches<V: RequestView + ?Sized>(&self, request: &V) -> bool {
        if let Some(rules) = &self.all {
            return rules.iter().all(|rule| rule.matches(request));
        }
        if let Some(rules) = &self.any {
            return rules.iter().any(|rule| rule.matches(request));
        }
        if let Some(rule) = &self.not {
            return !rule.matches(request);
        }
        let Some(name) = &self.header else { return false };
        self.matches_value(request.header(name))
    }

    /// Calls `each` with every header name of the rule, in lower case; names may repeat.
    pub fn each_header<'a>(&'a self, each: &mut dyn FnMut(&'a str)) {
        if let Some(name) = &self.header {
            each(name);
        }
        for child in self.all.iter().chain(&self.any).flatten().chain(self.not.as_deref()) {
            child.each_header(each);
        }
    }

    fn matches_value(&self, value: Option<&[u8]>) -> bool {
        if let Some(present) = self.present {
            return value.is_some() == present;
        }
        let Some(value) = value else { return false };
        if let Some(text) = &self.exact {
            value == text.as_bytes()
        } else if let Some(text) = &self.prefix {
            value.starts_with(text.as_bytes())
        } else if let Some(text) = &self.suffix {
            value.ends_with(text.as_bytes())
        } else if let Some(text) = &self.contains {
            text.is_empty() || value.windows(text.len()).any(|window| window == text.as_bytes())
        } else if let Some(texts) = &self.one_of {
            texts.iter().any(|text| value == text.as_bytes())
        } else {
            false
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rules) = &self.all {
            return joined(rules, " and ", f);
        }
        if let Some(rules) = &self.any {
            return joined(rules, " or ", f);
        }
        if let Some(rule) = &self.not {
            return write!(f, "not ({rule})");
        }
        let Some(name) = &self.header else { return f.write_str("nothing") };
        let tests = [
            ("is", &self.exact),
            ("begins with", &self.prefix),
            ("ends with", &self.suffix),
            ("contains", &self.contains),
        ];
        for (test, text) in tests {
            if let Some(text) = text {
                return write!(f, "{name} {test} {text:?}");
            }
        }
        match (&self.one_of, self.present) {
            (Some(texts), _) => write!(f, "{name} is one of {texts:?}"),
            (None, Some(false)) => write!(f, "{name} is not there"),
            (None, _) => write!(f, "{name} is there"),
        }
    }
}

fn joined(rules: &[Match], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, rule) in rules.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        if rule.all.is_some() || rule.any.is_some() {
            write!(f, "({rule})")?;
        } else {
            write!(f, "{rule}")?;
        }
    }
    Ok(())
}
