//! The one thread that writes: takes what waits, up to a batch, runs it in one transaction, and
//! answers after the commit. While a commit is on its way the next batch gathers by itself; under
//! low load nobody waits for company.
//!
//! Invariants:
//! - Nobody is answered before the commit that carries the answer, and the feed keeps its order.
//! - An item that the database refuses is taken out alone: the batch is run again with a savepoint
//!   around each item. That is rare, so the usual batch pays for none.
//! - After a failure of the file itself the connection is opened anew; nothing needs a restart.

use std::path::PathBuf;

use rusqlite::{Connection, ErrorCode};
use stepwell_runtime::journal::Unavailable;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::Options;
use crate::feed::FeedItem;
use crate::open::{self, Claim};
use crate::tx::Tx;

/// An item of a batch. May be run more than once before it is answered once.
pub(crate) trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, outcome: Result<(), Unavailable>);
}

/// The usual item: a closure, and somebody who waits for what it returns.
pub(crate) struct Job<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Unavailable>>,
}

impl<T, F> Job<T, F> {
    pub(crate) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, Unavailable>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work, result: None, reply }, answer)
    }
}

impl<T: Send, F: Fn(&mut Tx<'_>) -> rusqlite::Result<T> + Send> Work for Job<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Unavailable>) {
        let Self { result, reply, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or_else(|| Unavailable("nothing was done".to_owned())));
        // Whoever asked may have gone; what was committed stays.
        let _ = reply.send(answer);
    }
}

pub(crate) type Queue = mpsc::Receiver<Box<dyn Work>>;

pub(crate) struct Writer {
    path: PathBuf,
    /// `None` after a failure, until it could be opened again.
    connection: Option<Connection>,
    queue: Queue,
    feed: broadcast::Sender<FeedItem>,
    options: Options,
    /// The last number given out.
    counter: i64,
    /// Dropped last, with the thread.
    _claim: Claim,
}

type Batch = Vec<Box<dyn Work>>;

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        connection: Connection,
        queue: Queue,
        feed: broadcast::Sender<FeedItem>,
        options: Options,
        claim: Claim,
    ) -> rusqlite::Result<Self> {
        let counter = connection.query_row(
            "select max(coalesce((select max(n) from journal), 0), coalesce((select max(n) from notice), 0),
                        coalesce((select max(n) from inbox), 0))",
            [],
            |row| row.get(0),
        )?;
        Ok(Self { path, connection: Some(connection), queue, feed, options, counter, _claim: claim })
    }

    /// Runs until every handle is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut batch: Batch = Vec::with_capacity(self.options.batch_max.max(1));
        while self.queue.blocking_recv_many(&mut batch, self.options.batch_max.max(1)) > 0 {
            self.commit(&mut batch);
        }
    }

    /// Commits and answers a batch; leaves it empty.
    fn commit(&mut self, batch: &mut Batch) {
        let first = self.attempt(batch, Self::run_all);
        let outcome = match first {
            Err(Failure::Item(_)) if batch.len() > 1 => self.attempt(batch, Self::run_each),
            other => other,
        };
        match outcome {
            Ok((items, feed)) => {
                for (work, item) in batch.drain(..).zip(items) {
                    work.answer(item.map_err(|error| unavailable(&error)));
                }
                for item in feed {
                    // Nobody listening is no failure.
                    let _ = self.feed.send(item);
                }
            }
            Err(failure) => {
                let (Failure::Item(error) | Failure::Whole(error)) = failure;
                tracing::error!(%error, items = batch.len(), "nothing of a batch was committed");
                if broke_the_connection(&error) {
                    self.connection = None;
                }
                for work in batch.drain(..) {
                    work.answer(Err(unavailable(&error)));
                }
            }
        }
    }

    /// One transaction around `run`. On failure nothing of it is kept.
    fn attempt(&mut self, batch: &mut Batch, run: Run) -> Result<(Vec<ItemResult>, Vec<FeedItem>), Failure> {
        if self.connection.is_none() {
            self.connection = Some(open::writing(&self.path, self.options.checkpoint_pages).map_err(Failure::Whole)?);
        }
        let Some(connection) = self.connection.as_ref() else {
            return Err(Failure::Whole(rusqlite::Error::InvalidQuery));
        };
        execute(connection, "begin immediate").map_err(Failure::Whole)?;
        let mut tx = Tx::new(connection, &mut self.counter);
        let outcome = run(batch, &mut tx).and_then(|items| {
            let feed = tx.finish().map_err(Failure::Whole)?;
            execute(connection, "commit").map_err(Failure::Whole)?;
            Ok((items, feed))
        });
        // The database may have rolled back by itself.
        if outcome.is_err()
            && !connection.is_autocommit()
            && let Err(error) = execute(connection, "rollback")
        {
            tracing::error!(%error, "a transaction was not rolled back");
            self.connection = None;
        }
        outcome
    }

    fn run_all(batch: &mut Batch, tx: &mut Tx<'_>) -> Result<Vec<ItemResult>, Failure> {
        let mut items = Vec::with_capacity(batch.len());
        for work in batch.iter_mut() {
            work.run(tx)
                .map_err(|error| if is_of_the_file(&error) { Failure::Whole(error) } else { Failure::Item(error) })?;
            items.push(Ok(()));
        }
        Ok(items)
    }

    fn run_each(batch: &mut Batch, tx: &mut Tx<'_>) -> Result<Vec<ItemResult>, Failure> {
        let mut items = Vec::with_capacity(batch.len());
        for work in batch.iter_mut() {
            tx.execute("savepoint item", []).map_err(Failure::Whole)?;
            let before = tx.mark();
            let item = work.run(tx);
            match &item {
                Ok(()) => {}
                Err(error) if is_of_the_file(error) => {
                    return Err(Failure::Whole(item.err().unwrap_or(rusqlite::Error::InvalidQuery)));
                }
                Err(error) => {
                    tracing::error!(%error, "an item was refused by the database");
                    tx.execute("rollback to item", []).map_err(Failure::Whole)?;
                    tx.forget(before);
                }
            }
            tx.execute("release item", []).map_err(Failure::Whole)?;
            items.push(item);
        }
        Ok(items)
    }
}

type ItemResult = rusqlite::Result<()>;
type Run = fn(&mut Batch, &mut Tx<'_>) -> Result<Vec<ItemResult>, Failure>;

enum Failure {
    /// One item's own; the others can do without it.
    Item(rusqlite::Error),
    /// The file's: disk full, a failing disk, a lock that is not let go.
    Whole(rusqlite::Error),
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// What no other item of the batch would fare better with.
fn is_of_the_file(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    )
}

/// After these the connection's own view of the file cannot be relied on.
fn broke_the_connection(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
        )
    )
}

pub(crate) fn unavailable(error: &rusqlite::Error) -> Unavailable {
    Unavailable(error.to_string())
}
