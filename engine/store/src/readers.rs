//! A few connections that only read. In write-ahead mode they never wait for the writer, nor it for them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use stepwell_runtime::journal::Unavailable;
use tokio::sync::Semaphore;

use crate::open;
use crate::writer::unavailable;

#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, max: usize) -> Self {
        Self { path, idle: Mutex::new(Vec::with_capacity(max)), permits: Arc::new(Semaphore::new(max)) }
    }

    /// Runs `query` beside the async threads. Dropping the future lets it finish unheard.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let closed = |_| Unavailable("the store is closed".to_owned());
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let readers = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let connection = match readers.lock().pop() {
                Some(connection) => connection,
                None => open::reading(&readers.path)?,
            };
            // One snapshot for all statements of the query.
            let tx = connection.unchecked_transaction()?;
            let answer = query(&tx)?;
            tx.finish()?;
            // A connection that failed is not used again.
            readers.lock().push(connection);
            drop(permit);
            Ok(answer)
        });
        match done.await {
            Ok(answer) => answer.map_err(|error: rusqlite::Error| unavailable(&error)),
            Err(error) => Err(Unavailable(format!("a read was cut off: {error}"))),
        }
    }

    /// Runs something long, or outside a transaction, on a connection of its own.
    pub(crate) async fn alone<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let path = self.path.clone();
        match tokio::task::spawn_blocking(move || work(&open::reading(&path)?)).await {
            Ok(answer) => answer.map_err(|error| unavailable(&error)),
            Err(error) => Err(Unavailable(format!("a read was cut off: {error}"))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // The list is whole at every moment, whoever panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
