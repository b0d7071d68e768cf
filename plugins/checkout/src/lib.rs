//! Package `checkout`: an order is paid once. Transactional: what it writes stands with the commit of its answer.
//!
//! An order is a record, and so is its trade: what is to be paid, by whom, and what the gateway said. Statuses by code:
//! `UNPAID` 0, `CREATED` 10 (a trade is there, the gateway was not asked yet), `PAYING` 20, `PAID` 30, `CLOSED` 90; of a
//! trade `OPEN` 10, `PAID` 20, `FAILED` 30.
//!
//! The way: `open` the order; `begin` claims it and makes the trade; a node of another package asks the gateway; `begun`
//! keeps the gateway's number; `end` compares what the gateway says with the trade and applies it. `close` takes an order
//! back that nobody pays for.
//!
//! Invariants:
//! - Every change of an order's status is a compare-and-set: of two that come at once one wins, the other is told so.
//! - A payment of another amount, order, buyer or number than the trade's changes nothing.
//!
//! Not here: the gateway (`payment`), whose word is believed (the trigger that verifies callbacks).

mod adapter;
mod trade;

use adapter::{Adapter, OrderType};
use stepwell_sdk::records::Guard;
use stepwell_sdk::typed::{
    About, Call, Deserialize, Error, JsonSchema, Node, Serialize, Undo, Value, Waiting, json, plugin, refusals,
};
use trade::{Trade, Verdict};

const UNPAID: &str = "UNPAID";
const CREATED: &str = "CREATED";
const PAYING: &str = "PAYING";
const PAID: &str = "PAID";
const CLOSED: &str = "CLOSED";
/// Codes of `UNPAID` and `CREATED`, which a payment may begin from, and of the first that it may not.
const UNPAID_CODE: i32 = 0;
const CREATED_CODE: i32 = 10;
const CLOSED_CODE: i32 = 90;

refusals! {
    enum Refusal {
        OrderAdapterNotFound = "ORDER_ADAPTER_NOT_FOUND": "No record type of this name holds orders",
        OrderNotFound = "ORDER_NOT_FOUND": "There is no such order",
        OrderAlreadyClosed = "ORDER_ALREADY_CLOSED": "The order is closed",
        OrderInvalidPaymentStatus = "ORDER_INVALID_PAYMENT_STATUS": "The order is being paid, or was paid",
        PaymentTradeNotFound = "PAYMENT_TRADE_NOT_FOUND": "No payment of the order was begun",
        PaymentMismatch = "PAYMENT_MISMATCH": "What was paid is not what was to be paid",
    }
}

/// The order as it stood when it was read; it may have moved since.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    /// Order number
    order: String,
    /// Status
    status: String,
    /// Status by number
    status_code: i32,
    /// Counts every write of the order
    revision: u64,
    /// What is to be paid, in cents
    #[serde(rename = "amount_cents")]
    amount_cents: u64,
    /// The order's own fields
    body: Value,
}

/// Open an order
///
/// Makes the order's record, unpaid. One that is there stays as it is, and is answered.
#[derive(JsonSchema)]
struct Open;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OpenInput {
    /// Order number
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "订单号"))]
    order: String,
    /// Amount in cents
    #[schemars(range(min = 0, max = 1_000_000_000_000_u64), extend("x-title-zh-CN" = "金额（分）", "x-ui" = { "format": "money" }))]
    #[serde(rename = "amount_cents")]
    amount_cents: u64,
    /// Who pays, at the payment platform
    #[schemars(extend("x-title-zh-CN" = "支付平台买家号"))]
    buyer: Option<String>,
    /// Further fields of the order
    #[serde(default)]
    #[schemars(extend("x-title-zh-CN" = "订单的其他字段"))]
    details: serde_json::Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Opened {
    /// It was made by this call
    made: bool,
    #[serde(flatten)]
    order: Snapshot,
}

