//! The rows at rest: `Sample` (one captured leg) and `Score` (one judgement of a leg), each with its table of columns.
//!
//! The table is the only place that knows the columns: the Arrow schema, the write-ahead encoding, the import and the
//! redaction walk over it. A new column is one field, one line in the table, and nothing else.
//!
//! Invariants: `experiment` is never a column (it is in the folder's name); a column's name never changes its meaning;
//! columns are only ever added at the end, because the row encoding stores their positions.

use std::collections::BTreeMap;

use crate::lexical;

/// Version of the columns, stored in every file. It changes only when a column changes its meaning.
pub const SCHEMA_VERSION: &str = "1";

/// Which table a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Captured legs.
    Samples,
    /// Judgements of legs.
    Scores,
}

impl Kind {
    /// The name of the folder and of the metadata value: `samples` or `scores`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Scores => "scores",
        }
    }
}

/// A closed set of words, stored as text.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The words as they are stored.
            pub const ALL: &'static [&'static str] = &[$($text),+];

            /// The word as it is stored.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of a stored word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// Which leg of an exchange was captured.
    Leg {
        /// The answer that the client got.
        Primary = "primary",
        /// The answer of the other variant, never served.
        Shadow = "shadow",
        /// A second answer of control: the noise floor.
        Noise = "noise",
    }
}

words! {
    /// Which variant answered.
    Variant {
        /// What serves today.
        Control = "control",
        /// What is being tried.
        Candidate = "candidate",
    }
}

words! {
    /// What the response body turned out to be.
    ResponseFormat {
        /// An OpenAI chat completion, whole.
        OpenaiChat = "openai_chat",
        /// An OpenAI chat completion, streamed as server-sent events.
        OpenaiChatSse = "openai_chat_sse",
        /// An OpenAI text completion (the older API), whole.
        OpenaiCompletions = "openai_completions",
        /// The same, streamed.
        OpenaiCompletionsSse = "openai_completions_sse",
        /// An answer of OpenAI's responses API, whole.
        OpenaiResponses = "openai_responses",
        /// The same, streamed.
        OpenaiResponsesSse = "openai_responses_sse",
        /// An Anthropic message, whole.
        Anthropic = "anthropic",
        /// The same, streamed.
        AnthropicSse = "anthropic_sse",
        /// An answer of Gemini's `generateContent`, whole.
        Gemini = "gemini",
        /// The same of `streamGenerateContent`, as events or as a JSON list.
        GeminiSse = "gemini_sse",
        /// Messages of OpenTelemetry's GenAI conventions, from a span or an event.
        GenAi = "gen_ai",
        /// Any other JSON; the text is the body.
        Json = "json",
        /// Plain text.
        Text = "text",
        /// Not understood: the text is the body as it is, or absent where the body was compressed.
        Unparsed = "unparsed",
        /// No body.
        Empty = "empty",
    }
}

/// One captured leg. Absent values are unknown, never zero.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each column is described in the table below")]
pub struct Sample {
    /// In the folder's name, not in the file.
    pub experiment: String,
    pub sample_id: String,
    pub leg: Leg,
    pub variant: Variant,
    /// Start of the request, microseconds since 1970 UTC (column `ts`).
    pub ts_us: i64,
    pub revision: Option<i64>,
    pub policy_digest: Option<String>,
    pub snapshot: Option<String>,
    pub cohort: Option<String>,
    pub tier: Option<String>,
    pub autonomy: Option<String>,
    pub identity_hash: Option<String>,
    pub session_id: Option<String>,
    pub request_id: Option<String>,
    pub proxy: Option<String>,
    pub worker: Option<String>,
    pub sequence: Option<i64>,
    pub inclusion_probability: f64,
    pub method: Option<String>,
    pub path: Option<String>,
    pub status: Option<i32>,
    pub latency_ms: Option<f64>,
    pub ttfb_ms: Option<f64>,
    pub ttft_ms: Option<f64>,
    pub chunks: Option<i64>,
    pub longest_gap_ms: Option<f64>,
    pub request_content_type: Option<String>,
    pub response_content_type: Option<String>,
    pub streamed: Option<bool>,
    pub complete: Option<bool>,
    pub request_bytes: Option<i64>,
    pub response_bytes: Option<i64>,
    pub request_truncated: Option<bool>,
    pub response_truncated: Option<bool>,
    pub request_text: Option<String>,
    pub response_text: Option<String>,
    pub request_format: Option<String>,
    pub response_format: Option<ResponseFormat>,
    pub model: Option<String>,
    pub finish_reason: Option<String>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub tool_calls: Option<i64>,
    pub refusal: Option<String>,
    /// Free labels; an empty map is stored as null.
    pub tags: BTreeMap<String, String>,
    pub provider: Option<String>,
    pub response_id: Option<String>,
    pub choices: Option<i64>,
    pub other_choices: Option<String>,
    pub tool_names: Option<String>,
    pub tool_call_text: Option<String>,
    pub reasoning_text: Option<String>,
    pub cached_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub error_type: Option<String>,
    pub response_content_encoding: Option<String>,
    pub request_flags: Option<String>,
    pub response_flags: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub candidate_share: Option<f64>,
    pub copies: Option<String>,
    pub request_chars: Option<i64>,
    pub response_chars: Option<i64>,
    pub response_words: Option<i64>,
    pub embedder: Option<String>,
    pub request_vector: Option<Vec<f32>>,
    pub response_vector: Option<Vec<f32>>,
}

