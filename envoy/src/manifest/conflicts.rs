//! What the experiments of one document cannot have together: routes that nothing tells apart, a cluster with two meanings, a
//! rule about requests that an environment's routes cannot have.

use weir_document::{Collector, Path};
use weir_policy::Policy;

use super::installation::{Copies, Installation, asked_copies, every_copy};
use super::requests::{ALTERNATIVES_MAX, Alternative, Test};
use super::routes::{Telling, both_name, candidates_collide, controls_differ};
use super::{Environment, gateway, istio, standalone};

/// Reports everything.
pub(super) fn check(installation: &Installation<'_>, environment: Environment, problems: &mut Collector) {
    let telling = Telling::new(installation.policies);
    let by_length = environment == Environment::EnvoyGateway && telling.is_split();
    installation.each(problems, |index, policy, at, problems| {
        for (earlier, other) in installation.policies.iter().enumerate().take(index) {
            if !telling.are_apart(earlier, index) {
                check_candidates(policy, (other, earlier), at, problems);
                check_controls(policy, (other, earlier), by_length, environment, at, problems);
            }
        }
        check_rule(&telling, index, policy, environment, at, problems);
        if telling.candidate_by_rule(index) || by_length {
            check_rewriting(installation, policy, at, problems);
        }
        check_headers(installation, index, policy, at, problems);
        for copy in copies(policy, environment) {
            check_copies(installation, index, &copy, environment, at, problems);
        }
    });
    check_sink(installation, problems);
}

fn copies(policy: &Policy, environment: Environment) -> Vec<Copies<'_>> {
    match environment {
        Environment::Envoy | Environment::EnvoyEcds => every_copy(policy),
        Environment::Istio | Environment::EnvoyGateway => asked_copies(policy),
    }
}

/// What of the request keeps experiments apart.
const EXCLUDE: &str = "`requests` that exclude each other, such as different prefixes of :path";

/// Routes find the candidate that the filter means.
fn check_candidates(
    policy: &Policy,
    (other, earlier): (&Policy, usize),
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if candidates_collide(policy, other) && !both_name(policy, other) {
        let why = format!(
            "is that of experiments[{earlier}], which may have the same requests and has another candidate"
        );
        problems
            .report(&at.key("routing").key("variantHeader"), why)
            .text_value(&policy.routing.variant_header)
            .allowed(format!("a header of its own, routing.clusterHeader in both, or {EXCLUDE}"))
            .hint(format!(
                "routes could not tell them apart; write for example routing: {{variantHeader: x-{}}}",
                policy.experiment
            ));
    }
}

/// Routes find control, without the filter too. Where the longest path decides and not the order, rules are the same or apart.
fn check_controls(
    policy: &Policy,
    (other, earlier): (&Policy, usize),
    by_length: bool,
    environment: Environment,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let why = if controls_differ(policy, other) && (by_length || !both_name(policy, other)) {
        format!("is not that of experiments[{earlier}], which may have the same requests")
    } else if by_length && policy.requests != other.requests {
        format!("is found by the longest path here, and experiments[{earlier}] may have the same requests")
    } else {
        return;
    };
    let example = match environment {
        Environment::Envoy | Environment::EnvoyEcds => {
            "; a rule can leave out another's: {not: {header: \":path\", prefix: /chat}}"
        }
        Environment::Istio | Environment::EnvoyGateway => "",
    };
    let named = if by_length { "or" } else { "routing.clusterHeader in both, or" };
    problems
        .report(&at.key("control").key("cluster"), why)
        .text_value(&policy.control.cluster)
        .allowed(format!("the same control in every experiment, {named} {EXCLUDE}"))
        .hint(format!("without the filter, control is found by the request alone{example}"));
}

/// Routes that go by the request have tests that the environment knows.
fn check_rule(
    telling: &Telling<'_>,
    index: usize,
    policy: &Policy,
    environment: Environment,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    if policy.requests.is_none() || !(telling.is_split() || telling.candidate_by_rule(index)) {
        return;
    }
    let at = at.key("requests");
    let hint = "routes go by `requests` where experiments have different controls, or one variantHeader for different candidates; give them the same control, and each a routing.variantHeader of its own";
    let Some(rule) = telling.rule(index) else {
        problems
            .report(&at, "has too many alternatives for routes")
            .allowed(format!("up to {ALTERNATIVES_MAX}"))
            .hint(hint);
        return;
    };
    let (unfit, allowed): (fn(&Alternative) -> Option<&Test>, _) = match environment {
        Environment::Envoy | Environment::EnvoyEcds => (standalone::unfit, standalone::TESTS),
        Environment::Istio => (istio::unfit, istio::TESTS),
        Environment::EnvoyGateway => (gateway::unfit, gateway::TESTS),
    };
    for test in rule.iter().filter_map(unfit) {
        problems
            .report(&at, format!("has a test that routes of {} cannot have", environment.name()))
            .text_value(&test.to_string())
            .allowed(allowed)
            .hint(hint);
    }
}

