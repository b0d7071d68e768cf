//! Templates: parsing and evaluation.
//!
//! Not here: whether what a template makes fits a schema (`flow::check`).

use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::{Expr, ExprError, Scope, Template, ValueError};
use crate::problem::Problem;

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
        parse(source, pointer, timezone, problems, 0)
    }

    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, ValueError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expr(expr) => expr.eval(scope),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.to_string(), value.eval(scope)?)));
                Ok(Value::Object(fields.collect::<Result<Map<_, _>, ValueError>>()?))
            }
            Self::Array(items) => {
                Ok(Value::Array(items.iter().map(|item| item.eval(scope)).collect::<Result<_, _>>()?))
            }
        }
    }

    /// Every expression in it, with its pointer below the template's own.
    pub fn expressions<'t>(&'t self, visit: &mut dyn FnMut(&'t Expr)) {
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => visit(expr),
            Self::Object(fields) => fields.iter().for_each(|(_, value)| value.expressions(visit)),
            Self::Array(items) => items.iter().for_each(|item| item.expressions(visit)),
        }
    }
}

fn parse(source: &Value, pointer: &str, timezone: Tz, problems: &mut Vec<Problem>, depth: usize) -> Template {
    if depth > DEPTH_MAX {
        problems.push(Problem::error("TEMPLATE_TOO_DEEP", pointer, format!("more than {DEPTH_MAX} levels")));
        return Template::Literal(Value::Null);
    }
    match source {
        Value::String(text) => match text.strip_prefix('=') {
            Some(expression) => match Expr::parse_in(expression, timezone) {
                Ok(expr) => match expr.constant() {
                    Some(value) => Template::Literal(value),
                    None => Template::Expr(expr),
                },
                Err(error) => {
                    problems.push(expression_problem(&error, pointer));
                    Template::Literal(Value::Null)
                }
            },
            None => Template::Literal(Value::String(unescaped(text).to_owned())),
        },
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(index, item)| parse(item, &format!("{pointer}/{index}"), timezone, problems, depth + 1))
                .collect();
            let literal = items.iter().map(as_literal).collect::<Option<Vec<_>>>();
            literal.map_or(Template::Array(items), |values| Template::Literal(Value::Array(values)))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| {
                    let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    (Arc::from(key.as_str()), parse(value, &below, timezone, problems, depth + 1))
                })
                .collect();
            let literal = fields.iter().map(|(key, value): &(Arc<str>, _)| Some((key.to_string(), as_literal(value)?)));
            match literal.collect::<Option<Map<_, _>>>() {
                Some(map) => Template::Literal(Value::Object(map)),
                None => Template::Object(fields),
            }
        }
        scalar => Template::Literal(scalar.clone()),
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
