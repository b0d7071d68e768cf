//! Who asks: a bearer token, or a browser's session.
//!
//! Invariants:
//! - What is shown is compared by its SHA-256 digest; with the engine's own token without an early exit.
//! - A session's cookie is `HttpOnly` and `SameSite=Strict`; an unsafe request that comes with the
//!   cookie alone must also carry `Stepwell-Csrf`, which no foreign page can send.
//! - A session that was bought with the engine's own token holds as long as that token is the engine's.
//! - The link of a start makes the first administrator, and nobody else.
//!
//! Not here: what somebody may do (`access`), and what is known of them (`book`).

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Method, header};
use sha2::{Digest as _, Sha256};
use stepwell_store::Store;

use super::book::{Book, Digest};
use super::caller::Caller;
use super::passwords::Passwords;
use super::problem::{Answer, Code, Refusal};
use super::tries::Tries;

pub(crate) const COOKIE: &str = "stepwell_session";
pub(crate) const CSRF_HEADER: &str = "stepwell-csrf";
pub(crate) const SESSION_MS: u64 = 12 * 60 * 60 * 1000;
const SECRET_BYTES: usize = 32;
/// Begins the cookie of a session that was bought with the engine's own token.
const OF_ENGINE: &str = "e.";

pub(crate) struct Auth {
    admin: Digest,
    session_key: [u8; 32],
    /// The digest of the link that makes the first administrator, until it has.
    link: Mutex<Option<Digest>>,
    pub(crate) book: Book,
    pub(super) passwords: Passwords,
    pub(super) tries: Tries,
}

impl Auth {
    pub(crate) fn new(admin_token: &str, store: Store) -> Self {
        let mut key = Sha256::new();
        key.update(b"stepwell session key\0");
        key.update(admin_token.as_bytes());
        Self {
            admin: digest(admin_token.as_bytes()),
            session_key: key.finalize().into(),
            link: Mutex::default(),
            book: Book::new(store),
            passwords: Passwords::new(),
            tries: Tries::default(),
        }
    }

    /// Who sent this request, or why it is refused.
    pub(crate) async fn caller(&self, method: &Method, headers: &HeaderMap, now_ms: u64) -> Answer<Caller> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let unknown = || Refusal::say(Code::Unauthenticated, "the Authorization header holds no valid token");
            let digest = digest(bearer(value.as_bytes()).ok_or_else(unknown)?);
            if same(&digest, &self.admin) {
                return Ok(Caller::engine());
            }
            return self.book.token(&digest, now_ms).await?.ok_or_else(unknown);
        }
        let Some(cookie) = cookie(headers) else {
            return Err(Refusal::say(Code::Unauthenticated, "send Authorization: Bearer <token>"));
        };
        let over = || Refusal::say(Code::Unauthenticated, "the session has ended; log in again");
        let live = self.book.session(&self.session_digest(cookie), now_ms).await?.ok_or_else(over)?;
        let caller = match &live.account {
            None => Caller::engine(),
            Some(name) => self.book.user(name).await?.ok_or_else(over)?,
        };
        if !method.is_safe() && !headers.contains_key(CSRF_HEADER) {
            return Err(Refusal::new(Code::CsrfMissing));
        }
        Ok(caller)
    }

    pub(super) fn is_engine_token(&self, token: &str) -> bool {
        same(&digest(token.as_bytes()), &self.admin)
    }

    /// The session of this request, by its digest.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<Digest> {
        cookie(headers).map(|cookie| self.session_digest(cookie))
    }

    /// A new session's cookie, and what is kept of it.
    pub(super) fn new_session(&self, of_engine: bool) -> (String, Digest) {
        let cookie = format!("{}{}", if of_engine { OF_ENGINE } else { "" }, random_token(SECRET_BYTES));
        let digest = self.session_digest(&cookie);
        (cookie, digest)
    }

    /// With the engine's own token in it where that bought the session: with another one it is not found.
    fn session_digest(&self, cookie: &str) -> Digest {
        if !cookie.starts_with(OF_ENGINE) {
            return digest(cookie.as_bytes());
        }
        // HMAC takes a key of any length, so this cannot fail; an all-zero key would only refuse everyone.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.session_key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        mac.update(cookie.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Makes a link in place of the one before.
    pub(crate) fn new_link(&self) -> String {
        let token = random_token(SECRET_BYTES);
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest(token.as_bytes()));
        token
    }

    pub(super) fn is_link(&self, token: &str) -> bool {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.is_some_and(|link| same(&digest(token.as_bytes()), &link))
    }

    /// It was used, or came too late.
    pub(super) fn spend_link(&self) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

pub(super) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    // Without the system's randomness nothing here would be a secret: better to stop.
    if let Err(error) = getrandom::fill(&mut buffer) {
        tracing::error!(%error, "the system gives no randomness");
        std::process::abort();
    }
    buffer
}