/// Routes see what the filter has made of a candidate's request: what it sets is nothing that tells candidates apart.
fn check_rewriting(
    installation: &Installation<'_>,
    policy: &Policy,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let Some(request) = policy.candidate.as_ref().and_then(|candidate| candidate.request.as_ref()) else {
        return;
    };
    let rules = installation.policies.iter().filter_map(|policy| policy.requests.as_ref());
    let mut tested: Vec<&str> = Vec::new();
    rules.for_each(|rule| rule.each_header(&mut |header| tested.push(header)));
    let section = at.key("candidate");
    let section = section.key("request");
    let path = request.path.as_ref().map(|_| (section.key("path"), ":path"));
    let host = request.host.as_ref().map(|_| (section.key("host"), ":authority"));
    let headers = section.key("headers");
    let set = request.headers.keys().map(|name| (headers.key(name), name.as_str()));
    for (at, header) in path.into_iter().chain(host).chain(set) {
        if tested.iter().any(|tested| tested.eq_ignore_ascii_case(header)) {
            problems
                .report(&at, "changes what `requests` test, by which routes tell the candidates apart")
                .text_value(header)
                .hint("give each experiment a routing.variantHeader of its own, and the same control");
        }
    }
}

/// A header has one meaning.
fn check_headers(
    installation: &Installation<'_>,
    index: usize,
    policy: &Policy,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let Some(header) = &policy.routing.cluster_header else { return };
    for (other, that) in installation.policies.iter().enumerate().filter(|(other, _)| *other != index) {
        if that.routing.variant_header == *header {
            problems
                .report(
                    &at.key("routing").key("clusterHeader"),
                    format!("is the variantHeader of experiments[{other}]"),
                )
                .text_value(header)
                .hint("one header cannot hold both the variant and the cluster");
        }
    }
}

/// A cluster that gets copies gets those of one kind, and no requests whose answers would be taken for copies.
fn check_copies(
    installation: &Installation<'_>,
    index: usize,
    copy: &Copies<'_>,
    environment: Environment,
    at: &Path<'_>,
    problems: &mut Collector,
) {
    let section = at.key(if copy.leg == "shadow" { "candidate" } else { "noise" });
    let path = section.key(if copy.leg == "shadow" { "shadowCluster" } else { "cluster" });
    let mesh = matches!(environment, Environment::Istio | Environment::EnvoyGateway);
    let own = "give its copies a cluster of their own";
    for (other, that) in installation.policies.iter().enumerate().filter(|(other, _)| *other != index) {
        let others = copies(that, environment);
        let mut report = |why: String| {
            problems.report(&path, why).text_value(copy.cluster).hint(own);
        };
        for known in others.iter().filter(|known| known.cluster == copy.cluster && other < index) {
            if known.leg != copy.leg {
                report(format!("gets the {} copies of experiments[{other}]", known.leg));
            } else if known.mirrored != copy.mirrored {
                report(format!(
                    "gets the copies of experiments[{other}], which has another shadow.transport"
                ));
            } else if mesh && known.like != copy.like {
                report(format!("gets the copies of experiments[{other}], which go to {:?}", known.like));
            }
        }
        let serves = |policy: &Policy| policy.control.cluster == copy.cluster;
        let elsewhere = others.iter().any(|known| known.leg == copy.leg && known.cluster != copy.cluster);
        let unmarked = environment == Environment::Istio
            && that.candidate.as_ref().is_some_and(|candidate| candidate.cluster == copy.cluster);
        if copy.mirrored && ((serves(that) && (elsewhere || environment == Environment::Istio)) || unmarked) {
            report(format!("serves experiments[{other}], whose answers would be taken for copies"));
        }
    }
}

/// The collector is no version of a model.
fn check_sink(installation: &Installation<'_>, problems: &mut Collector) {
    let sink = &installation.first.sink.cluster;
    let copies = installation.copying(every_copy);
    if installation.serving().contains(&sink.as_str()) || copies.iter().any(|copy| copy.cluster == sink) {
        let list = Path::Root.key("experiments");
        problems
            .report(&list.index(0).key("sink").key("cluster"), "serves requests or copies, too")
            .text_value(sink)
            .hint("give the collector a cluster of its own");
    }
}
