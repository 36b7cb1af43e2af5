//! What the proxy-wasm module is configured with: a policy where it stands in the listener, a short document where it stands
//! in a cluster.

use schemars::Schema;
use serde_json::Value;
use weir_document::{Allowed, Collector, Path, Problems, Refusal, document};

use crate::{Experiments, Leg, Policy};

document! {
    /// Configuration of the filter on a cluster: it captures the answers to copies.
    pub struct Capture kind "Capture" {
        /// Which copies the cluster gets.
        pub leg: Leg => OnlyCopies,
    }
}

/// Configuration of the proxy-wasm module.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginConfiguration {
    /// In the listener: assigns, routes, copies and captures.
    Policy(Box<Policy>),
    /// The same with several experiments.
    Experiments(Experiments),
    /// On a cluster: captures the answers to copies.
    Capture(Capture),
}

/// Copies only: the primary leg is captured in the listener.
struct OnlyCopies;

impl PluginConfiguration {
    /// Reads either kind of configuration from YAML or JSON, told apart by `kind`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let tree = weir_document::parse(name, text)?;
        match tree.get("kind") {
            Some(Value::String(kind)) if kind == "Capture" => {
                weir_document::decode(name, &tree).map(PluginConfiguration::Capture)
            }
            Some(Value::String(kind)) if kind == "Experiments" => {
                Experiments::decode_tree(name, tree).map(PluginConfiguration::Experiments)
            }
            Some(kind) if kind != "Policy" => {
                let mut problems = Collector::new();
                problems
                    .report(&Path::Root.key("kind"), "is not supported")
                    .value(kind)
                    .allowed("Policy, Experiments, Capture");
                Err(problems.into_problems(name))
            }
            _ => {
                weir_document::decode(name, &tree).map(|policy| PluginConfiguration::Policy(Box::new(policy)))
            }
        }
    }
}

impl Allowed<Leg> for OnlyCopies {
    fn check(&self, value: &Leg) -> Result<(), Refusal> {
        match value {
            Leg::Shadow | Leg::Noise => Ok(()),
            Leg::Primary => Err(Refusal::new("is captured in the listener", "shadow, noise")),
        }
    }

    fn describe(&self, schema: &mut Schema) {
        schema.insert("enum".to_owned(), Value::from(vec!["shadow", "noise"]));
    }
}
