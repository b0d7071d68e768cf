//! Takes an instance to another version of its flow.
//!
//! An instance stands on nodes and edges by place; a migration finds each of them again in the other
//! version, by id. What it did, its keys and its values stay.
//!
//! Not here: which versions there are (`server`); when it happens (`runtime`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance::{Instance, Scope, ScopeId};
use super::snapshot::{EdgeName, Index, each_index};
use super::token::{At, Token, Wait};
use crate::flow::{BodyIx, Catch, EdgeIx, Flow, Kind, NodeIx, Undo};

/// Why an instance cannot go on with the other version: everything that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Where it stands, or what it did: a node of the version it runs.
    pub node: Arc<str>,
    pub code: &'static str,
    pub message: String,
}

/// The instance as it would stand in `to`. `nodes` gives new ids where they differ from the old.
///
/// # Errors
///
/// What stands in the way, each once.
pub fn migrate(
    from: &Flow,
    to: &Flow,
    instance: &Instance,
    nodes: &BTreeMap<String, String>,
) -> Result<Instance, Vec<Unfit>> {
    let mut it = instance.clone();
    let mut unfit: Vec<Unfit> = Vec::new();
    let mut taken: BTreeMap<NodeIx, NodeIx> = BTreeMap::new();
    let mut find = |old: NodeIx| -> Option<NodeIx> {
        let name = from.name(old);
        let new = nodes.get(&*name).map_or(&*name, String::as_str);
        let found = to.named(new);
        let (code, message) = match found {
            None => ("NODE_MISSING", format!("the other version has no `{new}`")),
            Some(found) if !alike(&from.nodes[old].kind, &to.nodes[found].kind) => {
                ("NODE_OTHER_TYPE", format!("`{new}` is of another type there"))
            }
            Some(found) if around(from, old, nodes) != around(to, found, &BTreeMap::new()) => {
                ("NODE_ELSEWHERE", format!("`{new}` is in another container there"))
            }
            Some(found) if steps(from, old, nodes) != steps(to, found, &BTreeMap::new()) => {
                ("STEPS_CHANGED", format!("the steps of `{new}` are others there"))
            }
            Some(found) if undo_is_lost(from, old, to, found) => ("NO_UNDO", format!("`{new}` cannot be undone there")),
            Some(found) if *taken.entry(found).or_insert(old) != old => {
                ("NODE_TWICE", format!("another node goes to `{new}` as well"))
            }
            Some(found) => return Some(found),
        };
        let one = Unfit { node: name, code, message };
        if !unfit.contains(&one) {
            unfit.push(one);
        }
        None
    };
    let mut edges: Vec<EdgeIx> = Vec::new();
    each_index(&mut it, &mut |index| match index {
        Index::Node(ix) => {
            if let Some(found) = find(*ix) {
                *ix = found;
            }
        }
        Index::Edge(ix) => edges.push(*ix),
    });
    unfit.extend(edges_missing(from, to, edges, nodes));
    unfit.extend(listeners_changed(from, to, instance, &it));
    unfit.extend(handlers_changed(from, to, instance, &it));
    unfit.extend(states_missing(from, to, &it));
    if !unfit.is_empty() {
        return Err(unfit);
    }
    each_index(&mut it, &mut |index| {
        if let Index::Edge(ix) = index
            && let Some(found) = EdgeName::of(from, *ix).renamed(nodes).find(to)
        {
            *ix = found;
        }
    });
    rename(&mut it, from, &places(from, instance), nodes);
    if crate::planted::on("migration-forgets-done") {
        it.scopes.values_mut().for_each(|scope| scope.done.clear());
    }
    drop_guards_without_handler(&mut it, to);
    Ok(it)
}

