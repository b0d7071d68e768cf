//! Cases with a name: what went wrong in other engines, and what the simulation found in this one. Each is a script in
//! which one thing goes wrong, at one moment; all the invariants are held against it as well.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tasks;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stepwell_core::machine::{Command, CutReason, State};
use stepwell_sim::journal::Plan;
use stepwell_sim::shop::Wish;
use stepwell_sim::world::LEASE_MS;
use stepwell_sim::{Health, Run, Script, nodes, play_named};

/// Nodes and edges in few words: `a=act; b=act`, `start>a a>b`. Kinds: node types of the simulation, else plain nodes.
fn flow(nodes: &str, edges: &str) -> Value {
    let node = |word: &str| {
        let (id, kind) = word.trim().split_once('=').unwrap();
        let (kind, more) = kind.split_once(' ').unwrap_or((kind, "{}"));
        let mut node: Value = serde_json::from_str(more).unwrap();
        if ["act", "ask", "wait", "tell", "pure"].contains(&kind) {
            node["type"] = json!("task");
            node["uses"] = json!(format!("sim/{kind}@1"));
            node["undo"] = json!(["act", "ask", "wait"].contains(&kind));
        } else {
            node["type"] = json!(kind);
        }
        (id.to_owned(), node)
    };
    let nodes: serde_json::Map<String, Value> = nodes.split(';').map(node).collect();
    let edge = |word: &str| {
        let (from, to) = word.split_once('>').unwrap();
        match from.split_once('.') {
            Some((from, port)) => json!({ "from": from, "port": port, "to": to }),
            None => json!({ "from": from, "to": to }),
        }
    };
    let edges: Vec<Value> = edges.split(' ').map(edge).collect();
    json!({ "stepwell": 1, "kind": "graph", "key": "named", "nodes": nodes, "edges": edges })
}

fn input() -> Value {
    json!({ "key": "$key", "other": "$shared", "n": "$n" })
}

/// One thing at a time, and what is to be seen of it.
trait Looks {
    fn states(&self) -> Vec<State>;
    /// Effects that stand, and all there were.
    fn effects(&self) -> (usize, u32);
    fn calls(&self) -> u64;
}

impl Looks for Script {
    fn states(&self) -> Vec<State> {
        self.sim.world().store.rows.values().map(|row| row.header.state).collect()
    }

    fn effects(&self) -> (usize, u32) {
        let world = self.sim.world();
        let deeds = world.shop.deeds.values();
        (deeds.clone().filter(|deed| deed.stands()).count(), deeds.map(|deed| deed.effects).sum())
    }

    fn calls(&self) -> u64 {
        self.sim.world().count.calls
    }
}

/// Lets time pass until it is so; at most a minute.
async fn until(script: &Script, what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if so() {
            return;
        }
        script.sim.time.sleep(1).await;
    }
    script.sim.fails("an end is reached", format!("not within a minute: {what}"));
}

fn must(script: &Script, what: &str, so: bool) {
    if !so {
        let seen = format!("{what}: {:?}, effects {:?}", script.states(), script.effects());
        script.sim.fails("an end is reached", seen);
    }
}

fn held(run: &Run) {
    assert!(run.violation.is_none(), "{run}");
}

async fn all_ended(script: &Script) {
    until(script, "all have ended", || !script.states().is_empty() && script.states().iter().all(|it| it.ended()))
        .await;
}

/// Found by the simulation: the second engine could not make the call again, took that for "never made", and left
/// the effect of the first engine's call as it was.
#[test]
fn a_call_under_way_that_cannot_be_made_again_is_undone() {
    for cut in [CutReason::Breaker, CutReason::Missing] {
        let flow = flow("start=start; a=act; end=end", "start>a a>end");
        held(&play_named(false, vec![(flow, input())], |script| async move {
            let (host, _) = script.boot();
            script.start();
            until(&script, "the call is made", || script.calls() == 1).await;
            script.sim.time.sleep(1).await;
            script.sim.crash(host);
            script.sim.world().store.bury(1);
            script.sim.world().ordered_calls.push(("a", nodes::Plan { not_made: Some(cut), ..Default::default() }));
            script.boot();
            all_ended(&script).await;
            must(&script, "the effect is undone", script.effects() == (0, 1));
            must(&script, "it is compensated", script.states() == [State::Compensated]);
        }));
    }
}

