//! Record types: which statuses a business entity goes through, and what its body holds.
//!
//! Invariants:
//! - Names and codes of a type's statuses are each one's own, so an interval of codes is a set of statuses.
//! - A body fits only if it matches the schema, is not too long and not too deep: whoever writes a record, by a
//!   node or by hand, is held to the same.
//!
//! Not here: the records (`store`), when a status may follow another (the nodes that compare and set).

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::flow::content_hash;
use crate::flow::document::Title;
use crate::flow::read::Reader;
use crate::problem::{Problem, Severity};
use crate::schema::Schema;
use crate::value::{VALUE_DEPTH_MAX, too_deep};

/// Longest id of a record.
pub const RECORD_ID_BYTES_MAX: usize = 500;
/// Longest body of a record, as JSON text.
pub const RECORD_BODY_BYTES_MAX: usize = 256 * 1024;
/// Most statuses of a type: a status column is read by people.
const STATUSES_MAX: usize = 200;
const FIELDS: [&str; 7] = ["stepwell", "kind", "key", "title", "summary", "statuses", "schema"];

/// A record type as records are held to it.
#[derive(Debug, Clone)]
pub struct RecordType {
    pub key: Arc<str>,
    /// By code.
    pub statuses: Vec<Status>,
    schema: Option<Schema>,
    /// Hex sha256 of the document: the same means the same.
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub name: String,
    /// By which intervals of statuses compare.
    pub code: i32,
    /// Nothing is expected to follow.
    pub terminal: bool,
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// There when no problem is an error.
    pub record: Option<RecordType>,
    /// Sorted by pointer, then code.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusDocument {
    name: String,
    code: i32,
    #[serde(default)]
    terminal: bool,
    #[serde(default, rename = "title")]
    _title: Option<Title>,
}

/// Checks a record type's document.
pub fn check(document: &Value) -> Checked {
    let Some(fields) = document.as_object() else {
        return Checked {
            record: None,
            problems: vec![Problem::error("WRONG_TYPE", "", "a record type is an object")],
        };
    };
    let mut checker = Checker { reader: Reader::new(fields) };
    let record = checker.run(fields, document);
    let mut problems = checker.reader.problems;
    problems.sort_by(|a, b| (&a.pointer, &a.code, &a.message).cmp(&(&b.pointer, &b.code, &b.message)));
    problems.dedup();
    let sound = problems.iter().all(|problem| problem.severity == Severity::Warning);
    Checked { record: record.filter(|_| sound), problems }
}

/// Whether a text can name a record.
pub fn is_record_id(id: &str) -> bool {
    (1..=RECORD_ID_BYTES_MAX).contains(&id.len()) && !id.contains('\0')
}

impl RecordType {
    pub fn status(&self, name: &str) -> Option<&Status> {
        self.statuses.iter().find(|status| status.name == name)
    }

    /// All that is wrong with a body, with pointers into it.
    pub fn misfits(&self, body: &Value) -> Vec<Problem> {
        if too_deep(body) {
            let message = format!("more than {VALUE_DEPTH_MAX} levels inside each other");
            return vec![Problem::error("SCHEMA_MISMATCH", "", message).fix("make it flatter")];
        }
        self.schema.as_ref().map_or_else(Vec::new, |schema| schema.check(body))
    }
}

struct Checker<'d> {
    reader: Reader<'d>,
}

