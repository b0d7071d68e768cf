//! The store as an engine sees it: slow, sometimes out of reach, sometimes the last thing a process did.

use std::future::Future;
use std::sync::Arc;

use stepwell_core::machine::{Command, Entry, OpenTask};
use stepwell_runtime::journal::{
    Append, AppendError, Appended, CommandKept, Definition, InboxItem, Message, Posted, Taken, Unavailable,
};
use stepwell_runtime::{Clock, Journal};

use crate::clock::SimClock;
use crate::store::{Grasp, Seat, TaskId};
use crate::tell::{event_text, short};
use crate::world::{Health, LEASE_MS, Sim, World};

#[derive(Clone)]
pub struct SimJournal {
    pub sim: Sim,
    pub host: usize,
}

/// What goes wrong with one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Well,
    /// It takes that many milliseconds to get there.
    Slow(u64),
    CrashBefore,
    CrashAfter,
    CrashSoon,
    FailBefore,
    FailAfter,
    StallBefore,
    StallAfter,
}

impl SimJournal {
    fn plan(&self, name: &str, writes: bool) -> (Plan, u64, u64) {
        let mut world = self.sim.world();
        let ordered = world.ordered.iter().position(|(host, of, _)| *host == self.host && *of == name);
        if let Some((_, _, plan)) = ordered.map(|at| world.ordered.remove(at)) {
            return if let Plan::Slow(ms) = plan { (plan, ms, 0) } else { (plan, 0, 0) };
        }
        let faults = world.faults.clone();
        let chance = &mut world.chance;
        let plan = if writes && chance.permille(faults.crash) {
            *chance.pick(&[Plan::CrashBefore, Plan::CrashAfter, Plan::CrashSoon]).unwrap_or(&Plan::Well)
        } else if chance.permille(faults.crash_anywhere) {
            Plan::CrashSoon
        } else if chance.permille(faults.unavailable) {
            if writes && chance.permille(500) { Plan::FailAfter } else { Plan::FailBefore }
        } else if writes && chance.permille(faults.stall) {
            *chance.pick(&[Plan::StallBefore, Plan::StallAfter]).unwrap_or(&Plan::Well)
        } else {
            Plan::Well
        };
        let slow = if chance.permille(faults.slow_store) { 3_000 } else { 5 };
        let (there, back) = (chance.while_ms(2, slow), chance.while_ms(1, slow));
        if plan != Plan::Well {
            world.count.faults += 1;
        }
        (plan, there, back)
    }

    /// One operation, with all that can happen to it.
    async fn operation<T>(
        &self,
        name: &'static str,
        writes: bool,
        run: impl FnOnce(&mut World, Seat) -> T,
    ) -> Result<T, Unavailable> {
        let Self { sim, host } = self;
        let host = *host;
        sim.gate(host).await;
        let (plan, there, back) = self.plan(name, writes);
        if plan != Plan::Well {
            sim.tell(|| format!("host {host}: {name} goes {plan:?}"));
        }
        sim.time.sleep(there).await;
        match plan {
            Plan::CrashBefore => return sim.crash_here(host).await,
            Plan::StallBefore => self.stall(),
            _ => {}
        }
        sim.alive(host).await;
        if plan == Plan::FailBefore || sim.world().out {
            sim.time.sleep(back).await;
            sim.alive(host).await;
            return Err(Unavailable("the store was out of reach".to_owned()));
        }
        let done = self.at_once(writes, run)?;
        match plan {
            Plan::CrashAfter => return sim.crash_here(host).await,
            Plan::StallAfter => self.stall(),
            Plan::CrashSoon => {
                let mut world = sim.world();
                let acts = world.chance.below(4);
                world.hosts[host].doomed = Some(acts);
            }
            _ => {}
        }
        sim.time.sleep(back).await;
        sim.alive(host).await;
        if plan == Plan::FailAfter {
            return Err(Unavailable("the answer of the store was lost".to_owned()));
        }
        Ok(done)
    }

    /// In one transaction; one that writes proves first that this engine was not taken for dead.
    fn at_once<T>(&self, writes: bool, run: impl FnOnce(&mut World, Seat) -> T) -> Result<T, Unavailable> {
        let done = {
            let mut world = self.sim.world();
            let seat = world.hosts[self.host].seat;
            if writes && !world.store.seats.contains(&seat) {
                world.hosts[self.host].seat = world.store.sit_down();
                return Err(Unavailable("this engine was taken for dead".to_owned()));
            }
            if writes {
                world.hosts[self.host].heard_ms = self.sim.time.now_ms();
            }
            run(&mut world, seat)
        };
        if writes {
            self.sim.hint(self.host);
        }
        Ok(done)
    }

