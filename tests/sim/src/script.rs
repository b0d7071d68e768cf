//! One run: engines come and go, people and services ask for things, and at last everything is well and must come
//! to an end.
//!
//! Not here: what must hold (`book`, `last`); what goes wrong at each operation (`journal`, `nodes`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_core::flow::Flow;
use stepwell_core::machine::{At, Command};
use stepwell_runtime::journal::{Idempotency, Message};
use stepwell_runtime::{Answer, Engine, Options, StartError, StartRequest};

use crate::clock::SimClock;
use crate::flows::MESSAGES;
use crate::journal::SimJournal;
use crate::nodes::SimNodes;
use crate::tell::short;
use crate::world::{EPOCH_MS, Health, LEASE_MS, Sim};

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
    }

    fn act(&self) {
        let (choice, commands) = {
            let mut world = self.sim.world();
            (world.chance.below(100), world.faults.commands)
        };
        match choice {
            45..70 => self.message(),
            70..82 if commands => self.command(),
            82..86 => self.watch(),
            86..90 => self.jump(),
            90..92 => self.outage(),
            92..94 => self.kill(),
            94..96 => self.end_in_order(),
            _ => self.start(),
        }
    }

    // -- what callers do ------------------------------------------------------------------------------------------

    pub fn start(&self) {
        let (offer, n, wait) = {
            let mut world = self.sim.world();
            world.count.asked += 1;
            world.count.instances += 1;
            let n = world.count.instances;
            let offer = world.chance.pick(&self.offers).cloned();
            (offer, n, world.chance.permille(500))
        };
        if let Some(offer) = offer {
            let task = self.clone().ask_to_start(offer, n, wait);
            *lock(&self.open) += 1;
            let open = self.open.clone();
            tokio::spawn(async move {
                task.await;
                *lock(&open) -= 1;
            });
        }
    }

    /// Asks until it is acknowledged, under one Idempotency-Key.
    async fn ask_to_start(self, offer: Offer, n: u64, wait: bool) {
        let key = format!("K{n}");
        let input = fill(&offer.input, &key, n);
        for _ in 0..TRIES_MAX {
            if let Some((host, engine)) = self.engine() {
                let request = StartRequest {
                    flow: offer.flow.clone(),
                    version: 1,
                    input: input.clone(),
                    business_key: None,
                    priority: i32::try_from(n % 3).unwrap_or_default(),
                    idempotency: Some(Idempotency { key: key.clone(), request: key.clone() }),
                    traceparent: None,
                    bound_by: None,
                    by: "caller".into(),
                    wait,
                };
                let asked = self.ask_once(&engine, request, wait);
                let acknowledged = tokio::select! {
                    biased;
                    acknowledged = asked => acknowledged,
                    () = self.sim.gone(host) => None,
                };
                if let Some(id) = acknowledged.filter(|_| self.sim.health(host) != Health::Dead) {
                    self.sim.tell(|| format!("caller: {key} is acknowledged as {}", short(&id)));
                    if !self.sim.world().store.rows.contains_key(&id) {
                        self.sim.fails(
                            "acknowledged starts",
                            format!("{key} was acknowledged as {id}, which is not there"),
                        );
                    }
                    lock(&self.acknowledged).insert((key, id));
                    return;
                }
            }
            self.sim.time.sleep(500).await;
        }
    }

    async fn ask_once(&self, engine: &SimEngine, request: StartRequest, wait: bool) -> Option<Arc<str>> {
        let mut started = engine.start(request).ok()?;
        let id = started.id.clone();
        let result = if wait {
            let answer = started.answer(self.sim.time.sleep(5_000)).await;
            answer.map(|answer| answer.iter().for_each(|answer| self.answered(&id, answer)))
        } else {
            started.committed().await.map(|_| ())
        };
        match result {
            Ok(()) => Some(id),
            Err(StartError::Duplicate { instance, other_request }) => {
                if other_request {
                    self.sim.fails("acknowledged starts", "the same request was taken for another");
                }
                Some(instance)
            }
            Err(_) => None,
        }
    }

    /// Whatever a caller is told is in the store.
    fn answered(&self, id: &Arc<str>, answer: &Answer) {
        let stored = {
            let world = self.sim.world();
            world.store.rows.get(id).map(|row| (row.header.state, row.header.reply.clone(), row.header.output.clone()))
        };
        let why = match stored {
            None => Some("it is not there".to_owned()),
            Some((_, reply, _)) if answer.replied && reply != answer.output => Some(format!("the reply is {reply:?}")),
            Some((state, ..)) if !answer.replied && answer.state.ended() && state != answer.state => {
                Some(format!("it is {}", state.name()))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            self.sim.fails("acknowledged answers", format!("{id} was answered with {answer:?}, but {why}"));
        }
    }

    /// Somebody waits for an instance that runs already.
    fn watch(&self) {
        let Some(id) = self.some_instance() else { return };
        let Some((host, engine)) = self.engine() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            let answer = tokio::select! {
                biased;
                answer = engine.watch(&id, this.sim.time.sleep(3_000)) => answer,
                () = this.sim.gone(host) => None,
            };
            if let Some(answer) = answer.filter(|_| this.sim.health(host) != Health::Dead) {
                this.answered(&id, &answer);
            }
        });
    }

    fn some_instance(&self) -> Option<Arc<str>> {
        let mut world = self.sim.world();
        let ids: Vec<Arc<str>> = world.store.rows.keys().cloned().collect();
        world.chance.pick(&ids).cloned()
    }

    fn message(&self) {
        let (name, key, id) = {
            let mut world = self.sim.world();
            world.count.asked += 1;
            let (asked, instances) = (world.count.asked, world.count.instances);
            let name = world.chance.pick(&MESSAGES).copied().unwrap_or("paid");
            // For one that is there, one that is still to come, or whoever shares a key.
            let key = match world.chance.below(3) {
                0 => format!("shared-{}", world.chance.below(3)),
                _ => format!("K{}", world.chance.between(1, instances + 2)),
            };
            (name, key, format!("m{asked}"))
        };
        tokio::spawn(self.clone().post(name.into(), key, id));
    }

    /// Posts until it is acknowledged, under one id.
    pub async fn post(self, name: Arc<str>, key: String, id: String) {
        for _ in 0..TRIES_MAX {
            if let Some((host, engine)) = self.engine() {
                let message = Message {
                    name: name.clone(),
                    key: key.clone(),
                    id: id.clone(),
                    payload: Arc::new(json!({ "status": "PAID", "id": id })),
                    at_ms: EPOCH_MS + self.sim.time.now_ms(),
                    ttl_ms: 24 * 60 * 60 * 1000,
                    by: "gateway".to_owned(),
                };
                let posted = tokio::select! {
                    biased;
                    posted = engine.post(message) => posted.is_ok(),
                    () = self.sim.gone(host) => false,
                };
                if posted && self.sim.health(host) != Health::Dead {
                    self.sim.tell(|| format!("gateway: {name}/{} {id} is acknowledged", short(&key)));
                    return;
                }
            }
            self.sim.time.sleep(300).await;
        }
    }

    fn command(&self) {
        let Some(id) = self.some_instance() else { return };
        let command = {
            let mut world = self.sim.world();
            world.count.asked += 1;
            let tokens: Vec<u32> =
                world.book.stories.get(&id).map(|story| story.it.tokens.keys().copied().collect()).unwrap_or_default();
            let token = world.chance.pick(&tokens).copied();
            match world.chance.below(10) {
                0 => Command::Cancel { reason: "no longer wanted".to_owned() },
                1..4 => Command::Compensate { reason: String::new() },
                4..6 if token.is_some() => Command::SkipUndo { token: token.unwrap_or_default() },
                6..8 => Command::Retry { token, new_key: false },
                _ => Command::Retry { token: None, new_key: false },
            }
        };
        self.sim.tell(|| format!("operator: {command:?} for {}", short(&id)));
        tokio::spawn(self.clone().order(id, command));
    }

    pub async fn order(self, id: Arc<str>, command: Command) {
        let Some((host, engine)) = self.engine() else { return };
        tokio::select! {
            biased;
            _ = engine.command(&id, command, "operator") => {}
            () = self.sim.gone(host) => {}
        }
    }

    /// The shop's own messages, each for a call that waits for one.
    async fn call_back(self) {
        loop {
            self.sim.time.sleep(20).await;
            let now_ms = self.sim.time.now_ms();
            let due: Vec<(u64, String)> = {
                let mut world = self.sim.world();
                let later = world.callbacks.split_off(&(now_ms + 1, String::new()));
                std::mem::replace(&mut world.callbacks, later).into_iter().collect()
            };
            for (_, key) in due {
                let id = format!("cb-{key}");
                tokio::spawn(self.clone().post("callback".into(), key, id));
            }
        }
    }

    // -- what happens to the machines -----------------------------------------------------------------------------

    /// Brings the dead back, buries those that are not heard of, and wakes the stalled.
    async fn look_after(self) {
        let mut missed: Vec<(usize, u64)> = Vec::new();
        loop {
            self.sim.time.sleep(50).await;
            let hosts: Vec<usize> = lock(&self.engines).iter().map(|(host, _)| *host).collect();
            for host in hosts {
                let health = self.sim.health(host);
                let now_ms = self.sim.time.now_ms();
                let since = missed.iter().find(|(one, _)| *one == host).map(|(_, since)| *since);
                match (health, since) {
                    (Health::Up, Some(_)) => missed.retain(|(one, _)| *one != host),
                    (Health::Dead | Health::Stalled, None) => missed.push((host, now_ms)),
                    (Health::Dead | Health::Stalled, Some(since)) => self.missed(host, health, now_ms - since),
                    (Health::Up, None) => self.beats(host),
                }
            }
        }
    }

    /// A live engine says so now and then, whether or not it has something to write.
    fn beats(&self, host: usize) {
        let now_ms = self.sim.time.now_ms();
        let mut world = self.sim.world();
        let seat = world.hosts[host].seat;
        if !world.out && world.store.seats.contains(&seat) {
            world.hosts[host].heard_ms = now_ms;
        }
    }

    fn missed(&self, host: usize, health: Health, for_ms: u64) {
        let (shared, seat, wakes) = {
            let mut world = self.sim.world();
            let wakes = world.chance.permille(20);
            (world.store.shared, world.hosts[host].seat, wakes)
        };
        if health == Health::Stalled && wakes {
            return self.sim.set_health(host, Health::Up);
        }
        if shared && for_ms >= LEASE_MS {
            self.bury(seat);
        }
        if health == Health::Dead && wakes {
            self.bury(seat); // Its name comes back, or its file is opened again.
            lock(&self.engines).retain(|(one, _)| *one != host);
            self.boot();
        }
    }

    fn bury(&self, seat: u64) {
        let mut world = self.sim.world();
        if world.store.seats.contains(&seat) {
            world.count.takeovers += 1;
            world.store.bury(seat);
        }
    }

    pub fn kill(&self) {
        if let Some((host, _)) = self.engine() {
            self.sim.crash(host);
        }
    }

    /// SIGTERM: the engine parks what it has, and its process ends.
    fn end_in_order(&self) {
        let Some((host, engine)) = self.engine() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            this.sim.tell(|| format!("host {host} is asked to end"));
            engine.shut_down(Duration::from_secs(20)).await;
            this.sim.set_health(host, Health::Dead);
        });
    }

    fn jump(&self) {
        let Some((host, _)) = self.engine() else { return };
        let mut world = self.sim.world();
        if world.faults.jumps {
            world.count.faults += 1;
            let far = if world.chance.permille(300) { 3_600_000 } else { 5_000 };
            let by = i64::try_from(world.chance.below(2 * far)).unwrap_or_default();
            world.hosts[host].skew_ms = by - i64::try_from(far).unwrap_or_default();
        }
    }

    fn outage(&self) {
        let for_ms = {
            let mut world = self.sim.world();
            if !world.faults.outages || world.out {
                return;
            }
            world.count.faults += 1;
            world.out = true;
            world.chance.below(5_000)
        };
        self.sim.tell(|| format!("the store is out of reach for {for_ms} ms"));
        let sim = self.sim.clone();
        tokio::spawn(async move {
            sim.time.sleep(for_ms).await;
            sim.world().out = false;
        });
    }

    /// From here on nothing goes wrong, and whoever still asks gets an answer.
    async fn all_is_well(&self) {
        {
            let mut world = self.sim.world();
            world.faults = world.faults.over();
            world.out = false;
            // The clocks agree at last, on the latest time that anybody has seen: an instance's time never goes back,
            // so what it waits for would else be as late as a clock was ahead.
            let latest_ms = world.book.stories.values().map(|story| story.it.now_ms).max().unwrap_or_default();
            let ahead_ms = latest_ms.saturating_sub(EPOCH_MS + self.sim.time.now_ms());
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

    /// Posts what instances wait for, and has incidents tried again.
    pub fn help(&self, round: u32) {
        let (awaited, stuck) = {
            let world = self.sim.world();
            let (mut awaited, mut stuck) = (Vec::new(), Vec::new());
            for (id, story) in world.book.stories.iter().filter(|(_, story)| story.it.end.is_none()) {
                awaited.extend(story.it.subscriptions().into_iter().map(|one| (one.message, one.key)));
                if story.it.tokens.values().any(|token| matches!(token.at, At::Incident { .. })) {
                    stuck.push(id.clone());
                }
            }
            (awaited, stuck)
        };
        for (at, (name, key)) in awaited.into_iter().enumerate() {
            tokio::spawn(self.clone().post(name, key, format!("help{round}-{at}")));
        }
        for id in stuck {
            let command = if round < 4 {
                Command::Retry { token: None, new_key: false }
            } else {
                Command::Cancel { reason: "the end".to_owned() }
            };
            tokio::spawn(self.clone().order(id, command));
        }
    }
}

/// An input with its own key and number.
fn fill(input: &Value, key: &str, n: u64) -> Value {
    match input {
        Value::String(text) if text == "$key" => json!(key),
        Value::String(text) if text == "$n" => json!(n),
        Value::String(text) if text == "$shared" => json!(format!("shared-{}", n % 3)),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), fill(value, key, n))).collect(),
        Value::Array(items) => items.iter().map(|item| fill(item, key, n)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => input.clone(),
    }
}
