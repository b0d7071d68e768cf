//! Sends callbacks until they are taken, and settles payments whose time has come.
//!
//! A callback is a row, written in the transaction that settled its payment. It is claimed for a while, sent, and
//! then done or due again; a claim that runs out is due again too, so a callback outlives the process.
//!
//! Invariants:
//! - Every callback is delivered at least once or given up after the set number of attempts; the number is kept.
//! - All copies and attempts of one settlement carry the same event id.
//! - The token goes to the origin of the configured URL alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::faults::Rule;
use crate::gateway::{self, Payment};
use crate::ledger::LedgerError;
use crate::settings::{Settings, callback_target};
use crate::signature::{SIGNATURE_HEADER, sign};
use crate::{Shop, door, now_ms};

pub(crate) type Client = Pool<HttpConnector, Full<Bytes>>;

/// Callbacks on their way at a time.
const SENDING_MAX: u32 = 32;
/// The courier looks at least this often, in case nobody woke it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after the first failed attempt; it doubles up to the longest.
const PAUSE_MS: i64 = 100;
const PAUSE_MS_MAX: i64 = 2_000;
/// What is read of an answer so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A callback taken up for one attempt.
struct Claimed {
    id: i64,
    url: Option<String>,
    body: String,
    attempts: u32,
}

pub(crate) fn client() -> Client {
    Pool::builder(TokioExecutor::new()).build_http()
}

/// Queues the callback of a settled payment and its copies; returns what the caller has to send itself, by
/// [`deliver_now`], before it answers.
pub(crate) fn enqueue(
    db: &Connection,
    payment: &Payment,
    settings: &Settings,
    rule: &Rule,
    inside_reply: bool,
    now_ms: i64,
) -> rusqlite::Result<Vec<i64>> {
    let event = format!("evt-{}-{}-{}", tag(db, now_ms)?, payment.name(), payment.status);
    let body = json!({
        "name": "payment", "key": payment.order, "id": event,
        "payload": {
            "status": payment.status, "amount_cents": payment.amount_cents,
            "payment": payment.name(), "order": payment.order,
        },
    })
    .to_string();
    let delayed_ms = now_ms.saturating_add(i64::try_from(rule.callback_delay_ms).unwrap_or(i64::MAX));
    let mut inside = Vec::new();
    for copy in 0..=rule.duplicate_callbacks {
        let is_inside = inside_reply && copy == 0;
        // The one inside the reply is claimed already, so that the courier leaves it alone.
        let due_ms = if is_inside { claimed_until(settings, now_ms) } else { delayed_ms };
        let id = db
            .prepare_cached(
                "insert into callback (event_id, order_key, url, body, state, due_ms, attempts, made_ms) \
                 values (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7)",
            )?
            .insert(params![event, payment.order, payment.callback_url, body, due_ms, is_inside, now_ms])?;
        if is_inside {
            inside.push(id);
        }
    }
    Ok(inside)
}

/// Sends a callback that [`enqueue`] handed out; one that is not taken is left to the courier.
pub(crate) async fn deliver_now(shop: &Arc<Shop>, id: i64) {
    let found = shop.ledger.run(move |db| {
        let row = db
            .prepare_cached("select id, url, body, attempts from callback where id = ?1")?
            .query_row([id], claimed)
            .optional()?;
        Ok(row)
    });
    // If the ledger failed, the claim runs out and the courier takes over.
    if let Ok(Some(callback)) = found.await {
        attempt(shop, callback).await;
    }
}

