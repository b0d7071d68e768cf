//! Package `community`: property accounts, and parcels that are looked after until they arrive. External.
//!
//! A parcel is polled: between two looks the visit is parked, and costs nothing. A message of the carrier's ends the wait
//! as well.

use stepwell_sdk::http::{Request, encode};
use stepwell_sdk::typed::{
    About, Call, Deserialize, Error, JsonSchema, Node, Resume, Serialize, Signal, Undo, Waiting, Waits, json, plugin,
    refusals,
};

/// Which connection leads to the services.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Connection
    #[serde(default = "shop")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9-]+$"), extend("x-title-zh-CN" = "连接", "x-ui" = { "widget": "connection", "advanced": true }))]
    connection: String,
}

fn shop() -> String {
    "shop".to_owned()
}

/// Check a property account
///
/// Asks whether the account is there and may be paid into.
#[derive(JsonSchema)]
struct CheckAccount;

#[derive(Deserialize, JsonSchema)]
struct AccountInput {
    /// Property account
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "物业账户"))]
    account: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the service names its answer so")]
struct Account {
    /// Property account
    account: String,
    /// Status
    status: String,
    /// Balance in cents
    balance_cents: i64,
}

refusals! {
    enum AccountRefusal {
        NoAccount = "NO_ACCOUNT": "There is no such property account",
        NotActive = "ACCOUNT_NOT_ACTIVE": "The property account cannot be paid into",
    }
}

impl Node for CheckAccount {
    const NAME: &'static str = "check-account";
    type Config = Config;
    type Input = AccountInput;
    type Output = Account;
    type Refusal = AccountRefusal;

    fn about() -> About {
        About::category("commerce")
            .in_language("zh-CN", "校验物业账户", "查询物业账户是否存在、是否可以缴费。")
            .icon(HOUSE)
            .example_with_tape(
                "An account",
                json!({}),
                json!({ "account": "P-7" }),
                json!({ "account": "P-7", "status": "ACTIVE", "balance_cents": 0 }),
                json!([{ "request": { "method": "GET", "connection": "shop", "path": "/property/accounts/P-7" },
                         "response": { "status": 200, "body": { "account": "P-7", "status": "ACTIVE", "balance_cents": 0 } } }]),
            )
    }

    fn run(_: &Call, config: Config, input: AccountInput) -> Result<Account, Error> {
        let path = format!("/property/accounts/{}", encode(&input.account));
        let account: Account = Request::new("GET", &config.connection, path).send()?.accepted()?;
        if account.status != "ACTIVE" {
            return Err(AccountRefusal::NotActive.because(format!("account {} is {}", account.account, account.status)));
        }
        Ok(account)
    }
}

/// Pay a property fee
///
/// Books a fee on a property account; takes it out again when undone.
#[derive(JsonSchema)]
struct PayFee;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Fee {
    /// Property account
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "物业账户"))]
    account: String,
    /// Amount in cents
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64), extend("x-title-zh-CN" = "金额（分）", "x-ui" = { "format": "money" }))]
    amount_cents: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct FeePaid {
    /// Payment
    payment: String,
    /// Balance in cents
    balance_cents: i64,
}

impl Node for PayFee {
    const NAME: &'static str = "pay-fee";
    type Config = Config;
    type Input = Fee;
    type Output = FeePaid;
    type Refusal = AccountRefusal;

    fn about() -> About {
        About::category("commerce")
            .in_language("zh-CN", "缴纳物业费", "在物业账户上记一笔缴费；撤销时冲回。")
            .icon(HOUSE)
            .example_with_tape(
                "A month",
                json!({}),
                json!({ "account": "P-7", "amount_cents": 32_000 }),
                json!({ "payment": "PRP-1", "balance_cents": 32_000 }),
                json!([{ "request": { "method": "POST", "connection": "shop", "path": "/property/payments",
                                      "body": { "account": "P-7", "amount_cents": 32_000 } },
                         "response": { "status": 201, "body": { "payment": "PRP-1", "account": "P-7", "amount_cents": 32_000, "balance_cents": 32_000 } } }]),
            )
    }

    fn run(_: &Call, config: Config, input: Fee) -> Result<FeePaid, Error> {
        Request::new("POST", &config.connection, "/property/payments").json(&input)?.send()?.accepted()
    }
}