impl Node for Open {
    const NAME: &'static str = "open";
    type Config = OrderType;
    type Input = OpenInput;
    type Output = Opened;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("payment")
            .in_language("zh-CN", "登记订单", "建立订单记录，状态为未支付；已有的订单保持不变。")
            .icon(BOOK)
            .example(
                "A kettle",
                json!({}),
                json!({ "order": "A-1001", "amount_cents": 25_800 }),
                json!({ "made": true, "order": "A-1001", "status": "UNPAID", "statusCode": 0, "revision": 1, "amount_cents": 25_800,
                        "body": { "amount_cents": 25_800 } }),
            )
    }

    fn run(_: &Call, config: OrderType, input: OpenInput) -> Result<Opened, Error> {
        let adapter = Adapter::of(config)?;
        let mut body = input.details;
        body.insert(adapter.names.amount.clone(), input.amount_cents.into());
        if let Some(buyer) = input.buyer {
            body.insert(adapter.names.buyer.clone(), buyer.into());
        }
        let made = adapter.apply(&input.order, Guard::Absent, UNPAID, Some(&Value::Object(body)))?;
        Ok(Opened { made, order: adapter.get(&input.order)? })
    }
}

/// Begin a payment
///
/// Claims the order for one payment: whoever comes second is refused.
#[derive(JsonSchema)]
struct Begin;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BeginConfig {
    #[serde(flatten)]
    order: OrderType,
    /// Also where a payment was created that the gateway was never asked for
    #[serde(default)]
    #[schemars(extend("x-title-zh-CN" = "允许从“已创建”重新发起"))]
    allow_pay_with_created_status: bool,
}

#[derive(Deserialize, JsonSchema)]
struct OrderInput {
    /// Order number
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "订单号"))]
    order: String,
}

impl Node for Begin {
    const NAME: &'static str = "begin";
    type Config = BeginConfig;
    type Input = OrderInput;
    type Output = Snapshot;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("payment")
            .in_language("zh-CN", "占用订单以支付", "同一张单只能发起一次支付：后来者被拒绝。")
            .icon(CLAIM)
    }

    fn run(call: &Call, config: BeginConfig, input: OrderInput) -> Result<Snapshot, Error> {
        let adapter = Adapter::of(config.order)?;
        let order = adapter.get(&input.order)?;
        let most = if config.allow_pay_with_created_status { CREATED_CODE } else { UNPAID_CODE };
        if !adapter.apply(&input.order, Guard::Between(Some(UNPAID_CODE), Some(most)), CREATED, None)? {
            let refusal = if order.status_code >= CLOSED_CODE {
                Refusal::OrderAlreadyClosed
            } else {
                Refusal::OrderInvalidPaymentStatus
            };
            return Err(refusal.because(format!("order {} is {}", input.order, order.status)));
        }
        let buyer = adapter.buyer(&order);
        trade::begin(
            &input.order,
            &Trade { amount_cents: order.amount_cents, buyer, payment: None, key: call.key.clone(), event: None },
        )?;
        adapter.get(&input.order)
    }
}

impl Undo for Begin {
    type Known = Value;

    /// Gives the claim back, unless the order was paid or closed by then.
    fn undo(call: &Call, config: BeginConfig, input: OrderInput, _: Option<Value>) -> Result<Option<Waiting>, Error> {
        let adapter = Adapter::of(config.order)?;
        let forward = call.forward_key.as_deref().unwrap_or_default();
        if trade::is_of(&input.order, forward)? {
            adapter.apply(&input.order, Guard::Between(Some(CREATED_CODE), Some(CREATED_CODE + 10)), UNPAID, None)?;
            trade::fail(&input.order)?;
        }
        Ok(None)
    }
}

/// Keep the gateway's payment
///
/// The gateway has taken the payment on: its number is kept, and the order is being paid.
#[derive(JsonSchema)]
struct Begun;

#[derive(Deserialize, JsonSchema)]
struct BegunInput {
    /// Order number
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "订单号"))]
    order: String,
    /// The gateway's payment
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "网关支付单号"))]
    payment: String,
}

impl Node for Begun {
    const NAME: &'static str = "begun";
    type Config = OrderType;
    type Input = BegunInput;
    type Output = Snapshot;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("payment")
            .in_language("zh-CN", "记录网关支付单", "网关已受理：记录支付单号，订单进入支付中。")
            .icon(BOOK)
    }

    fn run(_: &Call, config: OrderType, input: BegunInput) -> Result<Snapshot, Error> {
        let adapter = Adapter::of(config)?;
        trade::begun(&input.order, &input.payment)?;
        // The callback may have been quicker: then the order is paid, and stays so.
        adapter.apply(&input.order, Guard::Status(CREATED), PAYING, None)?;
        adapter.get(&input.order)
    }
}

