//! Decision tables as documents of their own: published and versioned as flows are, and used by decisions and routes.
//!
//! `{ stepwell, kind: "table", key, title, input, table: { hitPolicy, inputs, outputs, rules } }`.
//!
//! Invariant: what stands under `table` is what a decision may hold itself, and means the same.
//!
//! Not here: the table itself (`decide`), which version a flow is pinned to (`flow::check`).

use chrono_tz::Tz;
use serde_json::Value;

use crate::decide::{Table, TableAnswer};
use crate::expr::{Root, Scope, ValueError};
use crate::flow::check::{DOCUMENT_BYTES_MAX, is_key, json_bytes};
use crate::flow::document::Title;
use crate::flow::{content_hash, read::Reader};
use crate::problem::{Problem, Severity};
use crate::schema::Schema;

/// What `kind` says.
pub const KIND: &str = "table";
const FIELDS: [&str; 8] = ["stepwell", "kind", "key", "title", "summary", "input", "table", "layout"];

/// A table as it is asked.
#[derive(Debug)]
pub struct Published {
    pub key: String,
    pub table: Table,
    /// What it is asked with must match this.
    pub input: Option<Schema>,
    /// Hex sha256 of the document.
    pub hash: String,
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// There when no problem is an error.
    pub table: Option<Published>,
    /// Sorted by pointer, then code.
    pub problems: Vec<Problem>,
}

/// Whether a document is one of these.
pub fn is_table(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some(KIND)
}

/// Checks a table's document.
pub fn check(document: &Value) -> Checked {
    let Some(fields) = document.as_object() else {
        return Checked {
            table: None,
            problems: vec![Problem::error("WRONG_TYPE", "", "a table's document is an object")],
        };
    };
    let mut reader = Reader::new(fields);
    reader.unknown_fields(&FIELDS);
    let table = read(&mut reader, document);
    let mut problems = reader.problems;
    problems.sort_by(|a, b| (&a.pointer, &a.code, &a.message).cmp(&(&b.pointer, &b.code, &b.message)));
    problems.dedup();
    let sound = problems.iter().all(|problem| problem.severity == Severity::Warning);
    Checked { table: table.filter(|_| sound), problems }
}

fn read(reader: &mut Reader<'_>, document: &Value) -> Option<Published> {
    for (field, fix) in [
        ("stepwell", "add \"stepwell\": 1"),
        ("key", "add a key such as \"discount\""),
        ("table", "add hitPolicy, inputs, outputs and rules"),
    ] {
        if reader.raw(field).is_none() {
            let message = format!("the table has no `{field}`");
            reader.problems.push(Problem::error("MISSING_FIELD", "", message).fix(fix));
        }
    }
    if json_bytes(document) > DOCUMENT_BYTES_MAX {
        let message = format!("a table has at most {DOCUMENT_BYTES_MAX} bytes");
        reader.problems.push(Problem::error("TABLE_TOO_LARGE", "", message).fix("make two tables of it"));
        return None;
    }
    if let Some(version) = reader.field::<u32>("stepwell").filter(|version| *version != 1) {
        let message = format!("format {version} is not known here");
        reader.problems.push(Problem::error("FORMAT_VERSION", "/stepwell", message).fix("use 1"));
    }
    reader.field::<Title>("title");
    reader.field::<Title>("summary");
    let input = match reader.raw("input").map(Schema::compile) {
        Some(Err(error)) => {
            let problem = Problem::error("SCHEMA_INVALID", "/input", format!("no JSON Schema: {error}"));
            reader.problems.push(problem);
            None
        }
        Some(Ok(schema)) => Some(schema),
        None => None,
    };
    let key = reader.field::<String>("key")?;
    if !is_key(&key) {
        let problem = Problem::error("FLOW_KEY", "/key", format!("`{key}` is no key for a table"));
        let fix = "use small letters, digits, `_`, `-` and `.`, at most 64, a letter or digit first";
        reader.problems.push(problem.fix(fix));
    }
    let table = Table::parse_in(reader.raw("table")?, "/table", Tz::UTC, &mut reader.problems)?;
    Some(Published { key, table, input, hash: content_hash(document) })
}

