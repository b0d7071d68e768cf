//! Published tables and templates: what each kind may be used for, what pins what, and what is asked live.

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell};

fn table(pct: u32) -> Value {
    json!({
        "stepwell": 1, "kind": "table", "key": "discount", "title": { "en": "Discount", "zh-CN": "折扣" },
        "input": { "type": "object", "required": ["tier"], "properties": { "tier": { "type": "string" } } },
        "table": {
            "hitPolicy": "unique",
            "inputs": [{ "id": "t", "name": "Tier", "field": "tier" }],
            "outputs": [{ "id": "p", "name": "Percent", "field": "pct" }],
            "rules": [{ "_id": "1", "t": "'gold', 'both'", "p": pct.to_string() }, { "_id": "2", "t": "'both'", "p": "1" }],
        },
    })
}

fn flow(key: &str, named: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key,
        "nodes": {
            "start": { "type": "start" },
            "off": { "type": "decision", "table": named, "with": { "tier": "=input.tier" } },
            "done": { "type": "end", "output": "=nodes.off.pct" },
        },
        "edges": [{ "from": "start", "to": "off" }, { "from": "off", "to": "done" }],
    })
}

async fn put(engine: &Stepwell, document: &Value) -> stepwell_tests::Reply {
    engine.put("/api/v1/tables/discount", &[], &json!({ "document": document })).await
}

async fn run(engine: &Stepwell, flow: &str) -> Value {
    let body = json!({ "input": { "tier": "gold" } });
    engine.post(&format!("/api/v1/flows/{flow}/instances?wait=10s"), &body).await.expect(200).json()["output"].clone()
}

#[tokio::test]
async fn tables_are_published_asked_and_pinned() {
    let engine = Stepwell::start(Options::default()).await;
    assert_eq!(put(&engine, &table(10)).await.expect(201).json()["version"], 1);
    assert_eq!(put(&engine, &table(10)).await.expect(200).json()["version"], 1, "it says the same");
    for (asked, status, told) in [
        (json!({ "input": { "tier": "gold" } }), 200, json!({ "output": { "pct": 10 }, "hits": [0], "version": 1 })),
        (json!({ "input": { "tier": "none" } }), 200, json!({ "output": null, "hits": [], "version": 1 })),
        (
            json!({ "input": { "tier": "gold" }, "document": table(7) }),
            200,
            json!({ "output": { "pct": 7 }, "hits": [0], "version": null }),
        ),
        (json!({ "input": { "tier": "both" } }), 422, json!("TABLE_FAILED")),
        (json!({ "input": {} }), 422, json!("INPUT_INVALID")),
        (json!({ "input": { "tier": "gold" }, "version": 9 }), 404, json!("VERSION_NOT_FOUND")),
        (json!({ "input": { "tier": "gold" }, "document": { "kind": "table" } }), 422, json!("FLOW_HAS_PROBLEMS")),
    ] {
        let reply = engine.post("/api/v1/tables/discount/evaluate", &asked).await.expect(status);
        let said = if status == 200 { reply.json() } else { json!(reply.code()) };
        assert_eq!(said, told, "{asked}");
    }
    engine.publish(&flow("pinned", "discount@1")).await;
    engine.publish(&flow("newest", "discount")).await;
    assert_eq!(put(&engine, &table(20)).await.expect(201).json()["version"], 2);
    // Both stay on what they were published with; published again, the one that names no version moves.
    assert_eq!((run(&engine, "pinned").await, run(&engine, "newest").await), (json!(10), json!(10)));
    for key in ["pinned", "newest"] {
        let body = json!({ "document": flow(key, if key == "pinned" { "discount@1" } else { "discount" }) });
        engine.post(&format!("/api/v1/flows/{key}/publish"), &body).await;
    }
    assert_eq!((run(&engine, "pinned").await, run(&engine, "newest").await), (json!(10), json!(20)));
    let shown = engine.get("/api/v1/flows/newest/versions/2").await.expect(200).json();
    assert_eq!(shown["tables"], json!({ "discount": 2 }));
    let used = engine.get("/api/v1/tables/discount/where-used").await.expect(200).json();
    let users: Vec<&str> =
        used["calledBy"].as_array().unwrap().iter().map(|one| one["flow"].as_str().unwrap()).collect();
    assert_eq!(users, ["newest", "newest", "pinned"]);
    let list = engine.get("/api/v1/tables").await.expect(200).json();
    assert_eq!((&list["items"][0]["key"], &list["items"][0]["version"]), (&json!("discount"), &json!(2)));
    assert_eq!(engine.get("/api/v1/tables/discount").await.expect(200).json()["versions"], json!([2, 1]));
    let audit = engine.get("/api/v1/audit?target=discount").await.expect(200).json();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2), "{audit:#}");
}

