//! `/api/v1/events`: what was committed, as it is committed, as server-sent events.
//!
//! Invariants:
//! - A reader that comes back with the id it saw last misses nothing; where that cannot be kept
//!   (another store, a cursor from another life of this one, too far behind), it is told `reset`.
//! - A reader that does not read is cut off; it costs one slot and a bounded buffer meanwhile.
//!
//! Not here: what is committed (`store` numbers it).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_core::machine::{Command, Entry, Event};
use stepwell_runtime::Clock as _;
use stepwell_runtime::journal::Unavailable;
use stepwell_store::{Change, Committed, FeedItem, Places, Role, Within};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

use super::App;
use super::caller::Caller;
use super::extract::Query;
use super::instance_view::{NodeState, Replay};
use super::instances::history;
use super::limits::Slot;
use super::listen::told;
use super::problem::{Answer, Code, Refusal, RefusalBody};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long is cut off.
const READS_WITHIN: Duration = Duration::from_secs(10);
const FRAMES_BUFFERED: usize = 64;
/// Items read from the store at once while a reader catches up.
const PAGE: u32 = 500;
/// A reader this far behind is better off reading everything anew.
const BEHIND_MAX: u64 = 100_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only this flow's.
    flow: Option<String>,
    /// Only this instance's; its events then name the nodes that changed.
    instance: Option<String>,
}

