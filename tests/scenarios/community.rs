//! The trade of a community: its flows as shipped, against the stand-in shop.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::{Reply, repository, until};

use crate::{SOON, instance, reaches, settle, stands_at};

async fn run(orders: &Orders, flow: &str, input: &Value) -> Reply {
    orders.engine.post(&format!("/api/v1/flows/{flow}/instances?wait=20s"), &json!({ "input": input })).await
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(repository().join("flows").join(name)).unwrap()).unwrap()
}

fn with(order: &str, more: &Value) -> Value {
    let mut input = community_order(order);
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

/// R4, R5: a property fee is booked on an account that was looked at first, and taken out again when a later step fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_property_fee_looks_at_the_account_first() {
    let orders = Orders::start().await;
    orders.settings(&json!({ "auto_settle": "paid" })).await;
    for (order, account, output) in [
        ("F-1", "P-7", json!({ "status": "PAID", "account": "P-7", "balance_cents": 3_200 })),
        ("F-2", "BAD-7", json!({ "status": "NO_ACCOUNT" })),
    ] {
        let input = json!({ "orderId": order, "account": account, "amount_cents": 3_200 });
        let reply = run(&orders, "property_fee", &input).await.expect(200);
        assert_eq!(reply.json()["output"], output);
    }
    assert!(orders.effects("F-2").await.is_empty(), "nothing is paid for an account that is not there");
    orders.fault(&json!({ "path_prefix": "/property/payments", "latency_ms": 4_000 })).await;
    orders.fault(&json!({ "path_prefix": "/property/payments/cancel", "latency_ms": 0 })).await;
    let input = json!({ "orderId": "F-3", "account": "P-7", "amount_cents": 3_200 });
    run(&orders, "property_fee", &input).await.expect(409);
    until("the payment is given back", SOON, || async {
        let effects = orders.effects("F-3").await;
        (!effects.is_empty() && effects.iter().all(|(_, undone)| *undone)).then_some(())
    })
    .await;
    orders.stop().await;
}

/// R9, R10, R11, R12, R20, R25: emergencies go first, a table says pickup or delivery, the buyer is told early, and the
/// parcel is looked after while nothing is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_goes_by_its_table_and_is_looked_after() {
    let orders = Orders::start().await;
    orders.settings(&json!({ "auto_settle": "paid" })).await;
    for (order, more, way, priority) in [
        ("T-1", json!({ "emergency": true }), "pickup", -10),
        ("T-2", json!({ "wanted": "delivery" }), "delivery", 0),
        ("T-3", json!({ "weight_g": 30_000 }), "delivery", 0),
    ] {
        let reply = run(&orders, "community_trade", &with(order, &more)).await.expect(200).json();
        assert_eq!((&reply["output"]["status"], &reply["output"]["way"]), (&json!("SHIPPED"), &json!(way)), "{order}");
        let id = reply["id"].as_str().unwrap();
        assert_eq!(instance(&orders, id).await["priority"], priority, "{order}");
        let kinds: Vec<String> = orders.effects(order).await.into_iter().map(|(kind, _)| kind).collect();
        let taken = if way == "pickup" { "locker" } else { "assignment" };
        assert_eq!(kinds, ["stock", taken, "payment", "shipment"], "{order}");
        let shown = reaches(&orders, id, "completed").await;
        assert_eq!(shown["output"], json!({ "status": "DELIVERED", "looks": 4 }), "{order}");
    }
    orders.stop().await;
}

/// R17, R19: the three causes of compensation: a call of more than three seconds, a refusal, and a command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_causes_undo_what_was_done() {
    let orders = Orders::start().await;
    orders.fault(&json!({ "path_prefix": "/logistics/assignments", "latency_ms": 4_000 })).await;
    orders.fault(&json!({ "path_prefix": "/logistics/assignments/cancel", "latency_ms": 0 })).await;
    let slow = with("X-1", &json!({ "wanted": "delivery" }));
    let full = with("X-2", &json!({ "communityId": "FULL-1" }));
    for (order, input, code) in [("X-1", slow, "TIMEOUT"), ("X-2", full, "NO_LOCKER")] {
        let reply = run(&orders, "community_trade", &input).await.expect(409).json();
        assert_eq!(reply["error"]["code"], code, "{order}");
    }
    let reply = orders
        .engine
        .post("/api/v1/flows/community_trade/instances", &json!({ "input": community_order("X-3") }))
        .await;
    let id = reply.expect(202).json()["id"].as_str().unwrap().to_owned();
    stands_at(&orders, &id, "pay").await;
    orders
        .engine
        .post(&format!("/api/v1/instances/{id}/compensate"), &json!({ "reason": "the buyer called" }))
        .await
        .expect(202);
    reaches(&orders, &id, "compensated").await;
    for order in ["X-1", "X-2", "X-3"] {
        until(&format!("{order} keeps nothing"), SOON, || async {
            orders.effects(order).await.iter().all(|(_, undone)| *undone).then_some(())
        })
        .await;
    }
    orders.stop().await;
}

