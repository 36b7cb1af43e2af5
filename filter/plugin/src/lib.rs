//! The proxy-wasm module: a thin shell over weir-policy.
