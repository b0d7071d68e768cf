//! Open tasks: people's, and those that workers fetch. An instance's own commits put them out and take them
//! back; between them, people claim and workers lock.
//!
//! Invariants:
//! - A task is open exactly as long as its token stands there, as of the instance's last commit.
//! - A lock or a claim changes nothing in the instance; an answer goes through its inbox like any command.
//! - Of two workers that fetch at once, one gets the task.
//!
//! Not here: what an answer must look like (`core`), who may give it (`server`).

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stepwell_core::machine::{self, fits_message};
use stepwell_runtime::journal::{TaskMoves, Unavailable};
use tokio::sync::futures::OwnedNotified;

use crate::administration::audit;
use crate::rows::{id, id_bytes, integer, json as read_json, natural, natural_or_null};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Db, Each, Result, Row, Value, values};
use crate::tx::Tx;
use crate::within::Within;
use crate::{Act, Store};

/// An open task as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTask {
    pub instance: Arc<str>,
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    pub token: u32,
    pub attempt: u32,
    pub visit: u32,
    pub node: String,
    /// The node's name in its flow.
    pub place: String,
    /// `None`: a person's.
    pub topic: Option<String>,
    pub input: Json,
    pub since_ms: u64,
    pub until_ms: Option<u64>,
    pub due_ms: Option<u64>,
    pub assignee: Option<String>,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub worker: Option<String>,
    pub locked_ms: Option<u64>,
    /// The idempotency key of a worker's task: the same however often it is fetched or tried. `None`: a person's, or
    /// put out by an engine that did not store it.
    pub key: Option<String>,
}

/// Which tasks; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// People's only, or workers' only.
    pub people: bool,
    pub instance: Option<String>,
    pub flow: Option<String>,
    pub assignee: Option<String>,
    pub topic: Option<String>,
    /// Of flows in these namespaces only.
    pub within: Within,
}

/// How long a worker's lock is to last from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Until(u64),
    /// Not shorter than it is.
    AtLeast(u64),
    /// Anybody may fetch the task.
    Over,
}

/// What became of a claim or a lock.
#[derive(Debug, Clone, PartialEq)]
pub enum Grasp {
    Held(Box<OpenTask>),
    /// It is somebody else's; theirs is the name.
    Taken(String),
    /// It is not open, or not in this attempt.
    Gone,
}

/// Longest name of a person or group.
const NAME_BYTES_MAX: usize = 200;

const COLUMNS: &str = "i.id, i.flow, i.version, i.business_key, t.token, t.attempt, t.visit, t.node, t.topic, t.input,
     t.since_ms, t.until_ms, t.due_ms, t.assignee, t.users, t.groups, t.worker, t.locked_ms, t.place, t.key";

static PUT_OUT: Each<15> = Each::new(
    [Int, Int, Int, Int, Text, Text, Text, Text, Int, Int, Int, Text, Text, Text, Text],
    "insert into task (instance, token, attempt, visit, node, place, topic, input, since_ms, until_ms, due_ms, assignee, users, groups, key)
     select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 {from each} where true
     on conflict (instance, token) do update set
         attempt = excluded.attempt, input = excluded.input, until_ms = excluded.until_ms,
         node = excluded.node, place = excluded.place, topic = excluded.topic, key = excluded.key,
         worker = case when task.attempt = excluded.attempt then task.worker end,
         locked_ms = case when task.attempt = excluded.attempt then task.locked_ms end",
);
static TAKE_BACK: Each<2> = Each::new([Int, Int], "delete from task {using each} where instance = ?1 and token = ?2");

/// Writes what a commit did to its instance's tasks.
pub(crate) fn write(tx: &mut Tx<'_>, moves: &[(i64, &TaskMoves)]) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut gone: Vec<[Value<'_>; 2]> = Vec::new();
    let mut open = Vec::new();
    for (n, moves) in moves {
        tx.work |= moves.open.iter().any(|task| task.topic.is_some());
        gone.extend(moves.gone.iter().map(|&token| values![*n, i64::from(token)]));
        open.extend(moves.open.iter().map(|task| (*n, task, Named::of(task))));
    }
    tx.db.execute_each(&TAKE_BACK, &gone)?;
    let rows: Vec<_> = open
        .iter()
        .map(|(n, task, named)| {
            values![
                *n,
                i64::from(task.token),
                i64::from(task.attempt),
                i64::from(task.visit),
                &*task.name,
                &*task.place,
                task.topic.as_ref(),
                task.input.to_string(),
                integer(task.since_ms),
                task.until_ms.map(integer),
                named.due_ms.map(integer),
                &named.assignee,
                &named.users,
                &named.groups,
                task.topic.as_ref().map(|_| &task.key),
            ]
        })
        .collect();
    tx.db.execute_each(&PUT_OUT, &rows)?;
    Ok(())
}

/// What a person's task says of people.
struct Named {
    assignee: Option<String>,
    users: String,
    groups: String,
    due_ms: Option<u64>,
}

