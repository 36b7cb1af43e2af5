//! Every rollout in `examples/rollouts` is readable and fits the example policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use weir_controller::{Rollout, step_policy};
use weir_policy::{Mode, Policy};

fn texts(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_example_rollout_steers_every_example_policy_with_cohorts() {
    let rollouts = texts("rollouts");
    assert!(rollouts.len() >= 3, "{:?}", rollouts.keys());
    let policies: Vec<Policy> =
        texts("policies").iter().map(|(name, text)| Policy::parse(name, text).unwrap()).collect();
    let mut fitted = 0;
    for (name, text) in &rollouts {
        let rollout = Rollout::parse(name, text).unwrap_or_else(|problems| panic!("{problems}"));
        for policy in policies.iter().filter(|policy| policy.mode == Mode::Canary) {
            rollout.check_policy(name, policy).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(step_policy(policy, &rollout, 0, 9).mode, Mode::Shadow);
            fitted += 1;
        }
    }
    assert!(fitted >= rollouts.len(), "every rollout fits a policy");
}
