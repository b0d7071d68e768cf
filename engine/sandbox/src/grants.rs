//! What administrators let plugins reach and take: who may what, decided from plain data.
//!
//! [`allowed`] takes all grants, a build and a namespace, and says what that build may do for flows of
//! that namespace. Grants add up. Where several of them name the same connection or the same limit, the
//! one that names the build most closely holds: digest, then whole version, minor, major, name; of those
//! that name it alike, the one for the namespace before the one for all.
//!
//! Invariants:
//! - Nothing is allowed that no grant names: no connection, no records.
//! - A grant only narrows what its connection allows.
//!
//! Not here: where connections lead (`http::connections`), what is put in force (`reach`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use stepwell_core::problem::Problem;

use crate::http::connections::{Connection, method_problem, path_problem};

/// Everywhere.
pub const ALL_NAMESPACES: &str = "*";
/// What a call may be granted at most.
pub const MEMORY_MIB_MAX: u32 = 512;
/// Calls that one instance may serve at most.
pub(crate) const REUSE_MAX: u32 = 10_000;
/// The longest time a grant may say; a task's own timeout is below it anyway.
pub(crate) const TIME_MS_MAX: u64 = 24 * 3600 * 1000;
pub(crate) const RATE_MAX: u32 = 10_000;
pub(crate) const CONCURRENCY_MAX: u32 = 10_000;
const NAME_CHARS_MAX: usize = 200;
const ITEMS_MAX: usize = 200;

/// All connections, and which plugins may use which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// By the name that guests use: `http://<name>.connection/…`.
    #[serde(default)]
    pub connections: BTreeMap<String, Connection>,
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// What some builds of a plugin may do for flows of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// `name`, `name@1`, `name@1.2`, `name@1.2.0`, or the digest of a build.
    pub plugin: String,
    #[serde(default = "everywhere")]
    pub namespace: String,
    /// By name; a list of names narrows nothing.
    #[serde(default, deserialize_with = "named")]
    pub connections: BTreeMap<String, Narrowed>,
    /// Types of records.
    #[serde(default)]
    pub records: BTreeSet<String>,
    #[serde(flatten)]
    pub limits: Taken,
}

/// How a grant narrows a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Narrowed {
    /// Upper case; empty means those of the connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths as the plugin writes them, and what is below them; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Requests of the plugin in any second, at one engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// Requests of the plugin under way at once, at one engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// What a call may take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// All memories and tables of a call together; the engine's own limit where it is not said.
    #[serde(default, rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Most time of a call, whatever its task's timeout says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Calls that one instance serves, one after the other; one where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<u32>,
}

/// One build of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Hexadecimal.
    pub digest: &'a str,
}

/// What a build may do for flows of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    pub connections: BTreeMap<String, Narrowed>,
    pub records: BTreeSet<String>,
    pub limits: Taken,
    /// By connection: the grant that holds, as (plugin, namespace).
    pub by: BTreeMap<String, (String, String)>,
}

/// Decides what a build may do for flows of a namespace.
pub fn allowed(grants: &[Grant], build: Build<'_>, namespace: &str) -> Allowed {
    let mut holding: Vec<((u8, bool), &Grant)> = grants
        .iter()
        .filter(|grant| grant.namespace == ALL_NAMESPACES || grant.namespace == namespace)
        .filter_map(|grant| Some(((closeness(&grant.plugin, build)?, grant.namespace != ALL_NAMESPACES), grant)))
        .collect();
    // The closest last: it writes over the others.
    holding.sort_by_key(|(closeness, _)| *closeness);
    let mut allowed = Allowed::default();
    for (_, grant) in holding {
        for (name, narrowed) in &grant.connections {
            allowed.connections.insert(name.clone(), narrowed.clone());
            allowed.by.insert(name.clone(), (grant.plugin.clone(), grant.namespace.clone()));
        }
        allowed.records.extend(grant.records.iter().cloned());
        let Taken { memory_mib, time_ms, reuse } = &grant.limits;
        let limits = &mut allowed.limits;
        limits.memory_mib = memory_mib.or(limits.memory_mib);
        limits.time_ms = time_ms.or(limits.time_ms);
        limits.reuse = reuse.or(limits.reuse);
    }
    allowed
}

/// How closely a grant names a build; `None`: it names others.
fn closeness(plugin: &str, build: Build<'_>) -> Option<u8> {
    if plugin.strip_prefix("sha256:").unwrap_or(plugin) == build.digest {
        return Some(4);
    }
    let Some((name, version)) = plugin.split_once('@') else { return (plugin == build.name).then_some(0) };
    if name != build.name {
        return None;
    }
    if version == build.version {
        return Some(3);
    }
    // `1` is all of 1.x, `1.2` all of 1.2.x; a whole version is itself alone.
    let parts = version.split('.').count();
    let below = build.version.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'));
    match parts {
        1 | 2 if below => u8::try_from(parts).ok(),
        _ => None,
    }
}

