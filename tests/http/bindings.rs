//! Which version and which flow a start gets, and what cannot be taken away.

use serde_json::{Value, json};
use stepwell_tests::{Options, Reply, Stepwell};

use crate::flows;

/// Answers with its number.
fn numbered(key: &str, number: u32) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key, "businessKey": "=input.orderId",
        "nodes": { "start": { "type": "start" }, "done": { "type": "end", "output": { "version": number } } },
        "edges": [{ "from": "start", "to": "done" }],
    })
}

/// Three versions: 1 is labelled 1.0.0.
async fn versions(engine: &Stepwell, key: &str) {
    for number in 1..=3 {
        let body = json!({ "document": numbered(key, number), "label": (number == 1).then_some("1.0.0") });
        engine.post(&format!("/api/v1/flows/{key}/publish"), &body).await.expect(201);
    }
}

const PATH: &str = "/api/v1/flows/order/bindings";

/// Sets the binding over what stands there.
async fn bind(engine: &Stepwell, binding: &Value) -> Reply {
    let seen = engine.get(PATH).await;
    let tag = seen.header("etag").to_owned();
    let header = if seen.status == 404 { ("if-none-match", "*") } else { ("if-match", tag.as_str()) };
    engine.put(PATH, &[header], &json!({ "binding": binding })).await
}

/// `version by` of a start.
async fn started(engine: &Stepwell, body: &Value) -> String {
    let reply = engine.post("/api/v1/flows/order/instances?wait=10s", body).await.expect(200);
    let shown = engine.get(reply.header("location")).await.expect(200).json();
    assert_eq!(reply.json()["output"]["version"], shown["version"], "it runs what it says");
    format!("{} {}", shown["version"], shown["boundBy"].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn a_binding_picks_the_version_of_a_start() {
    let engine = Stepwell::start(Options::default()).await;
    versions(&engine, "order").await;
    assert_eq!(started(&engine, &json!({})).await, "3 -", "without a binding the newest");
    assert_eq!(engine.get(PATH).await.expect(404).code(), "BINDING_NOT_FOUND");
    let binding = json!({
        "rules": [
            { "name": "pilot", "keys": ["p-1"], "prefixes": ["vip-"], "version": 2 },
            { "name": "south", "when": "input.communityId == 'c1'", "version": "1.0.0" },
        ],
        "split": { "variants": [{ "name": "a", "version": 2, "weight": 1 }, { "name": "b", "version": 3, "weight": 1 }] },
        "fallback": "1.0.0",
    });
    bind(&engine, &binding).await.expect(200);
    for (body, expected) in [
        (json!({ "businessKey": "p-1" }), "2 rule/pilot"),
        (json!({ "input": { "orderId": "vip-7" } }), "2 rule/pilot"), // The key that the newest version makes.
        (json!({ "input": { "communityId": "c1" } }), "1 rule/south"),
        (json!({ "businessKey": "p-1", "version": 3 }), "3 asked"),
    ] {
        assert_eq!(started(&engine, &body).await, expected, "{body}");
    }
    // The same key gets the same version, as the preview says.
    let foreseen =
        engine.post(&format!("{PATH}/preview"), &json!({ "keys": ["k1", "k2", "k3", "k4", "k5", "k6"] })).await;
    let foreseen = foreseen.expect(200).json()["items"].as_array().unwrap().clone();
    let mut seen = std::collections::BTreeSet::new();
    for item in &foreseen {
        let expected = format!("{} {}", item["version"], item["by"].as_str().unwrap());
        for _ in 0..2 {
            assert_eq!(started(&engine, &json!({ "businessKey": item["businessKey"] })).await, expected, "{item}");
        }
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 2, "both variants are shared out: {seen:?}");
    // The switch of a variant: its keys fall back, the others keep what they have.
    let mut off = binding.clone();
    off["split"]["variants"][1]["enabled"] = false.into();
    bind(&engine, &off).await.expect(200);
    for item in &foreseen {
        let expected = if item["by"] == "split/b" { "1 fallback" } else { "2 split/a" };
        assert_eq!(started(&engine, &json!({ "businessKey": item["businessKey"] })).await, expected, "{item}");
    }
    let tried = json!({ "binding": { "default": 2, "off": [2], "fallback": 1 }, "items": [{}] });
    let tried = engine.post(&format!("{PATH}/preview"), &tried).await.expect(200).json();
    assert_eq!(
        tried["items"][0],
        json!({ "businessKey": null, "version": 1, "label": "1.0.0", "by": "fallback", "byChance": false, "skipped": [],
                "insteadOf": { "by": "default", "version": 2 } })
    );
    bind(&engine, &json!({ "off": [1, 2, 3] })).await.expect(200);
    let refused = engine.post("/api/v1/flows/order/instances", &json!({})).await.expect(409);
    assert_eq!(refused.code(), "VERSIONS_SWITCHED_OFF");
    let figures = engine.get(&format!("{PATH}/figures")).await.expect(200).json();
    let pilot = figures["items"].as_array().unwrap().iter().find(|one| one["by"] == "rule/pilot").unwrap().clone();
    assert_eq!(
        (&pilot["version"], &pilot["started"], &pilot["completed"], &pilot["live"]),
        (&json!(2), &json!(2), &json!(2), &json!(0))
    );
    assert_eq!(engine.delete(PATH).await.status, 204);
    assert_eq!(started(&engine, &json!({})).await, "3 -");
}

#[tokio::test]
async fn a_change_of_the_binding_touches_nothing_that_runs() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&flows::patient()).await;
    let started = engine.post("/api/v1/flows/patient/instances", &json!({ "input": { "id": "x" } })).await.expect(202);
    let mut second = flows::patient();
    second["nodes"]["done"]["output"] = json!({ "said": "nothing" });
    engine.publish(&second).await;
    let path = "/api/v1/flows/patient/bindings";
    engine.put(path, &[("if-none-match", "*")], &json!({ "binding": { "default": 2, "off": [1] } })).await.expect(200);
    engine.kill9().await;
    engine.restart().await;
    engine
        .post("/api/v1/messages", &json!({ "name": "go", "key": "x", "payload": { "word": "hi" } }))
        .await
        .expect(202);
    let shown = stepwell_tests::until("it ends", std::time::Duration::from_secs(10), async || {
        let shown = engine.get(started.header("location")).await.expect(200).json();
        (shown["state"] == "completed").then_some(shown)
    })
    .await;
    assert_eq!((&shown["version"], &shown["output"]["said"]), (&json!(1), &json!("hi")));
    // The binding stands after a crash.
    let next = engine.post("/api/v1/flows/patient/instances", &json!({ "input": { "id": "y" } })).await.expect(202);
    assert_eq!(engine.get(next.header("location")).await.json()["boundBy"], "default");
}

