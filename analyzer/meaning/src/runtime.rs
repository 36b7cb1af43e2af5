//! Finding and loading the ONNX runtime, a shared library that is not part of this program.
//!
//! Order: `ORT_DYLIB_PATH`; the Python wheel in `.venv` or in `VIRTUAL_ENV`; the system's library folders. The first that
//! exists is loaded, once per process; `ORT_DYLIB_PATH` that names nothing is an error and not passed over.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::MeaningError;

static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Loads the runtime if it is not loaded yet; where it was found.
pub(crate) fn load() -> Result<PathBuf, MeaningError> {
    let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = loaded.as_ref() {
        return Ok(path.clone());
    }
    let path = find()?;
    let failed = |message: String| MeaningError::Runtime { path: path.clone(), message };
    ort::init_from(&path).map_err(|error| failed(error.to_string()))?;
    *loaded = Some(path.clone());
    Ok(path)
}

fn find() -> Result<PathBuf, MeaningError> {
    if let Some(named) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(named);
        if path.is_file() {
            return Ok(path);
        }
        return Err(MeaningError::NoRuntime {
            looked: format!("ORT_DYLIB_PATH={} (not a file)", path.display()),
        });
    }
    let environments = [Some(PathBuf::from(".venv")), std::env::var_os("VIRTUAL_ENV").map(PathBuf::from)];
    let wheel = environments.iter().flatten().find_map(|environment| in_wheel(environment));
    let system = [
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/opt/onnxruntime/lib",
    ];
    wheel.or_else(|| system.iter().find_map(|folder| in_folder(Path::new(folder)))).ok_or_else(|| {
        MeaningError::NoRuntime {
            looked: format!("ORT_DYLIB_PATH (not set), .venv, VIRTUAL_ENV, {}", system.join(", ")),
        }
    })
}

/// `ENV/lib/python3.*/site-packages/onnxruntime/capi`.
fn in_wheel(environment: &Path) -> Option<PathBuf> {
    let mut pythons: Vec<PathBuf> =
        std::fs::read_dir(environment.join("lib")).ok()?.flatten().map(|entry| entry.path()).collect();
    pythons.sort();
    pythons.iter().find_map(|python| in_folder(&python.join("site-packages/onnxruntime/capi")))
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let name = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    };
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(name).collect();
    found.sort();
    found.pop()
}
