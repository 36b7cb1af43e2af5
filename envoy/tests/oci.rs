//! The image layout: digests, forms, and the same bytes each time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use weir_envoy::oci::{image_sha256, layout, sha256};

const MODULE: &[u8] = b"\0asm\x01\0\0\0 and the rest";

fn blobs() -> (Value, BTreeMap<String, Vec<u8>>) {
    let files = layout(MODULE, "1.2").unwrap();
    let mut by_path: BTreeMap<_, _> =
        files.into_iter().map(|file| (file.path.to_string_lossy().into_owned(), file.bytes)).collect();
    let index = serde_json::from_slice(&by_path.remove("index.json").unwrap()).unwrap();
    assert_eq!(by_path.remove("oci-layout").unwrap(), br#"{"imageLayoutVersion":"1.0.0"}"#);
    (index, by_path)
}

/// The blob that a descriptor means, its digest and size checked.
fn blob<'a>(blobs: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = &blobs[&format!("blobs/sha256/{digest}")];
    assert_eq!(sha256(bytes), digest);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

#[test]
fn every_digest_and_size_is_that_of_its_blob_and_both_forms_hold_the_module() {
    let (index, blobs) = blobs();
    let mut seen = Vec::new();
    for descriptor in index["manifests"].as_array().unwrap() {
        let manifest: Value = serde_json::from_slice(blob(&blobs, descriptor)).unwrap();
        blob(&blobs, &manifest["config"]);
        let layer = blob(&blobs, &manifest["layers"][0]);
        let tag = descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
        match manifest["layers"][0]["mediaType"].as_str().unwrap() {
            "application/vnd.module.wasm.content.layer.v1+wasm" => assert_eq!(layer, MODULE),
            "application/vnd.oci.image.layer.v1.tar+gzip" => {
                let mut tar = Vec::new();
                flate2::read::GzDecoder::new(layer).read_to_end(&mut tar).unwrap();
                assert!(tar.starts_with(b"plugin.wasm\0") && tar.len() % 512 == 0);
                assert_eq!(&tar[257..265], b"ustar\x0000");
                assert_eq!(&tar[512..512 + MODULE.len()], MODULE);
                let sum: u32 = tar[..512]
                    .iter()
                    .enumerate()
                    .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
                    .sum();
                assert_eq!(tar[148..154], *format!("{sum:06o}").as_bytes());
                let config: Value = serde_json::from_slice(blob(&blobs, &manifest["config"])).unwrap();
                assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&tar)));
            }
            other => assert_eq!(other, "a known layer"),
        }
        seen.push(tag.to_owned());
    }
    assert_eq!(seen, ["1.2", "1.2-compat"]);
    assert_eq!(index["manifests"][0]["digest"], format!("sha256:{}", image_sha256(MODULE)));
    assert_eq!(blobs.len(), 6);
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    assert_eq!(layout(MODULE, "1").unwrap(), layout(MODULE, "1").unwrap());
    let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256(b""), known);
}