/// R15: an emergency goes through the green channel, past the stock, to a person; all else is the standard flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_goes_by_the_green_channel() {
    let orders = Orders::start().await;
    let mut ids = BTreeMap::new();
    for (order, confirmed) in [("G-1", true), ("G-2", false)] {
        let input = with(order, &json!({ "emergency": true }));
        let started =
            orders.engine.post("/api/v1/flows/emergency_procurement/instances", &json!({ "input": input })).await;
        let id = started.expect(202).json()["id"].as_str().unwrap().to_owned();
        stands_at_task(&orders, &id).await;
        ids.insert(order, (id, confirmed));
    }
    for (order, (id, confirmed)) in &ids {
        let tasks = orders.engine.get("/api/v1/tasks").await.expect(200).json();
        let task = tasks["items"].as_array().unwrap().iter().find(|task| task["instance"] == **id).cloned().unwrap();
        let task_id = task["id"].as_str().unwrap();
        orders.engine.post(&format!("/api/v1/tasks/{task_id}/claim"), &json!({})).await.expect(200);
        let refused = json!({ "output": {} });
        orders.engine.post(&format!("/api/v1/tasks/{task_id}/complete"), &refused).await.expect(422);
        let answer = json!({ "output": { "confirmed": confirmed } });
        orders.engine.post(&format!("/api/v1/tasks/{task_id}/complete"), &answer).await.expect(202);
        let shown = reaches(&orders, id, "completed").await;
        let (status, kinds) = if *confirmed { ("SHIPPED", vec!["shipment"]) } else { ("REFUSED", vec![]) };
        assert_eq!(shown["output"]["status"], status, "{order}");
        let effects: Vec<String> = orders.effects(order).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(effects, kinds, "{order}: the stock is not asked");
    }
    let input = with("G-3", &json!({ "emergency": false }));
    let started = orders.engine.post("/api/v1/flows/emergency_procurement/instances", &json!({ "input": input })).await;
    let id = started.expect(202).json()["id"].as_str().unwrap().to_owned();
    until("the called flow waits for its payment", SOON, || async {
        orders.paths("G-3").await.iter().any(|path| path == "/gateway/payments").then_some(())
    })
    .await;
    settle(&orders, "G-3", "PAID").await;
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!(shown["output"], json!({ "status": "SHIPPED", "channel": "standard" }));
    assert_eq!(orders.effects("G-3").await.len(), 4, "stock, locker, payment and shipment");
    orders.stop().await;
}

async fn stands_at_task(orders: &Orders, id: &str) {
    until(&format!("{id} is at its task"), SOON, || async {
        let tasks = orders.engine.get("/api/v1/tasks").await.expect(200).json();
        tasks["items"].as_array().unwrap().iter().any(|task| task["instance"] == id).then_some(())
    })
    .await;
}

