//! Decides what a start runs: which version of a flow ([`Binding`]), and which flow a path leads to
//! ([`Route`]). Both are rules that people edit while instances run.
//!
//! Invariants:
//! - The same rules, versions, key and input choose the same version: nothing is drawn here.
//! - A version that is switched off or gone is never chosen; what stands in for it is said.
//! - A checker returns all problems of a document with their places; rules whose only fault is a version
//!   that is gone still choose, so that a stored document outlives what it names.
//!
//! Not here: where rules are kept (`store`), who holds them compiled (`server`), and running instances:
//! they keep the version they were started on.

mod binding;
mod check;
mod document;
mod route;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use binding::{Asked, Binding, By, Choice, Passed, Target};
pub use document::{BindingDocument, ResolveDocument, RouteDocument, RouteRule, Rule, Split, Variant, VersionName};
pub use route::{Destination, Resolve, Route, RouteChoice};

use crate::problem::{Problem, Severity};

/// Most rules of one binding or route.
pub const RULES_MAX: usize = 200;
/// Most keys, and most prefixes, of one rule.
pub const KEYS_MAX: usize = 10_000;
/// Most variants of a split.
pub const VARIANTS_MAX: usize = 20;
/// Largest weight of a variant.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// The namespace of flows whose key names none.
pub const NAMESPACE_DEFAULT: &str = "default";

/// The namespace that a flow belongs to: the part of its key before the first `.`, else `default`.
pub fn namespace(key: &str) -> &str {
    match key.split_once('.') {
        Some((namespace, _)) if !namespace.is_empty() => namespace,
        Some(_) | None => NAMESPACE_DEFAULT,
    }
}

/// A version that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startable {
    pub version: u32,
    pub label: Option<Arc<str>>,
}

/// The versions of one flow that can be started, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(pub Vec<Startable>);

impl Versions {
    /// The version a document means; of several with one label the newest.
    pub fn find(&self, name: &VersionName) -> Option<u32> {
        let found = self.0.iter().rev().find(|one| match name {
            VersionName::Number(number) => one.version == *number,
            VersionName::Label(label) => one.label.as_deref() == Some(label.as_str()),
        });
        found.map(|one| one.version)
    }

    pub fn newest(&self) -> Option<u32> {
        self.0.last().map(|one| one.version)
    }

    pub fn label(&self, version: u32) -> Option<&Arc<str>> {
        self.0.iter().find(|one| one.version == version)?.label.as_ref()
    }
}

/// What a check found.
#[derive(Debug)]
pub struct Checked<T> {
    /// Also there when all that is wrong is that something it names is gone: such a document is not to
    /// be kept, but one that is kept already goes on to choose.
    pub rules: Option<T>,
    /// Sorted by pointer, then code.
    pub problems: Vec<Problem>,
}

impl<T> Checked<T> {
    pub fn is_sound(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity == Severity::Warning)
    }
}

/// A rule was passed over because its expression has no value here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub rule: Arc<str>,
    pub message: String,
}
