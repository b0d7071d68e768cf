//! Activities: what a step is bound to, what it takes and gives, its retries, undo and listeners.

use roxmltree::Node;
use serde_json::{Map, Value, json};

use super::names::Gives;
use super::read::{Element, child, children, extensions, text, vendor};
use super::write::Writer;
use crate::catalog::NodeType;

/// What does the work of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Binding {
    /// A node type, or an alias of one.
    Uses(String),
    /// Workers outside, who fetch by topic.
    Topic(String),
    Script(String),
    /// A decision table by its key.
    Table(String),
    /// Nothing that the XML says.
    Nothing,
}

/// What the XML binds a step to, before aliases.
pub(super) fn binding(of: Node<'_, '_>) -> Binding {
    let job = extensions(of, "taskDefinition").find_map(|one| one.attribute("type"));
    let external = (vendor(of, "type") == Some("external")).then(|| vendor(of, "topic")).flatten();
    if let Some(topic) = external.or(job) {
        return Binding::Topic(topic.trim().to_owned());
    }
    let decision = vendor(of, "decisionRef")
        .or_else(|| extensions(of, "calledDecision").find_map(|one| one.attribute("decisionId")));
    if let Some(key) = decision {
        return Binding::Table(key.trim().to_owned());
    }
    if let Some(script) = child(of, "script") {
        let format = of.attribute("scriptFormat").unwrap_or_default().to_lowercase();
        return if format.is_empty() || format.contains("javascript") || format == "js" {
            Binding::Script(text(script).to_owned())
        } else {
            Binding::Nothing
        };
    }
    let named = vendor(of, "class").map(str::to_owned);
    let called = vendor(of, "delegateExpression").or_else(|| vendor(of, "expression")).map(bean);
    named.or(called).filter(|name| !name.is_empty()).map_or(Binding::Nothing, Binding::Uses)
}

/// `${communityOrderService.lockLocker(execution)}` → `communityOrderService.lockLocker`.
fn bean(expression: &str) -> String {
    let inner = expression.trim().trim_start_matches("${").trim_start_matches("#{").trim_end_matches('}');
    inner.split('(').next().unwrap_or_default().trim().to_owned()
}

/// The fields a JSON Schema names.
fn fields(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys).cloned().collect()
}

