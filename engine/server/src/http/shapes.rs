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
