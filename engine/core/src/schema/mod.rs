//! Validates JSON against a JSON Schema (2020-12), compiled once.
//!
//! Two ways of doing it, with one way of telling: `full` (the engine's) knows the whole standard;
//! `small` (the browser's, where `full` would triple the download) knows the keywords that forms and
//! node types are described with, and says so of a schema with others. `agreement.rs` runs both on the
//! same schemas.
//!
//! Invariant: no schema reaches out: a `$ref` to anything but the schema itself is refused.
//!
//! Not here: which schema goes with what (`flow::check`, `machine`, `server`).

#[cfg(all(test, feature = "full-schemas"))]
mod agreement;
#[cfg(feature = "full-schemas")]
mod full;
#[cfg(any(test, not(feature = "full-schemas")))]
mod small;

use std::sync::Arc;

use serde_json::Value;

use crate::flow::pointer::child;
use crate::problem::Problem;

#[cfg(feature = "full-schemas")]
use full as backend;
#[cfg(not(feature = "full-schemas"))]
use small as backend;

/// Most problems one check returns.
const PROBLEMS_MAX: usize = 100;
/// Longest message.
const MESSAGE_BYTES_MAX: usize = 300;

/// Why a schema was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Its author must mend it.
    #[error("{0}")]
    Broken(String),
    /// Whoever needs an answer must ask the engine: this build does not know all of it. Never with `full-schemas`.
    #[error("{0}")]
    Beyond(String),
}

/// A compiled schema. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    validator: Arc<backend::Validator>,
}

impl Schema {
    /// # Errors
    ///
    /// What is wrong with the schema, or what this build cannot check, in one line.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        backend::Validator::compile(schema).map(|validator| Self { validator: Arc::new(validator) })
    }

    /// Everything about `value` that does not match, with pointers into `value`.
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        self.mismatches(value).into_iter().map(|mismatch| mismatch.problem("SCHEMA_MISMATCH")).collect()
    }

    pub(crate) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        once(self.validator.mismatches(value))
    }

    /// Whether `value` matches; faster than [`check`](Self::check).
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}

/// Several parts of a schema may say the same of one place.
fn once(found: Vec<Mismatch>) -> Vec<Mismatch> {
    let mut told: Vec<Mismatch> = Vec::new();
    for mismatch in found.into_iter().take(PROBLEMS_MAX) {
        if !told.contains(&mismatch) {
            told.push(mismatch);
        }
    }
    told
}

/// One way in which a value does not match.
#[derive(Debug, PartialEq)]
pub(crate) struct Mismatch {
    pub(crate) pointer: String,
    pub(crate) kind: MismatchKind,
    message: String,
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MismatchKind {
    /// A required field is not there.
    Missing,
    /// A field that is not allowed is.
    Unknown,
    Other,
}

impl Mismatch {
    fn missing(pointer: &str, name: &str) -> Self {
        let (message, fix) = (format!("`{name}` is required"), Some(format!("add `{name}`")));
        Self { pointer: pointer.to_owned(), kind: MismatchKind::Missing, message, fix }
    }

    fn unknown(pointer: &str, name: &str) -> Self {
        let (message, fix) = (format!("there is no field `{name}` here"), Some("remove it".to_owned()));
        Self { pointer: child(pointer, name), kind: MismatchKind::Unknown, message, fix }
    }

    fn other(pointer: &str, message: String) -> Self {
        Self { pointer: pointer.to_owned(), kind: MismatchKind::Other, message: shortened(message), fix: None }
    }

    /// A field's name that does not match `propertyNames`.
    fn name(pointer: &str, name: &str) -> Self {
        Self::other(pointer, format!("`{name}` cannot be the name of a field here"))
    }

    /// The wording for both ways: what was found, and what the keyword wants.
    fn of_keyword(pointer: &str, found: &Value, keyword: &str, wanted: &Value) -> Self {
        let message = match keyword {
            "type" => format!("{found} is not of type {}", names(&sorted(wanted))),
            "enum" => format!("{found} is none of {}", names(wanted)),
            "const" => format!("{found} is not {wanted}"),
            "minimum" => format!("{found} is less than {wanted}"),
            "maximum" => format!("{found} is more than {wanted}"),
            "exclusiveMinimum" => format!("{found} is not more than {wanted}"),
            "exclusiveMaximum" => format!("{found} is not less than {wanted}"),
            "multipleOf" => format!("{found} is no multiple of {wanted}"),
            "minLength" => format!("{found} is shorter than {wanted} letters"),
            "maxLength" => format!("{found} is longer than {wanted} letters"),
            "minItems" => format!("{found} has fewer than {wanted} items"),
            "maxItems" => format!("{found} has more than {wanted} items"),
            "minProperties" => format!("{found} has fewer than {wanted} fields"),
            "maxProperties" => format!("{found} has more than {wanted} fields"),
            "uniqueItems" => format!("{found} has an item twice"),
            "contains" => format!("{found} has too few or too many of the items it must contain"),
            "pattern" => format!("{found} does not match {wanted}"),
            "format" => format!("{found} is no {}", names(wanted)),
            "anyOf" => format!("{found} has none of the forms it may have"),
            "oneOf" => format!("{found} does not have exactly one of the forms it may have"),
            "not" => format!("{found} has a form it must not have"),
            "false" => format!("{found} cannot stand here"),
            _ => format!("{found} does not meet `{keyword}`"),
        };
        Self::other(pointer, message)
    }

    pub(crate) fn problem(self, code: &str) -> Problem {
        let problem = Problem::error(code, self.pointer, self.message);
        match self.fix {
            Some(fix) => problem.fix(fix),
            None => problem,
        }
    }
}

/// The two ways keep the types of a list in different orders.
fn sorted(types: &Value) -> Value {
    let mut types = types.clone();
    if let Value::Array(list) = &mut types {
        list.sort_by_key(ToString::to_string);
    }
    types
}

fn names(wanted: &Value) -> String {
    let name = |one: &Value| one.as_str().map_or_else(|| one.to_string(), str::to_owned);
    match wanted {
        Value::Array(several) => several.iter().map(name).collect::<Vec<_>>().join(", "),
        one => name(one),
    }
}

/// A message repeats the value at fault, which may be long.
fn shortened(message: String) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message;
    }
    // What is wanted stands at the end, what was found at the beginning.
    let half = MESSAGE_BYTES_MAX / 2;
    let (head, tail) = (message.floor_char_boundary(half), message.ceil_char_boundary(message.len() - half));
    format!("{} … {}", &message[..head], &message[tail..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn long_values_are_cut_in_messages() {
        let schema = Schema::compile(&json!({ "type": "integer" })).unwrap();
        let problems = schema.check(&json!("é".repeat(10_000)));
        assert!(problems[0].message.len() < 400 && problems[0].message.ends_with("is not of type integer"));
    }
}
