//! What expressions of a scope see, and the calls that tokens stand in.
//!
//! `input` and `vars` are those of the flow a scope belongs to; `nodes` is read in the scope itself,
//! then in those around it, up to the flow's own. A called flow sees nothing of its caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::instance::{Instance, ROOT, Scope as Run, ScopeId, Step, TokenId};
use super::token::Token;
use super::walk::Walk;
use super::{Call, Export, MESSAGE_KEY_BYTES_MAX, Op, fits_message};
use crate::expr::{Expr, Root, Scope, Template, ValueError};
use crate::flow::{Decision, Flow, Kind, Undo, Writes};
use crate::value::Held;

/// The scopes an expression sees into, from within: up to that of the flow they belong to.
fn visible(it: &Instance, scope: ScopeId) -> impl Iterator<Item = (ScopeId, &Run)> {
    let mut last = false;
    it.around(scope).take_while(move |(_, one)| !std::mem::replace(&mut last, one.input.is_some()))
}

/// Which flow's a scope is: its own scope.
pub(super) fn flow_scope(it: &Instance, scope: ScopeId) -> ScopeId {
    visible(it, scope).last().map_or(ROOT, |(id, _)| id)
}

/// The machine that is run as this scope, or around it in the same flow, and how it stands.
pub(super) fn machine_of<'a>(
    flow: &'a Flow,
    it: &'a Instance,
    scope: ScopeId,
) -> Option<(&'a crate::flow::evaluate::Machine, &'a super::Standing)> {
    let own = it.scopes.get(&flow_scope(it, scope))?;
    let standing = own.machine.as_deref()?;
    let body = match &own.within {
        None => 0,
        Some(within) => flow.nodes[within.node].kind.body()?,
    };
    let machine = flow.nodes.iter().filter(|node| node.body == body).find_map(|node| match &node.kind {
        Kind::Evaluate(machine) => Some(&**machine),
        _ => None,
    })?;
    Some((machine, standing))
}

