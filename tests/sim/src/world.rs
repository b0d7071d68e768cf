//! What all parts of a run share: time, chance, the store, the shop, the book of what may be, and who is alive.
//!
//! Invariants:
//! - The world is locked for a moment only, never while anybody waits.
//! - A host that is dead does nothing any more; one that is stalled does nothing until it wakes.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use stepwell_runtime::journal::{Append, AppendError, Appended};
use tokio::sync::Notify;

use crate::book::Book;
use crate::chance::Chance;
use crate::faults::Faults;
use crate::shop::Shop;
use crate::store::{Seat, Store};
use crate::time::Time;
use crate::{journal, nodes};

/// Instances start at this time, milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_800_000_000_000;
/// How long an engine may be silent before others take it for dead.
pub const LEASE_MS: u64 = 2_000;
/// The last events that are kept for a report.
const TOLD_MAX: usize = 4000;

#[derive(Clone)]
pub struct Sim {
    pub time: Time,
    world: Arc<Mutex<World>>,
}

pub struct World {
    pub chance: Chance,
    pub faults: Faults,
    pub store: Store,
    pub shop: Shop,
    pub book: Book,
    pub hosts: Vec<Host>,
    pub count: Count,
    /// The store answers nobody.
    pub out: bool,
    /// What happened last; filled only when a run is shown.
    pub told: VecDeque<String>,
    pub telling: bool,
    pub next_id: u64,
    /// How far the clock of a new host is ahead.
    pub ahead_ms: i64,
    /// What happens to the next operation of this name on this host, whatever chance says.
    pub ordered: Vec<(usize, &'static str, journal::Plan)>,
    /// How the next call of this node goes.
    pub ordered_calls: Vec<(&'static str, nodes::Plan)>,
    /// Messages that the shop is about to send: when, and for whom.
    pub callbacks: BTreeSet<(u64, String)>,
}

impl World {
    /// One commit, in the store and in the book.
    pub fn append(&mut self, seat: Seat, append: &Append) -> Result<Appended, AppendError> {
        let Self { store, book, count, .. } = self;
        let inbox = book.opens(store, append);
        let done = store.append(seat, append);
        if done.is_ok() {
            count.commits += 1;
            count.events += append.entries.len() as u64;
            book.committed(store, append, &inbox);
        }
        done
    }
}

/// What a run did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Count {
    /// Events that were committed.
    pub events: u64,
    pub commits: u64,
    pub calls: u64,
    /// Starts, messages and commands.
    pub asked: u64,
    pub faults: u64,
    pub instances: u64,
    pub crashes: u64,
    pub takeovers: u64,
}

impl Count {
    /// Every event, call, request and fault is a step.
    pub fn steps(&self) -> u64 {
        self.events + self.calls + self.asked + self.faults
    }

    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.commits += other.commits;
        self.calls += other.calls;
        self.asked += other.asked;
        self.faults += other.faults;
        self.instances += other.instances;
        self.crashes += other.crashes;
        self.takeovers += other.takeovers;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Up,
    Stalled,
    Dead,
}

/// A process that holds an engine.
pub struct Host {
    pub health: Health,
    pub seat: Seat,
    /// When it last proved to be alive, in the run's time.
    pub heard_ms: u64,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// It dies at this operation on the store or the nodes, counted down.
    pub doomed: Option<u64>,
    pub bell: Arc<Notify>,
    wakers: Vec<Waker>,
}

impl Sim {
    pub fn new(world: World) -> Self {
        Self { time: Time::default(), world: Arc::new(Mutex::new(world)) }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        let now_ms = self.time.now_ms();
        let mut world = self.world();
        if world.telling {
            let line = format!("{now_ms:>8} ms  {}", what());
            world.told.push_back(line);
            if world.told.len() > TOLD_MAX {
                world.told.pop_front();
            }
        }
    }

    pub fn fails(&self, invariant: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.tell(|| format!("VIOLATED {invariant}: {why}"));
        self.world().book.fails(invariant, why);
    }

    /// A new process.
    pub fn boot(&self) -> usize {
        let heard_ms = self.time.now_ms();
        let mut world = self.world();
        let (seat, skew_ms) = (world.store.sit_down(), world.ahead_ms);
        world.hosts.push(Host {
            health: Health::Up,
            seat,
            heard_ms,
            skew_ms,
            doomed: None,
            bell: Arc::default(),
            wakers: Vec::new(),
        });
        world.hosts.len() - 1
    }

    pub fn health(&self, host: usize) -> Health {
        self.world().hosts[host].health
    }

    pub fn set_health(&self, host: usize, health: Health) {
        let wakers = {
            let mut world = self.world();
            let one = &mut world.hosts[host];
            if one.health == Health::Dead {
                return;
            }
            one.health = health;
            std::mem::take(&mut one.wakers)
        };
        self.tell(|| format!("host {host} is {health:?}"));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The power is cut.
    pub fn crash(&self, host: usize) {
        {
            let mut world = self.world();
            world.count.crashes += 1;
            world.count.faults += 1;
        }
        self.set_health(host, Health::Dead);
    }

    /// One more act of a process: goes on while it is up, waits while it is stalled, never returns when it is dead.
    pub async fn gate(&self, host: usize) {
        let doomed = match &mut self.world().hosts[host].doomed {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if doomed {
            self.crash(host);
        }
        self.alive(host).await;
    }

    /// As [`Self::gate`], without counting as an act.
    pub async fn alive(&self, host: usize) {
        poll_fn(|context| {
            let mut world = self.world();
            let one = &mut world.hosts[host];
            if one.health == Health::Up {
                return Poll::Ready(());
            }
            one.wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub async fn crash_here<T>(&self, host: usize) -> T {
        self.crash(host);
        pending().await
    }

    /// Until the process is dead.
    pub fn gone(&self, host: usize) -> impl Future<Output = ()> + Send + use<> {
        let sim = self.clone();
        poll_fn(move |context| {
            let mut world = sim.world();
            let one = &mut world.hosts[host];
            if one.health == Health::Dead {
                return Poll::Ready(());
            }
            one.wakers.push(context.waker().clone());
            Poll::Pending
        })
    }

    /// Another engine may want to look.
    pub fn hint(&self, from: usize) {
        let bells: Vec<Arc<Notify>> = {
            let world = self.world();
            if !world.store.shared || !world.faults.hints {
                return;
            }
            let others = world.hosts.iter().enumerate().filter(|(at, host)| *at != from && host.health == Health::Up);
            others.map(|(_, host)| host.bell.clone()).collect()
        };
        for bell in bells {
            bell.notify_one();
        }
    }
}
