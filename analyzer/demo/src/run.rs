//! One demo from the first process to the summary.
//!
//! Order of the end: the traffic stops and its last answers are waited for, the judge ends, Envoy is killed, the collector
//! writes what it has, the report is drawn. On an error or Ctrl-C everything is dropped in the same order, so that no process
//! and no port is left behind.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use weir_collector::RunningCollector;
use weir_controller::{Ending, EnvoyTarget, Rollout, WatchOptions, WatchOutcome, watch};
use weir_envoy::{
    Bootstrap, Envoy, FilterSource, Names, StartOptions, Upstreams, ecds_response, find_envoy, find_filter,
    write_ecds,
};
use weir_gate::{Gates, Verdict};
use weir_judge::Rubric;
use weir_judge::client::Endpoint;
use weir_judge::prompt::Mode;
use weir_judge::run::Budget;
use weir_look::{Embedding, Judging, JudgingOptions, Look, Looker};
use weir_meaning::EmbedderChoice;
use weir_metrics::{Cache, LoadOptions};
use weir_policy::Policy;
use weir_report::{Format, RenderOptions, render};

use crate::board::{Board, Stage, is_loud};
use crate::cast::Cast;
use crate::documents::{self, EXPERIMENT, PROBE_TIER};
use crate::error::DemoError;
use crate::folder::Folder;
use crate::judge::{Judge, JudgeOptions};
use crate::model::{Model, ModelServer};
use crate::options::DemoOptions;
use crate::outcome::{Caught, DemoOutcome, Rollback, Subject, Turn};
use crate::quality::RUBRIC;
use crate::receiver::start_collector;
use crate::traffic::{Traffic, TrafficOptions};
use crate::ui::{About, Ui};
use crate::voice::Voice;

/// Traffic before the rollout begins.
const WARM_UP: Duration = Duration::from_millis(1500);
/// Traffic after a rollback, to see who answers.
const AFTERMATH: Duration = Duration::from_secs(2);
/// From the last recorded answer to the last look: the samples and their scores are still on their way.
const LAST_SCORES: Duration = Duration::from_secs(6);
/// Calls of the judge in one demo, at most.
const JUDGE_CALLS_MAX: u64 = 50_000;
/// Between two redrawings of the status.
const TICK: Duration = Duration::from_millis(250);

/// Runs a demo to its end, tells `ui` everything, and leaves no process behind, also when the future is dropped.
///
/// # Errors
/// [`DemoError`]; an unexpected verdict is not an error but an outcome with its exit code.
pub async fn run(options: DemoOptions, ui: Arc<dyn Ui>) -> Result<DemoOutcome, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Listen)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Listen)?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => Err(DemoError::Interrupted),
        _ = terminate.recv() => Err(DemoError::Interrupted),
        outcome = play(options, ui) => outcome,
    }
}

async fn play(options: DemoOptions, ui: Arc<dyn Ui>) -> Result<DemoOutcome, DemoError> {
    let cast = Cast::of(&options)?;
    // Looked for before anything is written: a demo that cannot run leaves no folder behind.
    let programs = Programs {
        envoy: find_envoy(options.envoy.as_deref())?,
        module: find_filter(options.filter.as_deref())?,
    };
    let script = Script::write(&options, &cast)?;
    let board = Arc::new(Board::new(Arc::clone(&ui), script.stages()));
    let mut scene = Scene::set(&options, &cast, &script, programs, &board).await?;
    let status = Ticker::start(&board, &scene.traffic);
    tokio::time::sleep(WARM_UP).await;
    let turn = Turner::start(&options, &cast, &board);
    let watched = scene.watch(&options, &script, &board).await?;
    if watched.ending == Ending::RolledBack {
        tokio::time::sleep(AFTERMATH).await;
    }
    drop(turn);
    scene.traffic.finish().await;
    drop(status);
    let tally = Arc::clone(&scene.traffic.tally);
    scene.strike().await?;
    script.draw_report(&board)?;
    let mut outcome = conclude(&options, &script, &board, &watched, &tally);
    outcome.later = script.spoke_later(&board, &outcome.caught)?;
    ui.summary(&outcome.summary());
    Ok(outcome)
}

