//! From the nodes of a document to the nodes of a flow.
//!
//! Not here: edges and ports in use (`edges`), schemas (`fit`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::starts::no_priority;
use super::{Checker, Entry, Reading, Sees, Write};
use crate::catalog::{CalledFlow, EffectClass, NodeType};
use crate::decide::Table;
use crate::expr::Template;
use crate::flow::document::{
    BoundaryDocument, DecisionDocument, DeliveryDocument, NodeDocument, PriorityDocument, ReceiveDocument,
    RetryDocument, SetDocument, TaskDocument, ThrowDocument, TimerDocument, UndoDocument,
};
use crate::flow::duration::DURATION_MS_MAX;
use crate::flow::pointer::{child, nearest};
use crate::flow::{
    Callee, Contract, DONE, Decision, Delivery, Kind, NodeIx, Retry, TIMEOUT, Task, Throw, TimerKind, Undo, Writes,
};
use crate::machine::{MESSAGE_NAME_BYTES_MAX, fits_message};
use crate::problem::Problem;

/// Boundary handlers by port.
pub(super) type Handlers = BTreeMap<String, BoundaryDocument>;

/// Of one attempt, unless the document says otherwise.
pub(super) const CALL_TIMEOUT_MS: u64 = 3_000;
/// Of a step of a stage, whatever its kind: of all tries and the waits between them.
pub(super) const STEP_TIMEOUT_MS: u64 = 2_000;
/// Longest attempt. What takes longer waits for a message.
const CALL_TIMEOUT_MS_MAX: u64 = 3_600_000;
const ATTEMPTS_MAX: u32 = 100;
const FACTOR_MAX: f64 = 10.0;
const ID_BYTES_MAX: usize = 64;
/// Of a business error.
const CODE_BYTES_MAX: usize = 64;

impl<'d> Checker<'d> {
    pub(super) fn compile_nodes(&mut self) {
        let Some(nodes) = self.reader.raw("nodes") else { return };
        let Some(nodes) = nodes.as_object() else {
            self.problem(Problem::error("WRONG_TYPE", "/nodes", "`nodes` is an object of nodes by id"));
            return;
        };
        // All ids and containers first, so that a node may speak of a later one.
        let mut bodies = 0;
        for (index, (id, value)) in nodes.iter().enumerate() {
            self.by_id.insert(id, index);
            let container = matches!(value.get("type").and_then(Value::as_str), Some("for-each" | "stage"));
            bodies += usize::from(container);
            let holds = container.then_some(bodies);
            let pointer = child("/nodes", id);
            let (kind, lock, on, listeners) = (None, None, Vec::new(), Vec::new());
            let (inside, node_type, ports) = (None, None, None);
            self.nodes.push(Entry { id, pointer, inside, holds, kind, lock, on, listeners, node_type, ports });
            let steps = value.get("steps").and_then(Value::as_array).into_iter().flatten();
            self.steps.extend(steps.filter_map(|step| step.get("run")?.as_str()));
        }
        for (index, (id, value)) in nodes.iter().enumerate() {
            self.check_id(index, id);
            if !self.is_evaluate(id)
                && let Some(document) = self.reader.node(id, value)
            {
                self.contain(index, document.inside());
                self.lock(index, document.lock());
                let (listeners, pointer) = (document.listeners().to_vec(), child(&child("/nodes", id), "listeners"));
                self.nodes[index].listeners = self.listeners(index, &listeners, &pointer);
                self.compile_node(index, document);
            }
        }
    }

    fn check_id(&mut self, node: NodeIx, id: &str) {
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
        let well_formed = id.len() <= ID_BYTES_MAX
            && id.bytes().all(letters)
            && id.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !well_formed {
            let problem = Problem::error("NODE_ID", child("/nodes", id), format!("`{id}` is no id for a node"));
            self.on(node, problem.fix("use letters, digits and `_`, at most 64, no digit first"));
        }
    }

