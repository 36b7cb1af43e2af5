//! The head and the tail of a body, within limits, with its true size.
//!
//! Memory: at most `head_max + 2 * tail_max` bytes, and less where there is no room. Only what is kept is read from the host: of a large chunk behind a
//! full head, its last `tail_max` bytes.

use crate::host::Answer;

/// Keeps the beginning and the end of a body.
#[derive(Debug)]
pub struct HeadTail {
    head: Vec<u8>,
    tail: Vec<u8>,
    head_max: usize,
    tail_max: usize,
    /// True size of the body so far.
    total: u64,
    /// A read failed: what is behind the head can no longer be joined to it.
    torn: bool,
    /// Something was left out because there was no room for it.
    crowded: bool,
}

/// The parts of a body that were kept. With an empty tail, the head may be the whole body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// From the first byte on.
    pub head: Vec<u8>,
    /// The last bytes, when head and tail do not meet.
    pub tail: Vec<u8>,
    /// True size of the body.
    pub total: u64,
}

impl HeadTail {
    /// Limits in bytes.
    pub fn new(head_max: usize, tail_max: usize) -> Self {
        Self { head: Vec::new(), tail: Vec::new(), head_max, tail_max, total: 0, torn: false, crowded: false }
    }

    /// Takes a chunk of `len` bytes, of which up to `room` are kept. `read(start, len, into)` appends bytes of the chunk.
    /// The result tells whether every read succeeded; the size is counted in any case.
    pub fn push(
        &mut self,
        len: usize,
        room: usize,
        mut read: impl FnMut(usize, usize, &mut Vec<u8>) -> Answer<()>,
    ) -> bool {
        self.total = self.total.saturating_add(len as u64);
        let to_head = if self.tail.is_empty() && !self.torn {
            len.min(self.head_max.saturating_sub(self.head.len()))
        } else {
            0
        };
        let mut complete = true;
        let wanted = to_head;
        let to_head = wanted.min(room);
        if to_head > 0 {
            complete = read_exactly(0, to_head, &mut self.head, &mut read);
            self.torn = !complete;
        }
        if to_head < wanted {
            self.torn = true;
            self.crowded = true;
        }
        let behind = len - to_head;
        let to_tail = behind.min(self.tail_max);
        if to_tail > room - to_head {
            // The tail must be the end of the body without a hole.
            self.tail.clear();
            self.torn = true;
            self.crowded = true;
            return complete;
        }
        if to_tail > 0 {
            if self.tail.len() + to_tail > self.tail_max.saturating_mul(2) {
                let keep_from = self.tail.len().saturating_sub(self.tail_max.saturating_sub(to_tail));
                self.tail.drain(..keep_from);
            }
            let read_all = read_exactly(len - to_tail, to_tail, &mut self.tail, &mut read);
            if !read_all {
                // The tail must be the end of the body without a hole.
                self.tail.clear();
                self.torn = true;
            }
            complete &= read_all;
        }
        complete
    }

    /// Bytes of the head from `from` on.
    pub fn head_from(&self, from: usize) -> &[u8] {
        self.head.get(from..).unwrap_or_default()
    }

    /// True size so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of memory that are held.
    pub fn held(&self) -> usize {
        self.head.capacity() + self.tail.capacity()
    }

    /// Whether something was left out because there was no room for it.
    pub fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The body, where all of it is in the head.
    pub fn whole(&self) -> Option<&[u8]> {
        (!self.torn && self.head.len() as u64 == self.total).then_some(&self.head)
    }

    /// Whether more has passed than is kept.
    pub fn is_cut(&self) -> bool {
        self.total > (self.head.len() + self.tail.len().min(self.tail_max)) as u64
    }

