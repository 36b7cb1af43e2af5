//! Samples for the benchmark of the analysis: seeded, in our own layout, written once and kept under the target folder.
//!
//! One exchange in three that control serves has a shadow copy, and control serves nine in ten: 30 % of the exchanges are
//! pairs. Every answer has 1 KiB of text (a tenth is JSON, a tenth German), every request a short one. Identities ask four
//! times on average, in three tiers and on two routes. Both variants answer alike. Copies arrive a thousand exchanges later than their
//! originals, so that pairs lie across files. 278 samples a second: an hour has a million of them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use weir_sample::{Leg, ResponseFormat, Sample, Variant, write_samples};
use weir_tests::random::Random;
use weir_tests::world::Failure;

/// The experiment's name.
pub(crate) const EXPERIMENT: &str = "bench";
/// Changes when the samples do, so that kept ones are not taken for new ones.
const VERSION: u32 = 1;
const START_US: i64 = 1_790_000_000_000_000;
const STEP_US: i64 = 4_680;
const ROWS_PER_FILE: usize = 65_536;
const TEXT_BYTES: usize = 1_024;
const COPY_LATER: usize = 1_000;
const WORKERS: usize = 4;
const TIERS: [&str; 3] = ["internal", "beta", "general"];
const WORDS: [&str; 32] = [
    "the",
    "a",
    "to",
    "of",
    "and",
    "you",
    "can",
    "your",
    "order",
    "return",
    "within",
    "days",
    "is",
    "for",
    "label",
    "from",
    "account",
    "parcel",
    "shop",
    "refund",
    "card",
    "we",
    "will",
    "send",
    "after",
    "please",
    "received",
    "delivery",
    "Address",
    "change",
    "Shipping",
    "warehouse",
];
const GERMAN: [&str; 16] = [
    "die",
    "Bestellung",
    "für",
    "größere",
    "Pakete",
    "wird",
    "morgen",
    "über",
    "das",
    "Lager",
    "geschickt",
    "bitte",
    "prüfen",
    "Sie",
    "Ihre",
    "Straße",
];

/// Where the samples are: those of the first look, and one more per cent in a folder of its own.
pub(crate) struct Planted {
    /// The data folder of the first look.
    pub(crate) data: PathBuf,
    /// The data folder of what comes after it.
    pub(crate) more: PathBuf,
}

