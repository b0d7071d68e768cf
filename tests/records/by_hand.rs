//! Record types and records over HTTP: what is refused, what a list holds, who writes over whom.

use serde_json::{Value, json};
use stepwell_tests::Reply;
use stepwell_tests::records::order;

use crate::{at, engine};

#[tokio::test]
async fn types_are_published_as_versions_and_held_to() {
    let engine = engine().await;
    let path = "/api/v1/record-types/order";
    let version = |reply: Reply| reply.expect(200).json()["version"].clone();
    assert_eq!(version(engine.put(path, &[], &json!({ "document": order() })).await), 1);
    let mut changed = order();
    changed["statuses"].as_array_mut().unwrap().push(json!({ "name": "SHIPPED", "code": 40 }));
    assert_eq!(version(engine.put(path, &[], &json!({ "document": changed })).await), 2);
    let listed = engine.get("/api/v1/record-types").await.expect(200).json();
    assert_eq!((&listed["items"][0]["version"], listed["items"].as_array().unwrap().len()), (&json!(2), 1));
    // The newest is in force at once.
    let shipped = json!({ "status": "SHIPPED", "body": {} });
    engine.put("/api/v1/records/order/t-1", &[("if-none-match", "*")], &shipped).await.expect(200);

    changed["statuses"] = json!([]);
    changed["key"] = "other".into();
    let refused = engine.put(path, &[], &json!({ "document": changed })).await.expect(422);
    let codes: Vec<Value> =
        refused.json()["problems"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(
        (refused.code().as_str(), codes),
        ("RECORD_TYPE_HAS_PROBLEMS", vec![json!("STATUSES"), json!("KEY_MISMATCH")])
    );
    for path in ["/api/v1/record-types/nothing", "/api/v1/records/nothing", "/api/v1/records/nothing/1"] {
        assert_eq!(engine.get(path).await.expect(404).code(), "RECORD_TYPE_NOT_FOUND", "{path}");
    }
    let audit = engine.get("/api/v1/audit?target=order").await.expect(200).json();
    let published = audit["items"].as_array().unwrap().iter().filter(|one| one["action"] == "record-type.publish");
    assert_eq!(published.count(), 2);
}

#[tokio::test]
async fn nobody_writes_over_what_they_have_not_seen() {
    let engine = engine().await;
    let path = "/api/v1/records/order/h%2F1";
    let put = async |header: (&str, &str), status: &str, body: Value| {
        engine.put(path, &[header], &json!({ "status": status, "body": body })).await
    };
    let made = put(("if-none-match", "*"), "CREATED", json!({ "amount": 5 })).await.expect(200);
    assert_eq!((made.header("etag"), &made.json()["statusCode"]), ("\"1\"", &json!(10)));
    let again = put(("if-none-match", "*"), "CREATED", json!({})).await.expect(412);
    assert_eq!((again.code().as_str(), &again.json()["current"]["revision"]), ("RECORD_MOVED", &json!("1")));
    assert_eq!(put(("if-match", "\"1\""), "PAID", json!({ "amount": 6 })).await.expect(200).header("etag"), "\"2\"");
    put(("if-match", "\"1\""), "CANCELLED", json!({})).await.expect(412);
    let shown = engine.get(path).await.expect(200);
    assert_eq!((shown.header("etag"), &shown.json()["status"]), ("\"2\"", &json!("PAID")));
    assert!(shown.json()["readAt"].as_str() >= shown.json()["updatedAt"].as_str());

    for (status, body, pointer) in [
        ("GONE", json!({}), "/status"),
        ("PAID", json!({ "amount": "much" }), "/body/amount"),
        ("PAID", json!({ "text": "x".repeat(256 * 1024) }), "/body"),
    ] {
        let refused = put(("if-match", "\"2\""), status, body).await.expect(422);
        assert_eq!((refused.code().as_str(), refused.pointer().as_str()), ("BODY_INVALID", pointer));
    }
    let plain = engine.put(path, &[], &json!({ "status": "PAID", "body": {} })).await.expect(428);
    assert_eq!(plain.code(), "PRECONDITION_REQUIRED");
    assert_eq!(at(&engine, "h%2F1").await, "PAID@2");
}

#[tokio::test]
async fn lists_go_by_id_and_are_cut_where_bodies_are_long() {
    let engine = engine().await;
    let long = "x".repeat(200 * 1024);
    let records = [
        ("a", "CREATED", 10),
        ("B", "PAYING", 10),
        ("ä", "PAID", 10),
        ("b-1", "PAID", 200 * 1024),
        ("b-2", "PAID", 200 * 1024),
        ("b-3", "PAID", 200 * 1024),
        ("b-4", "PAID", 200 * 1024),
        ("b-5", "PAID", 200 * 1024),
        ("b-6", "PAID", 200 * 1024),
    ];
    for (id, status, bytes) in records {
        let body = json!({ "status": status, "body": { "text": &long[..bytes] } });
        engine.put(&format!("/api/v1/records/order/{id}"), &[("if-none-match", "*")], &body).await.expect(200);
    }
    let ids = async |query: &str| -> (String, Option<String>) {
        let page = engine.get(&format!("/api/v1/records/order?{query}")).await.expect(200).json();
        let ids: Vec<_> = page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        (ids.join(" "), page["next"].as_str().map(str::to_owned))
    };
    let of = |ids: &str, next: Option<&str>| (ids.to_owned(), next.map(str::to_owned));
    for (query, expected) in [
        // In byte order, whatever the database's language.
        ("limit=3", of("B a b-1", Some("b-1"))),
        ("limit=3&cursor=b-5", of("b-6 ä", None)),
        ("", of("B a b-1 b-2 b-3 b-4 b-5", Some("b-5"))),
        ("status=PAYING", of("B", None)),
        ("max=20", of("B a", None)),
        ("min=20&max=20", of("B", None)),
        ("min=91", of("", None)),
        ("status=PAID&min=30&limit=1&cursor=b-6", of("ä", None)),
    ] {
        assert_eq!(ids(query).await, expected, "{query}");
    }
}
