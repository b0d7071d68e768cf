//! BPMN 2.0 in: the XML of a process becomes a flow's document, as far as our constructs go.
//!
//! The way: `read` takes the process apart into elements and sequence flows; `names` finds out where a variable comes
//! from; `write` says each element as a node; `edges` what follows what; `place` puts nodes where the diagram has them.
//!
//! Invariants:
//! - Nothing is left out silently: what is not taken, or means something else here, is told with its line and with what
//!   stands in its place. A step that cannot be taken becomes a person's task, so that nothing runs past it unseen.
//! - The document may have problems (a binding nobody knows): it is for the checker to say so, and for people to mend.
//!
//! Not here: BPMN out; what a binding (`camunda:class`, a delegate) stands for: that is an alias in the catalogue.
//!
//! Sources: BPMN 2.0.2 (formal/2013-12-09); extension elements of Camunda 7 and of Zeebe as their documentation has them.

mod edges;
mod expression;
mod names;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod work;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::catalog::Catalog;

/// Longest XML that is read.
pub const BPMN_BYTES_MAX: usize = 1024 * 1024;

/// How a process is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The process by its id; the first that is executable unless given.
    pub process: Option<&'a str>,
    /// Node types by what the XML binds a step to: `com.CommunityStockDelegate` → `commerce/reserve-stock@1`. What is
    /// not among them stays in `uses` as it stands, an alias for the checker to look up.
    pub bindings: &'a BTreeMap<String, String>,
    /// What node types take and give tells where a variable comes from.
    pub catalog: &'a Catalog,
}

/// A process as a flow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    pub document: Value,
    /// In the order of the XML.
    pub left: Vec<Left>,
    /// What steps are bound to by the XML, and the node type that stands for it, if one is known.
    pub bound: BTreeMap<String, Option<String>>,
}

/// An element, or a part of one, that the flow does not have as the XML has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its name in the XML, without a prefix: `complexGateway`.
    pub element: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it begins in the XML, from 1.
    pub line: u32,
    pub message: String,
    /// What stands in its place, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Why there is no flow at all. Another file is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBpmn {
    #[error("line {line}: {message}")]
    Xml { line: u32, message: String },
    #[error("the XML is longer than {BPMN_BYTES_MAX} bytes")]
    TooLong,
    #[error("no element of BPMN 2.0 is in it: its root is `{0}`")]
    OtherXml(String),
    #[error("no process `{0}` is in it")]
    NoProcess(String),
    #[error("no process is in it")]
    Empty,
}

/// Makes a flow of a process.
pub fn import(xml: &str, wanted: &Wanted<'_>) -> Result<Imported, NotBpmn> {
    if xml.len() > BPMN_BYTES_MAX {
        return Err(NotBpmn::TooLong);
    }
    let tree = roxmltree::Document::parse(xml)
        .map_err(|error| NotBpmn::Xml { line: error.pos().row, message: error.to_string() })?;
    let mut process = read::process(&tree, wanted)?;
    let (document, bound) = write::document(&mut process, wanted);
    let mut left = process.left;
    left.sort_by(|a, b| (a.line, &a.message).cmp(&(b.line, &b.message)));
    left.dedup();
    Ok(Imported { document, left, bound })
}
