//! Puts called flows into the flow that calls them, each version once.
//!
//! Invariant: all indices of the result are its own.

use std::sync::Arc;

use super::Called;
use crate::flow::{Body, BodyIx, Flow, Kind};

/// The flow with the bodies of all it calls. Until then a call's `body` is a place in `called`.
pub(super) fn call(mut flow: Flow, called: Vec<Called>) -> Flow {
    let targets: Vec<BodyIx> = called
        .into_iter()
        .map(|one| match one {
            Called::Other { key, version, flow: Some(other) } => take(&mut flow, *other, &key, version),
            Called::Own | Called::Other { flow: None, .. } => 0,
        })
        .collect();
    let own: Vec<bool> = flow.bodies.iter().map(|body| body.version.is_none()).collect();
    for node in flow.nodes.iter_mut().filter(|node| own[node.body]) {
        if let Kind::Call(call) = &mut node.kind {
            call.body = targets[call.body];
        }
    }
    flow
}

/// The place of a version's graph in `flow`, which is given it if it does not have it yet.
fn take(flow: &mut Flow, mut other: Flow, key: &Arc<str>, version: u32) -> BodyIx {
    for body in other.bodies.iter_mut().filter(|body| body.version.is_none()) {
        body.version = Some(version);
    }
    let found = |flow: &Flow, key: &str, version: Option<u32>| {
        flow.bodies.iter().position(|body| body.container.is_none() && &*body.key == key && body.version == version)
    };
    if let Some(place) = found(flow, key, Some(version)) {
        return place;
    }
    // Versions that both call are here already, and their nodes are left out.
    let owner = |body: &Body| (body.key.clone(), body.version);
    let here: Vec<bool> = other.bodies.iter().map(|body| found(flow, &owner(body).0, body.version).is_some()).collect();
    let mut bodies: Vec<BodyIx> = Vec::with_capacity(other.bodies.len());
    let mut next = flow.bodies.len();
    for (index, body) in other.bodies.iter().enumerate() {
        let place = if here[index] { found(flow, &body.key, body.version).unwrap_or(0) } else { next };
        next += usize::from(!here[index]);
        bodies.push(place);
    }
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    let (mut node_count, mut edge_count) = (flow.nodes.len(), flow.edges.len());
    for node in &other.nodes {
        nodes.push(node_count);
        node_count += usize::from(!here[node.body]);
    }
    for edge in &other.edges {
        edges.push(edge_count);
        edge_count += usize::from(!here[other.nodes[edge.from].body]);
    }
    let gone: Vec<bool> = other.nodes.iter().map(|node| here[node.body]).collect();
    for mut edge in other.edges.into_iter().filter(|edge| !gone[edge.from]) {
        (edge.from, edge.to) = (nodes[edge.from], nodes[edge.to]);
        flow.edges.push(edge);
    }
    for mut node in other.nodes.into_iter().filter(|node| !here[node.body]) {
        node.body = bodies[node.body];
        node.out.iter_mut().chain(&mut node.incoming).for_each(|edge| *edge = edges[*edge]);
        match &mut node.kind {
            Kind::Call(call) => call.body = bodies[call.body],
            Kind::ForEach(each) => each.body = bodies[each.body],
            Kind::Stage(stage) => {
                stage.body = bodies[stage.body];
                stage.steps.iter_mut().for_each(|step| step.node = nodes[step.node]);
            }
            Kind::Evaluate(machine) => {
                machine.over = edges[machine.over];
                for action in &mut machine.actions {
                    (action.node, action.edge) = (nodes[action.node], edges[action.edge]);
                }
            }
            Kind::Cancel { nodes: others } => others.iter_mut().for_each(|other| *other = nodes[*other]),
            Kind::Parallel(join) => join.must.iter_mut().for_each(|edge| *edge = edges[*edge]),
            _ => {}
        }
        flow.nodes.push(node);
    }
    for (index, mut body) in other.bodies.into_iter().enumerate() {
        if !here[index] {
            body.container = body.container.map(|container| nodes[container]);
            body.entries.iter_mut().for_each(|entry| *entry = nodes[*entry]);
            flow.bodies.push(body);
        }
    }
    bodies[0]
}
