//! Overrides, upstream headers and identities that the host gives, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{INTERNAL, NOISE_ROOT, POLICY_ROOT, Proxy, SHADOW_ROOT, USER};

const TOLD: [&str; 4] = ["x-weir-experiment", "x-weir-variant", "x-weir-snapshot", "x-weir-autonomy"];

fn told(proxy: &Proxy) -> Vec<Option<String>> {
    TOLD.iter().map(|name| proxy.host.request_header(name)).collect()
}

fn count(proxy: &Proxy, name: &str) -> u64 {
    proxy.filter.metrics().unsent(name)
}

#[test]
fn the_candidate_is_told_its_autonomy_level_and_what_else_the_policy_asks_for() {
    let text = |values: [&str; 4]| values.map(|value| (!value.is_empty()).then(|| value.to_owned())).to_vec();
    for (asked, expected) in [
        ("", text(["", "candidate", "", "suggest"])),
        ("routing: {upstreamHeaders: []}\n", text(["", "candidate", "", ""])),
        (
            "routing: {upstreamHeaders: [experiment, variant, snapshot, autonomy]}\n",
            text(["trial", "candidate", "m@2", "suggest"]),
        ),
    ] {
        let mut proxy = Proxy::new(asked);
        proxy.open(POLICY_ROOT, INTERNAL, true);
        assert_eq!(told(&proxy), expected, "{asked}");
    }
}

#[test]
fn copies_to_the_candidate_are_told_the_same_and_copies_to_control_nothing() {
    let mut proxy = Proxy::new(
        "routing: {upstreamHeaders: [experiment, variant, snapshot, autonomy]}\ncohorts: [{name: general, autonomy: supervised}]\nmode: shadow\n",
    );
    proxy.open(POLICY_ROOT, USER, true);
    assert_eq!(told(&proxy), vec![None; 4], "control gets what the client sent");
    let copy = [("x-request-id", "r-1"), ("x-weir-leg", "shadow")];
    proxy.open(SHADOW_ROOT, &copy, true);
    let expected = ["trial", "candidate", "m@2", "supervised"].map(|value| Some(value.to_owned()));
    assert_eq!(told(&proxy), expected);
    assert_eq!(proxy.host.request_header("x-weir-leg").as_deref(), Some("shadow"));
    proxy.open(NOISE_ROOT, &[copy[0], ("x-weir-leg", "noise")], true);
    assert_eq!(told(&proxy), vec![None; 4]);
}

#[test]
fn overridden_exchanges_are_counted_and_take_no_part() {
    let mut proxy = Proxy::new(
        "overrides: {forceHeader: x-force, forceTiers: [internal], deny: [eve]}\nsampling: {percent: 100}\n",
    );
    let tier = ("x-tier", "internal");
    for (headers, variant) in [
        (vec![tier, ("x-user-id", "ada"), ("x-force", "control")], None),
        (vec![tier, ("x-force", "candidate")], Some("candidate")),
        (vec![tier, ("x-user-id", "eve"), ("x-force", "candidate")], None),
    ] {
        let routed = proxy.exchange(&headers);
        assert_eq!(
            (routed.variant.as_deref(), routed.shadow, routed.noise),
            (variant, None, None),
            "{headers:?}"
        );
        let forwarded = headers.iter().find(|(name, _)| *name == "x-force").map(|(_, value)| *value);
        assert_eq!(proxy.host.request_header("x-force").as_deref(), forwarded);
    }
    assert_eq!(count(&proxy, "weir_set_apart_total;reason=forced"), 2);
    assert_eq!(count(&proxy, "weir_set_apart_total;reason=denied"), 1);
    proxy.tick();
    assert!(proxy.posted().is_empty(), "nothing is captured");
    let general = proxy.exchange(&[("x-user-id", "ada"), ("x-force", "candidate"), ("x-request-id", "r-9")]);
    assert_eq!(general.variant, None, "the tier may not choose");
    assert!(general.shadow.is_some());
}

