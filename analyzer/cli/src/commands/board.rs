//! What `weir watch` shows: the timeline on standard error, and on a terminal below it where the rollout stands, redrawn.
//!
//! In a pipe there are plain lines only, and a look that says the same as the one before is not repeated.

use weir_controller::{Event, ProxyConfirmation, Rollout, What};
use weir_gate::Evaluation;
use weir_report::{Screen, gate_rows};

/// The view of a rollout.
pub(crate) struct Board {
    screen: Screen,
    width: usize,
    /// Name and percent of each step.
    steps: Vec<(String, f64)>,
    state: State,
}

#[derive(Default)]
struct State {
    /// What was printed of the last look.
    look: String,
    step: Option<usize>,
    revision: u64,
    proxies: Vec<ProxyConfirmation>,
    evaluation: Option<Evaluation>,
    look_ms: f64,
    advice: String,
    /// Age of the newest sample at the last look.
    newest_s: Option<f64>,
}

impl Board {
    /// A view of a rollout that has not begun.
    pub(crate) fn new(rollout: &Rollout, width: usize) -> Self {
        let steps = rollout
            .steps
            .iter()
            .map(|step| (step.name.clone(), step.candidate_percent.map_or(0.0, |share| share.percent())));
        Self { screen: Screen::new(), width, steps: steps.collect(), state: State::default() }
    }

    /// Takes an event in: a line of the timeline, or a new drawing. `newest_us` is when the newest sample was asked for.
    pub(crate) fn tell(&mut self, event: &Event, newest_us: Option<i64>) {
        let text = event.what.to_string();
        self.take(event, newest_us);
        let looked = matches!(event.what, What::Looked { .. });
        let repeated = looked && self.state.look == text;
        // On a terminal the drawing says what each look says.
        let drawn = looked && self.screen.is_live();
        if !repeated && !drawn {
            let at = event.at.round(jiff::Unit::Second).unwrap_or(event.at);
            self.screen.say(&format!("{at}  {:<18} {text}", event.what.kind()));
        }
        if looked {
            self.state.look = text;
        }
        self.screen.show(lines(&self.steps, &self.state, self.width, self.screen.colour()));
    }

    /// Takes the drawing away, so that what follows stands alone.
    pub(crate) fn end(&self) {
        self.screen.clear();
    }

    fn take(&mut self, event: &Event, newest_us: Option<i64>) {
        let state = &mut self.state;
        let step_named = |name: &str| self.steps.iter().position(|(step, _)| step == name);
        match &event.what {
            What::Started { position, .. } => state.step = Some(position.0),
            What::Pushed { revision, step, .. } => {
                state.revision = *revision;
                state.proxies.clear();
                state.evaluation = None;
                state.step = step_named(step).or(state.step);
            }
            What::Confirmed { revision, proxies, .. } => {
                state.revision = *revision;
                state.proxies.clone_from(proxies);
            }
            What::Looked { revision, step, evaluation, advice, look_ms } => {
                state.revision = *revision;
                state.step = step_named(step).or(state.step);
                state.evaluation = Some((**evaluation).clone());
                state.look_ms = *look_ms;
                state.advice = match advice.reasons.first() {
                    Some(reason) => format!("{}, {reason}", advice.action.as_str()),
                    None => advice.action.as_str().to_owned(),
                };
                #[allow(clippy::cast_precision_loss)] // microseconds since 1970 fit
                let age = newest_us.map(|newest| (event.at.as_microsecond() - newest) as f64 / 1e6);
                state.newest_s = age.map(|age| age.max(0.0));
            }
            _ => {}
        }
    }
}

/// The drawing: where it is, what came in, the proxies, the gates.
fn lines(steps: &[(String, f64)], state: &State, width: usize, colour: bool) -> Vec<String> {
    let mut lines = vec!["─".repeat(width.clamp(60, 200) - 2), place(steps, state)];
    if let Some(evaluation) = &state.evaluation {
        lines.push(samples(evaluation, state));
    }
    lines.push(proxies(&state.proxies, state.revision));
    match &state.evaluation {
        Some(evaluation) => {
            lines.extend(gate_rows(&evaluation.gates, width, colour));
            lines.push(format!("verdict {}: {}", evaluation.verdict, state.advice));
        }
        None => lines.push("no look at the evidence of this revision yet".to_owned()),
    }
    lines
}

