//! What happens to every request before and after its work.
//!
//! In this order, in one transaction: the request is recorded; a fault may end it; a forward whose undo was asked
//! for is refused; a key that was answered before gets the same answer; else the work is done and its answer is
//! kept under the key.
//!
//! Invariants:
//! - The work under one key is done once, however often and however concurrently the key arrives.
//! - Answers to faults and to unreadable requests are not kept: the same key may be tried again.
//! - A refusal by tombstone comes before the kept answer: after an undo nobody is told that the forward stands.
//!
//! Not here: what the work is; how a connection is closed without an answer (`http`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::arrival::{self, Arrival};
use crate::courier;
use crate::effect::{self, Kind};
use crate::faults::{Fate, Rule, Toll};
use crate::ledger::LedgerError;
use crate::settings::Settings;
use crate::{Shop, now_ms};

/// Bytes of a header or name that is kept; more is answered 400.
pub(crate) const NAME_BYTES_MAX: usize = 256;
/// Requests kept; more are answered 507 until the data is deleted.
const RECORDED_MAX: u64 = 2_000_000;
/// The path whose fault rule is asked about callbacks.
pub(crate) const CALLBACK_RULE_PATH: &str = "/gateway/payments";

/// Marks a response whose connection is to be closed instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost;

/// The work of one route; it refuses before it writes anything.
pub(crate) type Work = fn(&Scene<'_>) -> Result<Answer, Refusal>;

/// What a route does.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    /// Does something that can be undone.
    Forward(Kind, Work),
    /// Undoes what a forward of this kind did.
    Undo(Kind),
    Other(Work),
}

/// An answer, and what has to happen before it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Value,
    /// Callbacks to be sent before the reply.
    inside: Vec<i64>,
    /// Whether the courier may have something to do.
    pub(crate) wakes_courier: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body, inside: Vec::new(), wakes_courier: false }
    }

    pub(crate) fn refused(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::new(status, json!({ "code": code, "message": message.into() }))
    }

    /// Sends these callbacks before the reply and lets the courier look for more.
    pub(crate) fn with_callbacks(self, inside: Vec<i64>) -> Self {
        Self { inside, wakes_courier: true, ..self }
    }

    fn code(&self) -> Option<&str> {
        self.body.get("code").and_then(Value::as_str)
    }

    /// 4xx that another body or another time would not get, and 5xx, stay out of the answers kept.
    fn is_kept(&self) -> bool {
        self.status < 500 && !matches!(self.status, 400 | 404 | 422)
    }
}

/// Why work was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Tell the caller this.
    Answer(Answer),
    /// The ledger failed; nothing of the request is kept.
    Ledger(LedgerError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error.into())
    }
}

/// Refuses with a status, a code and a sentence.
pub(crate) fn refuse<T>(status: u16, code: &str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Answer(Answer::refused(status, code, message)))
}

/// What the work sees.
pub(crate) struct Scene<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) arrival: &'a Arrival,
    pub(crate) settings: &'a Settings,
    /// The faults of callbacks.
    pub(crate) callback_rule: &'a Rule,
    pub(crate) now_ms: i64,
}

