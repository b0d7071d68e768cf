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
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stepwell_core::flow::duration;
use stepwell_core::problem::Problem;
use stepwell_core::value::{VALUE_DEPTH_MAX, too_deep};
use tokio::time::Instant;

use super::App;
use super::problem::{Answer, Code, Refusal};

/// How fast a body has to come.
struct Pace {
    within: Duration,
    /// So many bytes win another such time; `None`: the whole body must have arrived by then.
    for_another: Option<usize>,
}

const PACE: Pace = Pace { within: Duration::from_secs(30), for_another: None };
/// Of a component, which may be large and come over a slow line: as long as there is progress.
const PACE_OF_LARGE: Pace = Pace { within: Duration::from_secs(30), for_another: Some(128 * 1024) };

/// So much of an oversize body is read and thrown away before it is refused.
const OVERSIZE_READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The raw body, at most the configured size.
pub(super) struct Raw(pub Bytes);

/// The body as `T`.
pub(super) struct Json<T>(pub T);

/// How long the next frame of a body is waited for.
struct Patience<'a> {
    pace: &'a Pace,
    until: Instant,
    /// Bytes since it was prolonged.
    since: usize,
}

impl<'a> Patience<'a> {
    fn new(pace: &'a Pace, now: Instant) -> Self {
        Self { pace, until: now + pace.within, since: 0 }
    }

    fn came(&mut self, bytes: usize, now: Instant) {
        self.since += bytes;
        if self.pace.for_another.is_some_and(|enough| self.since >= enough) {
            (self.until, self.since) = (now + self.pace.within, 0);
        }
    }
}

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
    read_at(body, bytes_max, &PACE).await
}

/// One that takes as long as it goes on coming, at 4 KiB a second or more.
pub(super) async fn read_large(body: Body, bytes_max: usize) -> Answer<Bytes> {
    read_at(body, bytes_max, &PACE_OF_LARGE).await
}

async fn read_at(body: Body, bytes_max: usize, pace: &Pace) -> Answer<Bytes> {
    let too_large = || Refusal::say(Code::BodyTooLarge, format!("at most {bytes_max} bytes are taken"));
    let told = usize::try_from(http_body::Body::size_hint(&body).lower()).unwrap_or(usize::MAX);
    if told > bytes_max.saturating_add(OVERSIZE_READ_BYTES_MAX) {
        return Err(too_large());
    }
    match gather(body, bytes_max, pace).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::say(Code::BodyNotJson, format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::new(Code::BodySlow)),
    }
}

/// The whole body, or `None` if it is too large. What is a little too large is read to its end all
/// the same and thrown away: a client that is still sending would lose the answer with the connection.
async fn gather(
    mut body: Body,
    bytes_max: usize,
    pace: &Pace,
) -> Result<Result<Option<Bytes>, axum::Error>, tokio::time::error::Elapsed> {
    let (mut first, mut rest, mut seen) = (Bytes::new(), BytesMut::new(), 0_usize);
    let mut patience = Patience::new(pace, Instant::now());
    while let Some(frame) = tokio::time::timeout_at(patience.until, body.frame()).await? {
        let data = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => data,
            Ok(Err(_)) => continue,
            Err(error) => return Ok(Err(error)),
        };
        patience.came(data.len(), Instant::now());
        seen = seen.saturating_add(data.len());
        if seen > bytes_max.saturating_add(OVERSIZE_READ_BYTES_MAX) {
            return Ok(Ok(None));
        }
        if seen > bytes_max {
            (first, rest) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() && rest.is_empty() {
            first = data; // Most bodies are one frame, and need no copy.
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    let whole = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Ok((seen <= bytes_max).then_some(whole)))
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

/// What is kept as a value must be read back within other values.
pub(super) fn not_too_deep(value: &Value, at: &str) -> Answer<()> {
    if !too_deep(value) {
        return Ok(());
    }
    let message = format!("more than {VALUE_DEPTH_MAX} levels inside each other");
    Err(Refusal::with(Code::InputInvalid, vec![Problem::error("TOO_DEEP", at, message).fix("make it flatter")]))
}

/// How long something lasts, as a body says it (`30s`), at most `most_ms`; `usual_ms` where nothing is said.
pub(super) fn duration_ms(
    text: Option<&str>,
    at: &str,
    usual_ms: u64,
    most_ms: u64,
    problems: &mut Vec<Problem>,
) -> u64 {
    let wrong = match text.map(duration::parse_ms) {
        None => return usual_ms,
        Some(Ok(ms)) if ms <= most_ms => return ms,
        Some(Ok(_)) => format!("at most {}", duration::written(most_ms)),
        Some(Err(error)) => error,
    };
    problems.push(Problem::error("DURATION", at, wrong));
    usual_ms
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
    fn a_large_body_may_take_as_long_as_it_comes() {
        let long: Vec<(u64, usize)> = (1..=20).map(|nth| (nth * 20, 130 * 1024)).collect();
        let slow: Vec<(u64, usize)> = (1..=20).map(|nth| (nth * 20, 10 * 1024)).collect();
        for (what, pace, frames, ends_at_s) in [
            ("a large one", &PACE_OF_LARGE, &long, None),
            ("it comes, and yet too little of it", &PACE_OF_LARGE, &slow, Some(30)),
            ("any other has 30 s in all", &PACE, &long, Some(30)),
        ] {
            let begun = Instant::now();
            let mut patience = Patience::new(pace, begun);
            let late = frames.iter().find(|(at_s, bytes)| {
                let now = begun + Duration::from_secs(*at_s);
                let late = now > patience.until;
                patience.came(*bytes, now);
                late
            });
            let ended = late.map(|_| (patience.until - begun).as_secs());
            assert_eq!(ended, ends_at_s, "{what}");
        }
    }

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
