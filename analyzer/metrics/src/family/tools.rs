//! What the answer asks others to do: `tool_calls` and `tool_call_error`.
//!
//! A call is wrong when its arguments are no JSON object, or when its tool has no name: whoever runs it cannot. Whether the
//! tool then failed is not in the answer.

use weir_gate::Better;

use super::{amount, fault, flag};
use crate::answer::Answer;
use crate::metric::Metric;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![amount("tool_calls", "calls", Better::Neither, calls), fault("tool_call_error", wrong)]
}

#[allow(clippy::cast_precision_loss)] // counts of calls are far below 2^53
fn calls(answer: &Answer<'_>) -> Option<f64> {
    answer.tool_calls.filter(|calls| *calls >= 0 && answer.failed() != Some(true)).map(|calls| calls as f64)
}

/// Among answers with calls whose text is known.
fn wrong(answer: &Answer<'_>) -> Option<f64> {
    let calls = answer.tool_call_text.filter(|text| !text.trim().is_empty() && !answer.truncated)?;
    Some(flag(!split(calls).all(|call| is_sound(&call))))
}

/// Calls, one per line; arguments may hold line breaks, so a line that does not close its call goes on.
fn split(text: &str) -> impl Iterator<Item = String> {
    let mut calls: Vec<String> = Vec::new();
    for line in text.lines() {
        match calls.last_mut().filter(|call| !call.ends_with(')')) {
            Some(open) => {
                open.push('\n');
                open.push_str(line);
            }
            None => calls.push(line.to_owned()),
        }
    }
    calls.into_iter()
}

fn is_sound(call: &str) -> bool {
    let Some((name, rest)) = call.split_once('(') else { return false };
    let Some(arguments) = rest.strip_suffix(')') else { return false };
    let no_arguments = arguments.trim().is_empty();
    let parsed = || serde_json::from_str::<serde_json::Value>(arguments).is_ok_and(|value| value.is_object());
    !name.trim().is_empty() && (no_arguments || parsed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_call_is_wrong_without_a_name_or_with_arguments_that_are_no_object() {
        let cases = [
            (Some("find_order({\"id\": 7})"), Some(0.0)),
            (Some("find_order({\"id\": 7})\ncancel({\"id\": 7, \"why\": \"late (again)\"})"), Some(0.0)),
            (Some("note({\"text\":\n \"two\"})"), Some(0.0)),
            (Some("now()"), Some(0.0)),
            (Some("find_order({\"id\": 7)"), Some(1.0)),
            (Some("find_order([7])"), Some(1.0)),
            (Some("({\"id\": 7})"), Some(1.0)),
            (Some("find_order({\"id\": 7})\ncancel(seven)"), Some(1.0)),
            (Some(" "), None),
            (None, None),
        ];
        for (text, expected) in cases {
            let answer = Answer { tool_call_text: text, tool_calls: Some(1), ..Answer::default() };
            assert_eq!(wrong(&answer), expected, "{text:?}");
        }
        let counts = [(Some(2), Some(2.0)), (Some(0), Some(0.0)), (Some(-1), None), (None, None)];
        for (tool_calls, expected) in counts {
            assert_eq!(calls(&Answer { tool_calls, ..Answer::default() }), expected);
        }
    }
}