/// The documents of the demo, as written and as read.
struct Script {
    folder: Folder,
    policy: Policy,
    gates: Arc<Gates>,
    rollout: Rollout,
}

impl Script {
    fn write(options: &DemoOptions, cast: &Cast) -> Result<Self, DemoError> {
        let title = match &options.subject {
            Subject::Synthetic(scenario) => scenario.as_str(),
            Subject::Recorded { .. } => "answers",
        };
        let policy_text = documents::policy(cast.control.name(), cast.candidate.name());
        let rollout_text = documents::rollout(options.pace);
        // Read before anything is written: a model's name may be none that a policy allows.
        let policy = Policy::parse("policy.yaml", &policy_text)?;
        let gates = Arc::new(Gates::parse("gates.yaml", &cast.gates)?);
        let rollout = Rollout::parse("rollout.yaml", &rollout_text)?;
        let folder = Folder::create(options.out_dir.as_deref(), title)?;
        folder.write("policy.yaml", &policy_text)?;
        folder.write("gates.yaml", &cast.gates)?;
        folder.write("rollout.yaml", &rollout_text)?;
        if cast.judge.is_some() {
            folder.write("rubric.yaml", RUBRIC)?;
        }
        Ok(Self { folder, policy, gates, rollout })
    }

    /// Whether a gate goes by embeddings.
    fn embeds(&self) -> bool {
        self.gates.gates.iter().any(|gate| gate.metric.starts_with("distance:"))
    }

    fn stages(&self) -> Vec<Stage> {
        let percent =
            |share: Option<weir_policy::Share>| share.map_or(0.0, |share| f64::from(share.ppm()) / 10_000.0);
        let stage = |step: &weir_controller::Step| Stage {
            name: step.name.clone(),
            candidate_percent: percent(step.candidate_percent),
        };
        self.rollout.steps.iter().map(stage).collect()
    }

    /// Draws the report of the look that ended the rollout.
    fn draw_report(&self, board: &Board) -> Result<(), DemoError> {
        let Some((look, _)) = board.last_look() else { return Ok(()) };
        let mut report = look.report(&self.folder.data, board.timeline())?;
        // The document is JSON that was just written.
        report.policy = serde_json::from_str(&self.policy.to_json()).unwrap_or_default();
        report.step = board.step();
        for (name, format) in [("report.html", Format::Html), ("report.json", Format::Json)] {
            self.folder.write(name, &render(&report, format, &RenderOptions::default())?)?;
        }
        Ok(())
    }

    /// Gates that had something to say about the evidence of the last revision that arrived after the last look: answers
    /// under way, and scores that a judge takes its time for.
    fn spoke_later(&self, board: &Board, caught: &[Caught]) -> Result<Vec<Caught>, DemoError> {
        let Some((look, revision)) = board.last_look() else { return Ok(Vec::new()) };
        let options = load_options(&self.folder.data, revision);
        let later = Look::take(&options, Some(&self.gates), look.spending, &mut Cache::default())?;
        let evaluation = &later.evaluation;
        let known = |gate: &weir_gate::GateResult| caught.iter().any(|known| known.gate == gate.gate);
        Ok(evaluation
            .gates
            .iter()
            .filter(|gate| is_loud(gate.outcome) && !known(gate))
            .map(caught_by)
            .collect())
    }
}

/// What the demo needs and does not bring.
struct Programs {
    envoy: PathBuf,
    module: PathBuf,
}

/// Everything that runs. Fields are dropped in this order: the users first, the models last.
struct Scene {
    traffic: Traffic,
    judge: Option<Judge>,
    judging: Option<Arc<Judging>>,
    judge_server: Option<ModelServer>,
    envoy: Envoy,
    collector: RunningCollector,
    models: [ModelServer; 2],
    target: EnvoyTarget,
}

