//! Secrets go in and come out nowhere but in requests; their keys and values are exchanged.

use std::path::Path;

use serde_json::{Value, json};
use stepwell_tests::{Options, Stepwell};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};

const HUSH: &str = "hush-hush-9f3a";

/// A server that tells the `authorization` of each request; empty where there is none.
async fn listener() -> (u16, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let sent = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            tell.send(sent.to_owned()).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        }
    });
    (port, told)
}

fn connection(port: u16, headers: &Value, secrets: &Value) -> Value {
    json!({ "scheme": "http", "host": "127.0.0.1", "port": port, "allowPrivate": true, "headers": headers, "secrets": secrets })
}

/// What the server was told when the connection was tried, or why it was not.
async fn tried(engine: &Stepwell, told: &mut UnboundedReceiver<String>) -> String {
    let tried = engine.post("/api/v1/connections/shop/probe", &json!({ "path": "/ping" })).await.expect(200).json();
    if tried["status"] == 204 { told.recv().await.unwrap() } else { tried["message"].as_str().unwrap().to_owned() }
}

/// Every byte that an engine keeps.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut bytes(&path));
        } else {
            all.append(&mut std::fs::read(path).unwrap_or_default());
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_secret_goes_out_with_requests_and_shows_nowhere() {
    let (port, mut told) = listener().await;
    let engine = Stepwell::start(Options::default()).await;
    let header = json!({ "authorization": "Bearer $secret:TOKEN" });
    let shop = connection(port, &header, &json!(["TOKEN"]));
    engine.put("/api/v1/connections/shop", &[], &shop).await.expect(200);
    assert_eq!(tried(&engine, &mut told).await, "the connection has no secret `TOKEN`");
    for (value, version) in [(HUSH, 1), ("hush-2", 2)] {
        let put = engine.put("/api/v1/secrets/TOKEN", &[], &json!({ "value": value })).await.expect(200).json();
        assert_eq!(
            (&put["version"], &put["readable"], &put["usedBy"]),
            (&json!(version), &json!(true), &json!(["shop"]))
        );
        assert_eq!(tried(&engine, &mut told).await, format!("Bearer {value}"));
    }
    // Values that come with the connection are its own secrets from then on; what is hidden stays.
    let own = connection(port, &json!({ "authorization": "Basic hush-3" }), &json!({ "PIN": HUSH }));
    let shown = engine.put("/api/v1/connections/shop", &[], &own).await.expect(200).json();
    assert_eq!(shown["headers"], json!({ "authorization": "$secret:HEADER_AUTHORIZATION" }));
    assert_eq!(shown["secrets"], json!(["shop.HEADER_AUTHORIZATION", "shop.PIN"]));
    let again = connection(port, &json!({ "authorization": "***" }), &json!({ "PIN": "***" }));
    assert_eq!(
        engine.put("/api/v1/connections/shop", &[], &again).await.expect(200).json()["secrets"],
        shown["secrets"]
    );
    assert_eq!(tried(&engine, &mut told).await, "Basic hush-3");

    let used = engine.delete("/api/v1/secrets/shop.PIN").await.expect(409);
    assert_eq!((used.code().as_str(), &used.json()["neededBy"]), ("STILL_NEEDED", &json!(["shop"])));
    engine.delete("/api/v1/secrets/TOKEN").await.expect(204);
    assert_eq!(engine.delete("/api/v1/secrets/TOKEN").await.expect(404).code(), "SECRET_NOT_FOUND");

    let mut everything = engine.log().into_bytes();
    for path in ["connections", "connections/shop", "secrets", "grants", "audit", "status"] {
        everything.extend(engine.get(&format!("/api/v1/{path}")).await.expect(200).text().into_bytes());
    }
    if engine.database().is_none() {
        let copy = engine.send("POST", "/api/v1/backup", &[], String::new()).await.unwrap().expect(200);
        everything.extend(copy.body.to_vec());
    }
    everything.append(&mut bytes(&engine.data()));
    assert!(holds(&everything, "shop.PIN"), "it looks where secrets would be");
    for value in [HUSH, "hush-2", "hush-3"] {
        assert!(!holds(&everything, value), "{value} is kept, shown or logged");
    }
}

#[tokio::test]
async fn what_is_no_secret_is_refused_without_being_repeated() {
    let engine = Stepwell::start(Options::default()).await;
    for (path, body, status, code) in [
        ("secrets/TOKEN", json!({ "value": "" }), 422, "BODY_INVALID"),
        ("secrets/TOKEN", json!({ "value": format!("{HUSH}\r\nx: y") }), 422, "BODY_INVALID"),
        ("secrets/TOKEN", json!({ "value": HUSH.repeat(1000) }), 422, "BODY_INVALID"),
        ("secrets/bad%20name", json!({ "value": HUSH }), 400, "PATH_INVALID"),
        ("connections/shop", connection(1, &json!({ "a": "$secret:T" }), &json!([])), 422, "BODY_INVALID"),
        ("connections/shop", connection(1, &json!({}), &json!(["A", "shop.A"])), 422, "BODY_INVALID"),
        ("grants/commerce", json!({ "memoryMiB": 9999 }), 422, "BODY_INVALID"),
        ("grants/commerce?namespace=a.b", json!({}), 422, "BODY_INVALID"),
        ("grants/commerce", json!({ "connections": ["none"] }), 404, "CONNECTION_NOT_FOUND"),
        ("grants/com%20merce", json!({}), 422, "BODY_INVALID"),
    ] {
        let reply = engine.put(&format!("/api/v1/{path}"), &[], &body).await.expect(status);
        assert!(reply.code() == code && !reply.text().contains(HUSH), "{path}: {}", reply.text());
    }
    assert_eq!(engine.get("/api/v1/secrets").await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn a_key_is_exchanged_for_another() {
    let (port, mut told) = listener().await;
    let (first, second) = ("11".repeat(32), "22".repeat(32));
    let both = format!("{second},{first}");
    let with = |key: &str| vec![("STEPWELL_SECRET_KEY".to_owned(), key.to_owned())];
    let mut engine = Stepwell::start(Options { env: with(&first), ..Options::default() }).await;
    let header = json!({ "authorization": "Bearer $secret:TOKEN" });
    engine
        .put("/api/v1/connections/shop", &[], &connection(port, &header, &json!({ "TOKEN": HUSH })))
        .await
        .expect(200);
    let kept = async |engine: &Stepwell| {
        let kept = engine.get("/api/v1/secrets").await.expect(200).json();
        assert_eq!(kept["items"][0]["version"], 1, "a key is no new value");
        (kept["items"][0]["keyId"].clone(), kept["keyId"].clone(), kept["items"][0]["readable"].clone())
    };
    let (old, ..) = kept(&engine).await;
    let passes = format!("Bearer {HUSH}");
    let lacks = "the connection has no secret `TOKEN`";
    for (keys, readable, says) in [
        (first.as_str(), true, passes.as_str()),
        // Not the key it is sealed with: the engine starts, and what needs the secret does not go out.
        (&second, false, lacks),
        (&both, true, &passes),
        (&second, true, &passes),
        (&first, false, lacks),
    ] {
        engine.restart_in(&[("STEPWELL_SECRET_KEY", keys)]).await;
        let (sealed_with, seals, is_readable) = kept(&engine).await;
        assert_eq!((sealed_with == seals, &is_readable), (readable, &json!(readable)), "{keys}");
        assert_eq!(tried(&engine, &mut told).await, says, "{keys}");
    }
    assert_ne!(kept(&engine).await.0, old);
}

#[tokio::test]
async fn what_an_earlier_engine_kept_in_clear_is_sealed_at_the_next_start() {
    // Only in a file can a test write what an earlier engine would have.
    let (port, mut told) = listener().await;
    let mut engine = Stepwell::start(Options { database: None, ..Options::default() }).await;
    engine.put("/api/v1/connections/shop", &[], &connection(port, &json!({}), &json!([]))).await.expect(200);
    engine.sigterm().await;
    let clear = connection(port, &json!({ "authorization": format!("Bearer {HUSH}") }), &json!({ "PIN": "hush-2" }));
    let file = rusqlite::Connection::open(engine.data().join("stepwell.db")).unwrap();
    file.execute("update connection set spec = ?1", [clear.to_string()]).unwrap();
    drop(file);
    engine.restart().await;
    assert_eq!(tried(&engine, &mut told).await, format!("Bearer {HUSH}"));
    let shown = engine.get("/api/v1/connections/shop").await.expect(200).json();
    assert_eq!(shown["secrets"], json!(["shop.HEADER_AUTHORIZATION", "shop.PIN"]));
    let kept = engine.get("/api/v1/secrets").await.expect(200).json();
    assert_eq!(kept["items"].as_array().unwrap().len(), 2);
    engine.sigterm().await;
    let file = rusqlite::Connection::open(engine.data().join("stepwell.db")).unwrap();
    let spec: String = file.query_row("select spec from connection", [], |row| row.get(0)).unwrap();
    assert!(!spec.contains(HUSH) && !spec.contains("hush-2"), "{spec}");
}
