//! Lists and searches of instances, one instance, its journal. All of it is read from the rows the
//! driver's commits write: never stale.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;
use stepwell_core::machine::{Entry, Error, State};
use stepwell_runtime::journal::Unavailable;

use crate::Store;
use crate::rows::{
    id, id_bytes, id_text, integer, json, json_or_null, natural, natural_or_null, shared, state, state_number,
};
use crate::sql::{Db, Result, Row, Value, values};
use crate::within::Within;

/// Where a page ended. Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None`: this was the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Of `limit + 1` rows that were asked for.
    pub(crate) fn new(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// Every given part must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub flow: Option<String>,
    pub version: Option<u32>,
    pub state: Option<State>,
    /// Only those that have not ended.
    pub live: bool,
    pub business_key: Option<String>,
    /// An instance's id, or a part of a business key, upper or lower case.
    pub text: Option<String>,
    /// Of flows in these namespaces only.
    pub within: Within,
    /// Live machines that stand like this.
    pub standing: Option<Stands>,
}

/// Where a machine stands.
#[derive(Debug, Clone, Default)]
pub struct Stands {
    /// In this state; in any, where none is named.
    pub state: Option<String>,
    /// It came there no later than then.
    pub since_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSummary {
    pub id: Arc<str>,
    pub flow: Arc<str>,
    pub version: u32,
    pub business_key: Option<String>,
    pub state: State,
    pub priority: i32,
    pub started_ms: u64,
    pub updated_ms: u64,
    pub error: Option<Error>,
    /// What chose its version, where a binding or a route did.
    pub bound_by: Option<String>,
    pub(crate) n: i64,
}

impl InstanceSummary {
    pub fn ended_ms(&self) -> Option<u64> {
        self.state.ended().then_some(self.updated_ms)
    }

    /// A page that ends with this one.
    pub fn cursor(&self) -> Cursor {
        Cursor(self.n)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct InstanceDetail {
    pub summary: InstanceSummary,
    pub seq: u64,
    pub reply: Option<Arc<Json>>,
    pub output: Option<Arc<Json>>,
    pub traceparent: Option<String>,
    /// `None` once ended.
    pub snapshot: Option<String>,
    /// Its payloads were taken away then.
    pub erased_ms: Option<u64>,
}

/// Flows of somebody's namespaces that are gone through one by one; a statement has no room for many more.
const FLOWS_MAX: u32 = 200;

const COLUMNS: &str =
    "i.n, i.id, i.flow, i.version, i.business_key, i.state, i.priority, i.started_ms, i.updated_ms, i.error,
     i.bound_by";

impl Store {
    /// The newest first.
    pub async fn instances(
        &self,
        filter: Filter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> std::result::Result<Page<InstanceSummary>, Unavailable> {
        self.read(move |db| {
            let flows = known_flows(db, &filter)?;
            let (sql, values) = listing(&filter, flows.as_deref(), cursor, limit);
            let items = db.query(&sql, &values, summary)?;
            Ok(Page::new(items, limit, InstanceSummary::cursor))
        })
        .await
    }

    pub async fn instance(&self, instance: &str) -> std::result::Result<Option<InstanceDetail>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(None) };
        self.read(move |db| {
            let sql = format!(
                "select {COLUMNS}, i.seq, i.reply, i.output = '=', nullif(i.output, '='), i.traceparent, s.body, i.erased_ms
                 from instance as i left join snapshot as s on s.instance = i.n where i.id = ?1"
            );
            db.first(&sql, &values![&bytes], |row| {
                let reply: Option<Arc<Json>> = json_or_null(row, 12)?.map(shared);
                let as_replied = row.get::<Option<bool>>(13)?.unwrap_or_default();
                Ok(InstanceDetail {
                    summary: summary(row)?,
                    seq: natural(row, 11)?,
                    output: if as_replied { reply.clone() } else { json_or_null(row, 14)?.map(shared) },
                    reply,
                    traceparent: row.get(15)?,
                    snapshot: row.get(16)?,
                    erased_ms: natural_or_null(row, 17)?,
                })
            })
        })
        .await
    }

    /// Entries after `after`, in order, at least `limit` where there are as many: whole commits are
    /// read, and cut at `limit`.
    pub async fn journal(
        &self,
        instance: &str,
        after: u64,
        limit: u32,
    ) -> std::result::Result<Vec<Entry>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(Vec::new()) };
        self.read(move |db| {
            // A row holds one entry at least; the first may hold only earlier ones.
            let commits: Vec<Vec<Entry>> = db.query(
                "select entries from journal
                 where instance = (select n from instance where id = ?1)
                   and first_seq >= coalesce((select max(first_seq) from journal
                       where instance = (select n from instance where id = ?1) and first_seq <= ?2), 0)
                 order by first_seq limit ?3",
                &values![&bytes, integer(after.saturating_add(1)), i64::from(limit) + 1],
                |row| json(row, 0),
            )?;
            let mut items: Vec<Entry> = commits.into_iter().flatten().filter(|entry| entry.seq > after).collect();
            items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(items)
        })
        .await
    }

