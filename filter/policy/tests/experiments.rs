//! Several experiments: which request belongs to which, layers, and combinations that cannot be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{parse, policy_with, refusal};
use weir_policy::{CaptureDecision, Experiments, PluginConfiguration, Reason, Variant};

const EXAMPLE: &str = include_str!("../../../examples/experiments/search-and-support.yaml");

fn example() -> Experiments {
    Experiments::parse("experiments.yaml", EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> String {
    Experiments::parse("experiments.yaml", text).expect_err("should be refused").to_string()
}

fn taken(experiments: &Experiments, headers: &[(&str, &str)]) -> Option<String> {
    experiments.of(headers).map(|policy| policy.experiment.clone())
}

#[test]
fn the_example_is_valid_survives_being_written_and_is_told_apart_by_kind() {
    let experiments = example();
    let again = Experiments::parse("experiments.json", &experiments.to_json()).unwrap();
    assert_eq!(experiments, again);
    assert_eq!(experiments.digest(), again.digest());
    assert!(experiments.experiments.iter().all(|policy| policy.revision == 12));
    let read = PluginConfiguration::parse("configuration", EXAMPLE).unwrap();
    assert_eq!(read, PluginConfiguration::Experiments(experiments));
}

#[test]
fn an_experiment_keeps_its_own_revision_and_digest_while_another_one_changes() {
    let before = Experiments::parse("experiments.json", &example().to_json()).unwrap();
    let mut after = before.clone();
    after.revision = 13;
    after.experiments[1].revision = 13;
    after.experiments[1].mode = weir_policy::Mode::RolledBack;
    let after = Experiments::parse("experiments.json", &after.to_json()).unwrap();
    let (old, new) = (&before.experiments[0], &after.experiments[0]);
    assert_eq!((new.revision, new.digest()), (12, old.digest()));
    assert_eq!(after.experiments[1].revision, 13);
    assert_ne!(before.digest(), after.digest());
}

#[test]
fn a_request_belongs_to_the_experiment_whose_rule_and_part_of_the_layer_it_is_in() {
    let experiments = example();
    assert_eq!(taken(&experiments, &[(":path", "/v1/search?q=a")]).as_deref(), Some("search-ranking"));
    assert_eq!(taken(&experiments, &[(":path", "/v2"), ("x-user-id", "ada")]), None);
    assert_eq!(
        taken(&experiments, &[(":path", "/v1/support")]),
        None,
        "without identity nobody is in a layer"
    );
    let total = 20_000;
    let mut counts = [0_f64; 3];
    for number in 0..total {
        let user = format!("user-{number}");
        let by = |name: &str| taken(&experiments, &[(":path", "/v1/support/7"), (name, &user)]);
        let experiment = by("x-user-id");
        assert_eq!(by("X-User-Id"), experiment, "sticky");
        let place = match experiment.as_deref() {
            Some("support-model") => 0,
            Some("support-prompt") => 1,
            None => 2,
            other => panic!("{other:?}"),
        };
        counts[place] += 1.0;
    }
    for (count, share) in counts.iter().zip([0.4, 0.4, 0.2]) {
        let expected = f64::from(total) * share;
        let deviation = (count - expected).abs() / (expected * (1.0 - share)).sqrt();
        assert!(deviation < 4.5, "{counts:?}: {deviation} standard deviations");
    }
}

#[test]
fn a_part_of_a_layer_and_the_share_within_it_are_independent() {
    // Half of those who are in the part get the candidate, as half of everybody would.
    let experiments = example();
    let model = &experiments.experiments[0];
    let mut inside = [0_f64; 2];
    for number in 0..20_000 {
        let user = format!("user-{number}");
        let assignment = model.assign(&[(":path", "/v1/support"), ("x-user-id", user.as_str())]);
        if assignment.reason != Reason::Outside {
            inside[usize::from(assignment.variant == Variant::Candidate)] += 1.0;
        }
    }
    let total = inside[0] + inside[1];
    let deviation = (inside[1] - total / 2.0).abs() / (total / 4.0).sqrt();
    assert!(deviation < 4.5, "{inside:?}");
}

#[test]
fn a_request_outside_goes_to_control_takes_no_part_and_says_why() {
    let mut policy = parse(&policy_with("canary", "requests: {header: x-app, exact: chat}"));
    policy.sampling.percent = weir_policy::Share::ALL;
    let inside = [("x-app", "chat"), ("x-user-id", "ada")];
    assert_ne!(policy.assign(&inside).reason, Reason::Outside);
    assert!(policy.capture_decision(&policy.assign(&inside), b"1").sample);
    let outside = policy.assign(&inside[1..]);
    assert_eq!((outside.variant, outside.reason, outside.cohort), (Variant::Control, Reason::Outside, None));
    assert_eq!(policy.capture_decision(&outside, b"1"), CaptureDecision::NOTHING);
    insta::assert_snapshot!(policy.explain(&outside).to_string());
    assert_eq!(policy.headers_read(), ["x-user-id", "cookie", "x-app", "x-tier"]);
}

#[test]
fn an_experiment_that_is_off_takes_nothing() {
    let mut experiments = example();
    experiments.experiments[2].mode = weir_policy::Mode::Off;
    assert_eq!(taken(&experiments, &[(":path", "/v1/search")]), None);
}

#[test]
fn combinations_that_cannot_be_are_refused_with_their_places() {
    let second = "- experiment: support-prompt";
    let change = |from: &str, to: &str| {
        assert!(EXAMPLE.contains(from), "{from}");
        refused(&EXAMPLE.replacen(from, to, 1))
    };
    insta::assert_snapshot!([
        change(second, "- experiment: support-model"),
        change(second, &format!("{second}\n  salt: support-model\n  revision: 13")),
        change("fromPercent: 40, toPercent: 80", "fromPercent: 30, toPercent: 80"),
        change("fromPercent: 40, toPercent: 80", "fromPercent: 80, toPercent: 40"),
        change("layer: {name: support, fromPercent: 40, toPercent: 80}", "layer: {name: other}"),
        change("  layer: {name: support, toPercent: 40}\n", ""),
        change("  requests: {header: \":path\", prefix: /v1/support}\n  layer: {name: support, toPercent: 40}\n", ""),
        change("x-support-prompt", "x-support-model"),
        change("- experiment: search-ranking", "- experiment: search-ranking\n  layer: {name: search}\n  limits: {flushIntervalMs: 100}\n  sink: {cluster: other}"),
        refused("apiVersion: weir/v1\nkind: Experiments\nrevision: 1\nexperiments: []\n"),
        refused("apiVersion: weir/v1\nkind: Experiments\nrevision: 1\nexperiments: [{experiment: A, mode: shadow}, 3]\n"),
    ]
    .join("\n\n"));
}

#[test]
fn users_of_a_layer_are_known_by_the_same_identity() {
    let text = EXAMPLE.replacen(
        "identity: [{header: x-user-id}, {cookie: session}]",
        "identity: [{cookie: session}]",
        1,
    );
    assert!(
        refused(&text).contains("experiments[1].identity: is not that of experiments[0]"),
        "{}",
        refused(&text)
    );
    let without = refusal(
        &policy_with("shadow", "layer: {name: a}").replace("[{header: x-user-id}, {cookie: session}]", "[]"),
    );
    assert!(without.contains("layer: needs identities"), "{without}");
}

#[test]
fn the_schema_does_not_ask_for_what_is_filled_in() {
    let schema = Experiments::json_schema();
    let required = schema.pointer("/$defs/Policy/required").unwrap().to_string();
    assert!(!required.contains("revision") && required.contains("experiment"), "{required}");
}