#[tokio::test]
async fn rules_are_refused_with_all_their_problems() {
    let engine = Stepwell::start(Options::default()).await;
    versions(&engine, "order").await;
    let bad =
        json!({ "default": 9, "rules": [{ "name": "r", "version": 1 }, { "name": "r", "keys": ["k"], "version": 1 }] });
    let refused = bind(&engine, &bad).await.expect(422);
    assert_eq!(refused.code(), "BINDING_HAS_PROBLEMS");
    let pointers: Vec<Value> =
        refused.json()["problems"].as_array().unwrap().iter().map(|one| one["pointer"].clone()).collect();
    assert_eq!(pointers, ["/default", "/rules/0", "/rules/1/name"]);
    assert_eq!(engine.get(PATH).await.status, 404, "nothing was kept");
    bind(&engine, &json!({ "default": 1 })).await.expect(200);
    for (headers, status, code) in [
        (vec![], 428, "PRECONDITION_REQUIRED"),
        (vec![("if-none-match", "*")], 409, "BINDING_CONFLICT"),
        (vec![("if-match", "\"7\"")], 409, "BINDING_CONFLICT"),
    ] {
        let reply = engine.put(PATH, &headers, &json!({ "binding": {} })).await.expect(status);
        assert_eq!(reply.code(), code);
        assert!(status != 409 || reply.json()["current"]["binding"] == json!({ "default": 1 }), "{}", reply.text());
    }
    let none = engine.put("/api/v1/flows/none/bindings", &[("if-none-match", "*")], &json!({ "binding": {} })).await;
    assert_eq!((none.status, none.code().as_str()), (404, "FLOW_NOT_FOUND"));
}

