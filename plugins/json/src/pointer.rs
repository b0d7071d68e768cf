//! JSON pointers (RFC 6901) that can take out and put in.

use serde_json::{Map, Value};

/// The segments of a pointer, unescaped; none if it does not begin with `/`.
fn segments(pointer: &str) -> Option<impl Iterator<Item = String>> {
    Some(pointer.strip_prefix('/')?.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")))
}

/// Takes the value at `pointer` out, leaving no trace; a list closes up. None if there is none.
pub(crate) fn take(root: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, end) = pointer.rsplit_once('/')?;
    let end = end.replace("~1", "/").replace("~0", "~");
    match root.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&end),
        Value::Array(list) => {
            let index = end.parse().ok().filter(|index| *index < list.len())?;
            Some(list.remove(index))
        }
        _ => None,
    }
}

/// Puts a value at `pointer`, making objects on the way. False if something else is in the way, or
/// the pointer is none.
pub(crate) fn put(root: &mut Value, pointer: &str, value: Value) -> bool {
    let Some(path) = segments(pointer) else { return false };
    let mut at = root;
    for step in path {
        at = match at {
            Value::Object(map) => map.entry(step).or_insert(Value::Null),
            Value::Null => {
                *at = Value::Object(Map::new());
                match at {
                    Value::Object(map) => map.entry(step).or_insert(Value::Null),
                    _ => return false,
                }
            }
            Value::Array(items) => match step.parse::<usize>() {
                Ok(index) if index < items.len() => &mut items[index],
                Ok(_) | Err(_) => return false,
            },
            _ => return false,
        };
    }
    *at = value;
    true
}
