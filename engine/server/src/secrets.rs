//! Connections as they are given, kept and put in force; between them, their secrets are sealed.
//!
//! A connection is kept with the names of its secrets alone. A value that comes with a connection (in its
//! `secrets`, or as a header) becomes a secret of the connection's own, `connection.NAME`; one that several
//! connections share is set by itself and named by each.
//!
//! Invariants:
//! - No value is in what is kept of a connection, but of the headers in [`PLAIN`].
//! - A value that cannot be sealed is not kept.
//! - A value that is there already is not a new version.
//!
//! Not here: keys (`sealing`), what is put into which request (`sandbox`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stepwell_core::problem::Problem;
use stepwell_runtime::journal::Unavailable;
use stepwell_sandbox::{Connection, ConnectionScheme, Grants, PLACEHOLDER, Secret, placeholders};
use stepwell_store::{Act, Sealed, Store};

use crate::sealing::{Keys, NoKey};

/// What an API shows in place of a value, and takes for "as it was".
const HIDDEN: &str = "***";
/// Headers whose values are no secrets.
const PLAIN: [&str; 5] = ["accept", "accept-language", "content-type", "user-agent", "x-api-version"];
pub(crate) const VALUE_BYTES_MAX: usize = 8 * 1024;
const NAMES_MAX: usize = 50;

/// A connection as it is given and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConnectionSpec {
    scheme: ConnectionScheme,
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    path_prefix: String,
    #[serde(default)]
    allow_private: bool,
    /// Values as they are sent, but for placeholders.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    secrets: Given,
    #[serde(default)]
    rate_per_second: Option<u32>,
    #[serde(default)]
    concurrency: Option<u32>,
}

/// Secrets of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Given {
    /// As they are kept.
    Names(Vec<String>),
    /// By name, with their values.
    Values(BTreeMap<String, Secret>),
}

impl Default for Given {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// A connection to be kept, and the values that came with it, by the names of their secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    spec: ConnectionSpec,
    values: BTreeMap<String, Secret>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    #[error("{}", .0.iter().map(|one| format!("{}: {}", one.pointer, one.message)).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    #[error("connection {name} as stored cannot be read: {reason}")]
    Unreadable { name: String, reason: String },
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl ConnectionSpec {
    /// Reads one that is kept.
    pub(crate) fn read(connection: stepwell_store::Connection) -> Result<Self, SecretsError> {
        serde_json::from_value(connection.spec)
            .map_err(|error| SecretsError::Unreadable { name: connection.name, reason: error.to_string() })
    }

    /// The names of its secrets.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match &self.secrets {
            Given::Names(names) => names.iter().map(String::as_str).collect(),
            Given::Values(values) => values.keys().map(String::as_str).collect(),
        }
    }

    /// Takes the values out. What was hidden stays as it was `before`.
    fn settle(self, name: &str, before: Option<&Self>) -> Settled {
        let mut values = BTreeMap::new();
        let mut names = match self.secrets {
            Given::Names(names) => names,
            Given::Values(given) => {
                let own = |(local, value): (String, Secret)| {
                    let secret =
                        before.and_then(|before| before.named(&local)).unwrap_or_else(|| format!("{name}.{local}"));
                    if value.0 != HIDDEN {
                        values.insert(secret.clone(), value);
                    }
                    secret
                };
                given.into_iter().map(own).collect()
            }
        };
        let mut headers = BTreeMap::new();
        for (header, mut value) in self.headers {
            if value.0 == HIDDEN
                && let Some(before) = before
                && let Some(kept) = before.headers.get(&header)
            {
                names.extend(placeholders(&kept.0).filter_map(|local| before.named(local)));
                value = kept.clone();
            }
            if value.0.contains(PLACEHOLDER) || PLAIN.contains(&header.to_ascii_lowercase().as_str()) {
                headers.insert(header, value);
            } else {
                let local = format!(
                    "HEADER_{}",
                    header.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
                );
                values.insert(format!("{name}.{local}"), value);
                names.push(format!("{name}.{local}"));
                headers.insert(header, Secret(format!("{PLACEHOLDER}{local}")));
            }
        }
        names.sort();
        names.dedup();
        Settled { spec: Self { headers, secrets: Given::Names(names), ..self }, values }
    }

    /// The whole name of the secret that is called `local` in its headers.
    fn named(&self, local: &str) -> Option<String> {
        match &self.secrets {
            Given::Names(names) => names.iter().find(|name| local_name(name) == local).cloned(),
            // What lies in clear has no name of its own yet.
            Given::Values(_) => None,
        }
    }

    /// As the sandbox takes it; a secret that is not at hand is left out.
    pub(crate) fn resolve(self, mut value: impl FnMut(&str) -> Option<Secret>) -> Connection {
        let secrets = match self.secrets {
            Given::Names(names) => {
                names.iter().filter_map(|name| Some((local_name(name).to_owned(), value(name)?))).collect()
            }
            // From before secrets were sealed.
            Given::Values(values) => values,
        };
        Connection {
            scheme: self.scheme,
            host: self.host,
            port: self.port,
            methods: self.methods,
            path_prefix: self.path_prefix,
            allow_private: self.allow_private,
            headers: self.headers,
            secrets,
            rate_per_second: self.rate_per_second,
            concurrency: self.concurrency,
        }
    }
}

