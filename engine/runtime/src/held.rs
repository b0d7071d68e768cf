//! One instance in hand: step, commit, act, wait; until it is parked or has ended.
//!
//! Invariants:
//! - An external call is made, and a caller answered, only when every event so far is committed.
//! - Pure calls are made before their commit: what they return is the same after a crash. So are transactional ones:
//!   what they did to records is committed with what they return, or not at all (`records`).
//! - After any failed commit everything held is forgotten; the journal alone says how it goes on.
//!
//! Not here: how an instance comes into hand (`actor`), which calls and answers there are (`core`).

mod calls;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use stepwell_core::catalog::EffectClass;
use stepwell_core::flow::Flow;
use stepwell_core::machine::{
    self, Call, Command, Effect, Entry, Event, Instance, Limit, MACHINE_LOOP, Outcome, SNAPSHOT_BYTES_MAX, State,
    TokenId,
};
use stepwell_core::planted;
use tokio::sync::oneshot;

use crate::engine::{Live, Waiter};
use crate::journal::{
    Admission, Append, AppendError, HELD, Header, Inbound, InboxId, InboxItem, TaskMoves, Unavailable,
};
use crate::nodes::{About, Answer as NodeAnswer};
use crate::records::Staged;
use crate::{Answer, Clock, Engine, FlowError, Journal, Nodes, StartError, stages};
use calls::CallFuture;

/// What is not committed after this long is committed without further reason, so that an instance
/// in a long pure call can be seen, and found again.
const UNCOMMITTED_MS_MAX: u64 = 10;
/// An instance due within this time is not parked first.
const LINGER_MS: u64 = 1_000;

/// The state the start was stored in.
pub(crate) type Commits = Result<State, StartError>;

/// Told once, when the first commit stands or is refused.
pub(crate) struct Origin {
    pub(crate) admission: Admission,
    pub(crate) committed: oneshot::Sender<Commits>,
    /// The caller is answered as soon as the start is on disk, so that comes first.
    pub(crate) at_once: bool,
    /// What it begins with, and begins anew with.
    pub(crate) started: Event,
}

/// Why an instance is let go before it is parked.
enum Stop {
    /// Another owner has the instance, or another start won.
    NotOurs,
    /// The store failed, or a message went to another instance: whatever was not committed did not
    /// happen, and the instance is taken again.
    Again,
    /// It may well go wrong the same way: taken again as well, later each time.
    Later,
    /// A record moved before the start was stored: begun anew.
    Anew,
    /// A record moved: taken again at once.
    Moved,
}

/// An instance in hand.
pub(crate) struct Held<J, N, C> {
    pub(crate) engine: Engine<J, N, C>,
    pub(crate) id: Arc<str>,
    pub(crate) flow: Arc<Flow>,
    about: Arc<About>,
    /// Moved through `step`; `None` only inside it.
    pub(crate) it: Option<Instance>,
    pub(crate) epoch: u64,
    pub(crate) stored_seq: u64,
    /// Steps taken since the last commit, the first of them at `uncommitted_ms`. A chain of short pure
    /// calls is committed every [`UNCOMMITTED_MS_MAX`] as well.
    entries: Vec<Entry>,
    uncommitted_ms: u64,
    taken: Vec<InboxId>,
    /// Open tasks as of the last commit, with their attempts.
    pub(crate) stored_tasks: Vec<(TokenId, u32)>,
    /// External calls that wait for the commit.
    licensed_by_commit: Vec<Call>,
    /// Calls that were under way when the instance was last let go: (token, attempt).
    under_way: Vec<(TokenId, u32)>,
    calls: FuturesUnordered<CallFuture>,
    staged: Staged,
    /// How often in a row its records had moved when it came to commit.
    pub(crate) moves: u8,
    answer: Option<Answer>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) origin: Option<Origin>,
    pub(crate) inbox: VecDeque<InboxItem>,
    pub(crate) live: Option<Arc<Live>>,
}

