//! A binding in the form that chooses: conditions compiled, versions found.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Skipped, Versions};
use crate::expr::{Expr, Root, Scope};

/// Which version a start of one flow runs.
#[derive(Debug, Clone, Default)]
pub struct Binding {
    pub(super) rules: Vec<Keyed>,
    pub(super) split: Option<Shares>,
    /// `None`: the document names none.
    pub(super) default: Option<Target>,
    pub(super) fallback: Option<Target>,
    pub(super) off: Vec<u32>,
    pub(super) newest_first: Vec<u32>,
    /// By whatever part of the document, switched on or not.
    pub(super) named: Vec<u32>,
}

/// A version that a document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Version(u32),
    /// No version of this name can be started.
    Gone,
}

impl Target {
    pub fn version(self) -> Option<u32> {
        match self {
            Self::Version(version) => Some(version),
            Self::Gone => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Keyed {
    pub(super) name: Arc<str>,
    pub(super) keys: HashSet<String>,
    pub(super) prefixes: Vec<String>,
    pub(super) when: Option<Expr>,
    pub(super) version: Target,
}

#[derive(Debug, Clone)]
pub(super) struct Shares {
    pub(super) salt: String,
    pub(super) variants: Vec<Share>,
}

#[derive(Debug, Clone)]
pub(super) struct Share {
    pub(super) name: Arc<str>,
    /// Of one that is switched off: gone.
    pub(super) version: Target,
    pub(super) weight: u32,
}

/// What is known of a start.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub flow: &'a str,
    pub business_key: Option<&'a str>,
    pub input: &'a Value,
    /// In place of a business key that is not there: drawn by the caller, anew for each start.
    pub draw: &'a str,
}

/// What chose a version; as text it stands on the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Rule(Arc<str>),
    Split(Arc<str>),
    Default,
    Fallback,
    Newest,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(name) => write!(f, "rule/{name}"),
            Self::Split(name) => write!(f, "split/{name}"),
            Self::Default => f.write_str("default"),
            Self::Fallback => f.write_str("fallback"),
            Self::Newest => f.write_str("newest"),
        }
    }
}

/// A choice that could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub by: By,
    /// `None`: the variant is switched off, or the version it names is gone.
    pub version: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `None`: everything that could be chosen is switched off.
    pub chosen: Option<(By, u32)>,
    pub instead_of: Option<Passed>,
    pub skipped: Vec<Skipped>,
}

impl Binding {
    /// Chooses among `versions`, the ones it was checked against.
    pub fn choose(&self, asked: &Asked<'_>) -> Choice {
        let mut skipped = Vec::new();
        let (by, version) = self.first(asked, &mut skipped);
        let version = version.and_then(Target::version);
        if let Some(version) = self.usable(version) {
            return Choice { chosen: Some((by, version)), instead_of: None, skipped };
        }
        let chosen = self
            .named_usable(self.fallback)
            .map(|version| (By::Fallback, version))
            .or_else(|| self.named_usable(self.default).map(|version| (By::Default, version)))
            .or_else(|| self.newest().map(|version| (By::Newest, version)));
        Choice { chosen, instead_of: Some(Passed { by, version }), skipped }
    }

    /// Whether a business key can make a difference: where none is given, one is worth making.
    pub fn asks_for_a_key(&self) -> bool {
        self.split.is_some() || self.rules.iter().any(|rule| !rule.keys.is_empty() || !rule.prefixes.is_empty())
    }

    /// Every version it names, switched on or not: these are needed.
    pub fn named(&self) -> &[u32] {
        &self.named
    }

    fn first(&self, asked: &Asked<'_>, skipped: &mut Vec<Skipped>) -> (By, Option<Target>) {
        for rule in &self.rules {
            match rule.matches(asked) {
                Ok(true) => return (By::Rule(rule.name.clone()), Some(rule.version)),
                Ok(false) => {}
                Err(message) => skipped.push(Skipped { rule: rule.name.clone(), message }),
            }
        }
        if let Some(share) = self.split.as_ref().and_then(|split| split.share(asked)) {
            return (By::Split(share.name.clone()), Some(share.version));
        }
        match self.default {
            Some(version) => (By::Default, Some(version)),
            None => (By::Newest, self.newest().map(Target::Version)),
        }
    }

    fn named_usable(&self, target: Option<Target>) -> Option<u32> {
        self.usable(target.and_then(Target::version))
    }

    fn usable(&self, version: Option<u32>) -> Option<u32> {
        version.filter(|version| !self.off.contains(version))
    }

    fn newest(&self) -> Option<u32> {
        self.newest_first.iter().copied().find(|version| !self.off.contains(version))
    }

    /// Of a flow without rules of its own.
    pub fn none(versions: &Versions) -> Self {
        Self { newest_first: versions.0.iter().rev().map(|one| one.version).collect(), ..Self::default() }
    }
}

impl Keyed {
    fn matches(&self, asked: &Asked<'_>) -> Result<bool, String> {
        let by_key = self.keys.is_empty() && self.prefixes.is_empty()
            || asked.business_key.is_some_and(|key| {
                self.keys.contains(key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
            });
        match &self.when {
            Some(when) if by_key => holds(when, asked.input),
            _ => Ok(by_key),
        }
    }
}

pub(super) fn holds(when: &Expr, input: &Value) -> Result<bool, String> {
    when.holds(&Scope { roots: &[("input", Root::Value(input))] }).map_err(|error| error.message)
}

impl Shares {
    fn share(&self, asked: &Asked<'_>) -> Option<&Share> {
        let total: u64 = self.variants.iter().map(|share| u64::from(share.weight)).sum();
        let mut left = within(total, asked.flow, &self.salt, asked.business_key.unwrap_or(asked.draw));
        self.variants.iter().find(|share| {
            let weight = u64::from(share.weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        })
    }
}

/// A place from 0 to below `total` that the key alone decides. A change of weights moves the keys at
/// the borders between shares, and no others.
fn within(total: u64, flow: &str, salt: &str, key: &str) -> u64 {
    let mut sum = Sha256::new();
    for part in [flow, salt, key] {
        // No part can be mistaken for the end of the one before.
        sum.update(part.len().to_le_bytes());
        sum.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&sum.finalize()[..8]);
    let scaled = (u128::from(u64::from_be_bytes(first)) * u128::from(total)) >> 64;
    u64::try_from(scaled).unwrap_or_default()
}
