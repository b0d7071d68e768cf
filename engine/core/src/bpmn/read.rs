//! The XML taken apart: which elements there are, what is in what, and what follows what.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use super::{Left, NotBpmn, Wanted};

pub(super) const MODEL: &str = "http://www.omg.org/spec/BPMN/20100524/MODEL";
const CAMUNDA: &str = "http://camunda.org/schema/1.0/bpmn";
const ZEEBE: &str = "http://camunda.org/schema/zeebe/1.0";
/// Most elements of a process, far above the nodes that a flow may have.
const ELEMENTS_MAX: usize = 10_000;

/// What stands for something in the flow.
const FLOW_NODES: [&str; 24] = [
    "startEvent",
    "endEvent",
    "task",
    "manualTask",
    "serviceTask",
    "sendTask",
    "scriptTask",
    "businessRuleTask",
    "userTask",
    "receiveTask",
    "callActivity",
    "subProcess",
    "transaction",
    "adHocSubProcess",
    "exclusiveGateway",
    "inclusiveGateway",
    "parallelGateway",
    "eventBasedGateway",
    "complexGateway",
    "intermediateCatchEvent",
    "intermediateThrowEvent",
    "boundaryEvent",
    "choreographyTask",
    "subChoreography",
];

/// An element of the process that tokens come to.
pub(super) struct Element<'x> {
    pub(super) xml: Node<'x, 'x>,
    /// Its id in the flow.
    pub(super) id: String,
    /// The sub-process it is in.
    pub(super) inside: Option<String>,
}

impl<'x> Element<'x> {
    pub(super) fn kind(&self) -> &'x str {
        self.xml.tag_name().name()
    }
}

/// A sequence flow, by ids of the flow.
pub(super) struct Line<'x> {
    pub(super) xml: Node<'x, 'x>,
    pub(super) from: String,
    pub(super) to: String,
}

/// A process, taken apart.
pub(super) struct Process<'x> {
    pub(super) tree: &'x Document<'x>,
    pub(super) xml: Node<'x, 'x>,
    /// In the order of the XML, a sub-process before what is in it.
    pub(super) elements: Vec<Element<'x>>,
    pub(super) lines: Vec<Line<'x>>,
    /// Ids of the flow by ids of the XML.
    pub(super) ids: BTreeMap<&'x str, String>,
    pub(super) left: Vec<Left>,
}

pub(super) fn process<'x>(tree: &'x Document<'x>, wanted: &Wanted<'_>) -> Result<Process<'x>, NotBpmn> {
    let root = tree.root_element();
    if root.tag_name().namespace() != Some(MODEL) || root.tag_name().name() != "definitions" {
        return Err(NotBpmn::OtherXml(root.tag_name().name().chars().take(80).collect()));
    }
    let all: Vec<_> = children(root).filter(|one| one.tag_name().name() == "process").collect();
    let found = if let Some(id) = wanted.process {
        *all.iter()
            .find(|one| one.attribute("id") == Some(id))
            .ok_or_else(|| NotBpmn::NoProcess(id.chars().take(80).collect()))?
    } else {
        let runs = |one: &&Node<'_, '_>| one.attribute("isExecutable") == Some("true");
        *all.iter().find(runs).or(all.first()).ok_or(NotBpmn::Empty)?
    };
    let mut process =
        Process { tree, xml: found, elements: Vec::new(), lines: Vec::new(), ids: BTreeMap::new(), left: Vec::new() };
    for other in all.iter().filter(|one| **one != found) {
        process.leave(*other, "another process of the file", Some("import it on its own, by its id"));
    }
    for pool in children(root).filter(|one| one.tag_name().name() == "collaboration").flat_map(children) {
        if matches!(pool.tag_name().name(), "participant" | "messageFlow" | "conversation") {
            process.leave(pool, "what other parties do is not a part of a flow", None);
        }
    }
    process.elements_of(found, None);
    process.lines_of();
    Ok(process)
}

impl<'x> Process<'x> {
    /// Tells that something is not taken as it stands.
    pub(super) fn leave(&mut self, xml: Node<'_, '_>, message: impl Into<String>, fix: Option<&str>) {
        self.left.push(Left {
            element: xml.tag_name().name().to_owned(),
            id: xml.attribute("id").map(str::to_owned),
            line: xml.document().text_pos_at(xml.range().start).row,
            message: message.into(),
            fix: fix.map(str::to_owned),
        });
    }

    /// An element of the whole file (an error, a message) by its id.
    pub(super) fn definition(&self, id: &str) -> Option<Node<'x, 'x>> {
        // A reference may have a prefix.
        let local = id.rsplit(':').next().unwrap_or(id);
        children(self.tree.root_element()).find(|one| one.attribute("id") == Some(local))
    }