impl<J: Journal, N: Nodes, C: Clock> Held<J, N, C> {
    /// With nothing in it yet.
    pub(crate) fn new(engine: Engine<J, N, C>, id: Arc<str>, flow: Arc<Flow>, about: About) -> Self {
        Self {
            engine,
            id,
            flow,
            about: Arc::new(about),
            it: None,
            epoch: 1,
            stored_seq: 0,
            entries: Vec::with_capacity(8),
            uncommitted_ms: 0,
            taken: Vec::new(),
            stored_tasks: Vec::new(),
            licensed_by_commit: Vec::new(),
            under_way: Vec::new(),
            calls: FuturesUnordered::new(),
            staged: Staged::default(),
            moves: 0,
            answer: None,
            waiters: Vec::new(),
            origin: None,
            inbox: VecDeque::new(),
            live: None,
        }
    }

    /// Takes up what was under way when the instance was last driven.
    pub(crate) fn go_on(&mut self) {
        let Some(it) = &self.it else { return };
        let (events, effects) = (machine::interrupted(&self.flow, it), machine::resume(&self.flow, it));
        if it.end.is_some() || it.state() == State::Incident {
            self.answer = Some(answer(it, false));
        }
        // Everything in the snapshot is committed: these calls are licensed.
        self.act(effects);
        self.under_way = self.licensed_by_commit.iter().map(|call| (call.token, call.attempt)).collect();
        for event in events {
            self.take(event);
        }
        self.fire_due();
        self.fire_released();
    }

