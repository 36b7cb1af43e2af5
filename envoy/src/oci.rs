//! The filter module as an OCI image layout: what `oras`, `crane` or `skopeo` push as it is, and Istio and Envoy Gateway pull.
//!
//! Two forms, both tagged in `index.json`:
//! - `TAG`: the wasm form, one layer `application/vnd.module.wasm.content.layer.v1+wasm` that is the module itself;
//! - `TAG-compat`: the container form, one `tar+gzip` layer with `plugin.wasm`, for registries that know images only.
//!
//! Invariants: no clock, user or host in any byte: the same module gives the same layout; every blob's name is its sha256.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Size of a tar record.
const TAR_RECORD_BYTES: usize = 512;

/// One file of the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutFile {
    /// Path below the layout's folder.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Sha256 as 64 hex digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sha256 of the image in the wasm form: what Istio and Envoy Gateway compare with their `sha256` field.
#[must_use]
pub fn image_sha256(module: &[u8]) -> String {
    let descriptor = manifest(&mut Vec::new(), (WASM_CONFIG, b"{}".to_vec()), (WASM_LAYER, module.to_vec()));
    let digest = descriptor.get("digest").and_then(Value::as_str).unwrap_or_default();
    digest.trim_start_matches("sha256:").to_owned()
}

/// The files of the layout, `index.json` last.
///
/// # Errors
/// Compression in memory that fails.
pub fn layout(module: &[u8], tag: &str) -> io::Result<Vec<LayoutFile>> {
    let mut files = vec![LayoutFile {
        path: PathBuf::from("oci-layout"),
        bytes: br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    }];
    let wasm = manifest(&mut files, (WASM_CONFIG, b"{}".to_vec()), (WASM_LAYER, module.to_vec()));
    let tar = tar(module);
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
    });
    let image =
        manifest(&mut files, (IMAGE_CONFIG, config.to_string().into_bytes()), (IMAGE_LAYER, gzip(&tar)?));
    let tagged = |descriptor: Value, tag: String| {
        let mut descriptor = descriptor;
        if let Some(map) = descriptor.as_object_mut() {
            map.insert("annotations".to_owned(), json!({"org.opencontainers.image.ref.name": tag}));
        }
        descriptor
    };
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [tagged(wasm, tag.to_owned()), tagged(image, format!("{tag}-compat"))],
    });
    files.push(LayoutFile { path: PathBuf::from("index.json"), bytes: index.to_string().into_bytes() });
    Ok(files)
}

/// Writes the layout into a folder, which is made; files of the same name are replaced.
///
/// # Errors
/// What the file system says.
pub fn write(folder: &Path, files: &[LayoutFile]) -> io::Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, &file.bytes)?;
    }
    Ok(())
}

/// Adds a manifest with its config and its one layer; the answer describes it.
fn manifest(files: &mut Vec<LayoutFile>, config: (&str, Vec<u8>), layer: (&str, Vec<u8>)) -> Value {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(files, config.0, config.1),
        "layers": [blob(files, layer.0, layer.1)],
    });
    blob(files, MANIFEST, manifest.to_string().into_bytes())
}

fn blob(files: &mut Vec<LayoutFile>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = sha256(&bytes);
    let descriptor =
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()});
    files.push(LayoutFile { path: Path::new("blobs/sha256").join(digest), bytes });
    descriptor
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// A tar with one file, `plugin.wasm`, of nobody and of no time.
fn tar(module: &[u8]) -> Vec<u8> {
    let size = format!("{:011o}\0", module.len());
    let mut header = Vec::with_capacity(TAR_RECORD_BYTES);
    let field = |header: &mut Vec<u8>, text: &str, width: usize| {
        let end = header.len() + width;
        header.extend_from_slice(text.as_bytes());
        header.resize(end, 0);
    };
    field(&mut header, "plugin.wasm", 100);
    for text in ["0000644\0", "0000000\0", "0000000\0"] {
        field(&mut header, text, 8);
    }
    field(&mut header, &size, 12);
    field(&mut header, "00000000000\0", 12);
    // The checksum is taken with spaces in its own place.
    let before_checksum = header.len();
    field(&mut header, "        ", 8);
    field(&mut header, "0", 1);
    field(&mut header, "", 100);
    field(&mut header, "ustar\x0000", 8);
    header.resize(TAR_RECORD_BYTES, 0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header.splice(before_checksum..before_checksum + 8, format!("{sum:06o}\0 ").into_bytes());
    let mut tar = header;
    tar.extend_from_slice(module);
    tar.resize(tar.len().next_multiple_of(TAR_RECORD_BYTES) + 2 * TAR_RECORD_BYTES, 0);
    tar
}
