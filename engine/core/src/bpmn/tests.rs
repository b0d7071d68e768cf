//! Rows: what stands in a process, and what comes of it, one line per node, edge and thing left.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Imported, NotBpmn, Wanted, import};
use crate::catalog::Catalog;
use crate::flow::check;

const SAMPLE: &str = include_str!("../../../../flows/bpmn/community_order.bpmn");

fn catalog() -> Catalog {
    let node_type = |id: &str, undo: bool, input: Value, output: Value| {
        json!({
            "id": id, "uses": format!("{id}@1"), "major": 1, "plugin": "shop@1.0.0", "digest": "d".repeat(64),
            "effect": "external", "title": {}, "summary": {}, "category": "shop", "icon": "", "config": true, "undo": undo,
            "resume": false, "query": false, "input": input, "ports": [{ "name": "out", "output": output }],
            "errors": [{ "code": "PAYMENT_FAILED" }],
        })
    };
    let object = |fields: &[&str]| {
        let properties: Value = fields.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        json!({ "type": "object", "required": fields, "properties": properties })
    };
    let all = [
        node_type("commerce/reserve-stock", true, object(&["sku", "quantity"]), object(&["reservation"])),
        node_type("commerce/lock-locker", true, object(&["community"]), object(&["locker"])),
        node_type("payment/pay", true, object(&["order", "amount_cents"]), object(&["payment", "status"])),
        node_type("commerce/ship", true, object(&["order"]), object(&["parcel"])),
    ];
    Catalog::new(all.map(|one| serde_json::from_value(one).unwrap()))
}

fn bindings() -> BTreeMap<String, String> {
    let all = [
        ("com.CommunityStockDelegate", "commerce/reserve-stock@1"),
        ("communityOrderService.lockLocker", "commerce/lock-locker@1"),
        ("paymentDelegate", "payment/pay@1"),
        ("shipDelegate", "commerce/ship@1"),
    ];
    all.into_iter().map(|(name, uses)| (name.to_owned(), uses.to_owned())).collect()
}

fn read(xml: &str) -> Result<Imported, NotBpmn> {
    import(xml, &Wanted { process: None, bindings: &bindings(), catalog: &catalog() })
}

/// One line per node, edge and thing left: `pay task {…}`, `a -> b when x`, `element#id: message`.
fn shown(body: &str) -> String {
    let xml = format!(
        r#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
          xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"><process id="p">{body}</process>
          <message id="m1" name="paid"><extensionElements><zeebe:subscription correlationKey="=orderId"/></extensionElements></message>
          <error id="e1" errorCode="sold-out"/></definitions>"#
    );
    let found = read(&xml).unwrap();
    let mut lines = Vec::new();
    for (id, node) in found.document["nodes"].as_object().unwrap() {
        let mut node = node.clone();
        let kind = node.as_object_mut().and_then(|fields| fields.remove("type")).unwrap();
        let rest = if node == json!({}) { String::new() } else { format!(" {node}") };
        lines.push(format!("{id} {}{rest}", kind.as_str().unwrap()));
    }
    for edge in found.document["edges"].as_array().unwrap() {
        let text = |name: &str| edge[name].as_str().unwrap_or_default();
        let port = edge.get("port").map_or_else(String::new, |_| format!(":{}", text("port")));
        let when = edge.get("when").map_or_else(String::new, |_| format!(" when {}", text("when")));
        let default = if edge["default"] == true { " else" } else { "" };
        lines.push(format!("{}{port} -> {}{when}{default}", text("from"), text("to")));
    }
    lines.extend(
        found.left.iter().map(|one| format!("{}#{}: {}", one.element, one.id.as_deref().unwrap_or("-"), one.message)),
    );
    lines.join("\n")
}

