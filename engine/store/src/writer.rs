//! The one thread that writes: takes what waits, up to a batch, runs it in one transaction, and
//! answers after the commit. While a commit is on its way the next batch gathers by itself; under
//! low load nobody waits for company.
//!
//! Invariants:
//! - Nobody is answered before the commit that carries the answer, and the feed keeps its order.
//! - An item that the database refuses is taken out alone: the batch is run again in halves, each
//!   behind a savepoint, down to the one. That is rare, so the usual batch pays for none.
//! - After a failure of the file or the connection it is opened anew; nothing needs a restart.
//! - Where others write, too: each transaction proves first that this engine was not taken for dead.
//!
//! Not here: what the items do (`append`, `take`, `inbox` and the closures of all the others).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stepwell_runtime::journal::{AppendError, Appended, Posted, Taken, Unavailable};
use stepwell_runtime::lease::Lease;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::append::{self, Commit};
use crate::feed::FeedItem;
use crate::numbers::{self, Numbers};
use crate::open::{AbortAt, Claim};
use crate::post::{self, Post};
use crate::seat::Seat;
use crate::sql::{Db, Error, PAUSE, Place, Result, TRIES, Verdict, values};
use crate::take;
use crate::tx::Tx;

/// How often one item decides again because another writer came between.
const DECISIONS: u32 = 5;

/// An item of a batch that stands for itself. May be run more than once before it is answered once.
pub(crate) trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    fn answer(self: Box<Self>, outcome: std::result::Result<(), Unavailable>);
}

/// The usual one: a closure, and somebody who waits for what it returns.
pub(crate) struct Job<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<std::result::Result<T, Unavailable>>,
}

impl<T, F> Job<T, F> {
    pub(crate) fn new(work: F) -> (Self, oneshot::Receiver<std::result::Result<T, Unavailable>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work, result: None, reply }, answer)
    }
}

impl<T: Send, F: Fn(&mut Tx<'_>) -> Result<T> + Send> Work for Job<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.result = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: std::result::Result<(), Unavailable>) {
        let Self { result, reply, .. } = *self;
        answer(reply, outcome, result);
    }
}

/// An item of a kind that is done for many at once.
pub(crate) struct Ask<I, O> {
    asked: I,
    outcome: Option<O>,
    reply: oneshot::Sender<std::result::Result<O, Unavailable>>,
}

impl<I, O> Ask<I, O> {
    pub(crate) fn new(asked: I) -> (Self, oneshot::Receiver<std::result::Result<O, Unavailable>>) {
        let (reply, answer) = oneshot::channel();
        (Self { asked, outcome: None, reply }, answer)
    }
}

fn answer<T>(
    reply: oneshot::Sender<std::result::Result<T, Unavailable>>,
    outcome: std::result::Result<(), Unavailable>,
    result: Option<T>,
) {
    let answer = outcome.and_then(|()| result.ok_or_else(|| Unavailable("nothing was done".to_owned())));
    // Whoever asked may have gone; what was committed stays.
    let _ = reply.send(answer);
}

pub(crate) type AppendAsk = Ask<Commit, std::result::Result<Appended, AppendError>>;
pub(crate) type TakeAsk = Ask<[u8; 16], std::result::Result<Option<Taken>, Unavailable>>;

pub(crate) type PostAsk = Ask<Post, Posted>;

pub(crate) enum Item {
    Append(Box<AppendAsk>),
    Take(TakeAsk),
    Post(Box<PostAsk>),
    Other(Box<dyn Work>),
}

impl Item {
    fn answer(self, outcome: std::result::Result<(), Unavailable>) {
        match self {
            Self::Append(ask) => answer(ask.reply, outcome, ask.outcome),
            Self::Take(ask) => answer(ask.reply, outcome, ask.outcome),
            Self::Post(ask) => answer(ask.reply, outcome, ask.outcome),
            Self::Other(work) => work.answer(outcome),
        }
    }
}

