//! Beginning and ending payments: an order is paid at most once, whatever comes how often, in which order, from whom.

use std::collections::BTreeMap;

use futures::future::join_all;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stepwell_tests::orders::Orders;
use stepwell_tests::{Reply, repository, until};

use crate::{SOON, reaches};

const SECRET: &str = "gateway-callback-secret";
const CALLBACK: &str = "/t/callbacks/payment";

/// The gateway's connection knows the secret that callbacks are signed with.
async fn with_secret() -> Orders {
    let orders = Orders::start().await;
    let shown = orders.engine.get("/api/v1/connections/gateway").await.expect(200).json();
    let mut spec = shown.as_object().unwrap().clone();
    spec.retain(|name, _| !matches!(name.as_str(), "name" | "updatedAt" | "updatedBy"));
    spec.insert("secrets".to_owned(), json!({ "CALLBACK": SECRET }));
    let spec = Value::Object(spec);
    orders.engine.put("/api/v1/connections/gateway", &[], &spec).await.expect(200);
    orders
}

fn signature(secret: &str, body: &str) -> String {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What the gateway sends of an order: an event with its own id.
fn event(id: &str, order: &str, status: &str, amount_cents: u64, payment: &str) -> String {
    let payload = json!({ "order": order, "status": status, "amount_cents": amount_cents, "payment": payment });
    json!({ "id": id, "name": "payment", "key": order, "payload": payload }).to_string()
}

async fn deliver(orders: &Orders, secret: &str, body: &str) -> Reply {
    let signature = signature(secret, body);
    let sender = orders.engine.with_token(None);
    let headers = [("content-type", "application/json"), ("stepwell-signature", signature.as_str())];
    sender.send("POST", CALLBACK, &headers, body.to_owned()).await.unwrap()
}

async fn run(orders: &Orders, flow: &str, input: Value) -> Reply {
    orders.engine.post(&format!("/api/v1/flows/{flow}/instances?wait=20s"), &json!({ "input": input })).await
}

/// Begins a payment and returns the gateway's number of it.
async fn begun(orders: &Orders, order: &str) -> String {
    let reply = run(orders, "pay_order", json!({ "orderId": order, "amount_cents": 990, "buyer": "B1" })).await;
    reply.expect(200).json()["output"]["payment"].as_str().unwrap().to_owned()
}

async fn record(orders: &Orders, order: &str) -> Value {
    orders.engine.get(&format!("/api/v1/records/order/{order}")).await.expect(200).json()
}

/// R49, R51, R53, R54, R55, R56: of many that begin to pay one order one wins, and the others are told why they do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_begins_one_pays_each_order() {
    let orders = Orders::start().await;
    let asked = (0..1_000).map(|n| {
        let (orders, order) = (&orders, format!("P-{}", n % 20));
        async move {
            let reply = run(orders, "pay_order", json!({ "orderId": order, "amount_cents": 990 })).await;
            (order, reply)
        }
    });
    let mut won = BTreeMap::<String, Value>::new();
    let mut refused = BTreeMap::<String, usize>::new();
    for (order, reply) in join_all(asked).await {
        match reply.status {
            200 => {
                assert!(won.insert(order.clone(), reply.json()["output"].clone()).is_none(), "{order} is paid twice");
            }
            _ => *refused.entry(reply.code()).or_default() += 1,
        }
    }
    assert_eq!(won.len(), 20, "{refused:?}");
    assert_eq!(refused, BTreeMap::from([("ORDER_INVALID_PAYMENT_STATUS".to_owned(), 980)]));
    for (order, output) in &won {
        assert_eq!(
            (&output["order"]["status"], &output["order"]["revision"]),
            (&json!("PAYING"), &json!(3)),
            "{output}"
        );
        assert!(output["readAt"].is_u64() && output["payment"].is_string(), "{output}");
        let reply = orders.engine.get(&format!("/api/v1/records/order/{order}")).await.expect(200);
        assert_eq!((reply.json()["revision"].clone(), reply.header("etag")), (json!("3"), "\"3\""), "{}", reply.text());
        let effects = orders.effects(order).await;
        assert_eq!(effects, [("payment".to_owned(), false)], "the gateway was asked once for {order}");
    }
    orders.stop().await;
}

