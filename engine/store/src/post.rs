//! Keeps messages for whoever waits, many at once: a few statements for a whole batch, because round
//! trips are what a server costs.
//!
//! Invariants:
//! - The same (message, id) is kept once, be it twice in one batch.
//! - Each message is judged as if those before it in the batch had come before: of several for one
//!   (message, key), each makes another of those who wait wanted.
//! - A message that is refused leaves nothing; one that is dropped, its id.
//!
//! Not here: how messages reach those who wait (`inbox`, `append`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use stepwell_runtime::journal::{Message, Posted, Unavailable};

use crate::Store;
use crate::administration::{Deed, audit_all};
use crate::rows::{id, integer, natural, text};
use crate::sql::Kind::{Int, Text};
use crate::sql::{Each, Error, Result, values};
use crate::tx::Tx;
use crate::writer::{Item, PostAsk};

/// Messages that wait for takers of one (message, key).
pub(crate) const KEPT_MAX: u64 = 1000;
/// Instances named to whoever posts a message.
const AWAITING_MAX: usize = 100;
/// The same (message, id) is known for at least that long.
const SEEN_MS: u64 = 24 * 60 * 60 * 1000;

/// A message in the form of columns.
pub(crate) struct Post {
    message: Message,
    payload: String,
}

/// Who waits for a message: the instance, whether somebody drives it, its id.
type Awaiting = (i64, bool, Arc<str>);
/// A message's name and key.
type Pair<'a> = (&'a str, &'a str);

static SEEN: Each<2> = Each::new([Text, Text], "select {at} from {each,} seen as s where s.message = ?1 and s.id = ?2");
static SEE: Each<3> = Each::new(
    [Text, Text, Int],
    "insert into seen (message, id, expires_ms) select ?1, ?2, ?3 {from each} where true
     on conflict (message, id) do nothing",
);
static KEPT: Each<2> = Each::new(
    [Text, Text],
    "select {at}, x.kept from {each,} {lateral}
     (select count(*) as kept from inbox where message = ?1 and key = ?2) as x",
);
static KEEP: Each<9> = Each::new(
    [Int, Text, Text, Text, Text, Text, Int, Int, Int],
    "insert into inbox (n, message, key, id, body, sent_by, at_ms, expires_ms, transient)
     select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 {from each}",
);
static DROP_TRANSIENT: Each<2> =
    Each::new([Text, Text], "delete from inbox {using each} where message = ?1 and key = ?2 and transient = 1");
// Parked ones first, and those that nobody wants yet.
static AWAITING: Each<2> = Each::new(
    [Text, Text],
    "select {at}, x.n, x.owned, x.id from {each,} {lateral}
     (select i.n, i.owner <> 0 as owned, i.id from subscription as s join instance as i on i.n = s.instance
      where s.message = ?1 and s.key = ?2
      order by i.owner <> 0, coalesce(i.wake_ms, 1) = 0, s.instance limit 100) as x",
);
static WANT: Each<1> =
    Each::new([Int], "update instance set wake_ms = 0 {from each} where n = ?1 and state <= 4 returning {at}, owner");
static WANT_PARKED: Each<1> =
    Each::new([Int], "update instance set wake_ms = 0 {from each} where n = ?1 and owner = 0");

/// Keeps what can be; the outcomes are in the order of the posts.
pub(crate) fn run(tx: &mut Tx<'_>, posts: &[&Post]) -> Result<Vec<Posted>> {
    let pairs: BTreeSet<Pair<'_>> = posts.iter().map(|post| post.pair()).collect();
    tx.hold_all(&pairs)?;
    let mut outcomes: Vec<Posted> = posts.iter().map(|_| Posted::Duplicate).collect();
    let fresh = fresh(tx, posts)?;
    let pairs: Vec<Pair<'_>> = fresh.iter().map(|&at| posts[at].pair()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut kept = kept(tx, &pairs)?;
    let awaiting = awaiting(tx, &pairs)?;
    let (mut taken, mut dropped) = (Vec::with_capacity(fresh.len()), Vec::new());
    for at in fresh {
        let kept = kept.entry(posts[at].pair()).or_default();
        if posts[at].transient() && !awaiting.contains_key(&posts[at].pair()) {
            outcomes[at] = Posted::Dropped;
            dropped.push(at);
        } else if *kept >= KEPT_MAX {
            outcomes[at] = Posted::Full;
        } else {
            *kept += 1;
            taken.push(at);
        }
    }
    remember(tx, posts, &taken, false)?;
    remember(tx, posts, &dropped, true)?;
    keep(tx, posts, &taken)?;
    let mut wanted: BTreeMap<Pair<'_>, usize> = BTreeMap::new();
    for at in taken {
        let pair = posts[at].pair();
        let ids: Vec<Arc<str>> = awaiting.get(&pair).into_iter().flatten().map(|(.., id)| id.clone()).collect();
        outcomes[at] = if ids.is_empty() { Posted::Buffered } else { Posted::Awaited(ids) };
        *wanted.entry(pair).or_default() += 1;
    }
    let first =
        wanted.into_iter().flat_map(|(pair, messages)| awaiting.get(&pair).into_iter().flatten().take(messages));
    want(tx, first)?;
    Ok(outcomes)
}

