//! Commits what happened to one instance: guards first, then every row of it.
//!
//! Invariants:
//! - All refusals come before the first write, so a refused append leaves nothing to take back.
//! - The guard on (seq, epoch, owned) is in the SQL, on the read that finds the row and on the
//!   update: of two owners, one finds the row unmoved.

use std::sync::Arc;

use rusqlite::OptionalExtension as _;
use serde_json::json;
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Admission, Append, AppendError, Appended, Header, InboxId, InboxItem, Unavailable};

use crate::Store;
use crate::administration::audit;
use crate::feed::{Committed, FeedItem};
use crate::inbox;
use crate::rows::{id_bytes, id_text, integer, state, state_number, text};
use crate::tx::Tx;

/// How long an `Idempotency-Key` is remembered.
const IDEMPOTENCY_MS: u64 = 24 * 60 * 60 * 1000;

/// An append in the form of columns, made on the caller's thread: the writer is the bottleneck.
struct Row {
    instance: Arc<str>,
    id: [u8; 16],
    expected_seq: u64,
    epoch: u64,
    last_seq: u64,
    at_ms: u64,
    /// `None`: no entries, only the header and ownership change.
    entries: Option<String>,
    state: State,
    updated_ms: u64,
    due_ms: Option<u64>,
    error: Option<String>,
    reply: Option<String>,
    output: Option<String>,
    snapshot: Option<String>,
    subscriptions: Vec<(Arc<str>, String)>,
    taken: Vec<InboxId>,
    admission: Option<Admission>,
    park: bool,
}

/// What is known of an instance before the append.
struct Before {
    n: i64,
    flow: Arc<str>,
    version: u32,
    business_key: Option<Arc<str>>,
    state: State,
}

impl Row {
    fn new(append: Append) -> Result<Self, Unavailable> {
        let Append { instance, expected_seq, epoch, entries, header, snapshot, subscriptions, taken, admission, park } =
            append;
        let id = id_bytes(&instance).ok_or_else(|| Unavailable(format!("{instance:?} is no instance id")))?;
        let Header { state, updated_ms, due_ms, error, reply, output } = header;
        let (first, last) = (expected_seq + 1, expected_seq + entries.len() as u64);
        if !entries.iter().map(|entry| entry.seq).eq(first..=last) {
            return Err(Unavailable(format!("{instance}: entries are not numbered from {first}")));
        }
        if snapshot.is_none() && !state.ended() && !entries.is_empty() {
            return Err(Unavailable(format!("{instance}: a live instance needs a snapshot")));
        }
        let output = match (&reply, output) {
            (Some(reply), Some(output)) if *reply == output => Some("=".to_owned()),
            (_, output) => output.map(|value| text(&*value)).transpose()?,
        };
        Ok(Self {
            instance,
            id,
            expected_seq,
            epoch,
            last_seq: last,
            at_ms: entries.last().map_or(updated_ms, |entry| entry.at_ms),
            entries: if entries.is_empty() { None } else { Some(text(&entries)?) },
            state,
            updated_ms,
            due_ms,
            error: error.as_ref().map(text).transpose()?,
            reply: reply.map(|value| text(&*value)).transpose()?,
            output,
            snapshot: snapshot.filter(|_| !state.ended()),
            subscriptions: if state.ended() { Vec::new() } else { subscriptions },
            taken,
            admission,
            park,
        })
    }

    fn run(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Appended, AppendError>> {
        let conflict = || Ok(Err(AppendError::Conflict(self.instance.clone())));
        let before = match &self.admission {
            Some(admission) => {
                if let Some(refused) = duplicate(tx, admission)? {
                    return Ok(Err(refused));
                }
                None
            }
            None => match self.find(tx)? {
                Some(before) => Some(before),
                None => return conflict(),
            },
        };
        if !inbox::still_there(tx, before.as_ref().map(|before| before.n), &self.taken)? {
            return Ok(Err(AppendError::Gone(self.instance.clone())));
        }
        // From here on rows are written, and only the database itself can refuse.
        inbox::take_out(tx, &self.taken)?;
        let items = if self.state.ended() {
            Vec::new()
        } else {
            inbox::waiting(
                tx.connection(),
                before.as_ref().map(|before| before.n),
                &self.subscriptions,
                self.updated_ms,
            )?
        };
        let (n, flow, version, business_key) = match (&self.admission, before) {
            (Some(admission), _) => {
                let Some(n) = self.admit(tx, admission, &items)? else { return conflict() };
                let business_key = admission.business_key.as_deref().map(Arc::from);
                tx.count(&admission.flow, admission.version, self.state, 1);
                (n, admission.flow.clone(), admission.version, business_key)
            }
            (None, Some(before)) => {
                self.update(tx, before.n, &items)?;
                if before.state != self.state {
                    tx.count(&before.flow, before.version, before.state, -1);
                    tx.count(&before.flow, before.version, self.state, 1);
                }
                (before.n, before.flow, before.version, before.business_key)
            }
            (None, None) => return conflict(),
        };
        self.keep_the_rest(tx, n)?;
        self.journal(tx, n, &flow, version, business_key)?;
        Ok(Ok(Appended { inbox: items }))
    }

    /// Writes the entries as one row, and tells the feed.
    fn journal(
        &self,
        tx: &mut Tx<'_>,
        n: i64,
        flow: &Arc<str>,
        version: u32,
        business_key: Option<Arc<str>>,
    ) -> rusqlite::Result<()> {
        let Some(entries) = &self.entries else { return Ok(()) };
        let place = tx.next();
        tx.execute(
            "insert into journal (n, instance, first_seq, last_seq, at_ms, state, entries)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                place,
                n,
                integer(self.expected_seq + 1),
                integer(self.last_seq),
                integer(self.at_ms),
                state_number(self.state),
                entries,
            ),
        )?;
        tx.say(FeedItem::Instance(Committed {
            n: place.unsigned_abs(),
            instance: self.instance.clone(),
            flow: flow.clone(),
            version,
            state: self.state,
            seq: self.last_seq,
            business_key,
        }));
        Ok(())
    }

