//! The state of one instance, and what can be read off it.
//!
//! Invariants:
//! - An ended instance has no tokens.
//! - A token's id is never used again within its instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::token::{At, Token, Wait};
use super::{FailureClass, Op};
use crate::flow::{EdgeIx, Flow, Kind, NodeIx};
use crate::value::Held;

/// Unique within an instance, in the order of making.
pub type TokenId = u32;
/// Unique within an instance, in the order of making.
pub type ScopeId = u32;
/// The scope of the flow itself.
pub const ROOT: ScopeId = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some call is under way or about to be.
    Running,
    /// Every token waits for time or a message.
    Waiting,
    /// Some token needs a person, and nothing else moves.
    Incident,
    Suspended,
    /// Steps are being undone before the end.
    Compensating,
    Completed,
    Failed,
    Compensated,
    Cancelled,
}

impl State {
    pub fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Compensated | Self::Cancelled)
    }

    /// As in JSON, SQL and the console.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Incident => "incident",
            Self::Suspended => "suspended",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Compensated => "compensated",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    #[serde(skip, default = "no_id")]
    pub id: Arc<str>,
    /// The flow's version, for expressions that read `flow.version`.
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<String>,
    pub priority: i32,
    /// The sequence number of the last event taken; 0 before the first.
    pub seq: u64,
    pub started_ms: u64,
    /// The last event's time.
    pub now_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What is run: the flow itself ([`ROOT`]), and what was entered from it.
    pub scopes: BTreeMap<ScopeId, Scope>,
    pub next_scope: ScopeId,
    pub tokens: BTreeMap<TokenId, Token>,
    pub next_token: TokenId,
    /// The first reply; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Held>,
    /// Nothing new is begun until it is resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Tokens that were on their way when it was suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halted: Vec<Arrival>,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub state: State,
    pub error: Option<Error>,
}

/// What went wrong, as people and callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Error {
    pub class: FailureClass,
    /// A business code of the node's, or a code of ours (`TIMEOUT`, `TRAP`, `NOT_GRANTED` …).
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Arc<Value>>,
}

/// One run of a graph: of the flow itself, of a container or an item of it, of a called flow.
///
/// A scope completes when no token is left in it. Until the flow ends it is kept if steps of it can be undone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// What it is part of; `None` for the flow itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Stands before the names of its nodes in keys: `pay.1/`. Empty for the flow itself.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub path: Arc<str>,
    /// Of a whole flow; a container reads that of the flow it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Held>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<Arc<str>, Held>,
    /// Last outputs, of the nodes that some expression reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<Arc<str>, Held>,
    /// Visits so far, by node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub visits: BTreeMap<Arc<str>, u32>,
    /// What can be undone, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<Done>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwinding: Option<Unwinding>,
    /// The output of the last `end` reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Held>,
    /// How far a `for-each` or a `stage` with steps has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<Progress>>,
    /// Joins that went on before all had come: the edges of the tokens still to come, by node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub joins: BTreeMap<NodeIx, Vec<EdgeIx>>,
    /// Completed; kept for what may have to be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// How the machine stands that is run as this scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Box<super::Standing>>,
    /// Who listens to the end of its flow has heard of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heard: bool,
}

impl Error {
    /// As expressions read it, where a handler caught it or a result is missing: `nodes.pay.error.code`.
    pub(super) fn seen(&self) -> Held {
        Held::computed(json!({ "error": self.fields() }))
    }

    pub(super) fn fields(&self) -> Value {
        let Self { code, message, data, .. } = self;
        json!({ "code": code, "message": message, "data": data })
    }
}

/// Where a scope belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Within {
    pub scope: ScopeId,
    /// The container or call.
    pub node: NodeIx,
    /// The token that stands on it.
    pub host: TokenId,
    /// Of one item of a `for-each` or one step of a `stage`, which is within the container's own scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub index: usize,
    pub value: Held,
}