impl Published {
    /// What it says to an object of named values.
    ///
    /// # Errors
    ///
    /// A value that a cell or column cannot be asked of, or several hits where one is allowed.
    pub fn ask(&self, asked: &Value) -> Result<TableAnswer, ValueError> {
        let roots: Vec<(&str, Root<'_>)> = match asked {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), Root::Value(value))).collect(),
            _ => return Err(ValueError::new("a table is asked with an object of named values")),
        };
        self.table.evaluate(&Scope { roots: &roots })
    }

    /// All that is wrong with what it would be asked, with pointers into it.
    pub fn misfits(&self, asked: &Value) -> Vec<Problem> {
        self.input.as_ref().map_or_else(Vec::new, |schema| schema.check(asked))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(changed: &[(&str, Value)]) -> Value {
        let mut document = json!({
            "stepwell": 1, "kind": "table", "key": "discount", "title": { "en": "Discount", "zh-CN": "折扣" },
            "input": { "type": "object", "required": ["tier"], "properties": { "tier": { "type": "string" } } },
            "table": {
                "hitPolicy": "first",
                "inputs": [{ "id": "t", "name": "Tier", "field": "tier" }],
                "outputs": [{ "id": "p", "name": "Percent", "field": "pct" }],
                "rules": [{ "_id": "1", "t": "'gold'", "p": "10" }, { "_id": "2", "p": "0" }],
            },
        });
        for (field, value) in changed {
            document[field] = value.clone();
        }
        document
    }

    #[test]
    fn problems_are_all_told_with_their_places() {
        for (changed, expected) in [
            (vec![], ""),
            (vec![("key", json!("Discount"))], "FLOW_KEY /key"),
            (vec![("stepwell", json!(2)), ("colour", json!(1))], "UNKNOWN_FIELD /colour, FORMAT_VERSION /stepwell"),
            (vec![("input", json!({ "type": "nothing" }))], "SCHEMA_INVALID /input"),
            (vec![("table", json!("other@1"))], "TABLE_SHAPE /table"),
            (
                vec![("title", json!(5)), ("table", json!({ "inputs": [], "outputs": [], "rules": [] }))],
                "TABLE_SHAPE /table/outputs, WRONG_TYPE /title",
            ),
        ] {
            let checked = check(&document(&changed));
            let found: Vec<_> = checked.problems.iter().map(|one| format!("{} {}", one.code, one.pointer)).collect();
            assert_eq!((found.join(", ").as_str(), checked.table.is_some()), (expected, expected.is_empty()));
        }
        let codes = |document: &Value| check(document).problems.len();
        assert_eq!((codes(&json!([])), codes(&json!({}))), (1, 3));
    }

    #[test]
    fn a_table_is_asked_by_name() {
        let table = check(&document(&[])).table.unwrap();
        for (asked, answer, misfits) in [
            (json!({ "tier": "gold" }), "Ok({\"pct\":10}) [0]", 0),
            (json!({ "tier": "none" }), "Ok({\"pct\":0}) [1]", 0),
            (json!({ "tier": 5 }), "Ok({\"pct\":0}) [1]", 1),
            (json!({}), "Ok({\"pct\":0}) [1]", 1),
            (json!("gold"), "Err", 1),
        ] {
            let shown = table.ask(&asked).map(|answer| format!("Ok({}) {:?}", answer.output, answer.hits));
            assert_eq!(shown.unwrap_or_else(|_| "Err".to_owned()), answer, "{asked}");
            assert_eq!(table.misfits(&asked).len(), misfits, "{asked}");
        }
        assert_ne!(table.hash, check(&document(&[("key", json!("other"))])).table.unwrap().hash);
    }
}