impl Scene {
    async fn set(
        options: &DemoOptions,
        cast: &Cast,
        script: &Script,
        programs: Programs,
        board: &Arc<Board>,
    ) -> Result<Self, DemoError> {
        let Programs { envoy: binary, module } = programs;
        let folder = &script.folder;
        let control =
            ModelServer::start(cast.control.clone(), options.seed ^ 1).await.map_err(DemoError::Listen)?;
        let candidate =
            ModelServer::start(cast.candidate.clone(), options.seed ^ 2).await.map_err(DemoError::Listen)?;
        let collector = start_collector(&folder.data, &folder.root.join("collector.log")).await?;
        let upstreams = Upstreams {
            control: control.address,
            candidate: candidate.address,
            collector: collector.address(),
        };
        let ecds = ecds_response(&script.policy.to_json(), script.policy.revision, &module);
        write_ecds(&folder.ecds, &ecds).map_err(DemoError::file(&folder.ecds))?;
        let mut bootstrap =
            Bootstrap::new(upstreams, FilterSource::Ecds { file: folder.ecds.clone(), module });
        bootstrap.names = Names::of(&script.policy);
        let envoy = Envoy::start(StartOptions::new(binary, bootstrap.render(), folder.envoy.clone())).await?;
        let listener = envoy
            .listener("weir")
            .ok_or_else(|| DemoError::NoListener { log: envoy.log_path().to_path_buf() })?;
        board.note(
            About::Setup,
            format!(
                "Envoy on {listener}; models {} (control) and {} (candidate); everything goes to {}",
                cast.control.name(),
                cast.candidate.name(),
                folder.root.display()
            ),
        );
        let judge = cast.ruling.clone().map(|ruling| {
            Judge::start(JudgeOptions {
                data: folder.data.clone(),
                collector: collector.address(),
                ruling,
                seed: options.seed ^ 3,
            })
        });
        let judge = judge.transpose()?;
        let (judge_server, judging) = match &cast.judge {
            Some(model) => {
                let (server, judging) = start_judging(model, script, options.seed ^ 5, board).await?;
                (Some(server), Some(Arc::new(judging)))
            }
            None => (None, None),
        };
        let traffic = Traffic::start(TrafficOptions {
            address: listener.to_string(),
            users: Arc::clone(&cast.users),
            prompts: cast.prompts.clone(),
            system: cast.system.to_owned(),
            rate_per_second: options.rate_per_second,
            needed_field: cast.needed_field.clone(),
            seed: options.seed ^ 4,
        })?;
        board.note(
            About::Users,
            format!(
                "{} users in five tiers ask {} times a second, half of them streaming",
                cast.users.len(),
                options.rate_per_second
            ),
        );
        let mut target: EnvoyTarget = format!(
            "ecds-file:weir.json,admin=http://{},probe=http://{listener},probe-header=x-tier:{PROBE_TIER}",
            envoy.admin().address()
        )
        .parse()?;
        target.path.clone_from(&folder.ecds);
        let models = [control, candidate];
        Ok(Self { traffic, judge, judging, judge_server, envoy, collector, models, target })
    }

    /// The rollout: looks at the samples until it ends, the deadline passes, or there is nothing left to ask.
    async fn watch(
        &self,
        options: &DemoOptions,
        script: &Script,
        board: &Arc<Board>,
    ) -> Result<WatchOutcome, DemoError> {
        let watch_options = WatchOptions {
            data_dir: script.folder.data.clone(),
            policy: script.policy.clone(),
            rollout: script.rollout.clone(),
            target: self.target.clone(),
            deadline: Some(options.deadline),
            wait_for_sign_off: false,
            restart: false,
        };
        let look = looker(script, self.judging.clone(), Arc::clone(board))?;
        let observer = Arc::clone(board);
        let traffic = &self.traffic;
        let stop = async move {
            while !traffic.is_finished() {
                tokio::time::sleep(TICK).await;
            }
            tokio::time::sleep(LAST_SCORES).await;
        };
        Ok(watch(watch_options, look, move |event| observer.event(&event), stop).await?)
    }

