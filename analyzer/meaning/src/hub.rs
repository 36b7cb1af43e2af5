//! Models by name: fetched once from a model hub into a cache folder, and checked each time they are used.
//!
//! Only names of [`MODELS`] are fetched: their vectors are the mean over tokens, which is what this crate computes. The hub is
//! `HF_ENDPOINT` or huggingface.co; the cache is `WEIR_MODELS`, or `weir/models` in `XDG_CACHE_HOME` or in `~/.cache`.
//!
//! Limits: a file of at most [`FILE_BYTES_MAX`], [`REDIRECTS_MAX`] redirects, never from https to http.
//! Invariants: all files are of one commit; the model's SHA-256 is the one that the hub states for it; a folder is renamed
//! into the cache whole, with the digests of all its files in [`MANIFEST`], and files that differ from these are refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Response, Url, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_sample::durable::DurableError;

use crate::error::MeaningError;

/// Names that can be asked for, and the repository of each.
pub const MODELS: [(&str, &str); 4] = [
    ("all-MiniLM-L6-v2", "Xenova/all-MiniLM-L6-v2"),
    ("all-MiniLM-L12-v2", "Xenova/all-MiniLM-L12-v2"),
    ("all-mpnet-base-v2", "Xenova/all-mpnet-base-v2"),
    ("paraphrase-multilingual-MiniLM-L12-v2", "Xenova/paraphrase-multilingual-MiniLM-L12-v2"),
];
/// Bytes of a file.
pub const FILE_BYTES_MAX: u64 = 4 << 30;
/// Redirects of a request.
pub const REDIRECTS_MAX: usize = 5;
/// What a fetched folder says about itself.
pub const MANIFEST: &str = "weir-model.json";
/// Files in a repository, and their names in the folder.
const FILES: [(&str, &str); 5] = [
    ("onnx/model.onnx", "model.onnx"),
    ("tokenizer.json", "tokenizer.json"),
    ("config.json", "config.json"),
    ("special_tokens_map.json", "special_tokens_map.json"),
    ("tokenizer_config.json", "tokenizer_config.json"),
];

/// Where models come from and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// Address of the hub.
    pub endpoint: String,
    /// Folder of fetched models.
    pub cache: PathBuf,
}

impl Hub {
    /// From `HF_ENDPOINT`, `WEIR_MODELS`, `XDG_CACHE_HOME` and `HOME`.
    #[must_use]
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let caches = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .unwrap_or_else(std::env::temp_dir);
        Self {
            endpoint: set("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".into(),
                |value| value.to_string_lossy().into_owned(),
            ),
            cache: set("WEIR_MODELS").map_or_else(|| caches.join("weir/models"), PathBuf::from),
        }
    }

    /// The folder of a model: from the cache, or fetched. `progress` hears bytes of the file under way, and how many it has
    /// (0 where the hub does not say).
    ///
    /// # Errors
    /// [`MeaningError::UnknownModel`]; [`MeaningError::Hub`] where it cannot be fetched or is not what was fetched.
    pub fn model(
        &self,
        name: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<PathBuf, MeaningError> {
        let Some((_, repository)) = MODELS.into_iter().find(|(known, _)| *known == name) else {
            return Err(MeaningError::UnknownModel { name: name.to_owned() });
        };
        let folder = self.cache.join(name);
        if folder.join(MANIFEST).is_file() {
            check(&folder).map_err(|message| self.failed(repository, message))?;
            return Ok(folder);
        }
        // A thread and a runtime of its own: callers may be inside of another one.
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(self.fetch(repository, &folder, progress))
            });
            work.join().unwrap_or_else(|_| Err("the thread that fetches it ended".to_owned()))
        })
        .map_err(|message| self.failed(repository, message))?;
        Ok(folder)
    }

    fn failed(&self, repository: &str, message: String) -> MeaningError {
        let files: Vec<&str> = FILES.iter().map(|(remote, _)| *remote).collect();
        MeaningError::Hub {
            address: format!("{}/{repository}", self.endpoint.trim_end_matches('/')),
            message,
            files: files.join(", "),
        }
    }

    async fn fetch(
        &self,
        repository: &str,
        folder: &Path,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), String> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |error: std::io::Error| format!("{}: {error}", path.display())
        };
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&self.cache).map_err(io(&self.cache))?;
        // Removed when anything fails.
        let partial = Partial(folder.with_extension(format!("partial-{}", std::process::id())));
        std::fs::create_dir_all(&partial.0).map_err(io(&partial.0))?;
        let mut manifest =
            Manifest { repository: repository.to_owned(), commit: "main".to_owned(), files: BTreeMap::new() };
        for (remote, local) in FILES {
            let address = format!(
                "{}/{repository}/resolve/{}/{remote}",
                self.endpoint.trim_end_matches('/'),
                manifest.commit
            );
            let (response, stated) = open(&client, &address).await?;
            if let Some(commit) = stated.commit {
                manifest.commit = commit;
            }
            let path = partial.0.join(local);
            let found = write(response, &path, progress).await?;
            match stated.sha256 {
                Some(stated) if stated != found => {
                    return Err(format!("{remote} has SHA-256 {found}; the hub states {stated}"));
                }
                None if local == "model.onnx" => {
                    return Err(format!("the hub does not state the SHA-256 of {remote}"));
                }
                _ => {}
            }
            manifest.files.insert(local.to_owned(), found);
        }
        let text = serde_json::to_string_pretty(&manifest).map_err(|error| error.to_string())?;
        let path = partial.0.join(MANIFEST);
        let mut file = File::create(&path).map_err(io(&path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io(&path))?;
        std::fs::rename(&partial.0, folder).map_err(io(folder))
    }
}