/// R13, R14, R21: a community keeps its version, others fall back to 1.0.0 or are shared half and half; what runs goes on
/// as it began; each version has its gauge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_community_keeps_its_version() {
    let orders = Orders::start().await;
    let mut flow = read("community_order.json");
    let label = json!({ "document": flow, "label": "1.0.0" });
    let first = orders.engine.post("/api/v1/flows/community_order/publish", &label).await.json()["version"].clone();
    let id = crate::start(&orders, &community_order("V-0")).await;
    stands_at(&orders, &id, "paid").await;
    flow["nodes"]["done"]["output"]["edition"] = json!("pilot");
    let label = json!({ "document": flow, "label": "1.1.0" });
    orders.engine.post("/api/v1/flows/community_order/publish", &label).await.expect(201);
    let binding = json!({ "binding": {
        "rules": [{ "name": "pilot", "when": "input.communityId == 'C-17'", "version": "1.1.0" }],
        "default": "1.0.0", "fallback": "1.0.0"
    } });
    orders.engine.put("/api/v1/flows/community_order/bindings", &[("if-none-match", "*")], &binding).await.expect(200);
    for (order, community, edition) in [("V-1", "C-17", json!("pilot")), ("V-2", "C-7", Value::Null)] {
        let id = crate::start(&orders, &with(order, &json!({ "communityId": community }))).await;
        stands_at(&orders, &id, "paid").await;
        settle(&orders, order, "PAID").await;
        assert_eq!(reaches(&orders, &id, "completed").await["output"]["edition"], edition, "{order}");
    }
    let metrics = orders.engine.get("/metrics").await.expect(200).text();
    let gauge = format!("stepwell_instances{{flow=\"community_order\",version=\"{first}\",state=\"waiting\"}} 1");
    assert!(metrics.contains(&gauge), "{gauge} in {metrics}");
    settle(&orders, "V-0", "PAID").await;
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!((&shown["version"], &shown["output"]["edition"]), (&first, &Value::Null), "it ends as it began");
    // Half and half, sticky, with figures, and off by a switch.
    let halves = json!({ "binding": { "split": { "salt": "a", "variants": [
        { "name": "a", "version": "1.0.0", "weight": 50 }, { "name": "b", "version": "1.1.0", "weight": 50 }] }, "fallback": "1.0.0" } });
    let etag = orders.engine.get("/api/v1/flows/community_order/bindings").await.header("etag").to_owned();
    orders.engine.put("/api/v1/flows/community_order/bindings", &[("if-match", &etag)], &halves).await.expect(200);
    let keys: Vec<String> = (0..100).map(|n| format!("K-{n}")).collect();
    let preview = || async {
        let asked = json!({ "keys": keys });
        let told =
            orders.engine.post("/api/v1/flows/community_order/bindings/preview", &asked).await.expect(200).json();
        told["items"].as_array().unwrap().iter().map(|one| one["by"].clone()).collect::<Vec<_>>()
    };
    let (one, two) = (preview().await, preview().await);
    assert_eq!(one, two, "the same key gets the same version");
    let second = one.iter().filter(|by| **by == "split/b").count();
    assert!((30..=70).contains(&second), "{second} of 100 get the second half");
    crate::start(&orders, &community_order("K-1")).await;
    let figures = orders.engine.get("/api/v1/flows/community_order/bindings/figures").await.expect(200).json();
    assert!(figures.to_string().contains(one[1].as_str().unwrap()), "{figures:#}");
    orders.stop().await;
}

/// R2, R6, R7: a process drawn elsewhere is imported with its names for steps, which an alias resolves when it is
/// published, and runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_bpmn_is_imported_and_runs() {
    let orders = Orders::start().await;
    orders.settings(&json!({ "auto_settle": "paid" })).await;
    let xml = std::fs::read_to_string(repository().join("flows/bpmn/community_order.bpmn")).unwrap();
    let asked = json!({ "xml": xml });
    let import = || async { orders.engine.post("/api/v1/flows/import", &asked).await.expect(200).json() };
    let unbound = import().await;
    assert_eq!(unbound["bound"]["paymentDelegate"], Value::Null);
    assert!(
        unbound["problems"].as_array().unwrap().iter().any(|problem| problem["code"] == "USES_FORM"),
        "{unbound:#}"
    );
    for (name, uses) in [
        ("com.CommunityStockDelegate", "commerce/reserve-stock@1"),
        ("communityOrderService.lockLocker", "commerce/lock-locker@1"),
        ("paymentDelegate", "payment/pay@1"),
        ("shipDelegate", "commerce/ship@1"),
    ] {
        orders.engine.put(&format!("/api/v1/aliases/{name}"), &[], &json!({ "uses": uses })).await.expect(200);
    }
    let found = import().await;
    assert_eq!(found["left"].as_array().map(Vec::len), Some(1), "{found:#}");
    let document = &found["document"];
    assert_eq!(document["nodes"]["create_payment"]["uses"], "paymentDelegate");
    orders.engine.publish(document).await;
    // What was published means what the alias meant then.
    orders.engine.put("/api/v1/aliases/paymentDelegate", &[], &json!({ "uses": "commerce/ship@1" })).await.expect(200);
    for (order, kinds) in [("B-1", vec![("stock", false), ("locker", false), ("payment", false), ("shipment", false)])]
    {
        let input = json!({ "orderId": order, "community": "C-7", "sku": "S", "quantity": 1, "amount_cents": 990 });
        let asked = json!({ "input": input, "businessKey": order });
        let started = orders.engine.post("/api/v1/flows/community_order_bpmn/instances?wait=20s", &asked).await;
        let id = started.expect(200).json()["id"].clone();
        reaches(&orders, id.as_str().unwrap(), "completed").await;
        let effects = orders.effects(order).await;
        let effects: Vec<(&str, bool)> = effects.iter().map(|(kind, undone)| (kind.as_str(), *undone)).collect();
        assert_eq!(effects, kinds);
    }
    let gone = orders.engine.delete("/api/v1/aliases/shipDelegate").await;
    assert_eq!(gone.status, 204);
    assert_eq!(orders.engine.delete("/api/v1/aliases/shipDelegate").await.code(), "ALIAS_NOT_FOUND");
    let bad = orders.engine.post("/api/v1/flows/import", &json!({ "xml": "<a/>" })).await.expect(422);
    assert_eq!(bad.code(), "BPMN_UNREADABLE");
    orders.stop().await;
}