impl Settled {
    /// All that is wrong with it; pointers are into the connection.
    fn problems(&self, name: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |pointer: String, message: String| {
            problems.push(Problem::error("CONNECTION_INVALID", pointer, message));
        };
        let names = self.spec.secrets();
        if names.len() > NAMES_MAX {
            wrong("/secrets".to_owned(), format!("{} secrets are too many: at most {NAMES_MAX}", names.len()));
        }
        for (at, secret) in names.iter().enumerate() {
            if let Some(message) = name_problem(secret) {
                wrong("/secrets".to_owned(), message);
            }
            if names[..at].iter().any(|other| local_name(other) == local_name(secret)) {
                wrong("/secrets".to_owned(), format!("two secrets would be `{}` in a header", local_name(secret)));
            }
        }
        for (header, value) in &self.spec.headers {
            for local in placeholders(&value.0).filter(|local| names.iter().all(|name| local_name(name) != *local)) {
                let message = format!("`{PLACEHOLDER}{local}` is none of the connection's secrets");
                wrong(format!("/headers/{header}"), message);
            }
        }
        for (secret, value) in &self.values {
            if let Some(message) = value_problem(&value.0) {
                wrong("/secrets".to_owned(), format!("{secret}: {message}"));
            }
        }
        let sample = self.spec.clone().resolve(|_| Some(Secret("x".to_owned())));
        let alone = Grants { connections: [(name.to_owned(), sample)].into(), grants: Vec::new() };
        problems.extend(alone.problems().into_iter().map(|mut problem| {
            problem.pointer = problem.pointer.splitn(4, '/').nth(3).map_or(String::new(), |rest| format!("/{rest}"));
            problem
        }));
        problems
    }
}

/// As headers call it.
pub(crate) fn local_name(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, local)| local)
}

/// What is wrong with a secret's name.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    let (connection, local) = name.split_once('.').map_or((None, name), |(first, rest)| (Some(first), rest));
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = connection.is_none_or(|name| (1..=63).contains(&name.len()) && name.bytes().all(lower))
        && (1..=100).contains(&local.len())
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (!fits).then(|| {
        format!(
            "`{name}` is no name of a secret: letters, digits, `_` and `-`, perhaps after a connection's name and a dot"
        )
    })
}

