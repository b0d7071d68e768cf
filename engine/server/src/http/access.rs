//! The one table of what is served: each route with the role that it needs and where. Routes are made from it, so
//! nothing is served that is not in it, and nothing is reached beside its guard.
//!
//! Invariants:
//! - Who asks is known before a handler runs, unless its row says [`Of::Open`] or [`Of::Trigger`].
//! - The check reads nothing from the store, but for the flow of an instance that a caller of some namespaces names: once.
//! - Where a row says [`Of::Any`], its handler shows of what it lists only what lies within the caller's namespaces.
//!
//! Not here: who asks (`auth`), and how far roles reach (`caller`).

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::request::Parts;
use stepwell_runtime::Clock as _;
use stepwell_store::Role;

use super::App;
use super::caller::Caller;
use super::problem::{Answer, Code, Refusal};

/// Where a route needs its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Anyone may ask.
    Open,
    /// In the namespace of the flow that the path leads to, which says itself who may ask; its handler looks.
    Trigger,
    /// Anyone who is known, also one who has to choose a password first: it is about themselves.
    Oneself,
    /// In any namespace; what is listed is within the caller's own.
    Any,
    /// In all of them: it belongs to none.
    Everywhere,
    /// In the namespace of the flow `{key}`.
    Flow,
    /// In the namespace of the instance `{id}`.
    Instance,
    /// In the namespace of the task `{id}`, `<instance>.<token>`.
    Task,
    /// In the namespace of the schedule `{id}`, `<flow>:<name>`.
    Schedule,
}

impl Of {
    /// As the description of the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Trigger => "trigger",
            Self::Oneself => "oneself",
            Self::Any => "any",
            Self::Everywhere => "*",
            Self::Flow => "flow",
            Self::Instance => "instance",
            Self::Task => "task",
            Self::Schedule => "schedule",
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub method: &'static str,
    pub path: &'static str,
    pub need: Role,
    pub of: Of,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(super) router: Router<App>,
    pub(crate) rules: Vec<Rule>,
}

macro_rules! methods {
    ($($name:ident $filter:ident $method:literal)*) => {$(
        pub(super) fn $name<H, T>(self, path: &'static str, need: Role, of: Of, handler: H) -> Self
        where
            H: Handler<T, App>,
            T: 'static,
        {
            self.row(MethodFilter::$filter, Rule { method: $method, path, need, of }, handler)
        }
    )*};
}

impl Table {
    methods! { get GET "GET" post POST "POST" put PUT "PUT" delete DELETE "DELETE" }

    fn row<H, T>(mut self, filter: MethodFilter, rule: Rule, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.router = self.router.route(rule.path, on(filter, Guarded { handler, rule }));
        self.rules.push(rule);
        self
    }

    /// More rows.
    pub(super) fn with(self, more: impl FnOnce(Self) -> Self) -> Self {
        more(self)
    }
}

/// A handler that runs for those alone whom its row lets in.
#[derive(Clone)]
struct Guarded<H> {
    handler: H,
    rule: Rule,
}

impl<H: Handler<T, App>, T: 'static> Handler<T, App> for Guarded<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: App) -> Self::Future {
        Box::pin(async move {
            match admit(&app, self.rule, request).await {
                Ok(request) => self.handler.call(request, app).await,
                Err(refusal) => refusal.response(),
            }
        })
    }
}

async fn admit(app: &App, rule: Rule, request: Request) -> Answer<Request> {
    if matches!(rule.of, Of::Open | Of::Trigger) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let caller = app.auth.caller(&parts.method, &parts.headers, app.clock.now_ms()).await?;
    allow(app, rule, &caller, &mut parts).await?;
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

async fn allow(app: &App, rule: Rule, caller: &Caller, parts: &mut Parts) -> Answer<()> {
    if caller.must_change() && rule.of != Of::Oneself {
        return Err(Refusal::new(Code::PasswordMustChange));
    }
    let need = rule.need;
    match rule.of {
        Of::Open | Of::Trigger | Of::Oneself => Ok(()),
        Of::Any => caller.needs_somewhere(need),
        Of::Everywhere => caller.needs_everywhere(need),
        // It may do so everywhere: whose it is does not matter.
        _ if caller.reach.everywhere() >= Some(need) => Ok(()),
        Of::Flow => {
            let key = parameter(parts, "key").await?;
            caller.needs(need, &key, || Refusal::say(Code::FlowNotFound, format!("no flow {key}")))
        }
        Of::Schedule => {
            let id = parameter(parts, "id").await?;
            let flow = id.split_once(':').map_or(&*id, |(flow, _)| flow);
            caller.needs(need, flow, || Refusal::say(Code::ScheduleNotFound, format!("no schedule {id}")))
        }
        Of::Instance => {
            let id = parameter(parts, "id").await?;
            let absent = || Refusal::say(Code::InstanceNotFound, format!("no instance {id}"));
            let flow = app.auth.book.flow_of(&id).await?.ok_or_else(absent)?;
            caller.needs(need, &flow, absent)
        }
        Of::Task => {
            let id = parameter(parts, "id").await?;
            let absent = || super::tasks::missing(&id);
            let instance = id.rsplit_once('.').map_or(&*id, |(instance, _)| instance);
            let flow = app.auth.book.flow_of(instance).await?.ok_or_else(absent)?;
            caller.needs(need, &flow, absent)
        }
    }
}

/// A part of the path, as the handler will see it.
async fn parameter(parts: &mut Parts, name: &str) -> Answer<String> {
    let all = RawPathParams::from_request_parts(parts, &()).await;
    let all = all.map_err(|error| Refusal::say(Code::PathInvalid, error.body_text()))?;
    let found = all.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_owned());
    // A row that names no such part lets nobody in.
    found.ok_or_else(|| Refusal::new(Code::Internal))
}
