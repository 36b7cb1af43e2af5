//! Where a watched rollout stands, from its events alone: what the live view is drawn from.
//!
//! Limits: at most [`WIDTHS_MAX`] widths of each gate's interval are kept (every other one is let go when there are more),
//! and rates are over the last [`RATE_SECONDS`] of looks, or the last two where these are further apart.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use weir_controller::{AdvanceOn, Event, ProxyConfirmation, Rollout, What};
use weir_gate::{Comparison, Evaluation, GateResult};
use weir_report::{Closing, LiveEvidence, LiveNext, LiveProxies, LiveView};

const WIDTHS_MAX: usize = 64;
const RATE_SECONDS: f64 = 60.0;

/// What is known of a rollout.
pub(crate) struct Standing {
    experiment: String,
    steps: Vec<Step>,
    step: Option<usize>,
    revision: u64,
    proxies: usize,
    confirmed: Vec<ProxyConfirmation>,
    /// Since when all proxies serve the revision.
    since: Option<Timestamp>,
    looked: Option<Looked>,
    history: History,
    trouble: Option<String>,
    /// Everybody is back at control.
    rolled_back: bool,
}

struct Step {
    name: String,
    candidate_percent: f64,
    next: LiveNext,
}

/// The last look at the present revision.
struct Looked {
    evaluation: Evaluation,
    advice: String,
    look_ms: f64,
    newest_us: Option<i64>,
}

/// What looks at one revision leave behind.
#[derive(Default)]
struct History {
    looks: u64,
    widths: BTreeMap<String, Widths>,
    counts: VecDeque<Counts>,
    /// Every how many looks a width is kept.
    every: u64,
}

/// Half widths of a gate's interval.
#[derive(Default)]
struct Widths {
    /// Of some looks, the first one among them.
    kept: Vec<f64>,
    /// Of the last one.
    last: f64,
}

/// How much had come in at a look.
struct Counts {
    at: Timestamp,
    samples: u64,
    pairs: u64,
    of_gates: BTreeMap<String, u64>,
}

impl Standing {
    /// A rollout that has not begun; so many proxies must confirm.
    pub(crate) fn new(rollout: &Rollout, proxies: usize) -> Self {
        let steps = rollout.steps.iter().map(|step| Step {
            name: step.name.clone(),
            candidate_percent: match step.mode {
                weir_controller::StepMode::Full => 100.0,
                _ => step.candidate_percent.map_or(0.0, |share| share.percent()),
            },
            next: LiveNext {
                minimum_pairs: step.minimum_pairs,
                minimum_s: step.minimum_seconds,
                undecided_passes: step.advance_on == AdvanceOn::NoBreach,
            },
        });
        Self {
            experiment: rollout.experiment.clone(),
            steps: steps.collect(),
            step: None,
            revision: 0,
            proxies,
            confirmed: Vec::new(),
            since: None,
            looked: None,
            history: History::default(),
            trouble: None,
            rolled_back: false,
        }
    }

    /// What an event says. `newest_us` is when the newest sample was asked for.
    pub(crate) fn take(&mut self, event: &Event, newest_us: Option<i64>) {
        match &event.what {
            What::Started { position, confirmed, .. } => {
                self.step = Some(position.0);
                if let Some((revision, since)) = confirmed {
                    self.revision = *revision;
                    self.since = Some(*since);
                }
            }
            What::Pushed { revision, step, mode, .. } => {
                self.enter(step);
                self.revision = *revision;
                self.confirmed.clear();
                self.since = None;
                self.looked = None;
                self.history = History::default();
                self.rolled_back = mode == "rolled-back";
            }
            What::Confirmed { revision, proxies, .. } => {
                self.revision = *revision;
                self.confirmed.clone_from(proxies);
                self.since = Some(event.at);
                self.trouble = None;
            }
            What::Looked { revision, step, evaluation, advice, look_ms } => {
                self.enter(step);
                if *revision == self.revision || self.revision == 0 {
                    self.revision = *revision;
                    self.history.take(event.at, evaluation);
                }
                let advice = advice.reasons.first().map_or(advice.action.as_str(), String::as_str).to_owned();
                self.looked =
                    Some(Looked { evaluation: (**evaluation).clone(), advice, look_ms: *look_ms, newest_us });
                self.trouble = None;
            }
            What::LookFailed { .. } | What::NotConfirmed { .. } | What::Trouble(_) => {
                self.trouble = Some(event.what.to_string());
            }
            What::RolledBack { .. } => self.rolled_back = true,
            What::Noticed(_)
            | What::Advanced { .. }
            | What::SignOffRequested { .. }
            | What::Finished { .. }
            | What::Stopped(_) => {}
        }
    }