pub(crate) struct Writer {
    pub(crate) place: Place,
    /// `None` after a failure, until it could be opened again.
    pub(crate) db: Option<Db>,
    pub(crate) queue: mpsc::Receiver<Item>,
    pub(crate) feed: broadcast::Sender<FeedItem>,
    pub(crate) batch_max: usize,
    pub(crate) numbers: Numbers,
    pub(crate) told_ms: Arc<AtomicU64>,
    pub(crate) engine: Arc<AtomicI64>,
    /// Where others write, too.
    pub(crate) seat: Option<Seat>,
    pub(crate) lease: Lease,
    /// Rung after commits that put out work.
    pub(crate) work: Arc<Notify>,
    pub(crate) abort: Option<AbortAt>,
    /// Of instances, since the start; for `abort`.
    pub(crate) commits: u32,
    /// Dropped last, with the thread.
    pub(crate) claim: Claim,
}

/// Reads what a writer goes on counting from.
pub(crate) fn numbers_of(db: &mut Db, seat: Option<(&Seat, i64)>) -> Result<Numbers> {
    if let Some((seat, given_out)) = seat {
        let (first, last) = (numbers::first_place(seat.number), numbers::first_place(seat.number + 1));
        let place = db.only(
            "select coalesce(max(n), ?1) from
                 (select max(n) as n from journal where n > ?1 and n < ?2
                  union all select max(n) from notice where n > ?1 and n < ?2
                  union all select max(n) from passed where n > ?1 and n < ?2) as all_of_them",
            &values![first, last],
            |row| row.get(0),
        )?;
        return Ok(Numbers::of_engine(seat.number, place, given_out));
    }
    let tables = ["journal", "notice", "inbox", "instance", "audit", "passed"];
    let mut last = 0;
    for table in tables {
        let n: i64 = db.only(&format!("select coalesce(max(n), 0) from {table}"), &[], |row| row.get(0))?;
        last = last.max(n);
    }
    Ok(Numbers::of_file(last))
}

/// How long a batch waits for company, and how many it must hold for that. In a trial in which two were enough,
/// 64 orders in flight wrote about 8 kB each instead of 11 at the same rate, and 16 in flight lost up to a fifth of
/// theirs; hence a bound between. What this bound alone brings was not measured apart.
const GATHER: Duration = Duration::from_micros(200);
const GATHER_FROM: usize = 8;