impl Grants {
    /// All that is wrong with them; pointers are into this document.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for (name, connection) in &self.connections {
            if let Err(mut found) = connection.target(name) {
                problems.append(&mut found);
            }
        }
        for (at, grant) in self.grants.iter().enumerate() {
            for name in grant.connections.keys().filter(|name| !self.connections.contains_key(*name)) {
                let pointer = format!("/grants/{at}/connections/{name}");
                problems.push(Problem::error(
                    "CONNECTION_UNKNOWN",
                    pointer,
                    format!("there is no connection `{name}`"),
                ));
            }
            problems.extend(grant.problems().into_iter().map(|mut problem| {
                problem.pointer = format!("/grants/{at}{}", problem.pointer);
                problem
            }));
        }
        problems
    }
}

impl Grant {
    /// All that is wrong with it by itself.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |pointer: String, message: String| {
            problems.push(Problem::error("GRANT_INVALID", pointer, message));
        };
        if !names_builds(&self.plugin) {
            let message = format!(
                "`{}` names no builds: write a plugin's name, `name@1`, `name@1.2`, `name@1.2.0`, or a digest",
                self.plugin
            );
            wrong("/plugin".to_owned(), message);
        }
        if self.namespace.is_empty() || self.namespace.len() > NAME_CHARS_MAX || self.namespace.contains('.') {
            wrong("/namespace".to_owned(), format!("`{}` is no namespace, nor `*` for all", self.namespace));
        }
        for (name, narrowed) in &self.connections {
            let at = format!("/connections/{name}");
            for message in narrowed.methods.iter().filter_map(|method| method_problem(method)) {
                wrong(format!("{at}/methods"), message);
            }
            for message in narrowed.paths.iter().filter_map(|path| path_problem(path)) {
                wrong(format!("{at}/paths"), message);
            }
            for (field, value, max) in [
                ("ratePerSecond", narrowed.rate_per_second, RATE_MAX),
                ("concurrency", narrowed.concurrency, CONCURRENCY_MAX),
            ] {
                if value.is_some_and(|value| !(1..=max).contains(&value)) {
                    wrong(format!("{at}/{field}"), format!("it is not between 1 and {max}"));
                }
            }
        }
        let limits = &self.limits;
        for (field, value, max) in [
            ("memoryMiB", limits.memory_mib.map(u64::from), u64::from(MEMORY_MIB_MAX)),
            ("timeMs", limits.time_ms, TIME_MS_MAX),
            ("reuse", limits.reuse.map(u64::from), u64::from(REUSE_MAX)),
        ] {
            if value.is_some_and(|value| !(1..=max).contains(&value)) {
                wrong(format!("/{field}"), format!("it is not between 1 and {max}"));
            }
        }
        for name in nameless(&self.records) {
            wrong("/records".to_owned(), format!("`{name}` is no type of records"));
        }
        for (field, count) in [("connections", self.connections.len()), ("records", self.records.len())] {
            if count > ITEMS_MAX {
                wrong(format!("/{field}"), format!("{count} are too many: at most {ITEMS_MAX}"));
            }
        }
        problems
    }
}

/// Names that no type of records has.
fn nameless(records: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    records.iter().filter(|name| name.is_empty() || name.len() > NAME_CHARS_MAX)
}

fn names_builds(plugin: &str) -> bool {
    if let Some(digest) = plugin.strip_prefix("sha256:") {
        return digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    }
    let (name, version) = plugin.split_once('@').map_or((plugin, None), |(name, version)| (name, Some(version)));
    let said = |text: &str, also: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
        !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.bytes().all(fits)
    };
    said(name, b"-_.") && version.is_none_or(|version| said(version, b"-+.") && version.as_bytes()[0].is_ascii_digit())
}

fn everywhere() -> String {
    ALL_NAMESPACES.to_owned()
}

