//! Logarithms and exponentials that give the same bits everywhere.
//!
//! The standard library takes these from the platform's C library, whose last bits differ between systems and from those of
//! a browser's WebAssembly; a search for a root makes such a bit visible. The `libm` crate is the same code on every target,
//! so that a verdict is the same bytes on the command line, on another machine and in the report's page.
//! Whatever a gate rests on uses these; `make test-browser` compares the bytes. (Square roots are exact everywhere.)

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`, exact for small `x`.
pub(crate) fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// `e` to the power of `x`.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `exp(x) - 1`, exact for small `x`.
pub(crate) fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}
