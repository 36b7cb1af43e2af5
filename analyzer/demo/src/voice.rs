//! How a synthetic model answers: healthy, subtly worse, better, or about something else.
//!
//! Every answer is a JSON object `{"answer", "order_id", "next_step"}` that a consumer reads. The worse voice stays
//! valid JSON and polite: its answers are about a third shorter, open with a hedge half of the time, and lack `order_id` in two of
//! five. Nothing in a status code or in the time that it takes tells it from the healthy one.
//! The voice that is astray has the same fields, length and tone, and answers another question about the order: only what it
//! means tells it from the healthy one.

use serde_json::{Map, Value};

use crate::corpus::{Question, fill};
use crate::random::Random;
use crate::topics::{COURTESIES, HEDGES, TOPICS, Topic};

/// The quality that a model answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The support desk as it should be.
    Healthy,
    /// Shorter, hedging, with a field missing now and then.
    Worse,
    /// More complete.
    Better,
    /// Fluent, complete, and about another topic than the one that was asked about.
    Astray,
}

/// How often the worse voice leaves out `order_id`.
const ORDER_ID_DROPPED: f64 = 0.4;
/// How often the worse voice opens with a hedge.
const HEDGED: f64 = 0.55;

impl Voice {
    /// One answer; every call draws other words, as a model with a temperature does.
    #[must_use]
    pub fn answer(self, question: &Question, random: &mut Random) -> String {
        let mut fields = Map::new();
        let text = self.sentences(question, random).join(" ");
        fields.insert("answer".to_owned(), Value::String(text));
        if self != Self::Worse || !random.chance(ORDER_ID_DROPPED) {
            fields.insert("order_id".to_owned(), Value::String(question.order.clone()));
        }
        let next_step = random.word(self.topic(question).next_steps);
        fields.insert("next_step".to_owned(), Value::String(next_step.to_owned()));
        Value::Object(fields).to_string()
    }

    /// What it talks about: the question's topic, or the one that comes after it.
    fn topic(self, question: &Question) -> &'static Topic {
        let asked = TOPICS.iter().position(|topic| std::ptr::eq(topic, question.topic)).unwrap_or_default();
        match self {
            Self::Astray => TOPICS.get((asked + 1) % TOPICS.len()).unwrap_or(question.topic),
            _ => question.topic,
        }
    }

    /// The sentences of the `answer` field.
    fn sentences(self, question: &Question, random: &mut Random) -> Vec<String> {
        let topic = self.topic(question);
        let facts = topic.facts.iter().copied();
        let mut templates: Vec<&str> = match self {
            Self::Healthy | Self::Astray => facts.take(random.between(4, 5)).collect(),
            Self::Worse => {
                let hedge = random.chance(HEDGED).then(|| random.word(HEDGES));
                hedge.into_iter().chain(facts.take(random.between(2, 3))).collect()
            }
            Self::Better => facts.chain(topic.extras.iter().copied().take(random.between(1, 2))).collect(),
        };
        if self != Self::Worse && random.chance(0.4) {
            templates.push(random.word(COURTESIES));
        }
        templates.into_iter().map(|template| fill(template, &question.order, question.item, random)).collect()
    }
}

/// The answer to something that is in no corpus (a probe, a curious visitor with curl).
#[must_use]
pub fn unknown_question() -> String {
    serde_json::json!({
        "answer": "I can help with orders of this shop. Please write the order's number, W- and five digits.",
        "order_id": Value::Null,
        "next_step": "Write the number of the order.",
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::corpus::Corpus;

    fn answers(voice: Voice) -> Vec<Value> {
        let corpus = Corpus::new(1, 10, 1000);
        let mut random = Random::new(9);
        corpus
            .questions
            .iter()
            .map(|question| serde_json::from_str(&voice.answer(question, &mut random)).unwrap())
            .collect()
    }

    fn mean_length(answers: &[Value]) -> f64 {
        answers.iter().map(|answer| answer.to_string().len() as f64).sum::<f64>() / answers.len() as f64
    }

    #[test]
    fn a_healthy_answer_is_complete_and_about_the_order_that_was_asked_for() {
        let corpus = Corpus::new(1, 10, 1000);
        for (question, answer) in corpus.questions.iter().zip(answers(Voice::Healthy)) {
            assert_eq!(answer["order_id"], question.order);
            assert!(answer["answer"].as_str().unwrap().contains(&question.order));
            assert!(!answer.to_string().contains('{') || !answer["answer"].as_str().unwrap().contains('{'));
            assert!(!answer["next_step"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn the_worse_voice_is_valid_json_a_third_shorter_and_drops_the_order_in_two_of_five() {
        let (healthy, worse) = (answers(Voice::Healthy), answers(Voice::Worse));
        let shorter = 1.0 - mean_length(&worse) / mean_length(&healthy);
        assert!((0.28..0.42).contains(&shorter), "{shorter}");
        let without = worse.iter().filter(|answer| answer.get("order_id").is_none()).count();
        assert!((350..450).contains(&without), "{without}");
        assert!(worse.iter().all(|answer| answer["answer"].is_string() && answer["next_step"].is_string()));
    }

    #[test]
    fn the_voice_that_is_astray_looks_like_the_healthy_one_in_everything_but_its_topic() {
        let (healthy, astray) = (answers(Voice::Healthy), answers(Voice::Astray));
        let longer = mean_length(&astray) / mean_length(&healthy) - 1.0;
        assert!(longer.abs() < 0.03, "{longer}");
        let corpus = Corpus::new(1, 10, 1000);
        for ((question, healthy), astray) in corpus.questions.iter().zip(&healthy).zip(&astray) {
            assert_eq!(astray["order_id"], question.order);
            assert_ne!(astray["next_step"], healthy["next_step"]);
            assert!(!HEDGES.iter().any(|hedge| astray["answer"].as_str().unwrap().contains(hedge)));
        }
    }

    #[test]
    fn the_better_voice_says_more() {
        let longer = mean_length(&answers(Voice::Better)) / mean_length(&answers(Voice::Healthy)) - 1.0;
        assert!((0.15..0.5).contains(&longer), "{longer}");
    }
}
