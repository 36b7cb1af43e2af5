//! Deterministic mutation of committed inputs: no instrumentation, no nightly, the same bytes every time.
//!
//! `make test` tries a fixed number of mutants of each corpus; `WEIR_MUTATION_SECONDS` goes on for so long instead. A test
//! that fails names the mutant's number and prints its bytes, which then belong into the corpus.
#![allow(dead_code)]

use std::path::Path;
use std::time::{Duration, Instant};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }
}

/// The files of a folder of `tests/corpus`, in the order of their names.
pub(crate) fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs `check` over every entry of a corpus and over its mutants; returns how many inputs there were.
pub(crate) fn over_mutants(corpus: &[Vec<u8>], words: &[&[u8]], mutants: u64, check: impl Fn(&[u8])) -> u64 {
    let limit = std::env::var("WEIR_MUTATION_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let until = limit.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let tell = |number: &str, bytes: &[u8]| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(bytes)));
        if let Err(panic) = caught {
            eprintln!("{number}: {:?}", String::from_utf8_lossy(bytes));
            std::panic::resume_unwind(panic);
        }
    };
    for (number, entry) in corpus.iter().enumerate() {
        tell(&format!("entry {number}"), entry);
    }
    let mut number = 0;
    while until.map_or(number < mutants, |until| Instant::now() < until) {
        let mut random = Random(number);
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut bytes, corpus, words, &mut random);
        }
        bytes.truncate(1 << 16);
        tell(&format!("mutant {number}"), &bytes);
        number += 1;
    }
    number + corpus.len() as u64
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let to = (at + random.below(32)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.number() as u8,
        2 => drop(bytes.drain(at..to)),
        3 => {
            let copy = bytes[at..to].to_vec();
            let into = random.below(bytes.len() + 1);
            bytes.splice(into..into, copy);
        }
        4 => bytes.truncate(at),
        5 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let piece = other[from..(from + random.below(64)).min(other.len())].to_vec();
            bytes.splice(at..to, piece);
        }
        6 => drop(bytes.splice(at..at, random.number().to_le_bytes().into_iter().take(1 + at % 8))),
        _ if !words.is_empty() => {
            let word = words[random.below(words.len())];
            bytes.splice(at..to.min(at + word.len()), word.iter().copied());
        }
        _ => bytes.insert(at, b'0'),
    }
}
