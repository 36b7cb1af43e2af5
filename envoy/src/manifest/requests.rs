//! The rule about requests of an experiment in the form that routes have: alternatives, each a list of tests that all hold.
//!
//! Invariants: alternatives take the requests that the rule takes, no others, each header being there once; two rules are
//! apart only where that is proved. Limit: [`ALTERNATIVES_MAX`] alternatives of a rule.

use std::fmt;

use weir_policy::Match;

/// Most alternatives of a rule.
pub(super) const ALTERNATIVES_MAX: usize = 16;

/// Tests that all hold.
pub(super) type Alternative = Vec<Test>;

/// One test of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// The header in lower case, or a pseudo-header.
    pub(super) header: String,
    /// What its value is.
    pub(super) is: Is,
    /// Whether the test must fail.
    pub(super) not: bool,
}

/// What a header's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// This.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// It ends with this.
    Suffix(String),
    /// It has this in it.
    Contains(String),
    /// Anything.
    Present,
}

/// The alternatives of a rule; of no rule the one without tests. None where there are too many.
pub(super) fn alternatives(rule: Option<&Match>) -> Option<Vec<Alternative>> {
    rule.map_or_else(|| Some(vec![Vec::new()]), |rule| of_rule(rule, false))
}

/// Whether no request fits both rules.
pub(super) fn are_apart(one: &[Alternative], other: &[Alternative]) -> bool {
    let exclude = |one: &Alternative, other: &Alternative| {
        one.iter().any(|test| other.iter().any(|it| test.excludes(it)))
    };
    one.iter().all(|one| other.iter().all(|other| exclude(one, other)))
}

fn of_rule(rule: &Match, not: bool) -> Option<Vec<Alternative>> {
    if let Some(rule) = &rule.not {
        return of_rule(rule, !not);
    }
    if let Some(rules) = &rule.all {
        return joined(rules, not, not);
    }
    if let Some(rules) = &rule.any {
        return joined(rules, not, !not);
    }
    let header = rule.header.as_ref()?.as_str();
    let test = |is: Is, not: bool| Test { header: header.to_owned(), is, not };
    if let Some(texts) = &rule.one_of {
        let each = texts.iter().map(|text| test(Is::Exact(text.clone()), not));
        let found = if not { vec![each.collect()] } else { each.map(|test| vec![test]).collect() };
        return bounded(found);
    }
    if let Some(present) = rule.present {
        return Some(vec![vec![test(Is::Present, present == not)]]);
    }
    let texts = [
        rule.exact.clone().map(Is::Exact),
        rule.prefix.clone().map(Is::Prefix),
        rule.suffix.clone().map(Is::Suffix),
        rule.contains.clone().map(Is::Contains),
    ];
    let is = texts.into_iter().flatten().next()?;
    Some(vec![vec![test(is, not)]])
}

/// Rules of which one holds, or all of them do.
fn joined(rules: &[Match], not: bool, one: bool) -> Option<Vec<Alternative>> {
    let mut found: Vec<Alternative> = if one { Vec::new() } else { vec![Vec::new()] };
    for rule in rules {
        let of_this = of_rule(rule, not)?;
        found = if one {
            found.into_iter().chain(of_this).collect()
        } else {
            let with = |before: &Alternative| {
                let before = before.clone();
                of_this
                    .iter()
                    .map(move |more| before.iter().chain(more).cloned().collect())
                    .collect::<Vec<_>>()
            };
            found.iter().flat_map(with).collect()
        };
        found = bounded(found)?;
    }
    Some(found)
}

fn bounded(found: Vec<Alternative>) -> Option<Vec<Alternative>> {
    (found.len() <= ALTERNATIVES_MAX).then_some(found)
}

impl Test {
    /// Whether no value fits both tests.
    fn excludes(&self, other: &Self) -> bool {
        self.header == other.header
            && match (self.not, other.not) {
                (false, false) => self.is.excludes(&other.is),
                (false, true) => self.is.implies(&other.is),
                (true, false) => other.is.implies(&self.is),
                (true, true) => false,
            }
    }
}

