//! Three engines on one database: one is killed under load, one sleeps past its lease and wakes, the
//! connections of one are cut. Orders go on elsewhere, nothing acknowledged is lost, and no effect
//! happens twice; a command given to one engine reaches the one that drives the instance.
//!
//! Only on a server: `STEPWELL_TEST_POSTGRES` names it, and `cargo xtask test engines` brings one up.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking")]

mod commands;
mod losses;

use stepwell_tests::orders::Orders;
use stepwell_tests::{Options, Stepwell, database};

/// Short, so that a test need not wait long for a lease to be over.
const LEASE_SECONDS: &str = "2";

/// Three engines and their shop. Callbacks go to the first.
struct Three {
    orders: Orders,
    two: Stepwell,
    three: Stepwell,
}

impl Three {
    /// `None`, said aloud, where there is no server to share.
    async fn start(further: &[&str]) -> Option<Self> {
        if database().is_none() {
            eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
            return None;
        }
        let args = [&["--lease-seconds", LEASE_SECONDS], further].concat();
        let orders = Orders::start_with(Options::default().named("one", &args)).await;
        let two = orders.another("two", &args).await;
        let three = orders.another("three", &args).await;
        Some(Self { orders, two, three })
    }
}