/// The samples of a size, made where they are not there yet.
pub(crate) fn planted(root: &Path, samples: usize) -> Result<Planted, Failure> {
    let folder = root.join(format!("samples-{samples}-v{VERSION}"));
    let planted = Planted { data: folder.join("data"), more: folder.join("more") };
    let done = folder.join("done");
    if done.exists() {
        return Ok(planted);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut generator = Generator::new(samples);
    write(&mut generator, &planted.data, samples)?;
    write(&mut generator, &planted.more, samples / 100)?;
    fs::write(done, "")?;
    Ok(planted)
}

fn write(generator: &mut Generator, data: &Path, samples: usize) -> Result<(), Failure> {
    let mut left = samples;
    while left > 0 {
        let rows: Vec<Sample> = (0..left.min(ROWS_PER_FILE)).map(|_| generator.next_leg()).collect();
        left -= rows.len();
        write_samples(data, &format!("part-{:06}", generator.file), rows)?;
        generator.file += 1;
        eprint!("\rwriting samples: {left} left   ");
    }
    eprintln!();
    Ok(())
}

struct Generator {
    random: Random,
    identities: usize,
    exchange: usize,
    copies: VecDeque<(usize, Sample)>,
    sequences: [i64; WORKERS],
    file: usize,
}

impl Generator {
    fn new(samples: usize) -> Self {
        Self {
            random: Random::new(20_261_121),
            identities: (samples / 5).max(10),
            exchange: 0,
            copies: VecDeque::new(),
            sequences: [0; WORKERS],
            file: 0,
        }
    }

    fn next_leg(&mut self) -> Sample {
        let due = self.copies.front().is_some_and(|(exchange, _)| exchange + COPY_LATER <= self.exchange);
        let leg = if due { self.copies.pop_front() } else { None };
        let mut leg = leg.map_or_else(|| self.next_exchange(), |(_, copy)| copy);
        let worker = self.random.below(WORKERS);
        leg.worker = Some(format!("worker-{worker}"));
        if let Some(sequence) = self.sequences.get_mut(worker) {
            *sequence += 1;
            leg.sequence = Some(*sequence);
        }
        leg
    }

    fn next_exchange(&mut self) -> Sample {
        let number = self.exchange;
        self.exchange += 1;
        let identity = self.random.below(self.identities);
        let of_identity = Random::new(identity as u64).number();
        let candidate = of_identity.is_multiple_of(10);
        let copied = !candidate && self.random.below(3) == 0;
        let variant = if candidate { Variant::Candidate } else { Variant::Control };
        let primary = Sample {
            experiment: EXPERIMENT.into(),
            sample_id: format!("{:016x}", Random::new(number as u64).number()),
            ts_us: START_US + number as i64 * STEP_US,
            revision: Some(7),
            policy_digest: Some("sha256:0f1e2d".into()),
            cohort: Some("general".into()),
            tier: TIERS.get(of_identity as usize / 16 % TIERS.len()).map(|tier| (*tier).into()),
            identity_hash: Some(format!("{of_identity:016x}")),
            proxy: Some("proxy-1".into()),
            candidate_share: Some(0.1),
            copies: Some(if copied { "shadow" } else { "" }.into()),
            method: Some("POST".into()),
            path: Some(
                if of_identity.is_multiple_of(3) { "/v1/extract" } else { "/v1/chat/completions" }.into(),
            ),
            request_text: Some("user: where is my order, and when will it be here?".into()),
            model: Some("desk-1".into()),
            ..self.answered(Leg::Primary, variant)
        };
        if copied {
            let copy = Sample {
                request_text: None,
                copies: None,
                candidate_share: None,
                ..Sample { leg: Leg::Shadow, variant: Variant::Candidate, ..primary.clone() }
            };
            let answer = self.answered(Leg::Shadow, Variant::Candidate);
            let copy = Sample {
                snapshot: answer.snapshot,
                status: answer.status,
                latency_ms: answer.latency_ms,
                ttft_ms: answer.ttft_ms,
                response_text: answer.response_text,
                response_format: answer.response_format,
                finish_reason: answer.finish_reason,
                completion_tokens: answer.completion_tokens,
                ..copy
            };
            self.copies.push_back((number, copy));
        }
        primary
    }

    /// What an answer has, whoever gave it.
    fn answered(&mut self, leg: Leg, variant: Variant) -> Sample {
        let failed = self.random.below(200) == 0;
        // Sums of uniform numbers have a middle and tails.
        let spread: usize = (0..4).map(|_| self.random.below(100_000)).sum();
        let latency_ms = 200.0 + (spread * spread) as f64 / 1e8;
        let (text, format) = self.text();
        Sample {
            leg,
            variant,
            snapshot: Some(format!("{}-1", variant.as_str())),
            status: Some(if failed { 503 } else { 200 }),
            complete: Some(true),
            streamed: Some(false),
            latency_ms: Some(latency_ms),
            ttft_ms: Some(latency_ms / 4.0),
            response_truncated: Some(false),
            response_text: Some(if failed { "upstream connect error".into() } else { text }),
            response_format: Some(if failed { ResponseFormat::Text } else { format }),
            finish_reason: (!failed)
                .then(|| if self.random.below(50) == 0 { "length" } else { "stop" }.into()),
            prompt_tokens: Some(80),
            completion_tokens: (!failed).then(|| 180 + self.random.below(80) as i64),
            cached_tokens: Some(0),
            tool_calls: Some(0),
            ..Sample::default()
        }
    }

    fn text(&mut self) -> (String, ResponseFormat) {
        let kind = self.random.below(10);
        let words: &[&str] = if kind == 0 { &GERMAN } else { &WORDS };
        let length = TEXT_BYTES - 100 + self.random.below(200);
        let mut text = String::with_capacity(length + 32);
        if self.random.below(100) == 0 {
            text.push_str("I'm sorry, but I can't help with that. ");
        }
        if kind == 1 {
            text = "{\"answer\": \"".into();
        }
        while text.len() < length {
            let (one, other) = (self.random.below(words.len()), self.random.below(words.len()));
            text.push_str(words.get(one.min(other)).unwrap_or(&"and"));
            text.push_str(if self.random.below(12) == 0 { ". " } else { " " });
        }
        if kind == 1 {
            text.push_str("\"}");
        }
        (text, ResponseFormat::OpenaiChat)
    }
}
