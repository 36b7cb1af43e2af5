//! Changes the policy inside an existing ECDS file: an `envoy.service.discovery.v3.DiscoveryResponse` as JSON.
//!
//! Only the policy (the wasm plugin's `configuration`) and `version_info` change; module, runtime, failure policy and
//! every other resource of the file stay as the operator wrote them. The new file takes the old one's place by
//! `rename(2)` in the same folder, so that neither Envoy nor anyone else ever reads half of one.
//!
//! Format: `resources[*]` with the extension's name, in it `typed_config.config.configuration`, a `StringValue` (the
//! policy as JSON text) or a `Struct` (the policy as an object). Field names in `snake_case` or `camelCase`; a file in
//! YAML is refused.
//!
//! Invariants: the revision in the file never goes down or stays unless forced, also with several writers (a lock file
//! `.NAME.lock` lies beside it while and after it is written). Limit: 16 MiB per file.
//!
//! The file carries one policy, or several experiments (`kind: Experiments`). In a file of several, a policy takes the place of
//! its own experiment, and the others stay byte for byte; its revision becomes the document's next one, chosen under the lock,
//! so that several rollouts can steer one file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_document::Problems;
use weir_policy::{Experiments, Mode, PluginConfiguration, Policy};

use crate::splice;

/// Largest ECDS file that is read.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An ECDS file and the extension in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcdsFile {
    path: PathBuf,
    name: String,
}

/// What the file carries now.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The revision: the higher one of `version_info` and the policy's own; 0 when neither is a number. Of one experiment of
    /// several, see [`Carried::of`]: its own.
    pub revision: u64,
    /// `version_info` as it stands there.
    pub version_info: String,
    /// The policy, or the document of several experiments; `Null` when the configuration is not JSON.
    pub policy: Value,
}

/// A change that is in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced {
    /// What was there before.
    pub before: Carried,
    /// What is there now.
    pub after: Carried,
}

/// Which experiments of a document are taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One, by its name.
    One(String),
    /// All of them.
    All,
}

/// Why a file was not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum EcdsError {
    /// The file system said no.
    #[error("{}: cannot be {what}: {source}\n  hint: {hint}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `locked` or `written`.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// Not the expected format.
    #[error("{}: {place}: {message}\n  hint: {hint}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Path of the field.
        place: String,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// The file carries several experiments, and none or not this one was named.
    #[error("{}: carries the experiments {}; {}\n  hint: {hint}", path.display(), there.join(", "), match given { Some(given) => format!("none is named '{given}'"), None => String::from("it has to be said which one is meant") })]
    Experiment {
        /// The file.
        path: PathBuf,
        /// The name that was given.
        given: Option<String>,
        /// The names in the file.
        there: Vec<String>,
        /// What to do.
        hint: &'static str,
    },
    /// The document would not be valid any more.
    #[error("{0}")]
    Document(Problems),
    /// The file already carries this revision or a later one.
    #[error(
        "{}: carries revision {there}, revision {given} is not after it\n  hint: set `revision: {}` in the policy, or force the push if this is a restore",
        path.display(), there + 1
    )]
    NotAfter {
        /// The file.
        path: PathBuf,
        /// The revision in the file.
        there: u64,
        /// The revision that was to be written.
        given: u64,
    },
}

impl Carried {
    pub(crate) fn new(revision: u64, policy_json: &str) -> Self {
        let policy = serde_json::from_str(policy_json).unwrap_or(Value::Null);
        Self { revision, version_info: revision.to_string(), policy }
    }

    /// The policy's mode, for example `rolled-back`; none of a document of several experiments.
    pub fn mode(&self) -> Option<&str> {
        self.policy.get("mode").and_then(Value::as_str)
    }

    /// Whether the file carries several experiments.
    pub fn is_of_several(&self) -> bool {
        self.policy.get("kind").and_then(Value::as_str) == Some("Experiments")
    }

