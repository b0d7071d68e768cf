//! Work that is fetched, locked, and answered late.

use serde_json::{Value, json};
use stepwell_core::machine::{Command, OpenTask, State};
use stepwell_sim::journal::Plan;
use stepwell_sim::shop::Wish;
use stepwell_sim::store::{Grasp, TaskId};
use stepwell_sim::{Health, Script, play_named};

use crate::{Looks, all_ended, flow, held, input, must, order, until};

fn work() -> Value {
    let task = json!({ "topic": "work", "undo": { "uses": "sim/act@1" } });
    flow(&format!("start=start; w=external-task {task}; end=end"), "start>w w>end")
}

/// The only open task, once there is one.
async fn fetched(script: &Script, worker: &str) -> (TaskId, OpenTask) {
    for _ in 0..1_000 {
        if let Some(one) = script.fetch(worker, 1).await.into_iter().next() {
            return one;
        }
        script.sim.time.sleep(5).await;
    }
    script.sim.fails("an end is reached", format!("{worker} gets no work"));
    std::future::pending().await
}

/// The engine locks a task for a worker, and dies or is not heard before the worker is told. The task is not lost, and
/// nobody else has it before the lock is over.
#[test]
fn the_lost_reply_to_a_fetch_costs_the_time_of_the_lock() {
    for lost in [Plan::CrashBefore, Plan::CrashAfter, Plan::FailBefore, Plan::FailAfter] {
        held(&play_named(false, vec![(work(), input())], move |script| async move {
            let (host, _) = script.boot();
            script.start();
            until(&script, "it is open", || !script.sim.world().store.tasks.is_empty()).await;
            let since_ms = script.sim.time.now_ms();
            script.sim.world().ordered.push((host, "fetch", lost));
            must(&script, "nobody is told", script.fetch("W1", 1).await.is_empty());
            if script.sim.health(host) == Health::Dead {
                script.sim.world().store.bury(1);
                script.boot();
            }
            let (id, task) = fetched(&script, "W2").await;
            let locked = matches!(lost, Plan::CrashAfter | Plan::FailAfter);
            let waited_ms = script.sim.time.now_ms() - since_ms;
            must(&script, "for as long as the lock, no longer", (waited_ms >= 2_000) == locked && waited_ms < 2_050);
            let answer = script.at_the_shop("W2", &id, &task, Wish::Do).unwrap();
            must(&script, "W1 has it no more", script.extend(&id, task.attempt, "W1").await == Some(Grasp::Taken));
            must(&script, "the answer is kept", script.answer("W2", &id, task.attempt, answer).await);
            all_ended(&script).await;
            must(&script, "one effect", script.effects() == (1, 1));
            must(&script, "completed", script.states() == [State::Completed]);
        }));
    }
}

/// Of two engines, the clock of one goes an hour ahead, or back: locks end early there, or late, but what is done is
/// done under one key, and one answer is taken.
#[test]
fn a_clock_jumps_while_a_task_is_locked() {
    for skew_ms in [3_600_000, -3_600_000] {
        held(&play_named(true, vec![(work(), input())], move |script| async move {
            let (first, _) = script.boot();
            script.start();
            let (id, task) = fetched(&script, "W1").await;
            script.sim.world().hosts[first].skew_ms = skew_ms;
            let one = script.at_the_shop("W1", &id, &task, Wish::Do).unwrap();
            if skew_ms < 0 {
                // Where it is an hour ago, the lock lasts; its holder answers all the same.
                must(&script, "it is not given away", script.fetch("W2", 1).await.is_empty());
                must(&script, "the answer is kept", script.answer("W1", &id, task.attempt, one).await);
            } else {
                let (same, again) = fetched(&script, "W2").await;
                must(&script, "it is the same task", (&same, again.attempt) == (&id, task.attempt));
                let other = script.at_the_shop("W2", &id, &again, Wish::Do).unwrap();
                must(&script, "W1 is refused", !script.answer("W1", &id, task.attempt, one).await);
                must(&script, "W2 is not", script.answer("W2", &id, again.attempt, other).await);
            }
            all_ended(&script).await;
            must(&script, "one effect", script.effects() == (1, 1));
            must(&script, "completed", script.states() == [State::Completed]);
        }));
    }
}

/// A worker is late: its task was undone with all else. The shop has nothing of it.
#[test]
fn work_that_comes_after_its_undo_is_refused() {
    held(&play_named(false, vec![(work(), input())], |script| async move {
        script.boot();
        script.start();
        let (id, task) = fetched(&script, "W1").await;
        order(&script, Command::Compensate { reason: String::new() });
        all_ended(&script).await;
        let answer = script.at_the_shop("W1", &id, &task, Wish::Do).unwrap();
        must(&script, "the shop refuses", matches!(answer, Command::Fail { .. }));
        must(&script, "nobody takes the answer", !script.answer("W1", &id, task.attempt, answer).await);
        must(&script, "nothing is left", script.effects() == (0, 0));
        must(&script, "compensated", script.states() == [State::Compensated]);
    }));
}