/// One judgement of one leg.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each column is described in the table below")]
pub struct Score {
    /// In the folder's name, not in the file.
    pub experiment: String,
    pub sample_id: String,
    pub leg: Leg,
    pub variant: Variant,
    /// When the judgement was made, microseconds since 1970 UTC (column `ts`).
    pub ts_us: i64,
    pub criterion: String,
    pub score: f64,
    pub judge: Option<String>,
    /// At most [`REASON_BYTES_MAX`] bytes.
    pub reason: Option<String>,
}

impl Default for Sample {
    /// An empty primary leg of control with inclusion probability 1.
    fn default() -> Self {
        Self {
            experiment: String::new(),
            sample_id: String::new(),
            leg: Leg::Primary,
            variant: Variant::Control,
            ts_us: 0,
            revision: None,
            policy_digest: None,
            snapshot: None,
            cohort: None,
            tier: None,
            autonomy: None,
            identity_hash: None,
            session_id: None,
            request_id: None,
            proxy: None,
            worker: None,
            sequence: None,
            inclusion_probability: 1.0,
            method: None,
            path: None,
            status: None,
            latency_ms: None,
            ttfb_ms: None,
            ttft_ms: None,
            chunks: None,
            longest_gap_ms: None,
            request_content_type: None,
            response_content_type: None,
            streamed: None,
            complete: None,
            request_bytes: None,
            response_bytes: None,
            request_truncated: None,
            response_truncated: None,
            request_text: None,
            response_text: None,
            request_format: None,
            response_format: None,
            model: None,
            finish_reason: None,
            prompt_tokens: None,
            completion_tokens: None,
            tool_calls: None,
            refusal: None,
            tags: BTreeMap::new(),
            provider: None,
            response_id: None,
            choices: None,
            other_choices: None,
            tool_names: None,
            tool_call_text: None,
            reasoning_text: None,
            cached_tokens: None,
            reasoning_tokens: None,
            error_type: None,
            response_content_encoding: None,
            request_flags: None,
            response_flags: None,
            trace_id: None,
            span_id: None,
            candidate_share: None,
            copies: None,
            request_chars: None,
            response_chars: None,
            response_words: None,
            embedder: None,
            request_vector: None,
            response_vector: None,
        }
    }
}

impl Default for Score {
    /// An unnamed zero for a primary leg of control.
    fn default() -> Self {
        Self {
            experiment: String::new(),
            sample_id: String::new(),
            leg: Leg::Primary,
            variant: Variant::Control,
            ts_us: 0,
            criterion: String::new(),
            score: 0.0,
            judge: None,
            reason: None,
        }
    }
}

/// A row of one of the tables.
pub trait Record: Clone + Default + PartialEq + std::fmt::Debug + 'static {
    /// The table.
    const KIND: Kind;
    /// The columns, in file order.
    const COLUMNS: &'static [Column<Self>];
    /// The experiment that the row belongs to.
    fn experiment(&self) -> &str;
    /// Names the experiment.
    fn set_experiment(&mut self, experiment: String);
    /// Microseconds since 1970 UTC: decides the folder and the order in the file.
    fn ts_us(&self) -> i64;
    /// The identifier that joins legs and scores.
    fn sample_id(&self) -> &str;
    /// Leaves out the texts of bodies, and keeps their lengths; their vectors ([`lexical`], or those
    /// that came with them), too, where asked for.
    fn leave_out_text(&mut self, _with_vectors: bool) {}
}

