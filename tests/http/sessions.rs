//! A browser's way in: the login link, the cookie, the header no foreign page can send.

use stepwell_tests::{Options, Stepwell};

/// The cookie's name and value of an answer that sets one.
fn cookie(reply: &stepwell_tests::Reply) -> String {
    reply.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_login_link_is_printed_and_works_once() {
    let mut engine = Stepwell::start(Options { give_token: false, ..Options::default() }).await;
    let line = engine.printed.iter().find(|line| line.contains("/?token=")).expect("a link is printed").clone();
    let token = line.rsplit_once("token=").unwrap().1.to_owned();
    let browser = engine.with_token(None);
    let body = serde_json::json!({ "token": token });
    let reply = browser.post("/api/v1/session", &body).await.expect(200);
    let set = reply.header("set-cookie").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let again = browser.post("/api/v1/session", &body).await;
    assert_eq!((again.status, again.code().as_str()), (401, "UNAUTHENTICATED"));

    let cookie = cookie(&reply);
    for (method, path, headers, status, code) in [
        ("GET", "/api/v1/session", vec![("cookie", cookie.as_str())], 200, ""),
        ("GET", "/api/v1/flows", vec![("cookie", cookie.as_str())], 200, ""),
        ("POST", "/api/v1/messages", vec![("cookie", cookie.as_str())], 403, "CSRF_MISSING"),
        ("POST", "/t/sum", vec![("cookie", cookie.as_str())], 403, "CSRF_MISSING"),
        ("DELETE", "/api/v1/session", vec![("cookie", cookie.as_str())], 403, "CSRF_MISSING"),
        ("POST", "/api/v1/messages", vec![("cookie", cookie.as_str()), ("stepwell-csrf", "1")], 202, ""),
    ] {
        let reply = browser.send(method, path, &headers, "{\"name\":\"n\",\"key\":\"k\"}").await.unwrap();
        let code_said = if reply.status < 400 { String::new() } else { reply.code() };
        assert_eq!((reply.status, code_said.as_str()), (status, code), "{method} {path}");
    }

    // The session outlives a restart; ended, it does not work any more.
    engine.restart().await;
    let browser = engine.with_token(None);
    let with = [("cookie", cookie.as_str()), ("stepwell-csrf", "1")];
    assert_eq!(browser.send("GET", "/api/v1/session", &with, "").await.unwrap().status, 200);
    assert_eq!(browser.send("DELETE", "/api/v1/session", &with, "").await.unwrap().status, 204);
    assert_eq!(browser.send("GET", "/api/v1/session", &with, "").await.unwrap().status, 401);
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
