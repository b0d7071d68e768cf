//! What tests ask for: faults, settings, and the record of what happened.
//!
//! Lists are `{"items": […], "next": id or null}`, oldest first; `?after=<next>` goes on, `?limit=` is at most 10,000.
//!
//! Not here: authentication; see the crate's header.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, Row};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Shop;
use crate::faults::Rule;
use crate::ledger::LedgerError;
use crate::settings::Settings;

const LIMIT: u32 = 1_000;
const LIMIT_MAX: u32 = 10_000;

/// Columns that are 0 or 1.
const FLAGS: [&str; 3] = ["replayed", "undone", "ran"];
/// Columns that hold JSON, or a text that was meant to be.
const JSON: [&str; 2] = ["body", "detail"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    order: Option<String>,
    key: Option<String>,
    /// A prefix.
    path: Option<String>,
    kind: Option<String>,
    after: Option<i64>,
    limit: Option<u32>,
}

pub(crate) async fn put_faults(State(shop): State<Arc<Shop>>, Json(rule): Json<Rule>) -> Response {
    match shop.faults.put(rule) {
        Ok(()) => show_faults(State(shop)).await,
        Err(problem) => bad_request(&problem),
    }
}

pub(crate) async fn show_faults(State(shop): State<Arc<Shop>>) -> Response {
    Json(json!({ "items": shop.faults.list() })).into_response()
}

pub(crate) async fn clear_faults(State(shop): State<Arc<Shop>>) -> StatusCode {
    shop.faults.clear();
    StatusCode::NO_CONTENT
}

/// Changes the settings named in the body and leaves the others.
pub(crate) async fn put_settings(State(shop): State<Arc<Shop>>, Json(fields): Json<Map<String, Value>>) -> Response {
    let changed = {
        let mut settings = shop.settings.write().unwrap_or_else(PoisonError::into_inner);
        with_fields(&settings, fields).map(|changed| *settings = Arc::new(changed))
    };
    match changed {
        Ok(()) => {
            // What could not be sent for want of a URL may be sent now.
            shop.courier.notify_one();
            show_settings(State(shop)).await
        }
        Err(problem) => bad_request(&problem),
    }
}

pub(crate) async fn show_settings(State(shop): State<Arc<Shop>>) -> Response {
    Json(&*shop.settings()).into_response()
}

fn with_fields(settings: &Settings, fields: Map<String, Value>) -> Result<Settings, String> {
    let mut whole = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    // Secrets are not shown, so they are put back by hand.
    whole["callback_token"] = json!(settings.callback_token);
    whole["callback_secret"] = json!(settings.callback_secret);
    if let Value::Object(known) = &mut whole {
        known.extend(fields);
    }
    let changed = serde_json::from_value::<Settings>(whole).map_err(|error| error.to_string())?;
    changed.check().map(|()| changed)
}

/// Every request: path, key, body, when it arrived, how it ended, and whether it was answered from memory.
pub(crate) async fn requests(State(shop): State<Arc<Shop>>, Query(filter): Query<Filter>) -> Response {
    let columns = "id, arrived_ms, method, path, query, key, order_key as \"order\", forward_key, traceparent, body, \
                   outcome, status, code, replayed";
    list(&shop, filter, "request", columns).await
}

/// Every effect once.
pub(crate) async fn effects(State(shop): State<Arc<Shop>>, Query(filter): Query<Filter>) -> Response {
    let columns = "id, kind, key, order_key as \"order\", detail, done_ms, undone_ms is not null as undone, \
                   undone_ms, undo_key";
    list(&shop, filter, "effect", columns).await
}

/// Every forward key that was undone; `ran` tells whether there was anything to undo.
pub(crate) async fn tombstones(State(shop): State<Arc<Shop>>, Query(filter): Query<Filter>) -> Response {
    let columns = "id, kind, forward_key as key, order_key as \"order\", undo_key, made_ms, ran";
    list(&shop, filter, "tombstone", columns).await
}

