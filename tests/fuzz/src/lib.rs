//! What fuzzing looks at: bytes from outside, and what must hold whatever they are.
//!
//! Each function panics where it does not hold; ending the process, by a stack that is used up say, counts as well.
//! `cargo fuzz` calls them with what it makes up (`targets/`), the test beside this with what was found worth keeping
//! (`kept/`) and with changes to it that follow from a seed.
//!
//! Not here: HTTP itself (`tests/http`), calls of components that mean harm (`tests/wasm`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "what does not hold panics")]

mod run;

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use stepwell_core::catalog::{Catalog, NodeType};
use stepwell_core::expr::{Expr, Root, Scope, Template};
use stepwell_core::flow::Flow;
use stepwell_core::flow::check::check;
use stepwell_core::machine::Event;
#[cfg(feature = "loader")]
use stepwell_sandbox::{Digest, Limits, Sandbox};

/// Larger ones only take longer.
const INPUT_BYTES_MAX: usize = 64 * 1024;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut stored: Value = serde_json::from_str(include_str!("../../../flows/checks/catalog.json")).unwrap();
    let types: Vec<NodeType> = serde_json::from_value(stored["nodeTypes"].take()).unwrap();
    Catalog { flows: serde_json::from_value(stored["flows"].take()).unwrap(), ..Catalog::new(types) }
});

/// A text that somebody wrote as an expression, alone and within a template: it is refused where it is wrong, or gives
/// the same value twice, which is one that can be kept.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let order =
        json!({ "id": "A-1", "amount_cents": 1200, "items": [{ "sku": "a", "qty": 2 }, null, "x"], "none": null });
    let list = (0..20).collect::<Value>();
    let roots = [("input", Root::Value(&order)), ("vars", Root::Value(&list))];
    let scope = Scope { roots: &roots };
    match Expr::parse(text) {
        Ok(expr) => {
            let (once, again) = (expr.eval(&scope), expr.eval(&scope));
            assert_eq!(once, again, "one value for one context");
            if let Ok(value) = once {
                let kept: Value = serde_json::from_str(&value.to_string()).expect("a value is JSON");
                assert_eq!(kept, value, "what is written is read back");
            }
        }
        Err(error) => {
            assert!(error.from <= error.to && error.to <= text.len(), "the place is in the text");
            assert!(text.is_char_boundary(error.from) && text.is_char_boundary(error.to), "it can be marked");
        }
    }
    let whole = json!({ "a": format!("={text}"), "b": [text] });
    let mut problems = Vec::new();
    let template = Template::parse(&whole, "/with", &mut problems);
    if problems.is_empty() {
        let _ = template.eval(&scope);
    }
}

/// `{document, input, events}`, or a document alone: the checker takes it or says why not; what it takes can be run, and
/// an instance comes back from its snapshot as it was.
pub fn flow(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let document = value.get("document").unwrap_or(&value);
    let checked = check(document, &CATALOG);
    let again = check(document, &CATALOG);
    assert_eq!(checked.hash, again.hash, "one hash for one document");
    assert_eq!(checked.problems, again.problems, "the same problems each time");
    for problem in &checked.problems {
        assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'), "{problem:?}");
    }
    let errors = checked.problems.iter().any(|problem| problem.severity == stepwell_core::problem::Severity::Error);
    assert_eq!(checked.flow.is_none(), errors, "a flow unless there is an error");
    let Some(flow) = checked.flow else { return };
    let events = value.get("events").and_then(Value::as_array).into_iter().flatten();
    let events: Vec<Event> = events.filter_map(|event| serde_json::from_value(event.clone()).ok()).collect();
    run::through(&flow, value.get("input").cloned().unwrap_or_else(|| json!({})), &events);
}

/// A file that somebody offers as a plugin: it is refused with its reasons, or taken for what it is.
#[cfg(feature = "loader")]
pub fn loader(data: &[u8]) {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
        let limits = Limits { compile_ms_max: 10_000, describe_ms_max: 500, pooled_max: 4, ..Limits::default() };
        Sandbox::new(None, limits).unwrap()
    });
    static TURNS: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    match TURNS.block_on(SANDBOX.load(data.to_vec())) {
        Ok(info) => {
            assert_eq!(info.digest, Digest::of(data));
            SANDBOX.remove(&info.digest);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "no refusal without a reason");
            assert!(problems.iter().all(|problem| problem.code.starts_with("PLUGIN_")), "{problems:?}");
        }
    }
}

/// A body that comes in at a trigger's path: the first byte says whose, the rest is what was sent.
pub fn trigger(data: &[u8]) {
    static FLOWS: LazyLock<Vec<Flow>> = LazyLock::new(|| {
        let texts = [include_str!("../../../flows/order-5.json"), include_str!("../../../flows/community_order.json")];
        let read = |text: &&str| check(&serde_json::from_str(text).unwrap(), &CATALOG).flow.unwrap();
        texts.iter().map(read).collect()
    });
    let [whose, body @ ..] = data else { return };
    if body.len() > INPUT_BYTES_MAX {
        return;
    }
    let Ok(input) = serde_json::from_slice::<Value>(body) else { return };
    let flow = &FLOWS[usize::from(*whose) % FLOWS.len()];
    let problems = flow.input.as_ref().map(|schema| schema.check(&input)).unwrap_or_default();
    assert_eq!(problems.is_empty(), flow.input.as_ref().is_none_or(|schema| schema.is_valid(&input)));
    if problems.is_empty() {
        run::through(flow, input, &[]);
    }
}

/// What a flow's own expression makes of an input.
fn business_key(flow: &Flow, input: &Arc<Value>) -> Option<String> {
    let scope = Scope { roots: &[("input", Root::Value(input))] };
    flow.business_key.as_ref()?.eval(&scope).ok()?.as_str().map(str::to_owned)
}
