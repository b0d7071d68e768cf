//! What a plugin may reach is taken back, narrowed and given again, with orders on their way.

use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};

use crate::{instance, reaches, stands_at, start};

const GRANT: &str = "/api/v1/grants/commerce";

async fn reach(orders: &Orders, namespace: &str) -> Value {
    let plugins = orders.engine.get("/api/v1/plugins").await.expect(200).json();
    let found = plugins["items"].as_array().unwrap().iter().find(|one| one["name"] == "commerce").cloned().unwrap();
    let version = found["version"].as_str().unwrap();
    let path = format!("/api/v1/plugins/commerce/{version}/reach?namespace={namespace}");
    orders.engine.get(&path).await.expect(200).json()
}

fn names(reach: &Value) -> Vec<&str> {
    reach["connections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_decides_what_a_node_reaches_and_its_lack_is_shown_on_the_node() {
    let orders = Orders::start().await;
    // As the file has it, in the shape of before: all namespaces, all versions.
    let shown = reach(&orders, "default").await;
    assert_eq!((names(&shown), shown["effect"].as_str()), (vec!["shop"], Some("external")));
    assert_eq!(shown["connections"][0]["grantedBy"], json!({ "plugin": "commerce", "namespace": "*" }));
    let imports = shown["imports"].as_array().unwrap();
    assert!(imports.iter().any(|one| one["class"] == "external"), "{shown:#}");

    orders.engine.delete(GRANT).await.expect(204);
    assert_eq!(orders.engine.delete(GRANT).await.expect(404).code(), "GRANT_NOT_FOUND");
    let id = start(&orders, &community_order("G-1")).await;
    let stood = reaches(&orders, &id, "incident").await;
    let incident = stood.to_string();
    assert!(incident.contains("NOT_GRANTED") && incident.contains("in the namespace `default`"), "{stood:#}");
    assert!(incident.contains("PUT /api/v1/grants/commerce/shop?namespace=default"), "{stood:#}");
    assert!(orders.paths("G-1").await.is_empty(), "no call was made");

    // For flows of another namespace it is no use.
    let elsewhere = json!({ "connections": ["shop"], "timeMs": 9000 });
    orders.engine.put(&format!("{GRANT}?namespace=eu"), &[], &elsewhere).await.expect(204);
    assert_eq!((names(&reach(&orders, "default").await).len(), names(&reach(&orders, "eu").await)), (0, vec!["shop"]));
    assert_eq!(reach(&orders, "eu").await["timeMs"], 9000);

    // Given, and the order goes on from where it stood.
    let narrowed = json!({ "methods": ["GET", "POST"], "ratePerSecond": 100 });
    orders.engine.put(&format!("{GRANT}/shop?namespace=default"), &[], &narrowed).await.expect(204);
    let given = reach(&orders, "default").await;
    assert_eq!(
        (&given["connections"][0]["methods"], &given["connections"][0]["ratePerSecond"]),
        (&json!(["GET", "POST"]), &json!(100))
    );
    orders.engine.post(&format!("/api/v1/instances/{id}/retry"), &json!({})).await.expect(202);
    stands_at(&orders, &id, "paid").await;
    assert!(!orders.paths("G-1").await.is_empty());
    let used = orders.engine.delete("/api/v1/connections/shop").await.expect(409);
    assert_eq!(used.json()["neededBy"], json!(["commerce", "community", "http"]));
    let audit = orders.engine.get("/api/v1/audit?target=commerce").await.expect(200).json();
    let actions: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["grant.put", "grant.put", "grant.delete"]);
    assert_eq!(instance(&orders, &id).await["state"], "waiting");
    orders.stop().await;
}
