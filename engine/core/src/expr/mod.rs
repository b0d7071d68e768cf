//! Expressions (ZEN), made pure and bounded before the parser sees any text, and templates:
//! JSON in which strings that begin with `=` are expressions.
//!
//! The language, its lexer and its parser are those of `zen-expression`; the evaluator is ours. It
//! reads JSON in place, knows no clock and counts its work (`docs/decisions/002-own-evaluator.md`).
//!
//! Invariants:
//! - An [`Expr`] was accepted by the guard: at most 4 KiB and 64 open brackets, no clock, no randomness.
//! - Evaluation is total: what cannot be computed is a [`ValueError`], never a panic or endless work.
//! - A plain path (`input.items`) is read without the evaluator; both ways agree.
//!
//! Not here: what names an expression may use (`flow::check`).

mod dates;
mod eval;
mod functions;
mod guard;
mod number;
mod template;
mod translate;
mod tree;
mod val;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::flow::pointer::child;
use crate::value::{Held, Measure, TooLarge};
use eval::Env;
pub(crate) use template::expression_problem;
use tree::{Node, Step};

/// One compiled expression. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Expr {
    pub source: Arc<str>,
    program: Arc<Program>,
}

#[derive(Debug)]
struct Program {
    node: Node,
    /// Each path read from the context, as far as its steps are fixed: `nodes.paid.status`.
    reads: Vec<Vec<Arc<str>>>,
    timezone: chrono_tz::Tz,
}

/// Why a text is no expression of ours. `from` and `to` are byte offsets into the text, each
/// between two characters.
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

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<TooLarge> for ValueError {
    fn from(error: TooLarge) -> Self {
        Self::new(error.to_string())
    }
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
    /// As its value; see [`Template::held`].
    Held(&'a Held),
    /// Reads like an object of these values (`vars`, `nodes`).
    Named(&'a BTreeMap<Arc<str>, Held>),
}

/// JSON with expressions in it.
///
/// A string that begins with `=` is an expression; one that begins with `'=` is the text after the
/// quote (so `"'=1+1"` is the text `=1+1`); any other string stands for itself.
#[derive(Debug, Clone)]
pub enum Template {
    Literal(Value),
    Expr(Expr),
    Object(Vec<(Arc<str>, Template)>),
    Array(Vec<Template>),
}

/// Which grammar a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    Standard,
    /// A table's cell: a test of `$`.
    Cell,
}

impl Expr {
    /// Compiles an expression; dates without a zone are read as UTC.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Self::parse_in(source, chrono_tz::Tz::UTC)
    }

    /// Compiles an expression; dates without a zone are read in `timezone`.
    pub fn parse_in(source: &str, timezone: chrono_tz::Tz) -> Result<Self, ExprError> {
        Self::compile(source, timezone, Grammar::Standard)
    }

    /// Compiles a decision table's cell: a test of the column's value, which is `$`.
    pub fn parse_cell(source: &str, timezone: chrono_tz::Tz) -> Result<Self, ExprError> {
        Self::compile(source, timezone, Grammar::Cell)
    }

    fn compile(source: &str, timezone: chrono_tz::Tz, grammar: Grammar) -> Result<Self, ExprError> {
        let (node, reads) = translate::parse(source, grammar).map_err(|mut error| {
            // The parser counts on where it got lost, which may be within a character.
            (error.from, error.to) = (source.floor_char_boundary(error.from), source.ceil_char_boundary(error.to));
            error
        })?;
        Ok(Self { source: source.into(), program: Arc::new(Program { node, reads, timezone }) })
    }

    /// The expression that always has this value.
    pub fn literal(value: Value) -> Self {
        let source = value.to_string().into();
        let program = Program { node: Node::Literal(value), reads: Vec::new(), timezone: chrono_tz::Tz::UTC };
        Self { source, program: Arc::new(program) }
    }

    /// The value in this scope. What is not there is `null`, as in ZEN.
    ///
    /// # Errors
    ///
    /// Also when the value would be too large or too deep (`crate::value`).
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, ValueError> {
        self.eval_within(scope, &mut Measure::default(), 0)
    }

    /// The value in this scope, as a part of something larger that `measure` counts.
    pub(crate) fn eval_within(
        &self,
        scope: &Scope<'_>,
        measure: &mut Measure,
        depth: usize,
    ) -> Result<Value, ValueError> {
        if let Some(found) = self.borrow(scope) {
            measure.value(found, depth)?;
            return Ok(found.clone());
        }
        if let Node::Literal(value) = &self.program.node {
            measure.value(value, depth)?;
            return Ok(value.clone());
        }
        Env::new(scope, self.program.timezone).eval(&self.program.node)?.into_value(measure, depth)
    }

    /// Whether a cell's test holds for its column's value.
    pub(crate) fn cell_holds(&self, scope: &Scope<'_>, column: &Value) -> Result<bool, ValueError> {
        let column = val::Val::of(column)?;
        Env::new(scope, self.program.timezone).with_dollar(column).truth(&self.program.node, &self.source)
    }

    /// Whether it holds in this scope.
    ///
    /// # Errors
    ///
    /// Also when the value is not true or false.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, ValueError> {
        Env::new(scope, self.program.timezone).truth(&self.program.node, &self.source)
    }

    /// A plain path's value where it stands, if it is a plain path to a JSON value that is there.
    pub fn borrow<'a>(&self, scope: &Scope<'a>) -> Option<&'a Value> {
        match &self.program.node {
            Node::Path { root, steps } => scope.walk(root, steps).value(),
            _ => None,
        }
    }

    /// The value a plain path leads to, with its provenance, where that is known.
    fn standing(&self, scope: &Scope<'_>) -> Option<Held> {
        let Node::Path { root, steps } = &self.program.node else { return None };
        // What is no JSON value of its own is made by the evaluator.
        scope.walk(root, steps).value()?;
        let (_, root) = scope.roots.iter().find(|(name, _)| **name == **root)?;
        let (held, steps) = match (root, steps.as_slice()) {
            (Root::Held(held), steps) => (*held, steps),
            (Root::Named(map), [Step::Key(key), rest @ ..]) => (map.get(&**key)?, rest),
            (Root::Named(_) | Root::Value(_), _) => return None,
        };
        let pointer = steps.iter().fold(String::new(), |at, step| match step {
            Step::Key(key) => child(&at, key),
            Step::Index(index) => format!("{at}/{index}"),
        });
        held.part(&pointer)
    }

    /// Every path this expression reads from its scope, root first.
    pub fn reads(&self) -> &[Vec<Arc<str>>] {
        &self.program.reads
    }

    /// The value, if it is the same in every scope.
    pub fn constant(&self) -> Option<Value> {
        match &self.program.node {
            Node::Literal(value) => Some(value.clone()),
            Node::Number(value) => number::to_json(*value).ok(),
            _ => None,
        }
    }
}