/// Found by the simulation: an engine parked an instance, saw that a message had come, and took it again; meanwhile
/// another engine had driven it on. The first one then had it, and nobody drove it.
#[test]
fn a_parked_instance_that_another_engine_drove_on_is_not_forgotten() {
    let flow = flow(
        "start=start; r=receive {\"message\":\"paid\",\"key\":\"=input.key\"}; t=timer {\"after\":\"5s\"}; end=end",
        "start>r r>t t>end",
    );
    held(&play_named(true, vec![(flow, input())], |script| async move {
        let (first, _) = script.boot();
        script.sim.world().ordered.push((first, "take", Plan::Slow(3_000)));
        tokio::spawn(script.clone().post("paid".into(), "K1".to_owned(), "m1".to_owned()));
        script.sim.time.sleep(20).await;
        script.start();
        until(&script, "it is parked with a message", || script.states() == [State::Waiting]).await;
        script.boot();
        all_ended(&script).await;
        must(&script, "in time", script.sim.time.now_ms() < 8_000);
    }));
}

/// A forward call that answers 502 while compensation waits for it may have done its work.
#[test]
fn a_call_that_goes_wrong_during_compensation_is_undone() {
    let flow = flow("start=start; a=act {\"timeout\":\"2s\"}; end=end", "start>a a>end");
    held(&play_named(false, vec![(flow, input())], |script| async move {
        script.boot();
        let slow = nodes::Plan { there_ms: 500, wish: Wish::DoBadly, ..Default::default() };
        script.sim.world().ordered_calls.push(("a", slow));
        script.start();
        until(&script, "the call is made", || script.calls() == 1).await;
        order(&script, Command::Compensate { reason: String::new() });
        all_ended(&script).await;
        must(&script, "the effect is undone", script.effects() == (0, 1));
    }));
}

fn order(script: &Script, command: Command) {
    let id: Option<Arc<str>> = script.sim.world().store.rows.keys().next().cloned();
    tokio::spawn(script.clone().order(id.unwrap(), command));
}

#[test]
fn the_answer_races_its_timeout_while_compensation_is_started_twice() {
    for answer_after_ms in 98..=102 {
        let flow = flow("start=start; a=act; b=act {\"timeout\":\"100ms\"}; end=end", "start>a a>b b>end");
        held(&play_named(false, vec![(flow, input())], move |script| async move {
            script.boot();
            let racing = nodes::Plan { there_ms: answer_after_ms - 1, ..Default::default() };
            script.sim.world().ordered_calls.push(("b", racing));
            script.start();
            until(&script, "the second call is made", || script.calls() == 2).await;
            script.sim.time.sleep(95).await;
            order(&script, Command::Compensate { reason: "once".to_owned() });
            order(&script, Command::Compensate { reason: "twice".to_owned() });
            all_ended(&script).await;
            script.sim.time.sleep(500).await;
            must(&script, "nothing is left", script.effects().0 == 0);
            let undone = script.sim.world().shop.deeds.values().all(|deed| deed.undo_keys.len() == 1);
            must(&script, "each step is undone under one key", undone);
        }));
    }
}

#[test]
fn a_join_fires_once_when_its_branches_come_back_together() {
    let flow = flow(
        "start=start; f=parallel; a=act; b=act; c=act; j=parallel; d=act; end=end",
        "start>f f>a f>b f>c a>j b>j c>j j>d d>end",
    );
    for fault in [Plan::Well, Plan::CrashBefore, Plan::CrashAfter, Plan::FailBefore, Plan::FailAfter] {
        let flow = flow.clone();
        held(&play_named(false, vec![(flow, input())], move |script| async move {
            let (host, _) = script.boot();
            script.start();
            until(&script, "the branches are called", || script.calls() == 3).await;
            script.sim.world().ordered.push((host, "append", fault));
            script.sim.time.sleep(50).await;
            if script.sim.health(host) == Health::Dead {
                script.sim.world().store.bury(1);
                script.boot();
            }
            all_ended(&script).await;
            must(&script, "four effects", script.effects() == (4, 4));
            must(&script, "completed", script.states() == [State::Completed]);
        }));
    }
}

