//! What a leg is labelled with: `finish:REASON`, `tag:NAME` (its number) and `tag:NAME=VALUE`.

use weir_gate::Better;

use super::flag;
use crate::answer::Answer;
use crate::metric::{Metric, SHARE, ValueOf};

/// Prefix of the metrics that name a finish reason: `finish:length`.
pub(crate) const FINISH: &str = "finish:";
/// Prefix of the metrics that name a tag: `tag:rating`, `tag:channel=mail`.
pub(crate) const TAG: &str = "tag:";

/// The metric of an id; nothing where it is none of these.
pub(crate) fn of(id: &str) -> Option<Metric> {
    let (value, bounds, unit) = if let Some(reason) =
        id.strip_prefix(FINISH).filter(|reason| !reason.is_empty())
    {
        (ValueOf::Finish(reason.to_owned()), SHARE, "share")
    } else {
        match id.strip_prefix(TAG)?.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                (ValueOf::Tag(name.to_owned(), Some(value.to_owned())), SHARE, "share")
            }
            None if id.len() > TAG.len() => (ValueOf::Tag(id.get(TAG.len()..)?.to_owned(), None), None, ""),
            _ => return None,
        }
    };
    Some(Metric {
        name: id.to_owned(),
        unit: unit.into(),
        better: Better::Neither,
        bounds,
        value,
        needs_control: None,
    })
}

/// Among answers that say why they ended.
pub(crate) fn finished(answer: &Answer<'_>, reason: &str) -> Option<f64> {
    Some(flag(answer.finish_reason? == reason))
}

/// A tag's number, or whether it has a value. A leg without the tag has no number, and not the value.
pub(crate) fn tag(answer: &Answer<'_>, name: &str, value: Option<&str>) -> Option<f64> {
    let tag = answer.tags.get(name);
    match value {
        Some(value) => Some(flag(tag.is_some_and(|tag| *tag == value))),
        None => tag?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn labels_are_flags_and_numbers() {
        let mut answer = Answer { finish_reason: Some("length"), ..Answer::default() };
        answer.tags.insert("rating", " 4.5");
        answer.tags.insert("channel", "mail");
        let cases = [
            ("finish:length", Some(1.0)),
            ("finish:stop", Some(0.0)),
            ("tag:rating", Some(4.5)),
            ("tag:channel", None),
            ("tag:channel=mail", Some(1.0)),
            ("tag:channel=chat", Some(0.0)),
            ("tag:team=a=b", Some(0.0)),
            ("tag:team", None),
        ];
        for (id, expected) in cases {
            assert_eq!(of(id).unwrap().value(&answer), expected, "{id}");
        }
        for id in ["finish:", "tag:", "tag:=x", "other:x"] {
            assert!(of(id).is_none(), "{id}");
        }
        assert_eq!(finished(&Answer::default(), "stop"), None);
    }
}
