//! The one way the API says no: RFC 9457 problem+json with a stable `code`.
//!
//! Invariants:
//! - Every answer of 400 and above from `/api/v1` and `/t` is a [`Refusal`].
//! - A code never changes its meaning or its status; `docs/errors.md` has a row for each.
//!
//! Not here: findings about a document (`stepwell_core::problem`), which travel inside.

use std::ops::{Deref, DerefMut};

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use stepwell_core::problem::Problem;

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $title:literal)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// As in the body's `code`.
            pub(crate) fn text(self) -> &'static str { match self { $(Self::$name => $text,)* } }
            pub(crate) fn status(self) -> StatusCode {
                let status = match self { $(Self::$name => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            /// One line for people.
            pub(crate) fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

codes! {
    BodyNotJson "BODY_NOT_JSON" 400 "The body is not JSON"
    BodyInvalid "BODY_INVALID" 422 "The body has the wrong shape"
    BodyTooLarge "BODY_TOO_LARGE" 413 "The body is larger than allowed"
    BodySlow "BODY_SLOW" 408 "The body did not arrive in time"
    QueryInvalid "QUERY_INVALID" 400 "A query parameter is not understood"
    HeaderInvalid "HEADER_INVALID" 400 "A header is not understood"
    PathInvalid "PATH_INVALID" 400 "The path is not understood"
    Unauthenticated "UNAUTHENTICATED" 401 "A valid token or session is needed"
    SignatureMissing "SIGNATURE_MISSING" 401 "The request must be signed"
    SignatureExpired "SIGNATURE_EXPIRED" 401 "The request was signed too long ago, or in the future"
    SignatureInvalid "SIGNATURE_INVALID" 401 "The signature does not fit the request"
    LoginFailed "LOGIN_FAILED" 401 "Name and password do not fit"
    Forbidden "FORBIDDEN" 403 "Another role is needed"
    PasswordMustChange "PASSWORD_MUST_CHANGE" 403 "A password of one's own must be chosen first"
    CsrfMissing "CSRF_MISSING" 403 "A session's request must carry Stepwell-Csrf: 1"
    NotFound "NOT_FOUND" 404 "Nothing is served here"
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 "The method is not served here"
    FlowNotFound "FLOW_NOT_FOUND" 404 "No such flow"
    VersionNotFound "VERSION_NOT_FOUND" 404 "No such version of the flow"
    NoDraft "NO_DRAFT" 404 "The flow has no draft"
    InstanceNotFound "INSTANCE_NOT_FOUND" 404 "No such instance"
    PluginNotFound "PLUGIN_NOT_FOUND" 404 "No such plugin"
    AliasNotFound "ALIAS_NOT_FOUND" 404 "No such alias"
    UploadNotFound "UPLOAD_NOT_FOUND" 404 "No such upload"
    ConnectionNotFound "CONNECTION_NOT_FOUND" 404 "No such connection"
    GrantNotFound "GRANT_NOT_FOUND" 404 "Nothing of the kind is granted"
    ActionNotFound "ACTION_NOT_FOUND" 404 "The machine has no such action"
    SecretNotFound "SECRET_NOT_FOUND" 404 "No such secret"
    TriggerNotFound "TRIGGER_NOT_FOUND" 404 "No flow is triggered by this path"
    TaskNotFound "TASK_NOT_FOUND" 404 "No such open task"
    ScheduleNotFound "SCHEDULE_NOT_FOUND" 404 "No such schedule"
    NotPaused "NOT_PAUSED" 404 "Nothing of the kind is paused"
    NodeTypeNotFound "NODE_TYPE_NOT_FOUND" 404 "No loaded plugin has such a node type"
    BindingNotFound "BINDING_NOT_FOUND" 404 "The flow has no binding"
    RouteNotFound "ROUTE_NOT_FOUND" 404 "No such route"
    TableNotFound "TABLE_NOT_FOUND" 404 "No such table"
    RecordTypeNotFound "RECORD_TYPE_NOT_FOUND" 404 "No such record type"
    RecordNotFound "RECORD_NOT_FOUND" 404 "No such record"
    UserNotFound "USER_NOT_FOUND" 404 "No such user"
    TokenNotFound "TOKEN_NOT_FOUND" 404 "No such token"
    UserExists "USER_EXISTS" 409 "There is a user of this name"
    LastAdmin "LAST_ADMIN" 409 "Nobody would administer this engine"
    Administered "ADMINISTERED" 409 "Somebody administers this engine already"
    DraftConflict "DRAFT_CONFLICT" 409 "The draft was changed by someone else"
    BindingConflict "BINDING_CONFLICT" 409 "The binding was changed by someone else"
    RouteConflict "ROUTE_CONFLICT" 409 "The route was changed by someone else"
    BusinessKeyTaken "BUSINESS_KEY_TAKEN" 409 "Another instance has this business key"
    VersionsOff "VERSIONS_SWITCHED_OFF" 409 "Every version that could be chosen is switched off"
    PluginRevoked "PLUGIN_REVOKED" 409 "The flow needs a build of a plugin that is revoked"
    StillNeeded "STILL_NEEDED" 409 "Something needs it"
    SecretKeyMissing "SECRET_KEY_MISSING" 409 "The engine has no key to seal secrets with"
    FlowNotPublished "FLOW_NOT_PUBLISHED" 409 "The flow has no published version"
    InstanceEnded "INSTANCE_ENDED" 409 "The instance has ended"
    InstanceNotEnded "INSTANCE_NOT_ENDED" 409 "The instance has not ended"
    NothingToRetry "NOTHING_TO_RETRY" 409 "Nothing of the instance stands in an incident"
    TaskTaken "TASK_TAKEN" 409 "The task is somebody else's"
    CommandDoesNotFit "COMMAND_DOES_NOT_FIT" 409 "The instance does not stand where the command says"
    NotAMachine "NOT_A_MACHINE" 409 "The flow is no machine"
    MachineBusy "MACHINE_BUSY" 409 "Something is under way in the machine"
    ActionOtherState "ACTION_OTHER_STATE" 409 "The action is not one of the state the machine is in"
    ActionGuarded "ACTION_GUARDED" 409 "The action's guard does not hold"
    ActionsMoved "ACTIONS_MOVED" 409 "The machine's actions were changed by someone else"
    ActionsFull "ACTIONS_FULL" 409 "The machine's actions were changed too often since it was published"
    MigrationUnfit "MIGRATION_UNFIT" 409 "The instance cannot go on with that version"
    BackupNotHere "BACKUP_NOT_HERE" 409 "A server's database is copied with its own tools"
    IdempotencyRunning "IDEMPOTENCY_RUNNING" 409 "The first request under this Idempotency-Key is still under way"
    Compensated "COMPENSATED" 409 "The instance was undone"
    Cancelled "CANCELLED" 409 "The instance was cancelled"
    RecordMoved "RECORD_MOVED" 412 "The record is not at the revision that was seen"
    FlowHasProblems "FLOW_HAS_PROBLEMS" 422 "The flow cannot be published as it is"
    BpmnUnreadable "BPMN_UNREADABLE" 422 "The file holds no process that can be read"
    BindingHasProblems "BINDING_HAS_PROBLEMS" 422 "The binding cannot be kept as it is"
    RouteHasProblems "ROUTE_HAS_PROBLEMS" 422 "The route cannot be kept as it is"
    TableFailed "TABLE_FAILED" 422 "The table has no answer for this"
    RecordTypeHasProblems "RECORD_TYPE_HAS_PROBLEMS" 422 "The record type cannot be published as it is"
    NoMatchingFlow "NO_MATCHING_FLOW" 422 "No rule of the route matches"
    InputInvalid "INPUT_INVALID" 422 "The input does not match the flow"
    IdempotencyMismatch "IDEMPOTENCY_MISMATCH" 422 "The Idempotency-Key was used with another body"
    InstanceFailed "INSTANCE_FAILED" 422 "The instance failed"
    PluginRefused "PLUGIN_REFUSED" 422 "The component cannot be loaded"
    RollForwardUnfit "ROLL_FORWARD_UNFIT" 422 "That build cannot take the other's place"
    PreconditionRequired "PRECONDITION_REQUIRED" 428 "Say which revision is changed"
    Internal "INTERNAL" 500 "The engine made a mistake"
    TooManyTries "TOO_MANY_TRIES" 429 "Too many tries to log in"
    QueueFull "QUEUE_FULL" 429 "Too many are waiting already"
    Overloaded "OVERLOADED" 503 "Too much is under way"
    ShuttingDown "SHUTTING_DOWN" 503 "The engine is shutting down"
    NotDoneYet "NOT_DONE_YET" 503 "What the request asked for is not done yet; send it again"
    TriggerNotReady "TRIGGER_NOT_READY" 503 "The secret that requests are signed with is not there yet"
    StoreUnavailable "STORE_UNAVAILABLE" 503 "The database does not answer"
}

/// A refused request, on its way out. Boxed inside, so that answers stay small.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Said>);

/// What a refusal says.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Code,
    /// A business code that takes the place of `code`'s text.
    pub(crate) business: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) problems: Vec<Problem>,
    /// When to come again, where the code's status says so.
    pub(crate) retry_after_s: u64,
    /// Further members of the body.
    pub(crate) extra: Map<String, Value>,
}

/// The body, as documented.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// Stable, upper snake case.
    pub(crate) code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<super::shapes::Problem>, required = false)]
    pub(crate) problems: Vec<Problem>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(crate) extra: Map<String, Value>,
}

pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: Code) -> Self {
        let (business, detail) = (None, None);
        let said = Said { code, business, detail, problems: Vec::new(), retry_after_s: 1, extra: Map::new() };
        Self(Box::new(said))
    }

    pub(crate) fn say(code: Code, detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(code);
        refusal.detail = Some(detail.into());
        refusal
    }

    pub(crate) fn with(code: Code, problems: Vec<Problem>) -> Self {
        let mut refusal = Self::new(code);
        refusal.problems = problems;
        refusal
    }

    /// An input that cannot be had.
    pub(crate) fn unfit(at: &str, message: String) -> Self {
        Self::with(Code::InputInvalid, vec![Problem::error("EXPRESSION_FAILED", at, message)])
    }

    /// Adds a member to the body.
    #[must_use]
    pub(crate) fn and(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn response(self) -> Response {
        let said = *self.0;
        let status = said.code.status();
        let body = RefusalBody {
            kind: format!("/docs#{}", said.code.text()),
            title: said.code.title().to_owned(),
            status: status.as_u16(),
            detail: said.detail,
            code: said.business.unwrap_or_else(|| said.code.text().to_owned()),
            problems: said.problems,
            extra: said.extra,
        };
        let mut response: Response<Body> = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(said.retry_after_s));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stepwell\""));
        }
        response
    }
}

impl Deref for Refusal {
    type Target = Said;

    fn deref(&self) -> &Said {
        &self.0
    }
}

impl DerefMut for Refusal {
    fn deref_mut(&mut self) -> &mut Said {
        &mut self.0
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.response()
    }
}
