//! What is wrong with a document, said so that a person or a form can act on it.
//!
//! Not here: the rules themselves (`flow::check`) and how problems are shown (`server`, designer).

use serde::{Deserialize, Serialize};

/// One finding of a checker. A checker returns all of them, never only the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub severity: Severity,
    /// Stable, upper snake case (`DANGLING_EDGE`); documented in `docs/problems.md`.
    pub code: String,
    /// JSON pointer (RFC 6901) into the checked document.
    pub pointer: String,
    /// One line with the values at fault, no full stop.
    pub message: String,
    /// What to do about it, one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The node the problem is drawn on, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// An error keeps a document from being published; a warning does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

impl Problem {
    pub fn error(code: &str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: code.to_owned(),
            pointer: pointer.into(),
            message: message.into(),
            fix: None,
            node: None,
        }
    }

    pub fn warning(code: &str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, pointer, message) }
    }

    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    #[must_use]
    pub fn on(mut self, node: impl Into<String>) -> Self {
        self.node = Some(node.into());
        self
    }
}
