//! `POST /api/v1/instances/{id}/replay`: an ended instance's pure and recorded calls, made again and compared with what
//! they answered then.
//!
//! Invariants:
//! - Nothing leaves the process and nothing is written: external and transactional calls are not made, and what the
//!   others answer now is only looked at.
//! - They are made of the very components that the instance ran, found by digest, whatever is paused or broken off.
//!
//! Not here: the fold of the journal (`instance_view`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use stepwell_core::catalog::EffectClass;
use stepwell_core::machine::{Event, Outcome};
use stepwell_runtime::nodes::About;

use super::App;
use super::extract::Path;
use super::instance_view::Replay;
use super::instances::{JOURNAL_ENTRIES_MAX, history};
use super::problem::{Answer, Code, Refusal, RefusalBody};

/// A caller is answered by then, with what has been compared so far.
const LASTS_MAX: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replayed {
    /// Calls that were made again.
    compared: u32,
    /// Those whose answer does not follow from what they were given: external and transactional ones, and those that
    /// were cut off then or now. And those whose answer may be one that was kept: it would be compared with itself.
    passed_over: u32,
    /// Whether all of them were looked at: not after 20 s, nor beyond a difference.
    whole: bool,
    /// The first that answers otherwise now.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
}

/// A call that answered otherwise.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Difference {
    /// The journal's entry.
    seq: u64,
    node: String,
    visit: u32,
    attempt: u32,
    /// Where the two part, a JSON pointer into the outcome.
    pointer: String,
    /// What stands there in the journal, and what there would be now.
    #[schema(value_type = Value)]
    kept: Value,
    #[schema(value_type = Value)]
    now: Value,
}

/// Replay an ended instance
///
/// Makes the calls of its pure and recorded nodes again, of the components it ran, and compares the answers with its
/// journal. The first difference is told.
#[utoipa::path(post, path = "/api/v1/instances/{id}/replay", tag = "instances", params(("id" = String, Path)),
    responses((status = 200, body = Replayed), (status = 404, body = RefusalBody), (status = 409, body = RefusalBody)))]
pub(super) async fn run(State(app): State<App>, Path(id): Path<String>) -> Answer<Json<Replayed>> {
    let store = app.engine.journal();
    let stored =
        store.instance(&id).await?.ok_or_else(|| Refusal::say(Code::InstanceNotFound, format!("no instance {id}")))?;
    if !stored.summary.state.ended() {
        return Err(Refusal::new(Code::InstanceNotEnded));
    }
    let entries = store.journal(&id, 0, JOURNAL_ENTRIES_MAX).await?;
    let mut replay = Replay::new(history(&app, &stored, &entries).await?, &id);
    let mut about = About {
        instance: stored.summary.id.clone(),
        flow: stored.summary.flow.clone(),
        version: stored.summary.version,
        business_key: stored.summary.business_key.clone(),
        traceparent: stored.traceparent.clone(),
        records: None,
    };
    let begun = Instant::now();
    let (mut calls, mut made) = (BTreeMap::new(), Vec::new());
    let mut done = Replayed { compared: 0, passed_over: 0, whole: true, difference: None };
    for entry in &entries {
        if begun.elapsed() > LASTS_MAX {
            done.whole = false;
            break;
        }
        let answered = match &entry.event {
            Event::NodeReturned { token, attempt, op, outcome } => {
                calls.remove(&(*token, *attempt, *op as u8)).map(|call| (call, outcome))
            }
            _ => None,
        };
        about.version = replay.instance().map_or(about.version, |it| it.version);
        let subject = replay.take_calls(entry, &mut made);
        calls.extend(made.drain(..).map(|call| ((call.token, call.attempt, call.op as u8), call)));
        let Some((call, kept)) = answered else { continue };
        let follows = call.callee.effect <= EffectClass::Recorded && !call.callee.cache && !is_cut(kept);
        let now = if follows { Some(app.engine.nodes().again(&about, &call).await) } else { None };
        let Some(now) = now.filter(|now| !is_cut(now)) else {
            done.passed_over += 1;
            continue;
        };
        done.compared += 1;
        if let Some((pointer, kept, now)) = parting(&json(kept), &json(&now)) {
            let node = subject.map_or_else(|| call.node.to_string(), |subject| subject.node);
            let (visit, attempt) = (call.visit, call.attempt);
            done.difference = Some(Difference { seq: entry.seq, node, visit, attempt, pointer, kept, now });
            done.whole = false;
            break;
        }
    }
    Ok(Json(done))
}

/// By the engine: a deadline, a build that is revoked.
fn is_cut(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Cut(_))
}

fn json(outcome: &Outcome) -> Value {
    serde_json::to_value(outcome).unwrap_or_default()
}

/// Where two values part first, and what they have there.
fn parting(kept: &Value, now: &Value) -> Option<(String, Value, Value)> {
    if kept == now {
        return None;
    }
    let inner = |step: &str, kept: Option<&Value>, now: Option<&Value>| {
        let (pointer, kept, now) = parting(kept.unwrap_or(&Value::Null), now.unwrap_or(&Value::Null))?;
        Some((format!("/{}{pointer}", step.replace('~', "~0").replace('/', "~1")), kept, now))
    };
    let within = match (kept, now) {
        (Value::Object(kept), Value::Object(now)) => {
            kept.keys().chain(now.keys()).find_map(|name| inner(name, kept.get(name), now.get(name)))
        }
        (Value::Array(kept), Value::Array(now)) => {
            (0..kept.len().max(now.len())).find_map(|at| inner(&at.to_string(), kept.get(at), now.get(at)))
        }
        _ => None,
    };
    within.or_else(|| Some((String::new(), kept.clone(), now.clone())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        for (kept, now, expected) in [
            (json!({ "a": [1, 2] }), json!({ "a": [1, 2] }), None),
            (json!({ "a": [1, 2] }), json!({ "a": [1, 3] }), Some(("/a/1", json!(2), json!(3)))),
            (json!({ "a": [1, 2] }), json!({ "a": [1] }), Some(("/a/1", json!(2), json!(null)))),
            (json!({ "a/b": 1 }), json!({}), Some(("/a~1b", json!(1), json!(null)))),
            // What is null there and absent here is told of the whole.
            (json!({ "x": null }), json!({}), Some(("", json!({ "x": null }), json!({})))),
            (json!({ "outcome": "done" }), json!("cut"), Some(("", json!({ "outcome": "done" }), json!("cut")))),
        ] {
            let expected = expected.map(|(pointer, kept, now): (&str, Value, Value)| (pointer.to_owned(), kept, now));
            assert_eq!(parting(&kept, &now), expected, "{kept} {now}");
        }
    }
}
