//! `/api/v1/bulk`: one command for every instance that a filter finds.
//!
//! Each instance gets the command as if it had been asked alone, with an audit row of its own. A run takes at most
//! [`RUN_MAX`] instances and says whether there are more: ask again for those.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use stepwell_core::machine::{Command, State as InstanceState};
use stepwell_core::problem::Problem;
use stepwell_runtime::CommandError;
use stepwell_store::Filter;

use super::auth::Caller;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::{App, body, shapes};

/// Instances of one run.
const RUN_MAX: u32 = 500;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BulkBody {
    filter: BulkFilter,
    command: BulkCommand,
    /// For commands that take one.
    #[serde(default)]
    reason: String,
    /// True unless given: only says how many there are.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// Every given part must match; at least one is given.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BulkFilter {
    flow: Option<String>,
    version: Option<u32>,
    #[schema(value_type = Option<shapes::InstanceState>)]
    state: Option<InstanceState>,
    business_key: Option<String>,
    /// A part of a business key.
    q: Option<String>,
}

#[derive(Deserialize, Clone, Copy, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BulkCommand {
    Cancel,
    Compensate,
    Retry,
    Suspend,
    Resume,
}

/// What a run did, or would do.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkDone {
    dry_run: bool,
    /// Instances that the filter finds and that have not ended, at most 500.
    matched: usize,
    /// There are more than that.
    more: bool,
    /// Kept for so many.
    commanded: usize,
    /// Ended meanwhile, or behind with what they were told already.
    #[schema(value_type = Vec<String>)]
    refused: Vec<Arc<str>>,
    /// The first twenty.
    #[schema(value_type = Vec<String>)]
    examples: Vec<Arc<str>>,
}

/// Command many instances at once
#[utoipa::path(post, path = "/api/v1/bulk", tag = "instances", request_body = BulkBody,
    responses((status = 200, body = BulkDone), (status = 422, body = RefusalBody)))]
pub(super) async fn run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<BulkBody>,
) -> Answer<Json<BulkDone>> {
    let BulkFilter { flow, version, state, business_key, q } = asked.filter;
    if flow.is_none() && state.is_none() && business_key.is_none() && q.is_none() {
        let problem = Problem::error("FILTER_EMPTY", "/filter", "name a flow, a state or a business key");
        return Err(Refusal::with(Code::BodyInvalid, vec![problem]));
    }
    let store = app.engine.journal();
    let filter = Filter { flow, version, state, business_key, text: q };
    let (mut found, mut cursor, mut more) = (Vec::new(), None, false);
    loop {
        let page = store.instances(filter.clone(), cursor, RUN_MAX).await?;
        for row in page.items.into_iter().filter(|row| !row.state.ended()) {
            if found.len() < RUN_MAX as usize {
                found.push(row.id);
            } else {
                more = true;
            }
        }
        cursor = page.next;
        if cursor.is_none() || more {
            break;
        }
    }
    let (mut commanded, mut refused) = (0, Vec::new());
    if !asked.dry_run {
        for id in &found {
            let reason = asked.reason.clone();
            let command = match asked.command {
                BulkCommand::Cancel => Command::Cancel { reason },
                BulkCommand::Compensate => Command::Compensate { reason },
                BulkCommand::Retry => Command::Retry { token: None, new_key: false },
                BulkCommand::Suspend => Command::Suspend { reason },
                BulkCommand::Resume => Command::Resume,
            };
            match app.engine.command(id, command, caller.user).await {
                Ok(()) => commanded += 1,
                Err(CommandError::Unknown | CommandError::Ended | CommandError::Full) => refused.push(id.clone()),
                Err(CommandError::Unavailable(error)) => return Err(error.into()),
            }
        }
    }
    let examples = found.iter().take(20).cloned().collect();
    let dry_run = asked.dry_run;
    Ok(Json(BulkDone { dry_run, matched: found.len(), more, commanded, refused, examples }))
}
