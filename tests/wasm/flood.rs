//! A guest that asks the host for something without end.

use std::sync::Arc;

use serde_json::json;
use stepwell_core::machine::Op;

use crate::rig::{Rig, shown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_to_the_host_is_without_end() {
    let mut rig = Rig::new("recorder").await;
    rig.timeout_ms = 300;
    for (what, expected) in [
        ("log", "cut deadline: no answer within 300 ms"),
        ("clock", "cut deadline: no answer within 300 ms"),
        ("random", "cut deadline: no answer within 300 ms"),
        ("handles", "cut trap: "),
        ("all-the-random", "cut trap: "),
        ("sleep", "cut deadline: no answer within 300 ms"),
    ] {
        let answer = rig.answer(&rig.call(Op::Run, json!({ "flood": what }), json!(null))).await;
        let shown = shown(&answer.outcome);
        assert!(shown.starts_with(expected), "{what}: {shown}");
        assert!(answer.logs.len() <= 64 && answer.logs.iter().all(|line| line.message.len() <= 1024), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_go_on_beside_floods() {
    let mut rig = Rig::new("recorder").await;
    rig.timeout_ms = 60_000;
    let rig = Arc::new(rig);
    // Twice as many as there are workers: none may hold one.
    let floods: Vec<_> = ["log", "clock", "random", "log"]
        .map(|what| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.run(json!({ "flood": what }), json!(null)).await })
        })
        .into();
    for _ in 0..20 {
        let shown = rig.run(json!({}), json!(null)).await;
        assert!(shown.starts_with("done out "), "{shown}");
    }
    for flood in floods {
        assert!(!flood.is_finished(), "the neighbours came after the floods");
        flood.abort();
    }
}
