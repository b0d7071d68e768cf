//! The nodes as an engine sees them: calls that travel to the shop, are lost, doubled, late, or never made.
//!
//! Invariant: a request that was sent goes its way, whatever becomes of the process that sent it.

use std::sync::Arc;

use serde_json::json;
use stepwell_core::catalog::EffectClass;
use stepwell_core::machine::{Call, Cut, CutReason, Failure, Op, Outcome, Signal};
use stepwell_runtime::Nodes;
use stepwell_runtime::nodes::{About, Answer};
use tokio::sync::oneshot;

use crate::shop::Wish;
use crate::tell::{outcome_text, short};
use crate::world::{LEASE_MS, Sim, World};

#[derive(Clone)]
pub struct SimNodes {
    pub sim: Sim,
    pub host: usize,
}

/// How one call goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Instead of being made, the call is cut off.
    pub not_made: Option<CutReason>,
    pub there_ms: u64,
    pub back_ms: u64,
    pub again_after_ms: Option<u64>,
    pub lost: bool,
    pub trap: bool,
    pub wish: Wish,
    pub undo_well: bool,
    pub wait_timeout_ms: Option<u64>,
}

/// All goes well, and quickly.
impl Default for Plan {
    fn default() -> Self {
        Self {
            not_made: None,
            there_ms: 1,
            back_ms: 1,
            again_after_ms: None,
            lost: false,
            trap: false,
            wish: Wish::Do,
            undo_well: true,
            wait_timeout_ms: None,
        }
    }
}

impl Plan {
    fn draw(world: &mut World, timeout_ms: u64) -> Self {
        let faults = world.faults.clone();
        let chance = &mut world.chance;
        let slow = if chance.permille(faults.slow) { timeout_ms * 3 / 2 } else { 20 };
        let late = chance.permille(faults.late);
        let wish = match () {
            () if chance.permille(faults.reject) => Wish::Refuse,
            () if chance.permille(faults.transient) => Wish::Later,
            () if chance.permille(faults.transient / 3) => Wish::DoBadly,
            () if chance.permille(faults.permanent) => Wish::Never,
            () => Wish::Do,
        };
        let not_made = chance.permille(faults.not_made);
        Self {
            not_made: not_made.then(|| if chance.permille(500) { CutReason::Breaker } else { CutReason::Missing }),
            there_ms: if late { timeout_ms + chance.below(20_000) } else { chance.while_ms(5, slow) },
            back_ms: chance.while_ms(5, slow),
            again_after_ms: chance.permille(faults.duplicate).then(|| chance.while_ms(50, 10_000)),
            lost: chance.permille(faults.lost_reply),
            trap: chance.permille(faults.trap),
            wish,
            undo_well: !chance.permille(faults.undo_fails),
            wait_timeout_ms: chance.permille(700).then(|| chance.between(100, 8_000)),
        }
    }

    fn faulty(&self) -> bool {
        self.not_made.is_some() || self.lost || self.trap || self.wish != Wish::Do || self.again_after_ms.is_some()
    }
}

impl Nodes for SimNodes {
    async fn call(&self, about: &About, call: &Call) -> Answer {
        let Self { sim, host } = self;
        let begun_ms = sim.time.now_ms();
        self.must_be_heard(call, begun_ms);
        sim.gate(*host).await;
        let stood_ms = sim.time.now_ms() - begun_ms;
        if stood_ms >= call.callee.timeout_ms.min(LEASE_MS) {
            return Answer { outcome: cut(CutReason::Deadline), duration_us: 1, logs: Vec::new() }; // Too late to send anything.
        }
        let plan = {
            let mut world = sim.world();
            let world = &mut *world;
            let ordered = world.ordered_calls.iter().position(|(node, _)| **node == *call.node);
            let plan = match ordered {
                Some(at) => world.ordered_calls.remove(at).1,
                None => Plan::draw(world, call.callee.timeout_ms),
            };
            world.count.calls += 1;
            world.count.faults += u64::from(plan.faulty());
            let row = world.store.rows.get(&about.instance);
            // Made by one that does not know yet that it was taken for dead.
            let stale = row.is_none_or(|row| row.owner != world.hosts[*host].seat);
            world.book.called(&about.instance, call, stale, sim.time.now_ms());
            plan
        };
        sim.tell(|| {
            let (it, key) = (short(&about.instance), short(&call.key));
            format!("host {host}: calls {it} {:?} {}.{} under {key}: {plan:?}", call.op, call.token, call.attempt)
        });
        let outcome = if call.callee.effect == EffectClass::External {
            self.external(call, &plan).await
        } else {
            self.inside(call, &plan).await
        };
        sim.alive(*host).await;
        sim.tell(|| {
            format!(
                "host {host}: {} {}.{} came back: {}",
                short(&about.instance),
                call.token,
                call.attempt,
                outcome_text(&outcome)
            )
        });
        Answer { outcome, duration_us: 1, logs: Vec::new() }
    }
}

