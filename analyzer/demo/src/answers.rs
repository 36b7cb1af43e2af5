//! Recorded answers of real models, and the score that a judge once gave to each.
//!
//! The folder has `instructions.jsonl` (`id`, `instruction`, anything else is ignored) and one `outputs/<model>.jsonl`
//! per model (`id`, `output`, `judge_score` from 0 to 1). Only instructions that both models answered are asked.
//! Limit: the files are read whole, at most 256 MiB each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What can be wrong with a folder of answers.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// A file cannot be read, or is larger than the limit.
    #[error("{path}: {message}\n  hint: the folder needs instructions.jsonl and outputs/<model>.jsonl")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        message: String,
    },
    /// A line is not what it should be.
    #[error("{path}: line {line}: {message}\n  hint: each line is one JSON object with {fields}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What the line should have.
        fields: &'static str,
    },
    /// No such model.
    #[error("no answers of model {model:?} in {folder}\n  hint: there are {available}")]
    Model {
        /// The name that was asked for.
        model: String,
        /// Where it was looked for.
        folder: String,
        /// The names that exist.
        available: String,
    },
    /// Nothing to ask.
    #[error("{control:?} and {candidate:?} have no instruction in common in {folder}")]
    NothingInCommon {
        /// The control's name.
        control: String,
        /// The candidate's name.
        candidate: String,
        /// The folder.
        folder: String,
    },
}

/// A recorded answer and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The model's text.
    pub output: String,
    /// What the judge gave, 0 to 1.
    pub judge_score: f64,
}

/// The answers of one model.
#[derive(Clone, Debug, Default)]
pub struct Voicebook {
    /// The model's name.
    pub model: String,
    by_instruction: HashMap<String, Recorded>,
    by_output: HashMap<String, Vec<f64>>,
}

impl Voicebook {
    /// The answer to exactly this instruction.
    #[must_use]
    pub fn find(&self, instruction: &str) -> Option<&Recorded> {
        self.by_instruction.get(instruction)
    }

    /// The judge's score of exactly this output; the mean where several instructions got the same output.
    #[must_use]
    pub fn score_of(&self, output: &str) -> Option<f64> {
        let scores = self.by_output.get(output)?;
        Some(scores.iter().sum::<f64>() / scores.len().max(1) as f64)
    }

    /// Finds scores by what `stored` makes of an output from now on, for example by the redacted text.
    pub fn find_scores_by(&mut self, stored: impl Fn(&str) -> String) {
        self.by_output.clear();
        for recorded in self.by_instruction.values() {
            self.by_output.entry(stored(&recorded.output)).or_default().push(recorded.judge_score);
        }
    }

    fn insert(&mut self, instruction: &str, recorded: &Recorded) {
        self.by_output.entry(recorded.output.clone()).or_default().push(recorded.judge_score);
        self.by_instruction.insert(instruction.to_owned(), recorded.clone());
    }
}

/// Two models' answers to the same instructions.
#[derive(Debug)]
pub struct Answers {
    /// What both were asked, in the file's order.
    pub instructions: Vec<String>,
    /// The control's answers.
    pub control: Voicebook,
    /// The candidate's answers.
    pub candidate: Voicebook,
}

impl Answers {
    /// Reads the answers of two models.
    ///
    /// # Errors
    /// [`AnswersError`], naming the file, the line and what is there instead.
    pub fn load(folder: &Path, control: &str, candidate: &str) -> Result<Self, AnswersError> {
        let asked: Vec<Instruction> =
            read_lines(&folder.join("instructions.jsonl"), "the strings id and instruction")?;
        let control_outputs = read_model(folder, control)?;
        let candidate_outputs = read_model(folder, candidate)?;
        let mut answers = Self {
            instructions: Vec::new(),
            control: Voicebook { model: control.to_owned(), ..Voicebook::default() },
            candidate: Voicebook { model: candidate.to_owned(), ..Voicebook::default() },
        };
        for Instruction { id, instruction } in asked {
            let (Some(left), Some(right)) = (control_outputs.get(&id), candidate_outputs.get(&id)) else {
                continue;
            };
            answers.control.insert(&instruction, left);
            answers.candidate.insert(&instruction, right);
            answers.instructions.push(instruction);
        }
        if answers.instructions.is_empty() {
            return Err(AnswersError::NothingInCommon {
                control: control.to_owned(),
                candidate: candidate.to_owned(),
                folder: folder.display().to_string(),
            });
        }
        Ok(answers)
    }
}

/// Larger files are refused rather than read into memory.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
struct Instruction {
    id: String,
    instruction: String,
}

#[derive(Deserialize)]
struct Output {
    id: String,
    output: String,
    judge_score: f64,
}

