//! Plugins, kept in the store and put in force in the sandbox.
//!
//! Invariants:
//! - A plugin is in the store only if the sandbox has loaded it; its bytes are what instances are
//!   pinned to, so they are removed only once nothing is (`store::needs`).
//!
//! Not here: checks and compilation (`sandbox`), what plugins may reach (`granting`).

use serde_json::{Value, json};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Digest, PluginInfo, Ready, Sandbox, Source};
use stepwell_store::{Act, NewPlugin, PluginKept, PluginStatus, Store};

use crate::http::App;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Correct the component. Whatever was loaded before stays.
    #[error("{}", .0.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Keeps a plugin that is ready, and only then puts it in force, so that no instance is ever pinned to what the next start
/// does not find. The same bytes again change nothing.
pub(crate) async fn keep(
    app: &App,
    ready: Ready,
    wasm: &[u8],
    act: Act,
) -> Result<(PluginInfo, PluginKept), LoadError> {
    let (sandbox, store) = (app.engine.nodes(), app.engine.journal());
    let info = ready.info();
    // One at a time from here: of two builds, the one kept last is the one in force.
    let _turn = app.loading.lock().await;
    let digest = info.digest.to_string();
    let kept = store
        .put_plugin(NewPlugin {
            manifest: manifest(store, &info, wasm).await?,
            digest: digest.clone(),
            name: info.name.clone(),
            version: info.version.clone(),
            status: PluginStatus::Live,
            effect: serde_json::to_value(info.effect)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default(),
            wasm: wasm.to_vec(),
            act,
        })
        .await?;
    if kept == PluginKept::Revoked {
        return Err(LoadError::Refused(vec![revoked(&digest)]));
    }
    sandbox.put_in_force(ready);
    Ok((info, kept))
}

/// Why these bytes are not taken in.
pub(crate) fn revoked(digest: &str) -> Problem {
    Problem::error("PLUGIN_REVOKED", "", format!("the build {digest} is revoked"))
        .fix("load another build, or take the revocation back")
}

/// What is kept beside the bytes. How long the examples took is known only to the load that played them.
async fn manifest(store: &Store, info: &PluginInfo, wasm: &[u8]) -> Result<Value, Unavailable> {
    let mut manifest = json!({ "licence": info.licence, "imports": info.imports, "nodeTypes": info.node_types });
    let rehearsed = info.rehearsed.iter();
    let rehearsed: Vec<Value> = rehearsed
        .map(|one| json!({ "nodeType": one.node_type, "example": one.example, "tookUs": one.took_us }))
        .collect();
    manifest["rehearsed"] = if rehearsed.is_empty() {
        let digest = info.digest.to_string();
        let known = store.plugins().await?.into_iter().find(|one| one.digest == digest);
        known.and_then(|mut known| known.manifest.get_mut("rehearsed").map(Value::take)).unwrap_or_default()
    } else {
        Value::Array(rehearsed)
    };
    if let Ok(sizes) = stepwell_guests::anatomy(wasm) {
        manifest["sizes"] = json!({
            "codeBytes": sizes.code_bytes, "dataBytes": sizes.data_bytes,
            "customBytes": sizes.custom_bytes, "memoryBytes": sizes.memory_bytes,
        });
    }
    Ok(manifest)
}

/// Where the sandbox has a build from that is called and not loaded.
pub(crate) fn source(store: &Store) -> Source {
    let store = store.clone();
    Box::new(move |digest| {
        let store = store.clone();
        Box::pin(async move {
            let found = store.plugin_wasm(&digest.to_string()).await;
            found.unwrap_or_else(|error| {
                tracing::warn!(%error, %digest, "a build that is called was not looked for");
                None
            })
        })
    })
}

/// Brings back what was loaded in earlier lives, or by other engines: superseded builds for the instances pinned to
/// them, then the live ones, so that these stand for their names.
pub(crate) async fn restore(sandbox: &Sandbox, store: &Store) -> Result<usize, Unavailable> {
    let mut plugins = store.plugins().await?;
    plugins.sort_by_key(|plugin| (plugin.status == PluginStatus::Live, plugin.loaded_ms));
    let mut restored = 0;
    for plugin in plugins {
        let digest: Option<Digest> = plugin.digest.parse().ok();
        if let Some(digest) = digest.filter(|digest| sandbox.knows(digest)) {
            // Another engine may have gone back to it.
            if plugin.status == PluginStatus::Live && sandbox.stand(&digest) {
                tracing::info!(plugin = plugin.name, version = plugin.version, %digest, "a build stands for its name again");
            }
            continue;
        }
        let Some(wasm) = store.plugin_wasm(&plugin.digest).await? else { continue };
        match sandbox.restore(wasm).await {
            Ok(_) => restored += 1,
            Err(problems) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                tracing::error!(plugin = plugin.name, version = plugin.version, why, "a plugin cannot be brought back");
            }
        }
    }
    Ok(restored)
}

/// Takes out what the store no longer has: new flows do not see it, and nothing that runs needs it.
pub(crate) fn forget(sandbox: &Sandbox, digest: &str) {
    if let Ok(digest) = digest.parse() {
        sandbox.remove(&digest);
    }
}
