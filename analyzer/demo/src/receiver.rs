//! The collector in this process, on a free loopback port; what it has to say goes to a file.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weir_collector::{Collector, CollectorOptions, RunningCollector};

use crate::error::DemoError;

/// Rows become Parquet after this: the demo looks twice a second.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Starts the collector on `data`.
pub(crate) async fn start_collector(data: &Path, log: &Path) -> Result<RunningCollector, DemoError> {
    let file = Mutex::new(File::create(log).map_err(DemoError::file(log))?);
    let mut options = CollectorOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), data);
    options.flush_interval = FLUSH_INTERVAL;
    options.log = Arc::new(move |line| {
        // A log that cannot be written must not end a collector that can still collect.
        let _lost = writeln!(file.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    });
    Ok(Collector::start(options).await?)
}
