//! Golden sets.
