//! Shapes of the API that more than one resource uses, and mirrors for the `OpenAPI` document of
//! types that live in the core (which knows nothing of `OpenAPI`).

use serde::Serialize;
use serde_json::Value;

/// Mirror of `stepwell_core::problem::Problem`: a finding about a document.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Problem {
    severity: Severity,
    /// Stable, upper snake case.
    code: String,
    /// JSON pointer (RFC 6901) into the document or body.
    pointer: String,
    message: String,
    /// What to do about it.
    fix: Option<String>,
    /// The node it is drawn on.
    node: Option<String>,
}

/// An error keeps a document from being published; a warning does not.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum Severity {
    Error,
    Warning,
}

/// Where an instance stands in its life.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum InstanceState {
    Running,
    Waiting,
    Incident,
    Suspended,
    Compensating,
    Completed,
    Failed,
    Compensated,
    Cancelled,
}

/// Mirror of `stepwell_core::catalog::NodeType`.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct NodeType {
    /// `plugin/type`.
    id: String,
    major: u64,
    /// `plugin/type@major`: what a flow's `uses` says.
    uses: String,
    /// `plugin@semver`.
    plugin: String,
    /// Hex sha256 of the component.
    digest: String,
    effect: Effect,
    /// A text per language tag.
    #[schema(value_type = Object)]
    title: Value,
    #[schema(value_type = Object)]
    summary: Value,
    category: String,
    /// SVG text.
    icon: String,
    /// JSON Schema of `config`.
    #[schema(value_type = Object)]
    config: Value,
    /// JSON Schema of the mapped input.
    #[schema(value_type = Object)]
    input: Value,
    #[schema(value_type = Vec<Object>)]
    ports: Value,
    #[schema(value_type = Vec<Object>)]
    errors: Value,
    undo: bool,
    resume: bool,
    query: bool,
    #[schema(value_type = Vec<Object>)]
    examples: Value,
}

/// What a component can do to the world.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum Effect {
    Pure,
    Recorded,
    Transactional,
    External,
}

/// Part of a list; `next` is the cursor of the following part, if there is one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Items of a list when the caller does not say.
pub(super) const LIMIT_DEFAULT: u32 = 50;
/// Items of a list at most.
pub(super) const LIMIT_MAX: u32 = 500;

pub(super) fn limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
}

/// Mirror of `stepwell_core::bind::BindingDocument`: the first rule that matches, else the split, else the default, else
/// the newest version.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Binding {
    #[schema(required = false)]
    rules: Vec<BindingRule>,
    split: Option<BindingSplit>,
    /// The newest version unless given.
    #[schema(value_type = Option<VersionName>)]
    default: Option<VersionName>,
    /// In place of a version that is switched off or gone.
    #[schema(value_type = Option<VersionName>)]
    fallback: Option<VersionName>,
    /// Versions that are switched off, whichever rule chooses them.
    #[schema(required = false)]
    off: Vec<VersionName>,
}

/// A version's number, or its label: of several with one label the newest.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum VersionName {
    Number(u32),
    Label(String),
}

/// Matches when the business key is one of `keys` or begins with one of `prefixes` (where either is given), and `when`
/// holds (where it is given).
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct BindingRule {
    name: String,
    #[schema(required = false, default = true)]
    enabled: bool,
    #[schema(required = false)]
    keys: Vec<String>,
    #[schema(required = false)]
    prefixes: Vec<String>,
    /// An expression over the input: `input.communityId == 'c1'`.
    when: Option<String>,
    version: VersionName,
}

/// Shares starts out by weight; the same business key always gets the same variant, while the weights stand.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct BindingSplit {
    #[schema(required = false, default = true)]
    enabled: bool,
    /// Another salt shares out anew.
    #[schema(required = false)]
    salt: String,
    variants: Vec<BindingVariant>,
}

/// Switched off, its keys get the fallback; the others keep what they have.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct BindingVariant {
    name: String,
    #[schema(required = false, default = true)]
    enabled: bool,
    version: VersionName,
    weight: u32,
}

/// Mirror of `stepwell_core::bind::RouteDocument`.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Route {
    /// `token` unless given; `none` lets anyone ask.
    auth: Option<String>,
    /// How long the caller is kept before it gets a 202: at most `60s`, `10s` unless given.
    wait: Option<String>,
    /// A table that is asked first; its answer becomes a field of the body, for the rules and for the flow.
    resolve: Option<RouteResolve>,
    /// The first that matches chooses.
    rules: Vec<RouteRule>,
}