impl Checker<'_> {
    fn problem(&mut self, problem: Problem) {
        self.reader.problems.push(problem);
    }

    fn run(&mut self, fields: &Map<String, Value>, document: &Value) -> Option<RecordType> {
        self.reader.unknown_fields(&FIELDS);
        for (field, fix) in [
            ("stepwell", "add \"stepwell\": 1"),
            ("kind", "add \"kind\": \"record\""),
            ("key", "add a key such as \"order\""),
            ("statuses", "add a status such as { \"name\": \"CREATED\", \"code\": 10 }"),
        ] {
            if !fields.contains_key(field) {
                let message = format!("the record type has no `{field}`");
                self.problem(Problem::error("MISSING_FIELD", "", message).fix(fix));
            }
        }
        if let Some(version) = self.reader.field::<u32>("stepwell")
            && version != 1
        {
            let message = format!("format {version} is not known here");
            self.problem(Problem::error("FORMAT_VERSION", "/stepwell", message).fix("use 1"));
        }
        if let Some(kind) = self.reader.field::<String>("kind")
            && kind != "record"
        {
            let message = format!("`{kind}` is not one of the values here");
            self.problem(Problem::error("UNKNOWN_VALUE", "/kind", message).fix("use record"));
        }
        self.reader.field::<Title>("title");
        self.reader.field::<Title>("summary");
        let key = self.key();
        let statuses = self.statuses();
        let schema = self.schema();
        Some(RecordType { key: key?.into(), statuses, schema, hash: content_hash(document) })
    }

    fn key(&mut self) -> Option<String> {
        let key = self.reader.field::<String>("key")?;
        let letters = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-.".contains(&letter);
        let first = key.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !first || key.len() > 64 || !key.bytes().all(letters) {
            let problem = Problem::error("RECORD_KEY", "/key", format!("`{key}` is no key for a record type"));
            self.problem(
                problem.fix("use small letters, digits, `_`, `-` and `.`, at most 64, a letter or digit first"),
            );
        }
        Some(key)
    }

    fn statuses(&mut self) -> Vec<Status> {
        let count = self.reader.raw("statuses").and_then(Value::as_array).map_or(1, Vec::len);
        if !(1..=STATUSES_MAX).contains(&count) {
            let message = format!("{count} statuses; a record type has 1 to {STATUSES_MAX}");
            self.problem(Problem::error("STATUSES", "/statuses", message));
        }
        let (mut names, mut codes) = (HashSet::new(), HashSet::new());
        let mut statuses = Vec::new();
        for (index, status) in self.reader.list::<StatusDocument>("statuses") {
            let at = format!("/statuses/{index}");
            let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            let StatusDocument { name, code, terminal, .. } = status;
            if name.is_empty() || name.len() > 64 || !name.chars().all(letter) {
                let problem = Problem::error("STATUS_NAME", format!("{at}/name"), format!("`{name}` is no status"));
                self.problem(problem.fix("use letters, digits, `_` and `-`, at most 64"));
            } else if !names.insert(name.clone()) {
                let problem = Problem::error("STATUS_NAME", format!("{at}/name"), format!("two are called `{name}`"));
                self.problem(problem.fix("choose another name"));
            }
            if !codes.insert(code) {
                let problem = Problem::error("STATUS_CODE", format!("{at}/code"), format!("two have the code {code}"));
                self.problem(problem.fix("choose another code"));
            }
            statuses.push(Status { name, code, terminal });
        }
        statuses.sort_by_key(|status| status.code);
        statuses
    }

    fn schema(&mut self) -> Option<Schema> {
        match Schema::compile(self.reader.raw("schema")?) {
            Ok(schema) => Some(schema),
            Err(error) => {
                self.problem(Problem::error("SCHEMA_INVALID", "/schema", format!("no JSON Schema: {error}")));
                None
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(changed: &[(&str, Value)]) -> Value {
        let mut document = json!({
            "stepwell": 1, "kind": "record", "key": "order", "title": { "en": "Order", "zh-CN": "订单" },
            "statuses": [{ "name": "PAID", "code": 30, "terminal": true }, { "name": "CREATED", "code": 10 }],
            "schema": { "type": "object", "required": ["amount"], "properties": { "amount": { "type": "integer" } } },
        });
        for (field, value) in changed {
            document[field] = value.clone();
        }
        document
    }

    #[test]
    fn problems_are_all_told_with_their_places() {
        let status = |name: &str, code: i32| json!({ "name": name, "code": code });
        for (changed, expected) in [
            (vec![], ""),
            (vec![("key", json!("a.b_c-1"))], ""),
            (vec![("key", json!("Order"))], "RECORD_KEY /key"),
            (vec![("key", json!(""))], "RECORD_KEY /key"),
            (vec![("kind", json!("graph")), ("stepwell", json!(2))], "UNKNOWN_VALUE /kind, FORMAT_VERSION /stepwell"),
            (vec![("statuses", json!([]))], "STATUSES /statuses"),
            (
                vec![("statuses", json!((0..201).map(|n| status(&format!("S{n}"), n)).collect::<Vec<_>>()))],
                "STATUSES /statuses",
            ),
            (vec![("statuses", json!({}))], "WRONG_TYPE /statuses"),
            (
                vec![("statuses", json!([status("A B", 1), status("A", 1), status("A", 2)]))],
                "STATUS_NAME /statuses/0/name, STATUS_CODE /statuses/1/code, STATUS_NAME /statuses/2/name",
            ),
            (vec![("statuses", json!([{ "name": "A" }]))], "MISSING_FIELD /statuses/0"),
            (vec![("statuses", json!([{ "name": "A", "code": 1, "final": true }]))], "UNKNOWN_FIELD /statuses/0/final"),
            (vec![("schema", json!({ "type": "nothing" }))], "SCHEMA_INVALID /schema"),
            (vec![("colour", json!("red"))], "UNKNOWN_FIELD /colour"),
        ] {
            let checked = check(&document(&changed));
            let found: Vec<_> = checked.problems.iter().map(|one| format!("{} {}", one.code, one.pointer)).collect();
            assert_eq!((found.join(", ").as_str(), checked.record.is_some()), (expected, expected.is_empty()));
        }
        let codes = |document: &Value| check(document).problems.len();
        assert_eq!((codes(&json!([])), codes(&json!({}))), (1, 4));
    }

    #[test]
    fn statuses_are_ordered_and_bodies_held_to_the_schema() {
        let record = check(&document(&[])).record.unwrap();
        assert_eq!(record.statuses.iter().map(|one| one.code).collect::<Vec<_>>(), [10, 30]);
        assert!(record.status("PAID").is_some_and(|paid| paid.terminal) && record.status("GONE").is_none());
        let mut deep = json!(1);
        for _ in 0..=VALUE_DEPTH_MAX {
            deep = json!([deep]);
        }
        for (body, fits) in [(json!({ "amount": 5 }), true), (json!({}), false), (json!({ "amount": deep }), false)] {
            assert_eq!(record.misfits(&body).is_empty(), fits, "{body}");
        }
        assert_ne!(record.hash, check(&document(&[("key", json!("other"))])).record.unwrap().hash);
        for (id, fits) in [("o-1", true), ("", false), ("a\0b", false), (&*"x".repeat(501), false)] {
            assert_eq!(is_record_id(id), fits, "{id:?}");
        }
    }
}
