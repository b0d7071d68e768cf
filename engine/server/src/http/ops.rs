//! For those who run the engine: health, figures, status, and the record of who did what.
//!
//! Not here: logs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_runtime::Clock as _;
use stepwell_runtime::stages::BUCKETS_MS;
use stepwell_sandbox::BreakerState;
use stepwell_store::{AuditFilter, Role, Standing};

use super::App;
use super::caller::Caller;
use super::extract::Query;
use super::flows::counts_json;
use super::instances::cursor;
use super::limits::{BUCKETS_US, Door};
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::shapes::{Page, limit};
use super::time::{moment, rfc3339};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Who did it: a user's name, or `token:` and a token's name.
    who: Option<String>,
    /// `flow.publish`; or `flow`, for all that begin so.
    action: Option<String>,
    /// What it was done to: a flow's key, an instance's id …
    target: Option<String>,
    /// Not before then: RFC 3339, or a day in UTC.
    from: Option<String>,
    /// Not after then; of a day, not after its end.
    to: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 50 unless given, at most 500.
    limit: Option<u32>,
}

/// One thing somebody did.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditItem {
    at: String,
    who: String,
    action: String,
    target: String,
    detail: Value,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    /// This engine's name in event ids.
    engine: String,
    started_at: String,
    store: &'static str,
    schema: u32,
    /// Instances by state, within the caller's namespaces.
    #[schema(value_type = BTreeMap<String, u64>)]
    counts: BTreeMap<&'static str, u64>,
    /// Instances driven just now.
    live: usize,
}

/// Is the process alive
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Would a request be served
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = RefusalBody)))]
pub(super) async fn readyz(State(app): State<App>) -> Answer<&'static str> {
    if app.limits.closing() {
        return Err(Refusal::new(Code::ShuttingDown));
    }
    app.engine.journal().feed_heads().await?;
    Ok("ready\n")
}

/// Show the engine's status
#[utoipa::path(get, path = "/api/v1/status", tag = "operation", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer<Json<Status>> {
    let mut total: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (counts, within) = (app.engine.journal().counts().await?, caller.within(Role::Viewer));
    for (_, counts) in counts.iter().filter(|((flow, _), _)| within.holds(flow)) {
        for (state, instances) in counts_json(counts) {
            *total.entry(state).or_default() += instances;
        }
    }
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        engine: app.engine_id.to_string(),
        started_at: rfc3339(app.started_ms),
        store: app.engine.journal().kind(),
        schema: app.engine.journal().schema(),
        counts: total,
        live: app.engine.live(),
    }))
}

/// List what was done
///
/// Who administers some namespaces is shown what was done to their flows and instances. A page looks through a bounded
/// number of entries, so a narrow search may have an empty page before its end; `next` goes on.
#[utoipa::path(get, path = "/api/v1/audit", tag = "operation", params(AuditQuery),
    responses((status = 200, body = Page<AuditItem>, description = "The newest first")))]
