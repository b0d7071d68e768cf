//! Lines for the instance's timeline. No effect on results, so a plugin that logs may be pure.

/// Adds a line. `level` is `debug`, `info`, `warn` or `error`; anything else is `info`. No secrets.
#[cfg(target_arch = "wasm32")]
pub fn log(level: &str, message: &str) {
    use crate::bindings::logging::stepwell::host::log::{Level, log};
    let level = match level {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    log(level, message);
}

/// On the host nobody listens.
#[cfg(not(target_arch = "wasm32"))]
pub fn log(level: &str, message: &str) {
    let _ = (level, message);
}