#[test]
fn an_owner_that_was_taken_for_dead_writes_and_calls_nothing_when_it_wakes() {
    for stall in [Plan::StallBefore, Plan::StallAfter] {
        let flow = flow("start=start; a=act; b=act; end=end", "start>a a>b b>end");
        held(&play_named(true, vec![(flow, input())], move |script| async move {
            let (first, _) = script.boot();
            script.start();
            until(&script, "the first call is made", || script.calls() == 1).await;
            script.sim.world().ordered.push((first, "append", stall));
            until(&script, "the owner stalls", || script.sim.health(first) == Health::Stalled).await;
            script.sim.world().store.bury(1);
            script.boot();
            all_ended(&script).await;
            // Nobody is taken for dead sooner.
            script.sim.time.sleep(LEASE_MS).await;
            let calls = script.calls();
            script.sim.set_health(first, Health::Up);
            script.sim.time.sleep(5_000).await;
            must(&script, "no call is made", script.calls() == calls);
            must(&script, "two effects", script.effects() == (2, 2));
            must(&script, "completed once", script.states() == [State::Completed]);
        }));
    }
}

/// Found by the simulation: a message was in the inbox when the first commit came back, so that a second commit was
/// made before the calls of the first were begun. The engine stalled in it, and made them after its lease.
#[test]
fn a_call_is_on_its_way_before_the_next_commit() {
    let receive = json!({ "message": "paid", "key": "=input.key" });
    let flow = flow(
        &format!("start=start; f=parallel; a=act; r=receive {receive}; b=act; e1=end; e2=end"),
        "start>f f>a f>r a>e1 r>b b>e2",
    );
    held(&play_named(true, vec![(flow, input())], |script| async move {
        let (first, _) = script.boot();
        script.sim.world().ordered.extend([(first, "append", Plan::Well), (first, "append", Plan::StallAfter)]);
        tokio::spawn(script.clone().post("paid".into(), "K1".to_owned(), "m1".to_owned()));
        script.sim.time.sleep(20).await;
        script.start();
        until(&script, "the owner stalls", || script.sim.health(first) == Health::Stalled).await;
        must(&script, "the call was made", script.calls() == 1);
        script.sim.time.sleep(LEASE_MS).await;
        script.sim.world().store.bury(1);
        script.boot();
        all_ended(&script).await;
        script.sim.set_health(first, Health::Up);
        script.sim.time.sleep(5_000).await;
        must(&script, "two effects", script.effects() == (2, 2));
    }));
}

/// Found by the simulation: two timers were due at once. The first led to a listener's call, the second to the end of
/// the whole; the listener was called all the same.
#[test]
fn a_listener_that_is_given_up_at_once_is_not_called() {
    let heard = json!({ "listeners": [{ "on": "enter", "uses": "sim/tell@1" }] });
    let flow = flow(
        &format!(
            "start=start; s=act; f=parallel; t=timer {{\"after\":\"5s\"}}; u=timer {{\"after\":\"5s\"}}; a=act {heard}; \
             x=throw {{\"code\":\"NO\"}}; end=end"
        ),
        "start>s s>f f>t f>u t>a a>end u>x",
    );
    held(&play_named(false, vec![(flow, input())], |script| async move {
        script.boot();
        script.start();
        all_ended(&script).await;
        script.sim.time.sleep(1_000).await;
        must(&script, "the step is called, and its undo", script.calls() == 2);
        must(&script, "compensated", script.states() == [State::Compensated]);
    }));
}

