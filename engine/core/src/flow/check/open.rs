//! Boundary handlers, joins, and work that somebody outside does.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::compile::{Handlers, STEP_TIMEOUT_MS};
use super::{Checker, Sees};
use crate::expr::Template;
use crate::flow::document::{
    BoundaryDocument, BoundaryKind, ExternalTaskDocument, JoinDocument, RestDocument, UndoDocument, UserTaskDocument,
};
use crate::flow::duration::DURATION_MS_MAX;
use crate::flow::pointer::{child, nearest};
use crate::flow::{Boundary, Catch, ExternalTask, Join, Kind, NodeIx, Rest, TimerKind, Undo, UserTask};
use crate::machine::{MESSAGE_NAME_BYTES_MAX, fits_message};
use crate::problem::Problem;
use crate::schema::Schema;

/// Of what an external task is fetched by.
const TOPIC_BYTES_MAX: usize = 200;
/// Most tokens that one becomes, or that become one.
const TOKENS_MAX: u32 = 1_000;

impl Checker<'_> {
    pub(super) fn boundaries(&mut self, node: NodeIx, on: &Handlers, pointer: &str) -> Vec<Boundary> {
        let pointer = child(pointer, "on");
        let mut handlers: Vec<Boundary> = Vec::new();
        for (port, handler) in on {
            let pointer = child(&pointer, port);
            let Some(catches) = self.catches(node, handler, &pointer) else { continue };
            let waits = matches!(catches, Catch::After { .. } | Catch::Message { .. });
            if handler.interrupting == Some(false) && !waits {
                let message = "a node that has failed does not go on";
                let problem = Problem::error("NOT_INTERRUPTING", child(&pointer, "interrupting"), message);
                self.on(node, problem.fix("remove `interrupting`"));
            }
            if handlers.iter().any(|other| same(&other.catches, &catches)) {
                let message = "another handler of this node catches the same";
                self.on(node, Problem::error("BOUNDARY_TWICE", &pointer, message).fix("remove one of them"));
            }
            let interrupting = handler.interrupting.unwrap_or(true);
            handlers.push(Boundary { port: port.as_str().into(), catches, interrupting });
        }
        handlers
    }

    fn catches(&mut self, node: NodeIx, handler: &BoundaryDocument, pointer: &str) -> Option<Catch> {
        let BoundaryDocument { kind, code, after, message, key, .. } = handler;
        for (field, given, allowed) in [
            ("code", code.is_some(), BoundaryKind::Error),
            ("after", after.is_some(), BoundaryKind::Timeout),
            ("message", message.is_some(), BoundaryKind::Message),
            ("key", key.is_some(), BoundaryKind::Message),
        ] {
            if given && *kind != allowed {
                let problem =
                    Problem::error("BOUNDARY_FORM", child(pointer, field), format!("this handler has no `{field}`"));
                self.on(node, problem.fix(format!("remove `{field}`")));
            }
        }
        match kind {
            BoundaryKind::Error => {
                self.boundary_code(node, code.as_deref(), &child(pointer, "code"));
                Some(Catch::Error { code: code.as_deref().map(Arc::from) })
            }
            BoundaryKind::Timeout => match after.as_deref() {
                None => Some(Catch::Timeout),
                Some(after) => {
                    let ms = self.duration(Some(after), &child(pointer, "after"), 1..=DURATION_MS_MAX, Some(node))?;
                    Some(Catch::After { ms })
                }
            },
            BoundaryKind::Message => {
                let (Some(name), Some(key)) = (message, key) else {
                    let problem = Problem::error("BOUNDARY_FORM", pointer, "a message handler has `message` and `key`");
                    self.on(node, problem.fix("name the message, and the key it comes for: \"=input.orderId\""));
                    return None;
                };
                self.message_name(node, name, &child(pointer, "message"));
                let key = self.expression(key, &child(pointer, "key"), Some(node), Sees::Flow)?;
                Some(Catch::Message { message: name.as_str().into(), key })
            }
        }
    }

    pub(super) fn message_name(&mut self, node: NodeIx, name: &str, pointer: &str) {
        if !fits_message(name, MESSAGE_NAME_BYTES_MAX) {
            let message = format!("a message's name has 1 to {MESSAGE_NAME_BYTES_MAX} bytes");
            self.on(node, Problem::error("MESSAGE_NAME", pointer, message));
        }
    }

    /// A code of the node type's own, or one the engine gives.
    fn boundary_code(&mut self, node: NodeIx, code: Option<&str>, pointer: &str) {
        const ENGINE: [&str; 10] = [
            "TIMEOUT",
            "TRANSIENT",
            "PERMANENT",
            "UNKNOWN",
            "TRAP",
            "OUT_OF_MEMORY",
            "BAD_OUTPUT",
            "BREAKER_OPEN",
            "NOT_GRANTED",
            "PLUGIN_MISSING",
        ];
        let (Some(code), Some(node_type)) = (code, self.nodes[node].node_type) else { return };
        let own = node_type.errors.iter().map(|error| error.code.as_str());
        // Codes that come from outside are not all known: HTTP answers give theirs.
        if own.clone().chain(ENGINE).any(|known| known == code) || code.starts_with("HTTP_") {
            return;
        }
        let message = format!("`{}` does not say that it fails with `{code}`", node_type.uses);
        let problem = Problem::warning("BOUNDARY_CODE", pointer, message);
        let near = nearest(code, own.clone().chain(ENGINE)).map(|near| format!("did you mean `{near}`?"));
        let all = own.collect::<Vec<_>>().join(", ");
        self.on(node, problem.fix(near.unwrap_or_else(|| format!("its own codes are {all}"))));
    }

    /// How many edges arrive is not known yet: `check_join` looks at that.
    pub(super) fn join(&mut self, node: NodeIx, join: JoinDocument, sends: Option<u32>, pointer: &str) -> Join {
        let sends = self.tokens(node, sends, pointer);
        let pointer = child(pointer, "join");
        let tokens = self.tokens(node, join.tokens, &pointer);
        if tokens > 1 && (join.count.is_some() || join.percent.is_some() || !join.must.is_empty()) {
            let problem = Problem::error("JOIN_FORM", &pointer, "a join of many tokens waits for all edges");
            self.on(node, problem.fix("remove `tokens`, or the others"));
        }
        let timeout_ms =
            self.duration(join.timeout.as_deref(), &child(&pointer, "timeout"), 1..=DURATION_MS_MAX, Some(node));
        if join.count.is_some() && join.percent.is_some() {
            let problem = Problem::error("JOIN_FORM", &pointer, "a join has `count` or `percent`, not both");
            self.on(node, problem.fix("remove one of them"));
        }
        if join.count == Some(0) || join.percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            let problem = Problem::error("JOIN_FORM", &pointer, "a join waits for at least one branch, at most all");
            self.on(node, problem.fix("use a count of 1 or more, or 1 to 100 percent"));
        }
        let rest = match join.rest {
            None | Some(RestDocument::Await) => Rest::Await,
            Some(RestDocument::Cancel) => Rest::Cancel,
        };
        self.joins.push((node, join));
        Join { wanted: 0, tokens, must: Vec::new(), rest, timeout_ms, sends }
    }

    /// How many tokens go together.
    fn tokens(&mut self, node: NodeIx, tokens: Option<u32>, pointer: &str) -> usize {
        let tokens = tokens.unwrap_or(1);
        if !(1..=TOKENS_MAX).contains(&tokens) {
            let message = format!("{tokens} tokens; 1 to {TOKENS_MAX} are possible");
            self.on(node, Problem::error("LIMIT_OUT_OF_BOUNDS", child(pointer, "tokens"), message));
        }
        tokens as usize
    }

    /// Joins, now that the edges are known.
    pub(super) fn complete_joins(&mut self) {
        for (node, document) in std::mem::take(&mut self.joins) {
            let pointer = child(&self.nodes[node].pointer, "join");
            let arriving: Vec<(usize, NodeIx)> = self
                .edges
                .iter()
                .enumerate()
                .filter(|(_, line)| line.to == node)
                .map(|(edge, line)| (edge, line.from))
                .collect();
            let all = arriving.len();
            let mut must = Vec::new();
            for (index, id) in document.must.iter().enumerate() {
                if let Some((edge, _)) = arriving.iter().find(|(_, from)| self.nodes[*from].id == id) {
                    must.push(*edge);
                    continue;
                }
                let message = format!("no edge arrives from `{id}`");
                let problem = Problem::error("JOIN_FORM", format!("{pointer}/must/{index}"), message);
                self.on(node, problem.fix("name a node whose edge arrives here"));
            }
            let wanted = match (document.count, document.percent) {
                (Some(count), _) => count as usize,
                (None, Some(percent)) => (all * percent as usize).div_ceil(100),
                (None, None) if must.is_empty() => all,
                (None, None) => must.len(),
            };
            if wanted > all && all > 1 {
                let message = format!("{wanted} branches are waited for, and {all} arrive");
                self.on(node, Problem::error("JOIN_FORM", &pointer, message).fix("lower the count"));
            }
            if let Some(Kind::Parallel(join)) = &mut self.nodes[node].kind {
                (join.wanted, join.must) = (wanted, must);
            }
        }
    }

    pub(super) fn user_task(&mut self, node: NodeIx, task: UserTaskDocument, pointer: &str) -> Kind {
        let mut template = |field: &str, source: Option<&Value>| {
            source.map(|source| self.template(node, source, &child(pointer, field), &Sees::Flow))
        };
        let assignee = template("assignee", task.assignee.as_ref());
        let users = template("users", task.users.as_ref());
        let groups = template("groups", task.groups.as_ref());
        let with = template("with", task.with.as_ref()).unwrap_or(Template::Literal(Value::Object(Map::new())));
        if assignee.is_none() && users.is_none() && groups.is_none() {
            let problem = Problem::warning("TASK_FOR_NOBODY", pointer, "anyone may take this task");
            self.on(node, problem.fix("add `assignee`, `users` or `groups`"));
        }
        let form = self.own_schema(node, task.form.as_ref(), &child(pointer, "form"));
        let due = match task.due.as_deref() {
            Some(due) if due.starts_with('=') => {
                self.expression(due, &child(pointer, "due"), Some(node), Sees::Flow).map(TimerKind::Until)
            }
            due => self.duration(due, &child(pointer, "due"), 1..=DURATION_MS_MAX, Some(node)).map(TimerKind::AfterMs),
        };
        let timeout_ms = self.whole_timeout(node, task.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &task.on, pointer);
        let form_source = task.form.map(Arc::new);
        let title = serde_json::to_value(&task.title).unwrap_or_default();
        Kind::UserTask(Box::new(UserTask { title, assignee, users, groups, with, form, form_source, due, timeout_ms }))
    }

    pub(super) fn external_task(&mut self, node: NodeIx, task: ExternalTaskDocument, pointer: &str) -> Option<Kind> {
        if !fits_message(&task.topic, TOPIC_BYTES_MAX) {
            let message = format!("a topic has 1 to {TOPIC_BYTES_MAX} bytes");
            self.on(node, Problem::error("TOPIC", child(pointer, "topic"), message));
        }
        let source = task.with.unwrap_or_else(|| Value::Object(Map::new()));
        let with = self.template(node, &source, &child(pointer, "with"), &Sees::Flow);
        let output = self.own_schema(node, task.output.as_ref(), &child(pointer, "output"));
        let retry = self.retry(node, &task.retry.unwrap_or_default(), &child(pointer, "retry"));
        let undo = match task.undo {
            Some(UndoDocument::Own(true)) => {
                let problem = Problem::error(
                    "UNDO_NOT_OFFERED",
                    child(pointer, "undo"),
                    "an external task has no undo of its own",
                );
                self.on(node, problem.fix("name the node type that undoes it: { \"uses\": … }"));
                Some(Undo::No)
            }
            undo => self.undo(node, undo, &task.topic, pointer),
        };
        let (timeout_ms, whole_ms) = self.own_or_step(node, task.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &task.on, pointer);
        let topic = task.topic.into();
        Some(Kind::ExternalTask(Box::new(ExternalTask {
            topic,
            with,
            output,
            retry,
            undo: undo?,
            timeout_ms,
            whole_ms,
        })))
    }

    /// How long a node may take that is not called: what it says, or what every step has.
    pub(super) fn whole_timeout(&mut self, node: NodeIx, timeout: Option<&str>, pointer: &str) -> Option<u64> {
        let (own, step) = self.own_or_step(node, timeout, pointer);
        own.or(step)
    }

    /// What a node says itself; else what it has as a step.
    pub(super) fn own_or_step(
        &mut self,
        node: NodeIx,
        timeout: Option<&str>,
        pointer: &str,
    ) -> (Option<u64>, Option<u64>) {
        let own = self.duration(timeout, &child(pointer, "timeout"), 1..=DURATION_MS_MAX, Some(node));
        (own, self.step_ms(node).filter(|_| timeout.is_none()))
    }

    /// What a node has that is a step of a stage and says no time of its own.
    pub(super) fn step_ms(&self, node: NodeIx) -> Option<u64> {
        self.steps.contains(self.nodes[node].id).then_some(STEP_TIMEOUT_MS)
    }

    fn own_schema(&mut self, node: NodeIx, source: Option<&Value>, pointer: &str) -> Option<Schema> {
        match Schema::compile(source?) {
            Ok(schema) => Some(schema),
            Err(error) => {
                self.on(node, Problem::error("SCHEMA_INVALID", pointer, format!("no JSON Schema: {error}")));
                None
            }
        }
    }
}

/// Whether two handlers are for the same.
fn same(one: &Catch, other: &Catch) -> bool {
    match (one, other) {
        (Catch::Error { code: one }, Catch::Error { code: other }) => one == other,
        (Catch::Timeout, Catch::Timeout) => true,
        (Catch::After { ms: one }, Catch::After { ms: other }) => one == other,
        (Catch::Message { message: one, key }, Catch::Message { message: other, key: other_key }) => {
            one == other && key.source == other_key.source
        }
        _ => false,
    }
}
