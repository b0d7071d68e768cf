//! Property-fee accounts. Every account exists and starts at zero, except those that begin with `BAD`.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};
use crate::gateway::AMOUNT_CENTS_MAX;

#[derive(Deserialize)]
struct Fee {
    account: String,
    amount_cents: i64,
}

pub(crate) fn show(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let account = scene.param("id");
    exists(account)?;
    let balance_cents = scene
        .db
        .prepare_cached("select balance_cents from account where id = ?1")?
        .query_row([account], |row| row.get::<_, i64>(0))
        .optional()?
        .unwrap_or(0);
    Ok(Answer::new(200, json!({ "account": account, "status": "ACTIVE", "balance_cents": balance_cents })))
}

pub(crate) fn pay(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Fee { account, amount_cents } = scene.body()?;
    exists(&account)?;
    if !(1..=AMOUNT_CENTS_MAX).contains(&amount_cents) {
        return refuse(400, "BAD_REQUEST", format!("amount_cents must be between 1 and {AMOUNT_CENTS_MAX}"));
    }
    let balance_cents = add(scene.db, &account, amount_cents)?;
    let detail = json!({ "account": account, "amount_cents": amount_cents });
    let id = effect::put(scene, Kind::PropertyPayment, &detail)?;
    let payment = Kind::PropertyPayment.name_of(id);
    Ok(Answer::new(
        201,
        json!({ "payment": payment, "account": account, "amount_cents": amount_cents, "balance_cents": balance_cents }),
    ))
}

/// Takes an undone payment out of its account again.
pub(crate) fn take_back(db: &Connection, fee: &Value) -> rusqlite::Result<()> {
    add(db, fee["account"].as_str().unwrap_or(""), -fee["amount_cents"].as_i64().unwrap_or(0)).map(drop)
}

fn exists(account: &str) -> Result<(), Refusal> {
    name("account", account)?;
    if account.starts_with("BAD") {
        return refuse(404, "NO_ACCOUNT", format!("no account {account}"));
    }
    Ok(())
}

fn add(db: &Connection, account: &str, cents: i64) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "insert into account (id, balance_cents) values (?1, ?2) \
         on conflict do update set balance_cents = balance_cents + excluded.balance_cents returning balance_cents",
    )?
    .query_row(params![account, cents], |row| row.get(0))
}
