//! The keywords that node types and forms are described with, in a tenth of the code.
//!
//! Decides whether a value matches a schema that [`sound`] has let through. What is not known here is
//! refused there, by name, and never taken for granted.
//!
//! Invariant: on every schema both take, this and `full` find the same mismatches in the same places
//! (`agreement.rs`).

mod formats;
mod sound;

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value};

use super::{Mismatch, PROBLEMS_MAX, SchemaError};
use crate::flow::pointer::child;

/// Deepest nesting while checking, references counted. A value and a schema of JSON are far less deep.
const DEPTH_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Validator {
    root: Value,
}

impl Validator {
    pub(super) fn compile(schema: &Value) -> Result<Self, SchemaError> {
        sound::sound(schema)?;
        Ok(Self { root: schema.clone() })
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.mismatches(value).is_empty()
    }

    pub(super) fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        let mut check = Check { root: &self.root, found: Vec::new(), open: Vec::new() };
        check.schema(&self.root, value, "", 0);
        check.found
    }
}

fn pattern(source: &str) -> Option<regex_lite::Regex> {
    regex_lite::RegexBuilder::new(source).size_limit(1 << 20).build().ok()
}

/// What a limit on a length counts to: 2 and 2.0 are the same.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..1e15).contains(number))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within bounds")]
        Some(number as u64)
    })
}

/// Where a `$ref` of this schema leads.
fn target<'s>(root: &'s Value, reference: &Value) -> Option<&'s Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

struct Check<'s> {
    root: &'s Value,
    found: Vec<Mismatch>,
    /// The references being followed, each with the value it is followed for: one that comes round again ends there.
    open: Vec<(*const Value, *const Value)>,
}

impl<'s> Check<'s> {
    /// Whether a schema holds, without saying why not.
    fn holds(&mut self, schema: &'s Value, value: &Value, depth: usize) -> bool {
        let found = std::mem::take(&mut self.found);
        self.schema(schema, value, "", depth + 1);
        std::mem::replace(&mut self.found, found).is_empty()
    }

