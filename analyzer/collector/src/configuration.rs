//! The collector's configuration file: what of captured text is kept, in which form, and what one sender may take.
//!
//! A document of kind `Collector` ([`Collector`]). All problems of a file are told at once, the key of the hash included:
//! a collector whose configuration does not load does not start.
//!
//! Limits: [`PATTERNS_MAX`] patterns, [`PATTERN_BYTES_MAX`] each and [`PROGRAM_BYTES_MAX`] compiled; [`FIELDS_MAX`] JSON paths.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use regex::RegexBuilder;
use weir_document::{Allowed, Collector as Problem, Items, Path as At, Problems, Refusal, choice, document};

use crate::Limits;
use crate::listen::ConnectionLimits;
use crate::redact::{Action, FieldRule, HashKey, KEY_BYTES_MIN, PatternRule, Rules, Secret, Segment, Texts};

/// Patterns of one file.
pub const PATTERNS_MAX: usize = 64;
/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Largest compiled pattern, bytes.
pub const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// JSON paths of one file.
pub const FIELDS_MAX: usize = 64;

choice! {
    /// How much of a captured body is kept.
    pub enum Capture {
        /// Its text, redacted.
        Full = "full",
        /// Numbers that were derived from it: length, format, tokens, and how it ended; no text.
        Numbers = "numbers",
    }
}

choice! {
    /// Which embedding of a text is kept in its place.
    pub enum Embedding {
        /// None.
        None = "none",
        /// Hashed words (`weir_sample::lexical`), made of the redacted text.
        Lexical = "lexical",
    }
}

document! {
    /// What `weir collect` keeps of captured text.
    pub struct Collector kind "Collector" {
        /// How much of a captured body is kept.
        pub capture: Capture = Capture::Full,
        /// Which embedding of each text is kept beside its numbers; with `capture: numbers` only.
        pub embedding: Embedding = Embedding::None,
        /// What is taken out of all captured text.
        pub redaction: Redaction,
        /// What senders may take of the collector; other bounds are options of `weir collect`.
        pub limits: Bounds,
    }
    check vectors_stand_for_texts(capture, embedding);
}

document! {
    /// What senders may take of the collector.
    pub struct Bounds {
        /// Connections at once; others wait.
        pub connections_max: u64 = 1_024 => 1..=65_536,
        /// Milliseconds for a TLS handshake, and for the head of the next request.
        pub header_timeout_ms: u64 = 30_000 => 100..=600_000,
        /// Milliseconds in which nothing is read or written.
        pub idle_timeout_ms: u64 = 60_000 => 100..=3_600_000,
        /// Bytes of a request's head.
        pub header_bytes_max: u64 = 65_536 => 8_192..=1_048_576,
        /// Bytes of a request's body as it arrives.
        pub body_bytes_max: u64 = 16_777_216 => 1_024..=268_435_456,
        /// Milliseconds for a body to arrive.
        pub body_timeout_ms: u64 = 10_000 => 100..=600_000,
        /// Bytes of a body when its content encoding is undone.
        pub decoded_bytes_max: u64 = 16_777_216 => 1_024..=268_435_456,
        /// Decoded bytes for each byte that arrived, beyond the first MiB.
        pub ratio_max: u64 = 100 => 1..=10_000,
        /// Log records or spans of a request.
        pub records_max: u64 = 50_000 => 1..=1_000_000,
        /// Resources, scopes, records, attributes and values of a request together.
        pub messages_max: u64 = 200_000 => 10..=10_000_000,
        /// Bytes of bodies in work at once; beyond it requests get 429.
        pub inflight_bytes_max: u64 = 67_108_864 => 1_024..=17_179_869_184,
        /// Requests that wait for the log; beyond it requests get 429.
        pub queue_requests_max: u64 = 1_024 => 1..=65_536,
    }
    check one_body_fits(body_bytes_max, inflight_bytes_max);
}

