//! The documents as they are written: what `PUT …/bindings` and `PUT /routes/{path}` take.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which version a start of a flow runs: the first rule that matches, else the split, else the default,
/// else the newest version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BindingDocument {
    /// In order; the first that matches chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Where no rule and no split chooses; the newest version unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<VersionName>,
    /// In place of a version that is switched off or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<VersionName>,
    /// Versions that are switched off, whichever rule chooses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<VersionName>,
}

/// A version's number, or its label (`"1.0.0"`): of several with one label the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VersionName {
    Number(u32),
    Label(String),
}

impl std::fmt::Display for VersionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Label(label) => label.fmt(f),
        }
    }
}

/// Matches when the business key is one of `keys` or begins with one of `prefixes` (where either is
/// given), and `when` holds (where it is given).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Shown on instances: letters, digits, `_`, `-` and `.`, at most 64.
    pub name: String,
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// An expression over the input: `input.communityId == 'c1'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    pub version: VersionName,
}

/// Shares starts out by weight: the same business key always gets the same variant, while the weights stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Split {
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub enabled: bool,
    /// Another salt shares out anew.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
    pub variants: Vec<Variant>,
}

/// One share of a split. Switched off, its keys get the fallback; the others keep what they have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub enabled: bool,
    pub version: VersionName,
    pub weight: u32,
}

/// Which flow a path below `/t/` starts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteDocument {
    /// `token` unless given; `none` lets anyone ask who can reach the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<RouteAuth>,
    /// How long the caller is kept before it gets a 202: at most 60 s, 10 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Asks a table first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<ResolveDocument>,
    /// In order; the first that matches chooses.
    pub rules: Vec<RouteRule>,
}

/// Asks a published table, in its newest version at that moment, and writes what it says into the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveDocument {
    /// The table's key.
    pub table: String,
    /// The field of the body that its answer becomes; `table` in it names the version that said so.
    pub into: String,
    /// What the table's columns see by name: a template over the body. Unless given, the body as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteAuth {
    Token,
    None,
}

/// Matches when `when` holds, or always where it is not given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteRule {
    pub name: String,
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub enabled: bool,
    /// An expression over the body: `input.type == 'FLASH'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// A flow's key.
    pub flow: String,
    /// As the flow's binding chooses, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionName>,
}

fn on() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_on(enabled: &bool) -> bool {
    *enabled
}
