//! A captured leg on the wire: OTLP log records and the attribute names that both ends use.
