//! The handle, and its answer to the runtime's seam.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use stepwell_core::machine::{Command, Entry};
use stepwell_runtime::Journal;
use stepwell_runtime::journal::{
    Append, AppendError, Appended, CommandKept, Definition, InboxItem, Message, Posted, Taken, Unavailable,
};
use stepwell_runtime::lease::Lease;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::feed::{self, FeedItem};
use crate::keeper::{Keeper, Listener};
use crate::migrate;
use crate::open::{self, Claim, OpenError, Options};
use crate::readers::Readers;
use crate::seat::Seat;
use crate::sql::{Db, Error, File, Place, Result, Server};
use crate::tx::Tx;
use crate::writer::{self, Item, Job, Writer};

/// The owner of what is driven by the one process that has a file.
const FILE_OWNER: i64 = 1;

/// A database: a file that this process owns, or a server that engines share. Cheap to clone; it is
/// let go when the last clone is gone.
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
    place: Place,
    /// `None` only while closing.
    queue: Option<mpsc::Sender<Item>>,
    readers: Arc<Readers>,
    pub(crate) feed: broadcast::Sender<FeedItem>,
    /// The caller's time as it was last told: what ended before is not handed out any more.
    told_ms: Arc<AtomicU64>,
    /// This engine's number, as the owner of instances; another one after it was taken for dead.
    engine: Arc<AtomicI64>,
    lease: Lease,
    /// Rung when others have something for us.
    bell: Arc<Notify>,
    /// Rung when there is something for workers.
    pub(crate) work: Arc<Notify>,
    /// Where there are others.
    keeper: Option<Keeper>,
    writer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer commits what waits, closes the database and lets go of the claim.
        self.keeper = None;
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
    pub fn open(path: impl AsRef<Path>, options: Options) -> std::result::Result<Self, OpenError> {
        let path = path.as_ref();
        let claim = open::claim(path)?;
        let place = Place::Sqlite(File { path: path.to_owned(), checkpoint_pages: options.checkpoint_pages });
        let db = open::prepare(path, &place)?;
        Self::start(place, &path.display().to_string(), db, None, Instant::now(), claim, options)
    }

    /// Joins the engines that share the database at `url` (`postgres://user:password@host/database`),
    /// or is the first; brings its schema up to date. `name` is a file of this engine's own, made if
    /// it is not there: an engine that comes back with it takes up its own work at once, and two
    /// that run cannot have the same.
    ///
    /// A schema that the URL names (`?options=-c%20search_path%3D…`) is made if it is not there. Blocks.
    pub fn connect(url: &str, name: impl AsRef<Path>, options: Options) -> std::result::Result<Self, OpenError> {
        let name = name.as_ref();
        let claim = open::claim(name)?;
        let name = open::name(name)?;
        // The client waits in a way that async threads refuse.
        std::thread::scope(|threads| {
            let joining = threads.spawn(|| Self::join(url, &name, claim, options));
            joining.join().unwrap_or_else(|_| Err(OpenError::unusable("the database", &"connecting was cut off")))
        })
    }

    fn join(url: &str, name: &str, claim: Claim, options: Options) -> std::result::Result<Self, OpenError> {
        let server = server(url)?;
        let shown = server.shown();
        let place = Place::Postgres(Box::new(server));
        let mut db = place.writing().map_err(|error| OpenError::unusable(&shown, &error))?;
        migrate::up(&shown, &mut db)?;
        let joined = Instant::now();
        let seat = Seat::take(&shown, &mut db, name, options.lease, options.hints)?;
        seat.0.bound(&mut db).map_err(|error| OpenError::unusable(&shown, &error))?;
        Self::start(place, &shown, db, Some(seat), joined, claim, options)
    }

    /// Is this a URL that [`Store::connect`] understands?
    pub fn check_url(url: &str) -> std::result::Result<(), OpenError> {
        server(url).map(|_| ())
    }

    /// Looks whether an engine of this name could join the database at `url`, and changes nothing
    /// there. Returns its schema's number; 0 of an empty one. Blocks.
    pub fn look(url: &str, name: impl AsRef<Path>) -> std::result::Result<u32, OpenError> {
        let _claim = open::claim(name.as_ref())?;
        let server = server(url)?;
        let shown = server.shown();
        let place = Place::Postgres(Box::new(server));
        std::thread::scope(|threads| {
            let looking = threads.spawn(|| migrate::look(&mut place.reading()?));
            let looked = looking.join().unwrap_or(Err(Error::Raced));
            looked.map_err(|error| OpenError::unusable(&shown, &error))?.ok_or(OpenError::Foreign(shown.clone()))
        })
    }

    fn start(
        place: Place,
        shown: &str,
        mut db: Db,
        seat: Option<(Seat, i64)>,
        joined: Instant,
        claim: Claim,
        options: Options,
    ) -> std::result::Result<Self, OpenError> {
        let unusable = |error: Error| OpenError::unusable(shown, &error);
        let numbers = writer::numbers_of(&mut db, seat.as_ref().map(|(seat, n)| (seat, *n))).map_err(unusable)?;
        let seat = seat.map(|(seat, _)| seat);
        let heads = feed::heads(&mut db).map_err(unusable)?;
        let (queue, waiting) = mpsc::channel(options.queue_max.max(1));
        let (feed, _) = broadcast::channel(options.feed_lag_max.max(1));
        let told_ms = Arc::new(AtomicU64::new(0));
        let engine = Arc::new(AtomicI64::new(seat.as_ref().map_or(FILE_OWNER, |seat| seat.number)));
        let bell = Arc::new(Notify::new());
        let (lease, work) = (Lease::default(), Arc::new(Notify::new()));
        if let Some(seat) = &seat {
            // It was heard of a moment ago; the first heartbeat is soon.
            lease.renew(joined + seat.lease());
        }
        let heartbeat = seat.as_ref().map(Seat::heartbeat);
        let keeper = heartbeat.map(|heartbeat| {
            let listener =
                Listener::new(place.clone(), engine.clone(), feed.clone(), bell.clone(), options.hints, heads);
            Keeper::start(&queue, heartbeat, listener)
        });
        let keeper = keeper.transpose().map_err(|error| OpenError::unusable(shown, &error))?;
        let writer = Writer {
            place: place.clone(),
            db: Some(db),
            queue: waiting,
            feed: feed.clone(),
            batch_max: options.batch_max.max(1),
            numbers,
            told_ms: told_ms.clone(),
            engine: engine.clone(),
            seat,
            lease: lease.clone(),
            work: work.clone(),
            abort: options.abort,
            commits: 0,
            claim,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::unusable(shown, &error))?;
        let readers = Arc::new(Readers::new(place.clone(), options.readers_max.max(1)));
        let queue = Some(queue);
        let writer = Some(writer);
        let inner = Inner { place, queue, readers, feed, told_ms, engine, lease, bell, work, keeper, writer };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the database is, for people: `sqlite` or `postgresql`.
    pub fn kind(&self) -> &'static str {
        match &self.inner.place {
            Place::Sqlite(_) => "sqlite",
            Place::Postgres(_) => "postgresql",
        }
    }

    /// How long this engine may act for what it drives without having been heard of.
    pub fn lease(&self) -> &Lease {
        &self.inner.lease
    }

    /// May other engines be at work on the same instances?
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.place, Place::Postgres(_))
    }

    /// The number by which the feed tells what this engine committed; 0 where it is alone.
    pub fn number(&self) -> u32 {
        if self.is_shared() { u32::try_from(self.engine()).unwrap_or_default() } else { 0 }
    }

    /// The number of the schema this engine writes.
    pub fn schema(&self) -> u32 {
        crate::migrate::known()
    }

    /// Copies a file's database as it stands into a new file, while work goes on. A server is copied
    /// with its own tools.
    pub async fn backup(&self, to: impl AsRef<Path>) -> std::result::Result<(), Unavailable> {
        let to = to.as_ref().to_owned();
        if let Place::Postgres(_) = self.inner.place {
            return Err(Unavailable("a server's database is copied with pg_dump".to_owned()));
        }
        let copy = move |place: &Place| match place {
            Place::Sqlite(file) => file.copy_to(&to),
            Place::Postgres(_) => Ok(()),
        };
        self.inner.readers.alone(copy).await
    }

    /// Hands work to the writer; returns once it is committed. If the future is dropped, it may be all the same.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Unavailable> {
        let (job, answer) = Job::new(work);
        self.send(Item::Other(Box::new(job)), answer).await
    }

    pub(crate) async fn send<T>(
        &self,
        item: Item,
        answer: oneshot::Receiver<std::result::Result<T, Unavailable>>,
    ) -> std::result::Result<T, Unavailable> {
        let gone = || Unavailable("the writer is gone".to_owned());
        let queue = self.inner.queue.as_ref().ok_or_else(gone)?;
        queue.send(item).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Runs a query on one snapshot of the database; perhaps twice, if the connection was cut.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl Fn(&mut Db) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Unavailable> {
        self.inner.readers.read(query).await
    }

    pub(crate) fn engine(&self) -> i64 {
        self.inner.engine.load(Ordering::Relaxed)
    }

    pub(crate) fn told(&self) -> u64 {
        self.inner.told_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, now_ms: u64) {
        self.inner.told_ms.store(now_ms, Ordering::Relaxed);
    }
}

