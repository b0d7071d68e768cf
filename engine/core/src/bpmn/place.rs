//! Where nodes stand: the diagram's shapes, drawn wider, because our nodes are.

use std::collections::BTreeMap;

use roxmltree::Node;
use serde_json::{Map, Value, json};

use super::read::Process;

const DI: &str = "http://www.omg.org/spec/BPMN/20100524/DI";
const DC: &str = "http://www.omg.org/spec/DD/20100524/DC";
/// Our nodes are wider than BPMN's, and say more.
const WIDER: f64 = 1.6;
const HIGHER: f64 = 1.3;
/// Half of one of our nodes.
const HALF: (f64, f64) = (90.0, 28.0);
/// Further than this from the middle is a mistake of the file.
const FAR: f64 = 1e6;

struct Bounds {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Positions by node, and the shapes of what is no node (annotations) by their id in the XML.
pub(super) fn layout(process: &Process<'_>) -> (Map<String, Value>, BTreeMap<String, (f64, f64)>) {
    let (mut nodes, mut others) = (Map::new(), BTreeMap::new());
    let shapes = process.tree.descendants().filter(|one| one.tag_name().namespace() == Some(DI));
    for shape in shapes.filter(|one| one.tag_name().name() == "BPMNShape") {
        let Some((of, bounds)) = shape.attribute("bpmnElement").zip(bounds(shape)) else { continue };
        let local = of.rsplit(':').next().unwrap_or(of);
        let Some(id) = process.ids.get(local) else {
            others.insert(local.to_owned(), ((bounds.x * WIDER).round(), (bounds.y * HIGHER).round()));
            continue;
        };
        let kind = process.element(id).map(super::read::Element::kind).unwrap_or_default();
        if !matches!(kind, "subProcess" | "transaction" | "adHocSubProcess") {
            let (x, y) = (bounds.x + bounds.width / 2.0, bounds.y + bounds.height / 2.0);
            let at = json!({ "x": (x * WIDER - HALF.0).round(), "y": (y * HIGHER - HALF.1).round() });
            nodes.insert(id.clone(), at);
            continue;
        }
        let mut at = json!({ "x": (bounds.x * WIDER).round(), "y": (bounds.y * HIGHER).round() });
        if shape.attribute("isExpanded") == Some("false") {
            at["collapsed"] = json!(true);
        } else {
            at["width"] = json!((bounds.width * WIDER).round());
            at["height"] = json!((bounds.height * HIGHER).round());
        }
        nodes.insert(id.clone(), at);
    }
    (nodes, others)
}

fn bounds(shape: Node<'_, '_>) -> Option<Bounds> {
    let of =
        shape.children().find(|one| one.tag_name().namespace() == Some(DC) && one.tag_name().name() == "Bounds")?;
    let number = |name: &str| of.attribute(name)?.parse::<f64>().ok().filter(|one| one.abs() < FAR);
    Some(Bounds { x: number("x")?, y: number("y")?, width: number("width")?, height: number("height")? })
}