document! {
    /// What is taken out of all captured text.
    pub struct Redaction {
        /// What is done with each kind of find; kinds that are not named are masked.
        pub kinds: BTreeMap<String, Action> = BTreeMap::new() => Kinds,
        /// Patterns of your own.
        pub patterns: Vec<Pattern> = Vec::new() => Items(0..=PATTERNS_MAX),
        /// Places in JSON texts (whole texts, and the events of streams).
        pub fields: Vec<Field> = Vec::new() => Items(0..=FIELDS_MAX),
        /// The key of the hashes; needed where something is hashed.
        pub hash_key: Option<Key>,
    }
    check names_differ(patterns);
    validate hashes_have_a_key;
}

document! {
    /// A pattern of your own.
    pub struct Pattern {
        /// Stands in the marks.
        pub name: String => Name,
        /// A regular expression (syntax of the Rust crate regex: linear time, no look-around, no back-references).
        pub pattern: String => Expression,
        /// What is done with its matches.
        pub action: Action = Action::Mask,
    }
}

document! {
    /// A place in JSON texts.
    pub struct Field {
        /// The way from the root, as in `user.email`, `messages[].content`, `*.token`.
        pub path: String => JsonPath,
        /// What is done with the value there.
        pub action: Action = Action::Mask,
    }
}

document! {
    /// Where the key of the hashes is; exactly one of the fields.
    pub struct Key {
        /// A file that holds nothing but the key, relative to this file; white space at its end does not count.
        pub file: Option<String>,
        /// An environment variable.
        pub env: Option<String>,
    }
    check one_place(file, env);
}

struct Kinds;
struct Name;
struct Expression;
struct JsonPath;

impl Collector {
    /// Reads a document; `name` is what problems call it, usually the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its path.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        weir_document::read(name, text)
    }

    /// Reads a file, and the key that it names: the document with its rules.
    ///
    /// # Errors
    /// The file that cannot be read, or everything that is wrong with it.
    pub fn load(path: &Path) -> Result<(Self, Rules), Problems> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut problems = Problem::new();
            problems
                .report(&At::Root, format!("cannot be read: {error}"))
                .hint("check the path and its rights");
            problems.into_problems(&name)
        })?;
        let document = Self::parse(&name, &text)?;
        let rules = document.rules(&name, path.parent().unwrap_or(Path::new("")))?;
        Ok((document, rules))
    }

    /// The bounds of requests and connections; those of log and disk stay as they are in `limits`.
    #[must_use]
    pub fn bounds(&self, limits: Limits) -> (Limits, ConnectionLimits) {
        let bounds = &self.limits;
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let limits = Limits {
            body_bytes_max: size(bounds.body_bytes_max),
            decoded_bytes_max: size(bounds.decoded_bytes_max),
            ratio_max: size(bounds.ratio_max),
            body_timeout: Duration::from_millis(bounds.body_timeout_ms),
            messages_max: size(bounds.messages_max),
            records_max: size(bounds.records_max),
            inflight_bytes_max: size(bounds.inflight_bytes_max),
            queue_requests_max: size(bounds.queue_requests_max),
            ..limits
        };
        let connections = ConnectionLimits {
            connections_max: size(bounds.connections_max),
            header_timeout: Duration::from_millis(bounds.header_timeout_ms),
            idle_timeout: Duration::from_millis(bounds.idle_timeout_ms),
            header_bytes_max: size(bounds.header_bytes_max),
        };
        (limits, connections)
    }

    /// What the document says, with the key read; `folder` is where relative paths begin.
    ///
    /// # Errors
    /// The key that is not there or too short.
    pub fn rules(&self, name: &str, folder: &Path) -> Result<Rules, Problems> {
        let mut rules = Rules { texts: self.texts(), ..Rules::default() };
        let mut problems = Problem::new();
        let redaction = &self.redaction;
        for (kind, action) in &redaction.kinds {
            Secret::ALL
                .into_iter()
                .filter(|secret| secret.as_str() == kind)
                .for_each(|secret| rules.set_action(secret, *action));
        }
        for own in &redaction.patterns {
            // Checked when the document was read.
            if let Ok(pattern) = expression(&own.pattern) {
                rules.patterns.push(PatternRule { name: own.name.clone(), pattern, action: own.action });
            }
        }
        for field in &redaction.fields {
            if let Some(path) = json_path(&field.path) {
                rules.fields.push(FieldRule { path, action: field.action });
            }
        }
        if let Some(key) = &redaction.hash_key {
            rules.key = hash_key(key, folder, &mut problems);
        }
        if problems.is_empty() { Ok(rules) } else { Err(problems.into_problems(name)) }
    }

    fn texts(&self) -> Texts {
        match (self.capture, self.embedding) {
            (Capture::Full, _) => Texts::Kept,
            (Capture::Numbers, Embedding::None) => Texts::Numbers,
            (Capture::Numbers, Embedding::Lexical) => Texts::Vectors,
        }
    }

    /// JSON Schema of the document.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        weir_document::json_schema::<Self>()
    }
}

