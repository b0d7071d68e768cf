//! The engine is killed with -9, again and again, while hundreds of orders stand in slow calls, waits and undo.
//!
//! What must hold afterwards: every order that was acknowledged has finished; for each order and
//! step the shop saw one key and one effect. The run must have met the danger: requests that came
//! more than once under their key.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and this one says its seed")]

mod matrix;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stepwell_tests::orders::{Orders, every_order_ended, prove_effects, prove_ends, start_orders};

/// All started before the first kill.
const ORDERS: usize = 500;
/// Started when fewer than [`STANDING_MIN`] are left standing before the last kill.
const MORE: usize = 200;
const STANDING_MIN: u64 = 150;
const KILLS: u64 = 20;
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(4);
/// Makes another run's moments the same: printed by each run.
const SEED: &str = "STEPWELL_CRASH_SEED";

/// A small generator, so that a run can be had again.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        let seed: u64 = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or_else(now);
        println!("{SEED}={seed}");
        Self(seed | 1 << 40)
    }

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
                "path_prefix": path, "latency_ms": 150, "reply_latency_ms": 250,
                "duplicate_callbacks": 1, "callback_delay_ms": 150,
            }))
            .await;
    }
    orders.settings(&json!({ "auto_settle": "paid", "settle_after_ms": 2500 })).await;

    let mut ids = vec![None; ORDERS];
    start_orders(&[&orders.engine], &mut ids).await;
    let mut moments = Moments::new();
    for _ in 0..KILLS {
        if standing(&orders).await < STANDING_MIN {
            ids.resize(ids.len() + MORE, None);
        }
        // A kill in the middle of starting leaves some that were not acknowledged.
        let live = async {
            start_orders(&[&orders.engine], &mut ids).await;
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(100 + moments.next_ms(700)), live).await;
        orders.engine.kill9().await;
        orders.engine.restart().await;
    }
    while ids.iter().any(Option::is_none) {
        start_orders(&[&orders.engine], &mut ids).await;
    }

    every_order_ended(&orders.engine, ALL_ENDED_WITHIN).await;
    prove_ends(&orders.engine, &ids).await;
    let repeated = prove_effects(&orders, ids.len()).await;
    assert!(repeated >= 20, "the run did not meet the danger: {repeated} keys came more than once");
    orders.stop().await;
}

/// How many instances have not ended.
async fn standing(orders: &Orders) -> u64 {
    let flow = orders.engine.get("/api/v1/flows/community_order").await.expect(200).json();
    let counts = flow["counts"].as_object().unwrap();
    let open = ["running", "waiting", "incident", "suspended", "compensating"];
    open.iter().filter_map(|state| counts.get(*state)?.as_u64()).sum()
}
