//! The assignment hash.
//!
//! `hash = XXH3-64(salt 0x00 purpose 0x00 key)`, `bucket = floor(hash * 1,000,000 / 2^64)`. Salt and purpose hold no NUL, so
//! different triples never give the same input. Both are part of the contract with running experiments: changing them moves
//! every user.

use xxhash_rust::xxh3::Xxh3;

/// Buckets that keys are spread over: the grain of a share.
pub const BUCKETS: u32 = 1_000_000;

/// What a hash decides; decisions of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Which variant answers an identity.
    Route,
    /// Whether a copy of an exchange goes to the candidate.
    Shadow,
    /// Whether a copy of an exchange goes to control.
    Noise,
    /// Whether an exchange is captured.
    Sample,
}

impl Purpose {
    /// The word that goes into the hash.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Route => "route",
            Purpose::Shadow => "shadow",
            Purpose::Noise => "noise",
            Purpose::Sample => "sample",
        }
    }
}

/// Bucket of a key, 0 to 999,999.
#[must_use]
pub fn bucket_ppm(salt: &str, purpose: Purpose, key: &[u8]) -> u32 {
    let scaled = (u128::from(hash(salt, purpose.as_str(), key)) * u128::from(BUCKETS)) >> 64;
    // Below BUCKETS by construction: the hash is below 2^64.
    u32::try_from(scaled).unwrap_or(BUCKETS - 1)
}

/// Stands for an identity in samples. Salted, so that the samples of two experiments cannot be joined by it.
#[must_use]
pub fn identity_hash(salt: &str, identity: &[u8]) -> u64 {
    hash(salt, "identity", identity)
}

fn hash(salt: &str, purpose: &str, key: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(salt.as_bytes());
    hasher.update(&[0]);
    hasher.update(purpose.as_bytes());
    hasher.update(&[0]);
    hasher.update(key);
    hasher.digest()
}
