//! A machine as it is run: what its one deciding node knows of states and actions.
//!
//! A machine's document becomes a flow like any other: a start, the node that decides (`Kind::Evaluate`), a node for
//! what each action does, with an edge there and back, and an end. So all that holds for nodes holds for actions.
//!
//! Invariants:
//! - Actions stand in the order they are looked at: by priority, then by their place in the document, those that were
//!   plugged in later after the others.
//! - An action that was plugged in or taken out says from which revision to which it counts; so one [`Machine`],
//!   compiled at the newest revision, is right for every earlier one.
//!
//! Not here: what is wrong with a machine (`check::machine`), how one is evaluated (`crate::machine`).

use std::sync::Arc;

use serde_json::Value;

use super::{EdgeIx, NodeIx};
use crate::expr::{Expr, Template};

#[derive(Debug)]
pub struct Machine {
    /// The state an instance begins in.
    pub initial: Template,
    /// In document order.
    pub states: Vec<MachineState>,
    pub actions: Vec<Action>,
    /// An instance keeps the actions of its first evaluation.
    pub frozen: bool,
    /// The newest revision of the actions that is compiled in; 0 is the document's own.
    pub revision: u32,
    /// Leads to the end.
    pub over: EdgeIx,
}

#[derive(Debug)]
pub struct MachineState {
    pub code: Arc<str>,
    pub terminal: bool,
    pub order: Option<i32>,
    pub priority: Option<i32>,
}

#[derive(Debug)]
pub struct Action {
    pub name: Arc<str>,
    /// What it does.
    pub node: NodeIx,
    /// Leads there.
    pub edge: EdgeIx,
    pub states: Vec<Arc<str>>,
    pub priority: i32,
    pub guard: Option<Expr>,
    pub by: By,
    /// The first that fits is taken.
    pub next: Vec<Next>,
    pub exit: bool,
    /// The revision that plugged it in.
    pub from: u32,
    /// The revision that took it out.
    pub until: Option<u32>,
}

/// What makes an action be looked at.
#[derive(Debug)]
pub enum By {
    /// Each evaluation in one of its states.
    Itself,
    /// Somebody asks for it by name.
    Asked,
    /// So long after its state was entered.
    After {
        ms: u64,
    },
    Message {
        message: Arc<str>,
        key: Expr,
    },
}

#[derive(Debug)]
pub struct Next {
    pub port: Option<Arc<str>>,
    pub when: Option<Expr>,
    pub to: Option<Arc<str>>,
    pub exit: bool,
}

/// A change to a version's actions after it was published.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugged {
    /// 1, 2, 3 … within the version.
    pub revision: u32,
    /// The action's name.
    pub action: String,
    /// What was plugged in; `None`: the action was taken out.
    pub document: Option<Arc<Value>>,
    /// What it is pinned to (a `Catalog`), as far as the version itself is not.
    pub catalog: Arc<Value>,
}

impl Machine {
    pub fn state(&self, code: &str) -> Option<&MachineState> {
        self.states.iter().find(|state| *state.code == *code)
    }

    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| *action.name == *name)
    }
}

impl Action {
    /// Whether it counts at a revision.
    pub fn counts(&self, revision: u32) -> bool {
        self.from <= revision && self.until.is_none_or(|until| revision < until)
    }
}

/// The document as it would be written with the actions that were plugged in, without those that were taken out.
pub fn settled(document: &Value, plugged: &[Plugged]) -> Value {
    let mut settled = document.clone();
    let Some(Value::Array(actions)) = settled.get_mut("actions") else { return settled };
    for change in plugged {
        match &change.document {
            Some(action) => actions.push((**action).clone()),
            None => actions.retain(|action| action.get("name").and_then(Value::as_str) != Some(&change.action)),
        }
    }
    settled
}
