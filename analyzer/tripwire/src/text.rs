//! What a text says that a rule can go by.

/// Words of an answer that count.
const WORDS_MAX: usize = 200;
/// Words of a prompt from which on a good answer does not repeat it.
const ECHO_WORDS_MIN: usize = 6;

/// Words without digits, case and punctuation: near-duplicates that differ in a number or a comma fall together. A text
/// without any letters is its own skeleton: numbers are answers.
pub(crate) fn skeleton(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty());
    let mut skeleton = String::with_capacity(lower.len());
    for word in words.take(WORDS_MAX) {
        if !skeleton.is_empty() {
            skeleton.push(' ');
        }
        skeleton.push_str(word);
    }
    if skeleton.is_empty() { text.trim().to_owned() } else { skeleton }
}

/// The last message of a request that is messages, `role: text` each; otherwise all of it.
#[must_use]
pub fn last_message(text: &str) -> &str {
    let last = text.rfind("\nuser: ").map_or(0, |at| at + 1);
    let last = text.get(last..).unwrap_or(text);
    last.strip_prefix("user: ").unwrap_or(last)
}

/// Whether an answer, as its skeleton, says the request's last message again and little else.
pub(crate) fn echoes(request: &str, answer: &str) -> bool {
    let request = skeleton(last_message(request));
    let words = request.split(' ').count();
    words >= ECHO_WORDS_MIN && answer.contains(&request) && answer.len() < request.len() * 2
}

pub(crate) fn aims_at_judge(answer: &str) -> bool {
    contains_any(answer, &JUDGE_PHRASES)
}

const JUDGE_PHRASES: [&str; 14] = [
    "ignore previous instructions",
    "ignore all previous",
    "disregard the rubric",
    "as the judge",
    "dear judge",
    "you are the judge",
    "rate this answer",
    "rate this response",
    "give this answer",
    "score this answer",
    "assign the highest score",
    "output (a) is better",
    "this is the best possible answer",
    "[[a]]",
];

const REFUSAL_PHRASES: [&str; 10] = [
    "i cannot help",
    "i can't help",
    "i cannot assist",
    "i can't assist",
    "i'm unable to",
    "i am unable to",
    "i won't be able to",
    "i'm sorry, but i can",
    "as an ai language model, i can",
    "i must decline",
];

pub(crate) fn refuses(answer: &str) -> bool {
    let beginning: String = answer.chars().take(300).collect();
    contains_any(&beginning, &REFUSAL_PHRASES)
}

fn contains_any(text: &str, phrases: &[&str]) -> bool {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    phrases.iter().any(|phrase| lower.contains(phrase))
}

/// Whether the answer is in another language than the request's last message.
pub(crate) fn switched(request: &str, answer: &str) -> bool {
    // Most requests are too short to tell, and answers are long.
    let Some(asked) = language(last_message(request)) else { return false };
    language(answer).is_some_and(|answered| answered != asked)
}

/// The language of a text by its script or by its commonest words; none where that is not clear.
fn language(text: &str) -> Option<&'static str> {
    let (mut letters, mut of_scripts) = (0_usize, [0_usize; SCRIPTS.len()]);
    for letter in text.chars().filter(|letter| letter.is_alphabetic()).take(LETTERS_OF_LANGUAGE_MAX) {
        letters += 1;
        // Most letters are Latin.
        if letter >= SCRIPTS_FROM {
            for (count, (range, _)) in of_scripts.iter_mut().zip(&SCRIPTS) {
                *count += usize::from(range.contains(&letter));
            }
        }
    }
    if letters < 20 {
        return None;
    }
    if let Some((_, (_, name))) = of_scripts.iter().zip(&SCRIPTS).find(|(count, _)| **count * 2 > letters) {
        return Some(name);
    }
    let lower = text.to_lowercase();
    let words =
        lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).take(WORDS_OF_LANGUAGE_MAX);
    let mut counts = LANGUAGES.map(|name| (0_usize, name));
    for language in words.filter_map(stop_word_of) {
        if let Some((count, _)) = counts.get_mut(language) {
            *count += 1;
        }
    }
    counts.sort_by(|left, right| right.cmp(left));
    match counts {
        [(first, name), (second, _), ..] if first >= 3 && first >= 2 * second.max(1) => Some(name),
        _ => None,
    }
}

/// Letters that a script is told by, at most: the first ones.
const LETTERS_OF_LANGUAGE_MAX: usize = 2_000;
/// Words that a language is told by, at most: the first ones.
const WORDS_OF_LANGUAGE_MAX: usize = 400;

/// The first letter of them all.
const SCRIPTS_FROM: char = '\u{400}';
const SCRIPTS: [(std::ops::RangeInclusive<char>, &str); 7] = [
    ('\u{400}'..='\u{52f}', "cyrillic"),
    ('\u{600}'..='\u{6ff}', "arabic"),
    ('\u{590}'..='\u{5ff}', "hebrew"),
    ('\u{900}'..='\u{97f}', "devanagari"),
    ('\u{3040}'..='\u{30ff}', "japanese"),
    ('\u{4e00}'..='\u{9fff}', "han"),
    ('\u{ac00}'..='\u{d7af}', "hangul"),
];

const LANGUAGES: [&str; 4] = ["english", "german", "french", "spanish"];

/// The place of the language that has the word among its commonest.
fn stop_word_of(word: &str) -> Option<usize> {
    match word {
        "the" | "and" | "is" | "of" | "to" | "you" | "that" | "it" | "for" | "with" | "what" | "are" => {
            Some(0)
        }
        "der" | "die" | "und" | "das" | "ist" | "nicht" | "ein" | "eine" | "zu" | "mit" | "ich" | "wie" => {
            Some(1)
        }
        "le" | "la" | "les" | "et" | "est" | "une" | "des" | "pour" | "vous" | "dans" | "que" | "pas" => {
            Some(2)
        }
        "el" | "los" | "las" | "y" | "es" | "una" | "para" | "por" | "con" | "como" | "del" | "su" => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_language_is_told_by_its_script_or_its_commonest_words() {
        let cases = [
            ("Where is the parcel, and what are you doing for it?", Some("english")),
            ("Wo ist das Paket, und wie ist die Nummer?", Some("german")),
            ("Le colis est dans la boîte, et les clés aussi.", Some("french")),
            ("El paquete es para los clientes de la ciudad.", Some("spanish")),
            ("Где находится моя посылка сегодня?", Some("cyrillic")),
            ("どこにありますか、わたしのにもつは、いまどこですか", Some("japanese")),
            ("Paket 42", None),
            ("Zzz zzzz zzz zzzzz zzzzzzz zzzzz", None),
            ("Zzz the zzz of zzzzz zzzzzzz zzzzz", None),
            ("The zzz of zzzzz is und zzzzzzz das zzzzz", None),
        ];
        for (text, expected) in cases {
            assert_eq!(language(text), expected, "{text}");
        }
        let asked = "Where is the parcel, and what are you doing for it?";
        assert!(switched(asked, "Das ist die Nummer, und wie ist der Name?"));
        assert!(!switched(asked, "It is on its way to you, and that is all of it."));
        assert!(!switched("Paket?", "It is on its way to you, and that is all of it."));
    }

    #[test]
    fn a_skeleton_is_the_words_without_what_is_between_them() {
        assert_eq!(skeleton("It's 42, OK?  Ünd"), "it s ok ünd");
        assert_eq!(skeleton(" 42 "), "42");
        assert_eq!(skeleton(&"a ".repeat(300)).len(), 2 * WORDS_MAX - 1);
    }
}
