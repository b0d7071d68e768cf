//! The keywords that node types and forms are described with, in a tenth of the code.
//!
//! Known: `type`, `enum`, `const`, the limits on numbers, texts, lists and objects, `pattern`,
//! `properties` and their kin, `items`, `prefixItems`, `contains`, `$ref` within the schema, and the
//! words that join schemas. Not known, and taken for granted: `format`, `unevaluated…`, `$dynamicRef`.

use serde_json::{Map, Value};

use super::{Mismatch, PROBLEMS_MAX};
use crate::flow::pointer::child;

/// Deepest nesting of schemas while checking, references counted.
const DEPTH_MAX: usize = 128;
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
/// Keywords that hold one schema, a list of them, or a map of them.
const ONE: [&str; 9] = ["additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else", "unevaluatedProperties"];
const SEVERAL: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const NUMBERS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const COUNTS: [&str; 8] =
    ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"];

#[derive(Debug)]
pub(super) struct Validator {
    root: Value,
}

impl Validator {
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        sound(schema, schema, "", 0)?;
        Ok(Self { root: schema.clone() })
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.mismatches(value).is_empty()
    }

    pub(super) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        let mut check = Check { root: &self.root, found: Vec::new() };
        check.schema(&self.root, value, "", 0);
        check.found
    }
}

/// Whether every part of a schema is one.
fn sound(schema: &Value, root: &Value, at: &str, depth: usize) -> Result<(), String> {
    let fields = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(fields) if depth < DEPTH_MAX => fields,
        _ => return Err(format!("{at}: {schema} is no schema")),
    };
    for (keyword, value) in fields {
        let at = child(at, keyword);
        let wrong = || Err(format!("{at}: {value} cannot stand here"));
        match keyword.as_str() {
            "$ref" if value.as_str().and_then(|target| target.strip_prefix('#')).is_none_or(|path| root.pointer(path).is_none()) => {
                return Err(format!("{at}: {value} is not in this schema"));
            }
            "type" => {
                let known = |one: &Value| one.as_str().is_some_and(|name| TYPES.contains(&name));
                if !known(value) && !value.as_array().is_some_and(|several| several.iter().all(known)) {
                    return wrong();
                }
            }
            "required" if !value.as_array().is_some_and(|names| names.iter().all(Value::is_string)) => return wrong(),
            "enum" if !value.is_array() => return wrong(),
            "pattern" if value.as_str().and_then(pattern).is_none() => return wrong(),
            word if NUMBERS.contains(&word) && !value.is_number() => return wrong(),
            word if COUNTS.contains(&word) && count(value).is_none() => return wrong(),
            word if ONE.contains(&word) => sound(value, root, &at, depth + 1)?,
            word if SEVERAL.contains(&word) => {
                let Some(several) = value.as_array() else { return wrong() };
                several.iter().try_for_each(|one| sound(one, root, &at, depth + 1))?;
            }
            word if NAMED.contains(&word) => {
                let Some(named) = value.as_object() else { return wrong() };
                for (name, one) in named {
                    if word == "patternProperties" && pattern(name).is_none() {
                        return wrong();
                    }
                    sound(one, root, &child(&at, name), depth + 1)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn pattern(source: &str) -> Option<regex_lite::Regex> {
    regex_lite::RegexBuilder::new(source).size_limit(1 << 20).build().ok()
}

fn count(value: &Value) -> Option<usize> {
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..1e15).contains(number))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within bounds")]
        Some(number as u64)
    });
    whole.and_then(|whole| usize::try_from(whole).ok())
}

struct Check<'s> {
    root: &'s Value,
    found: Vec<Mismatch>,
}

impl<'s> Check<'s> {
    /// Whether a schema holds, without saying why not.
    fn holds(&self, schema: &'s Value, value: &Value, depth: usize) -> bool {
        let mut check = Check { root: self.root, found: Vec::new() };
        check.schema(schema, value, "", depth + 1);
        check.found.is_empty()
    }

    fn schema(&mut self, schema: &'s Value, value: &Value, at: &str, depth: usize) {
        if self.found.len() >= PROBLEMS_MAX {
            return;
        }
        if depth > DEPTH_MAX {
            self.found.push(Mismatch::other(at, "the schema is nested too deep".to_owned()));
            return;
        }
        let rules = match schema {
            Value::Object(rules) => rules,
            Value::Bool(false) => return self.found.push(Mismatch::of_keyword(at, value, "false", schema)),
            _ => return,
        };
        if let Some(target) = rules.get("$ref").and_then(Value::as_str).and_then(|target| self.root.pointer(target.strip_prefix('#')?)) {
            self.schema(target, value, at, depth + 1);
        }
        self.any_value(rules, value, at);
        match value {
            Value::Number(_) => self.number(rules, value, at),
            Value::String(text) => self.text(rules, value, text, at),
            Value::Array(items) => self.array(rules, value, items, at, depth),
            Value::Object(fields) => self.object(rules, value, fields, at, depth),
            Value::Null | Value::Bool(_) => {}
        }
        self.joined(rules, value, at, depth);
    }

    fn unmet(&mut self, at: &str, value: &Value, keyword: &str, rules: &Map<String, Value>) {
        let wanted = rules.get(keyword).unwrap_or(&Value::Null);
        self.found.push(Mismatch::of_keyword(at, value, keyword, wanted));
    }

