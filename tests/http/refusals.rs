//! What is wrong with a request is said by status, code and pointer, and nothing of it is kept.

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell};

use crate::flows;

/// One refused request: method, path, headers, body → status, code, pointer of the first problem.
struct Row(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    String,
    u16,
    &'static str,
    &'static str,
);

fn rows() -> Vec<Row> {
    let huge = format!("{{\"input\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let no_end = json!({ "document": { "stepwell": 1, "kind": "graph", "key": "a", "nodes": { "start": { "type": "start" } },
        "edges": [{ "from": "start", "to": "nowhere" }] } });
    let text = |value: Value| value.to_string();
    vec![
        // No way in.
        Row("GET", "/nothing/../api/v1", &[], String::new(), 200, "", ""),
        Row("GET", "/api/v1/nothing", &[], String::new(), 404, "NOT_FOUND", ""),
        Row("GET", "/api/v2/flows", &[], String::new(), 404, "NOT_FOUND", ""),
        Row("DELETE", "/api/v1/flows", &[], String::new(), 405, "METHOD_NOT_ALLOWED", ""),
        Row("POST", "/", &[], String::new(), 405, "METHOD_NOT_ALLOWED", ""),
        // Not readable.
        Row("POST", "/api/v1/flows/check", &[], "{\"document\":".into(), 400, "BODY_NOT_JSON", ""),
        Row("POST", "/api/v1/flows/check", &[], String::new(), 400, "BODY_NOT_JSON", ""),
        Row("POST", "/api/v1/flows/check", &[], "{}".into(), 422, "BODY_INVALID", ""),
        Row(
            "POST",
            "/api/v1/flows/sum/instances",
            &[],
            "{\"version\":\"one\"}".into(),
            422,
            "BODY_INVALID",
            "/version",
        ),
        Row("POST", "/api/v1/flows/sum/instances", &[], "{\"imput\":1}".into(), 422, "BODY_INVALID", "/imput"),
        Row("POST", "/api/v1/flows/sum/instances", &[], huge.clone(), 413, "BODY_TOO_LARGE", ""),
        Row("POST", "/t/sum", &[], huge, 413, "BODY_TOO_LARGE", ""),
        Row("GET", "/api/v1/instances?stat=running", &[], String::new(), 400, "QUERY_INVALID", ""),
        Row("GET", "/api/v1/instances?state=happy", &[], String::new(), 400, "QUERY_INVALID", ""),
        Row("GET", "/api/v1/instances?cursor=x", &[], String::new(), 400, "QUERY_INVALID", ""),
        Row("GET", "/api/v1/flows/sum/versions/one", &[], String::new(), 400, "PATH_INVALID", ""),
        Row(
            "POST",
            "/api/v1/flows/sum/instances?wait=soon",
            &[],
            text(json!({ "input": { "a": 1, "b": 2 } })),
            400,
            "QUERY_INVALID",
            "",
        ),
        Row(
            "POST",
            "/api/v1/flows/sum/instances?wait=10m",
            &[],
            text(json!({ "input": { "a": 1, "b": 2 } })),
            400,
            "QUERY_INVALID",
            "",
        ),
        Row(
            "POST",
            "/api/v1/flows/sum/instances",
            &[("idempotency-key", "")],
            text(json!({ "input": { "a": 1, "b": 2 } })),
            400,
            "HEADER_INVALID",
            "",
        ),
        // Not there.
        Row("GET", "/api/v1/flows/none", &[], String::new(), 404, "FLOW_NOT_FOUND", ""),
        Row("GET", "/api/v1/flows/none/draft", &[], String::new(), 404, "NO_DRAFT", ""),
        Row("DELETE", "/api/v1/flows/none/draft", &[], String::new(), 404, "NO_DRAFT", ""),
        Row("POST", "/api/v1/flows/none/publish", &[], "{}".into(), 404, "NO_DRAFT", ""),
        Row("GET", "/api/v1/flows/sum/versions/9", &[], String::new(), 404, "VERSION_NOT_FOUND", ""),
        Row("POST", "/api/v1/flows/none/instances", &[], "{}".into(), 404, "FLOW_NOT_FOUND", ""),
        Row("POST", "/api/v1/flows/sum/instances", &[], "{\"version\":9}".into(), 404, "VERSION_NOT_FOUND", ""),
        Row("POST", "/t/none", &[], "{}".into(), 404, "TRIGGER_NOT_FOUND", ""),
        Row(
            "GET",
            "/api/v1/instances/01900000-0000-7000-8000-000000000000",
            &[],
            String::new(),
            404,
            "INSTANCE_NOT_FOUND",
            "",
        ),
        Row("GET", "/api/v1/instances/what", &[], String::new(), 404, "INSTANCE_NOT_FOUND", ""),
        Row("GET", "/api/v1/instances/what/journal", &[], String::new(), 404, "INSTANCE_NOT_FOUND", ""),
        Row("POST", "/api/v1/instances/what/cancel", &[], "{}".into(), 404, "INSTANCE_NOT_FOUND", ""),
        Row("POST", "/api/v1/instances/what/retry", &[], String::new(), 404, "INSTANCE_NOT_FOUND", ""),
        Row("GET", "/api/v1/plugins/none/1.0.0", &[], String::new(), 404, "PLUGIN_NOT_FOUND", ""),
        Row("GET", "/api/v1/connections/none", &[], String::new(), 404, "CONNECTION_NOT_FOUND", ""),
        Row("PUT", "/api/v1/grants/commerce/none", &[], String::new(), 404, "CONNECTION_NOT_FOUND", ""),
        // Does not fit.
        Row(
            "POST",
            "/api/v1/flows/sum/instances",
            &[],
            text(json!({ "input": { "a": 1, "b": "two" } })),
            422,
            "INPUT_INVALID",
            "/input/b",
        ),
        Row("POST", "/t/sum", &[], text(json!({ "a": 1, "b": "two" })), 422, "INPUT_INVALID", "/b"),
        Row("POST", "/api/v1/flows/a/publish", &[], text(no_end), 422, "FLOW_HAS_PROBLEMS", "/edges/0/to"),
        Row(
            "POST",
            "/api/v1/flows/dreamer/publish",
            &[],
            text(json!({ "document": flows::unknown_plugin() })),
            422,
            "FLOW_HAS_PROBLEMS",
            "/nodes/dream/uses",
        ),
        Row(
            "POST",
            "/api/v1/flows/other/publish",
            &[],
            text(json!({ "document": flows::stuck() })),
            422,
            "FLOW_HAS_PROBLEMS",
            "/key",
        ),
        Row("PUT", "/api/v1/flows/a/draft", &[], "{\"document\":{}}".into(), 428, "PRECONDITION_REQUIRED", ""),
        Row(
            "PUT",
            "/api/v1/flows/a/draft",
            &[("if-match", "new")],
            "{\"document\":{}}".into(),
            400,
            "HEADER_INVALID",
            "",
        ),
        Row(
            "PUT",
            "/api/v1/flows/a/draft",
            &[("if-match", "\"7\"")],
            "{\"document\":{}}".into(),
            409,
            "DRAFT_CONFLICT",
            "",
        ),
        Row("POST", "/api/v1/messages", &[], text(json!({ "name": "go" })), 422, "BODY_INVALID", ""),
        Row("POST", "/api/v1/messages", &[], text(json!({ "name": "", "key": "k" })), 422, "BODY_INVALID", "/name"),
        Row(
            "POST",
            "/api/v1/messages",
            &[],
            text(json!({ "name": "go", "key": "k", "ttl": "long" })),
            422,
            "BODY_INVALID",
            "/ttl",
        ),
        Row(
            "POST",
            "/api/v1/plugins",
            &[("content-type", "application/wasm")],
            "not wasm at all".into(),
            422,
            "PLUGIN_REFUSED",
            "",
        ),
        Row(
            "PUT",
            "/api/v1/connections/shop",
            &[],
            text(json!({ "scheme": "gopher", "host": "a" })),
            422,
            "BODY_INVALID",
            "/scheme",
        ),
        Row(
            "PUT",
            "/api/v1/connections/shop",
            &[],
            text(json!({ "scheme": "http", "host": "a", "allowPrivat": true })),
            422,
            "BODY_INVALID",
            "/allowPrivat",
        ),
    ]
}

