//! `POST /api/v1/flows/import`: a process of BPMN 2.0 as a flow's document. Nothing is kept: who asked looks at it, then
//! saves or publishes it.
//!
//! Not here: the translation (`core::bpmn`).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::bpmn::{self, Left, Wanted};
use stepwell_core::problem::Problem;

use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::{App, body};

/// More than any file binds its steps to.
const BINDINGS_MAX: usize = 1_000;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportBody {
    /// The file, at most 1 MiB.
    xml: String,
    /// The process by its id; the first that is executable unless given.
    #[serde(default)]
    process: Option<String>,
    /// Node types by what the file binds steps to; those that are not among them are looked up as aliases.
    #[serde(default)]
    bindings: BTreeMap<String, String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImportedBody {
    /// The flow.
    #[schema(value_type = Object)]
    document: Value,
    /// What it does not have as the file has it.
    left: Vec<LeftBody>,
    /// What steps are bound to by the file, with the node type that stands for it; null: none is known.
    bound: BTreeMap<String, Option<String>>,
    /// What the checker says of it.
    #[schema(value_type = Vec<Object>)]
    problems: Vec<Problem>,
}

/// An element, or a part of one, that was not taken as it stands.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LeftBody {
    /// Its name in the XML.
    element: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    line: u32,
    message: String,
    /// What stands in its place, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl From<Left> for LeftBody {
    fn from(left: Left) -> Self {
        let Left { element, id, line, message, fix } = left;
        Self { element, id, line, message, fix }
    }
}

/// Read a process of BPMN 2.0 as a flow
#[utoipa::path(post, path = "/api/v1/flows/import", tag = "flows", request_body = ImportBody,
    responses((status = 200, body = ImportedBody), (status = 422, body = RefusalBody)))]
pub(super) async fn read(
    State(app): State<App>,
    body::Json(asked): body::Json<ImportBody>,
) -> Answer<Json<ImportedBody>> {
    if asked.bindings.len() > BINDINGS_MAX {
        let problem = Problem::error("TOO_MANY", "/bindings", format!("at most {BINDINGS_MAX}"));
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let catalog = app.library.node_types().await?;
    let wanted = Wanted { process: asked.process.as_deref(), bindings: &asked.bindings, catalog: &catalog };
    let found =
        bpmn::import(&asked.xml, &wanted).map_err(|error| Refusal::say(Code::BpmnUnreadable, error.to_string()))?;
    let problems = app.library.check(&found.document).await.problems;
    let left = found.left.into_iter().map(LeftBody::from).collect();
    Ok(Json(ImportedBody { document: found.document, left, bound: found.bound, problems }))
}
