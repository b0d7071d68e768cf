//! The handle, and its answer to the runtime's seam.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use stepwell_core::machine::{Command, Entry};
use stepwell_runtime::Journal;
use stepwell_runtime::journal::{
    Append, AppendError, Appended, CommandKept, Definition, InboxItem, Message, Posted, Taken, Unavailable,
};
use tokio::sync::{broadcast, mpsc};

use crate::feed::FeedItem;
use crate::open::{self, OpenError, Options};
use crate::readers::Readers;
use crate::tx::Tx;
use crate::writer::{Job, Work, Writer};

/// A `SQLite` file, owned by this process. Cheap to clone; the file is let go when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// Who does something, and when: for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub by: String,
    /// Milliseconds since the Unix epoch, UTC.
    pub at_ms: u64,
}

pub(crate) struct Inner {
    path: PathBuf,
    /// `None` only while closing.
    queue: Option<mpsc::Sender<Box<dyn Work>>>,
    readers: Arc<Readers>,
    pub(crate) feed: broadcast::Sender<FeedItem>,
    /// The caller's time as it was last told: what ended before is not handed out any more.
    told_ms: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer commits what waits, closes the file and lets go of the claim.
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer did not end well");
        }
    }
}

impl Store {
    /// Opens the file, or makes it; brings its schema up to date. Blocks.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let unusable = |error: rusqlite::Error| OpenError::unusable(path, &error);
        let claim = open::claim(path)?;
        let connection = open::prepare(path, options.checkpoint_pages)?;
        let (queue, waiting) = mpsc::channel(options.queue_max.max(1));
        let (feed, _) = broadcast::channel(options.feed_lag_max.max(1));
        let writer =
            Writer::new(path.to_owned(), connection, waiting, feed.clone(), options, claim).map_err(unusable)?;
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::unusable(path, &error))?;
        let readers = Arc::new(Readers::new(path.to_owned(), options.readers_max.max(1)));
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                queue: Some(queue),
                readers,
                feed,
                told_ms: AtomicU64::new(0),
                writer: Some(writer),
            }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The number of the schema this engine writes.
    pub fn schema(&self) -> u32 {
        crate::migrate::known()
    }

    /// Copies the database as it stands into a new file, while work goes on.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), Unavailable> {
        let to = to.as_ref().display().to_string();
        self.inner.readers.alone(move |connection| connection.execute("vacuum into ?1", [to]).map(|_| ())).await
    }

    /// Hands work to the writer; returns once it is committed. If the future is dropped, it may be all the same.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (job, answer) = Job::new(work);
        let gone = || Unavailable("the writer is gone".to_owned());
        let queue = self.inner.queue.as_ref().ok_or_else(gone)?;
        queue.send(Box::new(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Runs a query on one snapshot of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.inner.readers.read(query).await
    }

    pub(crate) fn told(&self) -> u64 {
        self.inner.told_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, now_ms: u64) {
        self.inner.told_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Journal for Store {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append(append).await
    }

    async fn take(&self, instance: &str) -> Result<Option<Taken>, Unavailable> {
        self.take(instance).await
    }

    async fn ready(&self, now_ms: u64, limit: u32) -> Result<Vec<Arc<str>>, Unavailable> {
        self.ready(now_ms, limit).await
    }

    async fn next_due_ms(&self) -> Result<Option<u64>, Unavailable> {
        self.next_due_ms().await
    }

    async fn entries(&self, instance: &str, seqs: &[u64]) -> Result<Vec<Entry>, Unavailable> {
        self.entries(instance, seqs).await
    }

    async fn inbox(&self, instance: &str) -> Result<Vec<InboxItem>, Unavailable> {
        self.inbox(instance).await
    }

    async fn post(&self, message: Message) -> Result<Posted, Unavailable> {
        self.post(message).await
    }

    async fn command(
        &self,
        instance: &str,
        command: Command,
        by: &str,
        at_ms: u64,
    ) -> Result<CommandKept, Unavailable> {
        self.command(instance, command, by, at_ms).await
    }

    async fn definition(&self, flow: &str, version: u32) -> Result<Option<Definition>, Unavailable> {
        self.definition(flow, version).await
    }
}