    /// Ends everything but keeps what was captured.
    async fn strike(self) -> Result<(), DemoError> {
        let Self { traffic, judge, judging, judge_server, envoy, collector, models, target: _ } = self;
        drop(traffic);
        drop((judge, judging, judge_server));
        drop(envoy);
        collector.stop().await?;
        drop(models);
        Ok(())
    }
}

/// Starts the judge's server, and asks it about every new answer from now on.
async fn start_judging(
    model: &Model,
    script: &Script,
    seed: u64,
    board: &Arc<Board>,
) -> Result<(ModelServer, Judging), DemoError> {
    let server = ModelServer::start(model.clone(), seed).await.map_err(DemoError::Listen)?;
    let url = format!("http://{}/v1", server.address);
    let endpoint = Endpoint::new("desk", model.name(), &url, None, Duration::from_secs(5))?;
    let judge = weir_judge::run::JudgeOptions {
        data_dir: script.folder.data.clone(),
        experiment: EXPERIMENT.to_owned(),
        revision: None,
        first: None,
        segments: Vec::new(),
        seed: 0,
        again: 0,
        mode: Mode::Pointwise,
        concurrency: 16,
        rate_per_second: None,
        budget: Budget { calls: Some(JUDGE_CALLS_MAX), ..Budget::default() },
        dry_run: false,
    };
    let rubric = Rubric::parse("rubric.yaml", RUBRIC)?;
    let told = Arc::clone(board);
    let options =
        JudgingOptions { judge, rubric, judges: vec![weir_judge::client::Judge::Endpoint(endpoint)] };
    let judging = Judging::start(options, move |problem| told.note(About::Problem, problem))
        .map_err(DemoError::Listen)?;
    board.note(
        About::Setup,
        format!("a judge at {url} is asked about every answer; answers are embedded (lexical)"),
    );
    Ok((server, judging))
}

/// The rollout's view of the evidence: the same look as that of `weir watch`.
fn looker(
    script: &Script,
    judging: Option<Arc<Judging>>,
    board: Arc<Board>,
) -> Result<
    impl Fn(&weir_controller::LookRequest) -> Result<weir_gate::Evaluation, weir_controller::LookError>
    + Send
    + Sync
    + 'static,
    DemoError,
> {
    let embedding = script.embeds().then(|| Embedding::open(&EmbedderChoice::Lexical, 1)).transpose()?;
    let looker = Looker::new(script.folder.data.clone(), Gates::clone(&script.gates))
        .embedding(embedding)
        .judging(judging);
    Ok(move |request: &weir_controller::LookRequest| {
        let look = looker.look(&request.experiment, request.revision, request.spending)?;
        board.looked(request, &look);
        Ok(look.evaluation.clone())
    })
}

fn load_options(data_dir: &Path, revision: u64) -> LoadOptions {
    LoadOptions {
        data_dir: data_dir.to_path_buf(),
        experiment: Some(EXPERIMENT.to_owned()),
        revision: i64::try_from(revision).ok(),
        ..LoadOptions::default()
    }
}

/// A task that ends with its handle.
struct Ticker(tokio::task::JoinHandle<()>);

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Ticker {
    fn start(board: &Arc<Board>, traffic: &Traffic) -> Self {
        let (board, tally) = (Arc::clone(board), Arc::clone(&traffic.tally));
        Self(tokio::spawn(async move {
            loop {
                board.tick(&tally.counts());
                tokio::time::sleep(TICK).await;
            }
        }))
    }
}

/// Turns the candidate worse, some time after its step was confirmed.
struct Turner(Option<tokio::task::JoinHandle<()>>);

