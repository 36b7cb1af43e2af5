//! A share of traffic with a grain of one millionth.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;
use weir_document::{Collector, Decode, Path};

/// A share between nothing and everything, in millionths. In documents it is a percentage with at most four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    ppm: u32,
}

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self { ppm: 0 };
    /// Everything.
    pub const ALL: Self = Self { ppm: Self::PPM_MAX };
    /// Millionths in everything.
    pub const PPM_MAX: u32 = 1_000_000;

    /// From millionths; none above [`Share::PPM_MAX`].
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= Self::PPM_MAX { Some(Self { ppm }) } else { None }
    }

    /// From a percentage, rounded to millionths; none outside 0 to 100.
    #[must_use]
    pub fn from_percent(percent: f64) -> Option<Self> {
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1,000,000 by the check above"
        )]
        Self::from_ppm((percent * 10_000.0).round() as u32)
    }

    /// From a whole percentage; more than 100 is everything.
    #[must_use]
    pub const fn from_whole_percent(percent: u32) -> Self {
        if percent >= 100 { Self::ALL } else { Self { ppm: percent * 10_000 } }
    }

    /// In millionths, 0 to 1,000,000.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.ppm
    }

    /// In percent, 0 to 100.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.ppm) / 10_000.0
    }

    /// As a probability, 0 to 1.
    #[must_use]
    pub fn probability(self) -> f64 {
        f64::from(self.ppm) / f64::from(Self::PPM_MAX)
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.ppm == 0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

impl Decode for Share {
    fn decode(node: &Value, at: &Path<'_>, problems: &mut Collector) -> Option<Self> {
        let percent = f64::decode(node, at, problems)?;
        let Some(share) = Self::from_percent(percent) else {
            problems.report(at, "is out of range").value(node).allowed("0 to 100 (percent)");
            return None;
        };
        // Four decimals are exact up to the rounding of doubles; what is farther off was written finer.
        if (share.percent() - percent).abs() > 1e-9 {
            problems
                .report(at, "is finer than a millionth")
                .value(node)
                .allowed("at most 4 decimals")
                .hint(format!("the nearest share is {}", share.percent()));
            return None;
        }
        Some(share)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.ppm.is_multiple_of(10_000) {
            serializer.serialize_u32(self.ppm / 10_000)
        } else {
            serializer.serialize_f64(self.percent())
        }
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Share")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "number", "minimum": 0, "maximum": 100})
    }
}