fn server(url: &str) -> std::result::Result<Server, OpenError> {
    Server::new(url).map_err(|error| OpenError::unusable("the database", &error))
}

type Answer<T> = std::result::Result<T, Unavailable>;

impl Journal for Store {
    async fn append(&self, append: Append) -> std::result::Result<Appended, AppendError> {
        self.append(append).await
    }

    async fn take(&self, instance: &str) -> Answer<Option<Taken>> {
        self.take(instance).await
    }

    fn is_heard(&self) -> bool {
        self.inner.lease.hold().holds(Instant::now())
    }

    async fn ready(&self, now_ms: u64, limit: u32) -> Answer<Vec<Arc<str>>> {
        self.ready(now_ms, limit).await
    }

    async fn next_due_ms(&self) -> Answer<Option<u64>> {
        self.next_due_ms().await
    }

    async fn rung(&self) {
        self.inner.bell.notified().await;
    }

    async fn entries(&self, instance: &str, seqs: &[u64]) -> Answer<Vec<Entry>> {
        self.entries(instance, seqs).await
    }

    async fn inbox(&self, instance: &str) -> Answer<Vec<InboxItem>> {
        self.inbox(instance).await
    }

    async fn post(&self, message: Message) -> Answer<Posted> {
        self.post(message).await
    }

    async fn command(&self, instance: &str, command: Command, by: &str, at_ms: u64) -> Answer<CommandKept> {
        self.command(instance, command, by, at_ms).await
    }

    async fn definition(&self, flow: &str, version: u32) -> Answer<Option<Definition>> {
        self.definition(flow, version).await
    }

    async fn revision(&self, flow: &str, version: u32) -> Answer<u32> {
        self.revision(flow, version).await
    }
}
