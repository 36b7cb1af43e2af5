//! Where clusters are: what `--cluster`, `--control` and `--candidate` say, held against the names of the document.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use weir_document::{Collector, Path};

use super::installation::{Installation, every_copy};
use super::{Environment, Place};
use crate::bootstrap::Names;

/// Where one policy's control is where nobody says.
const CONTROL: ([u8; 4], u16) = ([127, 0, 0, 1], 8001);
/// Where its candidate is.
const CANDIDATE: ([u8; 4], u16) = ([127, 0, 0, 1], 8002);

/// Addresses by the clusters' names.
pub(super) type Addresses = BTreeMap<String, SocketAddr>;

/// Reports names that the document does not have, clusters that are nowhere, and what is no address.
pub(super) fn check(
    installation: &Installation<'_>,
    environment: Environment,
    place: &Place,
    problems: &mut Collector,
) {
    match environment {
        Environment::Envoy | Environment::EnvoyEcds => {
            let _only_problems = addresses(installation, place, problems);
        }
        Environment::Istio if installation.several => check_names(installation, place, problems),
        Environment::Istio => {
            check_unused(place, "of one policy, --service names the service of both versions", problems)
        }
        Environment::EnvoyGateway => {
            check_unused(place, "services are named like the clusters of the document", problems)
        }
    }
}

/// The address of every cluster but the collector's.
pub(super) fn addresses(
    installation: &Installation<'_>,
    place: &Place,
    problems: &mut Collector,
) -> Addresses {
    check_names(installation, place, problems);
    let mut found = Addresses::new();
    for (name, text) in &place.clusters {
        match text.parse() {
            Ok(address) => {
                found.insert(name.clone(), address);
            }
            Err(_) => {
                problems
                    .report(&Path::Root.key("--cluster"), format!("gives {name} what is no address"))
                    .text_value(text)
                    .allowed("IP:PORT, such as 10.0.0.1:8000");
            }
        }
    }
    if installation.several {
        add_shared(installation, place, &mut found, problems);
        check_missing(installation, place, &found, problems);
    } else {
        add_of_one(installation, place, &mut found);
    }
    for copy in installation.copying(every_copy) {
        if let Some(address) = found.get(copy.like).copied() {
            found.entry(copy.cluster.to_owned()).or_insert(address);
        }
    }
    found
}

/// Of one policy, control and candidate are somewhere in any case.
fn add_of_one(installation: &Installation<'_>, place: &Place, found: &mut Addresses) {
    let names = Names::of(installation.first);
    found.entry(names.control).or_insert(place.control.unwrap_or(SocketAddr::from(CONTROL)));
    found.entry(names.candidate).or_insert(place.candidate.unwrap_or(SocketAddr::from(CANDIDATE)));
}

/// `--control` and `--candidate` mean the only control and the only candidate.
fn add_shared(
    installation: &Installation<'_>,
    place: &Place,
    found: &mut Addresses,
    problems: &mut Collector,
) {
    let controls = names(installation.policies.iter().map(|policy| Some(policy.control.cluster.as_str())));
    let candidates = names(
        installation
            .policies
            .iter()
            .map(|policy| policy.candidate.as_ref().map(|candidate| candidate.cluster.as_str())),
    );
    for (option, given, names) in
        [("--control", place.control, controls), ("--candidate", place.candidate, candidates)]
    {
        match (given, names.as_slice()) {
            (None, _) | (_, []) => {}
            (Some(address), [one]) => {
                found.entry((*one).to_owned()).or_insert(address);
            }
            (Some(address), several) => {
                let each: Vec<String> =
                    several.iter().map(|name| format!("--cluster {name}=ADDRESS")).collect();
                problems
                    .report(&Path::Root.key(option), "is one address for several clusters")
                    .text_value(&address.to_string())
                    .hint(format!("write {}", each.join(" ")));
            }
        }
    }
}

fn names<'a>(all: impl Iterator<Item = Option<&'a str>>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in all.flatten() {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Every cluster has an address; those of copies have the address of what they copy, where that is one.
fn check_missing(
    installation: &Installation<'_>,
    place: &Place,
    found: &Addresses,
    problems: &mut Collector,
) {
    // A name that could not be read as an address is there all the same.
    let is_there = |name: &str| found.contains_key(name) || place.clusters.contains_key(name);
    let mut told: Vec<&str> = Vec::new();
    installation.each(problems, |_, policy, at, problems| {
        let mut missing = |path: &Path<'_>, name: &'_ str| {
            problems
                .report(path, "has no address")
                .text_value(name)
                .hint(format!("add --cluster {name}=ADDRESS"));
        };
        let candidate = policy.candidate.as_ref().map(|candidate| candidate.cluster.as_str());
        for (field, name) in [("control", Some(policy.control.cluster.as_str())), ("candidate", candidate)] {
            if let Some(name) = name.filter(|name| !is_there(name) && !told.contains(name)) {
                told.push(name);
                missing(&at.key(field).key("cluster"), name);
            }
        }
        for copy in every_copy(policy) {
            let wanted = (found.get(copy.like), copy.cluster);
            let others = installation.policies.iter().flat_map(every_copy);
            let mut same = others.filter(|other| other.cluster == wanted.1);
            let differ = same.any(|other| found.get(other.like) != wanted.0);
            if differ && !is_there(copy.cluster) && !told.contains(&copy.cluster) {
                told.push(copy.cluster);
                let (section, key) =
                    if copy.leg == "shadow" { ("candidate", "shadowCluster") } else { ("noise", "cluster") };
                missing(&at.key(section).key(key), copy.cluster);
            }
        }
    });
}

fn check_names(installation: &Installation<'_>, place: &Place, problems: &mut Collector) {
    let mut known: Vec<String> = installation.serving().into_iter().map(str::to_owned).collect();
    if installation.several {
        known.extend(installation.copying(every_copy).iter().map(|copy| copy.cluster.to_owned()));
    } else {
        let Names { candidate, shadow, noise, .. } = Names::of(installation.first);
        known.extend(
            [candidate, shadow, noise].into_iter().filter(|name| *name != installation.first.control.cluster),
        );
        let mut once = Vec::new();
        known.retain(|name| {
            if once.contains(name) {
                false
            } else {
                once.push(name.clone());
                true
            }
        });
    }
    for name in place.clusters.keys().filter(|name| !known.contains(name)) {
        let report = problems
            .report(&Path::Root.key("--cluster"), "is no cluster of the document")
            .text_value(name)
            .allowed(known.join(", "));
        if *name == installation.first.sink.cluster {
            report.hint("--collector gives the collector's address, --collector-host its host name");
        }
    }
}

fn check_unused(place: &Place, hint: &str, problems: &mut Collector) {
    for name in place.clusters.keys() {
        problems.report(&Path::Root.key("--cluster"), "is not asked for here").text_value(name).hint(hint);
    }
}
