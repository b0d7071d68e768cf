//! Every route is asked by nobody and by each role, in its namespace and in another one: the description says what each
//! needs, and that is what happens. And what lies in another namespace is not told.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stepwell_tests::orders::plugins;
use stepwell_tests::{Client, Options, Stepwell, until};

use crate::instances::begin;

const SOON: Duration = Duration::from_secs(20);
const ROLES: [&str; 4] = ["viewer", "operator", "designer", "admin"];

/// A person's task and a worker's stand open, and it starts by itself once a year.
fn waiting(key: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": key, "input": {},
        "triggers": [{ "type": "schedule", "name": "yearly", "schedule": "0 0 1 1 *", "input": {} },
                     { "type": "http", "path": format!("hooks/{key}") }],
        "nodes": {
            "start": { "type": "start" }, "both": { "type": "parallel" },
            "person": { "type": "user-task" }, "worker": { "type": "external-task", "topic": "work" },
            "end": { "type": "end" }, "end2": { "type": "end" },
        },
        "edges": [{ "from": "start", "to": "both" }, { "from": "both", "to": "person" }, { "from": "both", "to": "worker" },
                  { "from": "person", "to": "end" }, { "from": "worker", "to": "end2" }],
    })
}

/// A client with a token of its own for `pay=operator`.
async fn client(engine: &Stepwell, roles: &str) -> Client {
    let given: Vec<Value> = roles
        .split_whitespace()
        .map(|one| {
            let (namespace, role) = one.split_once('=').unwrap();
            json!({ "namespace": namespace, "role": role })
        })
        .collect();
    let name = roles.replace(['=', ' ', '*'], "-").trim_start_matches('-').to_owned();
    let made = engine.post("/api/v1/tokens", &json!({ "name": name, "roles": given })).await.expect(201).json();
    engine.with_token(made["token"].as_str())
}

/// An instance of a flow with both of its tasks open.
async fn stand(engine: &Stepwell, key: &str) -> (String, String) {
    let id = begin(engine, key, json!({})).await;
    let task = until("its task is open", SOON, async || {
        let list = engine.get(&format!("/api/v1/tasks?instance={id}")).await.expect(200).json();
        Some(list["items"].get(0)?["id"].as_str()?.to_owned())
    })
    .await;
    (id, task)
}

/// What somebody with these roles is told by an operation: whether they get through, or which refusal.
fn expected(needs: &Value, roles: Option<&str>) -> Option<u16> {
    let place = needs["in"].as_str().unwrap();
    let Some(roles) = roles else { return (place != "open").then_some(401) };
    let rank = |role: &str| ROLES.iter().position(|one| *one == role);
    let held = |wanted: &dyn Fn(&str) -> bool| {
        let given = roles.split_whitespace().filter_map(|one| one.split_once('='));
        given.filter(|(namespace, _)| wanted(namespace)).filter_map(|(_, role)| rank(role)).max()
    };
    let need = needs["role"].as_str().and_then(rank);
    match place {
        "open" | "oneself" => None,
        "any" => (held(&|_| true) < need).then_some(403),
        "*" => (held(&|namespace| namespace == "*") < need).then_some(403),
        _ => match held(&|namespace| namespace == "*" || namespace == "pay") {
            None => Some(404),
            had => (had < need).then_some(403),
        },
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_it_says_and_nobody_else() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&waiting("pay.work")).await;
    let (id, task) = stand(&engine, "pay.work").await;
    let api = engine.get("/openapi.json").await.expect(200).json();
    let mut callers = vec![(None, engine.with_token(None))];
    for roles in
        ["pay=viewer", "pay=operator", "pay=designer", "pay=admin", "ship=admin", "*=viewer", "*=operator", "*=admin"]
    {
        callers.push((Some(roles), client(&engine, roles).await));
    }
    let (mut operations, mut refused) = (0, 0);
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needs = &operation["x-stepwell-needs"];
            let named = match needs["in"].as_str().unwrap() {
                "instance" => &id,
                "task" => &task,
                "schedule" => "pay.work:yearly",
                _ => "none",
            };
            let asked = path
                .replace("/t/{path}", "/t/hooks/pay.work")
                .replace("{key}", "pay.work")
                .replace("{type}", "pay.work")
                .replace("{id}", named)
                .replace("{version}", "1")
                .replace(['{', '}'], "");
            for (roles, caller) in &callers {
                // Streams have no end: their head is enough. What has no body is refused before it does anything.
                let method = method.to_uppercase();
                let reply = caller.open(&method, &asked, &[], Bytes::new()).await.unwrap();
                let status = reply.status().as_u16();
                let what = format!("{method} {asked} as {roles:?}: {status}");
                match expected(needs, *roles) {
                    Some(wanted) => {
                        assert_eq!(status, wanted, "{what}");
                        refused += 1;
                    }
                    None => assert!(![401, 403, 405].contains(&status), "{what}"),
                }
            }
            operations += 1;
        }
    }
    assert!(operations > 80 && refused > 300, "{operations} {refused}");
}

