//! Many who want the same record at once, and a process that dies meanwhile.

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use stepwell_tests::records::{chain, claim, clerk, counting, prove_counted, start_counting};
use stepwell_tests::{Stepwell, database, until};

use crate::{SOON, at, count, engine, record, run};

const BEGINS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_that_begin_a_payment_at_once_one_wins() {
    let engine = engine().await;
    let begin = clerk(json!([claim(Some("CREATED"), "PAYING"), { "do": "get", "id": "=input.order" }]));
    engine.publish(&chain("pay", &[("begin", begin)], "=nodes.begin")).await;
    let order = json!({ "status": "CREATED", "body": { "amount": 5 } });
    engine.put("/api/v1/records/order/o-1", &[("if-none-match", "*")], &order).await.expect(200);
    let begins = stream::iter(0..BEGINS).map(async |_| run(&engine, "pay", &json!({ "order": "o-1" })).await);
    let told: Vec<Value> = begins.buffer_unordered(BEGINS).collect().await;
    let won = told.iter().filter(|one| one["output"][0] == 2).count();
    // A lost race is an answer: who lost completes like the one who won, and sees who did.
    let lost = told.iter().filter(|one| one["output"][0].is_null() && one["output"][1]["status"] == "PAYING").count();
    let completed = told.iter().filter(|one| one["state"] == "completed").count();
    assert_eq!((won, lost, completed), (1, BEGINS - 1, BEGINS));
    assert_eq!(at(&engine, "o-1").await, "PAYING@2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_engines_that_begin_the_same_orders_one_wins_each() {
    if database().is_none() {
        eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
        return;
    }
    let first = engine().await;
    let begin = clerk(json!([claim(Some("CREATED"), "PAYING"), { "do": "get", "id": "=input.order" }]));
    first.publish(&chain("pay", &[("begin", begin)], "=nodes.begin")).await;
    // What is there already it knows from its start.
    let second = Stepwell::start(first.options().named("second", &[])).await;
    let engines = [&first, &second];
    let orders: Vec<String> = (0..20).map(|n| format!("both-{n}")).collect();
    let order = json!({ "status": "CREATED", "body": { "amount": 5 } });
    for id in &orders {
        first.put(&format!("/api/v1/records/order/{id}"), &[("if-none-match", "*")], &order).await.expect(200);
    }
    // Each order is begun ten times at either.
    let begins = orders.iter().flat_map(|id| (0..20).map(move |n| (id, n % 2)));
    let begins = stream::iter(begins).map(async |(id, at)| {
        let told = run(engines[at], "pay", &json!({ "order": id })).await;
        (id.clone(), told["output"][0] == 2, told["output"][1]["status"] == "PAYING")
    });
    let told: Vec<(String, bool, bool)> = begins.buffer_unordered(400).collect().await;
    for id in &orders {
        let of_it: Vec<_> = told.iter().filter(|(one, ..)| one == id).collect();
        assert_eq!(of_it.iter().filter(|(_, won, _)| *won).count(), 1, "{id}");
        assert_eq!(of_it.iter().filter(|(.., seen)| *seen).count(), 20, "{id}: all see who pays");
        assert_eq!(at(&first, id).await, "PAYING@2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_are_woken_at_once_one_wins() {
    let engine = engine().await;
    let wait = json!({ "type": "receive", "message": "go", "key": "=input.n" });
    let steps = [("wait", wait), ("begin", clerk(json!([claim(None, "PAYING")])))];
    engine.publish(&chain("late", &steps, "=nodes.begin")).await;
    let many = 100;
    let start = async |n: usize| {
        let input = json!({ "input": { "order": "o-2", "n": format!("n{n}") } });
        engine.post("/api/v1/flows/late/instances", &input).await.expect(202);
    };
    stream::iter(0..many).map(start).buffer_unordered(20).collect::<Vec<()>>().await;
    count(&engine, "late", "waiting", 100).await;
    let wake = async |n: usize| {
        let message = json!({ "name": "go", "key": format!("n{n}"), "payload": null });
        engine.post("/api/v1/messages", &message).await.expect(202);
    };
    stream::iter(0..many).map(wake).buffer_unordered(50).collect::<Vec<()>>().await;
    count(&engine, "late", "completed", 100).await;
    let list = engine.get("/api/v1/instances?flow=late&limit=200").await.expect(200).json();
    let mut won = 0;
    for one in list["items"].as_array().unwrap() {
        let shown = engine.get(&format!("/api/v1/instances/{}", one["id"].as_str().unwrap())).await.expect(200).json();
        won += u32::from(shown["output"] == json!([1]));
    }
    assert_eq!((won, at(&engine, "o-2").await.as_str()), (1, "PAYING@1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_has_written_once_whenever_the_engine_is_killed() {
    let mut engine = engine().await;
    engine.publish(&counting("once")).await;
    let many: u64 = 150;
    for kill in 0..6 {
        let start = async |n: u64| start_counting(&engine, "once", n).await.is_some();
        let starts = stream::iter(0..many).map(start).buffer_unordered(50);
        if kill == 5 {
            let all: Vec<bool> = starts.collect().await;
            assert!(all.into_iter().all(|acknowledged| acknowledged));
            break;
        }
        // In the middle of starting, and of what was started before.
        starts.take(25 * (kill + 1)).collect::<Vec<bool>>().await;
        engine.kill9().await;
        engine.restart().await;
    }
    count(&engine, "once", "completed", many).await;
    prove_counted(&engine, many).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_keeps_moving_puts_the_call_off() {
    let engine = engine().await;
    // Reads for so long that the record has moved whenever it comes to commit.
    let read = json!({ "do": "repeat", "times": 900, "deeds": [{ "do": "get", "id": "=input.order" }] });
    let steps = [("slow", clerk(json!([read, claim(Some("CREATED"), "PAYING")])))];
    engine.publish(&chain("slow", &steps, "=nodes.slow")).await;
    let path = "/api/v1/records/order/m-1";
    let order = json!({ "status": "CREATED", "body": {} });
    engine.put(path, &[("if-none-match", "*")], &order).await.expect(200);
    let moves = async {
        let mut revision = "\"1\"".to_owned();
        loop {
            let moved = engine.put(path, &[("if-match", &revision)], &order).await.expect(200);
            moved.header("etag").clone_into(&mut revision);
        }
    };
    let given_up = async {
        until("it moves", SOON, async || (at(&engine, "m-1").await != "CREATED@1").then_some(())).await;
        let begun = json!({ "input": { "order": "m-1" } });
        let started = engine.post("/api/v1/flows/slow/instances", &begun).await.expect(202).json();
        let instance = format!("/api/v1/instances/{}", started["id"].as_str().unwrap());
        until("it is given up", SOON, async || {
            let shown = engine.get(&instance).await.expect(200).json();
            assert_ne!(shown["state"], "completed");
            (shown["state"] == "incident").then_some((instance.clone(), shown))
        })
        .await
    };
    let (instance, shown) = tokio::select! {
        () = moves => unreachable!("it moves on and on"),
        found = given_up => found,
    };
    assert!(shown["error"]["message"].as_str().unwrap().contains("records keep moving"), "{shown:#}");
    assert_eq!(record(&engine, "m-1").await["status"], "CREATED");
    // Left in peace, it goes through.
    engine.post(&format!("{instance}/retry"), &json!({})).await.expect(202);
    count(&engine, "slow", "completed", 1).await;
    assert_eq!(record(&engine, "m-1").await["status"], "PAYING");
}
