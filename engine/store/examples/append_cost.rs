//! What a durable commit costs here: whole small instances (admitted and ended in one commit, as
//! `order-5` does it) at 1, 16, 64 and 256 in flight, with FULL durability.
//!
//! Run: `cargo run --release -p stepwell-store --example append_cost [seconds-per-line [checkpoint-pages]]`
//! With `STEPWELL_DATABASE_URL` it is done on that server; bytes are those of this process, so they say nothing there.
#![allow(clippy::print_stdout, reason = "it exists to print")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use stepwell_core::machine::{Entry, Event, Op, Outcome, State};
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::{Admission, Append, Header, TaskMoves};
use stepwell_store::{Act, Options, Publish, Store};

#[tokio::main]
async fn main() -> Result<()> {
    let seconds: f64 = std::env::args().nth(1).map_or(Ok(3.0), |text| text.parse())?;
    let checkpoint_pages =
        std::env::args().nth(2).map_or(Ok(Options::default().checkpoint_pages), |text| text.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("stepwell.db");
    let options = Options { checkpoint_pages, ..Options::default() };
    let server = std::env::var("STEPWELL_DATABASE_URL");
    let store = match &server {
        Ok(url) => Store::connect(url, folder.path().join("engine"), options)?,
        Err(_) => Store::open(&path, options)?,
    };
    let publish = Publish {
        flow: "order-5".to_owned(),
        document: Arc::new(json!({ "kind": "graph", "key": "order-5" })),
        catalog: Arc::new(json!({ "nodeTypes": {} })),
        hash: "1".to_owned(),
        label: None,
        revision: None,
        triggers: Vec::new(),
        schedules: Vec::new(),
        file: None,
        act: Act { by: "append_cost".to_owned(), at_ms: 1 },
    };
    store.publish(publish).await?;
    let mut all = 0;
    println!("in flight   appends/s   p50 us   p99 us   written B/append");
    for in_flight in [1, 16, 64, 256] {
        let before = written()?;
        let (appends, mut waits) = load(&store, in_flight, Duration::from_secs_f64(seconds)).await?;
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
        let rate = u128::from(appends) * 1_000 / Duration::from_secs_f64(seconds).as_millis();
        println!("{in_flight:>9} {rate:>11} {:>8} {:>8} {:>18}", at(50), at(99), (written()? - before) / appends);
        all += appends;
    }
    drop(store); // The last connection folds the log into the file.
    if server.is_ok() {
        return Ok(());
    }
    println!("{} B kept per instance", std::fs::metadata(&path)?.len() / all);
    Ok(())
}

async fn load(store: &Store, in_flight: u32, time: Duration) -> Result<(u64, Vec<u64>)> {
    let count = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + time;
    let mut callers = Vec::new();
    for _ in 0..in_flight {
        let (store, count) = (store.clone(), count.clone());
        callers.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                store.append(whole_instance()).await?;
                waits.push(u64::try_from(asked.elapsed().as_micros())?);
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(waits)
        }));
    }
    let mut waits = Vec::new();
    for caller in callers {
        waits.append(&mut caller.await??);
    }
    Ok((count.load(Ordering::Relaxed), waits))
}

/// As `order-5` leaves one: about 550 bytes of input and three outputs.
fn whole_instance() -> Append {
    let now_ms = 1_795_000_000_000;
    let input = json!({
        "order_id": "ord-0123456789abcdef", "type": "physical", "currency": "CNY", "region": "north",
        "customer": { "id": "C-20391", "name": "Wei Zhang", "tier": "gold", "email": "wei.zhang@example.com" },
        "items": [
            { "sku": "SKU-1001", "name": "Thermal kettle", "qty": 2, "unit_cents": 12_900, "weight_g": 1_200 },
            { "sku": "SKU-2040", "name": "Desk lamp, small", "qty": 1, "unit_cents": 5_990, "weight_g": 800 },
            { "sku": "SKU-3307", "name": "USB-C cable", "qty": 3, "unit_cents": 1_990, "weight_g": 150 }
        ],
        "ship_to": { "line1": "12 Harbour Street, Building 4", "city": "Qingdao", "zip": "266000" },
        "note": "leave at the front desk"
    });
    let returned = |seq: u64, output: serde_json::Value| Entry {
        seq,
        at_ms: now_ms,
        event: Event::NodeReturned {
            token: 1,
            attempt: 1,
            op: Op::Run,
            outcome: Outcome::Done { port: "done".into(), output: Arc::new(output) },
        },
    };
    let started = Event::Started { input: Arc::new(input), business_key: None, priority: 0 };
    let reply = Arc::new(json!({
        "order_id": "ord-0123456789abcdef", "status": "accepted", "fulfilment": "warehouse", "subtotal_cents": 39_960,
        "shipping_cents": 1_500, "discount_pct": 10, "discount_cents": 3_996, "total_cents": 37_464
    }));
    Append {
        instance: uuid::Uuid::now_v7().to_string().into(),
        expected_seq: 0,
        epoch: 1,
        entries: vec![
            Entry { seq: 1, at_ms: now_ms, event: started },
            returned(2, json!({ "valid": true })),
            returned(3, json!({ "subtotal_cents": 39_960, "grams": 3_600 })),
            returned(4, json!({ "shipping_cents": 1_500 })),
        ],
        header: Header {
            state: State::Completed,
            updated_ms: now_ms,
            due_ms: None,
            error: None,
            reply: Some(reply.clone()),
            output: Some(reply),
            priority: 0,
            forget_ms: None,
            standing: None,
        },
        version: 1,
        tasks: TaskMoves::default(),
        snapshot: None,
        subscriptions: Vec::new(),
        taken: Vec::new(),
        records: Vec::new(),
        admission: Some(Admission {
            flow: "order-5".into(),
            version: 1,
            business_key: None,
            started_ms: now_ms,
            idempotency: None,
            traceparent: None,
            unique: None,
            bound_by: None,
            by: "admin".into(),
        }),
        park: false,
    }
}

/// Bytes this process has sent to the disk, as the kernel counts them.
fn written() -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
    Ok(line.trim().parse()?)
}
