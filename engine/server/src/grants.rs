//! `--grants FILE`: connections and grants that an installation brings along.
//!
//! ```json
//! { "connections": { "shop": { "scheme": "http", "host": "127.0.0.1", "port": 7071, "allowPrivate": true } },
//!   "grants": [{ "plugin": "commerce", "connection": "shop" },
//!              { "plugin": "commerce@1", "namespace": "eu", "connections": { "shop": { "methods": ["GET"] } }, "timeMs": 5000 }] }
//! ```
//!
//! Invariant: an unknown key is refused, so that a mistyped `allowPrivate` is not silently false.
//!
//! Not here: grants made through the API; the two meet in the database, where the file's entries
//! replace those of the same name at each start.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use stepwell_sandbox::{ALL_NAMESPACES, Grant};

use crate::secrets::ConnectionSpec;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantsFile {
    #[serde(default)]
    pub connections: BTreeMap<String, ConnectionSpec>,
    #[serde(default, deserialize_with = "either_shape")]
    pub grants: Vec<Grant>,
    /// As files had it before grants said it.
    #[serde(default)]
    pub records: Vec<RecordGrant>,
}

/// Lets a plugin, in all its versions, read and write records of a type, for flows of all namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RecordGrant {
    /// The package's name, without a version.
    pub plugin: String,
    pub record_type: String,
}

/// Also takes `"connection": "shop"`, as files had it before there was more to grant.
fn either_shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Grant>, D::Error> {
    let given: Vec<Value> = Vec::deserialize(deserializer)?;
    let read = |mut grant: Value| {
        if let Some(grant) = grant.as_object_mut()
            && let Some(name) = grant.remove("connection")
        {
            if grant.contains_key("connections") {
                return Err(serde::de::Error::custom("`connection` beside `connections`"));
            }
            grant.insert("connections".to_owned(), json!([name]));
        }
        serde_json::from_value(grant).map_err(serde::de::Error::custom)
    };
    given.into_iter().map(read).collect()
}

pub(crate) fn read(path: &Path) -> anyhow::Result<GrantsFile> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let mut json = serde_json::Deserializer::from_str(&text);
    let mut file: GrantsFile = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| anyhow::anyhow!("{}: at {}: {}", path.display(), error.path(), error.inner()))?;
    for grant in &file.grants {
        for connection in grant.connections.keys() {
            anyhow::ensure!(
                file.connections.contains_key(connection),
                "{}: the grant of {} names connection {connection}, which the file does not have",
                path.display(),
                grant.plugin,
            );
        }
    }
    file.grants.extend(std::mem::take(&mut file.records).into_iter().map(|RecordGrant { plugin, record_type }| {
        Grant { plugin, namespace: ALL_NAMESPACES.to_owned(), records: [record_type].into(), ..Grant::default() }
    }));
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn files_of_either_shape_are_read() {
        let shop = json!({ "shop": { "scheme": "http", "host": "x" } });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grants.json");
        for (grants, expected) in [
            (json!([]), "ok"),
            (json!([{ "plugin": "commerce", "connection": "shop" }]), "ok"),
            (json!([{ "plugin": "commerce", "connections": ["shop"] }]), "ok"),
            (
                json!([{ "plugin": "commerce@1", "namespace": "eu", "connections": { "shop": { "methods": ["GET"] } }, "memoryMiB": 128 }]),
                "ok",
            ),
            (json!([{ "plugin": "commerce", "connection": "bank" }]), "names connection bank"),
            (json!([{ "plugin": "commerce", "connection": "shop", "connections": [] }]), "beside"),
            (json!([{ "plugin": "commerce", "memory": 128 }]), "unknown field `memory`"),
            (json!([{ "plugin": "commerce", "connections": { "shop": { "method": [] } } }]), "unknown field `method`"),
        ] {
            std::fs::write(&path, json!({ "connections": shop, "grants": grants }).to_string()).unwrap();
            let said = read(&path).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            assert!(said.contains(expected), "{grants}: {said}");
        }
    }
}
