//! Calls that go wrong on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;
use stepwell_core::machine::Op;
use stepwell_sandbox::{BreakerState, Digest, Sandbox};

use crate::rig::{Rig, about, guest, limits, sandbox, shown, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harm_is_stopped_and_said() {
    let mut rig = Rig::new("hostile").await;
    rig.timeout_ms = 1000;
    for (config, expected) in [
        (json!({ "do": "good" }), r#"done out {"n":1}"#),
        (json!({ "do": "loop" }), "cut deadline: no answer within 1000 ms"),
        // 64 MiB at a time up to 4 GiB; the first does not fit beside what is there.
        (json!({ "do": "allocate" }), "cut memory: asked for "),
        (json!({ "do": "trap" }), "cut trap: wasm trap: wasm `unreachable` instruction executed"),
        (json!({ "do": "recurse" }), "cut trap: "),
        // 100 MB do not fit into memory; 2 MiB are stopped before the host copies them; 1 MiB and a
        // quote are measured.
        (json!({ "do": "output", "bytes": 100_000_000 }), "cut memory: asked for "),
        (json!({ "do": "output", "bytes": 2 << 20 }), "cut output: handed over more than 1048576 bytes at once"),
        (json!({ "do": "output", "bytes": 1 << 20 }), "cut output: the output has 1048578 bytes, 1048576 are allowed"),
        (json!({ "do": "not-json" }), "cut output: the output is no JSON: key must be a string at line 1"),
        (json!({ "do": "deep-json" }), "cut output: "),
        (json!({ "do": "wide-number" }), "cut output: the output is no JSON: number out of range"),
        (json!({ "do": "not-text" }), "cut "),
        (json!({ "do": "creep" }), "done out true"),
        (json!({ "do": "long-key" }), "permanent NODE_BROKE_CONTRACT: waits for a message of 4 bytes"),
        // Nothing of an earlier call is seen by a later one.
        (json!({ "do": "count" }), "done out 0"),
        (json!({ "do": "count" }), "done out 0"),
    ] {
        let shown = rig.run(config.clone(), json!({ "n": 1 })).await;
        assert!(shown.starts_with(expected), "{config}: {shown}");
    }
    let shown = rig.run(json!({ "do": "long-message" }), json!(null)).await;
    assert_eq!(shown.len(), "permanent -: ".len() + 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pure_call_sees_nothing_that_differs_when_it_is_repeated() {
    let rig = Rig::new("hostile").await;
    let shown = rig.run(json!({ "do": "tell" }), json!(null)).await;
    let told = r#"{"attempt":1,"business":"order-1","deadline":0,"key":"key-1","node":"node","trace":null}"#;
    assert_eq!(shown, format!("done out {told}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_kept_was_given_to_nobody_in_particular() {
    let rig = Rig::new("hostile").await;
    let ask = async |deed: &str, key: &str| {
        let mut call = rig.call(Op::Run, json!({ "do": deed }), json!(null));
        (call.key, call.callee.cache) = (key.to_owned(), true);
        shown(&rig.answer(&call).await.outcome)
    };
    let told = r#"{"attempt":1,"business":null,"deadline":0,"key":"","node":"","trace":null}"#;
    for (deed, expected, hits) in [
        ("tell", &*format!("done out {told}"), 1),
        ("long-message", "permanent", 1),
        ("trap", "cut trap", 1),
        ("good", "done out null", 2),
    ] {
        for key in ["key-1", "key-2"] {
            let shown = ask(deed, key).await;
            assert!(shown.starts_with(expected), "{deed}: {shown}");
        }
        assert_eq!(rig.sandbox.cache().hits, hits, "{deed}");
    }
    // Broken off, the plugin is not called; what it said before is there all the same.
    for _ in 0..10 {
        ask("trap", "key-1").await;
    }
    assert!(ask("count", "key-1").await.starts_with("cut breaker: "));
    assert_eq!(ask("good", "key-1").await, "done out null");
    rig.sandbox.reset_breaker(&rig.plugin.digest);
    let without = rig.run(json!({ "do": "tell" }), json!(null)).await;
    assert!(without.contains("key-1"), "one whose flow does not ask for it: {without}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_go_on_beside_endless_loops() {
    let mut rig = Rig::new("hostile").await;
    rig.timeout_ms = 5000;
    let rig = Arc::new(rig);
    let began = Instant::now();
    // Twice as many as there are workers: none may hold one.
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.run(json!({ "do": "loop" }), json!(null)).await })
        })
        .collect();
    for n in 0..20 {
        let harm = ["trap", "allocate", "good"][n % 3];
        rig.run(json!({ "do": harm }), json!(null)).await;
        assert_eq!(rig.run(json!({ "do": "good" }), json!(n)).await, format!("done out {n}"));
    }
    assert!(began.elapsed().as_millis() < 5000, "the neighbours waited for the loops");
    for one in loops {
        assert_eq!(one.await.unwrap(), "cut deadline: no answer within 5000 ms");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_keeps_trapping_is_broken_off() {
    let rig = Rig::new("hostile").await;
    for _ in 0..10 {
        rig.run(json!({ "do": "trap" }), json!(null)).await;
    }
    let shown = rig.run(json!({ "do": "good" }), json!(null)).await;
    assert!(shown.starts_with("cut breaker: hostile keeps trapping and is not called for "), "{shown}");
    let digest = rig.plugin.digest;
    let state = || rig.sandbox.breaker(&digest).map(|view| (view.state, view.trips));
    assert_eq!(state(), Some((BreakerState::Open, 1)));
    assert_eq!((rig.sandbox.reset_breaker(&digest), rig.sandbox.reset_breaker(&digest)), (Some(true), Some(false)));
    assert_eq!(rig.run(json!({ "do": "good" }), json!(1)).await, "done out 1");
    assert_eq!(state(), Some((BreakerState::Closed, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_that_is_not_loaded_is_said() {
    let rig = Rig::new("hostile").await;
    let call = rig.call(Op::Run, json!({ "do": "good" }), json!(null));
    assert!(rig.sandbox.remove(&rig.plugin.digest));
    let shown = shown(&rig.answer(&call).await.outcome);
    assert!(shown.starts_with("cut missing: no plugin with digest "), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_called_is_loaded_once_from_where_it_is_kept() {
    let mut rig = Rig::new("hostile").await;
    let (asked, kept) = (Arc::new(AtomicUsize::new(0)), guest("hostile"));
    let (count, digest) = (Arc::clone(&asked), rig.plugin.digest);
    let source = move |wanted: Digest| {
        count.fetch_add(1, Ordering::Relaxed);
        let found = (wanted == digest).then(|| kept.clone());
        Box::pin(async move { found }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    rig.sandbox = Arc::new(Sandbox::new(None, limits()).unwrap().with_source(Box::new(source)));
    rig.timeout_ms = 60_000;
    let (good, null) = (json!({ "do": "good" }), json!(null));
    let both = tokio::join!(rig.run(good.clone(), null.clone()), rig.run(good.clone(), null.clone()));
    assert_eq!((both.0.as_str(), both.1.as_str()), ("done out null", "done out null"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // It is there for what is pinned to it; which build new flows get is not decided by a call.
    assert!(rig.sandbox.plugins().is_empty());
    let mut other = rig.call(Op::Run, good, null);
    other.callee.digest = "0".repeat(64).into();
    assert!(shown(&rig.answer(&other).await.outcome).starts_with("cut missing: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_for_its_build_no_longer_than_it_may_take() {
    let mut rig = Rig::new("hostile").await;
    let (asked, kept) = (Arc::new(AtomicUsize::new(0)), guest("hostile"));
    let (count, open) = (Arc::clone(&asked), Arc::new(tokio::sync::Semaphore::new(0)));
    let door = Arc::clone(&open);
    let source = move |_: Digest| {
        count.fetch_add(1, Ordering::Relaxed);
        let (kept, door) = (kept.clone(), Arc::clone(&door));
        Box::pin(async move {
            door.acquire().await.unwrap().forget();
            Some(kept)
        }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    rig.sandbox = Arc::new(Sandbox::new(None, limits()).unwrap().with_source(Box::new(source)));
    rig.timeout_ms = 200;
    for _ in 0..2 {
        let shown = rig.run(json!({ "do": "good" }), json!(null)).await;
        assert!(shown.starts_with("transient: the build ") && shown.ends_with("not ready within 200 ms"), "{shown}");
    }
    // Though nobody waits for it, it goes on.
    open.add_permits(1);
    rig.timeout_ms = 60_000;
    assert_eq!(rig.run(json!({ "do": "good" }), json!(1)).await, "done out 1");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_made_again_goes_by_breaker_gates_and_reuse() {
    let rig = Rig::new("hostile").await;
    let digest = rig.plugin.digest;
    let reuse = json!({ "grants": [{ "plugin": "hostile", "reuse": 100 }] });
    rig.sandbox.set_grants(&serde_json::from_value(reuse).unwrap()).unwrap();
    let again = async |deed: &str| {
        let call = rig.call(Op::Run, json!({ "do": deed }), json!(null));
        shown(&rig.sandbox.again(&about("flow"), &call).await)
    };
    assert_eq!(rig.run(json!({ "do": "count" }), json!(null)).await, "done out 0");
    // In an instance of its own.
    assert_eq!(again("count").await, "done out 0");
    assert_eq!(rig.run(json!({ "do": "count" }), json!(null)).await, "done out 1");
    // What traps when it is looked at again breaks nobody off.
    for _ in 0..10 {
        assert!(again("trap").await.starts_with("cut trap"));
    }
    assert_eq!(rig.sandbox.breaker(&digest).map(|view| view.state), Some(BreakerState::Closed));
    while rig.sandbox.breaker(&digest).unwrap().state != BreakerState::Open {
        rig.run(json!({ "do": "trap" }), json!(null)).await;
    }
    assert_eq!(again("good").await, "done out null");
    rig.sandbox.set_pauses(["node-type hostile/harm".to_owned()]);
    assert_eq!(again("good").await, "done out null");
    assert!(rig.sandbox.let_one_through("node-type hostile/harm"));
    assert_eq!(again("good").await, "done out null");
    // Who tries for all is still to come.
    assert!(rig.sandbox.reset_breaker(&digest) == Some(true));
    assert_eq!(rig.run(json!({ "do": "good" }), json!(2)).await, "done out 2");
    assert!(rig.run(json!({ "do": "good" }), json!(2)).await.starts_with("cut paused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_slots_wait_their_turn() {
    let limits = stepwell_sandbox::Limits { calls_max: 1, ..limits() };
    let sandbox = Arc::new(stepwell_sandbox::Sandbox::new(None, limits).unwrap());
    let plugin = sandbox.load(guest("hostile")).await.unwrap();
    let slow = Arc::new(Rig { sandbox: Arc::clone(&sandbox), plugin: plugin.clone(), timeout_ms: 1500 });
    let quick = Rig { sandbox, plugin, timeout_ms: 200 };
    let holder = {
        let slow = Arc::clone(&slow);
        tokio::spawn(async move { slow.run(json!({ "do": "loop" }), json!(null)).await })
    };
    // Until the loop has the slot, calls go through.
    let refused = loop {
        let shown = quick.run(json!({ "do": "good" }), json!(1)).await;
        if shown != "done out 1" {
            break shown;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, "transient: no free slot within 200 ms: 1 calls are running");
    holder.await.unwrap();
    assert_eq!(quick.run(json!({ "do": "good" }), json!(1)).await, "done out 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_pool_allocate_on_demand() {
    let limits = stepwell_sandbox::Limits { pooled_max: 1, ..limits() };
    let sandbox = Arc::new(stepwell_sandbox::Sandbox::new(None, limits).unwrap());
    let plugin = sandbox.load(guest("hostile")).await.unwrap();
    let rig = Arc::new(Rig { sandbox, plugin, timeout_ms: 1000 });
    let calls: Vec<_> = (0..8)
        .map(|n| {
            let rig = Arc::clone(&rig);
            let deed = if n % 2 == 0 { "loop" } else { "good" };
            tokio::spawn(async move { rig.run(json!({ "do": deed }), json!(n)).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        let expected =
            if n % 2 == 0 { "cut deadline: no answer within 1000 ms".to_owned() } else { format!("done out {n}") };
        assert_eq!(call.await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_problems_and_cannot_do_harm() {
    let sandbox = sandbox();
    let plugin = sandbox.load(guest("hostile")).await.unwrap();
    for (deed, expected) in [
        ("good", ""),
        ("loop", "HARM /do: line 1: `loop` does harm"),
        ("trap", "CONFIG_NOT_CHECKED : `hostile` did not check this configuration: wasm trap: "),
    ] {
        let problems = sandbox.check(&plugin.digest, "harm", &json!({ "do": deed })).await;
        assert!(told(&problems).starts_with(expected), "{deed}: {problems:?}");
        assert_eq!(problems.is_empty(), expected.is_empty());
    }
}