#[tokio::test]
async fn a_refusal_says_which_role_is_needed_where() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&waiting("pay.work")).await;
    let viewer = client(&engine, "pay=viewer").await;
    for (method, path, role, namespace) in [
        ("POST", "/api/v1/flows/pay.work/instances", "operator", "pay"),
        ("POST", "/api/v1/flows/pay.work/publish", "designer", "pay"),
        ("GET", "/api/v1/users", "admin", "*"),
        ("POST", "/api/v1/bulk", "operator", "any"),
        ("POST", "/t/pay.work", "operator", "pay"),
    ] {
        let reply = viewer.send(method, path, &[], "{}").await.unwrap().expect(403);
        let said = reply.json();
        assert_eq!(
            (said["code"].as_str(), said["role"].as_str(), said["namespace"].as_str()),
            (Some("FORBIDDEN"), Some(role), Some(namespace)),
            "{method} {path}"
        );
    }
    // What is not there and what is elsewhere are answered alike.
    let other = client(&engine, "ship=admin").await;
    for path in ["/api/v1/flows/{}", "/api/v1/flows/{}/draft", "/api/v1/schedules/{}:yearly"] {
        let [there, not_there] = ["pay.work", "pay.none"].map(|key| path.replace("{}", key));
        let (there, not_there) = (other.get(&there).await.expect(404), other.get(&not_there).await.expect(404));
        assert_eq!(there.text().replace("pay.work", "pay.none"), not_there.text());
    }
    // A draft in a namespace of one's own is made, in another it is not.
    let put = async |key: &str| {
        let body = json!({ "document": waiting(key) });
        other.put(&format!("/api/v1/flows/{key}/draft"), &[("if-none-match", "*")], &body).await.status
    };
    assert_eq!((put("ship.new").await, put("pay.new").await), (200, 404));
}