impl Drop for Turner {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Turner {
    fn start(options: &DemoOptions, cast: &Cast, board: &Arc<Board>) -> Self {
        if !matches!(options.subject, Subject::Synthetic(scenario) if scenario.turns()) {
            return Self(None);
        }
        let (switch, voice) = (cast.switch.clone(), cast.turned);
        let (board, stage, after) = (Arc::clone(board), options.turn_in_step, options.turn_after);
        Self(Some(tokio::spawn(async move {
            while board.confirmed_at(stage).is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(after).await;
            switch.set(voice);
            board.turned();
            let how = match voice {
                Voice::Astray => {
                    "the candidate goes astray: fluent answers of the same length and form, about something else"
                }
                _ => {
                    "the candidate turns worse: shorter, hedging, order_id missing; still 200, valid JSON and as fast"
                }
            };
            board.note(About::Model, how);
        })))
    }
}

fn conclude(
    options: &DemoOptions,
    script: &Script,
    board: &Board,
    watched: &WatchOutcome,
    tally: &crate::tally::Tally,
) -> DemoOutcome {
    let look = board.last_look();
    let evaluation = look.as_ref().map(|(look, _)| &look.evaluation);
    let verdict = match watched.ending {
        Ending::SignOff => Verdict::SignOff,
        Ending::RolledBack => Verdict::Rollback,
        _ => watched.evaluation.as_ref().map_or(Verdict::Hold, |evaluation| evaluation.verdict),
    };
    let rolled_back = (verdict == Verdict::Rollback).then(|| board.rollback()).flatten();
    let since = |from: Instant, to: Instant| to.saturating_duration_since(from);
    let rollback = rolled_back.map(|(at, confirmed_at, revision)| Rollback {
        revision: revision.unwrap_or(watched.state.revision),
        confirmed_after: confirmed_at
            .filter(|_| watched.ending == Ending::RolledBack)
            .map(|to| since(at, to)),
        last_answer_after: tally.candidate_after(at).last,
    });
    let turn = board.turned_at().map(|turned_at| {
        let after = tally.candidate_after(turned_at);
        let to_verdict = rolled_back.and_then(|(at, _, _)| at.checked_duration_since(turned_at));
        Turn { to_verdict, answers: after.answers, unusable: after.unusable }
    });
    DemoOutcome {
        subject: options.subject.clone(),
        verdict,
        reasons: reasons(watched, look.as_ref().map(|(look, revision)| (&**look, *revision))),
        step: watched.state.step_name.clone(),
        finished: watched.ending == Ending::Finished,
        caught: evaluation
            .map(|found| found.gates.iter().filter(|gate| is_loud(gate.outcome)).map(caught_by).collect())
            .unwrap_or_default(),
        later: Vec::new(),
        rollback,
        turn,
        counts: tally.counts(),
        failures: tally.failures(),
        took: board.started().elapsed(),
        report: script.folder.report.clone(),
        data: script.folder.data.clone(),
        folder: script.folder.root.clone(),
    }
}

/// The reasons of the last look that had evidence; said so where the present step has none.
fn reasons(watched: &WatchOutcome, look: Option<(&Look, u64)>) -> Vec<String> {
    let Some((look, revision)) = look else { return vec!["no sample has arrived".to_owned()] };
    let mut reasons = Vec::new();
    if watched.state.evidence_revision.is_some_and(|now| now != revision) {
        reasons.push(format!(
            "step {} has no evidence yet; the step before said {}:",
            watched.state.step_name, look.evaluation.verdict
        ));
    }
    reasons.extend(look.evaluation.reasons.iter().map(|reason| reason.text.clone()));
    reasons
}

fn caught_by(gate: &weir_gate::GateResult) -> Caught {
    Caught { gate: gate.gate.clone(), outcome: gate.outcome, explanation: gate.explanation.clone() }
}
