//! Everybody who can be let in, held in memory, so that letting them in costs no reading.
//!
//! Invariants:
//! - What is held is one reading of the store, whole; it is replaced, never changed. After a change it is read anew
//!   before the change is acknowledged here, and by other engines as soon as their feed tells them of it.
//! - A reading that failed is made up for by the next request, which is refused (503) if it fails again: nobody is let
//!   in by what is known to be old.
//! - A session that is not held is looked up once; one that was looked up before sessions were ended is not held.
//!
//! Not here: what is in the store (`stepwell_store::users`), and what a caller shows (`auth`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use stepwell_runtime::journal::Unavailable;
use stepwell_store::{Directory, EVERYWHERE, Role, Store};
use tokio::sync::watch;

use super::caller::{Caller, Kind, Reach};

/// Sessions, and instances' flows, held at once. Beyond that all are forgotten, and looked up again as they come.
const HELD_MAX: usize = 20_000;
/// How late the last use of a session or token may be written down.
const TOUCHED_EVERY_MS: u64 = 5 * 60 * 1000;

pub(crate) type Digest = [u8; 32];

/// An API token that is sound.
pub(super) struct Key {
    pub(super) caller: Caller,
    pub(super) expires_ms: Option<u64>,
    id: String,
    used: Arc<Use>,
}

/// A session that is held.
pub(super) struct Live {
    /// `None`: bought with the engine's own token.
    pub(super) account: Option<String>,
    pub(super) ends_ms: u64,
    used: Use,
}

/// When something was used last, and when that was last written down.
#[derive(Default)]
pub(super) struct Use {
    used_ms: AtomicU64,
    written_ms: AtomicU64,
}

impl Use {
    fn of(written_ms: u64) -> Self {
        Self { used_ms: AtomicU64::new(written_ms), written_ms: AtomicU64::new(written_ms) }
    }

