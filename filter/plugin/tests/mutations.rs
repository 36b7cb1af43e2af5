//! Mutants of committed inputs: the policy parser, the head and tail of a body, the outbox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;
mod mutation;

use std::collections::BTreeMap;

use double::proxy::{POLICY_ROOT, Proxy, policy};
use mutation::{corpus, over_mutants};
use weir_filter::capture::HeadTail;
use weir_filter::host::Refused;
use weir_policy::{PluginConfiguration, Policy};

const WORDS: [&[u8]; 36] = [
    b"0",
    b"-1",
    b"100",
    b"100.00001",
    b"1e400",
    b"18446744073709551616",
    b"9007199254740993",
    b"null",
    b"~",
    b"true",
    b"[]",
    b"{}",
    b": ",
    b"- ",
    b"\n  ",
    b"\t",
    b"&a ",
    b"*a",
    b"!!str ",
    b"|\n",
    b">-\n",
    b"%",
    b"#",
    b"\"",
    b"'",
    b"\\u0000",
    b"\xff",
    b"\xef\xbb\xbf",
    b"mode: ",
    b"shadow",
    b"kind: Capture",
    b"revision: ",
    b"x-weir-",
    b"authorization",
    b"<<: ",
    b"---\n",
];

/// What the filter's `on_configure` says, and how many lines of reasons.
fn configured(text: &[u8]) -> (bool, Vec<String>, Proxy) {
    let mut proxy = Proxy::unconfigured();
    proxy.filter.on_create(POLICY_ROOT, 0);
    *proxy.host.0.configuration.borrow_mut() = text.to_vec();
    let taken = proxy.filter.on_configure(POLICY_ROOT, text.len());
    let log = proxy.host.0.log.borrow().clone();
    (taken, log, proxy)
}

/// `weir validate` reads a file as UTF-8 text and parses it.
fn validate_and_on_configure_agree(bytes: &[u8]) {
    let (taken, log, mut proxy) = configured(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(!taken, "what is not text is refused");
        return;
    };
    let parsed = Policy::parse("policy", text);
    match &parsed {
        Ok(policy) => {
            assert!(taken, "weir validate takes what on_configure refuses: {log:?}");
            let again = Policy::parse("policy", &policy.to_json()).unwrap();
            assert_eq!((policy, policy.digest()), (&again, again.digest()));
            proxy.exchange(&[
                ("x-user-id", "ada"),
                ("x-request-id", "r-1"),
                (":method", "POST"),
                (":path", "/"),
            ]);
            proxy.tick();
        }
        Err(problems) => match PluginConfiguration::parse("policy", text) {
            Ok(PluginConfiguration::Capture(_) | PluginConfiguration::Experiments(_)) => {
                assert!(taken, "{log:?}");
            }
            Ok(PluginConfiguration::Policy(_)) => panic!("two parsers of one policy disagree"),
            Err(of_plugin) => {
                assert!(!taken, "on_configure takes what weir validate refuses: {problems}");
                assert_eq!(log.len(), of_plugin.problems.len(), "a line per problem");
                assert!(log.iter().all(|line| !line.contains('\n') && line.starts_with("weir: ")), "{log:?}");
            }
        },
    }
}

#[test]
fn weir_validate_and_on_configure_agree_on_every_mutant_of_a_policy() {
    let corpus = corpus("policy");
    let inputs = over_mutants(&corpus, &WORDS, 3_000, validate_and_on_configure_agree);
    assert!(inputs > 2_000, "{inputs}");
    let taken = corpus.iter().filter(|entry| configured(entry).0).count();
    assert!(
        (5..corpus.len()).contains(&taken),
        "some are taken and some refused: {taken} of {}",
        corpus.len()
    );
}

/// Two bytes of limits, then three bytes for each chunk: size, room, and whether the host refuses.
fn a_body_is_kept_by_its_ends(program: &[u8]) {
    let limit = |index: usize| usize::from(program.get(index).copied().unwrap_or(0));
    let (head_max, tail_max) = (limit(0), limit(1));
    let mut keep = HeadTail::new(head_max, tail_max);
    let mut body: Vec<u8> = Vec::new();
    let mut torn = false;
    for (number, step) in program.get(2..).unwrap_or_default().chunks(3).enumerate() {
        let [size, room, how] = [0, 1, 2].map(|index| step.get(index).copied().unwrap_or(0));
        let chunk: Vec<u8> = (0..size).map(|at| at.wrapping_mul(31) ^ number as u8).collect();
        let room = if room == 255 { usize::MAX } else { usize::from(room) };
        torn |= how % 8 < 3 || room < chunk.len();
        keep.push(chunk.len(), room, |start, len, into| match how % 8 {
            0 => Err(Refused(1)),
            // Lies: too little, too much.
            1 => {
                into.extend_from_slice(&chunk[start..start + len / 2]);
                Ok(())
            }
            2 => {
                into.extend_from_slice(&chunk[start..]);
                into.push(0);
                Ok(())
            }
            _ => {
                into.extend_from_slice(&chunk[start..start + len]);
                Ok(())
            }
        });
        body.extend(&chunk);
        assert!(keep.held() <= 2 * (head_max + 3 * tail_max) + 1024, "{}", keep.held());
    }
    let kept = keep.finish();
    assert_eq!(kept.total, body.len() as u64);
    assert!(body.starts_with(&kept.head) && body.ends_with(&kept.tail));
    assert!(kept.head.len() <= head_max + tail_max && kept.tail.len() <= tail_max);
    if !torn && body.len() <= head_max + tail_max {
        assert_eq!(kept.head, body);
    }
}

