//! Stock: pieces per SKU. An unknown SKU has the configured number, so tests need no seeding.
//!
//! SKUs that begin with `SOLD-OUT` never have any.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};

/// Pieces of one SKU, and of one reservation.
const PIECES_MAX: i64 = 1_000_000_000;

#[derive(Deserialize)]
struct Reservation {
    sku: String,
    quantity: i64,
}

#[derive(Deserialize)]
struct Level {
    available: i64,
}

pub(crate) fn reserve(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Reservation { sku, quantity } = scene.body()?;
    name("sku", &sku)?;
    if !(1..=PIECES_MAX).contains(&quantity) {
        return refuse(400, "BAD_REQUEST", format!("quantity must be between 1 and {PIECES_MAX}"));
    }
    let available = available(scene, &sku)?;
    if available < quantity {
        return refuse(409, "OUT_OF_STOCK", format!("{sku}: {quantity} wanted, {available} left"));
    }
    put_level(scene.db, &sku, available - quantity)?;
    let id = effect::put(scene, Kind::Stock, &json!({ "sku": sku, "quantity": quantity }))?;
    Ok(Answer::new(201, json!({ "reservation": Kind::Stock.name_of(id), "sku": sku, "quantity": quantity })))
}

pub(crate) fn show(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let sku = scene.param("sku");
    name("sku", sku)?;
    Ok(Answer::new(200, json!({ "sku": sku, "available": available(scene, sku)? })))
}

pub(crate) fn set(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Level { available } = scene.body()?;
    let sku = scene.param("sku");
    name("sku", sku)?;
    if !(0..=PIECES_MAX).contains(&available) {
        return refuse(400, "BAD_REQUEST", format!("available must be between 0 and {PIECES_MAX}"));
    }
    put_level(scene.db, sku, available)?;
    Ok(Answer::new(200, json!({ "sku": sku, "available": available })))
}

/// Puts the pieces of an undone reservation back.
pub(crate) fn give_back(db: &Connection, reservation: &Value) -> rusqlite::Result<()> {
    db.prepare_cached("update stock set available = available + ?2 where sku = ?1")?
        .execute(params![reservation["sku"].as_str(), reservation["quantity"].as_i64()])
        .map(drop)
}

fn available(scene: &Scene<'_>, sku: &str) -> rusqlite::Result<i64> {
    if sku.starts_with("SOLD-OUT") {
        return Ok(0);
    }
    let level = scene
        .db
        .prepare_cached("select available from stock where sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()?;
    Ok(level.unwrap_or(i64::from(scene.settings.stock_default)))
}

fn put_level(db: &Connection, sku: &str, available: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "insert into stock (sku, available) values (?1, ?2) on conflict do update set available = excluded.available",
    )?
    .execute(params![sku, available])
    .map(drop)
}
