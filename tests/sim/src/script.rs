//! One run: engines come and go, people and services ask for things, and at last everything is well and must come
//! to an end.
//!
//! Not here: what must hold (`book`, `last`); what goes wrong at each operation (`journal`, `nodes`).

mod callers;
mod machines;
mod operator;
mod workers;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use stepwell_core::flow::Flow;
use stepwell_runtime::{Engine, Options};

use crate::clock::SimClock;
use crate::journal::SimJournal;
use crate::nodes::SimNodes;
use crate::world::{EPOCH_MS, Health, Sim};

pub type SimEngine = Engine<SimJournal, SimNodes, SimClock>;

/// A caller tries again so long.
const TRIES_MAX: u32 = 400;

/// A flow, and the input its instances get; `$key` stands for the instance's own key.
#[derive(Clone)]
pub struct Offer {
    pub flow: Arc<Flow>,
    pub input: Value,
}

/// Idempotency-Keys, and the instance that each was answered with.
pub type Acknowledged = BTreeSet<(String, Arc<str>)>;

#[derive(Clone)]
pub struct Script {
    pub sim: Sim,
    pub offers: Arc<Vec<Offer>>,
    engines: Arc<Mutex<Vec<(usize, SimEngine)>>>,
    /// Instances whose start was acknowledged, by Idempotency-Key.
    acknowledged: Arc<Mutex<Acknowledged>>,
    open: Arc<Mutex<u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    pub fn new(sim: Sim, offers: Vec<Offer>) -> Self {
        Self {
            sim,
            offers: Arc::new(offers),
            engines: Arc::default(),
            acknowledged: Arc::default(),
            open: Arc::default(),
        }
    }

    pub fn acknowledged(&self) -> Acknowledged {
        lock(&self.acknowledged).clone()
    }

    pub fn boot(&self) -> (usize, SimEngine) {
        let host = self.sim.boot();
        let sim = self.sim.clone();
        self.sim.tell(|| format!("host {host} starts"));
        let (journal, nodes) = (SimJournal { sim: sim.clone(), host }, SimNodes { sim: sim.clone(), host });
        let engine = Engine::start_up(journal, nodes, SimClock { sim, host }, &Options::default());
        lock(&self.engines).push((host, engine.clone()));
        (host, engine)
    }

    /// An engine that is up, if there is one.
    pub fn engine(&self) -> Option<(usize, SimEngine)> {
        let engines = lock(&self.engines);
        let up: Vec<_> = engines.iter().filter(|(host, _)| self.sim.health(*host) == Health::Up).collect();

        self.sim.world().chance.pick(&up).map(|&&(host, ref engine)| (host, engine.clone()))
    }

    /// Runs the whole: first with everything that goes wrong, then without.
    pub async fn run(&self, actions: u64) {
        self.boot();
        if self.sim.world().faults.shared {
            self.boot();
        }
        let looks = tokio::spawn(self.clone().look_after());
        let calls_back = tokio::spawn(self.clone().call_back());
        let works = self.work();
        for _ in 0..actions {
            let pause = self.sim.world().chance.while_ms(150, 4_000);
            self.sim.time.sleep(pause).await;
            if self.sim.world().book.violation.is_some() {
                return;
            }
            self.act();
        }
        self.all_is_well().await;
        crate::last::settle(self).await;
        looks.abort();
        calls_back.abort();
        for work in works {
            work.abort();
        }
    }

    fn act(&self) {
        let (choice, commands) = {
            let mut world = self.sim.world();
            (world.chance.below(100), world.faults.commands)
        };
        match choice {
            45..68 => self.message(),
            68..82 if commands => self.command(),
            82..86 => self.watch(),
            86..90 => self.jump(),
            90..92 => self.outage(),
            92..94 => self.kill(),
            94..96 => self.end_in_order(),
            _ => self.start(),
        }
    }

    fn some_instance(&self, live: bool) -> Option<Arc<str>> {
        let mut world = self.sim.world();
        let rows = world.store.rows.iter().filter(|(_, row)| !(live && row.header.state.ended()));
        let ids: Vec<Arc<str>> = rows.map(|(id, _)| id.clone()).collect();
        world.chance.pick(&ids).cloned()
    }

    /// From here on nothing goes wrong, and whoever still asks gets an answer.
    async fn all_is_well(&self) {
        {
            let mut world = self.sim.world();
            world.faults = world.faults.over();
            world.out = false;
            // The clocks agree at last, on the latest time that anybody has seen: an instance's time never goes back,
            // so what it waits for would else be as late as a clock was ahead.
            let locked_ms = world.store.tasks.values().filter_map(|open| open.locked_ms);
            let latest_ms = world.book.stories.values().map(|story| story.it.now_ms).chain(locked_ms).max();
            let ahead_ms = latest_ms.unwrap_or_default().saturating_sub(EPOCH_MS + self.sim.time.now_ms());
            world.ahead_ms = i64::try_from(ahead_ms).unwrap_or_default();
            for host in &mut world.hosts {
                host.doomed = None;
                host.skew_ms = i64::try_from(ahead_ms).unwrap_or_default();
            }
        }
        self.sim.tell(|| "all is well from here on".to_owned());
        let patience_ms = self.sim.time.now_ms() + 200_000;
        while *lock(&self.open) > 0 && self.sim.time.now_ms() < patience_ms {
            self.sim.time.sleep(500).await;
        }
    }
}
