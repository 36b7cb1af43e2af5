//! What the answer says: `refusal`, `hedging`, `response_chars`, `response_words`.

use weir_gate::Better;

use super::{amount, fault, flag};
use crate::answer::{Answer, Text};
use crate::metric::Metric;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![
        fault("refusal", refusal),
        fault("hedging", |answer| text(answer).map(|text| flag(text.said.hedges))),
        amount("response_chars", "characters", Better::Neither, |answer| {
            lengths(answer).map(|(characters, _)| characters)
        }),
        amount("response_words", "words", Better::Neither, |answer| lengths(answer).map(|(_, words)| words)),
    ]
}

/// `structured_refusal`: a refusal in the provider's own field, or a content filter's stop, whatever the words.
pub(crate) fn structured_refusal() -> Metric {
    fault("structured_refusal", |answer| (answer.failed() != Some(true)).then(|| flag(answer.refused())))
}

/// A structured refusal, a content filter's stop, or a refusing phrase near the start.
fn refusal(answer: &Answer<'_>) -> Option<f64> {
    if answer.failed() == Some(true) {
        return None;
    }
    if answer.refused() {
        return Some(1.0);
    }
    Some(flag(text(answer)?.said.refuses))
}

fn text<'a>(answer: &'a Answer<'_>) -> Option<&'a Text> {
    answer.text.as_ref()
}

/// Characters and words, of the text or of what was counted before it was left out.
#[allow(clippy::cast_precision_loss)] // lengths of captured texts are far below 2^53
fn lengths(answer: &Answer<'_>) -> Option<(f64, f64)> {
    match (text(answer), answer.counted) {
        (Some(text), _) => Some((text.characters as f64, text.words as f64)),
        (None, counted) => counted.map(|(characters, words)| (characters as f64, words as f64)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn value(name: &str, text: &str) -> Option<f64> {
        let answer = Answer::default().with_text(Some(text));
        metrics().iter().find(|metric| metric.name == name).unwrap().value(&answer)
    }

    #[test]
    fn refusals_are_found_in_several_languages() {
        for text in [
            "I'm sorry, but I can't help with that.",
            "I’m sorry, but I can’t assist with that request.",
            "Sorry, I cannot provide this information.",
            "As an AI language model, I am unable to do so.",
            "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
            "Je suis désolé, mais je ne peux pas vous aider.",
            "Lo siento, pero no puedo ayudar con eso.",
            "Mi dispiace, ma non posso aiutarti.",
            "Desculpe, mas não posso ajudar com isso.",
            "申し訳ありませんが、お手伝いできません。",
            "对不起,我无法帮助您。",
            "Przykro mi, ale nie mogę w tym pomóc.",
            "Het spijt me, maar ik kan je daar niet bij helpen.",
            "죄송하지만 도와드릴 수 없습니다.",
            "К сожалению, я не могу помочь с этим.",
            "{\"answer\": \"I'm unable to assist with that.\"}",
        ] {
            assert_eq!(value("refusal", text), Some(1.0), "{text}");
        }
    }

    #[test]
    fn ordinary_answers_are_no_refusals() {
        for text in [
            "Your order 42 was shipped on Monday.",
            "You can't return opened software, but you can exchange it.",
            "The word \"sorry\" comes from Old English sarig.",
            "",
        ] {
            assert_eq!(value("refusal", text), Some(0.0), "{text}");
        }
        let late = format!("{} I'm sorry, but I can't help with that.", "A long story. ".repeat(60));
        assert_eq!(value("refusal", &late), Some(0.0));
    }

    #[test]
    fn structured_refusals_and_content_filters_count() {
        let metric = &metrics()[0];
        let refusal = Answer { refusal: Some("I can't help"), ..Answer::default() };
        assert_eq!(metric.value(&refusal), Some(1.0));
        let filtered = Answer { finish_reason: Some("content_filter"), ..Answer::default() };
        assert_eq!(metric.value(&filtered.with_text(Some("Well"))), Some(1.0));
    }

    #[test]
    fn hedging_is_found_and_firm_answers_are_not() {
        for text in [
            "I'm not entirely sure, but it may be Tuesday.",
            "It is hard to say.",
            "I think your order might have been shipped.",
            "Ich bin mir nicht sicher.",
            "Je ne suis pas sûr de la réponse.",
            "No estoy seguro de eso.",
            "Forse domani, ma non ne sono sicuro.",
            "Talvez chegue amanhã.",
            "Misschien komt het morgen.",
            "Nie jestem pewien, ale chyba jutro.",
            "我不确定,可能是明天。",
            "はっきりとは分かりませんが、明日かもしれません。",
            "확실하지 않지만 내일일 수 있습니다.",
            "Я не уверен, возможно, завтра.",
            "{\"answer\":\"You may want to check with support.\"}",
        ] {
            assert_eq!(value("hedging", text), Some(1.0), "{text}");
        }
        for text in ["Your order was shipped on Monday.", "The mighty river.", "Call 555 to be sure."] {
            assert_eq!(value("hedging", text), Some(0.0), "{text}");
        }
    }

    #[test]
    fn lengths_count_characters_and_words() {
        assert_eq!(value("response_chars", "äöü 日本"), Some(6.0));
        assert_eq!(value("response_words", "  one\ttwo\nthree "), Some(3.0));
        assert_eq!(value("response_chars", ""), Some(0.0));
    }
}
