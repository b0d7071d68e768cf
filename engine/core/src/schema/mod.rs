//! Validates JSON against a JSON Schema (2020-12), compiled once.
//!
//! Two ways of doing it, with one way of telling: `full` (the engine's) knows the whole standard;
//! `small` (the browser's, where `full` would triple the download) knows the keywords that forms and
//! node types are described with, and takes what it does not know for granted. A test runs both
//! on the same schemas.
//!
//! Invariant: no schema reaches out: a `$ref` to anything but the schema itself is refused.
//!
//! Not here: which schema goes with what (`flow::check`, `runtime::admission`).

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

/// A compiled schema. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    validator: Arc<backend::Validator>,
}

impl Schema {
    /// # Errors
    ///
    /// What is wrong with the schema, in one line.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        backend::Validator::compile(schema).map(|validator| Self { validator: Arc::new(validator) })
    }

    /// Everything about `value` that does not match, with pointers into `value`.
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        self.mismatches(value).into_iter().map(|mismatch| mismatch.problem("SCHEMA_MISMATCH")).collect()
    }

    pub(crate) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        let mut mismatches = self.validator.mismatches(value);
        mismatches.truncate(PROBLEMS_MAX);
        mismatches
    }

    /// Whether `value` matches; faster than [`check`](Self::check).
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
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

    /// The wording of the common keywords, for both ways: what was found, and what the keyword wants.
    fn of_keyword(pointer: &str, found: &Value, keyword: &str, wanted: &Value) -> Self {
        let message = match keyword {
            "type" => format!("{found} is not of type {}", names(wanted)),
            "enum" => format!("{found} is none of {}", names(wanted)),
            "const" => format!("{found} is not {wanted}"),
            "minimum" => format!("{found} is less than {wanted}"),
            "maximum" => format!("{found} is more than {wanted}"),
            "exclusiveMinimum" => format!("{found} is not more than {wanted}"),
            "exclusiveMaximum" => format!("{found} is not less than {wanted}"),
            "minLength" => format!("{found} is shorter than {wanted} letters"),
            "maxLength" => format!("{found} is longer than {wanted} letters"),
            "minItems" => format!("{found} has fewer than {wanted} items"),
            "maxItems" => format!("{found} has more than {wanted} items"),
            "pattern" => format!("{found} does not match {wanted}"),
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

#[cfg(all(test, feature = "full-schemas"))]
mod tests {
    use super::*;
    use serde_json::json;

    /// Kind and pointer of each mismatch; messages only where both use ours.
    fn shown(mut mismatches: Vec<Mismatch>) -> Vec<(String, MismatchKind)> {
        mismatches.sort_by(|a, b| (&a.pointer, &a.message).cmp(&(&b.pointer, &b.message)));
        mismatches.into_iter().map(|one| (one.pointer, one.kind)).collect()
    }

    #[test]
    fn both_ways_agree() {
        let order = json!({
            "type": "object", "required": ["id", "items"], "additionalProperties": false,
            "properties": {
                "id": { "type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[A-Z]" },
                "n": { "type": "integer", "minimum": 1, "maximum": 9 },
                "x": { "type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                "mode": { "enum": ["fast", "slow"] }, "one": { "const": 1 },
                "items": { "type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true, "items": { "$ref": "#/$defs/item" } },
                "pair": { "prefixItems": [{ "type": "string" }], "items": false },
                "any": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                "all": { "allOf": [{ "minimum": 1 }, { "multipleOf": 2 }] },
                "either": { "oneOf": [{ "minimum": 1 }, { "maximum": 5 }] },
                "no": { "not": { "type": "string" } },
                "if": { "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "required": ["c"] } },
                "map": { "patternProperties": { "^s": { "type": "string" } }, "additionalProperties": { "type": "number" }, "propertyNames": { "maxLength": 3 }, "maxProperties": 2, "minProperties": 1 },
                "has": { "contains": { "const": 7 } }, "never": false, "dep": { "dependentRequired": { "a": ["b"] } },
            },
            "$defs": { "item": { "type": "object", "required": ["qty"], "properties": { "qty": { "type": "integer" }, "sub": { "$ref": "#/$defs/item" } } } },
        });
        let mut wrong = Vec::new();
        let base = json!({ "id": "A", "items": [{ "qty": 1 }] });
        let with = |name: &str, value: Value| {
            let mut document = base.clone();
            document[name] = value;
            document
        };
        for value in [
            base.clone(), json!(7), json!({}), json!({ "id": 7, "items": {} }), with("extra", json!(1)), with("id", json!("")),
            with("id", json!("ABCDEF")), with("id", json!("abc")), with("id", json!("Ünïcö")), with("n", json!(0)), with("n", json!(10)),
            with("n", json!(1.0)), with("n", json!(1.5)), with("x", json!(null)), with("x", json!(0)), with("x", json!(1)), with("x", json!(0.5)),
            with("mode", json!("fats")), with("one", json!(1.0)), with("one", json!(2)), with("items", json!([])), with("items", json!([1, 1, 1])),
            with("items", json!([{ "qty": 1 }, { "qty": 1 }])), with("items", json!([{ "qty": "1", "sub": { "sub": {} } }])),
            with("pair", json!(["a"])), with("pair", json!(["a", 1])), with("pair", json!([1])), with("any", json!(true)), with("any", json!(1)),
            with("all", json!(1)), with("all", json!(4)), with("either", json!(3)), with("either", json!(9)), with("no", json!("x")), with("no", json!(1)),
            with("if", json!({ "a": 1 })), with("if", json!({ "a": 1, "b": 2 })), with("if", json!({})), with("map", json!({ "s1": 1 })),
            with("map", json!({ "n": 1, "long": 2, "x": 3 })), with("map", json!({})), with("has", json!([1, 7])), with("has", json!([1])),
            with("never", json!(1)), with("dep", json!({ "a": 1 })), with("a/b", json!(1)),
        ] {
            let full = full::Validator::compile(&order).unwrap();
            let small = small::Validator::compile(&order).unwrap();
            let (ours, theirs) = (shown(small.mismatches(&value)), shown(full.mismatches(&value)));
            if ours != theirs {
                wrong.push(format!("{value}: small {ours:?}, full {theirs:?}"));
            }
            assert_eq!(small.is_valid(&value), full.is_valid(&value), "{value}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for (schema, sound) in [
            (json!(true), true), (json!({}), true), (json!({ "type": "objekt" }), false), (json!({ "type": ["string", 7] }), false), (json!(7), false),
            (json!({ "$ref": "https://example.com/x.json" }), false), (json!({ "$ref": "#/$defs/gone" }), false), (json!({ "properties": { "a": 7 } }), false),
            (json!({ "required": "a" }), false), (json!({ "pattern": "(" }), false), (json!({ "minimum": "1" }), false), (json!({ "x-ui": { "type": "objekt" } }), true),
            (json!({ "default": { "type": 7 } }), true), (json!({ "enum": [1] }), true), (json!({ "items": [1] }), false),
        ] {
            assert_eq!(full::Validator::compile(&schema).is_ok(), sound, "full: {schema}");
            assert_eq!(small::Validator::compile(&schema).is_ok(), sound, "small: {schema}");
        }
    }

    #[test]
    fn a_schema_that_turns_in_a_circle_ends() {
        let circle = json!({ "$ref": "#" });
        let small = small::Validator::compile(&circle).unwrap();
        assert!(!small.mismatches(&json!(1)).is_empty());
    }

    #[test]
    fn long_values_are_cut_in_messages() {
        let schema = Schema::compile(&json!({ "type": "integer" })).unwrap();
        let problems = schema.check(&json!("é".repeat(10_000)));
        assert!(problems[0].message.len() < 400 && problems[0].message.ends_with("is not of type integer"));
    }
}
