//! The matrix: the engine dies at the n-th commit of a golden flow, right before and right after it, for every n there
//! is; it comes back, and the end must be that of an undisturbed run.
//!
//! The hook is in the store's writer (`STEPWELL_TEST_ABORT_AT_COMMIT`): the process aborts there, with nothing cleared up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::until;

const HOOK: &str = "STEPWELL_TEST_ABORT_AT_COMMIT";
const SOON: Duration = Duration::from_mins(1);
/// More commits than any golden flow has: a run that never ends is noticed.
const COMMITS_MAX: u32 = 40;

/// A golden flow and an input that takes it one way. `order` is what the shop calls it.
struct Story {
    name: &'static str,
    flow: &'static str,
    input: fn(order: &str) -> Value,
    /// Told by the number of its orders, which the shop acts on.
    prefix: &'static str,
    /// The state it comes to.
    ends: &'static str,
}

const STORIES: [Story; 7] = [
    Story { name: "order-5, accepted", flow: "order-5", input: five, prefix: "FIVE", ends: "completed" },
    Story {
        name: "community order, shipped",
        flow: "community_order",
        input: community_order,
        prefix: "PAID",
        ends: "completed",
    },
    Story {
        name: "community order, not paid",
        flow: "community_order",
        input: community_order,
        prefix: "UNPAID",
        ends: "completed",
    },
    Story {
        name: "community order, no locker",
        flow: "community_order",
        input: no_locker,
        prefix: "FULL",
        ends: "compensated",
    },
    Story {
        name: "community order, sold out",
        flow: "community_order",
        input: sold_out,
        prefix: "NONE",
        ends: "completed",
    },
    Story {
        name: "in containers, shipped",
        flow: "contained",
        input: community_order,
        prefix: "BOX",
        ends: "completed",
    },
    Story {
        name: "in containers, not paid",
        flow: "contained",
        input: community_order,
        prefix: "UNPAID-BOX",
        ends: "compensated",
    },
];

fn five(order: &str) -> Value {
    json!({
        "order_id": order, "type": "physical", "region": "north", "customer": { "id": "C-1", "tier": "gold" },
        "items": [{ "sku": "A-1", "qty": 2, "unit_cents": 15_000, "weight_g": 300 }],
    })
}

fn no_locker(order: &str) -> Value {
    with(community_order(order), "communityId", "FULL-1")
}

fn sold_out(order: &str) -> Value {
    with(community_order(order), "sku", "SOLD-OUT-1")
}

fn with(mut input: Value, field: &str, value: &str) -> Value {
    input[field] = json!(value);
    input
}

/// The same order in a stage, a for-each and a called flow, with listeners: what fails in the one undoes the others.
fn contained() -> [Value; 2] {
    let settle = json!({
        "stepwell": 1, "kind": "graph", "key": "settle",
        "nodes": {
            "start": { "type": "start" },
            "begin": { "type": "task", "uses": "payment/begin@1", "with": { "order": "=input.order", "amount_cents": "=input.amount_cents" }, "undo": true },
            "paid": { "type": "receive", "message": "payment", "key": "=input.order", "timeout": "30m" },
            "check": { "type": "exclusive" },
            "refused": { "type": "throw", "code": "UNPAID" },
            "done": { "type": "end", "output": "=nodes.paid.status" },
        },
        "edges": [
            { "from": "start", "to": "begin" }, { "from": "begin", "to": "paid" }, { "from": "paid", "to": "check" },
            { "from": "paid", "port": "timeout", "to": "refused" },
            { "from": "check", "to": "done", "when": "nodes.paid.status == 'PAID'" }, { "from": "check", "to": "refused", "default": true },
        ],
    });
    let whole = json!({
        "stepwell": 1, "kind": "graph", "key": "contained", "businessKey": "=input.orderId",
        "listeners": [{ "on": "enter", "priority": -3 }, { "on": "end", "set": { "over": true }, "onFailure": "ignore" }],
        "nodes": {
            "start": { "type": "start" },
            "take": { "type": "stage", "steps": [{ "run": "stock", "sync": true }, { "run": "lockers" }] },
            "stock": { "type": "task", "in": "take", "uses": "commerce/reserve-stock@1", "with": { "sku": "=input.sku", "quantity": "=input.quantity" }, "timeout": "3s", "undo": true },
            "lockers": { "type": "for-each", "in": "take", "items": "=[input.communityId]", "limit": 2, "output": "=nodes.locker" },
            "locker": { "type": "task", "in": "lockers", "uses": "commerce/lock-locker@1", "with": { "community": "=item" }, "undo": true },
            "settle": { "type": "call", "flow": "settle", "with": { "order": "=input.orderId", "amount_cents": "=input.amount_cents" } },
            "ship": {
                "type": "task", "uses": "commerce/ship@1", "with": { "order": "=input.orderId" }, "timeout": "3s", "undo": true,
                "listeners": [{ "on": "leave", "set": { "parcel": "=event.output.parcel" } }],
            },
            "done": { "type": "end", "output": { "status": "SHIPPED" } },
        },
        "edges": [
            { "from": "start", "to": "take" }, { "from": "take", "to": "settle" }, { "from": "settle", "to": "ship" }, { "from": "ship", "to": "done" },
        ],
    });
    [settle, whole]
}

