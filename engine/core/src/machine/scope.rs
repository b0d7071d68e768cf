//! Containers and called flows: how their scopes begin, come to their end, and fail.
//!
//! A container's node holds a token ([`At::Inside`]) while its scope is run. The items of a
//! `for-each` and the steps of a `stage` are scopes of their own within the container's.
//!
//! Invariant: a scope either completes or is undone; it is never left half done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::instance::{Done, End, Error, Item, Progress, ROOT, Scope, ScopeId, State, Then, TokenId, Within};
use super::token::{At, Token};
use super::walk::{Here, Walk};
use super::{FailureClass, ITEMS_MAX, Next, SCOPE_DEPTH_MAX};
use crate::expr::{Root, ValueError};
use crate::flow::{CallFlow, DONE, Flow, ForEach, Kind, Merge, NodeIx, OnFailure, Rest, Stage, Until};
use crate::planted;
use crate::value::Held;

impl Walk<'_> {
    /// The scope of this id. (A token's scope is there as long as the token is.)
    pub(super) fn scope_mut(&mut self, id: ScopeId) -> &mut Scope {
        self.it.scopes.entry(id).or_default()
    }

    pub(super) fn enter_call(&mut self, here: Here, call: &CallFlow) -> Result<(), ValueError> {
        let flow = self.flow;
        let input = self.held(here.scope, &call.with)?;
        let body = &flow.bodies[call.body];
        if let Some(mismatch) = body.input.as_ref().and_then(|schema| schema.check(&input.value).into_iter().next()) {
            let text = format!("the input of `{}` does not fit: {}: {}", body.key, mismatch.pointer, mismatch.message);
            self.incident(here, "INPUT_INVALID", text);
            return Ok(());
        }
        let Some(scope) = self.enter_container(here, Some(input), None)? else { return Ok(()) };
        if !self.flow_listens(scope, Next::Begin, None, None) {
            self.enter_flow(scope);
        }
        Ok(())
    }

    pub(super) fn enter_each(&mut self, here: Here, each: &ForEach) -> Result<(), ValueError> {
        let items = self.held(here.scope, &each.items)?;
        match &*items.value {
            Value::Array(list) if list.len() <= ITEMS_MAX => {}
            Value::Array(list) => {
                let text = format!("{} items; at most {ITEMS_MAX} are possible", list.len());
                self.incident(here, "ITEMS_LIMIT", text);
                return Ok(());
            }
            _ => return Err(ValueError { message: "`items` is no list".to_owned() }),
        }
        if let Some(scope) = self.enter_container(here, None, Some(items))? {
            self.advance(scope);
        }
        Ok(())
    }

    pub(super) fn enter_stage(&mut self, here: Here, stage: &Stage) -> Result<(), ValueError> {
        let flow = self.flow;
        let steps = (!stage.steps.is_empty()).then(|| Held::computed(vec![Value::Null; stage.steps.len()].into()));
        let graph = steps.is_none();
        let Some(scope) = self.enter_container(here, None, steps)? else { return Ok(()) };
        if graph {
            if flow.bodies[stage.body].entries.is_empty() {
                self.scope_mut(scope).output = Some(Held::computed(json!({})));
            }
            for &entry in &flow.bodies[stage.body].entries {
                self.arrive(scope, entry, None);
            }
        } else {
            self.advance(scope);
        }
        Ok(())
    }

    /// Stands a token on the container and opens its scope; nothing where scopes are nested too deep.
    fn enter_container(
        &mut self,
        here: Here,
        input: Option<Held>,
        items: Option<Held>,
    ) -> Result<Option<ScopeId>, ValueError> {
        let depth = self.it.around(here.scope).count();
        if depth >= SCOPE_DEPTH_MAX {
            self.incident(here, "DEPTH_LIMIT", format!("{depth} scopes in each other; no more are possible"));
            return Ok(None);
        }
        let host = self.place(here, At::Inside);
        let whole_ms = self.flow.nodes[here.node].kind.whole_ms();
        if let Some(token) = self.it.tokens.get_mut(&host) {
            token.until_ms = whole_ms.map(|whole_ms| self.it.now_ms.saturating_add(whole_ms));
        }
        let outer = self.it.scopes.get(&here.scope).map_or("", |scope| &*scope.path);
        let path = format!("{outer}{}.{}/", self.flow.nodes[here.node].id, here.visit);
        let progress = items.map(|items| {
            Box::new(Progress {
                items,
                next: 0,
                open: 0,
                enough: false,
                results: BTreeMap::new(),
                errors: BTreeMap::new(),
            })
        });
        let within = Within { scope: here.scope, node: here.node, host, item: None };
        let scope =
            self.open_scope(Scope { within: Some(within), path: path.into(), input, progress, ..Scope::default() });
        self.guard(host, here)?;
        Ok(Some(scope))
    }

    fn open_scope(&mut self, scope: Scope) -> ScopeId {
        let id = self.it.next_scope;
        self.it.next_scope += 1;
        self.it.scopes.insert(id, scope);
        id
    }

    /// Begins what can begin in a container with items or steps, or ends it.
    pub(super) fn advance(&mut self, container: ScopeId) {
        let flow = self.flow;
        let Some(within) = self.it.scopes.get(&container).and_then(|scope| scope.within.clone()) else { return };
        if let Err(error) = self.is_it_enough(container, &within) {
            let error = self.error(FailureClass::Flow, "EXPRESSION_FAILED", error.message, within.node);
            return self.fail(container, error);
        }
        loop {
            let Some(progress) = self.it.scopes.get(&container).and_then(|scope| scope.progress.as_deref()) else {
                return;
            };
            let (next, open, enough) = (progress.next, progress.open, progress.enough);
            let count = progress.items.value.as_array().map_or(0, Vec::len);
            let (entries, over, wait): (&[NodeIx], bool, bool) = match &flow.nodes[within.node].kind {
                Kind::ForEach(each) => {
                    let over = next >= count || (enough && each.rest == Rest::Cancel);
                    (&flow.bodies[each.body].entries, over, open >= each.limit)
                }
                Kind::Stage(stage) => {
                    let sync = next > 0
                        && stage.steps.get(next - 1).is_some_and(|step| step.sync)
                        && self.runs(container, next - 1);
                    let entry = stage.steps.get(next).map_or(&[][..], |step| std::slice::from_ref(&step.node));
                    (entry, next >= count, sync)
                }
                _ => return,
            };
            if over {
                self.stop_items(container);
                let open =
                    self.it.scopes.get(&container).and_then(|scope| scope.progress.as_ref()).map_or(0, |p| p.open);
                if open == 0 {
                    self.complete_items(container, &within);
                }
                return;
            }
            if wait {
                return;
            }
            self.begin_item(container, &within, next, entries);
        }
    }

    /// Whether the item is under way.
    fn runs(&self, container: ScopeId, index: usize) -> bool {
        let is_it =
            |within: &Within| within.scope == container && within.item.as_ref().is_some_and(|item| item.index == index);
        self.it.scopes.values().any(|scope| !scope.closed && scope.within.as_ref().is_some_and(is_it))
    }

    fn begin_item(&mut self, container: ScopeId, within: &Within, index: usize, entries: &[NodeIx]) {
        let scope = self.scope_mut(container);
        let path = format!("{}{index}/", scope.path);
        let Some(progress) = &mut scope.progress else { return };
        progress.next += 1;
        progress.open += 1;
        let value = progress.items.part(&format!("/{index}")).unwrap_or_else(|| Held::computed(Value::Null));
        let item = Some(Item { index, value });
        let within = Within { scope: container, node: within.node, host: within.host, item };
        let scope = self.open_scope(Scope { within: Some(within), path: path.into(), ..Scope::default() });
        for &entry in entries {
            self.arrive(scope, entry, None);
        }
    }

    /// Looks whether enough items have completed. Those that go on without the rest are left here.
    fn is_it_enough(&mut self, container: ScopeId, within: &Within) -> Result<(), ValueError> {
        let flow = self.flow;
        let Kind::ForEach(each) = &flow.nodes[within.node].kind else { return Ok(()) };
        let progress = self.it.scopes.get(&container).and_then(|scope| scope.progress.as_deref());
        let (Some(until), Some(progress)) = (&each.until, progress) else { return Ok(()) };
        if progress.enough || progress.results.is_empty() {
            return Ok(());
        }
        let enough = match until {
            Until::Count(until) => progress.results.len() >= *until,
            Until::When(when) => {
                let results: Value = progress.results.values().map(|held| (*held.value).clone()).collect();
                let count = Value::from(progress.items.value.as_array().map_or(0, Vec::len));
                let more = [("results", Root::Value(&results)), ("count", Root::Value(&count))];
                self.with_names(within.scope, &more, |scope| when.holds(scope))?
            }
        };
        if !enough {
            return Ok(());
        }
        let results = results_in_order(progress);
        if let Some(progress) = &mut self.scope_mut(container).progress {
            progress.enough = true;
        }
        if each.rest == Rest::Await
            && let Some(here) = self.it.tokens.get(&within.host).map(Token::here)
        {
            let guards = |token: &Token| matches!(token.at, At::Guard { host, .. } if host == within.host);
            self.it.tokens.retain(|_, token| !guards(token));
            let results = Held::computed(results);
            self.keep_output(here, results.clone());
            self.go_on(here, DONE, Some(&results));
        }
        Ok(())
    }

    /// Whether the container's token has gone on, and what still runs in it changes nothing.
    pub(super) fn has_left(&self, container: ScopeId) -> bool {
        self.it.scopes.get(&container).is_some_and(|scope| has_left(self.flow, scope))
    }

    /// A message has brought one more item.
    pub(super) fn one_more(&mut self, host: TokenId, here: Here, item: &Arc<Value>) {
        let flow = self.flow;
        let Kind::ForEach(each) = &flow.nodes[here.node].kind else { return };
        let (Some(more), Some(container)) = (&each.more, self.scope_of(host)) else { return };
        let open = more.when.as_ref().map_or(Ok(true), |when| self.with_scope(here.scope, |scope| when.holds(scope)));
        match open {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let error = self.error(FailureClass::Flow, "EXPRESSION_FAILED", error.message, here.node);
                return self.fail(container, error);
            }
        }
        let scope = self.scope_mut(container);
        let Some(progress) = scope.progress.as_mut().filter(|progress| scope.unwinding.is_none() && !progress.enough)
        else {
            return;
        };
        let mut items = (*progress.items.value).clone();
        let Value::Array(list) = &mut items else { return };
        if list.len() >= ITEMS_MAX {
            let text = format!("{} items; at most {ITEMS_MAX} are possible", list.len() + 1);
            let error = self.error(FailureClass::Flow, "ITEMS_LIMIT", text, here.node);
            return self.fail(container, error);
        }
        list.push((**item).clone());
        progress.items = Held::computed(items);
        self.advance(container);
    }

    /// Enough items have completed: what the others did is undone.
    fn stop_items(&mut self, container: ScopeId) {
        let progress = self.it.scopes.get(&container).and_then(|scope| scope.progress.as_ref());
        if progress.is_some_and(|progress| progress.enough) && !self.has_left(container) {
            self.undo_open_items(container);
        }
    }

    /// What runs on in a container that was left is stopped and undone; what has completed in it stays.
    pub(super) fn stop_rest(&mut self, container: ScopeId) {
        if let Some(progress) = &mut self.scope_mut(container).progress {
            progress.next = progress.items.value.as_array().map_or(0, Vec::len);
        }
        self.undo_open_items(container);
        self.advance(container);
    }

    fn undo_open_items(&mut self, container: ScopeId) {
        let open = |scope: &Scope| {
            !scope.closed
                && scope.unwinding.is_none()
                && scope.within.as_ref().is_some_and(|within| within.scope == container)
        };
        let others: Vec<ScopeId> = self.it.scopes.iter().filter(|(_, scope)| open(scope)).map(|(&id, _)| id).collect();
        for id in others {
            // Undoing one may have ended the whole.
            if self.it.scopes.contains_key(&id) {
                self.unwind(id, Then::Item, None);
            }
        }
    }

    fn complete_items(&mut self, container: ScopeId, within: &Within) {
        let flow = self.flow;
        let Some(progress) = self.it.scopes.get_mut(&container).and_then(|scope| scope.progress.take()) else { return };
        let output = match &flow.nodes[within.node].kind {
            Kind::ForEach(each) if progress.enough && each.rest == Rest::Await => {
                self.close(container);
                self.it.tokens.remove(&within.host);
                return;
            }
            Kind::ForEach(_) => Ok(results_in_order(&progress)),
            Kind::Stage(stage) => match collected(stage, flow, &progress) {
                None => Ok(merged(stage, flow, &progress)),
                Some(failures) => Err(failures),
            },
            _ => return,
        };
        match output {
            Ok(output) => self.leave_container(container, DONE, Some(&Held::computed(output))),
            Err(failures) => {
                let text = format!("{} steps failed", failures.len());
                let mut error = self.error(FailureClass::Rejected, "STEPS_FAILED", text, within.node);
                error.data = Some(Arc::new(Value::from(failures)));
                self.fail(container, error);
            }
        }
    }

    /// Ends scopes in which no token is left. `false`: there is none.
    pub(super) fn complete_scopes(&mut self) -> bool {
        if self.it.suspended {
            return false;
        }
        // A token keeps every scope around it: one that is undone because its branch is not wanted has no host.
        let tokens = self.it.tokens.values();
        let busy: BTreeSet<ScopeId> = tokens.flat_map(|token| self.it.around(token.scope).map(|(id, _)| id)).collect();
        let over = |id: ScopeId, scope: &Scope| {
            !scope.closed && scope.unwinding.is_none() && scope.progress.is_none() && !busy.contains(&id)
        };
        // The innermost were made last.
        let found = self.it.scopes.iter().rev().find(|&(&id, scope)| over(id, scope)).map(|(&id, _)| id);
        let Some(id) = found else { return false };
        if self.it.scopes.get(&id).is_some_and(|scope| !scope.heard) {
            let output = self.it.scopes.get(&id).and_then(|scope| scope.output.clone());
            if self.flow_listens(id, Next::Finish, output, None) {
                return true;
            }
        }
        let Some(within) = self.it.scopes.get(&id).and_then(|scope| scope.within.clone()) else {
            self.end(End { state: State::Completed, error: None });
            return true;
        };
        match &within.item {
            None => {
                let output = self.it.scopes.get(&id).and_then(|scope| scope.output.clone());
                self.leave_container(id, DONE, Some(&output.unwrap_or_else(|| Held::computed(Value::Null))));
            }
            Some(item) => self.complete_item(id, &within, item.index),
        }
        true
    }

    fn complete_item(&mut self, id: ScopeId, within: &Within, index: usize) {
        let flow = self.flow;
        let result = match &flow.nodes[within.node].kind {
            Kind::ForEach(each) if each.output.is_some() => {
                each.output.as_ref().map_or_else(|| Ok(Held::computed(Value::Null)), |output| self.held(id, output))
            }
            Kind::Stage(stage) if stage.steps[index].output.is_some() => {
                let result = stage.steps[index].output.as_ref().map(|output| self.held(id, output));
                let outputs = std::mem::take(&mut self.scope_mut(id).outputs);
                self.scope_mut(within.scope).outputs.extend(outputs);
                result.unwrap_or_else(|| Ok(Held::computed(Value::Null)))
            }
            Kind::Stage(stage) => {
                let outputs = std::mem::take(&mut self.scope_mut(id).outputs);
                let own = outputs.get(&flow.nodes[stage.steps[index].node].id).cloned();
                self.scope_mut(within.scope).outputs.extend(outputs);
                Ok(own.unwrap_or_else(|| Held::computed(Value::Null)))
            }
            _ => Ok(self.scope_mut(id).output.take().unwrap_or_else(|| Held::computed(Value::Null))),
        };
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                let error = self.error(FailureClass::Flow, "EXPRESSION_FAILED", error.message, within.node);
                return self.fail(id, error);
            }
        };
        self.close(id);
        if let Some(progress) = &mut self.scope_mut(within.scope).progress {
            progress.open -= 1;
            progress.results.insert(index, result);
        }
        self.advance(within.scope);
    }

    /// An item was undone: because it failed, or because it is not wanted any more.
    pub(super) fn item_undone(&mut self, within: &Within, index: usize, cause: Option<Error>) {
        if let Some(progress) = &mut self.scope_mut(within.scope).progress {
            progress.open -= 1;
            if let Some(cause) = cause {
                progress.errors.insert(index, cause);
            }
        }
        self.advance(within.scope);
    }

    /// The token on a container goes on.
    pub(super) fn leave_container(&mut self, id: ScopeId, port: &str, output: Option<&Held>) {
        let Some(within) = self.it.scopes.get(&id).and_then(|scope| scope.within.clone()) else { return };
        self.close(id);
        let Some(token) = self.it.tokens.remove(&within.host) else { return };
        let here = token.here();
        if let Some(output) = output {
            self.keep_output(here, output.clone());
        }
        if port == DONE { self.go_on(here, port, output) } else { self.leave(here, port) }
    }

    /// The token on a container whose scope is undone fails there.
    pub(super) fn fail_container(&mut self, id: ScopeId, error: Option<Error>) {
        let Some(within) = self.it.scopes.get(&id).and_then(|scope| scope.within.clone()) else { return };
        self.close(id);
        if let (Some(token), Some(error)) = (self.it.tokens.remove(&within.host), error) {
            self.give_up(token.here(), error);
        }
    }

    /// A completed scope is kept only for what may have to be undone in it.
    fn close(&mut self, id: ScopeId) {
        let Some(scope) = self.it.scopes.get_mut(&id) else { return };
        let item = scope.within.as_ref().is_some_and(|within| within.item.is_some());
        if scope.done.is_empty() || (item && planted::on("item-undo-forgotten")) {
            self.it.scopes.remove(&id);
            return;
        }
        scope.closed = true;
        scope.progress = None;
        scope.output = None;
        scope.joins.clear();
        if let Some(outer) = scope.within.as_ref().map(|within| within.scope) {
            self.scope_mut(outer).done.push(Done::Scope(id));
        }
    }

    /// Something failed, and no handler of its own node took it: the nearest container that does, or the
    /// whole instance.
    pub(super) fn fail(&mut self, scope: ScopeId, error: Error) {
        let mut at = scope;
        loop {
            let Some(within) = self.it.scopes.get(&at).and_then(|scope| scope.within.clone()) else {
                return self.unwind(ROOT, Then::End, Some(error));
            };
            match within.item {
                Some(item) if self.has_left(within.scope) || self.goes_on_without(within.node, item.index) => {
                    return self.unwind(at, Then::Item, Some(error));
                }
                Some(_) => {}
                None if self.hears_failure(at) => return self.unwind(at, Then::Fail, Some(error)),
                None => {
                    if let Some(port) = self.handler(within.node, &error) {
                        return self.unwind(at, Then::Leave(port), Some(error));
                    }
                }
            }
            at = within.scope;
        }
    }

    pub(super) fn goes_on_without(&self, container: NodeIx, index: usize) -> bool {
        match &self.flow.nodes[container].kind {
            Kind::ForEach(each) => each.on_failure == OnFailure::Collect,
            Kind::Stage(stage) => stage.on_failure == OnFailure::Collect || stage.steps[index].optional,
            _ => false,
        }
    }

    /// An end that stops everything else in its scope.
    pub(super) fn terminate(&mut self, scope: ScopeId) {
        // What is being undone comes to its end first.
        let nobody_hears = !self.hears_end(ROOT);
        if scope == ROOT && nobody_hears && self.it.scopes.values().all(|scope| scope.unwinding.is_none()) {
            return self.end(End { state: State::Completed, error: None });
        }
        self.drop_arrivals(scope);
        self.stop(scope, None);
        self.close_inner(scope);
    }
}