    /// Each of several experiments by itself: its policy, and its own revision, or the document's where it has none.
    pub fn experiments(&self) -> Vec<Self> {
        let list = self.policy.get("experiments").and_then(Value::as_array);
        let one = |policy: &Value| Self {
            revision: policy.get("revision").and_then(whole_number).unwrap_or(self.revision),
            version_info: self.version_info.clone(),
            policy: policy.clone(),
        };
        list.into_iter().flatten().filter(|_| self.is_of_several()).map(one).collect()
    }

    /// What is carried of this experiment: its part of a document of several; the whole where there is one policy. None where
    /// a document of several has no experiment of that name.
    pub fn of(&self, experiment: &str) -> Option<Self> {
        if !self.is_of_several() {
            return Some(self.clone());
        }
        self.experiments().into_iter().find(|one| one.experiment() == Some(experiment))
    }

    /// Whether responses under this policy show its revision; of several experiments, whether all do, since any of them may
    /// answer a probe.
    pub fn shows_revision(&self) -> bool {
        if self.is_of_several() {
            let all = self.experiments();
            let told = |one: &Self| one.told() != Some(false);
            return all.iter().all(told) && all.iter().any(|one| one.mode() != Some(Mode::Off.as_str()));
        }
        self.told().unwrap_or(true) && self.mode() != Some(Mode::Off.as_str())
    }

    fn told(&self) -> Option<bool> {
        self.policy.pointer("/responseHeaders/revision").and_then(Value::as_bool)
    }

    /// The policy's experiment.
    pub fn experiment(&self) -> Option<&str> {
        self.policy.get("experiment").and_then(Value::as_str)
    }
}

