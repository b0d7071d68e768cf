//! Users and tokens: made, changed, taken away; and what each change ends at once.

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell};

use crate::sessions::{PASSWORD, cookie, log_in, with};

async fn add(engine: &Stepwell, name: &str, roles: &Value) {
    let user = json!({ "name": name, "password": PASSWORD, "mustChange": false, "roles": roles });
    engine.post("/api/v1/users", &user).await.expect(201);
}

async fn shown(engine: &Stepwell, name: &str) -> Value {
    engine.get(&format!("/api/v1/users/{name}")).await.expect(200).json()
}

#[tokio::test]
async fn what_is_taken_from_a_user_is_gone_at_once() {
    let engine = Stepwell::start(Options::default()).await;
    let browser = engine.with_token(None);
    add(&engine, "root", &json!([{ "namespace": "*", "role": "admin" }])).await;
    add(&engine, "ada", &json!([{ "namespace": "pay", "role": "designer" }])).await;
    let status = async |cookie: &str, path: &str| with(&browser, cookie, "GET", path, &Value::Null).await.status;
    for (method, path, body) in [
        ("PUT", "/api/v1/users/ada/password", json!({ "password": PASSWORD, "mustChange": false })),
        ("DELETE", "/api/v1/users/ada/sessions", Value::Null),
        ("POST", "/api/v1/users/ada/disable", Value::Null),
    ] {
        let session = cookie(&log_in(&browser, "ada", PASSWORD).await.expect(200));
        assert_eq!(status(&session, "/api/v1/flows").await, 200);
        let done = engine.send(method, path, &[], body.to_string()).await.unwrap();
        assert!(done.status < 300, "{path}: {}", done.text());
        assert_eq!(status(&session, "/api/v1/flows").await, 401, "{path}");
    }
    // Disabled, she is answered as nobody is.
    assert_eq!(log_in(&browser, "ada", PASSWORD).await.expect(401).code(), "LOGIN_FAILED");
    engine.post("/api/v1/users/ada/enable", &Value::Null).await.expect(200);
    let session = cookie(&log_in(&browser, "ada", PASSWORD).await.expect(200));
    // Roles change under a session that goes on.
    let plugins = "/api/v1/connections";
    assert_eq!(status(&session, plugins).await, 200);
    let roles = json!({ "roles": [{ "namespace": "pay", "role": "viewer" }] });
    engine.put("/api/v1/users/ada/roles", &[], &roles).await.expect(200);
    assert_eq!((status(&session, plugins).await, status(&session, "/api/v1/flows").await), (403, 200));
    assert_eq!(engine.delete("/api/v1/users/ada").await.status, 204);
    assert_eq!(status(&session, "/api/v1/flows").await, 401);
    assert_eq!(engine.get("/api/v1/users/ada").await.expect(404).code(), "USER_NOT_FOUND");

    // Who administers last stays.
    for (method, path, body) in [
        ("DELETE", "/api/v1/users/root", Value::Null),
        ("POST", "/api/v1/users/root/disable", Value::Null),
        ("PUT", "/api/v1/users/root/roles", json!({ "roles": [] })),
    ] {
        let reply = engine.send(method, path, &[], body.to_string()).await.unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (409, "LAST_ADMIN"), "{path}");
    }
    let audit = engine.get("/api/v1/audit?action=user&target=ada").await.expect(200).json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    let expected = ["delete", "roles", "enable", "disable", "log-out", "password", "add"];
    assert_eq!(actions, expected.map(|one| format!("user.{one}")));
    assert!(!audit.to_string().contains("argon2") && !audit.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn a_password_that_somebody_else_chose_is_changed_first() {
    let engine = Stepwell::start(Options::default()).await;
    let browser = engine.with_token(None);
    let user = json!({ "name": "ada", "password": PASSWORD, "roles": [{ "namespace": "*", "role": "admin" }] });
    assert_eq!(engine.post("/api/v1/users", &user).await.expect(201).json()["mustChange"], true);
    let reply = log_in(&browser, "ada", PASSWORD).await.expect(200);
    assert_eq!(reply.json()["mustChange"], true);
    let first = cookie(&reply);
    let ask =
        async |cookie: &str, method: &str, path: &str, body: Value| with(&browser, cookie, method, path, &body).await;
    let refused = ask(&first, "GET", "/api/v1/users", Value::Null).await.expect(403);
    assert_eq!(refused.code(), "PASSWORD_MUST_CHANGE");
    assert_eq!(ask(&first, "GET", "/api/v1/session", Value::Null).await.status, 200);
    let own = "/api/v1/session/password";
    let change = |current: &str, password: &str| json!({ "current": current, "password": password });
    for (body, status) in [
        (change("wrong password", "another password"), 401),
        (change(PASSWORD, "short"), 422),
        (change(PASSWORD, PASSWORD), 422),
        (change(PASSWORD, "another password"), 200),
    ] {
        let reply = ask(&first, "PUT", own, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        if status == 200 {
            // The old session is over, a new one begun.
            assert_eq!(ask(&first, "GET", "/api/v1/session", Value::Null).await.status, 401);
            let next = cookie(&reply);
            assert_eq!(ask(&next, "GET", "/api/v1/users", Value::Null).await.status, 200);
        }
    }
    assert_eq!(log_in(&browser, "ada", PASSWORD).await.status, 401);
    assert_eq!(log_in(&browser, "ada", "another password").await.expect(200).json()["mustChange"], false);
    // A token has no password.
    assert_eq!(engine.put(own, &[], &change("x", "another password")).await.expect(403).code(), "FORBIDDEN");
}

#[tokio::test]
async fn a_token_reaches_no_further_than_who_made_it() {
    let engine = Stepwell::start(Options::default()).await;
    let browser = engine.with_token(None);
    add(&engine, "ada", &json!([{ "namespace": "pay", "role": "operator" }])).await;
    let session = cookie(&log_in(&browser, "ada", PASSWORD).await.expect(200));
    let asked = async |body: Value| with(&browser, &session, "POST", "/api/v1/tokens", &body).await;
    let roles = |namespace: &str, role: &str| json!([{ "namespace": namespace, "role": role }]);
    for (body, status) in [
        (json!({ "name": "ci", "roles": roles("pay", "designer") }), 403),
        (json!({ "name": "ci", "roles": roles("*", "viewer") }), 403),
        (json!({ "name": "ci", "roles": roles("ship", "viewer") }), 403),
        (json!({ "name": "ci", "roles": [] }), 422),
        (json!({ "name": "bootstrap", "roles": roles("pay", "viewer") }), 422),
        (json!({ "name": "ci", "roles": roles("Pay", "viewer") }), 422),
        (json!({ "name": "ci", "roles": roles("pay", "boss") }), 422),
        (json!({ "name": "ci", "roles": roles("pay", "viewer"), "expiresIn": "9000d" }), 422),
    ] {
        let reply = asked(body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    let made =
        asked(json!({ "name": "ci", "roles": roles("pay", "operator"), "expiresIn": "30d" })).await.expect(201).json();
    let secret = made["token"].as_str().unwrap();
    let ci = engine.with_token(Some(secret));
    let who = ci.get("/api/v1/session").await.expect(200).json();
    assert_eq!((&who["user"], &who["kind"]), (&json!("token:ci"), &json!("token")));
    assert_eq!((ci.get("/api/v1/flows").await.status, ci.get("/api/v1/users").await.status), (200, 403));
    // Shown once, and kept as a digest: neither the database nor the log has it.
    let listed = engine.get("/api/v1/tokens").await.expect(200).text();
    assert!(listed.contains("\"ci\"") && !listed.contains(secret));
    if engine.database().is_none() {
        for file in ["stepwell.db", "stepwell.db-wal"] {
            let bytes = std::fs::read(engine.data().join(file)).unwrap_or_default();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!holds(secret) && !holds(PASSWORD) && !holds(&session), "{file}");
        }
    }
    assert!(!engine.log().contains(secret));

    // What is taken from its owner is taken from it.
    let narrower = json!({ "roles": roles("pay", "viewer") });
    engine.put("/api/v1/users/ada/roles", &[], &narrower).await.expect(200);
    let started = ci.post("/api/v1/flows/pay.x/instances", &json!({})).await.expect(403);
    assert_eq!((&started.json()["role"], &started.json()["namespace"]), (&json!("operator"), &json!("pay")));
    assert_eq!(engine.post("/api/v1/users/ada/disable", &Value::Null).await.status, 200);
    assert_eq!(ci.get("/api/v1/flows").await.status, 401);
    engine.post("/api/v1/users/ada/enable", &Value::Null).await.expect(200);
    assert_eq!(ci.get("/api/v1/flows").await.status, 200);
    // Others neither see nor revoke it; its owner does, and who administers.
    let mine = engine.post("/api/v1/tokens", &json!({ "name": "own", "roles": roles("*", "admin") })).await.expect(201);
    let mine = mine.json();
    let session = cookie(&log_in(&browser, "ada", PASSWORD).await.expect(200));
    let ask = async |method: &str, path: &str| with(&browser, &session, method, path, &Value::Null).await;
    assert_eq!(ask("GET", "/api/v1/tokens").await.json()["items"].as_array().unwrap().len(), 1);
    let others = format!("/api/v1/tokens/{}", mine["id"].as_str().unwrap());
    assert_eq!(ask("DELETE", &others).await.expect(404).code(), "TOKEN_NOT_FOUND");
    let own = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(ask("DELETE", &own).await.status, 204);
    assert_eq!(ci.get("/api/v1/flows").await.status, 401);
    // A token that leaks makes no other that would outlive it, and takes none back, itself not either.
    let leaked = engine.with_token(mine["token"].as_str());
    let another = leaked.post("/api/v1/tokens", &json!({ "name": "heir", "roles": roles("pay", "viewer") })).await;
    assert_eq!((another.status, another.code().as_str()), (403, "FORBIDDEN"));
    let revoked = leaked.delete(&others).await;
    assert_eq!((revoked.status, revoked.code().as_str()), (403, "FORBIDDEN"));
    assert_eq!(engine.delete(&others).await.status, 204);
    assert_eq!(leaked.get("/api/v1/flows").await.status, 401);
    assert_eq!(shown(&engine, "ada").await["disabled"], false);
}

#[tokio::test]
async fn users_are_made_as_they_must_be() {
    let engine = Stepwell::start(Options::default()).await;
    let user = |name: &str, password: &str, namespace: &str| json!({ "name": name, "password": password, "roles": [{ "namespace": namespace, "role": "viewer" }] });
    for (body, status, pointer) in [
        (user("ada", PASSWORD, "pay"), 201, ""),
        (user("ada", PASSWORD, "pay"), 409, ""),
        (user("Ada", PASSWORD, "pay"), 422, "/name"),
        (user("", PASSWORD, "pay"), 422, "/name"),
        (user("token:x", PASSWORD, "pay"), 422, "/name"),
        (user("anyone", PASSWORD, "pay"), 422, "/name"),
        (user("bo", "eleven char", "pay"), 422, "/password"),
        (user("bo", PASSWORD, "pay.refund"), 422, "/roles/0/namespace"),
        (user("bo", PASSWORD, ""), 422, "/roles/0/namespace"),
        (user("bo@example.org", PASSWORD, "default"), 201, ""),
    ] {
        let reply = engine.post("/api/v1/users", &body).await;
        let said = if reply.status == 422 { reply.pointer() } else { String::new() };
        assert_eq!((reply.status, said.as_str()), (status, pointer), "{body}: {}", reply.text());
    }
    let listed = engine.get("/api/v1/users").await.expect(200).json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ada", "bo@example.org"]);
}