impl Undo for PayFee {
    type Known = FeePaid;

    fn undo(call: &Call, config: Config, _: Fee, known: Option<FeePaid>) -> Result<Option<Waiting>, Error> {
        let mut body = json!({ "forwardKey": call.forward_key });
        if let Some(known) = known {
            body["payment"] = known.payment.into();
        }
        let response = Request::new("POST", &config.connection, "/property/payments/cancel").json(&body)?.send()?;
        response.accepted::<serde::de::IgnoredAny>()?;
        Ok(None)
    }
}

/// Await a parcel
///
/// Looks after a parcel until it is delivered: every so often, a number of times.
#[derive(JsonSchema)]
struct AwaitParcel;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PollConfig {
    /// Connection
    #[serde(default = "shop")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9-]+$"), extend("x-title-zh-CN" = "连接", "x-ui" = { "widget": "connection", "advanced": true }))]
    connection: String,
    /// Milliseconds between two looks
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 100, max = 86_400_000), extend("x-title-zh-CN" = "两次查询的间隔（毫秒）"))]
    every_ms: u64,
    /// Looks at most
    #[serde(default = "a_day_of_looks")]
    #[schemars(range(min = 1, max = 10_000), extend("x-title-zh-CN" = "最多查询次数"))]
    looks: u32,
}

fn half_a_minute() -> u64 {
    30_000
}

fn a_day_of_looks() -> u32 {
    2_880
}

#[derive(Deserialize, JsonSchema)]
struct ParcelInput {
    /// Parcel
    #[schemars(length(min = 1, max = 200), extend("x-title-zh-CN" = "包裹号"))]
    parcel: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Delivered {
    /// Parcel
    parcel: String,
    /// Status
    state: String,
    /// How often was looked
    looks: u32,
}

/// What is kept between two looks.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    parcel: String,
    looks: u32,
}

refusals! {
    enum ParcelRefusal {
        Cancelled = "PARCEL_CANCELLED": "The parcel was cancelled",
        NotDelivered = "NOT_DELIVERED": "The parcel did not arrive in time",
        NoParcel = "NO_PARCEL": "There is no such parcel",
    }
}

impl Node for AwaitParcel {
    const NAME: &'static str = "await-parcel";
    type Config = PollConfig;
    type Input = ParcelInput;
    type Output = Waits<Delivered, Watch>;
    type Refusal = ParcelRefusal;

    fn about() -> About {
        About::category("commerce")
            .in_language("zh-CN", "等待包裹送达", "定时查询物流，直到送达或超过次数。")
            .icon(VAN)
            .example_with_tape(
                "Delivered at the first look",
                json!({}),
                json!({ "parcel": "PAR-1" }),
                json!({ "parcel": "PAR-1", "state": "DELIVERED", "looks": 1 }),
                json!([{ "request": { "method": "GET", "connection": "shop", "path": "/logistics/parcels/PAR-1" },
                         "response": { "status": 200, "body": { "parcel": "PAR-1", "state": "DELIVERED", "delivered": true } } }]),
            )
    }

    fn run(_: &Call, config: PollConfig, input: ParcelInput) -> Result<Self::Output, Error> {
        look(&config, Watch { parcel: input.parcel, looks: 0 })
    }
}

impl Resume for AwaitParcel {
    type Memo = Watch;

    /// Whatever ended the wait, the carrier is asked: a message is somebody else's word.
    fn resume(_: &Call, config: PollConfig, memo: Watch, _: Signal) -> Result<Self::Output, Error> {
        look(&config, memo)
    }
}

fn look(config: &PollConfig, watch: Watch) -> Result<Waits<Delivered, Watch>, Error> {
    #[derive(Deserialize)]
    struct Parcel {
        state: String,
    }
    let path = format!("/logistics/parcels/{}", encode(&watch.parcel));
    let found: Parcel = Request::new("GET", &config.connection, path).send()?.accepted()?;
    let watch = Watch { looks: watch.looks + 1, ..watch };
    match found.state.as_str() {
        "DELIVERED" => Ok(Waits::Done(Delivered { parcel: watch.parcel, state: found.state, looks: watch.looks })),
        "CANCELLED" => Err(ParcelRefusal::Cancelled.because(format!("parcel {} was cancelled", watch.parcel))),
        state if watch.looks >= config.looks => Err(ParcelRefusal::NotDelivered
            .because(format!("parcel {} is {state} after {} looks", watch.parcel, watch.looks))),
        _ => Ok(Waits::Wait {
            message: "parcel".to_owned(),
            key: watch.parcel.clone(),
            timeout_ms: Some(config.every_ms),
            memo: watch,
        }),
    }
}