impl EcdsFile {
    /// The extension `name` in the file at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into() }
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the revision and the policy in the file.
    ///
    /// # Errors
    /// When the file cannot be read or has another format.
    pub fn read(&self) -> Result<Carried, EcdsError> {
        let mut response = self.response()?;
        let version_info = self.version(&mut response)?.as_str().unwrap_or_default().to_owned();
        let policy = match self.configuration(&mut response)? {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        let inside = policy.get("revision").and_then(whole_number).unwrap_or(0);
        let revision = version_info.parse().unwrap_or(0).max(inside);
        Ok(Carried { revision, version_info, policy })
    }

    /// Puts this policy with this revision in the place of the present one. One whose revision is below the one in the file says
    /// what it takes the place of (`replaces`): the filter refuses it otherwise.
    ///
    /// # Errors
    /// When the file cannot be read, has another format, cannot be written, or (unless `force`) does not carry a lower
    /// revision. On an error the old file is still there, whole.
    pub fn replace(&self, policy_json: &str, revision: u64, force: bool) -> Result<Replaced, EcdsError> {
        let _lock = self.lock()?;
        let before = self.read()?;
        if before.revision >= revision && !force {
            return Err(EcdsError::NotAfter {
                path: self.path.clone(),
                there: before.revision,
                given: revision,
            });
        }
        let restore = (before.revision > revision).then(|| restoring(policy_json, before.revision)).flatten();
        let policy_json = restore.as_deref().unwrap_or(policy_json);
        self.write(policy_json, revision)?;
        Ok(Replaced { after: Carried::new(revision, policy_json), before })
    }

    /// Writes the file anew; the caller has the lock.
    fn write(&self, policy_json: &str, revision: u64) -> Result<(), EcdsError> {
        let mut response = self.response()?;
        *self.version(&mut response)? = Value::String(revision.to_string());
        let configuration = self.configuration(&mut response)?;
        *configuration = if configuration.is_string() {
            Value::String(policy_json.to_owned())
        } else {
            serde_json::from_str(policy_json).map_err(|error| {
                self.format("the new policy", error.to_string(), "this is a mistake in weir")
            })?
        };
        // A `Value` whose keys are strings always has a text.
        let text = format!("{response:#}\n");
        weir_envoy::write_ecds(&self.path, &text).map_err(|source| EcdsError::Io {
            path: self.path.clone(),
            what: "written",
            source,
            hint: "the file and its folder must be writable by the user that runs weir",
        })
    }

    /// Puts a policy in: in the place of the policy that is there, or, in a file of several experiments, of its own experiment,
    /// whose revision then becomes the document's next one.
    ///
    /// # Errors
    /// As [`EcdsFile::replace`]; where there are several experiments and not this one, and where they would not fit together.
    pub fn put(&self, policy: &Policy, force: bool) -> Result<Replaced, EcdsError> {
        let carried = self.read()?;
        if !carried.is_of_several() {
            return self.replace(&policy.to_json(), policy.revision, force);
        }
        let after = Some(policy.revision).filter(|_| !force);
        self.edit(&Which::One(policy.experiment.clone()), after, policy.revision, |_, revision| {
            Policy { revision, ..policy.clone() }.to_json()
        })
    }

    /// Whether [`EcdsFile::put`] would find a valid document; nothing is written.
    ///
    /// # Errors
    /// As [`EcdsFile::put`].
    pub fn check(&self, policy: &Policy) -> Result<(), EcdsError> {
        let carried = self.read()?;
        if !carried.is_of_several() {
            return Ok(());
        }
        let which = Which::One(policy.experiment.clone());
        let revision = policy.revision.max(carried.revision + 1);
        self.edited(&carried, &which, revision, |_, revision| Policy { revision, ..policy.clone() }.to_json())
            .map(|_| ())
    }

    /// Takes experiments of a file of several back: their mode becomes `rolled-back`, or `given` with that mode takes the place
    /// of the one of its name. A policy that this weir cannot read is taken back by
    /// its fields.
    ///
    /// # Errors
    /// As [`EcdsFile::put`].
    pub fn take_back(&self, which: &Which, given: Option<&Policy>) -> Result<Replaced, EcdsError> {
        self.edit(which, None, 0, |entry, revision| {
            let name = entry.get("experiment").and_then(Value::as_str);
            let given = given.filter(|given| name == Some(given.experiment.as_str())).cloned();
            let brake = |policy: Policy| Policy { revision, mode: Mode::RolledBack, ..policy }.to_json();
            let known = given.or_else(|| Policy::parse("the policy in the file", &entry.to_string()).ok());
            known.map_or_else(|| brake_by_fields(entry, revision), brake)
        })
    }

    /// Changes experiments of a document of several; `after` must be above the revision of the one that is changed.
    fn edit(
        &self,
        which: &Which,
        after: Option<u64>,
        least: u64,
        edit: impl Fn(&Value, u64) -> String,
    ) -> Result<Replaced, EcdsError> {
        let _lock = self.lock()?;
        let before = self.read()?;
        if let (Which::One(name), Some(given)) = (which, after)
            && let Some(one) = before.of(name).filter(|one| one.revision >= given)
        {
            return Err(EcdsError::NotAfter { path: self.path.clone(), there: one.revision, given });
        }
        let revision = least.max(before.revision + 1);
        let json = self.edited(&before, which, revision, edit)?;
        self.write(&json, revision)?;
        Ok(Replaced { before, after: Carried::new(revision, &json) })
    }

    /// The document with the change. One that was valid stays valid, or nothing is changed.
    fn edited(
        &self,
        before: &Carried,
        which: &Which,
        revision: u64,
        edit: impl Fn(&Value, u64) -> String,
    ) -> Result<String, EcdsError> {
        let there: Vec<String> =
            before.experiments().iter().filter_map(|one| one.experiment().map(str::to_owned)).collect();
        if let Which::One(name) = which
            && !there.contains(name)
        {
            return Err(EcdsError::Experiment {
                path: self.path.clone(),
                given: Some(name.clone()),
                there,
                hint: "push the document that has it, or name one of these",
            });
        }
        let mut response = self.response()?;
        let configuration = self.configuration(&mut response)?;
        let text = match configuration {
            Value::String(text) => std::mem::take(text),
            other => other.to_string(),
        };
        let meant = |entry: &Value| match which {
            Which::One(name) => entry.get("experiment").and_then(Value::as_str) == Some(name),
            Which::All => true,
        };
        let new = splice::replace(&text, revision, |entry| meant(entry).then(|| edit(entry, revision)));
        let new = new.ok_or_else(|| {
            self.format(
                "the document of several experiments",
                String::from("has no `revision`, or no list `experiments`"),
                "check it with `weir validate`",
            )
        })?;
        let name = self.path.display().to_string();
        match (Experiments::parse(&name, &text), Experiments::parse(&name, &new)) {
            (Ok(_), Err(problems)) => Err(EcdsError::Document(problems)),
            _ => Ok(new),
        }
    }

    /// Keeps other writers out until it is dropped (also when this process dies).
    fn lock(&self) -> Result<File, EcdsError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let path = self.path.with_file_name(format!(".{name}.lock"));
        let locked = File::options().create(true).truncate(false).write(true).open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(|source| EcdsError::Io {
            path,
            what: "locked",
            source,
            hint: "the folder of the ECDS file must exist and be writable by the user that runs weir",
        })
    }