/// Evaluates in a scope.
pub(super) fn in_scope<R>(flow: &Flow, it: &Instance, scope: ScopeId, read: impl FnOnce(&Scope<'_>) -> R) -> R {
    within(flow, it, scope, &[], read)
}

/// What expressions see as `flow`.
fn facts(flow: &Flow, it: &Instance, scope: ScopeId) -> Value {
    let within = it.scopes.get(&flow_scope(it, scope)).and_then(|one| one.within.as_ref());
    let called = within.and_then(|within| flow.nodes[within.node].kind.body()).map(|body| &flow.bodies[body]);
    let (key, version) = called.map_or((&*flow.key, None), |body| (&*body.key, body.version));
    json!({
        "key": key, "version": version.unwrap_or(it.version), "instance": &*it.id, "businessKey": it.business_key,
        "priority": it.priority, "now": it.now_ms,
    })
}

/// Evaluates in a scope; `more` are names beside the usual ones.
fn within<R>(
    flow: &Flow,
    it: &Instance,
    scope: ScopeId,
    more: &[(&str, Root<'_>)],
    read: impl FnOnce(&Scope<'_>) -> R,
) -> R {
    let facts = facts(flow, it, scope);
    let none = Run::default();
    let own = it.scopes.get(&flow_scope(it, scope)).unwrap_or(&none);
    let inner = it.scopes.get(&scope).unwrap_or(&none);
    let merged: BTreeMap<Arc<str>, Held>;
    let nodes = if inner.within.is_none() || inner.input.is_some() {
        &inner.outputs
    } else {
        let scopes: Vec<&Run> = visible(it, scope).map(|(_, one)| one).collect();
        merged = scopes.into_iter().rev().flat_map(|one| one.outputs.clone()).collect();
        &merged
    };
    let item = visible(it, scope).find_map(|(_, one)| one.within.as_ref()?.item.as_ref());
    let index = item.map(|item| Value::from(item.index));
    let machine = own.machine.is_some().then(|| machine_of(flow, it, scope)).flatten();
    let machine = machine.map(|(machine, standing)| super::evaluate::facts(machine, standing));
    let mut roots: Vec<(&str, Root)> = Vec::with_capacity(7 + more.len());
    roots.extend_from_slice(more);
    roots.push(("input", own.input.as_ref().map_or(Root::Value(&Value::Null), Root::Held)));
    roots.push(("vars", Root::Named(&own.vars)));
    roots.push(("nodes", Root::Named(nodes)));
    roots.push(("flow", Root::Value(&facts)));
    if let Some(machine) = &machine {
        roots.push(("machine", Root::Value(machine)));
    }
    if let (Some(item), Some(index)) = (item, &index) {
        roots.push(("item", Root::Held(&item.value)));
        roots.push(("index", Root::Value(index)));
    }
    read(&Scope { roots: &roots })
}

impl Walk<'_> {
    pub(super) fn with_scope<R>(&self, scope: ScopeId, read: impl FnOnce(&Scope<'_>) -> R) -> R {
        within(self.flow, &self.it, scope, &[], read)
    }

    /// Evaluates with names beside the usual ones.
    pub(super) fn with_names<R>(
        &self,
        scope: ScopeId,
        more: &[(&str, Root<'_>)],
        read: impl FnOnce(&Scope<'_>) -> R,
    ) -> R {
        within(self.flow, &self.it, scope, more, read)
    }

    fn set_var(&mut self, scope: ScopeId, name: &Arc<str>, value: Held) {
        let own = flow_scope(&self.it, scope);
        self.scope_mut(own).vars.insert(name.clone(), value);
    }

    /// All or nothing: where one has no value, a retry computes them all from what there was.
    pub(super) fn write(
        &mut self,
        scope: ScopeId,
        writes: &Writes,
        value: impl Fn(&Self, &Template) -> Result<Held, ValueError>,
    ) -> Result<(), ValueError> {
        let mut vars = Vec::with_capacity(writes.vars.len());
        for (name, template) in &writes.vars {
            vars.push((name, value(self, template)?));
        }
        if let Some(priority) = &writes.priority {
            let priority = value(self, priority)?;
            self.set_priority(&priority.value)?;
        }
        for (name, value) in vars {
            self.set_var(scope, name, value);
        }
        Ok(())
    }

    /// Smaller is more urgent.
    fn set_priority(&mut self, value: &Value) -> Result<(), ValueError> {
        let priority = value.as_i64().and_then(|number| i32::try_from(number).ok());
        let refused = || ValueError { message: format!("{value} is no priority: a whole number of 32 bits") };
        self.it.priority = priority.ok_or_else(refused)?;
        Ok(())
    }

    pub(super) fn decide(&self, scope: ScopeId, decision: &Decision) -> Result<Value, ValueError> {
        match &decision.with {
            None => self.with_scope(scope, |scope| decision.table.evaluate(scope)).map(|answer| answer.output),
            Some(with) => {
                let with = self.template(scope, with)?;
                let roots: Vec<(&str, Root)> = match &with {
                    Value::Object(map) => map.iter().map(|(name, value)| (name.as_str(), Root::Value(value))).collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
                };
                decision.table.evaluate(&Scope { roots: &roots }).map(|answer| answer.output)
            }
        }
    }

    pub(super) fn key_text(&self, scope: ScopeId, key: &Expr) -> Result<String, ValueError> {
        match self.with_scope(scope, |scope| key.eval(scope))? {
            Value::String(text) if fits_message(&text, MESSAGE_KEY_BYTES_MAX) => Ok(text),
            Value::String(text) => Err(ValueError {
                message: format!("a message key has 1 to {MESSAGE_KEY_BYTES_MAX} bytes, not {}", text.len()),
            }),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(ValueError { message: format!("a message key must be text or a number, not {other}") }),
        }
    }
}

/// The call a token stands in. The same token gives the same call, also after a crash.
pub(super) fn call(flow: &Flow, it: &Instance, id: TokenId, token: &Token) -> Option<Call> {
    let node = &flow.nodes[token.node];
    let state = token.at.visit()?;
    let mut callee = match &node.kind {
        Kind::Task(task) => Some(&task.call),
        _ => None,
    };
    let mut call_input = state.input.value.clone();
    let mut export = state.op.export();
    if let (Some(step), Undo::By { call: by, with }) = (&state.undoing, node.kind.undo()) {
        callee = Some(by);
        if state.op == Op::Undo {
            export = Export::Run;
        }
        call_input = Arc::new(undo_input(with, flow, it, token.scope, step));
    }
    if state.op == Op::Listen {
        callee = super::listen::heard(flow, token.node, state)?.call.as_ref().map(|one| &one.call);
    }
    let mut callee = callee?.clone();
    if let (Some(until_ms), Op::Run | Op::Resume, None) = (state.until_ms, state.op, &state.undoing) {
        callee.timeout_ms = callee.timeout_ms.min(until_ms.saturating_sub(it.now_ms)).max(1);
    }
    let path = it.scopes.get(&token.scope).map_or("", |scope| &*scope.path);
    Some(Call {
        token: id,
        node: if path.is_empty() { node.id.clone() } else { format!("{path}{}", node.id).into() },
        visit: token.visit,
        attempt: state.attempt,
        op: state.op,
        export,
        callee,
        key: state.key.clone(),
        forward_key: state.undoing.as_ref().map(|step| step.key.clone()),
        input: call_input,
        output: state.undoing.as_ref().and_then(|step| step.output.as_ref()).map(|output| output.value.clone()),
        memo: state.memo.as_ref().map(|memo| memo.value.clone()),
        signal: state.signal.clone(),
        priority: it.priority,
        visit_started_ms: token.since_ms,
    })
}

/// The mapped input of an undo by another node type: it sees the step as `step.input` and `step.output`.
fn undo_input(with: &Template, flow: &Flow, it: &Instance, scope: ScopeId, done: &Step) -> Value {
    let mut step = Map::new();
    step.insert("input".to_owned(), (*done.input.value).clone());
    step.insert("output".to_owned(), done.output.as_ref().map_or(Value::Null, |output| (*output.value).clone()));
    let step = Value::Object(step);
    // What has no value is null: an undo must tolerate a forward call that left nothing behind.
    within(flow, it, scope, &[("step", Root::Value(&step))], |scope| with.eval(scope)).unwrap_or(Value::Null)
}

/// Milliseconds since the Unix epoch, or an RFC 3339 time.
pub(super) fn time_ms(value: &Value) -> Result<u64, ValueError> {
    let refused = || ValueError { message: format!("{value} is no time: RFC 3339 or milliseconds since 1970") };
    match value {
        Value::Number(number) => number.as_u64().ok_or_else(refused),
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| u64::try_from(time.timestamp_millis()).ok())
            .ok_or_else(refused),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(refused()),
    }
}
