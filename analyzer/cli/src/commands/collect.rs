//! `weir collect`: runs the collector until it is told to stop, then drains.

use std::sync::Arc;
use std::time::Duration;

use weir_collector::configuration::Collector as Document;
use weir_collector::{
    AccessOptions, Collector, CollectorError, CollectorOptions, EventKind, LogFormat, StoreOptions, TlsFiles,
};

use crate::arguments::{CollectArguments, LogLines};
use crate::commands::{stopped, store};
use crate::exit::{Exit, Failure, OrExit as _, Outcome};

/// Runs the command.
pub(crate) async fn run(arguments: &CollectArguments) -> Outcome {
    let mut options = CollectorOptions::new(arguments.listen, &arguments.data);
    options.insecure = arguments.insecure;
    options.access =
        AccessOptions {
            tls: arguments.tls_certificate.clone().zip(arguments.tls_key.clone()).map(
                |(certificate, key)| TlsFiles { certificate, key, client_ca: arguments.client_ca.clone() },
            ),
            tokens: arguments.tokens.clone(),
        };
    options.store =
        arguments.store.clone().map(|url| StoreOptions { url, settings: store::settings().collect() });
    let scheme = if options.access.tls.is_some() { "https" } else { "http" };
    options.flush_interval = Duration::from_millis(arguments.flush_interval_ms);
    options.flush_rows = arguments.flush_rows;
    // Before anything is listened on or written: a collector without its rules does not start.
    if let Some(config) = &arguments.config {
        let (document, rules) = Document::load(config).or_usage()?;
        options.rules = rules;
        (options.limits, options.connections) = document.bounds(options.limits);
    }
    options.limits.wal_bytes_max = arguments.log_mib_max << 20;
    options.limits.disk_free_bytes_min = arguments.disk_free_mib_min << 20;
    let format = match arguments.log_format {
        LogLines::Text => LogFormat::Text,
        LogLines::Json => LogFormat::Json,
    };
    options.log_format = format;
    if format == LogFormat::Json {
        // Nothing before the brace.
        options.log = Arc::new(|line| eprintln!("{line}"));
    }
    let tell = |kind, message: &str| eprintln!("{}", format.line(kind, message));
    let collector = Collector::start(options).await.map_err(refused)?;
    let text = format!(
        "listening on {scheme}://{}/v1/logs, writing to {}; stop with Ctrl-C",
        collector.address(),
        arguments.data.display()
    );
    tell(EventKind::Listening, &text);
    stopped().await;
    tell(EventKind::Stopping, "stopping: what is in the log becomes Parquet");
    collector.stop().await.map_err(refused)?;
    if format == LogFormat::Json {
        tell(EventKind::Stopped, "everything acknowledged is in Parquet");
    }
    Ok(Exit::Pass)
}

fn refused(error: CollectorError) -> Failure {
    let exit = match error {
        CollectorError::NotLoopback { .. } | CollectorError::Access(_) | CollectorError::Store(_) => {
            Exit::Usage
        }
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}