#[tokio::test]
async fn every_refusal_has_its_status_code_and_pointer() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    let before = kept(&engine).await;
    for Row(method, path, headers, body, status, code, pointer) in rows() {
        let sent = engine.send(method, path, headers, body).await;
        let reply = sent.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let said = format!("{method} {path}: {}", reply.text());
        assert_eq!(reply.status, status, "{said}");
        if status == 200 {
            continue;
        }
        assert_eq!(reply.header("content-type"), "application/problem+json", "{said}");
        assert_eq!((reply.code().as_str(), reply.pointer().as_str()), (code, pointer), "{said}");
        assert_eq!(reply.json()["status"], status, "{said}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{said}");
    }
    assert_eq!(kept(&engine).await, before, "a refused request left something behind");
}

/// All that a request could leave behind.
async fn kept(engine: &Stepwell) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["flows", "instances", "plugins", "connections", "grants", "audit"] {
        all.push(engine.get(&format!("/api/v1/{path}")).await.expect(200).json());
    }
    all
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_told() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::sum()).await;
    for token in [None, Some("wrong"), Some("")] {
        let stranger = engine.with_token(token);
        for (method, path) in [
            ("GET", "/api/v1/flows"),
            ("GET", "/api/v1/nothing"),
            ("GET", "/api/v1/events"),
            ("GET", "/metrics"),
            ("POST", "/api/v1/flows/sum/instances"),
            ("POST", "/api/v1/plugins"),
            ("POST", "/t/sum"),
            // Which paths there are is not told either.
            ("POST", "/t/none"),
        ] {
            let reply = stranger.send(method, path, &[], "{\"a\":1,\"b\":2}").await.unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHENTICATED"), "{token:?} {method} {path}");
        }
        for path in ["/healthz", "/readyz", "/", "/openapi.json", "/docs"] {
            assert_eq!(stranger.get(path).await.status, 200, "{path}");
        }
    }
    assert_eq!(engine.get("/api/v1/instances").await.json()["items"], json!([]));
}

