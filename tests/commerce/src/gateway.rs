//! The payment gateway: a payment begins as `PAYING` and is settled later, by hand or by itself.
//!
//! Settling a payment and putting its callback in the courier's queue is one transaction.
//!
//! Not here: sending callbacks (`courier`).

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::json;

use crate::courier;
use crate::door::{Answer, Refusal, Scene, name, refuse};
use crate::effect::{self, Kind};
use crate::faults::Rule;
use crate::settings::{AutoSettle, Settings, callback_target};

/// The largest payment.
pub(crate) const AMOUNT_CENTS_MAX: i64 = 1_000_000_000_000;

#[derive(Deserialize)]
struct Begin {
    order: Option<String>,
    amount_cents: i64,
    callback_url: Option<String>,
}

/// How a payment can be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Settlement {
    Paid,
    Failed,
}

impl Settlement {
    fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "PAID",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Deserialize)]
struct Settle {
    status: Settlement,
}

/// A payment as the courier needs it.
pub(crate) struct Payment {
    effect: i64,
    pub(crate) order: String,
    pub(crate) amount_cents: i64,
    pub(crate) status: String,
    pub(crate) callback_url: Option<String>,
}

impl Payment {
    const COLUMNS: &str = "effect, order_key, amount_cents, status, callback_url";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            effect: row.get(0)?,
            order: row.get(1)?,
            amount_cents: row.get(2)?,
            status: row.get(3)?,
            callback_url: row.get(4)?,
        })
    }

    pub(crate) fn name(&self) -> String {
        Kind::Payment.name_of(self.effect)
    }
}

pub(crate) fn begin(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Begin { order, amount_cents, callback_url } = scene.body()?;
    let Some(order) = order.or_else(|| scene.arrival.order.clone()) else {
        return refuse(400, "BAD_REQUEST", "order is needed");
    };
    name("order", &order)?;
    if !(0..=AMOUNT_CENTS_MAX).contains(&amount_cents) {
        return refuse(400, "BAD_REQUEST", format!("amount_cents must be between 0 and {AMOUNT_CENTS_MAX}"));
    }
    if let Some(Err(problem)) = callback_url.as_deref().map(callback_target) {
        return refuse(400, "BAD_REQUEST", problem);
    }
    let id = effect::put(scene, Kind::Payment, &json!({ "order": order, "amount_cents": amount_cents }))?;
    let settle_as = settles_as(scene.settings, &order);
    // A payment that settles at once does so here, in the transaction that begins it.
    let at_once = settle_as.filter(|_| scene.settings.settle_after_ms == 0);
    let later = if at_once.is_none() { settle_as } else { None };
    let after_ms = i64::try_from(scene.settings.settle_after_ms).unwrap_or(i64::MAX);
    scene
        .db
        .prepare_cached(
            "insert into payment (effect, order_key, amount_cents, status, callback_url, settle_due_ms, settle_as) \
             values (?1, ?2, ?3, 'PAYING', ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            order,
            amount_cents,
            callback_url,
            later.map(|_| scene.now_ms.saturating_add(after_ms)),
            later.map(Settlement::as_str)
        ])?;
    let payment = Payment { effect: id, order, amount_cents, status: "PAYING".into(), callback_url };
    // The reply says PAYING even if the payment is settled by now: the caller learns the end from the callback.
    let reply = json!({ "payment": payment.name(), "status": "PAYING", "order": payment.order });
    let inside = match at_once {
        Some(settlement) => {
            let inside = scene.callback_rule.callback_inside_reply;
            settle(scene.db, payment, settlement, scene.settings, scene.callback_rule, inside, scene.now_ms)?
        }
        None => Vec::new(),
    };
    Ok(Answer::new(201, reply).with_callbacks(inside))
}