/// Asks a published table, in its newest version at that moment.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct RouteResolve {
    /// The table's key.
    table: String,
    /// The field of the body that its answer becomes; `table` in it names the version that said so.
    into: String,
    /// What the table's columns see by name: a template over the body. Unless given, the body as `input`.
    with: Option<serde_json::Value>,
}

/// Matches when `when` holds, or always where it is not given.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct RouteRule {
    name: String,
    #[schema(required = false, default = true)]
    enabled: bool,
    /// An expression over the body: `input.type == 'FLASH'`.
    when: Option<String>,
    flow: String,
    /// As the flow's binding chooses, unless given.
    version: Option<VersionName>,
}

/// Mirror of `stepwell_store::WhereUsed`: a flow, and who uses it.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct WhereUsed {
    versions: Vec<VersionUse>,
    /// Paths that its newest version names, beside its key.
    triggers: Vec<String>,
    /// Paths of routes that lead to it, or ask it.
    routes: Vec<String>,
    has_binding: bool,
    /// Versions of other documents that call it, extend it or use it.
    called_by: Vec<UsedByVersion>,
    /// Those whose draft does.
    drafts: Vec<String>,
}

/// Mirror of `stepwell_store::VersionUse`.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct VersionUse {
    version: u32,
    label: Option<String>,
    retired: bool,
    /// Instances that have not ended.
    live: u64,
    /// Ended instances that are kept.
    ended: u64,
    /// `{kind: newest | binding | route | instances | version, …}`; empty: it can be deleted.
    #[schema(value_type = Vec<Object>)]
    needed_by: Value,
}

/// Mirror of `stepwell_store::UsedBy`: a version that uses something.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct UsedByVersion {
    flow: String,
    version: u32,
    retired: bool,
    /// Instances that have not ended.
    live: u64,
    /// Why the version itself cannot go.
    #[schema(value_type = Vec<Object>)]
    needed_by: Value,
}

/// Mirror of `crate::compatibility::Compatibility`: what a build changes for the flows there are.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Compatibility {
    replaces: ReplacedBuild,
    report: CompatibilityReport,
    /// Documents that use it: drafts, and versions that starts get.
    checked: usize,
    /// Those of them that would have errors they do not have now. Versions stay pinned to what they have; these could
    /// not be published again as they stand.
    broken: Vec<BrokenFlow>,
    /// All documents were looked at, and all that would break are named; not beyond 2,000 flows or 100 such.
    whole: bool,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ReplacedBuild {
    version: String,
    digest: String,
}

/// Mirror of `stepwell_core::compat::Report`.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct CompatibilityReport {
    from: String,
    to: String,
    /// Flows go from one to the other by themselves, when they are published again.
    same_major: bool,
    breaking: bool,
    /// Of the package as a whole: imports, effect class.
    changes: Vec<CompatibilityChange>,
    node_types: Vec<NodeTypeChange>,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct NodeTypeChange {
    /// Without the package.
    name: String,
    /// `added`, `removed` or `changed`
    kind: String,
    breaking: bool,
    changes: Vec<CompatibilityChange>,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct CompatibilityChange {
    /// Stable: `required-added`, `type-narrowed`, `port-removed` …
    code: String,
    /// `config`, `input`, `output/<port>`, `ports`, `errors`, `operations`, `imports` or `effect`
    of: String,
    /// JSON pointer to the part of the value, where it is of a schema.
    pointer: Option<String>,
    message: String,
    breaking: bool,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct BrokenFlow {
    flow: String,
    /// None: its draft.
    version: Option<u32>,
    problems: Vec<Problem>,
}

/// Mirror of `stepwell_core::flow::extend::Comparison`: a document's graph beside its template's.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Comparison {
    /// `key@version`.
    template: String,
    /// Each node of both graphs, by id.
    nodes: std::collections::BTreeMap<String, ComparedNode>,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ComparedNode {
    state: ComparedState,
    /// Where in the document it is written; absent: in a template.
    pointer: Option<String>,
    /// It is a slot of the template.
    slot: bool,
}

#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum ComparedState {
    Inherited,
    Overridden,
    Filled,
    Added,
    Removed,
}
