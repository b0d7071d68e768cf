//! Things done in the world, and their undoing.
//!
//! An undo is named by the forward's key. It leaves a tombstone whether or not the forward ever ran: if it ran,
//! its effect is taken back; if not, there is nothing to take back and the undo succeeds all the same; and a
//! forward that comes later is refused.
//!
//! Invariants:
//! - An effect is undone at most once.
//! - No effect is made under a key that has a tombstone of its kind.
//!
//! A forward that needs several requests sends them under `key`, `key.2`, `key.3` …; its undo names `key` and
//! means them all.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::{gateway, property, stock};

/// What can be done, and undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stock,
    Locker,
    Shipment,
    Assignment,
    Payment,
    PropertyPayment,
    Coupon,
    Points,
    Order,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Locker => "locker",
            Self::Shipment => "shipment",
            Self::Assignment => "assignment",
            Self::Payment => "payment",
            Self::PropertyPayment => "property-payment",
            Self::Coupon => "coupon",
            Self::Points => "points",
            Self::Order => "order",
        }
    }

    /// The field that names the thing in bodies, and the letters its names begin with.
    fn named(self) -> (&'static str, &'static str) {
        match self {
            Self::Stock => ("reservation", "RES-"),
            Self::Locker => ("locker", "LCK-"),
            Self::Shipment => ("parcel", "PRC-"),
            Self::Assignment => ("assignment", "ASG-"),
            Self::Payment => ("payment", "PAY-"),
            Self::PropertyPayment => ("payment", "FEE-"),
            Self::Coupon => ("redemption", "CPN-"),
            Self::Points => ("use", "PTS-"),
            Self::Order => ("saved", "ORD-"),
        }
    }

    /// The name of the thing that effect `id` made.
    pub(crate) fn name_of(self, id: i64) -> String {
        format!("{}{id}", self.named().1)
    }

    /// The effect that made the thing called `name`.
    pub(crate) fn id_of(self, name: &str) -> Option<i64> {
        name.strip_prefix(self.named().1)?.parse().ok()
    }

    /// What an undo answers with: locks and reservations are released, all else is cancelled.
    fn undone(self) -> &'static str {
        match self {
            Self::Stock | Self::Locker | Self::Coupon | Self::Points => "released",
            Self::Shipment | Self::Assignment | Self::Payment | Self::PropertyPayment | Self::Order => "cancelled",
        }
    }
}

/// The forward key that a body names.
pub(crate) fn forward_key_in(body: &Value) -> Option<&str> {
    body.get("forwardKey").or_else(|| body.get("forward_key"))?.as_str().filter(|key| !key.is_empty())
}

/// `key` for `key.2`, `key.3` …: the key of the run that a later request of it belongs to.
fn run_key(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((run, number)) if !run.is_empty() && number.parse::<u32>().is_ok_and(|number| number >= 2) => run,
        _ => key,
    }
}

/// Whether an undo of this forward was asked for, by any of the keys it goes by.
pub(crate) fn is_undone(db: &Connection, kind: Kind, key: Option<&str>, told: Option<&str>) -> rusqlite::Result<bool> {
    db.prepare_cached("select 1 from tombstone where kind = ?1 and forward_key in (?2, ?3, ?4)")?.exists(params![
        kind.as_str(),
        key,
        key.map(run_key),
        told
    ])
}

/// Records that something was done; the number names it from now on.
pub(crate) fn put(scene: &Scene<'_>, kind: Kind, detail: &Value) -> rusqlite::Result<i64> {
    let key = scene.arrival.key.as_deref();
    scene
        .db
        .prepare_cached(
            "insert into effect (kind, key, forward_key, order_key, detail, done_ms) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert(params![
            kind.as_str(),
            key,
            scene.forward_key_told().or(key.map(run_key)),
            scene.arrival.order,
            detail.to_string(),
            scene.now_ms
        ])
}

