//! Who may do what is decided alike at every engine: a session of one holds at the other, and what is taken away at one
//! is gone at the other a moment later.

use std::time::Duration;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell, database, until};

/// A second or two is promised; a machine that is busy with other tests gets more.
const A_MOMENT: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_away_at_one_engine_is_gone_at_another() {
    if database().is_none() {
        eprintln!("not tried: STEPWELL_TEST_POSTGRES names no server");
        return;
    }
    let options = Options::default();
    let first = Stepwell::start(options.named("first", &[])).await;
    // Without hints, it looks by itself.
    let second = Stepwell::start(options.named("second", &["--database-poll"])).await;
    let password = "a password for tests";
    let user = json!({ "name": "ada", "password": password, "mustChange": false,
                       "roles": [{ "namespace": "pay", "role": "designer" }] });
    first.post("/api/v1/users", &user).await.expect(201);
    let browser = second.with_token(None);
    let login = json!({ "name": "ada", "password": password });
    // Whom an engine does not know yet, it looks up.
    let header = [("stepwell-csrf", "1")];
    let logged_in = browser.send("POST", "/api/v1/session", &header, login.to_string()).await.unwrap().expect(200);
    let cookie = logged_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let asked = async |engine: &Stepwell, path: &str| {
        let browser = engine.with_token(None);
        browser.send("GET", path, &[("cookie", cookie.as_str())], "").await.unwrap().status
    };
    // A session of the second holds at the first at once: it is looked up.
    assert_eq!(asked(&first, "/api/v1/connections").await, 200);
    assert_eq!(asked(&second, "/api/v1/connections").await, 200);
    let roles = json!([{ "namespace": "pay", "role": "viewer" }]);
    first.put("/api/v1/users/ada/roles", &[], &json!({ "roles": roles })).await.expect(200);
    assert_eq!(asked(&first, "/api/v1/connections").await, 403);
    let is = async |status: u16, path: &str| {
        until(&format!("{status} is answered for {path}"), A_MOMENT, async || {
            (asked(&second, path).await == status).then_some(())
        })
        .await;
    };
    is(403, "/api/v1/connections").await;
    // A token, and an open stream of events.
    let body = json!({ "name": "ci", "roles": [{ "namespace": "pay", "role": "viewer" }] });
    let made = first.post("/api/v1/tokens", &body).await.expect(201).json();
    let there = second.with_token(made["token"].as_str());
    until("the token is known there", A_MOMENT, async || {
        (there.get("/api/v1/flows").await.status == 200).then_some(())
    })
    .await;
    let mut events = there.events("", None).await;
    assert_eq!(first.delete(&format!("/api/v1/tokens/{}", made["id"].as_str().unwrap())).await.status, 204);
    let ended = async { while events.next().await.is_some() {} };
    tokio::time::timeout(A_MOMENT, ended).await.unwrap();
    assert_eq!(there.get("/api/v1/flows").await.status, 401);
    first.post("/api/v1/users/ada/disable", &Value::Null).await.expect(200);
    assert_eq!(asked(&first, "/api/v1/flows").await, 401);
    is(401, "/api/v1/flows").await;
}
