//! What administrators let plugins reach: connections, and who may use them.
//!
//! Plain data, from the database and `--grants FILE`; the sandbox holds the set in force.
//!
//! Invariants:
//! - No request leaves without a grant of (plugin, connection).
//! - A secret is never shown: not in `Debug`, not to a guest.
//!
//! Not here: which addresses a host name may resolve to (`address`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;

/// All connections, and which plugins may use which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// By the name that guests use: `http://<name>.connection/…`.
    #[serde(default)]
    pub connections: BTreeMap<String, Connection>,
    #[serde(default)]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub records: Vec<RecordGrant>,
}

/// Lets one plugin, in all its versions, read and write records of some types. The types need not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordGrant {
    /// Name of the package, without a version.
    pub plugin: String,
    pub record_types: Vec<String>,
}

/// Lets one plugin, in all its versions, use some connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Name of the package, without a version.
    pub plugin: String,
    pub connections: Vec<String>,
}

/// A named target. Everything that is not said here is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    pub scheme: ConnectionScheme,
    /// Host name or IP address.
    pub host: String,
    /// The scheme's own port where none is given.
    #[serde(default)]
    pub port: Option<u16>,
    /// Upper case; empty means all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Put before the path of every request, such as `/api/v2`; nothing above it is reachable.
    #[serde(default)]
    pub path_prefix: String,
    /// Loopback, private and link-local addresses are refused without this.
    #[serde(default)]
    pub allow_private: bool,
    /// Set on every request, whatever the guest sets: credentials, mostly.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Put in for `$secret:NAME` where that stands in a header of the guest.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionScheme {
    Http,
    Https,
}

/// A text that does not show in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A granted connection, checked and ready to send to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    /// Host and, where it is not the scheme's own, port.
    pub(crate) authority: Authority,
    methods: Vec<Method>,
    pub(crate) path_prefix: String,
    pub(crate) allow_private: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

impl Target {
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }
}

/// The grants in force, by plugin and connection.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    by_plugin: HashMap<String, HashMap<String, Arc<Target>>>,
    records: HashMap<String, Arc<HashSet<String>>>,
}

impl Reach {
    pub(crate) fn target(&self, plugin: &str, connection: &str) -> Option<&Arc<Target>> {
        self.by_plugin.get(plugin)?.get(connection)
    }

    /// The record types that a plugin may reach.
    pub(crate) fn record_types(&self, plugin: &str) -> Arc<HashSet<String>> {
        self.records.get(plugin).cloned().unwrap_or_default()
    }
}

impl Grants {
    /// All that is wrong with them; pointers are into this document.
    pub fn problems(&self) -> Vec<Problem> {
        self.reach().err().unwrap_or_default()
    }

    pub(crate) fn reach(&self) -> Result<Reach, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut targets = HashMap::new();
        for (name, connection) in &self.connections {
            match connection.target(name) {
                Ok(target) => {
                    targets.insert(name.as_str(), Arc::new(target));
                }
                Err(mut found) => problems.append(&mut found),
            }
        }
        let mut reach = Reach::default();
        for grant in &self.records {
            let known = reach.records.entry(grant.plugin.clone()).or_default();
            Arc::make_mut(known).extend(grant.record_types.iter().cloned());
        }
        for (at, grant) in self.grants.iter().enumerate() {
            let plugin = reach.by_plugin.entry(grant.plugin.clone()).or_default();
            for (nth, name) in grant.connections.iter().enumerate() {
                if let Some(target) = targets.get(name.as_str()) {
                    plugin.insert(name.clone(), Arc::clone(target));
                } else if !self.connections.contains_key(name) {
                    let pointer = format!("/grants/{at}/connections/{nth}");
                    let message = format!("there is no connection `{name}`");
                    problems.push(Problem::error("CONNECTION_UNKNOWN", pointer, message));
                }
            }
        }
        if problems.is_empty() { Ok(reach) } else { Err(problems) }
    }
}

