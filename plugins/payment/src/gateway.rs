//! The payment gateway's requests.

use serde::{Deserialize, Serialize};
use stepwell_sdk::http::{Request, encode};
use stepwell_sdk::{Call, Error, permanent};

/// What every node type of this package is configured with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    #[serde(default = "gateway")]
    pub(crate) connection: String,
    /// Where the gateway calls back, if not where it always does.
    pub(crate) callback_url: Option<String>,
}

pub(crate) fn gateway() -> String {
    "gateway".to_owned()
}

/// What is to be paid. Goes to the gateway as it is.
#[derive(Deserialize, Serialize)]
pub(crate) struct Order {
    pub(crate) order: String,
    pub(crate) amount_cents: u64,
}

/// A payment as the gateway knows it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Known {
    pub(crate) payment: String,
    /// `PAYING`, `PAID`, `FAILED`, or a state that ends it otherwise.
    pub(crate) status: String,
}

pub(crate) fn begin(connection: &str, callback_url: Option<&str>, order: &Order) -> Result<Known, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(flatten)]
        order: &'a Order,
        #[serde(skip_serializing_if = "Option::is_none")]
        callback_url: Option<&'a str>,
    }
    Request::new("POST", connection, "/gateway/payments").json(&Body { order, callback_url })?.send()?.accepted()
}

/// The payment that was begun under this key, or none.
pub(crate) fn find(connection: &str, key: &str) -> Result<Option<Known>, Error> {
    let response = Request::new("GET", connection, format!("/gateway/payments?key={}", encode(key))).send()?;
    if response.status == 404 {
        return Ok(None);
    }
    response.accepted().map(Some)
}

/// Cancels or refunds. Succeeds where there never was a payment, and keeps one from beginning late.
pub(crate) fn cancel(connection: &str, call: &Call, known: Option<&Known>) -> Result<(), Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        forward_key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payment: Option<&'a str>,
    }
    let forward_key = call.forward_key.as_deref().ok_or_else(|| permanent("an undo needs the forward key"))?;
    let body = Body { forward_key, payment: known.map(|known| &*known.payment) };
    let response = Request::new("POST", connection, "/gateway/payments/cancel").json(&body)?.send()?;
    response.accepted::<serde::de::IgnoredAny>().map(drop)
}