impl Writer {
    /// Runs until every handle is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut batch: Vec<Item> = Vec::with_capacity(self.batch_max);
        while self.queue.blocking_recv_many(&mut batch, self.batch_max) > 0 {
            self.gather(&mut batch);
            self.commit(&mut batch);
        }
        if let (Some(seat), Some(mut db)) = (self.seat.take(), self.db.take()) {
            let left = db.begin().and_then(|()| seat.leave(&mut db)).and_then(|()| db.run("commit"));
            if let Err(error) = left {
                tracing::warn!(%error, "this engine's place is given up when its lease is over");
            }
        }
        drop(self.claim);
    }

    /// Gives those who are about to come the time to join. Every page that a commit touches is written
    /// whole, so two commits cost nearly twice what one of both costs; below [`GATHER_FROM`] the wait costs more.
    fn gather(&mut self, batch: &mut Vec<Item>) {
        if batch.len() < GATHER_FROM {
            return;
        }
        std::thread::sleep(GATHER);
        while batch.len() < self.batch_max {
            match self.queue.try_recv() {
                Ok(item) => batch.push(item),
                Err(_) => return,
            }
        }
    }

    /// Commits and answers a batch; leaves it empty.
    fn commit(&mut self, batch: &mut Vec<Item>) {
        match self.persist(batch) {
            Ok((outcomes, feed)) => {
                for (item, outcome) in batch.drain(..).zip(outcomes) {
                    item.answer(outcome.map_err(Unavailable::from));
                }
                for item in feed {
                    // Nobody listening is no failure.
                    let _ = self.feed.send(item);
                }
            }
            Err(error) => {
                tracing::error!(%error, items = batch.len(), "nothing of a batch was committed");
                let said = error.to_string();
                for item in batch.drain(..) {
                    item.answer(Err(Unavailable(said.clone())));
                }
            }
        }
    }

    /// One transaction, tried as often as it makes sense.
    fn persist(&mut self, batch: &mut [Item]) -> Result<(Vec<Result<()>>, Vec<FeedItem>)> {
        let begun = Instant::now();
        let mut tries = 0;
        let mut in_parts = false;
        loop {
            tries += 1;
            let error = match self.attempt(batch, in_parts) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match error.verdict() {
                Verdict::Item if !in_parts => in_parts = true,
                Verdict::Again if tries < TRIES => {
                    tracing::debug!(%error, tries, "a transaction is tried again");
                    std::thread::sleep(PAUSE * tries);
                }
                Verdict::Again | Verdict::Whole | Verdict::Item | Verdict::Lost => {
                    tracing::debug!(tries, ms = begun.elapsed().as_millis(), "a transaction is given up");
                    return Err(error);
                }
            }
        }
    }

    /// On failure nothing of it is kept. What a lost connection did at its commit is not known.
    fn attempt(&mut self, batch: &mut [Item], in_parts: bool) -> Result<(Vec<Result<()>>, Vec<FeedItem>)> {
        // Before the engine says that it is alive: others count its lease from then at the earliest.
        let alive = Instant::now();
        let mut db = self.begin()?;
        let engine = self.engine.load(Ordering::Relaxed);
        let now_ms = self.told_ms.load(Ordering::Relaxed);
        let mut tx = Tx::new(&mut db, &mut self.numbers, engine, self.seat.as_ref(), now_ms);
        let mut outcomes = Vec::with_capacity(batch.len());
        let run = if in_parts {
            run_in_parts(batch, &mut tx, &mut outcomes)
        } else {
            outcomes.extend(batch.iter().map(|_| Ok(())));
            run_all(batch, &mut tx)
        };
        let work = tx.work;
        let done = match run.and_then(|()| tx.finish()) {
            Ok(feed) => {
                self.perhaps_abort(batch, AbortAt::Before);
                db.run("commit").map(|()| feed)
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(feed) => {
                self.perhaps_abort(batch, AbortAt::After);
                self.db = Some(db);
                if let Some(seat) = &self.seat {
                    self.lease.renew(alive + seat.lease());
                }
                if work {
                    self.work.notify_waiters();
                }
                Ok((outcomes, feed))
            }
            Err(error) => {
                if error.verdict() != Verdict::Lost && db.roll_back() {
                    self.db = Some(db);
                }
                Err(error)
            }
        }
    }

    /// For tests: the power is cut here.
    fn perhaps_abort(&mut self, batch: &[Item], when: impl Fn(u32) -> AbortAt) {
        if self.abort.is_none() || !batch.iter().any(|item| matches!(item, Item::Append(_))) {
            return;
        }
        self.commits += u32::from(matches!(when(1), AbortAt::Before(_)));
        if self.abort == Some(when(self.commits)) {
            std::process::abort();
        }
    }

    /// A transaction in which this engine has proven that it is alive.
    fn begin(&mut self) -> Result<Db> {
        // What is said to others counts from before it is said.
        let mut db = match self.db.take() {
            // Nothing was asked of it yet: a connection that was cut while it lay idle costs no more than a new one.
            Some(mut db) => match db.begin() {
                Ok(()) => db,
                Err(error) if error.verdict() == Verdict::Lost => self.open()?,
                Err(error) => {
                    self.db = db.roll_back().then_some(db);
                    return Err(error);
                }
            },
            None => self.open()?,
        };
        let Some(seat) = &self.seat else { return Ok(db) };
        match seat.prove(&mut db, self.numbers.counter()) {
            Ok(()) => Ok(db),
            Err(error) => {
                if error.verdict() != Verdict::Lost && db.roll_back() {
                    if matches!(error, Error::Fenced) {
                        self.sit_down_again(&mut db)?;
                    }
                    self.db = Some(db);
                }
                Err(error)
            }
        }
    }

    fn open(&self) -> Result<Db> {
        let mut db = self.place.writing()?;
        if let Some(seat) = &self.seat {
            seat.bound(&mut db)?;
        }
        db.begin()?;
        Ok(db)
    }

    /// Others took this engine for dead, and drive its instances. It goes on as a new one.
    fn sit_down_again(&mut self, db: &mut Db) -> Result<()> {
        let Some(seat) = &self.seat else { return Ok(()) };
        tracing::warn!("this engine was taken for dead, and begins anew");
        self.lease.lost();
        let (seat, given_out) = seat.take_again(db).inspect_err(|_| {
            db.roll_back();
        })?;
        self.numbers = numbers_of(db, Some((&seat, given_out)))?;
        self.engine.store(seat.number, Ordering::Relaxed);
        self.seat = Some(seat);
        Ok(())
    }
}

