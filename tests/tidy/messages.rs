//! The console's words: every language has the same keys, each with the same placeholders.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::refuse;
use crate::repository;

const FOLDER: &str = "designer/messages";
const LANGUAGES: [&str; 2] = ["en", "zh-CN"];

/// Each message under its dotted key.
fn messages(language: &str) -> BTreeMap<String, String> {
    let text = repository::read(&format!("{FOLDER}/{language}.json"));
    let mut found = BTreeMap::new();
    collect("", &serde_json::from_str(&text).expect("messages are JSON"), &mut found);
    found
}

fn collect(prefix: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with('$')) {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                collect(&key, value, found);
            }
        }
        Value::String(text) => {
            found.insert(prefix.to_owned(), text.clone());
        }
        other => {
            found.insert(prefix.to_owned(), other.to_string());
        }
    }
}

/// What stands in braces.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
}

#[test]
fn languages_have_the_same_keys() {
    if !repository::exists(FOLDER) {
        assert!(!repository::exists("designer/src"), "{FOLDER} is absent, but the designer is not");
        return;
    }
    let [first, second] = LANGUAGES.map(messages);
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let mut problems = Vec::new();
    for key in keys {
        match (first.get(key), second.get(key)) {
            (Some(one), Some(other)) if one.trim().is_empty() || other.trim().is_empty() => {
                problems.push(format!("{key}: is empty"));
            }
            (Some(one), Some(other)) if placeholders(one) != placeholders(other) => {
                problems.push(format!("{key}: other placeholders"));
            }
            (Some(_), Some(_)) => {}
            (None, _) => problems.push(format!("{key}: not in {}", LANGUAGES[0])),
            (_, None) => problems.push(format!("{key}: not in {}", LANGUAGES[1])),
        }
    }
    refuse(&problems, "add the message to every file of designer/messages");
}
