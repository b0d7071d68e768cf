//! What comes from outside for instances: commands, and messages on their way to whoever waits.
//!
//! A message stands in the inbox until an append names it as taken; a subscription stands until an
//! append leaves it out. Both sides look for the other inside their own transaction. In a file,
//! transactions come one after the other; on a server both first lock the row of their
//! (message, key) in `meeting`, so whoever comes second sees the first. So they never miss each other.
//!
//! Invariants:
//! - Of each message that somebody waits for, at least one who waits is wanted at once, or has an
//!   owner that will look: on a server, `wake_ms = 0` of an owned instance tells its owner to.
//! - Whoever puts something in an instance's inbox locks the instance's row; so does every append.
//!
//! Not here: how messages are kept (`post`); what is forgotten, and when (`sweep`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;
use stepwell_core::machine::Command;
use stepwell_runtime::journal::{CommandKept, Inbound, InboxId, InboxItem, Unavailable};

use crate::administration::audit;
use crate::rows::{id_bytes, integer, json as read_json, shared, text};
use crate::sql::Kind::{Bytes, Int, Text};
use crate::sql::{Db, Each, Error, Result, Value, values};
use crate::tx::Tx;
use crate::{Store, post};

/// Items handed out at once; the rest comes when these are taken.
const ITEMS_MAX: usize = 100;
/// Commands that wait in one instance.
const KEPT_MAX: i64 = 1000;

/// A message's name and a key.
pub(crate) type Subscription = (Arc<str>, String);

/// Somebody whose inbox is looked at.
pub(crate) struct Awaits<'a> {
    /// `None`: a new one.
    pub(crate) instance: Option<i64>,
    pub(crate) subscriptions: &'a [Subscription],
    pub(crate) commands: bool,
    pub(crate) now_ms: u64,
}

static STILL_THERE: Each<2> = Each::new(
    [Int, Int],
    "select {at} from {each,} inbox as x where x.n = ?1 and (x.instance is null or x.instance = ?2) {lock x}",
);
static TAKE_OUT: Each<1> = Each::new([Int], "delete from inbox {using each} where n = ?1");
static COMMANDS: Each<1> = Each::new(
    [Int],
    "select {at}, x.n, x.body, x.sent_by from {each,} {lateral}
     (select n, body, sent_by from inbox where instance = ?1 order by n limit 100) as x",
);
static MESSAGES: Each<3> = Each::new(
    [Text, Text, Int],
    "select {at}, x.n, x.id, x.body from {each,} {lateral}
     (select n, id, body from inbox where message = ?1 and key = ?2 and expires_ms > ?3 order by n limit 100) as x",
);
static SUBSCRIPTIONS_BY_ID: Each<1> = Each::new(
    [Bytes],
    "select {at}, s.message, s.key from {each,} instance as i join subscription as s on s.instance = i.n
     where i.id = ?1",
);
static SUBSCRIPTIONS: Each<1> =
    Each::new([Int], "select {at}, s.message, s.key from {each,} subscription as s where s.instance = ?1");
static SUBSCRIBE: Each<3> = Each::new(
    [Text, Text, Int],
    "insert into subscription (message, key, instance) select ?1, ?2, ?3 {from each} where true on conflict do nothing",
);
static UNSUBSCRIBE: Each<3> = Each::new(
    [Text, Text, Int],
    "delete from subscription {using each} where message = ?1 and key = ?2 and instance = ?3",
);
static LEFT: Each<2> = Each::new(
    [Text, Text],
    "select {at} from {each,} {lateral} (select 1 from inbox where message = ?1 and key = ?2 limit 1) as x",
);