#[tokio::test]
async fn a_route_starts_the_first_flow_that_matches() {
    let engine = Stepwell::start(Options::default()).await;
    versions(&engine, "order").await;
    versions(&engine, "refund").await;
    let route = json!({ "auth": "none", "wait": "5s", "rules": [
        { "name": "flash", "when": "input.type == 'FLASH'", "flow": "order", "version": "1.0.0" },
        { "name": "back", "when": "input.type == 'REFUND'", "flow": "refund" },
    ] });
    let path = "/api/v1/routes/shop%2Forders";
    engine.put(path, &[("if-none-match", "*")], &json!({ "route": route })).await.expect(200);
    let stranger = engine.with_token(None);
    for (input, version, flow, by) in [
        (json!({ "type": "FLASH" }), 1, "order", json!("route/flash")),
        (json!({ "type": "REFUND" }), 3, "refund", Value::Null),
    ] {
        let reply = stranger.post("/t/shop/orders", &input).await.expect(200);
        assert_eq!(reply.json(), json!({ "version": version }), "{input}");
        let shown = engine.get(reply.header("location")).await.expect(200).json();
        assert_eq!((&shown["flow"], &shown["boundBy"]), (&json!(flow), &by), "{input}");
    }
    let refused = stranger.post("/t/shop/orders", &json!({ "type": "COIN" })).await.expect(422);
    assert_eq!(refused.code(), "NO_MATCHING_FLOW");
    let audit = engine.get("/api/v1/audit?limit=1").await.expect(200).json()["items"][0].clone();
    assert_eq!(
        (&audit["action"], &audit["target"], &audit["who"]),
        (&json!("route.no-match"), &json!("shop/orders"), &json!("anyone"))
    );
    let inputs = json!({ "inputs": [{ "type": "FLASH" }, { "type": "REFUND" }, { "type": "COIN" }] });
    let led = engine.post(&format!("{path}/preview"), &inputs).await.expect(200).json();
    let led: Vec<(&Value, &Value)> =
        led["items"].as_array().unwrap().iter().map(|one| (&one["flow"], &one["version"])).collect();
    assert_eq!(led, [(&json!("order"), &json!(1)), (&json!("refund"), &json!(3)), (&Value::Null, &Value::Null)]);
    // A path is somebody's.
    engine.publish(&flows::sum()).await;
    for (taken, by) in [("order", "flow order"), ("open%2Fsum", "flow sum")] {
        let refused =
            engine.put(&format!("/api/v1/routes/{taken}"), &[("if-none-match", "*")], &json!({ "route": route })).await;
        let said = refused.expect(422).json()["problems"][0].clone();
        assert_eq!(said["code"], "TRIGGER_PATH_TAKEN", "{said}");
        assert!(said["message"].as_str().unwrap().contains(by), "{said}");
    }
    let mut rival = flows::sum();
    rival["key"] = "rival".into();
    rival["triggers"][0]["path"] = "shop/orders".into();
    let refused = engine.post("/api/v1/flows/rival/publish", &json!({ "document": rival })).await.expect(422);
    assert_eq!(refused.pointer(), "/triggers/0/path");
    assert_eq!(engine.delete(path).await.status, 204);
    assert_eq!(engine.post("/t/shop/orders", &json!({})).await.expect(404).code(), "TRIGGER_NOT_FOUND");
    engine.post("/api/v1/flows/rival/publish", &json!({ "document": rival })).await.expect(201);
}

#[tokio::test]
async fn a_business_key_is_one_instances_where_the_flow_says_so() {
    let engine = Stepwell::start(Options::default()).await;
    let mut once = flows::patient();
    once["businessKeyUnique"] = "running".into();
    engine.publish(&flows::patient()).await;
    let path = "/api/v1/flows/patient/instances";
    let start = |key: &str| json!({ "input": { "id": key } });
    // Of the version before, which did not say so: of the family all the same.
    let before = engine.post(path, &start("old")).await.expect(202).json();
    engine.publish(&once).await;
    let refused = engine.post(path, &start("old")).await.expect(409);
    assert_eq!((refused.code().as_str(), &refused.json()["id"]), ("BUSINESS_KEY_TAKEN", &before["id"]));
    let racing = (0..40).map(|_| async { engine.post(path, &start("raced")).await });
    let replies = futures::future::join_all(racing).await;
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 202);
    assert_eq!((won.len(), lost.len()), (1, 39));
    let winner = won[0].json()["id"].clone();
    assert!(lost.iter().all(|reply| reply.code() == "BUSINESS_KEY_TAKEN" && reply.json()["id"] == winner));
    let page = engine.get("/api/v1/instances?businessKey=raced").await.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1));
    // Who repeats its own request is no other.
    let key = [("idempotency-key", "mine")];
    let first = engine.send("POST", path, &key, start("mine").to_string()).await.unwrap().expect(202);
    let again = engine.send("POST", path, &key, start("mine").to_string()).await.unwrap().expect(202);
    assert_eq!(again.json()["id"], first.json()["id"]);
    // Without a key there is nothing to be one of.
    let mut nameless = once.clone();
    nameless["key"] = "nameless".into();
    nameless.as_object_mut().unwrap().remove("businessKey");
    engine.publish(&nameless).await;
    let refused = engine.post("/api/v1/flows/nameless/instances", &start("x")).await.expect(422);
    assert_eq!(refused.json()["problems"][0]["code"], "BUSINESS_KEY");
}

