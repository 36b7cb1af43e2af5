//! Where the Envoy binary and the filter module are.
//!
//! Both look in a stated order and say in the error where they looked and what to do. Relative places are tried in the
//! current folder and in every folder above it, because tests and tools start in different folders of one repository.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Why a part was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No Envoy binary.
    #[error(
        "no envoy found: looked at {looked}\n  hint: run `make setup`, or name one with --envoy-binary or WEIR_ENVOY"
    )]
    Envoy {
        /// The places, in order.
        looked: String,
    },
    /// No filter module.
    #[error(
        "no filter module found: looked at {looked}\n  hint: run `make filter`, or name one with --filter or WEIR_FILTER"
    )]
    Filter {
        /// The places, in order.
        looked: String,
    },
}

/// Finds the Envoy binary: the explicit path, `WEIR_ENVOY`, `.venv/bin/envoy` here or above, `PATH`.
///
/// # Errors
/// When none is there; an explicit path or `WEIR_ENVOY` that does not exist is an error and not skipped.
pub fn find_envoy(explicit: Option<&Path>) -> Result<PathBuf, FindError> {
    let named = explicit.map(Path::to_owned).or_else(|| variable("WEIR_ENVOY"));
    let places = named.map_or_else(envoy_places, |path| vec![path]);
    match places.iter().find(|path| path.is_file()) {
        Some(found) => Ok(packaged_binary(found).unwrap_or_else(|| found.clone())),
        None => Err(FindError::Envoy { looked: listed(&places) }),
    }
}

/// Finds the module: the explicit path, `WEIR_FILTER`, then `wasm32-wasip1/filter/weir_filter.wasm` in
/// `CARGO_TARGET_DIR` and in `target` here or above. The path comes back absolute: Envoy runs in another folder.
///
/// # Errors
/// When none is there; an explicit path or `WEIR_FILTER` that does not exist is an error and not skipped.
pub fn find_filter(explicit: Option<&Path>) -> Result<PathBuf, FindError> {
    let named = explicit.map(Path::to_owned).or_else(|| variable("WEIR_FILTER"));
    let places = named.map_or_else(filter_places, |path| vec![path]);
    let found = places.iter().find(|path| path.is_file()).and_then(|path| fs::canonicalize(path).ok());
    found.ok_or_else(|| FindError::Filter { looked: listed(&places) })
}

fn envoy_places() -> Vec<PathBuf> {
    let mut places = here_and_above(Path::new(".venv/bin/envoy"));
    if let Some(path) = env::var_os("PATH") {
        places.extend(env::split_paths(&path).map(|folder| folder.join("envoy")));
    }
    places
}

fn filter_places() -> Vec<PathBuf> {
    let built = Path::new("wasm32-wasip1/filter/weir_filter.wasm");
    let mut places = Vec::new();
    places.extend(variable("CARGO_TARGET_DIR").map(|folder| folder.join(built)));
    places.extend(here_and_above(&Path::new("target").join(built)));
    places
}

/// The Python package's `envoy` is a script that replaces itself by the packaged binary. The binary is taken directly:
/// no interpreter start, and the process id is Envoy's from the first moment.
fn packaged_binary(script: &Path) -> Option<PathBuf> {
    let is_elf = fs::File::open(script).is_ok_and(|mut file| {
        let mut magic = [0; 4];
        std::io::Read::read_exact(&mut file, &mut magic).is_ok() && magic == *b"\x7fELF"
    });
    if is_elf {
        return None;
    }
    let library = script.parent()?.parent()?.join("lib");
    fs::read_dir(library)
        .ok()?
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|binary| binary.is_file())
}

fn here_and_above(relative: &Path) -> Vec<PathBuf> {
    let here = env::current_dir().unwrap_or_default();
    here.ancestors().map(|folder| folder.join(relative)).collect()
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_named_binary_that_is_not_there_is_an_error_with_a_hint() {
        let error = find_envoy(Some(Path::new("/nowhere/envoy"))).unwrap_err();
        insta::assert_snapshot!(error.to_string());
    }

    #[test]
    fn a_named_module_that_is_not_there_is_an_error_with_a_hint() {
        let error = find_filter(Some(Path::new("/nowhere/weir_filter.wasm"))).unwrap_err();
        insta::assert_snapshot!(error.to_string());
    }

    #[test]
    fn the_script_of_the_python_package_stands_for_the_binary_inside_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("bin/envoy");
        let binary = folder.path().join("lib/python3.11/site-packages/envoy/_bin/envoy");
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::create_dir_all(binary.parent().unwrap()).unwrap();
        fs::write(&script, "#!/usr/bin/python3\n").unwrap();
        fs::write(&binary, b"\x7fELF").unwrap();
        assert_eq!(find_envoy(Some(&script)).unwrap(), binary);
        assert_eq!(find_envoy(Some(&binary)).unwrap(), binary);
    }
}