/// What an order came to, as far as two runs of it must agree.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    state: String,
    error: String,
    status: Value,
    effects: Vec<(String, bool)>,
    events: Vec<String>,
}

/// Runs one order to its end, through a death if one is ordered. `true`: the engine did die.
async fn play(orders: &mut Orders, story: &Story, order: &str, death: Option<&str>) -> (Outcome, bool) {
    orders.engine.restart_in(&death.map(|at| (HOOK, at)).into_iter().collect::<Vec<_>>()).await;
    let acknowledged = start(orders, story, order).await;
    let mut died = false;
    let mut id = acknowledged.clone();
    if death.is_some() {
        let begun = Instant::now();
        while !orders.engine.is_gone() {
            // Without an answer it is about to be gone; with one it may as well come to its end first.
            if let Some(id) = &acknowledged
                && ended(orders, id).await
            {
                break;
            }
            assert!(begun.elapsed() < SOON, "{order} neither ends nor dies");
            tokio::task::yield_now().await;
        }
    }
    if orders.engine.is_gone() {
        died = true;
        orders.engine.restart_in(&[]).await;
        id = start(orders, story, order).await;
        if acknowledged.is_some() {
            assert_eq!(acknowledged, id, "{order} was acknowledged as another instance");
        }
    }
    let id = id.unwrap_or_else(|| panic!("{order} is not taken"));
    until(&format!("{order} ends"), SOON, || async { ended(orders, &id).await.then_some(()) }).await;
    (outcome(orders, &id, order).await, died)
}

/// Under one Idempotency-Key, however often it is asked. `None`: no answer came.
async fn start(orders: &Orders, story: &Story, order: &str) -> Option<String> {
    let path = format!("/api/v1/flows/{}/instances", story.flow);
    let body = json!({ "input": (story.input)(order) }).to_string();
    let reply = orders.engine.send("POST", &path, &[("idempotency-key", order)], body).await.ok()?;
    assert!(reply.status < 300, "{order}: {}", reply.text());
    Some(reply.json()["id"].as_str().unwrap().to_owned())
}

async fn ended(orders: &Orders, id: &str) -> bool {
    let Ok(reply) = orders.engine.send("GET", &format!("/api/v1/instances/{id}"), &[], "").await else { return false };
    let state = reply.json()["state"].as_str().unwrap_or_default().to_owned();
    ["completed", "failed", "compensated", "cancelled"].contains(&state.as_str())
}

async fn outcome(orders: &Orders, id: &str, order: &str) -> Outcome {
    let shown = orders.engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
    let journal = orders.engine.get(&format!("/api/v1/instances/{id}/journal")).await.expect(200).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut effects = orders.effects(order).await;
    effects.sort();
    let mut events: Vec<String> = journal["items"].as_array().unwrap().iter().map(|item| text(&item["type"])).collect();
    events.sort(); // Steps beside each other come back in either order.
    Outcome {
        state: text(&shown["state"]),
        error: text(&shown["error"]["code"]),
        status: shown["output"]["status"].clone(),
        effects,
        events,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_commit_changes_nothing() {
    let mut orders = Orders::start().await;
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 5 })).await;
    for flow in contained() {
        orders.engine.publish(&flow).await;
    }
    let mut deaths = 0;
    println!("| flow | deaths before a commit | deaths after a commit |\n|---|--:|--:|");
    for story in &STORIES {
        let (wanted, _) = play(&mut orders, story, &format!("{}-undisturbed", story.prefix), None).await;
        assert_eq!(wanted.state, story.ends, "{}: {wanted:?}", story.name);
        let mut died = [0, 0];
        for (which, when) in ["before", "after"].into_iter().enumerate() {
            for n in 1.. {
                assert!(n < COMMITS_MAX, "{}: no end of commits", story.name);
                let at = format!("{when}:{n}");
                let (got, dead) = play(&mut orders, story, &format!("{}-{when}-{n}", story.prefix), Some(&at)).await;
                assert_eq!(got, wanted, "{} with a death at {at}", story.name);
                if !dead {
                    break;
                }
                died[which] += 1;
            }
        }
        println!("| {} | {} | {} |", story.name, died[0], died[1]);
        assert!(died[0] > 0 && died[1] > 0, "{}: {died:?}", story.name);
        deaths += died[0] + died[1];
    }
    assert!(deaths >= 30, "only {deaths} deaths: is the hook there?");
    let summary = orders.shop.get("/control/summary").await.expect(200).json();
    assert_eq!(summary["order_kinds_with_many_keys"], 0, "{summary:#}");
    assert_eq!(summary["order_kinds_with_many_effects"], 0, "{summary:#}");
    orders.stop().await;
}
