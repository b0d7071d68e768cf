//! Why a node failed. The variant decides what the engine does next; the text is for people.

use crate::bindings::types::{Failure, Rejection};
use serde::Serialize;

/// A failed attempt. See `failure` in `wit/types.wit` for what each case promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A "no" of the business; never retried.
    Rejected { code: String, message: String, data: Option<String> },
    /// Trying again may help, after `retry_after_ms` where the other side said so.
    Transient { message: String, retry_after_ms: Option<u64> },
    /// Trying again cannot help.
    Permanent(String),
    /// It may have happened. Only external nodes have a reason to say so.
    Unknown(String),
}

pub fn rejected(code: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Rejected { code: code.into(), message: message.into(), data: None }
}

pub fn transient(message: impl Into<String>) -> Error {
    Error::Transient { message: message.into(), retry_after_ms: None }
}

pub fn permanent(message: impl Into<String>) -> Error {
    Error::Permanent(message.into())
}

pub fn unknown(message: impl Into<String>) -> Error {
    Error::Unknown(message.into())
}

impl Error {
    /// Adds details for the flow to branch on. Only a rejection carries them.
    #[must_use]
    pub fn with_data<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match self {
            Self::Rejected { code, message, .. } => {
                Self::Rejected { code, message, data: serde_json::to_string(value).ok() }
            }
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected { code, message, data } => Self::Rejected(Rejection { code, message, data }),
            Error::Transient { message, retry_after_ms } => Self::Transient((message, retry_after_ms)),
            Error::Permanent(message) => Self::Permanent(message),
            Error::Unknown(message) => Self::Unknown(message),
        }
    }
}
