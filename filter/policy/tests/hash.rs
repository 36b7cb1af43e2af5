//! The assignment hash: the published function, fixed buckets, and the statistics that assignment rests on. All identities
//! are fixed, so that every figure here is the same in every run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use weir_policy::{BUCKETS, Purpose, bucket_ppm, identity_hash};
use xxhash_rust::xxh3::xxh3_64;

const PURPOSES: [Purpose; 5] =
    [Purpose::Route, Purpose::Shadow, Purpose::Noise, Purpose::Sample, Purpose::SampleCap];

/// Identities of different shapes: counted up, long with a common end, and scattered.
fn identities() -> Vec<Vec<u8>> {
    let counted = (0..10_000).map(|number| format!("user-{number}"));
    let padded = (0..10_000).map(|number| format!("{number:08x}-0000-4000-8000-000000000000@example.com"));
    let scattered = (0..10_000_u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    counted.chain(padded).chain(scattered).map(String::into_bytes).collect()
}

#[test]
fn the_hash_is_the_published_xxh3() {
    // Test data of the xxHash project's sanity check, seed 0: a buffer made with two primes of the algorithm.
    let mut generator = 2_654_435_761_u64;
    let buffer: Vec<u8> = (0..512)
        .map(|_| {
            let byte = (generator >> 56) as u8;
            generator = generator.wrapping_mul(11_400_714_785_074_694_797);
            byte
        })
        .collect();
    for (length, expected) in [
        (0, 0x2d06_8005_38d3_94c2_u64),
        (1, 0xc44b_dff4_074e_ecdb),
        (6, 0x27b5_6a84_cd2d_7325),
        (12, 0xa713_daf0_dfbb_77e7),
        (24, 0xa3fe_70bf_9d35_10eb),
        (48, 0x397d_a259_ecba_1f11),
        (80, 0xbcde_fbbb_2c47_c90a),
        (195, 0xcd94_217e_e362_ec3a),
        (403, 0xcdeb_804d_65c6_dea4),
        (512, 0x617e_4959_9013_cb6b),
    ] {
        assert_eq!(xxh3_64(&buffer[..length]), expected, "{length} bytes");
    }
}

#[test]
fn a_bucket_is_the_scaled_hash_of_salt_purpose_and_key() {
    for key in identities().iter().step_by(997) {
        for purpose in PURPOSES {
            let joined = [b"support-answers", &[0][..], purpose.as_str().as_bytes(), &[0], key].concat();
            let scaled = (u128::from(xxh3_64(&joined)) * 1_000_000) >> 64;
            assert_eq!(u128::from(bucket_ppm("support-answers", purpose, key)), scaled);
        }
        let joined = [b"support-answers", &[0][..], b"identity", &[0], key].concat();
        assert_eq!(identity_hash("support-answers", key), xxh3_64(&joined));
    }
}

#[test]
fn buckets_stay_what_they_are() {
    // Changing one of these moves the users of every running experiment.
    let buckets: Vec<String> = ["ada", "grace", "", "0", "kleene@example.com"]
        .iter()
        .map(|key| {
            let buckets =
                PURPOSES.map(|purpose| bucket_ppm("support-answers", purpose, key.as_bytes()).to_string());
            format!("{key:?} {} {:016x}", buckets.join(" "), identity_hash("support-answers", key.as_bytes()))
        })
        .collect();
    insta::assert_snapshot!(buckets.join("\n"));
}

#[test]
fn shares_are_within_binomial_bounds() {
    let identities = identities();
    let total = identities.len() as f64;
    for salt in ["support-answers", "search", "a"] {
        for purpose in PURPOSES {
            let buckets: Vec<u32> = identities.iter().map(|key| bucket_ppm(salt, purpose, key)).collect();
            for share_ppm in [1_000, 10_000, 50_000, 200_000, 500_000, 990_000] {
                let share = f64::from(share_ppm) / f64::from(BUCKETS);
                let inside = buckets.iter().filter(|bucket| **bucket < share_ppm).count() as f64;
                let deviation = (inside - total * share).abs() / (total * share * (1.0 - share)).sqrt();
                assert!(deviation < 4.5, "{salt} {purpose:?} {share_ppm}: {deviation} standard deviations");
            }
            assert!(buckets.iter().all(|bucket| *bucket < BUCKETS));
        }
    }
}

#[test]
fn purposes_and_experiments_are_independent() {
    let identities = identities();
    let salts = ["support-answers", "support-answers-2", "search"];
    let mut deciders = Vec::new();
    for salt in salts {
        for purpose in PURPOSES {
            deciders.push((salt, purpose));
        }
    }
    let deciles: Vec<Vec<usize>> = deciders
        .iter()
        .map(|(salt, purpose)| {
            identities.iter().map(|key| (bucket_ppm(salt, *purpose, key) / (BUCKETS / 10)) as usize).collect()
        })
        .collect();
    for left in 0..deciders.len() {
        for right in 0..left {
            let mut table = [[0_u32; 10]; 10];
            for (row, column) in deciles[left].iter().zip(&deciles[right]) {
                table[*row][*column] += 1;
            }
            // 99 degrees of freedom against the uniform table; 66 pairs, so the bound is the 1 - 1e-5 quantile.
            let expected = identities.len() as f64 / 100.0;
            let statistic: f64 =
                table.iter().flatten().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
            assert!(statistic < 166.0, "{:?} {:?}: {statistic}", deciders[left], deciders[right]);
        }
    }
}

#[test]
fn salt_purpose_and_key_cannot_run_into_each_other() {
    assert_ne!(bucket_ppm("ab", Purpose::Route, b"c"), bucket_ppm("a", Purpose::Route, b"bc"));
    assert_ne!(identity_hash("ab", b"c"), identity_hash("a", b"bc"));
}