    /// Steps through one event; what comes of it is queued. `false`: the core refused it.
    pub(crate) fn take(&mut self, event: Event) -> bool {
        let Some(it) = self.it.take() else { return false };
        let at_ms = self.engine.0.clock.now_ms();
        let stood = if self.flow.has_stages { stages::standing(&self.flow, &it) } else { Vec::new() };
        let (it, result) = machine::step(&self.flow, it, at_ms, &event);
        match result {
            Ok(effects) => {
                if self.entries.is_empty() {
                    self.uncommitted_ms = at_ms;
                }
                self.entries.push(Entry { seq: it.seq, at_ms: it.now_ms, event });
                if let Some(Entry { event: Event::Evaluated { .. }, .. }) = self.entries.last()
                    && it.error().is_some_and(|error| error.code == MACHINE_LOOP)
                {
                    self.engine.0.tally.machine_loops.fetch_add(1, Ordering::Relaxed);
                }
                if self.flow.has_stages {
                    self.engine.0.tally.stages.left(&self.flow, stood, &it);
                }
                let stuck = (it.state() == State::Incident).then(|| answer(&it, false));
                self.it = Some(it);
                self.act(effects);
                // A reply of the same batch is the answer, whatever else went wrong beside it; an incident that was left
                // by then is none.
                if self.answer.as_ref().is_none_or(|waiting| !waiting.replied) {
                    self.answer = stuck.or(self.answer.take().filter(|answer| answer.state != State::Incident));
                }
                true
            }
            Err(refused) => {
                tracing::debug!(instance = %self.id, %refused, "an event was refused");
                self.it = Some(it);
                false
            }
        }
    }

    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(call) => {
                    if call.callee.effect == EffectClass::External && !planted::on("effect-before-commit") {
                        self.licensed_by_commit.push(*call);
                    } else {
                        self.make(*call);
                    }
                }
                Effect::Evaluate { token, keep } => self.ask_revision(token, keep),
                Effect::Reply(output) => {
                    let state = self.it.as_ref().map_or(State::Running, Instance::state);
                    self.answer = Some(Answer { state, output: Some(output), error: None, replied: true });
                    if planted::on("reply-before-commit") {
                        let _ = self.release();
                    }
                }
                Effect::Ended(_) => {
                    self.calls.clear();
                    self.staged.stop();
                    self.licensed_by_commit.clear();
                    if let Some(it) = &self.it {
                        let replied = it.reply.is_some();
                        // A reply of the same batch is the answer; the end adds nothing to it.
                        let end = answer(it, replied);
                        self.answer = Some(match self.answer.take() {
                            Some(reply) if reply.replied => Answer { state: end.state, ..reply },
                            _ => end,
                        });
                    }
                }
            }
        }
    }

    /// Until parked or ended. Returns the instance's place on the list of driven ones, if it has one.
    pub(crate) async fn drive(mut self) -> Option<Arc<Live>> {
        loop {
            match self.turn().await {
                Ok(true) => break,
                Ok(false) => {}
                Err(Stop::Anew) => self.begin_anew(),
                Err(stop) => {
                    self.forget(&stop);
                    break;
                }
            }
        }
        let waiters = std::mem::take(&mut self.waiters);
        self.engine.keep_waiters(&self.id, waiters);
        self.live.take()
    }

    /// Takes what came in, commits what is due, waits for what comes next. `true`: parked or ended.
    async fn turn(&mut self) -> Result<bool, Stop> {
        self.drain_inbox().await?;
        let over = self.commit_if_due().await?;
        // What came in with the commit is given to the core before anything is waited for.
        if !over && self.inbox.is_empty() {
            self.wait().await?;
        } else if !over {
            self.begin().await?;
        }
        Ok(over)
    }

    /// Gives what came from outside to the core. What fits nothing yet stays in the inbox.
    async fn drain_inbox(&mut self) -> Result<(), Stop> {
        while let Some(item) = self.inbox.pop_front() {
            if self.taken.contains(&item.id) {
                continue;
            }
            let event = match item.what {
                Inbound::Command { command: Command::Migrate { version, nodes, .. }, by } => {
                    self.taken.push(item.id);
                    self.migrate(version, nodes, by).await?;
                    continue;
                }
                Inbound::Command { command, by } => Some(Event::Commanded { command, by }),
                Inbound::Message { name, key, id, payload } => {
                    self.waiting_for(&name, &key).map(|token| Event::MessageArrived { token, id, payload })
                }
            };
            if event.is_none() && planted::on("message-used-up-unread") {
                self.taken.push(item.id);
            }
            if let Some(event) = event {
                self.taken.push(item.id);
                self.take(event);
            }
        }
        Ok(())
    }

    /// Goes on with another version of the flow, if the instance fits it as it stands now.
    async fn migrate(&mut self, version: u32, nodes: BTreeMap<String, String>, by: String) -> Result<(), Stop> {
        // What was compiled once stays compiled; whether it was taken back since is for the journal to say.
        match self.engine.0.journal.definition(&self.about.flow, version).await {
            Ok(Some(definition)) if !definition.retired => {}
            Ok(_) => {
                tracing::warn!(instance = %self.id, version, "not migrated: the version is not there any more");
                return Ok(());
            }
            Err(_) => return Err(Stop::Again),
        }
        let flow = match self.engine.newest_flow(&self.about.flow, version).await {
            Ok(flow) => flow,
            Err(FlowError::Unavailable(_)) => return Err(Stop::Again),
            Err(error) => {
                tracing::warn!(instance = %self.id, %error, "not migrated");
                return Ok(());
            }
        };
        let Some(it) = &self.it else { return Err(Stop::NotOurs) };
        match machine::migrate(&self.flow, &flow, it, &nodes) {
            Ok(moved) => {
                let from = Some(it.version);
                self.it = Some(moved);
                self.flow = flow;
                // Each is put out again, as the other version has it.
                self.stored_tasks.iter_mut().for_each(|(_, attempt)| *attempt = u32::MAX);
                self.about = Arc::new(About { version, ..(*self.about).clone() });
                self.take(Event::Commanded { command: Command::Migrate { version, from, nodes }, by });
            }
            Err(unfit) => tracing::warn!(instance = %self.id, version, ?unfit, "not migrated: it has moved on"),
        }
        Ok(())
    }

    /// The token that a message is for.
    fn waiting_for(&self, name: &str, key: &str) -> Option<TokenId> {
        self.it.as_ref()?.taker(name, key)
    }

    /// What one event asked for and a later one of the same batch gave up is not called.
    fn drop_given_up(&mut self) {
        let it = self.it.as_ref();
        self.licensed_by_commit.retain(|call| it.is_some_and(|it| it.awaits(call.token, call.attempt, call.op)));
    }

    /// Commits when something may leave the process only after it. `true`: the instance is parked or ended.
    async fn commit_if_due(&mut self) -> Result<bool, Stop> {
        self.drop_given_up();
        let Some(it) = &self.it else { return Err(Stop::NotOurs) };
        let ended = it.end.is_some();
        let idle = self.calls.is_empty() && self.licensed_by_commit.is_empty();
        let now_ms = self.engine.0.clock.now_ms();
        let soon = it.due_ms().is_some_and(|due| due <= now_ms.saturating_add(LINGER_MS));
        let park = idle && (ended || !soon || self.engine.closing());
        let at_once = self.origin.as_ref().is_some_and(|origin| origin.at_once);
        let overdue = !self.entries.is_empty() && now_ms.abs_diff(self.uncommitted_ms) >= UNCOMMITTED_MS_MAX;
        let leaves = park
            || at_once
            || overdue
            || self.answer.is_some()
            || !self.licensed_by_commit.is_empty()
            || !self.taken.is_empty();
        if !leaves {
            return Ok(false);
        }
        if !self.entries.is_empty() || !self.taken.is_empty() || park {
            self.commit(park).await?;
        }
        self.release()?;
        // What came in during the last commit is looked at before the instance is let go.
        Ok(park && (ended || self.inbox.is_empty() || !self.again().await?))
    }

    /// A parked instance with something in its inbox is taken again.
    async fn again(&mut self) -> Result<bool, Stop> {
        let fits = self.inbox.iter().any(|item| match &item.what {
            Inbound::Command { .. } => true,
            Inbound::Message { name, key, .. } => self.waiting_for(name, key).is_some(),
        });
        if !fits {
            return Ok(false);
        }
        match self.engine.0.journal.take(&self.id).await {
            Ok(Some(taken)) if taken.seq == self.stored_seq => {
                self.epoch = taken.epoch;
                self.inbox = taken.inbox.into();
                Ok(true)
            }
            // Another engine drove it on since it was parked. It is ours now, so it must not be left as it is.
            Ok(Some(_)) | Err(_) => Err(Stop::Again),
            Ok(None) => Err(Stop::NotOurs),
        }
    }

    async fn commit(&mut self, park: bool) -> Result<(), Stop> {
        let snapshot = self.snapshot()?;
        let Some(it) = &self.it else { return Err(Stop::NotOurs) };
        let ended = it.end.is_some();
        if self.live.is_none() && !(ended && self.origin.is_some()) {
            self.live = Some(self.engine.enlist(&self.id));
        }
        let awaited = it.subscriptions().into_iter().map(|one| (one.message, one.key));
        let held = it.held().map(|(_, _, by)| (HELD.into(), by.to_owned()));
        let subscriptions = awaited.chain(held).collect();
        let due_ms = it.due_ms();
        let (tasks, open_tasks) = self.task_moves(it);
        let header = Header {
            state: it.state(),
            updated_ms: it.now_ms,
            due_ms,
            error: it.error().cloned(),
            reply: it.reply.as_ref().map(|reply| reply.value.clone()),
            output: if it.state() == State::Completed { it.output().map(|output| output.value.clone()) } else { None },
            priority: it.priority,
            standing: it.root().machine.as_ref().map(|one| (one.state.clone(), one.since_ms)),
            forget_ms: self.flow.retention_ms.filter(|_| ended).map(|kept_ms| it.now_ms.saturating_add(kept_ms)),
        };
        let (seq, state) = (it.seq, it.state());
        let append = Append {
            instance: self.id.clone(),
            expected_seq: self.stored_seq,
            epoch: self.epoch,
            entries: std::mem::take(&mut self.entries),
            header,
            snapshot,
            version: it.version,
            subscriptions: if planted::on("subscription-not-stored") { Vec::new() } else { subscriptions },
            tasks,
            taken: std::mem::take(&mut self.taken),
            records: self.staged.touched(),
            admission: self.origin.as_ref().map(|origin| origin.admission.clone()),
            park,
        };
        self.engine.0.tally.commits.fetch_add(1, Ordering::Relaxed);
        if planted::on("start-acknowledged-early") {
            let _ = self.origin.take().map(|origin| origin.committed.send(Ok(state)));
        }
        match self.engine.0.journal.append(append).await {
            Err(AppendError::Conflict(_)) if planted::on("conflict-ignored") => {
                self.stored_seq = seq;
                Ok(())
            }
            Ok(appended) => {
                self.stored_seq = seq;
                self.stand_still();
                self.stored_tasks = open_tasks;
                self.inbox = appended.inbox.into();
                if let Some(origin) = self.origin.take() {
                    let _ = origin.committed.send(Ok(state));
                }
                if park {
                    self.engine.0.sweeper.stood(&self.id);
                }
                if park && let Some(due_ms) = due_ms {
                    self.engine.0.sweeper.set(due_ms);
                }
                if ended {
                    self.engine.0.tally.ended.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    /// What became of the open tasks since the last commit, and which they are now.
    fn task_moves(&self, it: &Instance) -> (TaskMoves, Vec<(TokenId, u32)>) {
        let open = it.open_tasks(&self.flow);
        let now: Vec<(TokenId, u32)> = open.iter().map(|task| (task.token, task.attempt)).collect();
        let gone = self.stored_tasks.iter().filter(|(token, _)| !now.iter().any(|(one, _)| one == token));
        let gone = gone.filter(|_| !planted::on("task-not-withdrawn")).map(|(token, _)| *token).collect();
        let new = open.into_iter().filter(|task| !self.stored_tasks.contains(&(task.token, task.attempt)));
        let open = new.collect();
        (TaskMoves { open, gone }, now)
    }

    /// The instance as text; nothing once it has ended. One that has grown over the limit is told so
    /// and becomes an incident, which is stored whatever its size: nothing of it is lost.
    fn snapshot(&mut self) -> Result<Option<String>, Stop> {
        let text = self.text()?;
        match &text {
            Some(text) if text.len() > SNAPSHOT_BYTES_MAX => {
                tracing::warn!(instance = %self.id, bytes = text.len(), "the snapshot is over its limit");
                self.take(Event::LimitReached { limit: Limit::SnapshotBytes, value: text.len() as u64 });
            }
            _ => return Ok(text),
        }
        // Calls that no commit has licensed are not made. Those under way come back too late to be taken.
        self.drop_given_up();
        self.text()
    }

    fn text(&self) -> Result<Option<String>, Stop> {
        let Some(it) = self.it.as_ref().filter(|it| it.end.is_none()) else { return Ok(None) };
        machine::snapshot(&self.flow, it).map(Some).map_err(|error| {
            tracing::error!(instance = %self.id, %error, "no snapshot could be written");
            Stop::NotOurs
        })
    }

    fn refused(&mut self, error: AppendError) -> Stop {
        match error {
            AppendError::Conflict(_) => {
                self.engine.0.tally.conflicts.fetch_add(1, Ordering::Relaxed);
                Stop::NotOurs
            }
            AppendError::Gone(_) => Stop::Again,
            AppendError::Moved(_) => self.moved(),
            // What it was to be migrated to: taken again, it stays on what it has.
            AppendError::Retired if self.origin.is_none() => Stop::Again,
            AppendError::Duplicate { instance, other_request } => {
                self.not_started(StartError::Duplicate { instance, other_request })
            }
            AppendError::KeyTaken { instance } => self.not_started(StartError::KeyTaken { instance }),
            AppendError::Retired => self.not_started(StartError::Retired),
            AppendError::Malformed(text) => {
                tracing::error!(instance = %self.id, error = %text, "a commit was refused for good");
                if let Some(origin) = self.origin.take() {
                    let _ = origin.committed.send(Err(Unavailable(text).into()));
                    self.waiters.clear();
                }
                Stop::Later
            }
            AppendError::Unavailable(Unavailable(text)) => {
                tracing::warn!(instance = %self.id, error = %text, "a commit failed");
                if let Some(origin) = self.origin.take() {
                    let _ = origin.committed.send(Err(Unavailable(text).into()));
                    self.waiters.clear();
                }
                Stop::Again
            }
        }
    }

    /// The start is refused: its run is forgotten, and its caller told.
    fn not_started(&mut self, why: StartError) -> Stop {
        if let Some(origin) = self.origin.take() {
            let _ = origin.committed.send(Err(why));
        }
        self.waiters.clear();
        Stop::NotOurs
    }

    /// What the commit licensed: answers go out, external calls are made. An engine that stood still since
    /// the commit may have been taken for dead: it makes no call, and takes the instance again first.
    fn release(&mut self) -> Result<(), Stop> {
        if let Some(answer) = self.answer.take() {
            self.waiters.append(&mut self.engine.new_waiters(&self.id));
            for waiter in self.waiters.drain(..) {
                let _ = waiter.send(answer.clone());
            }
        }
        if !self.licensed_by_commit.is_empty() && !self.engine.0.journal.is_heard() && !planted::on("lease-ignored") {
            return Err(Stop::Again);
        }
        for call in std::mem::take(&mut self.licensed_by_commit) {
            self.make(call);
        }
        Ok(())
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self) -> Result<(), Stop> {
        let now_ms = self.engine.0.clock.now_ms();
        let due_ms = self.it.as_ref().and_then(Instance::due_ms);
        let uncommitted = !self.entries.is_empty();
        let nap_ms = due_ms.map_or(u64::MAX, |due| due.saturating_sub(now_ms));
        // A clock that was set since, forwards or back, is no reason to wait longer.
        let left_ms = UNCOMMITTED_MS_MAX.saturating_sub(now_ms.abs_diff(self.uncommitted_ms));
        let nap_ms = if uncommitted { nap_ms.min(left_ms) } else { nap_ms };
        let engine = self.engine.clone();
        let live = self.live.clone();
        tokio::select! {
            biased;
            Some(back) = self.calls.next() => self.back(back),
            () = rung(live.as_deref()) => self.look().await,
            () = nap(&engine, nap_ms) => {
                self.fire_due();
                Ok(())
            }
        }
    }

    /// Something came while the instance was being driven.
    async fn look(&mut self) -> Result<(), Stop> {
        if let Some(live) = &self.live {
            live.woken.store(false, Ordering::Release);
        }
        self.fire_released();
        self.waiters.append(&mut self.engine.new_waiters(&self.id));
        match self.engine.0.journal.inbox(&self.id).await {
            Ok(inbox) => {
                self.inbox = inbox.into();
                Ok(())
            }
            Err(_) => Err(Stop::Again),
        }
    }

    /// Paused calls are made ahead of their time if they were let go.
    fn fire_released(&mut self) {
        if !self.live.as_ref().is_some_and(|live| live.released.swap(false, Ordering::AcqRel)) {
            return;
        }
        let Some(it) = &self.it else { return };
        let held: Vec<(TokenId, u64)> = it.held().map(|(token, due_ms, _)| (token, due_ms)).collect();
        for (token, due_ms) in held {
            self.take(Event::TimerFired { token, due_ms });
        }
    }

    fn fire_due(&mut self) {
        let now_ms = self.engine.0.clock.now_ms();
        let Some(it) = &self.it else { return };
        let due: Vec<(TokenId, u64)> = it.due().filter(|(_, due_ms)| *due_ms <= now_ms).collect();
        for (token, due_ms) in due {
            self.take(Event::TimerFired { token, due_ms });
        }
    }

    /// Lets go of an instance whose commit did not stand. Callers keep waiting: whoever drives it next answers them.
    fn forget(&mut self, stop: &Stop) {
        self.calls.clear();
        match stop {
            Stop::NotOurs | Stop::Anew => self.engine.stand_still(&self.id),
            Stop::Again => self.engine.0.sweeper.take_again(&self.id),
            // Its actor goes on with it.
            Stop::Moved => self.live.iter().for_each(|live| live.woken.store(true, Ordering::Release)),
            Stop::Later => self.engine.0.sweeper.fell(&self.id),
        }
    }
}

fn answer(it: &Instance, replied: bool) -> Answer {
    let held = it.reply.as_ref().or(it.output());
    Answer { state: it.state(), output: held.map(|held| held.value.clone()), error: it.error().cloned(), replied }
}

async fn rung(live: Option<&Live>) {
    match live {
        Some(live) => live.bell.notified().await,
        None => std::future::pending().await,
    }
}

async fn nap<J: Journal, N: Nodes, C: Clock>(engine: &Engine<J, N, C>, nap_ms: u64) {
    if nap_ms == u64::MAX {
        std::future::pending::<()>().await;
    }
    engine.0.clock.sleep(Duration::from_millis(nap_ms)).await;
}

impl crate::Tally {
    fn count(&self, answer: &NodeAnswer) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.call_us.fetch_add(answer.duration_us, Ordering::Relaxed);
        match &answer.outcome {
            Outcome::Failed(_) => self.calls_failed.fetch_add(1, Ordering::Relaxed),
            Outcome::Cut(_) => self.calls_cut.fetch_add(1, Ordering::Relaxed),
            Outcome::Done { .. } | Outcome::Waiting { .. } | Outcome::NeverRan => 0,
        };
    }
}