/// Follow what happens
///
/// Events `instance`, `flow`, `plugin`, `upload` and `reset`; ids `engine:n`. Send the last one seen as `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 503, body = RefusalBody)))]
pub(super) async fn follow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let slot = app.limits.readers.take();
    let slot = slot.ok_or_else(|| Refusal::say(Code::Overloaded, "too many readers of events"))?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (frames, reading) = mpsc::channel(FRAMES_BUFFERED);
    let store = app.engine.journal();
    // Whatever is committed once the answer has begun is told: where it begins is settled before. Subscribed before the
    // store is read, so that nothing falls between the two.
    let feed = store.feed();
    let (heads, passed) = (store.feed_heads().await?, store.feed_passed().await?);
    let begins = match last.as_deref().map(|last| resume(&app.engine_id, last, &heads, &passed)) {
        None => Begins::Here,
        Some(None) => Begins::Anew,
        Some(Some(places)) => Begins::After(places),
    };
    let (shown, changes) = (caller.within(Role::Viewer), app.auth.book.changes());
    let reader = Reader { app, query, frames, sent: heads, replay: None, headers, shown, changes };
    tokio::spawn(reader.run(feed, begins, slot));
    let body = stream::unfold(reading, |mut reading| async move {
        reading.recv().await.map(|frame: Bytes| (Ok::<_, std::convert::Infallible>(frame), reading))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A reader's place as text: `engine:n` for each engine, with commas between. A file's only engine has
/// the store's name; of those that share a database, each has its number after it.
fn cursor(store: &str, places: &Places) -> String {
    let mut text = String::new();
    for (engine, n) in places.iter() {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = if engine == 0 { write!(text, "{store}:{n}") } else { write!(text, "{comma}{store}.{engine}:{n}") };
    }
    text
}

/// The places to go on after; `None` where going on could leave a gap. What the text does not name was
/// not there yet, and is told from its beginning.
fn resume(store: &str, text: &str, heads: &Places, passed: &Places) -> Option<Places> {
    let mut places = Vec::new();
    for part in text.split(',') {
        let (engine, n) = part.rsplit_once(':')?;
        let engine = match engine.strip_prefix(store)? {
            "" => 0,
            number => number.strip_prefix('.')?.parse().ok()?,
        };
        places.push((engine, n.parse::<u64>().ok()?));
    }
    let known = places.iter().all(|&(engine, n)| n <= heads.of(engine) && heads.iter().any(|(one, _)| one == engine));
    let places = Places::from_iter(places);
    let behind: u64 = heads.iter().map(|(engine, head)| head.saturating_sub(places.of(engine))).sum();
    let whole = passed.iter().all(|(engine, n)| n <= places.of(engine));
    (known && whole && behind <= BEHIND_MAX).then_some(places)
}

struct Reader {
    app: App,
    query: EventsQuery,
    frames: mpsc::Sender<Bytes>,
    /// How far the reader was told.
    sent: Places,
    /// Of the one instance that is followed, to see which nodes change.
    replay: Option<Replay>,
    /// What the reader asked with, to ask again whether it still may.
    headers: HeaderMap,
    /// Flows it is told of.
    shown: Within,
    /// Tells when who may do what was changed.
    changes: watch::Receiver<u64>,
}

type Feed = broadcast::Receiver<FeedItem>;

/// Where a stream begins.
enum Begins {
    /// With what is committed from now on.
    Here,
    /// There as well, but its reader has missed something and must read everything anew.
    Anew,
    After(Places),
}

/// Why a reader is told nothing more.
enum Over {
    Gone,
    Unavailable(Unavailable),
}

impl From<Unavailable> for Over {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl Reader {
    async fn run(mut self, feed: Feed, begins: Begins, _slot: Slot) {
        let mut stop = self.app.stop.clone();
        tokio::select! {
            over = self.tell(feed, begins) => if let Err(Over::Unavailable(error)) = over {
                tracing::warn!(%error, "a reader of events is cut off");
            },
            () = told(&mut stop) => {}
        }
    }

    async fn tell(&mut self, mut feed: Feed, begins: Begins) -> Result<(), Over> {
        let heads = self.sent.clone();
        match begins {
            Begins::Here => self.begin(heads, false).await?,
            Begins::Anew => self.begin(heads, true).await?,
            Begins::After(places) => {
                self.begin(places, false).await?;
                self.catch_up().await?;
            }
        }
        // Also where there is always something to tell: tokens and sessions end by time.
        let mut looks = tokio::time::interval(HEARTBEAT);
        looks.reset();
        loop {
            tokio::select! {
                biased;
                _ = self.changes.changed() => self.look_again().await?,
                _ = looks.tick() => {
                    self.look_again().await?;
                    self.send(": still here\n\n".into()).await?;
                }
                item = feed.recv() => match item {
                    Ok(item) => self.pass(item).await?,
                    Err(RecvError::Lagged(_)) => self.catch_up().await?,
                    Err(RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    /// Asks again whether the reader may be told, and of which flows.
    async fn look_again(&mut self) -> Result<(), Over> {
        let caller = self.app.auth.caller(&Method::GET, &self.headers, self.app.clock.now_ms()).await;
        let caller = caller.map_err(|_| Over::Gone)?;
        self.shown = caller.within(Role::Viewer);
        Ok(())
    }

    /// Gives the reader a place to come back to, and tells it to read anew if it must.
    async fn begin(&mut self, places: Places, reset: bool) -> Result<(), Over> {
        self.sent = places;
        let id = cursor(&self.app.engine_id, &self.sent);
        self.send(if reset { format!("id: {id}\nevent: reset\ndata: {{}}\n\n") } else { format!("id: {id}\n\n") }).await
    }

    async fn catch_up(&mut self) -> Result<(), Over> {
        loop {
            let items = self.app.engine.journal().feed_after(self.sent.clone(), PAGE).await?;
            let more = items.len() >= PAGE as usize;
            for item in items {
                self.pass(item).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn pass(&mut self, item: FeedItem) -> Result<(), Over> {
        if !self.sent.pass(&item) {
            return Ok(());
        }
        let told = match item {
            FeedItem::Instance(one) if self.wants_instance(&one) => Some(("instance", self.instance(&one).await)),
            FeedItem::Notice(one) if self.query.instance.is_none() => self.notice(one.change),
            FeedItem::Instance(_) | FeedItem::Notice(_) => None,
        };
        match told {
            Some((name, data)) => {
                let id = cursor(&self.app.engine_id, &self.sent);
                self.send(format!("id: {id}\nevent: {name}\ndata: {data}\n\n")).await
            }
            None => Ok(()),
        }
    }

    fn wants_instance(&self, one: &Committed) -> bool {
        self.shown.holds(&one.flow)
            && self.query.flow.as_deref().is_none_or(|flow| flow == &*one.flow)
            && self.query.instance.as_deref().is_none_or(|id| id == &*one.instance)
    }

    fn notice(&self, change: Change) -> Option<(&'static str, Value)> {
        let wanted =
            |flow: &str| self.shown.holds(flow) && self.query.flow.as_deref().is_none_or(|wanted| wanted == flow);
        match change {
            Change::Draft { flow } => wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "draft" }))),
            Change::Published { flow, version } => {
                wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "published", "version": version })))
            }
            Change::Plugin { name, version, digest, status } => {
                let data = json!({ "name": name, "version": version, "digest": digest, "status": status });
                self.query.flow.is_none().then_some(("plugin", data))
            }
            Change::Plugged { flow, version, revision } => {
                let data = json!({ "key": flow, "kind": "plugged", "version": version, "revision": revision });
                wanted(&flow).then_some(("flow", data))
            }
            Change::Retired { flow, version } => {
                wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "retired", "version": version })))
            }
            Change::Binding { flow } => wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "binding" }))),
            // Routes belong to no namespace.
            Change::Route { path } => {
                let told = self.query.flow.is_none() && self.shown == Within::Everything;
                told.then(|| ("route", json!({ "path": path })))
            }
            Change::PluginRemoved { name, version, digest } => {
                let data = json!({ "name": name, "version": version, "digest": digest, "status": "removed" });
                self.query.flow.is_none().then_some(("plugin", data))
            }
            Change::Forgotten { flow, instances } => {
                wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "forgotten", "instances": instances })))
            }
            Change::Erased { flow, instance } => {
                wanted(&flow).then(|| ("flow", json!({ "key": flow, "kind": "erased", "instance": instance })))
            }
            Change::Revoked { name, version, digest, revoked } => {
                let status = if revoked { "revoked" } else { "allowed" };
                let data = json!({ "name": name, "version": version, "digest": digest, "status": status });
                self.query.flow.is_none().then_some(("plugin", data))
            }
            Change::Upload { id, state, stage } => {
                let data = json!({ "id": id, "state": state, "stage": stage });
                self.query.flow.is_none().then_some(("upload", data))
            }
            // Engines tell each other; pages that show them ask again anyway.
            Change::Grants | Change::Access => None,
        }
    }

    async fn instance(&mut self, one: &Committed) -> Value {
        let nodes = if self.query.instance.is_some() { self.changed(one).await } else { Vec::new() };
        let nodes: Vec<Value> =
            nodes.into_iter().map(|(node, state)| json!({ "node": &*node, "state": state })).collect();
        json!({
            "id": &*one.instance, "flow": &*one.flow, "version": one.version, "state": one.state, "seq": one.seq,
            "businessKey": one.business_key.as_deref(), "nodes": nodes,
        })
    }

    /// Nodes of the followed instance whose state is another than when they were last told.
    async fn changed(&mut self, one: &Committed) -> Vec<(Arc<str>, NodeState)> {
        let store = self.app.engine.journal();
        let before = self.replay.as_ref().map(Replay::states).unwrap_or_default();
        let known = self.replay.as_ref().map_or(0, Replay::seq);
        let mut entries = store.journal(&one.instance, known, u32::MAX).await.unwrap_or_default();
        let migrates = |entry: &Entry| matches!(entry.event, Event::Commanded { command: Command::Migrate { .. }, .. });
        if self.replay.is_none() || entries.iter().any(migrates) {
            // From the start, with every version it ran.
            let Ok(Some(stored)) = store.instance(&one.instance).await else { return Vec::new() };
            entries = store.journal(&one.instance, 0, u32::MAX).await.unwrap_or_default();
            let Ok(history) = history(&self.app, &stored, &entries).await else { return Vec::new() };
            self.replay = Some(Replay::new(history, &one.instance));
        }
        let Some(replay) = &mut self.replay else { return Vec::new() };
        for entry in entries.iter().filter(|entry| entry.seq <= one.seq) {
            replay.take(entry);
        }
        replay.states().into_iter().filter(|(node, state)| before.get(node) != Some(state)).collect()
    }

    async fn send(&self, frame: String) -> Result<(), Over> {
        self.frames.send_timeout(frame.into(), READS_WITHIN).await.map_err(|_| Over::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_resumed_only_where_nothing_is_missed() {
        let one = Places::from_iter([(0, 7)]);
        let many = Places::from_iter([(1, 7), (2, 40), (3, 5)]);
        for (text, heads, goes_on) in [
            ("s:7", &one, true),
            ("s:3", &one, true),
            ("s:8", &one, false), // From another life.
            ("t:7", &one, false),
            ("s.1:7", &one, false),
            ("s.1:7,s.2:40,s.3:5", &many, true),
            ("s.1:7,s.2:40", &many, true), // The third came later.
            ("s.1:7,s.2:41", &many, false),
            ("s.1:7,s.4:0", &many, false),
            ("s:7", &many, false),
            ("s.1:7,", &many, false),
        ] {
            let resumed = resume("s", text, heads, &Places::default());
            assert_eq!(resumed.is_some(), goes_on, "{text}");
            if let Some(places) = resumed {
                assert_eq!(cursor("s", &places), text);
            }
        }
        let (ahead, nothing) = (Places::from_iter([(0, BEHIND_MAX + 2)]), Places::default());
        assert_eq!(
            (resume("s", "s:1", &ahead, &nothing), resume("s", "s:2", &ahead, &nothing).is_some()),
            (None, true)
        );
        // Some of what came until 5 was forgotten.
        let passed = Places::from_iter([(2, 5)]);
        for (text, goes_on) in [("s.1:7,s.2:5", true), ("s.1:7,s.2:4", false), ("s.1:7", false)] {
            assert_eq!(resume("s", text, &many, &passed).is_some(), goes_on, "{text}");
        }
    }
}