/// A machine goes on in the state it is in.
fn states_missing(from: &Flow, to: &Flow, moved: &Instance) -> Vec<Unfit> {
    let mut unfit = Vec::new();
    for (&scope, one) in &moved.scopes {
        let Some(standing) = &one.machine else { continue };
        let there = super::context::machine_of(to, moved, scope)
            .is_some_and(|(machine, _)| machine.state(&standing.state).is_some());
        if !there {
            let node = one.within.as_ref().map_or_else(|| from.key.as_str().into(), |within| to.name(within.node));
            let message = format!("the other version has no state `{}`", standing.state);
            unfit.push(Unfit { node, code: "STATE_MISSING", message });
        }
    }
    unfit
}

/// The same instance, in a flow that has more actions than the one it stands in.
///
/// # Errors
///
/// The name of what is not there: `to` is no later revision of `from`.
pub fn replugged(from: &Flow, to: &Flow, mut it: Instance) -> Result<Instance, Arc<str>> {
    let mut missing = None;
    each_index(&mut it, &mut |index| {
        let (name, found) = match &index {
            Index::Node(ix) => (from.name(**ix), to.named(&from.name(**ix))),
            Index::Edge(ix) => (from.name(from.edges[**ix].from), EdgeName::of(from, **ix).find(to)),
        };
        match (index, found) {
            (Index::Node(ix) | Index::Edge(ix), Some(found)) => *ix = found,
            (_, None) => missing = Some(name),
        }
    });
    missing.map_or(Ok(it), Err)
}

fn edges_missing(from: &Flow, to: &Flow, edges: Vec<EdgeIx>, nodes: &BTreeMap<String, String>) -> Vec<Unfit> {
    let mut unfit: Vec<Unfit> = Vec::new();
    for edge in edges {
        if EdgeName::of(from, edge).renamed(nodes).find(to).is_none() {
            let node = from.name(from.edges[edge].to);
            let message = format!("the other version has no such edge from `{}`", from.name(from.edges[edge].from));
            let one = Unfit { node, code: "EDGE_MISSING", message };
            if !unfit.contains(&one) {
                unfit.push(one);
            }
        }
    }
    unfit
}

