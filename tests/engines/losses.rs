//! What becomes of orders and records when their engines do.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::json;
use stepwell_tests::orders::{community_order, every_order_ended, prove_effects, prove_ends, start_orders};
use stepwell_tests::records::{counting, prepare, prove_counted, start_counting};
use stepwell_tests::{Client, Stepwell, until};

use crate::{Engines, LEASE_SECONDS};

const SOON: Duration = Duration::from_secs(20);
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(2);
/// After its lease an engine is taken for dead; then others must look, take and call. What is over that is
/// for a machine that has other things to do.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(LEASE_SECONDS + 6);

/// Orders and counting instances that are begun with each loss, while it happens.
const ORDERS: usize = 48;
const COUNTED: u64 = 24;

/// Who is lost, by place. The one that is neither killed nor asleep has its connections cut, and goes on.
struct Losses {
    further: &'static [&'static str],
    /// Kept from the database past its lease.
    kept_out: usize,
    /// Its connections stay, and what it said meanwhile arrives when its lease is over; or they end.
    held: bool,
    killed: usize,
    asleep: usize,
}

/// What was begun.
#[derive(Default)]
struct Work {
    orders: Vec<Option<String>>,
    counted: BTreeSet<u64>,
    counting: u64,
}

impl Work {
    fn more(&mut self) {
        self.orders.resize(self.orders.len() + ORDERS, None);
        self.counting += COUNTED;
    }

    /// Starts whatever was not acknowledged yet.
    async fn start(&mut self, engines: &[&Client]) {
        let missing: Vec<u64> = (0..self.counting).filter(|n| !self.counted.contains(n)).collect();
        let start = async |n: u64| {
            let engine = engines[usize::try_from(n).unwrap() % engines.len()];
            start_counting(engine, "counting", n).await.map(|_| n)
        };
        let starts = stream::iter(missing).map(start).buffer_unordered(8).collect::<Vec<Option<u64>>>();
        let (counted, ()) = tokio::join!(starts, start_orders(engines, &mut self.orders));
        self.counted.extend(counted.into_iter().flatten());
    }

    fn is_acknowledged(&self) -> bool {
        self.orders.iter().all(Option::is_some) && self.counted.len() as u64 == self.counting
    }

    async fn start_all(&mut self, engines: &[&Client]) {
        let all = async {
            while !self.is_acknowledged() {
                self.start(engines).await;
            }
        };
        tokio::time::timeout(ALL_ENDED_WITHIN, all).await.unwrap();
    }

    async fn ended(&self, engine: &Client) {
        every_order_ended(engine, ALL_ENDED_WITHIN).await;
        until("all have counted themselves", ALL_ENDED_WITHIN, || async {
            let counts = engine.get("/api/v1/flows/counting").await.json()["counts"].clone();
            let stuck = engine.get("/api/v1/instances?flow=counting&state=incident").await.json()["items"].clone();
            assert!(stuck.as_array().is_none_or(Vec::is_empty), "{counts}: {stuck:#}");
            (counts["completed"] == self.counting).then_some(())
        })
        .await;
    }
}

/// Slow enough that a loss finds calls under way, quick enough that none is cut off.
async fn slow(engines: &Engines, callbacks: &Client) {
    for path in ["/stock", "/lockers", "/logistics", "/gateway/payments"] {
        let rule = json!({
            "path_prefix": path, "latency_ms": 60, "reply_latency_ms": 120,
            "duplicate_callbacks": 1, "callback_delay_ms": 150,
        });
        engines.orders.fault(&rule).await;
    }
    let settings = json!({ "auto_settle": "paid", "settle_after_ms": 200, "callback_url": callbacks.url() });
    engines.orders.settings(&settings).await;
}

/// Cuts every connection of an engine to its database. Returns how many there were.
async fn cut(engines: &Engines, engine: &Stepwell) -> i64 {
    let name = engine.database().unwrap().split_once("&application_name=").unwrap().1.to_owned();
    engines.ask("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1", name).await
}