    pub(super) fn element(&self, id: &str) -> Option<&Element<'x>> {
        self.elements.iter().find(|one| one.id == id)
    }

    fn elements_of(&mut self, within: Node<'x, 'x>, inside: Option<&str>) {
        for one in children(within) {
            match one.tag_name().name() {
                // An undo, read where it is hung on its step.
                _ if one.attribute("isForCompensation") == Some("true") => {}
                "subProcess" if one.attribute("triggeredByEvent") == Some("true") => {
                    self.leave(
                        one,
                        "an event sub-process has no place of its own in a flow",
                        Some("use a handler at the scope"),
                    );
                }
                name if FLOW_NODES.contains(&name) => {
                    if self.elements.len() == ELEMENTS_MAX {
                        self.leave(one, format!("more than {ELEMENTS_MAX} elements"), None);
                        return;
                    }
                    let id = self.fresh_id(one);
                    self.elements.push(Element { xml: one, id: id.clone(), inside: inside.map(str::to_owned) });
                    if matches!(name, "subProcess" | "transaction" | "adHocSubProcess") {
                        self.elements_of(one, Some(&id));
                    }
                }
                "laneSet" => {
                    self.leave(one, "lanes say nothing that a flow runs by", Some("name groups at the person's tasks"));
                }
                "dataObject" | "dataObjectReference" | "dataStoreReference" | "property" | "ioSpecification" => {
                    self.leave(one, "data has no element of its own", Some("it is what nodes take and give"));
                }
                "group" => self.leave(one, "frames that hold nothing are not drawn", None),
                "monitoring" | "auditing" | "correlationSubscription" | "resourceRole" | "performer" => {
                    self.leave(one, "it says nothing that a flow runs by", None);
                }
                _ => {}
            }
        }
    }

    /// A plain word of the flow for an element's id, its own.
    fn fresh_id(&mut self, xml: Node<'x, 'x>) -> String {
        let given = xml.attribute("id").unwrap_or_default();
        let mut id: String =
            given.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).take(56).collect();
        if !id.starts_with(|one: char| one.is_ascii_alphabetic()) {
            id.insert_str(0, "n_");
        }
        let taken: BTreeSet<&str> = self.elements.iter().map(|one| one.id.as_str()).collect();
        let mut fresh = id.clone();
        let mut next = 2;
        while taken.contains(fresh.as_str()) {
            fresh = format!("{id}_{next}");
            next += 1;
        }
        self.ids.insert(given, fresh.clone());
        fresh
    }

    fn lines_of(&mut self) {
        let all = self.xml.descendants().filter(|one| one.is_element() && one.tag_name().name() == "sequenceFlow");
        for one in all {
            let end = |name: &str| one.attribute(name).and_then(|id| self.ids.get(id)).cloned();
            match (end("sourceRef"), end("targetRef")) {
                (Some(from), Some(to)) => self.lines.push(Line { xml: one, from, to }),
                _ => self.leave(one, "one of its ends was not taken", None),
            }
        }
    }
}

/// Elements of BPMN in another.
pub(super) fn children<'x>(of: Node<'x, 'x>) -> impl Iterator<Item = Node<'x, 'x>> {
    of.children().filter(|one| one.is_element() && one.tag_name().namespace() == Some(MODEL))
}

pub(super) fn child<'x>(of: Node<'x, 'x>, name: &str) -> Option<Node<'x, 'x>> {
    children(of).find(|one| one.tag_name().name() == name)
}

/// An attribute of Camunda's or Zeebe's. Some write it without the namespace that their prefix has elsewhere.
pub(super) fn vendor<'x>(of: Node<'x, 'x>, name: &str) -> Option<&'x str> {
    [CAMUNDA, ZEEBE, "http://activiti.org/bpmn", "http://flowable.org/bpmn"]
        .into_iter()
        .find_map(|space| of.attribute((space, name)))
        .filter(|text| !text.trim().is_empty())
}

/// Extension elements of that name.
pub(super) fn extensions<'x>(of: Node<'x, 'x>, name: &'static str) -> impl Iterator<Item = Node<'x, 'x>> {
    child(of, "extensionElements")
        .into_iter()
        .flat_map(|all| all.descendants().filter(roxmltree::Node::is_element))
        .filter(move |one| one.tag_name().name() == name)
}

/// What an element says between its tags, without the space around it.
pub(super) fn text<'x>(of: Node<'x, 'x>) -> &'x str {
    of.text().unwrap_or_default().trim()
}