/// Each subscription once: two tokens may wait for the same.
pub(crate) fn once_each(subscriptions: Vec<Subscription>) -> Vec<Subscription> {
    let mut once: Vec<Subscription> = Vec::with_capacity(subscriptions.len());
    for one in subscriptions {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// For each taker (`None`: a new instance) and what it wants: is some of it gone? Holds what is there.
pub(crate) fn gone<'a>(
    tx: &mut Tx<'_>,
    takers: impl Iterator<Item = (Option<i64>, &'a [InboxId])>,
) -> Result<Vec<bool>> {
    let (mut wanted, mut owners, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (instance, taken)) in takers.enumerate() {
        wanted.push(taken.len());
        owners.extend(taken.iter().map(|_| at));
        rows.extend(taken.iter().map(|&n| values![n, instance]));
    }
    for at in tx.db.query_each(&STILL_THERE, &rows, |at, _| Ok(at))? {
        wanted[owners[at]] -= 1;
    }
    Ok(wanted.into_iter().map(|missing| missing > 0).collect())
}

pub(crate) fn take_out<'a>(tx: &mut Tx<'_>, taken: impl Iterator<Item = &'a InboxId>) -> Result<()> {
    let rows: Vec<_> = taken.map(|&n| values![n]).collect();
    // Fewer: two of this batch want the same.
    if tx.db.execute_each(&TAKE_OUT, &rows)? == rows.len() { Ok(()) } else { Err(Error::Raced) }
}

/// What waits for each, oldest first.
pub(crate) fn waiting(db: &mut Db, all: &[Awaits<'_>]) -> Result<Vec<Vec<InboxItem>>> {
    let mut items: Vec<Vec<InboxItem>> = all.iter().map(|_| Vec::new()).collect();
    let (mut at_of, mut rows) = (Vec::new(), Vec::new());
    for (at, one) in all.iter().enumerate().filter(|(_, one)| one.commands) {
        if let Some(instance) = one.instance {
            at_of.push(at);
            rows.push(values![instance]);
        }
    }
    for (at, item) in db.query_each(&COMMANDS, &rows, |at, row| {
        let (command, by) = (read_json(row, 2)?, row.get(3)?);
        Ok((at, InboxItem { id: row.get(1)?, what: Inbound::Command { command, by } }))
    })? {
        items[at_of[at]].push(item);
    }
    let (mut wanted, mut rows): (Vec<(usize, &Subscription)>, Vec<[Value<'_>; 3]>) = (Vec::new(), Vec::new());
    for (at, one) in all.iter().enumerate() {
        for subscription in one.subscriptions {
            wanted.push((at, subscription));
            rows.push(values![&subscription.0, &subscription.1, integer(one.now_ms)]);
        }
    }
    for (at, item) in db.query_each(&MESSAGES, &rows, |at, row| {
        let (at, (name, key)) = wanted[at];
        let payload: Json = read_json(row, 3)?;
        let what = Inbound::Message { name: name.clone(), key: key.clone(), id: row.get(2)?, payload: shared(payload) };
        Ok((at, InboxItem { id: row.get(1)?, what }))
    })? {
        items[at].push(item);
    }
    for items in &mut items {
        items.sort_by_key(|item| item.id);
        items.truncate(ITEMS_MAX);
    }
    Ok(items)
}

/// What instances wait for, by their ids: the place in `ids`, and one subscription.
pub(crate) fn subscriptions_by_id(db: &mut Db, ids: &[[Value<'_>; 1]]) -> Result<Vec<(usize, Subscription)>> {
    db.query_each(&SUBSCRIPTIONS_BY_ID, ids, |at, row| Ok((at, (row.get(1)?, row.get(2)?))))
}

/// What instances wait for.
pub(crate) fn subscriptions(db: &mut Db, instances: &[i64]) -> Result<Vec<Vec<Subscription>>> {
    let rows: Vec<_> = instances.iter().map(|&n| values![n]).collect();
    let mut all: Vec<Vec<Subscription>> = instances.iter().map(|_| Vec::new()).collect();
    for (at, one) in db.query_each(&SUBSCRIPTIONS, &rows, |at, row| Ok((at, (row.get(1)?, row.get(2)?))))? {
        all[at].push(one);
    }
    Ok(all)
}

/// Makes instances wait for what they want and for nothing else: (instance, had, wanted).
pub(crate) fn subscribe(tx: &mut Tx<'_>, moves: &[(i64, &[Subscription], &[Subscription])]) -> Result<()> {
    let (mut begun, mut ceased) = (Vec::new(), Vec::new());
    for &(instance, had, wanted) in moves {
        let row = |(message, key): &'_ Subscription| (message.clone(), key.clone(), instance);
        begun.extend(wanted.iter().filter(|one| !had.contains(one)).map(row));
        ceased.extend(had.iter().filter(|one| !wanted.contains(one)).map(row));
    }
    let rows = |of: &'_ [(Arc<str>, String, i64)]| -> Vec<[Value<'static>; 3]> {
        of.iter().map(|(message, key, instance)| values![message.to_string(), key.clone(), *instance]).collect()
    };
    tx.db.execute_each(&SUBSCRIBE, &rows(&begun))?;
    tx.db.execute_each(&UNSUBSCRIBE, &rows(&ceased))?;
    // One who was told of a message took another and waits no more: somebody else who waits is wanted.
    let pairs: Vec<_> = ceased.iter().map(|(message, key, _)| values![message, key]).collect();
    let left = tx.db.query_each(&LEFT, &pairs, |at, _| Ok(at))?;
    let left: BTreeSet<(&str, &str)> = left.into_iter().map(|at| (&*ceased[at].0, &*ceased[at].1)).collect();
    let left: Vec<_> = left.into_iter().collect();
    let awaiting = post::awaiting(tx, &left)?;
    let abandoned: Vec<_> = left.iter().filter(|pair| !awaiting.contains_key(*pair)).copied().collect();
    post::drop_transient(tx, &abandoned)?;
    post::want(tx, awaiting.values().filter_map(|waiting| waiting.first()))
}

/// A command in the form of columns.
struct Order {
    instance: String,
    id: [u8; 16],
    body: String,
    by: String,
    at_ms: u64,
    /// For the audit.
    action: String,
    detail: Json,
}

impl Order {
    fn run(&self, tx: &mut Tx<'_>) -> Result<CommandKept> {
        let found: Option<(i64, u8, bool)> = tx.db.first(
            "select i.n, i.state, i.owner <> 0 from instance as i where i.id = ?1 {lock i}",
            &values![&self.id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let Some((instance, state, owned)) = found else { return Ok(CommandKept::Unknown) };
        if state > 4 {
            return Ok(CommandKept::Ended);
        }
        let kept: i64 =
            tx.db.only("select count(*) from inbox where instance = ?1", &values![instance], |row| row.get(0))?;
        if kept >= KEPT_MAX {
            return Ok(CommandKept::Full);
        }
        let n = tx.next_id();
        tx.db.execute(
            "insert into inbox (n, instance, body, sent_by, at_ms) values (?1, ?2, ?3, ?4, ?5)",
            &values![n, instance, &self.body, &self.by, integer(self.at_ms)],
        )?;
        audit(tx, &self.by, self.at_ms, &self.action, &self.instance, &self.detail)?;
        post::want(tx, std::iter::once(&(instance, owned, self.instance.as_str().into())))?;
        Ok(CommandKept::Kept)
    }
}

impl Store {
    pub(crate) async fn inbox(&self, instance: &str) -> std::result::Result<Vec<InboxItem>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Vec::new()) };
        let now_ms = self.told();
        self.read(move |db| {
            let n: Option<i64> =
                db.first("select n from instance where id = ?1", &values![&bytes], |row| row.get(0))?;
            let Some(n) = n else { return Ok(Vec::new()) };
            let subscriptions = subscriptions(db, &[n])?.pop().unwrap_or_default();
            let it = Awaits { instance: Some(n), subscriptions: &subscriptions, commands: true, now_ms };
            Ok(waiting(db, &[it])?.pop().unwrap_or_default())
        })
        .await
    }

    pub(crate) async fn command(
        &self,
        instance: &str,
        command: Command,
        by: &str,
        at_ms: u64,
    ) -> std::result::Result<CommandKept, Unavailable> {
        let Some(id) = id_bytes(instance) else { return Ok(CommandKept::Unknown) };
        self.tell(at_ms);
        let body = text(&command)?;
        let mut detail = serde_json::to_value(&command).unwrap_or_default();
        let action = format!("instance.{}", detail.get("command").and_then(Json::as_str).unwrap_or("command"));
        // The journal has the answers of people and workers; the audit outlives it.
        for payload in ["output", "failure"] {
            detail.as_object_mut().map(|detail| detail.remove(payload));
        }
        let order = Order { instance: instance.to_owned(), id, body, by: by.to_owned(), at_ms, action, detail };
        self.write(move |tx| order.run(tx)).await
    }
}
