//! Texts to vectors of length 1: by an ONNX model in a folder, or by hashed words.
//!
//! Limits: [`TEXT_BYTES_MAX`] of a text count, and of those as many tokens as the model takes (512 at most); [`BATCH`]
//! texts go through a float model at once, sorted by length so that little is padding. An int8 model quantises each batch
//! by its own range, so its texts go one at a time: a vector depends on its text only, and nothing is padded.
//! Invariant: the identity names everything that changes a vector; vectors of two identities are never compared.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fastembed::{
    InitOptionsUserDefined, Pooling, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use weir_sample::lexical;
pub use weir_sample::lexical::{TEXT_BYTES_MAX, cut};

use crate::error::MeaningError;
use crate::runtime;

/// Texts that go through a float model at once.
pub const BATCH: usize = 32;
/// Tokens of a text that count.
const TOKENS_MAX: usize = 512;
/// Model files, in the order in which they are looked for.
const MODEL_FILES: [&str; 4] =
    ["model.onnx", "model_quantized.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"];

/// Which embedder is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbedderChoice {
    /// Hashed words and trigrams; needs nothing.
    Lexical,
    /// An ONNX model in a folder.
    Onnx(PathBuf),
    /// A model of [`crate::hub::MODELS`], to be fetched where it is not in the cache.
    Named(String),
}

impl EmbedderChoice {
    /// From the command line: the kind of embedder, and a model's folder or name where it is not `lexical`. What is no
    /// folder and looks like no path is a name.
    ///
    /// # Errors
    /// A kind that there is not, no model, or a name that cannot be fetched.
    pub fn of(kind: Option<&str>, model: Option<&Path>) -> Result<Self, MeaningError> {
        match (kind, model) {
            (Some("lexical"), None) => Ok(Self::Lexical),
            (None | Some("onnx"), Some(model)) => {
                let name = model.to_string_lossy();
                if model.is_dir() || name.contains(['/', '\\']) || name.starts_with('.') {
                    Ok(Self::Onnx(model.to_path_buf()))
                } else if crate::hub::MODELS.iter().any(|(known, _)| *known == name) {
                    Ok(Self::Named(name.into_owned()))
                } else {
                    Err(MeaningError::UnknownModel { name: name.into_owned() })
                }
            }
            (kind, _) => Err(MeaningError::UnknownEmbedder { name: kind.unwrap_or("onnx").to_owned() }),
        }
    }

    /// The same with a folder in place of a name, fetched where it is not in the cache.
    ///
    /// # Errors
    /// [`crate::hub::Hub::model`].
    pub fn fetched(
        self,
        hub: &crate::hub::Hub,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<Self, MeaningError> {
        match self {
            Self::Named(name) => Ok(Self::Onnx(hub.model(&name, progress)?)),
            other => Ok(other),
        }
    }
}

/// An embedder that is ready.
pub struct Embedder {
    identity: String,
    kind: Kind,
}

enum Kind {
    Lexical,
    /// One session per thread, each with one thread of its own.
    Onnx {
        sessions: Vec<Mutex<TextEmbedding>>,
        one_at_a_time: bool,
    },
}

impl Embedder {
    /// Makes the embedder; loads the runtime and the model where there is one, and fetches it where it is a name that is
    /// not in the cache. `threads` is at least 1.
    ///
    /// # Errors
    /// No runtime, no model, or a model and a tokenizer that do not work.
    pub fn open(choice: &EmbedderChoice, threads: usize) -> Result<Self, MeaningError> {
        match choice {
            EmbedderChoice::Lexical => {
                Ok(Self { identity: lexical::IDENTITY.to_owned(), kind: Kind::Lexical })
            }
            EmbedderChoice::Onnx(folder) => Self::onnx(folder, threads.max(1)),
            EmbedderChoice::Named(name) => {
                let folder = crate::hub::Hub::from_environment().model(name, &mut |_, _| {})?;
                Self::onnx(&folder, threads.max(1))
            }
        }
    }

