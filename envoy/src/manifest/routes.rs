//! Which cluster answers which request, as a list in which the first route that fits decides.
//!
//! The filter marks what it decided, and routes go by the marks: the variant header names the candidate, the copies' headers
//! their clusters. Where two experiments have the same mark for different clusters, their `routing.clusterHeader` tells them
//! apart, else their `requests`. Where the experiments have different controls, control is found by `requests` too, so that it
//! answers with the filter bypassed; requests of no experiment go to the first one's.
//!
//! Invariant: every list ends in a route to control for every request.

use weir_policy::Policy;

use super::installation::{Copies, Installation};
use super::requests::{Alternative, alternatives, are_apart};

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// Its name.
    pub(super) name: String,
    /// Which requests; one alternative without tests means all.
    pub(super) when: Vec<Alternative>,
    /// Headers that the filter has set, with their values.
    pub(super) marks: Vec<(&'a str, &'a str)>,
    /// The cluster that answers.
    pub(super) to: &'a str,
    /// Who gets copies.
    pub(super) copies: Vec<Copies<'a>>,
    /// Whether the candidate answers.
    pub(super) candidate: bool,
}

/// How the routes of the experiments are told apart.
pub(super) struct Telling<'a> {
    policies: &'a [Policy],
    rules: Vec<Option<Vec<Alternative>>>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(policies: &'a [Policy]) -> Self {
        Self {
            policies,
            rules: policies.iter().map(|policy| alternatives(policy.requests.as_ref())).collect(),
        }
    }

    /// Whether experiments have different controls.
    pub(super) fn is_split(&self) -> bool {
        self.policies.windows(2).any(|pair| matches!(pair, [one, two] if controls_differ(one, two)))
    }

    /// The alternatives of an experiment's rule; none where there are too many.
    pub(super) fn rule(&self, index: usize) -> Option<&[Alternative]> {
        self.rules.get(index)?.as_deref()
    }

    /// Whether no request fits the rules of both.
    pub(super) fn are_apart(&self, one: usize, two: usize) -> bool {
        self.rule(one).zip(self.rule(two)).is_some_and(|(one, two)| are_apart(one, two))
    }

    /// Whether an experiment's candidate is told from others by the rule about requests.
    pub(super) fn candidate_by_rule(&self, index: usize) -> bool {
        self.any_other(index, |policy, other, _| {
            candidates_collide(policy, other) && !both_name(policy, other)
        })
    }

    fn candidate_by_cluster(&self, index: usize) -> bool {
        self.any_other(index, |policy, other, _| {
            candidates_collide(policy, other) && both_name(policy, other)
        })
    }

    fn control_by_cluster(&self, index: usize) -> bool {
        self.any_other(index, |policy, other, apart| {
            !apart && controls_differ(policy, other) && both_name(policy, other)
        })
    }

    fn any_other(&self, index: usize, fits: impl Fn(&Policy, &Policy, bool) -> bool) -> bool {
        let Some(policy) = self.policies.get(index) else { return false };
        let mut others = self.policies.iter().enumerate().filter(|(other, _)| *other != index);
        others.any(|(other, that)| fits(policy, that, self.are_apart(index, other)))
    }

    fn when(&self, index: usize, by_rule: bool) -> Vec<Alternative> {
        let rule = self.rule(index).filter(|_| by_rule);
        rule.map_or_else(|| vec![Vec::new()], <[_]>::to_vec)
    }
}

/// Whether two experiments mark different candidates the same way.
pub(super) fn candidates_collide(one: &Policy, two: &Policy) -> bool {
    let cluster = |policy: &Policy| policy.candidate.as_ref().map(|candidate| candidate.cluster.clone());
    one.routing.variant_header == two.routing.variant_header && cluster(one) != cluster(two)
}

/// Whether two experiments have different controls.
pub(super) fn controls_differ(one: &Policy, two: &Policy) -> bool {
    one.control.cluster != two.control.cluster
}

/// Whether the filter names the cluster of both.
pub(super) fn both_name(one: &Policy, two: &Policy) -> bool {
    one.routing.cluster_header.is_some() && two.routing.cluster_header.is_some()
}

/// The routes. `copies` says which ones routes are made for; `by_length` that the longest path decides there, not the order, so that
/// candidates have the requests' tests wherever control has them.
pub(super) fn routes<'a>(
    installation: &Installation<'a>,
    copies: fn(&Policy) -> Vec<Copies<'_>>,
    by_length: bool,
) -> Vec<Route<'a>> {
    let telling = Telling::new(installation.policies);
    let list = List { installation, telling, by_length };
    let mut routes = Vec::new();
    for (index, policy) in installation.policies.iter().enumerate() {
        routes.extend(list.candidate(index, policy));
    }
    for (index, policy) in installation.policies.iter().enumerate() {
        let mirrored = copies(policy).into_iter().filter(|copy| copy.mirrored);
        routes.extend(list.copied(index, policy, &mirrored.collect::<Vec<_>>()));
    }
    for (index, policy) in installation.policies.iter().enumerate() {
        routes.extend(list.named_control(index, policy));
    }
    list.controls(&mut routes);
    without_repeats(routes)
}

