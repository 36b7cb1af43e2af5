//! Upkeep of the data folder: `compact`, `forget`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// `weir compact`
#[derive(Debug, Args)]
pub(crate) struct CompactArguments {
    /// The data folder, or an object store (s3://BUCKET/PREFIX, gs://, az://)
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// Only this experiment
    #[arg(long, value_name = "NAME")]
    pub(crate) experiment: Option<String>,
    /// Remove hours that ended this many days ago
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) keep_days: Option<u32>,
    /// Remove the oldest closed hours while all files together are larger; bytes, or with KiB, MiB, GiB, TiB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) keep_bytes: Option<u64>,
    /// Change nothing, and say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `weir forget`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["identity", "identity_hash"]))]
pub(crate) struct ForgetArguments {
    /// The data folder, or an object store (s3://BUCKET/PREFIX, gs://, az://)
    #[arg(long, value_name = "DIR", env = "WEIR_DATA")]
    pub(crate) data: PathBuf,
    /// The identity as clients send it, for example a user's id; its hash is salted by the policy
    #[arg(long, value_name = "VALUE", requires = "policy")]
    pub(crate) identity: Option<String>,
    /// The hash as the samples have it: 16 hex digits
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) identity_hash: Option<String>,
    /// The policy that the samples were captured under, for its salt; of several experiments, for the salts of all
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Change nothing, and say what would be erased
    #[arg(long)]
    pub(crate) dry_run: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match text.strip_prefix(digits).unwrap_or_default().trim_start() {
        "" | "B" => 1_u64,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => {
            return Err(
                "is no size; allowed: a whole number of bytes, or with KiB, MiB, GiB or TiB".to_owned()
            );
        }
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| "is no size; allowed: 0 to 16777215 TiB in whole numbers".to_owned())
}

fn hash(text: &str) -> Result<String, String> {
    let is_hash = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hint = "`weir assign` shows it, and so does the column identity_hash";
    if is_hash {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("is no hash; allowed: 16 hex digits\n  hint: {hint}"))
    }
}