    /// A worker asks this engine for work. When it gets some, it has it until the lock is over by this engine's clock.
    pub async fn fetch(
        &self,
        worker: &str,
        lock_ms: u64,
        limit: usize,
    ) -> Result<Vec<(TaskId, OpenTask)>, Unavailable> {
        let now_ms = SimClock { sim: self.sim.clone(), host: self.host }.now_ms();
        self.operation("fetch", true, |world, _| {
            let fetched = world.store.fetch(worker, now_ms + lock_ms, now_ms, limit);
            for (id, task) in &fetched {
                world.book.fetched(id, task.attempt, worker, now_ms..now_ms + lock_ms);
            }
            fetched
        })
        .await
    }

    /// A worker wants its task for longer, or is about to answer.
    pub async fn extend(&self, id: &TaskId, attempt: u32, worker: &str, lock_ms: u64) -> Result<Grasp, Unavailable> {
        let now_ms = SimClock { sim: self.sim.clone(), host: self.host }.now_ms();
        self.operation("extend", true, |world, _| {
            let grasp = world.store.extend(id, attempt, worker, now_ms + lock_ms);
            if grasp == Grasp::Held {
                world.book.extended(id, attempt, worker, now_ms + lock_ms);
            }
            grasp
        })
        .await
    }

    pub async fn claim(&self, id: &TaskId, who: &str) -> Result<Grasp, Unavailable> {
        self.operation("claim", true, |world, _| world.store.claim(id, who)).await
    }

    /// The process stops; it is woken by whoever looks after it (`script`).
    fn stall(&self) {
        self.sim.world().count.faults += 1;
        self.sim.set_health(self.host, Health::Stalled);
    }
}

impl Journal for SimJournal {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.sim.tell(|| {
            let events: Vec<String> = append.entries.iter().map(|entry| event_text(&entry.event)).collect();
            let (it, state) = (short(&append.instance), append.header.state.name());
            let parks = if append.park { ", parks" } else { "" };
            format!(
                "host {}: commits {it} at {} epoch {}: {events:?} → {state}{parks}",
                self.host, append.expected_seq, append.epoch
            )
        });
        self.operation("append", true, |world, seat| world.append(seat, &append)).await?
    }

    async fn take(&self, instance: &str) -> Result<Option<Taken>, Unavailable> {
        self.operation("take", true, |world, seat| world.store.take(seat, instance)).await
    }

    fn is_heard(&self) -> bool {
        let world = self.sim.world();
        let heard_ms = world.hosts[self.host].heard_ms;
        !world.store.shared || self.sim.time.now_ms().saturating_sub(heard_ms) < LEASE_MS
    }

    async fn ready(&self, now_ms: u64, limit: u32) -> Result<Vec<Arc<str>>, Unavailable> {
        self.operation("ready", false, |world, seat| world.store.ready(seat, now_ms, limit)).await
    }

    async fn next_due_ms(&self) -> Result<Option<u64>, Unavailable> {
        self.operation("next due", false, |world, _| world.store.next_due_ms()).await
    }

    fn rung(&self) -> impl Future<Output = ()> + Send {
        let bell = self.sim.world().hosts[self.host].bell.clone();
        async move { bell.notified().await }
    }

    async fn entries(&self, instance: &str, seqs: &[u64]) -> Result<Vec<Entry>, Unavailable> {
        self.operation("entries", false, |world, _| world.store.entries(instance, seqs)).await
    }

    async fn inbox(&self, instance: &str) -> Result<Vec<InboxItem>, Unavailable> {
        self.operation("inbox", false, |world, _| world.store.inbox(instance)).await
    }

    async fn post(&self, message: Message) -> Result<Posted, Unavailable> {
        self.operation("post", true, |world, _| world.store.post(message)).await
    }

    async fn command(
        &self,
        instance: &str,
        command: Command,
        by: &str,
        _at_ms: u64,
    ) -> Result<CommandKept, Unavailable> {
        self.operation("command", true, |world, _| world.store.command(instance, command, by)).await
    }

    async fn definition(&self, flow: &str, version: u32) -> Result<Option<Definition>, Unavailable> {
        let key = (Arc::from(flow), version);
        self.operation("definition", false, |world, _| world.store.definitions.get(&key).cloned()).await
    }

    async fn revision(&self, flow: &str, version: u32) -> Result<u32, Unavailable> {
        let key = (Arc::from(flow), version);
        let newest = |world: &mut World| {
            let found = world.store.definitions.get(&key)?;
            found.plugged.last().map(|change| change.revision)
        };
        self.operation("revision", false, |world, _| newest(world).unwrap_or(0)).await
    }
}
