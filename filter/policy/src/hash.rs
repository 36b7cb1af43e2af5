//! The assignment hash.
//!
//! `hash = XXH3-64(salt 0x00 purpose 0x00 key)`, `bucket = floor(hash * 1,000,000 / 2^64)`. Salt and purpose hold no NUL, so
//! different triples never give the same input. Both are part of the contract with running experiments: changing them moves
//! every user.

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

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
    /// Which experiment of a layer an identity belongs to.
    Layer,
    /// Whether an exchange is captured.
    Sample,
    /// Whether an exchange that was drawn is captured where there is room for a part of them only.
    SampleCap,
}

impl Purpose {
    /// The word that goes into the hash.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Route => "route",
            Purpose::Shadow => "shadow",
            Purpose::Noise => "noise",
            Purpose::Layer => "layer",
            Purpose::Sample => "sample",
            Purpose::SampleCap => "sample-cap",
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

/// Stands for a session in samples, salted in the same way.
#[must_use]
pub(crate) fn session_hash(salt: &str, session: &[u8]) -> u64 {
    hash(salt, "session", session)
}

/// Hash of a key for a table. The seed is secret, so that nobody can choose keys that collide.
#[must_use]
pub fn table_hash(seed: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// Input up to this size is hashed in one go, which spares setting up a hasher of half a kilobyte.
const ONE_GO_BYTES_MAX: usize = 240;

fn hash(salt: &str, purpose: &str, key: &[u8]) -> u64 {
    let parts = [salt.as_bytes(), &[0], purpose.as_bytes(), &[0], key];
    let mut input = [0_u8; ONE_GO_BYTES_MAX];
    let mut rest = input.as_mut_slice();
    for part in parts {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else {
            return hash_in_parts(&parts);
        };
        place.copy_from_slice(part);
        rest = behind;
    }
    let unused = rest.len();
    xxh3_64(input.get(..ONE_GO_BYTES_MAX - unused).unwrap_or_default())
}

fn hash_in_parts(parts: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.digest()
}
