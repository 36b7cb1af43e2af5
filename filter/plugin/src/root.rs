//! Callbacks of a root: configuration, tick, answers to calls.
//!
//! Configuration is built first and taken as a whole; a refused one changes nothing. Every configuration runs in a
//! trial VM first, so nothing here reads the clock, draws numbers or sends anything.
//!
//! A policy that comes late (see [`weir_policy::Newest`]) is refused by the workers, not by the trial VM, which knows of no
//! earlier one: Envoy has taken the update by then, and saying no would take the filter out. The root serves the policy that
//! is there instead, and the refusal is a line in Envoy's log and a count, and every answer shows the revision that serves.

use std::rc::Rc;

use weir_policy::PluginConfiguration;
use weir_wire::{LegKind, Resource};

use crate::active::Active;
use crate::filter::{Filter, Role};
use crate::host::{Host, Level, Map};
use crate::metrics::{Count, Metrics};

/// A new root's first tick comes so early, whatever the policy's interval: with policies that follow each other faster than
/// that, no root would ever live to see one, and nothing would be sent.
const FIRST_TICK_MS: u64 = 10;
/// What problems call the configuration.
const DOCUMENT: &str = "configuration";

impl<H: Host> Filter<H> {
    /// Takes or refuses the configuration of a root.
    pub fn on_configure(&mut self, root: u32, size: usize) -> bool {
        match self.read_configuration(size) {
            Ok(configuration) => {
                if !self.comes_late(root, &configuration) {
                    self.newest.take(&configuration);
                    self.take_configuration(root, configuration);
                }
                true
            }
            Err(lines) => {
                for line in lines {
                    self.host.log(Level::Error, &format!("weir: {line}"));
                }
                // Handed over at once: a refused configuration's VM has no tick.
                let mut rejected = Metrics::default();
                rejected.count(Count::ConfigRejected);
                rejected.flush_counters(&self.host);
                false
            }
        }
    }

    /// Sends, ages out and hands over counters; only the latest root does.
    pub fn on_tick(&mut self, root: u32) {
        let Some(active) = self.latest_of(root) else {
            return;
        };
        if active.first_tick.replace(false) {
            self.tick_every(active.policy.limits.flush_interval_ms);
        }
        let now = self.now();
        self.metrics.count(Count::Heartbeat);
        let age_max = active.terms.age_ms_max.saturating_mul(1_000_000);
        self.pending.expire(now, age_max, &mut self.metrics);
        let limits = &active.policy.limits;
        self.sampler.tick(now, limits.flush_interval_ms, active.policy.sampling.per_second_max);
        self.send(root, &active, now);
        self.send_callouts(root, now);
        self.metrics.set_memory(self.memory.taken(), self.host.memory_bytes());
        self.metrics.set_levels(self.outbox.bytes(), self.pending.len());
        self.metrics.set_policy(active.document_revision, &active.document_digest);
        self.metrics.set_held(active.guards.as_ref().map_or(0, |guards| guards.tripped_count()));
        self.metrics.flush(&self.host);
    }

    /// The answer to a call, or, without headers, the news that there will be none.
    pub fn on_call_response(&mut self, root: u32, token: u32, headers: u32, body_size: usize) {
        if self.callout_answered(token, headers, body_size) {
            // Its place is free: what waits for one need not wait for the tick.
            if self.latest_of(root).is_some() {
                let now = self.now();
                self.send_callouts(root, now);
            }
            return;
        }
        let Some((latest, active)) = &self.latest else {
            return;
        };
        let (latest, active) = (*latest, Rc::clone(active));
        let status = if headers == 0 { 0 } else { self.status(Map::CallResponse) };
        let asks = matches!(status, 429 | 503);
        let retry_after_s = if asks { self.number_in(Map::CallResponse, "retry-after") } else { None };
        let now = self.now();
        let known = self.outbox.answered(token, status, retry_after_s, now, &active.terms, &mut self.metrics);
        // A full batch need not wait for the tick; less than that does, because each batch costs Envoy a request. A
        // batch of an earlier policy will not become any fuller.
        let full = self.outbox.bytes() >= active.terms.batch_bytes_max || self.outbox.is_behind(&active);
        if known && full && root == latest && (200..300).contains(&status) {
            self.send(root, &active, now);
        }
    }

    pub(crate) fn delete_root(&mut self, root: u32) {
        self.roots.retain(|(id, _)| *id != root);
        self.outbox.root_gone(root);
        self.callouts_lost(root);
        if self.latest.as_ref().is_some_and(|(id, _)| *id == root) {
            self.latest = self.roots.iter().rev().find_map(|(id, role)| match role {
                Role::Policy(active) => Some((*id, Rc::clone(active))),
                _ => None,
            });
        }
    }

    fn tick_every(&mut self, milliseconds: u64) {
        if self.host.set_tick_period(u32::try_from(milliseconds).unwrap_or(u32::MAX)).is_err() {
            self.metrics.count(Count::HostRefusals);
        }
    }

    fn latest_of(&self, root: u32) -> Option<Rc<Active>> {
        let (id, active) = self.latest.as_ref()?;
        (*id == root).then(|| Rc::clone(active))
    }

