//! Trades: what is to be paid for an order, by its number. One at a time: a payment that is begun anew takes the place of
//! one that failed.

use stepwell_sdk::records::{self, Guard};
use stepwell_sdk::typed::{Deserialize, Error, Serialize};

use crate::{EndInput, Refusal};

const TYPE: &str = "payment_trade";
const OPEN: &str = "OPEN";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trade {
    pub(crate) amount_cents: u64,
    pub(crate) buyer: Option<String>,
    /// The gateway's number of it, once it has one.
    pub(crate) payment: Option<String>,
    /// Of the call that began it.
    pub(crate) key: String,
    /// The gateway's event that ended it.
    pub(crate) event: Option<String>,
}

/// What the gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Paid,
    Failed,
}

pub(crate) fn begin(order: &str, trade: &Trade) -> Result<(), Error> {
    records::put(TYPE, order, OPEN, trade).map(drop)
}

pub(crate) fn get(order: &str) -> Result<Trade, Error> {
    let found = records::get::<Trade>(TYPE, order)?;
    let none = || Refusal::PaymentTradeNotFound.because(format!("no payment of order {order} was begun"));
    found.map(|record| record.body).ok_or_else(none)
}

/// Whether that call began the trade as it stands.
pub(crate) fn is_of(order: &str, key: &str) -> Result<bool, Error> {
    Ok(records::get::<Trade>(TYPE, order)?.is_some_and(|record| record.body.key == key))
}

pub(crate) fn begun(order: &str, payment: &str) -> Result<(), Error> {
    let trade = Trade { payment: Some(payment.to_owned()), ..get(order)? };
    records::compare_and_set(TYPE, order, Guard::Status(OPEN), OPEN, Some(&trade)).map(drop)
}

pub(crate) fn fail(order: &str) -> Result<(), Error> {
    records::set_status(TYPE, order, Guard::Status(OPEN), "FAILED").map(drop)
}

pub(crate) fn end(order: &str, trade: &Trade, verdict: Verdict, event: Option<String>) -> Result<(), Error> {
    let status = if verdict == Verdict::Paid { "PAID" } else { "FAILED" };
    records::put(TYPE, order, status, &Trade { event, ..trade.clone() }).map(drop)
}

/// What the gateway says of this trade; `Err`: it is about something else, namely another …
pub(crate) fn verify(trade: &Trade, said: &EndInput) -> Result<Verdict, &'static str> {
    let differs =
        |known: Option<&String>, said: Option<&String>| known.zip(said).is_some_and(|(known, said)| known != said);
    if differs(trade.payment.as_ref(), said.payment.as_ref()) {
        return Err("number");
    }
    if differs(trade.buyer.as_ref(), said.buyer.as_ref()) {
        return Err("buyer");
    }
    let verdict = match said.status.as_str() {
        "PAID" => Verdict::Paid,
        "FAILED" => Verdict::Failed,
        _ => return Err("status"),
    };
    // What failed may say no amount; what was paid must.
    match said.amount_cents {
        Some(amount_cents) if amount_cents == trade.amount_cents => Ok(verdict),
        None if verdict == Verdict::Failed => Ok(verdict),
        _ => Err("amount"),
    }
}
