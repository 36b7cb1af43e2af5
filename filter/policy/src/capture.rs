//! Which copies of an exchange are made and which of its legs are captured, with the probability of each.
//!
//! Decided per exchange, not per identity, by hashes that are independent of routing and of each other.

use serde::Serialize;

use crate::{Assignment, Mode, Policy, Purpose, Share, Variant, bucket_ppm};

/// What happens to an exchange beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CaptureDecision {
    /// Whether a copy goes to the candidate.
    pub shadow: bool,
    /// Whether a copy goes to control.
    pub noise: bool,
    /// Whether the exchange was drawn for sampling; it is captured too when it has a copy, see
    /// [`CaptureDecision::capture_primary`].
    pub sample: bool,
    /// Probability with which the primary leg is captured: 1 - (1 - shadow)(1 - noise)(1 - sampling). 0 to 1.
    pub inclusion_probability_primary: f64,
    /// Probability with which a copy goes to the candidate. 0 to 1.
    pub inclusion_probability_shadow: f64,
    /// Probability with which a copy goes to control. 0 to 1.
    pub inclusion_probability_noise: f64,
    /// Probability with which the exchange is drawn for sampling. 0 to 1.
    pub probability_sample: f64,
}

impl CaptureDecision {
    /// Neither copies nor capture.
    pub const NOTHING: Self = Self {
        shadow: false,
        noise: false,
        sample: false,
        inclusion_probability_primary: 0.0,
        inclusion_probability_shadow: 0.0,
        inclusion_probability_noise: 0.0,
        probability_sample: 0.0,
    };

    /// The decision where these copies are possible at all. What is not possible has probability 0, so that the primary
    /// leg is captured for the others' sake only, with their probability.
    #[must_use]
    pub fn restricted(mut self, shadow_possible: bool, noise_possible: bool) -> Self {
        if !shadow_possible {
            self.shadow = false;
            self.inclusion_probability_shadow = 0.0;
        }
        if !noise_possible {
            self.noise = false;
            self.inclusion_probability_noise = 0.0;
        }
        self.inclusion_probability_primary = joint(
            self.inclusion_probability_shadow,
            self.inclusion_probability_noise,
            self.probability_sample,
        );
        self
    }

    /// The decision where of the exchanges that are drawn for sampling only this part is taken, this one or not.
    #[must_use]
    pub fn thinned(mut self, part: Share, taken: bool) -> Self {
        self.sample &= taken;
        self.probability_sample *= part.probability();
        self.restricted(true, true)
    }

    /// The decision for an exchange that is captured in any case.
    #[must_use]
    pub fn certain(mut self) -> Self {
        self.sample = true;
        self.probability_sample = 1.0;
        self.restricted(true, true)
    }

    /// Whether the primary leg is captured: it was sampled, or a copy needs it as the other half of its pair.
    #[must_use]
    pub const fn capture_primary(&self) -> bool {
        self.shadow || self.noise || self.sample
    }
}

impl Policy {
    /// Decides about copies and capture of an exchange. `exchange_key` is unique to it: its request id, or the sample id.
    #[must_use]
    pub fn capture_decision(&self, assignment: &Assignment, exchange_key: &[u8]) -> CaptureDecision {
        if self.mode == Mode::Off || assignment.is_apart() {
            return CaptureDecision::NOTHING;
        }
        let cohort = self.cohort(assignment);
        let sampling = cohort.and_then(|cohort| cohort.sampling_percent).unwrap_or(self.sampling.percent);
        let (shadow, noise) = if self.copies(assignment.variant) {
            (
                cohort.and_then(|cohort| cohort.shadow_percent).unwrap_or(self.shadow.percent),
                self.noise.percent,
            )
        } else {
            (Share::ZERO, Share::ZERO)
        };
        let drawn = |share: Share, purpose| {
            // Most exchanges meet shares of nothing or everything, which need no hash.
            !share.is_zero()
                && (share == Share::ALL || bucket_ppm(self.salt(), purpose, exchange_key) < share.ppm())
        };
        CaptureDecision {
            shadow: drawn(shadow, Purpose::Shadow),
            noise: drawn(noise, Purpose::Noise),
            sample: drawn(sampling, Purpose::Sample),
            inclusion_probability_primary: joint(
                shadow.probability(),
                noise.probability(),
                sampling.probability(),
            ),
            inclusion_probability_shadow: shadow.probability(),
            inclusion_probability_noise: noise.probability(),
            probability_sample: sampling.probability(),
        }
    }

    fn copies(&self, variant: Variant) -> bool {
        matches!(self.mode, Mode::Shadow | Mode::Canary)
            && variant == Variant::Control
            && self.candidate.is_some()
    }
}

/// Probability that at least one of three independent draws succeeds.
fn joint(shadow: f64, noise: f64, sample: f64) -> f64 {
    1.0 - (1.0 - shadow) * (1.0 - noise) * (1.0 - sample)
}
