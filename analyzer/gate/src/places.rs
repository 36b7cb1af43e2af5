//! Small numbers, one for each value of a series: the identity that it is of, the set of labels that it has.
//!
//! Most series of the same samples have a value for every exchange, and so the same numbers; these are then there once, and copied
//! only by who changes them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers by place, in memory once for all that share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<u32>", into = "Vec<u32>")]
#[schemars(with = "Vec<u32>")]
pub struct Places(Arc<Vec<u32>>);

impl Deref for Places {
    type Target = Vec<u32>;

    fn deref(&self) -> &Vec<u32> {
        &self.0
    }
}

impl DerefMut for Places {
    fn deref_mut(&mut self) -> &mut Vec<u32> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<u32>> for Places {
    fn from(numbers: Vec<u32>) -> Self {
        Self(Arc::new(numbers))
    }
}

impl From<Places> for Vec<u32> {
    fn from(places: Places) -> Self {
        Arc::unwrap_or_clone(places.0)
    }
}

impl FromIterator<u32> for Places {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Vec::from_iter(numbers).into()
    }
}

impl<'a> IntoIterator for &'a Places {
    type Item = &'a u32;
    type IntoIter = std::slice::Iter<'a, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_shared_are_in_memory_once_until_one_changes() {
        let one = Places::from(vec![1, 2]);
        let (same, mut other) = (one.clone(), one.clone());
        other.push(9);
        assert!(Arc::ptr_eq(&one.0, &same.0) && !Arc::ptr_eq(&one.0, &other.0));
        assert_eq!((one.as_slice(), other.as_slice()), ([1, 2].as_slice(), [1, 2, 9].as_slice()));
    }
}
