//! Listeners of nodes and of the flow.
//!
//! Those of the flow are drawn on its start, which every run of it passes.

use serde_json::{Map, Value};

use super::compile::CALL_TIMEOUT_MS;
use super::{Checker, Sees};
use crate::flow::document::{HeardDocument, ListenerDocument, ListenerFailureDocument};
use crate::flow::pointer::child;
use crate::flow::{Heard, Kind, Listener, ListenerCall, ListenerFailure, NodeIx, Writes};
use crate::problem::Problem;

/// Most listeners of one node.
const LISTENERS_MAX: usize = 16;

impl Checker<'_> {
    pub(super) fn listeners(&mut self, node: NodeIx, all: &[ListenerDocument], pointer: &str) -> Vec<Listener> {
        if all.len() > LISTENERS_MAX {
            let message = format!("{} listeners; at most {LISTENERS_MAX} are possible", all.len());
            self.on(node, Problem::error("LISTENER_FORM", pointer, message).fix("put what they do into one"));
        }
        let listeners = all.iter().take(LISTENERS_MAX).enumerate();
        let mut compiled: Vec<Listener> = listeners
            .filter_map(|(place, one)| self.listener(node, one, place, &format!("{pointer}/{place}")))
            .collect();
        // An end is over once what led to it is.
        compiled.sort_by_key(|one| one.on == Heard::End);
        compiled
    }

    /// Those of the document itself.
    pub(super) fn flow_listeners(&mut self) -> Vec<Listener> {
        let all: Vec<ListenerDocument> =
            self.reader.list::<ListenerDocument>("listeners").into_iter().map(|(_, one)| one).collect();
        let start = self.nodes.iter().position(|entry| matches!(entry.kind, Some(Kind::Start)));
        start.map_or_else(Vec::new, |start| self.listeners(start, &all, "/listeners"))
    }

    fn listener(&mut self, node: NodeIx, one: &ListenerDocument, place: usize, pointer: &str) -> Option<Listener> {
        let on = match one.on {
            HeardDocument::Enter => Heard::Enter,
            HeardDocument::Leave => Heard::Leave,
            HeardDocument::Error => Heard::Error,
            HeardDocument::End => Heard::End,
        };
        if one.uses.is_none() {
            let needless = [
                ("with", one.with.is_some()),
                ("config", one.config.is_some()),
                ("timeout", one.timeout.is_some()),
                ("retry", one.retry.is_some()),
            ];
            for (field, _) in needless.into_iter().filter(|(_, given)| *given) {
                let message = format!("`{field}` is for a listener that calls something");
                let problem = Problem::error("LISTENER_FORM", child(pointer, field), message);
                self.on(node, problem.fix("add `uses`, or remove it"));
            }
            if one.set.is_empty() && one.priority.is_none() {
                let problem = Problem::error("LISTENER_FORM", pointer, "this listener does nothing");
                self.on(node, problem.fix("add `uses`, `set` or `priority`"));
            }
        }
        let on_failure = match one.on_failure {
            None | Some(ListenerFailureDocument::Incident) => ListenerFailure::Incident,
            Some(ListenerFailureDocument::Ignore) => ListenerFailure::Ignore,
            Some(ListenerFailureDocument::Fail) => ListenerFailure::Fail,
        };
        if on_failure == ListenerFailure::Fail && !matches!(on, Heard::Enter | Heard::Leave) {
            let message = "what it listens to has failed already, or is over";
            let problem = Problem::error("LISTENER_FORM", child(pointer, "onFailure"), message);
            self.on(node, problem.fix("use `ignore` or `incident`"));
        }
        let sees = if one.uses.is_some() { Sees::Heard } else { Sees::Event };
        let vars = self.vars(node, &one.set, &child(pointer, "set"), &sees);
        let priority = self.new_priority(node, one.priority.as_ref(), &child(pointer, "priority"), &sees);
        let writes = Writes { vars, priority };
        let call = match &one.uses {
            None => None,
            Some(uses) => Some(self.listener_call(node, one, uses, pointer)?),
        };
        Some(Listener { place, on, call, writes, on_failure })
    }

    fn listener_call(
        &mut self,
        node: NodeIx,
        one: &ListenerDocument,
        uses: &str,
        pointer: &str,
    ) -> Option<ListenerCall> {
        let source = one.with.clone().unwrap_or_else(|| Value::Object(Map::new()));
        let with_pointer = child(pointer, "with");
        let with = self.template(node, &source, &with_pointer, &Sees::Event);
        let retry = self.retry(node, &one.retry.clone().unwrap_or_default(), &child(pointer, "retry"));
        let call = self.callee(node, uses, one.config.clone(), one.timeout.as_deref(), CALL_TIMEOUT_MS, pointer)?;
        let node_type = self.catalog.get(uses);
        if let Some(node_type) = node_type {
            self.check_input(node, &with, node_type, &with_pointer);
            if node_type.resume {
                let message = format!("`{uses}` may wait for a message, and nobody waits for a listener");
                let problem = Problem::warning("LISTENER_WAITS", child(pointer, "uses"), message);
                self.on(node, problem.fix("use a node type that answers at once"));
            }
        }
        let contract = self.contract(node_type);
        Some(ListenerCall { call, contract, with, retry })
    }

    /// Of the waits after an event gateway the first that is over wins: all begin at once.
    pub(super) fn check_listeners(&mut self) {
        let gateway = |node: NodeIx| matches!(self.nodes[node].kind, Some(Kind::EventGateway));
        let raced: Vec<NodeIx> = self.edges.iter().filter(|line| gateway(line.from)).map(|line| line.to).collect();
        for node in raced {
            let calls = |one: &Listener| one.on == Heard::Enter && one.call.is_some();
            if let Some(place) = self.nodes[node].listeners.iter().find(|one| calls(one)).map(|one| one.place) {
                let pointer = format!("{}/listeners/{place}", self.nodes[node].pointer);
                let message = "a wait after an event gateway begins at once, and cannot wait for a listener";
                let problem = Problem::error("LISTENER_FORM", pointer, message);
                self.on(node, problem.fix("listen to `leave`, or before the gateway"));
            }
        }
    }
}
