//! What the short way of writing nodes comes to: the manifest, and each kind of answer.

#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use stepwell_sdk::http::Request;
use stepwell_sdk::typed::*;
use stepwell_sdk::{Plugin, http::tape, testing};

/// Greet
///
/// Says hello to somebody.
#[derive(JsonSchema)]
struct Greet;

#[derive(Deserialize, JsonSchema)]
struct Person {
    /// Who is greeted
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

refusals! {
    enum Refusal {
        NoName = "NO_NAME": "There is nobody to greet",
    }
}

impl Node for Greet {
    const NAME: &'static str = "greet";
    type Config = NoConfig;
    type Input = Person;
    type Output = Greeting;
    type Refusal = Refusal;

    fn about() -> About {
        let about = About::category("text").in_language("zh-CN", "问候", "向某人问好。");
        about.example("Somebody", json!({}), json!({ "name": "Ada" }), json!({ "text": "Hello, Ada" }))
    }

    fn run(_: &Call, _: NoConfig, input: Person) -> Result<Greeting, Error> {
        if input.name.is_empty() {
            return Err(Refusal::NoName.into());
        }
        Ok(Greeting { text: format!("Hello, {}", input.name) })
    }
}

/// Pay
#[derive(JsonSchema)]
struct Pay;

#[derive(Deserialize, JsonSchema)]
struct Bill {
    order: String,
    amount_cents: u64,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Paid {
    payment: String,
}

impl Node for Pay {
    const NAME: &'static str = "pay";
    type Config = NoConfig;
    type Input = Bill;
    type Output = Waits<Paid, Paid>;
    type Refusal = NoRefusal;

    fn about() -> About {
        About::category("payment").example_with_tape(
            "Paid at once",
            json!({}),
            json!({ "order": "o1", "amount_cents": 990 }),
            json!({ "payment": "P1" }),
            json!([{ "request": { "method": "POST", "connection": "gateway", "path": "/payments", "body": { "order": "o1", "amount_cents": 990 } },
                     "response": { "status": 200, "body": { "payment": "P1" } } }]),
        )
    }

    fn run(_: &Call, _: NoConfig, bill: Bill) -> Result<Waits<Paid, Paid>, Error> {
        let body = json!({ "order": bill.order, "amount_cents": bill.amount_cents });
        let answer = Request::new("POST", "gateway", "/payments").json(&body)?.send()?;
        let memo: Paid = answer.accepted()?;
        if answer.status == 202 {
            return Ok(Waits::Wait { message: "paid".to_owned(), key: bill.order, timeout_ms: Some(1000), memo });
        }
        Ok(Waits::Done(memo))
    }
}

impl Undo for Pay {
    type Known = Paid;

    fn undo(call: &Call, _: NoConfig, _: Bill, known: Option<Paid>) -> Result<Option<Waiting>, Error> {
        let body = json!({ "key": call.forward_key, "payment": known.map(|known| known.payment) });
        Request::new("POST", "gateway", "/cancel").json(&body)?.send()?.accepted::<Value>()?;
        Ok(None)
    }
}

impl Resume for Pay {
    type Memo = Paid;

    fn resume(_: &Call, _: NoConfig, memo: Paid, signal: Signal) -> Result<Waits<Paid, Paid>, Error> {
        match signal.kind {
            SignalKind::Message => Ok(Waits::Done(memo)),
            SignalKind::Timeout | SignalKind::Cancelled => Err(permanent("not paid")),
        }
    }
}

impl Query for Pay {
    fn query(_: &Call, _: NoConfig, _: Bill) -> Result<Option<Waits<Paid, Paid>>, Error> {
        Ok(None)
    }
}

plugin!(Greet, Pay; undo: Pay; resume: Pay; query: Pay);

#[test]
fn the_manifest_follows_from_the_types() {
    let manifest = StepwellPlugin::manifest();
    let [greet, pay] = &manifest.node_types[..] else { panic!("two node types") };
    let shown: Vec<_> = greet.title.iter().map(|one| (one.language.as_str(), one.text.as_str())).collect();
    assert_eq!(shown, [("en", "Greet"), ("zh-CN", "问候")]);
    assert_eq!(greet.summary[0].text, "Says hello to somebody.");
    assert_eq!(greet.errors[0].code, "NO_NAME");
    assert_eq!((greet.has_undo, greet.has_resume, greet.has_query), (false, false, false));
    assert_eq!((pay.has_undo, pay.has_resume, pay.has_query), (true, true, true));
    let config: Value = serde_json::from_str(&greet.config_schema).expect("a schema");
    assert_eq!(config, json!({ "type": "object", "additionalProperties": false }));
    let output: Value = serde_json::from_str(&pay.ports[0].output_schema).expect("a schema");
    assert_eq!(output["required"], json!(["payment"]));
}

#[test]
fn each_answer_is_its_own() {
    let sent = |status: u16| {
        tape::put(
            &json!([{ "request": { "method": "POST", "connection": "gateway", "path": "/payments" },
                            "response": { "status": status, "body": { "payment": "P1" } } }])
            .to_string(),
        );
    };
    for (node, status, input, expected) in [
        ("greet", 0, r#"{"name":"Ada"}"#, r#"done out {"text":"Hello, Ada"}"#),
        ("greet", 0, r#"{"name":""}"#, "rejected NO_NAME There is nobody to greet "),
        ("greet", 0, r#"{"name":1}"#, "permanent does not match the node type's schema"),
        ("pay", 200, r#"{"order":"o1","amount_cents":1}"#, r#"done out {"payment":"P1"}"#),
        ("pay", 202, r#"{"order":"o1","amount_cents":1}"#, r#"wait paid o1 1000 {"payment":"P1"}"#),
        ("pay", 503, r#"{"order":"o1","amount_cents":1}"#, "transient the other side answered 503"),
        ("other", 0, "{}", "permanent no run for node type other"),
    ] {
        sent(status);
        let shown = testing::answer::<StepwellPlugin>(node, "{}", input);
        assert!(shown.starts_with(expected), "{node} {input}: {shown}");
    }
    let timeout = Signal { kind: SignalKind::Timeout, payload: "null".to_owned() };
    let resumed = StepwellPlugin::resume("pay", &testing::call(), "{}", r#"{"payment":"P1"}"#, &timeout);
    assert_eq!(testing::show(resumed), "permanent not paid");
    assert!(StepwellPlugin::undo("greet", &testing::undo_call(), "{}", "{}", None).is_err());
}
