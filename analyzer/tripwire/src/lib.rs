//! Signs of a candidate that pleases a judge instead of answering; no score may override them.
//!
//! A [`Mark`] is what is kept of an answer when its text is read (two hashes, a length and four bits), and [`look`] says what
//! went off over the marks of both variants. `weir embed` and every look at the samples go by the same marks and rules.
//! What is not here: files, vectors, verdicts.
//!
//! Each rule compares the candidate's answers with control's answers to the same kind of requests, so that what control does as
//! well is no sign. Phrases and stop words are English, German, French and Spanish; other scripts are told apart by their
//! letters.

mod mark;
mod rules;
mod text;

pub use mark::Mark;
pub use rules::{ANSWERS_MIN, Answered, Fired, PROMPTS_MIN, Seen, look};
pub use text::last_message;
