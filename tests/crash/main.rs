//! The engine is killed with -9, again and again, while orders stand in slow calls, waits and undo.
//!
//! What must hold afterwards: every order that was acknowledged has finished; for each order and
//! step the shop saw one key and one effect. The run must have met the danger: requests that came
//! more than once under their key.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use serde_json::json;
use stepwell_tests::orders::{Orders, every_order_ended, prove_effects, prove_ends, start_orders};

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

    every_order_ended(&orders.engine, ALL_ENDED_WITHIN).await;
    prove_ends(&orders.engine, &ids).await;
    let repeated = prove_effects(&orders, ORDERS).await;
    assert!(repeated >= 20, "the run did not meet the danger: {repeated} keys came more than once");
    orders.stop().await;
}

/// Starts every order that was not acknowledged yet, under its own Idempotency-Key.
async fn start_missing(orders: &Orders, ids: &mut [Option<String>], round: u64) {
    // Some orders are left for later rounds, so that every kill finds young ones too.
    let due = ORDERS * usize::try_from(round + 1).unwrap() / usize::try_from(KILLS).unwrap();
    let due = ORDERS.min(due);
    start_orders(&[&orders.engine], &mut ids[..due]).await;
}
