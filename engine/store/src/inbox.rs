//! What comes from outside for instances: commands, and messages on their way to whoever waits.
//!
//! A message stands in the inbox until an append names it as taken; a subscription stands until an
//! append leaves it out. Both sides look for the other inside their own transaction, and
//! transactions come one after the other, so they never miss each other.
//!
//! Invariant: of each message that somebody waits for, at least one who waits has an owner or is
//! wanted at once.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};
use stepwell_core::machine::Command;
use stepwell_runtime::journal::{CommandKept, Inbound, InboxId, InboxItem, Message, Posted, Unavailable};

use crate::Store;
use crate::administration::audit;
use crate::rows::{id, id_bytes, integer, json as read_json, shared, text};
use crate::tx::Tx;

/// Items handed out at once; the rest comes when these are taken.
const ITEMS_MAX: u32 = 100;
/// Instances named to whoever posts a message.
const AWAITING_MAX: u32 = 100;
/// Messages that wait for takers of one (message, key), and commands that wait in one instance.
const KEPT_MAX: i64 = 1000;
/// The same (message, id) is known for at least that long.
const SEEN_MS: u64 = 24 * 60 * 60 * 1000;
/// Rows forgotten in one transaction, per table: small, so that nobody waits long behind it.
const SWEPT_MAX: u32 = 500;