    fn enter(&mut self, step: &str) {
        self.step = self.steps.iter().position(|known| known.name == step).or(self.step);
    }

    /// The picture of this moment.
    pub(crate) fn view(&self, now: Timestamp) -> LiveView {
        let step = self.step.and_then(|step| self.steps.get(step));
        let all = self.proxies;
        LiveView {
            experiment: self.experiment.clone(),
            steps: self.steps.iter().map(|step| step.name.clone()).collect(),
            step: self.step,
            candidate_percent: match step {
                Some(step) if !self.rolled_back => step.candidate_percent,
                _ => 0.0,
            },
            in_step_s: self.since.map(|since| seconds(since, now)),
            revision: self.revision,
            proxies: LiveProxies {
                all,
                confirmed: if self.since.is_some() { all } else { 0 },
                slowest: self.confirmed.iter().map(took).max_by(|left, right| left.1.total_cmp(&right.1)),
            },
            evidence: self.looked.as_ref().map(|looked| self.evidence(looked, now)),
            next: step.map(|step| step.next.clone()).unwrap_or_default(),
            trouble: self.trouble.clone(),
        }
    }

    fn evidence(&self, looked: &Looked, now: Timestamp) -> LiveEvidence {
        let history = &self.history;
        let closing = looked.evaluation.gates.iter().map(|gate| {
            let half_widths = history.widths.get(&gate.gate).map(|widths| {
                let last = (widths.kept.last() != Some(&widths.last)).then_some(widths.last);
                widths.kept.iter().copied().chain(last).collect()
            });
            let half_widths = half_widths.unwrap_or_default();
            let per_second = history.rate(|counts| counts.of_gates.get(&gate.gate).copied());
            (gate.gate.clone(), Closing { half_widths, per_second })
        });
        let newest = looked.newest_us.and_then(|us| Timestamp::from_microsecond(us).ok());
        LiveEvidence {
            evaluation: looked.evaluation.clone(),
            advice: looked.advice.clone(),
            closing: closing.collect(),
            samples_per_second: history.rate(|counts| Some(counts.samples)),
            pairs_per_second: history.rate(|counts| Some(counts.pairs)),
            newest_s: newest.map(|newest| seconds(newest, now)),
            look_ms: looked.look_ms,
            looks: history.looks,
        }
    }
}

impl History {
    fn take(&mut self, at: Timestamp, evaluation: &Evaluation) {
        let keep = self.looks.is_multiple_of(self.every.max(1));
        self.looks += 1;
        for gate in &evaluation.gates {
            let Some(half_width) = gate.interval.map(|(low, high)| (high - low) / 2.0) else { continue };
            let widths = self.widths.entry(gate.gate.clone()).or_default();
            widths.last = half_width;
            if keep || widths.kept.is_empty() {
                widths.kept.push(half_width);
            }
        }
        if self.widths.values().any(|widths| widths.kept.len() > WIDTHS_MAX) {
            self.every = self.every.max(1) * 2;
            for widths in self.widths.values_mut() {
                let mut at = 0_usize..;
                widths.kept.retain(|_| at.next().is_some_and(|at| at.is_multiple_of(2)));
            }
        }
        let health = &evaluation.health;
        self.counts.push_back(Counts {
            at,
            samples: health.primary_control + health.primary_candidate + health.shadow + health.noise,
            pairs: health.pairs,
            of_gates: evaluation.gates.iter().map(|gate| (gate.gate.clone(), count(gate))).collect(),
        });
        while self.counts.len() > 2
            && self.counts.front().is_some_and(|oldest| seconds(oldest.at, at) > RATE_SECONDS)
        {
            self.counts.pop_front();
        }
    }

