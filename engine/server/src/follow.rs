//! Follows what other engines on the same database do, as far as this one keeps it in memory: newest
//! versions, bindings and paths, plugins, grants, and who may do what.
//!
//! Not here: instances; who drives which is the store's (`take`), and no engine remembers another's.

use stepwell_store::{Change, FeedItem};
use tokio::sync::broadcast::error::RecvError;

use crate::http::App;
use crate::{granting, packages, revocations};

/// Follows until the store is closed. Where this engine is alone there is nothing to follow.
pub(crate) async fn run(app: App) {
    if !app.engine.journal().is_shared() {
        return;
    }
    let mut feed = app.engine.journal().feed();
    // What was committed elsewhere between the first reading and this moment.
    everything(&app).await;
    loop {
        match feed.recv().await {
            Ok(FeedItem::Notice(notice)) if notice.engine != app.engine.journal().number() => {
                take_over(&app, &notice.change).await;
            }
            Ok(FeedItem::Notice(_) | FeedItem::Instance(_)) => {}
            // What was missed is not known, so all of it is taken over.
            Err(RecvError::Lagged(_)) => {
                everything(&app).await;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn everything(app: &App) {
    let at_hand = app.engine.nodes().plugins().into_iter().map(|one| one.digest.to_string());
    removed(app, at_hand.collect()).await;
    revoked(app).await;
    plugins(app).await;
    grants(app).await;
    access(app).await;
    flows(app).await;
}

async fn take_over(app: &App, change: &Change) {
    match change {
        Change::Draft { .. } | Change::Forgotten { .. } | Change::Erased { .. } | Change::Upload { .. } => {}
        Change::Revoked { .. } => revoked(app).await,
        Change::Published { .. }
        | Change::Plugged { .. }
        | Change::Retired { .. }
        | Change::Binding { .. }
        | Change::Route { .. } => {
            flows(app).await;
        }
        Change::PluginRemoved { digest, .. } => removed(app, vec![digest.clone()]).await,
        Change::Plugin { .. } => plugins(app).await,
        Change::Grants => grants(app).await,
        Change::Access => access(app).await,
    }
}

async fn flows(app: &App) {
    if let Err(error) = app.library.read_all().await {
        tracing::error!(%error, "a flow published elsewhere is not known here");
    }
}

async fn plugins(app: &App) {
    // In turn with what is loaded here: an older build must not come after a newer one of the same name.
    let _turn = app.loading.lock().await;
    if let Err(error) = packages::restore(app.engine.nodes(), app.engine.journal()).await {
        tracing::error!(%error, "a plugin loaded elsewhere is not at hand here");
    }
}

/// Takes out those of these builds that are not in the store: one may have been loaded again since.
async fn removed(app: &App, digests: Vec<String>) {
    let _turn = app.loading.lock().await;
    match app.engine.journal().plugins().await {
        Ok(kept) => {
            for digest in digests.iter().filter(|digest| kept.iter().all(|one| one.digest != **digest)) {
                packages::forget(app.engine.nodes(), digest);
            }
        }
        Err(error) => tracing::error!(%error, "a plugin removed elsewhere may be at hand here"),
    }
}

async fn revoked(app: &App) {
    if let Err(error) = revocations::enforce(app.engine.nodes(), app.engine.journal()).await {
        tracing::error!(%error, "a build revoked elsewhere may be called here");
    }
}

async fn access(app: &App) {
    if let Err(error) = app.auth.book.refresh().await {
        // The next request reads it, or is refused.
        tracing::error!(%error, "who may do what was changed elsewhere, and is not known here");
    }
}

async fn grants(app: &App) {
    if let Err(error) = granting::enforce(app.engine.nodes(), app.engine.journal(), &app.granting).await {
        tracing::error!(%error, "a grant given elsewhere is not in force here");
    }
}
