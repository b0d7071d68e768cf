//! The shop's database file and the one thread that touches it.
//!
//! Callers hand over closures; the thread runs as many as are waiting inside one transaction, each in a
//! savepoint of its own, and answers them only after the commit.
//!
//! Invariants:
//! - A caller that got `Ok` has its rows in the file: they survive a kill of the process (not a power cut,
//!   `synchronous` is `normal`).
//! - A closure that returned an error left nothing behind; its neighbours in the batch are unaffected.
//! - Closures run one after another, so a read followed by a write in one closure needs no further lock.
//!
//! Not here: what the rows mean.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// More closures than this never share a transaction, so that none waits long.
const BATCH_MAX: usize = 128;
/// Closures waiting beyond this make their callers wait before handing over.
const QUEUE_MAX: usize = 1024;

/// Why the ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The statement or the file failed. Nothing was kept; trying again may help.
    #[error("ledger: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The batch did not commit. Nothing was kept; trying again may help.
    #[error("ledger did not commit")]
    NotCommitted,
    /// The thread is gone; the process must be started anew.
    #[error("ledger is closed")]
    Closed,
}

/// Tells a caller how its closure ended; the flag is whether the batch was committed.
type Finish = Box<dyn FnOnce(bool) + Send>;
/// Runs in a savepoint; the flag is whether to keep what it wrote.
type Job = Box<dyn FnOnce(&Connection) -> (bool, Finish) + Send>;

/// A handle to the thread. When the last one is dropped the file is closed.
#[derive(Clone)]
pub(crate) struct Ledger {
    jobs: mpsc::Sender<Job>,
}

impl Ledger {
    /// Opens or creates the file. The receiver resolves once the thread has closed it again.
    pub(crate) fn open(file: &Path) -> Result<(Self, oneshot::Receiver<()>), LedgerError> {
        let connection = Connection::open(file)?;
        // A second shop on the same file should hear so soon, not after the usual five seconds.
        connection.busy_timeout(std::time::Duration::from_millis(200))?;
        connection.set_prepared_statement_cache_capacity(96);
        // Exclusive: a second shop on the same file is refused at its first statement.
        connection.execute_batch(
            "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal; \
             pragma foreign_keys = off; pragma cache_size = -16384;",
        )?;
        connection.execute_batch(include_str!("schema.sql"))?;
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let (closed, closing) = oneshot::channel();
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                work_through(&connection, queue);
                drop(connection);
                // Nobody may be waiting for the end, which is fine.
                let _ = closed.send(());
            })
            .map_err(|_| LedgerError::Closed)?;
        Ok((Self { jobs }, closing))
    }

    /// Runs `work` in the next batch and returns once it is committed.
    ///
    /// If this future is dropped after the hand-over, `work` still takes place.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = work(connection);
            let keep = result.is_ok();
            let finish: Finish = Box::new(move |committed| {
                let _ = tell.send(match result {
                    Ok(_) if !committed => Err(LedgerError::NotCommitted),
                    result => result,
                });
            });
            (keep, finish)
        });
        self.jobs.send(job).await.map_err(|_| LedgerError::Closed)?;
        told.await.map_err(|_| LedgerError::Closed)?
    }
}

fn work_through(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut finishes = Vec::new();
        let began = connection.execute_batch("begin immediate").is_ok();
        let mut next = Some(first);
        while let Some(job) = next {
            finishes.push(in_savepoint(connection, job));
            next = if finishes.len() < BATCH_MAX { queue.try_recv().ok() } else { None };
        }
        let committed = began && connection.execute_batch("commit").is_ok();
        if !committed {
            // Fails only when no transaction is open, which is what is wanted.
            let _ = connection.execute_batch("rollback");
        }
        for finish in finishes {
            finish(committed);
        }
    }
}

fn in_savepoint(connection: &Connection, job: Job) -> Finish {
    let step = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).is_ok();
    let opened = step("savepoint job");
    let (keep, finish) = job(connection);
    let closed = opened && (keep || step("rollback to job")) && step("release job");
    if closed { finish } else { Box::new(move |_| finish(false)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_failed_job_leaves_nothing_and_its_neighbours_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, closed) = Ledger::open(&folder.path().join("shop.db")).unwrap();
        let set = |sku: &'static str, then_fail: bool| {
            let ledger = ledger.clone();
            async move {
                ledger
                    .run(move |db| {
                        db.execute("insert into stock (sku, available) values (?1, 1)", [sku])?;
                        if then_fail { Err(LedgerError::NotCommitted) } else { Ok(()) }
                    })
                    .await
                    .is_ok()
            }
        };
        let (good, bad, also_good, twice) =
            tokio::join!(set("a", false), set("b", true), set("c", false), set("a", false));
        assert_eq!((good, bad, also_good, twice), (true, false, true, false));
        let kept = ledger
            .run(|db| Ok(db.query_row("select group_concat(sku, ',') from stock", [], |row| row.get::<_, String>(0))?))
            .await
            .unwrap();
        assert_eq!(kept, "a,c");
        drop(ledger);
        closed.await.unwrap();
    }

    #[tokio::test]
    async fn a_second_owner_of_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.db");
        let first = Ledger::open(&file).unwrap();
        assert!(Ledger::open(&file).is_err());
        let (ledger, closed) = first;
        drop(ledger);
        closed.await.unwrap();
        assert!(Ledger::open(&file).is_ok());
    }
}