    fn response(&self) -> Result<Value, EcdsError> {
        let io = |source| EcdsError::Io {
            path: self.path.clone(),
            what: "read",
            source,
            hint: "--envoy ecds-file:PATH must name the file that Envoy's config_discovery watches; `weir render` or \
                   envoy/templates show how it begins",
        };
        let bytes_total = fs::metadata(&self.path).map_err(io)?.len();
        if bytes_total > FILE_BYTES_MAX {
            let message = format!("has {bytes_total} bytes; allowed: up to {FILE_BYTES_MAX}");
            return Err(self.format("the file", message, "is this the ECDS file?"));
        }
        let text = fs::read_to_string(&self.path).map_err(io)?;
        serde_json::from_str(&text).map_err(|error| {
            self.format(
                "the file",
                format!("is not JSON: {error}"),
                "weir changes ECDS files in JSON; a YAML file can be converted once, Envoy reads both",
            )
        })
    }

    fn version<'a>(&self, response: &'a mut Value) -> Result<&'a mut Value, EcdsError> {
        let key = if response.get("versionInfo").is_some() { "versionInfo" } else { "version_info" };
        match response.as_object_mut() {
            Some(fields) => Ok(fields.entry(key).or_insert_with(|| Value::String(String::new()))),
            None => Err(self.format("the file", String::from("is not an object"), DISCOVERY_HINT)),
        }
    }

    /// The place of the policy: a string with JSON, or an object.
    fn configuration<'a>(&self, response: &'a mut Value) -> Result<&'a mut Value, EcdsError> {
        let Some(resources) = response.get_mut("resources").and_then(Value::as_array_mut) else {
            return Err(self.format("resources", String::from("is missing or not a list"), DISCOVERY_HINT));
        };
        let names: Vec<String> =
            resources.iter().filter_map(|each| each.get("name")?.as_str().map(str::to_owned)).collect();
        let named = resources
            .iter_mut()
            .enumerate()
            .find(|(_, each)| each.get("name").and_then(Value::as_str) == Some(self.name.as_str()));
        let Some((index, resource)) = named else {
            let message = format!("none is named '{}'; there: {}", self.name, names.join(", "));
            return Err(self.format(
                "resources",
                message,
                "give the extension's name with name=NAME in --envoy",
            ));
        };
        let place = format!("resources[{index}].typed_config.config.configuration.value");
        let value = either(resource, "typed_config", "typedConfig")
            .and_then(|config| config.get_mut("config"))
            .and_then(|config| config.get_mut("configuration"))
            .and_then(|configuration| configuration.get_mut("value"));
        match value {
            Some(value) if value.is_string() || value.is_object() => Ok(value),
            Some(_) => Err(self.format(&place, String::from("is neither a string nor an object"), WASM_HINT)),
            None => Err(self.format(&place, String::from("is missing"), WASM_HINT)),
        }
    }

    fn format(&self, place: &str, message: String, hint: &'static str) -> EcdsError {
        EcdsError::Format { path: self.path.clone(), place: place.to_owned(), message, hint }
    }
}