/// The items of a container, or its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub items: Held,
    /// The first that has not begun.
    pub next: usize,
    /// Begun and not yet over.
    pub open: usize,
    /// Enough have completed, and the container was left, or is about to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enough: bool,
    pub results: BTreeMap<usize, Held>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<usize, Error>,
}

/// A token on its way to a node, and the edge it comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub scope: ScopeId,
    pub node: NodeIx,
    pub by: Option<EdgeIx>,
}

/// Something that can be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    Step(Box<Step>),
    /// All that was done in a scope.
    Scope(ScopeId),
}

/// A completed step, or one that may have completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub node: NodeIx,
    pub visit: u32,
    pub key: String,
    pub input: Held,
    /// `None`: the outcome of the forward call is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Held>,
}

/// A compensation under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unwinding {
    /// Steps that were undone, or skipped, so far.
    pub undone: u32,
    pub then: Then,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Error>,
}

/// What follows a compensation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The instance ends.
    End,
    /// This `compensate` token goes on.
    Token(TokenId),
    /// The container is left by this port.
    Leave(Arc<str>),
    /// The container has failed, and who listens to that hears of it.
    Fail,
    /// The scope around it goes on with its own compensation.
    Outer,
    /// The failed item stands among the results of its container.
    Item,
    /// Nothing: the branch it was on is not wanted any more.
    Gone,
}

/// A message some token waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub token: TokenId,
    pub message: Arc<str>,
    pub key: String,
}

/// Work that somebody outside does.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTask {
    pub token: TokenId,
    /// An answer names it, so that a late one is told.
    pub attempt: u32,
    pub visit: u32,
    /// Idempotency key of the visit: the same for every attempt.
    pub key: String,
    /// The path of its scope and the node's id.
    pub name: Arc<str>,
    /// [`Flow::name`] of the node.
    pub place: Arc<str>,
    /// What workers fetch it by; `None`: a person's.
    pub topic: Option<Arc<str>>,
    pub since_ms: u64,
    /// Nobody need do it after that.
    pub until_ms: Option<u64>,
    /// Of a user task `{assignee, users, groups, dueAt, data}`; of an external task its mapped input.
    pub input: Arc<Value>,
}

fn no_id() -> Arc<str> {
    Arc::from("")
}

impl Instance {
    /// An instance before its first event.
    pub fn new(id: Arc<str>, version: u32) -> Self {
        Self {
            id,
            version,
            business_key: None,
            priority: 0,
            seq: 0,
            started_ms: 0,
            now_ms: 0,
            end: None,
            scopes: BTreeMap::from([(ROOT, Scope::default())]),
            next_scope: 1,
            tokens: BTreeMap::new(),
            next_token: 1,
            reply: None,
            suspended: false,
            halted: Vec::new(),
        }
    }

    /// The flow's own scope.
    pub fn root(&self) -> &Scope {
        &self.scopes[&ROOT]
    }

    pub fn output(&self) -> Option<&Held> {
        self.root().output.as_ref()
    }

    pub fn state(&self) -> State {
        if let Some(end) = &self.end {
            return end.state;
        }
        if self.seq == 0 {
            return State::Running;
        }
        if self.suspended {
            return State::Suspended;
        }
        let calling =
            self.tokens.values().any(|token| matches!(token.at, At::Calling(_) | At::Abandoned(_) | At::Evaluating));
        let incident = self.tokens.values().any(|token| matches!(token.at, At::Incident { .. }));
        match (calling, incident, self.root().unwinding.is_some()) {
            (false, true, _) => State::Incident,
            (_, _, true) => State::Compensating,
            (true, _, _) => State::Running,
            (false, false, false) => State::Waiting,
        }
    }

    /// Whether this call's answer would still be taken.
    pub fn awaits(&self, token: TokenId, attempt: u32, op: Op) -> bool {
        let at = self.tokens.get(&token).map(|token| &token.at);
        matches!(at, Some(At::Calling(visit) | At::Abandoned(visit)) if visit.attempt == attempt && visit.op == op)
    }

    /// The next time something is due, milliseconds since the Unix epoch.
    pub fn due_ms(&self) -> Option<u64> {
        self.due().map(|(_, due_ms)| due_ms).min()
    }

