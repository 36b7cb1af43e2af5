//! What a judge of the synthetic support desk would give an answer: a function of the text alone.
//!
//! The demo has no language model to ask, and a judge that knew which model was speaking would prove nothing. So the
//! score looks at what is on the page: completeness, whether a consumer finds its fields, and whether the answer commits
//! itself. A pinch of noise that depends on the text keeps the scores from being a few round numbers.

use serde_json::{Value, json};

use crate::corpus::{Corpus, Question};

/// The score of an answer, 0 to 1. Text that is no JSON object with an `answer` scores 0.05.
///
/// `0.15 + 0.50 * min(sentences, 9) / 9 + 0.15 [order_id] + 0.10 [next_step] - 0.15 [hedges] + noise` where the noise is
/// within 0.05 and a function of the text.
#[must_use]
pub fn quality(text: &str) -> f64 {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return UNUSABLE };
    let Some(answer) = fields.get("answer").and_then(Value::as_str) else { return UNUSABLE };
    let has = |name: &str| fields.get(name).and_then(Value::as_str).is_some_and(|value| !value.is_empty());
    let mut score = 0.15 + 0.50 * sentences(answer).min(9) as f64 / 9.0;
    if has("order_id") {
        score += 0.15;
    }
    if has("next_step") {
        score += 0.10;
    }
    if hedges(answer) {
        score -= 0.15;
    }
    (score + noise(text)).clamp(0.0, 1.0)
}

/// What a judge that knows the shop replies to `weir judge`: scores from 1 to 5 for the criteria of [`RUBRIC`].
///
/// `on-topic` goes by the share of the question's facts that the answer states; `complete` by [`quality`]. It knows the question
/// and the answer, never who answered. A request that is no question of the shop gets the middle of the scale.
#[must_use]
pub fn judgement(corpus: &Corpus, asked: &str) -> String {
    let parts: Value = serde_json::from_str(asked).unwrap_or_default();
    let part = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
    let answer = part("answer");
    let on_topic = corpus.find_order(part("request")).map_or(0.5, |question| share_stated(question, answer));
    json!({"on-topic": on_scale(on_topic), "complete": on_scale(quality(answer))}).to_string()
}

/// The rubric that [`judgement`] answers.
pub const RUBRIC: &str = "# What the judge looks at. Scores are stored between 0 and 1.
apiVersion: weir/v1
kind: Rubric
name: desk
instructions: The assistant answers customers of a shop about their orders. Judge only what the answer says.
scale: {minimum: 1, maximum: 5}
criteria:
  - name: on-topic
    description: The answer is about what the customer asked.
    anchors:
      - {score: 1, text: \"About something else.\"}
      - {score: 5, text: \"All of it is about what was asked.\"}
  - name: complete
    description: The customer knows everything that is needed to act.
";

/// Facts that a complete answer states at least.
const FACTS_WANTED: usize = 4;

/// The share of the facts wanted that an answer states.
fn share_stated(question: &Question, answer: &str) -> f64 {
    // The literal parts of a template stand between its places.
    let states = |fact: &str| fact.split(['{', '}']).step_by(2).all(|literal| answer.contains(literal));
    let stated = question.topic.facts.iter().filter(|fact| states(fact)).count();
    stated.min(FACTS_WANTED) as f64 / FACTS_WANTED as f64
}

fn on_scale(share: f64) -> i64 {
    1 + (share * 4.0).round() as i64
}

const UNUSABLE: f64 = 0.05;

/// Phrases that leave the user with nothing to rely on.
const HEDGING: [&str; 6] =
    ["not sure", "not entirely sure", "might be", "cannot say", "hard to say", "perhaps"];

fn sentences(answer: &str) -> usize {
    answer.split_inclusive(['.', '!', '?']).filter(|part| part.trim().len() > 1).count()
}

fn hedges(answer: &str) -> bool {
    let answer = answer.to_lowercase();
    HEDGING.iter().any(|phrase| answer.contains(phrase))
}

/// FNV-1a of the text, spread over -0.05 to 0.05.
fn noise(text: &str) -> f64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 0.1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::corpus::Corpus;
    use crate::random::Random;
    use crate::voice::Voice;

    fn mean(voice: Voice) -> f64 {
        let corpus = Corpus::new(1, 10, 1000);
        let mut random = Random::new(5);
        let total: f64 =
            corpus.questions.iter().map(|question| quality(&voice.answer(question, &mut random))).sum();
        total / 1000.0
    }

    #[test]
    fn the_voices_are_ordered_by_more_than_the_demos_margin() {
        let (worse, healthy, better) = (mean(Voice::Worse), mean(Voice::Healthy), mean(Voice::Better));
        assert!(healthy - worse > 0.15, "{worse} {healthy}");
        assert!(better - healthy > 0.08, "{healthy} {better}");
    }

    #[test]
    fn the_judge_tells_answers_about_something_else_from_healthy_ones_and_follows_its_rubric() {
        let corpus = Corpus::new(1, 10, 200);
        let rubric = weir_judge::Rubric::parse("rubric.yaml", RUBRIC).unwrap();
        let mut random = Random::new(5);
        for question in &corpus.questions {
            let mut ask = |voice: Voice| {
                let answer = voice.answer(question, &mut random);
                let asked = weir_judge::prompt::pointwise(&rubric, &question.text, &answer);
                let reply = judgement(&corpus, &asked.user);
                weir_judge::prompt::read_reply(&rubric, asked.mode, &reply).unwrap().scores
            };
            assert_eq!((ask(Voice::Healthy)["on-topic"], ask(Voice::Astray)["on-topic"]), (1.0, 0.0));
        }
        assert_eq!(judgement(&corpus, "hello"), r#"{"complete":1,"on-topic":3}"#);
    }

    #[test]
    fn the_same_text_gets_the_same_score_and_broken_text_almost_none() {
        let text =
            r#"{"answer": "It left today. It arrives in 2 days.", "order_id": "W-1", "next_step": "Wait."}"#;
        assert!((quality(text) - quality(text)).abs() < f64::EPSILON);
        assert!((0.4..0.7).contains(&quality(text)), "{}", quality(text));
        assert!((quality("It left today.") - UNUSABLE).abs() < f64::EPSILON);
        assert!((quality(r#"{"order_id": "W-1"}"#) - UNUSABLE).abs() < f64::EPSILON);
        assert!(quality(&text.replace("W-1", "")) < quality(text) - 0.04);
    }

    #[test]
    fn scores_stay_between_0_and_1() {
        let long =
            format!(r#"{{"answer": "{}", "order_id": "W-1", "next_step": "x"}}"#, "It is so. ".repeat(40));
        assert!((0.0..=1.0).contains(&quality(&long)));
        assert!((0.0..=1.0).contains(&quality(r#"{"answer": "perhaps"}"#)));
    }
}
