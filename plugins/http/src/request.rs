//! One request: the path's `{names}` filled in, the answer's status sorted into the failure classes.
//!
//! Not here: where the connection leads, its secrets, the idempotency key; the host adds them.

use crate::base64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use stepwell_sdk::http::{Request, Response, encode};
use stepwell_sdk::{Error, permanent, rejected};

/// Headers that say nothing to a flow, differ on every answer, or must not be kept.
const HEADERS_LEFT_OUT: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "set-cookie",
    "transfer-encoding",
    "www-authenticate",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    connection: String,
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Statuses that are answers beside 2xx, such as 404 where absence is no failure.
    #[serde(default)]
    expect: Vec<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Input<'a> {
    params: BTreeMap<String, Value>,
    query: BTreeMap<String, Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Serialize)]
pub(crate) struct Output {
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Body,
}

/// The answer's body: JSON where it says so, else text, else base64.
#[derive(Serialize)]
enum Body {
    #[serde(rename = "body")]
    Value(Value),
    #[serde(rename = "body_base64")]
    Bytes(String),
}

pub(crate) fn run(config: Config, input: Input<'_>) -> Result<Output, Error> {
    let path = path(&config.path, &input)?;
    let mut request = Request::new(&config.method, &config.connection, path);
    let has_type = config.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    for (name, value) in config.headers {
        request = request.header(name.to_ascii_lowercase(), value);
    }
    if let Some(body) = input.body {
        request = if has_type { request.body(plain(body)) } else { request.json(body)? };
    }
    let response = request.send()?;
    sort(response, &config.expect)
}

/// The body under a content type of its own: a text as it is, anything else as JSON.
fn plain(body: &RawValue) -> Vec<u8> {
    match serde_json::from_str(body.get()) {
        Ok(Value::String(text)) => text.into_bytes(),
        _ => body.get().as_bytes().to_vec(),
    }
}

/// Fills `{name}` from the parameters and adds the query. A list makes its name appear repeatedly;
/// null leaves it out.
fn path(template: &str, input: &Input<'_>) -> Result<String, Error> {
    let mut path = String::with_capacity(template.len() + 32);
    if !template.starts_with('/') {
        path.push('/');
    }
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) =
            after.split_once('}').ok_or_else(|| permanent(format!("path {template}: a brace stays open")))?;
        let value = input.params.get(name).and_then(word);
        // An empty segment would name another resource, such as the whole collection.
        let value = value.filter(|value| !value.is_empty() && value != "." && value != "..");
        path.push_str(before);
        path.push_str(&encode(&value.ok_or_else(|| {
            rejected("PARAMETER_MISSING", format!("the path needs a value for {name}, a text or a number"))
        })?));
        rest = tail;
    }
    path.push_str(rest);
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in &input.query {
        let values = match value {
            Value::Array(values) => values.iter().filter_map(word).collect(),
            one => Vec::from_iter(word(one)),
        };
        for value in values {
            path.push(separator);
            path.push_str(&encode(name));
            path.push('=');
            path.push_str(&encode(&value));
            separator = '&';
        }
    }
    Ok(path)
}

/// A value as it stands in a URL; none for null, lists and objects.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn sort(response: Response, expect: &[u16]) -> Result<Output, Error> {
    let status = response.status;
    if !((200..300).contains(&status) || expect.contains(&status)) {
        if let Some(error) = response.overload() {
            return Err(error);
        }
        let output = output(response);
        return Err(rejected(format!("HTTP_{status}"), format!("the other side answered {status}")).with_data(&output));
    }
    Ok(output(response))
}

fn output(response: Response) -> Output {
    let is_json = response.header("content-type").is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    });
    let json = if is_json { serde_json::from_slice(&response.body).ok() } else { None };
    let body = match (json, core::str::from_utf8(&response.body)) {
        (Some(value), _) => Body::Value(value),
        (None, Ok("")) => Body::Value(Value::Null),
        (None, Ok(text)) => Body::Value(Value::String(text.to_owned())),
        (None, Err(_)) => Body::Bytes(base64::encode(&response.body)),
    };
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers {
        if HEADERS_LEFT_OUT.contains(&&*name) {
            continue;
        }
        let value = String::from_utf8_lossy(&value);
        headers
            .entry(name)
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    Output { status: response.status, headers, body }
}

