//! Samples coming in: `collect`, `import`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::arguments::folder;
use clap::{Args, ValueEnum};

/// `weir collect`
#[derive(Debug, Args)]
pub(crate) struct CollectArguments {
    /// Where to listen for OTLP/HTTP logs
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    pub(crate) listen: SocketAddr,
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: PathBuf,
    /// Write Parquet at least this often
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    pub(crate) flush_interval_ms: u64,
    /// Write Parquet when this many samples wait
    #[arg(long, value_name = "ROWS", default_value_t = 50_000)]
    pub(crate) flush_rows: usize,
    /// What is kept of captured text: a document of kind Collector
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Send finished Parquet to this object store (s3://BUCKET/PREFIX, gs://, az://); the data folder keeps the log
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Serve TLS with this certificate chain (PEM); read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take connections only from clients with a certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Take samples only with one of these bearer tokens, one per line; read again when the file changes
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Listen on an address that others can reach, and take samples from anybody
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Refuse samples while this much log waits for Parquet
    #[arg(long, value_name = "MIB", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) log_mib_max: u64,
    /// Refuse samples while the data folder's disk has less free space
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(0..=1 << 30))]
    pub(crate) disk_free_mib_min: u64,
    /// How the lines about its own state look
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogLines,
}

/// Lines of the collector on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLines {
    /// For people
    Text,
    /// One JSON object per event
    Json,
}

/// `weir import`
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) format: ImportFormat,
    /// The data folder
    #[arg(long, value_name = "DIR", env = "WEIR_DATA", value_parser = folder)]
    pub(crate) data: PathBuf,
    /// The experiment that the legs belong to
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub(crate) experiment: String,
    /// What is kept of the texts: a document of kind Collector
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Leave out lines that cannot be read, and count them, instead of importing nothing
    #[arg(long)]
    pub(crate) skip_bad_lines: bool,
}

/// What an imported file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// One leg per line, columns by the names of the sample record
    Jsonl,
}