/// The engine has something to lose.
async fn drives_something(engines: &Engines, place: usize) {
    until("it drives something", SOON, || async { (engines.owned(place).await > 0).then_some(()) }).await;
}

/// Its lease is over, and nothing is its own any more.
async fn is_taken_over(engines: &Engines, place: usize) {
    until("others go on with what it drove", TAKEN_OVER_WITHIN, || async {
        (engines.owned(place).await == 0).then_some(())
    })
    .await;
}

fn refusals(engine: &Stepwell) -> usize {
    engine.log().matches("this engine's lease is over").count()
}

/// What it wrote before it knew is refused; then it begins anew, and is of use again.
async fn is_refused_and_begins_anew(engine: &Stepwell, refused_before: usize, work: &mut Work) {
    until("a stale write is refused", SOON, || async { (refusals(engine) > refused_before).then_some(()) }).await;
    work.orders.push(None);
    work.counting += 1;
    work.start_all(&[engine]).await;
}

/// One is kept from the database past its lease while the others go on; then it comes back.
async fn keep_out(engines: &Engines, losses: &Losses, work: &mut Work) {
    let (engine, door) = (engines.at(losses.kept_out), &engines.doors[losses.kept_out - 1]);
    let others: Vec<&Client> = engines.all().into_iter().filter(|one| one.url() != engine.url()).collect();
    let refused = refusals(engine);
    work.more();
    let all = engines.all();
    let kept_out = async {
        drives_something(engines, losses.kept_out).await;
        if losses.held {
            door.hold();
        } else {
            door.shut();
        }
        is_taken_over(engines, losses.kept_out).await;
        for (n, other) in others.iter().enumerate() {
            let path = format!("/api/v1/flows/community_order/instances?wait={}s", SOON.as_secs());
            let body = json!({ "input": community_order(&format!("MEANWHILE-{n}")) });
            let ended = other.post(&path, &body).await.expect(200).json();
            assert_eq!(ended["output"]["status"], "SHIPPED", "{ended:#}");
        }
        assert_eq!(engines.owned(losses.kept_out).await, 0, "it is kept out still");
        door.open();
    };
    tokio::join!(work.start(&all), kept_out);
    is_refused_and_begins_anew(engine, refused, work).await;
    work.start_all(&all).await;
}

