//! Which schemas this way of checking takes: those that are schemas, and say nothing beyond it.

use serde_json::{Map, Value};

use super::{count, formats, pattern, target};
use crate::flow::pointer::child;
use crate::schema::SchemaError;

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 128;
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const ONE: [&str; 8] = ["additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else"];
const SEVERAL: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
pub(super) const NUMBERS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const COUNTS: [&str; 8] =
    ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"];
const TEXTS: [&str; 5] = ["title", "description", "$comment", "contentEncoding", "contentMediaType"];
const FLAGS: [&str; 4] = ["uniqueItems", "deprecated", "readOnly", "writeOnly"];
/// Words of the standard that mean something and are not known here.
const BEYOND: [&str; 12] = [
    "unevaluatedProperties",
    "unevaluatedItems",
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
    "additionalItems",
    "contentSchema",
    "dependencies",
];
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

type Sound = Result<(), SchemaError>;

/// Whether every part of a schema is one, and known.
pub(super) fn sound(schema: &Value) -> Sound {
    Reading { root: schema, referred: Vec::new() }.schema(schema, "", 0)
}

fn broken(at: &str, value: &Value) -> Sound {
    Err(SchemaError::Broken(format!("{at}: {value} cannot stand here")))
}

fn beyond(at: &str) -> Sound {
    Err(SchemaError::Beyond(format!("{at}: only the engine checks this")))
}

struct Reading<'s> {
    root: &'s Value,
    referred: Vec<&'s str>,
}

impl<'s> Reading<'s> {
    fn schema(&mut self, schema: &'s Value, at: &str, depth: usize) -> Sound {
        match schema {
            Value::Bool(_) => Ok(()),
            Value::Object(rules) if depth < DEPTH_MAX => self.rules(rules, at, depth),
            _ => broken(at, schema),
        }
    }

    fn rules(&mut self, rules: &'s Map<String, Value>, at: &str, depth: usize) -> Sound {
        rules.iter().try_for_each(|(keyword, value)| self.keyword(keyword, value, &child(at, keyword), depth))
    }

    fn keyword(&mut self, keyword: &str, value: &'s Value, at: &str, depth: usize) -> Sound {
        let fits = match keyword {
            "$ref" => return self.reference(value, at, depth),
            "pattern" => return value.as_str().map_or_else(|| broken(at, value), |source| plain(source, at)),
            "format" => return format(value, at),
            "$schema" => match value.as_str() {
                Some(dialect) if dialect.trim_end_matches('#') != DIALECT => return beyond(at),
                dialect => dialect.is_some(),
            },
            "type" => is_type(value),
            "required" => is_names(value),
            "dependentRequired" => value.as_object().is_some_and(|map| map.values().all(is_names)),
            "enum" | "examples" => value.is_array(),
            "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
            word if NUMBERS.contains(&word) => value.is_number(),
            word if COUNTS.contains(&word) => count(value).is_some(),
            word if TEXTS.contains(&word) => value.is_string(),
            word if FLAGS.contains(&word) => value.is_boolean(),
            word if BEYOND.contains(&word) => return beyond(at),
            word if ONE.contains(&word) => return self.schema(value, at, depth + 1),
            word if SEVERAL.contains(&word) => return self.several(value, at, depth),
            word if NAMED.contains(&word) => return self.named(word, value, at, depth),
            // A word that is none of the standard's says nothing.
            _ => true,
        };
        if fits { Ok(()) } else { broken(at, value) }
    }

    fn several(&mut self, value: &'s Value, at: &str, depth: usize) -> Sound {
        match value.as_array() {
            Some(list) if !list.is_empty() => list.iter().try_for_each(|one| self.schema(one, at, depth + 1)),
            _ => broken(at, value),
        }
    }

    fn named(&mut self, keyword: &str, value: &'s Value, at: &str, depth: usize) -> Sound {
        let Some(named) = value.as_object() else { return broken(at, value) };
        for (name, one) in named {
            if keyword == "patternProperties" {
                plain(name, at)?;
            }
            self.schema(one, &child(at, name), depth + 1)?;
        }
        Ok(())
    }

    /// A reference leads to a place in the schema itself, and that place holds a schema.
    fn reference(&mut self, value: &'s Value, at: &str, depth: usize) -> Sound {
        let Some(place) = value.as_str() else { return broken(at, value) };
        let Some(path) = place.strip_prefix('#').filter(|path| path.is_empty() || path.starts_with('/')) else {
            return beyond(at);
        };
        if path.contains('%') {
            return beyond(at);
        }
        let Some(schema) = target(self.root, value) else { return broken(at, value) };
        if self.referred.contains(&path) {
            return Ok(());
        }
        self.referred.push(path);
        self.schema(schema, path, depth + 1)
    }
}

fn is_type(value: &Value) -> bool {
    let known = |one: &Value| one.as_str().is_some_and(|name| TYPES.contains(&name));
    known(value) || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(known) && is_set(list))
}

fn is_names(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string) && is_set(names))
}

fn is_set(list: &[Value]) -> bool {
    list.iter().enumerate().all(|(index, one)| !list[..index].contains(one))
}

fn format(value: &Value, at: &str) -> Sound {
    match value.as_str() {
        None => broken(at, value),
        Some(name) if formats::BEYOND.contains(&name) => beyond(at),
        Some(_) => Ok(()),
    }
}

/// A pattern that means the same to every engine of regular expressions: the others are for the engine that counts.
fn plain(source: &str, at: &str) -> Sound {
    let mut letters = source.chars().peekable();
    let mut in_set = false;
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let odd = match letter {
            '\\' => {
                letters.next();
                !next.is_some_and(|next| "dDwWnrt".contains(next) || next.is_ascii_punctuation())
            }
            '[' if in_set => true,
            '[' => {
                in_set = true;
                // An empty set, and what excludes nothing, are read in several ways.
                next.is_none_or(|next| next == ']') || source.contains("[^]")
            }
            ']' => {
                let alone = !in_set;
                in_set = false;
                alone
            }
            '&' | '~' | '-' if in_set => next == Some(letter),
            '(' if !in_set && next == Some('?') => {
                letters.next();
                letters.peek() != Some(&':')
            }
            _ => false,
        };
        if odd {
            return beyond(at);
        }
    }
    // What does not compile here may be a mistake, or of a wider grammar.
    if pattern(source).is_some() { Ok(()) } else { beyond(at) }
}