/// What a fetched folder holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    repository: String,
    commit: String,
    /// SHA-256 in hex by file.
    files: BTreeMap<String, String>,
}

/// A folder under way.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // It was renamed, or it is of no use; what cannot be removed lies beside the models and disturbs nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the hub says about a file.
#[derive(Debug, Default)]
struct Stated {
    commit: Option<String>,
    sha256: Option<String>,
}

impl Stated {
    fn of(headers: &HeaderMap) -> Self {
        let hex = |name: &str, length: usize| {
            let value = headers.get(name)?.to_str().ok()?.trim_start_matches("W/").trim_matches('"');
            (value.len() == length && value.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .then(|| value.to_lowercase())
        };
        Self { commit: hex("x-repo-commit", 40), sha256: hex("x-linked-etag", 64) }
    }
}

/// The answer behind all redirects; what is stated about it is in the hub's own, the first.
async fn open(client: &Client, address: &str) -> Result<(Response, Stated), String> {
    let mut url = Url::parse(address).map_err(|error| format!("{address}: {error}"))?;
    let mut stated = Stated::default();
    for _ in 0..=REDIRECTS_MAX {
        let response = client
            .get(url.clone())
            .send()
            .await
            .map_err(|error| format!("cannot be reached: {}", reason(&error.without_url())))?;
        let said = Stated::of(response.headers());
        stated.commit = stated.commit.or(said.commit);
        stated.sha256 = stated.sha256.or(said.sha256);
        if !response.status().is_redirection() {
            return match response.status().as_u16() {
                200 => Ok((response, stated)),
                status => Err(format!("{address} answered {status}")),
            };
        }
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        let next = url.join(to).map_err(|error| format!("{address} is redirected to {to:?}: {error}"))?;
        if url.scheme() == "https" && next.scheme() != "https" {
            return Err(format!(
                "{address} is redirected to {}, without TLS",
                next.host_str().unwrap_or("?")
            ));
        }
        url = next;
    }
    Err(format!("{address} is redirected more than {REDIRECTS_MAX} times"))
}

/// An error with its causes: the outermost one says only that the request failed.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}

/// Writes an answer to a file; its SHA-256.
async fn write(
    mut response: Response,
    path: &Path,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(path).map_err(wrong)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
    let all = response.content_length().unwrap_or(0);
    loop {
        let chunk = response.chunk().await.map_err(|error| format!("broke off: {}", reason(&error)))?;
        let Some(chunk) = chunk else { break };
        bytes += chunk.len() as u64;
        if bytes > FILE_BYTES_MAX {
            return Err(format!("a file is larger than {FILE_BYTES_MAX} bytes"));
        }
        file.write_all(&chunk).map_err(wrong)?;
        digest.update(&chunk);
        progress(bytes, all);
    }
    file.sync_all().map_err(wrong)?;
    Ok(hex(&digest.finalize()))
}

/// Whether the files of a fetched folder are still what was fetched.
fn check(folder: &Path) -> Result<(), String> {
    let path = folder.join(MANIFEST);
    let refused = |path: &Path, what: String| {
        format!("{}: {what}; remove the folder to fetch it again", path.display())
    };
    let text = std::fs::read_to_string(&path).map_err(|error| refused(&path, error.to_string()))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| refused(&path, error.to_string()))?;
    for (name, stated) in &manifest.files {
        let path = folder.join(name);
        let found = sha256(&path).map_err(|error| refused(&path, error.to_string()))?;
        if found != *stated {
            return Err(refused(&path, "differs from what was fetched".to_owned()));
        }
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String, DurableError> {
    let wrong = |source| DurableError { path: path.to_path_buf(), action: "read", source };
    let mut file = File::open(path).map_err(wrong)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(wrong)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