/// One is killed, one sleeps past its lease, and the third loses its connections; all at once.
async fn lose_all(engines: &mut Engines, losses: &Losses, work: &mut Work) {
    let stays = 3 - losses.killed - losses.asleep;
    work.more();
    let begun = async {
        drives_something(engines, losses.killed).await;
        drives_something(engines, losses.asleep).await;
        drives_something(engines, stays).await;
        // Its starts are not waited for: a kill ends them.
        engines.at(losses.killed).signal("KILL").await;
        engines.at(losses.asleep).signal("STOP").await;
        assert!(cut(engines, engines.at(stays)).await > 0, "there are connections to cut");
    };
    let all = engines.all();
    tokio::select! {
        // Those at the sleeper would wait for it.
        () = work.start(&all) => panic!("nothing was being started when they were lost"),
        () = begun => {}
    }
    engines.at_mut(losses.killed).kill9().await;
    let engine = engines.at(stays);
    until("the one that stays takes orders again", SOON, || async {
        (engine.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    tokio::join!(is_taken_over(engines, losses.killed), is_taken_over(engines, losses.asleep));
    work.start_all(&[engine]).await;
    // What the two drove goes on while one is dead and the other still asleep.
    work.ended(engine).await;

    let asleep = engines.at(losses.asleep);
    let refused = refusals(asleep);
    asleep.signal("CONT").await;
    is_refused_and_begins_anew(asleep, refused, work).await;
}

async fn lose_and_go_on(losses: Losses) {
    let Some(mut engines) = Engines::start(losses.further).await else { return };
    let stays = 3 - losses.killed - losses.asleep;
    slow(&engines, engines.at(stays)).await;
    prepare(engines.at(stays), env!("CARGO_TARGET_TMPDIR"), &["clerk"]).await;
    engines.at(stays).publish(&counting("counting")).await;
    let mut work = Work::default();
    work.more();
    let all = engines.all();
    until("every engine knows of it", SOON, || async {
        let known = stream::iter(all).then(|engine| engine.get("/api/v1/flows/counting"));
        known.all(async |reply| reply.status == 200).await.then_some(())
    })
    .await;
    work.start_all(&all).await;

    keep_out(&engines, &losses, &mut work).await;
    lose_all(&mut engines, &losses, &mut work).await;
    engines.at_mut(losses.killed).restart().await;
    let killed = engines.at(losses.killed);
    work.more();
    work.start_all(&[killed]).await;
    work.ended(killed).await;
    prove_ends(killed, &work.orders).await;
    prove_effects(&engines.orders, work.orders.len()).await;
    prove_counted(killed, work.counting).await;
    engines.orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_records_go_on_without_their_engines() {
    lose_and_go_on(Losses { further: &[], kept_out: 2, held: true, killed: 0, asleep: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_records_go_on_without_hints() {
    lose_and_go_on(Losses { further: &["--database-poll=true"], kept_out: 1, held: false, killed: 2, asleep: 1 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_engine_drove_or_parked_goes_on_soon_after_its_lease() {
    let Some(mut engines) = Engines::start(&[]).await else { return };
    // Longer than the engine that makes the call has left.
    engines.orders.fault(&json!({ "path_prefix": "/stock", "reply_latency_ms": 2_900 })).await;
    // Due before its lease is over, soon after, and when nobody thinks of it any more.
    let timers = [1, 5, 9];
    for seconds in timers {
        let flow = json!({
            "stepwell": 1, "kind": "graph", "key": format!("timer{seconds}"),
            "nodes": { "start": { "type": "start" }, "wait": { "type": "timer", "after": format!("{seconds}s") },
                       "end": { "type": "end", "output": 1 } },
            "edges": [{ "from": "start", "to": "wait" }, { "from": "wait", "to": "end" }],
        });
        engines.second.publish(&flow).await;
    }
    let body = json!({ "input": community_order("LOST-1") });
    let started = engines.second.post("/api/v1/flows/community_order/instances", &body).await.expect(202).json();
    until("its call is under way", SOON, || async {
        (!engines.orders.effects("LOST-1").await.is_empty()).then_some(())
    })
    .await;
    let mut waiting = Vec::new();
    for seconds in timers {
        let path = format!("/api/v1/flows/timer{seconds}/instances");
        let id = engines.second.post(&path, &json!({ "input": {} })).await.expect(202).json()["id"].clone();
        let path = format!("/api/v1/instances/{}", id.as_str().unwrap());
        until("it waits", SOON, || async {
            let shown = engines.second.get(&path).await.expect(200).json();
            (shown["state"] == "waiting").then_some(())
        })
        .await;
        waiting.push((seconds, path));
    }
    engines.orders.fault(&json!({ "path_prefix": "/stock", "reply_latency_ms": 0 })).await;
    engines.second.kill9().await;
    let path = format!("/api/v1/instances/{}", started["id"].as_str().unwrap());
    until("it goes on elsewhere", TAKEN_OVER_WITHIN, || async {
        let shown = engines.orders.engine.get(&path).await.expect(200).json();
        (shown["tokens"][0]["node"] == "paid").then_some(())
    })
    .await;
    assert_eq!(engines.orders.effects("LOST-1").await.len(), 3, "stock, locker and payment, once each");
    for (seconds, path) in waiting {
        until("its timer fires elsewhere", TAKEN_OVER_WITHIN + Duration::from_secs(seconds), || async {
            let shown = engines.third.get(&path).await.expect(200).json();
            (shown["state"] == "completed").then_some(())
        })
        .await;
    }
    engines.orders.stop().await;
}
