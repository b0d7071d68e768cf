//! Reads a document piece by piece, so that one mistake hides no other.
//!
//! Serde stops at the first error of a piece. The reader notes it, takes the field at fault out
//! and reads the piece again; a piece that cannot be read at all is left out.
//!
//! Not here: what the pieces mean (`check`).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::NodeDocument;
use super::pointer::{child, nearest};
use crate::problem::Problem;

/// Reads of one piece, each taking one field out.
const TRIES_MAX: usize = 64;

const KINDS: [&str; 21] = [
    "start",
    "end",
    "task",
    "decision",
    "exclusive",
    "inclusive",
    "parallel",
    "event-gateway",
    "set",
    "timer",
    "receive",
    "reply",
    "throw",
    "compensate",
    "cancel",
    "user-task",
    "external-task",
    "call",
    "for-each",
    "stage",
    "slot",
];

/// The document's own fields, read one by one.
pub(crate) struct Reader<'d> {
    pub(crate) problems: Vec<Problem>,
    source: &'d Map<String, Value>,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(source: &'d Map<String, Value>) -> Self {
        Self { problems: Vec::new(), source }
    }

    pub(crate) fn raw(&self, field: &str) -> Option<&'d Value> {
        self.source.get(field)
    }

    /// A field of the document; absent and unreadable are both `None`.
    pub(crate) fn field<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        let value = self.source.get(field)?;
        self.piece(value, &child("", field))
    }

    pub(super) fn required(&mut self, field: &str, fix: &str) {
        if !self.source.contains_key(field) {
            let message = format!("the flow has no `{field}`");
            self.problems.push(Problem::error("MISSING_FIELD", "", message).fix(fix));
        }
    }

    pub(crate) fn unknown_fields(&mut self, known: &[&str]) {
        for field in self.source.keys().filter(|field| !known.contains(&field.as_str())) {
            self.problems.push(unknown_field(field, known, &child("", field)));
        }
    }

    /// One piece that stands or falls for itself.
    pub(crate) fn piece<T: DeserializeOwned>(&mut self, value: &Value, pointer: &str) -> Option<T> {
        read(value, pointer, &mut self.problems)
    }

    pub(super) fn node(&mut self, id: &str, value: &Value) -> Option<NodeDocument> {
        let pointer = child("/nodes", id);
        let before = self.problems.len();
        let node = self.node_piece(value, &pointer);
        for problem in &mut self.problems[before..] {
            problem.node = Some(id.to_owned());
        }
        node
    }

    fn node_piece(&mut self, value: &Value, pointer: &str) -> Option<NodeDocument> {
        let Some(source) = value.as_object() else {
            self.problems.push(Problem::error("WRONG_TYPE", pointer, "a node is an object"));
            return None;
        };
        let mut fields = source.clone();
        let kind = match fields.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => {
                self.problems.push(Problem::error("WRONG_TYPE", child(pointer, "type"), "`type` is a text"));
                return None;
            }
            None => {
                let problem = Problem::error("MISSING_FIELD", pointer, "the node has no `type`");
                self.problems.push(problem.fix(format!("use one of {}", KINDS.join(", "))));
                return None;
            }
        };
        let rest = Value::Object(fields);
        Some(match kind.as_str() {
            "start" => NodeDocument::Start(self.piece(&rest, pointer)?),
            "end" => NodeDocument::End(self.piece(&rest, pointer)?),
            "task" => NodeDocument::Task(Box::new(self.piece(&rest, pointer)?)),
            "decision" => NodeDocument::Decision(self.piece(&rest, pointer)?),
            "exclusive" => NodeDocument::Exclusive(self.piece(&rest, pointer)?),
            "inclusive" => NodeDocument::Inclusive(self.piece(&rest, pointer)?),
            "event-gateway" => NodeDocument::EventGateway(self.piece(&rest, pointer)?),
            "throw" => NodeDocument::Throw(self.piece(&rest, pointer)?),
            "parallel" => NodeDocument::Parallel(self.piece(&rest, pointer)?),
            "set" => NodeDocument::Set(self.piece(&rest, pointer)?),
            "timer" => NodeDocument::Timer(self.piece(&rest, pointer)?),
            "receive" => NodeDocument::Receive(self.piece(&rest, pointer)?),
            "reply" => NodeDocument::Reply(self.piece(&rest, pointer)?),
            "compensate" => NodeDocument::Compensate(self.piece(&rest, pointer)?),
            "cancel" => NodeDocument::Cancel(self.piece(&rest, pointer)?),
            "user-task" => NodeDocument::UserTask(Box::new(self.piece(&rest, pointer)?)),
            "external-task" => NodeDocument::ExternalTask(Box::new(self.piece(&rest, pointer)?)),
            "call" => NodeDocument::Call(Box::new(self.piece(&rest, pointer)?)),
            "for-each" => NodeDocument::ForEach(Box::new(self.piece(&rest, pointer)?)),
            "stage" => NodeDocument::Stage(Box::new(self.piece(&rest, pointer)?)),
            // Read where it is filled.
            "slot" => NodeDocument::Slot(Box::default()),
            other => {
                let message = format!("there is no node type `{other}`");
                let fix = match nearest(other, KINDS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use one of {}", KINDS.join(", ")),
                };
                self.problems.push(Problem::error("UNKNOWN_CONSTRUCT", child(pointer, "type"), message).fix(fix));
                return None;
            }
        })
    }

    /// The readable entries of a list, with their places in it.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, field: &str) -> Vec<(usize, T)> {
        let pointer = child("", field);
        match self.source.get(field) {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let mut read = Vec::with_capacity(list.len());
                for (index, value) in list.iter().enumerate() {
                    read.extend(self.piece(value, &format!("{pointer}/{index}")).map(|entry| (index, entry)));
                }
                read
            }
            Some(_) => {
                self.problems.push(Problem::error("WRONG_TYPE", pointer, format!("`{field}` is a list")));
                Vec::new()
            }
        }
    }
}