pub(super) async fn audit(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<Page<AuditItem>>> {
    let cursor = cursor(query.cursor.as_deref())?;
    let time = |name: &str, text: Option<&str>, end: bool| {
        let wrong = || Refusal::say(Code::QueryInvalid, format!("{name}: a time as in RFC 3339, or a day"));
        text.map(|text| moment(text, end).ok_or_else(wrong)).transpose()
    };
    let filter = AuditFilter {
        who: query.who,
        action: query.action,
        target: query.target,
        from_ms: time("from", query.from.as_deref(), false)?,
        to_ms: time("to", query.to.as_deref(), true)?,
        within: caller.within(Role::Admin),
    };
    let page = app.engine.journal().audit_page(filter, cursor, limit(query.limit)).await?;
    let item = |entry: stepwell_store::AuditEntry| AuditItem {
        at: rfc3339(entry.at_ms),
        who: entry.who,
        action: entry.action,
        target: entry.target,
        detail: entry.detail,
    };
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(Page { items: page.items.into_iter().map(item).collect(), next }))
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<App>) -> Answer<Response> {
    let counts = app.engine.journal().counts().await?;
    let mut text = String::with_capacity(8 * 1024);
    head(&mut text, "stepwell_instances", "gauge", "Instances by flow, version and state.");
    for ((flow, version), counts) in &counts {
        for (state, instances) in counts_json(counts).iter().filter(|(_, instances)| **instances > 0) {
            let flow = label(flow);
            let _ = writeln!(
                text,
                "stepwell_instances{{flow=\"{flow}\",version=\"{version}\",state=\"{state}\"}} {instances}"
            );
        }
    }
    machines(&app, &mut text).await?;
    engine(&app, &mut text);
    breakers(&app, &mut text);
    kept_answers(&app, &mut text);
    stages(&app, &mut text);
    held(&app, &mut text).await?;
    doors(&app, &mut text);
    let mut response = (StatusCode::OK, text).into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn one(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(text, name, kind, help);
    let _ = writeln!(text, "{name} {value}");
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Live machines by state. One that stays in a state for too long is seen by the age of the oldest.
async fn machines(app: &App, text: &mut String) -> Answer<()> {
    let (standings, now_ms) = (app.engine.journal().standings(None).await?, app.clock.now_ms());
    head(text, "stepwell_machine_instances", "gauge", "Live machines by flow and state.");
    for Standing { flow, state, instances, .. } in &standings {
        let _ = writeln!(text, "stepwell_machine_instances{{flow=\"{}\",state=\"{state}\"}} {instances}", label(flow));
    }
    let name = "stepwell_machine_oldest_seconds";
    head(text, name, "gauge", "How long the live machine has been in the state that has been there longest.");
    for Standing { flow, state, oldest_ms, .. } in &standings {
        let age = seconds(now_ms.saturating_sub(*oldest_ms).saturating_mul(1_000));
        let _ = writeln!(text, "{name}{{flow=\"{}\",state=\"{state}\"}} {age}", label(flow));
    }
    let loops = read(&app.engine.tally().machine_loops);
    one(
        text,
        "stepwell_machine_loops_total",
        "counter",
        "Machines that went round in a circle, and were stopped.",
        loops,
    );
    Ok(())
}

fn engine(app: &App, text: &mut String) {
    let tally = app.engine.tally();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    one(text, "stepwell_instances_live", "gauge", "Instances driven just now.", count(app.engine.live()));
    one(text, "stepwell_instances_started_total", "counter", "Instances started.", read(&tally.started));
    one(text, "stepwell_instances_ended_total", "counter", "Instances ended.", read(&tally.ended));
    let (calls, failed, cut) = (read(&tally.calls), read(&tally.calls_failed), read(&tally.calls_cut));
    head(text, "stepwell_node_calls_total", "counter", "Calls of nodes by outcome.");
    let done = calls.saturating_sub(failed).saturating_sub(cut);
    for (outcome, calls) in [("done", done), ("failed", failed), ("cut", cut)] {
        let _ = writeln!(text, "stepwell_node_calls_total{{outcome=\"{outcome}\"}} {calls}");
    }
    head(text, "stepwell_node_call_seconds_total", "counter", "Time spent in calls of nodes.");
    let _ = writeln!(text, "stepwell_node_call_seconds_total {}", seconds(read(&tally.call_us)));
    one(text, "stepwell_commits_total", "counter", "Commits of instances.", read(&tally.commits));
    one(
        text,
        "stepwell_commit_conflicts_total",
        "counter",
        "Commits refused to a stale owner.",
        read(&tally.conflicts),
    );
    let limits = &app.limits;
    one(text, "stepwell_http_requests_underway", "gauge", "Requests under way.", count(limits.requests.held()));
    one(text, "stepwell_http_connections", "gauge", "Open connections.", count(limits.connections.held()));
    one(text, "stepwell_event_readers", "gauge", "Readers of the event stream.", count(limits.readers.held()));
}

fn breakers(app: &App, text: &mut String) {
    let sandbox = app.engine.nodes();
    let plugins = sandbox.plugins();
    let views: Vec<_> = plugins.iter().filter_map(|one| Some((one, sandbox.breaker(&one.digest)?))).collect();
    head(text, "stepwell_plugin_broken_off", "gauge", "1 of a plugin that keeps trapping and is not called.");
    for (plugin, view) in &views {
        let (name, version, open) = (label(&plugin.name), label(&plugin.version), view.state != BreakerState::Closed);
        let open = u8::from(open);
        let _ = writeln!(text, "stepwell_plugin_broken_off{{plugin=\"{name}\",version=\"{version}\"}} {open}");
    }
    head(text, "stepwell_plugin_breaker_trips_total", "counter", "How often a plugin was broken off.");
    for (plugin, view) in &views {
        let (name, version, trips) = (label(&plugin.name), label(&plugin.version), view.trips);
        let _ =
            writeln!(text, "stepwell_plugin_breaker_trips_total{{plugin=\"{name}\",version=\"{version}\"}} {trips}");
    }
}

fn kept_answers(app: &App, text: &mut String) {
    let view = app.engine.nodes().cache();
    head(text, "stepwell_node_cache_total", "counter", "Calls that a kept answer of a pure node could have served.");
    for (result, count) in [("hit", view.hits), ("miss", view.misses)] {
        let _ = writeln!(text, "stepwell_node_cache_total{{result=\"{result}\"}} {count}");
    }
    one(text, "stepwell_node_cache_bytes", "gauge", "Kept answers of pure nodes.", view.bytes);
}

fn stages(app: &App, text: &mut String) {
    let name = "stepwell_stage_seconds";
    head(text, name, "histogram", "From a token's coming to a stage to its leaving it, by flow and stage.");
    for ((flow, stage), times) in app.engine.tally().stages.all() {
        let of = format!("flow=\"{}\",stage=\"{}\"", label(&flow), label(&stage));
        let mut total = 0;
        for (count, bound) in times.buckets.iter().zip(BUCKETS_MS) {
            total += count;
            let _ = writeln!(text, "{name}_bucket{{{of},le=\"{}\"}} {total}", seconds(bound * 1_000));
        }
        total += times.buckets.last().copied().unwrap_or_default();
        let _ = writeln!(text, "{name}_bucket{{{of},le=\"+Inf\"}} {total}");
        let _ = writeln!(text, "{name}_sum{{{of}}} {}", seconds(times.total_ms * 1_000));
        let _ = writeln!(text, "{name}_count{{{of}}} {total}");
    }
}

async fn held(app: &App, text: &mut String) -> Answer<()> {
    head(text, "stepwell_instances_held", "gauge", "Instances with calls that a pause holds back.");
    for pause in app.engine.journal().pauses().await? {
        let key = pause.what.key();
        let held = app.engine.journal().held_count(&key).await?;
        let _ = writeln!(text, "stepwell_instances_held{{by=\"{}\"}} {held}", label(&key));
    }
    Ok(())
}

fn doors(app: &App, text: &mut String) {
    head(text, "stepwell_http_requests_total", "counter", "Requests by door and class of status.");
    for door in Door::ALL {
        for (class, counter) in app.limits.figures(door).by_class.iter().enumerate() {
            let (name, class) = (door.name(), class + 1);
            let _ = writeln!(
                text,
                "stepwell_http_requests_total{{door=\"{name}\",status=\"{class}xx\"}} {}",
                read(counter)
            );
        }
    }
    let name = "stepwell_http_request_duration_seconds";
    head(text, name, "histogram", "From the request's head to the answer's head, by door.");
    for door in Door::ALL {
        let (figures, door) = (app.limits.figures(door), door.name());
        let mut total = 0;
        for (counter, bound) in figures.by_duration.iter().zip(BUCKETS_US) {
            total += read(counter);
            let _ = writeln!(text, "{name}_bucket{{door=\"{door}\",le=\"{}\"}} {total}", seconds(bound));
        }
        total += figures.by_duration.last().map_or(0, read);
        let _ = writeln!(text, "{name}_bucket{{door=\"{door}\",le=\"+Inf\"}} {total}");
        let _ = writeln!(text, "{name}_sum{{door=\"{door}\"}} {}", seconds(read(&figures.total_us)));
        let _ = writeln!(text, "{name}_count{{door=\"{door}\"}} {total}");
    }
}

/// Microseconds as seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label's value, escaped as the format asks.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_the_format_asks() {
        for (us, text) in [(0, "0"), (500, "0.0005"), (1_000_000, "1"), (2_500_000, "2.5"), (30_000_000, "30")] {
            assert_eq!(seconds(us), text);
        }
        assert_eq!(label("a\"b\\c\n"), "a\\\"b\\\\c\\n");
    }
}