    /// How much more comes in each second; none before the second look.
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    fn rate(&self, count: impl Fn(&Counts) -> Option<u64>) -> Option<f64> {
        let (oldest, newest) = (self.counts.front()?, self.counts.back()?);
        let passed = seconds(oldest.at, newest.at);
        let more = count(newest)?.saturating_sub(count(oldest)?);
        (passed > 0.0).then(|| more as f64 / passed)
    }
}

/// What a gate's forecast counts in: pairs, or answers of the smaller arm.
fn count(gate: &GateResult) -> u64 {
    match gate.comparison {
        Comparison::Paired => gate.n_pairs,
        Comparison::Unpaired | Comparison::None => gate.n_control.min(gate.n_candidate),
    }
}

fn took(proxy: &ProxyConfirmation) -> (String, f64) {
    let longest = proxy.admin_ms.unwrap_or(0.0).max(proxy.probe_ms.unwrap_or(0.0));
    (proxy.proxy.clone(), longest)
}

#[allow(clippy::cast_precision_loss)] // microseconds since 1970 fit
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    ((to.as_microsecond() - from.as_microsecond()) as f64 / 1e6).max(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use weir_controller::{Action, Advice};
    use weir_gate::{Better, CaptureHealth, Gates, MetricSeries, Spending};

    use super::*;

    fn rollout() -> Rollout {
        let text = "apiVersion: weir/v1\nkind: Rollout\nexperiment: support\nsteps:\n\
                    - {name: shadow, mode: shadow, minimumPairs: 100}\n\
                    - {name: 5 %, mode: canary, candidatePercent: 5, minimumSeconds: 30}\n\
                    - {name: all, mode: full}\n";
        Rollout::parse("rollout", text).unwrap()
    }

    fn event(second: i64, what: What) -> Event {
        Event { at: Timestamp::from_second(1_000_000 + second).unwrap(), what }
    }

    fn at(second: i64) -> Timestamp {
        event(second, What::Noticed(String::new())).at
    }

    fn looked(second: i64, pairs: usize) -> Event {
        let text = "apiVersion: weir/v1\nkind: Gates\ngates:\n\
                    - {name: errors, metric: error, margin: {absolute: 0.05}}\n";
        let gates = Gates::parse("gates", text).unwrap();
        let series = MetricSeries {
            name: "error".into(),
            unit: "share".into(),
            better: Better::Lower,
            bounds: Some((0.0, 1.0)),
            pairs: vec![(0.0, 0.0); pairs].into(),
            ..MetricSeries::default()
        };
        let health = CaptureHealth {
            pairs: pairs as u64,
            primary_control: pairs as u64,
            shadow: pairs as u64,
            ..CaptureHealth::default()
        };
        let evaluation = weir_gate::evaluate(&gates, &[series], &health, Spending::ALL);
        let advice = Advice { action: Action::Stay, reasons: vec!["too little".into()] };
        let what = What::Looked {
            revision: 7,
            step: "shadow".into(),
            evaluation: Box::new(evaluation),
            advice,
            look_ms: 5.0,
        };
        event(second, what)
    }

    fn pushed(revision: u64, step: &str, mode: &str) -> What {
        What::Pushed { revision, mode: mode.into(), step: step.into(), written_ms: 1.0 }
    }

    fn confirmed(revision: u64) -> What {
        let proxy = |name: &str, probe_ms| ProxyConfirmation {
            proxy: name.into(),
            admin_ms: Some(3.0),
            probe_ms: Some(probe_ms),
        };
        What::Confirmed { revision, proxies: vec![proxy("a", 8.0), proxy("b", 20.0)], confirmed_ms: 21.0 }
    }

    fn begun() -> Standing {
        let mut standing = Standing::new(&rollout(), 2);
        let started = What::Started {
            experiment: "support".into(),
            step: "shadow".into(),
            position: (0, 3),
            resumed: false,
            confirmed: None,
        };
        standing.take(&event(0, started), None);
        standing.take(&event(1, pushed(7, "shadow", "shadow")), None);
        standing
    }

    #[test]
    fn a_push_counts_when_all_proxies_have_confirmed_it() {
        let mut standing = begun();
        let before = standing.view(at(2));
        assert_eq!((before.proxies.confirmed, before.proxies.all, before.in_step_s), (0, 2, None));
        standing.take(&event(2, confirmed(7)), None);
        let after = standing.view(at(12));
        assert_eq!(after.proxies.slowest, Some(("b".into(), 20.0)));
        assert_eq!(
            (after.proxies.confirmed, after.in_step_s, after.next.minimum_pairs),
            (2, Some(10.0), 100)
        );
    }

    #[test]
    fn looks_give_rates_widths_and_an_age_that_goes_on_between_them() {
        let mut standing = begun();
        standing.take(&event(2, confirmed(7)), None);
        standing.take(&looked(3, 50), Some(1_000_002_000_000));
        let evidence = standing.view(at(3)).evidence.unwrap();
        assert_eq!((evidence.pairs_per_second, evidence.newest_s, evidence.looks), (None, Some(1.0), 1));
        assert_eq!(evidence.closing["errors"].half_widths.len(), 1);
        standing.take(&looked(8, 150), Some(1_000_007_000_000));
        let evidence = standing.view(at(10)).evidence.unwrap();
        assert_eq!(evidence.pairs_per_second, Some(20.0));
        assert_eq!(evidence.samples_per_second, Some(40.0), "both legs");
        assert_eq!((evidence.newest_s, evidence.looks), (Some(3.0), 2));
        let closing = &evidence.closing["errors"];
        assert_eq!(closing.per_second, Some(20.0));
        assert!(
            closing.half_widths.len() == 2 && closing.half_widths[1] < closing.half_widths[0],
            "{closing:?}"
        );
    }

    #[test]
    fn a_long_watch_keeps_the_first_and_the_last_width_and_a_bounded_number_between() {
        let mut standing = begun();
        standing.take(&event(2, confirmed(7)), None);
        for look in 0..300 {
            standing.take(&looked(3 + look, 20 + look as usize), None);
        }
        let evidence = standing.view(at(400)).evidence.unwrap();
        let first = begun_with_one_look(20);
        let last = begun_with_one_look(319);
        let widths = &evidence.closing["errors"].half_widths;
        assert_eq!((widths.first().copied(), widths.last().copied()), (Some(first), Some(last)));
        assert!((32..=WIDTHS_MAX + 1).contains(&widths.len()), "{}", widths.len());
        assert_eq!(evidence.pairs_per_second, Some(1.0));
        assert_eq!(standing.history.counts.len(), 61, "a minute of looks");
    }

    fn begun_with_one_look(pairs: usize) -> f64 {
        let mut standing = begun();
        standing.take(&looked(3, pairs), None);
        standing.view(at(3)).evidence.unwrap().closing["errors"].half_widths[0]
    }

    #[test]
    fn the_next_push_forgets_the_evidence_and_a_rollback_takes_the_share_away() {
        let mut standing = begun();
        standing.take(&event(2, confirmed(7)), None);
        standing.take(&looked(3, 50), None);
        standing.take(&event(4, pushed(8, "5 %", "canary")), None);
        let view = standing.view(at(5));
        assert_eq!((view.step, view.candidate_percent, view.evidence), (Some(1), 5.0, None));
        standing.take(&event(6, What::Trouble("disk full".into())), None);
        assert_eq!(standing.view(at(6)).trouble.as_deref(), Some("trouble: disk full"));
        standing.take(&event(7, pushed(9, "5 %", "rolled-back")), None);
        assert_eq!(standing.view(at(7)).candidate_percent, 0.0);
        standing.take(&event(8, confirmed(9)), None);
        assert_eq!(standing.view(at(8)).trouble, None);
    }

    #[test]
    fn a_watch_that_goes_on_knows_what_was_confirmed_before() {
        let mut standing = Standing::new(&rollout(), 3);
        let started = What::Started {
            experiment: "support".into(),
            step: "5 %".into(),
            position: (1, 3),
            resumed: true,
            confirmed: Some((7, at(0))),
        };
        standing.take(&event(100, started), None);
        let view = standing.view(at(130));
        assert_eq!((view.revision, view.proxies.confirmed, view.in_step_s), (7, 3, Some(130.0)));
    }
}