/// End a payment
///
/// Compares what the gateway says with what was begun, and applies it to the order, once.
#[derive(JsonSchema)]
struct End;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EndInput {
    /// Order number
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "订单号"))]
    order: String,
    /// PAID or FAILED
    #[schemars(extend("x-title-zh-CN" = "支付结果"))]
    status: String,
    /// What was paid, in cents
    #[schemars(extend("x-title-zh-CN" = "实付金额（分）"))]
    #[serde(rename = "amount_cents")]
    amount_cents: Option<u64>,
    /// The gateway's payment
    #[schemars(extend("x-title-zh-CN" = "网关支付单号"))]
    payment: Option<String>,
    /// Who paid, at the payment platform
    #[schemars(extend("x-title-zh-CN" = "支付平台买家号"))]
    buyer: Option<String>,
    /// The gateway's event
    #[schemars(extend("x-title-zh-CN" = "网关事件号"))]
    event: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Ended {
    /// The order changed by this call; otherwise it was ended before
    applied: bool,
    #[serde(flatten)]
    order: Snapshot,
}

impl Node for End {
    const NAME: &'static str = "end";
    type Config = OrderType;
    type Input = EndInput;
    type Output = Ended;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("payment")
            .in_language("zh-CN", "完成支付", "将网关的结果与交易单核对，并只对订单生效一次。")
            .icon(DONE)
    }

    fn run(_: &Call, config: OrderType, input: EndInput) -> Result<Ended, Error> {
        let adapter = Adapter::of(config)?;
        let order = adapter.get(&input.order)?;
        let known = trade::get(&input.order)?;
        let verdict = trade::verify(&known, &input).map_err(|what| {
            Refusal::PaymentMismatch.because(format!("the payment of order {} is of another {what}", input.order))
        })?;
        let between = Guard::Between(Some(CREATED_CODE), Some(CREATED_CODE + 10));
        let applied = match verdict {
            Verdict::Paid => adapter.apply(&input.order, between, PAID, None)?,
            Verdict::Failed => adapter.apply(&input.order, between, UNPAID, None)?,
        };
        if applied {
            trade::end(&input.order, &known, verdict, input.event)?;
        } else if verdict == Verdict::Paid && order.status_code >= CLOSED_CODE {
            // Paid all the same: the flow has to give it back.
            return Err(Refusal::OrderAlreadyClosed.because(format!("order {} was closed, and paid", input.order)));
        }
        Ok(Ended { applied, order: adapter.get(&input.order)? })
    }
}

/// Close an order
///
/// Takes an order back that nobody pays for. One that is being paid, or was paid, is refused.
#[derive(JsonSchema)]
struct Close;

impl Node for Close {
    const NAME: &'static str = "close";
    type Config = OrderType;
    type Input = OrderInput;
    type Output = Snapshot;
    type Refusal = Refusal;

    fn about() -> About {
        About::category("payment")
            .in_language("zh-CN", "关闭订单", "关闭无人支付的订单；支付中或已支付的订单被拒绝。")
            .icon(CLAIM)
    }

    fn run(_: &Call, config: OrderType, input: OrderInput) -> Result<Snapshot, Error> {
        let adapter = Adapter::of(config)?;
        let order = adapter.get(&input.order)?;
        let closed = adapter.apply(&input.order, Guard::Between(None, Some(CREATED_CODE)), CLOSED, None)?;
        if !closed && order.status_code < CLOSED_CODE {
            return Err(
                Refusal::OrderInvalidPaymentStatus.because(format!("order {} is {}", input.order, order.status))
            );
        }
        adapter.get(&input.order)
    }
}

plugin!(Open, Begin, Begun, End, Close; undo: Begin);

const BOOK: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="M5 4h14v16H5z"/><path d="M8.500 9h7M8.500 13h7M8.500 17h4"/></svg>"#;
const CLAIM: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="M5 11h14v9H5z"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/></svg>"#;
const DONE: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"><circle cx="12" cy="12" r="8.500"/><path d="m8.500 12.250 2.500 2.500 4.750-5"/></svg>"#;

#[cfg(test)]
mod tests;
