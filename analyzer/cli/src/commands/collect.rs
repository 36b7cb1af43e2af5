//! `weir collect`: runs the collector until it is told to stop, then drains.

use std::time::Duration;

use weir_collector::{Collector, CollectorError, CollectorOptions};

use crate::arguments::CollectArguments;
use crate::commands::stopped;
use crate::exit::{Exit, Failure, Outcome};

/// Runs the command.
pub(crate) async fn run(arguments: &CollectArguments) -> Outcome {
    let mut options = CollectorOptions::new(arguments.listen, &arguments.data);
    options.insecure = arguments.insecure;
    options.flush_interval = Duration::from_millis(arguments.flush_interval_ms);
    options.flush_rows = arguments.flush_rows;
    let collector = Collector::start(options).await.map_err(refused)?;
    eprintln!(
        "listening on http://{}/v1/logs, writing to {}; stop with Ctrl-C",
        collector.address(),
        arguments.data.display()
    );
    stopped().await;
    eprintln!("stopping: what is in the log becomes Parquet");
    collector.stop().await.map_err(refused)?;
    Ok(Exit::Pass)
}

fn refused(error: CollectorError) -> Failure {
    let exit = match error {
        CollectorError::NotLoopback { .. } => Exit::Usage,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}
