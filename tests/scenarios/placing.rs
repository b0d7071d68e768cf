//! Orders of every type through one door: the template `order_add`, its variants, and what is changed while they run.

use serde_json::{Value, json};
use stepwell_tests::orders::Orders;
use stepwell_tests::until;

use crate::{SOON, instance, reaches};

const TYPES: &str = "/api/v1/tables/order_types";

/// The shop, the engine with the sample flows, and the door `/t/orders`.
async fn open() -> Orders {
    let orders = Orders::start().await;
    let text = std::fs::read_to_string(stepwell_tests::repository().join("docs/examples/orders-route.json")).unwrap();
    let route: Value = serde_json::from_str(&text).unwrap();
    orders.engine.put("/api/v1/routes/orders", &[("if-none-match", "*")], &route).await.expect(200);
    orders
}

fn order(id: &str, more: &Value) -> Value {
    let mut order =
        json!({ "orderId": id, "buyer": "U-1", "sku": "SKU-1", "quantity": 2, "entry": "app", "sale": "fixed" });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

async fn placed(orders: &Orders, id: &str, more: &Value) -> Value {
    let reply = orders.engine.post("/t/orders", &order(id, more)).await;
    assert_eq!(reply.status, 200, "{id}: {}", reply.text());
    reply.json()
}

/// The instance of an order.
async fn of(orders: &Orders, id: &str) -> Value {
    let found = orders.engine.get(&format!("/api/v1/instances?businessKey={id}")).await.expect(200).json();
    instance(orders, found["items"][0]["id"].as_str().expect("an instance")).await
}

/// What an order keeps in the world, and what it gave back.
async fn world(orders: &Orders, id: &str) -> (String, String) {
    let effects = orders.effects(id).await;
    let of = |undone: bool| {
        effects.iter().filter(|(_, was)| *was == undone).map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(" ")
    };
    (of(false), of(true))
}

async fn version(orders: &Orders, flow: &str) -> u64 {
    orders.engine.get(&format!("/api/v1/flows/{flow}")).await.expect(200).json()["latestVersion"].as_u64().unwrap()
}

async fn document(orders: &Orders, flow: &str) -> Value {
    let newest = version(orders, flow).await;
    orders.engine.get(&format!("/api/v1/flows/{flow}/versions/{newest}")).await.expect(200).json()["document"].clone()
}

async fn publish(orders: &Orders, flow: &str, document: &Value) {
    orders.engine.post(&format!("/api/v1/flows/{flow}/publish"), &json!({ "document": document })).await.expect(201);
}

/// An order, what it says beside the usual, its flow and type, what it costs, whether it is paid, and what it keeps.
type Row = (&'static str, Value, &'static str, &'static str, u64, bool, &'static str);

fn types() -> [Row; 7] {
    [
        // 2 × 9,900 less a tenth and a coupon of 500, with services of 500 and freight of 600.
        (
            "F-1",
            json!({ "coupon": "C-5" }),
            "order_fixed_price",
            "ONE_BUY_NEGOTIATED",
            18_420,
            true,
            "payment stock coupon order",
        ),
        (
            "F-2",
            json!({ "entry": "official-1" }),
            "order_fixed_price",
            "ONE_BUY_NEGOTIATED",
            18_920,
            true,
            "payment stock order",
        ),
        (
            "A-1",
            json!({ "sale": "auction", "bid_cents": 60_000 }),
            "order_auction",
            "AUCTION",
            60_600,
            true,
            "payment stock order",
        ),
        ("Z-1", json!({ "type": "zero" }), "order_zero_buy", "ZERO_BUY", 0, false, "stock points order"),
        (
            "D-1",
            json!({ "type": "distribution", "reseller": "R-1" }),
            "order_distribution",
            "DISTRIBUTED_RESELL",
            18_420,
            true,
            "payment stock order",
        ),
        ("V-1", json!({ "sku": "VIRTUAL-1" }), "order_virtual", "VIRTUAL", 17_820, true, "payment stock order"),
        (
            "I-1",
            json!({ "type": "flash", "entry": "mini" }),
            "order_fixed_price",
            "ONE_BUY_NEGOTIATED",
            18_920,
            true,
            "payment stock order",
        ),
    ]
}

/// R28–R30, R33, R43–R45: each dimension of a request decides, and each variant fills the slots its own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_order_is_placed() {
    let orders = open().await;
    for (id, more, flow, said, amount_cents, paid, kept) in types() {
        let output = placed(&orders, id, &more).await;
        assert_eq!(
            (&output["type"], &output["amount_cents"]),
            (&json!(said), &json!(amount_cents)),
            "{id}: {output:#}"
        );
        assert_eq!(output["payment"].is_string(), paid, "{id}: {output:#}");
        assert_eq!(world(&orders, id).await, (kept.to_owned(), String::new()), "{id}");
        let shown = of(&orders, id).await;
        assert_eq!(shown["flow"], flow, "{id}");
        // The type stands in the instance's input, with the table that said so.
        assert_eq!(shown["input"]["resolved"]["table"], "order_types@1", "{id}: {shown:#}");
    }
    // Virtual goods have no address; nobody asked for one.
    assert_eq!(of(&orders, "V-1").await["output"]["address"], json!({}));
    assert!(!orders.paths("V-1").await.iter().any(|path| path.ends_with("/address")));
    assert_eq!(of(&orders, "F-1").await["output"]["address"]["region"], "north");
    let split = of(&orders, "D-1").await["nodes"]["account_split"]["lastOutput"].clone();
    assert_eq!(split["reseller_cents"], 1_842, "{split:#}");
    let shown = of(&orders, "F-1").await["nodes"].clone();
    for service in ["platform_ident", "source_platform_ident", "third_party"] {
        assert_eq!(shown[service]["state"], "done", "{shown:#}");
    }
    orders.stop().await;
}