pub(super) fn has_left(flow: &Flow, container: &Scope) -> bool {
    let awaits =
        |within: &Within| matches!(&flow.nodes[within.node].kind, Kind::ForEach(each) if each.rest == Rest::Await);
    container.progress.as_ref().is_some_and(|progress| progress.enough) && container.within.as_ref().is_some_and(awaits)
}

/// A failed item's place holds its error.
fn results_in_order(progress: &Progress) -> Value {
    let count = progress.items.value.as_array().map_or(0, Vec::len);
    let at = |index: usize| match (progress.results.get(&index), progress.errors.get(&index)) {
        (Some(result), _) => (*result.value).clone(),
        (None, Some(error)) => (*error.seen().value).clone(),
        (None, None) => Value::Null,
    };
    (0..count).map(at).collect()
}

/// What failed in a stage that runs all its steps before it fails.
fn collected(stage: &Stage, flow: &crate::flow::Flow, progress: &Progress) -> Option<Vec<Value>> {
    let counts = |index: &usize| !stage.steps[*index].optional;
    let failed = progress.errors.iter().filter(|(index, _)| counts(index));
    let all: Vec<Value> = failed
        .map(|(&index, error)| {
            let step = &*flow.nodes[stage.steps[index].node].id;
            json!({ "step": step, "code": error.code, "message": error.message, "data": error.data })
        })
        .collect();
    (!all.is_empty()).then_some(all)
}

/// The stage's output: by group, or by step where a step has none.
fn merged(stage: &Stage, flow: &crate::flow::Flow, progress: &Progress) -> Value {
    let mut all = Map::new();
    for (index, step) in stage.steps.iter().enumerate() {
        let result = progress.results.get(&index).map_or(Value::Null, |held| (*held.value).clone());
        let id = flow.nodes[step.node].id.to_string();
        let Some(group) = &step.group else {
            all.insert(id, result);
            continue;
        };
        let rule = stage.merge.iter().find(|(name, _)| name == group).map_or(Merge::default(), |(_, rule)| *rule);
        let empty = match rule {
            Merge::Named | Merge::Fields => json!({}),
            Merge::List => json!([]),
            Merge::First => Value::Null,
        };
        let merged = all.entry(group.to_string()).or_insert(empty);
        match (rule, merged) {
            (Merge::Named, Value::Object(fields)) => {
                fields.insert(id, result);
            }
            (Merge::Fields, Value::Object(fields)) => {
                if let Value::Object(more) = result {
                    fields.extend(more);
                }
            }
            (Merge::List, Value::Array(list)) => list.push(result),
            (Merge::First, first) if first.is_null() => *first = result,
            _ => {}
        }
    }
    Value::Object(all)
}