/// What is wrong with a secret's value, which is not repeated.
pub(crate) fn value_problem(value: &str) -> Option<&'static str> {
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Some("a value has 1 to 8192 bytes");
    }
    http::HeaderValue::try_from(value)
        .is_err()
        .then_some("a header cannot carry this value: it has a line end or a control character")
}

/// Keeps a connection as it was given. `false`: it was so before.
pub(crate) async fn put_connection(
    store: &Store,
    keys: &Keys,
    act: Act,
    name: &str,
    given: ConnectionSpec,
) -> Result<bool, SecretsError> {
    let before = store.connections().await?.into_iter().find(|one| one.name == name).map(ConnectionSpec::read);
    // One that cannot be read is replaced whole.
    let before = before.and_then(Result::ok);
    let settled = given.settle(name, before.as_ref());
    let problems = settled.problems(name);
    if !problems.is_empty() {
        return Err(SecretsError::Refused(problems));
    }
    let Settled { spec, mut values } = settled;
    for kept in store.secrets().await? {
        let same =
            values.get(&kept.name).is_some_and(|value| keys.open(&kept.name, &kept.sealed).as_ref() == Some(value));
        if same {
            values.remove(&kept.name);
        }
    }
    let sealed: Result<Vec<(String, Sealed)>, NoKey> =
        values.iter().map(|(name, value)| Ok((name.clone(), keys.seal(name, value)?))).collect();
    let sealed = sealed?;
    if sealed.is_empty() && before.as_ref() == Some(&spec) {
        return Ok(false);
    }
    let spec = serde_json::to_value(&spec)
        .map_err(|error| SecretsError::Unreadable { name: name.to_owned(), reason: error.to_string() })?;
    store.put_connection(act, name, &spec, sealed).await?;
    Ok(true)
}

/// At a start: seals what an earlier engine kept in clear, and what is sealed with a key that is to go.
pub(crate) async fn tidy(store: &Store, keys: &Keys, at_ms: u64) -> Result<(), SecretsError> {
    let act = || Act { by: "engine".to_owned(), at_ms };
    let Some(id) = keys.id() else { return untidy(store).await };
    for connection in store.connections().await? {
        let name = connection.name.clone();
        // One that is settled stays as it is.
        match put_connection(store, keys, act(), &name, ConnectionSpec::read(connection)?).await {
            Ok(true) => tracing::info!(connection = name, "its secrets are sealed from now on"),
            Ok(false) => {}
            // What was kept by older rules is used as it is; it stops no start.
            Err(SecretsError::Refused(problems)) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                tracing::error!(connection = name, why, "a connection's secrets stay in clear: put it anew");
            }
            Err(error) => return Err(error),
        }
    }
    for kept in store.secrets().await?.into_iter().filter(|kept| kept.sealed.key_id != id) {
        let Some(value) = keys.open(&kept.name, &kept.sealed) else {
            let (secret, key) = (&kept.name, &kept.sealed.key_id);
            tracing::error!(secret, key, "a secret is sealed with a key that was not given: what needs it fails");
            continue;
        };
        if store.reseal(act(), &kept, keys.seal(&kept.name, &value)?).await? {
            tracing::info!(
                secret = kept.name,
                from = kept.sealed.key_id,
                to = id,
                "a secret is sealed with another key"
            );
        }
    }
    Ok(())
}

