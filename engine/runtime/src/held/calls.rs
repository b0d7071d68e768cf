//! Makes the calls of an instance in hand and takes their answers; and what becomes of it when a record moved before
//! its commit.
//!
//! Invariants:
//! - Transactional calls of one instance are made one after the other, and an answer is taken before anything else is
//!   called on what the call did.
//! - A commit that came too late has not happened: a stored instance is taken again, one that is not stored yet
//!   begins anew, and whatever calls it had are forgotten.
//!
//! Not here: what is staged (`records`), which calls wait for a commit (`held`), which commit comes too late (`Journal`).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use futures::stream::StreamExt;
use stepwell_core::catalog::EffectClass;
use stepwell_core::flow::Flow;
use stepwell_core::machine::{self, Call, Cut, CutReason, Event, Instance, Op, Outcome, TokenId};

use super::{Held, Stop};
use crate::nodes::{About, Answer};
use crate::records::{Desk, Did, MOVES_MAX, Staged, keeps_moving};
use crate::{Clock, Engine, FlowError, Journal, Nodes};

/// A call that is back.
pub(super) struct Returned {
    token: TokenId,
    attempt: u32,
    op: Op,
    answer: Answer,
    /// Of a transactional one.
    did: Option<Did>,
}

/// What was asked for and is back.
pub(super) enum Back {
    Call(Returned),
    Revision(TokenId, Newest),
}

/// The revision of a machine's actions that counts, and the flow with it where the one in hand has not.
type Newest = Result<(u32, Option<Arc<Flow>>), FlowError>;

pub(super) type CallFuture = Pin<Box<dyn Future<Output = Back> + Send>>;

impl<J: Journal, N: Nodes, C: Clock> Held<J, N, C> {
    pub(super) fn make(&mut self, call: Call) {
        if call.callee.effect == EffectClass::Transactional {
            self.staged.ask(call);
            self.make_next();
        } else {
            self.make_with(call, None);
        }
    }

    fn make_with(&mut self, call: Call, desk: Option<Arc<Desk>>) {
        let engine = self.engine.clone();
        let about = match &desk {
            Some(_) => Arc::new(About { records: desk.clone(), ..(*self.about).clone() }),
            None => self.about.clone(),
        };
        let again = self.under_way.contains(&(call.token, call.attempt));
        let moving = desk.is_some() && self.moves >= MOVES_MAX;
        self.calls.push(Box::pin(async move {
            let mut answer = if moving { keeps_moving() } else { engine.0.nodes.call(&about, &call).await };
            if again {
                answer.outcome = not_known(answer.outcome);
            }
            engine.0.tally.count(&answer);
            let did = desk.map(|desk| desk.clear(&answer.outcome));
            Back::Call(Returned { token: call.token, attempt: call.attempt, op: call.op, answer, did })
        }));
    }

    /// Reads which actions a machine has now. (It leaves nothing behind, so it needs no commit.)
    pub(super) fn ask_revision(&mut self, token: TokenId, keep: Option<u32>) {
        let (engine, about) = (self.engine.clone(), self.about.clone());
        let known = self.flow.machine().map_or(0, |machine| machine.revision);
        self.calls.push(Box::pin(async move {
            let newest = match keep {
                Some(revision) => Ok((revision, None)),
                None => newest(&engine, &about, known).await,
            };
            Back::Revision(token, newest)
        }));
    }

    /// Takes what was asked for.
    pub(super) fn back(&mut self, back: Back) -> Result<(), Stop> {
        match back {
            Back::Call(returned) => self.returned(returned),
            Back::Revision(token, newest) => self.evaluated(token, newest)?,
        }
        Ok(())
    }

    fn evaluated(&mut self, token: TokenId, newest: Newest) -> Result<(), Stop> {
        let (revision, flow) = match newest {
            Ok(newest) => newest,
            Err(FlowError::Unavailable(error)) => {
                tracing::warn!(instance = %self.id, %error, "could not read a machine's actions");
                return Err(Stop::Again);
            }
            Err(error) => {
                tracing::error!(instance = %self.id, %error, "a machine's actions cannot be read");
                return Err(Stop::Later);
            }
        };
        if let Some(flow) = flow
            && let Some(it) = self.it.take()
        {
            let it = machine::replugged(&self.flow, &flow, it).map_err(|missing| {
                tracing::error!(instance = %self.id, %missing, "a later revision has less than an earlier one");
                Stop::Later
            })?;
            self.it = Some(it);
            self.flow = flow;
        }
        self.take(Event::Evaluated { token, revision });
        Ok(())
    }

    /// Calls that a commit licensed are on their way before the next one: however long that takes, this engine was
    /// heard of lately when they began.
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        while let Poll::Ready(Some(back)) = futures::poll!(self.calls.next()) {
            self.back(back)?;
        }
        Ok(())
    }

    /// Takes what a call came back with, and then makes the one that waited for it.
    fn returned(&mut self, back: Returned) {
        let Returned { token, attempt, op, answer, did } = back;
        let taken = self.take(Event::NodeReturned { token, attempt, op, outcome: answer.outcome });
        if let Some(did) = did {
            self.staged.back();
            if taken {
                self.staged.merge(did);
            }
            self.make_next();
        }
    }

    /// Makes the transactional call whose turn it is.
    fn make_next(&mut self) {
        let Some(it) = &self.it else { return };
        let next = self.staged.next(|call| it.awaits(call.token, call.attempt, call.op));
        if let Some((call, desk)) = next {
            self.make_with(call, Some(desk));
        }
    }

    /// The commit stands, and with it what was staged.
    pub(super) fn stand_still(&mut self) {
        self.staged.committed();
        if std::mem::take(&mut self.moves) > 0 {
            self.engine.stand_still(&self.id);
        }
    }

    pub(super) fn moved(&mut self) -> Stop {
        self.engine.0.tally.conflicts.fetch_add(1, Ordering::Relaxed);
        self.moves = self.engine.moved(&self.id);
        if self.origin.is_some() { Stop::Anew } else { Stop::Moved }
    }

    /// Nothing of the instance was ever stored, so nothing but its start is known of it.
    pub(super) fn begin_anew(&mut self) {
        let (Some(origin), Some(it)) = (&self.origin, &self.it) else { return };
        let (started, version) = (origin.started.clone(), it.version);
        self.calls.clear();
        self.licensed_by_commit.clear();
        self.entries.clear();
        self.answer = None;
        self.staged = Staged::default();
        self.it = Some(Instance::new(self.id.clone(), version));
        self.take(started);
    }
}

/// The newest committed revision, and the flow with it where `known` is an earlier one.
async fn newest<J: Journal, N: Nodes, C: Clock>(engine: &Engine<J, N, C>, about: &About, known: u32) -> Newest {
    let revision = engine.0.journal.revision(&about.flow, about.version).await?;
    if revision <= known {
        return Ok((known, None));
    }
    let flow = engine.newest_flow(&about.flow, about.version).await?;
    Ok((flow.machine().map_or(revision, |machine| machine.revision), Some(flow)))
}

/// What a call that could not be made again counts as: it may have been made before the instance was let go.
fn not_known(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Cut(Cut { reason: CutReason::Breaker | CutReason::Missing | CutReason::Revoked, message }) => {
            let message = format!("the call was under way before, and could not be made again: {message}");
            Outcome::Cut(Cut { reason: CutReason::Crash, message })
        }
        Outcome::Cut(Cut { reason: CutReason::Paused, message }) => {
            Outcome::Cut(Cut { reason: CutReason::PausedAnew, message })
        }
        known => known,
    }
}
