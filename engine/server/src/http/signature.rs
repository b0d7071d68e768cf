//! Is a request signed by somebody who knows a secret? Decided from headers, body, secrets and time.
//!
//! Two looks: [`announced`] at the headers alone, before a body is read; [`Claim::holds`] at the raw
//! body, with one hash per secret, however many signatures are claimed.
//!
//! Invariants:
//! - A signature is compared whole, in constant time; a shorter or longer one never fits.
//! - A time counts only if it is part of what is signed (the checker sees to it).
//!
//! Not here: where secrets come from (`packages`), what a refusal says (`trigger`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use hmac::digest::KeyInit;
use http::HeaderMap;
use sha2::{Sha256, Sha512};
use stepwell_core::flow::trigger::{
    AlgorithmDocument, EncodingDocument, Part, Scheme, SignatureAt, Signed, TimestampAt, fields,
};

/// Signatures of one request that are looked at.
const SIGNATURES_MAX: usize = 16;
const ID_BYTES_MAX: usize = 256;

/// What Standard Webhooks secrets begin with.
const WHSEC: &str = "whsec_";

/// Why a request is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// This header is missing, stands there twice, or cannot be read.
    Missing(String),
    Expired,
}

/// What a request says of itself, until it is shown to be true.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The delivery's id, where the scheme has one.
    pub(super) id: Option<String>,
    /// What stands before the body and what after it, of that which is signed.
    before: Vec<u8>,
    after: Vec<u8>,
    algorithm: AlgorithmDocument,
    signatures: Vec<Vec<u8>>,
}

/// Reads the headers.
pub(super) fn announced(signed: &Signed, headers: &HeaderMap, now_ms: u64) -> Result<Claim, Unsigned> {
    match &signed.scheme {
        Scheme::StandardWebhooks => {
            let id = header(headers, "webhook-id")?;
            if id.len() > ID_BYTES_MAX {
                return Err(Unsigned::Missing("webhook-id".to_owned()));
            }
            let timestamp = header(headers, "webhook-timestamp")?;
            in_time(timestamp, signed.tolerance_ms, now_ms, "webhook-timestamp")?;
            let claimed = header(headers, "webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
            Ok(Claim {
                id: Some(id.to_owned()),
                before: format!("{id}.{timestamp}.").into_bytes(),
                after: Vec::new(),
                algorithm: AlgorithmDocument::Sha256,
                signatures: decoded(claimed, EncodingDocument::Base64, "webhook-signature")?,
            })
        }
        Scheme::Hmac(hmac) => {
            let text = header(headers, &hmac.header)?;
            let missing = || Unsigned::Missing(hmac.header.clone());
            let listed = fields(text);
            let timestamp = match &hmac.timestamp {
                None => None,
                Some(TimestampAt::Header(name)) => Some(header(headers, name)?),
                Some(TimestampAt::Field(name)) => match listed.get(name.as_str()).map(Vec::as_slice) {
                    Some([only]) => Some(*only),
                    _ => return Err(missing()),
                },
            };
            if let Some(timestamp) = timestamp {
                in_time(timestamp, signed.tolerance_ms, now_ms, &hmac.header)?;
            }
            let signatures = match &hmac.at {
                SignatureAt::After(prefix) => {
                    decoded(text.strip_prefix(prefix.as_str()).into_iter(), hmac.encoding, &hmac.header)?
                }
                SignatureAt::Field(name) => {
                    let claimed = listed.get(name.as_str()).ok_or_else(missing)?;
                    decoded(claimed.iter().copied(), hmac.encoding, &hmac.header)?
                }
            };
            let (mut before, mut after, mut passed) = (Vec::new(), Vec::new(), false);
            for part in &hmac.signs {
                let side = if passed { &mut after } else { &mut before };
                match part {
                    Part::Text(text) => side.extend_from_slice(text.as_bytes()),
                    Part::Timestamp => side.extend_from_slice(timestamp.unwrap_or_default().as_bytes()),
                    Part::Body => passed = true,
                }
            }
            Ok(Claim { id: None, before, after, algorithm: hmac.algorithm, signatures })
        }
    }
}

impl Claim {
    /// Whether one of the keys made one of the signatures over this very body.
    pub(super) fn holds(&self, keys: &[Vec<u8>], body: &[u8]) -> bool {
        // No early end: how long it takes does not tell which key fits.
        keys.iter().fold(false, |held, key| {
            let fits = match self.algorithm {
                AlgorithmDocument::Sha256 => self.made_by::<hmac::Hmac<Sha256>>(key, body),
                AlgorithmDocument::Sha512 => self.made_by::<hmac::Hmac<Sha512>>(key, body),
            };
            held | fits
        })
    }

    fn made_by<M: Mac + KeyInit + Clone>(&self, key: &[u8], body: &[u8]) -> bool {
        // HMAC takes a key of any length.
        let Ok(mut mac) = <M as Mac>::new_from_slice(key) else { return false };
        for part in [&self.before, body, &self.after] {
            mac.update(part);
        }
        self.signatures.iter().fold(false, |held, signature| held | mac.clone().verify_slice(signature).is_ok())
    }
}

/// The key that a secret stands for. `None`: it is none for this scheme.
pub(super) fn key(scheme: &Scheme, secret: &str) -> Option<Vec<u8>> {
    let key = match scheme {
        Scheme::Hmac(_) => secret.as_bytes().to_vec(),
        Scheme::StandardWebhooks => STANDARD.decode(secret.strip_prefix(WHSEC).unwrap_or(secret)).ok()?,
    };
    // An empty one is known to everybody.
    (!key.is_empty()).then_some(key)
}

/// A header that stands there once.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Unsigned> {
    let mut all = headers.get_all(name).iter();
    match (all.next().map(|value| value.to_str()), all.next()) {
        (Some(Ok(text)), None) if !text.is_empty() => Ok(text),
        _ => Err(Unsigned::Missing(name.to_owned())),
    }
}

