//! Who asks: a bearer token, or a browser session that was bought with one.
//!
//! Invariants:
//! - Tokens are compared as SHA-256 digests, without an early exit.
//! - A session's cookie is `HttpOnly` and `SameSite=Strict`; an unsafe request that comes with the
//!   cookie alone must also carry `Stepwell-Csrf`, which no foreign page can send.
//! - The login link of a start works once.
//!
//! Sessions are signed, not stored, so they outlive a restart; ended ones are remembered until
//! they would have run out, or until a restart.
//!
//! Not here: which paths are open (`http::gate`); users and roles, of which there is one, the
//! administrator, in this release.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};

use super::problem::{Answer, Code, Refusal};

pub(crate) const COOKIE: &str = "stepwell_session";
pub(crate) const CSRF_HEADER: &str = "stepwell-csrf";
pub(crate) const SESSION_MS: u64 = 12 * 60 * 60 * 1000;
/// Ended sessions remembered at once; the oldest give way.
const ENDED_MAX: usize = 4096;

/// The one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub user: &'static str,
    pub roles: &'static [&'static str],
}

pub(crate) const ADMIN: Caller = Caller { user: "admin", roles: &["viewer", "operator", "designer", "admin"] };

pub(crate) struct Auth {
    admin: [u8; 32],
    session_key: [u8; 32],
    /// The digest of this start's login link, until it is used.
    login: Mutex<Option<[u8; 32]>>,
    /// Signature of a session that was ended → when it would have run out.
    ended: Mutex<BTreeMap<String, u64>>,
}

impl Auth {
    pub(crate) fn new(admin_token: &str, login_token: Option<&str>) -> Self {
        let mut key = Sha256::new();
        key.update(b"stepwell session key\0");
        key.update(admin_token.as_bytes());
        Self {
            admin: Sha256::digest(admin_token.as_bytes()).into(),
            session_key: key.finalize().into(),
            login: Mutex::new(login_token.map(|token| Sha256::digest(token.as_bytes()).into())),
            ended: Mutex::new(BTreeMap::new()),
        }
    }