#[tokio::test]
async fn lists_streams_and_searches_tell_of_ones_own_namespaces() {
    let engine = Stepwell::start(Options::default()).await;
    let mut stands = Vec::new();
    for key in ["pay.work", "ship.work", "plain"] {
        engine.publish(&waiting(key)).await;
        stands.push((key, stand(&engine, key).await));
    }
    let texts = |reply: &Value, name: &str| -> Vec<String> {
        reply["items"].as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    let own = client(&engine, "pay=admin").await;
    let mixed = client(&engine, "default=viewer ship=operator").await;
    for (path, name, in_own, in_mixed) in [
        ("/api/v1/flows", "key", vec!["pay.work"], vec!["plain", "ship.work"]),
        ("/api/v1/instances", "flow", vec!["pay.work"], vec!["plain", "ship.work"]),
        ("/api/v1/instances?state=waiting", "flow", vec!["pay.work"], vec!["plain", "ship.work"]),
        ("/api/v1/tasks", "flow", vec!["pay.work"], vec!["ship.work", "plain"]),
        ("/api/v1/tasks?flow=pay.work", "flow", vec!["pay.work"], vec![]),
        ("/api/v1/external-tasks", "flow", vec!["pay.work"], vec!["ship.work", "plain"]),
        ("/api/v1/schedules", "flow", vec!["pay.work"], vec!["plain", "ship.work"]),
    ] {
        for (caller, flows) in [(&own, in_own), (&mixed, in_mixed)] {
            let listed = caller.get(path).await.expect(200).json();
            assert_eq!(texts(&listed, name), flows, "{path}");
        }
    }
    assert_eq!(own.get("/api/v1/status").await.json()["counts"]["waiting"], 1);
    assert_eq!(mixed.get("/api/v1/status").await.json()["counts"]["waiting"], 2);
    // A page at a time: what is left out leaves no gap.
    let first = mixed.get("/api/v1/flows?limit=1").await.json();
    assert_eq!((texts(&first, "key"), &first["next"]), (vec!["plain".to_owned()], &json!("plain")));
    let ids: Vec<&str> = stands.iter().map(|(_, (id, _))| id.as_str()).collect();
    let audit = own.get("/api/v1/audit?limit=500").await.expect(200).json();
    assert!(texts(&audit, "target").iter().all(|target| target == "pay.work" || target == ids[0]), "{audit}");
    assert!(texts(&audit, "action").contains(&"instance.start".to_owned()), "{audit}");
    // Bulk counts where one may operate, not where one may look.
    let bulk = json!({ "filter": { "state": "waiting" }, "command": "suspend" });
    assert_eq!(own.post("/api/v1/bulk", &bulk).await.expect(200).json()["matched"], 1);
    assert_eq!(mixed.post("/api/v1/bulk", &bulk).await.expect(200).json()["matched"], 1);
    // Workers fetch what is theirs, though another's is older.
    let fetch = json!({ "topics": ["work"], "worker": "w", "limit": 1 });
    let fetched = mixed.post("/api/v1/external-tasks/fetch", &fetch).await.expect(200).json();
    assert_eq!(texts(&fetched, "flow"), ["ship.work"]);
    assert!(texts(&mixed.post("/api/v1/external-tasks/fetch", &fetch).await.json(), "flow").is_empty());

    let mut events = own.events("", None).await;
    for key in ["ship.work", "plain", "pay.work"] {
        stand(&engine, key).await;
    }
    let event = events.until(|event| event.name == "instance").await;
    assert_eq!(event.data["flow"], "pay.work");
    // The stream ends with what its reader had.
    let tokens = engine.get("/api/v1/tokens").await.expect(200).json();
    let token = tokens["items"].as_array().unwrap().iter().find(|one| one["name"] == "pay-admin").unwrap();
    assert_eq!(engine.delete(&format!("/api/v1/tokens/{}", token["id"].as_str().unwrap())).await.status, 204);
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn what_reaches_beyond_a_namespace_is_not_published_in_it_alone() {
    let engine = Stepwell::start(Options::default()).await;
    let own = client(&engine, "pay=designer").await;
    let everywhere = client(&engine, "*=designer").await;
    let with = |trigger: Value| {
        let mut flow = waiting("pay.work");
        flow["triggers"] = json!([trigger]);
        json!({ "document": flow })
    };
    let http = |more: &[(&str, Value)]| {
        let mut trigger = json!({ "type": "http", "path": "hooks/pay" });
        for (name, value) in more {
            trigger[*name] = value.clone();
        }
        trigger
    };
    let message = json!({ "name": "paid", "key": "=input.order" });
    let signed = json!({ "type": "hmac", "connection": "gateway", "secrets": ["S"], "header": "X-Signature" });
    for (trigger, reason) in [
        (http(&[]), ""),
        (http(&[("auth", json!("none"))]), ""),
        (http(&[("message", message.clone())]), "/t/hooks/pay posts messages"),
        (http(&[("message", message), ("auth", json!("none"))]), "/t/hooks/pay posts messages"),
        (http(&[("auth", signed)]), "the connection gateway, which is everybody's"),
    ] {
        let publish = async |client: &Client| {
            let draft = json!({ "document": with(trigger.clone())["document"] });
            client.post("/api/v1/flows/pay.work/publish", &draft).await
        };
        let reply = publish(&own).await;
        if reason.is_empty() {
            assert!([200, 201].contains(&reply.status), "{trigger}: {}", reply.text());
            continue;
        }
        let said = reply.expect(403).json();
        assert_eq!((&said["role"], &said["namespace"]), (&json!("designer"), &json!("*")), "{trigger}");
        assert!(said["detail"].as_str().unwrap().contains(reason), "{said}");
        // Nothing of it is there; who may do so everywhere publishes the same.
        assert_eq!(publish(&everywhere).await.status, 201, "{trigger}");
    }
}

#[tokio::test]
async fn grants_and_connections_are_told_where_they_hold() {
    let engine = Stepwell::start(Options::default()).await;
    for name in ["bank", "shop", "mail"] {
        let connection = json!({ "scheme": "https", "host": format!("{name}.test") });
        engine.put(&format!("/api/v1/connections/{name}"), &[], &connection).await.expect(200);
    }
    for (namespace, connection) in [("pay", "bank"), ("ship", "shop")] {
        let path = format!("/api/v1/grants/commerce/{connection}?namespace={namespace}");
        engine.put(&path, &[], &json!({})).await.expect(204);
    }
    engine.put("/api/v1/grants/commerce/records/order", &[], &json!({})).await.expect(204);
    let texts = |reply: &Value, name: &str| -> Vec<String> {
        reply["items"].as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    let own = client(&engine, "pay=designer ship=viewer").await;
    let everywhere = client(&engine, "*=designer").await;
    for (path, name, in_own, in_all) in [
        ("/api/v1/grants", "namespace", vec!["*", "pay"], vec!["*", "pay", "ship"]),
        ("/api/v1/connections", "name", vec!["bank"], vec!["bank", "mail", "shop"]),
    ] {
        for (caller, shown) in [(&own, in_own), (&everywhere, in_all)] {
            assert_eq!(texts(&caller.get(path).await.expect(200).json(), name), shown, "{path}");
        }
    }
    for (name, status) in [("bank", 200), ("shop", 404), ("mail", 404), ("none", 404)] {
        assert_eq!(own.get(&format!("/api/v1/connections/{name}")).await.status, status, "{name}");
    }
    let wasm = std::fs::read(plugins().join("json.wasm")).unwrap();
    let plugin = engine.send("POST", "/api/v1/plugins", &[("content-type", "application/wasm")], wasm).await.unwrap();
    let plugin = plugin.expect(201).json();
    let (name, version) = (plugin["name"].as_str().unwrap(), plugin["version"].as_str().unwrap());
    for (namespace, status) in [("pay", 200), ("ship", 403), ("default", 403)] {
        let path = format!("/api/v1/plugins/{name}/{version}/reach?namespace={namespace}");
        assert_eq!(own.get(&path).await.status, status, "{namespace}");
        assert_eq!(everywhere.get(&path).await.status, 200);
    }
}

#[tokio::test]
async fn who_needs_a_version_is_told_as_far_as_one_may_see_them() {
    let engine = Stepwell::start(Options::default()).await;
    let mut flow = waiting("pay.work");
    engine.publish(&flow).await;
    let route = json!({ "auth": "token", "rules": [{ "name": "all", "flow": "pay.work", "version": 1 }] });
    engine.put("/api/v1/routes/everybodys", &[("if-none-match", "*")], &json!({ "route": route })).await.expect(200);
    flow["title"] = json!({ "en": "Another" });
    engine.publish(&flow).await;
    for (roles, expected) in [("pay=designer", vec![]), ("*=designer", vec!["route"])] {
        let asked = client(&engine, roles).await;
        let refused = asked.delete("/api/v1/flows/pay.work/versions/1").await.expect(409).json();
        let kinds = refused["neededBy"].as_array().unwrap().iter().map(|need| need["kind"].as_str().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), expected, "{roles}");
    }
}

#[tokio::test]
async fn the_audit_is_searched() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&waiting("pay.work")).await;
    client(&engine, "*=viewer").await;
    let operator = client(&engine, "*=operator").await;
    operator.post("/api/v1/messages", &json!({ "name": "n", "key": "k" })).await.expect(202);
    let count = async |query: &str| {
        let page = engine.get(&format!("/api/v1/audit?{query}")).await.expect(200).json();
        page["items"].as_array().unwrap().len()
    };
    for (query, rows) in [
        ("who=token:operator", 1),
        ("who=token:bootstrap", 3),
        ("action=token.add", 2),
        ("action=token", 2),
        ("action=flow&target=pay.work", 1),
        ("who=token:operator&action=token", 0),
        ("from=2020-01-01", 4),
        ("to=2020-01-01", 0),
        ("from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00%2B01:00", 4),
    ] {
        assert_eq!(count(query).await, rows, "{query}");
    }
    for query in ["from=yesterday", "to=2020-13-01", "cursor=x", "whom=ada"] {
        assert_eq!(engine.get(&format!("/api/v1/audit?{query}")).await.expect(400).code(), "QUERY_INVALID");
    }
}
