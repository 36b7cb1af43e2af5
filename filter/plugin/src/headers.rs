//! Header maps in the host's encoding, read in place.
//!
//! Format (little endian): a count, then for each header the sizes of name and value, then for each header the name,
//! a zero byte, the value, a zero byte. Names are lowercase; values are bytes, not text. Whatever does not fit the
//! format ends the list.

/// A borrowed header map.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    bytes: &'a [u8],
}

/// Iterates over `(name, value)`.
pub struct Pairs<'a> {
    sizes: &'a [u8],
    data: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Reads the host's bytes; empty bytes are an empty map.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The host's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// All pairs, in order.
    pub fn pairs(self) -> Pairs<'a> {
        let empty = Pairs { sizes: &[], data: &[] };
        let Some((count, rest)) = self.bytes.split_first_chunk::<4>() else {
            return empty;
        };
        let count = u32::from_le_bytes(*count) as usize;
        match count.checked_mul(8).and_then(|sizes| rest.split_at_checked(sizes)) {
            Some((sizes, data)) => Pairs { sizes, data },
            None => empty,
        }
    }

    /// The first value of a name.
    pub fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        self.pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The first value of a name as text; what is not UTF-8 is replaced.
    pub fn text(self, name: &[u8]) -> String {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, rest) = self.sizes.split_first_chunk::<4>()?;
        let (value_len, rest) = rest.split_first_chunk::<4>()?;
        let (name, data) = split_text(self.data, u32::from_le_bytes(*name_len))?;
        let (value, data) = split_text(data, u32::from_le_bytes(*value_len))?;
        self.sizes = rest;
        self.data = data;
        Some((name, value))
    }
}

/// The text, and what follows its zero byte.
fn split_text(data: &[u8], len: u32) -> Option<(&[u8], &[u8])> {
    let (text, rest) = data.split_at_checked(len as usize)?;
    Some((text, rest.get(1..)?))
}

/// Writes a header map in the host's encoding (for calls, and for tests).
pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    put_len(pairs.len(), &mut bytes);
    for (name, value) in pairs {
        put_len(name.as_ref().len(), &mut bytes);
        put_len(value.as_ref().len(), &mut bytes);
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name.as_ref());
        bytes.push(0);
        bytes.extend_from_slice(value.as_ref());
        bytes.push(0);
    }
    bytes
}

fn put_len(len: usize, to: &mut Vec<u8>) {
    to.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(pairs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..20), proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let bytes = encode(&pairs);
            let read: Vec<_> = Headers::new(&bytes).pairs().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn hostile_bytes_end_the_list_and_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0u8..30) {
            if let Some(first) = bytes.first_mut() { *first = count; }
            for index in 1..4 { if let Some(byte) = bytes.get_mut(index) { *byte = 0; } }
            prop_assert!(Headers::new(&bytes).pairs().count() <= usize::from(count) || bytes.len() < 4);
        }
    }

    #[test]
    fn the_first_value_of_a_name_counts() {
        let bytes = encode(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(Headers::new(&bytes).get(b"a"), Some(&b"1"[..]));
        assert_eq!(Headers::new(&bytes).get(b"c"), None);
    }
}