/// Undoes what the forward named by the request did, if it did anything.
pub(crate) fn undo(scene: &Scene<'_>, kind: Kind) -> Result<Answer, Refusal> {
    let body = scene.body::<Value>()?;
    let thing = body.get(kind.named().0).and_then(Value::as_str);
    let forward = scene.forward_key_told().or(scene.arrival.forward_key.as_deref());
    if let Some(key) = forward {
        name("forwardKey", key)?;
    }
    let effects = match (forward, thing) {
        (Some(key), _) => by_forward_key(scene.db, kind, key)?,
        (None, Some(thing)) => by_name(scene.db, kind, thing)?,
        (None, None) => return refuse(400, "BAD_REQUEST", format!("forwardKey or {} is needed", kind.named().0)),
    };
    let ran = !effects.is_empty();
    let owner = effects.iter().find_map(|effect| effect.order.as_deref());
    // An undo by name leaves a tombstone too, if the forward had a key.
    let forward_keys = forward.into_iter().chain(effects.iter().filter_map(|effect| effect.forward_key.as_deref()));
    for forward_key in forward_keys {
        scene
            .db
            .prepare_cached(
                "insert into tombstone (kind, forward_key, order_key, undo_key, made_ms, ran) \
                 values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
            )?
            .execute(params![
                kind.as_str(),
                forward_key,
                scene.arrival.order.as_deref().or(owner),
                scene.arrival.key,
                scene.now_ms,
                ran
            ])?;
    }
    for effect in effects.iter().filter(|effect| !effect.is_undone) {
        scene
            .db
            .prepare_cached("update effect set undone_ms = ?2, undo_key = ?3 where id = ?1 and undone_ms is null")?
            .execute(params![effect.id, scene.now_ms, scene.arrival.key])?;
        match kind {
            Kind::Stock => stock::give_back(scene.db, &effect.detail)?,
            Kind::Payment => gateway::take_back(scene.db, effect.id)?,
            Kind::PropertyPayment => property::take_back(scene.db, &effect.detail)?,
            // These are free again by the effect being undone.
            Kind::Locker | Kind::Shipment | Kind::Assignment | Kind::Coupon | Kind::Points | Kind::Order => {}
        }
    }
    Ok(Answer::new(200, json!({ kind.undone(): ran })))
}

/// An effect that an undo names.
struct Found {
    id: i64,
    forward_key: Option<String>,
    order: Option<String>,
    detail: Value,
    is_undone: bool,
}

const FOUND: &str = "select id, forward_key, order_key, detail, undone_ms is not null from effect";

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: row.get(0)?,
        forward_key: row.get(1)?,
        order: row.get(2)?,
        // The column is written as JSON by `put` alone.
        detail: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or(Value::Null),
        is_undone: row.get(4)?,
    })
}

fn by_forward_key(db: &Connection, kind: Kind, key: &str) -> rusqlite::Result<Vec<Found>> {
    let sql = format!("{FOUND} where kind = ?1 and (key = ?2 or forward_key = ?2) order by id desc");
    db.prepare_cached(&sql)?.query_map(params![kind.as_str(), key], found)?.collect()
}

fn by_name(db: &Connection, kind: Kind, name: &str) -> rusqlite::Result<Vec<Found>> {
    let sql = format!("{FOUND} where kind = ?1 and id = ?2");
    let row = db.prepare_cached(&sql)?.query_row(params![kind.as_str(), kind.id_of(name)], found).optional()?;
    Ok(row.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_requests_of_a_run_belong_to_its_key() {
        for (key, run) in [
            ("k", "k"),
            ("k.2", "k"),
            ("k.17", "k"),
            ("k.1", "k.1"), // The first request of a run has no number.
            ("k.two", "k.two"),
            ("a.b.3", "a.b"),
            (".2", ".2"),
        ] {
            assert_eq!(run_key(key), run, "{key}");
        }
    }
}
