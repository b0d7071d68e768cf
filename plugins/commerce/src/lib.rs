//! Package `commerce`: looks facts up, takes something at the shop's services, and gives it back. External.
//!
//! Those that take something differ in paths and field names only, so they are one table. Services are
//! asked to forget a taking by its forward key, which works also where its outcome is not known,
//! and makes a forward request that comes late have no effect.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use stepwell_sdk::http::{Request, encode};
use stepwell_sdk::{
    Call, Error, Manifest, OUT, Outcome, Plugin, Waiting, done, export, manifest, no_such, permanent, read, unknown,
};

struct Commerce;

/// One kind of thing that is taken.
struct Taking {
    node_type: &'static str,
    path: &'static str,
    path_undo: &'static str,
    /// The field of the answer that names what was taken.
    thing: &'static str,
}

const TAKINGS: [Taking; 7] = [
    Taking {
        node_type: "redeem-coupon",
        path: "/coupons/redemptions",
        path_undo: "/coupons/redemptions/release",
        thing: "redemption",
    },
    Taking { node_type: "use-points", path: "/points/uses", path_undo: "/points/uses/release", thing: "use" },
    Taking { node_type: "save-order", path: "/orders", path_undo: "/orders/cancel", thing: "saved" },
    Taking {
        node_type: "reserve-stock",
        path: "/stock/reservations",
        path_undo: "/stock/reservations/release",
        thing: "reservation",
    },
    Taking { node_type: "lock-locker", path: "/lockers/locks", path_undo: "/lockers/locks/release", thing: "locker" },
    Taking {
        node_type: "assign-logistics",
        path: "/logistics/assignments",
        path_undo: "/logistics/assignments/cancel",
        thing: "assignment",
    },
    Taking {
        node_type: "ship",
        path: "/logistics/shipments",
        path_undo: "/logistics/shipments/cancel",
        thing: "parcel",
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "shop")]
    connection: String,
}

/// What is looked up: what the config says, the path before the id, and after it.
const FACTS: [(&str, &str, &str); 8] = [
    ("product", "/catalog/products/", ""),
    ("promotion", "/catalog/promotions/", ""),
    ("shop", "/catalog/shops/", ""),
    ("coupon", "/catalog/coupons/", ""),
    ("address", "/customers/", "/address"),
    ("account", "/customers/", "/account"),
    ("membership", "/customers/", "/membership"),
    ("risk", "/customers/", "/risk"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookUp {
    #[serde(default = "shop")]
    connection: String,
    what: String,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
}

/// Reads one fact. Nothing is taken, so nothing is given back.
fn look_up(config: &str, input: &str) -> Result<Outcome, Error> {
    let LookUp { connection, what } = read(config)?;
    let Asked { id } = read(input)?;
    let Some((_, before, after)) = FACTS.iter().find(|(fact, ..)| *fact == what) else {
        return Err(permanent(format!("there is no fact {what}")));
    };
    let path = format!("{before}{}{after}", encode(&id));
    let output: Map<String, Value> = Request::new("GET", &connection, path).send()?.accepted()?;
    done(OUT, &output)
}

fn shop() -> String {
    "shop".to_owned()
}

fn taking(what: &str, node_type: &str) -> Result<&'static Taking, Error> {
    TAKINGS.iter().find(|taking| taking.node_type == node_type).ok_or_else(|| no_such(what, node_type))
}

impl Plugin for Commerce {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    /// The input is the request's body as it is: the schema has checked it.
    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        if node_type == "look-up" {
            return look_up(config, input);
        }
        let taking = taking("run", node_type)?;
        let Config { connection } = read(config)?;
        let body: &RawValue = read(input)?;
        let response = Request::new("POST", &connection, taking.path).json(body)?.send()?;
        let output: Map<String, Value> = response.accepted()?;
        if !output.get(taking.thing).is_some_and(Value::is_string) {
            return Err(unknown(format!("the answer to {} names no {}", taking.path, taking.thing)));
        }
        done(OUT, &output)
    }

    fn undo(
        node_type: &str,
        call: &Call,
        config: &str,
        _: &str,
        output: Option<&str>,
    ) -> Result<Option<Waiting>, Error> {
        let taking = taking("undo", node_type)?;
        let Config { connection } = read(config)?;
        let forward_key = call.forward_key.as_ref().ok_or_else(|| permanent("an undo needs the forward key"))?;
        let mut body = json!({ "forwardKey": forward_key });
        if let Some(output) = output {
            let mut output: Map<String, Value> = read(output)?;
            if let Some(thing) = output.remove(taking.thing) {
                body[taking.thing] = thing;
            }
        }
        let response = Request::new("POST", &connection, taking.path_undo).json(&body)?.send()?;
        response.accepted::<serde::de::IgnoredAny>()?;
        Ok(None)
    }
}

