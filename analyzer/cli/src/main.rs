//! The weir binary: arguments, progress, exit codes.

fn main() {}