    fn schema(&mut self, schema: &'s Value, value: &Value, at: &str, depth: usize) {
        if self.found.len() >= PROBLEMS_MAX {
            return;
        }
        if depth > DEPTH_MAX {
            return self.found.push(Mismatch::other(at, "this is nested too deep to be checked".to_owned()));
        }
        let rules = match schema {
            Value::Object(rules) => rules,
            Value::Bool(false) => return self.found.push(Mismatch::of_keyword(at, value, "false", schema)),
            _ => return,
        };
        if let Some(target) = rules.get("$ref").and_then(|reference| target(self.root, reference)) {
            let step = (std::ptr::from_ref(target), std::ptr::from_ref(value));
            if !self.open.contains(&step) {
                self.open.push(step);
                self.schema(target, value, at, depth + 1);
                self.open.pop();
            }
        }
        self.any_value(rules, value, at);
        match value {
            Value::Number(number) => self.number(rules, value, number, at),
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

    fn number(&mut self, rules: &Map<String, Value>, value: &Value, number: &Number, at: &str) {
        for keyword in sound::NUMBERS {
            let Some(Value::Number(limit)) = rules.get(keyword) else { continue };
            let order = compare(number, limit);
            let met = match keyword {
                "minimum" => order.is_ge(),
                "maximum" => order.is_le(),
                "exclusiveMinimum" => order.is_gt(),
                "exclusiveMaximum" => order.is_lt(),
                _ => is_multiple(number, limit),
            };
            if !met {
                self.unmet(at, value, keyword, rules);
            }
        }
    }

    fn length(&mut self, rules: &Map<String, Value>, value: &Value, length: usize, words: [&str; 2], at: &str) {
        let length = length as u64;
        let [least, most] = words.map(|word| rules.get(word).and_then(count));
        for (limit, keyword) in
            [(least.filter(|least| length < *least), words[0]), (most.filter(|most| length > *most), words[1])]
        {
            if let Some(limit) = limit {
                self.found.push(Mismatch::of_keyword(at, value, keyword, &Value::from(limit)));
            }
        }
    }

    fn text(&mut self, rules: &Map<String, Value>, value: &Value, text: &str, at: &str) {
        self.length(rules, value, text.chars().count(), ["minLength", "maxLength"], at);
        if let Some(pattern) = rules.get("pattern").and_then(Value::as_str).and_then(pattern)
            && !pattern.is_match(text)
        {
            self.unmet(at, value, "pattern", rules);
        }
        if rules.get("format").and_then(Value::as_str).is_some_and(|format| !formats::is(format, text)) {
            self.unmet(at, value, "format", rules);
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
            let held = items.iter().filter(|item| self.holds(schema, item, depth)).count() as u64;
            let least = rules.get("minContains").and_then(count).unwrap_or(1);
            let most = rules.get("maxContains").and_then(count).unwrap_or(u64::MAX);
            if held < least || held > most {
                self.unmet(at, value, "contains", rules);
            }
        }
    }

    fn object(
        &mut self,
        rules: &'s Map<String, Value>,
        value: &Value,
        fields: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        self.length(rules, value, fields.len(), ["minProperties", "maxProperties"], at);
        for name in names(rules.get("required")).filter(|name| !fields.contains_key(*name)) {
            self.found.push(Mismatch::missing(at, name));
        }
        for (when, needed) in rules.get("dependentRequired").and_then(Value::as_object).into_iter().flatten() {
            if fields.contains_key(when) {
                let missing = names(Some(needed)).filter(|name| !fields.contains_key(*name));
                self.found.extend(missing.map(|name| Mismatch::missing(at, name)));
            }
        }
        for (when, schema) in rules.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten() {
            if fields.contains_key(when) {
                self.schema(schema, value, at, depth + 1);
            }
        }
        let properties = rules.get("properties").and_then(Value::as_object);
        let patterns = rules.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let patterns: Vec<_> = patterns.filter_map(|(source, schema)| Some((pattern(source)?, schema))).collect();
        for (name, field) in fields {
            let below = child(at, name);
            if let Some(schema) = rules.get("propertyNames")
                && !self.holds(schema, &Value::from(name.as_str()), depth)
            {
                self.found.push(Mismatch::name(at, name));
            }
            let named = properties.and_then(|properties| properties.get(name));
            let matched = patterns.iter().filter(|(pattern, _)| pattern.is_match(name)).map(|(_, schema)| *schema);
            let known: Vec<&Value> = named.into_iter().chain(matched).collect();
            for schema in &known {
                self.schema(schema, field, &below, depth + 1);
            }
            match rules.get("additionalProperties").filter(|_| known.is_empty()) {
                Some(Value::Bool(false)) => self.found.push(Mismatch::unknown(at, name)),
                Some(schema) => self.schema(schema, field, &below, depth + 1),
                None => {}
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

fn names(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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
        (Value::Number(left), Value::Number(right)) => compare(left, right).is_eq(),
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

/// Whole numbers are compared as such: beyond 2^53 a float no longer tells neighbours apart.
fn compare(left: &Number, right: &Number) -> Ordering {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e30)?;
        #[allow(clippy::cast_possible_truncation, reason = "whole and within bounds")]
        Some(float as i128)
    })
}

/// In decimal, as it is written: 0.3 is a multiple of 0.1.
fn is_multiple(number: &Number, of: &Number) -> bool {
    let decimal = |number: &Number| match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string().parse::<Decimal>().ok(),
        _ => number.to_string().parse().ok(),
    };
    match (decimal(number), decimal(of)) {
        (Some(number), Some(of)) => number.checked_rem(of).is_some_and(|rest| rest.is_zero()),
        _ => number.as_f64().zip(of.as_f64()).is_some_and(|(number, of)| number % of == 0.0),
    }
}
