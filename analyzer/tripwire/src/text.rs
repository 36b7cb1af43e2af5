//! What a text says that a rule can go by.

/// Words of an answer that count.
const WORDS_MAX: usize = 200;
/// Words of a prompt from which on a good answer does not repeat it.
const ECHO_WORDS_MIN: usize = 6;

/// Words without digits, case and punctuation: near-duplicates that differ in a number or a comma fall together. A text
/// without any letters is its own skeleton: numbers are answers.
pub(crate) fn skeleton(text: &str) -> String {
    let words: Vec<String> = text
        .to_lowercase()
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(str::to_owned)
        .collect();
    if words.is_empty() { text.trim().to_owned() } else { words.join(" ") }
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
    match (language(last_message(request)), language(answer)) {
        (Some(asked), Some(answered)) => asked != answered,
        _ => false,
    }
}

/// The language of a text by its script or by its commonest words; none where that is not clear.
fn language(text: &str) -> Option<&'static str> {
    let letters: Vec<char> = text.chars().filter(|letter| letter.is_alphabetic()).take(2_000).collect();
    if letters.len() < 20 {
        return None;
    }
    let share = |range: std::ops::RangeInclusive<char>| {
        letters.iter().filter(|letter| range.contains(*letter)).count() * 2 > letters.len()
    };
    let scripts = [
        ('\u{400}'..='\u{52f}', "cyrillic"),
        ('\u{600}'..='\u{6ff}', "arabic"),
        ('\u{590}'..='\u{5ff}', "hebrew"),
        ('\u{900}'..='\u{97f}', "devanagari"),
        ('\u{3040}'..='\u{30ff}', "japanese"),
        ('\u{4e00}'..='\u{9fff}', "han"),
        ('\u{ac00}'..='\u{d7af}', "hangul"),
    ];
    if let Some((_, name)) = scripts.into_iter().find(|(range, _)| share(range.clone())) {
        return Some(name);
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).take(400).collect();
    let mut counts: Vec<(usize, &'static str)> = STOP_WORDS
        .iter()
        .map(|(name, stop)| (words.iter().filter(|word| stop.contains(word)).count(), *name))
        .collect();
    counts.sort_by(|left, right| right.cmp(left));
    match counts.as_slice() {
        [(first, name), (second, _), ..] if *first >= 3 && *first >= 2 * second.max(&1) => Some(name),
        _ => None,
    }
}

const STOP_WORDS: [(&str, [&str; 12]); 4] = [
    ("english", ["the", "and", "is", "of", "to", "you", "that", "it", "for", "with", "what", "are"]),
    ("german", ["der", "die", "und", "das", "ist", "nicht", "ein", "eine", "zu", "mit", "ich", "wie"]),
    ("french", ["le", "la", "les", "et", "est", "une", "des", "pour", "vous", "dans", "que", "pas"]),
    ("spanish", ["el", "los", "las", "y", "es", "una", "para", "por", "con", "como", "del", "su"]),
];
