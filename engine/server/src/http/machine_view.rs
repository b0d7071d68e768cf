//! What a machine looks like to a person: its state, what it thought at each evaluation, the machines it runs.
//!
//! Invariant: what an evaluation thought is computed as the core did, from the instance as it stood then.

use serde::Serialize;
use stepwell_core::flow::Flow;
use stepwell_core::flow::evaluate::By;
use stepwell_core::machine::{At, Entry, Event, Instance, ROOT, ScopeId, Why, weigh};

use super::time::rfc3339;

/// The last ones are shown.
pub(super) const EVALUATIONS_MAX: usize = 100;

/// How a machine stands.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MachineItem {
    state: String,
    since: String,
    /// The revision of the actions that the last evaluation took.
    revision: u32,
    /// An action can be asked for: nothing is under way, or what is waits itself.
    rests: bool,
    /// The action that is under way and waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<String>,
    /// Actions that were run since the state was entered.
    ran: Vec<String>,
    /// The actions of the state.
    actions: Vec<StateAction>,
    /// The machines it runs, as long as they do.
    machines: Vec<InnerMachine>,
    /// The last 100, the newest last; of the machines it runs as well.
    evaluations: Vec<Evaluation>,
}

/// An action of the state that a machine is in.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct StateAction {
    name: String,
    priority: i32,
    /// What makes it be run: `itself`, `asked`, `after`, `message`.
    by: &'static str,
}

/// A machine that another one runs.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct InnerMachine {
    /// `hold.1/0/hold_each.1/`
    path: String,
    state: String,
    since: String,
    /// For commands, while it rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u32>,
}

/// What a machine thought of its actions at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct Evaluation {
    seq: u64,
    at: String,
    /// Of which machine: empty of the instance itself.
    path: String,
    state: String,
    revision: u32,
    /// In the order they were looked at.
    considered: Vec<Considered>,
    /// A guard has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct Considered {
    action: String,
    /// chosen, later, other-state, ran, under-way, guard-false, not-asked, waits, not-plugged
    #[schema(value_type = String)]
    why: Why,
}

/// What an entry says about a machine, if it is an evaluation of one.
pub(super) fn evaluation(flow: &Flow, before: &Instance, entry: &Entry) -> Option<Evaluation> {
    let Event::Evaluated { token, revision } = &entry.event else { return None };
    let scope = before.tokens.get(token)?.scope;
    let one = before.scopes.get(&scope)?;
    let (considered, error) = match weigh(flow, before, scope, *revision) {
        Ok(all) => (all, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    let considered = considered.into_iter().map(|(action, why)| Considered { action: action.to_string(), why });
    Some(Evaluation {
        seq: entry.seq,
        at: rfc3339(entry.at_ms),
        path: one.path.to_string(),
        state: one.machine.as_ref()?.state.to_string(),
        revision: *revision,
        considered: considered.collect(),
        error,
    })
}

pub(super) fn machine_item(flow: &Flow, it: &Instance, evaluations: Vec<Evaluation>) -> Option<MachineItem> {
    let standing = it.root().machine.as_deref();
    let inner = |(&id, scope): (&ScopeId, &stepwell_core::machine::Scope)| {
        let standing = scope.machine.as_deref().filter(|_| id != ROOT && !scope.closed)?;
        Some(InnerMachine {
            path: scope.path.to_string(),
            state: standing.state.to_string(),
            since: rfc3339(standing.since_ms),
            token: resting(it, id),
        })
    };
    let machines: Vec<InnerMachine> = it.scopes.iter().filter_map(inner).collect();
    if standing.is_none() && machines.is_empty() && evaluations.is_empty() {
        return None;
    }
    let machine = flow.machine();
    let state = standing.map_or("", |one| &*one.state);
    let revision = standing.map_or(0, |one| one.revision);
    let actions = machine.into_iter().flat_map(|machine| &machine.actions);
    let actions = actions.filter(|action| action.counts(revision) && action.states.iter().any(|one| **one == *state));
    let actions = actions.map(|action| StateAction {
        name: action.name.to_string(),
        priority: action.priority,
        by: match action.by {
            By::Itself => "itself",
            By::Asked => "asked",
            By::After { .. } => "after",
            By::Message { .. } => "message",
        },
    });
    Some(MachineItem {
        state: state.to_owned(),
        since: rfc3339(standing.map_or(it.started_ms, |one| one.since_ms)),
        revision,
        rests: resting(it, ROOT).is_some(),
        running: standing.and_then(|one| one.running.as_ref()).map(ToString::to_string),
        ran: standing.into_iter().flat_map(|one| one.ran.iter().map(ToString::to_string)).collect(),
        actions: actions.collect(),
        machines,
        evaluations,
    })
}

fn resting(it: &Instance, scope: ScopeId) -> Option<u32> {
    let rests = it.tokens.iter().find(|(_, token)| token.scope == scope && matches!(token.at, At::Resting));
    rests.map(|(&id, _)| id)
}
