//! Puts connections and grants in force, as they stand in the store.
//!
//! Invariants:
//! - What is in force is what the store says; so are the secrets by which webhooks are known.
//! - Readings are put in force one at a time, or a grant that was taken back could stay.
//! - A reading that failed is tried again each second (`pauses`), whoever it failed.
//!
//! Not here: what follows from grants (`sandbox`), how connections are kept (`secrets`), `--grants` (`grants`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Grant, Grants, Sandbox, Secret, Taken};
use stepwell_store::{Act, Granted, GrantedKind, Store};
use tokio::sync::Mutex;

use crate::grants::GrantsFile;
use crate::sealing::Keys;
use crate::secrets::{self, ConnectionSpec, SecretsError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantsError {
    #[error("{}", .0.iter().map(|one| format!("{}: {}", one.pointer, one.message)).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Puts connections in force, one reading at a time, and holds what the engine itself needs of them.
#[derive(Default)]
pub(crate) struct Granting {
    pub(crate) keys: Keys,
    turn: Mutex<()>,
    /// What is in force may not be the newest.
    stale: AtomicBool,
    /// By connection and name.
    secrets: RwLock<BTreeMap<String, BTreeMap<String, Secret>>>,
}

impl Granting {
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Those of a connection's secrets that are there, in the order of `names`.
    pub(crate) fn secrets(&self, connection: &str, names: &[String]) -> Vec<Secret> {
        let all = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(connection);
        names.iter().filter_map(|name| known?.get(name).cloned()).collect()
    }
}

/// Grants as the sandbox takes them, of the rows that are kept.
pub(crate) fn gathered(rows: Vec<Granted>) -> Result<Vec<Grant>, serde_json::Error> {
    let mut grants: BTreeMap<(String, String), Grant> = BTreeMap::new();
    for Granted { plugin, namespace, kind, name, spec, .. } in rows {
        let key = (plugin.clone(), namespace.clone());
        let grant = grants.entry(key).or_insert_with(|| Grant { plugin, namespace, ..Grant::default() });
        match kind {
            GrantedKind::Connection => {
                grant.connections.insert(name, serde_json::from_value(spec)?);
            }
            GrantedKind::Records => {
                grant.records.insert(name);
            }
            GrantedKind::Limits => grant.limits = serde_json::from_value(spec)?,
        }
    }
    Ok(grants.into_values().collect())
}

/// The rows of a grant.
pub(crate) fn rows(grant: &Grant) -> Result<Vec<(GrantedKind, String, Value)>, serde_json::Error> {
    let mut rows = Vec::new();
    for (name, narrowed) in &grant.connections {
        rows.push((GrantedKind::Connection, name.clone(), serde_json::to_value(narrowed)?));
    }
    rows.extend(grant.records.iter().map(|name| (GrantedKind::Records, name.clone(), json!({}))));
    if grant.limits != Taken::default() {
        rows.push((GrantedKind::Limits, String::new(), serde_json::to_value(&grant.limits)?));
    }
    Ok(rows)
}

/// Reads what the store says; secrets that cannot be opened are not there.
async fn read(store: &Store, keys: &Keys) -> Result<Grants, GrantsError> {
    let unreadable = |name: &str, error: serde_json::Error| SecretsError::Unreadable {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let sealed: BTreeMap<_, _> = store.secrets().await?.into_iter().map(|one| (one.name, one.sealed)).collect();
    let mut grants = Grants::default();
    for connection in store.connections().await? {
        let name = connection.name.clone();
        let spec = ConnectionSpec::read(connection)?;
        grants.connections.insert(name, spec.resolve(|secret| keys.open(secret, sealed.get(secret)?)));
    }
    grants.grants = gathered(store.grants().await?).map_err(|error| unreadable("of a grant", error))?;
    // A connection that went while this was read takes what is granted of it along.
    for grant in &mut grants.grants {
        grant.connections.retain(|name, _| grants.connections.contains_key(name));
    }
    Ok(grants)
}

/// Puts the store's connections and grants in force.
pub(crate) async fn enforce(sandbox: &Sandbox, store: &Store, granting: &Granting) -> Result<(), GrantsError> {
    granting.stale.store(true, Ordering::SeqCst);
    let _turn = granting.turn.lock().await;
    // Before it is read: who marks it from here on wants another reading.
    granting.stale.store(false, Ordering::SeqCst);
    let put = async {
        let grants = read(store, &granting.keys).await?;
        sandbox.set_grants(&grants).map_err(GrantsError::Refused)?;
        let secrets = grants.connections.into_iter().map(|(name, connection)| (name, connection.secrets)).collect();
        *granting.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
        Ok(())
    };
    // Also if nobody waits for it any more.
    let mark = Unless { granting, done: false };
    let put = put.await;
    mark.ends(put.is_ok());
    put
}

/// Marks what is in force as old when it is dropped, unless a reading was put in force.
struct Unless<'a> {
    granting: &'a Granting,
    done: bool,
}

impl Unless<'_> {
    fn ends(mut self, done: bool) {
        self.done = done;
    }
}

impl Drop for Unless<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.granting.stale.store(true, Ordering::SeqCst);
        }
    }
}

