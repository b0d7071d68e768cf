//! Steps, each with one operation, applied in order to the input.
//!
//! What a step names and the value does not have is passed over: flows see many shapes of the same
//! document. Only a step that cannot be carried out fails.

use crate::pointer;
use serde::Deserialize;
use serde_json::{Map, Value};
use stepwell_sdk::{Error, rejected};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// Keeps what the pointers name, where it stands; drops all else.
    Pick(Vec<String>),
    /// Drops what the pointers name.
    Omit(Vec<String>),
    /// Moves values from one pointer to another.
    Rename(Vec<Rename>),
    /// JSON Merge Patch (RFC 7396): objects merge deeply, null removes, all else replaces.
    Merge(Map<String, Value>),
    /// Fills in what is missing, deeply; what is there stays, null included.
    Defaults(Map<String, Value>),
}

#[derive(Deserialize)]
struct Rename {
    from: String,
    to: String,
}

pub(crate) fn run(config: Config, input: Value) -> Result<Value, Error> {
    config.steps.into_iter().try_fold(input, |value, step| apply(step, value))
}

fn apply(step: Step, mut value: Value) -> Result<Value, Error> {
    match step {
        Step::Pick(pointers) => {
            let mut picked = Value::Object(Map::new());
            for pointer in &pointers {
                if let Some(found) = value.pointer(pointer) {
                    place(&mut picked, pointer, found.clone())?;
                }
            }
            Ok(picked)
        }
        Step::Omit(pointers) => {
            for pointer in &pointers {
                pointer::take(&mut value, pointer);
            }
            Ok(value)
        }
        Step::Rename(renames) => {
            for Rename { from, to } in &renames {
                if let Some(found) = pointer::take(&mut value, from) {
                    place(&mut value, to, found)?;
                }
            }
            Ok(value)
        }
        Step::Merge(patch) => {
            merge(&mut value, Value::Object(patch));
            Ok(value)
        }
        Step::Defaults(defaults) => {
            fill(&mut value, Value::Object(defaults));
            Ok(value)
        }
    }
}

fn place(root: &mut Value, pointer: &str, value: Value) -> Result<(), Error> {
    if pointer::put(root, pointer, value) {
        return Ok(());
    }
    Err(rejected(
        "PATH_BLOCKED",
        format!("nothing can be put at {pointer:?}: something that is no object is in the way"),
    ))
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(&key);
            } else {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

fn fill(target: &mut Value, defaults: Value) {
    let (Value::Object(target), Value::Object(defaults)) = (target, defaults) else { return };
    for (key, default) in defaults {
        match target.get_mut(&key) {
            Some(present) => fill(present, default),
            None => _ = target.insert(key, default),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_sdk::testing::answer;

    #[test]
    fn steps_reshape() {
        for (step, input, expected) in [
            (r#"{"pick":["/a","/b/c","/x"]}"#, r#"{"a":1,"b":{"c":2,"d":3},"e":4}"#, r#"done out {"a":1,"b":{"c":2}}"#),
            (r#"{"pick":["/a~1b"]}"#, r#"{"a/b":1}"#, r#"done out {"a/b":1}"#),
            (r#"{"pick":["/a"]}"#, "7", "done out {}"),
            (r#"{"pick":["/l/1"]}"#, r#"{"l":[1,2]}"#, r#"done out {"l":{"1":2}}"#),
            (
                r#"{"omit":["/a","/b/c","/l/0","/x/y"]}"#,
                r#"{"a":1,"b":{"c":2,"d":3},"l":[1,2]}"#,
                r#"done out {"b":{"d":3},"l":[2]}"#,
            ),
            (
                r#"{"rename":[{"from":"/a","to":"/b/c"},{"from":"/x","to":"/y"}]}"#,
                r#"{"a":1}"#,
                r#"done out {"b":{"c":1}}"#,
            ),
            (r#"{"rename":[{"from":"/a","to":"/b"},{"from":"/b","to":"/a"}]}"#, r#"{"a":1}"#, r#"done out {"a":1}"#),
            (r#"{"rename":[{"from":"/a","to":"/b/c"}]}"#, r#"{"a":1,"b":2}"#, "rejected PATH_BLOCKED"),
            (r#"{"rename":[{"from":"/a","to":"c"}]}"#, r#"{"a":1}"#, "rejected PATH_BLOCKED"),
            (r#"{"rename":[{"from":"/a","to":"/l/0"}]}"#, r#"{"a":1,"l":[0]}"#, r#"done out {"l":[1]}"#),
            (
                r#"{"merge":{"a":null,"b":{"c":null,"d":1},"e":[1]}}"#,
                r#"{"a":1,"b":{"c":2},"e":[2,3]}"#,
                r#"done out {"b":{"d":1},"e":[1]}"#,
            ),
            (r#"{"merge":{"a":{"b":1}}}"#, "7", r#"done out {"a":{"b":1}}"#),
            (
                r#"{"defaults":{"a":1,"b":{"c":2}}}"#,
                r#"{"a":null,"b":{"d":3}}"#,
                r#"done out {"a":null,"b":{"c":2,"d":3}}"#,
            ),
            (r#"{"defaults":{"a":1}}"#, "[1]", "done out [1]"),
            (
                r#"{"pick":["/a","/b"]},{"omit":["/b"]},{"merge":{"c":3}}"#,
                r#"{"a":1,"b":2}"#,
                r#"done out {"a":1,"c":3}"#,
            ),
            (r#"{"explode":[]}"#, "{}", "permanent"),
        ] {
            let shown = answer::<crate::Json>("transform", &format!(r#"{{"steps":[{step}]}}"#), input);
            assert!(shown.starts_with(expected), "{step} {input}: {shown}");
        }
    }
}