/// Whether a token on the one can stand on the other.
fn alike(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        // What a visit holds (memo, key, attempts) is the node type's own.
        (Kind::Task(one), Kind::Task(other)) => {
            let name = |uses: &str| uses.split('@').next().unwrap_or_default().to_owned();
            name(&one.call.uses) == name(&other.call.uses)
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// The container a node is in, as the other version would call it.
fn around(flow: &Flow, node: NodeIx, nodes: &BTreeMap<String, String>) -> Option<String> {
    let container = flow.bodies[flow.nodes[node].body].container?;
    Some(renamed(&flow.name(container), nodes))
}

/// The steps of a stage, in order: its progress counts them.
fn steps(flow: &Flow, node: NodeIx, nodes: &BTreeMap<String, String>) -> Vec<String> {
    match &flow.nodes[node].kind {
        Kind::Stage(stage) => stage.steps.iter().map(|step| renamed(&flow.name(step.node), nodes)).collect(),
        _ => Vec::new(),
    }
}

fn renamed(name: &str, nodes: &BTreeMap<String, String>) -> String {
    nodes.get(name).map_or(name, String::as_str).to_owned()
}

fn undo_is_lost(from: &Flow, old: NodeIx, to: &Flow, new: NodeIx) -> bool {
    let undone = |flow: &Flow, node: NodeIx| !matches!(flow.nodes[node].kind.undo(), Undo::No);
    undone(from, old) && !undone(to, new)
}

/// A token whose listener is called goes back to it by its place among the node's.
fn listeners_changed(from: &Flow, to: &Flow, old: &Instance, new: &Instance) -> Vec<Unfit> {
    let uses = |flow: &Flow, token: &Token| {
        let listener = super::listen::heard(flow, token.node, token.at.visit()?)?;
        Some((listener.on, listener.call.as_ref().map(|call| call.call.uses.clone())))
    };
    let waits = old.tokens.iter().filter(|(_, token)| token.at.visit().is_some_and(|visit| visit.hook.is_some()));
    let changed =
        waits.filter(|(id, token)| new.tokens.get(id).is_none_or(|moved| uses(from, token) != uses(to, moved)));
    let unfit = changed.map(|(_, token)| Unfit {
        node: from.name(token.node),
        code: "LISTENERS_CHANGED",
        message: "a listener of it is under way, and is another there".to_owned(),
    });
    unfit.collect()
}

/// Outputs and visits are kept by id. Visits of the old id stay as well: a new node of that name goes on counting, so
/// that no key is made twice.
fn rename(it: &mut Instance, from: &Flow, places: &[(ScopeId, BodyIx)], nodes: &BTreeMap<String, String>) {
    for &(scope, body) in places {
        let body = &from.bodies[body];
        let of = body.version.map(|version| format!("{}@{version}:", body.key)).unwrap_or_default();
        let new = |id: &str| nodes.get(&format!("{of}{id}")).map(|name| name.rsplit(':').next().unwrap_or(name));
        let Some(scope) = it.scopes.get_mut(&scope) else { continue };
        let outputs = std::mem::take(&mut scope.outputs).into_iter();
        scope.outputs = outputs.map(|(id, held)| (new(&id).map_or(id, Arc::from), held)).collect();
        let before: Vec<(Arc<str>, u32)> = scope.visits.iter().map(|(id, visits)| (id.clone(), *visits)).collect();
        for (id, visits) in before {
            if let Some(new) = new(&id) {
                let count = scope.visits.entry(new.into()).or_insert(0);
                *count = visits.max(*count);
            }
        }
    }
}

/// Which graph each scope runs.
fn places(flow: &Flow, it: &Instance) -> Vec<(ScopeId, BodyIx)> {
    let body = |scope: &Scope| match &scope.within {
        None => Some(0),
        Some(within) => flow.nodes[within.node].kind.body(),
    };
    it.scopes.iter().filter_map(|(&id, scope)| Some((id, body(scope)?))).collect()
}

/// A handler that waits goes on waiting for the same; one that is new is there from the next visit on.
fn handlers_changed(from: &Flow, to: &Flow, old: &Instance, new: &Instance) -> Vec<Unfit> {
    let waits = |flow: &Flow, node: NodeIx, port: &str| {
        let handler = flow.nodes[node].on.iter().find(|handler| *handler.port == *port)?;
        match &handler.catches {
            Catch::Message { message, .. } => Some(message.to_string()),
            Catch::After { .. } => Some(String::new()),
            Catch::Error { .. } | Catch::Timeout => None,
        }
    };
    let mut unfit = Vec::new();
    for (id, token) in &old.tokens {
        let (At::Guard { port: Some(port), .. }, Some(moved)) = (&token.at, new.tokens.get(id)) else { continue };
        let there = to.nodes[moved.node].on.iter().any(|handler| handler.port == *port);
        if there && waits(from, token.node, port) != waits(to, moved.node, port) {
            let message = format!("its handler `{port}` waits for something else there");
            unfit.push(Unfit { node: from.name(token.node), code: "HANDLER_CHANGED", message });
        }
    }
    unfit
}

/// A handler that the other version does not have waits no more, and no more items come where none are taken.
fn drop_guards_without_handler(it: &mut Instance, to: &Flow) {
    it.tokens.retain(|_, token| match &token.at {
        At::Guard { port: Some(_), .. } if matches!(to.nodes[token.node].kind, Kind::Evaluate(_)) => true,
        At::Guard { port: Some(port), .. } => to.nodes[token.node].on.iter().any(|handler| handler.port == *port),
        At::Guard { port: None, wait: Wait::Message { .. }, .. } => {
            matches!(&to.nodes[token.node].kind, Kind::ForEach(each) if each.more.is_some())
        }
        _ => true,
    });
}