fn read<T: DeserializeOwned>(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let first = match serde_path_to_error::deserialize(value) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let mut value = value.clone();
    let mut error = first;
    for _ in 0..TRIES_MAX {
        let path = path_of(error.path());
        let message = error.inner().to_string();
        let at = path.iter().fold(pointer.to_owned(), |at, step| child(&at, step));
        let (problem, field) = explain(&message, &at);
        problems.push(problem);
        let path = match field {
            // Serde names an unknown field's path in two ways, with and without the field itself.
            Some(field) if path.last() != Some(&field) => path.into_iter().chain([field]).collect(),
            _ => path,
        };
        if !remove(&mut value, &path) {
            return None;
        }
        match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Some(read),
            Err(next) => {
                // A field that had to go is also a field that is missing: say it once.
                let missing = next.inner().to_string();
                if path.last().is_some_and(|gone| missing.starts_with(&format!("missing field `{gone}`"))) {
                    return None;
                }
                error = next;
            }
        }
    }
    None
}

fn path_of(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// Takes what `path` leads to out of `value`; false when there is nothing.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let [steps @ .., last] = path else { return false };
    let mut at = value;
    for step in steps {
        let next = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    match at {
        Value::Object(map) => map.remove(last).is_some(),
        // Taking an entry out would move the others: the list goes on its own.
        _ => false,
    }
}

/// Serde's message as a problem, and the unknown field's name if it is about one.
fn explain(message: &str, pointer: &str) -> (Problem, Option<String>) {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let [field, known @ ..] = names.as_slice() else {
            return (Problem::error("UNKNOWN_FIELD", pointer, message), None);
        };
        let at = if pointer.ends_with(&child("", field)) { pointer.to_owned() } else { child(pointer, field) };
        return (unknown_field(field, known, &at), Some((*field).to_owned()));
    }
    if message.starts_with("missing field") {
        let field = names.first().copied().unwrap_or_default();
        let problem = Problem::error("MISSING_FIELD", pointer, format!("`{field}` is missing"));
        return (problem.fix(format!("add `{field}`")), None);
    }
    if message.starts_with("unknown variant") {
        let [value, known @ ..] = names.as_slice() else {
            return (Problem::error("UNKNOWN_VALUE", pointer, message), None);
        };
        let fix = match nearest(value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", known.join(", ")),
        };
        return (
            Problem::error("UNKNOWN_VALUE", pointer, format!("`{value}` is not one of the values here")).fix(fix),
            None,
        );
    }
    (Problem::error("WRONG_TYPE", pointer, plain_type_error(message)), None)
}

/// Serde's `invalid type: …, expected …` in the words of the document.
fn plain_type_error(message: &str) -> String {
    let Some((found, wanted)) = message.rsplit_once(", expected ") else {
        return "this value has the wrong shape".to_owned();
    };
    let wanted = match wanted {
        "a string" | "string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "f64" => "a number",
        number if number.starts_with(['u', 'i']) && number.len() <= 4 => "a whole number",
        record if record.starts_with("struct") || record.contains("enum") => "an object",
        other => other,
    };
    let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let found = found.replace("floating point", "number").replace("integer", "number").replace("string", "text");
    format!("{found} stands where {wanted} is taken")
}

pub(super) fn unknown_field(field: &str, known: &[&str], pointer: &str) -> Problem {
    let problem = Problem::error("UNKNOWN_FIELD", pointer, format!("there is no field `{field}` here"));
    match nearest(field, known.iter().copied()) {
        Some(near) => problem.fix(format!("did you mean `{near}`?")),
        None => problem.fix("remove it"),
    }
}
