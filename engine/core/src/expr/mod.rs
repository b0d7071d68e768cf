//! Expressions (ZEN), made pure and bounded before the evaluator sees any text, and templates:
//! JSON in which strings that begin with `=` are expressions.
//!
//! Invariants:
//! - An [`Expr`] was accepted by the guard: at most 4 KiB and 64 open brackets, no clock, no randomness.
//! - Evaluation is total: what cannot be computed is a [`ValueError`], never a panic or endless work.
//! - A plain path (`input.items`) is read without the evaluator; both ways agree.
//!
//! Not here: what names an expression may use (`flow::check`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::value::Held;

/// One compiled expression.
#[derive(Debug, Clone)]
pub struct Expr {
    pub source: Arc<str>,
}

/// Why a text is no expression of ours. `from` and `to` are byte offsets into the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    pub code: &'static str,
    pub message: String,
    pub from: usize,
    pub to: usize,
}

/// Why an accepted expression has no value here. Retrying cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    pub message: String,
}

/// What the top-level names stand for, in one evaluation. Borrowed: nothing is copied unless read.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `("input", …)`, `("vars", …)`, `("nodes", …)`, `("flow", …)`; a short list, searched in order.
    pub roots: &'a [(&'a str, Root<'a>)],
}

/// One top-level name's value.
#[derive(Debug, Clone, Copy)]
pub enum Root<'a> {
    Value(&'a Value),
    /// Reads like an object of these values (`vars`, `nodes`).
    Named(&'a BTreeMap<Arc<str>, Held>),
}

/// JSON with expressions in it.
#[derive(Debug, Clone)]
pub enum Template {
    Literal(Value),
    Expr(Expr),
    Object(Vec<(Arc<str>, Template)>),
    Array(Vec<Template>),
}
impl Expr {
    pub fn eval(&self, _: &Scope) -> Result<Value, ValueError> {
        todo!()
    }
    pub fn holds(&self, _: &Scope) -> Result<bool, ValueError> {
        todo!()
    }
}
impl Template {
    pub fn eval(&self, _: &Scope) -> Result<Value, ValueError> {
        todo!()
    }
}
