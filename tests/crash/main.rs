//! The engine is killed with -9, again and again, while orders stand in slow calls, waits and undo.
//!
//! What must hold afterwards: every order that was acknowledged has finished; for each order and
//! step the shop saw one key and one effect. The run must have met the danger: requests that came
//! more than once under their key.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::until;

const ORDERS: usize = 500;
const KILLS: u64 = 20;
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(4);

/// A small generator with a fixed seed: the moments differ from each other, not from run to run.
struct Moments(u64);

impl Moments {
    fn next_ms(&mut self, at_most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % at_most
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_orders_survive_twenty_kills() {
    let mut orders = Orders::start().await;
    // Slow enough that a kill finds calls under way, quick enough that none is cut off.
    for path in ["/stock", "/lockers", "/logistics", "/gateway/payments"] {
        orders
            .fault(&json!({
                "path_prefix": path, "latency_ms": 60, "reply_latency_ms": 120,
                "duplicate_callbacks": 1, "callback_delay_ms": 150,
            }))
            .await;
    }
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 200 })).await;

    let mut ids = vec![None; ORDERS];
    let mut moments = Moments(0x5eed_0000_2026_1120);
    for kill in 0..=KILLS {
        let started = start_missing(&orders, &mut ids, kill);
        let dies_after = Duration::from_millis(150 + moments.next_ms(900));
        let _ = tokio::time::timeout(dies_after, started).await;
        orders.engine.kill9().await;
        orders.engine.restart().await;
    }
    while ids.iter().any(Option::is_none) {
        start_missing(&orders, &mut ids, KILLS + 1).await;
    }

    let engine = &*orders.engine;
    let left = || async {
        let mut left = 0;
        for state in ["running", "waiting", "compensating", "incident", "suspended"] {
            let page = engine.get(&format!("/api/v1/instances?flow=community_order&state={state}&limit=1")).await;
            left += page.json()["items"].as_array().map_or(1, Vec::len);
        }
        (left == 0).then_some(())
    };
    until("every order has ended", ALL_ENDED_WITHIN, left).await;

    for (number, id) in ids.iter().enumerate() {
        let id = id.as_ref().expect("every order was acknowledged");
        let instance = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        let unpaid = order(number).starts_with("UNPAID");
        let wanted = if unpaid { "CANCELLED" } else { "SHIPPED" };
        assert_eq!(instance["output"]["status"], wanted, "{}: {instance:#}", order(number));
    }
    let summary = orders.shop.get("/control/summary").await.expect(200).json();
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary:#}"));
    assert_eq!(count("order_kinds_with_many_keys"), 0, "{summary:#}");
    assert_eq!(count("order_kinds_with_many_effects"), 0, "{summary:#}");
    assert!(count("keys_repeated") >= 20, "the run did not meet the danger: {summary:#}");
    prove_effects(&orders).await;
    orders.stop().await;
}

/// Every fifth order is not paid and must be undone in full.
fn order(number: usize) -> String {
    if number.is_multiple_of(5) { format!("UNPAID-{number}") } else { format!("ORDER-{number}") }
}

/// Starts every order that was not acknowledged yet, under its own Idempotency-Key.
async fn start_missing(orders: &Orders, ids: &mut [Option<String>], round: u64) {
    let engine = &*orders.engine;
    // Some orders are left for later rounds, so that every kill finds young ones too.
    let due = ORDERS * usize::try_from(round + 1).unwrap() / usize::try_from(KILLS).unwrap();
    let missing: Vec<usize> = (0..ORDERS.min(due)).filter(|&number| ids[number].is_none()).collect();
    for batch in missing.chunks(16) {
        let asked = batch.iter().map(|&number| async move {
            let order = order(number);
            let body = json!({ "input": community_order(&order) }).to_string();
            let headers = [("idempotency-key", order.as_str())];
            let reply = engine.send("POST", "/api/v1/flows/community_order/instances", &headers, body).await;
            let id = reply.ok().filter(|reply| reply.status < 300).map(|reply| reply.json()["id"].clone());
            (number, id)
        });
        for (number, id) in join_all(asked).await {
            if let Some(Value::String(id)) = id {
                ids[number] = Some(id);
            }
        }
    }
}

/// Paid orders keep their effects, one of each kind; unpaid ones keep none.
async fn prove_effects(orders: &Orders) {
    for number in 0..ORDERS {
        let order = order(number);
        let effects = orders.effects(&order).await;
        let kept: Vec<&str> = effects.iter().filter(|(_, undone)| !undone).map(|(kind, _)| kind.as_str()).collect();
        if order.starts_with("UNPAID") {
            assert!(kept.is_empty(), "{order} keeps {effects:?}");
        } else {
            assert_eq!(kept.len(), effects.len(), "{order}: {effects:?}");
            assert_eq!(kept.len(), 4, "stock, locker, payment and shipment of {order}: {effects:?}");
        }
    }
}