    /// The flow of an instance, which never changes.
    pub async fn flow_of(&self, instance: &str) -> std::result::Result<Option<Arc<str>>, Unavailable> {
        let Some(bytes) = id_bytes(instance) else { return Ok(None) };
        self.read(move |db| db.first("select flow from instance where id = ?1", &values![&bytes], |row| row.get(0)))
            .await
    }

    /// The instance an `Idempotency-Key` stands for, and the sha256 of what it was asked.
    pub async fn idempotent(
        &self,
        flow: &str,
        key: &str,
    ) -> std::result::Result<Option<(Arc<str>, String)>, Unavailable> {
        let (flow, key) = (flow.to_owned(), key.to_owned());
        self.read(move |db| {
            db.first(
                "select i.id, k.request from idempotency as k join instance as i on i.n = k.instance
                 where k.flow = ?1 and k.key = ?2",
                &values![&flow, &key],
                |row| Ok((id(row, 0)?, row.get(1)?)),
            )
        })
        .await
    }
}

/// The flows that a filter by namespaces alone comes down to, if there are not too many to go through one by one.
fn known_flows(db: &mut Db, filter: &Filter) -> Result<Option<Vec<String>>> {
    if filter.within == Within::Everything {
        return Ok(None);
    }
    let sql = format!("select key from flow where {} order by key limit ?1", filter.within.condition("key"));
    let flows: Vec<String> = db.query(&sql, &values![FLOWS_MAX + 1], |row| row.get(0))?;
    Ok((flows.len() <= FLOWS_MAX as usize).then_some(flows))
}