    fn now(&self, now_ms: u64) {
        self.used_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The time to write down, if one is due.
    fn due(&self) -> Option<u64> {
        let (used_ms, written_ms) = (self.used_ms.load(Ordering::Relaxed), self.written_ms.load(Ordering::Relaxed));
        (used_ms >= written_ms.saturating_add(TOUCHED_EVERY_MS)).then(|| {
            self.written_ms.store(used_ms, Ordering::Relaxed);
            used_ms
        })
    }
}

/// One reading.
#[derive(Default)]
struct Page {
    users: HashMap<String, Caller>,
    tokens: HashMap<Digest, Arc<Key>>,
    /// Somebody administers everything.
    administered: bool,
}

pub(crate) struct Book {
    store: Store,
    page: RwLock<Arc<Page>>,
    /// Counts how often it was said that what is held is not the newest.
    marks: AtomicU64,
    /// The last mark that was there before what is held was read: a later one wants another reading.
    read_up_to: AtomicU64,
    /// One reads at a time, so that an older reading never takes a newer one's place.
    turn: tokio::sync::Mutex<()>,
    sessions: Mutex<Sessions>,
    flows: Mutex<HashMap<String, Arc<str>>>,
    /// Counts readings: whoever acts for long looks again.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Sessions {
    held: HashMap<Digest, Arc<Live>>,
    /// Counts how often all were forgotten.
    turn: u64,
}

impl Book {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            page: RwLock::default(),
            marks: AtomicU64::new(1),
            read_up_to: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            sessions: Mutex::default(),
            flows: Mutex::default(),
            changed: watch::channel(0).0,
        }
    }

    /// Reads anew who may do what, and forgets sessions: those that are not over are looked up again.
    pub(crate) async fn refresh(&self) -> Result<(), Unavailable> {
        self.marks.fetch_add(1, Ordering::SeqCst);
        self.read().await
    }

    async fn read(&self) -> Result<(), Unavailable> {
        let _turn = self.turn.lock().await;
        let marked = self.marks.load(Ordering::SeqCst);
        if self.read_up_to.load(Ordering::SeqCst) >= marked {
            return Ok(()); // Somebody read it since.
        }
        match self.store.directory().await {
            Ok(directory) => {
                let before = self.page();
                let page = Arc::new(page(directory, &before));
                *self.page.write().unwrap_or_else(PoisonError::into_inner) = page;
                let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
                sessions.held.clear();
                sessions.turn += 1;
                drop(sessions);
                // Only now: whoever asks before this waits for it, and is not told by the page of before.
                self.read_up_to.store(marked, Ordering::SeqCst);
                self.changed.send_modify(|count| *count += 1);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Tells of every reading.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn page(&self) -> Arc<Page> {
        self.page.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn newest(&self) -> Result<Arc<Page>, Unavailable> {
        if self.read_up_to.load(Ordering::SeqCst) < self.marks.load(Ordering::SeqCst) {
            self.read().await?;
        }
        Ok(self.page())
    }

    pub(super) async fn token(&self, digest: &Digest, now_ms: u64) -> Result<Option<Caller>, Unavailable> {
        let page = self.newest().await?;
        let Some(key) = page.tokens.get(digest).filter(|key| key.expires_ms.is_none_or(|end| now_ms < end)) else {
            return Ok(None);
        };
        key.used.now(now_ms);
        Ok(Some(key.caller.clone()))
    }

    /// A user who may log in, or be logged in.
    pub(super) async fn user(&self, name: &str) -> Result<Option<Caller>, Unavailable> {
        Ok(self.newest().await?.users.get(name).cloned())
    }

    pub(crate) async fn is_administered(&self) -> Result<bool, Unavailable> {
        Ok(self.newest().await?.administered)
    }

    pub(super) async fn session(&self, digest: &Digest, now_ms: u64) -> Result<Option<Arc<Live>>, Unavailable> {
        // First: a reading that is due may end it.
        self.newest().await?;
        let (held, turn) = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            (sessions.held.get(digest).cloned(), sessions.turn)
        };
        let found = match held {
            Some(live) => Some(live),
            None => self.look_up(digest, turn).await?,
        };
        let live = found.filter(|live| now_ms < live.ends_ms);
        if let Some(live) = &live {
            live.used.now(now_ms);
        }
        Ok(live)
    }

    async fn look_up(&self, digest: &Digest, turn: u64) -> Result<Option<Arc<Live>>, Unavailable> {
        let Some(found) = self.store.session(&hex::encode(digest)).await? else { return Ok(None) };
        let live = Arc::new(Live { account: found.account, ends_ms: found.ends_ms, used: Use::of(found.seen_ms) });
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.turn == turn {
            if sessions.held.len() >= HELD_MAX {
                sessions.held.clear();
            }
            sessions.held.insert(*digest, live.clone());
        }
        Ok(Some(live))
    }

    /// The flow of an instance, which never changes; `None`: there is no such instance.
    pub(super) async fn flow_of(&self, instance: &str) -> Result<Option<Arc<str>>, Unavailable> {
        if let Some(flow) = self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(instance) {
            return Ok(Some(flow.clone()));
        }
        let Some(flow) = self.store.flow_of(instance).await? else { return Ok(None) };
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        if flows.len() >= HELD_MAX {
            flows.clear();
        }
        flows.insert(instance.to_owned(), flow.clone());
        Ok(Some(flow))
    }

    /// Writes down when sessions and tokens were used last. To be called every now and then.
    pub(crate) async fn write_uses(&self) -> Result<(), Unavailable> {
        let sessions: Vec<(String, u64)> = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let due = |(digest, live): (&Digest, &Arc<Live>)| Some((hex::encode(digest), live.used.due()?));
            sessions.held.iter().filter_map(due).collect()
        };
        let page = self.page();
        let tokens: Vec<_> = page.tokens.values().filter_map(|key| Some((key.id.clone(), key.used.due()?))).collect();
        if sessions.is_empty() && tokens.is_empty() {
            return Ok(());
        }
        self.store.touch(sessions, tokens).await
    }
}

fn page(directory: Directory, before: &Page) -> Page {
    let mut page = Page::default();
    for user in directory.users.into_iter().filter(|user| !user.disabled) {
        page.administered |= user.roles.get(EVERYWHERE) == Some(&Role::Admin);
        let kind = Kind::User { must_change: user.must_change };
        let caller = Caller { user: user.name.clone(), kind, reach: Arc::new(Reach::new(user.roles)) };
        page.users.insert(user.name, caller);
    }
    for token in directory.tokens {
        let Some(digest) = hex::decode(&token.digest).ok().and_then(|bytes| Digest::try_from(bytes).ok()) else {
            continue;
        };
        let own = Reach::new(token.roles);
        let reach = match &token.owner {
            None => own,
            // Of somebody who is disabled nothing is left.
            Some(owner) => match page.users.get(owner) {
                Some(owner) => owner.reach.and(&own),
                None => continue,
            },
        };
        let used = before.tokens.get(&digest).map(|key| key.used.clone());
        let key = Key {
            caller: Caller {
                user: format!("token:{}", token.name),
                kind: Kind::Token { owner: token.owner },
                reach: Arc::new(reach),
            },
            expires_ms: token.expires_ms,
            id: token.id,
            used: used.unwrap_or_else(|| Arc::new(Use::of(token.used_ms.unwrap_or(0)))),
        };
        page.tokens.insert(digest, Arc::new(key));
    }
    page
}
