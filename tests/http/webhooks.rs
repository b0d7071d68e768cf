//! Paths that know their callers by a signature; requests that start a flow, and those that are messages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stepwell_tests::{Client, Options, Reply, Stepwell, until};

use crate::flows;

const SOON: Duration = Duration::from_secs(10);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLDER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Sends what a Standard Webhooks sender would.
async fn deliver(client: &Client, path: &str, secret: &str, id: &str, at_s: u64, body: &str) -> Reply {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signature = format!("v1,{}", STANDARD.encode(mac(&key, &format!("{id}.{at_s}.{body}"))));
    let at = at_s.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature.as_str())];
    client.send("POST", path, &headers, body.to_owned()).await.unwrap()
}

/// Starts by a Standard Webhook, or by an HMAC with the flow's own id; takes payments as messages.
fn hooked() -> Value {
    let mut flow = flows::patient();
    let standard = json!({ "type": "standard-webhooks", "connection": "gateway", "secrets": ["NEW", "OLD"] });
    let hmac = json!({ "type": "hmac", "connection": "gateway", "secrets": ["PLAIN"], "header": "X-Signature", "prefix": "sha256=" });
    flow["triggers"] = json!([
        { "type": "http", "path": "hook/start", "auth": standard, "wait": "0s" },
        { "type": "http", "path": "hook/hmac", "auth": hmac, "wait": "0s", "dedupe": "=input.id" },
        { "type": "http", "path": "hook/paid", "auth": standard, "message": { "name": "go", "key": "=input.order" } },
        { "type": "http", "path": "hook/wechat", "auth": hmac,
          "message": { "name": "go", "key": "=input.order", "id": "=input.event" }, "answer": "success" },
    ]);
    flow
}

fn gateway(secrets: &Value) -> Value {
    json!({ "scheme": "https", "host": "gateway.example", "secrets": secrets })
}

async fn started(engine: &Stepwell) -> Vec<Value> {
    engine.get("/api/v1/instances?flow=patient").await.expect(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_signed_delivery_starts_one_instance() {
    let mut engine = Stepwell::start(Options::default()).await;
    engine.publish(&hooked()).await;
    let body = json!({ "id": "w-1" }).to_string();
    let sender = engine.with_token(None);

    // Until the connection has the secret, the sender is to come again.
    let early = deliver(&sender, "/t/hook/start", SECRET, "msg_1", now_s(), &body).await.expect(503);
    assert_eq!(early.code(), "TRIGGER_NOT_READY");
    let secrets = json!({ "NEW": SECRET, "OLD": OLDER, "PLAIN": "plain" });
    engine.put("/api/v1/connections/gateway", &[], &gateway(&secrets)).await.expect(200);

    let first = deliver(&sender, "/t/hook/start", SECRET, "msg_1", now_s(), &body).await.expect(202);
    // Sent again later, with the other secret, after a crash of the engine.
    engine.kill9().await;
    engine.restart().await;
    let sender = engine.with_token(None);
    let again = deliver(&sender, "/t/hook/start", OLDER, "msg_1", now_s() - 60, &body).await.expect(202);
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(started(&engine).await.len(), 1);
    let other = deliver(&sender, "/t/hook/start", SECRET, "msg_2", now_s(), &body).await.expect(202);
    assert_ne!(other.json()["id"], first.json()["id"]);

    let signature = format!("sha256={}", hex::encode(mac(b"plain", &body)));
    let headers = [("x-signature", signature.as_str())];
    let own = sender.send("POST", "/t/hook/hmac", &headers, body.clone()).await.unwrap().expect(202);
    let twice = sender.send("POST", "/t/hook/hmac", &headers, body.clone()).await.unwrap().expect(202);
    assert_eq!(own.json()["id"], twice.json()["id"]);
    assert_eq!(started(&engine).await.len(), 3);
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_is_refused_and_audited_once() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&hooked()).await;
    let secrets = json!({ "NEW": SECRET, "PLAIN": "plain" });
    engine.put("/api/v1/connections/gateway", &[], &gateway(&secrets)).await.expect(200);
    let body = json!({ "id": "secret-order" }).to_string();
    let path = "/t/hook/start";
    // The administrator's token is no signature.
    let unsigned = engine.send("POST", path, &[], body.clone()).await.unwrap();
    for (reply, code) in [
        (unsigned, "SIGNATURE_MISSING"),
        (deliver(&engine, path, OLDER, "msg_1", now_s(), &body).await, "SIGNATURE_INVALID"),
        (deliver(&engine, path, OLDER, "msg_2", now_s(), &body).await, "SIGNATURE_INVALID"),
        (deliver(&engine, path, SECRET, "msg_3", now_s() - 302, &body).await, "SIGNATURE_EXPIRED"),
        (deliver(&engine, path, SECRET, "msg_4", now_s() + 302, &body).await, "SIGNATURE_EXPIRED"),
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (401, code));
    }
    assert!(started(&engine).await.is_empty());
    let audit = engine.get("/api/v1/audit?target=hook/start").await.expect(200);
    let rows: Vec<_> =
        audit.json()["items"].as_array().unwrap().iter().map(|row| row["detail"]["code"].clone()).collect();
    assert_eq!(rows, ["SIGNATURE_EXPIRED", "SIGNATURE_INVALID", "SIGNATURE_MISSING"]);
    // A body that is too large is not hashed, and one that is no JSON is only looked at once it is known.
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    assert_eq!(deliver(&engine, path, SECRET, "msg_5", now_s(), &large).await.status, 413);
    assert_eq!(deliver(&engine, path, OLDER, "msg_6", now_s(), "{").await.code(), "SIGNATURE_INVALID");
    assert_eq!(deliver(&engine, path, SECRET, "msg_7", now_s(), "{").await.code(), "BODY_NOT_JSON");
    for place in [audit.text(), engine.log(), engine.get("/api/v1/connections").await.text()] {
        for secret in [SECRET, &SECRET[6..], "secret-order"] {
            assert!(!place.contains(secret), "{place}");
        }
    }
}

