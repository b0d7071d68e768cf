//! What a build of a plugin changes for the flows that use the one it replaces: node types, their schemas,
//! ports, error codes and operations, imports and effect class.
//!
//! Whoever writes a value (a flow, of config and input) is broken by a schema that takes less; whoever reads
//! one (a flow, of outputs) by a schema that promises less. What cannot be told counts as breaking.
//!
//! Not here: which flows there are, and what the checker says of them (`server`).

mod schema;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use crate::catalog::{EffectClass, NodeType};
use schema::{Finding, Way};

/// One build, as far as flows notice.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    pub version: &'a str,
    pub effect: EffectClass,
    pub imports: &'a [String],
    pub node_types: &'a [NodeType],
}

/// What another build changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub from: String,
    pub to: String,
    /// The two are of one major version: flows go from one to the other by themselves.
    pub same_major: bool,
    /// Something may not go on as it did.
    pub breaking: bool,
    /// Of the package as a whole.
    pub changes: Vec<Change>,
    /// Those that are other than they were, or new, or gone.
    pub node_types: Vec<NodeTypeChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTypeChange {
    /// Without the package.
    pub name: String,
    pub kind: Kind,
    pub breaking: bool,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Stable: `required-added`, `type-narrowed`, `port-removed` …
    pub code: &'static str,
    /// What it is of: `config`, `input`, `output/<port>`, `ports`, `errors`, `operations`, `imports`, `effect`.
    pub of: String,
    /// JSON pointer to the part of the value, where it is of a schema.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// One line, no full stop.
    pub message: String,
    pub breaking: bool,
}

impl Change {
    fn new(code: &'static str, of: impl Into<String>, breaking: bool, message: String) -> Self {
        Self { code, of: of.into(), pointer: String::new(), message, breaking }
    }
}

/// Compares two builds of one package.
pub fn compare(old: Build<'_>, new: Build<'_>) -> Report {
    let node_types = node_types(old.node_types, new.node_types);
    let changes = package(old, new);
    let breaking = changes.iter().any(|one| one.breaking) || node_types.iter().any(|one| one.breaking);
    let same_major = major(old.version) == major(new.version);
    Report { from: old.version.to_owned(), to: new.version.to_owned(), same_major, breaking, changes, node_types }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

fn package(old: Build<'_>, new: Build<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let word = |class: EffectClass| format!("{class:?}").to_lowercase();
    if old.effect != new.effect {
        let raised = new.effect > old.effect;
        let message = format!("was {} and is {}", word(old.effect), word(new.effect));
        let code = if raised { "effect-raised" } else { "effect-lowered" };
        changes.push(Change::new(code, "effect", raised, message));
    }
    // An interface of another patch version is the same power.
    let bare = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let has = |imports: &[String], name: &str| imports.iter().any(|one| bare(one) == bare(name));
    for name in new.imports.iter().filter(|name| !has(old.imports, name)) {
        changes.push(Change::new("import-added", "imports", false, format!("imports {name} now")));
    }
    for name in old.imports.iter().filter(|name| !has(new.imports, name)) {
        changes.push(Change::new("import-removed", "imports", false, format!("imports {name} no longer")));
    }
    changes
}

fn node_types(old: &[NodeType], new: &[NodeType]) -> Vec<NodeTypeChange> {
    let mut types = Vec::new();
    for before in old {
        let name = name(before).to_owned();
        let Some(now) = new.iter().find(|one| one.id == before.id) else {
            types.push(NodeTypeChange { name, kind: Kind::Removed, breaking: true, changes: Vec::new() });
            continue;
        };
        let changes = node_type(before, now);
        if !changes.is_empty() {
            let breaking = changes.iter().any(|one| one.breaking);
            types.push(NodeTypeChange { name, kind: Kind::Changed, breaking, changes });
        }
    }
    for now in new.iter().filter(|now| old.iter().all(|before| before.id != now.id)) {
        let name = name(now).to_owned();
        types.push(NodeTypeChange { name, kind: Kind::Added, breaking: false, changes: Vec::new() });
    }
    types
}

fn name(node_type: &NodeType) -> &str {
    node_type.id.split_once('/').map_or(node_type.id.as_str(), |(_, name)| name)
}

fn node_type(old: &NodeType, new: &NodeType) -> Vec<Change> {
    let mut changes = written("config", &old.config, &new.config);
    changes.append(&mut written("input", &old.input, &new.input));
    changes.append(&mut ports(old, new));
    changes.append(&mut errors(old, new));
    for (operation, before, now) in
        [("undo", old.undo, new.undo), ("resume", old.resume, new.resume), ("query", old.query, new.query)]
    {
        if before && !now {
            let message = format!("offers no `{operation}` any more");
            changes.push(Change::new("operation-removed", "operations", true, message));
        } else if now && !before {
            changes.push(Change::new("operation-added", "operations", false, format!("offers `{operation}` now")));
        }
    }
    changes
}

fn ports(old: &NodeType, new: &NodeType) -> Vec<Change> {
    let mut changes = Vec::new();
    for before in &old.ports {
        if let Some(now) = new.ports.iter().find(|port| port.name == before.name) {
            changes.append(&mut read(&format!("output/{}", before.name), &before.output, &now.output));
        } else {
            let message = format!("the output port `{}` is gone", before.name);
            changes.push(Change::new("port-removed", "ports", true, message));
        }
    }
    for now in new.ports.iter().filter(|now| old.ports.iter().all(|port| port.name != now.name)) {
        // The checker says of each flow whether it has an edge for it.
        changes.push(Change::new("port-added", "ports", false, format!("the output port `{}` is new", now.name)));
    }
    let first = |node_type: &NodeType| node_type.ports.first().map(|port| port.name.clone()).unwrap_or_default();
    let (before, now) = (first(old), first(new));
    if before != now && new.ports.iter().any(|port| port.name == before) {
        let message = format!("edges without a port left by `{before}` and leave by `{now}`");
        changes.push(Change::new("first-port-changed", "ports", true, message));
    }
    changes
}

fn errors(old: &NodeType, new: &NodeType) -> Vec<Change> {
    let has = |node_type: &NodeType, code: &str| node_type.errors.iter().any(|error| error.code == code);
    let gone = old.errors.iter().filter(|error| !has(new, &error.code));
    let come = new.errors.iter().filter(|error| !has(old, &error.code));
    let removed = gone.map(|error| ("error-removed", true, format!("the error code {} is gone", error.code)));
    let added = come.map(|error| ("error-added", false, format!("the error code {} is new", error.code)));
    removed.chain(added).map(|(code, breaking, message)| Change::new(code, "errors", breaking, message)).collect()
}

/// A schema of what flows write.
fn written(of: &str, old: &Value, new: &Value) -> Vec<Change> {
    let breaking: fn(Way) -> bool = |way| matches!(way, Way::Narrower | Way::Gone | Way::Unclear);
    said(of, schema::compare(old, new, breaking), breaking)
}

/// A schema of what flows read.
fn read(of: &str, old: &Value, new: &Value) -> Vec<Change> {
    let breaking: fn(Way) -> bool = |way| matches!(way, Way::Wider | Way::Gone | Way::Unclear);
    said(of, schema::compare(old, new, breaking), breaking)
}

fn said(of: &str, findings: Vec<Finding>, breaking: impl Fn(Way) -> bool) -> Vec<Change> {
    let change = |found: Finding| Change {
        code: found.code,
        of: of.to_owned(),
        pointer: found.at,
        message: found.message,
        breaking: breaking(found.way),
    };
    findings.into_iter().map(change).collect()
}