#[test]
fn elements_become_nodes() {
    for (body, expected) in [
        (
            r#"<startEvent id="s"/><sequenceFlow sourceRef="s" targetRef="e"/><endEvent id="e"/>"#,
            "e end\ns start\ns -> e",
        ),
        (r#"<endEvent id="e"><terminateEventDefinition/></endEvent>"#, r#"e end {"terminate":true}"#),
        (r#"<endEvent id="e"><errorEventDefinition errorRef="e1"/></endEvent>"#, r#"e throw {"code":"SOLD_OUT"}"#),
        (r#"<endEvent id="e"><compensateEventDefinition/></endEvent>"#, "e compensate\ne_end end\ne -> e_end"),
        (
            r#"<intermediateCatchEvent id="t"><timerEventDefinition><timeDuration>PT1H30M</timeDuration></timerEventDefinition></intermediateCatchEvent>"#,
            r#"t timer {"after":"90m"}"#,
        ),
        (
            r#"<intermediateCatchEvent id="t"><timerEventDefinition><timeDate>2026-11-11T00:00:00Z</timeDate></timerEventDefinition></intermediateCatchEvent>"#,
            r#"t timer {"until":"='2026-11-11T00:00:00Z'"}"#,
        ),
        (r#"<receiveTask id="r" messageRef="m1"/>"#, r#"r receive {"key":"=input.orderId","message":"paid"}"#),
        (
            r#"<serviceTask id="w" camunda:type="external" camunda:topic="ship"/>"#,
            "w external-task {\"topic\":\"ship\"}\nserviceTask#w: workers of topic `ship` fetch it from another place now",
        ),
        (
            r#"<serviceTask id="w"><extensionElements><zeebe:taskDefinition type="ship" retries="3"/></extensionElements></serviceTask>"#,
            "w external-task {\"retry\":{\"attempts\":3},\"topic\":\"ship\"}\nserviceTask#w: workers of topic `ship` fetch it from another place now",
        ),
        (r#"<businessRuleTask id="d" camunda:decisionRef="discount"/>"#, r#"d decision {"table":"discount"}"#),
        (
            r#"<serviceTask id="p" camunda:delegateExpression="${nobody}"/>"#,
            "p task {\"uses\":\"nobody\"}\nserviceTask#p: it is bound to `nobody`, which no node type is known by",
        ),
        (r#"<serviceTask id="p"/>"#, "p user-task\nserviceTask#p: nothing says what does this work"),
        (
            r#"<userTask id="u" camunda:candidateGroups="ops, desk" camunda:dueDate="P1D"><extensionElements><camunda:formData><camunda:formField id="ok" type="boolean" label="Agreed"><camunda:validation><camunda:constraint name="required"/></camunda:validation></camunda:formField></camunda:formData></extensionElements></userTask>"#,
            r#"u user-task {"due":"1d","form":{"properties":{"ok":{"title":"Agreed","type":"boolean"}},"required":["ok"],"type":"object"},"groups":["ops","desk"]}"#,
        ),
        (r#"<callActivity id="c" calledElement="Refund"/>"#, r#"c call {"flow":"refund"}"#),
        (r#"<complexGateway id="x"/>"#, "x user-task\ncomplexGateway#x: `complexGateway` has no counterpart"),
        (r#"<manualTask id="m" name="Pack  it"/>"#, r#"m set {"title":"Pack it"}"#),
        (
            r#"<subProcess id="sub"><startEvent id="s"/><sequenceFlow sourceRef="s" targetRef="m"/><manualTask id="m"/></subProcess>"#,
            "m set {\"in\":\"sub\"}\nsub stage",
        ),
        (
            r#"<serviceTask id="p" camunda:class="shipDelegate"><multiInstanceLoopCharacteristics isSequential="true" camunda:collection="orders" camunda:elementVariable="order"/></serviceTask>"#,
            "p task {\"in\":\"p_each\",\"uses\":\"commerce/ship@1\",\"with\":{\"order\":\"=item\"}}\np_each for-each {\"items\":\"=input.orders\"}",
        ),
        (
            r#"<manualTask id="m"/><boundaryEvent id="late" attachedToRef="m" cancelActivity="false"><timerEventDefinition><timeDuration>PT5M</timeDuration></timerEventDefinition></boundaryEvent><boundaryEvent id="bad" attachedToRef="m"><errorEventDefinition/></boundaryEvent><sequenceFlow sourceRef="bad" targetRef="e"/><endEvent id="e"/>"#,
            "e end\nm set {\"on\":{\"bad\":{\"type\":\"error\"},\"late\":{\"after\":\"5m\",\"interrupting\":false,\"type\":\"timeout\"}}}\nm:bad -> e",
        ),
        (r#"<laneSet id="l"/>"#, "laneSet#l: lanes say nothing that a flow runs by"),
        (
            r#"<subProcess id="s" triggeredByEvent="true"/>"#,
            "subProcess#s: an event sub-process has no place of its own in a flow",
        ),
    ] {
        assert_eq!(shown(body), expected, "{body}");
    }
}

#[test]
fn ways_out_of_a_step_get_their_gateway() {
    let two = r#"<manualTask id="m"/><endEvent id="a"/><endEvent id="b"/>
        <sequenceFlow sourceRef="m" targetRef="a"/><sequenceFlow sourceRef="m" targetRef="b">"#;
    for (rest, expected) in [
        ("</sequenceFlow>", "m_split -> a|m_split -> b|m -> m_split|parallel"),
        (
            "<conditionExpression>${n &gt; 1 &amp;&amp; !empty name}</conditionExpression></sequenceFlow>",
            "m_split -> a when true|m_split -> b when input.n > 1 and not (input.name == null or input.name == '')|m -> m_split|inclusive",
        ),
    ] {
        let found = shown(&format!("{two}{rest}"));
        let kind = found.lines().find_map(|line| line.strip_prefix("m_split ")).filter(|line| !line.starts_with("->"));
        let lines: Vec<&str> = found.lines().filter(|line| line.contains("->")).chain(kind).collect();
        assert_eq!(lines.join("|"), expected);
    }
}

#[test]
fn expressions_are_said_in_ours() {
    let mut names = |name: &str| format!("input.{name}");
    for (text, expected) in [
        ("${status == 'PAID'}", Ok("input.status == 'PAID'")),
        ("${a.b ge 3 and not(c)}", Ok("input.a.b >= 3 and not (input.c)")),
        ("${a mod 2 eq 1 ? 'odd' : 'even'}", Ok("input.a % 2 == 1 ? 'odd' : 'even'")),
        ("=total > 100 and tier = \"gold\"", Ok("input.total > 100 and input.tier == 'gold'")),
        ("${bean.call(x)}", Err("`bean.call(…)` is a call, which has no counterpart")),
        ("=for x in list return x[1]", Err("`[` has no counterpart")),
        ("plain", Err("`plain` is no expression")),
        ("${}", Err("an empty expression")),
    ] {
        let found = super::expression::translated(text, &mut names);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }
}

#[test]
fn the_sample_becomes_a_flow_that_has_no_problem() {
    let found = read(SAMPLE).unwrap();
    assert_eq!(
        found.document["nodes"]["create_payment"]["with"],
        json!({ "order": "=input.orderId", "amount_cents": "=input.amount_cents" })
    );
    assert_eq!(found.document["edges"][4]["when"], "nodes.create_payment.status == 'PAID'");
    assert_eq!(found.document["nodes"]["lock_pickup"]["undo"], true);
    assert_eq!(found.document["layout"]["start"], json!({ "x": 195.0, "y": 232.0 }));
    assert_eq!(found.document["notes"][0]["text"], "支付失败时释放自提柜并归还库存");
    let left: Vec<&str> = found.left.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(left, ["`lockerCompensationHandler` is unknown, and the step's node type undoes itself"]);
    let checked = check::check(&found.document, &catalog());
    let told: Vec<String> =
        checked.problems.iter().map(|one| format!("{} {} {}", one.code, one.pointer, one.message)).collect();
    assert!(checked.flow.is_some(), "{told:#?}");
}

#[test]
fn what_is_no_process_is_refused() {
    for (xml, expected) in [
        ("<a", "line 1: "),
        ("<a/>", "no element of BPMN 2.0 is in it: its root is `a`"),
        (r#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>"#, "no process is in it"),
        (r#"<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>"#, "line 1: XML with DTD detected"),
    ] {
        let said = read(xml).unwrap_err().to_string();
        assert!(said.starts_with(expected), "{xml}: {said}");
    }
    assert_eq!(read(&"x".repeat(super::BPMN_BYTES_MAX + 1)), Err(NotBpmn::TooLong));
    let other = Wanted { process: Some("gone"), bindings: &bindings(), catalog: &catalog() };
    assert_eq!(import(SAMPLE, &other), Err(NotBpmn::NoProcess("gone".to_owned())));
}