/// R59, R61: callbacks that are duplicated, late, out of order, forged or about something else leave every order paid at
/// most once; what is refused is known afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_gateway_sends_an_order_is_paid_once() {
    let orders = with_secret().await;
    let names: Vec<String> = (0..40).map(|n| format!("W-{n}")).collect();
    let payments = join_all(names.iter().map(|order| begun(&orders, order))).await;
    let mut bodies = Vec::new();
    for (order, payment) in names.iter().zip(&payments) {
        let paid = event(&format!("evt-{order}"), order, "PAID", 990, payment);
        for _ in 0..12 {
            bodies.push((SECRET, paid.clone()));
        }
        bodies.extend([
            // The same payment told by another event, and a word that was overtaken.
            (SECRET, event(&format!("more-{order}"), order, "PAID", 990, payment)),
            (SECRET, event(&format!("less-{order}"), order, "PAID", 1, payment)),
            (SECRET, event(&format!("other-{order}"), order, "PAID", 990, "PAY-0")),
            ("forged", paid.clone()),
            ("forged", event(&format!("forged-{order}"), order, "PAID", 990, payment)),
        ]);
    }
    // Another order each time, the same for every run.
    let mut at = 7_usize;
    for last in (1..bodies.len()).rev() {
        at = (at * 1_103_515_245 + 12_345) % 2_147_483_648;
        bodies.swap(last, at % (last + 1));
    }
    let mut told = BTreeMap::<String, usize>::new();
    let mut left = bodies;
    while !left.is_empty() {
        let answers = join_all(left.iter().map(|(secret, body)| deliver(&orders, secret, body))).await;
        let mut again = Vec::new();
        for ((secret, body), reply) in left.into_iter().zip(answers) {
            match (reply.status, reply.code().as_str()) {
                // As a gateway does.
                (409 | 503, "IDEMPOTENCY_RUNNING" | "NOT_DONE_YET" | "OVERLOADED") => again.push((secret, body)),
                (200, _) => *told.entry("taken".to_owned()).or_default() += 1,
                (_, code) => *told.entry(code.to_owned()).or_default() += 1,
            }
        }
        left = again;
    }
    let expected = [("PAYMENT_MISMATCH", 80), ("SIGNATURE_INVALID", 80), ("taken", 520)];
    assert_eq!(told, expected.map(|(name, count)| (name.to_owned(), count)).into_iter().collect());
    let mut applied = BTreeMap::<String, usize>::new();
    let mut cursor = String::new();
    loop {
        let page =
            orders.engine.get(&format!("/api/v1/instances?flow=payment_callback&limit=200{cursor}")).await.json();
        for item in page["items"].as_array().unwrap() {
            let shown = orders.engine.get(&format!("/api/v1/instances/{}", item["id"].as_str().unwrap())).await.json();
            match shown["reply"]["applied"].as_bool().or_else(|| shown["output"]["applied"].as_bool()) {
                Some(true) => *applied.entry(shown["businessKey"].as_str().unwrap().to_owned()).or_default() += 1,
                Some(false) => {}
                None => assert_eq!(shown["error"]["code"], "PAYMENT_MISMATCH", "{shown:#}"),
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    for order in &names {
        assert_eq!(applied.get(order), Some(&1), "{order} is paid once");
        let shown = record(&orders, order).await;
        // Opened, created, paying, paid: no status was written twice.
        assert_eq!((&shown["status"], &shown["revision"]), (&json!("PAID"), &json!("4")), "{shown:#}");
    }
    let audit = orders.engine.get("/api/v1/audit?action=trigger.refuse").await.expect(200).json();
    assert_eq!(audit["items"][0]["detail"]["code"], "SIGNATURE_INVALID", "{audit:#}");
    orders.stop().await;
}

/// R60: who listens in the response may say no, and then the gateway sends again; who is told afterwards is told for sure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_in_the_response_makes_the_gateway_come_again() {
    let orders = with_secret().await;
    let payment = begun(&orders, "L-1").await;
    orders.fault(&json!({ "path_prefix": "/events/in-response", "fail_next": 2, "status": 500 })).await;
    orders.fault(&json!({ "path_prefix": "/events/outbox", "fail_next": 1, "status": 503 })).await;
    let body = event("evt-1", "L-1", "PAID", 990, &payment);
    for expected in [503, 503, 200, 200] {
        let reply = until("an answer that is not of a delivery under way", SOON, || async {
            let reply = deliver(&orders, SECRET, &body).await;
            (reply.status != 409).then_some(reply)
        })
        .await;
        assert_eq!(reply.status, expected, "{}", reply.text());
        if expected == 503 {
            assert_eq!(reply.code(), "NOT_DONE_YET");
            // The payment stands all the same: what was applied is not applied again.
            assert_eq!(record(&orders, "L-1").await["status"], "PAID");
        }
    }
    let items = orders.engine.get("/api/v1/instances?flow=payment_callback").await.expect(200).json();
    assert_eq!(items["items"].as_array().map(Vec::len), Some(1), "{items:#}");
    reaches(&orders, items["items"][0]["id"].as_str().unwrap(), "completed").await;
    assert_eq!(record(&orders, "L-1").await["revision"], "4");
    for (path, times) in [("/events/in-response", 3), ("/events/outbox", 2)] {
        let sent = orders.shop.get(&format!("/control/requests?path={path}")).await.expect(200).json();
        let mut keys: Vec<&str> =
            sent["items"].as_array().unwrap().iter().filter_map(|one| one["key"].as_str()).collect();
        assert_eq!(keys.len(), times, "{sent:#}");
        keys.dedup();
        assert_eq!(keys.len(), 1, "one key for every try: {sent:#}");
    }
    orders.stop().await;
}

/// R58, R62: with automatic completion off the callback is taken and nothing more; a person ends the payment, by the same
/// path and guards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completion_can_be_left_to_people() {
    let orders = with_secret().await;
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(repository().join("flows").join(name)).unwrap()).unwrap()
    };
    let automatic = read("payment_callback.json");
    let mut by_hand = read("payment_noted.json");
    by_hand["key"] = automatic["key"].clone();
    by_hand["triggers"] = automatic["triggers"].clone();
    let publish = json!({ "document": by_hand, "label": "manual" });
    orders.engine.post("/api/v1/flows/payment_callback/publish", &publish).await.expect(201);
    for (order, switch, status) in [("H-1", 1, "PAID"), ("H-2", 2, "PAYING")] {
        let binding = json!({ "binding": { "default": switch } });
        let known = orders.engine.get("/api/v1/flows/payment_callback/bindings").await;
        let revision = if known.status == 200 { known.header("etag").to_owned() } else { String::new() };
        let over = if revision.is_empty() { ("if-none-match", "*") } else { ("if-match", revision.as_str()) };
        orders.engine.put("/api/v1/flows/payment_callback/bindings", &[over], &binding).await.expect(200);
        let payment = begun(&orders, order).await;
        deliver(&orders, SECRET, &event(&format!("evt-{order}"), order, "PAID", 990, &payment)).await.expect(200);
        assert_eq!(record(&orders, order).await["status"], status, "{order}");
    }
    let audit = orders.engine.get("/api/v1/audit?action=binding&target=payment_callback").await.expect(200).json();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2), "{audit:#}");
    // By the API, as the callback would: guarded, and once.
    for (amount_cents, status, applied) in [(991, 422, None), (990, 200, Some(true)), (990, 200, Some(false))] {
        let input = json!({ "orderId": "H-2", "status": "PAID", "amount_cents": amount_cents, "buyer": "B1" });
        let reply = run(&orders, "payment_end", input).await.expect(status);
        assert_eq!(reply.json()["output"]["applied"].as_bool(), applied, "{}", reply.text());
    }
    // The task that the callback left finds the payment ended.
    let tasks = orders.engine.get("/api/v1/tasks").await.expect(200).json();
    let id = tasks["items"][0]["id"].as_str().unwrap();
    let done = json!({ "output": { "apply": true } });
    orders.engine.post(&format!("/api/v1/tasks/{id}/complete"), &done).await.expect(202);
    let shown = reaches(&orders, tasks["items"][0]["instance"].as_str().unwrap(), "completed").await;
    assert_eq!(shown["output"]["applied"], false, "{shown:#}");
    assert_eq!(record(&orders, "H-2").await["status"], "PAID");
    orders.stop().await;
}

