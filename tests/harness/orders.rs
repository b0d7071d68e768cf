//! A shop and an engine that know each other: the stand-in outside world, the bundled plugins, the
//! sample flows and the grants between them.

use std::path::PathBuf;

use commerce::Running;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, Options, Stepwell, repository};

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
            ..Options::default()
        };
        let engine = Stepwell::start(options).await;
        let orders = Self { engine, shop, running, _folder: folder };
        orders
            .settings(&json!({ "callback_url": orders.engine.url(), "callback_token": Options::default().token }))
            .await;
        orders
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
            { "plugin": "payment", "connection": "gateway" },
            { "plugin": "http", "connection": "shop" },
        ],
    })
}

/// One community order's input.
pub fn community_order(order: &str) -> Value {
    json!({ "orderId": order, "sku": "SKU-1", "quantity": 2, "amount_cents": 12_900, "communityId": "C-7" })
}
