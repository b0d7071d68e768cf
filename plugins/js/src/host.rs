//! What a program can reach outside itself: the log, and, in the build for that, granted connections.

use rquickjs::{Ctx, Function, Result};
use stepwell_sdk::log;

/// Puts the functions where `stepwell.js` and `http.js` look for them.
pub(crate) fn install(ctx: &Ctx<'_>) -> Result<()> {
    let global = ctx.globals();
    global.set(
        "__stepwellLog",
        Function::new(ctx.clone(), |level: String, message: String| log::log(&level, &message))?,
    )?;
    #[cfg(feature = "http")]
    global.set("__stepwellSend", Function::new(ctx.clone(), |request: String| send::send(&request))?)?;
    Ok(())
}

#[cfg(feature = "http")]
mod send {
    use serde::Deserialize;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use stepwell_sdk::http::Request;
    use stepwell_sdk::{Error, permanent};

    #[derive(Deserialize)]
    struct Asked {
        method: String,
        connection: String,
        path: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<String>,
    }

    /// The response, or why there is none, as JSON.
    pub(super) fn send(request: &str) -> String {
        let answer = match sent(request) {
            Ok(response) => json!({ "response": response }),
            Err(Error::Transient { message, retry_after_ms }) => {
                json!({ "transient": { "message": message, "retryAfterMs": retry_after_ms } })
            }
            Err(Error::Unknown(message)) => json!({ "unknown": message }),
            Err(Error::Permanent(message) | Error::Rejected { message, .. }) => json!({ "permanent": message }),
        };
        answer.to_string()
    }

    fn sent(request: &str) -> Result<Value, Error> {
        let Asked { method, connection, path, headers, body } =
            serde_json::from_str(request).map_err(|error| permanent(format!("the request does not read: {error}")))?;
        let mut request = Request::new(&method, &connection, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body.into_bytes());
        }
        let response = request.send()?;
        let headers: BTreeMap<String, String> = response
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let body = String::from_utf8_lossy(&response.body);
        Ok(json!({ "status": response.status, "headers": headers, "body": body }))
    }
}