/// R52, R55, R56, R57: every error by its name, for callers and for branches; and an interval that closes an order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_a_name_and_a_branch() {
    let orders = Orders::start().await;
    begun(&orders, "N-1").await;
    for kind in ["order", "gone"] {
        orders.engine.publish(&branches(kind)).await;
    }
    let open = |order: &str| json!({ "orderId": order, "amount_cents": 990 });
    orders.engine.publish(&opens()).await;
    for order in ["N-2", "N-3"] {
        run(&orders, "only_open", open(order)).await.expect(200);
    }
    let closed = run(&orders, "close_order", json!({ "orderId": "N-2" })).await.expect(200).json();
    assert_eq!(closed["output"]["order"]["status"], "CLOSED");
    for (flow, input, code) in [
        ("close_order", json!({ "orderId": "N-1" }), "ORDER_INVALID_PAYMENT_STATUS"),
        ("pay_order", open("N-1"), "ORDER_INVALID_PAYMENT_STATUS"),
        ("pay_order", open("N-2"), "ORDER_ALREADY_CLOSED"),
        ("close_order", json!({ "orderId": "none" }), "ORDER_NOT_FOUND"),
        ("payment_end", json!({ "orderId": "none", "status": "PAID", "amount_cents": 990 }), "ORDER_NOT_FOUND"),
        ("payment_end", json!({ "orderId": "N-3", "status": "PAID", "amount_cents": 990 }), "PAYMENT_TRADE_NOT_FOUND"),
        ("payment_end", json!({ "orderId": "N-1", "status": "PAID", "amount_cents": 1 }), "PAYMENT_MISMATCH"),
        (
            "payment_end",
            json!({ "orderId": "N-1", "status": "PAID", "amount_cents": 990, "buyer": "B2" }),
            "PAYMENT_MISMATCH",
        ),
    ] {
        let reply = run(&orders, flow, input.clone()).await.expect(422);
        assert_eq!(reply.code(), code, "{flow} {input}");
    }
    // Granted, and not there.
    orders.engine.put("/api/v1/grants/checkout/records/gone", &[], &json!({})).await;
    for (order, kind, branch) in [
        ("N-1", "order", "paying"),
        ("N-2", "order", "closed"),
        ("none", "order", "missing"),
        ("N-3", "gone", "no_adapter"),
        ("N-3", "order", "claimed"),
    ] {
        let reply = run(&orders, &format!("branch_{kind}"), json!({ "orderId": order })).await.expect(200);
        assert_eq!(reply.json()["output"]["branch"], branch, "{order}");
    }
    orders.stop().await;
}

