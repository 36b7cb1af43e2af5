//! Policies that come late, against a host in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod double;

use double::proxy::{INTERNAL, POLICY_ROOT, Proxy, policy};

/// Delivers a policy to a root of its own, and takes the earlier root away as Envoy does.
fn deliver(proxy: &mut Proxy, root: u32, earlier: u32, changes: &str) {
    proxy.filter.on_create(root, 0);
    assert!(proxy.configure(root, &policy(changes)), "a worker that says no loses its filter");
    proxy.filter.on_delete(earlier);
    proxy.host.advance_ms(500);
    proxy.filter.on_tick(root);
}

#[test]
fn a_policy_that_comes_late_is_logged_and_counted_and_the_newest_serves_on() {
    let mut proxy = Proxy::new("revision: 7\nmode: rolled-back");
    deliver(&mut proxy, 9, POLICY_ROOT, "revision: 6\nmode: canary");
    let stream = proxy.open(9, INTERNAL, true);
    assert_eq!(proxy.routed().variant, None, "the rollback is not undone");
    proxy.answer(stream, "200", &[]);
    assert_eq!(proxy.host.response_header("x-weir-revision").as_deref(), Some("7"));
    let log = proxy.host.0.log.borrow().join("\n");
    assert_eq!(
        log,
        "weir: configuration refused: revision: 6 is below the newest one that was taken; allowed: 7 or above, or \
         `replaces: 7`; revision 7 serves"
    );
    assert_eq!(proxy.host.metric("weir_config_rejected_total"), 1);
    assert_eq!(proxy.host.metric("weir_config_revision"), 7);
    deliver(&mut proxy, 10, 9, "revision: 8\nmode: canary");
    assert_eq!(proxy.exchange_on(10, INTERNAL).variant.as_deref(), Some("candidate"));
    assert_eq!(proxy.host.metric("weir_config_revision"), 8);
}

#[test]
fn samples_and_ticks_go_on_with_the_root_of_a_policy_that_came_late() {
    let mut proxy = Proxy::new("sampling: {percent: 100}\nshadow: {percent: 0}\nnoise: {percent: 0}");
    deliver(
        &mut proxy,
        9,
        POLICY_ROOT,
        "revision: 6\nsampling: {percent: 0}\nshadow: {percent: 0}\nnoise: {percent: 0}",
    );
    assert_eq!(proxy.host.0.tick_period_ms.get(), 500, "the policy's interval, after the first tick");
    proxy.exchange_on(9, INTERNAL);
    proxy.host.advance_ms(500);
    proxy.filter.on_tick(9);
    let legs = proxy.posted();
    assert_eq!(legs.iter().map(|leg| leg.revision).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_policy_below_the_newest_is_taken_where_nothing_of_its_experiment_serves() {
    let mut proxy = Proxy::new("revision: 7");
    let other = policy("revision: 1").replace("experiment: trial", "experiment: other");
    proxy.filter.on_create(9, 0);
    assert!(proxy.configure(9, &other));
    proxy.filter.on_delete(POLICY_ROOT);
    deliver(&mut proxy, 10, 9, "revision: 6");
    assert_eq!(proxy.host.metric("weir_config_revision"), 6);
    assert_eq!(proxy.host.metric("weir_config_rejected_total"), 0);
}