#[test]
fn access_logs_are_told_only_where_the_policy_asks_for_it() {
    let state = |proxy: &Proxy| proxy.host.0.filter_state.borrow().get("weir").cloned();
    let mut silent = Proxy::new("");
    silent.open(POLICY_ROOT, INTERNAL, true);
    assert_eq!(state(&silent), None);
    let mut proxy = Proxy::new("filterState: true\n");
    proxy.open(POLICY_ROOT, INTERNAL, true);
    assert_eq!(
        state(&proxy).as_deref(),
        Some(
            "experiment=trial revision=7 variant=candidate cohort=internal tier=internal reason=inside-share"
        )
    );
    proxy.exchange(USER);
    let told = state(&proxy).unwrap();
    proxy.tick();
    let sample = format!(" sample={}", proxy.posted()[0].sample_id);
    assert_eq!(
        told,
        format!(
            "experiment=trial revision=7 variant=control cohort=general tier=general reason=no-share{sample}"
        )
    );
}

#[test]
fn the_policys_revision_and_digest_are_metrics() {
    let mut proxy = Proxy::new("");
    proxy.exchange(USER);
    proxy.tick();
    let digest = proxy.posted()[0].policy_digest.clone();
    let digits = i64::from_str_radix(&digest[..13], 16).unwrap();
    assert_eq!(
        (proxy.host.metric("weir_config_revision"), proxy.host.metric("weir_config_digest")),
        (7, digits)
    );
}

#[test]
fn several_experiments_are_counted_routed_and_captured_each_by_itself() {
    let mut proxy = Proxy::unconfigured();
    proxy.filter.on_create(POLICY_ROOT, 0);
    let experiment = |name: &str, path: &str, percent: u32| {
        format!(
            "- {{experiment: {name}, mode: canary, requests: {{header: ':path', prefix: {path}}}, identity: [{{header: x-user-id}}], \
             control: {{cluster: {name}, snapshot: {{model: {{name: m, version: '1'}}}}}}, candidate: {{cluster: {name}-next, snapshot: {{model: {{name: m, version: '2'}}}}}}, \
             cohorts: [{{name: all, candidatePercent: {percent}}}], sampling: {{percent: 100}}, routing: {{variantHeader: x-{name}, clusterHeader: x-{name}-cluster}}}}\n"
        )
    };
    let text = format!(
        "apiVersion: weir/v1\nkind: Experiments\nrevision: 9\nexperiments:\n{}{}",
        experiment("chat", "/chat", 100),
        experiment("search", "/search", 100).replace("mode: canary,", "mode: canary, revision: 7,")
    );
    assert!(proxy.configure(POLICY_ROOT, &text), "{:?}", proxy.host.0.log.borrow());
    let mixed = [("/chat", Some("chat")), ("/search", Some("search")), ("/other", None)];
    for (path, ours) in [mixed, mixed].concat() {
        let stream = proxy.open(
            POLICY_ROOT,
            &[
                (":path", path),
                ("x-user-id", "ada"),
                ("x-chat", "candidate"),
                ("x-search-cluster", "search-next"),
            ],
            true,
        );
        for name in ["chat", "search"] {
            let header = |suffix: &str| proxy.host.request_header(&format!("x-{name}{suffix}"));
            let mine = ours == Some(name);
            assert_eq!(header("").as_deref(), mine.then_some("candidate"), "{path}");
            assert_eq!(header("-cluster"), mine.then(|| format!("{name}-next")), "{path}");
        }
        proxy.answer(stream, "200", &[b"x"]);
        assert_eq!(proxy.host.response_header("x-weir-revision").as_deref(), Some("9"));
        proxy.filter.on_delete(stream);
    }
    let series = |name: &str| {
        count(&proxy, &format!("weir_requests_total;variant=candidate;cohort=all;tier=all;experiment={name}"))
    };
    assert_eq!((series("chat"), series("search")), (2, 2));
    assert_eq!(count(&proxy, "weir_set_apart_total;reason=outside"), 2);
    assert_eq!(count(&proxy, "weir_no_identity_total"), 0);
    // A batch holds legs of one policy, however they are mixed: two batches for both.
    proxy.tick();
    proxy.sink_answers("200");
    proxy.tick();
    let mut captured: Vec<_> =
        proxy.posted().into_iter().map(|leg| (leg.experiment, leg.revision, leg.path)).collect();
    captured.sort();
    // Answers carry the document's revision, samples their experiment's own.
    let expected = [("chat", 9), ("chat", 9), ("search", 7), ("search", 7)];
    let expected = expected.map(|(name, revision)| (name.to_owned(), revision, format!("/{name}")));
    assert_eq!(captured, expected);
}