#[test]
fn what_a_slow_recovery_read_is_not_written_over_what_happened_since() {
    let flow = flow("start=start; a=act; b=wait; end=end", "start>a a>b b>end");
    held(&play_named(true, vec![(flow, input())], |script| async move {
        let (first, _) = script.boot();
        script.start();
        until(&script, "it waits", || script.states() == [State::Waiting]).await;
        script.sim.crash(first);
        script.sim.world().store.bury(1);
        // Takes the instance, then reads its rows for a long time.
        let (second, _) = script.boot();
        script.sim.world().ordered.push((second, "entries", Plan::Slow(4_000)));
        let key = script.sim.world().shop.deeds.keys().find(|key| key.contains(".b.")).cloned().unwrap();
        tokio::spawn(script.clone().post("callback".into(), key, "cb".to_owned()));
        script.sim.time.sleep(1_500).await;
        let seat = script.sim.world().hosts[second].seat;
        script.sim.world().store.bury(seat);
        script.boot();
        all_ended(&script).await;
        script.sim.time.sleep(6_000).await;
        must(&script, "two effects", script.effects() == (2, 2));
    }));
}

#[test]
fn the_database_goes_away_again_during_recovery() {
    let flow = flow("start=start; a=act; r=timer {\"after\":\"1s\"}; b=act; end=end", "start>a a>r r>b b>end");
    held(&play_named(false, vec![(flow, input())], |script| async move {
        let (first, _) = script.boot();
        for _ in 0..5 {
            script.start();
        }
        script.sim.time.sleep(30).await;
        script.sim.crash(first);
        script.sim.world().store.bury(1);
        script.boot();
        for round in 0..20 {
            script.sim.world().out = round % 2 == 0;
            script.sim.time.sleep(130).await;
        }
        script.sim.world().out = false;
        all_ended(&script).await;
        must(&script, "all completed", script.states() == [State::Completed; 5]);
        must(&script, "two effects each", script.effects() == (10, 10));
    }));
}

#[test]
fn an_engine_that_is_ending_claims_nothing_again() {
    let flow = flow(
        "start=start; r=receive {\"message\":\"paid\",\"key\":\"=input.key\",\"timeout\":\"2s\"}; end=end",
        "start>r r>end r.timeout>end",
    );
    held(&play_named(true, vec![(flow, input())], |script| async move {
        let (first, engine) = script.boot();
        for _ in 0..3 {
            script.start();
        }
        until(&script, "they wait", || script.states() == [State::Waiting; 3]).await;
        engine.shut_down(Duration::from_secs(20)).await;
        // Timers are due and messages come, at the one that is ending and at nobody else.
        tokio::spawn(script.clone().post("paid".into(), "K2".to_owned(), "m2".to_owned()));
        script.sim.time.sleep(5_000).await;
        let seat = script.sim.world().hosts[first].seat;
        let claimed = script.sim.world().store.rows.values().any(|row| row.owner == seat);
        must(&script, "nothing is claimed", !claimed && engine.live() == 0);
        script.sim.set_health(first, Health::Dead);
        script.boot();
        all_ended(&script).await;
    }));
}

#[test]
fn a_wake_up_that_nobody_heard_is_made_up_for_by_the_next_look() {
    let flow = flow("start=start; r=receive {\"message\":\"paid\",\"key\":\"=input.key\"}; end=end", "start>r r>end");
    held(&play_named(true, vec![(flow, input())], |script| async move {
        let (first, _) = script.boot();
        script.start();
        until(&script, "it waits", || script.states() == [State::Waiting]).await;
        // The one that takes the message dies before it wakes anybody; the other one hears nothing of it.
        script.sim.world().faults.hints = false;
        script.sim.world().ordered.push((first, "post", Plan::CrashAfter));
        tokio::spawn(script.clone().post("paid".into(), "K1".to_owned(), "m1".to_owned()));
        until(&script, "the message is kept", || !script.sim.world().store.messages.is_empty()).await;
        let since_ms = script.sim.time.now_ms();
        script.boot();
        all_ended(&script).await;
        must(&script, "within two looks", script.sim.time.now_ms() < since_ms + 2_100);
    }));
}
