//! What can be wrong with a plugin, each with its code and what to do about it. Pointers are into
//! the manifest, as JSON, where the problem is in one.

use stepwell_core::problem::Problem;

fn problem(code: &str, message: impl Into<String>) -> Problem {
    Problem::error(code, "", message)
}

pub(crate) fn not_a_component(message: &str) -> Problem {
    problem("PLUGIN_NOT_A_COMPONENT", message).fix("upload the `.wasm` of a WebAssembly component")
}

pub(crate) fn too_large(bytes: usize, bytes_max: usize) -> Problem {
    problem("PLUGIN_TOO_LARGE", format!("the file has {bytes} bytes, at most {bytes_max} are allowed"))
        .fix("build for size: opt-level=s, LTO, strip; `wasm-opt -Os`")
}

pub(crate) fn import_refused(import: &str, remedy: &str) -> Problem {
    problem("PLUGIN_IMPORT_REFUSED", format!("the component imports `{import}`, which no plugin may")).fix(remedy)
}

pub(crate) fn http_beside_records() -> Problem {
    let message = "the component imports both wasi:http and records-write: a request cannot be taken back when the \
                   commit of the records fails";
    problem("PLUGIN_HTTP_WITH_RECORDS", message)
        .fix("make two plugins: one claims the record, the next, after that commit, sends the request")
}

/// Something about compiling it that has a code of its own.
pub(crate) fn compile(code: &str, message: impl Into<String>) -> Problem {
    problem(code, message)
}

pub(crate) fn not_compiled(message: impl Into<String>) -> Problem {
    problem("PLUGIN_NOT_COMPILED", message)
}

pub(crate) fn export_missing(pointer: impl Into<String>, export: &str) -> Problem {
    Problem::error("PLUGIN_EXPORT_MISSING", pointer, format!("the component does not export `{export}`"))
}

pub(crate) fn export_mistyped(export: &str, reason: &str) -> Problem {
    let message = format!("the export `{export}` does not have the contract's type: {reason}");
    problem("PLUGIN_EXPORT_MISTYPED", message).fix("build against wit/ of this release")
}

pub(crate) fn not_described(message: impl Into<String>) -> Problem {
    problem("PLUGIN_NOT_DESCRIBED", message)
}

pub(crate) fn manifest(pointer: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem::error("PLUGIN_MANIFEST_INVALID", pointer, message)
}

pub(crate) fn schema(pointer: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem::error("PLUGIN_SCHEMA_INVALID", pointer, message)
}

pub(crate) fn example(pointer: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem::error("PLUGIN_EXAMPLE_FAILED", pointer, message)
}