fn read_model(folder: &Path, model: &str) -> Result<HashMap<String, Recorded>, AnswersError> {
    let outputs = folder.join("outputs");
    let path = outputs.join(format!("{model}.jsonl"));
    // A name with a separator would leave the folder.
    if model.contains(['/', '\\']) || !path.is_file() {
        return Err(AnswersError::Model {
            model: model.to_owned(),
            folder: outputs.display().to_string(),
            available: available(&outputs),
        });
    }
    let fields = "the strings id and output and the number judge_score from 0 to 1";
    let lines: Vec<Output> = read_lines(&path, fields)?;
    let mut recorded = HashMap::with_capacity(lines.len());
    for (at, Output { id, output, judge_score }) in lines.into_iter().enumerate() {
        if !(0.0..=1.0).contains(&judge_score) {
            let message = format!("judge_score {judge_score} is not between 0 and 1");
            return Err(AnswersError::Line {
                path: path.display().to_string(),
                line: at + 1,
                message,
                fields,
            });
        }
        // An empty output would look like a failed request to the client; the model did not answer this one.
        if !output.is_empty() {
            recorded.insert(id, Recorded { output, judge_score });
        }
    }
    Ok(recorded)
}

fn read_lines<T: for<'de> Deserialize<'de>>(
    path: &PathBuf,
    fields: &'static str,
) -> Result<Vec<T>, AnswersError> {
    let name = path.display().to_string();
    let read = |message: String| AnswersError::Read { path: name.clone(), message };
    let bytes = std::fs::metadata(path).map_err(|error| read(error.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(read(format!("is {bytes} bytes; allowed: up to {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| read(error.to_string()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| AnswersError::Line {
                path: name.clone(),
                line: at + 1,
                message: error.to_string(),
                fields,
            })
        })
        .collect()
}

fn available(outputs: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(outputs)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".jsonl").map(str::to_owned))
        .collect();
    names.sort();
    if names.is_empty() { "no files outputs/<model>.jsonl".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn folder(outputs_of_b: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("outputs")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "instructions.jsonl",
            "{\"id\":\"1\",\"dataset\":\"d\",\"instruction\":\"say a\"}\n{\"id\":\"2\",\"instruction\":\"say b\"}\n",
        );
        write(
            "outputs/a.jsonl",
            "{\"id\":\"1\",\"output\":\"a\",\"judge_score\":0.5}\n{\"id\":\"2\",\"output\":\"b\",\"judge_score\":1}\n",
        );
        write("outputs/b.jsonl", outputs_of_b);
        folder
    }

    #[test]
    fn instructions_that_both_models_answered_are_asked() {
        let folder = folder("{\"id\":\"2\",\"output\":\"bee\",\"judge_score\":0}\n");
        let mut answers = Answers::load(folder.path(), "a", "b").unwrap();
        assert_eq!(answers.instructions, ["say b"]);
        assert_eq!(answers.control.find("say b").unwrap().output, "b");
        assert_eq!(
            answers.candidate.find("say b"),
            Some(&Recorded { output: "bee".into(), judge_score: 0.0 })
        );
        assert!(answers.candidate.find("say a").is_none());
        assert_eq!((answers.control.score_of("b"), answers.control.score_of("bee")), (Some(1.0), None));
        answers.control.find_scores_by(|text| format!("<{text}>"));
        assert_eq!((answers.control.score_of("b"), answers.control.score_of("<b>")), (None, Some(1.0)));
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_names_that_exist() {
        let folder = folder("");
        let error = Answers::load(folder.path(), "a", "c").unwrap_err().to_string();
        assert!(error.starts_with("no answers of model \"c\" in "), "{error}");
        assert!(error.ends_with("hint: there are a, b"), "{error}");
        assert!(Answers::load(folder.path(), "../outputs/a", "b").is_err());
    }

    #[test]
    fn a_broken_line_is_named_by_file_and_number() {
        let folder = folder("{\"id\":\"2\",\"output\":\"bee\",\"judge_score\":0}\n{\"id\":\"1\"}\n");
        let error = Answers::load(folder.path(), "a", "b").unwrap_err().to_string();
        assert!(error.contains("b.jsonl: line 2: missing field `output`"), "{error}");
        std::fs::write(
            folder.path().join("outputs/b.jsonl"),
            "{\"id\":\"1\",\"output\":\"x\",\"judge_score\":7}",
        )
        .unwrap();
        let error = Answers::load(folder.path(), "a", "b").unwrap_err().to_string();
        assert!(error.contains("line 1: judge_score 7 is not between 0 and 1"), "{error}");
    }

    #[test]
    fn models_without_a_common_instruction_and_missing_folders_are_errors() {
        let error = Answers::load(folder("").path(), "a", "b").unwrap_err().to_string();
        assert!(error.contains("no instruction in common"), "{error}");
        let error = Answers::load(Path::new("/nowhere"), "a", "b").unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/instructions.jsonl: "), "{error}");
    }
}
