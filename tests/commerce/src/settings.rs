//! What a shop can be told at start and while it runs.
//!
//! Not here: faults, which are asked for apart (`faults`).

use axum::http::Uri;
use serde::{Deserialize, Serialize};

/// Longest wait before a payment settles by itself.
const SETTLE_AFTER_MS_MAX: u64 = 86_400_000;

/// What becomes of a payment without anybody settling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoSettle {
    #[default]
    None,
    Paid,
    Failed,
}

/// Fields that a partial `PUT /control/settings` leaves out keep their value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub auto_settle: AutoSettle,
    /// Milliseconds from the start of a payment to its settlement; 0 settles it in the same transaction.
    pub settle_after_ms: u64,
    /// Where callbacks go: `http://host:port`, to which `/api/v1/messages` is added, or a whole URL.
    pub callback_url: Option<String>,
    /// Sent as `Authorization: Bearer`, to the origin of `callback_url` alone.
    #[serde(skip_serializing)]
    pub callback_token: Option<String>,
    /// Callbacks are signed with it; without it they carry no signature.
    #[serde(skip_serializing)]
    pub callback_secret: Option<String>,
    /// A callback is given up after so many attempts.
    pub callback_attempts_max: u32,
    /// How long one attempt may take, milliseconds.
    pub callback_timeout_ms: u64,
    /// Pieces of every SKU that was never set.
    pub stock_default: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_settle: AutoSettle::None,
            settle_after_ms: 0,
            callback_url: None,
            callback_token: None,
            callback_secret: None,
            // With pauses of at most two seconds, this rides out a receiver that is away for three minutes.
            callback_attempts_max: 100,
            callback_timeout_ms: 5_000,
            stock_default: 1_000_000,
        }
    }
}

impl Settings {
    /// Says what is wrong with the settings, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.settle_after_ms > SETTLE_AFTER_MS_MAX {
            return Err(format!("settle_after_ms must be at most {SETTLE_AFTER_MS_MAX}"));
        }
        if !(1..=10_000).contains(&self.callback_attempts_max) {
            return Err("callback_attempts_max must be between 1 and 10000".into());
        }
        if !(1..=60_000).contains(&self.callback_timeout_ms) {
            return Err("callback_timeout_ms must be between 1 and 60000".into());
        }
        self.callback_url.as_deref().map_or(Ok(()), |url| callback_target(url).map(drop))
    }
}

/// The URL that callbacks to `url` are posted to.
pub(crate) fn callback_target(url: &str) -> Result<Uri, String> {
    let parsed = if url.len() <= 2048 { url.parse::<Uri>().ok() } else { None };
    let parsed = parsed.filter(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some());
    let Some(uri) = parsed else { return Err("a callback URL must be an absolute http:// URL".into()) };
    if uri.path() != "/" {
        return Ok(uri);
    }
    format!("{}/api/v1/messages", url.trim_end_matches('/')).parse().map_err(|_| "not a callback URL".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gets_the_message_door_and_a_whole_url_stays() {
        for (url, target) in [
            ("http://127.0.0.1:7070", Some("http://127.0.0.1:7070/api/v1/messages")),
            ("http://127.0.0.1:7070/", Some("http://127.0.0.1:7070/api/v1/messages")),
            ("http://shop.test/hooks/pay?x=1", Some("http://shop.test/hooks/pay?x=1")),
            ("https://127.0.0.1", None), // The shop has no TLS.
            ("127.0.0.1:7070", None),
            ("/api/v1/messages", None),
            ("", None),
        ] {
            assert_eq!(callback_target(url).ok().map(|uri| uri.to_string()).as_deref(), target, "{url}");
        }
    }
}
