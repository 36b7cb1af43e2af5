//! Which exchanges may be copied, and how many.
//!
//! Method and content type belong to the request, the caps to the moment: both are decided before anything is drawn, so
//! that a copy that cannot be made has probability 0 and the primary leg is captured only if sampling drew it. Everything
//! here holds for copies to the candidate and for copies to control alike.

use weir_document::{Collector, Items, Path, choice, document};

use crate::Share;

choice! {
    /// Who makes the copies.
    pub enum Transport {
        /// Envoy's mirror; a filter on the copies' cluster captures their answers.
        Mirror = "mirror",
        /// The filter in the listener, with calls of its own: no filter on a cluster, and the limits of such calls.
        Callout = "callout",
    }
}

document! {
    /// Copies to the candidate, and what holds for copies to control too.
    pub struct Shadow {
        /// Share of the exchanges answered by control whose copy goes to the candidate, in percent.
        pub percent: Share = Share::ZERO,
        /// Who makes the copies; `mirror` where it is left away.
        pub transport: Option<Transport>,
        /// Milliseconds after which a copy by callout has no answer; 60000 where it is left away.
        pub timeout_ms: Option<u64> => 100..=600_000,
        /// Methods of requests that may be copied; all where it is left away.
        pub methods: Option<Vec<String>> => Items(1..=16),
        /// Content types of requests that may be copied, without parameters, `text/*` for a whole type; all where it is left
        /// away.
        pub content_types: Option<Vec<String>> => Items(1..=32),
        /// Copies under way, per worker.
        pub in_flight_max: Option<u64> => 1..=1_000_000,
        /// Copies in each minute of the clock, per worker.
        pub per_minute_max: Option<u64> => 1..=1_000_000_000,
        /// Estimated tokens of copies (questions and answers) in each minute of the clock, per worker.
        pub tokens_per_minute_max: Option<u64> => 1..=1_000_000_000_000,
    }
    check check_methods(methods);
    check check_content_types(content_types);
}

impl Shadow {
    /// Whether anything but the share decides about copies.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.methods.is_some() || self.content_types.is_some() || self.is_capped()
    }

    /// Whether the filter makes the copies itself.
    #[must_use]
    pub fn calls_out(&self) -> bool {
        self.transport == Some(Transport::Callout)
    }

    /// Milliseconds after which a copy by callout has no answer.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        const USUAL: u64 = 60_000;
        self.timeout_ms.unwrap_or(USUAL)
    }

    /// Whether copies are counted.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        self.in_flight_max.is_some() || self.per_minute_max.is_some() || self.tokens_per_minute_max.is_some()
    }

    /// Whether requests with this method may be copied.
    #[must_use]
    pub fn allows_method(&self, method: &[u8]) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(|allowed| allowed.as_bytes() == method))
    }

    /// Whether requests with this `content-type` header may be copied; an empty one only where all are.
    #[must_use]
    pub fn allows_content_type(&self, content_type: &[u8]) -> bool {
        let Some(content_types) = &self.content_types else { return true };
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        content_types.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(start) => {
                essence.get(..start.len()).is_some_and(|has| has.eq_ignore_ascii_case(start.as_bytes()))
            }
            None => essence.eq_ignore_ascii_case(allowed.as_bytes()),
        })
    }
}

fn check_methods(methods: &Option<Vec<String>>, at: &Path<'_>, problems: &mut Collector) {
    for (index, method) in methods.iter().flatten().enumerate() {
        let valid =
            (1..=32).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !valid {
            problems
                .report(&at.key("methods").index(index), "is not a method")
                .text_value(method)
                .allowed("1 to 32 of A-Z and -")
                .hint("methods are written in capitals, as in POST");
        }
    }
}

fn check_content_types(content_types: &Option<Vec<String>>, at: &Path<'_>, problems: &mut Collector) {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    for (index, content_type) in content_types.iter().flatten().enumerate() {
        let valid = content_type.len() <= 127
            && content_type
                .split_once('/')
                .is_some_and(|(main, sub)| token(main) && (sub == "*" || token(sub)));
        if !valid {
            problems
                .report(&at.key("contentTypes").index(index), "is not a content type")
                .text_value(content_type)
                .allowed("type/subtype or type/*, up to 127 characters, without parameters");
        }
    }
}