/// The configuration as a restore that takes the place of a later revision; none where it is none that can be read.
fn restoring(json: &str, newest: u64) -> Option<String> {
    let replaces = Some(newest);
    match PluginConfiguration::parse("the restored policy", json).ok()? {
        PluginConfiguration::Policy(policy) => Some(Policy { replaces, ..*policy }.to_json()),
        PluginConfiguration::Experiments(several) => Some(Experiments { replaces, ..several }.to_json()),
        PluginConfiguration::Capture(_) => None,
    }
}

/// A policy that this weir cannot read, with mode `rolled-back`.
fn brake_by_fields(entry: &Value, revision: u64) -> String {
    let mut entry = entry.clone();
    if let Some(fields) = entry.as_object_mut() {
        fields.insert("mode".to_owned(), Value::from(Mode::RolledBack.as_str()));
        fields.insert("revision".to_owned(), Value::from(revision));
    }
    entry.to_string()
}

const DISCOVERY_HINT: &str =
    "the file must be a DiscoveryResponse: {\"version_info\": ..., \"resources\": [...]}";
const WASM_HINT: &str = "the extension must be envoy.extensions.filters.http.wasm.v3.Wasm with a StringValue or Struct as configuration";

fn either<'a>(value: &'a mut Value, snake: &str, camel: &str) -> Option<&'a mut Value> {
    let key = if value.get(snake).is_some() { snake } else { camel };
    value.get_mut(key)
}