    fn read_configuration(&self, size: usize) -> Result<PluginConfiguration, Vec<String>> {
        let mut bytes = Vec::with_capacity(size);
        self.host
            .configuration(&mut bytes)
            .map_err(|refused| vec![format!("{DOCUMENT}: cannot be read (status {})", refused.0)])?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| vec![format!("{DOCUMENT}: is not UTF-8 text: {error}")])?;
        PluginConfiguration::parse(DOCUMENT, text).map_err(|problems| lines(&problems))
    }

    /// Whether a policy is below the newest one, and the one that serves goes on: nothing else would.
    fn comes_late(&mut self, root: u32, configuration: &PluginConfiguration) -> bool {
        let Err(problems) = self.newest.check(DOCUMENT, configuration) else { return false };
        let Some(active) = self.serving(configuration) else { return false };
        for line in lines(&problems) {
            self.host
                .log(Level::Error, &format!("weir: {line}; revision {} serves", active.document_revision));
        }
        self.metrics.count(Count::ConfigRejected);
        let role = self.take_policy(root, active);
        self.put_role(root, role);
        true
    }

    /// The latest policy of one of the experiments.
    fn serving(&self, configuration: &PluginConfiguration) -> Option<Rc<Active>> {
        let names: Vec<&str> = match configuration {
            PluginConfiguration::Policy(policy) => vec![&policy.experiment],
            PluginConfiguration::Experiments(document) => {
                document.experiments.iter().map(|policy| policy.experiment.as_str()).collect()
            }
            PluginConfiguration::Capture(_) => Vec::new(),
        };
        self.roots.iter().rev().find_map(|(_, role)| match role {
            Role::Policy(active) if names.iter().any(|name| active.is_about(name)) => Some(Rc::clone(active)),
            _ => None,
        })
    }

    fn take_configuration(&mut self, root: u32, configuration: PluginConfiguration) {
        let role = match configuration {
            PluginConfiguration::Policy(policy) => {
                let previous = self.latest.as_ref().map(|(_, active)| &**active);
                let active = Active::new(*policy, previous, &mut self.metrics);
                self.take_policy(root, active)
            }
            PluginConfiguration::Experiments(experiments) => {
                let previous = self.latest.as_ref().map(|(_, active)| &**active);
                let active = Active::of_experiments(experiments, previous, &mut self.metrics);
                active.map_or(Role::None, |active| self.take_policy(root, active))
            }
            PluginConfiguration::Capture(capture) => Role::Capture(match capture.leg {
                weir_policy::Leg::Primary => LegKind::Primary,
                weir_policy::Leg::Shadow => LegKind::Shadow,
                weir_policy::Leg::Noise => LegKind::Noise,
            }),
        };
        self.metrics.count(Count::ConfigAccepted);
        self.put_role(root, role);
    }

    fn put_role(&mut self, root: u32, role: Role) {
        match self.roots.iter_mut().find(|(id, _)| *id == root) {
            Some((_, place)) => *place = role,
            None => self.roots.push((root, role)),
        }
    }

    fn take_policy(&mut self, root: u32, active: Rc<Active>) -> Role {
        self.tick_every(active.policy.limits.flush_interval_ms.min(FIRST_TICK_MS));
        active.first_tick.set(true);
        self.latest = Some((root, Rc::clone(&active)));
        Role::Policy(active)
    }

    fn send(&mut self, root: u32, active: &Active, now: u64) {
        if self.outbox.is_empty() {
            return;
        }
        let epoch = self.epoch();
        let resource = self.resource.get_or_insert_with(|| resource(&self.host, epoch));
        self.outbox.pump(&self.host, root, resource, &active.terms, now, &mut self.metrics);
    }

    /// The status in a header map; 0 where there is none.
    pub(crate) fn status(&mut self, map: Map) -> u16 {
        self.number_in(map, ":status").and_then(|status| u16::try_from(status).ok()).unwrap_or(0)
    }

    /// A whole number in a header of a map.
    fn number_in(&mut self, map: Map, name: &str) -> Option<u64> {
        let mut bytes = self.take_scratch();
        let read = self.host.header(map, name, &mut bytes);
        let number = match read {
            Ok(true) => std::str::from_utf8(&bytes).ok().and_then(|number| number.trim().parse().ok()),
            _ => None,
        };
        self.return_scratch(bytes);
        number
    }
}

/// One line per problem.
fn lines(problems: &weir_policy::Problems) -> Vec<String> {
    let one_line = |problem: &weir_policy::Problem| {
        let text = problem.to_string();
        let line: Vec<&str> = text.split_whitespace().collect();
        format!("{DOCUMENT} refused: {}", line.join(" "))
    };
    problems.problems.iter().map(one_line).collect()
}

fn resource(host: &impl Host, epoch: u64) -> Resource {
    // Envoy 1.40 answers to the first path; older ones to the second.
    let mut proxy = Vec::new();
    let found = [["xds", "node", "id"].as_slice(), &["node", "id"]]
        .into_iter()
        .any(|path| host.property(path, &mut proxy) == Ok(true) && !proxy.is_empty());
    Resource {
        proxy: if found { String::from_utf8_lossy(&proxy).into_owned() } else { String::new() },
        worker: format!("{epoch:016x}"),
    }
}