/// R31: what no row and no rule takes is refused, and written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_type_is_refused_and_audited() {
    let orders = open().await;
    let refused = orders.engine.post("/t/orders", &order("N-1", &json!({ "type": "blind-box" }))).await.expect(422);
    assert_eq!(refused.code(), "NO_MATCHING_FLOW");
    let audit = orders.engine.get("/api/v1/audit?target=orders&action=route.no-match").await.expect(200).json();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "{audit:#}");
    let none = orders.engine.get("/api/v1/instances?businessKey=N-1").await.expect(200).json();
    assert_eq!(none["items"], json!([]));
    // R29: a row of the table and a rule of the route are all that it takes, without a restart.
    let mut table = orders.engine.get(TYPES).await.expect(200).json()["document"].clone();
    let row = json!({ "_id": "blind", "type": "'blind-box'", "order": "'BLIND_BOX'", "code": "6" });
    table["table"]["rules"].as_array_mut().unwrap().insert(0, row);
    let asked = json!({ "document": table, "input": { "input": { "type": "blind-box" } } });
    let tried = orders.engine.post(&format!("{TYPES}/evaluate"), &asked).await.expect(200).json();
    assert_eq!((&tried["output"]["type"], &tried["hits"]), (&json!("BLIND_BOX"), &json!([0])));
    orders.engine.put(TYPES, &[], &json!({ "document": table })).await.expect(201);
    let refused = orders.engine.post("/t/orders", &order("N-2", &json!({ "type": "blind-box" }))).await.expect(422);
    assert_eq!(refused.code(), "NO_MATCHING_FLOW");
    let route = orders.engine.get("/api/v1/routes/orders").await.expect(200).json();
    let mut changed = route["route"].clone();
    let rule =
        json!({ "name": "blind-box", "flow": "order_fixed_price", "when": "input.resolved.type == 'BLIND_BOX'" });
    changed["rules"].as_array_mut().unwrap().push(rule);
    let revision = format!("\"{}\"", route["revision"].as_str().unwrap());
    orders
        .engine
        .put("/api/v1/routes/orders", &[("if-match", &revision)], &json!({ "route": changed }))
        .await
        .expect(200);
    assert_eq!(placed(&orders, "N-3", &json!({ "type": "blind-box" })).await["type"], "BLIND_BOX");
    assert_eq!(of(&orders, "N-3").await["input"]["resolved"]["table"], "order_types@2");
    let used = orders.engine.get(&format!("{TYPES}/where-used")).await.expect(200).json();
    assert_eq!(used["routes"], json!(["orders"]), "{used:#}");
    orders.stop().await;
}

