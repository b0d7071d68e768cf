//! Validates JSON against a JSON Schema (2020-12), compiled once.
//!
//! Invariant: no schema reaches out: a `$ref` to anything but the schema itself is refused.
//!
//! Not here: which schema goes with what (`flow::check`, `runtime::admission`).

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::flow::pointer::child;
use crate::problem::Problem;

/// Most problems one check returns.
const PROBLEMS_MAX: usize = 100;
/// Longest message.
const MESSAGE_BYTES_MAX: usize = 300;

/// One way in which a value does not match.
pub(crate) struct Mismatch {
    pub(crate) pointer: String,
    pub(crate) kind: MismatchKind,
    message: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MismatchKind {
    /// A required field is not there.
    Missing,
    /// A field that is not allowed is.
    Unknown,
    Other,
}

impl Mismatch {
    fn of(error: &jsonschema::ValidationError<'_>) -> Vec<Self> {
        let pointer = error.instance_path().as_str().to_owned();
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
                let (message, fix) = (format!("`{name}` is required"), Some(format!("add `{name}`")));
                vec![Self { pointer, kind: MismatchKind::Missing, message, fix }]
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let one = |name: &String| Self {
                    pointer: child(&pointer, name),
                    kind: MismatchKind::Unknown,
                    message: format!("there is no field `{name}` here"),
                    fix: Some("remove it".to_owned()),
                };
                unexpected.iter().map(one).collect()
            }
            _ => {
                let message = shortened(error.to_string());
                vec![Self { pointer, kind: MismatchKind::Other, message, fix: None }]
            }
        }
    }

    pub(crate) fn problem(self, code: &str) -> Problem {
        let problem = Problem::error(code, self.pointer, self.message);
        match self.fix {
            Some(fix) => problem.fix(fix),
            None => problem,
        }
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

/// A compiled schema. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    validator: Arc<jsonschema::Validator>,
}

impl Schema {
    /// # Errors
    ///
    /// What is wrong with the schema, in one line.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator: Arc::new(validator) })
    }

    /// Everything about `value` that does not match, with pointers into `value`.
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        self.mismatches(value).into_iter().map(|mismatch| mismatch.problem("SCHEMA_MISMATCH")).collect()
    }

    pub(crate) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        let errors = self.validator.iter_errors(value).take(PROBLEMS_MAX);
        let mut mismatches: Vec<Mismatch> = errors.flat_map(|error| Mismatch::of(&error)).collect();
        mismatches.truncate(PROBLEMS_MAX);
        mismatches
    }

    /// Whether `value` matches; faster than [`check`](Self::check).
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}