    fn compile_node(&mut self, node: NodeIx, document: NodeDocument) {
        let pointer = self.nodes[node].pointer.clone();
        let mut ports: Option<Vec<Arc<str>>> = Some(vec![DONE.into()]);
        let kind = match document {
            NodeDocument::Start(_) => Some(Kind::Start),
            NodeDocument::Exclusive(_) => Some(Kind::Exclusive),
            NodeDocument::Inclusive(_) => Some(Kind::Inclusive),
            NodeDocument::EventGateway(_) => Some(Kind::EventGateway),
            NodeDocument::Throw(throw) => {
                ports = Some(Vec::new());
                Some(self.throw(node, throw, &pointer))
            }
            NodeDocument::Parallel(parallel) => {
                if parallel.join.as_ref().is_some_and(|join| join.timeout.is_some()) {
                    ports = Some(vec![DONE.into(), TIMEOUT.into()]);
                }
                Some(Kind::Parallel(self.join(node, parallel.join.unwrap_or_default(), parallel.tokens, &pointer)))
            }
            NodeDocument::Compensate(_) => Some(Kind::Compensate),
            NodeDocument::Cancel(cancel) => Some(self.cancel(node, &cancel, &pointer)),
            NodeDocument::End(end) => {
                ports = Some(Vec::new());
                let output = end.output.unwrap_or_default();
                let output = self.template(node, &output, &child(&pointer, "output"), &Sees::Flow);
                Some(Kind::End { output, terminate: end.terminate })
            }
            NodeDocument::Reply(reply) => {
                let output = reply.output.unwrap_or_default();
                Some(Kind::Reply { output: self.template(node, &output, &child(&pointer, "output"), &Sees::Flow) })
            }
            NodeDocument::Task(task) => {
                ports = self.task_ports(node, &task);
                self.task(node, *task, &pointer).map(|task| Kind::Task(Box::new(task)))
            }
            NodeDocument::Decision(decision) => self.decision(node, &decision, &pointer),
            NodeDocument::Set(set) => Some(self.set(node, &set, &pointer)),
            NodeDocument::Timer(timer) => self.timer(node, &timer, &pointer),
            NodeDocument::Receive(receive) => {
                ports = Some(self.waiting_ports(node, receive.timeout.as_deref(), &receive.on));
                self.receive(node, &receive, &pointer)
            }
            NodeDocument::UserTask(task) => {
                ports = Some(self.waiting_ports(node, task.timeout.as_deref(), &task.on));
                Some(self.user_task(node, *task, &pointer))
            }
            NodeDocument::ExternalTask(task) => {
                ports = Some(self.waiting_ports(node, task.timeout.as_deref(), &task.on));
                self.external_task(node, *task, &pointer)
            }
            NodeDocument::Call(call) => {
                ports = Some(self.waiting_ports(node, None, &call.on));
                self.call_flow(node, *call, &pointer)
            }
            NodeDocument::ForEach(each) => {
                ports = Some(self.waiting_ports(node, None, &each.on));
                self.for_each(node, *each, &pointer)
            }
            NodeDocument::Stage(stage) => {
                ports = Some(self.waiting_ports(node, None, &stage.on));
                self.stage(node, &stage, &pointer)
            }
            NodeDocument::Slot(_) => self.misplaced_slot(node, &pointer),
        };
        self.nodes[node].kind = kind;
        self.nodes[node].ports = ports;
    }

    /// The slots of templates were filled before.
    fn misplaced_slot(&mut self, node: NodeIx, pointer: &str) -> Option<Kind> {
        let problem = Problem::error("SLOT_MISPLACED", child(pointer, "type"), "only a template has slots");
        self.on(node, problem.fix("write \"kind\": \"template\", or another type"));
        None
    }

    pub(super) fn template(&mut self, node: NodeIx, source: &Value, pointer: &str, sees: &Sees) -> Template {
        let before = self.reader.problems.len();
        let mut found = Vec::new();
        let template = Template::compile(source, pointer, self.timezone, &mut self.reader.problems, &mut found);
        let id = self.nodes[node].id;
        for problem in &mut self.reader.problems[before..] {
            problem.node = Some(id.to_owned());
        }
        let readings = found.into_iter();
        self.readings.extend(readings.map(|(pointer, expr)| Reading {
            node: Some(node),
            pointer,
            expr,
            sees: sees.clone(),
        }));
        template
    }

    fn task_ports(&mut self, node: NodeIx, task: &TaskDocument) -> Option<Vec<Arc<str>>> {
        let node_type = self.catalog.get(&task.uses);
        self.nodes[node].node_type = node_type;
        let own = node_type?.ports.iter().map(|port| Arc::from(port.name.as_str()));
        let ports = own.collect();
        Some(self.with_handlers(node, ports, &task.on))
    }