#[tokio::test]
async fn each_kind_is_used_as_what_it_is() {
    let engine = Stepwell::start(Options::default()).await;
    put(&engine, &table(10)).await.expect(201);
    let mut named = table(10);
    named["key"] = json!("other");
    assert_eq!(put(&engine, &named).await.expect(422).json()["problems"][0]["code"], "KEY_MISMATCH");
    assert_eq!(put(&engine, &flow("discount", "x")).await.expect(422).json()["problems"][0]["code"], "UNKNOWN_VALUE");
    let code = async |path: &str, document: Value| {
        let reply = engine.post(&format!("/api/v1/flows/{path}/publish"), &json!({ "document": document })).await;
        reply.expect(422).json()["problems"][0]["code"].as_str().unwrap().to_owned()
    };
    // A key is of one kind; a table is neither called, extended nor started, and a flow is no table.
    assert_eq!(code("discount", flow("discount", "discount")).await, "KIND_CHANGED");
    engine.publish(&flow("plain", "discount")).await;
    assert_eq!(code("a", flow("a", "plain")).await, "TABLE_MISSING");
    assert_eq!(
        code("a", json!({ "stepwell": 1, "kind": "graph", "key": "a", "extends": "discount" })).await,
        "NOT_A_TEMPLATE"
    );
    assert_eq!(
        engine.post("/api/v1/flows/discount/instances", &json!({})).await.expect(409).code(),
        "FLOW_NOT_PUBLISHED"
    );
    assert_eq!(engine.get("/api/v1/tables/plain").await.expect(404).code(), "TABLE_NOT_FOUND");
    let flows = engine.get("/api/v1/flows").await.expect(200).json();
    assert_eq!(flows["items"].as_array().map(Vec::len), Some(1), "tables have a list of their own");
    // A draft of another kind under its key changes nothing of what is published.
    let draft = json!({ "document": { "stepwell": 1, "kind": "graph", "key": "discount" } });
    engine.put("/api/v1/flows/discount/draft", &[("if-none-match", "*")], &draft).await.expect(200);
    engine.get("/api/v1/tables/discount").await.expect(200);
}

#[tokio::test]
async fn a_variant_keeps_its_template_until_it_is_published_again() {
    let engine = Stepwell::start(Options::default()).await;
    let template = |said: &str| {
        json!({
            "stepwell": 1, "kind": "template", "key": "base",
            "nodes": {
                "start": { "type": "start" }, "part": { "type": "slot", "default": { "type": "set", "vars": { "said": said } } },
                "done": { "type": "end", "output": "=vars.said" },
            },
            "edges": [{ "from": "start", "to": "part" }, { "from": "part", "to": "done" }],
        })
    };
    let variant = |extends: &str| json!({ "stepwell": 1, "kind": "graph", "key": "variant", "extends": extends });
    engine.publish(&template("one")).await;
    engine.publish(&variant("base")).await;
    engine.publish(&template("two")).await;
    assert_eq!(run(&engine, "variant").await, "one");
    let again = engine.post("/api/v1/flows/variant/publish", &json!({ "document": variant("base") })).await.expect(201);
    assert_eq!((run(&engine, "variant").await, &again.json()["version"]), (json!("two"), &json!(2)));
    engine.post("/api/v1/flows/variant/publish", &json!({ "document": variant("base@1") })).await.expect(201);
    assert_eq!(run(&engine, "variant").await, "one");
    let checked = engine.post("/api/v1/flows/check", &json!({ "document": variant("base") })).await.expect(200).json();
    assert_eq!(checked["resolved"]["nodes"]["part"]["vars"]["said"], "two");
    assert_eq!(checked["comparison"]["template"], "base@2");
    // What runs on it has its own copy: the first version of the template can go.
    let template_gone = engine.delete("/api/v1/flows/base/versions/1").await.expect(200);
    assert_eq!(template_gone.json()["outcome"], "deleted");
    assert_eq!(run(&engine, "variant").await, "one");
}