/// R37, R38, R40, R41: a source that does not answer within two seconds is cut, and the others are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_source_is_cut_and_the_others_are_kept() {
    let orders = open().await;
    // The part of the type itself tells what has been prepared.
    let mut variant = document(&orders, "order_fixed_price").await;
    variant["slots"]["subtype"] = json!({
        "type": "task", "uses": "json/transform@1", "config": { "steps": [] }, "with": "=nodes.prepare" });
    publish(&orders, "order_fixed_price", &variant).await;
    orders.fault(&json!({ "path_prefix": "/catalog/promotions", "latency_ms": 2_700 })).await;
    let output = placed(&orders, "S-1", &json!({})).await;
    // Without the promotion, and with all else that was asked for.
    assert_eq!(output["amount_cents"], 20_900, "{output:#}");
    let shown = of(&orders, "S-1").await;
    let prepared = &shown["nodes"]["subtype"]["lastOutput"];
    assert_eq!(prepared["goods"]["percent"], Value::Null, "{prepared:#}");
    assert_eq!(
        (&prepared["goods"]["sale_cents"], &prepared["goods"]["shop_type"]),
        (&json!(9_900), &json!("marketplace"))
    );
    // Parsed for itself: what the flow does not ask for is not kept.
    assert_eq!(prepared["goods"].get("sku"), None, "{prepared:#}");
    for (source, field, value) in
        [("account", "level", json!(3)), ("membership", "tier", json!("silver")), ("address", "region", json!("north"))]
    {
        assert_eq!(prepared["buyer"][source][field], value, "{prepared:#}");
    }
    // The product came first, the shop it names after it.
    let paths = orders.paths("S-1").await;
    let place =
        |part: &str| paths.iter().position(|path| path.contains(part)).unwrap_or_else(|| panic!("{part}: {paths:?}"));
    assert_eq!(place("/products/"), 0, "{paths:?}");
    assert!(place("/shops/") > place("/products/"), "{paths:?}");
    // R34: the time of each stage is a figure.
    let figures = orders.engine.get("/metrics").await.expect(200).text();
    for stage in ["prepare", "checks", "action"] {
        let line = format!("stepwell_stage_seconds_count{{flow=\"order_fixed_price\",stage=\"{stage}\"}} 1");
        assert!(figures.contains(&line), "{stage}");
    }
    let took = "stepwell_stage_seconds_bucket{flow=\"order_fixed_price\",stage=\"prepare\",le=\"1\"} 0";
    assert!(figures.contains(took), "preparing took two seconds");
    orders.stop().await;
}

/// R38: all sources together have one deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preparing_has_one_deadline() {
    let orders = open().await;
    let mut variant = document(&orders, "order_virtual").await;
    variant["slots"]["prepare"]["timeout"] = json!("500ms");
    publish(&orders, "order_virtual", &variant).await;
    orders.fault(&json!({ "path_prefix": "/catalog/promotions", "latency_ms": 1_500 })).await;
    let reply = orders.engine.post("/t/orders", &order("T-1", &json!({ "sku": "VIRTUAL-1" }))).await;
    let told = reply.json();
    assert_eq!((&told["error"]["code"], &told["error"]["node"]), (&json!("TIMEOUT"), &json!("prepare")), "{told:#}");
    assert_eq!(world(&orders, "T-1").await, (String::new(), String::new()));
    orders.stop().await;
}

/// R42: checks run in the order of their list, and the first that fails ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_failing_check_ends_the_order() {
    let orders = open().await;
    for (id, more, code) in [
        ("K-1", json!({ "buyer": "BLOCKED-1" }), "BUYER_BLOCKED"),
        ("K-2", json!({ "buyer": "RISKY-1" }), "RISK_TOO_HIGH"),
        // The address is looked at before the buyer, and the risk not at all.
        ("K-3", json!({ "buyer": "HOMELESS-BLOCKED-1" }), "NO_ADDRESS"),
        ("K-4", json!({ "sale": "auction" }), "NO_WINNING_BID"),
        // No address is asked of who buys what is not sent.
        ("K-5", json!({ "sku": "VIRTUAL-1", "buyer": "HOMELESS-1" }), ""),
    ] {
        let reply = orders.engine.post("/t/orders", &order(id, &more)).await;
        let told = reply.json();
        if code.is_empty() {
            assert_eq!(reply.status, 200, "{id}: {told:#}");
            continue;
        }
        // Nothing was done yet, so nothing is undone.
        assert_eq!(
            (reply.status, &told["code"], &told["state"]),
            (422, &json!(code), &json!("failed")),
            "{id}: {told:#}"
        );
        assert_eq!(world(&orders, id).await, (String::new(), String::new()), "{id}");
    }
    let shown = of(&orders, "K-3").await;
    let ran = |node: &str| shown["nodes"][node]["visits"].as_u64().unwrap_or_default();
    assert_eq!((ran("check_address"), ran("check_buyer"), ran("check_risk")), (1, 0, 0), "{shown:#}");
    orders.stop().await;
}