pub(crate) fn query(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Some(key) = scene.query("key") else { return refuse(400, "BAD_REQUEST", "?key= is needed") };
    let sql = format!(
        "select {} from payment where effect in (select id from effect where kind = 'payment' and key = ?1) \
         order by effect desc limit 1",
        Payment::COLUMNS
    );
    match scene.db.prepare_cached(&sql)?.query_row([&key], Payment::from_row).optional()? {
        Some(payment) => Ok(Answer::new(200, shown(&payment))),
        None => refuse(404, "NO_PAYMENT", "no payment was begun under this key"),
    }
}

/// Settles the order's latest payment; asking again for the same sends its callback again, under the same event id.
pub(crate) fn settle_by_hand(scene: &Scene<'_>) -> Result<Answer, Refusal> {
    let Settle { status } = scene.body()?;
    let order = scene.param("order");
    let sql = format!("select {} from payment where order_key = ?1 order by effect desc limit 1", Payment::COLUMNS);
    let Some(payment) = scene.db.prepare_cached(&sql)?.query_row([order], Payment::from_row).optional()? else {
        return refuse(404, "NO_PAYMENT", format!("no payment of order {order}"));
    };
    if payment.status != "PAYING" && payment.status != status.as_str() {
        return refuse(409, "NOT_PAYING", format!("the payment of order {order} is {}", payment.status));
    }
    let reply = json!({ "payment": payment.name(), "status": status.as_str(), "order": order });
    let inside = scene.callback_rule.callback_inside_reply;
    let inside = settle(scene.db, payment, status, scene.settings, scene.callback_rule, inside, scene.now_ms)?;
    Ok(Answer::new(200, reply).with_callbacks(inside))
}

/// Settles payments whose time has come; returns when the next is due.
pub(crate) fn settle_due(
    db: &Connection,
    settings: &Settings,
    rule: &Rule,
    now_ms: i64,
) -> rusqlite::Result<Option<i64>> {
    /// Settlements in one transaction.
    const ROUND_MAX: u32 = 256;
    let sql = format!(
        "select {}, settle_as from payment where settle_due_ms <= ?1 order by settle_due_ms limit {ROUND_MAX}",
        Payment::COLUMNS
    );
    let due = db
        .prepare_cached(&sql)?
        .query_map([now_ms], |row| Ok((Payment::from_row(row)?, row.get::<_, String>(5)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (payment, settle_as) in due {
        let settlement = if settle_as == "PAID" { Settlement::Paid } else { Settlement::Failed };
        settle(db, payment, settlement, settings, rule, false, now_ms)?;
    }
    db.prepare_cached("select min(settle_due_ms) from payment where settle_due_ms is not null")?
        .query_row([], |row| row.get(0))
}

/// Takes an undone payment back: money that came in goes out again, an open payment is closed.
pub(crate) fn take_back(db: &Connection, effect: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "update payment set settle_due_ms = null, settle_as = null, \
         status = case status when 'PAYING' then 'CANCELLED' when 'PAID' then 'REFUNDED' else status end \
         where effect = ?1",
    )?
    .execute([effect])
    .map(drop)
}

fn settle(
    db: &Connection,
    payment: Payment,
    settlement: Settlement,
    settings: &Settings,
    rule: &Rule,
    inside: bool,
    now_ms: i64,
) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("update payment set status = ?2, settle_due_ms = null, settle_as = null where effect = ?1")?
        .execute(params![payment.effect, settlement.as_str()])?;
    let settled = Payment { status: settlement.as_str().into(), ..payment };
    courier::enqueue(db, &settled, settings, rule, inside, now_ms)
}

/// What becomes of the order's payment by itself; orders that begin with `UNPAID` are never paid that way.
fn settles_as(settings: &Settings, order: &str) -> Option<Settlement> {
    match settings.auto_settle {
        AutoSettle::None => None,
        AutoSettle::Paid if !order.starts_with("UNPAID") => Some(Settlement::Paid),
        AutoSettle::Paid | AutoSettle::Failed => Some(Settlement::Failed),
    }
}

fn shown(payment: &Payment) -> serde_json::Value {
    json!({
        "payment": payment.name(), "status": payment.status,
        "order": payment.order, "amount_cents": payment.amount_cents,
    })
}
