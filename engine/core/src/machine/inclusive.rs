//! The inclusive gateway: every branch whose condition holds, and a join that waits for those alone.
//!
//! A join fires when it holds a token and no other token could still come by an edge that holds
//! none, unless that token could as well come by one that does (BPMN 2.0, 13.4.3). It is looked at after
//! every event, because a token that ends elsewhere may be the one it waited for.
//!
//! Invariant: a join is left by one token for all that arrived, one from each edge.

use super::instance::{ScopeId, TokenId};
use super::token::At;
use super::walk::{Here, Walk};
use crate::expr::ValueError;
use crate::flow::{EdgeIx, Flow, Kind, NodeIx};

impl Walk<'_> {
    /// Lets the first join go that waits for nobody any more. `false`: there is none.
    pub(super) fn fire_inclusive(&mut self) -> bool {
        if self.it.end.is_some() || self.it.suspended {
            return false;
        }
        let flow = self.flow;
        let waits = |at: &At| matches!(at, At::Joining { .. });
        let mut joins: Vec<(ScopeId, NodeIx)> = Vec::new();
        for token in self.it.tokens.values().filter(|token| waits(&token.at)) {
            let at = (token.scope, token.node);
            if matches!(flow.nodes[token.node].kind, Kind::Inclusive) && !joins.contains(&at) {
                joins.push(at);
            }
        }
        let Some((scope, join)) = joins.into_iter().find(|&(scope, join)| self.complete(scope, join)) else {
            return false;
        };
        let mut edges: Vec<EdgeIx> = Vec::new();
        let mut arrived: Vec<TokenId> = Vec::new();
        for (&id, token) in &self.it.tokens {
            if let At::Joining { edge, .. } = token.at
                && token.node == join
                && token.scope == scope
                && !edges.contains(&edge)
            {
                edges.push(edge);
                arrived.push(id);
            }
        }
        for id in arrived {
            self.it.tokens.remove(&id);
        }
        let visits = self.it.scopes.get(&scope).and_then(|one| one.visits.get(&flow.nodes[join].id));
        let here = Here { scope, node: join, visit: visits.copied().unwrap_or(1) };
        if let Err(error) = self.leave_by_all_that_hold(here) {
            self.incident(here, "EXPRESSION_FAILED", error.message);
        }
        true
    }

    /// Whether nothing more can come to a join that some token has reached.
    fn complete(&self, scope: ScopeId, join: NodeIx) -> bool {
        let flow = self.flow;
        let tokens = || self.it.tokens.values().filter(|token| token.scope == scope);
        let holds = |edge: EdgeIx| {
            tokens().any(|token| token.node == join && matches!(token.at, At::Joining { edge: at, .. } if at == edge))
        };
        let (full, empty): (Vec<EdgeIx>, Vec<EdgeIx>) =
            flow.nodes[join].incoming.iter().copied().partition(|&edge| holds(edge));
        if empty.is_empty() {
            return true;
        }
        let (by_full, by_empty) = (upstream(flow, join, &full), upstream(flow, join, &empty));
        let stays = |at: &At| matches!(at, At::Guard { .. } | At::Abandoned(_));
        let here = |token: &super::Token| token.node == join && matches!(token.at, At::Joining { .. });
        tokens()
            .filter(|token| !here(token) && !stays(&token.at))
            .all(|token| !by_empty[token.node] || by_full[token.node])
    }

    /// Sends a token along every edge whose condition holds, or along the default.
    pub(super) fn leave_by_all_that_hold(&mut self, here: Here) -> Result<(), ValueError> {
        let flow = self.flow;
        let (mut taken, mut default) = (Vec::new(), None);
        for &edge in &flow.nodes[here.node].out {
            let one = &flow.edges[edge];
            match &one.when {
                _ if one.default => default = Some(edge),
                None => taken.push(edge),
                Some(when) => {
                    if self.with_scope(here.scope, |scope| when.holds(scope))? {
                        taken.push(edge);
                    }
                }
            }
        }
        if taken.is_empty() {
            let Some(edge) = default else {
                self.no_way_out(here);
                return Ok(());
            };
            taken.push(edge);
        }
        for edge in taken {
            self.arrive(here.scope, flow.edges[edge].to, Some(edge));
        }
        Ok(())
    }
}

/// By node: whether a way leads from it to one of these edges without passing the join.
pub(super) fn upstream(flow: &Flow, join: NodeIx, edges: &[EdgeIx]) -> Vec<bool> {
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
