//! Sequence flows as edges: their conditions, the handlers they leave from, and the gateways of steps with several ways out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::expression;
use super::names::host;
use super::read::{child, text, vendor};
use super::write::{Writer, event};

impl Writer<'_, '_> {
    pub(super) fn edges(&mut self, layout: &mut Map<String, Value>) -> Vec<Value> {
        let mut edges = Vec::new();
        let process = self.process;
        for line in &process.lines {
            if self.dropped.contains(&line.from) || self.dropped.contains(&line.to) {
                continue;
            }
            let Some(source) = process.element(&line.from) else { continue };
            let from = host(process, source).unwrap_or_else(|| line.from.clone());
            let outer = |id: &String| self.around.get(id).unwrap_or(id).clone();
            let mut edge = json!({ "from": outer(&from), "to": outer(&line.to) });
            if from != line.from {
                edge["port"] = json!(line.from);
                // Its handler was not taken, and was told.
                if self.nodes.get(&outer(&from)).is_none_or(|node| node["on"].get(&line.from).is_none()) {
                    continue;
                }
            }
            if let Some(name) = line.xml.attribute("name").map(str::trim).filter(|name| !name.is_empty()) {
                edge["title"] = json!(name);
            }
            let chooses = matches!(source.kind(), "exclusiveGateway" | "inclusiveGateway");
            let leaving = process.lines.iter().filter(|other| other.from == line.from).count();
            let is_default = source.xml.attribute("default").is_some_and(|id| line.xml.attribute("id") == Some(id));
            let condition = child(line.xml, "conditionExpression").map(text).or_else(|| vendor(line.xml, "condition"));
            if chooses && (is_default || (leaving == 1 && condition.is_none())) {
                edge["default"] = json!(true);
            } else if let Some(condition) = condition {
                let id = source.id.clone();
                match expression::translated(condition, &mut |name| self.sources.resolve(name, &id)) {
                    Ok(when) => edge["when"] = json!(when),
                    Err(reason) => {
                        edge["when"] = json!(condition);
                        self.leave_xml(line.xml, reason, Some("it stands as it was; write it anew"));
                    }
                }
            }
            edges.push(edge);
        }
        for one in &process.elements {
            let ends = matches!(event(one.xml).map(|found| found.tag_name().name()), Some("compensateEventDefinition"));
            if one.kind() == "endEvent" && ends {
                edges.push(json!({ "from": one.id, "to": format!("{}_end", one.id) }));
            }
        }
        self.splits(&mut edges, layout);
        edges
    }

    /// A step with several ways out has a gateway of its own here: some of them by their conditions, or all.
    fn splits(&mut self, edges: &mut Vec<Value>, layout: &mut Map<String, Value>) {
        let mut fans = BTreeMap::<String, Vec<usize>>::new();
        for (at, edge) in edges.iter().enumerate() {
            let from = edge["from"].as_str().unwrap_or_default();
            let kind = self.nodes.get(from).and_then(|node| node["type"].as_str()).unwrap_or_default();
            let splits = matches!(kind, "exclusive" | "inclusive" | "parallel" | "event-gateway");
            if !splits && edge.get("port").is_none() {
                fans.entry(from.to_owned()).or_default().push(at);
            }
        }
        for (from, out) in fans {
            let conditional = out.iter().any(|&at| edges[at].get("when").is_some());
            if out.len() < 2 && !conditional {
                continue;
            }
            let gateway = format!("{from}_split");
            let mut node = json!({ "type": if conditional { "inclusive" } else { "parallel" } });
            if let Some(inside) = self.nodes.get(&from).and_then(|node| node.get("in")) {
                node["in"] = inside.clone();
            }
            let default = self.process.element(&from).and_then(|one| one.xml.attribute("default"));
            for &at in &out {
                edges[at]["from"] = json!(gateway);
                if conditional && edges[at].get("when").is_none() {
                    if default.is_some() {
                        edges[at]["default"] = json!(true);
                    } else {
                        edges[at]["when"] = json!("true");
                    }
                }
            }
            edges.push(json!({ "from": from, "to": gateway }));
            if let Some(at) = layout.get(&from) {
                let x = at["x"].as_f64().unwrap_or_default() + 200.0;
                layout.insert(gateway.clone(), json!({ "x": x, "y": at["y"] }));
            }
            self.nodes.insert(gateway, node);
        }
    }
}