/// Without a key: says what that means for what is there.
async fn untidy(store: &Store) -> Result<(), SecretsError> {
    let sealed = store.secrets().await?.len();
    let mut clear = 0;
    for connection in store.connections().await? {
        let name = connection.name.clone();
        clear += usize::from(!ConnectionSpec::read(connection)?.settle(&name, None).values.is_empty());
    }
    if sealed + clear > 0 {
        tracing::error!(sealed, clear, "no key for secrets: the sealed ones cannot be used, others lie in clear");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::{Value, json};

    use super::*;

    fn spec(headers: &Value, secrets: &Value) -> ConnectionSpec {
        serde_json::from_value(
            json!({ "scheme": "https", "host": "shop.test", "headers": headers, "secrets": secrets }),
        )
        .unwrap()
    }

    /// `{headers} [names] name=value …`
    fn shown(given: ConnectionSpec, before: Option<&ConnectionSpec>) -> String {
        let Settled { spec, values } = given.settle("shop", before);
        let values: Vec<_> = values.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
        let kept = serde_json::to_value(&spec).unwrap();
        format!("{} {} {}", kept["headers"], kept["secrets"], values.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn values_become_secrets_of_their_own() {
        let before = spec(&json!({ "authorization": "Bearer $secret:T" }), &json!(["T", "shop.OWN"]));
        // As it was kept before secrets were sealed.
        let clear = spec(&json!({ "a": "hush" }), &json!({ "T": "hush" }));
        for (headers, secrets, before, expected) in [
            (json!({}), json!({}), None, "{} []"),
            (json!({}), json!(["T"]), None, r#"{} ["T"]"#),
            (json!({}), json!({ "T": "hush" }), None, r#"{} ["shop.T"] shop.T=hush"#),
            (json!({ "accept": "a/b" }), json!({}), None, r#"{"accept":"a/b"} []"#),
            (
                json!({ "X-Api-Key": "hush" }),
                json!({}),
                None,
                r#"{"X-Api-Key":"$secret:HEADER_X_API_KEY"} ["shop.HEADER_X_API_KEY"] shop.HEADER_X_API_KEY=hush"#,
            ),
            (json!({ "a": "b $secret:T" }), json!(["T"]), None, r#"{"a":"b $secret:T"} ["T"]"#),
            // What was hidden stays, be it shared or its own.
            (json!({}), json!({ "T": "***", "OWN": "***" }), Some(&before), r#"{} ["T","shop.OWN"]"#),
            (json!({}), json!({ "OWN": "new" }), Some(&before), r#"{} ["shop.OWN"] shop.OWN=new"#),
            (
                json!({ "a": "***" }),
                json!({ "T": "***" }),
                Some(&clear),
                r#"{"a":"$secret:HEADER_A"} ["shop.HEADER_A","shop.T"] shop.HEADER_A=hush"#,
            ),
            (
                json!({ "authorization": "***" }),
                json!([]),
                Some(&before),
                r#"{"authorization":"Bearer $secret:T"} ["T"]"#,
            ),
        ] {
            assert_eq!(shown(spec(&headers, &secrets), before), expected, "{headers} {secrets}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_is_refused() {
        for (headers, secrets, pointers) in [
            (json!({ "a": "$secret:T" }), json!(["T"]), ""),
            (json!({ "a": "$secret:T" }), json!([]), "/headers/a"),
            (json!({}), json!(["bad name"]), "/secrets"),
            (json!({}), json!(["T", "shop.T"]), "/secrets"),
            (json!({}), json!({ "T": "" }), "/secrets"),
            (json!({}), json!({ "T": "a\r\nb: c" }), "/secrets"),
            (json!({ "a b": "c" }), json!([]), "/headers"),
        ] {
            let settled = spec(&headers, &secrets).settle("shop", None);
            let problems = settled.problems("shop");
            let found: Vec<_> = problems.iter().map(|problem| &*problem.pointer).collect();
            assert_eq!(found.join(" "), pointers, "{headers} {secrets}");
        }
    }

    #[test]
    fn a_secret_that_is_not_at_hand_is_left_out() {
        let given = spec(&json!({}), &json!(["T", "shop.OWN"]));
        let resolved = given.resolve(|name| (name == "shop.OWN").then(|| Secret("hush".to_owned())));
        assert_eq!(resolved.secrets.keys().collect::<Vec<_>>(), ["OWN"]);
        // As kept before secrets were sealed.
        assert_eq!(spec(&json!({}), &json!({ "T": "clear" })).resolve(|_| None).secrets["T"].0, "clear");
    }
}
