//! Elements as nodes, sequence flows as edges.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;
use serde_json::{Map, Value, json};

use super::expression;
use super::names::{Sources, host, input_schema};
use super::place;
use super::read::{Element, Process, child, children, extensions, text, vendor};
use super::work::{Binding, binding, repeats};
use super::{Left, Wanted};
use crate::flow::duration;

/// Items of one step at once, where the XML says all.
const AT_ONCE: u32 = 100;
const STANDS: &str = "a person's task stands in its place";

pub(super) struct Writer<'w, 'x> {
    pub(super) wanted: &'w Wanted<'w>,
    pub(super) sources: Sources,
    pub(super) process: &'w Process<'x>,
    pub(super) nodes: BTreeMap<String, Value>,
    left: Vec<Left>,
    pub(super) bound: BTreeMap<String, Option<String>>,
    /// For-each containers around steps that are repeated, by the step.
    pub(super) around: BTreeMap<String, String>,
    /// Starts of sub-processes, which have no node.
    pub(super) dropped: BTreeSet<String>,
}

/// The document of a process, and what its steps are bound to.
pub(super) fn document(process: &mut Process<'_>, wanted: &Wanted<'_>) -> (Value, BTreeMap<String, Option<String>>) {
    let (mut layout, others) = place::layout(process);
    let mut writer = Writer {
        wanted,
        sources: Sources::new(process, BTreeMap::new()),
        process,
        nodes: BTreeMap::new(),
        left: Vec::new(),
        bound: BTreeMap::new(),
        around: BTreeMap::new(),
        dropped: BTreeSet::new(),
    };
    let gives = process.elements.iter().map(|one| (one.id.clone(), writer.gives(one))).collect();
    writer.sources = Sources::new(process, gives);
    for one in &process.elements {
        writer.repeated(one);
    }
    for one in &process.elements {
        writer.element(one);
    }
    let edges = writer.edges(&mut layout);
    for (inner, outer) in &writer.around {
        if let Some(at) = layout.get(inner).cloned() {
            layout.insert(outer.clone(), json!({ "x": at["x"], "y": at["y"] }));
        }
    }
    let mut document = json!({ "stepwell": 1, "kind": "graph", "key": key(process.xml) });
    if let Some(name) = process.xml.attribute("name").filter(|name| !name.trim().is_empty()) {
        document["title"] = json!(name.trim());
    }
    if let Some(said) = child(process.xml, "documentation").map(text).filter(|said| !said.is_empty()) {
        document["summary"] = json!(said);
    }
    if let Some(input) = input_schema(&writer.sources.inputs) {
        document["input"] = input;
    }
    layout.retain(|id, _| writer.nodes.contains_key(id));
    document["nodes"] = json!(writer.nodes);
    document["edges"] = json!(edges);
    document["layout"] = Value::Object(layout);
    let notes = notes(process, &others);
    if !notes.is_empty() {
        document["notes"] = Value::Array(notes);
    }
    let (left, bound) = (writer.left, writer.bound);
    process.left.extend(left);
    (document, bound)
}

/// A key for the flow: small letters, digits, `_`, `-` and `.`.
fn key(xml: Node<'_, '_>) -> String {
    let id = xml.attribute("id").unwrap_or("imported").to_lowercase();
    let fits = |one: char| if one.is_ascii_alphanumeric() || "_-.".contains(one) { one } else { '_' };
    let key: String = id.chars().map(fits).take(64).collect();
    let key = key.trim_matches(|one: char| !one.is_ascii_alphanumeric()).to_owned();
    if key.starts_with(|one: char| one.is_ascii_lowercase()) { key } else { format!("flow_{key}") }
}

fn notes(process: &Process<'_>, places: &BTreeMap<String, (f64, f64)>) -> Vec<Value> {
    let all = process.xml.descendants().filter(|one| one.tag_name().name() == "textAnnotation");
    let said = all.filter_map(|one| Some((one.attribute("id")?, text(child(one, "text")?))));
    said.filter(|(_, said)| !said.is_empty())
        .map(|(id, said)| {
            let (x, y) = places.get(id).copied().unwrap_or_default();
            json!({ "text": said, "x": x, "y": y })
        })
        .collect()
}

