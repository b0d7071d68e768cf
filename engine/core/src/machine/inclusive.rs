//! The inclusive gateway: every branch whose condition holds, and a join that waits for those alone.
//!
//! A join fires when it holds a token and no other token could still come by an edge that holds
//! none, unless that token could as well come by one that does (BPMN 2.0, 13.4.3). It is looked at after
//! every event, because a token that ends elsewhere may be the one it waited for.
//!
//! Invariant: a join is left by one token for all that arrived, one from each edge.

use super::instance::{At, TokenId};
use super::walk::Walk;
use crate::flow::{EdgeIx, Flow, Kind, NodeIx};

impl Walk<'_> {
    /// Lets the first join go that waits for nobody any more. `false`: there is none.
    pub(super) fn fire_inclusive(&mut self) -> bool {
        if self.it.end.is_some() || self.it.unwinding.is_some() {
            return false;
        }
        let flow = self.flow;
        let waits = |at: &At| matches!(at, At::Joining { .. });
        let mut joins: Vec<NodeIx> = Vec::new();
        for token in self.it.tokens.values().filter(|token| waits(&token.at)) {
            if matches!(flow.nodes[token.node].kind, Kind::Inclusive) && !joins.contains(&token.node) {
                joins.push(token.node);
            }
        }
        let Some(join) = joins.into_iter().find(|&join| self.complete(join)) else { return false };
        let mut edges: Vec<EdgeIx> = Vec::new();
        let mut arrived: Vec<TokenId> = Vec::new();
        for (&id, token) in &self.it.tokens {
            if let At::Joining { edge } = token.at
                && token.node == join
                && !edges.contains(&edge)
            {
                edges.push(edge);
                arrived.push(id);
            }
        }
        for id in arrived {
            self.it.tokens.remove(&id);
        }
        let visit = self.it.visits.get(&flow.nodes[join].id).copied().unwrap_or(1);
        self.leave_by_all_that_hold(join, visit);
        true
    }

    /// Whether nothing more can come to a join that some token has reached.
    fn complete(&self, join: NodeIx) -> bool {
        let flow = self.flow;
        let holds = |edge: EdgeIx| {
            self.it
                .tokens
                .values()
                .any(|token| token.node == join && matches!(token.at, At::Joining { edge: at } if at == edge))
        };
        let (full, empty): (Vec<EdgeIx>, Vec<EdgeIx>) =
            flow.nodes[join].incoming.iter().copied().partition(|&edge| holds(edge));
        if empty.is_empty() {
            return true;
        }
        let (by_full, by_empty) = (upstream(flow, join, &full), upstream(flow, join, &empty));
        let here = |at: &At| matches!(at, At::Joining { .. });
        self.it
            .tokens
            .values()
            .filter(|token| !(token.node == join && here(&token.at)))
            .all(|token| !by_empty[token.node] || by_full[token.node])
    }

    /// Sends a token along every edge whose condition holds, or along the default.
    pub(super) fn leave_by_all_that_hold(&mut self, node: NodeIx, visit: u32) {
        let flow = self.flow;
        let (mut taken, mut default) = (Vec::new(), None);
        for &edge in &flow.nodes[node].out {
            let one = &flow.edges[edge];
            match &one.when {
                _ if one.default => default = Some(edge),
                None => taken.push(edge),
                Some(when) => match self.with_scope(|scope| when.holds(scope)) {
                    Ok(true) => taken.push(edge),
                    Ok(false) => {}
                    Err(error) => return self.no_value(node, visit, &error),
                },
            }
        }
        if taken.is_empty() {
            let Some(edge) = default else { return self.no_way_out(node, visit) };
            taken.push(edge);
        }
        for edge in taken {
            self.arrive(flow.edges[edge].to, Some(edge));
        }
    }
}

/// By node: whether a way leads from it to one of these edges without passing the join.
fn upstream(flow: &Flow, join: NodeIx, edges: &[EdgeIx]) -> Vec<bool> {
    let mut reaches = vec![false; flow.nodes.len()];
    let mut open: Vec<NodeIx> = edges.iter().map(|&edge| flow.edges[edge].from).collect();
    while let Some(node) = open.pop() {
        if node == join || std::mem::replace(&mut reaches[node], true) {
            continue;
        }
        open.extend(flow.nodes[node].incoming.iter().map(|&edge| flow.edges[edge].from));
    }
    reaches
}