fn hash_key(key: &Key, folder: &Path, problems: &mut Problem) -> Option<HashKey> {
    let root = At::Root;
    let (redaction, mut field) = (root.key("redaction"), "file");
    let place = redaction.key("hashKey");
    let read = match (&key.file, &key.env) {
        (Some(file), _) => std::fs::read(folder.join(file)).map_err(|error| (file, error.to_string())),
        (None, Some(variable)) => {
            field = "env";
            std::env::var(variable).map(String::into_bytes).map_err(|error| (variable, error.to_string()))
        }
        (None, None) => return None,
    };
    let at = place.key(field);
    match read {
        Ok(bytes) => {
            let key = HashKey::new(bytes.trim_ascii_end());
            if key.is_none() {
                let length = bytes.trim_ascii_end().len();
                problems
                    .report(&at, format!("names a key of {length} bytes"))
                    .allowed(format!("{KEY_BYTES_MIN} bytes or more"))
                    .hint("make one with `openssl rand -hex 32`");
            }
            key
        }
        Err((named, error)) => {
            problems
                .report(&at, format!("cannot be read: {error}"))
                .text_value(named)
                .hint("nothing is collected without the key: a mask would break joins, an unkeyed hash can be guessed");
            None
        }
    }
}

fn hashes_have_a_key(redaction: &Redaction, at: &At<'_>, problems: &mut Problem) {
    if redaction.hash_key.is_some() {
        return;
    }
    let needs_key = "needs a key";
    let hint = "add `hashKey: {file: PATH}` or `hashKey: {env: NAME}` to `redaction`";
    for (kind, _) in redaction.kinds.iter().filter(|(_, action)| **action == Action::Hash) {
        problems.report(&at.key("kinds").key(kind), needs_key).text_value("hash").hint(hint);
    }
    let lists = [
        ("patterns", redaction.patterns.iter().map(|pattern| pattern.action).collect::<Vec<_>>()),
        ("fields", redaction.fields.iter().map(|field| field.action).collect()),
    ];
    for (list, actions) in lists {
        for (index, _) in actions.iter().enumerate().filter(|(_, action)| **action == Action::Hash) {
            problems
                .report(&at.key(list).index(index).key("action"), needs_key)
                .text_value("hash")
                .hint(hint);
        }
    }
}

fn names_differ(patterns: &[Pattern], at: &At<'_>, problems: &mut Problem) {
    for (index, pattern) in patterns.iter().enumerate() {
        if patterns.iter().take(index).any(|earlier| earlier.name == pattern.name) {
            problems
                .report(&at.key("patterns").index(index).key("name"), "is used twice")
                .text_value(&pattern.name);
        }
    }
}

/// Where texts are kept, `weir embed` has every embedder's vectors of them.
fn vectors_stand_for_texts(capture: &Capture, embedding: &Embedding, at: &At<'_>, problems: &mut Problem) {
    if *capture == Capture::Full && *embedding != Embedding::None {
        problems
            .report(&at.key("embedding"), "stands beside texts that are kept")
            .text_value(embedding.as_str())
            .allowed("none, or `capture: numbers` with it")
            .hint("`weir embed` makes vectors of kept texts, by this embedder or by a model");
    }
}