impl Is {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text.as_str()),
            Self::Suffix(text) => value.ends_with(text.as_str()),
            Self::Contains(text) => value.contains(text.as_str()),
            Self::Present => true,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(value), test) | (test, Self::Exact(value)) => !test.fits(value),
            (Self::Prefix(one), Self::Prefix(two)) => {
                !one.starts_with(two.as_str()) && !two.starts_with(one.as_str())
            }
            (Self::Suffix(one), Self::Suffix(two)) => {
                !one.ends_with(two.as_str()) && !two.ends_with(one.as_str())
            }
            _ => false,
        }
    }

    /// Whether every value that fits this fits the other.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Present) => true,
            (Self::Exact(value), test) => test.fits(value),
            (Self::Prefix(one), Self::Prefix(two)) => one.starts_with(two.as_str()),
            (Self::Suffix(one), Self::Suffix(two)) => one.ends_with(two.as_str()),
            (Self::Prefix(one) | Self::Suffix(one) | Self::Contains(one), Self::Contains(two)) => {
                one.contains(two.as_str())
            }
            _ => false,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.not { "not " } else { "" };
        let (word, text) = match &self.is {
            Is::Exact(text) => ("exact", text.as_str()),
            Is::Prefix(text) => ("prefix", text.as_str()),
            Is::Suffix(text) => ("suffix", text.as_str()),
            Is::Contains(text) => ("contains", text.as_str()),
            Is::Present => return write!(f, "{not}{} present", self.header),
        };
        write!(f, "{not}{} {word} {text:?}", self.header)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use weir_policy::Policy;

    fn rule(text: &str) -> Vec<Alternative> {
        let document = format!(
            "apiVersion: weir/v1\nkind: Policy\nexperiment: e\nrevision: 1\nmode: \"off\"\nrequests: {text}\n\
             control: {{cluster: c, snapshot: {{model: {{name: m, version: \"1\"}}}}}}\n"
        );
        let policy = Policy::parse("policy", &document).unwrap();
        alternatives(policy.requests.as_ref()).unwrap()
    }

    fn said(rules: &[Alternative]) -> String {
        let one =
            |tests: &Alternative| tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        rules.iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn nested_rules_become_alternatives_of_tests() {
        let found = rule(
            "{all: [{any: [{header: a, exact: x}, {header: b, present: true}]}, {not: {any: [{header: c, prefix: y}, {header: d, oneOf: [u, v]}]}}]}",
        );
        let rest = "not c prefix \"y\" and not d exact \"u\" and not d exact \"v\"";
        assert_eq!(said(&found), format!("a exact \"x\" and {rest} | b present and {rest}"));
        let found = rule("{not: {all: [{header: a, present: false}, {header: b, exact: x}]}}");
        assert_eq!(said(&found), "a present | not b exact \"x\"");
    }

    #[test]
    fn a_rule_with_too_many_alternatives_has_none() {
        let any = "{any: [{header: a, exact: x}, {header: b, exact: x}, {header: c, exact: x}]}";
        let document = format!(
            "apiVersion: weir/v1\nkind: Policy\nexperiment: e\nrevision: 1\nmode: \"off\"\nrequests: {{all: [{any}, {any}, {any}]}}\n\
             control: {{cluster: c, snapshot: {{model: {{name: m, version: \"1\"}}}}}}\n"
        );
        let policy = Policy::parse("policy", &document).unwrap();
        assert_eq!(alternatives(policy.requests.as_ref()), None);
    }

    #[test]
    fn rules_are_apart_only_where_no_request_fits_both() {
        let apart = [
            ("{header: a, exact: x}", "{header: a, exact: y}"),
            ("{header: ':path', prefix: /chat}", "{header: ':path', prefix: /search}"),
            ("{header: ':path', prefix: /chat}", "{not: {header: ':path', prefix: /cha}}"),
            ("{header: a, suffix: .com}", "{header: a, exact: x.org}"),
            ("{header: a, contains: x}", "{header: a, present: false}"),
            ("{any: [{header: a, exact: x}, {header: a, exact: y}]}", "{header: a, prefix: z}"),
        ];
        let together = [
            ("{header: a, exact: x}", "{header: b, exact: y}"),
            ("{header: ':path', prefix: /chat}", "{header: ':path', prefix: /chat/new}"),
            ("{header: ':path', prefix: /chat}", "{header: ':path', contains: search}"),
            ("{header: ':path', prefix: /cha}", "{not: {header: ':path', prefix: /chat}}"),
            ("{any: [{header: a, exact: x}, {header: a, exact: y}]}", "{header: a, oneOf: [y, z]}"),
        ];
        for (pairs, expected) in [(&apart[..], true), (&together[..], false)] {
            for (one, other) in pairs {
                assert_eq!(are_apart(&rule(one), &rule(other)), expected, "{one} {other}");
                assert_eq!(are_apart(&rule(other), &rule(one)), expected, "{other} {one}");
            }
        }
    }
}
