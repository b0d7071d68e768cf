//! Holds dependencies to `deny.toml`: licences, banned crates, sources.
//!
//! `cargo deny` does this and more, but takes longer to compile than the rest of the check, so it is used where it
//! is installed and never installed here. This module reads the same file and refuses the same things without it.
//!
//! Not here: known vulnerabilities (they need the network); duplicate versions (allowed).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::paths;

#[derive(Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Sources {
    #[serde(rename = "allow-registry")]
    registries: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for our own crates, which come from a path.
    source: Option<String>,
}

/// Checks everything that the workspace of `manifest` depends on.
pub(crate) fn check(manifest: &Path) -> Result<()> {
    let rules = fs::read_to_string(paths::root().join("deny.toml")).context("cannot read deny.toml")?;
    let rules: Rules = toml::from_str(&rules).context("deny.toml")?;
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(manifest)
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let problems: Vec<String> = metadata.packages.iter().flat_map(|package| problems(&rules, package)).collect();
    if !problems.is_empty() {
        bail!("{}\nhint: choose another crate, or add to deny.toml with a reason", problems.join("\n"));
    }
    Ok(())
}

fn problems(rules: &Rules, package: &Package) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
        found.push(format!("is banned: {}", ban.reason));
    }
    if let Some(source) = &package.source {
        let registry = source.strip_prefix("registry+");
        if !registry.is_some_and(|registry| rules.sources.registries.contains(registry)) {
            found.push(format!("comes from {source}"));
        }
    }
    match package.license.as_deref() {
        Some(licence) if permitted(&rules.licenses.allow, licence) => {}
        Some(licence) => found.push(format!("is under {licence}")),
        None => found.push("names no licence".to_owned()),
    }
    found.into_iter().map(|problem| format!("{} {} {problem}", package.name, package.version)).collect()
}

/// `true` when the expression can be met by licences on the list. What cannot be read is not permitted.
fn permitted(allow: &BTreeSet<String>, licence: &str) -> bool {
    // Lax: "MIT/Apache-2.0" is what crates wrote before expressions were.
    let Ok(expression) = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX) else {
        return false;
    };
    expression.evaluate(|requirement| allow.contains(&requirement.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_licence_is_permitted_when_the_list_can_meet_it() {
        let allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (licence, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true), // The choice is ours.
            ("MIT AND GPL-3.0-only", false),
            ("Apache-2.0/MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("(MIT OR Apache-2.0) AND Zlib", false),
            ("do what you like", false),
        ] {
            assert_eq!(permitted(&allow, licence), expected, "{licence}");
        }
    }

    #[test]
    fn a_package_is_held_to_every_rule() {
        let rules: Rules = toml::from_str(
            r#"
            licenses.allow = ["MIT"]
            bans.deny = [{ crate = "left-pad", reason = "std pads" }]
            sources.allow-registry = ["https://example.org/index"]
            "#,
        )
        .expect("the rules parse");
        for (name, licence, source, expected) in [
            ("a", Some("MIT"), Some("registry+https://example.org/index"), ""),
            ("a", Some("MIT"), None, ""), // Our own, by path.
            ("a", Some("MIT"), Some("git+https://example.org/a"), "a 1.0.0 comes from git+https://example.org/a"),
            ("a", Some("GPL-3.0-only"), None, "a 1.0.0 is under GPL-3.0-only"),
            ("a", None, None, "a 1.0.0 names no licence"),
            ("left-pad", Some("MIT"), None, "left-pad 1.0.0 is banned: std pads"),
        ] {
            let package = Package {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                license: licence.map(str::to_owned),
                source: source.map(str::to_owned),
            };
            assert_eq!(problems(&rules, &package).join("; "), expected);
        }
    }
}