#[cfg(test)]
mod tests {
    use stepwell_sdk::http::tape;
    use stepwell_sdk::testing::answer;

    /// Sends `config` and `input`, expecting `sent` (method and path), answered with `reply`.
    fn play(config: &str, input: &str, sent: &str, reply: &str) -> String {
        let (method, path) = sent.split_once(' ').unwrap_or(("", ""));
        tape::put(&if method.is_empty() {
            "[]".to_owned()
        } else {
            format!(r#"[{{"request":{{"method":"{method}","connection":"api","path":"{path}"}},{reply}}}]"#)
        });
        let shown = answer::<crate::Http>("request", &format!(r#"{{"connection":"api",{config}}}"#), input);
        tape::assert_played(config);
        shown
    }

    #[test]
    fn the_path_is_filled_in() {
        for (path, input, sent) in [
            ("/a", "{}", "GET /a"),
            ("a", "{}", "GET /a"),
            ("/o/{id}/l", r#"{"params":{"id":"x/1 é"}}"#, "GET /o/x%2F1%20%C3%A9/l"),
            ("/o/{id}", r#"{"params":{"id":7}}"#, "GET /o/7"),
            ("/a", r#"{"query":{"b":[1,"x y"],"c":null,"d":true}}"#, "GET /a?b=1&b=x%20y&d=true"),
            ("/a?z=1", r#"{"query":{"b":"&"}}"#, "GET /a?z=1&b=%26"),
        ] {
            let shown = play(&format!(r#""path":"{path}""#), input, sent, r#""response":{"status":204}"#);
            assert_eq!(shown, r#"done out {"status":204,"headers":{},"body":null}"#, "{path} {input}");
        }
        for (path, input, expected) in [
            ("/o/{id}", "{}", "rejected PARAMETER_MISSING"),
            ("/o/{id}", r#"{"params":{"id":""}}"#, "rejected PARAMETER_MISSING"),
            ("/o/{id}/x", r#"{"params":{"id":".."}}"#, "rejected PARAMETER_MISSING"),
            ("/o/{id", r#"{"params":{"id":"1"}}"#, "permanent"),
        ] {
            let shown = play(&format!(r#""path":"{path}""#), input, "", "");
            assert!(shown.starts_with(expected), "{path} {input}: {shown}");
        }
    }

    #[test]
    fn the_answer_is_sorted_into_classes() {
        for (config, reply, expected) in [
            ("", r#""response":{"status":200,"body":{"a":1}}"#, r#""body":{"a":1}}"#),
            (
                "",
                r#""response":{"status":200,"headers":{"content-type":"text/plain","set-cookie":"s"},"body":"hi"}"#,
                r#"{"status":200,"headers":{"content-type":"text/plain"},"body":"hi"}"#,
            ),
            ("", r#""response":{"status":404,"body":{"code":"GONE"}}"#, "rejected HTTP_404 "),
            ("", r#""response":{"status":404,"body":{"code":"GONE"}}"#, r#""body":{"code":"GONE"}}"#),
            (r#""expect":[404],"#, r#""response":{"status":404}"#, r#"done out {"status":404"#),
            (r#""expect":[503],"#, r#""response":{"status":503}"#, r#"done out {"status":503"#),
            ("", r#""response":{"status":302}"#, "rejected HTTP_302 "),
            (
                "",
                r#""response":{"status":429,"headers":{"retry-after":"3"}}"#,
                "transient the other side answered 429 3000",
            ),
            ("", r#""response":{"status":503}"#, "transient the other side answered 503 -"),
            ("", r#""response":{"status":500,"headers":{"retry-after":"99999999999999999999"}}"#, "answered 500 -"),
            ("", r#""fault":"not-sent""#, "transient POST api/p: connection refused -"),
            ("", r#""fault":"lost""#, "unknown POST api/p: connection closed"),
            ("", r#""fault":"refused""#, "permanent POST api/p: NOT_GRANTED"),
        ] {
            let shown = play(&format!(r#"{config}"method":"POST","path":"/p""#), r#"{"body":[1]}"#, "POST /p", reply);
            assert!(shown.contains(expected), "{reply}: {shown}");
        }
        // Nothing can have happened where the request only reads.
        let shown = play(r#""path":"/p""#, "{}", "GET /p", r#""fault":"lost""#);
        assert!(shown.starts_with("transient"), "{shown}");
    }
}
