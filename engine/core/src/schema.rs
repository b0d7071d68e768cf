//! Validates JSON against a JSON Schema (2020-12), compiled once.
//!
//! Invariant: no schema reaches out: a `$ref` to anything but the schema itself is refused.
//!
//! Not here: which schema goes with what (`flow::check`, `runtime::admission`).

use std::sync::Arc;

use serde_json::Value;

use crate::problem::Problem;

/// Most problems one check returns.
const PROBLEMS_MAX: usize = 100;

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
        self.validator
            .iter_errors(value)
            .take(PROBLEMS_MAX)
            .map(|error| Problem::error("SCHEMA_MISMATCH", error.instance_path().as_str(), error.to_string()))
            .collect()
    }

    /// Whether `value` matches; faster than [`check`](Self::check).
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}
