//! Where what came of a call is not what was expected, line by line.
//!
//! An expectation names only what it is about: what it leaves out of a failure or a wait may be anything. Outputs, memos
//! and data are the author's own values and are compared whole.

use serde_json::Value;

/// Compared whole.
const WHOLE: [&str; 3] = ["output", "memo", "data"];
/// Enough to see what is wrong.
const LINES_MAX: usize = 20;
const VALUE_CHARS: usize = 200;

/// One line per difference; empty where there is none.
pub(super) fn between(expected: &Value, got: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", expected, got, false, &mut lines);
    let more = lines.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.truncate(LINES_MAX);
        lines.push(format!("… and {more} more"));
    }
    lines
}

fn walk(at: &str, expected: &Value, got: &Value, whole: bool, lines: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (name, expected) in expected {
                let at = format!("{at}/{name}");
                match got.get(name) {
                    Some(got) => walk(&at, expected, got, whole || WHOLE.contains(&name.as_str()), lines),
                    None => lines.push(format!("{at}: - {}", short(expected))),
                }
            }
            // At the top, what came instead is what the author wants to know.
            for (name, got) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                if whole || (at.is_empty() && !lines.is_empty()) {
                    lines.push(format!("{at}/{name}: + {}", short(got)));
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                walk(&format!("{at}/{index}"), expected, got, whole, lines);
            }
            let both = expected.len().min(got.len());
            lines.extend(
                expected[both..].iter().zip(both..).map(|(one, index)| format!("{at}/{index}: - {}", short(one))),
            );
            lines.extend(got[both..].iter().zip(both..).map(|(one, index)| format!("{at}/{index}: + {}", short(one))));
        }
        _ if same(expected, got) => {}
        _ => lines.push(format!("{at}: - {}  + {}", short(expected), short(got))),
    }
}

/// 1 and 1.0 are the same number.
fn same(expected: &Value, got: &Value) -> bool {
    expected == got || (expected.is_number() && got.is_number() && expected.as_f64() == got.as_f64())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS { text } else { text.chars().take(VALUE_CHARS).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::between;
    use serde_json::json;

    #[test]
    fn differences_name_their_place() {
        for (expected, got, lines) in [
            (json!({ "port": "out" }), json!({ "port": "out", "output": 1 }), ""),
            (json!({ "output": { "a": 1 } }), json!({ "port": "out", "output": { "a": 1.0 } }), ""),
            (
                json!({ "output": { "a": 1, "c": [1, 2] } }),
                json!({ "port": "out", "output": { "a": 2, "b": 3, "c": [1] } }),
                r#"/output/a: - 1  + 2|/output/c/1: - 2|/output/b: + 3|/port: + "out""#,
            ),
            (
                json!({ "rejected": { "code": "A" } }),
                json!({ "rejected": { "code": "B", "message": "no" } }),
                r#"/rejected/code: - "A"  + "B""#,
            ),
            (
                json!({ "rejected": { "code": "A" } }),
                json!({ "permanent": { "message": "no" } }),
                r#"/rejected: - {"code":"A"}|/permanent: + {"message":"no"}"#,
            ),
        ] {
            assert_eq!(between(&expected, &got).join("|"), lines, "{expected} {got}");
        }
    }
}
