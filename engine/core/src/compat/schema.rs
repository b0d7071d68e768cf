//! Compares two JSON Schemas by what they let through.
//!
//! Says of each difference whether the new one lets through less, more, or something that cannot be told.
//! Titles, descriptions, defaults and hints for forms are no difference. References within a schema are
//! followed; two parts are compared with one another once, so a schema that refers to itself comes to an end.
//!
//! Not here: whether less or more is what breaks a flow (`compat`); that follows from who writes the value.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::flow::pointer::child;

/// What lies deeper and is not the same to the letter counts as breaking: it cannot be told.
const DEPTH_MAX: usize = 24;
/// Pairs that are compared of one schema; what is beyond cannot be told, either.
const PAIRS_MAX: usize = 10_000;
/// Of one schema; so many that break, and so many beside.
pub(super) const FINDINGS_MAX: usize = 100;

/// Which way a difference goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The new schema lets through less.
    Narrower,
    /// The new schema lets through more, or promises less.
    Wider,
    /// A part is gone: who writes it is not heard any more, who reads it does not find it.
    Gone,
    /// Something new that neither writer nor reader has to know.
    Harmless,
    /// It cannot be told.
    Unclear,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) way: Way,
    /// JSON pointer to the value's part, not the schema's.
    pub(super) at: String,
    pub(super) message: String,
}

/// `breaks` says which ways break whoever the schema is for: what breaks is told, however much else there is.
pub(super) fn compare(old: &Value, new: &Value, breaks: fn(Way) -> bool) -> Vec<Finding> {
    let (seen, findings) = (BTreeSet::new(), Vec::new());
    let mut comparison = Comparison { old, new, breaks, seen, findings, breaking: 0, harmless: 0, beyond: false };
    comparison.both(old, new, "", 0);
    comparison.findings
}

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
/// Limits of which a larger number lets through less.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Rules that let through less by being there, and cannot be compared among themselves.
const RULES: [&str; 11] = [
    "pattern",
    "format",
    "multipleOf",
    "uniqueItems",
    "not",
    "contains",
    "propertyNames",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
];
const BRANCHES: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const CONDITIONS: [&str; 3] = ["if", "then", "else"];

/// What `true` and a schema without properties have.
static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

struct Comparison<'a> {
    /// Where references lead.
    old: &'a Value,
    new: &'a Value,
    /// By where they are: the same pair again is the same again.
    seen: BTreeSet<(*const Value, *const Value)>,
    breaks: fn(Way) -> bool,
    findings: Vec<Finding>,
    breaking: usize,
    harmless: usize,
    /// It was said that there is more than is compared.
    beyond: bool,
}

impl<'a> Comparison<'a> {
    fn say(&mut self, code: &'static str, way: Way, at: &str, message: String) {
        let count = if (self.breaks)(way) { &mut self.breaking } else { &mut self.harmless };
        if *count < FINDINGS_MAX {
            *count += 1;
            self.findings.push(Finding { code, way, at: at.to_owned(), message });
        }
    }

    fn both(&mut self, old: &'a Value, new: &'a Value, at: &str, depth: usize) {
        if self.breaking >= FINDINGS_MAX {
            return;
        }
        let (old, new) = (follow(old, self.old), follow(new, self.new));
        let is_new = self.seen.insert((std::ptr::from_ref(old), std::ptr::from_ref(new)));
        if !is_new {
            return;
        }
        if depth > DEPTH_MAX || self.seen.len() > PAIRS_MAX {
            return self.uncompared(old, new, at);
        }
        let nothing = |schema: &Value| *schema == Value::Bool(false);
        match (nothing(old), nothing(new)) {
            (true, true) => return,
            (false, true) => return self.say("value-refused", Way::Narrower, at, "takes no value any more".to_owned()),
            (true, false) => return self.say("value-allowed", Way::Wider, at, "takes a value now".to_owned()),
            (false, false) => {}
        }
        let (old, new) = (old.as_object().unwrap_or(&EMPTY), new.as_object().unwrap_or(&EMPTY));
        self.types(old, new, at);
        self.values(old, new, at);
        self.limits(old, new, at);
        self.rules(old, new, at);
        self.properties(old, new, at, depth);
        self.items(old, new, at, depth);
        self.branches(old, new, at, depth);
    }