/// The statement for a filter: the index is chosen here, by name, so that no shape of data makes a
/// list slow. The narrowest part wins. What is listed is found first and its rows are read after,
/// so that a search that matches much sorts numbers, not rows.
/// `flows` are all that its namespaces have, where they are known.
pub(crate) fn listing<'f>(
    filter: &'f Filter,
    flows: Option<&'f [String]>,
    cursor: Option<Cursor>,
    limit: u32,
) -> (String, Vec<Value<'f>>) {
    let mut values: Vec<Value<'f>> = Vec::new();
    let mut conditions = String::from("where true");
    let mut narrow = |condition: &str, value: Value<'f>| {
        values.push(value);
        let _ = write!(conditions, " and {}", condition.replace('?', &format!("?{}", values.len())));
    };
    let mut index = "none";
    if let Some(flow) = &filter.flow {
        index = "instance_by_flow";
        narrow("flow = ?", flow.into());
    }
    if let Some(version) = filter.version {
        narrow("version = ?", version.into());
    }
    if let Some(state) = filter.state {
        if state == State::Completed {
            narrow("state = ?", state_number(state).into());
        } else {
            // The second half says to the planner that the partial index covers it.
            narrow("state = ? and state <> 5", state_number(state).into());
            index = "instance_by_state";
        }
    }
    if let Some(id) = filter.text.as_deref().and_then(id_bytes) {
        index = "sqlite_autoindex_instance_1";
        narrow("id = ?", Value::Bytes(id.to_vec().into()));
    } else if let Some(text) = &filter.text {
        index = "instance_by_business_key";
        let pattern = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        narrow("business_key is not null and business_key {like} ? escape '\\'", pattern.into());
    }
    if let Some(business_key) = &filter.business_key {
        index = "instance_by_business_key";
        narrow("business_key = ?", business_key.into());
    }
    if let Some(Cursor(before)) = cursor {
        narrow("n < ?", before.into());
    }
    if filter.within != Within::Everything {
        let _ = write!(conditions, " and {}", filter.within.condition("flow"));
    }
    let standing = filter.standing.as_ref().map(|stands| standing(filter, stands, &mut values));
    values.push(limit.saturating_add(1).into());
    let end = format!("order by n desc limit ?{}", values.len());
    let found = match filter.live {
        _ if standing.is_some() => {
            let stood = standing.unwrap_or_default();
            format!("select n from ({stood}) as standing cross join instance {conditions} and n = stood {end}")
        }
        false if index == "none" && flows.is_some() => {
            flow_by_flow(flows.unwrap_or_default(), &conditions, &end, &mut values)
        }
        false => format!("select n from instance {{by {index}}} {conditions} {end}"),
        true if filter.state.is_none() && (index == "none" || index == "instance_by_flow") => {
            state_by_state(&conditions, &end)
        }
        true => format!("select n from instance {{by {index}}} {conditions} and state <= 4 {end}"),
    };
    let sql = format!(
        "select {COLUMNS} from ({found}) as found
         cross join instance as i where i.n = found.n order by found.n desc"
    );
    (sql, values)
}

/// The machines that stand like this: few, so that they are what a list begins with.
fn standing<'f>(filter: &'f Filter, stands: &'f Stands, values: &mut Vec<Value<'f>>) -> String {
    let mut sql = "select instance as stood from machine_standing where true".to_owned();
    let mut narrow = |condition: &str, value: Value<'f>| {
        values.push(value);
        let _ = write!(sql, " and {condition} ?{}", values.len());
    };
    if let Some(flow) = &filter.flow {
        narrow("flow =", flow.into());
    }
    if let Some(state) = &stands.state {
        narrow("state =", state.into());
    }
    if let Some(since_ms) = stands.since_ms {
        narrow("since_ms <=", integer(since_ms).into());
    }
    sql
}

/// What other namespaces have is not read.
fn flow_by_flow<'f>(flows: &'f [String], conditions: &str, end: &str, values: &mut Vec<Value<'f>>) -> String {
    let mut each = Vec::with_capacity(flows.len());
    for (place, flow) in flows.iter().enumerate() {
        values.push(flow.into());
        each.push(format!(
            "select n from (select n from instance {{by instance_by_flow}}
             {conditions} and flow = ?{} {end}) as of_{place}",
            values.len()
        ));
    }
    if each.is_empty() {
        each.push(format!("select n from instance {conditions} and false"));
    }
    format!("select n from ({}) as theirs {end}", each.join(" union all "))
}

/// By what each live state is indexed: ended ones, most of the table, are not read.
fn state_by_state(conditions: &str, end: &str) -> String {
    let of = |state: u8| {
        format!(
            "select n from (select n from instance {{by instance_by_state}}
             {conditions} and state = {state} and state <> 5 {end}) as of_{state}"
        )
    };
    format!("select n from ({}) as live {end}", [0, 1, 2, 3, 4].map(of).join(" union all "))
}

fn summary(row: &Row<'_>) -> Result<InstanceSummary> {
    Ok(InstanceSummary {
        n: row.get(0)?,
        id: id_text(row.get(1)?),
        flow: row.get(2)?,
        version: row.get(3)?,
        business_key: row.get(4)?,
        state: state(row, 5)?,
        priority: row.get(6)?,
        started_ms: natural(row, 7)?,
        updated_ms: natural(row, 8)?,
        error: json_or_null(row, 9)?,
        bound_by: row.get(10)?,
    })
}
