//! Templates: parsing and evaluation.
//!
//! Not here: whether what a template makes fits a schema (`flow::check`).

use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::{Expr, ExprError, Scope, Template, ValueError};
use crate::flow::pointer::child;
use crate::problem::Problem;
use crate::value::{Held, Measure};

/// Deepest template.
const DEPTH_MAX: usize = 64;

impl Template {
    /// Compiles a template; each expression that is none becomes a problem at its own pointer, and
    /// stands as null.
    pub fn parse(source: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Self {
        Self::parse_in(source, pointer, Tz::UTC, problems)
    }

    /// As [`parse`](Self::parse); dates without a zone are read in `timezone`.
    pub fn parse_in(source: &Value, pointer: &str, timezone: Tz, problems: &mut Vec<Problem>) -> Self {
        Self::compile(source, pointer, timezone, problems, &mut Vec::new())
    }

    /// As [`parse_in`](Self::parse_in); adds each expression found with its pointer.
    pub(crate) fn compile(
        source: &Value,
        pointer: &str,
        timezone: Tz,
        problems: &mut Vec<Problem>,
        found: &mut Vec<(String, Expr)>,
    ) -> Self {
        Compiler { timezone, problems, found }.template(source, pointer, 0)
    }

    /// The value in this scope.
    ///
    /// # Errors
    ///
    /// An expression has no value here, or the whole would be too large or too deep (`crate::value`).
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, ValueError> {
        self.eval_within(scope, &mut Measure::default(), 0)
    }

    /// As [`eval`](Self::eval); what is read by a plain path keeps its provenance, so that it is not written out again.
    ///
    /// # Errors
    ///
    /// As [`eval`](Self::eval).
    pub fn held(&self, scope: &Scope<'_>) -> Result<Held, ValueError> {
        let standing = match self {
            Self::Expr(expr) => expr.standing(scope),
            Self::Literal(_) | Self::Object(_) | Self::Array(_) => None,
        };
        standing.map_or_else(|| self.eval(scope).map(Held::computed), Ok)
    }

    fn eval_within(&self, scope: &Scope<'_>, measure: &mut Measure, depth: usize) -> Result<Value, ValueError> {
        match self {
            Self::Literal(value) => {
                measure.value(value, depth)?;
                Ok(value.clone())
            }
            Self::Expr(expr) => expr.eval_within(scope, measure, depth),
            Self::Object(fields) => {
                let mut map = Map::new();
                for (key, field) in fields {
                    measure.text(key)?;
                    map.insert(key.to_string(), field.eval_within(scope, measure, depth + 1)?);
                }
                Ok(Value::Object(map))
            }
            Self::Array(items) => {
                let items = items.iter().map(|item| item.eval_within(scope, measure, depth + 1));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
        }
    }
}

struct Compiler<'c> {
    timezone: Tz,
    problems: &'c mut Vec<Problem>,
    found: &'c mut Vec<(String, Expr)>,
}

impl Compiler<'_> {
    fn template(&mut self, source: &Value, pointer: &str, depth: usize) -> Template {
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} levels inside each other");
            self.problems.push(Problem::error("TEMPLATE_TOO_DEEP", pointer, message));
            return Template::Literal(Value::Null);
        }
        match source {
            Value::String(text) => match text.strip_prefix('=') {
                Some(expression) => self.expression(expression, pointer),
                None => Template::Literal(Value::String(unescaped(text).to_owned())),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let items: Vec<_> =
                    items.map(|(index, item)| self.template(item, &format!("{pointer}/{index}"), depth + 1)).collect();
                let literal = items.iter().map(as_literal).collect::<Option<Vec<_>>>();
                literal.map_or(Template::Array(items), |values| Template::Literal(Value::Array(values)))
            }
            Value::Object(fields) => {
                let fields = fields.iter();
                let fields: Vec<(Arc<str>, _)> = fields
                    .map(|(key, value)| (key.as_str().into(), self.template(value, &child(pointer, key), depth + 1)))
                    .collect();
                let literal = fields.iter().map(|(key, value)| Some((key.to_string(), as_literal(value)?)));
                match literal.collect::<Option<Map<_, _>>>() {
                    Some(map) => Template::Literal(Value::Object(map)),
                    None => Template::Object(fields),
                }
            }
            scalar => Template::Literal(scalar.clone()),
        }
    }

    fn expression(&mut self, text: &str, pointer: &str) -> Template {
        match Expr::parse_in(text, self.timezone) {
            Ok(expr) => {
                if let Some(value) = expr.constant() {
                    return Template::Literal(value);
                }
                self.found.push((pointer.to_owned(), expr.clone()));
                Template::Expr(expr)
            }
            Err(error) => {
                self.problems.push(expression_problem(&error, pointer));
                Template::Literal(Value::Null)
            }
        }
    }
}

/// `'=…` is the text `=…`; `''=…` is `'=…`, and so on.
fn unescaped(text: &str) -> &str {
    let quoted = text.trim_start_matches('\'').starts_with('=') && text.starts_with('\'');
    if quoted { &text[1..] } else { text }
}

fn as_literal(template: &Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value.clone()),
        _ => None,
    }
}

/// An expression's error as a problem of the document it stands in.
pub(crate) fn expression_problem(error: &ExprError, pointer: &str) -> Problem {
    Problem::error(error.code, pointer, error.message.clone())
}
