//! How a record type holds orders: which one it is, where its amount and buyer stand, and how a payment is applied. A shop
//! with several kinds of orders has a record type for each, and says so in the node's config.

use stepwell_sdk::records::{self, Guard};
use stepwell_sdk::typed::{Deserialize, Error, JsonSchema, Value, permanent};

use crate::{Refusal, Snapshot};

/// Which record type an order is of, and how it says things.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct OrderType {
    /// Record type of the orders
    #[serde(rename = "orderType", default = "order")]
    #[schemars(length(min = 1, max = 64), extend("x-title-zh-CN" = "订单的记录类型"))]
    pub(crate) name: String,
    /// Field with the amount in cents
    #[serde(default = "amount")]
    #[schemars(length(min = 1, max = 64), extend("x-title-zh-CN" = "金额字段", "x-ui" = { "advanced": true }))]
    pub(crate) amount: String,
    /// Field with the buyer
    #[serde(default = "buyer")]
    #[schemars(length(min = 1, max = 64), extend("x-title-zh-CN" = "买家字段", "x-ui" = { "advanced": true }))]
    pub(crate) buyer: String,
}

fn order() -> String {
    "order".to_owned()
}

fn amount() -> String {
    "amount_cents".to_owned()
}

fn buyer() -> String {
    "buyer".to_owned()
}

/// Orders of one type.
pub(crate) struct Adapter {
    pub(crate) names: OrderType,
}

impl Adapter {
    pub(crate) fn of(names: OrderType) -> Result<Self, Error> {
        if !records::is_type(&names.name)? {
            return Err(Refusal::OrderAdapterNotFound.because(format!("there is no record type {}", names.name)));
        }
        Ok(Self { names })
    }

    /// The order, with all that payments know of it.
    pub(crate) fn get(&self, id: &str) -> Result<Snapshot, Error> {
        let found = records::get::<Value>(&self.names.name, id)?;
        let found = found.ok_or_else(|| Refusal::OrderNotFound.because(format!("there is no order {id}")))?;
        let amount_cents = found.body[&self.names.amount]
            .as_u64()
            .ok_or_else(|| permanent(format!("order {id} says no amount in {}", self.names.amount)))?;
        Ok(Snapshot {
            order: found.id,
            status: found.status,
            status_code: found.status_code,
            revision: found.revision,
            amount_cents,
            body: found.body,
        })
    }

    pub(crate) fn buyer(&self, order: &Snapshot) -> Option<String> {
        order.body[&self.names.buyer].as_str().map(str::to_owned)
    }

    /// Sets the order's status where the guard holds. `false` is a lost race.
    pub(crate) fn apply(&self, id: &str, guard: Guard<'_>, status: &str, body: Option<&Value>) -> Result<bool, Error> {
        Ok(records::compare_and_set(&self.names.name, id, guard, status, body)?.is_some())
    }
}