/// Runs every item. What is done for many at once is done first.
fn run_all(batch: &mut [Item], tx: &mut Tx<'_>) -> Result<()> {
    let (mut appends, mut takes, mut posts, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for item in batch {
        match item {
            Item::Append(ask) => appends.push(&mut **ask),
            Item::Take(ask) => takes.push(ask),
            Item::Post(ask) => posts.push(&mut **ask),
            Item::Other(work) => others.push(work),
        }
    }
    if !appends.is_empty() {
        let commits: Vec<&Commit> = appends.iter().map(|ask| &ask.asked).collect();
        let outcomes = append::run(tx, &commits)?;
        for (ask, outcome) in appends.into_iter().zip(outcomes) {
            ask.outcome = Some(outcome);
        }
    }
    if !takes.is_empty() {
        let ids: Vec<[u8; 16]> = takes.iter().map(|ask| ask.asked).collect();
        let outcomes = take::run(tx, &ids)?;
        for (ask, outcome) in takes.into_iter().zip(outcomes) {
            ask.outcome = Some(outcome);
        }
    }
    if !posts.is_empty() {
        let messages: Vec<&Post> = posts.iter().map(|ask| &ask.asked).collect();
        let outcomes = post::run(tx, &messages)?;
        for (ask, outcome) in posts.into_iter().zip(outcomes) {
            ask.outcome = Some(outcome);
        }
    }
    others.into_iter().try_for_each(|work| work.run(tx))
}

/// Runs every item, and tells of each how it fared.
fn run_in_parts(batch: &mut [Item], tx: &mut Tx<'_>, outcomes: &mut Vec<Result<()>>) -> Result<()> {
    let mut decisions = 0;
    loop {
        decisions += 1;
        tx.db.run("savepoint item")?;
        let before = tx.mark();
        let error = match run_all(batch, tx) {
            Ok(()) => {
                tx.db.run("release savepoint item")?;
                outcomes.extend(batch.iter().map(|_| Ok(())));
                return Ok(());
            }
            Err(error) if error.verdict() == Verdict::Item => error,
            Err(error) => return Err(error),
        };
        tx.db.run("rollback to savepoint item")?;
        tx.db.run("release savepoint item")?;
        tx.forget(before);
        if batch.len() > 1 {
            let (first, second) = batch.split_at_mut(batch.len() / 2);
            run_in_parts(first, tx, outcomes)?;
            return run_in_parts(second, tx, outcomes);
        }
        if matches!(error, Error::Raced) && decisions < DECISIONS {
            continue;
        }
        tracing::error!(%error, "an item was refused by the database");
        outcomes.push(Err(error));
        return Ok(());
    }
}