impl Scene<'_> {
    /// Reads the body, or refuses with what is wrong with it.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let value = self.arrival.json.clone().unwrap_or(Value::Null);
        serde_json::from_value(value).or_else(|error| refuse(400, "BAD_REQUEST", error.to_string()))
    }

    /// The forward key that the body names.
    pub(crate) fn forward_key_told(&self) -> Option<&str> {
        self.arrival.json.as_ref().and_then(effect::forward_key_in)
    }

    /// A part of the path; empty only if the route has no such part.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.arrival.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A value of the query string.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let uri = format!("/?{}", self.arrival.query.as_deref()?).parse().ok()?;
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?.0;
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A text that names something: neither empty nor long.
pub(crate) fn name(field: &str, value: &str) -> Result<(), Refusal> {
    if value.is_empty() || value.len() > NAME_BYTES_MAX {
        return refuse(400, "BAD_REQUEST", format!("{field} must have 1 to {NAME_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// The handler of a shop route.
pub(crate) fn at(
    deed: Deed,
) -> impl Fn(State<Arc<Shop>>, Result<RawPathParams, RawPathParamsRejection>, Request) -> Answering + Clone + Send + Sync
{
    move |State(shop), params, request| Box::pin(enter(shop, deed, params.ok(), request))
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Whoever is told what happened: that stands among the requests.
#[expect(clippy::unnecessary_wraps, reason = "the work of other paths may be refused")]
pub(crate) fn heard(_: &Scene<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::new(200, json!({ "heard": true })))
}

/// The work of paths that lead nowhere.
pub(crate) fn nowhere(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    refuse(404, "NOT_FOUND", format!("no {} {}", scene.arrival.method, scene.arrival.path))
}

async fn enter(shop: Arc<Shop>, deed: Deed, params: Option<RawPathParams>, request: Request) -> Response {
    let Ok(permit) = Arc::clone(&shop.in_flight).try_acquire_owned() else {
        return respond(503, &Answer::refused(503, "BUSY", "too many requests at a time").body, false);
    };
    if shop.recorded.load(Ordering::Relaxed) >= RECORDED_MAX {
        let full = "no room for more requests; DELETE /control/data makes room";
        return respond(507, &Answer::refused(507, "LEDGER_FULL", full).body, false);
    }
    let arrival = match arrival::read(params, request).await {
        Ok(arrival) => Arc::new(arrival),
        Err(refused) => return respond(refused.status, &refused.body, false),
    };
    // In a task of its own, so that a caller who leaves does not stop the work: that is what a late forward is.
    let mut ending = shop.ending.clone();
    let attending = tokio::spawn(async move {
        let response = tokio::select! {
            _ = ending.changed() => lost(),
            response = attend(shop, deed, arrival) => response,
        };
        drop(permit);
        response
    });
    attending.await.unwrap_or_else(|_| lost())
}

/// What was decided about a request.
struct Verdict {
    answer: Answer,
    replayed: bool,
    lost: bool,
}

async fn attend(shop: Arc<Shop>, deed: Deed, arrival: Arc<Arrival>) -> Response {
    let toll = shop.faults.take(&arrival.path);
    let mut row = None;
    if toll.latency_ms > 0 {
        // Recorded at its arrival: a request that waits has been seen, even if the shop dies meanwhile.
        let recorded = Arc::clone(&arrival);
        let Ok(id) = shop.ledger.run(move |db| Ok(arrival::record(db, &recorded, now_ms())?)).await else {
            return broken();
        };
        row = Some(id);
        tokio::time::sleep(Duration::from_millis(toll.latency_ms)).await;
    }
    shop.recorded.fetch_add(1, Ordering::Relaxed);
    let reply_latency_ms = toll.reply_latency_ms;
    let (settings, seed, callback_rule) = (shop.settings(), shop.seed, shop.faults.look(CALLBACK_RULE_PATH));
    let judged = shop.ledger.run(move |db| {
        let now_ms = now_ms();
        let scene = Scene { db, arrival: &arrival, settings: &settings, callback_rule: &callback_rule, now_ms };
        judge(&scene, deed, row, &toll, seed)
    });
    let Ok(verdict) = judged.await else { return broken() };
    for id in &verdict.answer.inside {
        courier::deliver_now(&shop, *id).await;
    }
    if verdict.answer.wakes_courier {
        shop.courier.notify_one();
    }
    if reply_latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply_latency_ms)).await;
    }
    if verdict.lost { lost() } else { respond(verdict.answer.status, &verdict.answer.body, verdict.replayed) }
}

fn judge(scene: &Scene<'_>, deed: Deed, row: Option<i64>, toll: &Toll, seed: u64) -> Result<Verdict, LedgerError> {
    let row = match row {
        Some(row) => row,
        None => arrival::record(scene.db, scene.arrival, scene.now_ms)?,
    };
    let key = scene.arrival.key.as_deref();
    // Without a key, each arrival is its own and gets a throw of its own.
    let arrivals_before = match key {
        Some(key) => scene
            .db
            .prepare_cached("select count(*) from request where key = ?1 and id < ?2")?
            .query_row(params![key, row], |found| found.get::<_, i64>(0))?,
        None => row,
    };
    let fate = toll.fate(seed, &scene.arrival.path, key.unwrap_or(""), arrivals_before.unsigned_abs());
    let (answer, replayed) = match fate {
        Fate::Fails(status) => (Answer::refused(status, "FAULT", "failed on purpose"), false),
        Fate::Spared | Fate::LosesReply => answer(scene, deed)?,
    };
    let outcome = match fate {
        Fate::Fails(_) => "failed",
        Fate::LosesReply => "lost",
        Fate::Spared => "answered",
    };
    scene
        .db
        .prepare_cached("update request set outcome = ?2, status = ?3, code = ?4, replayed = ?5 where id = ?1")?
        .execute(params![row, outcome, answer.status, answer.code(), replayed])?;
    Ok(Verdict { answer, replayed, lost: fate == Fate::LosesReply })
}

/// The answer, and whether it was given before.
fn answer(scene: &Scene<'_>, deed: Deed) -> Result<(Answer, bool), LedgerError> {
    let done = if let Some(refused) = undone(scene, deed)? {
        return Ok((refused, false));
    } else if let Some(kept) = kept(scene)? {
        return Ok(kept);
    } else {
        match deed {
            Deed::Forward(_, work) | Deed::Other(work) => work(scene),
            Deed::Undo(kind) => effect::undo(scene, kind),
        }
    };
    let answer = match done {
        Ok(answer) | Err(Refusal::Answer(answer)) => answer,
        Err(Refusal::Ledger(error)) => return Err(error),
    };
    if let Some(key) = &scene.arrival.key
        && answer.is_kept()
        && scene.arrival.method != "GET"
    {
        let sql = "insert into answer (key, method, path, sha256, status, body) values (?1, ?2, ?3, ?4, ?5, ?6)";
        let Arrival { method, path, sha256, .. } = scene.arrival;
        scene.db.prepare_cached(sql)?.execute(params![
            key,
            method,
            path,
            sha256,
            answer.status,
            answer.body.to_string()
        ])?;
    }
    Ok((answer, false))
}

/// The refusal of a forward whose undo was asked for.
fn undone(scene: &Scene<'_>, deed: Deed) -> Result<Option<Answer>, LedgerError> {
    let Deed::Forward(kind, _) = deed else { return Ok(None) };
    if !effect::is_undone(scene.db, kind, scene.arrival.key.as_deref(), scene.forward_key_told())? {
        return Ok(None);
    }
    Ok(Some(Answer::refused(409, "UNDONE", "an undo of this key was asked for; it can no longer take place")))
}

/// The answer that the key has already; 422 if the key was used for something else.
fn kept(scene: &Scene<'_>) -> Result<Option<(Answer, bool)>, LedgerError> {
    let Some(key) = scene.arrival.key.as_deref().filter(|_| scene.arrival.method != "GET") else { return Ok(None) };
    let found = scene
        .db
        .prepare_cached("select method, path, sha256, status, body from answer where key = ?1")?
        .query_row([key], |row| {
            let same = row.get::<_, String>(0)? == scene.arrival.method
                && row.get::<_, String>(1)? == scene.arrival.path
                && row.get::<_, [u8; 32]>(2)? == scene.arrival.sha256;
            Ok((same, row.get::<_, u16>(3)?, row.get::<_, String>(4)?))
        })
        .optional()?;
    Ok(found.map(|(same, status, body)| {
        if same {
            // What is in the column was written as JSON by `answer`.
            (Answer::new(status, serde_json::from_str(&body).unwrap_or(Value::Null)), true)
        } else {
            (Answer::refused(422, "KEY_REUSED", "this idempotency key was used for another request"), false)
        }
    }))
}

fn respond(status: u16, body: &Value, replayed: bool) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

fn broken() -> Response {
    respond(503, &Answer::refused(503, "LEDGER", "the ledger did not take the request; nothing was done").body, false)
}

fn lost() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Lost);
    response
}
