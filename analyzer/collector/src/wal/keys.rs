//! Keys of records that were accepted, so that a retry is acknowledged without being stored twice.
//!
//! In memory: the last [`super::KEYS_MAX`]. On disk: the keys of the last [`super::SEEN_FILES_MAX`] segments that became Parquet; those of
//! waiting segments are in the segments. A retry that is later than both is stored again.

use std::collections::{HashSet, VecDeque};

const MAGIC: &[u8; 8] = b"WEIRSEEN";

/// A bounded set that forgets the oldest first.
#[derive(Debug)]
pub(crate) struct RecentKeys {
    set: HashSet<u128>,
    order: VecDeque<u128>,
    keys_max: usize,
}

impl RecentKeys {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { set: HashSet::new(), order: VecDeque::new(), keys_max }
    }

    /// False when the key was there.
    pub(crate) fn insert(&mut self, key: u128) -> bool {
        if !self.set.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > self.keys_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }

    /// Takes back the last `count` insertions.
    pub(crate) fn forget_last(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(key) = self.order.pop_back() {
                self.set.remove(&key);
            }
        }
    }
}

/// The content of a key file.
pub(crate) fn encode_seen(keys: impl Iterator<Item = u128>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    keys.for_each(|key| bytes.extend_from_slice(&key.to_le_bytes()));
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The keys of a key file; `None` when it is damaged or foreign.
pub(crate) fn decode_seen(bytes: &[u8]) -> Option<Vec<u128>> {
    let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc != crc32fast::hash(body).to_le_bytes() {
        return None;
    }
    let (keys, rest) = body.strip_prefix(MAGIC)?.as_chunks::<16>();
    rest.is_empty().then(|| keys.iter().map(|key| u128::from_le_bytes(*key)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_oldest_key_is_forgotten_first_and_a_failed_batch_leaves_no_key() {
        let mut keys = RecentKeys::new(3);
        assert!((1..=3).all(|key| keys.insert(key)));
        assert!(!keys.insert(1));
        assert!(keys.insert(4));
        assert!(keys.insert(1), "forgotten when 4 came");
        keys.forget_last(2);
        assert!(keys.insert(4) && keys.insert(1) && !keys.insert(3));
        assert_eq!(keys.set.len(), keys.order.len());
    }

    #[test]
    fn key_files_come_back_and_damaged_ones_are_refused() {
        let keys = [1u128, u128::MAX, 1 << 77];
        let bytes = encode_seen(keys.into_iter());
        assert_eq!(decode_seen(&bytes), Some(keys.to_vec()));
        assert_eq!(decode_seen(&encode_seen(std::iter::empty())), Some(Vec::new()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode_seen(&damaged), None);
            assert_eq!(decode_seen(&bytes[..at]), None);
        }
    }
}
