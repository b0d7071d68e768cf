//! What starts a flow from outside, or tells its instances something: HTTP paths with their own
//! auth, and schedules. The document's types, and what the checker makes of them.
//!
//! Not here: whether a signature holds (`server`, which has the secrets), when a schedule is due
//! (`schedule`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::Expr;

/// What starts the flow beside the API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum TriggerDocument {
    Http(Box<HttpTriggerDocument>),
    Schedule(Box<ScheduleDocument>),
}

/// An HTTP path below `/t/`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTriggerDocument {
    /// Below `/t/`, without a leading slash.
    pub path: String,
    /// Who may ask: `token` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TriggerAuthDocument>")]
    pub auth: Option<Value>,
    /// How long the caller is kept before it gets a 202: at most 60 s, 10 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// What makes two requests the same delivery, which is then taken once: a header's name, or an
    /// expression over the body, as `=input.eventId`. Of a Standard Webhook, its id unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<String>,
    /// Posts a message instead of starting an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<TriggerMessageDocument>,
    /// What the sender of a message is answered with, by 200: JSON, or a text as it stands. Without
    /// it, 202 and the message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// The sender sends again until it is told that all went well: an instance that has not replied within `wait`, or
    /// stands in an incident, is answered by 503, and the same delivery tries its incidents again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redeliver: bool,
}

/// A word, or how requests are signed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TriggerAuthDocument {
    Word(TriggerAuthWord),
    Signed(SignedDocument),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerAuthWord {
    /// An API token, as everywhere.
    Token,
    /// Anyone who can reach the port.
    None,
}

/// Requests signed with a secret of a connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SignedDocument {
    Hmac(Box<HmacDocument>),
    StandardWebhooks(StandardWebhooksDocument),
}

/// The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of standardwebhooks.com.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandardWebhooksDocument {
    /// Whose secrets.
    pub connection: String,
    /// By name; each is `whsec_` and base64. Several while they are exchanged.
    pub secrets: Vec<String>,
    /// How far the sender's clock may be from ours: `5m` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
}

/// An HMAC in a header.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacDocument {
    /// Whose secrets.
    pub connection: String,
    /// By name, taken as they stand. Several while they are exchanged.
    pub secrets: Vec<String>,
    /// The header that holds the signature.
    pub header: String,
    /// Stands before the signature, as `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The header is a list such as `t=1700000000,v1=…`: the name the signature has there. It may stand there
    /// more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<AlgorithmDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<EncodingDocument>,
    /// The header with the time of sending, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// The name the time of sending has in the signature's header, where that is a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_field: Option<String>,
    /// How far the sender's clock may be from ours: `5m` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<String>,
    /// What is signed: `{body}`, or `{timestamp}.{body}` where there is a time, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlgorithmDocument {
    #[default]
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingDocument {
    #[default]
    Hex,
    Base64,
}

/// The message that a request is. Expressions see `input`, the request's body.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerMessageDocument {
    pub name: String,
    /// Whom it concerns: an expression, as `=input.order`.
    pub key: String,
    /// The same id is taken once: an expression. What `dedupe` says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How long it is kept without a taker: `24h` unless given, at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// Times at which the flow starts by itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleDocument {
    /// Cron: minute, hour, day of month, month, day of week; with six fields, the first is the second.
    pub schedule: String,
    /// Names it within the flow, so that it keeps its pause when others come and go: letters, digits, `_` and
    /// `-`. Its number among the flow's schedules unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// IANA name; the flow's time zone unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// A template that sees `schedule.name` and `schedule.due`, the time it starts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Of times that were missed while nothing ran: `once` starts for the last of them, `skip` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedDocument>,
    /// How late a start may be for a missed time: `12h` unless given, at most `23h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissedDocument {
    #[default]
    Once,
    Skip,
}

/// An HTTP path that starts this flow, or posts a message.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Below `/t/`, without a leading slash.
    pub path: String,
    pub auth: TriggerAuth,
    /// How long the caller is kept before it gets a 202.
    pub wait_ms: u64,
    pub dedupe: Option<Dedupe>,
    pub message: Option<TriggerMessage>,
    pub answer: Option<Value>,
    /// The sender sends again what has no reply.
    pub redeliver: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerAuth {
    /// An API token, as everywhere.
    Token,
    /// Anyone who can reach the port.
    None,
    /// Who knows one of a connection's secrets.
    Signed(Box<Signed>),
}

/// How a request shows that its sender knows a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub connection: String,
    /// Names; at least one, at most [`SECRETS_MAX`](super::check::SECRETS_MAX).
    pub secrets: Vec<String>,
    pub tolerance_ms: u64,
    pub scheme: Scheme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    StandardWebhooks,
    Hmac(Hmac),
}

/// Header names are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    pub header: String,
    pub at: SignatureAt,
    pub algorithm: AlgorithmDocument,
    pub encoding: EncodingDocument,
    pub timestamp: Option<TimestampAt>,
    /// What is signed, in order; the body is in it once.
    pub signs: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureAt {
    /// The whole header, after this.
    After(String),
    /// This field of a list.
    Field(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampAt {
    Header(String),
    /// A field of the signature's header.
    Field(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Timestamp,
    Body,
}

/// What makes two requests the same delivery.
#[derive(Debug, Clone)]
pub enum Dedupe {
    /// Lower case.
    Header(String),
    /// Over `input`.
    By(Expr),
}

#[derive(Debug, Clone)]
pub struct TriggerMessage {
    pub name: String,
    /// Over `input`.
    pub key: Expr,
    pub id: Option<Expr>,
    pub ttl_ms: Option<u64>,
}

/// Reads `{timestamp}.{body}`; an error says what would be right.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a `{` is not closed")?;
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(match name {
            "timestamp" => Part::Timestamp,
            "body" => Part::Body,
            other => return Err(format!("`{{{other}}}` is neither {{timestamp}} nor {{body}}")),
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    match parts.iter().filter(|part| **part == Part::Body).count() {
        1 => Ok(parts),
        _ => Err("the body is signed once: {body}".to_owned()),
    }
}

/// `t=1,v1=a,v1=b` by name.
pub fn fields(header: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in header.split(',').filter_map(|field| field.trim().split_once('=')) {
        fields.entry(name).or_default().push(value);
    }
    fields
}
