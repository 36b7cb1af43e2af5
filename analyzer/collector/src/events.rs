//! What the collector tells its operator: one event, one line, as text or as JSON.
//!
//! JSON lines have `time` (RFC 3339, UTC), `level` (`info`, `warn`, `error`), `event` (a word of [`EventKind`]) and `message`.
//! Invariant: no captured text is in them.

use std::time::SystemTime;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The message alone.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $level:literal;)+) => {
        /// What an event is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind { $($(#[$doc])* $name),+ }

        impl EventKind {
            /// The word in `event`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// `info`, `warn` or `error`.
            pub const fn level(self) -> &'static str {
                match self { $(Self::$name => $level),+ }
            }
        }
    };
}

events! {
    /// It listens.
    Listening = "listening", "info";
    /// It was told to stop.
    Stopping = "stopping", "info";
    /// Everything is drained.
    Stopped = "stopped", "info";
    /// The log that a start found.
    Recovered = "recovered", "info";
    /// The log or the disk is full: samples are refused.
    Full = "full", "error";
    /// They are accepted again.
    Resumed = "resumed", "info";
    /// A batch could not be made durable and was refused.
    CommitFailed = "commit_failed", "error";
    /// Parquet could not be written; it is tried again.
    ParquetFailed = "parquet_failed", "error";
    /// A segment or a key file is damaged.
    Damaged = "damaged", "error";
    /// A file in the log's folder that is not the log's.
    Foreign = "foreign", "warn";
    /// The disk did something unexpected that costs nothing.
    Disk = "disk", "warn";
    /// Clients that did not finish.
    Client = "client", "warn";
    /// The HTTP server ended on its own.
    Server = "server", "error";
    /// Certificates or tokens were read again, or could not be; or there are none.
    Access = "access", "warn";
    /// The filter tells something about itself.
    Filter = "filter", "warn";
}

impl LogFormat {
    /// The line of an event, now; without a line end.
    pub fn line(self, kind: EventKind, message: &str) -> String {
        self.line_at(kind, message, SystemTime::now())
    }

    fn line_at(self, kind: EventKind, message: &str, now: SystemTime) -> String {
        match self {
            Self::Text => message.to_owned(),
            Self::Json => {
                let time =
                    jiff::Timestamp::try_from(now).map(|time| format!("{time:.3}")).unwrap_or_default();
                // Written by hand, so that the fields keep their order.
                format!(
                    "{{\"time\":\"{time}\",\"level\":\"{}\",\"event\":\"{}\",\"message\":{}}}",
                    kind.level(),
                    kind.as_str(),
                    serde_json::Value::from(message)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_whatever_its_message() {
        let message = "a.wal: cannot \"sync\"\n  hint: \u{1} check";
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_790_000_000_123);
        let line = LogFormat::Json.line_at(EventKind::CommitFailed, message, now);
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], message);
        assert_eq!(value["time"], "2026-09-21T14:13:20.123Z");
        assert_eq!((&value["level"], &value["event"]), (&"error".into(), &"commit_failed".into()));
        assert_eq!(LogFormat::Text.line_at(EventKind::Disk, message, now), message);
    }
}