plugin!(CheckAccount, PayFee, AwaitParcel; undo: PayFee; resume: AwaitParcel);

const HOUSE: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="m4 11 8-7 8 7v9h-5.500v-5.500h-5V20H4z"/></svg>"#;
const VAN: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="M3 6.500h10.500V16H3zM13.500 10h4l3.500 3.250V16h-7.500z"/><circle cx="7.500" cy="17.500" r="1.750"/><circle cx="17" cy="17.500" r="1.750"/></svg>"#;

#[cfg(test)]
mod tests {
    use super::StepwellPlugin;
    use stepwell_sdk::http::tape;
    use stepwell_sdk::testing::{answer, call, show};
    use stepwell_sdk::{Plugin, Signal, SignalKind};

    fn parcel(reply: &str) {
        tape::put(&format!(
            r#"[{{"request":{{"method":"GET","connection":"shop","path":"/logistics/parcels/P1"}},"response":{reply}}}]"#
        ));
    }

    #[test]
    fn a_parcel_is_looked_after() {
        for (memo, reply, expected) in [
            ("", r#"{"status":200,"body":{"state":"CREATED"}}"#, r#"wait parcel P1 500 {"parcel":"P1","looks":1}"#),
            (
                r#"{"parcel":"P1","looks":1}"#,
                r#"{"status":200,"body":{"state":"IN_TRANSIT"}}"#,
                r#"wait parcel P1 500 {"parcel":"P1","looks":2}"#,
            ),
            (
                r#"{"parcel":"P1","looks":2}"#,
                r#"{"status":200,"body":{"state":"IN_TRANSIT"}}"#,
                "rejected NOT_DELIVERED ",
            ),
            (
                r#"{"parcel":"P1","looks":2}"#,
                r#"{"status":200,"body":{"state":"DELIVERED"}}"#,
                r#"done out {"parcel":"P1","state":"DELIVERED","looks":3}"#,
            ),
            ("", r#"{"status":200,"body":{"state":"CANCELLED"}}"#, "rejected PARCEL_CANCELLED "),
            ("", r#"{"status":404,"body":{"code":"NO_PARCEL","message":"none"}}"#, "rejected NO_PARCEL "),
            ("", r#"{"status":503}"#, "transient "),
        ] {
            parcel(reply);
            let config = r#"{"every_ms":500,"looks":3}"#;
            let shown = if memo.is_empty() {
                answer::<StepwellPlugin>("await-parcel", config, r#"{"parcel":"P1"}"#)
            } else {
                let signal = Signal { kind: SignalKind::Timeout, payload: "null".to_owned() };
                show(StepwellPlugin::resume("await-parcel", &call(), config, memo, &signal))
            };
            assert!(shown.starts_with(expected), "{memo} {reply}: {shown}");
            tape::assert_played(reply);
        }
    }

    #[test]
    fn an_account_that_cannot_be_paid_into_is_refused() {
        for (reply, expected) in [
            (r#"{"status":404,"body":{"code":"NO_ACCOUNT","message":"none"}}"#, "rejected NO_ACCOUNT "),
            (
                r#"{"status":200,"body":{"account":"P-7","status":"FROZEN","balance_cents":1}}"#,
                "rejected ACCOUNT_NOT_ACTIVE ",
            ),
        ] {
            tape::put(&format!(
                r#"[{{"request":{{"method":"GET","connection":"shop","path":"/property/accounts/P-7"}},"response":{reply}}}]"#
            ));
            let shown = answer::<StepwellPlugin>("check-account", "{}", r#"{"account":"P-7"}"#);
            assert!(shown.starts_with(expected), "{reply}: {shown}");
        }
    }
}
