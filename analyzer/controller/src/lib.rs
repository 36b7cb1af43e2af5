//! The rollout state machine, the pushers, confirmation and the decision record.
