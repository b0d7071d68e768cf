//! A seeded simulation of the real core and the real runtime: time, store, nodes and callers are simulated, and
//! everything goes wrong that can.
//!
//! A run is one seed: it draws flows, faults and callers, and follows every commit and call against the list of
//! [`INVARIANTS`]. The same seed gives the same run. A run that fails can be had again with its last events.
//!
//! Invariants:
//! - Everything runs on one thread, and nothing in a run reads the machine's clock or chance.
//! - Time moves only when nothing can run ([`time`]).
//!
//! Not here: SQL and real processes (`tests/crash`, `tests/conformance`), the sandbox (`tests/wasm`).

pub mod book;
pub mod chance;
pub mod clock;
pub mod faults;
pub mod flows;
pub mod journal;
pub mod last;
pub mod nodes;
pub mod script;
pub mod shop;
pub mod store;
pub mod tell;
pub mod time;
pub mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::Value;
use stepwell_runtime::journal::Definition;

pub use book::{INVARIANTS, Violation};
pub use chance::Chance;
pub use faults::Faults;
pub use flows::Version;
pub use script::{Offer, Script};
pub use time::Time;
pub use world::{Count, EPOCH_MS, Health, Sim};

use book::Book;
use shop::Shop;
use store::Store;
use world::World;

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Run {
    pub seed: u64,
    pub count: Count,
    /// Of everything that was committed.
    pub digest: u64,
    pub violation: Option<Violation>,
    /// What happened last, if the run was told to tell.
    pub told: VecDeque<String>,
    /// The flows of the run.
    pub flows: Vec<Value>,
}

/// One run of a seed.
pub fn run(seed: u64, telling: bool) -> Run {
    let mut chance = Chance::new(seed);
    let faults = Faults::draw(&mut chance);
    let actions = chance.between(15, 45);
    let flows = flows::draw_all(&mut chance);
    play(seed, chance, faults, telling, flows, |script| async move { script.run(actions).await })
}

/// A run in which nothing goes wrong but what the script orders: flows with an input for each, and what to do.
pub fn play_named<F: Future<Output = ()>>(
    shared: bool,
    flows: Vec<(Value, Value)>,
    script: impl FnOnce(Script) -> F,
) -> Run {
    let faults = Faults { shared, hints: true, ..Faults::default() };
    let flows = flows.into_iter().map(|(document, input)| Version::only(document, input)).collect();
    play(0, Chance::new(0), faults, true, flows, script)
}

fn play<F: Future<Output = ()>>(
    seed: u64,
    chance: Chance,
    faults: Faults,
    telling: bool,
    flows: Vec<Version>,
    script: impl FnOnce(Script) -> F,
) -> Run {
    let (offers, store, book, shop) = publish(&flows, faults.shared);
    let sim = Sim::new(World {
        chance,
        faults,
        store,
        shop,
        book,
        hosts: Vec::new(),
        count: Count::default(),
        out: false,
        told: VecDeque::new(),
        telling,
        next_id: 0,
        ahead_ms: 0,
        ordered: Vec::new(),
        ordered_calls: Vec::new(),
        callbacks: BTreeSet::new(),
    });
    let time = sim.time.clone();
    let threads = tokio::runtime::Builder::new_current_thread().on_thread_park(move || time.advance()).build();
    match threads {
        Ok(thread) => thread.block_on(async {
            tokio::spawn(sim.time.clone().turn());
            script(Script::new(sim.clone(), offers)).await;
        }),
        Err(error) => sim.fails("an end is reached", error.to_string()),
    }
    let mut world = sim.world();
    Run {
        seed,
        count: world.count.clone(),
        digest: world.book.digest(),
        violation: world.book.violation.take(),
        told: std::mem::take(&mut world.told),
        flows: flows.into_iter().map(|one| one.document).collect(),
    }
}

/// Makes flows known to store and book. What the checker refuses is not offered.
fn publish(flows: &[Version], shared: bool) -> (Vec<Offer>, Store, Book, Shop) {
    let (mut offers, mut store, mut book) = (Vec::new(), Store::default(), Book::default());
    store.shared = shared;
    for one in flows {
        let Some(flow) = one.check().map(Arc::new) else { continue };
        let key: (Arc<str>, u32) = (flow.key.as_str().into(), one.version);
        let frozen = Arc::new(serde_json::to_value(&*one.catalog).unwrap_or_default());
        let definition = Definition {
            document: Arc::new(one.document.clone()),
            catalog: frozen,
            retired: false,
            plugged: Vec::new(),
        };
        store.definitions.insert(key.clone(), definition);
        book.flows.insert(key.clone(), flow.clone());
        if let Some(renamed) = &one.next {
            book.renamed.insert(key, renamed.clone());
        }
        offers.extend(one.input.clone().map(|input| Offer { flow, input }));
    }
    (offers, store, book, Shop::new(&flows::catalog()))
}

/// What a run of many seeds found.
#[derive(Debug, Default)]
pub struct Found {
    pub seeds: u64,
    pub count: Count,
    pub failed: Option<Run>,
    /// How often each construct was in a flow, by its type.
    pub constructs: BTreeMap<String, u64>,
}

/// Runs seeds from `first` on until so many steps are made, or one fails; on as many threads as there are cores.
pub fn search(first: u64, steps: u64) -> Found {
    let (next, made, failed) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let work = || {
        let mut found = Found::default();
        while made.load(Relaxed) < steps {
            let seed = next.fetch_add(1, Relaxed);
            // Of two that fail, the first is told: all before it are run to their end.
            if seed > failed.load(Relaxed) {
                break;
            }
            let one = run(seed, false);
            made.fetch_add(one.count.steps(), Relaxed);
            found.add(&one);
            if one.violation.is_some() {
                failed.fetch_min(seed, Relaxed);
                break;
            }
        }
        found
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().filter_map(|worker| worker.join().ok());
        done.reduce(Found::join).unwrap_or_default()
    });
    let failed = failed.into_inner();
    // The same again, with its last events.
    found.failed = (failed != u64::MAX).then(|| run(failed, true));
    found
}

impl Found {
    fn add(&mut self, one: &Run) {
        self.seeds += 1;
        self.count.add(&one.count);
        for node in one.flows.iter().filter_map(|flow| flow["nodes"].as_object()).flat_map(|nodes| nodes.values()) {
            *self.constructs.entry(node["type"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.seeds += other.seeds;
        self.count.add(&other.count);
        for (construct, times) in other.constructs {
            *self.constructs.entry(construct).or_default() += times;
        }
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "seed {}: {:?}", self.seed, self.count)?;
        if let Some(Violation { invariant, why }) = &self.violation {
            let last = std::env::var("STEPWELL_SIM_LAST").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
            writeln!(out, "VIOLATED {invariant}: {why}\nthe last events:")?;
            self.told.iter().skip(self.told.len().saturating_sub(last)).try_for_each(|line| writeln!(out, "{line}"))?;
            for flow in &self.flows {
                writeln!(out, "{flow}")?;
            }
            writeln!(out, "hint: STEPWELL_SIM_SEED={} cargo xtask test sim", self.seed)?;
        }
        Ok(())
    }
}