    /// What is not compared part by part. A reference in it may lead elsewhere though it reads the same.
    fn uncompared(&mut self, old: &Value, new: &Value, at: &str) {
        if !self.beyond && (old != new || refers(old)) {
            self.beyond = true;
            self.say("rule-changed", Way::Unclear, at, "lies too deep, or is too large, to be compared".to_owned());
        }
    }

    fn types(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let (before, now) = (types(old), types(new));
        let gone: Vec<_> = before.difference(&now).copied().collect();
        let come: Vec<_> = now.difference(&before).copied().collect();
        if !gone.is_empty() {
            self.say("type-narrowed", Way::Narrower, at, format!("is no longer {}", gone.join(" or ")));
        }
        if !come.is_empty() {
            self.say("type-widened", Way::Wider, at, format!("may now be {}", come.join(" or ")));
        }
    }

    fn values(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        match (values(old), values(new)) {
            (None, None) => {}
            (None, Some(_)) => self.say("enum-narrowed", Way::Narrower, at, "is one of a list now".to_owned()),
            (Some(_), None) => self.say("enum-widened", Way::Wider, at, "is no longer one of a list".to_owned()),
            (Some(before), Some(now)) => {
                let gone = before.iter().filter(|value| !now.contains(value)).map(|value| shown(value));
                let gone: Vec<_> = gone.collect();
                let come: Vec<_> =
                    now.iter().filter(|value| !before.contains(value)).map(|value| shown(value)).collect();
                if !gone.is_empty() {
                    self.say("enum-narrowed", Way::Narrower, at, format!("is no longer {}", gone.join(" or ")));
                }
                if !come.is_empty() {
                    self.say("enum-widened", Way::Wider, at, format!("may now be {}", come.join(" or ")));
                }
            }
        }
    }

    fn limits(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for (names, larger_is_less) in [(LOWER, true), (UPPER, false)] {
            for name in names {
                let of = |schema: &Map<String, Value>| schema.get(name).and_then(Value::as_f64);
                let tighter = match (of(old), of(new)) {
                    (None, Some(_)) => true,
                    (Some(_), None) => false,
                    (Some(before), Some(now)) if before < now => larger_is_less,
                    (Some(before), Some(now)) if before > now => !larger_is_less,
                    (None, None) | (Some(_), Some(_)) => continue,
                };
                let word = |schema: &Map<String, Value>| schema.get(name).map_or_else(|| "none".to_owned(), shown);
                let message = format!("{name} was {} and is {}", word(old), word(new));
                if tighter {
                    self.say("limit-tightened", Way::Narrower, at, message);
                } else {
                    self.say("limit-loosened", Way::Wider, at, message);
                }
            }
        }
    }

    fn rules(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for name in RULES.into_iter().chain(CONDITIONS) {
            // As if it were not there.
            let of =
                |schema: &'_ Map<String, Value>| schema.get(name).filter(|rule| **rule != false).cloned().map(bare);
            let (code, way, message) = match (of(old), of(new)) {
                (before, now) if before == now => continue,
                (None, Some(_)) if !CONDITIONS.contains(&name) => {
                    ("rule-added", Way::Narrower, format!("has to meet a {name} now"))
                }
                (Some(_), None) if !CONDITIONS.contains(&name) => {
                    ("rule-removed", Way::Wider, format!("need not meet a {name} any more"))
                }
                _ => ("rule-changed", Way::Unclear, format!("its {name} is another")),
            };
            self.say(code, way, at, message);
        }
    }

    fn properties(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>, at: &str, depth: usize) {
        let of = |schema: &'a Map<String, Value>| schema.get("properties").and_then(Value::as_object).unwrap_or(&EMPTY);
        let (before, now) = (of(old), of(new));
        let (required_before, required_now) = (required(old), required(new));
        for (name, old) in before {
            let at = child(at, name);
            match now.get(name) {
                Some(new) => self.both(old, new, &at, depth + 1),
                None => self.say("property-removed", Way::Gone, &at, format!("`{name}` is gone")),
            }
        }
        for name in now.keys().filter(|name| !before.contains_key(*name) && !required_now.contains(name.as_str())) {
            let at = child(at, name);
            self.say("property-added", Way::Harmless, &at, format!("`{name}` is new, and may be left out"));
        }
        for name in required_now.difference(&required_before) {
            let at = child(at, name);
            self.say("required-added", Way::Narrower, &at, format!("`{name}` may not be left out any more"));
        }
        for name in required_before.difference(&required_now).filter(|name| now.contains_key(**name)) {
            let at = child(at, name);
            self.say("required-removed", Way::Wider, &at, format!("`{name}` may be left out now"));
        }
        self.others(old, new, at, depth);
    }

