//! Names the version of the definitions: a hash of the source of this crate, of the tripwires and of the columns of values, so that
//! figures that were kept beside the data by other definitions are not taken for those of these.

use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    // What is kept of answers, and in which form, is defined there.
    let folders = ["src", "../tripwire/src", "../gate/src/values"];
    for folder in folders {
        walk(Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.to_string_lossy().as_bytes());
        hasher.write(&fs::read(&file)?);
    }
    for folder in folders {
        println!("cargo:rerun-if-changed={folder}");
    }
    println!("cargo:rustc-env=WEIR_METRICS_SOURCE={:016x}", hasher.finish());
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
