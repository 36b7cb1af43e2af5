//! Which policies come late, and which are taken all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::policy_with;
use proptest::prelude::*;
use weir_policy::{EXPERIMENTS_MAX, Newest, PluginConfiguration};

fn read(text: &str) -> PluginConfiguration {
    PluginConfiguration::parse("policy", text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn one(experiment: &str, revision: u64, mode: &str, rest: &str) -> PluginConfiguration {
    read(&format!(
        "{{apiVersion: weir/v1, kind: Policy, experiment: {experiment}, revision: {revision}, mode: {mode}, \
         control: {{cluster: a, snapshot: {{model: {{name: m, version: '1'}}}}}}, \
         candidate: {{cluster: b, snapshot: {{model: {{name: m, version: '2'}}}}}}, \
         identity: [{{header: x-user-id}}], cohorts: [{{name: all, candidatePercent: 10}}]{rest}}}"
    ))
}

fn several(revision: u64, experiments: &[(&str, u64)], rest: &str) -> PluginConfiguration {
    let list: Vec<String> = experiments
        .iter()
        .map(|(name, own)| {
            format!(
                "{{experiment: {name}, revision: {own}, mode: canary, requests: {{header: ':path', prefix: /{name}}}, \
                 control: {{cluster: a, snapshot: {{model: {{name: m, version: '1'}}}}}}, \
                 candidate: {{cluster: b, snapshot: {{model: {{name: m, version: '2'}}}}}}, \
                 identity: [{{header: x-user-id}}], cohorts: [{{name: all, candidatePercent: 10}}]}}"
            )
        })
        .collect();
    let list = list.join(", ");
    read(&format!(
        "{{apiVersion: weir/v1, kind: Experiments, revision: {revision}, experiments: [{list}]{rest}}}"
    ))
}

/// Takes what does not come late; tells which were taken.
fn delivered<const N: usize>(configurations: [PluginConfiguration; N]) -> [bool; N] {
    let mut newest = Newest::default();
    configurations.map(|configuration| {
        let taken = newest.check("policy", &configuration).is_ok();
        if taken {
            newest.take(&configuration);
        }
        taken
    })
}

#[test]
fn a_lower_revision_of_the_same_experiment_comes_late_and_says_so() {
    let mut newest = Newest::default();
    newest.take(&one("a", 7, "canary", ""));
    let problems = newest.check("policy", &one("a", 6, "canary", "")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "error: policy: revision: 6 is below the newest one that was taken; allowed: 7 or above, or `replaces: 7`\n  \
         hint: it came late; `replaces` says that it is a restore, as `weir push --restore` does"
    );
    assert!(newest.check("policy", &one("a", 7, "canary", "")).is_ok(), "delivered again");
    assert!(newest.check("policy", &one("b", 1, "canary", "")).is_ok(), "another experiment");
    assert!(newest.check("policy", &read("{apiVersion: weir/v1, kind: Capture, leg: shadow}")).is_ok());
}

#[test]
fn the_way_back_to_control_is_never_closed_and_what_it_took_back_does_not_come_again() {
    for back in ["off", "rolled-back"] {
        let taken = delivered([
            one("a", 7, "canary", ""),
            one("a", 3, back, ""),
            one("a", 5, "canary", ""),
            one("a", 8, "canary", ""),
        ]);
        assert_eq!(taken, [true, true, false, true], "{back}");
    }
}

#[test]
fn a_restore_says_what_it_takes_the_place_of_and_undoes_nothing_later() {
    let restore = || one("a", 3, "canary", ", replaces: 7");
    assert_eq!(
        delivered([one("a", 7, "canary", ""), restore(), one("a", 4, "canary", ""), restore()]),
        [true, true, true, true],
        "what it restored counts from there, and may be delivered again while nothing later came than it names"
    );
    assert_eq!(
        delivered([one("a", 7, "canary", ""), restore(), one("a", 8, "canary", ""), restore()]),
        [true, true, true, false],
        "late itself"
    );
    assert_eq!(delivered([one("a", 9, "canary", ""), restore()]), [true, false]);
}

#[test]
fn of_several_experiments_the_document_counts() {
    let first = || several(9, &[("a", 4), ("b", 9)], "");
    assert_eq!(delivered([first(), several(8, &[("a", 4)], "")]), [true, false], "an older document");
    assert_eq!(
        delivered([first(), several(8, &[("c", 8)], "")]),
        [true, true],
        "it has nothing of the first"
    );
    assert_eq!(delivered([first(), one("a", 8, "canary", "")]), [true, false], "a policy by itself");
    assert_eq!(delivered([first(), one("a", 10, "canary", ""), first()]), [true, true, false]);
    assert_eq!(
        delivered([first(), several(10, &[("b", 10), ("a", 3)], "")]),
        [true, true],
        "an experiment as it was, in a later document"
    );
    assert_eq!(delivered([first(), several(8, &[("a", 3), ("b", 8)], ", replaces: 9")]), [true, true]);
}

#[test]
fn what_is_known_is_bounded() {
    let mut newest = Newest::default();
    newest.take(&one("first", 9, "canary", ""));
    for number in 0..EXPERIMENTS_MAX {
        assert!(newest.check("x", &one("first", 8, "canary", "")).is_err());
        newest.take(&one(&format!("e{number}"), 9, "canary", ""));
    }
    assert!(newest.check("x", &one("first", 8, "canary", "")).is_ok(), "forgotten");
    assert!(newest.check("x", &one("e1", 8, "canary", "")).is_err());
}

#[test]
fn a_field_that_says_nothing_is_left_out_and_changes_no_digest() {
    let with = weir_policy::Policy::parse("policy", &policy_with("canary", "replaces: 7")).unwrap();
    let without = weir_policy::Policy { replaces: None, ..with.clone() };
    assert_ne!(with.digest(), without.digest());
    assert!(!without.to_json().contains("replaces"));
}

proptest! {
    #[test]
    fn whatever_the_order_of_delivery_the_newest_revision_serves_in_the_end(
        revisions in proptest::collection::vec(1_u64..20, 1..30),
    ) {
        let mut newest = Newest::default();
        let mut serving = 0;
        for revision in &revisions {
            let configuration = one("a", *revision, "canary", "");
            if newest.check("policy", &configuration).is_ok() {
                newest.take(&configuration);
                serving = *revision;
            }
        }
        prop_assert_eq!(Some(&serving), revisions.iter().max());
    }
}
