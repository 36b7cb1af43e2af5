//! Slices as bytes: they come back as they were, and what is damaged does no harm.

use std::fs;

use super::world::*;
use crate::cache::Cache;
use crate::packed::{Reader, Writer};
use crate::slices::slice::{Slice, SliceChances};

/// Bytes of what says what a slice is, and of the checksum.
const HEAD: usize = 16;
const CHECKSUM: usize = 8;

/// What the kept slices of a world hold, and how many metrics it has.
fn contents() -> (Vec<Vec<u8>>, usize) {
    let world = World::of(traffic(31, 1_500));
    world.sliced(&world.options(), &mut Cache::default());
    let content = |path| {
        let bytes = fs::read(path).unwrap();
        bytes[HEAD..bytes.len() - CHECKSUM].to_vec()
    };
    (world.kept().into_iter().map(content).collect(), world.metrics.len())
}

fn read(bytes: &[u8], metrics: usize) -> Option<(SliceChances, Slice)> {
    let mut from = Reader::new(bytes);
    let read = (SliceChances::read(&mut from)?, Slice::read(metrics, &mut from)?);
    from.is_empty().then_some(read)
}

#[test]
fn a_slice_comes_back_from_its_bytes() {
    let (contents, metrics) = contents();
    assert_eq!(contents.len(), 7);
    for bytes in contents {
        let (used, slice) = read(&bytes, metrics).unwrap();
        let mut to = Writer::default();
        used.write(&mut to);
        slice.write(&mut to);
        assert!(to.into_bytes() == bytes);
        assert!(slice.times.legs > 0 && slice.metrics.iter().any(Option::is_some));
    }
}

#[test]
fn a_slice_that_is_cut_short_is_none() {
    let (contents, metrics) = contents();
    let mut random = Random(32);
    for bytes in contents {
        let lengths = (0..60).map(|_| random.next() as usize % bytes.len());
        for length in lengths.chain(0..20).chain(bytes.len() - 20..bytes.len()) {
            assert!(read(&bytes[..length], metrics).is_none(), "{length} of {}", bytes.len());
        }
        assert!(read(&[bytes.as_slice(), &[0]].concat(), metrics).is_none());
    }
}

#[test]
fn flipped_bytes_of_a_slice_do_no_harm() {
    let (contents, metrics) = contents();
    let mut random = Random(33);
    let mut none = 0;
    for bytes in contents {
        for _ in 0..150 {
            let mut flipped = bytes.clone();
            for _ in 0..=random.next() % 3 {
                let place = random.next() as usize % flipped.len();
                flipped[place] ^= 1 << (random.next() % 8);
            }
            none += usize::from(read(&flipped, metrics).is_none());
        }
    }
    assert!(none > 10, "{none}");
}
