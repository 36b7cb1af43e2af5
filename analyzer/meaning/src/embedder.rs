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
use xxhash_rust::xxh3::xxh3_64;

use crate::error::MeaningError;
use crate::{lexical, runtime};

/// Bytes of a text that count.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
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
}

impl EmbedderChoice {
    /// From the command line: a name, and a folder where the name is not `lexical`.
    ///
    /// # Errors
    /// A name that is neither, or no folder.
    pub fn of(name: Option<&str>, folder: Option<&Path>) -> Result<Self, MeaningError> {
        match (name, folder) {
            (Some("lexical"), None) => Ok(Self::Lexical),
            (None | Some("onnx"), Some(folder)) => Ok(Self::Onnx(folder.to_path_buf())),
            (name, _) => Err(MeaningError::UnknownEmbedder { name: name.unwrap_or("onnx").to_owned() }),
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
    /// Makes the embedder; loads the runtime and the model where there is one. `threads` is at least 1.
    ///
    /// # Errors
    /// No runtime, no model, or a model and a tokenizer that do not work.
    pub fn open(choice: &EmbedderChoice, threads: usize) -> Result<Self, MeaningError> {
        match choice {
            EmbedderChoice::Lexical => {
                Ok(Self { identity: format!("lexical-1-{}", lexical::DIMENSIONS), kind: Kind::Lexical })
            }
            EmbedderChoice::Onnx(folder) => Self::onnx(folder, threads.max(1)),
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

/// The part of a text that counts.
#[must_use]
pub fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
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