/// Opens an order and no more.
fn opens() -> Value {
    json!({
        "stepwell": 1, "kind": "graph", "key": "only_open",
        "nodes": {
            "start": { "type": "start" },
            "open": { "type": "task", "uses": "checkout/open@1", "with": { "order": "=input.orderId", "amount_cents": "=input.amount_cents" } },
            "end": { "type": "end" }
        },
        "edges": [{ "from": "start", "to": "open" }, { "from": "open", "to": "end" }]
    })
}

/// Claims an order of that type, and ends by a branch for each error.
fn branches(order_type: &str) -> Value {
    let errors = [
        ("paying", "ORDER_INVALID_PAYMENT_STATUS"),
        ("closed", "ORDER_ALREADY_CLOSED"),
        ("missing", "ORDER_NOT_FOUND"),
        ("no_adapter", "ORDER_ADAPTER_NOT_FOUND"),
    ];
    let handlers: Value =
        errors.iter().map(|(name, code)| ((*name).to_owned(), json!({ "type": "error", "code": code }))).collect();
    let mut flow = json!({
        "stepwell": 1, "kind": "graph", "key": format!("branch_{order_type}"),
        "nodes": {
            "start": { "type": "start" },
            "claim": { "type": "task", "uses": "checkout/begin@1", "config": { "orderType": order_type },
                       "with": { "order": "=input.orderId" }, "undo": true, "on": handlers },
            "end": { "type": "end", "output": { "branch": "claimed" } }
        },
        "edges": [{ "from": "start", "to": "claim" }, { "from": "claim", "to": "end" }]
    });
    for (name, _) in errors {
        flow["nodes"][format!("end_{name}")] = json!({ "type": "end", "output": { "branch": name } });
        flow["edges"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "from": "claim", "port": name, "to": format!("end_{name}") }));
    }
    flow
}
