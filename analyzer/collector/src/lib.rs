//! OTLP receiver, write-ahead log and Parquet writer.
