//! `/api/v1/bulk`: one command for every instance that a filter finds.
//!
//! Each instance gets the command as if it had been asked alone, with an audit row of its own. A run takes at most
//! [`RUN_MAX`] instances, the newest first, and says where the next one goes on: so each is met once, whether or not
//! the command changes what the filter sees. Where the database went away in between, one is met again: whether its
//! command was kept is not known.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use stepwell_core::machine::{Command, State as InstanceState};
use stepwell_core::problem::Problem;
use stepwell_runtime::CommandError;
use stepwell_store::{Filter, Role};

use super::caller::Caller;
use super::instances::cursor;
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
    /// `next` of the run before.
    #[serde(default)]
    cursor: Option<String>,
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
    /// Of machines that rest: look again at what can be run.
    Evaluate,
}

impl BulkCommand {
    fn with(self, reason: &str) -> Command {
        let reason = reason.to_owned();
        match self {
            Self::Cancel => Command::Cancel { reason },
            Self::Compensate => Command::Compensate { reason },
            Self::Retry => Command::Retry { token: None, new_key: false },
            Self::Suspend => Command::Suspend { reason },
            Self::Resume => Command::Resume,
            Self::Evaluate => Command::Evaluate { token: None },
        }
    }
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
    /// The database could not be reached any more: what this run found beyond `next` was not commanded, but perhaps
    /// the first of it.
    cut_short: bool,
    /// Where the next run goes on, if there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
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
    let within = caller.within(Role::Operator);
    let filter = Filter { flow, version, state, live: true, business_key, text: q, within, standing: None };
    let page = store.instances(filter, cursor(asked.cursor.as_deref())?, RUN_MAX).await?;
    let mut run = BulkDone {
        dry_run: asked.dry_run,
        matched: page.items.len(),
        more: page.next.is_some(),
        cut_short: false,
        next: page.next.map(|next| next.to_string()),
        commanded: 0,
        refused: Vec::new(),
        examples: page.items.iter().take(20).map(|row| row.id.clone()).collect(),
    };
    if !asked.dry_run {
        let mut met = None;
        for one in &page.items {
            match app.engine.command(&one.id, asked.command.with(&asked.reason), &caller.user).await {
                Ok(()) => run.commanded += 1,
                Err(CommandError::Unknown | CommandError::Ended | CommandError::Full) => {
                    run.refused.push(one.id.clone());
                }
                Err(CommandError::Unavailable(error)) => {
                    let Some(last) = met else { return Err(error.into()) };
                    (run.cut_short, run.more, run.next) = (true, true, Some(last));
                    break;
                }
            }
            met = Some(one.cursor().to_string());
        }
    }
    Ok(Json(run))
}