    fn onnx(folder: &Path, threads: usize) -> Result<Self, MeaningError> {
        let wrong = |path: &Path, message: String| MeaningError::Model { path: path.to_path_buf(), message };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| wrong(&path, error.to_string()))
        };
        let file = MODEL_FILES
            .into_iter()
            .find(|name| folder.join(name).is_file())
            .ok_or_else(|| wrong(folder, "holds no model".to_owned()))?;
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: read("tokenizer.json")?,
            config_file: read("config.json")?,
            special_tokens_map_file: read("special_tokens_map.json")?,
            tokenizer_config_file: read("tokenizer_config.json")?,
        };
        fits(&tokenizer_files.tokenizer_file, &tokenizer_files.config_file)
            .map_err(|message| wrong(folder, message))?;
        let model_file = read(file)?;
        let digest = xxh3_64(&model_file) ^ xxh3_64(&tokenizer_files.tokenizer_file).rotate_left(1);
        runtime::load()?;
        let model = UserDefinedEmbeddingModel::new(model_file, tokenizer_files)
            .with_pooling(Pooling::Mean)
            .with_quantization(QuantizationMode::None);
        let options = InitOptionsUserDefined::new().with_max_length(TOKENS_MAX).with_intra_threads(1);
        let sessions = (0..threads)
            .map(|_| TextEmbedding::try_new_from_user_defined(model.clone(), options.clone()).map(Mutex::new))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(folder, error.to_string()))?;
        let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
        let clean: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        let embedder = Self {
            identity: format!("onnx-{clean}-{digest:016x}"),
            kind: Kind::Onnx { sessions, one_at_a_time: file.contains("quantized") },
        };
        // A tokenizer of another model gives token ids that the model does not have: told now, not after an hour.
        embedder
            .embed(&["The quick brown fox, 1 2 3 — ünïcode."], &mut |_| {})
            .map_err(|error| wrong(folder, format!("model and tokenizer do not work together: {error}")))?;
        Ok(embedder)
    }

    /// What made the vectors: name and digest of the model, or the built-in's version and length.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The vectors of texts, in their order, each of length 1 (or zero, where a text has no words). `done` hears how many
    /// texts were embedded since it heard last.
    ///
    /// # Errors
    /// The model failed.
    pub fn embed(&self, texts: &[&str], done: &mut dyn FnMut(usize)) -> Result<Vec<Vec<f32>>, MeaningError> {
        let texts: Vec<&str> = texts.iter().map(|text| cut(text)).collect();
        match &self.kind {
            Kind::Lexical => {
                let vectors = texts.iter().map(|text| lexical::embed(text)).collect();
                done(texts.len());
                Ok(vectors)
            }
            Kind::Onnx { sessions, one_at_a_time } => {
                let batch = if *one_at_a_time { 1 } else { BATCH };
                through_sessions(sessions, &texts, batch, done)
            }
        }
    }
}

/// Whether a tokenizer has about as many tokens as the model has rows for; files that do not say are left to the first text.
fn fits(tokenizer: &[u8], config: &[u8]) -> Result<(), String> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (tokenizer, config) = (read(tokenizer), read(config));
    let vocabulary = tokenizer.pointer("/model/vocab");
    let ids =
        vocabulary.and_then(Value::as_object).map(|words| words.values().filter_map(Value::as_u64).max());
    let listed = vocabulary.and_then(Value::as_array).map(|words| (words.len() as u64).checked_sub(1));
    let (Some(last), Some(rows)) =
        (ids.or(listed).flatten(), config.get("vocab_size").and_then(Value::as_u64))
    else {
        return Ok(());
    };
    // Tables of embeddings are rounded up a little.
    if last >= rows || (last + 1) * 10 < rows * 9 {
        return Err(format!(
            "the tokenizer is of another model: its last token is {last}, the model has {rows} tokens"
        ));
    }
    Ok(())
}

/// Length-sorted batches, dealt to the sessions in turn.
fn through_sessions(
    sessions: &[Mutex<TextEmbedding>],
    texts: &[&str],
    batch: usize,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f32>>, MeaningError> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(texts.get(*at).map_or(0, |text| text.len())), *at));
    let queue = Mutex::new(order.chunks(batch.max(1)));
    let (send, receive) = std::sync::mpsc::channel();
    let mut vectors = vec![Vec::new(); texts.len()];
    std::thread::scope(|scope| {
        for session in sessions {
            let (send, queue) = (send.clone(), &queue);
            scope.spawn(move || {
                let mut session = session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                loop {
                    let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some(chunk) = next else { break };
                    let chosen: Vec<&str> = chunk.iter().filter_map(|at| texts.get(*at).copied()).collect();
                    let embedded = session.embed(&chosen, None).map_err(|error| error.to_string());
                    if send.send((chunk, embedded)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (chunk, embedded) in receive {
            let embedded = embedded.map_err(MeaningError::Inference)?;
            for (at, mut vector) in chunk.iter().zip(embedded) {
                lexical::normalise(&mut vector);
                if let Some(place) = vectors.get_mut(*at) {
                    *place = vector;
                }
            }
            done(chunk.len());
        }
        Ok(vectors)
    })
}

/// Cosine distance of two vectors, 0 (same direction) to 2 (opposite); none where one has no direction.
#[must_use]
pub fn distance(left: &[f32], right: &[f32]) -> Option<f64> {
    let mut sums = (0.0_f64, 0.0_f64, 0.0_f64);
    for (l, r) in left.iter().zip(right) {
        let (l, r) = (f64::from(*l), f64::from(*r));
        sums = (sums.0 + l * r, sums.1 + l * l, sums.2 + r * r);
    }
    let length = (sums.1 * sums.2).sqrt();
    (length > 0.0 && left.len() == right.len()).then(|| (1.0 - sums.0 / length).clamp(0.0, 2.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use weir_sample::lexical::embed;

    #[test]
    fn the_same_words_are_near_and_other_words_are_far() {
        let text = embed("Your parcel left our warehouse on Monday.");
        let near = embed("your parcel left the warehouse on monday");
        let far = embed("Bananas are rich in potassium and taste sweet.");
        assert!(distance(&text, &text).unwrap() < 1e-6);
        assert!(distance(&text, &near).unwrap() < 0.35, "{:?}", distance(&text, &near));
        assert!(distance(&text, &far).unwrap() > 0.8, "{:?}", distance(&text, &far));
    }

    #[test]
    fn a_text_without_letters_has_no_direction() {
        assert_eq!(distance(&embed("!?"), &embed("word")), None);
    }
}
