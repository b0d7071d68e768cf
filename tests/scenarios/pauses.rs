//! A connection or a node type is paused, probed and resumed, with orders on their way.

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::until;

use crate::{SOON, instance, reaches, stands_at, start};

const SHOP: &str = "/api/v1/pauses/connections/shop";
const LOCKER: &str = "/api/v1/pauses/node-types/commerce/lock-locker";

/// Waits until so many instances wait for the pause to end.
async fn holds(orders: &Orders, path: &str, held: u64) -> Value {
    until(&format!("{held} wait for {path}"), SOON, || async {
        let shown = orders.engine.get(path).await.expect(200).json();
        (shown["held"] == held).then_some(shown)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_connection_holds_orders_and_spends_no_try() {
    let mut orders = Orders::start().await;
    let body = json!({ "reason": "the shop moves house" });
    let paused = orders.engine.put(SHOP, &[], &body).await.expect(200).json();
    assert_eq!((&paused["kind"], &paused["name"], &paused["held"]), (&json!("connection"), &json!("shop"), &json!(0)));
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(start(&orders, &community_order(&format!("P-{number}"))).await);
    }
    let shown = holds(&orders, SHOP, 5).await;
    let mut named: Vec<&str> = shown["instances"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let mut all: Vec<&str> = ids.iter().map(String::as_str).collect();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all);
    let one = instance(&orders, &ids[0]).await;
    assert_eq!((&one["state"], &one["tokens"][0]["node"]), (&json!("waiting"), &json!("validate_stock")), "{one:#}");
    assert!(one.to_string().contains("PAUSED"), "{one:#}");

    // A crash changes nothing.
    orders.engine.kill9().await;
    orders.engine.restart().await;
    holds(&orders, SHOP, 5).await;
    for number in 0..5 {
        assert!(orders.paths(&format!("P-{number}")).await.is_empty(), "no call was made");
    }

    // One is let through while the shop is out of order, and waits again.
    orders.fault(&json!({ "path_prefix": "/stock", "fail_next": 1, "status": 503 })).await;
    orders.engine.post(&format!("{SHOP}/probe"), &json!({})).await.expect(202);
    let told = until("the probe is told of", SOON, || async {
        let shown = orders.engine.get(SHOP).await.expect(200).json();
        (!shown["probe"].is_null()).then_some(shown)
    })
    .await;
    assert_eq!((&told["probe"]["well"], &told["probe"]["message"]), (&json!(false), &json!("it answered 503")));
    holds(&orders, SHOP, 5).await;
    let asked = async || {
        let mut asked = 0;
        for number in 0..5 {
            asked += orders.paths(&format!("P-{number}")).await.len();
        }
        asked
    };
    assert_eq!(asked().await, 1, "only the probe");

    orders.engine.delete(SHOP).await.expect(204);
    for (number, id) in ids.iter().enumerate() {
        stands_at(&orders, id, "paid").await;
        assert_eq!(orders.effects(&format!("P-{number}")).await.len(), 3);
    }
    assert_eq!(orders.engine.get(SHOP).await.expect(404).code(), "NOT_PAUSED");
    assert_eq!(orders.engine.delete(SHOP).await.expect(404).code(), "NOT_PAUSED");
    let audit = orders.engine.get("/api/v1/audit?target=connection%20shop").await.expect(200).json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["pause.delete", "pause.probe", "pause.put"]);
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_goes_well_resumes_all() {
    let orders = Orders::start().await;
    let body = json!({ "reason": "lockers are counted", "probeEvery": "1s", "resumeOnSuccess": true });
    orders.engine.put(LOCKER, &[], &body).await.expect(200);
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(start(&orders, &community_order(&format!("Q-{number}"))).await);
    }
    for id in &ids {
        stands_at(&orders, id, "paid").await;
    }
    let audit = orders.engine.get("/api/v1/audit?target=node-type%20commerce/lock-locker").await.expect(200).json();
    let said: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["who"].as_str().unwrap(), row["action"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("probe", "pause.delete"), ("token:bootstrap", "pause.put")]);
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_waits_for_a_pause_as_well() {
    let orders = Orders::start().await;
    let id = start(&orders, &community_order("R-1")).await;
    stands_at(&orders, &id, "paid").await;
    orders.engine.put(SHOP, &[], &json!({ "reason": "night" })).await.expect(200);
    orders.engine.post(&format!("/api/v1/instances/{id}/compensate"), &json!({})).await.expect(202);
    holds(&orders, SHOP, 1).await;
    assert_eq!(instance(&orders, &id).await["state"], "compensating");
    orders.engine.delete(SHOP).await.expect(204);
    reaches(&orders, &id, "compensated").await;
    let effects = orders.effects("R-1").await;
    assert!(effects.iter().all(|(_, undone)| *undone), "{effects:?}");
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_paused() {
    let orders = Orders::start().await;
    for (path, body, status, code) in [
        ("/api/v1/pauses/connections/none", json!({ "reason": "x" }), 404, "CONNECTION_NOT_FOUND"),
        ("/api/v1/pauses/node-types/commerce/none", json!({ "reason": "x" }), 404, "NODE_TYPE_NOT_FOUND"),
        (SHOP, json!({ "reason": "" }), 422, "BODY_INVALID"),
        (SHOP, json!({ "reason": "x", "probeEvery": "1ms" }), 422, "BODY_INVALID"),
        (SHOP, json!({}), 422, "BODY_INVALID"),
    ] {
        assert_eq!(orders.engine.put(path, &[], &body).await.expect(status).code(), code, "{path} {body}");
    }
    assert_eq!(orders.engine.get("/api/v1/pauses").await.expect(200).json(), json!({ "items": [] }));
    assert_eq!(orders.engine.post(&format!("{SHOP}/probe"), &json!({})).await.expect(404).code(), "NOT_PAUSED");
    orders.stop().await;
}