    /// What is due, and when, in token order. Nothing while it is suspended.
    pub fn due(&self) -> impl Iterator<Item = (TokenId, u64)> + '_ {
        let tokens = self.tokens.iter().filter(|_| !self.suspended);
        tokens.filter_map(|(&id, token)| token.due_ms().map(|due_ms| (id, due_ms)))
    }

    /// The messages that tokens wait for, in token order. None while it is suspended: they are kept for it.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let mut all = Vec::new();
        for (&token, one) in self.tokens.iter().filter(|_| !self.suspended) {
            if let At::Waiting { message, key, .. } | At::Guard { wait: Wait::Message { message, key, .. }, .. } =
                &one.at
            {
                all.push(Subscription { token, message: message.clone(), key: key.clone() });
            }
        }
        all
    }

    /// Who takes a message that more than one waits for: a wait before a handler beside a node, the innermost first, then
    /// the one that has waited longest.
    pub fn taker(&self, message: &str, key: &str) -> Option<TokenId> {
        let all = self.subscriptions();
        let wanted = all.iter().filter(|one| *one.message == *message && one.key == key).map(|one| one.token);
        wanted.min_by_key(|id| {
            let token = self.tokens.get(id);
            let guard = token.is_some_and(|token| matches!(token.at, At::Guard { .. }));
            let depth = token.map_or(0, |token| self.around(token.scope).count());
            (std::cmp::Reverse(depth), guard, *id)
        })
    }

    /// Calls that are not made because such calls are paused: the token, when it looks again by itself, and by
    /// what. None of an instance that stands still anyway.
    pub fn held(&self) -> impl Iterator<Item = (TokenId, u64, &str)> {
        self.tokens.iter().filter(|_| !self.suspended).filter_map(|(&token, one)| {
            let At::Retrying { due_ms, error, .. } = &one.at else { return None };
            if error.code != super::fail::PAUSED {
                return None;
            }
            Some((token, *due_ms, error.data.as_ref()?.as_str()?))
        })
    }

    /// What people and workers have to do, in token order.
    pub fn open_tasks(&self, flow: &Flow) -> Vec<OpenTask> {
        let mut all = Vec::new();
        for (&token, one) in &self.tokens {
            if let At::Open { visit, due_ms } = &one.at {
                let path = self.scopes.get(&one.scope).map_or("", |scope| &*scope.path);
                all.push(OpenTask {
                    token,
                    attempt: visit.attempt,
                    visit: one.visit,
                    key: visit.key.clone(),
                    name: format!("{path}{}", flow.nodes[one.node].id).into(),
                    place: flow.name(one.node),
                    topic: match &flow.nodes[one.node].kind {
                        Kind::ExternalTask(task) => Some(task.topic.clone()),
                        _ => None,
                    },
                    since_ms: one.since_ms,
                    until_ms: *due_ms,
                    input: visit.input.value.clone(),
                });
            }
        }
        all
    }

    /// Whether `inner` is `outer` or within it.
    pub fn is_within(&self, mut inner: ScopeId, outer: ScopeId) -> bool {
        while inner != outer {
            match self.scopes.get(&inner).and_then(|scope| scope.within.as_ref()) {
                Some(within) => inner = within.scope,
                None => return false,
            }
        }
        true
    }

    /// The scope, and those around it, from within.
    pub fn around(&self, scope: ScopeId) -> impl Iterator<Item = (ScopeId, &Scope)> {
        std::iter::successors(self.scopes.get(&scope).map(|one| (scope, one)), |(_, one)| {
            let outer = one.within.as_ref()?.scope;
            self.scopes.get(&outer).map(|one| (outer, one))
        })
    }

    /// The error an ended or stuck instance shows: its end's, else its first incident's.
    pub fn error(&self) -> Option<&Error> {
        match &self.end {
            Some(end) => end.error.as_ref(),
            None => self.tokens.values().find_map(|token| match &token.at {
                At::Incident { error, .. } => Some(error),
                _ => None,
            }),
        }
    }
}