#[test]
fn every_mutant_of_a_body_is_kept_by_its_ends() {
    over_mutants(&corpus("body"), &[b"\0\0\0", b"\xff\xff\x08", b"\x01"], 20_000, a_body_is_kept_by_its_ends);
}

const SMALL: &str = "shadow: {percent: 50}\nnoise: {percent: 0}\nsampling: {percent: 100}\n\
    guard: {answers: 10, answersMin: 5, failurePercentMax: 50}\n\
    limits: {outboxBytesMax: 65536, bodyBytesMax: 4096, bodyTailBytesMax: 1024, batchBytesMax: 16384, sampleAgeMsMax: 5000}\n";

/// A byte is an operation and its argument: exchanges, ticks, answers of the sink, pushes, roots that go, refusals.
fn nothing_leaves_the_outbox_uncounted(program: &[u8]) {
    let mut proxy = Proxy::new(SMALL);
    let mut root = POLICY_ROOT;
    let mut revision = 7;
    let sum = |proxy: &Proxy, prefix: &str| -> i64 {
        let metrics = proxy.host.0.metrics.borrow();
        metrics.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value).sum()
    };
    let answer = |proxy: &mut Proxy, root: u32, status: &str| {
        *proxy.host.0.call_response.borrow_mut() = double::proxy::pairs(&[(":status", status)]);
        let token = proxy.host.0.next_token.get() - 1;
        proxy.filter.on_call_response(root, token, u32::from(status != "0"), 0);
    };
    for (number, byte) in program.iter().take(256).enumerate() {
        let argument = usize::from(byte >> 3);
        match byte & 7 {
            0 | 1 => {
                let id = format!("r-{number}");
                let tier = if argument % 2 == 0 { "internal" } else { "general" };
                let stream =
                    proxy.open(root, &[("x-user-id", "ada"), ("x-request-id", &id), ("x-tier", tier)], true);
                let shadow = proxy.routed().shadow.is_some();
                let body = vec![b'x'; argument * 300];
                proxy.answer(stream, if argument % 5 == 0 { "500" } else { "200" }, &[&body, b"y"]);
                proxy.filter.on_delete(stream);
                if shadow && argument % 3 > 0 {
                    let copy = proxy.open(double::proxy::SHADOW_ROOT, &[("x-request-id", &id)], true);
                    if argument % 3 > 1 {
                        proxy.answer(copy, "200", &[&body]);
                    }
                    proxy.filter.on_delete(copy);
                }
            }
            2 | 3 => {
                proxy.host.advance_ms(argument as u64 * 100);
                proxy.filter.on_tick(root);
            }
            4 => answer(&mut proxy, root, ["200", "503", "400", "429", "0", "x"][argument % 6]),
            5 => {
                revision += 1;
                let next = root + 10;
                proxy.filter.on_create(next, 0);
                if proxy.configure(next, &policy(&format!("revision: {revision}\n{SMALL}"))) {
                    proxy.filter.on_delete(root);
                    root = next;
                }
            }
            6 => {
                proxy.configure(root, "nonsense: [");
            }
            _ => {
                let refuse = [
                    double::Refuse::Nothing,
                    double::Refuse::Everything,
                    double::Refuse::Nth(proxy.host.0.calls.get() + argument),
                ];
                proxy.host.0.refuse.set(refuse[argument % 3]);
            }
        }
        assert!(sum(&proxy, "weir_outbox_bytes") <= 65_536);
    }
    proxy.host.0.refuse.set(double::Refuse::Nothing);
    for _ in 0..200 {
        proxy.host.advance_ms(400);
        proxy.filter.on_tick(root);
        answer(&mut proxy, root, "200");
    }
    proxy.filter.on_tick(root);
    let (samples, sent, dropped) =
        (sum(&proxy, "weir_samples_total"), sum(&proxy, "weir_sent_total"), sum(&proxy, "weir_drops_total"));
    assert_eq!(samples, sent + dropped, "{sent} sent, {dropped} dropped");
    assert_eq!(
        (
            sum(&proxy, "weir_outbox_bytes"),
            sum(&proxy, "weir_capture_bytes"),
            sum(&proxy, "weir_pending_pairs")
        ),
        (0, 0, 0)
    );
    let mut numbers: BTreeMap<u64, (String, &str)> = BTreeMap::new();
    for leg in proxy.posted() {
        let identity = (leg.sample_id, leg.leg.as_str());
        let earlier = numbers.insert(leg.sequence, identity.clone());
        assert!(earlier.is_none_or(|earlier| earlier == identity), "one number for two legs");
    }
    assert!(numbers.len() as i64 >= sent && numbers.keys().all(|number| (*number as i64) < samples));
}

#[test]
fn every_mutant_of_an_outboxs_life_counts_what_it_loses() {
    over_mutants(
        &corpus("outbox"),
        &[b"\x04", b"\x04\x0c\x14\x1c\x24\x2c", b"\x05", b"\x07\x0f\x17", b"\xfa"],
        600,
        nothing_leaves_the_outbox_uncounted,
    );
}