fn in_time(timestamp: &str, tolerance_ms: u64, now_ms: u64, name: &str) -> Result<(), Unsigned> {
    let sent_s: u64 = timestamp.parse().map_err(|_| Unsigned::Missing(name.to_owned()))?;
    if sent_s.saturating_mul(1000).abs_diff(now_ms) > tolerance_ms { Err(Unsigned::Expired) } else { Ok(()) }
}

fn decoded<'s>(
    claimed: impl Iterator<Item = &'s str>,
    encoding: EncodingDocument,
    name: &str,
) -> Result<Vec<Vec<u8>>, Unsigned> {
    let signatures: Vec<Vec<u8>> = claimed
        .take(SIGNATURES_MAX)
        .filter_map(|text| match encoding {
            EncodingDocument::Hex => hex::decode(text).ok(),
            EncodingDocument::Base64 => STANDARD.decode(text).ok(),
        })
        .collect();
    if signatures.is_empty() { Err(Unsigned::Missing(name.to_owned())) } else { Ok(signatures) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http::HeaderName;
    use serde_json::{Value, json};
    use stepwell_core::catalog::Catalog;
    use stepwell_core::flow::check::check;
    use stepwell_core::flow::trigger::TriggerAuth;

    use super::*;

    /// As a flow's document says it.
    fn signed(auth: &Value) -> Signed {
        let document = json!({
            "stepwell": 1, "kind": "graph", "key": "sample",
            "triggers": [{ "type": "http", "path": "a", "auth": auth }],
            "nodes": { "start": { "type": "start" }, "done": { "type": "end" } },
            "edges": [{ "from": "start", "to": "done" }],
        });
        let checked = check(&document, &Catalog::new(Vec::new()));
        let flow = checked.flow.unwrap_or_else(|| panic!("{:?}", checked.problems));
        match flow.triggers.into_iter().next().unwrap().auth {
            TriggerAuth::Signed(signed) => *signed,
            other => panic!("{other:?}"),
        }
    }

    /// `ok`, or what stands against it.
    fn asked(signed: &Signed, headers: &[(&str, &str)], body: &str, secrets: &[&str], now_s: u64) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let keys: Vec<_> = secrets.iter().filter_map(|secret| key(&signed.scheme, secret)).collect();
        match announced(signed, &map, now_s * 1000) {
            Err(Unsigned::Missing(name)) => format!("no {name}"),
            Err(Unsigned::Expired) => "expired".to_owned(),
            Ok(claim) if claim.holds(&keys, body.as_bytes()) => "ok".to_owned(),
            Ok(_) => "invalid".to_owned(),
        }
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn standard_webhooks_are_known() {
        const ID: (&str, &str) = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        const AT: (&str, &str) = ("webhook-timestamp", "1614265330");
        const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let (two, other) = (format!("v1,AAAA v2,abc {GOOD}"), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let body = r#"{"test": 2432232314}"#;
        let signed = signed(&json!({ "type": "standard-webhooks", "connection": "c", "secrets": ["A"] }));
        for (signature, body, secrets, now_s, expected) in [
            (GOOD, body, vec![SECRET], 1_614_265_330, "ok"),
            (&two, body, vec![SECRET], 1_614_265_330, "ok"),
            (GOOD, body, vec![other, SECRET], 1_614_265_330, "ok"),
            (GOOD, body, vec![other], 1_614_265_330, "invalid"),
            (GOOD, body, vec![], 1_614_265_330, "invalid"),
            (GOOD, r#"{"test":2432232314}"#, vec![SECRET], 1_614_265_330, "invalid"),
            (GOOD, body, vec![SECRET], 1_614_265_330 + 300, "ok"),
            (GOOD, body, vec![SECRET], 1_614_265_330 + 301, "expired"),
            (GOOD, body, vec![SECRET], 1_614_265_330 - 301, "expired"),
            ("v1,g0hM9SsE+OTPJTGt", body, vec![SECRET], 1_614_265_330, "invalid"),
            ("v1,", body, vec![SECRET], 1_614_265_330, "invalid"),
            (&GOOD[3..], body, vec![SECRET], 1_614_265_330, "no webhook-signature"),
        ] {
            let headers = [ID, AT, ("webhook-signature", signature)];
            assert_eq!(asked(&signed, &headers, body, &secrets, now_s), expected, "{signature} {body} {now_s}");
        }
        let signature = ("webhook-signature", GOOD);
        for (headers, expected) in [
            (vec![AT, signature], "no webhook-id"),
            (vec![ID, signature], "no webhook-timestamp"),
            (vec![ID, ("webhook-timestamp", "soon"), signature], "no webhook-timestamp"),
            (vec![ID, ("webhook-timestamp", "-1"), signature], "no webhook-timestamp"),
            (vec![ID, AT, AT, signature], "no webhook-timestamp"),
            (vec![("webhook-id", "msg_other"), AT, signature], "invalid"),
        ] {
            assert_eq!(asked(&signed, &headers, body, &[SECRET], 1_614_265_330), expected, "{headers:?}");
        }
    }

    fn made<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
        let mut mac = <M as Mac>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    #[test]
    fn hmacs_are_known_wherever_they_stand() {
        // Taken with: printf '%s' … | openssl dgst -sha256 -hmac secret
        let plain = json!({ "type": "hmac", "connection": "c", "secrets": ["A"], "header": "X-Hub-Signature-256", "prefix": "sha256=" });
        let listed = json!({ "type": "hmac", "connection": "c", "secrets": ["A"], "header": "Signature", "field": "v1",
                             "timestampField": "t", "tolerance": "1m" });
        let slack = json!({ "type": "hmac", "connection": "c", "secrets": ["A"], "header": "X-Sig", "prefix": "v0=",
                            "timestampHeader": "X-At", "signs": "v0:{timestamp}:{body}" });
        let mac = |text: &str| hex::encode(made::<hmac::Hmac<Sha256>>(b"secret", text));
        let of_body = format!("sha256={}", mac("{}"));
        let known = "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        let of_slack = format!("v0={}", mac("v0:1700000000:{}"));
        for (auth, headers, body, now_s, expected) in [
            (&plain, vec![("x-hub-signature-256", of_body.as_str())], "{}", 0, "ok"),
            (&plain, vec![("x-hub-signature-256", of_body.as_str())], "{} ", 0, "invalid"),
            (&plain, vec![("x-hub-signature-256", &of_body[7..])], "{}", 0, "no x-hub-signature-256"),
            (&plain, vec![("x-hub-signature-256", &of_body[..of_body.len() - 2])], "{}", 0, "invalid"),
            (&plain, vec![], "{}", 0, "no x-hub-signature-256"),
            (&listed, vec![("signature", known)], r#"{"a":1}"#, 1_700_000_060, "ok"),
            (&listed, vec![("signature", known)], r#"{"a":1}"#, 1_700_000_061, "expired"),
            (&listed, vec![("signature", &known.replace("t=17", "t=18"))], r#"{"a":1}"#, 1_800_000_000, "invalid"),
            (&listed, vec![("signature", &format!("v1=00,{known}"))], r#"{"a":1}"#, 1_700_000_000, "ok"),
            (&listed, vec![("signature", &format!("t=1,{known}"))], r#"{"a":1}"#, 1_700_000_000, "no signature"),
            (&listed, vec![("signature", &known[13..])], r#"{"a":1}"#, 1_700_000_000, "no signature"),
            (&slack, vec![("x-at", "1700000000"), ("x-sig", &of_slack)], "{}", 1_700_000_000, "ok"),
            (&slack, vec![("x-at", "1700000001"), ("x-sig", &of_slack)], "{}", 1_700_000_000, "invalid"),
            (&slack, vec![("x-sig", &of_slack)], "{}", 1_700_000_000, "no x-at"),
        ] {
            assert_eq!(asked(&signed(auth), &headers, body, &["other", "secret"], now_s), expected, "{headers:?}");
        }
        // An empty secret is none.
        let forged = format!("sha256={}", hex::encode(made::<hmac::Hmac<Sha256>>(b"", "{}")));
        assert_eq!(asked(&signed(&plain), &[("x-hub-signature-256", &forged)], "{}", &[""], 0), "invalid");
        let long = json!({ "type": "hmac", "connection": "c", "secrets": ["A"], "header": "S", "algorithm": "sha512", "encoding": "base64" });
        let text = STANDARD.encode(made::<hmac::Hmac<Sha512>>(b"secret", "{}"));
        assert_eq!(asked(&signed(&long), &[("s", &text)], "{}", &["secret"], 0), "ok");
    }
}
