//! `--grants FILE`: connections and grants that an installation brings along.
//!
//! ```json
//! { "connections": { "shop": { "scheme": "http", "host": "127.0.0.1", "port": 7071, "allowPrivate": true } },
//!   "grants": [{ "plugin": "commerce", "connection": "shop" }],
//!   "records": [{ "plugin": "orders", "recordType": "order" }] }
//! ```
//!
//! Invariant: an unknown key is refused, so that a mistyped `allowPrivate` is not silently false.
//!
//! Not here: grants made through the API; the two meet in the database, where the file's entries
//! replace those of the same name at each start.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantsFile {
    #[serde(default)]
    pub connections: BTreeMap<String, stepwell_sandbox::Connection>,
    #[serde(default)]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub records: Vec<RecordGrant>,
}

/// Lets a plugin, in all its versions, read and write records of a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RecordGrant {
    /// The package's name, without a version.
    pub plugin: String,
    pub record_type: String,
}

/// Lets a plugin, in all its versions, use a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// The package's name, without a version.
    pub plugin: String,
    pub connection: String,
}

pub(crate) fn read(path: &Path) -> anyhow::Result<GrantsFile> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let mut json = serde_json::Deserializer::from_str(&text);
    let file: GrantsFile = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| anyhow::anyhow!("{}: at {}: {}", path.display(), error.path(), error.inner()))?;
    for grant in &file.grants {
        anyhow::ensure!(
            file.connections.contains_key(&grant.connection),
            "{}: the grant of {} names connection {}, which the file does not have",
            path.display(),
            grant.plugin,
            grant.connection
        );
    }
    Ok(file)
}