    /// Of a node that is left by `done`, by `timeout` if it has one, and by its handlers.
    fn waiting_ports(&mut self, node: NodeIx, timeout: Option<&str>, on: &Handlers) -> Vec<Arc<str>> {
        let mut ports: Vec<Arc<str>> = vec![DONE.into()];
        if timeout.is_some() {
            ports.push(TIMEOUT.into());
        }
        self.with_handlers(node, ports, on)
    }

    fn with_handlers(&mut self, node: NodeIx, mut ports: Vec<Arc<str>>, on: &Handlers) -> Vec<Arc<str>> {
        for name in on.keys() {
            if ports.iter().any(|port| **port == **name) {
                let pointer = child(&child(&self.nodes[node].pointer, "on"), name);
                let message = format!("`{}` has a port `{name}` of its own", self.nodes[node].id);
                self.on(node, Problem::error("DUPLICATE_PORT", pointer, message).fix("give the handler another name"));
            }
            ports.push(name.as_str().into());
        }
        ports
    }

    fn task(&mut self, node: NodeIx, task: TaskDocument, pointer: &str) -> Option<Task> {
        let with = task.with.unwrap_or_else(|| Value::Object(Map::new()));
        let with_pointer = child(pointer, "with");
        let input = self.template(node, &with, &with_pointer, &Sees::Flow);
        let retry = self.retry(node, &task.retry.unwrap_or_default(), &child(pointer, "retry"));
        let whole_ms = self.step_ms(node).filter(|_| task.timeout.is_none());
        let usual_ms = whole_ms.unwrap_or(CALL_TIMEOUT_MS);
        let call = self.callee(node, &task.uses, task.config, task.timeout.as_deref(), usual_ms, pointer);
        self.nodes[node].on = self.boundaries(node, &task.on, pointer);
        let undo = self.undo(node, task.undo, &task.uses, pointer);
        if let Some(node_type) = self.nodes[node].node_type {
            self.check_input(node, &input, node_type, &with_pointer);
        }
        let delivery = match task.delivery {
            None | Some(DeliveryDocument::AtLeastOnce) => Delivery::AtLeastOnce,
            Some(DeliveryDocument::AtMostOnce) => Delivery::AtMostOnce,
        };
        if delivery == Delivery::AtMostOnce && call.as_ref().is_some_and(|call| call.effect != EffectClass::External) {
            let message = "at-most-once is for external nodes: this one does nothing outside";
            let problem = Problem::warning("DELIVERY_WITHOUT_EFFECT", child(pointer, "delivery"), message);
            self.on(node, problem.fix("remove `delivery`"));
        }
        let call = call.map(|call| Callee { cache: task.cache, ..call });
        if task.cache && call.as_ref().is_some_and(|call| call.effect != EffectClass::Pure) {
            let message = "only a pure node answers the same to the same; this one may not be spared a call";
            let problem = Problem::error("CACHE_NOT_PURE", child(pointer, "cache"), message);
            self.on(node, problem.fix("remove `cache`"));
        }
        let contract = self.contract(self.nodes[node].node_type);
        Some(Task { call: call?, contract, with: input, retry, whole_ms, undo: undo?, delivery })
    }

    pub(super) fn undo(&mut self, node: NodeIx, undo: Option<UndoDocument>, uses: &str, pointer: &str) -> Option<Undo> {
        let own_undo = self.nodes[node].node_type.map(|node_type| node_type.undo);
        match undo {
            None | Some(UndoDocument::Own(false)) => Some(Undo::No),
            Some(UndoDocument::Own(true)) => {
                if own_undo == Some(false) {
                    let message = format!("`{uses}` has no undo of its own");
                    let problem = Problem::error("UNDO_NOT_OFFERED", child(pointer, "undo"), message);
                    self.on(node, problem.fix("name the node type that undoes it: { \"uses\": … }"));
                }
                Some(Undo::Own)
            }
            Some(UndoDocument::By(by)) => {
                let pointer = child(pointer, "undo");
                let source = by.with.unwrap_or_else(|| Value::Object(Map::new()));
                let with_pointer = child(&pointer, "with");
                let with = self.template(node, &source, &with_pointer, &Sees::Undo);
                if let Some(by_type) = self.catalog.get(&by.uses) {
                    self.check_input(node, &with, by_type, &with_pointer);
                }
                let call = self.callee(node, &by.uses, by.config, by.timeout.as_deref(), CALL_TIMEOUT_MS, &pointer);
                call.map(|call| Undo::By { call, with })
            }
        }
    }