/// Are these items still there for the instance to take?
pub(crate) fn still_there(tx: &Tx<'_>, instance: Option<i64>, taken: &[InboxId]) -> rusqlite::Result<bool> {
    for n in taken {
        let there = tx
            .prepare("select 1 from inbox where n = ?1 and (instance is null or instance = ?2)")?
            .exists((n, instance))?;
        if !there {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn take_out(tx: &Tx<'_>, taken: &[InboxId]) -> rusqlite::Result<()> {
    for n in taken {
        tx.execute("delete from inbox where n = ?1", [n])?;
    }
    Ok(())
}

/// What waits for an instance with these subscriptions, oldest first. A new instance (`None`) has no commands.
pub(crate) fn waiting(
    connection: &Connection,
    instance: Option<i64>,
    subscriptions: &[(Arc<str>, String)],
    now_ms: u64,
) -> rusqlite::Result<Vec<InboxItem>> {
    let mut items = Vec::new();
    if let Some(instance) = instance {
        let mut commands =
            connection.prepare_cached("select n, body, sent_by from inbox where instance = ?1 order by n limit ?2")?;
        for item in commands.query_map((instance, ITEMS_MAX), |row| {
            let command = read_json(row, 1)?;
            Ok(InboxItem { id: row.get(0)?, what: Inbound::Command { command, by: row.get(2)? } })
        })? {
            items.push(item?);
        }
    }
    for (at, (message, key)) in subscriptions.iter().enumerate() {
        if subscriptions[..at].contains(&(message.clone(), key.clone())) {
            continue; // Two tokens wait for the same.
        }
        let mut messages = connection.prepare_cached(
            "select n, id, body from inbox where message = ?1 and key = ?2 and expires_ms > ?3 order by n limit ?4",
        )?;
        for item in messages.query_map((message, key, integer(now_ms), ITEMS_MAX), |row| {
            let payload: Value = read_json(row, 2)?;
            Ok(InboxItem {
                id: row.get(0)?,
                what: Inbound::Message {
                    name: message.clone(),
                    key: key.clone(),
                    id: row.get(1)?,
                    payload: shared(payload),
                },
            })
        })? {
            items.push(item?);
        }
    }
    items.sort_by_key(|item| item.id);
    items.truncate(ITEMS_MAX as usize);
    Ok(items)
}

/// Makes these the instance's subscriptions, and no others.
pub(crate) fn subscribe(
    tx: &Tx<'_>,
    instance: i64,
    is_new: bool,
    wanted: &[(Arc<str>, String)],
) -> rusqlite::Result<()> {
    let had = if is_new { Vec::new() } else { subscriptions(tx.connection(), instance)? };
    for (message, key) in wanted.iter().filter(|one| !had.contains(one)) {
        tx.execute(
            "insert into subscription (message, key, instance) values (?1, ?2, ?3) on conflict do nothing",
            (message, key, instance),
        )?;
    }
    for (message, key) in had.iter().filter(|one| !wanted.contains(one)) {
        tx.execute(
            "delete from subscription where message = ?1 and key = ?2 and instance = ?3",
            (message, key, instance),
        )?;
        pass_on(tx, message, key)?;
    }
    Ok(())
}

/// What an instance waits for.
pub(crate) fn subscriptions(connection: &Connection, instance: i64) -> rusqlite::Result<Vec<(Arc<str>, String)>> {
    connection
        .prepare_cached("select message, key from subscription where instance = ?1")?
        .query_map([instance], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// One who was told of a message took another and waits no more: somebody else who waits is wanted.
fn pass_on(tx: &Tx<'_>, message: &str, key: &str) -> rusqlite::Result<()> {
    let left = tx.prepare("select 1 from inbox where message = ?1 and key = ?2")?.exists((message, key))?;
    if left {
        wake_one(tx, message, key)?;
    }
    Ok(())
}

/// Names those who wait for a message, parked ones first, and makes the first of these wanted at once.
fn wake_one(tx: &Tx<'_>, message: &str, key: &str) -> rusqlite::Result<Vec<Arc<str>>> {
    let mut awaiting = Vec::new();
    let mut statement = tx.prepare(
        "select i.n, i.owned, i.id from subscription as s join instance as i on i.n = s.instance
         where s.message = ?1 and s.key = ?2
         order by i.owned, coalesce(i.wake_ms, 1) = 0, s.instance limit ?3",
    )?;
    let mut rows = statement.query((message, key, AWAITING_MAX))?;
    let mut first_parked: Option<i64> = None;
    while let Some(row) = rows.next()? {
        if awaiting.is_empty() && !row.get::<_, bool>(1)? {
            first_parked = Some(row.get(0)?);
        }
        awaiting.push(id(row, 2)?);
    }
    if let Some(instance) = first_parked {
        tx.execute("update instance set wake_ms = 0 where n = ?1 and owned = 0", [instance])?;
    }
    Ok(awaiting)
}

/// Keeps a message, unless it was posted before.
fn keep(tx: &mut Tx<'_>, message: &Message, payload: &str) -> rusqlite::Result<Result<Posted, Unavailable>> {
    let Message { name, key, id, at_ms, ttl_ms, by, payload: _ } = message;
    if tx.prepare("select 1 from seen where message = ?1 and id = ?2")?.exists((name, id))? {
        return Ok(Ok(Posted::Duplicate));
    }
    let kept: i64 = tx
        .prepare("select count(*) from inbox where message = ?1 and key = ?2")?
        .query_row((name, key), |row| row.get(0))?;
    if kept >= KEPT_MAX {
        return Ok(Err(Unavailable(format!("{KEPT_MAX} messages {name:?} wait for takers of {key:?}"))));
    }
    let seen_until_ms = at_ms.saturating_add(SEEN_MS.max(*ttl_ms));
    tx.execute("insert into seen (message, id, expires_ms) values (?1, ?2, ?3)", (name, id, integer(seen_until_ms)))?;
    let n = tx.next();
    tx.execute(
        "insert into inbox (n, message, key, id, body, sent_by, at_ms, expires_ms)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (n, name, key, id, payload, by, integer(*at_ms), integer(at_ms.saturating_add(*ttl_ms))),
    )?;
    audit(tx, by, *at_ms, "message.post", name, &json!({ "key": key, "id": id }))?;
    let awaiting = wake_one(tx, name, key)?;
    Ok(Ok(if awaiting.is_empty() { Posted::Buffered } else { Posted::Awaited(awaiting) }))
}

/// What was forgotten; a full batch of anything means there may be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    pub rows: usize,
    pub more: bool,
}

impl Store {
    pub(crate) async fn inbox(&self, instance: &str) -> Result<Vec<InboxItem>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Vec::new()) };
        let now_ms = self.told();
        self.read(move |connection| {
            let n: Option<i64> = connection
                .prepare_cached("select n from instance where id = ?1")?
                .query_row([bytes], |row| row.get(0))
                .optional()?;
            let Some(n) = n else { return Ok(Vec::new()) };
            waiting(connection, Some(n), &subscriptions(connection, n)?, now_ms)
        })
        .await
    }

    pub(crate) async fn post(&self, message: Message) -> Result<Posted, Unavailable> {
        self.tell(message.at_ms);
        let payload = text(&*message.payload)?;
        self.write(move |tx| keep(tx, &message, &payload)).await?
    }

    pub(crate) async fn command(
        &self,
        instance: &str,
        command: Command,
        by: &str,
        at_ms: u64,
    ) -> Result<CommandKept, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(CommandKept::Unknown) };
        self.tell(at_ms);
        let (target, by) = (instance.to_owned(), by.to_owned());
        let body = text(&command)?;
        let detail = serde_json::to_value(&command).unwrap_or_default();
        let action = format!("instance.{}", detail.get("command").and_then(Value::as_str).unwrap_or("command"));
        self.write(move |tx| {
            let found: Option<(i64, u8)> = tx
                .prepare("select n, state from instance where id = ?1")?
                .query_row([bytes], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((instance, state)) = found else { return Ok(Ok(CommandKept::Unknown)) };
            if state > 4 {
                return Ok(Ok(CommandKept::Ended));
            }
            let kept: i64 = tx
                .prepare("select count(*) from inbox where instance = ?1")?
                .query_row([instance], |row| row.get(0))?;
            if kept >= KEPT_MAX {
                return Ok(Err(Unavailable(format!("{KEPT_MAX} commands wait for instance {target}"))));
            }
            let n = tx.next();
            tx.execute(
                "insert into inbox (n, instance, body, sent_by, at_ms) values (?1, ?2, ?3, ?4, ?5)",
                (n, instance, &body, &by, integer(at_ms)),
            )?;
            audit(tx, &by, at_ms, &action, &target, &detail)?;
            tx.execute("update instance set wake_ms = 0 where n = ?1 and owned = 0", [instance])?;
            Ok(Ok(CommandKept::Kept))
        })
        .await?
    }

    /// Forgets messages that nobody took in time, and dedupe rows that are no longer promised, a
    /// few hundred at once. To be called every now and then, and again while there is more.
    pub async fn sweep(&self, now_ms: u64) -> Result<Swept, Unavailable> {
        self.tell(now_ms);
        self.write(move |tx| {
            let now = integer(now_ms);
            let swept = [
                tx.execute(
                    "delete from inbox where n in
                     (select n from inbox where expires_ms is not null and expires_ms <= ?1 limit ?2)",
                    (now, SWEPT_MAX),
                )?,
                tx.execute(
                    "delete from seen where (message, id) in
                     (select message, id from seen where expires_ms <= ?1 limit ?2)",
                    (now, SWEPT_MAX),
                )?,
                tx.execute(
                    "delete from idempotency where (flow, key) in
                     (select flow, key from idempotency where expires_ms <= ?1 limit ?2)",
                    (now, SWEPT_MAX),
                )?,
            ];
            Ok(Swept { rows: swept.iter().sum(), more: swept.iter().any(|&rows| rows >= SWEPT_MAX as usize) })
        })
        .await
    }
}