impl<'x> Writer<'_, 'x> {
    /// What a step's alias stands for.
    pub(super) fn node_type(&self, name: &str) -> Option<&NodeType> {
        let uses = self.wanted.bindings.get(name).map_or(name, String::as_str);
        self.wanted.catalog.get(uses)
    }

    /// What `uses` says of a step's alias, and whether that is a node type; it is remembered.
    pub(super) fn bound_to(&mut self, name: &str) -> (String, bool) {
        let uses = self.wanted.bindings.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let known = self.node_type(name).map(|found| found.uses.clone());
        let is_known = known.is_some();
        self.bound.insert(name.to_owned(), known);
        (uses, is_known)
    }

    /// What a node leaves behind for those after it.
    pub(super) fn gives(&self, one: &Element<'x>) -> Gives {
        let written = extensions(one.xml, "outputParameter").filter_map(|one| one.attribute("name"));
        let mut gives = Gives {
            vars: written.map(str::to_owned).collect(),
            whole: vendor(one.xml, "resultVariable").map(str::to_owned),
            ..Gives::default()
        };
        match (one.kind(), binding(one.xml)) {
            ("userTask", _) => gives.fields = fields(&form(one.xml).unwrap_or_default()),
            (_, Binding::Uses(name)) => {
                let port = self.node_type(&name).and_then(|found| found.ports.first());
                gives.fields = port.map(|port| fields(&port.output)).unwrap_or_default();
            }
            _ => {}
        }
        gives
    }

    /// A step that somebody or something works on.
    pub(super) fn activity(&mut self, one: &Element<'x>) -> Value {
        if one.kind() == "userTask" {
            return self.user_task(one);
        }
        let mut node = match binding(one.xml) {
            Binding::Uses(name) => self.task(one, &name),
            Binding::Topic(topic) => {
                self.topic_told(one, &topic);
                json!({ "type": "external-task", "topic": topic })
            }
            Binding::Script(source) => {
                self.leave(
                    one,
                    "scripts here see their input alone, and return their result",
                    Some("look at what it reads and writes"),
                );
                json!({ "type": "task", "uses": "script/js@1", "config": { "code": source } })
            }
            Binding::Table(key) => json!({ "type": "decision", "table": key }),
            Binding::Nothing => {
                let fix = "it is a person's task until a node type is chosen";
                self.leave(one, "nothing says what does this work", Some(fix));
                return json!({ "type": "user-task" });
            }
        };
        if let Some(with) = self.mapped_input(one, node["uses"].as_str()) {
            node["with"] = with;
        }
        self.retries(one, &mut node);
        self.listeners(one, &mut node);
        node
    }

    fn task(&mut self, one: &Element<'x>, name: &str) -> Value {
        let (uses, known) = self.bound_to(name);
        if !known {
            let message = format!("it is bound to `{name}`, which no node type is known by");
            self.leave(one, message, Some("name its node type by an alias, or choose one in the designer"));
        }
        json!({ "type": "task", "uses": uses })
    }

    fn topic_told(&mut self, one: &Element<'x>, topic: &str) {
        let message = format!("workers of topic `{topic}` fetch it from another place now");
        self.leave(one, message, Some("let them ask /api/v1/external-tasks/fetch"));
    }

    fn user_task(&mut self, one: &Element<'x>) -> Value {
        let mut node = json!({ "type": "user-task" });
        let own = |name: &str| {
            vendor(one.xml, name)
                .or_else(|| extensions(one.xml, "assignmentDefinition").find_map(|found| found.attribute(name)))
                .map(str::to_owned)
        };
        for (field, name) in [("assignee", "assignee"), ("users", "candidateUsers"), ("groups", "candidateGroups")] {
            let Some(text) = own(name) else { continue };
            let names: Vec<&str> = text.split(',').map(str::trim).collect();
            node[field] = match names.as_slice() {
                [_] => json!(self.value(one, &text)),
                _ if field == "assignee" => json!(text),
                all => json!(all),
            };
        }
        if let Some(due) = own("dueDate") {
            match super::write::duration(&due) {
                Some(due) => node["due"] = json!(due),
                None => self.leave(one, format!("its due date `{due}` has no counterpart"), Some("say when it is due")),
            }
        }
        if let Some(form) = form(one.xml) {
            node["form"] = form;
        } else if let Some(key) = own("formKey") {
            self.leave(one, format!("its form `{key}` is not in the file"), Some("say by a schema what is asked"));
        }
        if let Some(with) = self.mapped_input(one, None) {
            node["with"] = with;
        }
        self.listeners(one, &mut node);
        node
    }

    /// `with`: as the XML maps it; and what the node type requires, by name.
    pub(super) fn mapped_input(&mut self, one: &Element<'x>, uses: Option<&str>) -> Option<Value> {
        let mut with = Map::new();
        let camunda = extensions(one.xml, "inputParameter").filter_map(|found| Some((found.attribute("name")?, found)));
        for (name, found) in camunda.collect::<Vec<_>>() {
            if found.children().any(|inner| inner.is_element()) {
                self.leave_xml(
                    found,
                    "lists, maps and scripts as a parameter have no counterpart",
                    Some("map it by an expression"),
                );
                continue;
            }
            with.insert(name.to_owned(), self.value(one, text(found)));
        }
        let zeebe =
            extensions(one.xml, "input").filter_map(|found| found.attribute("target").zip(found.attribute("source")));
        for (target, source) in zeebe.collect::<Vec<_>>() {
            with.insert(target.to_owned(), self.value(one, source));
        }
        let input = uses.and_then(|uses| self.wanted.catalog.get(uses)).map(|found| found.input.clone());
        for name in input
            .as_ref()
            .and_then(|schema| schema["required"].as_array())
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !with.contains_key(name) {
                let schema = input.as_ref().map_or(Value::Null, |schema| schema["properties"][name].clone());
                let found = self.sources.resolve_typed(name, &one.id, &schema);
                with.insert(name.to_owned(), json!(format!("={found}")));
            }
        }
        (!with.is_empty()).then_some(Value::Object(with))
    }

    /// `R3/PT10S`, and Zeebe's count.
    fn retries(&mut self, one: &Element<'x>, node: &mut Value) {
        let cycle = extensions(one.xml, "failedJobRetryTimeCycle").map(text).next();
        let count = extensions(one.xml, "taskDefinition").find_map(|found| found.attribute("retries"));
        let parsed = cycle.and_then(|cycle| {
            let (times, wait) = cycle.trim_start_matches('R').split_once('/')?;
            Some((times.parse::<u32>().ok()?, super::write::duration(wait)?))
        });
        match (parsed, count.and_then(|count| count.parse::<u32>().ok())) {
            (Some((times, wait)), _) => node["retry"] = json!({ "attempts": times.clamp(1, 100), "backoff": wait }),
            (None, Some(times)) => node["retry"] = json!({ "attempts": times.clamp(1, 100) }),
            (None, None) if cycle.or(count).is_some() => {
                self.leave(one, "its retries have no counterpart", Some("say how often it is tried"));
            }
            (None, None) => {}
        }
    }

    /// Execution listeners, and output parameters, which are a listener that writes.
    fn listeners(&mut self, one: &Element<'x>, node: &mut Value) {
        let mut all = Vec::new();
        for found in extensions(one.xml, "executionListener").collect::<Vec<_>>() {
            let on = match found.attribute("event") {
                Some("start") => "enter",
                Some("end") => "leave",
                _ => continue,
            };
            let bound =
                ["class", "delegateExpression", "expression"].into_iter().find_map(|name| found.attribute(name));
            let Some(name) = bound.map(bean) else {
                self.leave_xml(
                    found,
                    "a script as a listener has no counterpart",
                    Some("let a listener write variables"),
                );
                continue;
            };
            let (uses, known) = self.bound_to(&name);
            if !known {
                let message = format!("it is bound to `{name}`, which no node type is known by");
                self.leave_xml(found, message, Some("name its node type by an alias"));
            }
            all.push(json!({ "on": on, "uses": uses }));
        }
        let mut set = Map::new();
        for found in extensions(one.xml, "outputParameter").collect::<Vec<_>>() {
            let Some(name) = found.attribute("name") else { continue };
            let inner = text(found).trim_start_matches("${").trim_end_matches('}');
            if inner.is_empty() || !inner.chars().all(|one| one.is_alphanumeric() || "_.".contains(one)) {
                self.leave_xml(
                    found,
                    "only a field of the output can be written",
                    Some("write it in a listener on leave"),
                );
                continue;
            }
            set.insert(name.to_owned(), json!(format!("=event.output.{inner}")));
        }
        if !set.is_empty() {
            all.push(json!({ "on": "leave", "set": set }));
        }
        if !all.is_empty() {
            node["listeners"] = Value::Array(all);
        }
    }
}