/// `PT1H30M` as a duration of ours. Years and months have no length.
pub(super) fn duration(iso: &str) -> Option<String> {
    let rest = iso.trim().strip_prefix('P')?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut ms = 0.0;
    for (part, units) in [
        (days, [('W', 604_800_000.0), ('D', 86_400_000.0)].as_slice()),
        (time, &[('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)]),
    ] {
        let mut number = String::new();
        for letter in part.chars() {
            if letter.is_ascii_digit() || letter == '.' {
                number.push(letter);
                continue;
            }
            let (_, unit) = units.iter().find(|(name, _)| *name == letter)?;
            ms += number.parse::<f64>().ok()? * unit;
            number.clear();
        }
        if !number.is_empty() {
            return None;
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    (1.0..=1e12).contains(&ms).then(|| duration::written(ms.round() as u64))
}

impl<'x> Writer<'_, 'x> {
    pub(super) fn leave(&mut self, one: &Element<'_>, message: impl Into<String>, fix: Option<&str>) {
        self.leave_xml(one.xml, message, fix);
    }

    pub(super) fn leave_xml(&mut self, xml: Node<'_, '_>, message: impl Into<String>, fix: Option<&str>) {
        self.left.push(Left {
            element: xml.tag_name().name().to_owned(),
            id: xml.attribute("id").map(str::to_owned),
            line: xml.document().text_pos_at(xml.range().start).row,
            message: message.into(),
            fix: fix.map(str::to_owned),
        });
    }

    /// A text or an expression as a field of a node at that place.
    pub(super) fn value(&mut self, one: &Element<'x>, text: &str) -> Value {
        let found = expression::value(text, &mut |name| self.sources.resolve(name, &one.id));
        match found {
            Ok(value) => json!(value),
            Err(reason) => {
                self.leave(one, reason, Some("it stands as a text; write it anew"));
                json!(text)
            }
        }
    }

    /// A step that is done for each of some items: a container stands around it.
    fn repeated(&mut self, one: &Element<'x>) {
        let Some(how) = repeats(one.xml) else { return };
        if how.tag_name().name() == "standardLoopCharacteristics" {
            self.leave_xml(how, "a loop of one step has no mark here", Some("draw the way back with a gateway"));
            return;
        }
        let zeebe = extensions(how, "loopCharacteristics").next();
        let items = vendor(how, "collection")
            .or_else(|| zeebe.and_then(|found| found.attribute("inputCollection")))
            .or_else(|| child(how, "loopDataInputRef").map(text));
        let items = if let Some(items) = items {
            let expression = if items.contains(['$', '#', '=']) { items.to_owned() } else { format!("${{{items}}}") };
            self.value(one, &expression)
        } else {
            self.leave_xml(how, "what it is repeated for is not said by a collection", Some("say its items"));
            json!([])
        };
        let mut node = json!({ "type": "for-each", "items": items });
        if how.attribute("isSequential") != Some("true") {
            node["limit"] = json!(AT_ONCE);
        }
        if child(how, "completionCondition").is_some() {
            self.leave_xml(
                how,
                "its completion condition speaks of other counters",
                Some("say `until` enough have completed"),
            );
        }
        let is_container = matches!(one.kind(), "subProcess" | "transaction" | "adHocSubProcess");
        let outer = if is_container { one.id.clone() } else { format!("{}_each", one.id) };
        let variable =
            vendor(how, "elementVariable").or_else(|| zeebe.and_then(|found| found.attribute("inputElement")));
        if let Some(variable) = variable {
            self.sources.item(if is_container { &outer } else { &one.id }, variable);
        }
        if !is_container {
            self.placed(&outer, node, one.inside.as_deref(), one.xml);
            self.around.insert(one.id.clone(), outer);
            return;
        }
        self.placed(&outer, node, one.inside.as_deref(), one.xml);
    }

    /// Puts a node into the document, with its title and container.
    fn placed(&mut self, id: &str, mut node: Value, inside: Option<&str>, xml: Node<'_, '_>) {
        if let Some(name) = xml.attribute("name").map(str::trim).filter(|name| !name.is_empty()) {
            node["title"] = json!(name.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        if let Some(said) = child(xml, "documentation").map(text).filter(|said| !said.is_empty()) {
            node["notes"] = json!(said);
        }
        if let Some(inside) = inside {
            node["in"] = json!(inside);
        }
        self.nodes.insert(id.to_owned(), node);
    }

    fn element(&mut self, one: &Element<'x>) {
        let node = match one.kind() {
            "startEvent" => match self.start(one) {
                Some(node) => node,
                None => return,
            },
            "boundaryEvent" => return, // A handler of the node it is at.
            "subProcess" | "transaction" | "adHocSubProcess" => {
                if one.kind() == "adHocSubProcess" {
                    self.leave(
                        one,
                        "the steps of an ad hoc sub-process are run in a stage here",
                        Some("say their order"),
                    );
                }
                // One that is repeated has its node already.
                self.nodes.remove(&one.id).unwrap_or_else(|| json!({ "type": "stage" }))
            }
            "exclusiveGateway" => json!({ "type": "exclusive" }),
            "inclusiveGateway" => json!({ "type": "inclusive" }),
            "parallelGateway" => json!({ "type": "parallel" }),
            "eventBasedGateway" => json!({ "type": "event-gateway" }),
            "endEvent" => self.end(one),
            "intermediateCatchEvent" | "receiveTask" => self.catch(one),
            "intermediateThrowEvent" => self.throw(one),
            "callActivity" => self.call(one),
            "task" | "manualTask" => json!({ "type": "set" }),
            "serviceTask" | "sendTask" | "scriptTask" | "businessRuleTask" | "userTask" => self.activity(one),
            other => {
                self.leave(one, format!("`{other}` has no counterpart"), Some(STANDS));
                json!({ "type": "user-task" })
            }
        };
        let inside = self.around.get(&one.id).cloned().or_else(|| one.inside.clone());
        self.placed(&one.id, node, inside.as_deref(), one.xml);
        self.handlers(one);
    }

    fn start(&mut self, one: &Element<'x>) -> Option<Value> {
        if let Some(definition) = event(one.xml) {
            let fix = "give the flow a trigger: a path, a webhook or a schedule";
            self.leave_xml(definition, "a flow is started by its triggers", Some(fix));
        }
        if one.inside.is_some() {
            // A container begins where no edge leads to.
            let targets: Vec<&str> =
                self.process.lines.iter().filter(|line| line.from == one.id).map(|line| line.to.as_str()).collect();
            let met = |to: &&str| self.process.lines.iter().filter(|line| line.to == **to).count() > 1;
            if targets.iter().any(met) {
                return Some(json!({ "type": "set" }));
            }
            self.dropped.insert(one.id.clone());
            return None;
        }
        let first = self.process.elements.iter().find(|other| other.kind() == "startEvent" && other.inside.is_none());
        if first.is_some_and(|first| first.id != one.id) {
            self.leave(one, "a flow has one start", Some("lead from the start to what follows here"));
            self.dropped.insert(one.id.clone());
            return None;
        }
        Some(json!({ "type": "start" }))
    }

    fn end(&mut self, one: &Element<'x>) -> Value {
        let Some(definition) = event(one.xml) else { return json!({ "type": "end" }) };
        match definition.tag_name().name() {
            "terminateEventDefinition" => json!({ "type": "end", "terminate": true }),
            "errorEventDefinition" => {
                json!({ "type": "throw", "code": self.error_code(definition).unwrap_or_else(|| "FAILED".to_owned()) })
            }
            "cancelEventDefinition" => json!({ "type": "throw", "code": "CANCELLED" }),
            "compensateEventDefinition" => {
                let end = format!("{}_end", one.id);
                self.placed(&end, json!({ "type": "end" }), one.inside.as_deref(), definition);
                json!({ "type": "compensate" })
            }
            other => {
                self.leave_xml(
                    definition,
                    format!("`{other}` sends nothing from here"),
                    Some("call a node type that sends it, before the end"),
                );
                json!({ "type": "end" })
            }
        }
    }

    fn catch(&mut self, one: &Element<'x>) -> Value {
        let definition = event(one.xml);
        match definition.map(|found| found.tag_name().name()) {
            Some("timerEventDefinition") => self.timer(one, definition),
            Some("messageEventDefinition") | None if one.kind() == "receiveTask" || definition.is_some() => {
                let (message, key) = self.message(one, definition.unwrap_or(one.xml));
                json!({ "type": "receive", "message": message, "key": key })
            }
            Some("linkEventDefinition") => {
                self.leave(one, "links are not drawn", Some("lead an edge to what follows"));
                json!({ "type": "set" })
            }
            other => {
                self.leave(one, format!("`{}` has no counterpart", other.unwrap_or("no event")), Some(STANDS));
                json!({ "type": "user-task" })
            }
        }
    }

    fn timer(&mut self, one: &Element<'x>, definition: Option<Node<'x, 'x>>) -> Value {
        let within = |name| definition.and_then(|found| child(found, name)).map(text);
        if let Some(after) = within("timeDuration").and_then(duration) {
            return json!({ "type": "timer", "after": after });
        }
        if let Some(date) = within("timeDate") {
            let until = match self.value(one, date) {
                Value::String(text) if !text.starts_with('=') => format!("='{text}'"),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            return json!({ "type": "timer", "until": until });
        }
        self.leave(one, "its time has no counterpart", Some("say after how long it is over"));
        json!({ "type": "timer", "after": "1h" })
    }

    fn throw(&mut self, one: &Element<'x>) -> Value {
        match event(one.xml).map(|found| found.tag_name().name()) {
            Some("compensateEventDefinition") => json!({ "type": "compensate" }),
            None => json!({ "type": "set" }),
            Some(other) => {
                self.leave(one, format!("`{other}` sends nothing from here"), Some("call a node type that sends it"));
                json!({ "type": "set" })
            }
        }
    }

    fn call(&mut self, one: &Element<'x>) -> Value {
        let called = one.xml.attribute("calledElement").map(str::to_owned);
        let zeebe =
            extensions(one.xml, "calledElement").find_map(|found| found.attribute("processId")).map(str::to_owned);
        let Some(flow) = called.or(zeebe) else {
            self.leave(one, "which flow it calls is not said", Some(STANDS));
            return json!({ "type": "user-task" });
        };
        let mut node = json!({ "type": "call", "flow": flow.to_lowercase() });
        let mut with = match self.mapped_input(one, None) {
            Some(Value::Object(with)) => with,
            _ => Map::new(),
        };
        for found in extensions(one.xml, "in").collect::<Vec<_>>() {
            if let Some((target, source)) =
                found.attribute("target").zip(found.attribute("source").or_else(|| found.attribute("sourceExpression")))
            {
                let expression = if source.contains(['$', '#']) { source.to_owned() } else { format!("${{{source}}}") };
                with.insert(target.to_owned(), self.value(one, &expression));
            } else if found.attribute("variables").is_some() || found.attribute("businessKey").is_some() {
                self.leave_xml(
                    found,
                    "a called flow is given what is named, not all there is",
                    Some("map what it needs"),
                );
            }
        }
        if !with.is_empty() {
            node["with"] = Value::Object(with);
        }
        node
    }

    /// Name and key of the message an event waits for.
    fn message(&mut self, one: &Element<'x>, of: Node<'x, 'x>) -> (String, String) {
        let found = of.attribute("messageRef").and_then(|id| self.process.definition(id));
        let name = found.and_then(|found| found.attribute("name")).unwrap_or("message").to_owned();
        let key =
            found.and_then(|found| extensions(found, "subscription").find_map(|one| one.attribute("correlationKey")));
        let Some(key) = key else {
            self.leave_xml(
                of,
                format!("message `{name}` is met by the business key"),
                Some("say by which key, if by another"),
            );
            return (name, "=flow.businessKey".to_owned());
        };
        let key = self.value(one, key);
        (name, key.as_str().unwrap_or_default().to_owned())
    }

    fn error_code(&self, definition: Node<'_, '_>) -> Option<String> {
        let found = self.process.definition(definition.attribute("errorRef")?)?;
        let code = found.attribute("errorCode").or_else(|| found.attribute("id"))?;
        let letters = code.chars().map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' });
        let code: String = letters.take(64).collect();
        Some(if code.starts_with(|one: char| one.is_ascii_uppercase()) {
            code
        } else {
            format!("E_{code}").chars().take(64).collect()
        })
    }

    /// Boundary events, on the node that they are at.
    fn handlers(&mut self, at: &Element<'x>) {
        let mine: Vec<&Element<'x>> = self
            .process
            .elements
            .iter()
            .filter(|one| host(self.process, one).as_deref() == Some(at.id.as_str()))
            .collect();
        for one in mine {
            let Some(definition) = event(one.xml) else { continue };
            let mut handler = match definition.tag_name().name() {
                "errorEventDefinition" => {
                    let code = self.error_code(definition);
                    code.map_or_else(|| json!({ "type": "error" }), |code| json!({ "type": "error", "code": code }))
                }
                "timerEventDefinition" => {
                    if let Some(after) = child(definition, "timeDuration").map(text).and_then(duration) {
                        json!({ "type": "timeout", "after": after })
                    } else {
                        self.leave(
                            one,
                            "only a duration from the beginning can be waited for here",
                            Some("say after how long"),
                        );
                        continue;
                    }
                }
                "messageEventDefinition" => {
                    let (message, key) = self.message(one, definition);
                    json!({ "type": "message", "message": message, "key": key })
                }
                "compensateEventDefinition" => {
                    self.undo(at, one);
                    continue;
                }
                other => {
                    self.leave(one, format!("a handler of `{other}` has no counterpart"), None);
                    continue;
                }
            };
            if one.xml.attribute("cancelActivity") == Some("false") {
                handler["interrupting"] = json!(false);
            }
            let outer = self.around.get(&at.id).unwrap_or(&at.id).clone();
            if let Some(node) = self.nodes.get_mut(&outer) {
                node["on"][&one.id] = handler;
            }
        }
    }

    /// The handler that an association hangs on a compensation event.
    fn undo(&mut self, at: &Element<'x>, one: &Element<'x>) {
        let id = one.xml.attribute("id").unwrap_or_default();
        let target = self.process.xml.descendants().filter(|found| found.tag_name().name() == "association");
        let target = target
            .into_iter()
            .find(|found| found.attribute("sourceRef") == Some(id))
            .and_then(|found| found.attribute("targetRef"));
        let handler = self
            .process
            .xml
            .descendants()
            .find(|found| found.is_element() && found.attribute("id").is_some() && found.attribute("id") == target);
        let own = match binding(at.xml) {
            Binding::Uses(name) => self.node_type(&name).is_some_and(|found| found.undo),
            _ => false,
        };
        let undo = match handler.map(|found| (found, binding(found))) {
            Some((found, Binding::Uses(name))) => {
                let (uses, known) = self.bound_to(&name);
                if !known && own {
                    let message = format!("`{name}` is unknown, and the step's node type undoes itself");
                    self.leave_xml(found, message, Some("it is undone by its node type"));
                    json!(true)
                } else {
                    json!({ "uses": uses, "with": { "input": "=step.input", "output": "=step.output" } })
                }
            }
            _ if own => json!(true),
            _ => {
                self.leave(one, "what undoes the step is not said", Some("name the node type that undoes it"));
                return;
            }
        };
        if let Some(node) = self.nodes.get_mut(&at.id).filter(|node| node["type"] == "task") {
            node["undo"] = undo;
        }
    }
}

/// What an event is of, if it is of anything.
pub(super) fn event<'x>(of: Node<'x, 'x>) -> Option<Node<'x, 'x>> {
    children(of).find(|one| one.tag_name().name().ends_with("EventDefinition"))
}