/// Puts them in force again where that failed, whoever wanted it. To be called every now and then.
pub(crate) async fn mend(sandbox: &Sandbox, store: &Store, granting: &Granting) -> Result<(), GrantsError> {
    if granting.stale.load(Ordering::SeqCst) { enforce(sandbox, store, granting).await } else { Ok(()) }
}

/// Writes a file's connections and grants over those of the same names.
pub(crate) async fn install(store: &Store, keys: &Keys, file: GrantsFile, act: &Act) -> Result<(), GrantsError> {
    for (name, connection) in file.connections {
        // Every write is audited: a start that changes nothing says nothing.
        secrets::put_connection(store, keys, act.clone(), &name, connection).await?;
    }
    for grant in file.grants {
        let problems = grant.problems();
        if !problems.is_empty() {
            return Err(GrantsError::Refused(problems));
        }
        let rows = rows(&grant)
            .map_err(|error| SecretsError::Unreadable { name: grant.plugin.clone(), reason: error.to_string() })?;
        store.put_grant(act.clone(), &grant.plugin, &grant.namespace, rows, false).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use stepwell_sandbox::Limits;
    use stepwell_store::Options;

    use super::*;

    #[tokio::test]
    async fn what_could_not_be_put_in_force_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("stepwell.db"), Options::default()).unwrap();
        let sandbox = Sandbox::new(None, Limits { pooled_max: 1, ..Limits::default() }).unwrap();
        let granting = Granting::default();
        let act = || Act { by: "ada".to_owned(), at_ms: 1 };
        let sound = json!({ "scheme": "https", "host": "shop.test", "secrets": { "T": "clear" } });
        store.put_connection(act(), "shop", &sound, Vec::new()).await.unwrap();
        enforce(&sandbox, &store, &granting).await.unwrap();
        let known = || granting.secrets("shop", &["T".to_owned()]).len();
        assert_eq!(known(), 1);
        // As good as a store that is out of reach: what is kept cannot be read.
        store.put_connection(act(), "shop", &json!({ "scheme": "gopher" }), Vec::new()).await.unwrap();
        assert!(enforce(&sandbox, &store, &granting).await.is_err());
        assert_eq!(known(), 1, "what was in force stays");
        assert!(mend(&sandbox, &store, &granting).await.is_err());
        let without = json!({ "scheme": "https", "host": "shop.test" });
        store.put_connection(act(), "shop", &without, Vec::new()).await.unwrap();
        mend(&sandbox, &store, &granting).await.unwrap();
        assert_eq!(known(), 0);
        // Where nothing failed, nothing is read.
        store.put_connection(act(), "shop", &sound, Vec::new()).await.unwrap();
        mend(&sandbox, &store, &granting).await.unwrap();
        assert_eq!(known(), 0);
    }
}
