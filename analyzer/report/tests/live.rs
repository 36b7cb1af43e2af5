//! The live view of a rollout at 80 and 200 columns, from its first second to a rollback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)] // the other reports
mod fixed;

use weir_gate::{Evaluation, GateResult, Outcome, Verdict};
use weir_report::{Closing, LiveEvidence, LiveNext, LiveProxies, LiveView, live_lines};

fn steps(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Undecided so far: one gate on its way, one without data.
fn evaluation() -> Evaluation {
    let full = fixed::rollback().evaluation;
    let gates = full.gates.iter().filter(|gate| !matches!(gate.outcome, Outcome::Breach | Outcome::Diverged));
    Evaluation { verdict: Verdict::Hold, gates: gates.cloned().collect(), ..full.clone() }
}

fn evidence(evaluation: Evaluation, advice: &str) -> LiveEvidence {
    let closing = |first: f64| Closing {
        half_widths: (0..30).map(|look| first / f64::from(look + 1).sqrt()).collect(),
        per_second: Some(18.4),
    };
    LiveEvidence {
        closing: evaluation.gates.iter().map(|gate| (gate.gate.clone(), closing(0.07))).collect(),
        evaluation,
        advice: advice.to_owned(),
        samples_per_second: Some(37.2),
        pairs_per_second: Some(18.4),
        newest_s: Some(1.25),
        look_ms: 12.4,
        looks: 30,
    }
}

fn view() -> LiveView {
    LiveView {
        experiment: "support-v2".into(),
        steps: steps(&["shadow", "5 %", "20 %", "50 %"]),
        step: Some(1),
        candidate_percent: 5.0,
        in_step_s: Some(133.0),
        revision: 3,
        proxies: LiveProxies { all: 3, confirmed: 3, slowest: Some(("10.0.0.3:9901".into(), 53.7)) },
        evidence: Some(evidence(evaluation(), "json-valid is undecided: about 240 more pairs are needed")),
        next: LiveNext { minimum_pairs: 1_500, minimum_s: 180, undecided_passes: false },
        trouble: None,
    }
}

fn drawn(view: &LiveView, width: usize) -> String {
    let lines = live_lines(view, width, 50, false);
    for line in &lines {
        assert!(line.chars().count() <= width, "{line}");
    }
    lines.join("\n")
}

fn without_colour(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain + rest
}

#[test]
fn at_80_columns_open_gates_have_a_second_line_with_how_they_close_and_what_they_need() {
    insta::assert_snapshot!(drawn(&view(), 80));
}

#[test]
fn at_200_columns_it_stands_beside_the_plot_of_every_gate() {
    insta::assert_snapshot!(drawn(&view(), 200));
}

#[test]
fn before_a_push_is_confirmed_and_before_the_first_look_it_says_so() {
    let begun = LiveView { evidence: None, in_step_s: None, ..view() };
    let waiting = LiveView {
        proxies: LiveProxies { all: 3, ..LiveProxies::default() },
        trouble: Some("attempt 1 of 3 not confirmed: revision 3: rejected by 10.0.0.2:9901".into()),
        ..begun
    };
    insta::assert_snapshot!(drawn(&waiting, 80));
    assert!(drawn(&LiveView::default(), 80).contains("the rollout has not begun"));
}

#[test]
fn a_rollback_says_so_first_in_the_last_line() {
    let rollback = LiveView {
        candidate_percent: 0.0,
        evidence: Some(evidence(
            fixed::rollback().evaluation,
            &fixed::rollback().evaluation.reasons[0].text.repeat(4),
        )),
        ..view()
    };
    insta::assert_snapshot!(drawn(&rollback, 80));
}

#[test]
fn colour_adds_nothing_but_colour() {
    for width in [80, 200] {
        let coloured = live_lines(&view(), width, 50, true).join("\n");
        assert!(coloured.contains("\u{1b}[33mHOLD\u{1b}[0m"), "{coloured}");
        let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&without_colour(&coloured)), trimmed(&drawn(&view(), width)));
    }
}

#[test]
fn it_is_never_higher_than_the_terminal_and_hides_what_is_inside_first() {
    let mut many = evaluation();
    let with = |outcome| many.gates.iter().find(|gate| gate.outcome == outcome).unwrap().clone();
    let named = |number: usize, gate: GateResult| GateResult { gate: format!("gate-{number}"), ..gate };
    let (inside, undecided) = (with(Outcome::Inside), with(Outcome::Undecided));
    many.gates = (0..40).map(|number| named(number, inside.clone())).collect();
    many.gates.push(named(40, undecided));
    let view = LiveView { evidence: Some(evidence(many, "stay")), ..view() };
    for height in [12, 24, 40] {
        let lines = live_lines(&view, 80, height, false);
        assert!(lines.len() < height.max(13), "{} lines of {height}:\n{}", lines.len(), lines.join("\n"));
        let text = lines.join("\n");
        assert!(text.contains("gate-40"), "{text}");
        assert!(text.contains(" inside") && text.contains("  and "), "{text}");
    }
    assert_eq!(live_lines(&view, 80, 100, false).iter().filter(|line| line.contains("gate-")).count(), 42);
}

#[test]
fn of_many_steps_those_around_the_current_one_are_named() {
    let names: Vec<String> = (0..60).map(|number| format!("step {number}")).collect();
    for step in [0, 30, 59] {
        let view = LiveView { steps: names.clone(), step: Some(step), ..view() };
        let line = live_lines(&view, 80, 50, false)[1].clone();
        assert!(line.contains(&format!("[step {step}]")) && line.contains("…"), "{line}");
        assert!((60..=80).contains(&line.chars().count()), "{line}");
    }
}

#[test]
fn what_the_step_needs_follows_the_verdict() {
    let next = |view: &LiveView| {
        let lines = live_lines(view, 200, 50, false);
        lines.iter().find(|line| line.starts_with("  next")).unwrap().clone()
    };
    let of = |verdict| {
        let mut evaluation = evaluation();
        evaluation.gates.retain(|gate| gate.outcome == Outcome::Inside);
        evaluation.verdict = verdict;
        LiveView { evidence: Some(evidence(evaluation, "")), next: LiveNext::default(), ..view() }
    };
    assert_eq!(next(&of(Verdict::Promote)), "  next     '20 %', now");
    assert_eq!(next(&of(Verdict::Rollback)), "  next     back to control");
    assert_eq!(
        next(&of(Verdict::SignOff)),
        "  next     '20 %', after a person has signed off (weir approve)"
    );
    let last = LiveView { step: Some(3), ..of(Verdict::Promote) };
    assert_eq!(next(&last), "  next     the end of the rollout, now");
    let passing = LiveView {
        next: LiveNext { undecided_passes: true, minimum_s: 193, ..LiveNext::default() },
        ..view()
    };
    assert_eq!(
        next(&passing),
        "  next     '20 %' in about 60 s; still open: 60 s left of the step's 3 min 13 s"
    );
}

#[test]
fn hostile_names_do_not_steer_the_terminal() {
    let hostile = "\u{1b}[2J\u{202e}".to_owned();
    let mut evaluation = evaluation();
    evaluation.gates[0].gate.clone_from(&hostile);
    evaluation.health.problems = vec![hostile.clone()];
    let view = LiveView {
        experiment: hostile.clone(),
        steps: vec![hostile.clone()],
        step: Some(0),
        evidence: Some(evidence(evaluation, &hostile)),
        trouble: Some(hostile.clone()),
        proxies: LiveProxies { all: 2, confirmed: 2, slowest: Some((hostile, 1.0)) },
        ..view()
    };
    let text = live_lines(&view, 80, 50, false).join("\n");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}
