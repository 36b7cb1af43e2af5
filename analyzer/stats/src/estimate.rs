//! An estimate with its interval.

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The plain estimate (sample mean, difference or ratio); the interval of a confidence sequence need not be
    /// centred on it.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values (or pairs) used; for unpaired comparisons the count of the smaller arm.
    pub n: usize,
}

impl Estimate {
    /// Length of the interval.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// The estimate of `scale * x + shift`; `scale` must be positive.
    #[must_use]
    pub fn affine(self, scale: f64, shift: f64) -> Self {
        Self {
            value: self.value * scale + shift,
            low: self.low * scale + shift,
            high: self.high * scale + shift,
            n: self.n,
        }
    }
}