    pub(super) fn contract(&mut self, node_type: Option<&'d NodeType>) -> Contract {
        let Some(node_type) = node_type else { return Contract::default() };
        let input = self.schema(&node_type.input);
        let ports = node_type.ports.iter().map(|port| (port.name.as_str().into(), self.schema(&port.output)));
        let ports = ports.collect();
        Contract { input, ports }
    }

    /// A node type by name, with its config; `pointer` is where `uses` stands.
    pub(super) fn callee(
        &mut self,
        node: NodeIx,
        uses: &str,
        config: Option<Map<String, Value>>,
        timeout: Option<&str>,
        usual_ms: u64,
        pointer: &str,
    ) -> Option<Callee> {
        let bounds = 1..=CALL_TIMEOUT_MS_MAX;
        let timeout_ms = self.duration(timeout, &child(pointer, "timeout"), bounds, Some(node));
        let Some(node_type) = self.catalog.get(uses) else {
            self.unknown_type(node, uses, &child(pointer, "uses"));
            return None;
        };
        let config = Value::Object(config.unwrap_or_default());
        self.check_config(node, &config, node_type, &child(pointer, "config"));
        Some(Callee {
            uses: node_type.uses.as_str().into(),
            node_type: local_name(node_type).into(),
            digest: node_type.digest.as_str().into(),
            effect: node_type.effect,
            config: Arc::new(config),
            timeout_ms: timeout_ms.unwrap_or(usual_ms),
            undo: node_type.undo,
            resume: node_type.resume,
            query: node_type.query,
            cache: false,
        })
    }

    fn unknown_type(&mut self, node: NodeIx, uses: &str, pointer: &str) {
        let parts = uses.split_once('/').and_then(|(plugin, rest)| Some((plugin, rest.split_once('@')?)));
        let Some((plugin, (name, major))) = parts.filter(|(_, (_, major))| major.parse::<u32>().is_ok()) else {
            let message = format!("`{uses}` names no node type, and is no alias of one that is loaded");
            let problem = Problem::error("USES_FORM", pointer, message);
            return self.on(node, problem.fix("write plugin/type@major, for example http/request@1"));
        };
        let all = || self.catalog.node_types.keys().map(String::as_str);
        let loaded = |prefix: &str| all().filter(|one| one.starts_with(prefix)).collect::<Vec<_>>();
        let other_majors = loaded(&format!("{plugin}/{name}@"));
        let problem = if loaded(&format!("{plugin}/")).is_empty() {
            let message = format!("no plugin `{plugin}` is loaded");
            Problem::error("PLUGIN_MISSING", pointer, message)
        } else if other_majors.is_empty() {
            let message = format!("plugin `{plugin}` has no node type `{name}`");
            Problem::error("UNKNOWN_NODE_TYPE", pointer, message)
        } else {
            let message = format!("`{plugin}/{name}` is not loaded in major version {major}");
            Problem::error("UNKNOWN_NODE_TYPE", pointer, message).fix(format!("use {}", other_majors.join(" or ")))
        };
        let near = nearest(uses, all()).map(|near| format!("did you mean `{near}`?"));
        let problem = match (problem.fix.is_some(), near) {
            (false, Some(fix)) => problem.fix(fix),
            (false, None) => problem.fix("load the plugin, or choose another node type"),
            (true, _) => problem,
        };
        self.on(node, problem);
    }