impl Named {
    fn of(task: &machine::OpenTask) -> Self {
        let person = task.topic.is_none();
        // They come from expressions: what is no name of anybody is nobody.
        let name = |value: &Json| {
            let text = value.as_str()?;
            fits_message(text, NAME_BYTES_MAX).then(|| text.to_owned())
        };
        let list = |field: &str| {
            let all = task.input.get(field).filter(|_| person).and_then(Json::as_array);
            all.into_iter().flatten().filter_map(name).map(Json::from).collect::<Json>().to_string()
        };
        Self {
            assignee: task.input.get("assignee").filter(|_| person).and_then(name),
            users: list("users"),
            groups: list("groups"),
            due_ms: task.input.get("dueAt").filter(|_| person).and_then(Json::as_u64),
        }
    }
}

fn task(row: &Row<'_>) -> Result<OpenTask> {
    Ok(OpenTask {
        instance: id(row, 0)?,
        flow: row.get(1)?,
        version: row.get(2)?,
        business_key: row.get(3)?,
        token: row.get(4)?,
        attempt: row.get(5)?,
        visit: row.get(6)?,
        node: row.get(7)?,
        topic: row.get(8)?,
        input: read_json(row, 9)?,
        since_ms: natural(row, 10)?,
        until_ms: natural_or_null(row, 11)?,
        due_ms: natural_or_null(row, 12)?,
        assignee: row.get(13)?,
        users: read_json(row, 14)?,
        groups: read_json(row, 15)?,
        worker: row.get(16)?,
        locked_ms: natural_or_null(row, 17)?,
        place: row.get(18)?,
        key: row.get(19)?,
    })
}

/// One task, held until the commit.
fn one(tx: &mut Tx<'_>, instance: &[u8; 16], token: u32) -> Result<Option<(i64, OpenTask)>> {
    let sql = format!(
        "select {COLUMNS}, t.instance from task as t join instance as i on i.n = t.instance
         where i.id = ?1 and t.token = ?2 {{lock t}}"
    );
    tx.db.first(&sql, &values![instance, i64::from(token)], |row| Ok((row.get(20)?, task(row)?)))
}

static OLDEST: Each<3> = Each::new(
    [Text, Int, Int],
    "select {at}, x.since_ms from {each,} {lateral}
     (select t.since_ms from task as t join instance as i on i.n = t.instance
      where t.topic = ?1 and (t.locked_ms is null or t.locked_ms <= ?2) and i.state < 3
      order by t.since_ms limit ?3) as x",
);

/// Since when the youngest of the `limit` oldest tasks of these topics is open that no worker has; of all there are, if
/// there are fewer.
fn oldest(db: &mut Db, topics: &[String], within: &Within, now_ms: u64, limit: u32) -> Result<Option<i64>> {
    let rows: Vec<_> = topics.iter().map(|topic| values![topic, integer(now_ms), limit]).collect();
    let mut since: Vec<i64> = if *within == Within::Everything {
        db.query_each(&OLDEST, &rows, |_, row| row.get(1))?
    } else {
        let sql = format!(
            "select t.since_ms from task as t join instance as i on i.n = t.instance
             where t.topic = ?1 and (t.locked_ms is null or t.locked_ms <= ?2) and i.state < 3 and {}
             order by t.since_ms limit ?3",
            within.condition("i.flow")
        );
        let mut all = Vec::new();
        for row in &rows {
            all.append(&mut db.query(&sql, row, |row| row.get(0))?);
        }
        all
    };
    since.sort_unstable();
    since.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(since.pop())
}

impl Store {
    /// The oldest first.
    pub async fn tasks(&self, filter: TaskFilter, limit: u32) -> std::result::Result<Vec<OpenTask>, Unavailable> {
        let instance = match filter.instance.as_deref().map(id_bytes) {
            Some(None) => return Ok(Vec::new()),
            known => known.flatten(),
        };
        self.read(move |db| {
            let mut values: Vec<Value<'_>> = vec![limit.into()];
            let mut sql = format!("select {COLUMNS} from task as t join instance as i on i.n = t.instance where ");
            sql.push_str(if filter.people { "t.topic is null" } else { "t.topic is not null" });
            if let Some(instance) = &instance {
                values.push(instance.into());
                let _ = write!(sql, " and i.id = ?{}", values.len()); // Writing to a string cannot fail.
            }
            for (column, wanted) in
                [("i.flow", &filter.flow), ("t.assignee", &filter.assignee), ("t.topic", &filter.topic)]
            {
                if let Some(wanted) = wanted {
                    values.push(wanted.into());
                    let _ = write!(sql, " and {column} = ?{}", values.len());
                }
            }
            let _ = write!(sql, " and {}", filter.within.condition("i.flow"));
            sql.push_str(" order by t.since_ms, t.instance, t.token limit ?1");
            db.query(&sql, &values, task)
        })
        .await
    }