/// A request of the largest size could never be taken.
fn one_body_fits(body_bytes_max: &u64, inflight_bytes_max: &u64, at: &At<'_>, problems: &mut Problem) {
    if body_bytes_max > inflight_bytes_max {
        problems
            .report(&at.key("bodyBytesMax"), "is more than inflightBytesMax")
            .number_value(body_bytes_max)
            .allowed(format!("up to {inflight_bytes_max}"))
            .hint("a larger request would never be taken; raise inflightBytesMax");
    }
}

fn one_place(file: &Option<String>, env: &Option<String>, at: &At<'_>, problems: &mut Problem) {
    if file.is_some() == env.is_some() {
        problems.report(at, "does not say where the key is").allowed("exactly one of file, env");
    }
}

fn expression(pattern: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PROGRAM_BYTES_MAX).dfa_size_limit(PROGRAM_BYTES_MAX).build()
}

/// `a.b[].c`; `None` where a step is empty.
fn json_path(path: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    for (index, part) in path.split('.').enumerate() {
        let name = part.trim_end_matches("[]");
        match name {
            // A list at the root begins with `[]`.
            "" if index == 0 && !part.is_empty() => {}
            "" => return None,
            "*" => segments.push(Segment::AnyKey),
            _ if name.contains(['[', ']', '$', '*']) => return None,
            _ => segments.push(Segment::Key(name.to_owned())),
        }
        segments.extend((0..(part.len() - name.len()) / 2).map(|_| Segment::Item));
    }
    Some(segments)
}

impl Allowed<BTreeMap<String, Action>> for Kinds {
    fn check(&self, kinds: &BTreeMap<String, Action>) -> Result<(), Refusal> {
        let known: Vec<&str> = kind_names().collect();
        let unknown: Vec<String> = kinds
            .keys()
            .filter(|kind| !known.contains(&kind.as_str()))
            .map(|kind| format!("{kind:?}"))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let refusal =
            Refusal::new(format!("names no kind of find: {}", unknown.join(", ")), known.join(", "));
        Err(refusal.hint("your own patterns belong into `patterns`"))
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        let names: Vec<&str> = kind_names().collect();
        schema.insert("propertyNames".to_owned(), serde_json::json!({ "enum": names }));
    }
}

/// The kinds that are found without being named by the operator.
fn kind_names() -> impl Iterator<Item = &'static str> {
    Secret::ALL
        .into_iter()
        .filter(|secret| !matches!(secret, Secret::Field | Secret::Pattern))
        .map(Secret::as_str)
}

impl Allowed<String> for Name {
    fn check(&self, name: &String) -> Result<(), Refusal> {
        let fits = (1..=40).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
            });
        if fits { Ok(()) } else { Err(Refusal::new("is not a name", "1 to 40 of a-z, 0-9, - and _")) }
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("pattern".to_owned(), "^[a-z0-9_-]{1,40}$".into());
    }
}

impl Allowed<String> for Expression {
    fn check(&self, pattern: &String) -> Result<(), Refusal> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(Refusal::new("has a wrong length", format!("1 to {PATTERN_BYTES_MAX} bytes")));
        }
        let expression = expression(pattern).map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            Refusal::new(
                format!("does not compile: {reason}"),
                "a regular expression of the Rust crate regex",
            )
            .hint("look-around and back-references take more than linear time and are not there")
        })?;
        if expression.is_match("") {
            return Err(Refusal::new(
                "matches the empty text",
                "a pattern that needs at least one character",
            ));
        }
        Ok(())
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("minLength".to_owned(), 1.into());
        schema.insert("maxLength".to_owned(), PATTERN_BYTES_MAX.into());
    }
}

impl Allowed<String> for JsonPath {
    fn check(&self, path: &String) -> Result<(), Refusal> {
        match json_path(path).filter(|segments| !segments.is_empty()) {
            Some(_) => Ok(()),
            None => Err(Refusal::new(
                "is not a path",
                "field names with dots between them, * for any field, [] behind a list",
            )
            .hint("write `messages[].content`, without `$.` and without numbers in brackets")),
        }
    }

    fn describe(&self, schema: &mut schemars::Schema) {
        schema.insert("minLength".to_owned(), 1.into());
    }
}
