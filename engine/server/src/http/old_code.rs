//! Taking a plugin's build back (`revoke`), and flows off an older one (`roll-forward`).
//!
//! Not here: what keeps revoked builds from being called (`crate::revocations`), and publishing anew
//! (`crate::rollforward`).

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::problem::Problem;
use stepwell_runtime::Clock;
use stepwell_store::{Act, Revocation};

use super::body;
use super::caller::Caller;
use super::extract::Path;
use super::problem::{Answer, Code, Refusal, RefusalBody};
use super::time::rfc3339;
use super::{App, shapes};
use crate::revocations;
use crate::rollforward::{Outcome, Unfit, Way};

const REASON_CHARS_MAX: usize = 500;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// For whoever finds an instance stopped by it.
    reason: String,
}

/// That a build is taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Revoked {
    reason: String,
    at: String,
    by: String,
}

impl From<&Revocation> for Revoked {
    fn from(one: &Revocation) -> Self {
        Self { reason: one.reason.clone(), at: rfc3339(one.revoked_ms), by: one.revoked_by.clone() }
    }
}

/// A build that is taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RevocationItem {
    digest: String,
    name: String,
    version: String,
    #[serde(flatten)]
    revoked: Revoked,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Revocations {
    items: Vec<RevocationItem>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RollForwardBody {
    /// The digest of the other build; the one that new versions get unless given.
    #[serde(default)]
    to: Option<String>,
    /// `false` publishes; unless given, nothing is.
    #[serde(default)]
    dry_run: Option<bool>,
}

/// What became of each flow with a version on the older build, or would.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RolledForward {
    /// Nothing was done.
    dry_run: bool,
    to: Build,
    flows: Vec<RolledFlow>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Build {
    name: String,
    version: String,
    digest: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RolledFlow {
    flow: String,
    /// Its newest version, as it was.
    from_version: u32,
    /// `done`, `ready`, `would-break`, `stays` (it calls a version by its number that stays as it is) or `not-needed`
    /// (only older versions use the build)
    outcome: Outcome,
    /// The version that was published.
    version: Option<u32>,
    #[schema(value_type = Vec<shapes::Problem>)]
    problems: Vec<Problem>,
}

/// List builds that are taken back
#[utoipa::path(get, path = "/api/v1/plugins/revoked", tag = "plugins", responses((status = 200, body = Revocations)))]
pub(super) async fn list(State(app): State<App>) -> Answer<Json<Revocations>> {
    let revoked = app.engine.journal().revocations().await?;
    let item = |one: Revocation| {
        let revoked = Revoked::from(&one);
        RevocationItem { digest: one.digest, name: one.name, version: one.version, revoked }
    };
    Ok(Json(Revocations { items: revoked.into_iter().map(item).collect() }))
}

/// Take a plugin's build back, at every engine
///
/// No call of it is made any more; a call under way is waited for. An instance that comes to such a call becomes an
/// incident, and flows that need the build are not started. The same bytes are not taken in again.
#[utoipa::path(post, path = "/api/v1/plugins/{digest}/revoke", tag = "plugins", params(("digest" = String, Path)),
    request_body = RevokeBody,
    responses((status = 200, body = Revoked, description = "In force here; elsewhere within a second"),
              (status = 404, body = RefusalBody), (status = 422, body = RefusalBody)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Path(digest): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<RevokeBody>,
) -> Answer<Json<Revoked>> {
    if !(1..=REASON_CHARS_MAX).contains(&asked.reason.chars().count()) || asked.reason.contains('\0') {
        let message = format!("1 to {REASON_CHARS_MAX} characters, none of them NUL");
        return Err(Refusal::with(Code::BodyInvalid, vec![Problem::error("TEXT_LENGTH", "/reason", message)]));
    }
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().revoke(act, &digest, &asked.reason).await? {
        return Err(unknown(&digest));
    }
    let revoked = revocations::enforce(app.engine.nodes(), app.engine.journal()).await?;
    let kept = revoked.iter().find(|one| one.digest == digest).ok_or_else(|| Refusal::new(Code::Internal))?;
    Ok(Json(kept.into()))
}

/// Let a build that was taken back be called again
///
/// Instances that it stopped are retried by whoever wants them to go on.
#[utoipa::path(delete, path = "/api/v1/plugins/{digest}/revoke", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 204), (status = 404, body = RefusalBody)))]
pub(super) async fn take_back(
    State(app): State<App>,
    Path(digest): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer<StatusCode> {
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    if !app.engine.journal().take_revocation_back(act, &digest).await? {
        return Err(Refusal::say(Code::PluginNotFound, format!("no revoked plugin with digest {digest}")));
    }
    revocations::enforce(app.engine.nodes(), app.engine.journal()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publish anew every flow whose newest version uses an older build, or say what would come of it
///
/// Each flow is checked with the other build and published on its own. Instances stay on what they began with.
#[utoipa::path(post, path = "/api/v1/plugins/{digest}/roll-forward", tag = "plugins", params(("digest" = String, Path)),
    request_body = RollForwardBody,
    responses((status = 200, body = RolledForward), (status = 404, body = RefusalBody),
              (status = 422, body = RefusalBody)))]
pub(super) async fn roll_forward(
    State(app): State<App>,
    Path(digest): Path<String>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<RollForwardBody>,
) -> Answer<Json<RolledForward>> {
    let dry_run = asked.dry_run.unwrap_or(true);
    let way = Way::find(&app, &digest, asked.to.as_deref()).map_err(unfit)?;
    let act = Act { by: caller.user.clone(), at_ms: app.clock.now_ms() };
    // To its end, whoever stopped listening: half of it would be told to nobody.
    let moving = tokio::spawn({
        let app = app.clone();
        async move {
            let moved = way.go(&app, dry_run, &act).await;
            if let (false, Ok(moved)) = (dry_run, &moved) {
                let done = moved.iter().filter(|one| one.outcome == Outcome::Done).map(|one| one.flow.as_str());
                let detail =
                    json!({ "from": digest, "to": way.to.digest.to_string(), "flows": done.collect::<Vec<_>>() });
                let target = format!("{}@{}", way.to.name, way.to.version);
                app.engine.journal().audit(act, "plugin.roll-forward", &target, detail).await?;
            }
            moved.map(|moved| (way.to, moved))
        }
    });
    let (to, moved) = moving.await.map_err(|_| Refusal::new(Code::Internal))??;
    let to = Build { name: to.name, version: to.version, digest: to.digest.to_string() };
    let flow = |one: crate::rollforward::Moved| RolledFlow {
        flow: one.flow,
        from_version: one.from_version,
        outcome: one.outcome,
        version: one.version,
        problems: one.problems,
    };
    Ok(Json(RolledForward { dry_run, to, flows: moved.into_iter().map(flow).collect() }))
}

fn unfit(why: Unfit) -> Refusal {
    match why {
        Unfit::Unknown(message) => Refusal::say(Code::PluginNotFound, message),
        Unfit::Unfit(message) => Refusal::say(Code::RollForwardUnfit, message),
    }
}

fn unknown(digest: &str) -> Refusal {
    Refusal::say(Code::PluginNotFound, format!("no plugin with digest {digest}"))
}

/// Why a start that needs a build is refused.
pub(super) fn refuse_start(needed: (String, String, String)) -> Refusal {
    let (uses, digest, reason) = needed;
    Refusal::say(Code::PluginRevoked, format!("the flow uses {uses}, and its build is revoked: {reason}"))
        .and("digest", Value::from(digest))
}
