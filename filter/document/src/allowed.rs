//! What a field may hold, beyond its type: checked when it is read, and written into the JSON Schema.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use schemars::Schema;
use serde_json::Value;

use crate::problem::{Collector, Path};

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Lowercase fragment that follows the value, as in `is out of range`.
    pub message: String,
    /// What is allowed, as in `0 to 100`.
    pub allowed: Option<String>,
    /// How to put it right.
    pub hint: Option<String>,
}

/// The values that a field may hold: the expression behind `=>` in [`crate::document!`].
///
/// Ranges of numbers are `Allowed` as they are; an `Allowed<T>` serves for fields of `Option<T>` too.
pub trait Allowed<T> {
    /// Checks a value that has the right type.
    ///
    /// # Errors
    /// Says why the value is refused.
    fn check(&self, value: &T) -> Result<(), Refusal>;

    /// Adds the rule to the field's JSON Schema.
    fn describe(&self, schema: &mut Schema);
}

/// How many items a list may have.
#[derive(Clone, Debug)]
pub struct Items(pub RangeInclusive<usize>);

/// Names that can stand in a metric's id and in a file's name: 1 to 63 of a to z, 0 to 9, - and _.
#[derive(Clone, Copy, Debug)]
pub struct Name;

impl Allowed<String> for Name {
    fn check(&self, value: &String) -> Result<(), Refusal> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if (1..=63).contains(&value.len()) && value.bytes().all(fits) {
            return Ok(());
        }
        Err(Refusal::new("is not a name", "1 to 63 of a to z, 0 to 9, - _"))
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("pattern".to_owned(), Value::from("^[a-z0-9_-]{1,63}$"));
    }
}

/// Reports each entry of a list whose name an earlier one has; `at` is the list.
pub fn names_differ<'a>(names: impl Iterator<Item = &'a str>, at: &Path<'_>, problems: &mut Collector) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            problems.report(&at.index(index).key("name"), "is used twice").text_value(name);
        }
    }
}

impl Refusal {
    /// With a message and what is allowed.
    #[must_use]
    pub fn new(message: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { message: message.into(), allowed: Some(allowed.into()), hint: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

macro_rules! number_ranges {
    ($($number:ty),*) => {$(
        impl Allowed<$number> for RangeInclusive<$number> {
            fn check(&self, value: &$number) -> Result<(), Refusal> {
                if self.contains(value) { Ok(()) } else { Err(out_of_range(self)) }
            }

            fn describe(&self, schema: &mut Schema) {
                schema.insert("minimum".to_owned(), Value::from(*self.start()));
                schema.insert("maximum".to_owned(), Value::from(*self.end()));
            }
        }
    )*};
}
number_ranges!(u64, u32, i64, f64);

impl<T, A: Allowed<T>> Allowed<Option<T>> for A {
    fn check(&self, value: &Option<T>) -> Result<(), Refusal> {
        value.as_ref().map_or(Ok(()), |value| Allowed::<T>::check(self, value))
    }

    fn describe(&self, schema: &mut Schema) {
        Allowed::<T>::describe(self, schema);
    }
}

impl<T> Allowed<Vec<T>> for Items {
    fn check(&self, value: &Vec<T>) -> Result<(), Refusal> {
        if self.0.contains(&value.len()) {
            return Ok(());
        }
        let message =
            if value.is_empty() { "is empty".to_owned() } else { format!("has {} items", value.len()) };
        Err(Refusal::new(message, format!("{} to {} items", self.0.start(), self.0.end())))
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("minItems".to_owned(), Value::from(*self.0.start()));
        schema.insert("maxItems".to_owned(), Value::from(*self.0.end()));
    }
}

fn out_of_range<N: Display>(range: &RangeInclusive<N>) -> Refusal {
    Refusal::new("is out of range", format!("{} to {}", range.start(), range.end()))
}
