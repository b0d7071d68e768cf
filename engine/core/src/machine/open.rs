//! Work that somebody outside does: people's tasks, and tasks that workers fetch.
//!
//! The token stands in [`At::Open`] until a `complete` or `fail` command names it and its attempt.
//! What comes of it then follows the failure table, as if a node had been called.
//!
//! Not here: who may see, claim or fetch a task, and locks on it (`store`, `server`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::instance::{Instance, ScopeId};
use super::token::At;
use super::walk::{Here, Walk};
use super::{Command, Outcome};
use crate::expr::{Template, ValueError};
use crate::flow::{DONE, ExternalTask, Flow, Kind, UserTask};
use crate::value::Held;

impl Walk<'_> {
    /// A task for a person.
    pub(super) fn offer(&mut self, here: Here, task: &UserTask) -> Result<(), ValueError> {
        let due_at = task.due.as_ref().map(|due| self.time(here.scope, due)).transpose()?;
        let input = json!({
            "assignee": self.optional(here.scope, task.assignee.as_ref())?,
            "users": listed(self.optional(here.scope, task.users.as_ref())?),
            "groups": listed(self.optional(here.scope, task.groups.as_ref())?),
            "dueAt": due_at,
            "data": self.template(here.scope, &task.with)?,
        });
        let visit = self.new_visit(here, Held::computed(input));
        let due_ms = task.timeout_ms.map(|timeout| self.it.now_ms.saturating_add(timeout));
        let id = self.place(here, At::Open { visit, due_ms });
        self.guard(id, here)
    }

    fn optional(&self, scope: ScopeId, template: Option<&Template>) -> Result<Value, ValueError> {
        template.map_or(Ok(Value::Null), |template| self.template(scope, template))
    }

    /// A task for whichever worker fetches it.
    pub(super) fn put_out(&mut self, here: Here, task: &ExternalTask) -> Result<(), ValueError> {
        let input = self.held(here.scope, &task.with)?;
        let mut visit = self.new_visit(here, input);
        // Nobody here knows whether a worker has begun.
        visit.maybe_done = true;
        let id = self.next_token();
        self.call(id, here, self.it.now_ms, visit);
        self.guard(id, here)
    }
}

/// What an answer from outside comes to, as a node's would.
pub(super) fn outcome(command: &Command) -> Option<Outcome> {
    match command {
        Command::Complete { output, .. } => Some(Outcome::Done { port: DONE.into(), output: output.clone() }),
        Command::Fail { failure, .. } => Some(Outcome::Failed(failure.clone())),
        _ => None,
    }
}

/// Whether the task still waits for this answer, and the answer is one it takes.
pub(super) fn takes(
    flow: &Flow,
    it: &Instance,
    token: super::TokenId,
    attempt: u32,
    output: Option<&Arc<Value>>,
) -> bool {
    let Some(token) = it.tokens.get(&token) else { return false };
    let At::Open { visit, .. } = &token.at else { return false };
    let schema = match &flow.nodes[token.node].kind {
        Kind::UserTask(task) => task.form.as_ref(),
        Kind::ExternalTask(task) => task.output.as_ref(),
        _ => None,
    };
    visit.attempt == attempt && output.zip(schema).is_none_or(|(output, schema)| schema.is_valid(output))
}

fn listed(value: Value) -> Value {
    match value {
        Value::Null => json!([]),
        Value::Array(list) => Value::Array(list),
        one => json!([one]),
    }
}
