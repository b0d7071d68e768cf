//! What went wrong in a script, for the person who wrote it: message and line.

use crate::machine::FILE;
use rquickjs::{CaughtError, Ctx, Object, Value};
use stepwell_sdk::{Error, permanent, rejected};

/// The contract's bound on messages.
const MESSAGE_BYTES_MAX: usize = 1000;

/// A message and where it points.
pub(crate) struct Fault {
    pub(crate) message: String,
    /// From 1, as the author counts.
    pub(crate) line: Option<u32>,
}

impl Fault {
    pub(crate) fn into_error(self) -> Error {
        permanent(match self.line {
            Some(line) => format!("{} (line {line})", self.message),
            None => self.message,
        })
    }
}

/// A script that cannot be compiled.
pub(crate) fn of_syntax(error: &CaughtError<'_>, script: &str) -> Fault {
    let mut found = match error {
        CaughtError::Exception(exception) => {
            fault("SyntaxError", exception.message().as_deref(), exception.stack().as_deref())
        }
        // The text closes the function it is put into and evaluates to something else.
        other => fault("SyntaxError", Some(&other.to_string()), None),
    };
    // What the end of the script lacks is noticed on the line that is put after it.
    let last = u32::try_from(script.lines().count().max(1)).unwrap_or(u32::MAX);
    found.line = found.line.map(|line| line.min(last));
    found
}

/// A script that threw: `permanent`, unless it called `reject`.
pub(crate) fn of_throw<'js>(ctx: &Ctx<'js>, error: &CaughtError<'js>) -> Error {
    match error {
        CaughtError::Exception(exception) => {
            let name: String = exception.get("name").unwrap_or_default();
            if name == "Rejected"
                && let Some(rejection) = rejection(ctx, exception)
            {
                return rejection;
            }
            fault(&name, exception.message().as_deref(), exception.stack().as_deref()).into_error()
        }
        CaughtError::Value(value) => permanent(cut(format!("the script threw {}", shown(ctx, value)))),
        CaughtError::Error(error) => permanent(cut(error.to_string())),
    }
}

fn rejection<'js>(ctx: &Ctx<'js>, thrown: &Object<'js>) -> Option<Error> {
    let code: String = thrown.get("code").ok()?;
    let message: String = thrown.get("message").ok()?;
    let data: Value<'_> = thrown.get("data").ok()?;
    let data = ctx.json_stringify(data).ok().flatten().and_then(|text| text.to_string().ok());
    let Error::Rejected { code, message, .. } = rejected(code, cut(message)) else { return None };
    Some(Error::Rejected { code, message, data })
}

fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    let text = ctx.json_stringify(value.clone()).ok().flatten().and_then(|text| text.to_string().ok());
    text.unwrap_or_else(|| value.type_name().to_owned())
}

fn fault(name: &str, message: Option<&str>, stack: Option<&str>) -> Fault {
    let message = message.unwrap_or_default();
    Fault { message: cut(format!("{name}: {message}")), line: stack.and_then(line) }
}

/// The line of the innermost frame that is in the script: `at f (script:LINE:COLUMN)`.
fn line(stack: &str) -> Option<u32> {
    let (_, at) = stack.split_once(&format!("{FILE}:"))?;
    let digits = at.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(at.len());
    at[..digits].parse().ok()
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text.replace(['\n', '\r'], " ")
}
