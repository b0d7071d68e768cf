//! Three engines on one database: one is killed under load, one sleeps past its lease and wakes, the
//! connections of one are cut. Orders go on elsewhere, nothing acknowledged is lost, and no effect
//! happens twice; a command given to one engine reaches the one that drives the instance.
//!
//! Only on a server: `STEPWELL_TEST_POSTGRES` names it, and `cargo xtask test engines` brings one up.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking")]

mod bindings;
mod clocks;
mod commands;
mod losses;
mod plugins;
mod users;

use stepwell_tests::orders::Orders;
use stepwell_tests::{Options, Stepwell, database};
use tokio::sync::{Mutex, MutexGuard};

/// Short, so that a test need not wait long for a lease to be over.
const LEASE_SECONDS: u64 = 2;

/// Leases are short, so a machine that is kept busy by other tests would see engines die of nothing.
static TURN: Mutex<()> = Mutex::const_new(());

/// Three engines and their shop. Callbacks go to the first.
struct Engines {
    _turn: MutexGuard<'static, ()>,
    orders: Orders,
    second: Stepwell,
    third: Stepwell,
}

impl Engines {
    /// `None`, said aloud, where there is no server to share.
    async fn start(further: &[&str]) -> Option<Self> {
        if database().is_none() {
            eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
            return None;
        }
        let turn = TURN.lock().await;
        let lease = LEASE_SECONDS.to_string();
        let args = [&["--lease-seconds", &lease], further].concat();
        let orders = Orders::start_with(Options::default().named("first", &args)).await;
        let second = orders.another("second", &args).await;
        let third = orders.another("third", &args).await;
        Some(Self { _turn: turn, orders, second, third })
    }
}
