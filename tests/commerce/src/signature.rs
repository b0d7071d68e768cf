//! The signature on callbacks: `t=<unix seconds>,v1=<hex hmac-sha256 of "t.body">`.
//!
//! Pure. Not here: which secret is used, and when a signature counts as too old.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "stepwell-signature";

/// Signs `body` as sent at `unix_s`, seconds since the Unix epoch, UTC.
pub fn sign(secret: &str, unix_s: i64, body: &[u8]) -> String {
    let digest = mac(secret, unix_s, body).map(|mac| mac.finalize().into_bytes());
    format!("t={unix_s},v1={}", digest.map(hex::encode).unwrap_or_default())
}

/// The time in a header whose signature fits `body`; `None` if it does not fit or cannot be read.
pub fn verify(secret: &str, header: &str, body: &[u8]) -> Option<i64> {
    let (time, digest) = header.split_once(',')?;
    let unix_s = time.strip_prefix("t=")?.parse().ok()?;
    let digest = hex::decode(digest.strip_prefix("v1=")?).ok()?;
    // Compares in constant time.
    mac(secret, unix_s, body)?.verify_slice(&digest).ok().map(|()| unix_s)
}

fn mac(secret: &str, unix_s: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes a key of any length, so this is always `Some`.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{unix_s}.").as_bytes());
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_its_secret_time_and_body_only() {
        // Taken with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        const KNOWN: &str = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        let signed = sign("secret", 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(signed, format!("t=1700000000,v1={KNOWN}"));
        for (secret, header, body, fits) in [
            ("secret", signed.clone(), r#"{"a":1}"#, true),
            ("other", signed.clone(), r#"{"a":1}"#, false),
            ("secret", signed.clone(), r#"{"a":2}"#, false),
            ("secret", signed.replace("t=17", "t=18"), r#"{"a":1}"#, false),
            ("secret", signed.replace(",v1=", ",v0="), r#"{"a":1}"#, false),
            ("secret", signed[..signed.len() - 2].to_string(), r#"{"a":1}"#, false),
            ("secret", String::new(), r#"{"a":1}"#, false),
        ] {
            assert_eq!(verify(secret, &header, body.as_bytes()).is_some(), fits, "{secret} {header} {body}");
        }
    }
}
