//! How many legs of which kind there are, and answers that the capture cut.

use weir_gate::CaptureHealth;
use weir_sample::{Leg, Variant};

use super::flags::{Flags, differ};
use crate::exchange::Exchanges;
use crate::packed::{Reader, Writer};

const TRUNCATED_MIN: u64 = 20;

/// Legs by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    primary_control: u64,
    primary_candidate: u64,
    shadow: u64,
    noise: u64,
    /// All legs of control, and those of them that were cut.
    control: Flags,
    candidate: Flags,
}

impl Counts {
    pub(super) fn of(exchanges: &Exchanges<'_>) -> Self {
        let mut counts = Self::default();
        for (facts, legs) in exchanges.kinds() {
            let of_leg = match (facts.leg, facts.variant) {
                (Leg::Primary, Variant::Control) => &mut counts.primary_control,
                (Leg::Primary, Variant::Candidate) => &mut counts.primary_candidate,
                (Leg::Shadow, _) => &mut counts.shadow,
                (Leg::Noise, _) => &mut counts.noise,
            };
            *of_leg += legs;
            let of_variant = match facts.variant {
                Variant::Control => &mut counts.control,
                Variant::Candidate => &mut counts.candidate,
            };
            of_variant.append(Flags { yes: if facts.truncated { *legs } else { 0 }, all: *legs });
        }
        counts
    }

    pub(super) fn append(&mut self, later: Self) {
        for (count, later) in self.legs_mut().into_iter().zip(later.legs()) {
            *count = count.saturating_add(later);
        }
        self.control.append(later.control);
        self.candidate.append(later.candidate);
    }

    pub(super) fn tell(&self, health: &mut CaptureHealth) {
        health.primary_control = self.primary_control;
        health.primary_candidate = self.primary_candidate;
        health.shadow = self.shadow;
        health.noise = self.noise;
        health.truncated_control = self.control.yes;
        health.truncated_candidate = self.candidate.yes;
    }

    /// Answers that were cut, more of one variant than of the other: their texts are not judged, so that the comparison
    /// would leave out the long answers of one side.
    pub(super) fn truncation(&self) -> Option<String> {
        let enough = self.control.yes.saturating_add(self.candidate.yes) >= TRUNCATED_MIN;
        (enough && differ(self.control, self.candidate)).then(|| {
            format!(
                "the capture cut {:.0} % of the control's and {:.0} % of the candidate's answers, and what is cut is not \
                 judged; hint: raise limits.bodyBytesMax in the policy",
                self.control.share() * 100.0,
                self.candidate.share() * 100.0
            )
        })
    }

    fn legs(&self) -> [u64; 4] {
        [self.primary_control, self.primary_candidate, self.shadow, self.noise]
    }

    fn legs_mut(&mut self) -> [&mut u64; 4] {
        [&mut self.primary_control, &mut self.primary_candidate, &mut self.shadow, &mut self.noise]
    }

    pub(super) fn write(&self, to: &mut Writer) {
        self.legs().into_iter().for_each(|count| to.number(count));
        self.control.write(to);
        self.candidate.write(to);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            primary_control: from.number()?,
            primary_candidate: from.number()?,
            shadow: from.number()?,
            noise: from.number()?,
            control: Flags::read(from)?,
            candidate: Flags::read(from)?,
        })
    }
}