/// A map by name, or a list of names.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Narrowed>, D::Error> {
    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = BTreeMap<String, Narrowed>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("connections by name, or a list of names")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut read = BTreeMap::new();
            while let Some(name) = names.next_element()? {
                read.insert(name, Narrowed::default());
            }
            Ok(read)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut named: A) -> Result<Self::Value, A::Error> {
            let mut read = BTreeMap::new();
            while let Some((name, narrowed)) = named.next_entry()? {
                read.insert(name, narrowed);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_any(Either)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// `shop[GET] bank | records | memory time reuse`, for build `commerce@1.2.0` (digest `a…`) and a namespace.
    fn shown(grants: &Value, namespace: &str) -> String {
        let grants: Vec<Grant> = serde_json::from_value(grants.clone()).unwrap();
        let digest = "a".repeat(64);
        let allowed = allowed(&grants, Build { name: "commerce", version: "1.2.0", digest: &digest }, namespace);
        let connections: Vec<_> = allowed
            .connections
            .iter()
            .map(
                |(name, narrowed)| {
                    if narrowed.methods.is_empty() { name.clone() } else { format!("{name}{:?}", narrowed.methods) }
                },
            )
            .collect();
        let records: Vec<_> = allowed.records.iter().map(String::as_str).collect();
        let Taken { memory_mib, time_ms, reuse } = allowed.limits;
        let taken: Vec<_> = [memory_mib.map(u64::from), time_ms, reuse.map(u64::from)]
            .iter()
            .map(|one| one.map_or("-".to_owned(), |one| one.to_string()))
            .collect();
        format!("{}|{}|{}", connections.join(" "), records.join(" "), taken.join(" "))
    }

    #[test]
    fn what_a_build_may_do_follows_from_grants_and_namespace() {
        let digest = "a".repeat(64);
        let of = |plugin: &str, namespace: &str, method: &str| json!({ "plugin": plugin, "namespace": namespace, "connections": { "shop": { "methods": [method] } } });
        for (grants, namespace, expected) in [
            (json!([]), "default", "||- - -"),
            (json!([{ "plugin": "commerce", "connections": ["shop"] }]), "default", "shop||- - -"),
            (json!([{ "plugin": "commerce", "namespace": "eu", "connections": ["shop"] }]), "default", "||- - -"),
            (json!([{ "plugin": "commerce", "namespace": "eu", "connections": ["shop"] }]), "eu", "shop||- - -"),
            (json!([{ "plugin": "commerc", "connections": ["shop"] }]), "eu", "||- - -"),
            (json!([of("commerce@1", "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            (json!([of("commerce@1.2", "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            (json!([of("commerce@1.2.0", "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            // A whole number is compared, not its first digit.
            (
                json!([of("commerce@1.2.00", "*", "GET"), of("commerce@12", "*", "GET"), of("commerce@2", "*", "GET")]),
                "eu",
                "||- - -",
            ),
            (json!([of(&digest, "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            (json!([of(&format!("sha256:{digest}"), "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            // The closest holds, whatever the order.
            (json!([of("commerce@1.2.0", "*", "PUT"), of("commerce", "eu", "GET")]), "eu", r#"shop["PUT"]||- - -"#),
            (json!([of("commerce", "eu", "GET"), of("commerce", "*", "PUT")]), "eu", r#"shop["GET"]||- - -"#),
            (json!([of("commerce@1", "*", "PUT"), of("commerce@1.2", "*", "GET")]), "eu", r#"shop["GET"]||- - -"#),
            (
                json!([{ "plugin": "commerce", "connections": ["shop"], "records": ["order"], "memoryMiB": 8, "timeMs": 50 },
                       { "plugin": "commerce@1", "namespace": "eu", "connections": ["bank"], "records": ["stock"], "timeMs": 70, "reuse": 3 }]),
                "eu",
                "bank shop|order stock|8 70 3",
            ),
        ] {
            assert_eq!(shown(&grants, namespace), expected, "{grants} in {namespace}");
        }
    }

    #[test]
    fn grants_are_checked_as_a_whole() {
        let shop = || json!({ "shop": { "scheme": "http", "host": "shop.test" } });
        for (connections, grant, problem) in [
            (shop(), json!({ "plugin": "commerce", "connections": ["shop"] }), ""),
            (
                shop(),
                json!({ "plugin": "commerce", "connections": { "shop": { "paths": ["/a"], "ratePerSecond": 5 } } }),
                "",
            ),
            (json!({}), json!({ "plugin": "commerce", "connections": ["shop"] }), "/grants/0/connections/shop"),
            (shop(), json!({ "plugin": "a b" }), "/grants/0/plugin"),
            (shop(), json!({ "plugin": "a@" }), "/grants/0/plugin"),
            (shop(), json!({ "plugin": "a@^1" }), "/grants/0/plugin"),
            (shop(), json!({ "plugin": "sha256:ab" }), "/grants/0/plugin"),
            (shop(), json!({ "plugin": "a", "namespace": "" }), "/grants/0/namespace"),
            (shop(), json!({ "plugin": "a", "namespace": "eu.shop" }), "/grants/0/namespace"),
            (shop(), json!({ "plugin": "a", "memoryMiB": 513 }), "/grants/0/memoryMiB"),
            (shop(), json!({ "plugin": "a", "timeMs": 0 }), "/grants/0/timeMs"),
            (shop(), json!({ "plugin": "a", "reuse": 0 }), "/grants/0/reuse"),
            (shop(), json!({ "plugin": "a", "records": ["order", ""] }), "/grants/0/records"),
            (
                shop(),
                json!({ "plugin": "a", "connections": { "shop": { "methods": ["get"] } } }),
                "/grants/0/connections/shop/methods",
            ),
            (
                shop(),
                json!({ "plugin": "a", "connections": { "shop": { "paths": ["a"] } } }),
                "/grants/0/connections/shop/paths",
            ),
            (
                shop(),
                json!({ "plugin": "a", "connections": { "shop": { "concurrency": 0 } } }),
                "/grants/0/connections/shop/concurrency",
            ),
        ] {
            let read: Grants =
                serde_json::from_value(json!({ "connections": connections, "grants": [grant] })).unwrap();
            let pointers: Vec<_> = read.problems().into_iter().map(|problem| problem.pointer).collect();
            assert_eq!(pointers.join(" "), problem, "{grant}");
        }
    }
}