impl Connection {
    fn target(&self, name: &str) -> Result<Target, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: String| {
            problems.push(Problem::error("CONNECTION_INVALID", format!("/connections/{name}{field}"), message));
        };
        // The name is a label of a host name in the guest's URLs.
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(label) {
            wrong("", format!("the name `{name}` is not made of lower-case letters, digits and `-`, at most 63"));
        }
        let authority = self.authority();
        if authority.is_none() {
            wrong("/host", format!("`{}` is no host name or address", self.host));
        }
        let mut methods = Vec::new();
        for method in &self.methods {
            match Method::from_bytes(method.as_bytes()) {
                Ok(known) if *method == method.to_uppercase() => methods.push(known),
                _ => wrong("/methods", format!("`{method}` is no HTTP method in upper case")),
            }
        }
        let prefix = self.path_prefix.trim_end_matches('/');
        if !prefix.is_empty() && (!prefix.starts_with('/') || PathAndQuery::try_from(prefix).is_err()) {
            wrong("/pathPrefix", format!("`{prefix}` is no path that begins with `/`"));
        }
        let mut headers = HeaderMap::new();
        for (header, value) in &self.headers {
            match (HeaderName::try_from(header), HeaderValue::try_from(&value.0)) {
                (Ok(header), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(header, value);
                }
                _ => wrong("/headers", format!("the header `{header}` cannot be sent")),
            }
        }
        match authority {
            Some(authority) if problems.is_empty() => Ok(Target {
                scheme: self.scheme.into(),
                authority,
                methods,
                path_prefix: prefix.to_owned(),
                allow_private: self.allow_private,
                headers,
                secrets: self.secrets.clone(),
            }),
            _ => Err(problems),
        }
    }

    fn authority(&self) -> Option<Authority> {
        // An IPv6 address stands in brackets in a URL.
        let host = if self.host.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if host.is_empty() || host.contains(['@', '/', '?', '#']) || (host.contains(':') && !host.starts_with('[')) {
            return None;
        }
        let text = self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Authority::try_from(text).ok()
    }
}

impl From<ConnectionScheme> for Scheme {
    fn from(scheme: ConnectionScheme) -> Self {
        match scheme {
            ConnectionScheme::Http => Self::HTTP,
            ConnectionScheme::Https => Self::HTTPS,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn grants_are_checked_as_a_whole() {
        for (connections, grants, problem) in [
            (json!({ "shop": { "scheme": "http", "host": "shop.test" } }), json!([["commerce", "shop"]]), ""),
            (json!({ "six": { "scheme": "http", "host": "::1", "port": 80 } }), json!([]), ""),
            (json!({}), json!([["commerce", "shop"]]), "/grants/0/connections/0"),
            (json!({ "Shop": { "scheme": "http", "host": "shop.test" } }), json!([]), "/connections/Shop"),
            (json!({ "a": { "scheme": "http", "host": "x/y" } }), json!([]), "/connections/a/host"),
            (json!({ "a": { "scheme": "http", "host": "me@x" } }), json!([]), "/connections/a/host"),
            (json!({ "a": { "scheme": "http", "host": "x:1" } }), json!([]), "/connections/a/host"),
            (
                json!({ "a": { "scheme": "http", "host": "x", "methods": ["get"] } }),
                json!([]),
                "/connections/a/methods",
            ),
            (
                json!({ "a": { "scheme": "http", "host": "x", "pathPrefix": "v1" } }),
                json!([]),
                "/connections/a/pathPrefix",
            ),
            (
                json!({ "a": { "scheme": "http", "host": "x", "headers": { "b c": "" } } }),
                json!([]),
                "/connections/a/headers",
            ),
        ] {
            let pairs = grants.as_array().unwrap().iter();
            let grants: Vec<_> = pairs.map(|pair| json!({ "plugin": pair[0], "connections": [pair[1]] })).collect();
            let read: Grants = serde_json::from_value(json!({ "connections": connections, "grants": grants })).unwrap();
            let pointers: Vec<_> = read.problems().into_iter().map(|problem| problem.pointer).collect();
            assert_eq!(pointers.join(" "), problem, "{read:?}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let grants: Grants = serde_json::from_value(json!({
            "connections": { "a": { "scheme": "http", "host": "x", "headers": { "authorization": "hush" } } }
        }))
        .unwrap();
        assert!(!format!("{grants:?} {:?}", grants.reach()).contains("hush"));
    }
}