/// One column and how to reach it.
pub struct Column<R: 'static> {
    /// The name in the file, in JSONL and in documents.
    pub name: &'static str,
    /// Whether a row without it is refused.
    pub required: bool,
    /// What it holds, with its unit.
    pub description: &'static str,
    /// Its type, with a reader and a writer.
    pub access: Access<R>,
}

/// The type of a column, with a reader and a writer. Ranges are inclusive.
pub enum Access<R: 'static> {
    /// Text that may hold anything a client or a model wrote.
    Text {
        /// Reads.
        get: fn(&R) -> Option<&str>,
        /// Writes.
        set: fn(&mut R, String),
    },
    /// Text made by Weir itself (identifiers, digests, names from the policy): joins and deduplication rest on it.
    Label {
        /// Reads.
        get: fn(&R) -> Option<&str>,
        /// Writes.
        set: fn(&mut R, String),
    },
    /// One of a closed set of words.
    Word {
        /// Reads.
        get: fn(&R) -> Option<&'static str>,
        /// Writes; false for a foreign word.
        set: fn(&mut R, &str) -> bool,
        /// The words.
        allowed: &'static [&'static str],
    },
    /// 64-bit integer.
    Integer {
        /// Reads.
        get: fn(&R) -> Option<i64>,
        /// Writes.
        set: fn(&mut R, i64),
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// 32-bit integer.
    SmallInteger {
        /// Reads.
        get: fn(&R) -> Option<i32>,
        /// Writes.
        set: fn(&mut R, i32),
        /// Smallest.
        min: i32,
        /// Largest.
        max: i32,
    },
    /// Finite double.
    Float {
        /// Reads.
        get: fn(&R) -> Option<f64>,
        /// Writes.
        set: fn(&mut R, f64),
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Yes or no.
    Boolean {
        /// Reads.
        get: fn(&R) -> Option<bool>,
        /// Writes.
        set: fn(&mut R, bool),
    },
    /// Microseconds since 1970 UTC.
    Timestamp {
        /// Reads.
        get: fn(&R) -> i64,
        /// Writes.
        set: fn(&mut R, i64),
    },
    /// A direction: finite numbers.
    Vector {
        /// Reads.
        get: fn(&R) -> Option<&[f32]>,
        /// Writes.
        set: fn(&mut R, Vec<f32>),
    },
    /// Free labels.
    Tags {
        /// Reads.
        get: fn(&R) -> &BTreeMap<String, String>,
        /// Writes.
        set: fn(&mut R, BTreeMap<String, String>),
    },
}

/// Longest reason of a judgement, bytes.
pub const REASON_BYTES_MAX: usize = 1_000;

/// Stands for a refusal whose text is not kept.
pub const NOT_KEPT: &str = "[not kept]";

/// The last microsecond of the year 9999.
pub const TS_US_MAX: i64 = 253_402_300_799_999_999;

macro_rules! column {
    (text $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Text { get: |row| row.$field.as_deref(), set: |row, value| row.$field = Some(value) }
        )
    };
    (label $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Label { get: |row| row.$field.as_deref(), set: |row, value| row.$field = Some(value) }
        )
    };
    (count $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Integer {
                get: |row| row.$field,
                set: |row, value| row.$field = Some(value),
                min: 0,
                max: i64::MAX
            }
        )
    };
    (duration $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Float {
                get: |row| row.$field,
                set: |row, value| row.$field = Some(value),
                min: 0.0,
                max: f64::MAX
            }
        )
    };
    (vector $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Vector { get: |row| row.$field.as_deref(), set: |row, value| row.$field = Some(value) }
        )
    };
    (flag $field:ident, $description:literal) => {
        optional!(
            $field,
            $description,
            Access::Boolean { get: |row| row.$field, set: |row, value| row.$field = Some(value) }
        )
    };
}

macro_rules! optional {
    ($field:ident, $description:literal, $access:expr) => {
        Column { name: stringify!($field), required: false, description: $description, access: $access }
    };
}

