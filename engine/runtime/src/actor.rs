//! Brings an instance into hand: a new one from its start, a stored one from its snapshot.
//!
//! Invariant: an instance whose actor is lost, even to a panic, is taken again.
//!
//! Not here: what is done with it then (`held`), when a parked instance is woken (`sweep`).

use std::sync::Arc;

use stepwell_core::machine::{Event, Instance, Snapshot, SnapshotError};
use tokio::sync::oneshot;

use crate::engine::{Live, Waiter};
use crate::held::{Commits, Held, Origin};
use crate::journal::{Admission, Taken, Unavailable};
use crate::nodes::About;
use crate::{Clock, Engine, FlowError, Journal, Nodes, StartRequest};

pub(crate) struct Actor<J, N, C> {
    engine: Engine<J, N, C>,
    id: Arc<str>,
    waiters: Vec<Waiter>,
}

/// Why a stored instance cannot be driven.
enum Unloadable {
    ForNow(Unavailable),
    Ever(String),
}

impl From<SnapshotError> for Unloadable {
    fn from(error: SnapshotError) -> Self {
        Self::Ever(error.to_string())
    }
}

impl From<FlowError> for Unloadable {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Unavailable(error) => Self::ForNow(error),
            FlowError::Unknown(..) | FlowError::Broken { .. } => Self::Ever(error.to_string()),
        }
    }
}

impl<J: Journal, N: Nodes, C: Clock> Actor<J, N, C> {
    pub(crate) fn new(engine: Engine<J, N, C>, id: Arc<str>, waiters: Vec<Waiter>) -> Self {
        Self { engine, id, waiters }
    }

    /// Drives a new instance from its first event.
    pub(crate) async fn begin(self, request: StartRequest, committed: oneshot::Sender<Commits>) {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        let now_ms = engine.0.clock.now_ms();
        let about = About {
            instance: self.id.clone(),
            flow: request.flow.key.as_str().into(),
            version: request.version,
            business_key: request.business_key.clone(),
            traceparent: request.traceparent.clone(),
            records: None,
        };
        let admission = Admission {
            flow: about.flow.clone(),
            version: request.version,
            business_key: request.business_key.clone(),
            started_ms: now_ms,
            idempotency: request.idempotency,
            traceparent: request.traceparent,
            unique: request.business_key.as_ref().and(request.flow.unique),
            bound_by: request.bound_by,
            by: request.by,
        };
        let mut held = Held::new(self.engine, self.id.clone(), request.flow, about);
        held.it = Some(Instance::new(self.id, request.version));
        held.waiters = self.waiters;
        let started = Event::Started {
            input: Arc::new(request.input),
            business_key: request.business_key,
            priority: request.priority,
        };
        held.origin = Some(Origin { admission, committed, at_once: !request.wait, started: started.clone() });
        held.take(started);
        let live = held.drive().await;
        if let Some(live) = live
            && !engine.retire(&id, &live)
        {
            engine.drive_again(id, live).await;
        }
    }

    /// Takes a stored instance and drives it as far as it goes.
    pub(crate) async fn resume(self, live: &Arc<Live>) {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        let taken = match engine.0.journal.take(&id).await {
            Ok(Some(taken)) => taken,
            // Ended, or never was: who waits is told by the silence, and reads the row.
            Ok(None) => return engine.0.sweeper.stood(&id),
            Err(error) => {
                tracing::warn!(instance = %id, %error, "could not take the instance");
                engine.0.sweeper.take_again(&id);
                return engine.keep_waiters(&id, self.waiters);
            }
        };
        let (epoch, waiters) = (taken.epoch, self.waiters);
        match load(engine.clone(), id.clone(), taken, live.clone()).await {
            Ok(mut held) => {
                held.waiters = waiters;
                held.go_on();
                held.drive().await;
            }
            Err(Unloadable::ForNow(Unavailable(error))) => {
                tracing::warn!(instance = %id, %error, "could not read the instance");
                engine.0.sweeper.take_again(&id);
                engine.keep_waiters(&id, waiters);
            }
            // The instance stays as it is, for a build that can read it.
            Err(Unloadable::Ever(problem)) => {
                tracing::error!(instance = %id, epoch, %problem, "cannot drive the instance");
            }
        }
    }
}

async fn load<J: Journal, N: Nodes, C: Clock>(
    engine: Engine<J, N, C>,
    id: Arc<str>,
    taken: Taken,
    live: Arc<Live>,
) -> Result<Held<J, N, C>, Unloadable> {
    let flow = engine.newest_flow(&taken.flow, taken.version).await?;
    let mut snapshot = Snapshot::parse(&taken.snapshot)?;
    let rows = snapshot.rows();
    let entries = if rows.is_empty() {
        Vec::new()
    } else {
        engine.0.journal.entries(&id, &rows).await.map_err(Unloadable::ForNow)?
    };
    let it = snapshot.hydrate(&flow, id.clone(), &entries)?;
    let about = About {
        instance: id.clone(),
        flow: taken.flow,
        version: taken.version,
        business_key: taken.business_key,
        traceparent: taken.traceparent,
        records: None,
    };
    let mut held = Held::new(engine, id, flow, about);
    held.moves = held.engine.moves(&held.id);
    held.stored_tasks = it.open_tasks(&held.flow).iter().map(|task| (task.token, task.attempt)).collect();
    held.it = Some(it);
    held.epoch = taken.epoch;
    held.stored_seq = taken.seq;
    held.inbox = taken.inbox.into();
    held.live = Some(live);
    Ok(held)
}
