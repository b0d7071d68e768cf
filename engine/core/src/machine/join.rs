//! Joins: how many branches a parallel gateway waits for, which, how long, and what becomes of the rest.
//!
//! A join works in rounds. A round is over when the wanted edges have brought a token each; the next
//! begins once the others have come as well, whose tokens end there (or at once, where they are stopped).
//! Tokens that come early wait for their round.
//!
//! Not here: the inclusive join, which waits for whoever can still come (`inclusive`).

use super::instance::TokenId;
use super::token::At;
use super::walk::{Here, Walk};
use crate::flow::{DONE, EdgeIx, Join, Kind, Rest, TIMEOUT};

impl Walk<'_> {
    pub(super) fn join(&mut self, here: Here, join: &Join, by: Option<EdgeIx>) {
        let (Some(edge), true) = (by, self.flow.nodes[here.node].incoming.len() > 1) else {
            return self.leave(here, DONE);
        };
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
        let first = self.waiting_at(here).is_empty();
        let due_ms = join.timeout_ms.filter(|_| first).map(|timeout| self.it.now_ms.saturating_add(timeout));
        self.place(here, At::Joining { edge, due_ms });
        self.next_round(here, join);
    }

    /// The tokens that wait at a join, in the order they came.
    fn waiting_at(&self, here: Here) -> Vec<(TokenId, EdgeIx)> {
        let at = |(&id, token): (&TokenId, &super::Token)| match token.at {
            At::Joining { edge, .. } if token.node == here.node && token.scope == here.scope => Some((id, edge)),
            _ => None,
        };
        self.it.tokens.iter().filter_map(at).collect()
    }

    /// One token of each edge that brought some.
    fn round(&self, here: Here) -> Vec<(TokenId, EdgeIx)> {
        let mut round: Vec<(TokenId, EdgeIx)> = Vec::new();
        for (id, edge) in self.waiting_at(here) {
            if !round.iter().any(|&(_, taken)| taken == edge) {
                round.push((id, edge));
            }
        }
        round
    }

    fn next_round(&mut self, here: Here, join: &Join) {
        if self.it.scopes.get(&here.scope).is_some_and(|scope| scope.joins.contains_key(&here.node)) {
            return;
        }
        let round = self.round(here);
        let has = |edge: &EdgeIx| round.iter().any(|(_, one)| one == edge);
        if round.len() >= join.wanted && join.must.iter().all(has) {
            self.fire(here, join, &round, DONE);
        }
    }

    /// The join's time is over: it is left as it stands, or fails where nothing is drawn for that.
    pub(super) fn join_timed_out(&mut self, here: Here) {
        let flow = self.flow;
        let Kind::Parallel(join) = &flow.nodes[here.node].kind else { return };
        let round = self.round(here);
        if flow.edge(here.node, TIMEOUT).is_some() {
            return self.fire(here, join, &round, TIMEOUT);
        }
        let text = format!("{} of {} branches came in time", round.len(), join.wanted);
        let error = self.error(super::FailureClass::TimedOut, "TIMEOUT", text, here.node);
        self.fail(here.scope, error);
    }

    fn fire(&mut self, here: Here, join: &Join, round: &[(TokenId, EdgeIx)], port: &str) {
        let flow = self.flow;
        for (id, _) in round {
            self.it.tokens.remove(id);
        }
        let came = |edge: &EdgeIx| round.iter().any(|(_, one)| one == edge);
        let missing: Vec<EdgeIx> = flow.nodes[here.node].incoming.iter().copied().filter(|edge| !came(edge)).collect();
        match join.rest {
            Rest::Cancel => self.cancel_branches(here, &missing),
            Rest::Await if !missing.is_empty() => {
                self.scope_mut(here.scope).joins.insert(here.node, missing);
            }
            Rest::Await => {}
        }
        self.leave(here, port);
    }

    /// Stops the tokens that could still come by these edges.
    fn cancel_branches(&mut self, here: Here, edges: &[EdgeIx]) {
        let upstream = super::inclusive::upstream(self.flow, here.node, edges);
        self.drop_arrivals_at(here.scope, &upstream);
        let on_them =
            |token: &super::Token| token.scope == here.scope && upstream[token.node] && token.node != here.node;
        let ids: Vec<TokenId> = self.it.tokens.iter().filter(|(_, token)| on_them(token)).map(|(&id, _)| id).collect();
        for id in ids {
            self.stop_branch(id);
        }
    }
}
