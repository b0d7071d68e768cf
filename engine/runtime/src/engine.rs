//! The engine's front: starts instances, takes messages and commands, and keeps the list of the
//! instances that are being driven here.
//!
//! Invariants:
//! - One instance has at most one actor in this process.
//! - A caller is answered only with what is committed; a caller that goes away changes nothing.
//!
//! Not here: what an actor does with its instance (`actor`), when parked ones are woken (`sweep`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stepwell_core::catalog::Catalog;
use stepwell_core::flow::{Flow, check};
use stepwell_core::machine::{Command, Error, State};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::actor::Actor;
use crate::journal::{CommandKept, Idempotency, Message, Posted, Unavailable};
use crate::stages::Stages;
use crate::{Clock, Journal, Nodes};

/// An engine; clones share it.
pub struct Engine<J, N, C>(pub(crate) Arc<Inner<J, N, C>>);

impl<J, N, C> Clone for Engine<J, N, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

type FlowVersion = (Arc<str>, u32);

pub(crate) struct Inner<J, N, C> {
    pub(crate) journal: J,
    pub(crate) nodes: N,
    pub(crate) clock: C,
    pub(crate) tally: Tally,
    /// Compiled versions, for as long as the process lives: they are few, and immutable but for the actions of
    /// machines, which grow.
    flows: Mutex<HashMap<FlowVersion, Arc<Flow>>>,
    live: Mutex<HashMap<Arc<str>, Arc<Live>>>,
    /// Callers of instances that are parked just now.
    waiters: Mutex<HashMap<Arc<str>, Vec<Waiter>>>,
    room: Arc<Semaphore>,
    pub(crate) sweeper: crate::sweep::Alarm,
    /// How often in a row the records of an instance had moved when it came to commit; only of those whose did.
    moves: Mutex<HashMap<Arc<str>, u8>>,
    closing: AtomicBool,
    /// Told whenever an actor ends.
    quiet: Notify,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// Instances driven at once; more starts are refused, and due ones wait their turn.
    pub live_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { live_max: 10_000 }
    }
}

/// What the engine counted since it started; for metrics.
#[derive(Debug, Default)]
pub struct Tally {
    pub started: AtomicU64,
    pub ended: AtomicU64,
    pub calls: AtomicU64,
    pub calls_failed: AtomicU64,
    pub calls_cut: AtomicU64,
    pub call_us: AtomicU64,
    pub commits: AtomicU64,
    pub conflicts: AtomicU64,
    /// Machines that did not come to rest.
    pub machine_loops: AtomicU64,
    pub stages: Stages,
}

/// One instance's place in the list of driven ones.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) bell: Notify,
    /// Something came for the instance since its actor last looked.
    pub(crate) woken: AtomicBool,
    /// Calls that were paused are to be made now.
    pub(crate) released: AtomicBool,
}

pub(crate) type Waiter = oneshot::Sender<Answer>;

/// What a waiting caller gets: the first reply, the end, or an incident, whichever is first.
#[derive(Debug, Clone)]
pub struct Answer {
    pub state: State,
    /// The reply, or the completed instance's output.
    pub output: Option<Arc<Value>>,
    pub error: Option<Error>,
    /// An answer by `reply`: the instance may still go on.
    pub replied: bool,
}

#[derive(Debug)]
pub struct StartRequest {
    pub flow: Arc<Flow>,
    pub version: u32,
    pub input: Value,
    pub business_key: Option<String>,
    pub priority: i32,
    pub idempotency: Option<Idempotency>,
    pub traceparent: Option<String>,
    /// What chose the version, where it was not the caller alone.
    pub bound_by: Option<Arc<str>>,
    /// Who asks, for the audit.
    pub by: Arc<str>,
    /// The caller will wait for an answer; otherwise the start is committed before anything else is done.
    pub wait: bool,
}