    fn find(&self, tx: &Tx<'_>) -> rusqlite::Result<Option<Before>> {
        tx.prepare(
            "select n, flow, version, business_key, state from instance
             where id = ?1 and seq = ?2 and epoch = ?3 and owned = 1",
        )?
        .query_row((self.id, integer(self.expected_seq), integer(self.epoch)), |row| {
            Ok(Before {
                n: row.get(0)?,
                flow: row.get(1)?,
                version: row.get(2)?,
                business_key: row.get(3)?,
                state: state(row, 4)?,
            })
        })
        .optional()
    }

    /// Inserts the instance; `None` if there is one with this id.
    fn admit(&self, tx: &Tx<'_>, admission: &Admission, items: &[InboxItem]) -> rusqlite::Result<Option<i64>> {
        let inserted = tx.execute(
            "insert into instance (id, flow, version, business_key, priority, state, seq, epoch, owned, wake_ms,
                                   started_ms, updated_ms, error, reply, output, traceparent)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             on conflict (id) do nothing",
            (
                self.id,
                &admission.flow,
                admission.version,
                &admission.business_key,
                admission.priority,
                state_number(self.state),
                integer(self.last_seq),
                integer(self.epoch),
                self.owned(),
                self.wake_ms(items),
                integer(admission.started_ms),
                integer(self.updated_ms),
                &self.error,
                &self.reply,
                &self.output,
                &admission.traceparent,
            ),
        )?;
        if inserted == 0 {
            return Ok(None);
        }
        let n = tx.connection().last_insert_rowid();
        let detail = json!({ "flow": admission.flow, "version": admission.version });
        audit(tx, &admission.by, admission.started_ms, "instance.start", &self.instance, &detail)?;
        if let Some(idempotency) = &admission.idempotency {
            tx.execute(
                "insert into idempotency (flow, key, request, instance, expires_ms) values (?1, ?2, ?3, ?4, ?5)",
                (
                    &admission.flow,
                    &idempotency.key,
                    &idempotency.request,
                    n,
                    integer(admission.started_ms.saturating_add(IDEMPOTENCY_MS)),
                ),
            )?;
        }
        Ok(Some(n))
    }

    fn update(&self, tx: &Tx<'_>, n: i64, items: &[InboxItem]) -> rusqlite::Result<()> {
        let moved = tx.execute(
            "update instance set state = ?4, seq = ?5, owned = ?6, wake_ms = ?7, updated_ms = ?8,
                                 error = ?9, reply = ?10, output = ?11
             where n = ?1 and seq = ?2 and epoch = ?3 and owned = 1",
            (
                n,
                integer(self.expected_seq),
                integer(self.epoch),
                state_number(self.state),
                integer(self.last_seq),
                self.owned(),
                self.wake_ms(items),
                integer(self.updated_ms),
                &self.error,
                &self.reply,
                &self.output,
            ),
        )?;
        // Found in this very transaction, by the only writer.
        if moved == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(moved)) }
    }

    /// Snapshot and subscriptions; of an ended instance, neither they nor its commands.
    fn keep_the_rest(&self, tx: &Tx<'_>, n: i64) -> rusqlite::Result<()> {
        inbox::subscribe(tx, n, self.admission.is_some(), &self.subscriptions)?;
        if let Some(snapshot) = &self.snapshot {
            tx.execute(
                "insert into snapshot (instance, body) values (?1, ?2)
                 on conflict (instance) do update set body = excluded.body",
                (n, snapshot),
            )?;
        } else if self.state.ended() && self.admission.is_none() {
            tx.execute("delete from snapshot where instance = ?1", [n])?;
            tx.execute("delete from inbox where instance = ?1", [n])?;
        }
        Ok(())
    }

    fn owned(&self) -> bool {
        !self.park && !self.state.ended()
    }

    /// When a parked instance needs an owner again.
    fn wake_ms(&self, items: &[InboxItem]) -> Option<i64> {
        if !self.park || self.state.ended() {
            return None;
        }
        if !items.is_empty() {
            return Some(0);
        }
        // Given up in the middle of work: wanted at once. Whatever else parks knows when it is due.
        if self.state == State::Running { Some(0) } else { self.due_ms.map(integer) }
    }
}

/// The winner of the race for the caller's key, if it is not us.
fn duplicate(tx: &Tx<'_>, admission: &Admission) -> rusqlite::Result<Option<AppendError>> {
    let Some(idempotency) = &admission.idempotency else { return Ok(None) };
    let winner: Option<([u8; 16], String)> = tx
        .prepare(
            "select i.id, k.request from idempotency as k join instance as i on i.n = k.instance
             where k.flow = ?1 and k.key = ?2",
        )?
        .query_row((&admission.flow, &idempotency.key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(winner.map(|(id, request)| AppendError::Duplicate {
        instance: id_text(id),
        other_request: request != idempotency.request,
    }))
}

impl Store {
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let row = Row::new(append)?;
        self.tell(row.updated_ms);
        self.write(move |tx| row.run(tx)).await?
    }
}