/// Those of the batch that never came before, be it in the batch.
fn fresh(tx: &mut Tx<'_>, posts: &[&Post]) -> Result<Vec<usize>> {
    let rows: Vec<_> = posts.iter().map(|post| values![&post.message.name, &post.message.id]).collect();
    let seen: BTreeSet<usize> = tx.db.query_each(&SEEN, &rows, |at, _| Ok(at))?.into_iter().collect();
    let mut told = BTreeSet::new();
    let new = |&at: &usize| {
        let Message { name, id, .. } = &posts[at].message;
        !seen.contains(&at) && told.insert((&**name, &**id))
    };
    Ok((0..posts.len()).filter(new).collect())
}

/// How many messages of each pair wait for a taker.
fn kept<'a>(tx: &mut Tx<'_>, pairs: &[Pair<'a>]) -> Result<BTreeMap<Pair<'a>, u64>> {
    let rows: Vec<_> = pairs.iter().map(|(name, key)| values![name, key]).collect();
    Ok(tx.db.query_each(&KEPT, &rows, |at, row| Ok((pairs[at], natural(row, 1)?)))?.into_iter().collect())
}

/// Knows them from now on, and tells the audit.
fn remember(tx: &mut Tx<'_>, posts: &[&Post], these: &[usize], dropped: bool) -> Result<()> {
    let messages = || these.iter().map(|&at| &posts[at].message);
    let rows: Vec<_> = messages()
        .map(|one| {
            let until_ms = one.at_ms.saturating_add(SEEN_MS.max(one.ttl_ms));
            values![&one.name, &one.id, integer(until_ms)]
        })
        .collect();
    if tx.db.execute_each(&SEE, &rows)? != rows.len() {
        return Err(Error::Raced); // Another engine kept one of them a moment ago.
    }
    let deeds: Vec<_> = messages()
        .map(|one| Deed {
            by: &one.by,
            at_ms: one.at_ms,
            action: "message.post",
            target: &one.name,
            detail: if dropped {
                json!({ "key": one.key, "id": one.id, "dropped": true })
            } else {
                json!({ "key": one.key, "id": one.id })
            },
        })
        .collect();
    audit_all(tx, &deeds)
}

fn keep(tx: &mut Tx<'_>, posts: &[&Post], taken: &[usize]) -> Result<()> {
    let mut rows = Vec::with_capacity(taken.len());
    for post in taken.iter().map(|&at| posts[at]) {
        let (one, n) = (&post.message, tx.next_id());
        // Those who wait may be suspended, or their engine dead: what they were told of stays for them.
        let ttl_ms = if post.transient() { SEEN_MS } else { one.ttl_ms };
        let until_ms = integer(one.at_ms.saturating_add(ttl_ms));
        let at_ms = integer(one.at_ms);
        let transient = post.transient();
        rows.push(values![n, &one.name, &one.key, &one.id, &post.payload, &one.by, at_ms, until_ms, transient]);
    }
    tx.db.execute_each(&KEEP, &rows)?;
    Ok(())
}

/// Nobody waits for these pairs any more: what was only for those who did is gone.
pub(crate) fn drop_transient(tx: &mut Tx<'_>, pairs: &[Pair<'_>]) -> Result<()> {
    let rows: Vec<_> = pairs.iter().map(|(name, key)| values![name, key]).collect();
    tx.db.execute_each(&DROP_TRANSIENT, &rows)?;
    Ok(())
}

/// Those who wait for each pair, in the order in which they are wanted.
pub(crate) fn awaiting<'a>(tx: &mut Tx<'_>, pairs: &[Pair<'a>]) -> Result<BTreeMap<Pair<'a>, Vec<Awaiting>>> {
    let rows: Vec<_> = pairs.iter().map(|(name, key)| values![name, key]).collect();
    let mut all: BTreeMap<Pair<'a>, Vec<Awaiting>> = BTreeMap::new();
    for (at, one) in tx.db.query_each(&AWAITING, &rows, |at, row| Ok((at, (row.get(1)?, row.get(2)?, id(row, 3)?))))? {
        all.entry(pairs[at]).or_insert_with(|| Vec::with_capacity(AWAITING_MAX.min(4))).push(one);
    }
    Ok(all)
}

/// Makes instances wanted at once; on a server, an owner is told to look.
pub(crate) fn want<'a>(tx: &mut Tx<'_>, instances: impl Iterator<Item = &'a Awaiting>) -> Result<()> {
    // In the order in which everybody locks instances: by id. The same one once.
    let ordered: BTreeMap<&str, (i64, bool)> = instances.map(|(n, owned, id)| (&**id, (*n, *owned))).collect();
    if tx.db.is_shared() {
        // Whether one has an owner may change until its row is held.
        let rows: Vec<_> = ordered.values().map(|(n, _)| values![*n]).collect();
        for owner in tx.db.query_each(&WANT, &rows, |_, row| row.get(1))? {
            tx.tell_owner(owner);
        }
    } else {
        let rows: Vec<_> = ordered.values().filter(|(_, owned)| !owned).map(|(n, _)| values![*n]).collect();
        tx.db.execute_each(&WANT_PARKED, &rows)?;
    }
    Ok(())
}

impl Post {
    fn pair(&self) -> Pair<'_> {
        (&self.message.name, &self.message.key)
    }

    /// Only for those who wait for it when it comes.
    fn transient(&self) -> bool {
        self.message.ttl_ms == 0
    }
}

impl Store {
    pub(crate) async fn post(&self, message: Message) -> std::result::Result<Posted, Unavailable> {
        self.tell(message.at_ms);
        let payload = text(&*message.payload)?;
        let (ask, answer) = PostAsk::new(Post { message, payload });
        self.send(Item::Post(Box::new(ask)), answer).await
    }
}
