//! People who do what is put before them, and workers who fetch what they can do: slow, forgetful, twice.
//!
//! A worker does its work in the shop, under the key of the visit, and keeps to its lock or does not.

use std::sync::Arc;

use serde_json::json;
use stepwell_core::machine::{Command, Failure, OpenTask, Outcome, Rejection};
use tokio::task::JoinHandle;

use super::Script;
use crate::journal::SimJournal;
use crate::shop::Wish;
use crate::store::{Grasp, TaskId};
use crate::tell::{outcome_text, short};
use crate::world::{EPOCH_MS, World};

/// A worker has what it fetched for so long.
pub(super) const LOCK_MS: u64 = 2_000;
/// Tries of an answer.
const ANSWERS_MAX: u32 = 30;

/// How a piece of work goes.
#[allow(clippy::struct_excessive_bools, reason = "each is something that happens or does not")]
struct Plan {
    /// The worker is never heard of again, before or after it has done it.
    vanishes: bool,
    looks_again: bool,
    extends: bool,
    twice: bool,
    before_ms: u64,
    after_ms: u64,
    wish: Wish,
}

impl Plan {
    fn draw(world: &mut World) -> Self {
        let faults = world.faults.clone();
        let chance = &mut world.chance;
        let slow = if chance.permille(faults.slow) { 2 * LOCK_MS } else { 50 };
        Self {
            vanishes: chance.permille(faults.lost_reply),
            looks_again: chance.permille(500),
            extends: chance.permille(300),
            twice: chance.permille(faults.duplicate),
            before_ms: chance.while_ms(20, slow),
            after_ms: chance.while_ms(20, slow),
            wish: match () {
                () if chance.permille(faults.reject) => Wish::Refuse,
                () if chance.permille(faults.transient) => Wish::Later,
                () if chance.permille(faults.transient / 3) => Wish::DoBadly,
                () if chance.permille(faults.permanent) => Wish::Never,
                () => Wish::Do,
            },
        }
    }
}

impl Script {
    pub(super) fn work(&self) -> Vec<JoinHandle<()>> {
        let mut all: Vec<_> = ["W1", "W2"].into_iter().map(|name| tokio::spawn(self.clone().works(name))).collect();
        all.extend(["anna", "bao"].into_iter().map(|name| tokio::spawn(self.clone().sits_at_tasks(name))));
        all
    }

    async fn works(self, name: &'static str) {
        loop {
            let (pause, limit) = {
                let mut world = self.sim.world();
                (100 + world.chance.while_ms(300, 2_000), world.chance.between(1, 3))
            };
            self.sim.time.sleep(pause).await;
            if self.sim.world().store.tasks.is_empty() {
                continue;
            }
            for (id, task) in self.fetch(name, usize::try_from(limit).unwrap_or(1)).await {
                tokio::spawn(self.clone().does(name, id, task));
            }
        }
    }

    /// What a worker is told that it has; nothing if the reply is lost.
    pub async fn fetch(&self, name: &str, limit: usize) -> Vec<(TaskId, OpenTask)> {
        let Some((host, _)) = self.engine() else { return Vec::new() };
        let journal = SimJournal { sim: self.sim.clone(), host };
        let fetched = tokio::select! {
            biased;
            fetched = journal.fetch(name, LOCK_MS, limit) => fetched.unwrap_or_default(),
            () = self.sim.gone(host) => Vec::new(),
        };
        if !fetched.is_empty() {
            self.sim.world().count.asked += 1;
            self.sim.tell(|| {
                let what = fetched.iter().map(|((it, token), task)| format!("{} {token}.{}", short(it), task.attempt));
                format!("{name}: fetches {:?}", what.collect::<Vec<_>>())
            });
        }
        fetched
    }

    pub async fn extend(&self, id: &TaskId, attempt: u32, name: &str) -> Option<Grasp> {
        let (host, _) = self.engine()?;
        let journal = SimJournal { sim: self.sim.clone(), host };
        tokio::select! {
            biased;
            grasp = journal.extend(id, attempt, name, LOCK_MS) => grasp.ok(),
            () = self.sim.gone(host) => None,
        }
    }

