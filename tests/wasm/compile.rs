//! Components that are hard on the compiler, compiled as an engine does it: by its binary, in a child.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use stepwell_sandbox::{Limits, Program, Sandbox, Stage};

use crate::rig::{guest, limits, told};

fn in_child(cache: &tempfile::TempDir, limits: Limits) -> Sandbox {
    let program = Program { path: stepwell_tests::binary(), args: vec!["compile-plugin".into()] };
    Sandbox::new(Some(cache.path().join("cache")), limits).unwrap().compiled_by(program)
}

/// One function of so many additions, each of the last: valid, small in bytes, and dear to compile.
fn heavy(additions: usize) -> Vec<u8> {
    let body =
        "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 0))))".repeat(additions);
    let module = format!(r#"(core module $m (memory 1) (func (export "f") (local i32 i32) {body}))"#);
    wat::parse_str(format!("(component {module})")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_compiled_in_a_child_and_found_in_the_cache_after() {
    let cache = tempfile::tempdir().unwrap();
    let stages = async || {
        let seen = Mutex::new(Vec::new());
        let sandbox = in_child(&cache, limits());
        let ready = sandbox.prepare(guest("recorder"), &|stage| seen.lock().unwrap().push(stage)).await;
        ready.map_err(|problems| told(&problems)).unwrap();
        seen.into_inner().unwrap()
    };
    let [first, last] = [Stage::Size, Stage::Describe];
    let whole = [first, Stage::Imports, Stage::Compile, last, Stage::Schemas, Stage::Examples];
    assert_eq!(stages().await, whole);
    assert_eq!(stages().await, [first, last, Stage::Schemas, Stage::Examples], "its machine code is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_breaks_a_cap_of_its_compiler_is_refused_by_name() {
    let heavy = heavy(60_000);
    let patient = Limits { compile_ms_max: 120_000, ..limits() };
    for (what, caps, code) in [
        ("takes long", Limits { compile_ms_max: 400, ..patient.clone() }, "PLUGIN_COMPILE_TIME"),
        (
            "takes much memory",
            Limits { compile_memory_bytes_max: 400 << 20, ..patient.clone() },
            "PLUGIN_COMPILE_MEMORY",
        ),
        ("makes much code", Limits { code_bytes_max: 100_000, ..patient.clone() }, "PLUGIN_COMPILE_SIZE"),
        ("has an import that nobody may", patient, "PLUGIN_IMPORT_REFUSED"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let sandbox = in_child(&cache, caps);
        let wasm = if code == "PLUGIN_IMPORT_REFUSED" {
            wat::parse_str(r#"(component (import "wasi:filesystem/types@0.2.0" (instance (export "f" (func)))))"#)
                .unwrap()
        } else {
            heavy.clone()
        };
        let begun = Instant::now();
        let problems = sandbox.load(wasm).await.unwrap_err();
        assert!(problems[0].code == code, "{what}: {}", told(&problems));
        assert!(begun.elapsed() < Duration::from_secs(100), "{what}: {:?}", begun.elapsed());
        // The engine goes on, and what is left of it serves the next.
        let patient = in_child(&cache, limits());
        patient.load(guest("recorder")).await.map_err(|problems| told(&problems)).unwrap();
        let left = fs::read_dir(cache.path().join("cache")).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("tmp")).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_looks_like_an_import_is_none() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = in_child(&cache, limits());
    for name in [
        "wasi:http/outgoing-handlers@0.2.0",
        "wasi:http/outgoing-handler-x@0.2.0",
        "wasi:https/outgoing-handler@0.2.0",
        "wasi-http:http/outgoing-handler@0.2.0",
        "stepwell:host/logs@0.1.0",
        "stepwell:hosts/log@0.1.0",
        "stepwell:node/log@0.1.0",
        "log",
    ] {
        let component = wat::parse_str(format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#));
        let problems = sandbox.load(component.unwrap()).await.unwrap_err();
        assert!(
            problems[0].code == "PLUGIN_IMPORT_REFUSED" && problems[0].message.contains(name),
            "{}",
            told(&problems)
        );
    }
    // Letters that only look the same are no name at all. Put in where two of the alphabet stood, which no tool would.
    let written = r#"(component (import "wasi:http/ooutgoing-handler@0.2.0" (instance (export "f" (func)))))"#;
    let mut wasm = wat::parse_str(written).unwrap();
    let at = wasm.windows(2).position(|two| two == b"oo").unwrap();
    wasm[at..at + 2].copy_from_slice("о".as_bytes());
    let problems = sandbox.load(wasm).await.unwrap_err();
    assert_eq!(problems[0].code, "PLUGIN_NOT_COMPILED", "{}", told(&problems));
}