#[tokio::test]
async fn a_payment_callback_is_a_message_once() {
    let engine = Stepwell::start(Options::default()).await;
    engine.publish(&hooked()).await;
    let secrets = json!({ "NEW": SECRET, "PLAIN": "plain" });
    engine.put("/api/v1/connections/gateway", &[], &gateway(&secrets)).await.expect(200);
    let started =
        engine.post("/api/v1/flows/patient/instances", &json!({ "input": { "id": "o-1" } })).await.expect(202);
    let sender = engine.with_token(None);
    let body = json!({ "order": "o-1", "word": "paid" }).to_string();
    for _ in 0..2 {
        let taken = deliver(&sender, "/t/hook/paid", SECRET, "msg_1", now_s(), &body).await.expect(202);
        assert_eq!(taken.json(), json!({ "id": "msg_1" }));
    }
    let id = started.json()["id"].as_str().unwrap().to_owned();
    let said = until("the instance goes on", SOON, async || {
        let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        (shown["state"] == "completed").then(|| shown["output"]["said"].clone())
    })
    .await;
    assert_eq!(said, "paid");
    // A second instance of the same order: what was delivered twice is not there for it.
    let next = engine.post("/api/v1/flows/patient/instances?wait=100ms", &json!({ "input": { "id": "o-1" } })).await;
    assert_eq!(next.expect(202).json()["state"], "waiting");
    let body = json!({ "order": "o-1", "word": "again", "event": 7 }).to_string();
    let signature = format!("sha256={}", hex::encode(mac(b"plain", &body)));
    for _ in 0..2 {
        let headers = [("x-signature", signature.as_str())];
        let reply = sender.send("POST", "/t/hook/wechat", &headers, body.clone()).await.unwrap().expect(200);
        assert_eq!((reply.text().as_str(), reply.header("content-type")), ("success", "text/plain; charset=utf-8"));
    }
    for (body, problem) in [(json!({ "event": 8 }), "key"), (json!({ "order": "o-1" }), "id")] {
        let signature = format!("sha256={}", hex::encode(mac(b"plain", &body.to_string())));
        let headers = [("x-signature", signature.as_str())];
        let reply = sender.send("POST", "/t/hook/wechat", &headers, body.to_string()).await.unwrap().expect(422);
        assert!(reply.text().contains(&format!("{problem}: ")), "{}", reply.text());
    }
}