    /// Who sent this request, or why it is refused.
    pub(crate) fn caller(&self, method: &Method, headers: &HeaderMap, now_ms: u64) -> Answer<Caller> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            return match bearer(value.as_bytes()) {
                Some(token) if same(&Sha256::digest(token).into(), &self.admin) => Ok(ADMIN),
                _ => Err(Refusal::say(Code::Unauthenticated, "the Authorization header holds no valid token")),
            };
        }
        let Some(cookie) = cookie(headers) else {
            return Err(Refusal::say(Code::Unauthenticated, "send Authorization: Bearer <token>"));
        };
        if !self.session_holds(cookie, now_ms) {
            return Err(Refusal::say(Code::Unauthenticated, "the session has ended; log in again"));
        }
        if !method.is_safe() && !headers.contains_key(CSRF_HEADER) {
            return Err(Refusal::new(Code::CsrfMissing));
        }
        Ok(ADMIN)
    }

    /// Whether a token would buy a session now.
    pub(crate) fn admits(&self, token: &str) -> Answer<()> {
        let login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_link(token, login.as_ref()).map(drop)
    }

    /// Whether the token is the login link's, and not an API token; or that it is neither.
    fn is_link(&self, token: &str, login: Option<&[u8; 32]>) -> Answer<bool> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if same(&digest, &self.admin) {
            return Ok(false);
        }
        if login.is_some_and(|link| same(&digest, link)) {
            return Ok(true);
        }
        Err(Refusal::say(Code::Unauthenticated, "the token is not valid, or its login link was used"))
    }

    /// Buys a session's cookie value with an API token, or with the login link's.
    pub(crate) fn log_in(&self, token: &str, now_ms: u64) -> Answer<String> {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_link(token, login.as_ref())? {
            *login = None;
        }
        drop(login);
        let until = now_ms + SESSION_MS;
        let claim = format!("{until}.{}", random_token(9));
        let signature = self.sign(&claim);
        Ok(format!("{claim}.{signature}"))
    }

    /// Ends the session of this request, if it has one.
    pub(crate) fn log_out(&self, headers: &HeaderMap, now_ms: u64) {
        let Some(cookie) = cookie(headers).filter(|cookie| self.session_holds(cookie, now_ms)) else { return };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until| *until > now_ms);
        if ended.len() >= ENDED_MAX {
            ended.pop_first();
        }
        ended.insert(cookie.to_owned(), now_ms + SESSION_MS);
    }

    fn session_holds(&self, cookie: &str, now_ms: u64) -> bool {
        let Some((claim, signature)) = cookie.rsplit_once('.') else { return false };
        let until = claim.split('.').next().and_then(|text| text.parse::<u64>().ok());
        let Ok(given) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let signed = self.mac(claim).verify_slice(&given).is_ok();
        let running = until.is_some_and(|until| until > now_ms);
        signed && running && !self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains_key(cookie)
    }

    fn sign(&self, claim: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(claim).finalize().into_bytes())
    }

    fn mac(&self, claim: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length, so this cannot fail; an all-zero key would only refuse everyone.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.session_key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        mac.update(claim.as_bytes());
        mac
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

/// A secret of `bytes` random bytes, safe in URLs and headers.
pub(crate) fn random_token(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    // Without the system's randomness nothing here would be a secret: better to stop.
    if let Err(error) = getrandom::fill(&mut buffer) {
        tracing::error!(%error, "the system gives no randomness");
        std::process::abort();
    }
    URL_SAFE_NO_PAD.encode(buffer)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Equal, at the same cost whether the first byte differs or the last.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    const TOKEN: &str = "a token of the administrator";

    /// The user, or the code of the refusal.
    fn asked(auth: &Auth, method: &str, headers: &[(&str, &str)], now_ms: u64) -> &'static str {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match auth.caller(&method.parse().unwrap(), &map, now_ms) {
            Ok(caller) => caller.user,
            Err(refusal) => refusal.code.text(),
        }
    }

    #[test]
    fn a_token_or_a_session_is_needed() {
        let auth = Auth::new(TOKEN, None);
        let session = format!("other=1; {COOKIE}={}", auth.log_in(TOKEN, 1000).unwrap());
        let forged = format!("{COOKIE}=999999999999.x.{}", auth.sign("1.x"));
        let bearer = format!("Bearer {TOKEN}");
        for (method, headers, expected) in [
            ("GET", vec![], "UNAUTHENTICATED"),
            ("POST", vec![("authorization", bearer.as_str())], "admin"),
            ("GET", vec![("authorization", "Bearer wrong")], "UNAUTHENTICATED"),
            ("GET", vec![("authorization", TOKEN)], "UNAUTHENTICATED"),
            ("GET", vec![("authorization", "Bearer ")], "UNAUTHENTICATED"),
            ("GET", vec![("cookie", session.as_str())], "admin"),
            ("POST", vec![("cookie", session.as_str())], "CSRF_MISSING"),
            ("POST", vec![("cookie", session.as_str()), ("stepwell-csrf", "1")], "admin"),
            ("GET", vec![("cookie", forged.as_str())], "UNAUTHENTICATED"),
            // A wrong token is not saved by a good cookie: the caller meant the token.
            ("GET", vec![("authorization", "Bearer wrong"), ("cookie", session.as_str())], "UNAUTHENTICATED"),
        ] {
            assert_eq!(asked(&auth, method, &headers, 2000), expected, "{method} {headers:?}");
        }
        assert_eq!(asked(&auth, "GET", &[("cookie", &session)], 1000 + SESSION_MS), "UNAUTHENTICATED");
    }

    #[test]
    fn a_login_link_works_once_and_a_session_ends_when_told() {
        let auth = Auth::new(TOKEN, Some("link"));
        let cookie = format!("{COOKIE}={}", auth.log_in("link", 0).unwrap());
        assert!(auth.log_in("link", 0).is_err());
        assert_eq!(asked(&auth, "GET", &[("cookie", &cookie)], 1), "admin");
        auth.log_out(&HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())]), 1);
        assert_eq!(asked(&auth, "GET", &[("cookie", &cookie)], 1), "UNAUTHENTICATED");
        // The same administrator after a restart, and another one.
        let again = Auth::new(TOKEN, None).log_in(TOKEN, 0).unwrap();
        let again = format!("{COOKIE}={again}");
        assert_eq!(asked(&auth, "GET", &[("cookie", &again)], 1), "admin");
        assert_eq!(
            asked(&Auth::new("another administrator", None), "GET", &[("cookie", &again)], 1),
            "UNAUTHENTICATED"
        );
    }
}