    pub(super) fn retry(&mut self, node: NodeIx, retry: &RetryDocument, pointer: &str) -> Retry {
        let default = Retry::default();
        let out_of =
            |field: &str, message: String| Problem::error("RETRY_OUT_OF_BOUNDS", child(pointer, field), message);
        let attempts = retry.attempts.unwrap_or(default.attempts);
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            self.on(node, out_of("attempts", format!("{attempts} attempts; 1 to {ATTEMPTS_MAX} are possible")));
        }
        let factor = retry.factor.unwrap_or(default.factor);
        if !(1.0..=FACTOR_MAX).contains(&factor) {
            self.on(node, out_of("factor", format!("a factor of {factor}; 1 to {FACTOR_MAX} are possible")));
        }
        let mut duration = |field: &str, text: Option<&str>| {
            self.duration(text, &child(pointer, field), 0..=DURATION_MS_MAX, Some(node))
        };
        let backoff_ms = duration("backoff", retry.backoff.as_deref()).unwrap_or(default.backoff_ms);
        let max_ms = duration("max", retry.max.as_deref()).unwrap_or(default.max_ms.max(backoff_ms));
        if max_ms < backoff_ms {
            self.on(
                node,
                out_of("max", format!("the longest wait, {max_ms} ms, is shorter than the first, {backoff_ms} ms")),
            );
        }
        Retry { attempts, backoff_ms, factor, max_ms }
    }

    fn decision(&mut self, node: NodeIx, decision: &DecisionDocument, pointer: &str) -> Option<Kind> {
        let with_pointer = child(pointer, "with");
        let with = decision.with.as_ref().map(|with| self.template(node, with, &with_pointer, &Sees::Flow));
        let pointer = child(pointer, "table");
        let (source, from) = match &decision.table {
            Value::String(name) => {
                let found = self.published_table(node, name, &pointer)?;
                if let (Some(with), Some(schema)) = (&with, found.document.get("input")) {
                    self.fit(node, with, schema, &with_pointer);
                }
                (found.document.get("table")?, Some(format!("{}@{}", found.key, found.version).into()))
            }
            own => (own, None),
        };
        let before = self.reader.problems.len();
        let table = Table::parse_in(source, &pointer, self.timezone, &mut self.reader.problems);
        let id = self.nodes[node].id;
        for problem in &mut self.reader.problems[before..] {
            problem.node = Some(id.to_owned());
            if from.is_some() {
                problem.pointer.clone_from(&pointer);
            }
        }
        let table = table?;
        let sees = match &with {
            None => Sees::Flow,
            Some(Template::Object(fields)) => {
                Sees::Fields(Some(fields.iter().map(|(name, _)| name.to_string()).collect()))
            }
            Some(Template::Literal(Value::Object(map))) => Sees::Fields(Some(map.keys().cloned().collect())),
            Some(_) => Sees::Fields(None),
        };
        table.expressions(&mut |expr| {
            let (expr, sees) = (expr.clone(), sees.clone());
            self.readings.push(Reading { node: Some(node), pointer: pointer.clone(), expr, sees });
        });
        Some(Kind::Decision(Box::new(Decision { table, from, with })))
    }

    fn published_table(&mut self, node: NodeIx, name: &str, pointer: &str) -> Option<&'d CalledFlow> {
        let catalog = self.catalog;
        let found = catalog.tables.get(name);
        if let Some(other) = found.filter(|found| !crate::table::is_table(&found.document)) {
            let message = format!("`{}` is no table", other.key);
            let problem = Problem::error("TABLE_MISSING", pointer, message).fix("name a table");
            self.on(node, problem);
            return None;
        }
        if found.is_none() {
            let problem = Problem::error("TABLE_MISSING", pointer, format!("no table `{name}` is published"));
            let near = nearest(name, catalog.tables.keys().map(String::as_str));
            let fix = near.map_or("publish it first".to_owned(), |near| format!("did you mean `{near}`?"));
            self.on(node, problem.fix(fix));
        }
        found
    }

    fn throw(&mut self, node: NodeIx, throw: ThrowDocument, pointer: &str) -> Kind {
        let letters = |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
        if !(1..=CODE_BYTES_MAX).contains(&throw.code.len()) || !throw.code.bytes().all(letters) {
            let message = format!("`{}` is no code", throw.code);
            let problem = Problem::error("ERROR_CODE", child(pointer, "code"), message);
            self.on(node, problem.fix("use capital letters, digits and `_`, at most 64"));
        }
        let message = Value::String(throw.message.unwrap_or_default());
        let message = self.template(node, &message, &child(pointer, "message"), &Sees::Flow);
        let data = throw.data.map(|data| self.template(node, &data, &child(pointer, "data"), &Sees::Flow));
        Kind::Throw(Box::new(Throw { code: throw.code, message, data }))
    }

    fn set(&mut self, node: NodeIx, set: &SetDocument, pointer: &str) -> Kind {
        if set.vars.is_empty() && set.priority.is_none() {
            let problem = Problem::warning("SET_NOTHING", child(pointer, "vars"), "no variable is set here");
            self.on(node, problem.fix("add one"));
        }
        let vars = self.vars(node, &set.vars, &child(pointer, "vars"), &Sees::Flow);
        let priority = self.new_priority(node, set.priority.as_ref(), &child(pointer, "priority"), &Sees::Flow);
        Kind::Set(Writes { vars, priority })
    }

    pub(super) fn vars(
        &mut self,
        node: NodeIx,
        sources: &BTreeMap<String, Value>,
        pointer: &str,
        sees: &Sees,
    ) -> Vec<(Arc<str>, Template)> {
        let mut vars = Vec::with_capacity(sources.len());
        for (name, source) in sources {
            let pointer = child(pointer, name);
            let letters = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
            if !name.bytes().all(letters)
                || !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            {
                let problem = Problem::error("VARIABLE_NAME", &pointer, format!("`{name}` is no name for a variable"));
                self.on(node, problem.fix("use letters, digits and `_`, no digit first"));
            }
            let before = self.readings.len();
            let template = self.template(node, source, &pointer, sees);
            // Object keys have no order, so what one entry sees of another would depend on nothing.
            let others = self.readings[before..].iter().flat_map(|reading| reading.expr.reads());
            let other = others
                .filter(|path| &*path[0] == "vars")
                .find_map(|path| path.get(1).filter(|other| ***other != **name && sources.contains_key(&***other)));
            if let Some(other) = other.cloned() {
                let message = format!("`{name}` reads `vars.{other}`, which the same node writes");
                self.on(
                    node,
                    Problem::error("SET_READS_ITSELF", &pointer, message).fix("use two set nodes, one after the other"),
                );
            }
            let name: Arc<str> = name.as_str().into();
            self.writes.push(Write { node, name: name.clone(), pointer });
            vars.push((name, template));
        }
        vars
    }

    /// What an instance's priority becomes.
    pub(super) fn new_priority(
        &mut self,
        node: NodeIx,
        priority: Option<&PriorityDocument>,
        pointer: &str,
        sees: &Sees,
    ) -> Option<Template> {
        let source = match priority? {
            PriorityDocument::Number(number) => Value::from(*number),
            PriorityDocument::Expression(text) => Value::from(text.as_str()),
        };
        let template = self.template(node, &source, pointer, sees);
        if let Template::Literal(Value::String(_)) = template {
            self.on(node, no_priority(&source, pointer));
        }
        Some(template)
    }

    fn timer(&mut self, node: NodeIx, timer: &TimerDocument, pointer: &str) -> Option<Kind> {
        match (timer.after.as_deref(), timer.until.as_deref()) {
            (Some(after), None) => {
                let after = self.duration(Some(after), &child(pointer, "after"), 0..=DURATION_MS_MAX, Some(node))?;
                Some(Kind::Timer(TimerKind::AfterMs(after)))
            }
            (None, Some(until)) => {
                let until = self.expression(until, &child(pointer, "until"), Some(node), Sees::Flow)?;
                Some(Kind::Timer(TimerKind::Until(until)))
            }
            (after, _) => {
                let message = if after.is_some() {
                    "a timer has `after` or `until`, not both"
                } else {
                    "a timer needs `after` or `until`"
                };
                self.on(node, Problem::error("TIMER_FORM", pointer, message).fix("write \"after\": \"30m\""));
                None
            }
        }
    }

    fn receive(&mut self, node: NodeIx, receive: &ReceiveDocument, pointer: &str) -> Option<Kind> {
        if !fits_message(&receive.message, MESSAGE_NAME_BYTES_MAX) {
            let message = format!("a message's name has 1 to {MESSAGE_NAME_BYTES_MAX} bytes");
            self.on(node, Problem::error("MESSAGE_NAME", child(pointer, "message"), message));
        }
        if receive.timeout.is_none() && self.step_ms(node).is_none() {
            let message = "nothing ends this wait if the message never comes";
            self.on(
                node,
                Problem::warning("RECEIVE_WITHOUT_TIMEOUT", pointer, message)
                    .fix("add a `timeout` and an edge from its port"),
            );
        }
        let timeout_ms = self.whole_timeout(node, receive.timeout.as_deref(), pointer);
        self.nodes[node].on = self.boundaries(node, &receive.on, pointer);
        let key = self.expression(&receive.key, &child(pointer, "key"), Some(node), Sees::Flow)?;
        Some(Kind::Receive { message: receive.message.as_str().into(), key, timeout_ms })
    }
}

/// `ship` of `commerce/ship`.
fn local_name(node_type: &NodeType) -> &str {
    node_type.id.split_once('/').map_or(node_type.id.as_str(), |(_, name)| name)
}