    async fn does(self, name: &'static str, id: TaskId, task: OpenTask) {
        let plan = Plan::draw(&mut self.sim.world());
        self.sim.time.sleep(plan.before_ms).await;
        let (extends, again) = (plan.extends, plan.looks_again);
        if extends && self.extend(&id, task.attempt, name).await.is_some_and(|grasp| grasp != Grasp::Held) && again {
            return;
        }
        let Some(answer) = self.at_the_shop(name, &id, &task, plan.wish) else { return };
        self.sim.time.sleep(plan.after_ms).await;
        if plan.vanishes {
            return;
        }
        // A request that is doubled on its way is looked at twice at the same time.
        for _ in 0..=u32::from(plan.twice) {
            let (script, id, answer) = (self.clone(), id.clone(), answer.clone());
            tokio::spawn(async move { script.answer(name, &id, task.attempt, answer).await });
        }
    }

    /// Does the work, and says what is to be answered. Nothing, where the task is long gone.
    pub fn at_the_shop(&self, name: &str, id: &TaskId, task: &OpenTask, wish: Wish) -> Option<Command> {
        let (token, attempt) = (id.1, task.attempt);
        let outcome = {
            let mut world = self.sim.world();
            let sent_ms = self.sim.time.now_ms();
            let key = world.book.key_of_task(id, task.visit)?;
            world.shop.forward(&key, "sim/act@1", sent_ms, wish)
        };
        self.sim.tell(|| format!("{name}: does {} {token}.{attempt}: {}", short(&id.0), outcome_text(&outcome)));
        Some(match outcome {
            Outcome::Failed(failure) => Command::Fail { token, attempt, failure },
            _ => Command::Complete { token, attempt, output: Arc::new(json!({ "by": name })) },
        })
    }

    /// Answers until the answer is kept, or the task is somebody else's or nobody's. Whether it was kept.
    pub async fn answer(&self, name: &str, id: &TaskId, attempt: u32, answer: Command) -> bool {
        for _ in 0..ANSWERS_MAX {
            match self.extend(id, attempt, name).await {
                Some(Grasp::Held) => {
                    let late_ms = self.late_ms();
                    self.sim.time.sleep(late_ms).await;
                    if self.order_by(&id.0, answer.clone(), name).await {
                        return true;
                    }
                }
                Some(Grasp::Taken | Grasp::Gone) => return false,
                None => self.sim.time.sleep(200).await,
            }
        }
        false
    }

    /// Between the look at the lock and the command the engine may stand still.
    fn late_ms(&self) -> u64 {
        let mut world = self.sim.world();
        let late = world.faults.late + world.faults.duplicate;
        if world.chance.permille(late) { world.chance.below(6_000) } else { 0 }
    }

    async fn sits_at_tasks(self, name: &'static str) {
        loop {
            let pause = 200 + self.sim.world().chance.while_ms(1_000, 4_000);
            self.sim.time.sleep(pause).await;
            let chosen = {
                let mut world = self.sim.world();
                let offered = world.store.tasks.iter().filter(|(_, open)| open.task.topic.is_none());
                let all: Vec<(TaskId, u32)> = offered.map(|(id, open)| (id.clone(), open.task.attempt)).collect();
                world.chance.pick(&all).cloned()
            };
            if let Some((id, attempt)) = chosen {
                self.decides(name, id, attempt).await;
            }
        }
    }

    /// Claims a task, and answers it.
    async fn decides(&self, name: &str, id: TaskId, attempt: u32) {
        let (thinks_ms, refuses, twice) = {
            let mut world = self.sim.world();
            let faults = world.faults.clone();
            let chance = &mut world.chance;
            let thinks_ms = chance.while_ms(500, 5_000);
            (thinks_ms, chance.permille(faults.reject), chance.permille(faults.duplicate))
        };
        let Some((host, _)) = self.engine() else { return };
        let journal = SimJournal { sim: self.sim.clone(), host };
        let claimed = tokio::select! {
            biased;
            grasp = journal.claim(&id, name) => grasp.ok() == Some(Grasp::Held),
            () = self.sim.gone(host) => false,
        };
        if !claimed {
            return;
        }
        self.sim.time.sleep(thinks_ms).await;
        self.sim.world().count.asked += 1;
        let token = id.1;
        let refusal = Rejection { code: "REFUSED".to_owned(), message: "no".to_owned(), data: None };
        let answer = if refuses {
            Command::Fail { token, attempt, failure: Failure::Rejected(refusal) }
        } else {
            let at_ms = EPOCH_MS + self.sim.time.now_ms();
            Command::Complete { token, attempt, output: Arc::new(json!({ "by": name, "at": at_ms })) }
        };
        self.sim.tell(|| format!("{name}: {answer:?} for {}", short(&id.0)));
        for _ in 0..=u32::from(twice) {
            self.order_by(&id.0, answer.clone(), name).await;
        }
    }
}