struct List<'a, 'i> {
    installation: &'i Installation<'a>,
    telling: Telling<'a>,
    by_length: bool,
}

impl<'a> List<'a, '_> {
    fn name(&self, policy: &Policy, name: &str) -> String {
        if self.installation.several { format!("{}-{name}", policy.experiment) } else { name.to_owned() }
    }

    fn candidate(&self, index: usize, policy: &'a Policy) -> Option<Route<'a>> {
        let candidate = policy.candidate.as_ref()?;
        let by_rule = self.telling.candidate_by_rule(index) || (self.by_length && self.telling.is_split());
        let mut marks = vec![(policy.routing.variant_header.as_str(), "candidate")];
        let named =
            policy.routing.cluster_header.as_ref().filter(|_| self.telling.candidate_by_cluster(index));
        marks.extend(named.map(|header| (header.as_str(), candidate.cluster.as_str())));
        Some(Route {
            name: self.name(policy, "candidate"),
            when: self.telling.when(index, by_rule),
            marks,
            to: &candidate.cluster,
            copies: Vec::new(),
            candidate: true,
        })
    }

    /// Control with every combination of copies.
    fn copied(&self, index: usize, policy: &'a Policy, copies: &[Copies<'a>]) -> Vec<Route<'a>> {
        let combinations: Vec<Vec<Copies<'a>>> = match copies {
            [shadow, noise] => vec![vec![*shadow, *noise], vec![*shadow], vec![*noise]],
            [one] => vec![vec![*one]],
            _ => Vec::new(),
        };
        let of = |copies: Vec<Copies<'a>>| {
            let legs: Vec<&str> = copies.iter().map(|copy| copy.leg).collect();
            let marks = copies.iter().map(|copy| (copy.mark, copy.cluster));
            let mut route = self.control(index, policy, &format!("control-{}", legs.join("-")));
            route.marks = marks.chain(route.marks).collect();
            Route { copies, ..route }
        };
        combinations.into_iter().map(of).collect()
    }

    /// Control of an experiment whose requests another one with another control may have, too.
    fn named_control(&self, index: usize, policy: &'a Policy) -> Option<Route<'a>> {
        let named = self.telling.is_split() && self.telling.control_by_cluster(index);
        named.then(|| self.control(index, policy, "control-by-name"))
    }

    fn control(&self, index: usize, policy: &'a Policy, name: &str) -> Route<'a> {
        let split = self.telling.is_split();
        let by_cluster = split && self.telling.control_by_cluster(index);
        let named = policy.routing.cluster_header.as_ref().filter(|_| by_cluster);
        Route {
            name: self.name(policy, name),
            when: self.telling.when(index, split && !by_cluster),
            marks: named
                .map(|header| (header.as_str(), policy.control.cluster.as_str()))
                .into_iter()
                .collect(),
            to: &policy.control.cluster,
            copies: Vec::new(),
            candidate: false,
        }
    }

    /// What answers without any mark, up to the first route for every request.
    fn controls(&self, routes: &mut Vec<Route<'a>>) {
        let plain = |name: String, when: Vec<Alternative>, to: &'a str| Route {
            name,
            when,
            marks: Vec::new(),
            to,
            copies: Vec::new(),
            candidate: false,
        };
        for (index, policy) in self.installation.policies.iter().enumerate() {
            if !self.telling.is_split() {
                break;
            }
            let when = self.telling.when(index, true);
            let every = when.iter().any(Vec::is_empty);
            // Of the same requests the first has decided.
            if !routes.iter().any(|route| route.marks.is_empty() && route.when == when) {
                routes.push(plain(self.name(policy, "control"), when, &policy.control.cluster));
            }
            if every {
                return;
            }
        }
        let first = &self.installation.first.control.cluster;
        routes.push(plain("control".to_owned(), vec![Vec::new()], first));
    }
}

/// Experiments may have the same route; the first name stays.
fn without_repeats(routes: Vec<Route<'_>>) -> Vec<Route<'_>> {
    let mut found: Vec<Route<'_>> = Vec::new();
    for route in routes {
        let same = |other: &Route<'_>| {
            (&other.when, &other.marks, other.to, &other.copies)
                == (&route.when, &route.marks, route.to, &route.copies)
        };
        if !found.iter().any(same) {
            found.push(route);
        }
    }
    found
}
