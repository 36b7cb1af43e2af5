//! Fills in the `${name}` places of a template.
//!
//! Every value goes in as JSON, which is also YAML, so that no value can change the structure around it. A place may
//! stand in quotes (`"${name}"`), which keeps a JSON template valid JSON; the quotes are part of the place.
//! Limits: names are `[a-z_]+`; values are inserted once and never looked at again.

use serde_json::Value;

/// Fills in a template. A place without a value, or a value without a place, is a mistake in this crate's own
/// templates and comes back as the name in `Err`.
pub fn render(template: &str, values: &[(&str, Value)]) -> Result<String, String> {
    let mut rendered = String::with_capacity(template.len() * 2);
    let mut used = vec![false; values.len()];
    let mut rest = template;
    while let Some((before, place)) = rest.split_once("${") {
        let Some((name, after)) = place.split_once('}') else {
            return Err("${ without }".to_owned());
        };
        let (before, after) = match (before.strip_suffix('"'), after.strip_prefix('"')) {
            (Some(before), Some(after)) => (before, after),
            _ => (before, after),
        };
        let found = values.iter().zip(used.iter_mut()).find(|((candidate, _), _)| *candidate == name);
        let Some(((_, value), used)) = found else {
            return Err(name.to_owned());
        };
        *used = true;
        rendered.push_str(before);
        rendered.push_str(&value.to_string());
        rest = after;
    }
    rendered.push_str(rest);
    match values.iter().zip(used).find(|(_, used)| !used) {
        Some(((name, _), _)) => Err((*name).to_owned()),
        None => Ok(rendered),
    }
}

/// Fills in a JSON template and reads it back as a value.
pub(crate) fn render_json(template: &str, values: &[(&str, Value)]) -> Result<Value, String> {
    let text = render(template, values)?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_cannot_leave_its_place() {
        let rendered = render("a: ${name}\n", &[("name", json!("x\"\nb: ${name}"))]).unwrap();
        assert_eq!(rendered, "a: \"x\\\"\\nb: ${name}\"\n");
    }

    #[test]
    fn quotes_around_a_place_belong_to_the_place() {
        let rendered = render_json("{\"port\": \"${port}\"}", &[("port", json!(7))]).unwrap();
        assert_eq!(rendered, json!({"port": 7}));
    }

    #[test]
    fn a_place_without_a_value_is_named() {
        assert_eq!(render("${one}", &[]), Err("one".to_owned()));
    }

    #[test]
    fn a_value_without_a_place_is_named() {
        assert_eq!(render("", &[("one", json!(1))]), Err("one".to_owned()));
    }
}
