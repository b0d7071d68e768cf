//! The node types that flows may use, as plain data: what a plugin's `describe` said and what the
//! loader found out about its component. The checker and the designer read it; nothing here runs.
//!
//! Invariant: an entry's schemas were valid when it was loaded.
//!
//! Not here: loading and classification (`sandbox`), which digests are live (`store`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a component can do to the world, by the highest import it has. The linker binds nothing
/// above it. Ordered: a later class can do all that an earlier one can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectClass {
    /// Same input, same output; may be re-run and cached.
    Pure,
    /// Reads a clock or randomness that the engine fixes per visit.
    Recorded,
    /// Reads and writes records inside the commit that carries its result.
    Transactional,
    /// Talks to the outside. Called only after the commit that licenses it, under one key.
    External,
}

/// A text per language tag (`en`, `zh-CN`), or one text for all (tag `""`).
pub type Text = BTreeMap<String, String>;

/// One node type of a loaded plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeType {
    /// `plugin/type`, for example `commerce/ship`.
    pub id: String,
    /// `plugin/type@major`: what a flow's `uses` says.
    pub uses: String,
    pub major: u64,
    /// `plugin@semver`.
    pub plugin: String,
    /// Hex sha256 of the component.
    pub digest: String,
    pub effect: EffectClass,
    pub title: Text,
    pub summary: Text,
    pub category: String,
    /// SVG text, 24 × 24, `currentColor`.
    pub icon: String,
    /// JSON Schema (2020-12) of `config`.
    pub config: Value,
    /// JSON Schema of the mapped input (`with`).
    pub input: Value,
    /// The first port is the one an edge without `port` leaves from.
    pub ports: Vec<Port>,
    pub errors: Vec<ErrorCode>,
    pub undo: bool,
    pub resume: bool,
    pub query: bool,
    #[serde(default)]
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    #[serde(default)]
    pub title: Text,
    /// JSON Schema of what leaves by this port.
    pub output: Value,
}

/// A business error a node may reject with; a boundary handler can name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorCode {
    pub code: String,
    #[serde(default)]
    pub title: Text,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    #[serde(default)]
    pub title: String,
    pub config: Value,
    pub input: Value,
    pub port: String,
    pub output: Value,
}

/// The node types at hand, by what a flow's `uses` says: their own name, or an alias that an administrator gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Catalog {
    pub node_types: BTreeMap<String, NodeType>,
    /// The flows that may be called, by what `flow` of a call says: `key@version`, or `key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flows: BTreeMap<String, CalledFlow>,
    /// The templates that may be extended, by what `extends` says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, CalledFlow>,
    /// The decision tables that may be used, by what `table` of a decision says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, CalledFlow>,
}

/// A published version of a flow, template or table, with all it is pinned to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalledFlow {
    pub key: String,
    pub version: u32,
    pub hash: String,
    pub document: Value,
    pub catalog: Catalog,
}

impl Catalog {
    pub fn new(node_types: impl IntoIterator<Item = NodeType>) -> Self {
        let node_types = node_types.into_iter().map(|one| (one.uses.clone(), one)).collect();
        Self { node_types, ..Self::default() }
    }

    pub fn get(&self, uses: &str) -> Option<&NodeType> {
        self.node_types.get(uses)
    }
}