/// A secret of `bytes` random bytes, 64 at most, safe in URLs and headers.
pub(crate) fn random_token(bytes: usize) -> String {
    let buffer = random_bytes::<64>();
    URL_SAFE_NO_PAD.encode(&buffer[..bytes.min(buffer.len())])
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

    use stepwell_store::{Act, ApiToken, Bought, NewUser, Options, Role, Roles};

    use super::*;

    const TOKEN: &str = "a token of the engine";

    /// The caller, or the code of the refusal.
    async fn asked(auth: &Auth, method: &str, headers: &[(&str, &str)], now_ms: u64) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match auth.caller(&method.parse().unwrap(), &map, now_ms).await {
            Ok(caller) => caller.user,
            Err(refusal) => refusal.code.text().to_owned(),
        }
    }

    fn open() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("stepwell.db"), Options::default()).unwrap();
        (folder, store)
    }

    fn act() -> Act {
        Act { by: "ada".to_owned(), at_ms: 1_000 }
    }

    async fn begun(auth: &Auth, store: &Store, bought: Bought) -> String {
        let (cookie, digest) = auth.new_session(bought == Bought::ByToken);
        assert!(store.begin_session(act(), &hex::encode(digest), bought, 9_000).await.unwrap());
        format!("{COOKIE}={cookie}")
    }

    #[tokio::test]
    async fn a_token_or_a_session_is_needed() {
        let (_folder, store) = open();
        let auth = Auth::new(TOKEN, store.clone());
        let user = NewUser { name: "ada".into(), password: "h".into(), must_change: false, roles: Roles::new() };
        store.add_user(act(), user).await.unwrap();
        for (id, secret, expires_ms) in [("1", "sound", None), ("2", "short", Some(3_000))] {
            let token = ApiToken {
                id: id.to_owned(),
                name: secret.to_owned(),
                digest: hex::encode(digest(secret.as_bytes())),
                owner: Some("ada".to_owned()),
                created_ms: 1,
                expires_ms,
                used_ms: None,
                roles: Roles::from([("pay".to_owned(), Role::Admin)]),
            };
            store.add_token(act(), token).await.unwrap();
        }
        auth.book.refresh().await.unwrap();
        let adas = Bought::ByPassword { name: "ada".to_owned(), password: "h".to_owned() };
        let session = format!("other=1; {}", begun(&auth, &store, adas).await);
        let engines = begun(&auth, &store, Bought::ByToken).await;
        let forged = format!("{COOKIE}=e.x");
        let bearer = format!("Bearer {TOKEN}");
        for (method, headers, now_ms, expected) in [
            ("GET", vec![], 2_000, "UNAUTHENTICATED"),
            ("POST", vec![("authorization", bearer.as_str())], 2_000, "token:bootstrap"),
            ("POST", vec![("authorization", "Bearer sound")], 2_000, "token:sound"),
            ("POST", vec![("authorization", "Bearer short")], 2_000, "token:short"),
            ("POST", vec![("authorization", "Bearer short")], 3_000, "UNAUTHENTICATED"),
            ("GET", vec![("authorization", "Bearer wrong")], 2_000, "UNAUTHENTICATED"),
            ("GET", vec![("authorization", TOKEN)], 2_000, "UNAUTHENTICATED"),
            ("GET", vec![("authorization", "Bearer ")], 2_000, "UNAUTHENTICATED"),
            ("GET", vec![("cookie", session.as_str())], 2_000, "ada"),
            ("GET", vec![("cookie", engines.as_str())], 2_000, "token:bootstrap"),
            ("POST", vec![("cookie", session.as_str())], 2_000, "CSRF_MISSING"),
            ("POST", vec![("cookie", session.as_str()), ("stepwell-csrf", "1")], 2_000, "ada"),
            ("GET", vec![("cookie", forged.as_str())], 2_000, "UNAUTHENTICATED"),
            ("GET", vec![("cookie", session.as_str())], 9_000, "UNAUTHENTICATED"),
            // A wrong token is not saved by a good cookie: the caller meant the token.
            ("GET", vec![("authorization", "Bearer wrong"), ("cookie", session.as_str())], 2_000, "UNAUTHENTICATED"),
        ] {
            assert_eq!(asked(&auth, method, &headers, now_ms).await, expected, "{method} {headers:?} {now_ms}");
        }
        // The same store under another token of the engine's own: users stay, what it bought does not.
        let other = Auth::new("another token", store.clone());
        assert_eq!(asked(&other, "GET", &[("cookie", &session)], 2_000).await, "ada");
        assert_eq!(asked(&other, "GET", &[("cookie", &engines)], 2_000).await, "UNAUTHENTICATED");
        // Nothing is left of somebody who is disabled, once it is known here.
        store.set_disabled(act(), "ada", true).await.unwrap();
        auth.book.refresh().await.unwrap();
        for headers in [("cookie", session.as_str()), ("authorization", "Bearer sound")] {
            assert_eq!(asked(&auth, "GET", &[headers], 2_000).await, "UNAUTHENTICATED");
        }
    }

    #[tokio::test]
    async fn a_link_is_good_until_another_is_made_or_it_is_spent() {
        let (_folder, store) = open();
        let auth = Auth::new(TOKEN, store);
        assert!(!auth.is_link(""));
        let (first, second) = (auth.new_link(), auth.new_link());
        assert_eq!((auth.is_link(&first), auth.is_link(&second)), (false, true));
        auth.spend_link();
        assert!(!auth.is_link(&second));
    }
}
