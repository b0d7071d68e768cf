//! Plugins and what they may reach, kept in the store and put in force in the sandbox.
//!
//! Invariants:
//! - A plugin is in the store only if the sandbox has loaded it; its bytes are what instances are
//!   pinned to, so they are removed only once nothing is (`store::needs`).
//! - Grants in force are those of the store; so are the secrets by which webhooks are known.
//!
//! Not here: checks and compilation (`sandbox`).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Connection, Digest, Grants, PluginInfo, Ready, Sandbox, Secret, Source};
use stepwell_store::{Act, NewPlugin, PluginKept, PluginStatus, Store};
use tokio::sync::Mutex;

use crate::grants::GrantsFile;
use crate::http::App;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Correct the component. Whatever was loaded before stays.
    #[error("{}", .0.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantsError {
    #[error("{}", .0.iter().map(|one| format!("{}: {}", one.pointer, one.message)).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    #[error("connection {name} as stored cannot be read: {reason}")]
    Unreadable { name: String, reason: String },
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Puts connections in force, one reading at a time, and holds what the engine itself needs of them.
#[derive(Default)]
pub(crate) struct Granting {
    turn: Mutex<()>,
    /// By connection and name.
    secrets: RwLock<BTreeMap<String, BTreeMap<String, Secret>>>,
}

impl Granting {
    /// Those of a connection's secrets that are there, in the order of `names`.
    pub(crate) fn secrets(&self, connection: &str, names: &[String]) -> Vec<Secret> {
        let all = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(connection);
        names.iter().filter_map(|name| known?.get(name).cloned()).collect()
    }
}

/// Loads a component: checks it, keeps it, and only then puts it in force, so that no instance is
/// ever pinned to what the next start does not find. The same bytes again change nothing.
pub(crate) async fn load(app: &App, wasm: Vec<u8>, act: Act) -> Result<(PluginInfo, PluginKept), LoadError> {
    let wasm: Arc<[u8]> = wasm.into();
    let ready = app.engine.nodes().prepare(wasm.clone(), &|_| {}).await.map_err(LoadError::Refused)?;
    keep(app, ready, &wasm, act).await
}

/// Keeps a plugin that is ready, and puts it in force.
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
    let before = sandbox.plugins();
    let digest = info.digest.to_string();
    let same_name = |one: &&PluginInfo| one.name == info.name && one.version == info.version;
    let supersedes = before.iter().filter(same_name).map(|one| one.digest.to_string()).collect();
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
            supersedes,
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

/// Puts the store's connections and grants in force. One at a time: an older reading must not be put in
/// force after a newer one, or a grant that was taken back would stay.
pub(crate) async fn enforce(sandbox: &Sandbox, store: &Store, granting: &Granting) -> Result<(), GrantsError> {
    let _turn = granting.turn.lock().await;
    let mut grants = Grants::default();
    for connection in store.connections().await? {
        let spec: Connection = serde_json::from_value(connection.spec)
            .map_err(|error| GrantsError::Unreadable { name: connection.name.clone(), reason: error.to_string() })?;
        grants.connections.insert(connection.name, spec);
    }
    let mut by_plugin: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for grant in store.grants().await? {
        by_plugin.entry(grant.plugin).or_default().push(grant.connection);
    }
    grants.grants =
        by_plugin.into_iter().map(|(plugin, connections)| stepwell_sandbox::Grant { plugin, connections }).collect();
    let mut by_plugin: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for grant in store.record_grants().await? {
        by_plugin.entry(grant.plugin).or_default().push(grant.kind);
    }
    let of_plugin = |(plugin, record_types)| stepwell_sandbox::RecordGrant { plugin, record_types };
    grants.records = by_plugin.into_iter().map(of_plugin).collect();
    sandbox.set_grants(&grants).map_err(GrantsError::Refused)?;
    let secrets = grants.connections.into_iter().map(|(name, connection)| (name, connection.secrets)).collect();
    *granting.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
    Ok(())
}

/// Writes a file's connections and grants over those of the same names.
pub(crate) async fn install(store: &Store, file: GrantsFile, act: &Act) -> Result<(), GrantsError> {
    let known: BTreeMap<String, Value> =
        store.connections().await?.into_iter().map(|one| (one.name, one.spec)).collect();
    for (name, connection) in file.connections {
        let spec = serde_json::to_value(&connection)
            .map_err(|error| GrantsError::Unreadable { name: name.clone(), reason: error.to_string() })?;
        // Every write is audited: a start that changes nothing should say nothing.
        if known.get(&name) != Some(&spec) {
            store.put_connection(act.clone(), &name, &spec).await?;
        }
    }
    for grant in file.grants {
        store.grant(act.clone(), &grant.plugin, &grant.connection).await?;
    }
    for grant in file.records {
        store.grant_records(act.clone(), &grant.plugin, &grant.record_type).await?;
    }
    Ok(())
}