    fn any_value(&mut self, rules: &Map<String, Value>, value: &Value, at: &str) {
        let fits = match rules.get("type") {
            Some(Value::String(kind)) => is_of(value, kind),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(|kind| is_of(value, kind)),
            _ => true,
        };
        if !fits {
            self.unmet(at, value, "type", rules);
        }
        if rules.get("enum").and_then(Value::as_array).is_some_and(|all| !all.iter().any(|one| same(one, value))) {
            self.unmet(at, value, "enum", rules);
        }
        if rules.get("const").is_some_and(|only| !same(only, value)) {
            self.unmet(at, value, "const", rules);
        }
    }

    fn number(&mut self, rules: &Map<String, Value>, value: &Value, at: &str) {
        let Some(number) = value.as_f64() else { return };
        for keyword in NUMBERS {
            let Some(limit) = rules.get(keyword).and_then(Value::as_f64) else { continue };
            let met = match keyword {
                "minimum" => number >= limit,
                "maximum" => number <= limit,
                "exclusiveMinimum" => number > limit,
                "exclusiveMaximum" => number < limit,
                _ => limit == 0.0 || ((number / limit) - (number / limit).round()).abs() < 1e-9,
            };
            if !met {
                self.unmet(at, value, keyword, rules);
            }
        }
    }

    fn length(&mut self, rules: &Map<String, Value>, value: &Value, length: usize, words: [&str; 2], at: &str) {
        if rules.get(words[0]).and_then(count).is_some_and(|least| length < least) {
            self.unmet(at, value, words[0], rules);
        }
        if rules.get(words[1]).and_then(count).is_some_and(|most| length > most) {
            self.unmet(at, value, words[1], rules);
        }
    }

    fn text(&mut self, rules: &Map<String, Value>, value: &Value, text: &str, at: &str) {
        self.length(rules, value, text.chars().count(), ["minLength", "maxLength"], at);
        if let Some(pattern) = rules.get("pattern").and_then(Value::as_str).and_then(pattern)
            && !pattern.is_match(text)
        {
            self.unmet(at, value, "pattern", rules);
        }
    }

    fn array(&mut self, rules: &'s Map<String, Value>, value: &Value, items: &[Value], at: &str, depth: usize) {
        self.length(rules, value, items.len(), ["minItems", "maxItems"], at);
        if rules.get("uniqueItems") == Some(&Value::Bool(true))
            && items.iter().enumerate().any(|(index, one)| items[..index].iter().any(|other| same(one, other)))
        {
            self.unmet(at, value, "uniqueItems", rules);
        }
        let first = rules.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = first.get(index).or_else(|| rules.get("items")) else { break };
            self.schema(schema, item, &format!("{at}/{index}"), depth + 1);
        }
        if let Some(schema) = rules.get("contains") {
            let held = items.iter().filter(|item| self.holds(schema, item, depth)).count();
            let least = rules.get("minContains").and_then(count).unwrap_or(1);
            let most = rules.get("maxContains").and_then(count).unwrap_or(usize::MAX);
            if held < least || held > most {
                self.unmet(at, value, "contains", rules);
            }
        }
    }

    fn object(&mut self, rules: &'s Map<String, Value>, value: &Value, fields: &Map<String, Value>, at: &str, depth: usize) {
        self.length(rules, value, fields.len(), ["minProperties", "maxProperties"], at);
        let names = |list: Option<&'s Value>| list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in names(rules.get("required")).filter(|name| !fields.contains_key(*name)) {
            self.found.push(Mismatch::missing(at, name));
        }
        for (when, needed) in rules.get("dependentRequired").and_then(Value::as_object).into_iter().flatten() {
            if fields.contains_key(when) {
                let missing = names(Some(needed)).filter(|name| !fields.contains_key(*name));
                self.found.extend(missing.map(|name| Mismatch::missing(at, name)));
            }
        }
        let properties = rules.get("properties").and_then(Value::as_object);
        let patterns: Vec<_> = rules
            .get("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(source, schema)| Some((pattern(source)?, schema)))
            .collect();
        for (name, field) in fields {
            let below = child(at, name);
            if let Some(schema) = rules.get("propertyNames") {
                self.schema(schema, &Value::from(name.as_str()), at, depth + 1);
            }
            let mut known = false;
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                known = true;
                self.schema(schema, field, &below, depth + 1);
            }
            for (_, schema) in patterns.iter().filter(|(pattern, _)| pattern.is_match(name)) {
                known = true;
                self.schema(schema, field, &below, depth + 1);
            }
            match rules.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => self.found.push(Mismatch::unknown(at, name)),
                Some(schema) if !known => self.schema(schema, field, &below, depth + 1),
                _ => {}
            }
        }
    }

    fn joined(&mut self, rules: &'s Map<String, Value>, value: &Value, at: &str, depth: usize) {
        let several = |word: &str| rules.get(word).and_then(Value::as_array);
        for schema in several("allOf").into_iter().flatten() {
            self.schema(schema, value, at, depth + 1);
        }
        if several("anyOf").is_some_and(|all| !all.iter().any(|one| self.holds(one, value, depth))) {
            self.unmet(at, value, "anyOf", rules);
        }
        if several("oneOf").is_some_and(|all| all.iter().filter(|one| self.holds(one, value, depth)).count() != 1) {
            self.unmet(at, value, "oneOf", rules);
        }
        if rules.get("not").is_some_and(|not| self.holds(not, value, depth)) {
            self.unmet(at, value, "not", rules);
        }
        if let Some(condition) = rules.get("if") {
            let branch = if self.holds(condition, value, depth) { "then" } else { "else" };
            if let Some(schema) = rules.get(branch) {
                self.schema(schema, value, at, depth + 1);
            }
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        // 1.0 is whole.
        _ => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
    }
}

/// Equal as JSON values: 1 is 1.0.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, one)| right.get(name).is_some_and(|other| same(one, other)))
        }
        (left, right) => left == right,
    }
}
