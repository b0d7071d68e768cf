//! A payment from its beginning to its end: begin, wait for the gateway's callback, compare.

use crate::gateway::{self, Known, Order, gateway};
use serde::{Deserialize, Serialize};
use stepwell_sdk::{Error, OUT, Outcome, Signal, SignalKind, done, permanent, rejected, wait};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "gateway")]
    connection: String,
    callback_url: Option<String>,
    /// Name of the message that the gateway's callback is turned into.
    #[serde(default = "payment")]
    message: String,
    /// How long the customer has, such as `30m`.
    #[serde(default = "half_an_hour")]
    timeout: String,
}

fn payment() -> String {
    "payment".to_owned()
}

fn half_an_hour() -> String {
    "30m".to_owned()
}

/// What is remembered while waiting, and compared with the callback.
#[derive(Deserialize, Serialize)]
pub(crate) struct Memo {
    payment: String,
    order: String,
    amount_cents: u64,
}

/// The callback. What it leaves out is not compared.
#[derive(Deserialize)]
struct Callback {
    status: String,
    payment: Option<String>,
    amount_cents: Option<u64>,
}

pub(crate) fn run(config: &Config, order: &Order) -> Result<Outcome, Error> {
    settled_or_wait(config, order, gateway::begin(&config.connection, config.callback_url.as_deref(), order)?)
}

pub(crate) fn settled_or_wait(config: &Config, order: &Order, known: Known) -> Result<Outcome, Error> {
    let Known { payment, status } = known;
    let memo = Memo { payment, order: order.order.clone(), amount_cents: order.amount_cents };
    by_status(config, &memo, &status)
}

pub(crate) fn resume(config: &Config, memo: &Memo, signal: &Signal) -> Result<Outcome, Error> {
    match signal.kind {
        SignalKind::Timeout => Err(rejected("PAYMENT_TIMEOUT", format!("order {} was not paid in time", memo.order))),
        SignalKind::Cancelled => Err(cancelled(memo)),
        SignalKind::Message => {
            let mismatch =
                |what: &str| rejected("PAYMENT_MISMATCH", format!("the callback for order {} {what}", memo.order));
            let callback: Callback = serde_json::from_str(&signal.payload).map_err(|_| mismatch("does not read"))?;
            // A late word about an earlier payment of the order settles nothing about this one: the wait
            // goes on, and ends when it would have.
            if callback.payment.is_some_and(|payment| payment != memo.payment) {
                return wait(&config.message, &memo.order, None, memo);
            }
            if callback.amount_cents.is_some_and(|amount| amount != memo.amount_cents) {
                return Err(mismatch("is about another amount"));
            }
            by_status(config, memo, &callback.status)
        }
    }
}

fn by_status(config: &Config, memo: &Memo, status: &str) -> Result<Outcome, Error> {
    match status {
        "PAID" => done(OUT, &Known { payment: memo.payment.clone(), status: status.to_owned() }),
        "FAILED" => Err(rejected("PAYMENT_FAILED", format!("the payment of order {} failed", memo.order))),
        "CANCELLED" | "REFUNDED" => Err(cancelled(memo)),
        // Still on its way: the callback will come, or come again.
        _ => wait(&config.message, &memo.order, Some(milliseconds(&config.timeout)?), memo),
    }
}

fn cancelled(memo: &Memo) -> Error {
    rejected("PAYMENT_CANCELLED", format!("the payment of order {} was cancelled", memo.order))
}

/// A duration as flows write it: a whole number and `ms`, `s`, `m`, `h` or `d`.
fn milliseconds(text: &str) -> Result<u64, Error> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| *ms > 0)
        .ok_or_else(|| permanent(format!("timeout {text} is not a duration such as 30m")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read() {
        for (text, ms) in [
            ("250ms", Some(250)),
            ("3s", Some(3_000)),
            ("30m", Some(1_800_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("0s", None),
            ("s", None),
            ("1.5h", None),
            ("10", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(super::milliseconds(text).ok(), ms, "{text}");
        }
    }
}
