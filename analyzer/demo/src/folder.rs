//! The output folder: what goes where, and the promise that nothing of anybody else is touched.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, tz::TimeZone};

use crate::error::DemoError;

/// The files of one demo.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
    /// What the collector writes and the analyzer reads.
    pub(crate) data: PathBuf,
    /// Bootstrap and log of Envoy.
    pub(crate) envoy: PathBuf,
    /// The policy as Envoy reads it.
    pub(crate) ecds: PathBuf,
    pub(crate) report: PathBuf,
}

impl Folder {
    /// Makes the folder: the named one, which must be empty or not there, or a new one under `target/demo`.
    pub(crate) fn create(named: Option<&Path>, title: &str) -> Result<Self, DemoError> {
        let root = match named {
            Some(path) => path.to_path_buf(),
            None => fresh(title)?,
        };
        fs::create_dir_all(&root).map_err(DemoError::file(&root))?;
        if fs::read_dir(&root).map_err(DemoError::file(&root))?.next().is_some() {
            return Err(DemoError::NotEmpty { path: root });
        }
        // Envoy runs with absolute paths, whatever its working folder is.
        let absolute = fs::canonicalize(&root).map_err(DemoError::file(&root))?;
        let folder = Self {
            data: root.join("data"),
            envoy: absolute.join("envoy"),
            ecds: absolute.join("ecds").join("weir.json"),
            report: root.join("report.html"),
            root,
        };
        for path in [&folder.data, &folder.envoy, &absolute.join("ecds")] {
            fs::create_dir_all(path).map_err(DemoError::file(path))?;
        }
        Ok(folder)
    }

    /// Writes a document for people to look at and for the parsers to read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), DemoError> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(DemoError::file(&path))
    }
}

/// A folder that is not there yet: `target/demo/<title>-<UTC time>`, with a number where two runs meet.
fn fresh(title: &str) -> Result<PathBuf, DemoError> {
    let base = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("demo");
    fs::create_dir_all(&base).map_err(DemoError::file(&base))?;
    let time = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S").to_string();
    for number in 1.. {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = base.join(format!("{title}-{time}{suffix}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DemoError::File { path, source: error }),
        }
    }
    Err(DemoError::NotEmpty { path: base })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_folder_with_files_in_it_is_refused_and_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "x").unwrap();
        let error = Folder::create(Some(place.path()), "worse").unwrap_err();
        assert!(matches!(error, DemoError::NotEmpty { .. }), "{error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_folder_has_a_place_for_everything() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(Some(&place.path().join("a/b")), "worse").unwrap();
        folder.write("policy.yaml", "x").unwrap();
        assert!(folder.data.is_dir() && folder.envoy.is_absolute() && folder.ecds.parent().unwrap().is_dir());
        assert!(folder.root.join("policy.yaml").is_file());
    }
}