    pub async fn task(&self, instance: &str, token: u32) -> std::result::Result<Option<OpenTask>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(None) };
        self.read(move |db| {
            let sql = format!(
                "select {COLUMNS} from task as t join instance as i on i.n = t.instance where i.id = ?1 and t.token = ?2"
            );
            db.first(&sql, &values![&bytes, i64::from(token)], task)
        })
        .await
    }

    /// Makes a person's task `who`'s, or nobody's. With `if_free` only one that is nobody's, or theirs.
    pub async fn assign(
        &self,
        instance: &str,
        token: u32,
        who: Option<String>,
        if_free: bool,
        act: Act,
    ) -> std::result::Result<Grasp, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Grasp::Gone) };
        let instance = instance.to_owned();
        self.write(move |tx| {
            let Some((n, mut found)) = one(tx, &bytes, token)?.filter(|(_, task)| task.topic.is_none()) else {
                return Ok(Grasp::Gone);
            };
            if let Some(other) = found.assignee.clone().filter(|other| if_free && Some(other) != who.as_ref()) {
                return Ok(Grasp::Taken(other));
            }
            tx.db.execute(
                "update task set assignee = ?3 where instance = ?1 and token = ?2",
                &values![n, i64::from(token), &who],
            )?;
            let detail = json!({ "token": token, "node": found.node, "assignee": who });
            audit(tx, &act.by, act.at_ms, "task.assign", &instance, &detail)?;
            found.assignee.clone_from(&who);
            Ok(Grasp::Held(Box::new(found)))
        })
        .await
    }

    /// Whether a worker could fetch something of these topics: a look, beside the writer.
    pub async fn has_work(
        &self,
        topics: Vec<String>,
        within: Within,
        now_ms: u64,
    ) -> std::result::Result<bool, Unavailable> {
        self.read(move |db| Ok(oldest(db, &topics, &within, now_ms, 1)?.is_some())).await
    }

    /// Completes when tasks for workers were put out here, or given back, since it was made. Of what other engines put
    /// out it says nothing.
    pub fn work(&self) -> OwnedNotified {
        self.inner.work.clone().notified_owned()
    }

    /// Gives a worker tasks of these topics for its own until `locked_ms`, the oldest first. Those that it has
    /// already and whose answer it never got are among them once their lock is over, as for everybody else.
    pub async fn fetch(
        &self,
        topics: Vec<String>,
        within: Within,
        worker: String,
        locked_ms: u64,
        now_ms: u64,
        limit: u32,
    ) -> std::result::Result<Vec<OpenTask>, Unavailable> {
        self.write(move |tx| {
            // Those up to there are enough, whatever their topics: nothing younger is read.
            let Some(until_ms) = oldest(tx.db, &topics, &within, now_ms, limit)? else { return Ok(Vec::new()) };
            let mut values: Vec<Value<'_>> = vec![integer(now_ms).into(), until_ms.into(), limit.into()];
            let mut named = String::new();
            for topic in &topics {
                values.push(topic.into());
                let comma = if named.is_empty() { "" } else { ", " };
                let _ = write!(named, "{comma}?{}", values.len()); // Writing to a string cannot fail.
            }
            let sql = format!(
                "select {COLUMNS}, t.instance from task as t join instance as i on i.n = t.instance
                 where t.topic in ({named}) and t.since_ms <= ?2 and (t.locked_ms is null or t.locked_ms <= ?1)
                   and i.state < 3 and {}
                 order by t.since_ms, t.instance, t.token limit ?3 {{lock t, leave}}",
                within.condition("i.flow")
            );
            let mut fetched: Vec<(i64, OpenTask)> = tx.db.query(&sql, &values, |row| Ok((row.get(20)?, task(row)?)))?;
            for (n, task) in &mut fetched {
                tx.db.execute(
                    "update task set worker = ?3, locked_ms = ?4 where instance = ?1 and token = ?2",
                    &values![*n, i64::from(task.token), &worker, integer(locked_ms)],
                )?;
                (task.worker, task.locked_ms) = (Some(worker.clone()), Some(locked_ms));
            }
            Ok(fetched.into_iter().map(|(_, task)| task).collect())
        })
        .await
    }

    /// Makes a worker's lock last longer, or ends it. A lock that is over can be had again as long as
    /// nobody else has fetched the task.
    pub async fn extend(
        &self,
        instance: &str,
        token: u32,
        attempt: u32,
        worker: String,
        lock: Lock,
    ) -> std::result::Result<Grasp, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Grasp::Gone) };
        self.write(move |tx| {
            let held = one(tx, &bytes, token)?.filter(|(_, task)| task.topic.is_some() && task.attempt == attempt);
            let Some((n, mut found)) = held else { return Ok(Grasp::Gone) };
            match &found.worker {
                Some(holder) if *holder == worker => {}
                holder => return Ok(Grasp::Taken(holder.clone().unwrap_or_default())),
            }
            let locked_ms = match lock {
                Lock::Until(until_ms) => Some(until_ms),
                Lock::AtLeast(until_ms) => found.locked_ms.max(Some(until_ms)),
                Lock::Over => None,
            };
            tx.work |= locked_ms.is_none();
            let holder = locked_ms.map(|_| worker.clone());
            tx.db.execute(
                "update task set worker = ?3, locked_ms = ?4 where instance = ?1 and token = ?2",
                &values![n, i64::from(token), &holder, locked_ms.map(integer)],
            )?;
            found.locked_ms = locked_ms;
            Ok(Grasp::Held(Box::new(found)))
        })
        .await
    }
}
