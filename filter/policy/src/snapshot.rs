//! What a variant serves: model, prompt, tools, knowledge base and parameters, rolled out and back as one.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_document::document;

use crate::Text;
use crate::policy::digest_of;

document! {
    /// One part of a snapshot.
    pub struct Component {
        /// Name of the part.
        pub name: String => Text::Component,
        /// Its version; text, so that `1.10` stays apart from `1.1`.
        pub version: String => Text::Component,
    }
}

document! {
    /// The immutable bundle that a variant serves.
    pub struct Snapshot {
        /// The model.
        pub model: Component,
        /// The system prompt.
        pub prompt: Option<Component>,
        /// The set of tools.
        pub tools: Option<Component>,
        /// The knowledge base.
        pub knowledge_base: Option<Component>,
        /// Parameters of the model, such as the temperature.
        pub parameters: BTreeMap<String, Value> = BTreeMap::new(),
    }
}

impl Snapshot {
    /// 16 hex digits that stand for the whole snapshot.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// One line for people, headers and samples, as in `gpt-x@1 prompt=support@3 parameters=0f3a9c01`. Equal snapshots have
    /// equal labels; different ones have different labels up to a 32-bit digest of the parameters.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = format!("{}@{}", self.model.name, self.model.version);
        let parts =
            [("prompt", &self.prompt), ("tools", &self.tools), ("knowledge-base", &self.knowledge_base)];
        for (part, component) in parts {
            if let Some(component) = component {
                label.push_str(&format!(" {part}={}@{}", component.name, component.version));
            }
        }
        if !self.parameters.is_empty() {
            let digest: String = digest_of(&self.parameters).chars().take(8).collect();
            label.push_str(&format!(" parameters={digest}"));
        }
        label
    }
}
