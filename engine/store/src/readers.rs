//! A few connections that only read. They never wait for the writer, nor it for them.

use std::sync::{Arc, Mutex, PoisonError};

use stepwell_runtime::journal::Unavailable;
use tokio::sync::Semaphore;

use crate::sql::{Db, Place, Result, Verdict, again};

pub(crate) struct Readers {
    place: Place,
    idle: Mutex<Vec<Db>>,
    permits: Arc<Semaphore>,
}

impl Drop for Readers {
    fn drop(&mut self) {
        // A server's connection says goodbye when it is closed, and that may block; the last handle
        // may well be dropped where nothing must.
        let idle = std::mem::take(&mut *self.lock());
        if idle.iter().any(Db::is_shared) {
            std::thread::spawn(move || drop(idle));
        }
    }
}

impl Readers {
    pub(crate) fn new(place: Place, max: usize) -> Self {
        Self { place, idle: Mutex::new(Vec::with_capacity(max)), permits: Arc::new(Semaphore::new(max)) }
    }

    /// Runs `query` beside the async threads. Dropping the future lets it finish unheard.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl Fn(&mut Db) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Unavailable> {
        let closed = |_| Unavailable("the store is closed".to_owned());
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let readers = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let answer = again(|| readers.ask(&query));
            drop(permit);
            answer
        });
        match done.await {
            Ok(answer) => answer.map_err(Unavailable::from),
            Err(error) => Err(Unavailable(format!("a read was cut off: {error}"))),
        }
    }

    fn ask<T>(&self, query: &impl Fn(&mut Db) -> Result<T>) -> Result<T> {
        let idle = self.lock().pop();
        if let Some(mut db) = idle {
            match one_moment(&mut db, query) {
                // A connection that lay idle may have been cut meanwhile; that is no reason to fail.
                Err(error) if error.verdict() == Verdict::Lost => {}
                other => return self.keep(db, other),
            }
        }
        let mut db = self.place.reading()?;
        let answer = one_moment(&mut db, query);
        self.keep(db, answer)
    }

    /// A connection that failed is not used again.
    fn keep<T>(&self, db: Db, answer: Result<T>) -> Result<T> {
        if answer.is_ok() {
            self.lock().push(db);
        }
        answer
    }

    /// Runs something long, or outside a transaction, beside the async threads.
    pub(crate) async fn alone<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Place) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Unavailable> {
        let place = self.place.clone();
        match tokio::task::spawn_blocking(move || work(&place)).await {
            Ok(answer) => answer.map_err(Unavailable::from),
            Err(error) => Err(Unavailable(format!("a read was cut off: {error}"))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Db>> {
        // The list is whole at every moment, whoever panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All statements of a query see the same moment.
fn one_moment<T>(db: &mut Db, query: &impl Fn(&mut Db) -> Result<T>) -> Result<T> {
    db.begin_reading()?;
    let answer = query(db)?;
    db.run("commit")?;
    Ok(answer)
}
