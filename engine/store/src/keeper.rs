//! What an engine that shares its database does beside its work: says that it is alive, looks for
//! those that are not, listens for hints, and tells here what the others committed.
//!
//! A hint says only that it is worth looking now; nothing is lost without one. Where connections
//! cannot listen (a pooler between), looking every now and then does it all.
//!
//! Not here: what being alive means (`seat`), what is looked for (`take`), what is told (`feed`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc};

use crate::feed::{self, FeedItem, Places};
use crate::sql::{Db, Place, Result};
use crate::tx::Tx;
use crate::writer::{Item, Job};

/// How late others' commits are told here, at most; and how late the end of the store is noticed.
const LOOKS_EVERY: Duration = Duration::from_millis(400);
/// Commits of one engine that are told at once; the next look tells the rest.
const TOLD_MAX: u32 = 1_000;
/// After a failure, before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Dropped, it ends what it started.
pub(crate) struct Keeper {
    /// Nobody sends: its end is the message.
    _alive: Sender<()>,
    over: Arc<AtomicBool>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Keeper {
    pub(crate) fn start(queue: &mpsc::Sender<Item>, heartbeat: Duration, listener: Listener) -> std::io::Result<Self> {
        let (alive, stopped) = channel();
        // Weak: the queue must end with the last handle, not with this thread.
        let (queue, bell) = (queue.downgrade(), listener.bell.clone());
        Builder::new().name("store-keeper".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(heartbeat) {
                let Some(queue) = queue.upgrade() else { return };
                if beat(&queue) {
                    bell.notify_one();
                }
            }
        })?;
        let over = listener.over.clone();
        Builder::new().name("store-listener".to_owned()).spawn(move || listener.run())?;
        Ok(Self { _alive: alive, over })
    }
}

/// The transaction itself says that this engine lives. `true`: another one does not.
fn beat(queue: &mpsc::Sender<Item>) -> bool {
    let (job, answer) = Job::new(|tx: &mut Tx<'_>| tx.seat.map_or(Ok(0), |seat| seat.bury_others(tx.db)));
    // A full queue is worked off, and that is a sign of life, too.
    queue.try_send(Item::Other(Box::new(job))).is_ok() && matches!(answer.blocking_recv(), Ok(Ok(dead)) if dead > 0)
}

/// Hears and sees what other engines do.
pub(crate) struct Listener {
    place: Place,
    /// This engine's number: its own commits are told as they are made.
    engine: Arc<AtomicI64>,
    feed: broadcast::Sender<FeedItem>,
    /// Rung when there may be more to do than a moment ago.
    bell: Arc<Notify>,
    hints: bool,
    /// How far others were when the store was opened: whoever reads it later is told of all that follows.
    told: Places,
    over: Arc<AtomicBool>,
}

impl Listener {
    pub(crate) fn new(
        place: Place,
        engine: Arc<AtomicI64>,
        feed: broadcast::Sender<FeedItem>,
        bell: Arc<Notify>,
        hints: bool,
        told: Places,
    ) -> Self {
        Self { place, engine, feed, bell, hints, told, over: Arc::default() }
    }

    fn run(mut self) {
        let mut told = std::mem::take(&mut self.told);
        while !self.over.load(Ordering::Relaxed) {
            if let Err(error) = self.listen(&mut told) {
                tracing::warn!(%error, "other engines are not heard for a moment");
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Until the end, or a failure; then `told` says where to go on.
    fn listen(&self, told: &mut Places) -> Result<()> {
        let mut db = self.place.reading()?;
        if self.hints {
            db.listen()?;
        }
        // What was said before we listened is found by looking.
        self.bell.notify_one();
        while !self.over.load(Ordering::Relaxed) {
            if self.hints {
                if db.hears(LOOKS_EVERY)? {
                    self.bell.notify_one();
                }
            } else {
                std::thread::sleep(LOOKS_EVERY);
            }
            self.tell(&mut db, told)?;
        }
        Ok(())
    }

    /// Tells what others committed since the last look.
    fn tell(&self, db: &mut Db, told: &mut Places) -> Result<()> {
        let heads = feed::heads(db)?;
        let own = u32::try_from(self.engine.load(Ordering::Relaxed)).unwrap_or_default();
        for (engine, head) in heads.iter() {
            if engine == own || head <= told.of(engine) {
                continue;
            }
            for item in feed::after(db, engine, told.of(engine), TOLD_MAX)? {
                told.pass(&item);
                // Nobody listening is no failure.
                let _ = self.feed.send(item);
            }
        }
        Ok(())
    }
}