/// Works until the shop is stopped.
pub(crate) async fn run(shop: Arc<Shop>) {
    let mut ending = shop.ending.clone();
    let sending = Arc::new(Semaphore::new(SENDING_MAX as usize));
    loop {
        let room = u32::try_from(sending.available_permits()).unwrap_or(SENDING_MAX);
        let (settings, rule) = (shop.settings(), shop.faults.look(door::CALLBACK_RULE_PATH));
        let round = tokio::select! {
            _ = ending.changed() => return,
            round = shop.ledger.run(move |db| look(db, &settings, &rule, room, now_ms())) => round,
        };
        let (taken, due_ms) = round.unwrap_or_default();
        for callback in taken {
            // There is room for all: only this loop takes permits.
            let Ok(permit) = Arc::clone(&sending).try_acquire_owned() else { break };
            let (shop, mut ending) = (Arc::clone(&shop), shop.ending.clone());
            tokio::spawn(async move {
                tokio::select! {
                    _ = ending.changed() => {}
                    () = attempt(&shop, callback) => {}
                }
                drop(permit);
                shop.courier.notify_one();
            });
        }
        let wait = match due_ms {
            // Without room the end of an attempt wakes the courier.
            Some(due_ms) if sending.available_permits() > 0 => {
                Duration::from_millis(due_ms.saturating_sub(now_ms()).max(0).unsigned_abs()).min(LOOK_EVERY)
            }
            _ => LOOK_EVERY,
        };
        tokio::select! {
            _ = ending.changed() => return,
            () = shop.courier.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Settles what is due and claims callbacks for as many attempts as there is room for; returns when to look again.
fn look(
    db: &Connection,
    settings: &Settings,
    rule: &Rule,
    room: u32,
    now_ms: i64,
) -> Result<(Vec<Claimed>, Option<i64>), LedgerError> {
    let settle_ms = gateway::settle_due(db, settings, rule, now_ms)?;
    let taken = db
        .prepare_cached(
            "update callback set due_ms = ?2, attempts = attempts + 1 where id in \
             (select id from callback where state = 'pending' and due_ms <= ?1 order by due_ms limit ?3) \
             returning id, url, body, attempts",
        )?
        .query_map(params![now_ms, claimed_until(settings, now_ms), room], claimed)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let send_ms = db
        .prepare_cached("select min(due_ms) from callback where state = 'pending'")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))?;
    Ok((taken, settle_ms.into_iter().chain(send_ms).min()))
}

fn claimed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Claimed> {
    Ok(Claimed { id: row.get(0)?, url: row.get(1)?, body: row.get(2)?, attempts: row.get(3)? })
}

/// A claim outlasts the attempt it is for.
fn claimed_until(settings: &Settings, now_ms: i64) -> i64 {
    now_ms.saturating_add(i64::try_from(settings.callback_timeout_ms).unwrap_or(i64::MAX)).saturating_add(1_000)
}

/// Makes one attempt and records how it went.
async fn attempt(shop: &Arc<Shop>, callback: Claimed) {
    let settings = shop.settings();
    let Claimed { id, url, body, attempts } = callback;
    let sent = send(&shop.client, &settings, url.as_deref(), body).await;
    let taken = matches!(sent, Ok(status) if (200..300).contains(&status));
    let state = match (taken, attempts >= settings.callback_attempts_max) {
        (true, _) => "delivered",
        (false, true) => "given_up",
        (false, false) => "pending",
    };
    let (status, error) = match sent {
        Ok(status) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    let pause_ms = PAUSE_MS.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(PAUSE_MS_MAX);
    let recorded = shop.ledger.run(move |db| {
        let now_ms = now_ms();
        db.prepare_cached(
            "update callback set state = ?2, due_ms = ?3, last_status = ?4, last_error = ?5, ended_ms = ?6 \
             where id = ?1 and state = 'pending'",
        )?
        .execute(params![
            id,
            state,
            now_ms + pause_ms,
            status,
            error,
            (state != "pending").then_some(now_ms)
        ])?;
        Ok(())
    });
    // Unrecorded, the claim runs out and the callback is sent again: at least once is what is promised.
    let _ = recorded.await;
}

/// Posts one callback; the status of the answer, or why there was none.
async fn send(client: &Client, settings: &Settings, own: Option<&str>, body: String) -> Result<u16, String> {
    let configured = settings.callback_url.as_deref();
    let target = callback_target(own.or(configured).ok_or("no callback URL is set")?)?;
    let mut request = Request::post(target.clone()).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = &settings.callback_token
        && configured.and_then(|url| url.parse::<Uri>().ok()).is_some_and(|url| url.authority() == target.authority())
    {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(secret) = &settings.callback_secret {
        request = request.header(SIGNATURE_HEADER, sign(secret, now_ms() / 1000, body.as_bytes()));
    }
    let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        // A body that is too long or cut costs the connection, not the answer.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(status)
    };
    match tokio::time::timeout(Duration::from_millis(settings.callback_timeout_ms), exchange).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} ms", settings.callback_timeout_ms)),
    }
}

/// The tag of this data: a receiver that remembers event ids must not take a new shop's for an old one's.
fn tag(db: &Connection, now_ms: i64) -> rusqlite::Result<String> {
    let fresh = format!("{now_ms:x}{:x}", std::process::id());
    db.prepare_cached("insert into run (id, tag) values (1, ?1) on conflict do update set tag = tag returning tag")?
        .query_row([fresh], |row| row.get(0))
}
