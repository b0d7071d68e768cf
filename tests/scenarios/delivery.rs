//! The engine is killed with a call under way: what is called again, what is asked about, and what waits
//! for a person.

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::until;

use crate::{SOON, instance, kinds, reaches};

/// One task and its output.
fn flow(key: &str, delivery: &str, uses: &str, with: &Value) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key, "businessKey": "=input.orderId",
        "nodes": {
            "start": { "type": "start" },
            "act": { "type": "task", "uses": uses, "with": with, "delivery": delivery, "undo": true },
            "done": { "type": "end", "output": "=nodes.act" },
        },
        "edges": [{ "from": "start", "to": "act" }, { "from": "act", "to": "done" }],
    })
}

/// Starts it, and kills the engine once the other side has done its work and before it has said so.
async fn killed_in_mid_call(orders: &mut Orders, flow: &Value, order: &str) -> String {
    orders.engine.publish(flow).await;
    orders.fault(&json!({ "path_prefix": "", "reply_latency_ms": 2_900 })).await;
    let path = format!("/api/v1/flows/{}/instances", flow["key"].as_str().unwrap());
    let started = orders.engine.post(&path, &json!({ "input": community_order(order) })).await.expect(202);
    until("the work is done", SOON, || async { (orders.effects(order).await.len() == 1).then_some(()) }).await;
    orders.engine.kill9().await;
    orders.fault(&json!({ "path_prefix": "", "reply_latency_ms": 0 })).await;
    orders.engine.restart().await;
    started.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_calls_again_under_the_same_key() {
    let mut orders = Orders::start().await;
    let with = json!({ "sku": "=input.sku", "quantity": "=input.quantity" });
    let flow = flow("least", "at-least-once", "commerce/reserve-stock@1", &with);
    let id = killed_in_mid_call(&mut orders, &flow, "L-1").await;
    reaches(&orders, &id, "completed").await;
    assert_eq!(orders.paths("L-1").await.len(), 2);
    assert_eq!(kinds(&orders.effects("L-1").await, false), 1, "the key was the same");
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_once_waits_for_a_person() {
    let mut orders = Orders::start().await;
    let with = json!({ "sku": "=input.sku", "quantity": "=input.quantity" });
    let flow = flow("most", "at-most-once", "commerce/reserve-stock@1", &with);
    let id = killed_in_mid_call(&mut orders, &flow, "M-1").await;
    let stuck = reaches(&orders, &id, "incident").await;
    assert_eq!(stuck["error"]["code"], "CRASH", "{stuck:#}");
    assert_eq!(orders.paths("M-1").await.len(), 1, "it was not called again");
    // Who has found out at the other side lets it be called again, under its key.
    orders.engine.post(&format!("/api/v1/instances/{id}/retry"), &json!({})).await.expect(202);
    reaches(&orders, &id, "completed").await;
    assert_eq!(kinds(&orders.effects("M-1").await, false), 1);
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_once_asks_what_became_of_it_where_it_can() {
    let mut orders = Orders::start().await;
    let with = json!({ "order": "=input.orderId", "amount_cents": "=input.amount_cents" });
    let flow = flow("asked", "at-most-once", "payment/begin@1", &with);
    let id = killed_in_mid_call(&mut orders, &flow, "N-1").await;
    let shown = reaches(&orders, &id, "completed").await;
    let requests = orders.shop.get("/control/requests?order=N-1").await.expect(200).json();
    let methods: Vec<&str> =
        requests["items"].as_array().unwrap().iter().map(|item| item["method"].as_str().unwrap_or_default()).collect();
    assert_eq!(methods, ["POST", "GET"], "asked about, not called again: {requests:#} {shown:#}");
    assert_eq!(kinds(&orders.effects("N-1").await, false), 1);
    assert!(instance(&orders, &id).await["output"].is_object());
    orders.stop().await;
}