/// Every callback, copies apart, with its attempts.
pub(crate) async fn callbacks(State(shop): State<Arc<Shop>>, Query(filter): Query<Filter>) -> Response {
    let columns = "id, event_id, order_key as \"order\", url, body, state, attempts, last_status, last_error, made_ms, \
                   due_ms, ended_ms";
    list(&shop, filter, "callback", columns).await
}

pub(crate) async fn summary(State(shop): State<Arc<Shop>>) -> Response {
    answer(shop.ledger.run(|db| Ok(first(db, include_str!("summary.sql"), &[])?)).await)
}

/// Forgets everything but settings and faults. Numbers go on, so old names never mean new things.
pub(crate) async fn wipe(State(shop): State<Arc<Shop>>) -> Response {
    let wiped = shop.ledger.run(|db| {
        let tables =
            ["request", "answer", "effect", "tombstone", "stock", "parcel", "payment", "account", "callback", "run"];
        for table in tables {
            db.execute(&format!("delete from {table}"), [])?;
        }
        Ok(())
    });
    match wiped.await {
        Ok(()) => {
            shop.recorded.store(0, Ordering::Relaxed);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn list(shop: &Arc<Shop>, filter: Filter, table: &'static str, columns: &'static str) -> Response {
    let limit = filter.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let key_column = if table == "tombstone" { "forward_key" } else { "key" };
    let fits = |column: &str| match (table, column) {
        ("request", _) => column != "kind",
        ("callback", _) => column == "order_key",
        _ => column != "path",
    };
    let mut sql = format!("select {columns} from {table} where id > ?1");
    let mut values: Vec<Box<dyn ToSql + Send>> = vec![Box::new(filter.after.unwrap_or(0))];
    for (column, value) in
        [("order_key", filter.order), (key_column, filter.key), ("path", filter.path), ("kind", filter.kind)]
    {
        let Some(value) = value else { continue };
        if !fits(column) {
            return bad_request(&format!("{table}s cannot be asked for by {column}"));
        }
        values.push(Box::new(value));
        let number = values.len();
        // Writing to a string cannot fail.
        let _ = match column {
            "path" => write!(sql, " and substr(path, 1, length(?{number})) = ?{number}"),
            _ => write!(sql, " and {column} = ?{number}"),
        };
    }
    // One more than asked for tells whether there is a next page.
    let _ = write!(sql, " order by id limit {}", limit + 1);
    let found = shop.ledger.run(move |db| {
        let values = values.iter().map(|value| &**value as &dyn ToSql).collect::<Vec<_>>();
        Ok(all(db, &sql, &values)?)
    });
    answer(found.await.map(|mut items| {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last["id"].clone());
        json!({ "items": items, "next": next })
    }))
}

fn all(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<Value>> {
    db.prepare_cached(sql)?.query_map(values, shown)?.collect()
}

fn first(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Value> {
    db.prepare_cached(sql)?.query_row(values, shown)
}

/// A row as JSON, by the names of its columns.
fn shown(row: &Row<'_>) -> rusqlite::Result<Value> {
    let mut shown = Map::new();
    for (index, column) in row.as_ref().column_names().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Integer(flag) if FLAGS.contains(&column) => json!(flag != 0),
            ValueRef::Integer(number) => json!(number),
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                let parsed = if JSON.contains(&column) { serde_json::from_str(&text).ok() } else { None };
                parsed.unwrap_or_else(|| json!(text))
            }
            // No column shown here is of another type.
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
        };
        shown.insert(column.to_owned(), value);
    }
    Ok(Value::Object(shown))
}

fn answer(result: Result<Value, LedgerError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => unavailable(&error),
    }
}

fn bad_request(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "code": "BAD_REQUEST", "message": message }))).into_response()
}

fn unavailable(error: &LedgerError) -> Response {
    let body = json!({ "code": "LEDGER", "message": error.to_string() });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}