/// The four columns that both tables begin with.
macro_rules! key_columns {
    ($($rest:expr),+ $(,)?) => {
        &[
            Column {
                name: "sample_id",
                required: true,
                description: "one exchange; its legs and scores share it",
                access: Access::Label { get: |row| Some(&row.sample_id), set: |row, value| row.sample_id = value },
            },
            Column {
                name: "leg",
                required: true,
                description: "primary, shadow or noise",
                access: Access::Word {
                    get: |row| Some(row.leg.as_str()),
                    set: |row, word| Leg::parse(word).map(|leg| row.leg = leg).is_some(),
                    allowed: Leg::ALL,
                },
            },
            Column {
                name: "variant",
                required: true,
                description: "control or candidate",
                access: Access::Word {
                    get: |row| Some(row.variant.as_str()),
                    set: |row, word| Variant::parse(word).map(|variant| row.variant = variant).is_some(),
                    allowed: Variant::ALL,
                },
            },
            Column {
                name: "ts",
                required: true,
                description: "start of the request (samples) or time of the judgement (scores), UTC, microseconds",
                access: Access::Timestamp { get: |row| row.ts_us, set: |row, value| row.ts_us = value },
            },
            $($rest),+
        ]
    };
}

impl Record for Sample {
    const KIND: Kind = Kind::Samples;
    const COLUMNS: &'static [Column<Self>] = key_columns![
        column!(count revision, "revision of the policy that was in force"),
        column!(label policy_digest, "digest of that policy"),
        column!(label snapshot, "label of the snapshot that answered"),
        column!(label cohort, "name of the cohort rule that matched"),
        column!(label tier, "trust tier of the cohort"),
        column!(label autonomy, "autonomy level of the cohort"),
        column!(label identity_hash, "salted hash of the identity; absent when there was none"),
        column!(label session_id, "session or conversation, where known"),
        column!(text request_id, "x-request-id"),
        column!(label proxy, "the proxy that captured the leg"),
        column!(label worker, "start of the worker's VM, unique per start"),
        column!(count sequence, "number of the record within the worker's epoch, gap-free"),
        Column {
            name: "inclusion_probability",
            required: false,
            description: "chance that this leg was captured, above 0 and at most 1; 1 when not given",
            access: Access::Float {
                get: |row| Some(row.inclusion_probability),
                set: |row, value| row.inclusion_probability = value,
                min: f64::MIN_POSITIVE,
                max: 1.0,
            },
        },
        column!(text method, "request method"),
        column!(text path, "request path"),
        Column {
            name: "status",
            required: false,
            description: "response status; 0 when there was no response",
            access: Access::SmallInteger {
                get: |row| row.status,
                set: |row, value| row.status = Some(value),
                min: 0,
                max: 999,
            },
        },
        column!(duration latency_ms, "start of the request to end of the response, milliseconds"),
        column!(duration ttfb_ms, "start of the request to the response headers (of an answer with a content-length: to its first byte), milliseconds"),
        column!(duration ttft_ms, "start of the request to the first token (the first event with content; of other answers the first byte of the body), milliseconds"),
        column!(count chunks, "response body chunks that the proxy saw"),
        column!(duration longest_gap_ms, "longest pause between two response chunks, milliseconds"),
        column!(text request_content_type, "media type of the request"),
        column!(text response_content_type, "media type of the response"),
        column!(flag streamed, "whether the response was a stream of events"),
        column!(flag complete, "whether both ends of the exchange were seen"),
        column!(count request_bytes, "true size of the request body, bytes"),
        column!(count response_bytes, "true size of the response body, bytes"),
        column!(flag request_truncated, "whether less than the whole request body was kept"),
        column!(flag response_truncated, "whether less than the whole response body was kept"),
        column!(text request_text, "the messages as text; only on primary legs"),
        column!(text response_text, "the answer as text; of the first choice where there are several"),
        column!(label request_format, "openai_chat, openai_completions, openai_responses, anthropic, gemini, gen_ai, json, text, unparsed or empty"),
        Column {
            name: "response_format",
            required: false,
            description: "openai_chat, openai_completions, openai_responses, anthropic, gemini, each also with _sse; gen_ai, json, text, unparsed or empty",
            access: Access::Word {
                get: |row| row.response_format.map(ResponseFormat::as_str),
                set: |row, word| {
                    row.response_format = ResponseFormat::parse(word).or(row.response_format);
                    ResponseFormat::parse(word).is_some()
                },
                allowed: ResponseFormat::ALL,
            },
        },
        column!(text model, "model that answered, else the model that was asked for"),
        column!(text finish_reason, "why the answer ended"),
        column!(count prompt_tokens, "tokens of the request, as the provider counts"),
        column!(count completion_tokens, "tokens of the answer, as the provider counts"),
        column!(count tool_calls, "tool calls in the answer"),
        column!(text refusal, "refusal in the provider's own field, not by phrase"),
        Column {
            name: "tags",
            required: false,
            description: "free labels",
            access: Access::Tags { get: |row| &row.tags, set: |row, value| row.tags = value },
        },
        // Columns after the first 45 are not in older files.
        column!(text provider, "who ran the model, where the record says it (`openai`, `aws.bedrock`, ...)"),
        column!(text response_id, "the provider's own identifier of the answer"),
        column!(count choices, "answers that came back; `response_text` is the first"),
        column!(text other_choices, "texts of the other choices, each after `[choice N]`"),
        column!(text tool_names, "names of the tools that the answer calls, in order, joined by commas"),
        column!(text tool_call_text, "each tool call as `name(arguments)`, one per line"),
        column!(text reasoning_text, "what the model thought aloud, where the provider shows it"),
        column!(count cached_tokens, "tokens of the request that came from the provider's cache; part of prompt_tokens"),
        column!(count reasoning_tokens, "tokens spent on reasoning; part of completion_tokens"),
        column!(text error_type, "kind of error that the provider or the caller names"),
        column!(label response_content_encoding, "content encodings of the captured response body"),
        column!(label request_flags, "what is wrong or missing in request_text: words joined by commas"),
        column!(label response_flags, "the same of response_text"),
        column!(label trace_id, "trace that the leg belongs to, 32 hex digits"),
        column!(label span_id, "span that the leg is, 16 hex digits"),
        Column {
            name: "candidate_share",
            required: false,
            description: "the candidate's share of the cohort's identities by policy, 0 to 1, where that decided; only on primary legs",
            access: Access::Float {
                get: |row| row.candidate_share,
                set: |row, value| row.candidate_share = Some(value),
                min: 0.0,
                max: 1.0,
            },
        },
        column!(label copies, "copies that were asked for: shadow, noise, shadow,noise or none; only on primary legs"),
        column!(count request_chars, "characters of the request's text, where the text is not kept"),
        column!(count response_chars, "characters of the answer's text, where the text is not kept"),
        column!(count response_words, "words of the answer's text, where the text is not kept"),
        column!(label embedder, "what made the vectors, with its version; `lexical-1-384` is the built-in one"),
        column!(vector request_vector, "direction of the request's text, where the text is not kept"),
        column!(vector response_vector, "direction of the answer's text, where the text is not kept"),
    ];

    fn experiment(&self) -> &str {
        &self.experiment
    }
    fn set_experiment(&mut self, experiment: String) {
        self.experiment = experiment;
    }
    fn ts_us(&self) -> i64 {
        self.ts_us
    }
    fn sample_id(&self) -> &str {
        &self.sample_id
    }
    fn leave_out_text(&mut self, with_vectors: bool) {
        if !with_vectors {
            (self.embedder, self.request_vector, self.response_vector) = (None, None, None);
        } else if self.embedder.is_none() {
            self.request_vector = self.request_text.as_deref().and_then(lexical::direction);
            self.response_vector = self.response_text.as_deref().and_then(lexical::direction);
            let any = self.request_vector.is_some() || self.response_vector.is_some();
            self.embedder = any.then(|| lexical::IDENTITY.to_owned());
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(text) = self.request_text.take() {
            self.request_chars = Some(count(text.chars().count()));
        }
        if let Some(text) = self.response_text.take() {
            self.response_chars = Some(count(text.chars().count()));
            self.response_words = Some(count(text.split_whitespace().count()));
        }
        for text in [&mut self.other_choices, &mut self.tool_call_text, &mut self.reasoning_text] {
            *text = None;
        }
        // That there was one counts, its words do not.
        if let Some(refusal) = &mut self.refusal {
            NOT_KEPT.clone_into(refusal);
        }
    }
}

impl Record for Score {
    const KIND: Kind = Kind::Scores;
    const COLUMNS: &'static [Column<Self>] = key_columns![
        Column {
            name: "criterion",
            required: true,
            description: "what was judged",
            access: Access::Label {
                get: |row| Some(&row.criterion),
                set: |row, value| row.criterion = value
            },
        },
        Column {
            name: "score",
            required: true,
            description: "the judgement; its scale belongs to the criterion",
            access: Access::Float {
                get: |row| Some(row.score),
                set: |row, value| row.score = value,
                min: f64::MIN,
                max: f64::MAX,
            },
        },
        column!(text judge, "who judged"),
        column!(text reason, "why, in the judge's words; at most 1,000 bytes"),
    ];

    fn experiment(&self) -> &str {
        &self.experiment
    }
    fn set_experiment(&mut self, experiment: String) {
        self.experiment = experiment;
    }
    fn ts_us(&self) -> i64 {
        self.ts_us
    }
    fn sample_id(&self) -> &str {
        &self.sample_id
    }
}
