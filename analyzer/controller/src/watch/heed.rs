//! What people do by hand while a watch runs: an approval, a pause, a rollback, a push of another policy.

use std::ops::ControlFlow;

use jiff::Timestamp;
use weir_gate::Evaluation;
use weir_policy::Mode;

use super::{Ending, Turn, Watch};
use crate::ecds_file::Carried;
use crate::error::ControllerError;
use crate::event::{Event, What};
use crate::record::{Decided, Decision};
use crate::state::Status;

impl<Observe: FnMut(Event)> Watch<Observe> {
    /// Takes up what was done by hand: an approval, a pause, a rollback, a push of another policy.
    pub(super) async fn heed_hands(&mut self) -> Result<Option<Turn>, ControllerError> {
        self.absorb_record()?;
        let carried = self.pusher.carried_of(&self.state.experiment)?;
        if self.state.status == Status::RolledBack
            || (carried.revision != self.state.revision && is_brake(&carried))
        {
            return Ok(Some(self.taken_back(carried.revision).await));
        }
        if carried.revision == self.state.revision {
            return Ok(None);
        }
        self.tell(What::Noticed(format!(
            "somebody else wrote revision {} (mode {}) where {} stood: pushing step '{}' again",
            carried.revision,
            carried.mode().unwrap_or("unknown"),
            self.state.revision,
            self.state.step_name
        )));
        let reasons = vec![format!("the ECDS file had revision {}", carried.revision)];
        self.push_step(self.state.step, Decided::Repeat, None, reasons).await.map(Some)
    }

    /// Takes over what a command by hand has recorded since this watch recorded last.
    fn absorb_record(&mut self) -> Result<(), ControllerError> {
        let Some(recorded) = self.folder.read_state()? else { return Ok(()) };
        if recorded.decisions <= self.state.decisions {
            return Ok(());
        }
        self.state.decisions = recorded.decisions;
        if self.state.status.has_ended() {
            return Ok(());
        }
        if recorded.status != self.state.status || recorded.signed_off_step != self.state.signed_off_step {
            self.tell(What::Noticed(format!("by hand: the rollout is {} now", recorded.status)));
        }
        self.state.status = recorded.status;
        self.state.signed_off_step = recorded.signed_off_step;
        Ok(())
    }

    /// The ECDS file has the brake on and this watch did not do it (or was killed after it did).
    pub(super) async fn taken_back(&mut self, revision: u64) -> Turn {
        let reasons =
            vec![format!("revision {revision} in the ECDS file has taken the candidate back already")];
        let decision =
            Decision::new(&self.state, "hand", Decided::Rollback, reasons.clone(), Timestamp::now());
        self.state.status = Status::RolledBack;
        self.state.written(revision, Timestamp::now());
        let confirmed = self.pusher.confirm_carried().await;
        match &confirmed {
            Ok(_) => self.state.confirm(Timestamp::now()),
            Err(error) => self.tell(What::NotConfirmed { error: error.to_string(), attempt: (1, 1) }),
        }
        self.record(decision);
        if confirmed.is_err() {
            return ControlFlow::Break(Ending::NotConfirmed);
        }
        self.tell(What::RolledBack { reasons, written_ms: None, confirmed_ms: None });
        ControlFlow::Break(Ending::RolledBack)
    }

    /// Records a decision. A record that cannot be written is told; what was done stays done.
    pub(super) fn record(&mut self, decision: Decision) {
        if let Err(error) = self.absorb_record() {
            self.trouble(&error);
        }
        if let Err(error) = self.folder.record(&mut self.state, decision) {
            self.trouble(&error);
        }
    }

    pub(super) fn note(&mut self, decided: Decided, evaluation: &Evaluation, reasons: Vec<String>) {
        let decision = Decision::new(&self.state, "watch", decided, reasons, Timestamp::now());
        self.record(decision.with_evaluation(evaluation));
    }
}

/// Modes in which the candidate serves nobody and nothing is compared: somebody has hit the brake.
pub(super) fn is_brake(carried: &Carried) -> bool {
    [Mode::RolledBack, Mode::Off].iter().any(|mode| carried.mode() == Some(mode.as_str()))
}
