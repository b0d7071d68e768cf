//! A machine's state pool as a table of text (CSV, RFC 4180), and back.
//!
//! Titles in several languages are columns of their own, `title.en`, `title.zh-CN`. The names that order systems mostly
//! give these columns (`orderStatus`, `statusDesc`, `serviceName`) are understood as well.
//!
//! Invariant: a pool that was written and read again is the same.
//!
//! Not here: what is wrong with a pool (`check::machine`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// Most rows of a table; more than a machine takes, so that the checker says how many are too many.
const ROWS_MAX: usize = 2_000;
const FIELDS: [&str; 7] = ["code", "title", "service", "priority", "order", "terminal", "notes"];

/// The pool as a table.
pub fn to_csv(states: &Value) -> String {
    let states = states.as_array().map(Vec::as_slice).unwrap_or_default();
    let tags: BTreeSet<&str> = states
        .iter()
        .filter_map(|state| state.get("title")?.as_object())
        .flat_map(|title| title.keys().map(String::as_str))
        .collect();
    let plain = tags.is_empty() || states.iter().any(|state| state.get("title").is_some_and(Value::is_string));
    let mut columns: Vec<String> = vec!["code".to_owned()];
    if plain {
        columns.push("title".to_owned());
    }
    columns.extend(tags.iter().map(|tag| format!("title.{tag}")));
    columns.extend(["service", "priority", "order", "terminal"].map(str::to_owned));
    if states.iter().any(|state| state.get("notes").is_some()) {
        columns.push("notes".to_owned());
    }
    let mut text = columns.join(",") + "\n";
    for state in states {
        let cells = columns.iter().map(|column| match column.split_once('.') {
            Some((_, tag)) => cell(state.get("title").and_then(|title| title.get(tag))),
            None => cell(state.get(column.as_str()).filter(|value| !value.is_object())),
        });
        text += &(cells.collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The states that a table holds.
///
/// # Errors
///
/// What cannot be read, by row.
pub fn from_csv(text: &str) -> Result<Value, Vec<Problem>> {
    let rows = rows(text.trim_start_matches('\u{feff}'));
    let mut problems = Vec::new();
    let mut rows = rows.into_iter();
    let head: Vec<String> = rows.next().unwrap_or_default().iter().map(|name| column(name.trim())).collect();
    for (index, name) in head.iter().enumerate() {
        if !FIELDS.contains(&name.as_str()) && !name.starts_with("title.") {
            let message = format!("column {} is called `{name}`", index + 1);
            let problem = Problem::error("UNKNOWN_FIELD", "/0", message);
            problems.push(problem.fix(format!("use {}", FIELDS.join(", "))));
        }
    }
    let mut states = Vec::new();
    for (index, row) in rows.enumerate().take(ROWS_MAX) {
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        states.push(state(&head, &row, index + 1, &mut problems));
    }
    if problems.is_empty() { Ok(Value::Array(states)) } else { Err(problems) }
}

fn column(name: &str) -> String {
    match name {
        "orderStatus" | "status" => "code",
        "statusDesc" | "description" => "title",
        "serviceName" => "service",
        other => other,
    }
    .to_owned()
}

fn state(head: &[String], row: &[String], place: usize, problems: &mut Vec<Problem>) -> Value {
    let mut state = Map::new();
    for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.trim().is_empty()) {
        let cell = cell.trim();
        let pointer = format!("/{place}/{name}");
        match name.as_str() {
            "priority" | "order" => {
                if let Ok(number) = cell.parse::<i32>() {
                    state.insert(name.clone(), json!(number));
                } else {
                    let message = format!("`{cell}` stands where a whole number is taken");
                    problems.push(Problem::error("WRONG_TYPE", pointer, message));
                }
            }
            "terminal" => match cell.to_lowercase().as_str() {
                "true" | "yes" | "1" | "是" => drop(state.insert(name.clone(), json!(true))),
                "false" | "no" | "0" | "否" => {}
                _ => {
                    let message = format!("`{cell}` stands where true or false is taken");
                    problems.push(Problem::error("WRONG_TYPE", pointer, message));
                }
            },
            _ => match name.strip_prefix("title.") {
                Some(tag) => {
                    let title = state.entry("title").or_insert_with(|| json!({}));
                    if let Some(title) = title.as_object_mut() {
                        title.insert(tag.to_owned(), json!(cell));
                    }
                }
                None => drop(state.insert(name.clone(), json!(cell))),
            },
        }
    }
    Value::Object(state)
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut letters) = (false, text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_goes_to_text_and_back() {
        for pool in [
            json!([{ "code": "NEW" }, { "code": "DONE", "terminal": true }]),
            json!([{ "code": "OS0000", "title": { "en": "New, \"fresh\"", "zh-CN": "初始状态" }, "service": "A", "priority": 0, "order": 10 }]),
            json!([{ "code": "A", "title": "one\ntwo", "notes": "x" }, { "code": "B", "title": { "en": "B" } }]),
            json!([]),
        ] {
            assert_eq!(from_csv(&to_csv(&pool)), Ok(pool.clone()), "{}", to_csv(&pool));
        }
    }

    #[test]
    fn tables_of_order_systems_are_read() {
        let text = "\u{feff}orderStatus,statusDesc,serviceName,priority\r\nOS0000,初始状态,SubscribeAction,0\r\n\r\nRS0002,,F,6";
        let wanted = json!([
            { "code": "OS0000", "title": "初始状态", "service": "SubscribeAction", "priority": 0 },
            { "code": "RS0002", "service": "F", "priority": 6 },
        ]);
        assert_eq!(from_csv(text), Ok(wanted));
        for (text, pointer) in [
            ("code,colour\nA,red", "/0"),
            ("code,priority\nA,high", "/1/priority"),
            ("code,terminal\nA,perhaps", "/1/terminal"),
        ] {
            let found = from_csv(text).map_err(|found| found[0].pointer.clone());
            assert_eq!(found, Err(pointer.to_owned()), "{text}");
        }
    }
}
