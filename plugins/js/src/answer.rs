//! What a program answered, read from its JSON.

use serde::Deserialize;
use serde_json::value::RawValue;
use stepwell_sdk::{Emission, Error, Outcome, Problem, Waiting, permanent, read};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer<'a> {
    Done {
        port: String,
        #[serde(borrow)]
        output: &'a RawValue,
    },
    #[serde(rename_all = "camelCase")]
    Wait {
        message: String,
        key: String,
        timeout_ms: Option<u64>,
        #[serde(borrow)]
        memo: &'a RawValue,
    },
    Undone,
    NeverRan,
    Rejected {
        code: String,
        message: String,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    },
    #[serde(rename_all = "camelCase")]
    Transient {
        message: String,
        retry_after_ms: Option<u64>,
    },
    Permanent(String),
    Unknown(String),
}

impl Answer<'_> {
    pub(crate) fn outcome(self) -> Result<Outcome, Error> {
        match self {
            Self::Done { port, output } => Ok(Outcome::Done(Emission { port, output: output.get().to_owned() })),
            Self::Wait { message, key, timeout_ms, memo } => {
                Ok(Outcome::Wait(Waiting { message, key, timeout_ms, memo: memo.get().to_owned() }))
            }
            Self::Rejected { code, message, data } => {
                Err(Error::Rejected { code, message, data: data.map(|data| data.get().to_owned()) })
            }
            Self::Transient { message, retry_after_ms } => Err(Error::Transient { message, retry_after_ms }),
            Self::Permanent(message) => Err(Error::Permanent(message)),
            Self::Unknown(message) => Err(Error::Unknown(message)),
            Self::Undone | Self::NeverRan => Err(permanent("the node answered what it was not asked")),
        }
    }
}

#[derive(Deserialize)]
struct ProblemRow {
    #[serde(default)]
    pointer: String,
    code: String,
    message: String,
    line: Option<u32>,
}

/// The answer of a check: a list of problems, or a failure.
pub(crate) fn problems(text: &str) -> Result<Vec<Problem>, Error> {
    if let Ok(rows) = serde_json::from_str::<Vec<ProblemRow>>(text) {
        let problem = |ProblemRow { pointer, code, message, line }| Problem { pointer, code, message, line };
        return Ok(rows.into_iter().map(problem).collect());
    }
    read::<Answer<'_>>(text)?.outcome().map(|_| Vec::new())
}
