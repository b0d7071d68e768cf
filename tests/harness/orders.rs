//! A shop and an engine that know each other: the stand-in outside world, the bundled plugins, the
//! sample flows and the grants between them.

use std::path::PathBuf;
use std::time::Duration;

use commerce::Running;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, Options, Stepwell, repository, until};

/// An engine with its shop. The shop outlives every crash of the engine.
pub struct Orders {
    pub engine: Stepwell,
    pub shop: Client,
    running: Running,
    _folder: TempDir,
}

impl Orders {
    /// Starts a shop, then an engine that may call it, with the sample flows published.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// As [`Self::start`], with an engine of one's own choice.
    pub async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = commerce::Config::new(folder.path().join("shop.db"));
        let running = commerce::serve(config).await.expect("the shop starts");
        let shop = Client::new(&running.url(), None);
        let grants = folder.path().join("grants.json");
        std::fs::write(&grants, grants_for(running.addr.port()).to_string()).expect("a grants file");
        let options = Options {
            plugins: Some(plugins()),
            flows: Some(repository().join("flows")),
            grants: Some(grants),
            ..options
        };
        let engine = Stepwell::start(options).await;
        let orders = Self { engine, shop, running, _folder: folder };
        orders
            .settings(&json!({ "callback_url": orders.engine.url(), "callback_token": Options::default().token }))
            .await;
        orders
    }

    /// Another engine on the same database and with the same shop. `name` is what its connections
    /// are called on the server.
    pub async fn another(&self, name: &str, args: &[&str]) -> Stepwell {
        Stepwell::start(self.engine.options().named(name, args)).await
    }

    /// Changes the shop's settings.
    pub async fn settings(&self, settings: &Value) {
        self.shop.put("/control/settings", &[], settings).await.expect(200);
    }

    /// Sets the faults of one path prefix of the shop.
    pub async fn fault(&self, rule: &Value) {
        self.shop.put("/control/faults", &[], rule).await.expect(200);
    }

    /// Every effect an order had on the world: kind and whether it was undone, in the order they came.
    pub async fn effects(&self, order: &str) -> Vec<(String, bool)> {
        let reply = self.shop.get(&format!("/control/effects?order={order}")).await.expect(200);
        let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|item| {
                (item["kind"].as_str().unwrap_or_default().to_owned(), item["undone"].as_bool().unwrap_or_default())
            })
            .collect()
    }

    /// The paths asked for an order, in the order they came.
    pub async fn paths(&self, order: &str) -> Vec<String> {
        let reply = self.shop.get(&format!("/control/requests?order={order}")).await.expect(200);
        let items = reply.json()["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["path"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub async fn stop(self) {
        drop(self.engine);
        self.running.shutdown().await;
    }
}

/// The bundled plugins as `cargo xtask` built them.
pub fn plugins() -> PathBuf {
    let folder = repository().join("dist/plugins");
    assert!(folder.is_dir(), "{} is missing; run `cargo xtask test`, which builds the plugins", folder.display());
    folder
}

fn grants_for(port: u16) -> Value {
    let connection = json!({
        "scheme": "http", "host": "127.0.0.1", "port": port, "methods": ["GET", "POST"], "pathPrefix": "/", "allowPrivate": true,
    });
    json!({
        "connections": { "shop": connection, "gateway": connection },
        "grants": [
            { "plugin": "commerce", "connection": "shop" },
            { "plugin": "community", "connection": "shop" },
            { "plugin": "checkout", "records": ["order", "payment_trade"] },
            { "plugin": "payment", "connection": "gateway" },
            { "plugin": "http", "connection": "shop" },
        ],
    })
}

/// One community order's input.
pub fn community_order(order: &str) -> Value {
    json!({ "orderId": order, "sku": "SKU-1", "quantity": 2, "amount_cents": 12_900, "communityId": "C-7" })
}

/// Every fifth order is not paid and must be undone in full.
pub fn order(number: usize) -> String {
    if number.is_multiple_of(5) { format!("UNPAID-{number}") } else { format!("ORDER-{number}") }
}

/// Starts every order that was not acknowledged yet, under its own Idempotency-Key, at these engines in turn.
pub async fn start_orders(engines: &[&Client], ids: &mut [Option<String>]) {
    let missing: Vec<usize> = (0..ids.len()).filter(|&number| ids[number].is_none()).collect();
    for batch in missing.chunks(16) {
        let asked = batch.iter().map(|&number| async move {
            let order = order(number);
            let body = json!({ "input": community_order(&order) }).to_string();
            let headers = [("idempotency-key", order.as_str())];
            let engine = engines[number % engines.len()];
            let reply = engine.send("POST", "/api/v1/flows/community_order/instances", &headers, body).await;
            let id = reply.ok().filter(|reply| reply.status < 300).map(|reply| reply.json()["id"].clone());
            (number, id)
        });
        for (number, id) in join_all(asked).await {
            if let Some(Value::String(id)) = id {
                ids[number] = Some(id);
            }
        }
    }
}

/// Waits until no order is under way any more.
pub async fn every_order_ended(engine: &Client, within: Duration) {
    let left = || async {
        let mut left = 0;
        for state in ["running", "waiting", "compensating", "incident", "suspended"] {
            let page = engine.get(&format!("/api/v1/instances?flow=community_order&state={state}&limit=1")).await;
            left += page.json()["items"].as_array().map_or(1, Vec::len);
        }
        (left == 0).then_some(())
    };
    until("every order has ended", within, left).await;
}

/// Every order was acknowledged, and ended as it should.
pub async fn prove_ends(engine: &Client, ids: &[Option<String>]) {
    for (number, id) in ids.iter().enumerate() {
        let id = id.as_ref().expect("every order was acknowledged");
        let instance = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
        let unpaid = order(number).starts_with("UNPAID");
        let wanted = if unpaid { "CANCELLED" } else { "SHIPPED" };
        assert_eq!(instance["output"]["status"], wanted, "{}: {instance:#}", order(number));
    }
}

/// The shop saw one key and one effect per order and step; paid orders keep their effects, one of each
/// kind, and unpaid ones keep none. Returns how many keys came more than once.
pub async fn prove_effects(orders: &Orders, count: usize) -> u64 {
    let summary = orders.shop.get("/control/summary").await.expect(200).json();
    let told = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary:#}"));
    assert_eq!(told("order_kinds_with_many_keys"), 0, "{summary:#}");
    assert_eq!(told("order_kinds_with_many_effects"), 0, "{summary:#}");
    for number in 0..count {
        let order = order(number);
        let effects = orders.effects(&order).await;
        let kept: Vec<&str> = effects.iter().filter(|(_, undone)| !undone).map(|(kind, _)| kind.as_str()).collect();
        if order.starts_with("UNPAID") {
            assert!(kept.is_empty(), "{order} keeps {effects:?}");
        } else {
            assert_eq!(kept.len(), effects.len(), "{order}: {effects:?}");
            assert_eq!(kept.len(), 4, "stock, locker, payment and shipment of {order}: {effects:?}");
        }
    }
    told("keys_repeated")
}
