//! Connections: where a name that guests use leads, and what goes along.
//!
//! Invariants:
//! - A secret is never shown: not in `Debug`, not to a guest. It is wiped when it is dropped.
//! - A connection whose header names a secret that is not there sends nothing.
//!
//! Not here: who may use which (`grants`), which addresses a host name may resolve to (`address`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use zeroize::Zeroize as _;

use super::throttle::{Bound, Throttle};

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
    /// Set on every request, whatever the guest sets: credentials, mostly. `$secret:NAME` stands for a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Put in for `$secret:NAME` where that stands in a header of the guest or in one of these headers.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Requests in any second, of all plugins, at one engine.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// Requests under way at once, of all plugins, at one engine.
    #[serde(default)]
    pub concurrency: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionScheme {
    Http,
    Https,
}

impl ConnectionScheme {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A text that does not show in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A connection, checked and ready to send to.
#[derive(Debug)]
pub(crate) struct Target {
    scheme: Scheme,
    /// Host and, where it is not the scheme's own, port.
    authority: Authority,
    methods: Vec<Method>,
    path_prefix: String,
    pub(crate) allow_private: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// A secret that a header names and that is not there.
    pub(crate) lacks: Option<String>,
    pub(crate) throttle: Arc<Throttle>,
}

impl Target {
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    /// Where a path, with its query, leads.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let builder = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        builder.path_and_query(format!("{}{path}", self.path_prefix)).build()
    }
}

/// How a header names a secret of the connection.
pub const PLACEHOLDER: &str = "$secret:";

/// The names that a text's placeholders have.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split(PLACEHOLDER).skip(1).map(|part| named(part).0)
}

/// A placeholder's name, and what comes after it.
fn named(part: &str) -> (&str, &str) {
    part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len()))
}

/// A text with its placeholders filled in; `Err`: the secret that is not there.
pub(crate) fn fill(text: &str, secrets: &BTreeMap<String, Secret>) -> Result<Secret, String> {
    let mut parts = text.split(PLACEHOLDER);
    let mut filled = Secret(parts.next().unwrap_or_default().to_owned());
    for part in parts {
        let (name, rest) = named(part);
        let secret = secrets.get(name).ok_or_else(|| name.to_owned())?;
        // Room is made by hand: a text that outgrows its room leaves a copy behind.
        let mut longer = String::with_capacity(filled.0.len() + secret.0.len() + rest.len());
        longer.push_str(&filled.0);
        longer.push_str(&secret.0);
        longer.push_str(rest);
        filled = Secret(longer);
    }
    Ok(filled)
}

/// What is wrong with a method's name.
pub(crate) fn method_problem(method: &str) -> Option<String> {
    let known = Method::from_bytes(method.as_bytes()).is_ok() && method == method.to_uppercase();
    (!known).then(|| format!("`{method}` is no HTTP method in upper case"))
}

/// What is wrong with a path that others are to be below.
pub(crate) fn path_problem(path: &str) -> Option<String> {
    let fits = path.starts_with('/') && !path.contains(['?', '#']) && PathAndQuery::try_from(path).is_ok();
    (!fits).then(|| format!("`{path}` is no path that begins with `/`"))
}

impl Connection {
    /// All that is wrong with it, if anything is.
    pub(crate) fn target(&self, name: &str) -> Result<Target, Vec<Problem>> {
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
            match (method_problem(method), Method::from_bytes(method.as_bytes())) {
                (None, Ok(known)) => methods.push(known),
                (message, _) => wrong("/methods", message.unwrap_or_default()),
            }
        }
        let prefix = self.path_prefix.trim_end_matches('/');
        if let Some(message) = Some(prefix).filter(|prefix| !prefix.is_empty()).and_then(path_problem) {
            wrong("/pathPrefix", message);
        }
        let (mut headers, mut lacks) = (HeaderMap::new(), None);
        for (header, value) in &self.headers {
            let value = fill(&value.0, &self.secrets).unwrap_or_else(|missing| {
                lacks = Some(missing);
                Secret(String::new())
            });
            match (HeaderName::try_from(header), HeaderValue::try_from(&value.0)) {
                (Ok(header), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(header, value);
                }
                _ => wrong("/headers", format!("the header `{header}` cannot be sent")),
            }
        }
        for (field, value, max) in [
            ("/ratePerSecond", self.rate_per_second, crate::grants::RATE_MAX),
            ("/concurrency", self.concurrency, crate::grants::CONCURRENCY_MAX),
        ] {
            if value.is_some_and(|value| !(1..=max).contains(&value)) {
                wrong(field, format!("it is not between 1 and {max}"));
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
                lacks,
                throttle: Arc::new(Throttle::new(Bound {
                    rate_per_second: self.rate_per_second,
                    concurrency: self.concurrency,
                })),
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
    fn a_connection_is_checked_before_it_is_used() {
        for (name, connection, problem) in [
            ("shop", json!({ "host": "shop.test" }), ""),
            ("six", json!({ "host": "::1", "port": 80 }), ""),
            ("Shop", json!({ "host": "shop.test" }), "/connections/Shop"),
            ("a", json!({ "host": "x/y" }), "/connections/a/host"),
            ("a", json!({ "host": "me@x" }), "/connections/a/host"),
            ("a", json!({ "host": "x:1" }), "/connections/a/host"),
            ("a", json!({ "host": "x", "methods": ["get"] }), "/connections/a/methods"),
            ("a", json!({ "host": "x", "pathPrefix": "v1" }), "/connections/a/pathPrefix"),
            ("a", json!({ "host": "x", "headers": { "b c": "" } }), "/connections/a/headers"),
            // Nothing that a secret holds ends a header and begins another.
            (
                "a",
                json!({ "host": "x", "headers": { "b": "$secret:S" }, "secrets": { "S": "1\r\nc: 2" } }),
                "/connections/a/headers",
            ),
            ("a", json!({ "host": "x", "ratePerSecond": 0 }), "/connections/a/ratePerSecond"),
            ("a", json!({ "host": "x", "concurrency": 10_001 }), "/connections/a/concurrency"),
        ] {
            let mut connection = connection;
            connection["scheme"] = json!("http");
            let read: Connection = serde_json::from_value(connection).unwrap();
            let pointers: Vec<_> =
                read.target(name).err().unwrap_or_default().into_iter().map(|problem| problem.pointer).collect();
            assert_eq!(pointers.join(" "), problem, "{read:?}");
        }
    }

    #[test]
    fn placeholders_are_filled_from_the_connections_own_secrets() {
        let secrets: BTreeMap<String, Secret> =
            [("T".to_owned(), Secret("t0p".to_owned())), ("T_2".to_owned(), Secret("$secret:T".to_owned()))].into();
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("Bearer $secret:T", Ok("Bearer t0p")),
            ("$secret:T-$secret:T.", Ok("t0p-t0p.")),
            // What a secret says is not read again.
            ("$secret:T_2", Ok("$secret:T")),
            ("$secret:", Err("")),
            ("$secret:OTHER x", Err("OTHER")),
        ] {
            let filled = fill(text, &secrets);
            assert_eq!(filled.as_ref().map(|one| one.0.as_str()).map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let connection: Connection = serde_json::from_value(json!({
            "scheme": "http", "host": "x", "headers": { "authorization": "Basic $secret:S" }, "secrets": { "S": "hush" }
        }))
        .unwrap();
        assert!(!format!("{connection:?} {:?}", connection.target("a")).contains("hush"));
    }
}
