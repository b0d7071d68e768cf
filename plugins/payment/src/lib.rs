//! Package `payment`: begins payments at a gateway, and waits for the callback. External.
//!
//! `begin` returns at once and leaves the waiting to the flow (a `receive`); `pay` waits itself. Both
//! can be undone: the gateway cancels an open payment and refunds a paid one. Both can be asked
//! about: the gateway keeps payments by idempotency key.

mod gateway;
mod pay;

use stepwell_sdk::{
    Call, Error, Manifest, OUT, Outcome, Plugin, Signal, Waiting, done, export, manifest, no_such, read,
};

struct Payment;

impl Plugin for Payment {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        match node_type {
            "begin" => {
                let config: gateway::Config = read(config)?;
                done(OUT, &gateway::begin(&config.connection, config.callback_url.as_deref(), &read(input)?)?)
            }
            "pay" => pay::run(&read(config)?, &read(input)?),
            other => Err(no_such("run", other)),
        }
    }

    fn undo(_: &str, call: &Call, config: &str, _: &str, output: Option<&str>) -> Result<Option<Waiting>, Error> {
        let config: gateway::Config = read(config)?;
        let output: Option<gateway::Known> = output.map(read).transpose()?;
        gateway::cancel(&config.connection, call, output.as_ref())?;
        Ok(None)
    }

    fn resume(node_type: &str, _: &Call, config: &str, memo: &str, signal: &Signal) -> Result<Outcome, Error> {
        match node_type {
            "pay" => pay::resume(&read(config)?, &read(memo)?, signal),
            other => Err(no_such("resume", other)),
        }
    }

    fn query(node_type: &str, call: &Call, config: &str, input: &str) -> Result<Option<Outcome>, Error> {
        let found = gateway::find(&read::<gateway::Config>(config)?.connection, &call.key)?;
        match (node_type, found) {
            (_, None) => Ok(None),
            ("begin", Some(payment)) => done(OUT, &payment).map(Some),
            ("pay", Some(payment)) => pay::settled_or_wait(&read(config)?, &read(input)?, payment).map(Some),
            (other, Some(_)) => Err(no_such("query", other)),
        }
    }
}

export!(Payment: undo, resume, query);

#[cfg(test)]
mod tests {
    use super::Payment;
    use stepwell_sdk::http::tape;
    use stepwell_sdk::testing::{answer, call, examples, show, show_query, show_undo, undo_call};
    use stepwell_sdk::{Plugin, Signal, SignalKind};

    const INPUT: &str = r#"{"order":"o1","amount_cents":990}"#;