export!(Commerce: undo);

#[cfg(test)]
mod tests {
    use super::Commerce;
    use stepwell_sdk::http::tape;
    use stepwell_sdk::{Plugin, testing};

    #[test]
    fn the_examples_are_true() {
        testing::examples::<Commerce>();
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        for (reply, expected) in [
            (r#""response":{"status":201,"body":{"locker":"L1","floor":2}}"#, r#"done out {"floor":2,"locker":"L1"}"#),
            (
                r#""response":{"status":409,"body":{"code":"NO_LOCKER","message":"all taken"}}"#,
                "rejected NO_LOCKER all taken ",
            ),
            (r#""response":{"status":400,"body":{"code":"no code"}}"#, "rejected HTTP_400 "),
            (r#""response":{"status":404,"body":"gone"}"#, "rejected HTTP_404 "),
            (r#""response":{"status":401}"#, "permanent "),
            (
                r#""response":{"status":429,"headers":{"retry-after":"1"}}"#,
                "transient the other side answered 429 1000",
            ),
            (r#""response":{"status":502}"#, "transient "),
            // Accepted, but what came back does not name the thing: it may well be locked.
            (r#""response":{"status":200,"body":{}}"#, "unknown "),
            (r#""response":{"status":200,"body":[1]}"#, "unknown "),
            (r#""fault":"not-sent""#, "transient "),
            (r#""fault":"lost""#, "unknown "),
            (r#""fault":"refused""#, "permanent "),
        ] {
            tape::put(&format!(
                r#"[{{"request":{{"method":"POST","connection":"annex","path":"/lockers/locks","body":{{"community":"C9"}}}},{reply}}}]"#
            ));
            let shown =
                testing::answer::<Commerce>("lock-locker", r#"{"connection":"annex"}"#, r#"{"community":"C9"}"#);
            assert!(shown.starts_with(expected), "{reply}: {shown}");
            tape::assert_played(reply);
        }
    }

    #[test]
    fn undo_names_the_forward_key_and_what_is_known() {
        for (node_type, output, path, body) in [
            (
                "reserve-stock",
                Some(r#"{"reservation":"R1","sku":"A"}"#),
                "/stock/reservations/release",
                r#"{"forwardKey":"example","reservation":"R1"}"#,
            ),
            ("reserve-stock", None, "/stock/reservations/release", r#"{"forwardKey":"example"}"#),
            (
                "lock-locker",
                Some(r#"{"locker":"L1"}"#),
                "/lockers/locks/release",
                r#"{"forwardKey":"example","locker":"L1"}"#,
            ),
            (
                "assign-logistics",
                Some(r#"{"assignment":"A1","carrier":"c"}"#),
                "/logistics/assignments/cancel",
                r#"{"forwardKey":"example","assignment":"A1"}"#,
            ),
            (
                "ship",
                Some(r#"{"parcel":"P1"}"#),
                "/logistics/shipments/cancel",
                r#"{"forwardKey":"example","parcel":"P1"}"#,
            ),
        ] {
            tape::put(&format!(
                r#"[{{"request":{{"method":"POST","connection":"shop","path":"{path}","body":{body}}},"response":{{"status":200,"body":{{"released":true}}}}}}]"#
            ));
            let shown = testing::show_undo(Commerce::undo(node_type, &testing::undo_call(), "{}", "{}", output));
            assert_eq!(shown, "undone", "{node_type}");
            tape::assert_played(node_type);
        }
    }
}
