//! Three engines on one database: one is killed under load, one sleeps past its lease and wakes, one is kept from
//! the database past its lease, the connections of one are cut. Orders and records go on elsewhere, nothing
//! acknowledged is lost, and no effect happens twice; a command given to one engine reaches the one that drives the
//! instance.
//!
//! Only on a server: `STEPWELL_TEST_POSTGRES` names it, and `cargo xtask test engines` brings one up.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests fail by panicking")]

mod bindings;
mod clocks;
mod commands;
mod grants;
mod losses;
mod plugins;
mod users;

use postgres::NoTls;
use postgres::types::ToSql;
use stepwell_tests::orders::Orders;
use stepwell_tests::{Client, Door, Options, Stepwell, database};
use tokio::sync::{Mutex, MutexGuard};

/// Short, so that a test need not wait long for a lease to be over.
const LEASE_SECONDS: u64 = 2;

/// Leases are short, so a machine that is kept busy by other tests would see engines die of nothing.
static TURN: Mutex<()> = Mutex::const_new(());

/// Three engines and their shop. Callbacks go to the first, unless a test says otherwise.
struct Engines {
    _turn: MutexGuard<'static, ()>,
    orders: Orders,
    second: Stepwell,
    third: Stepwell,
    /// Before the database of the second and the third.
    doors: [Door; 2],
    url: String,
}

impl Engines {
    /// `None`, said aloud, where there is no server to share.
    async fn start(further: &[&str]) -> Option<Self> {
        let Some(url) = database() else {
            eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
            return None;
        };
        let turn = TURN.lock().await;
        let lease = LEASE_SECONDS.to_string();
        let args = [&["--lease-seconds", &lease], further].concat();
        let options = Options { database: Some(url.clone()), ..Options::default() };
        let orders = Orders::start_with(options.named("first", &args)).await;
        let doors = [Door::default(), Door::default()];
        let behind = async |name: &str, door: &Door| {
            let mut options = orders.engine.options().named(name, &args);
            let url = options.database.unwrap();
            options.database = Some(door.before(&url).await);
            Stepwell::start(options).await
        };
        let second = behind("second", &doors[0]).await;
        let third = behind("third", &doors[1]).await;
        Some(Self { _turn: turn, orders, second, third, doors, url })
    }

    /// By its place, from 0; one more is its number in the database.
    fn at(&self, place: usize) -> &Stepwell {
        [&self.orders.engine, &self.second, &self.third][place]
    }

    fn at_mut(&mut self, place: usize) -> &mut Stepwell {
        [&mut self.orders.engine, &mut self.second, &mut self.third].into_iter().nth(place).unwrap()
    }

    fn all(&self) -> [&Client; 3] {
        [&self.orders.engine, &self.second, &self.third]
    }

    /// Asks the database for a number, through no door.
    async fn ask(&self, sql: &'static str, of: impl ToSql + Send + Sync + 'static) -> i64 {
        let url = self.url.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let mut client = postgres::Client::connect(&url, NoTls).unwrap();
            client.query_one(sql, &[&of]).unwrap().get(0)
        });
        asking.await.unwrap()
    }

    /// How many instances under way are an engine's.
    async fn owned(&self, place: usize) -> i64 {
        let number = i64::try_from(place).unwrap() + 1;
        self.ask("select count(*) from instance where owner = $1 and state <= 4", number).await
    }
}
