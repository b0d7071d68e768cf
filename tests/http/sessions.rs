//! A browser's way in: the first administrator's link, name and password, the cookie, the header no foreign page can
//! send; and what ends a session.

use serde_json::{Value, json};
use stepwell_tests::{Client, Options, Reply, Stepwell};

pub(crate) const PASSWORD: &str = "a password for tests";

/// The cookie's name and value of an answer that sets one.
pub(crate) fn cookie(reply: &Reply) -> String {
    reply.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

pub(crate) async fn log_in(browser: &Client, name: &str, password: &str) -> Reply {
    ask_in(browser, &json!({ "name": name, "password": password })).await
}

/// As the console logs in.
pub(crate) async fn ask_in(browser: &Client, body: &Value) -> Reply {
    browser.send("POST", "/api/v1/session", &[("stepwell-csrf", "1")], body.to_string()).await.unwrap()
}

/// Asks with a session, as the console does.
pub(crate) async fn with(browser: &Client, cookie: &str, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    browser.send(method, path, &[("cookie", cookie), ("stepwell-csrf", "1")], body).await.unwrap()
}

/// The link that was printed, if there is one.
fn link(engine: &Stepwell) -> Option<String> {
    engine.printed.iter().find_map(|line| Some(line.split_once("/?setup=")?.1.to_owned()))
}

#[tokio::test]
async fn a_link_makes_the_first_administrator_once() {
    let mut engine = Stepwell::start(Options { give_token: false, ..Options::default() }).await;
    let first = link(&engine).expect("a link is printed");
    engine.restart().await;
    let second = link(&engine).expect("another link is printed");
    let browser = engine.with_token(None);
    assert_eq!(browser.get("/api/v1/setup").await.expect(200).json(), json!({ "administered": false }));
    let asked = |link: &str, name: &str, password: &str| json!({ "link": link, "name": name, "password": password });
    for (body, status, code) in [
        (asked(&first, "ada", PASSWORD), 401, "UNAUTHENTICATED"),
        (asked("", "ada", PASSWORD), 401, "UNAUTHENTICATED"),
        (asked(&second, "Ada!", PASSWORD), 422, "BODY_INVALID"),
        (asked(&second, "ada", "too short"), 422, "BODY_INVALID"),
    ] {
        let reply = browser.post("/api/v1/setup", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body}");
    }
    // Somebody with the engine's own token may have another link made, in place of the printed one.
    let third = engine.post("/api/v1/setup/link", &Value::Null).await.expect(200).json();
    let third = third["link"].as_str().unwrap();
    assert_eq!(browser.post("/api/v1/setup", &asked(&second, "ada", PASSWORD)).await.status, 401);
    let made = browser.post("/api/v1/setup", &asked(third, "ada", PASSWORD)).await.expect(200);
    assert_eq!(
        made.json(),
        json!({ "user": "ada", "kind": "user", "mustChange": false, "roles": [{ "namespace": "*", "role": "admin" }] })
    );
    let set = made.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let own = cookie(&made);
    assert_eq!(with(&browser, &own, "GET", "/api/v1/users", &Value::Null).await.status, 200);
    let again = browser.post("/api/v1/setup", &asked(third, "eve", PASSWORD)).await;
    assert_eq!((again.status, again.code().as_str()), (409, "ADMINISTERED"));
    let again = engine.post("/api/v1/setup/link", &Value::Null).await;
    assert_eq!((again.status, again.code().as_str()), (409, "ADMINISTERED"));
    // From now on none is printed.
    engine.restart().await;
    assert_eq!(link(&engine), None);
    assert_eq!(engine.with_token(None).get("/api/v1/setup").await.json(), json!({ "administered": true }));
    assert_eq!(log_in(&engine.with_token(None), " Ada ", PASSWORD).await.status, 200);
    // What is secret stands nowhere but in memory.
    let log = engine.log();
    assert!(!log.contains(PASSWORD) && !log.contains(third));
}

#[tokio::test]
async fn a_session_holds_over_a_restart_until_it_is_ended() {
    let mut engine = Stepwell::start(Options::default()).await;
    let browser = engine.with_token(None);
    let user = json!({ "name": "ada", "password": PASSWORD, "mustChange": false,
                       "roles": [{ "namespace": "*", "role": "operator" }] });
    engine.post("/api/v1/users", &user).await.expect(201);
    // The engine's own token buys a session, too.
    let engines = cookie(&ask_in(&browser, &json!({ "token": engine.options().token })).await.expect(200));
    let adas = cookie(&log_in(&browser, "ada", PASSWORD).await.expect(200));
    for (cookie, who) in [(&engines, "token:bootstrap"), (&adas, "ada")] {
        for (method, path, headers, status, code) in [
            ("GET", "/api/v1/session", vec![("cookie", cookie.as_str())], 200, ""),
            ("GET", "/api/v1/flows", vec![("cookie", cookie)], 200, ""),
            ("POST", "/api/v1/messages", vec![("cookie", cookie)], 403, "CSRF_MISSING"),
            ("POST", "/t/sum", vec![("cookie", cookie)], 403, "CSRF_MISSING"),
            ("DELETE", "/api/v1/session", vec![("cookie", cookie)], 403, "CSRF_MISSING"),
            ("POST", "/api/v1/messages", vec![("cookie", cookie), ("stepwell-csrf", "1")], 202, ""),
        ] {
            let reply = browser.send(method, path, &headers, "{\"name\":\"n\",\"key\":\"k\"}").await.unwrap();
            let code_said = if reply.status < 400 { String::new() } else { reply.code() };
            assert_eq!((reply.status, code_said.as_str()), (status, code), "{who} {method} {path}");
        }
    }
    engine.restart().await;
    let browser = engine.with_token(None);
    for (cookie, who) in [(&engines, "token:bootstrap"), (&adas, "ada")] {
        let shown = with(&browser, cookie, "GET", "/api/v1/session", &Value::Null).await.expect(200).json();
        assert_eq!(shown["user"], who);
        assert_eq!(with(&browser, cookie, "DELETE", "/api/v1/session", &Value::Null).await.status, 204);
        assert_eq!(with(&browser, cookie, "GET", "/api/v1/session", &Value::Null).await.status, 401);
    }
    let audit = engine.get("/api/v1/audit?action=session").await.expect(200).json();
    let rows: Vec<_> = audit["items"].as_array().unwrap().iter().map(|row| (&row["who"], &row["action"])).collect();
    let (engine, ada) = (json!("token:bootstrap"), json!("ada"));
    let (login, logout) = (json!("session.login"), json!("session.logout"));
    assert_eq!(rows, [(&ada, &logout), (&engine, &logout), (&ada, &login), (&engine, &login)]);
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down_and_told_nothing() {
    let engine = Stepwell::start(Options::default()).await;
    let browser = engine.with_token(None);
    let user = json!({ "name": "ada", "password": PASSWORD });
    engine.post("/api/v1/users", &user).await.expect(201);
    let mut answers = Vec::new();
    for name in ["ada", "nobody"] {
        for _ in 0..5 {
            let reply = log_in(&browser, name, "a wrong password").await.expect(401);
            answers.push(reply.text());
        }
        let reply = log_in(&browser, name, "a wrong password").await.expect(429);
        assert_eq!(reply.code(), "TOO_MANY_TRIES");
        let after: u64 = reply.header("retry-after").parse().unwrap();
        assert!((2..=30).contains(&after), "{after}");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Not even the right one, until then; others are not held up.
    assert_eq!(log_in(&browser, "ada", PASSWORD).await.status, 429);
    let other = json!({ "name": "bo", "password": PASSWORD });
    engine.post("/api/v1/users", &other).await.expect(201);
    for _ in 0..7 {
        assert_eq!(log_in(&browser, "bo", PASSWORD).await.status, 200);
    }
    for body in [json!({}), json!({ "name": "ada" }), json!({ "name": "ada", "password": "x", "token": "y" })] {
        assert_eq!(ask_in(&browser, &body).await.status, 422, "{body}");
    }
    assert_eq!(ask_in(&browser, &json!({ "token": "wrong" })).await.status, 401);
    // A foreign page can send a form, and not this header: it logs nobody in as somebody else.
    let foreign = browser.post("/api/v1/session", &json!({ "name": "bo", "password": PASSWORD })).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "CSRF_MISSING"));
}

#[tokio::test]
async fn a_cookie_is_for_https_alone_where_that_is_said() {
    for (args, secure) in [(&[] as &[&str], false), (&["--secure-cookies"], true)] {
        let engine = Stepwell::start(Options::default().named("cookies", args)).await;
        let browser = engine.with_token(None);
        let body = json!({ "token": engine.options().token });
        let set = ask_in(&browser, &body).await.expect(200).header("set-cookie").to_owned();
        assert_eq!(set.ends_with("; Secure"), secure, "{set}");
    }
}

#[tokio::test]
async fn the_console_comes_with_a_strict_policy() {
    let engine = Stepwell::start(Options::default()).await;
    let page = engine.with_token(None).get("/flows/order-5").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.split(';').any(|part| part.contains("script-src") && part.contains("unsafe-inline")), "{policy}");
    assert_eq!(page.header("cache-control"), "no-cache");
    // A missing script is not answered with a page.
    assert_eq!(engine.get("/assets/none.js").await.status, 404);
}
