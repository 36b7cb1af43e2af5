//! Samples to metric columns, read lazily with polars.