/// A whole number, also as 7.0 or "7" (a protobuf Struct has only doubles, so people write large ones as text).
fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| {
            let double = number.as_f64()?;
            (double.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&double))
                .then_some(double as u64)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;

    fn file(folder: &Path, response: &Value) -> EcdsFile {
        let path = folder.join("ecds.json");
        fs::write(&path, response.to_string()).unwrap();
        EcdsFile::new(path, "weir")
    }

    fn response(policy: Value) -> Value {
        json!({
            "version_info": "7",
            "type_url": "kept",
            "resources": [
                {"name": "other", "typed_config": {"kept": true}},
                {"name": "weir", "typed_config": {"@type": "wasm", "config": {
                    "vm_config": {"code": {"local": {"filename": "/filter.wasm"}}},
                    "configuration": {"@type": "StringValue", "value": policy},
                }}},
            ],
        })
    }

    #[test]
    fn only_the_policy_and_the_version_change() {
        let folder = tempfile::tempdir().unwrap();
        let before = response(json!("{\"revision\": 7, \"mode\": \"shadow\"}"));
        let ecds = file(folder.path(), &before);
        assert_eq!(ecds.read().unwrap().mode(), Some("shadow"));
        let replaced = ecds.replace("{\"revision\":8}", 8, false).unwrap();
        assert_eq!(replaced.before.revision, 7);
        let mut expected = before;
        expected["version_info"] = json!("8");
        expected["resources"][1]["typed_config"]["config"]["configuration"]["value"] =
            json!("{\"revision\":8}");
        let after: Value = serde_json::from_str(&fs::read_to_string(ecds.path()).unwrap()).unwrap();
        assert_eq!(after, expected);
    }

    #[test]
    fn a_policy_that_was_an_object_stays_an_object() {
        let folder = tempfile::tempdir().unwrap();
        let ecds = file(folder.path(), &response(json!({"revision": "9", "experiment": "e"})));
        let carried = ecds.read().unwrap();
        assert_eq!((carried.revision, carried.experiment()), (9, Some("e")));
        ecds.replace("{\"revision\":10.0}", 10, false).unwrap();
        assert_eq!(ecds.read().unwrap().policy, json!({"revision": 10.0}));
        assert_eq!(ecds.read().unwrap().revision, 10);
    }

    #[test]
    fn a_revision_that_does_not_grow_is_refused_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let ecds = file(folder.path(), &response(json!("{\"revision\": 12}")));
        for revision in [7, 11, 12] {
            let refused = ecds.replace("{}", revision, false).unwrap_err();
            assert!(matches!(refused, EcdsError::NotAfter { there: 12, .. }), "{refused}");
        }
        assert_eq!(ecds.read().unwrap().version_info, "7");
        ecds.replace("{\"revision\": 3}", 3, true).unwrap();
        assert_eq!(ecds.read().unwrap().revision, 3);
    }

    #[test]
    fn an_experiment_of_a_later_version_is_taken_back_and_one_in_an_object_too() {
        let later = r#"{"revision": 3, "kind": "Experiments", "experiments": [{"experiment":"a","mode":"full","novel":1}, {"experiment":"b"}]}"#;
        for stored in [json!(later), serde_json::from_str(later).unwrap()] {
            let folder = tempfile::tempdir().unwrap();
            let ecds = file(folder.path(), &response(stored));
            let taken = ecds.take_back(&Which::One("a".to_owned()), None).unwrap();
            assert_eq!((taken.before.revision, taken.after.revision), (7, 8));
            let carried = ecds.read().unwrap();
            let a = json!({"experiment": "a", "mode": "rolled-back", "novel": 1, "revision": 8});
            assert_eq!(carried.of("a").unwrap().policy, a);
            assert_eq!((carried.of("b").unwrap().revision, carried.of("c")), (3, None));
        }
    }

    #[test]
    fn a_concurrent_reader_never_sees_half_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let ecds = file(folder.path(), &response(json!("{}")));
        let done = AtomicBool::new(false);
        let filling = "x".repeat(50_000);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = std::collections::BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    let carried = ecds.read().expect("the file is whole at every moment");
                    assert!(carried.policy.is_object());
                    seen.insert(carried.revision);
                }
                seen
            });
            for revision in 8..208 {
                let policy = json!({"revision": revision, "filling": filling}).to_string();
                ecds.replace(&policy, revision, false).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap().len() > 1, "the reader met several revisions");
        });
        assert_eq!(ecds.read().unwrap().revision, 207);
    }

    #[test]
    fn a_forced_push_of_a_lower_revision_says_what_it_takes_the_place_of() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(
            "policy",
            "{apiVersion: weir/v1, kind: Policy, experiment: e, revision: 3, mode: off, \
             control: {cluster: c, snapshot: {model: {name: m, version: '1'}}}}",
        )
        .unwrap();
        let ecds = file(folder.path(), &response(json!(policy.to_json())));
        let later = Policy { revision: 9, ..policy.clone() };
        assert_eq!(ecds.put(&later, false).unwrap().after.policy.get("replaces"), None);
        assert!(matches!(ecds.put(&policy, false), Err(EcdsError::NotAfter { there: 9, given: 3, .. })));
        let put = ecds.put(&policy, true).unwrap();
        assert_eq!((put.before.revision, put.after.revision), (9, 3));
        assert_eq!((put.after.policy["replaces"].as_u64(), ecds.read().unwrap()), (Some(9), put.after));
        let again = ecds.put(&policy, true).unwrap();
        assert_eq!(again.after.policy.get("replaces"), None, "the same revision is none that comes late");
    }

    #[test]
    fn of_many_writers_with_the_same_revision_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let ecds = file(folder.path(), &response(json!("{}")));
        let winners: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (8..40).filter(|r| ecds.replace("{}", *r, false).is_ok()).count()))
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert!(winners <= 32, "{winners} writes for 32 revisions");
        assert_eq!(ecds.read().unwrap().revision, 39);
    }

    #[test]
    fn every_refusal_names_file_place_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ecds.json");
        let ecds = EcdsFile::new(&path, "weir");
        let mut refusals = Vec::new();
        let mut note = |ecds: &EcdsFile| {
            let text = ecds.read().unwrap_err().to_string();
            refusals.push(text.replace(&folder.path().display().to_string(), "FOLDER"));
        };
        note(&ecds);
        for content in [
            "version_info: 1",
            "[]",
            "{}",
            r#"{"resources": [{"name": "a"}, {"name": "b"}]}"#,
            r#"{"resources": [{"name": "weir"}]}"#,
            r#"{"resources": [{"name": "weir", "typedConfig": {"config": {"configuration": {"value": 3}}}}]}"#,
        ] {
            fs::write(&path, content).unwrap();
            note(&ecds);
        }
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