/// A schema of the answer, of what Camunda calls generated forms.
fn form(of: Node<'_, '_>) -> Option<Value> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in extensions(of, "formField") {
        let Some(id) = field.attribute("id") else { continue };
        let mut schema = match field.attribute("type") {
            Some("long" | "integer") => json!({ "type": "integer" }),
            Some("boolean") => json!({ "type": "boolean" }),
            Some("date") => json!({ "type": "string", "format": "date" }),
            Some("enum") => {
                let values = field.children().filter(|one| one.tag_name().name() == "value");
                json!({ "enum": values.filter_map(|one| one.attribute("id")).collect::<Vec<_>>() })
            }
            _ => json!({ "type": "string" }),
        };
        if let Some(label) = field.attribute("label") {
            schema["title"] = json!(label);
        }
        let mut rules = field.descendants().filter(|one| one.tag_name().name() == "constraint");
        if rules.any(|one| one.attribute("name") == Some("required")) {
            required.push(id.to_owned());
        }
        properties.insert(id.to_owned(), schema);
    }
    (!properties.is_empty()).then(|| json!({ "type": "object", "required": required, "properties": properties }))
}

/// How a step is repeated, if it is.
pub(super) fn repeats<'x>(of: Node<'x, 'x>) -> Option<Node<'x, 'x>> {
    children(of).find(|one| one.tag_name().name().ends_with("LoopCharacteristics"))
}
