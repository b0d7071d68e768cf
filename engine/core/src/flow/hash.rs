//! The hash of a flow: of its document without the layout, and of the code and flows it is pinned to.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hex sha256. Neither key order nor layout counts.
pub(super) fn hash(document: &Value, pins: &BTreeMap<&str, String>) -> String {
    let mut text = String::new();
    canonical(document, true, &mut text);
    for (name, pin) in pins {
        let _ = write!(text, "\n{name} {pin}");
    }
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Hex sha256 of a document that is pinned to nothing.
pub(crate) fn content_hash(document: &Value) -> String {
    hash(document, &BTreeMap::new())
}

/// JSON text with sorted keys; at the top without `layout`.
fn canonical(value: &Value, top: bool, text: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            text.push('{');
            let kept = sorted.into_iter().filter(|(key, _)| !(top && key.as_str() == "layout"));
            for (index, (key, value)) in kept.enumerate() {
                if index > 0 {
                    text.push(',');
                }
                let _ = write!(text, "{}:", Value::from(key.as_str()));
                canonical(value, false, text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(value, false, text);
            }
            text.push(']');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn meaning_is_hashed_and_layout_is_not() {
        let base =
            json!({ "key": "a", "nodes": { "x": { "type": "start" }, "y": { "type": "end" } }, "edges": [1, 2] });
        let of = |document: &Value| hash(document, &BTreeMap::new());
        for (other, same) in [
            (
                json!({ "edges": [1, 2], "nodes": { "y": { "type": "end" }, "x": { "type": "start" } }, "key": "a" }),
                true,
            ),
            (
                json!({ "key": "a", "nodes": { "x": { "type": "start" }, "y": { "type": "end" } }, "edges": [1, 2], "layout": { "x": { "x": 1, "y": 2 } } }),
                true,
            ),
            (
                json!({ "key": "b", "nodes": { "x": { "type": "start" }, "y": { "type": "end" } }, "edges": [1, 2] }),
                false,
            ),
            (
                json!({ "key": "a", "nodes": { "x": { "type": "start" }, "y": { "type": "end" } }, "edges": [2, 1] }),
                false,
            ),
            // Only the document's own layout: a field of that name further down has a meaning.
            (
                json!({ "key": "a", "nodes": { "x": { "type": "start", "layout": 1 }, "y": { "type": "end" } }, "edges": [1, 2] }),
                false,
            ),
        ] {
            assert_eq!(of(&base) == of(&other), same, "{other}");
        }
        assert_ne!(of(&base), hash(&base, &BTreeMap::from([("a/b@1", "00".to_owned())])));
    }
}
