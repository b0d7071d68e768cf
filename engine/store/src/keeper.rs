//! What an engine that shares its database does beside its work: says that it is alive, looks for
//! those that are not, and listens for hints.
//!
//! A hint says only that it is worth looking now; nothing is lost without one. Where connections
//! cannot listen (a pooler between), looking every now and then does it all.
//!
//! Not here: what being alive means (`seat`), what is looked for (`take`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::sql::{Db, Place, Result};
use crate::tx::Tx;
use crate::writer::{Item, Job};

/// How soon the end of the store is noticed while nothing is heard.
const HEARS_AT_MOST: Duration = Duration::from_millis(500);
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
    /// `bell` is rung when there may be more to do than a moment ago.
    pub(crate) fn start(
        place: &Place,
        queue: &mpsc::Sender<Item>,
        heartbeat: Duration,
        listens: bool,
        bell: &Arc<Notify>,
    ) -> std::io::Result<Self> {
        let (alive, stopped) = channel();
        // Weak: the queue must end with the last handle, not with this thread.
        let (queue, to_ring) = (queue.downgrade(), bell.clone());
        Builder::new().name("store-keeper".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(heartbeat) {
                let Some(queue) = queue.upgrade() else { return };
                if beat(&queue) {
                    to_ring.notify_one();
                }
            }
        })?;
        let over = Arc::new(AtomicBool::new(false));
        if listens {
            let (place, over, bell) = (place.clone(), over.clone(), bell.clone());
            Builder::new().name("store-listener".to_owned()).spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if let Err(error) = listen(&place, &over, &bell) {
                        tracing::warn!(%error, "no hints are heard for a moment");
                        std::thread::sleep(PAUSE);
                    }
                }
            })?;
        }
        Ok(Self { _alive: alive, over })
    }
}

/// The transaction itself says that this engine lives. `true`: another one does not.
fn beat(queue: &mpsc::Sender<Item>) -> bool {
    let (job, answer) = Job::new(|tx: &mut Tx<'_>| tx.seat.map_or(Ok(0), |seat| seat.bury_others(tx.db)));
    // A full queue is worked off, and that is a sign of life, too.
    queue.try_send(Item::Other(Box::new(job))).is_ok() && matches!(answer.blocking_recv(), Ok(Ok(dead)) if dead > 0)
}

fn listen(place: &Place, over: &AtomicBool, bell: &Notify) -> Result<()> {
    let Db::Postgres(mut link) = place.reading()? else { return Ok(()) };
    link.listen()?;
    // What was said before we listened is found by looking.
    bell.notify_one();
    while !over.load(Ordering::Relaxed) {
        if link.hears(HEARS_AT_MOST)? {
            bell.notify_one();
        }
    }
    Ok(())
}
