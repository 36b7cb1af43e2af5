//! Whether an answer has the form that its route asks for: `json_schema` and `headings`, by the metrics document.
//!
//! Answers of routes that the document says nothing about have no value.

use std::sync::Arc;

use weir_gate::Better;

use super::flag;
use crate::answer::Answer;
use crate::definition::Route;
use crate::metric::{Metric, SHARE, ValueOf};

/// The share of answers that are JSON and keep their route's schema. No JSON is a breach of the schema.
pub(crate) fn json_schema(routes: &Arc<[Route]>) -> Metric {
    metric("json_schema", ValueOf::JsonSchema(Arc::clone(routes)))
}

/// How many of the route's headings an answer has, as a share.
pub(crate) fn headings(routes: &Arc<[Route]>) -> Metric {
    metric("headings", ValueOf::Headings(Arc::clone(routes)))
}

fn metric(name: &str, value: ValueOf) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "share".into(),
        better: Better::Higher,
        bounds: SHARE,
        value,
        needs_control: None,
    }
}

pub(crate) fn keeps_schema(answer: &Answer<'_>, routes: &[Route]) -> Option<f64> {
    let schema = routes.iter().find(|route| route.matches(answer.path))?.json_schema.as_ref()?;
    let text = answer.text.as_ref()?;
    // A schema may also ask for a bare number or text, which `json` leaves out.
    let other = || serde_json::from_str(answer.body.unwrap_or_default()).ok();
    Some(flag(text.json.clone().or_else(other).is_some_and(|value| schema.keeps(&value))))
}

#[allow(clippy::cast_precision_loss)] // a document has few headings
pub(crate) fn has_headings(answer: &Answer<'_>, routes: &[Route]) -> Option<f64> {
    let wanted = &routes.iter().find(|route| route.matches(answer.path))?.headings;
    if wanted.is_empty() {
        return None;
    }
    answer.text.as_ref()?;
    let found: Vec<String> = answer.body.unwrap_or_default().lines().filter_map(heading).collect();
    let here = wanted.iter().filter(|wanted| found.contains(&bare(wanted))).count();
    Some(here as f64 / wanted.len() as f64)
}

/// The text of a line that is a heading: `## Summary`, `**Summary**`, `Summary:` or an underlined one, in lower case.
fn heading(line: &str) -> Option<String> {
    let line = line.trim();
    let marked = line.starts_with('#')
        || line.ends_with(':')
        || (line.starts_with("**") && (line.ends_with("**") || line.ends_with("**:")));
    marked.then(|| bare(line))
}

fn bare(text: &str) -> String {
    text.trim_matches(|c: char| c == '#' || c == '*' || c == ':' || c.is_whitespace()).to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::MetricsFile;

    fn routes() -> Vec<Route> {
        let text = "apiVersion: weir/v1\nkind: Metrics\nroutes:\n  - pathPrefix: /v1/orders\n    jsonSchema: {type: object, \
                    required: [id], properties: {id: {type: integer}}}\n  - headings: [Summary, '## Next steps']\n";
        MetricsFile::parse("metrics", text).unwrap().routes
    }

    #[test]
    fn an_answer_keeps_the_schema_of_its_route() {
        let cases = [
            ("/v1/orders/1", "{\"id\": 1}", Some(1.0)),
            ("/v1/orders", "{\"id\": \"1\"}", Some(0.0)),
            ("/v1/orders", "{}", Some(0.0)),
            ("/v1/orders", "prose", Some(0.0)),
            ("/v1/chat", "{\"id\": 1}", None),
        ];
        for (path, text, expected) in cases {
            let answer = Answer { path: Some(path), ..Answer::default() }.with_text(Some(text));
            assert_eq!(keeps_schema(&answer, &routes()), expected, "{path} {text}");
        }
        let failed = Answer { path: Some("/v1/orders"), status: Some(500), ..Answer::default() };
        assert_eq!(keeps_schema(&failed.with_text(Some("oops")), &routes()), None);
    }

    #[test]
    fn headings_count_by_their_words_whatever_their_marks() {
        let cases = [
            ("# Summary\nfine\n## Next Steps\nnone", Some(1.0)),
            ("**Summary**\nfine\n\nNext steps:\n- none", Some(1.0)),
            ("Summary: fine\nnext steps are none", Some(0.0)),
            ("## Summary\nfine", Some(0.5)),
            ("", Some(0.0)),
        ];
        for (text, expected) in cases {
            let answer = Answer { path: Some("/v1/chat"), ..Answer::default() }.with_text(Some(text));
            assert_eq!(has_headings(&answer, &routes()), expected, "{text}");
        }
        let other = Answer { path: Some("/v1/orders"), ..Answer::default() }.with_text(Some("# Summary"));
        assert_eq!(has_headings(&other, &routes()), None);
    }
}
