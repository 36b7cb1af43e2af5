//! Who plays: the two models, what the users ask, and what the judge goes by.

use std::sync::Arc;

use weir_collector::CollectorError;
use weir_collector::redact::{Finds, Redactor};

use crate::answers::Answers;
use crate::corpus::{Corpus, User, make_users};
use crate::documents::{gates_of_meaning, gates_of_recorded_answers, gates_of_support_desk};
use crate::error::DemoError;
use crate::judge::Ruling;
use crate::model::{Model, VoiceSwitch};
use crate::options::DemoOptions;
use crate::outcome::{Scenario, Subject};
use crate::random::Random;
use crate::traffic::Prompts;
use crate::voice::Voice;

/// Synthetic questions, so many that a pair of answers is rarely about the same one twice.
const QUESTIONS: usize = 5000;

/// How often each instruction is asked: 805 of them, so often, are enough for three steps.
const ASKED_TIMES: usize = 3;

/// Everybody and everything that a subject needs.
pub(crate) struct Cast {
    pub(crate) control: Model,
    pub(crate) candidate: Model,
    /// Turns the synthetic candidate worse.
    pub(crate) switch: VoiceSwitch,
    pub(crate) users: Arc<Vec<User>>,
    pub(crate) prompts: Prompts,
    pub(crate) system: &'static str,
    /// The field that a consumer of the answers needs.
    pub(crate) needed_field: Option<String>,
    /// Scores that are known already; none where a judge is asked.
    pub(crate) ruling: Option<Ruling>,
    /// The judge that is asked while the rollout is watched.
    pub(crate) judge: Option<Model>,
    /// How the candidate speaks once it has turned.
    pub(crate) turned: Voice,
    pub(crate) gates: String,
}

impl Cast {
    pub(crate) fn of(options: &DemoOptions) -> Result<Self, DemoError> {
        match &options.subject {
            Subject::Synthetic(scenario) => Ok(Self::synthetic(*scenario, options)),
            Subject::Recorded { control, candidate } => {
                let folder = options.answers.as_deref().ok_or(DemoError::NoAnswers)?;
                let mut answers = Answers::load(folder, control, candidate)?;
                // The judge reads what was captured, and secrets in it are redacted before they are.
                let redactor = Redactor::new().map_err(CollectorError::Redaction)?;
                for book in [&mut answers.control, &mut answers.candidate] {
                    book.find_scores_by(|text| redactor.redact(text, &mut Finds::default()).into_owned());
                }
                Ok(Self::recorded(answers, options))
            }
        }
    }

    fn synthetic(scenario: Scenario, options: &DemoOptions) -> Self {
        let corpus = Arc::new(Corpus::new(options.seed, options.users, QUESTIONS));
        let voice = if scenario == Scenario::Better { Voice::Better } else { Voice::Healthy };
        let switch = VoiceSwitch::new(voice);
        let meaning = scenario == Scenario::Meaning;
        let desk = |name: &str, voice: VoiceSwitch| Model::Synthetic {
            name: name.to_owned(),
            corpus: Arc::clone(&corpus),
            voice,
        };
        Self {
            control: desk("desk-1", VoiceSwitch::new(Voice::Healthy)),
            candidate: desk("desk-2", switch.clone()),
            switch,
            users: Arc::new(corpus.users.clone()),
            prompts: Prompts::Endless(Arc::new(
                corpus.questions.iter().map(|question| question.text.clone()).collect(),
            )),
            system: "You answer questions about orders. Answer with a JSON object: answer, order_id, next_step.",
            needed_field: Some("order_id".to_owned()),
            ruling: (!meaning).then_some(Ruling::Quality),
            judge: meaning.then(|| Model::Judge(Arc::clone(&corpus))),
            turned: if meaning { Voice::Astray } else { Voice::Worse },
            gates: if meaning { gates_of_meaning() } else { gates_of_support_desk() },
        }
    }

    fn recorded(answers: Answers, options: &DemoOptions) -> Self {
        let mut random = Random::new(options.seed);
        let mut prompts = Vec::with_capacity(answers.instructions.len() * ASKED_TIMES);
        for _ in 0..ASKED_TIMES {
            let mut round = answers.instructions.clone();
            random.shuffle(&mut round);
            prompts.extend(round);
        }
        let (control, candidate) = (Arc::new(answers.control), Arc::new(answers.candidate));
        Self {
            control: Model::Recorded(Arc::clone(&control)),
            candidate: Model::Recorded(Arc::clone(&candidate)),
            switch: VoiceSwitch::new(Voice::Healthy),
            users: Arc::new(make_users(options.users, &mut random)),
            prompts: Prompts::Once(Arc::new(prompts)),
            system: "You are a helpful assistant.",
            needed_field: None,
            ruling: Some(Ruling::Recorded { control, candidate }),
            judge: None,
            turned: Voice::Worse,
            gates: gates_of_recorded_answers(),
        }
    }
}