/// A start that was taken, and perhaps not yet committed: answer it only from [`Started::answer`], or
/// after [`Started::committed`].
pub struct Started {
    pub id: Arc<str>,
    answer: oneshot::Receiver<Answer>,
    committed: oneshot::Receiver<Result<State, StartError>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Too many instances are driven just now, or the engine is stopping. Retry later.
    #[error("the engine takes no more instances just now")]
    Overloaded,
    /// Another start with this Idempotency-Key won: answer as that instance.
    #[error("already started as instance {instance}")]
    Duplicate { instance: Arc<str>, other_request: bool },
    /// Another instance has the business key, which the flow wants to stand for one.
    #[error("the business key is that of instance {instance}")]
    KeyTaken { instance: Arc<str> },
    /// The version was taken back since it was chosen. Choose again.
    #[error("nothing is started on this version any more")]
    Retired,
    /// The outcome is not known. Ask again with an Idempotency-Key.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("no such instance")]
    Unknown,
    #[error("the instance has ended")]
    Ended,
    /// Retry later: the instance is behind with what it was told.
    #[error("too many commands wait for the instance")]
    Full,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a stored version cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("flow {0} has no version {1}")]
    Unknown(Arc<str>, u32),
    /// The stored document no longer compiles: an engine older than the one that published it?
    #[error("flow {flow} version {version} does not compile: {problem}")]
    Broken { flow: Arc<str>, version: u32, problem: String },
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while one of these maps was held leaves it whole: every change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<J: Journal, N: Nodes, C: Clock> Engine<J, N, C> {
    /// Makes an engine and starts to drive what the journal says is ready.
    pub fn start_up(journal: J, nodes: N, clock: C, options: &Options) -> Self {
        let engine = Self(Arc::new(Inner {
            journal,
            nodes,
            clock,
            tally: Tally::default(),
            flows: Mutex::default(),
            live: Mutex::default(),
            waiters: Mutex::default(),
            room: Arc::new(Semaphore::new(options.live_max)),
            sweeper: crate::sweep::Alarm::default(),
            moves: Mutex::default(),
            closing: AtomicBool::new(false),
            quiet: Notify::new(),
        }));
        tokio::spawn(crate::sweep::sweep(engine.clone()));
        engine
    }

    pub fn journal(&self) -> &J {
        &self.0.journal
    }

    pub fn nodes(&self) -> &N {
        &self.0.nodes
    }

    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Counts one more commit of an instance that came too late for its records.
    pub(crate) fn moved(&self, id: &Arc<str>) -> u8 {
        let mut moves = lock(&self.0.moves);
        let count = moves.entry(id.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    pub(crate) fn moves(&self, id: &str) -> u8 {
        lock(&self.0.moves).get(id).copied().unwrap_or_default()
    }

    /// The records of an instance stood still, or it is somebody else's.
    pub(crate) fn stand_still(&self, id: &str) {
        lock(&self.0.moves).remove(id);
    }

    /// Instances driven here just now.
    pub fn live(&self) -> usize {
        lock(&self.0.live).len()
    }

    /// A published version, compiled; cached. A machine perhaps without the actions that were plugged in last.
    pub async fn flow(&self, key: &Arc<str>, version: u32) -> Result<Arc<Flow>, FlowError> {
        self.flow_at(key, version, 0).await
    }

    /// The same; a machine with every action that is committed.
    pub async fn newest_flow(&self, key: &Arc<str>, version: u32) -> Result<Arc<Flow>, FlowError> {
        let flow = self.flow(key, version).await?;
        if flow.machine().is_none() {
            return Ok(flow);
        }
        let revision = self.0.journal.revision(key, version).await?;
        self.flow_at(key, version, revision).await
    }

    /// A version, compiled with this revision of its actions or a later one.
    async fn flow_at(&self, key: &Arc<str>, version: u32, revision: u32) -> Result<Arc<Flow>, FlowError> {
        if let Some(flow) = lock(&self.0.flows).get(&(key.clone(), version))
            && flow.machine().is_none_or(|machine| machine.revision >= revision)
        {
            return Ok(flow.clone());
        }
        let definition = self.0.journal.definition(key, version).await?;
        let definition = definition.ok_or_else(|| FlowError::Unknown(key.clone(), version))?;
        let broken = |problem: String| FlowError::Broken { flow: key.clone(), version, problem };
        let catalog: Catalog =
            serde_json::from_value((*definition.catalog).clone()).map_err(|error| broken(error.to_string()))?;
        let checked = check::check_plugged(&definition.document, &catalog, &definition.plugged);
        let first = checked.problems.first().map_or_else(String::new, |problem| problem.message.clone());
        let flow = Arc::new(checked.flow.ok_or_else(|| broken(first))?);
        // Of two that were compiled at the same time the later one stays.
        let older =
            |known: &Arc<Flow>| known.machine().map(|one| one.revision) <= flow.machine().map(|one| one.revision);
        let mut flows = lock(&self.0.flows);
        if flows.get(&(key.clone(), version)).is_none_or(older) {
            flows.insert((key.clone(), version), flow.clone());
        }
        Ok(flow)
    }

    /// Starts an instance; to be called in an async runtime. Nothing the caller does afterwards, or
    /// stops doing, changes its course.
    pub fn start(&self, request: StartRequest) -> Result<Started, StartError> {
        if self.closing() {
            return Err(StartError::Overloaded);
        }
        let room = self.0.room.clone().try_acquire_owned().map_err(|_| StartError::Overloaded)?;
        self.0.tally.started.fetch_add(1, Ordering::Relaxed);
        let id: Arc<str> = self.0.clock.new_id().to_string().into();
        let (answer_to, answer) = oneshot::channel();
        let (committed_to, committed) = oneshot::channel();
        let waits = request.wait;
        let waiters = if waits { vec![answer_to] } else { Vec::new() };
        let actor = Actor::new(self.clone(), id.clone(), waiters);
        let minder = Minder { engine: self.clone(), instance: id.clone() };
        tokio::spawn(async move {
            let _minder = minder;
            actor.begin(request, committed_to).await;
            drop(room);
        });
        Ok(Started { id, answer, committed })
    }

    /// Keeps a message and wakes an instance that waits for it. Committed when this returns.
    pub async fn post(&self, message: Message) -> Result<Posted, Unavailable> {
        let posted = self.0.journal.post(message).await?;
        if let Posted::Awaited(instances) = &posted {
            for instance in instances {
                self.wake(instance);
            }
        }
        Ok(posted)
    }

    /// Keeps a command for an instance. Committed when this returns; carried out soon after.
    pub async fn command(&self, instance: &str, command: Command, by: &str) -> Result<(), CommandError> {
        let at_ms = self.0.clock.now_ms();
        match self.0.journal.command(instance, command, by, at_ms).await? {
            CommandKept::Kept => {
                self.wake(&Arc::from(instance));
                Ok(())
            }
            CommandKept::Ended => Err(CommandError::Ended),
            CommandKept::Full => Err(CommandError::Full),
            CommandKept::Unknown => Err(CommandError::Unknown),
        }
    }

    /// Waits for the answer of an instance that runs already. `None` once `until` is over, or when the
    /// instance has ended already: read its row then.
    pub async fn watch(&self, instance: &Arc<str>, until: impl Future<Output = ()>) -> Option<Answer> {
        let (to, answer) = oneshot::channel();
        lock(&self.0.waiters).entry(instance.clone()).or_default().push(to);
        self.wake(instance);
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            () = until => None,
        }
    }

    /// Sees to it that an actor looks at the instance's inbox and timers.
    pub(crate) fn wake(&self, instance: &Arc<str>) {
        self.summon(instance, false);
    }

    /// Sees to it that calls of the instance that are paused are made now, or found to be paused still.
    pub fn release(&self, instance: &Arc<str>) {
        self.summon(instance, true);
    }

    fn summon(&self, instance: &Arc<str>, release: bool) {
        let live = {
            let mut all = lock(&self.0.live);
            if let Some(live) = all.get(instance) {
                live.released.fetch_or(release, Ordering::AcqRel);
                live.woken.store(true, Ordering::Release);
                live.bell.notify_one();
                return;
            }
            if self.closing() {
                return;
            }
            let live = Arc::new(Live { released: release.into(), ..Live::default() });
            all.insert(instance.clone(), live.clone());
            live
        };
        let engine = self.clone();
        let instance = instance.clone();
        let minder = Minder { engine: self.clone(), instance: instance.clone() };
        tokio::spawn(async move {
            let _minder = minder;
            let room = engine.0.room.clone().acquire_owned().await.ok();
            engine.drive_taken(instance, live, room).await;
        });
    }

    async fn drive_taken(self, instance: Arc<str>, live: Arc<Live>, room: Option<OwnedSemaphorePermit>) {
        loop {
            live.woken.store(false, Ordering::Release);
            let waiters = lock(&self.0.waiters).remove(&instance).unwrap_or_default();
            let actor = Actor::new(self.clone(), instance.clone(), waiters);
            actor.resume(&live).await;
            if self.retire(&instance, &live) {
                break;
            }
        }
        drop(room);
    }

    /// Puts an instance that has just begun on the list, so that what comes for it finds its actor.
    pub(crate) fn enlist(&self, instance: &Arc<str>) -> Arc<Live> {
        let live = Arc::new(Live::default());
        lock(&self.0.live).insert(instance.clone(), live.clone());
        live
    }

    /// Takes the actor off the list. `false`: something came meanwhile; take the instance again.
    pub(crate) fn retire(&self, instance: &Arc<str>, live: &Live) -> bool {
        let mut all = lock(&self.0.live);
        if live.woken.load(Ordering::Acquire) && !self.closing() {
            return false;
        }
        all.remove(instance);
        drop(all);
        self.0.quiet.notify_one();
        true
    }

    /// Goes on driving an instance whose first actor ended while something came in.
    pub(crate) fn drive_again(&self, instance: Arc<str>, live: Arc<Live>) -> impl Future<Output = ()> + Send {
        self.clone().drive_taken(instance, live, None)
    }

    /// Keeps callers until their instance is driven again.
    pub(crate) fn keep_waiters(&self, instance: &Arc<str>, mut waiters: Vec<Waiter>) {
        waiters.retain(|waiter| !waiter.is_closed());
        if !waiters.is_empty() {
            lock(&self.0.waiters).entry(instance.clone()).or_default().append(&mut waiters);
        }
    }

    /// Forgets callers that went away while their instance was parked.
    pub(crate) fn forget_gone_waiters(&self) {
        lock(&self.0.waiters).retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }

    /// Callers that came while the instance was being driven.
    pub(crate) fn new_waiters(&self, instance: &Arc<str>) -> Vec<Waiter> {
        let mut all = lock(&self.0.waiters);
        if all.is_empty() { Vec::new() } else { all.remove(instance).unwrap_or_default() }
    }

    pub(crate) fn closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// Takes no more starts, lets what is under way come to a commit, and parks it. Returns when
    /// nothing is driven any more, or after `grace`; what is left then goes on at the next start.
    pub async fn shut_down(&self, grace: Duration) {
        self.0.closing.store(true, Ordering::Release);
        self.0.sweeper.ring();
        for live in self.all_live() {
            live.bell.notify_one();
        }
        let all_quiet = async {
            while self.live() > 0 {
                self.0.quiet.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = all_quiet => {}
            () = self.0.clock.sleep(grace) => {}
        }
    }

    /// In the order of their ids: what is told to all of them is told in an order that can be had again.
    fn all_live(&self) -> Vec<Arc<Live>> {
        let all = lock(&self.0.live);
        let mut all: Vec<_> = all.iter().map(|(id, live)| (id.clone(), live.clone())).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all.into_iter().map(|(_, live)| live).collect()
    }
}

/// Stands beside an actor. If the actor panics, its instance is taken again as it was last committed.
struct Minder<J, N, C> {
    engine: Engine<J, N, C>,
    instance: Arc<str>,
}

impl<J, N, C> Drop for Minder<J, N, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(instance = %self.instance, "driving the instance panicked; it is taken again, later each time");
            let Inner { live, sweeper, quiet, .. } = &*self.engine.0;
            lock(live).remove(&self.instance);
            sweeper.fell(&self.instance);
            quiet.notify_one();
        }
    }
}

impl Started {
    /// Waits until the start is on disk; the state it was stored in.
    pub async fn committed(&mut self) -> Result<State, StartError> {
        match (&mut self.committed).await {
            Ok(result) => result,
            Err(_) => Err(Unavailable("the start was given up".to_owned()).into()),
        }
    }

    /// Waits for the reply, the end or an incident. `None` once `until` is over: the instance goes
    /// on, and its start is on disk.
    ///
    /// # Errors
    ///
    /// The start itself was not taken.
    pub async fn answer(mut self, until: impl Future<Output = ()>) -> Result<Option<Answer>, StartError> {
        tokio::select! {
            biased;
            answer = &mut self.answer => match answer {
                Ok(answer) => Ok(Some(answer)),
                Err(_) => self.committed().await.map(|_| None),
            },
            () = until => self.committed().await.map(|_| None),
        }
    }
}