#[tokio::test]
async fn a_flow_says_how_urgent_a_start_is() {
    let engine = Stepwell::start(Options::default()).await;
    let mut flow = numbered("order", 1);
    flow["priority"] = "=input.rush ? -10 : input.level".into();
    engine.publish(&flow).await;
    for (body, priority) in [
        (json!({ "input": { "rush": true } }), -10),
        (json!({ "input": { "rush": false, "level": 4 } }), 4),
        (json!({ "input": { "rush": false } }), 0), // Null is as if nothing were said.
        (json!({ "input": { "rush": true }, "priority": 7 }), 7),
    ] {
        let reply = engine.post("/api/v1/flows/order/instances?wait=10s", &body).await.expect(200);
        assert_eq!(engine.get(reply.header("location")).await.json()["priority"], priority, "{body}");
    }
    let body = json!({ "input": { "rush": false, "level": "high" } });
    let refused = engine.post("/api/v1/flows/order/instances", &body).await.expect(422);
    assert_eq!(
        (refused.json()["problems"][0]["code"].clone(), refused.pointer()),
        (json!("PRIORITY"), "/input".to_owned())
    );
}

#[tokio::test]
async fn what_is_needed_stays_and_the_rest_can_go() {
    let engine = Stepwell::start(Options::default()).await;
    versions(&engine, "order").await;
    engine.post("/api/v1/flows/order/instances?wait=10s", &json!({ "version": 2 })).await.expect(200);
    bind(&engine, &json!({ "fallback": "1.0.0" })).await.expect(200);
    let used = engine.get("/api/v1/flows/order/where-used").await.expect(200).json();
    let kinds: Vec<(u64, Vec<&str>)> = used["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let needs = one["neededBy"].as_array().unwrap().iter().map(|need| need["kind"].as_str().unwrap());
            (one["version"].as_u64().unwrap(), needs.collect())
        })
        .collect();
    assert_eq!(kinds, [(3, vec!["newest"]), (2, vec![]), (1, vec!["binding"])]);
    for version in [1, 3] {
        let refused = engine.delete(&format!("/api/v1/flows/order/versions/{version}")).await.expect(409);
        assert_eq!(
            (refused.code().as_str(), refused.json()["neededBy"][0]["version"].as_u64()),
            ("STILL_NEEDED", Some(version))
        );
    }
    let gc = async |query: &str| {
        engine.send("POST", &format!("/api/v1/gc{query}"), &[], "").await.unwrap().expect(200).json()
    };
    let none = gc("").await;
    assert_eq!((&none["dryRun"], &none["versions"]), (&json!(true), &json!([])), "a week must have passed");
    let expected = json!([{ "flow": "order", "version": 2, "outcome": "retired" }]);
    assert_eq!(gc("?olderThan=0s&dryRun=true").await["versions"], expected);
    assert_eq!(gc("?olderThan=0s&dryRun=false").await["versions"], expected);
    assert_eq!(gc("?olderThan=0s&dryRun=false").await["versions"], json!([]));
    let refused = engine.post("/api/v1/flows/order/instances", &json!({ "version": 2 })).await.expect(404);
    assert_eq!(refused.code(), "VERSION_NOT_FOUND");
    // Its instance can still be looked at.
    let page = engine.get("/api/v1/instances?flow=order&version=2").await.expect(200).json();
    let id = page["items"][0]["id"].as_str().unwrap();
    assert_eq!(engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json()["document"]["key"], "order");
    let digest = "0".repeat(64);
    for (method, path) in
        [("GET", format!("/api/v1/plugins/{digest}/where-used")), ("DELETE", format!("/api/v1/plugins/{digest}"))]
    {
        let reply = engine.send(method, &path, &[], "").await.unwrap().expect(404);
        assert_eq!(reply.code(), "PLUGIN_NOT_FOUND", "{method}");
    }
}
