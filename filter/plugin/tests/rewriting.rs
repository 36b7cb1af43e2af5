//! The candidate's own request, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::Refuse;
use double::proxy::{NOISE_ROOT, POLICY_ROOT, Proxy, SHADOW_ROOT, policy};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn proxy(request: &str) -> Proxy {
    let mut proxy = Proxy::new("sampling: {percent: 100}\n");
    let text = policy("sampling: {percent: 100}\n")
        .replace("cluster: candidate,", &format!("cluster: candidate, request: {request},"));
    assert!(proxy.configure(POLICY_ROOT, &text), "{:?}", proxy.host.0.log.borrow());
    proxy
}

fn internal<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let head =
        [(":method", "POST"), (":path", "/v1/chat?key=1&x"), ("x-user-id", "ada"), ("x-tier", "internal")];
    [&head, more].concat()
}

/// The body as it leaves the filter.
fn pass(proxy: &mut Proxy, stream: u32, chunks: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        proxy.request_body(stream, chunk, index + 1 == chunks.len());
        out.extend_from_slice(&proxy.host.0.chunk.borrow());
    }
    out
}

fn count(proxy: &Proxy, name: &str) -> u64 {
    proxy.filter.metrics().unsent(name)
}

#[test]
fn a_served_request_is_rewritten_and_captured_as_the_client_sent_it() {
    let mut proxy = proxy(
        "{path: /v2/chat, host: m2.example, headers: {X-Api-Version: '2'}, body: {model: desk-2, top_p: 0.5}}",
    );
    let stream = proxy.open(POLICY_ROOT, &internal(&[JSON, ("content-length", "31")]), false);
    let header = |name: &str| proxy.host.request_header(name);
    assert_eq!(header(":path").as_deref(), Some("/v2/chat?key=1&x"));
    assert_eq!(header(":authority").as_deref(), Some("m2.example"));
    assert_eq!(header("x-api-version").as_deref(), Some("2"));
    assert_eq!(header("x-weir-variant").as_deref(), Some("candidate"));
    assert_eq!(header("content-length"), None, "the new length is not known yet");
    let sent: [&[u8]; 3] = [b"{\"model\":\"desk", b"-1\",\"n\":", b"[1,2]}  "];
    let body = pass(&mut proxy, stream, &sent);
    let expected = json!({"model": "desk-2", "n": [1, 2], "top_p": 0.5});
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    proxy.answer(stream, "200", &[b"x"]);
    proxy.filter.on_delete(stream);
    proxy.tick();
    let leg = proxy.posted().remove(0);
    assert_eq!((leg.path.as_str(), leg.request_body), ("/v1/chat?key=1&x", sent.concat()));
}

#[test]
fn the_shadow_copy_is_rewritten_and_control_and_its_second_question_are_not() {
    let mut proxy = proxy("{path: /v2/chat, body: {model: desk-2}}");
    let length = ("content-length", "18");
    let head = [(":path", "/v1/chat?a=b"), ("x-user-id", "ada"), ("x-request-id", "r-1"), JSON, length];
    let body: &[u8] = b"{\"model\":\"desk-1\"}";
    for (root, leg, path, expected) in [
        (POLICY_ROOT, "", "/v1/chat?a=b", body),
        (SHADOW_ROOT, "shadow", "/v2/chat?a=b", b"{\"model\":\"desk-2\"}"),
        (NOISE_ROOT, "noise", "/v1/chat?a=b", body),
    ] {
        let mark = [("x-weir-leg", leg)];
        let headers = if leg.is_empty() { head.to_vec() } else { [&head[..], &mark].concat() };
        let stream = proxy.open(root, &headers, false);
        assert_eq!(proxy.host.request_header(":path").as_deref(), Some(path), "{leg}");
        assert_eq!(proxy.host.request_header("content-length").is_none(), leg == "shadow", "{leg}");
        assert_eq!(pass(&mut proxy, stream, &[body]), expected, "{leg}");
    }
}

#[test]
fn a_body_that_cannot_be_rewritten_stays_with_control_and_takes_no_part() {
    let mut proxy = proxy("{body: {model: desk-2}, bodyBytesMax: 20}");
    for (reason, headers) in [
        ("body_length_unknown", vec![JSON]),
        ("body_length_unknown", vec![JSON, ("content-length", "x")]),
        ("body_too_large", vec![JSON, ("content-length", "21")]),
        ("body_encoded", vec![JSON, ("content-length", "9"), ("content-encoding", "gzip")]),
        ("body_not_json", vec![("content-length", "9"), ("content-type", "multipart/form-data")]),
        ("body_not_json", vec![("content-length", "9")]),
    ] {
        let name = format!("weir_set_apart_total;reason={reason}");
        let before = count(&proxy, &name);
        let stream = proxy.open(POLICY_ROOT, &internal(&headers), false);
        assert_eq!(proxy.routed().variant, None, "{headers:?}");
        assert_eq!(pass(&mut proxy, stream, &[b"{\"model\":1}"]), b"{\"model\":1}");
        assert_eq!(count(&proxy, &name), before + 1, "{headers:?}");
        // Control would have answered this one anyway: it takes no part either, or the two would not be comparable.
        let general = [&[("x-user-id", "ada"), ("x-request-id", reason)][..], &headers].concat();
        proxy.open(POLICY_ROOT, &general, false);
        assert_eq!((proxy.routed().shadow, proxy.routed().noise), (None, None));
        assert_eq!(count(&proxy, &name), before + 2);
        proxy.filter.on_delete(stream);
    }
    for fits in [vec![JSON, ("content-length", "20")], vec![("content-length", "0")]] {
        proxy.open(POLICY_ROOT, &internal(&fits), false);
        assert_eq!(proxy.routed().variant.as_deref(), Some("candidate"), "{fits:?}");
    }
    proxy.open(POLICY_ROOT, &internal(&[]), true);
    assert_eq!(proxy.routed().variant.as_deref(), Some("candidate"), "a request without a body");
}

#[test]
fn a_body_that_is_no_object_after_all_passes_and_is_counted() {
    let mut proxy = proxy("{body: {model: desk-2}}");
    for body in [b"[1,2]".as_slice(), b"{\"model\":1", b"\xff\xfe"] {
        let length = body.len().to_string();
        let stream = proxy.open(POLICY_ROOT, &internal(&[JSON, ("content-length", &length)]), false);
        let out = pass(&mut proxy, stream, &[body]);
        assert!(out == body || body[0] == b'{', "{out:?}");
        proxy.filter.on_delete(stream);
    }
    assert_eq!(count(&proxy, "weir_not_rewritten_total"), 3);
}

#[test]
fn a_host_that_refuses_leaves_the_body_as_it_is() {
    let mut proxy = proxy("{path: /v2, host: h, headers: {a: b}, body: {model: desk-2}}");
    for first in 0..14 {
        let headers = internal(&[JSON, ("content-length", "11")]);
        proxy.host.0.calls.set(0);
        proxy.host.0.refuse.set(Refuse::From(first));
        let stream = proxy.open(POLICY_ROOT, &headers, false);
        let body = pass(&mut proxy, stream, &[b"{\"model\":1}"]);
        proxy.filter.on_delete(stream);
        proxy.host.0.refuse.set(Refuse::Nothing);
        let whole = body == b"{\"model\":1}" || body == b"{\"model\":\"desk-2\"}";
        assert!(whole, "{first}: {}", String::from_utf8_lossy(&body));
        let lengthened = body.len() > 11;
        assert!(!lengthened || proxy.host.request_header("content-length").is_none(), "{first}");
    }
}
