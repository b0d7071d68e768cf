//! Request bodies: bounded in bytes and time, read once, parsed once.
//!
//! Invariants:
//! - No more than the limit is ever buffered, whatever `Content-Length` says.
//! - A body of the wrong shape is answered with a JSON pointer to the place.
//!
//! Not here: schemas of inputs (the engine checks those).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use stepwell_core::problem::Problem;

use super::App;
use super::problem::{Answer, Code, Refusal};

/// A whole body must have arrived by then.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// The raw body, at most the configured size.
pub(super) struct Raw(pub Bytes);

/// The body as `T`.
pub(super) struct Json<T>(pub T);

impl FromRequest<App> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        read(request.into_body(), app.config.body_bytes_max).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        let bytes = read(request.into_body(), app.config.body_bytes_max).await?;
        parse(&bytes).map(Self)
    }
}

pub(super) async fn read(body: Body, bytes_max: usize) -> Answer<Bytes> {
    let too_large = || Refusal::say(Code::BodyTooLarge, format!("at most {bytes_max} bytes are taken"));
    let told = http_body::Body::size_hint(&body).lower();
    if told > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(ARRIVES_WITHIN, whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::say(Code::BodyNotJson, format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::new(Code::BodySlow)),
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    // The plain parser first: finding the path costs, and only a refusal needs it.
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.is_data() => Err(shape(bytes, &error, |bytes| {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            serde_path_to_error::deserialize::<_, T>(&mut json).err().map(|error| error.path().clone())
        })),
        Err(error) => Err(Refusal::say(Code::BodyNotJson, error.to_string())),
    }
}

fn shape(
    bytes: &[u8],
    error: &serde_json::Error,
    path: impl FnOnce(&[u8]) -> Option<serde_path_to_error::Path>,
) -> Refusal {
    let pointer = path(bytes).map(|path| pointer(&path)).unwrap_or_default();
    // The parser's " at line 1 column 9" says nothing beside the pointer.
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Refusal::with(Code::BodyInvalid, vec![Problem::error("SHAPE", pointer, message)])
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.extend(["/", &index.to_string()]),
            Segment::Map { key } => {
                text.push('/');
                text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, code, at) in [
            ("{", "BODY_NOT_JSON", ""),
            ("", "BODY_NOT_JSON", ""),
            ("{\"a\":[1]} x", "BODY_NOT_JSON", ""),
            ("{\"a\":[1]}", "", ""),
            ("[]", "BODY_INVALID", ""),
            ("{\"a\":[1,\"two\"]}", "BODY_INVALID", "/a/1"),
            ("{\"a/b\":7}", "BODY_INVALID", "/a~1b"),
        ] {
            let (said, pointer) = match parse::<BTreeMap<String, Vec<u8>>>(text.as_bytes()) {
                Ok(_) => ("", String::new()),
                Err(refusal) => {
                    let pointer = refusal.problems.first().map(|one| one.pointer.clone()).unwrap_or_default();
                    (refusal.code.text(), pointer)
                }
            };
            assert_eq!((said, pointer.as_str()), (code, at), "{text}");
        }
    }
}
