//! Joins: how many branches a parallel gateway waits for, which, how long, and what becomes of the rest.
//!
//! A join works in rounds. A round is over when the wanted edges have brought a token each; the next
//! begins once the others have come as well, whose tokens end there (or at once, where they are stopped).
//! Tokens that come early wait for their round, and its time begins when it does: the first of its tokens
//! carries it.
//!
//! Not here: the inclusive join, which waits for whoever can still come (`inclusive`).

use super::instance::{ScopeId, TokenId};
use super::token::At;
use super::walk::{Here, Walk};
use crate::flow::{DONE, EdgeIx, Join, Kind, NodeIx, Rest, TIMEOUT};
use crate::planted;

impl Walk<'_> {
    pub(super) fn join(&mut self, here: Here, join: &Join, by: Option<EdgeIx>) {
        let waits = self.flow.nodes[here.node].incoming.len() > 1 || join.tokens > 1;
        let (Some(edge), true) = (by, waits) else { return self.send(here, join) };
        if let Some(missing) = self.scope_mut(here.scope).joins.get_mut(&here.node) {
            // The last round went on without this one.
            if let Some(at) = missing.iter().position(|&one| one == edge) {
                missing.remove(at);
                if missing.is_empty() {
                    self.scope_mut(here.scope).joins.remove(&here.node);
                    self.next_round(here, join);
                }
                return;
            }
        }
        self.place(here, At::Joining { edge, due_ms: None });
        self.next_round(here, join);
    }

    /// Looks at every join and container anew: how many they wait for may be different now.
    pub(super) fn look_again(&mut self) {
        let flow = self.flow;
        let mut joins: Vec<Here> = Vec::new();
        for token in self.it.tokens.values().filter(|token| matches!(token.at, At::Joining { .. })) {
            let known = |here: &Here| here.scope == token.scope && here.node == token.node;
            if !joins.iter().any(known) {
                joins.push(token.here());
            }
        }
        for here in joins {
            if let Kind::Parallel(join) = &flow.nodes[here.node].kind {
                self.next_round(here, join);
            }
        }
        let containers =
            self.it.scopes.iter().filter(|(_, scope)| scope.progress.is_some() && scope.unwinding.is_none());
        let containers: Vec<ScopeId> = containers.map(|(&id, _)| id).collect();
        for id in containers {
            self.advance(id);
        }
    }

    /// The tokens that wait at a join, in the order they came.
    fn waiting_at(&self, here: Here) -> Vec<(TokenId, EdgeIx)> {
        let at = |(&id, token): (&TokenId, &super::Token)| match token.at {
            At::Joining { edge, .. } if token.node == here.node && token.scope == here.scope => Some((id, edge)),
            _ => None,
        };
        self.it.tokens.iter().filter_map(at).collect()
    }

    fn send(&mut self, here: Here, join: &Join) {
        for _ in 0..join.sends {
            self.leave(here, DONE);
        }
    }

    /// The tokens of each edge that go together, where it brought at least so many.
    fn round(&self, here: Here, join: &Join, least: usize) -> Vec<(EdgeIx, Vec<TokenId>)> {
        let mut round: Vec<(EdgeIx, Vec<TokenId>)> = Vec::new();
        for (id, edge) in self.waiting_at(here) {
            match round.iter_mut().find(|(taken, _)| *taken == edge) {
                Some((_, ids)) if ids.len() < join.tokens => ids.push(id),
                Some(_) => {}
                None => round.push((edge, vec![id])),
            }
        }
        round.retain(|(_, ids)| ids.len() >= least);
        round
    }

    fn next_round(&mut self, here: Here, join: &Join) {
        if self.it.scopes.get(&here.scope).is_some_and(|scope| scope.joins.contains_key(&here.node)) {
            return;
        }
        let round = self.round(here, join, join.tokens);
        let has = |edge: &EdgeIx| round.iter().any(|(one, _)| one == edge);
        if round.len() >= join.wanted && join.must.iter().all(has) {
            self.fire(here, join, &round, DONE);
        }
    }

    /// Of the tokens that wait in a round with a time limit, the first has it, from the moment it is the first: when
    /// the round begins, or when the one that had it was taken away. A round whose predecessor is open has not begun.
    pub(super) fn time_joins(&mut self) {
        let waits = |token: &super::Token| matches!(token.at, At::Joining { .. });
        let ids: Vec<TokenId> = self.it.tokens.iter().filter(|(_, token)| waits(token)).map(|(&id, _)| id).collect();
        for id in ids {
            let Some(here) = self.it.tokens.get(&id).map(super::Token::here) else { continue };
            let Kind::Parallel(Join { timeout_ms: Some(timeout_ms), .. }) = &self.flow.nodes[here.node].kind else {
                continue;
            };
            let not_begun = self.it.scopes.get(&here.scope).is_some_and(|one| one.joins.contains_key(&here.node));
            let has_it =
                |(id, _): &(TokenId, EdgeIx)| self.it.tokens.get(id).is_some_and(|one| one.at.due_ms().is_some());
            let timed = self.waiting_at(here).iter().any(has_it) || planted::on("join-deadline-lost");
            let until = self.it.now_ms.saturating_add(*timeout_ms);
            if let Some(At::Joining { due_ms, .. }) = self.it.tokens.get_mut(&id).map(|token| &mut token.at)
                && !timed
                && !not_begun
            {
                *due_ms = Some(until);
            }
        }
    }

    /// The join's time is over: it is left as it stands, or fails where nothing is drawn for that.
    pub(super) fn join_timed_out(&mut self, here: Here) {
        let flow = self.flow;
        let Kind::Parallel(join) = &flow.nodes[here.node].kind else { return };
        let round = self.round(here, join, 1);
        if flow.edge(here.node, TIMEOUT).is_some() {
            return self.fire(here, join, &round, TIMEOUT);
        }
        let text = format!("{} of {} branches came in time", round.len(), join.wanted);
        let error = self.error(super::FailureClass::TimedOut, "TIMEOUT", text, here.node);
        self.fail(here.scope, error);
    }

    fn fire(&mut self, here: Here, join: &Join, round: &[(EdgeIx, Vec<TokenId>)], port: &str) {
        let flow = self.flow;
        for id in round.iter().flat_map(|(_, ids)| ids) {
            self.it.tokens.remove(id);
        }
        let came = |edge: EdgeIx| round.iter().find(|(one, _)| *one == edge).map_or(0, |(_, ids)| ids.len());
        // Each as often as a token of its round is still to come.
        let owed = |edge: EdgeIx| std::iter::repeat_n(edge, join.tokens.saturating_sub(came(edge)));
        let missing: Vec<EdgeIx> = flow.nodes[here.node].incoming.iter().copied().flat_map(owed).collect();
        match join.rest {
            Rest::Cancel => self.cancel_branches(here, &missing),
            Rest::Await if !missing.is_empty() => {
                self.scope_mut(here.scope).joins.insert(here.node, missing);
            }
            Rest::Await => {}
        }
        if port == DONE {
            self.send(here, join);
        } else {
            self.leave(here, port);
        }
    }

    /// Stops the tokens that could still come by these edges.
    fn cancel_branches(&mut self, here: Here, edges: &[EdgeIx]) {
        let upstream = super::inclusive::upstream(self.flow, here.node, edges);
        let nodes: Vec<NodeIx> = (0..upstream.len()).filter(|&node| upstream[node] && node != here.node).collect();
        self.cancel_at(here.scope, &nodes);
    }

    /// Takes the tokens away from these nodes.
    pub(super) fn cancel_at(&mut self, scope: ScopeId, nodes: &[NodeIx]) {
        self.drop_arrivals_at(scope, nodes);
        let on_them = |token: &super::Token| token.scope == scope && nodes.contains(&token.node);
        let ids: Vec<TokenId> = self.it.tokens.iter().filter(|(_, token)| on_them(token)).map(|(&id, _)| id).collect();
        for id in ids {
            self.stop_branch(id);
        }
    }
}
