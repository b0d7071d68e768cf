//! The types of `stepwell:node@0.1.0` as they cross the boundary; `wit/` says what they mean.
//!
//! Written out rather than generated: optional exports have no world of their own, and arguments
//! are lent, not copied. A difference from `wit/` shows when a component is loaded: every export is
//! type-checked against these once.

use wasmtime::component::{ComponentType, Lift, Lower};

/// Package and version that interface names carry.
pub(crate) const NODE: &str = "stepwell:node/node@0.1.0";
pub(crate) const UNDO: &str = "stepwell:node/undo@0.1.0";
pub(crate) const RESUME: &str = "stepwell:node/resume@0.1.0";
pub(crate) const QUERY: &str = "stepwell:node/query@0.1.0";
pub(crate) const CHECK: &str = "stepwell:node/check@0.1.0";
pub(crate) const LOG: &str = "stepwell:host/log@0.1.0";
pub(crate) const RECORDS_READ: &str = "stepwell:host/records-read@0.1.0";
pub(crate) const RECORDS_WRITE: &str = "stepwell:host/records-write@0.1.0";

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct Call<'a> {
    pub(crate) instance: &'a str,
    pub(crate) flow: &'a str,
    pub(crate) version: u32,
    pub(crate) node: &'a str,
    pub(crate) visit: u32,
    pub(crate) attempt: u32,
    pub(crate) key: &'a str,
    #[component(name = "forward-key")]
    pub(crate) forward_key: Option<&'a str>,
    #[component(name = "business-key")]
    pub(crate) business_key: Option<&'a str>,
    #[component(name = "deadline-ms")]
    pub(crate) deadline_ms: u64,
    pub(crate) traceparent: Option<&'a str>,
}

#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum SignalKind {
    #[component(name = "message")]
    Message,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "cancelled")]
    Cancelled,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct Signal<'a> {
    pub(crate) kind: SignalKind,
    pub(crate) payload: &'a str,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Emission {
    pub(crate) port: String,
    pub(crate) output: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Waiting {
    pub(crate) message: String,
    pub(crate) key: String,
    #[component(name = "timeout-ms")]
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) memo: String,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Outcome {
    #[component(name = "done")]
    Done(Emission),
    #[component(name = "wait")]
    Wait(Waiting),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rejection {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) data: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Failure {
    #[component(name = "rejected")]
    Rejected(Rejection),
    #[component(name = "transient")]
    Transient((String, Option<u64>)),
    #[component(name = "permanent")]
    Permanent(String),
    #[component(name = "unknown")]
    Unknown(String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Localized {
    pub(crate) language: String,
    pub(crate) text: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) title: Vec<Localized>,
    #[component(name = "output-schema")]
    pub(crate) output_schema: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ErrorCode {
    pub(crate) code: String,
    pub(crate) title: Vec<Localized>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Example {
    pub(crate) title: Vec<Localized>,
    pub(crate) config: String,
    pub(crate) input: String,
    pub(crate) port: String,
    pub(crate) output: String,
    #[component(name = "http-tape")]
    pub(crate) http_tape: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[expect(clippy::struct_excessive_bools, reason = "the contract has them")]
pub(crate) struct NodeType {
    pub(crate) name: String,
    pub(crate) title: Vec<Localized>,
    pub(crate) summary: Vec<Localized>,
    pub(crate) category: String,
    pub(crate) icon: String,
    #[component(name = "config-schema")]
    pub(crate) config_schema: String,
    #[component(name = "input-schema")]
    pub(crate) input_schema: String,
    pub(crate) ports: Vec<Port>,
    pub(crate) errors: Vec<ErrorCode>,
    #[component(name = "has-undo")]
    pub(crate) has_undo: bool,
    #[component(name = "has-resume")]
    pub(crate) has_resume: bool,
    #[component(name = "has-query")]
    pub(crate) has_query: bool,
    #[component(name = "has-check")]
    pub(crate) has_check: bool,
    pub(crate) examples: Vec<Example>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    #[component(name = "node-types")]
    pub(crate) node_types: Vec<NodeType>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Problem {
    pub(crate) pointer: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) line: Option<u32>,
}

/// Severity of a guest's log line.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "only guests make them")]
pub(crate) enum LogLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl LogLevel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A record as it stands.
#[derive(ComponentType, Lower, Clone)]
#[component(record)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) status: String,
    #[component(name = "status-code")]
    pub(crate) status_code: i32,
    pub(crate) revision: u64,
    pub(crate) body: String,
}

#[derive(ComponentType, Lift, Clone)]
#[component(record)]
pub(crate) struct StatusRange {
    pub(crate) min: Option<i32>,
    pub(crate) max: Option<i32>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Filter {
    pub(crate) status: Option<String>,
    #[component(name = "status-range")]
    pub(crate) status_range: Option<StatusRange>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next: Option<String>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum RecordsError {
    #[component(name = "unknown-type")]
    UnknownType(String),
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "limit")]
    Limit(String),
    #[component(name = "not-granted")]
    NotGranted(String),
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Guard {
    #[component(name = "absent")]
    Absent,
    #[component(name = "status")]
    Status(String),
    #[component(name = "status-range")]
    StatusRange(StatusRange),
    #[component(name = "revision")]
    Revision(u64),
}

// Parameters and results of the exported functions.
pub(crate) type DescribeResult = (Manifest,);
pub(crate) type RunParams<'a> = (&'a str, Call<'a>, &'a str, &'a str);
pub(crate) type RunResult = (Result<Outcome, Failure>,);
pub(crate) type UndoParams<'a> = (&'a str, Call<'a>, &'a str, &'a str, Option<&'a str>);
pub(crate) type UndoResult = (Result<Option<Waiting>, Failure>,);
pub(crate) type ResumeParams<'a> = (&'a str, Call<'a>, &'a str, &'a str, Signal<'a>);
pub(crate) type QueryParams<'a> = (&'a str, Call<'a>, &'a str, &'a str);
pub(crate) type QueryResult = (Result<Option<Outcome>, Failure>,);
pub(crate) type CheckParams<'a> = (&'a str, &'a str);
pub(crate) type CheckResult = (Vec<Problem>,);
