//! The sample record: Arrow schema, OTLP mapping, schema version.
