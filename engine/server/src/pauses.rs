//! What is paused is put in force here, probed, and let go in order when it is resumed.
//!
//! Every engine looks once a second, so a pause or its end holds everywhere within that. What waits is
//! found in the store: a held instance whose pause is gone is let go, by whichever engine sees it
//! first, whoever ended the pause and whatever crashed since.
//!
//! Invariants:
//! - An engine lets nothing go that it still holds back itself.
//! - What waited is let go in small lots, the longest started first: at most [`LOT`] each [`LOT_EVERY_MS`].
//!
//! Not here: where calls are stopped (`sandbox`), the API's view (`http::pauses`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use stepwell_runtime::Clock as _;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Probed, Sandbox};
use stepwell_store::{Act, Pause, Store};
use tokio::sync::{Mutex, Notify};

use crate::http::App;
use crate::http::time::rfc3339;
use crate::{granting, revocations};

/// The longest time until a pause made elsewhere holds here.
const LOOKS_EVERY_MS: u64 = 1_000;
/// Instances let go at once.
const LOT: u32 = 50;
const LOT_EVERY_MS: u64 = 100;
/// Who resumes when a call that was let through went well.
const PROBE: &str = "probe";

/// Puts pauses in force, one reading at a time.
#[derive(Default)]
pub(crate) struct Pausing {
    turn: Mutex<()>,
    /// Rung when there is something to let go.
    bell: Notify,
}

impl Pausing {
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Puts the store's pauses in force in the sandbox.
pub(crate) async fn enforce(sandbox: &Sandbox, store: &Store, pausing: &Pausing) -> Result<Vec<Pause>, Unavailable> {
    let _turn = pausing.turn.lock().await;
    let pauses = store.pauses().await?;
    sandbox.set_pauses(pauses.iter().map(|pause| pause.what.key()));
    Ok(pauses)
}

/// Looks again and again, until dropped.
pub(crate) async fn run(app: App) {
    let mut release = Release::default();
    loop {
        app.engine.nodes().prune();
        let more = match look(&app, &mut release).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "could not look at what is paused");
                false
            }
        };
        let wait = Duration::from_millis(if more { LOT_EVERY_MS } else { LOOKS_EVERY_MS });
        tokio::select! {
            () = app.clock.sleep(wait) => {}
            () = app.pausing.bell.notified() => {}
            probed = app.engine.nodes().probed() => {
                for one in probed {
                    if let Err(error) = keep(&app, &one).await {
                        tracing::warn!(%error, what = one.key, "what came of a probe is not kept");
                    }
                }
            }
        }
    }
}

/// `true`: there is more to let go.
async fn look(app: &App, release: &mut Release) -> Result<bool, Unavailable> {
    let store = app.engine.journal();
    if let Err(error) = granting::mend(app.engine.nodes(), store, &app.granting).await {
        tracing::warn!(%error, "connections and grants as they are now could not be put in force");
    }
    let pauses = enforce(app.engine.nodes(), store, &app.pausing).await?;
    revocations::enforce(app.engine.nodes(), store).await?;
    let now_ms = app.clock.now_ms();
    for pause in &pauses {
        let due = pause.probe_ms.is_some_and(|every| now_ms >= pause.probed_ms.unwrap_or(0).saturating_add(every));
        if due && store.claim_probe(&pause.what, pause.probed_ms, now_ms).await? {
            probe(app, pause).await?;
        }
    }
    let keys: BTreeSet<String> = pauses.iter().map(|pause| pause.what.key()).collect();
    release.lots(app, &keys).await
}

/// Lets one call through: that of an instance that waits, or the next that comes.
pub(crate) async fn probe(app: &App, pause: &Pause) -> Result<(), Unavailable> {
    let key = pause.what.key();
    if app.engine.nodes().let_one_through(&key) {
        for (_, instance) in app.engine.journal().held(&key, 0, 1).await? {
            app.engine.release(&instance);
        }
    }
    Ok(())
}

/// Keeps what came of a probe, and ends the pause if it is to end by that.
async fn keep(app: &App, probed: &Probed) -> Result<(), Unavailable> {
    let store = app.engine.journal();
    let at_ms = app.clock.now_ms();
    let Some(pause) = store.pauses().await?.into_iter().find(|pause| pause.what.key() == probed.key) else {
        return Ok(());
    };
    let Probed { key, well, message } = probed;
    tracing::info!(what = key, well, message, "a call was let through");
    let told = json!({ "at": rfc3339(at_ms), "well": well, "message": message });
    store.probed(&pause.what, &told).await?;
    if *well && pause.resume {
        store.resume(Act { by: PROBE.to_owned(), at_ms }, &pause.what).await?;
    }
    Ok(())
}

/// How far each that is being let go has come. One that another engine drives is its to let go.
#[derive(Default)]
struct Release(BTreeMap<String, i64>);

impl Release {
    /// The next lot of each that is not paused any more. `true`: there is more.
    async fn lots(&mut self, app: &App, paused: &BTreeSet<String>) -> Result<bool, Unavailable> {
        let store = app.engine.journal();
        let holding = store.holding().await?;
        self.0.retain(|key, _| holding.contains(key));
        let mut more = false;
        for key in holding.into_iter().filter(|key| !paused.contains(key)) {
            let after = self.0.get(&key).copied().unwrap_or_default();
            let held = store.held(&key, after, LOT).await?;
            for (_, instance) in &held {
                app.engine.release(instance);
            }
            more |= held.len() == LOT as usize;
            // At the end, from the beginning: some may have been missed.
            let last = held.last().filter(|_| held.len() == LOT as usize).map_or(0, |(n, _)| *n);
            self.0.insert(key, last);
        }
        Ok(more)
    }
}