    fn put(method: &str, path: &str, body: &str, reply: &str) {
        let body = if body.is_empty() { String::new() } else { format!(r#","body":{body}"#) };
        tape::put(&format!(
            r#"[{{"request":{{"method":"{method}","connection":"gateway","path":"{path}"{body}}},{reply}}}]"#
        ));
    }

    #[test]
    fn the_examples_are_true() {
        examples::<Payment>();
    }

    #[test]
    fn a_payment_begins() {
        for (node_type, config, reply, expected) in [
            (
                "begin",
                "{}",
                r#""response":{"status":201,"body":{"payment":"P1","status":"PAYING"}}"#,
                r#"done out {"payment":"P1","status":"PAYING"}"#,
            ),
            (
                "begin",
                "{}",
                r#""response":{"status":409,"body":{"code":"CLOSED","message":"too late"}}"#,
                "rejected CLOSED too late ",
            ),
            ("begin", "{}", r#""fault":"lost""#, "unknown POST gateway/gateway/payments: connection closed"),
            (
                "pay",
                r#"{"timeout":"2m"}"#,
                r#""response":{"status":201,"body":{"payment":"P1","status":"PAYING"}}"#,
                r#"wait payment o1 120000 {"payment":"P1","order":"o1","amount_cents":990}"#,
            ),
            (
                "pay",
                r#"{"message":"paid"}"#,
                r#""response":{"status":201,"body":{"payment":"P1","status":"PAYING"}}"#,
                "wait paid o1 1800000 ",
            ),
            // A repeated request may find the payment settled by now.
            (
                "pay",
                "{}",
                r#""response":{"status":200,"body":{"payment":"P1","status":"PAID"}}"#,
                r#"done out {"payment":"P1","status":"PAID"}"#,
            ),
            (
                "pay",
                "{}",
                r#""response":{"status":200,"body":{"payment":"P1","status":"FAILED"}}"#,
                "rejected PAYMENT_FAILED ",
            ),
            (
                "pay",
                "{}",
                r#""response":{"status":200,"body":{"payment":"P1","status":"CANCELLED"}}"#,
                "rejected PAYMENT_CANCELLED ",
            ),
        ] {
            put("POST", "/gateway/payments", INPUT, reply);
            let shown = answer::<Payment>(node_type, config, INPUT);
            assert!(shown.starts_with(expected), "{node_type} {reply}: {shown}");
            tape::assert_played(reply);
        }
    }

    #[test]
    fn a_wait_ends() {
        use SignalKind::{Cancelled, Message, Timeout};
        for (kind, payload, expected) in [
            (
                Message,
                r#"{"order":"o1","payment":"P1","status":"PAID","amount_cents":990}"#,
                r#"done out {"payment":"P1","status":"PAID"}"#,
            ),
            (Message, r#"{"status":"PAID"}"#, r#"done out {"payment":"P1","status":"PAID"}"#),
            (Message, r#"{"status":"FAILED"}"#, "rejected PAYMENT_FAILED "),
            (Message, r#"{"status":"PAID","amount_cents":989}"#, "rejected PAYMENT_MISMATCH "),
            (Message, r#"{"status":"PAID","payment":"P2"}"#, "wait payment o1 - "),
            (Message, r#"{"status":"PAYING"}"#, "wait payment o1 1800000 "),
            (Message, "7", "rejected PAYMENT_MISMATCH "),
            (Timeout, "null", "rejected PAYMENT_TIMEOUT "),
            (Cancelled, "null", "rejected PAYMENT_CANCELLED "),
        ] {
            let memo = r#"{"payment":"P1","order":"o1","amount_cents":990}"#;
            let signal = Signal { kind, payload: payload.to_owned() };
            let shown = show(Payment::resume("pay", &call(), "{}", memo, &signal));
            assert!(shown.starts_with(expected), "{kind:?} {payload}: {shown}");
        }
    }

    #[test]
    fn the_gateway_is_asked() {
        for (node_type, reply, expected) in [
            ("begin", r#""response":{"status":404,"body":{"code":"NO_PAYMENT","message":"none"}}"#, "never ran"),
            (
                "begin",
                r#""response":{"status":200,"body":{"payment":"P1","status":"PAYING"}}"#,
                r#"done out {"payment":"P1","status":"PAYING"}"#,
            ),
            (
                "pay",
                r#""response":{"status":200,"body":{"payment":"P1","status":"PAYING"}}"#,
                "wait payment o1 1800000 ",
            ),
            ("pay", r#""response":{"status":200,"body":{"payment":"P1","status":"PAID"}}"#, "done out "),
            ("pay", r#""response":{"status":503}"#, "transient "),
            ("pay", r#""fault":"lost""#, "transient "), // It only reads.
        ] {
            put("GET", "/gateway/payments?key=example", "", reply);
            let shown = show_query(Payment::query(node_type, &call(), "{}", INPUT));
            assert!(shown.starts_with(expected), "{node_type} {reply}: {shown}");
        }
    }

    #[test]
    fn a_payment_is_taken_back() {
        for (output, body) in [
            (Some(r#"{"payment":"P1","status":"PAYING"}"#), r#"{"forwardKey":"example","payment":"P1"}"#),
            (None, r#"{"forwardKey":"example"}"#),
        ] {
            put("POST", "/gateway/payments/cancel", body, r#""response":{"status":200,"body":{"cancelled":true}}"#);
            let shown = show_undo(Payment::undo("pay", &undo_call(), "{}", INPUT, output));
            assert_eq!(shown, "undone", "{body}");
            tape::assert_played(body);
        }
    }
}