    /// What was kept; joined when head and tail meet.
    pub fn finish(mut self) -> Kept {
        let excess = self.tail.len().saturating_sub(self.tail_max);
        self.tail.drain(..excess);
        let behind_head = self.total.saturating_sub(self.head.len() as u64);
        if !self.torn && behind_head == self.tail.len() as u64 {
            self.head.append(&mut self.tail);
        }
        Kept { head: self.head, tail: self.tail, total: self.total }
    }
}

/// Appends exactly `len` bytes, or nothing.
fn read_exactly(
    start: usize,
    len: usize,
    into: &mut Vec<u8>,
    read: &mut impl FnMut(usize, usize, &mut Vec<u8>) -> Answer<()>,
) -> bool {
    let before = into.len();
    if read(start, len, into).is_ok() && into.len() == before + len {
        return true;
    }
    into.truncate(before);
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::host::Refused;
    use proptest::prelude::*;

    fn push(keep: &mut HeadTail, chunk: &[u8]) -> bool {
        keep.push(chunk.len(), usize::MAX, |start, len, into| {
            into.extend_from_slice(&chunk[start..start + len]);
            Ok(())
        })
    }

    proptest! {
        #[test]
        fn head_and_tail_are_the_ends_of_the_body(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20), head_max in 0usize..100, tail_max in 0usize..40) {
            let mut keep = HeadTail::new(head_max, tail_max);
            for chunk in &chunks { prop_assert!(push(&mut keep, chunk)); prop_assert!(keep.head.len() <= head_max && keep.tail.len() <= 2 * tail_max); }
            let body: Vec<u8> = chunks.concat();
            let kept = keep.finish();
            prop_assert_eq!(kept.total, body.len() as u64);
            if body.len() <= head_max + tail_max {
                prop_assert_eq!(kept.head, body);
                prop_assert!(kept.tail.is_empty());
            } else {
                prop_assert_eq!(&kept.head[..], &body[..head_max]);
                prop_assert_eq!(&kept.tail[..], &body[body.len() - tail_max..]);
            }
        }

        #[test]
        fn a_refused_read_never_joins_what_does_not_meet(chunks in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..50), any::<bool>()), 1..20)) {
            let mut keep = HeadTail::new(64, 16);
            for (chunk, refuse) in &chunks {
                let taken = keep.push(chunk.len(), usize::MAX, |start, len, into| {
                    if *refuse { return Err(Refused(1)); }
                    into.extend_from_slice(&chunk[start..start + len]);
                    Ok(())
                });
                prop_assert!(taken != *refuse);
            }
            let body: Vec<u8> = chunks.iter().flat_map(|(chunk, _)| chunk.clone()).collect();
            let kept = keep.finish();
            prop_assert_eq!(kept.total, body.len() as u64);
            prop_assert!(body.starts_with(&kept.head));
            prop_assert!(body.ends_with(&kept.tail));
            if chunks.iter().any(|(_, refuse)| *refuse) {
                prop_assert!(((kept.head.len() + kept.tail.len()) as u64) < kept.total);
            }
        }

        #[test]
        fn without_room_what_is_kept_is_still_the_ends_of_the_body(chunks in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..50), 0usize..60), 1..20)) {
            let mut keep = HeadTail::new(64, 16);
            for (chunk, room) in &chunks {
                let before = keep.head.len() + keep.tail.len();
                keep.push(chunk.len(), *room, |start, len, into| {
                    into.extend_from_slice(&chunk[start..start + len]);
                    Ok(())
                });
                prop_assert!(keep.head.len() + keep.tail.len() <= before + room);
            }
            let body: Vec<u8> = chunks.iter().flat_map(|(chunk, _)| chunk.clone()).collect();
            let crowded = keep.is_crowded();
            let kept = keep.finish();
            prop_assert_eq!(kept.total, body.len() as u64);
            prop_assert!(body.starts_with(&kept.head));
            prop_assert!(body.ends_with(&kept.tail));
            let whole = kept.head.len() + kept.tail.len() == body.len();
            prop_assert!(!crowded || !whole);
        }
    }
}
