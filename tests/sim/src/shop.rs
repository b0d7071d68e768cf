//! The outside: a shop that keeps its side of the contract. It decides once per key, undoes by the forward call's
//! key, and refuses a forward call that comes after its undo.
//!
//! Not here: how requests and answers travel, and are lost (`nodes`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::catalog::Catalog;
use stepwell_core::machine::{Failure, Outcome, Rejection};

/// What the shop is inclined to do, if it has not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Do,
    /// Does it, but cannot say so.
    DoBadly,
    Refuse,
    /// Not now; nothing is decided.
    Later,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Decision {
    #[default]
    Open,
    Done,
    Refused,
    Never,
}

/// What became of one forward key.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    pub decision: Decision,
    pub effects: u32,
    pub undone: bool,
    pub undo_keys: BTreeSet<String>,
    /// Requests sent before this time are too old: the shop said that there had been none.
    not_before_ms: u64,
}

impl Deed {
    /// The effect is there, and nobody took it back.
    pub fn stands(&self) -> bool {
        self.decision == Decision::Done && !self.undone
    }
}

#[derive(Default)]
pub struct Shop {
    pub deeds: BTreeMap<String, Deed>,
    /// By `uses`: the port an answer leaves by, and an output that fits it.
    answers: BTreeMap<String, (Arc<str>, Arc<Value>)>,
}

impl Shop {
    pub fn new(catalog: &Catalog) -> Self {
        let answers = catalog.node_types.values().map(|one| {
            let (port, output) =
                one.ports.first().map_or(("done", Value::Null), |port| (&*port.name, sample(&port.output)));
            (one.uses.clone(), (Arc::from(port), Arc::new(output)))
        });
        Self { deeds: BTreeMap::new(), answers: answers.collect() }
    }

    pub fn done(&self, uses: &str) -> Outcome {
        let (port, output) = self.answers.get(uses).cloned().unwrap_or_else(|| ("done".into(), Arc::new(Value::Null)));
        Outcome::Done { port, output }
    }

    /// A request under a forward key.
    pub fn forward(&mut self, key: &str, uses: &str, sent_ms: u64, wish: Wish) -> Outcome {
        let deed = self.deeds.entry(key.to_owned()).or_default();
        if sent_ms < deed.not_before_ms {
            return refused("TOO_OLD");
        }
        if deed.undone && deed.decision != Decision::Done {
            return refused("UNDONE");
        }
        if deed.decision == Decision::Open {
            match wish {
                Wish::Do | Wish::DoBadly => {
                    deed.decision = Decision::Done;
                    deed.effects += 1;
                }
                Wish::Refuse => deed.decision = Decision::Refused,
                Wish::Never => deed.decision = Decision::Never,
                Wish::Later => {}
            }
        }
        if wish == Wish::DoBadly || deed.decision == Decision::Open {
            return Outcome::Failed(Failure::Transient { message: "try again".to_owned(), retry_after_ms: None });
        }
        match deed.decision {
            Decision::Refused => refused("NO"),
            Decision::Never => Outcome::Failed(Failure::Permanent { message: "never".to_owned(), code: None }),
            Decision::Open | Decision::Done => self.done(uses),
        }
    }

    pub fn undo(&mut self, forward_key: &str, undo_key: &str, uses: &str, well: bool) -> Outcome {
        let deed = self.deeds.entry(forward_key.to_owned()).or_default();
        deed.undo_keys.insert(undo_key.to_owned());
        deed.undone = true;
        if well {
            self.done(uses)
        } else {
            Outcome::Failed(Failure::Transient { message: "undone, but who knows".to_owned(), retry_after_ms: None })
        }
    }

    /// Was there such a request? If not, there will be none that was sent before.
    pub fn query(&mut self, key: &str, uses: &str, now_ms: u64) -> Outcome {
        let deed = self.deeds.entry(key.to_owned()).or_default();
        if deed.decision == Decision::Done {
            return self.done(uses);
        }
        deed.not_before_ms = now_ms;
        Outcome::NeverRan
    }
}

fn refused(code: &str) -> Outcome {
    let message = format!("refused: {code}");
    Outcome::Failed(Failure::Rejected(Rejection { code: code.to_owned(), message, data: None }))
}

/// A value that fits the kind of schema that node types have.
pub fn sample(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0).or_else(|| schema["examples"].get(0)).or_else(|| schema.get("const")) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let empty = serde_json::Map::new();
            let fields = schema["properties"].as_object().unwrap_or(&empty);
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), sample(field))).collect())
        }
        Some("array") => json!([sample(&schema["items"])]),
        Some("integer" | "number") => json!(schema["minimum"].as_u64().map_or(1, |least| least.max(1))),
        Some("boolean") => json!(true),
        Some("string") => json!("sample"),
        _ => json!({ "ok": true }),
    }
}