/// R46, and the hole of the document: a payment is asked for before resources are taken and the order is saved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_is_given_back_when_a_later_step_fails() {
    let orders = open().await;
    for (id, more, code, undone) in [
        ("G-1", json!({ "sku": "SOLD-OUT-1" }), "OUT_OF_STOCK", "payment"),
        ("G-2", json!({ "coupon": "USED-1" }), "COUPON_USED", "payment stock"),
        ("UNSAVED-1", json!({ "coupon": "C-5" }), "ORDER_REFUSED", "payment stock coupon"),
        ("UNSAVED-2", json!({ "type": "zero" }), "ORDER_REFUSED", "stock points"),
    ] {
        let reply = orders.engine.post("/t/orders", &order(id, &more)).await;
        let told = reply.json();
        assert_eq!((reply.status, &told["error"]["code"]), (409, &json!(code)), "{id}: {told:#}");
        assert_eq!(world(&orders, id).await, (String::new(), undone.to_owned()), "{id}");
    }
    let undos = |paths: Vec<String>| {
        paths.into_iter().filter(|path| path.ends_with("release") || path.ends_with("cancel")).collect::<Vec<_>>()
    };
    assert_eq!(
        undos(orders.paths("UNSAVED-1").await),
        ["/coupons/redemptions/release", "/stock/reservations/release", "/gateway/payments/cancel"]
    );
    // Not known whether it was taken: it is given back all the same, and cannot come late.
    orders.fault(&json!({ "path_prefix": "/coupons/redemptions", "lose_reply_next": 1 })).await;
    orders.engine.post("/t/orders", &order("G-3", &json!({ "coupon": "C-5" }))).await.expect(409);
    assert_eq!(world(&orders, "G-3").await, (String::new(), "payment stock coupon".to_owned()));
    orders.stop().await;
}

/// R35, R36, R39, R42: a check and a source are one entry each, published live; what runs is not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_and_a_source_are_one_entry_each() {
    let orders = open().await;
    // An order that is under way while the flow changes.
    orders.fault(&json!({ "path_prefix": "/orders", "latency_ms": 2_000 })).await;
    let body = json!({ "input": order("O-1", &json!({})) });
    let before = orders.engine.post("/api/v1/flows/order_fixed_price/instances", &body).await.expect(202);
    let id = before.json()["id"].as_str().unwrap().to_owned();
    let mut variant = document(&orders, "order_fixed_price").await;
    let check = json!({ "id": "check_pieces", "node": {
        "type": "task", "uses": "script/js@1", "with": { "pieces": "=input.quantity" },
        "config": { "script": "if (input.pieces > 5) reject('TOO_MANY', 'at most five pieces');\nreturn { ok: true };" } } });
    let source = json!({ "id": "own_shop", "group": "seller", "optional": true, "node": {
        "type": "task", "uses": "commerce/look-up@1", "config": { "what": "shop" }, "with": { "id": "SELF-1" } } });
    variant["slots"]["checks"] = json!({ "add": [check] });
    variant["slots"]["prepare"]["add"].as_array_mut().unwrap().push(source);
    publish(&orders, "order_fixed_price", &variant).await;
    assert_eq!(version(&orders, "order_fixed_price").await, 2);

    let told = orders.engine.post("/t/orders", &order("O-2", &json!({ "quantity": 6 }))).await.expect(422).json();
    assert_eq!(told["code"], "TOO_MANY");
    placed(&orders, "O-3", &json!({})).await;
    let after = of(&orders, "O-3").await;
    assert_eq!(after["nodes"]["own_shop"]["lastOutput"]["shop_type"], "self", "{after:#}");
    assert!(orders.paths("O-3").await.contains(&"/catalog/shops/SELF-1".to_owned()));
    let old = reaches(&orders, &id, "completed").await;
    assert_eq!((&old["version"], old["nodes"].get("check_pieces")), (&json!(1), None));
    // Variants that do not extend it are as they were.
    assert_eq!(version(&orders, "order_auction").await, 1);
    orders.stop().await;
}

