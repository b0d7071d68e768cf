//! What grants let a build reach and take, in force in the real sandbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepwell_core::machine::Op;

use crate::http::{Server, open, send, with};
use crate::rig::{Rig, shown};

fn put(rig: &Rig, connection: &Value, grants: &Value) {
    let all = json!({ "connections": { "shop": connection, "bank": connection }, "grants": grants });
    rig.sandbox.set_grants(&serde_json::from_value(all).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_holds_for_its_builds_and_its_namespace() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let (version, digest) = (rig.plugin.version.clone(), rig.plugin.digest.to_string());
    let of =
        |plugin: &str, namespace: &str| json!([{ "plugin": plugin, "namespace": namespace, "connections": ["shop"] }]);
    let major = format!("courier@{}", version.split('.').next().unwrap());
    for (grants, flow, passes) in [
        (of("courier", "*"), "eu.orders", true),
        (of("courier", "eu"), "eu.orders", true),
        (of("courier", "eu"), "us.orders", false),
        (of("courier", "default"), "orders", true),
        (of("courier", "default"), "eu.orders", false),
        (of(&format!("courier@{version}"), "*"), "orders", true),
        (of(&major, "*"), "orders", true),
        (of("courier@99", "*"), "orders", false),
        (of(&digest, "*"), "orders", true),
        (of(&"0".repeat(64), "*"), "orders", false),
        (of("couriers", "*"), "orders", false),
        // Taken back, for the very next call.
        (json!([]), "orders", false),
    ] {
        put(&rig, &open(&server), &grants);
        let call = rig.call(Op::Run, send("GET", "/"), json!(null));
        let shown = shown(&rig.answer_for(flow, &call).await.outcome);
        let expected = if passes { "done out" } else { "permanent NOT_GRANTED: the plugin `courier` has no grant" };
        assert!(shown.starts_with(expected), "{grants} {flow}: {shown}");
        assert_eq!(server.seen().len(), usize::from(passes));
        let namespace = flow.split_once('.').map_or("default", |(namespace, _)| namespace);
        let remedy = format!("PUT /api/v1/grants/courier/shop?namespace={namespace}");
        assert!(passes || shown.contains(&remedy), "it says what an administrator does: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_narrows_its_connection() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let narrowed = json!([{ "plugin": "courier", "connections": { "shop": { "methods": ["GET", "PUT"], "paths": ["/stock", "/open/"] } } }]);
    put(&rig, &with(open(&server), "methods", json!(["GET", "POST"])), &narrowed);
    for (method, path, expected) in [
        ("GET", "/stock", "done"),
        ("GET", "/stock?sku=1", "done"),
        ("GET", "/stock/1", "done"),
        ("GET", "/open/x", "done"),
        ("GET", "/stockade", "permanent NOT_GRANTED: the grant of the connection `shop` does not lead to `/stockade`"),
        ("GET", "/open", "permanent NOT_GRANTED: the grant of the connection `shop` does not lead to `/open`"),
        // Other servers may take these for `/stock`, and some for more: what is not as granted does not pass.
        ("GET", "/%73tock", "permanent NOT_GRANTED: the grant "),
        ("GET", "//stock", "permanent NOT_GRANTED: the grant "),
        ("GET", "/stock/../orders", "permanent NOT_GRANTED: `/stock/../orders` leaves the path "),
        ("GET", "/stock/..%2forders", "permanent NOT_GRANTED: `/stock/..%2forders` leaves the path "),
        ("POST", "/stock", "permanent NOT_GRANTED: the grant of the connection `shop` does not allow POST"),
        ("PUT", "/stock", "permanent NOT_GRANTED: the connection `shop` does not allow PUT"),
    ] {
        let shown = rig.run(send(method, path), json!(null)).await;
        assert!(shown.starts_with(expected), "{method} {path}: {shown}");
        assert_eq!(server.seen().len(), usize::from(expected == "done"), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_over_a_rate_waits_and_at_its_deadline_may_try_again() {
    let server = Server::start().await;
    let mut rig = Rig::new("courier").await;
    let five = json!({ "requests": vec![send("GET", "/")["requests"][0].clone(); 5] });
    let free = json!([{ "plugin": "courier", "connections": ["shop"] }]);
    let bound = json!([{ "plugin": "courier", "connections": { "shop": { "ratePerSecond": 2 } } }]);
    for (connection, grants) in [(with(open(&server), "ratePerSecond", json!(2)), &free), (open(&server), &bound)] {
        put(&rig, &connection, grants);
        rig.timeout_ms = 10_000;
        let began = Instant::now();
        assert!(rig.run(five.clone(), json!(null)).await.starts_with("done out"));
        assert!(began.elapsed() >= Duration::from_secs(2), "the fifth is in the third second");
        assert_eq!(server.seen().len(), 5);
        // What was counted stays counted when the same is put in force again.
        put(&rig, &connection, grants);
        rig.timeout_ms = 1500;
        let shown = rig.run(five.clone(), json!(null)).await;
        let expected = "transient: 1500 ms were over while it waited for a turn at the connection `shop`, which takes 2 requests a second";
        assert_eq!(shown, expected);
        assert!(server.seen().len() < 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_under_way_at_once_than_granted() {
    let server = Server::start().await;
    let mut rig = Rig::new("courier").await;
    put(&rig, &open(&server), &json!([{ "plugin": "courier", "connections": { "shop": { "concurrency": 1 } } }]));
    rig.timeout_ms = 20_000;
    let rig = Arc::new(rig);
    let first = {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.run(send("POST", "/held"), json!(null)).await })
    };
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let quick = Rig { sandbox: Arc::clone(&rig.sandbox), plugin: rig.plugin.clone(), timeout_ms: 300 };
    let shown = quick.run(send("POST", "/"), json!(null)).await;
    assert_eq!(
        shown,
        "transient: 300 ms were over while it waited for a turn at the connection `shop`, which takes 1 at once"
    );
    assert!(server.seen().is_empty());
    server.go_on.notify_one();
    assert!(first.await.unwrap().starts_with("done out"));
    assert!(rig.run(send("POST", "/"), json!(null)).await.starts_with("done out"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_takes_what_it_was_granted() {
    let mut rig = Rig::new("hostile").await;
    rig.timeout_ms = 5000;
    let count = json!({ "do": "count" });
    let output = |mib: usize| json!({ "do": "output", "bytes": mib << 20 });
    for (limits, config, expected) in [
        (json!({}), output(100), "cut memory: asked for "),
        // More than the pool has room for, and less than usual.
        (json!({ "memoryMiB": 512 }), output(100), "cut output: handed over more than 1048576 bytes at once"),
        (json!({ "memoryMiB": 512 }), json!({ "do": "allocate" }), "cut memory: asked for "),
        (json!({ "memoryMiB": 8 }), output(16), "cut memory: asked for "),
        (json!({ "timeMs": 300 }), json!({ "do": "loop" }), "cut deadline: no answer within 300 ms"),
        (json!({ "reuse": 3 }), count.clone(), "done out 0"),
        (json!({ "reuse": 3, "memoryMiB": 128 }), count.clone(), "done out 0"),
    ] {
        let mut grant = limits;
        grant["plugin"] = json!("hostile");
        rig.sandbox.set_grants(&serde_json::from_value(json!({ "grants": [grant] })).unwrap()).unwrap();
        let shown = rig.run(config.clone(), json!(null)).await;
        assert!(shown.starts_with(expected), "{grant} {config}: {shown}");
    }
    let shown = rig.run(json!({ "do": "allocate" }), json!(null)).await;
    assert!(shown.ends_with(", 134217728 are allowed"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_serves_as_many_calls_as_granted_and_none_after_harm() {
    let mut rig = Rig::new("hostile").await;
    rig.timeout_ms = 1000;
    let reuse = json!({ "grants": [{ "plugin": "hostile", "reuse": 3 }] });
    let reuse = serde_json::from_value(reuse).unwrap();
    rig.sandbox.set_grants(&reuse).unwrap();
    for (flow, deed, expected) in [
        ("a.flow", "count", "done out 0"),
        ("a.flow", "count", "done out 1"),
        // Another namespace sees nothing of it.
        ("b.flow", "count", "done out 0"),
        ("a.flow", "count", "done out 2"),
        ("a.flow", "count", "done out 0"),
        ("a.flow", "trap", "cut trap"),
        ("a.flow", "count", "done out 0"),
        ("a.flow", "loop", "cut deadline"),
        ("a.flow", "count", "done out 0"),
        ("a.flow", "output", "cut output"),
        ("a.flow", "count", "done out 0"),
        ("a.flow", "count", "done out 1"),
    ] {
        let call = rig.call(Op::Run, json!({ "do": deed, "bytes": 2 << 20 }), json!(null));
        let shown = shown(&rig.answer_for(flow, &call).await.outcome);
        assert!(shown.starts_with(expected), "{flow} {deed}: {shown}");
    }
    // Another reading of grants keeps no instance of the one before.
    rig.sandbox.set_grants(&reuse).unwrap();
    assert_eq!(rig.run(json!({ "do": "count" }), json!(null)).await, "done out 0");
    rig.sandbox.set_grants(&stepwell_sandbox::Grants::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(rig.run(json!({ "do": "count" }), json!(null)).await, "done out 0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_gives_no_memory_back_is_replaced_before_it_has_none() {
    let mut rig = Rig::new("hostile").await;
    rig.timeout_ms = 20_000;
    let reuse = json!({ "grants": [{ "plugin": "hostile", "reuse": 10_000 }] });
    rig.sandbox.set_grants(&serde_json::from_value(reuse).unwrap()).unwrap();
    let mut served = Vec::new();
    for nth in 0..200 {
        let shown = rig.run(json!({ "do": "hoard", "bytes": 1 << 20 }), json!(null)).await;
        let before = shown.strip_prefix("done out ").and_then(|before| before.parse::<u32>().ok());
        served.push(before.unwrap_or_else(|| panic!("call {nth}: {shown}")));
    }
    // It was reused, and nothing like half of 64 MiB is ever passed by much.
    assert!((10..40).contains(served.iter().max().unwrap()), "{served:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_guest_sees_a_secret() {
    let server = Server::start().await;
    let rig = Rig::new("courier").await;
    let mine = with(open(&server), "secrets", json!({ "TOKEN": "s3cret" }));
    let bank = with(open(&server), "secrets", json!({ "PIN": "s3cret-pin" }));
    let all = json!({ "connections": { "shop": mine, "bank": bank },
                      "grants": [{ "plugin": "courier", "connections": ["shop"] }] });
    rig.sandbox.set_grants(&serde_json::from_value(all).unwrap()).unwrap();
    let ask = |connection: &str, header: &str, text: &str| json!({ "requests": [{ "method": "POST", "connection": connection, "path": "/echo", "text": text, "headers": [["authorization", header]] }] });
    for (config, expected) in [
        // A body is the guest's own: nothing is put in, so nothing comes back.
        (ask("shop", "Bearer $secret:TOKEN", "$secret:TOKEN"), r#"done out [{"text":"$secret:TOKEN"}]"#),
        // Of a connection it is not granted, whichever way it asks.
        (ask("shop", "$secret:PIN", ""), "permanent SECRET_UNKNOWN: the connection has no secret `PIN`"),
        (ask("bank", "$secret:PIN", ""), "permanent NOT_GRANTED: "),
        (ask("shop", "$secret:bank.PIN", ""), "permanent SECRET_UNKNOWN: the connection has no secret `bank`"),
    ] {
        let call = rig.call(Op::Run, config.clone(), json!(null));
        let answer = rig.answer(&call).await;
        assert!(shown(&answer.outcome).starts_with(expected), "{config}: {}", shown(&answer.outcome));
        assert!(!format!("{answer:?}").contains("s3cret"), "{answer:?}");
    }
    // A header of the connection that needs what is not there keeps everything back.
    let lacking = with(open(&server), "headers", json!({ "authorization": "Bearer $secret:GONE" }));
    server.seen();
    put(&rig, &lacking, &json!([{ "plugin": "courier", "connections": ["shop"] }]));
    let shown = rig.run(send("GET", "/"), json!(null)).await;
    assert_eq!(shown, "permanent SECRET_UNKNOWN: the connection has no secret `GONE`");
    assert!(server.seen().is_empty());
}