/// Milliseconds since the Unix epoch of what a timer's `until` gives: an RFC 3339 time, a date
/// without a zone in `timezone`, or a number of milliseconds.
pub fn epoch_ms(value: &Value, timezone: chrono_tz::Tz) -> Option<i64> {
    dates::epoch_ms(value, timezone)
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Place<'a> {
    Value(&'a Value),
    Named(&'a BTreeMap<Arc<str>, Held>),
    /// One letter of a text.
    Letter(&'a str),
    Nothing,
}

impl<'a> Place<'a> {
    fn value(self) -> Option<&'a Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Named(_) | Self::Letter(_) | Self::Nothing => None,
        }
    }

    fn step(self, step: &Step) -> Self {
        let found = match (self, step) {
            (Self::Value(Value::Object(map)), Step::Key(key)) => map.get(&**key),
            (Self::Value(Value::Array(list)), Step::Index(index)) => list.get(*index),
            (Self::Named(map), Step::Key(key)) => map.get(&**key).map(|held| &*held.value),
            (Self::Value(Value::String(text)), Step::Index(index)) => {
                let letter = index.checked_add(1).and_then(|end| text.get(*index..end));
                return letter.map_or(Self::Nothing, Self::Letter);
            }
            _ => None,
        };
        found.map_or(Self::Nothing, Self::Value)
    }
}

impl<'a> Scope<'a> {
    fn root(&self, name: &str) -> Place<'a> {
        match self.roots.iter().find(|(root, _)| *root == name) {
            Some((_, Root::Value(value))) => Place::Value(value),
            Some((_, Root::Held(held))) => Place::Value(&held.value),
            Some((_, Root::Named(map))) => Place::Named(map),
            None => Place::Nothing,
        }
    }

    fn walk(&self, root: &str, steps: &[Step]) -> Place<'a> {
        steps.iter().fold(self.root(root), Place::step)
    }
}
