//! What can go wrong between samples and findings.

use std::path::PathBuf;

use thiserror::Error;

/// Why texts could not be embedded, or findings not be stored.
#[derive(Debug, Error)]
pub enum MeaningError {
    /// No ONNX runtime in any of the usual places.
    #[error(
        "no ONNX runtime: looked at {looked}\n  hint: `pip install onnxruntime` into .venv, or set ORT_DYLIB_PATH to libonnxruntime.so, or use `--embedder lexical`, which needs neither"
    )]
    NoRuntime {
        /// Where it was looked for.
        looked: String,
    },
    /// There is a runtime, but it cannot be used.
    #[error("{}: is not a usable ONNX runtime: {message}\n  hint: set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.24 or later", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        message: String,
    },
    /// The model's folder lacks something, or something in it cannot be read.
    #[error("{}: {message}\n  hint: the folder needs model.onnx (or model_quantized.onnx), tokenizer.json, config.json, special_tokens_map.json and tokenizer_config.json", path.display())]
    Model {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A name without a model.
    #[error(
        "no embedder {name:?}; allowed: lexical, or onnx with a model\n  hint: --embedding-model all-MiniLM-L6-v2 fetches one, --embedding-model DIR reads the folder of a sentence-transformers model as ONNX"
    )]
    UnknownEmbedder {
        /// The name that was asked for.
        name: String,
    },
    /// A name that is neither a folder nor a model that can be fetched.
    #[error(
        "no embedding model {name:?}: it is no folder, and the models that can be fetched are {}\n  hint: name the folder of an ONNX sentence-transformers model, or one of these",
        names()
    )]
    UnknownModel {
        /// The name that was asked for.
        name: String,
    },
    /// A model that could not be fetched, or is not what was fetched.
    #[error(
        "{address}: {message}\n  hint: without a network, put the files of {address} ({files}) into one folder and name it with --embedding-model DIR, or use --embedder lexical, which needs no model"
    )]
    Hub {
        /// The model's page.
        address: String,
        /// What went wrong.
        message: String,
        /// The files that are needed.
        files: String,
    },
    /// The model failed on texts.
    #[error("the embedding model failed: {0}")]
    Inference(String),
    /// Files of samples, scores or the cache.
    #[error(transparent)]
    File(#[from] weir_sample::FileError),
    /// The file system refused.
    #[error(transparent)]
    Durable(#[from] weir_sample::durable::DurableError),
    /// A Parquet file that is not what it should be.
    #[error("{}: {message}\n  hint: it is not a sample file of this version, or it is damaged", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        message: String,
    },
    /// Nothing to embed.
    #[error(
        "no samples of experiment {experiment:?} in {}\n  hint: `weir collect` or `weir import` bring them",
        path.display()
    )]
    NoSamples {
        /// The data folder.
        path: PathBuf,
        /// The experiment.
        experiment: String,
    },
    /// Texts were not kept, and the vectors in their place are of another embedder.
    #[error(
        "no texts, and their {count} vectors are of the embedder {kept:?}; {asked:?} was asked for\n  hint: {}",
        by(kept)
    )]
    OtherVectors {
        /// Who made the vectors.
        kept: String,
        /// Who was asked for.
        asked: String,
        /// Answers with vectors.
        count: usize,
    },
    /// Findings of another version.
    #[error("{}: {message}\n  hint: run `weir embed` again", path.display())]
    Findings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

fn by(kept: &str) -> &'static str {
    if kept == weir_sample::lexical::IDENTITY {
        "use `--embedder lexical`, or collect texts (`capture: full`)"
    } else {
        "use the embedder that made them, or collect texts (`capture: full`)"
    }
}

fn names() -> String {
    crate::hub::MODELS.map(|(name, _)| name).join(", ")
}