/// `step 2 of 3  shadow > [5 %] > 20 %   revision 3, the candidate serves 5 %`.
fn place(steps: &[(String, f64)], state: &State) -> String {
    let named: Vec<String> = steps
        .iter()
        .enumerate()
        .map(|(index, (name, _))| if state.step == Some(index) { format!("[{name}]") } else { name.clone() })
        .collect();
    let (number, percent) = match state.step.and_then(|step| Some((step + 1, steps.get(step)?.1))) {
        Some((number, percent)) => (number.to_string(), percent.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    format!(
        "step {number} of {}  {}   revision {}, the candidate serves {percent} %",
        steps.len(),
        named.join(" > "),
        state.revision
    )
}

fn samples(evaluation: &Evaluation, state: &State) -> String {
    let health = &evaluation.health;
    let lag = state.newest_s.map_or_else(String::new, |age| format!(", the newest {age:.1} s old"));
    let problems = match health.problems.len() {
        0 => String::new(),
        count => format!(", {count} capture problems"),
    };
    format!(
        "{} pairs; served {} by control, {} by candidate; {} lost{lag}; look took {:.0} ms{problems}",
        health.pairs, health.primary_control, health.primary_candidate, health.sequence_gaps, state.look_ms
    )
}

fn proxies(proxies: &[ProxyConfirmation], revision: u64) -> String {
    match proxies.len() {
        0 => format!("proxies: revision {revision} not confirmed yet"),
        1 => format!("proxies: the one serves revision {revision}"),
        count => format!("proxies: all {count} serve revision {revision}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn steps() -> Vec<(String, f64)> {
        vec![("shadow".into(), 0.0), ("5 %".into(), 5.0), ("20 %".into(), 20.0)]
    }

    fn evaluation() -> Evaluation {
        let gates = weir_gate::Gates::parse(
            "gates",
            "apiVersion: weir/v1\nkind: Gates\ngates:\n- {name: errors, metric: error, margin: {absolute: 0.05}}\n",
        )
        .unwrap();
        let series = weir_gate::MetricSeries {
            name: "error".into(),
            unit: "share".into(),
            better: weir_gate::Better::Lower,
            bounds: Some((0.0, 1.0)),
            pairs: vec![(0.0, 0.0); 400],
            ..weir_gate::MetricSeries::default()
        };
        weir_gate::evaluate(&gates, &[series], &weir_gate::CaptureHealth::default(), weir_gate::Spending::ALL)
    }

    #[test]
    fn the_drawing_says_step_share_samples_lag_proxies_and_gates_within_80_columns() {
        let state = State {
            step: Some(1),
            revision: 3,
            evaluation: Some(evaluation()),
            newest_s: Some(1.25),
            look_ms: 12.4,
            advice: "next step".into(),
            ..State::default()
        };
        let drawn = lines(&steps(), &state, 80, false);
        assert_eq!(drawn[1], "step 2 of 3  shadow > [5 %] > 20 %   revision 3, the candidate serves 5 %");
        assert_eq!(
            drawn[2],
            "0 pairs; served 0 by control, 0 by candidate; 0 lost, the newest 1.2 s old; look took 12 ms"
        );
        assert_eq!(drawn[3], "proxies: revision 3 not confirmed yet");
        assert!(drawn[4].starts_with("  errors               inside "), "{}", drawn[4]);
        assert!(drawn[4].chars().count() <= 80 && drawn[4].contains("o"), "{}", drawn[4]);
        assert_eq!(drawn[5], "verdict promote: next step");
    }

    #[test]
    fn before_the_first_look_it_says_so() {
        let drawn = lines(&steps(), &State::default(), 80, false);
        assert_eq!(drawn[1], "step - of 3  shadow > 5 % > 20 %   revision 0, the candidate serves - %");
        assert_eq!(drawn.last().unwrap(), "no look at the evidence of this revision yet");
    }
}
