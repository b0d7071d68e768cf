//! Calls one after the other, and what each answers. (Here statuses have code 0, so what depends on intervals is proven
//! with the engine's own records, in `tests/scenarios`.)

use stepwell_sdk::testing::answer;

use crate::trade::{Trade, verify};
use crate::{EndInput, StepwellPlugin};

fn run(node: &str, input: &str) -> String {
    answer::<StepwellPlugin>(node, "{}", input)
}

#[test]
fn an_order_is_opened_once() {
    let made = run("open", r#"{"order":"o-1","amount_cents":990,"buyer":"B1"}"#);
    assert!(made.contains(r#""made":true"#) && made.contains(r#""buyer":"B1""#), "{made}");
    let again = run("open", r#"{"order":"o-1","amount_cents":1}"#);
    assert!(again.contains(r#""made":false"#) && again.contains(r#""amount_cents":990"#), "{again}");
    for (node, input, expected) in [
        ("begin", r#"{"order":"gone"}"#, "rejected ORDER_NOT_FOUND"),
        ("end", r#"{"order":"o-1","status":"PAID"}"#, "rejected PAYMENT_TRADE_NOT_FOUND"),
        ("close", r#"{"order":"gone"}"#, "rejected ORDER_NOT_FOUND"),
        ("begun", r#"{"order":"o-1","payment":"P"}"#, "rejected PAYMENT_TRADE_NOT_FOUND"),
    ] {
        let said = run(node, input);
        assert!(said.starts_with(expected), "{node}: {said}");
    }
}

#[test]
fn what_the_gateway_says_is_compared() {
    let trade = Trade {
        amount_cents: 990,
        buyer: Some("B1".to_owned()),
        payment: Some("P1".to_owned()),
        key: "k".to_owned(),
        event: None,
    };
    for (said, expected) in [
        (r#"{"order":"o","status":"PAID","amount_cents":990,"payment":"P1","buyer":"B1"}"#, Ok("Paid")),
        (r#"{"order":"o","status":"PAID","amount_cents":990}"#, Ok("Paid")),
        (r#"{"order":"o","status":"FAILED"}"#, Ok("Failed")),
        (r#"{"order":"o","status":"PAID"}"#, Err("amount")),
        (r#"{"order":"o","status":"PAID","amount_cents":989}"#, Err("amount")),
        (r#"{"order":"o","status":"FAILED","amount_cents":989}"#, Err("amount")),
        (r#"{"order":"o","status":"PAID","amount_cents":990,"payment":"P2"}"#, Err("number")),
        (r#"{"order":"o","status":"PAID","amount_cents":990,"buyer":"B2"}"#, Err("buyer")),
        (r#"{"order":"o","status":"SETTLING","amount_cents":990}"#, Err("status")),
    ] {
        let input: EndInput = serde_json::from_str(said).unwrap_or_else(|error| panic!("{said}: {error}"));
        let found = verify(&trade, &input).map(|verdict| format!("{verdict:?}"));
        assert_eq!(found.as_deref().map_err(|what| *what), expected, "{said}");
    }
}
