//! The file that carries one policy revision to the filter: an ECDS `DiscoveryResponse` as JSON.
//!
//! Envoy watches the file's folder and reads the file when something is renamed into it, so a revision is written
//! next to it, flushed to the disk and renamed: no reader ever sees half a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::template;

const RESPONSE: &str = include_str!("../templates/ecds_response.json");
/// What the module may ask of its host and what the host calls in it, by name; everything else is shut.
const CAPABILITIES: &str = include_str!("../templates/capabilities.json");
const WASM: &str = include_str!("../templates/wasm.json");

/// The ECDS response that gives the filter this policy; `version_info` is the revision.
///
/// `policy_json` goes in as the plugin configuration, unread: whether it is a valid policy is for the filter to say.
#[must_use]
pub fn ecds_response(policy_json: &str, revision: u64, module: &Path) -> String {
    let wasm = wasm(policy_json, module);
    template::render(RESPONSE, &[("revision", json!(revision.to_string())), ("typed_config", wasm)])
        // The templates are constants of this crate and a test renders them; there is no input that could fail here.
        .unwrap_or_default()
}

/// Puts the text in place of the file at `path` by a rename in its own folder; Envoy notices the rename.
///
/// # Errors
/// What the file system says; then the old file still stands.
pub fn write_ecds(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // The first error is the one to report; a leftover temporary file is harmless and its name says what it is.
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    File::open(folder)?.sync_all()
}

/// The wasm filter's own configuration, the same for the HTTP filter and the upstream filter but for `configuration`:
/// the same VM id, code and VM configuration are what lets both share one VM per worker.
pub(crate) fn wasm(configuration: &str, module: &Path) -> Value {
    let names: Vec<String> = serde_json::from_str(CAPABILITIES).unwrap_or_default();
    let allowed: serde_json::Map<_, _> = names.into_iter().map(|name| (name, json!({}))).collect();
    let values = [
        ("module_path", json!(module.to_string_lossy())),
        ("configuration", json!(configuration)),
        ("capabilities", Value::Object(allowed)),
    ];
    template::render_json(WASM, &values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_response_carries_the_policy_as_a_string_and_the_revision_as_its_version() {
        let text = ecds_response(r#"{"revision": 7}"#, 7, Path::new("/module.wasm"));
        let response: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(response["version_info"], "7");
        let config = &response["resources"][0]["typed_config"]["config"];
        assert_eq!(config["configuration"]["value"], r#"{"revision": 7}"#);
        assert_eq!(config["vm_config"]["code"]["local"]["filename"], "/module.wasm");
        assert_eq!(config["failure_policy"], "FAIL_OPEN");
    }

    #[test]
    fn every_host_call_and_entry_point_of_the_module_is_allowed() {
        let allowed: Vec<String> = serde_json::from_str(CAPABILITIES).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filter/plugin/src");
        let mut seen = 0;
        for file in ["abi.rs", "wasm.rs"] {
            let source = fs::read_to_string(sources.join(file)).unwrap();
            for line in source.lines().filter(|line| line.contains("fn proxy_")) {
                let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap();
                assert!(allowed.iter().any(|allowed| allowed == name), "{name} is not in capabilities.json");
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn a_rename_leaves_no_temporary_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.json");
        write_ecds(&path, "one").unwrap();
        write_ecds(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
