//! The whole standard, by the `jsonschema` crate. Nothing is fetched: the crate is built without.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::{Mismatch, PROBLEMS_MAX, SchemaError};

#[derive(Debug)]
pub(super) struct Validator(jsonschema::Validator);

impl Validator {
    pub(super) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(schema)
            .map(Self)
            .map_err(|error| SchemaError::Broken(error.to_string()))
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }

    pub(super) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        self.0.iter_errors(value).take(PROBLEMS_MAX).flat_map(|error| mismatches(&error)).collect()
    }
}

fn mismatches(error: &jsonschema::ValidationError<'_>) -> Vec<Mismatch> {
    let pointer = error.instance_path().as_str();
    let keyword =
        |keyword: &str, wanted: &Value| vec![Mismatch::of_keyword(pointer, error.instance(), keyword, wanted)];
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
            vec![Mismatch::missing(pointer, &name)]
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|name| Mismatch::unknown(pointer, name)).collect()
        }
        Kind::Type { kind: TypeKind::Single(kind) } => keyword("type", &Value::from(kind.to_string())),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => {
            keyword("type", &kinds.iter().map(|kind| Value::from(kind.to_string())).collect())
        }
        Kind::Enum { options } => keyword("enum", options),
        Kind::Constant { expected_value } => keyword("const", expected_value),
        Kind::Minimum { limit } => keyword("minimum", limit),
        Kind::Maximum { limit } => keyword("maximum", limit),
        Kind::ExclusiveMinimum { limit } => keyword("exclusiveMinimum", limit),
        Kind::ExclusiveMaximum { limit } => keyword("exclusiveMaximum", limit),
        Kind::MinLength { limit } => keyword("minLength", &Value::from(*limit)),
        Kind::MaxLength { limit } => keyword("maxLength", &Value::from(*limit)),
        Kind::MinItems { limit } => keyword("minItems", &Value::from(*limit)),
        Kind::MaxItems { limit } => keyword("maxItems", &Value::from(*limit)),
        Kind::MinProperties { limit } => keyword("minProperties", &Value::from(*limit)),
        Kind::MaxProperties { limit } => keyword("maxProperties", &Value::from(*limit)),
        Kind::MultipleOf { multiple_of } => keyword("multipleOf", &as_written(*multiple_of)),
        Kind::Pattern { pattern } => keyword("pattern", &Value::from(pattern.as_str())),
        Kind::Format { format } => keyword("format", &Value::from(format.as_str())),
        Kind::UniqueItems => keyword("uniqueItems", &Value::Null),
        Kind::Contains => keyword("contains", &Value::Null),
        Kind::AnyOf { .. } => keyword("anyOf", &Value::Null),
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => keyword("oneOf", &Value::Null),
        Kind::Not { .. } => keyword("not", &Value::Null),
        Kind::FalseSchema => keyword("false", &Value::Null),
        Kind::PropertyNames { error: inner } => {
            let name = inner.instance();
            vec![Mismatch::name(pointer, name.as_str().unwrap_or_default())]
        }
        _ => vec![Mismatch::other(pointer, error.to_string())],
    }
}

/// A whole number as one: the library keeps every divisor as a float.
fn as_written(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation, reason = "whole and within bounds")]
    if number.fract() == 0.0 && number.abs() < 1e15 { Value::from(number as i64) } else { Value::from(number) }
}
