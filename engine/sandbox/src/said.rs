//! What a guest answered, read into the core's words.
//!
//! Texts that carry meaning are refused where they are too long; texts for people are clipped.

use std::sync::Arc;

use serde_json::Value;
use stepwell_core::machine::{
    Cut, CutReason, Failure, MESSAGE_KEY_BYTES_MAX, MESSAGE_NAME_BYTES_MAX, Outcome, Rejection, fits_message,
};
use stepwell_core::value::{VALUE_DEPTH_MAX, too_deep};

use crate::call::{cut, permanent};
use crate::contract;

/// See `wit/types.wit` for all of these.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2000;
const CODE_BYTES_MAX: usize = 64;

/// An answer as it crossed the boundary: JSON is still text.
pub(crate) enum Said {
    Done(contract::Emission),
    Wait(contract::Waiting),
    /// Only of `undo`: all is taken back.
    Undone,
    /// Only of `query`.
    NeverRan,
    Failed(contract::Failure),
}

impl Said {
    /// The answer, if it keeps to the contract's limits and its JSON parses.
    pub(crate) fn checked(self, bytes_max: usize) -> Result<Outcome, Cut> {
        let json = |what: &str, text: &str| parsed(what, text, bytes_max);
        Ok(match self {
            Self::Done(contract::Emission { port, output }) => {
                Outcome::Done { output: json("output", &output)?, port: port.into() }
            }
            Self::Wait(contract::Waiting { message, key, timeout_ms, memo }) => {
                let within =
                    fits_message(&message, MESSAGE_NAME_BYTES_MAX) && fits_message(&key, MESSAGE_KEY_BYTES_MAX);
                if !within {
                    let (name, key) = (message.len(), key.len());
                    let message = format!("waits for a message of {name} bytes with a key of {key} bytes");
                    return Ok(permanent("NODE_BROKE_CONTRACT", message));
                }
                Outcome::Waiting { memo: json("memo", &memo)?, message: message.into(), key, timeout_ms }
            }
            Self::Undone => Outcome::Done { port: "".into(), output: Arc::new(Value::Null) },
            Self::NeverRan => Outcome::NeverRan,
            Self::Failed(failure) => Outcome::Failed(match failure {
                contract::Failure::Rejected(contract::Rejection { code, message, data }) => {
                    let data = data.map(|data| json("rejection's data", &data)).transpose()?;
                    Failure::Rejected(Rejection { code: clip(code, CODE_BYTES_MAX), message: told(message), data })
                }
                contract::Failure::Transient((message, retry_after_ms)) => {
                    Failure::Transient { message: told(message), retry_after_ms }
                }
                contract::Failure::Permanent(message) => Failure::Permanent { message: told(message), code: None },
                contract::Failure::Unknown(message) => Failure::Unknown { message: told(message) },
            }),
        })
    }
}

fn parsed(what: &str, text: &str, bytes_max: usize) -> Result<Arc<Value>, Cut> {
    let bytes = text.len();
    if bytes > bytes_max {
        return Err(cut(CutReason::Output, format!("the {what} has {bytes} bytes, {bytes_max} are allowed")));
    }
    match serde_json::from_str(text) {
        Ok(value) if too_deep(&value) => {
            Err(cut(CutReason::Output, format!("the {what} has more than {VALUE_DEPTH_MAX} levels")))
        }
        Ok(value) => Ok(Arc::new(value)),
        Err(error) => Err(cut(CutReason::Output, format!("the {what} is no JSON: {error}"))),
    }
}

fn told(message: String) -> String {
    clip(message, MESSAGE_BYTES_MAX)
}

pub(crate) fn clip(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

impl From<contract::Outcome> for Said {
    fn from(outcome: contract::Outcome) -> Self {
        match outcome {
            contract::Outcome::Done(emission) => Self::Done(emission),
            contract::Outcome::Wait(waiting) => Self::Wait(waiting),
        }
    }
}

impl From<contract::Failure> for Said {
    fn from(failure: contract::Failure) -> Self {
        Self::Failed(failure)
    }
}