#[tokio::test]
async fn more_than_the_limit_is_told_to_come_again() {
    let args = ["--requests-max=1", "--readers-max=1"].map(str::to_owned).to_vec();
    let engine = Stepwell::start(Options { args, ..Options::default() }).await;
    engine.publish(&flows::patient()).await;
    // One caller waits in the only slot until the message comes.
    let waiting = engine.clone();
    let caller = tokio::spawn(async move {
        // It may be refused itself, while a look of ours is under way.
        let body = json!({ "input": { "id": "full" } });
        while waiting.post("/api/v1/flows/patient/instances?wait=30s", &body).await.status == 503 {}
    });
    let full = stepwell_tests::until("the slot is taken", std::time::Duration::from_secs(10), async || {
        let reply = engine.get("/api/v1/status").await;
        (reply.status == 503).then_some(reply)
    })
    .await;
    assert_eq!((full.code().as_str(), full.header("retry-after")), ("OVERLOADED", "1"));
    assert_eq!(engine.get("/healthz").await.status, 200, "health is told also when there is no room");
    caller.abort();
    stepwell_tests::until("the slot is free again", std::time::Duration::from_secs(10), async || {
        (engine.get("/api/v1/status").await.status == 200).then_some(())
    })
    .await;
    let _first = engine.events("", None).await;
    let second = engine.get("/api/v1/events").await;
    assert_eq!((second.status, second.code().as_str()), (503, "OVERLOADED"));
}