    /// Properties that have no name of their own.
    fn others(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>, at: &str, depth: usize) {
        static ANY: Value = Value::Bool(true);
        let of = |schema: &'a Map<String, Value>| schema.get("additionalProperties").unwrap_or(&ANY);
        let (before, now) = (of(old), of(new));
        match (before == &Value::Bool(false), now == &Value::Bool(false)) {
            (true, true) => {}
            (false, true) => {
                self.say("closed", Way::Narrower, at, "takes no properties but those it names now".to_owned());
            }
            (true, false) => self.say("opened", Way::Wider, at, "takes other properties than it names now".to_owned()),
            (false, false) => self.both(before, now, &child(at, "*"), depth + 1),
        }
    }

    fn items(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>, at: &str, depth: usize) {
        static ANY: Value = Value::Bool(true);
        let of = |schema: &'a Map<String, Value>| schema.get("items").unwrap_or(&ANY);
        self.both(of(old), of(new), &child(at, "*"), depth + 1);
        let first = |schema: &'a Map<String, Value>| schema.get("prefixItems").and_then(Value::as_array);
        match (first(old), first(new)) {
            (None, None) => {}
            (Some(before), Some(now)) if before.len() == now.len() => {
                for (nth, (old, new)) in before.iter().zip(now).enumerate() {
                    self.both(old, new, &child(at, &nth.to_string()), depth + 1);
                }
            }
            _ => self.say("items-changed", Way::Unclear, at, "its first items are others".to_owned()),
        }
    }

    fn branches(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>, at: &str, depth: usize) {
        for name in BRANCHES {
            let of = |schema: &'a Map<String, Value>| schema.get(name).and_then(Value::as_array);
            match (of(old), of(new)) {
                (None, None) => {}
                (Some(before), Some(now)) if before.len() == now.len() => {
                    for (old, new) in before.iter().zip(now) {
                        self.both(old, new, at, depth + 1);
                    }
                }
                (Some(before), Some(now)) => {
                    let all = |few: &[Value], many: &[Value]| few.iter().all(|one| many.contains(one));
                    let more = now.len() > before.len();
                    let grown = if more { all(before, now) } else { all(now, before) };
                    // Another way to match lets through more; another rule to meet lets through less.
                    let way = match (grown, more == (name != "allOf")) {
                        (false, _) => Way::Unclear,
                        (true, true) => Way::Wider,
                        (true, false) => Way::Narrower,
                    };
                    let message = format!("{name} had {} branches and has {}", before.len(), now.len());
                    self.say("branches-changed", way, at, message);
                }
                (None, Some(_)) => self.say("rule-added", Way::Narrower, at, format!("has to meet {name} now")),
                (Some(_), None) => self.say("rule-removed", Way::Wider, at, format!("need not meet {name} any more")),
            }
        }
    }
}

/// Where a reference within the schema leads.
fn follow<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) else {
            break;
        };
        match root.pointer(pointer) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("$ref") || map.values().any(refers),
        Value::Array(list) => list.iter().any(refers),
        _ => false,
    }
}

fn types(schema: &Map<String, Value>) -> BTreeSet<&str> {
    let mut types: BTreeSet<&str> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.as_str()]),
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.into_iter().collect(),
    };
    // Every integer is a number.
    if types.contains("number") {
        types.insert("integer");
    }
    types
}

fn values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        (_, Some(only)) => Some(vec![only]),
        (Some(Value::Array(several)), None) => Some(several.iter().collect()),
        _ => None,
    }
}

fn required(schema: &Map<String, Value>) -> BTreeSet<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Without what is only for people.
fn bare(mut schema: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        for name in ["title", "description", "default", "examples", "$comment", "deprecated"] {
            map.remove(name);
        }
        map.retain(|name, _| !name.starts_with("x-"));
        for (_, value) in map.iter_mut() {
            *value = bare(value.take());
        }
    }
    schema
}

/// A value in few words.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { text.chars().take(39).chain(['…']).collect() }
}