fn cut(reason: CutReason) -> Outcome {
    Outcome::Cut(Cut { reason, message: format!("{reason:?}") })
}

impl SimNodes {
    fn must_be_heard(&self, call: &Call, now_ms: u64) {
        let silent_ms = {
            let world = self.sim.world();
            if world.store.shared { now_ms.saturating_sub(world.hosts[self.host].heard_ms) } else { 0 }
        };
        if silent_ms >= LEASE_MS && call.callee.effect == EffectClass::External {
            self.sim.fails("lease", format!("host {} calls {} after {silent_ms} ms of silence", self.host, call.node));
        }
    }

    /// A call that does not leave the process.
    async fn inside(&self, call: &Call, plan: &Plan) -> Outcome {
        let timeout_ms = call.callee.timeout_ms;
        self.sim.time.sleep(plan.back_ms.min(timeout_ms)).await;
        match plan.not_made {
            Some(reason) => cut(reason),
            None if plan.back_ms >= timeout_ms => cut(CutReason::Deadline),
            None if plan.trap => cut(CutReason::Trap),
            None => self.sim.world().shop.done(&call.callee.uses),
        }
    }

    async fn external(&self, call: &Call, plan: &Plan) -> Outcome {
        if let Some(reason) = plan.not_made {
            return cut(reason);
        }
        if plan.trap && plan.lost {
            return cut(CutReason::Trap); // Before anything was sent.
        }
        let (told, answer) = oneshot::channel();
        self.send(call, plan, plan.there_ms, Some(told));
        if let Some(again_after_ms) = plan.again_after_ms {
            self.send(call, plan, plan.there_ms + again_after_ms, None);
        }
        let answered = tokio::select! {
            biased;
            answer = answer => answer.ok(),
            () = self.sim.time.sleep(call.callee.timeout_ms) => None,
        };
        match answered {
            None => cut(CutReason::Deadline),
            Some(_) if plan.trap => cut(CutReason::Trap),
            Some(_) if plan.lost => Outcome::Failed(Failure::Unknown { message: "the answer was lost".to_owned() }),
            Some(outcome) => outcome,
        }
    }

    /// Sends a request on its way.
    fn send(&self, call: &Call, plan: &Plan, there_ms: u64, told: Option<oneshot::Sender<Outcome>>) {
        let (sim, call, plan) = (self.sim.clone(), call.clone(), plan.clone());
        let sent_ms = sim.time.now_ms();
        tokio::spawn(async move {
            sim.time.sleep(there_ms).await;
            let outcome = arrives(&sim, &call, &plan, sent_ms);
            sim.tell(|| format!("shop: {:?} under {}: {}", call.op, short(&call.key), outcome_text(&outcome)));
            sim.time.sleep(plan.back_ms).await;
            if let Some(told) = told {
                let _ = told.send(outcome);
            }
        });
    }
}

/// The shop sees a request.
fn arrives(sim: &Sim, call: &Call, plan: &Plan, sent_ms: u64) -> Outcome {
    let now_ms = sim.time.now_ms();
    let mut world = sim.world();
    let uses = &*call.callee.uses;
    if let Some(forward_key) = &call.forward_key {
        return match plan.wish {
            // Resumed or run, an undo is an undo.
            Wish::Later | Wish::Never => {
                Outcome::Failed(Failure::Transient { message: "not now".to_owned(), retry_after_ms: None })
            }
            Wish::Do | Wish::DoBadly | Wish::Refuse => world.shop.undo(forward_key, &call.key, uses, plan.undo_well),
        };
    }
    match call.op {
        Op::Query => world.shop.query(&call.key, uses, now_ms),
        Op::Resume if call.signal == Some(Signal::Timeout) && plan.back_ms.is_multiple_of(2) => {
            Outcome::Failed(Failure::Unknown { message: "it never called back".to_owned() })
        }
        Op::Run | Op::Undo | Op::Resume | Op::Listen => {
            let outcome = world.shop.forward(&call.key, uses, sent_ms, plan.wish);
            let waits = matches!(outcome, Outcome::Done { .. }) && call.callee.resume && call.op == Op::Run;
            if !waits {
                return outcome;
            }
            let soon = world.chance.while_ms(100, 12_000);
            world.callbacks.insert((now_ms + soon, call.key.clone()));
            let memo = Arc::new(json!({ "begun": true }));
            Outcome::Waiting {
                message: "callback".into(),
                key: call.key.clone(),
                timeout_ms: plan.wait_timeout_ms,
                memo,
            }
        }
    }
}