/// R35, R47: how a variant differs from its template is shown, and so is who uses what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_are_shown_beside_their_template() {
    let orders = open().await;
    let shown = orders.engine.get("/api/v1/flows/order_virtual/versions/1").await.expect(200).json();
    let nodes = &shown["comparison"]["nodes"];
    assert_eq!(shown["comparison"]["template"], "order_add@1");
    for (node, state) in [
        ("product", "inherited"),
        ("save", "inherited"),
        ("address_used", "overridden"),
        ("prepare", "overridden"),
        ("price", "filled"),
        ("redeem", "added"),
        ("check_address", "removed"),
    ] {
        assert_eq!(nodes[node]["state"], state, "{node}: {nodes:#}");
    }
    assert_eq!(nodes["redeem"]["pointer"], "/slots/deduct/add/0/node");
    assert_eq!(shown["resolved"]["nodes"]["address_used"]["steps"], json!([]));
    assert_eq!(shown["calls"], json!({ "call_payment": 1, "find_coupon": 1, "redeem_coupon": 1 }));
    let users = |used: &Value| {
        let mut users: Vec<String> =
            used["calledBy"].as_array().unwrap().iter().map(|one| one["flow"].as_str().unwrap().to_owned()).collect();
        users.sort();
        users.join(" ")
    };
    for (flow, wanted) in [
        // By the template, and by all that have the call from it.
        ("flows/call_payment", "order_add order_auction order_distribution order_fixed_price order_virtual"),
        ("flows/redeem_coupon", "order_distribution order_fixed_price order_virtual"),
        ("flows/order_add", "order_auction order_distribution order_fixed_price order_virtual order_zero_buy"),
        ("tables/freight", "order_auction order_distribution order_fixed_price"),
    ] {
        let used = orders.engine.get(&format!("/api/v1/{flow}/where-used")).await.expect(200).json();
        assert_eq!(users(&used), wanted, "{flow}");
    }
    // A slot that must be filled, said where it is missing (R44); nothing runs on a template.
    let bare = json!({ "stepwell": 1, "kind": "graph", "key": "order_bare", "extends": "order_add@1", "slots": { "freight": null } });
    let refused =
        orders.engine.post("/api/v1/flows/order_bare/publish", &json!({ "document": bare })).await.expect(422);
    let problems = refused.json()["problems"].clone();
    let at = |pointer: &str| {
        problems.as_array().unwrap().iter().any(|one| one["code"] == "SLOT_UNFILLED" && one["pointer"] == pointer)
    };
    assert!(at("/slots") && at("/slots/freight"), "{problems:#}");
    let started = orders.engine.post("/api/v1/flows/order_add/instances", &json!({ "input": {} })).await.expect(409);
    assert_eq!(started.code(), "FLOW_NOT_PUBLISHED");
    orders.stop().await;
}

/// R32: one type that hangs keeps no other from being placed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_one_type_stays_its_own() {
    let orders = open().await;
    orders.fault(&json!({ "path_prefix": "/points/uses", "latency_ms": 10_000 })).await;
    for number in 0..10 {
        let body = json!({ "input": order(&format!("H-{number}"), &json!({ "type": "zero" })) });
        orders.engine.post("/api/v1/flows/order_zero_buy/instances", &body).await.expect(202);
    }
    until("the points hang", SOON, || async {
        let asked = orders.shop.get("/control/requests?path=/points/uses").await.expect(200).json();
        (asked["items"].as_array().map_or(0, Vec::len) >= 5).then_some(())
    })
    .await;
    assert_eq!(placed(&orders, "H-F", &json!({})).await["amount_cents"], 18_920);
    orders.stop().await;
}
