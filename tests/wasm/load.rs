//! What is refused before it can be called.

use crate::rig::{Rig, guest, limits, sandbox, told};
use serde_json::json;
use stepwell_sandbox::{Limits, Sandbox};

/// A component that imports functions of these interfaces and exports nothing.
fn importing(interfaces: &[&str]) -> Vec<u8> {
    let import = |interface: &&str| format!(r#"(import "{interface}" (instance (export "f" (func))))"#);
    let imports: String = interfaces.iter().map(import).collect();
    wat::parse_str(format!("(component {imports})")).unwrap()
}

/// The hostile guest with another text of the same length in its manifest.
fn with_manifest(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut wasm = guest("hostile");
    let at = wasm.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
    wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
    wasm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_load_is_refused_with_its_reason() {
    let sandbox = sandbox();
    let mistyped = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $node (export "describe" (func $f)) (export "run" (func $f)))
        (export "stepwell:node/node@0.1.0" (instance $node)))"#;
    let huge = r#"(component
        (core module $m (memory 65536) (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $node (export "describe" (func $f)) (export "run" (func $f)))
        (export "stepwell:node/node@0.1.0" (instance $node)))"#;
    for (what, wasm, expected) in [
        ("text", b"#!/bin/sh\n".to_vec(), "PLUGIN_NOT_A_COMPONENT : the file is no WebAssembly"),
        ("nothing", Vec::new(), "PLUGIN_NOT_A_COMPONENT : "),
        (
            "machine code",
            b"\x7fELF\x02\x01\x01\xc8 and more".to_vec(),
            "PLUGIN_NOT_A_COMPONENT : the file is machine code",
        ),
        ("an empty module", wat::parse_str("(module)").unwrap(), "PLUGIN_EXPORT_MISSING : "),
        (
            "a bare module",
            wat::parse_str(r#"(module (import "env" "f" (func)))"#).unwrap(),
            "PLUGIN_NOT_A_COMPONENT : the file is a core module",
        ),
        ("a broken component", [&b"\0asm\x0d\0\x01\0"[..], &[9; 40]].concat(), "PLUGIN_NOT_COMPILED : "),
        (
            "nothing exported",
            wat::parse_str("(component)").unwrap(),
            "PLUGIN_EXPORT_MISSING : the component does not export `stepwell:node/node@0.1.0`",
        ),
        (
            "other types",
            wat::parse_str(mistyped).unwrap(),
            "PLUGIN_EXPORT_MISTYPED : the export `node.describe` does not",
        ),
        ("4 GiB to begin with", wat::parse_str(huge).unwrap(), "PLUGIN_NOT_COMPILED : "),
        (
            "sockets",
            importing(&["wasi:sockets/tcp@0.2.3"]),
            "PLUGIN_IMPORT_REFUSED : the component imports `wasi:sockets/tcp@0.2.3`",
        ),
        (
            "files",
            importing(&["wasi:filesystem/types@0.2.0"]),
            "PLUGIN_IMPORT_REFUSED : the component imports `wasi:filesystem/types@0.2.0`",
        ),
        (
            "unknown",
            importing(&["acme:gpu/compute"]),
            "PLUGIN_IMPORT_REFUSED : the component imports `acme:gpu/compute`",
        ),
        (
            "http and records",
            importing(&["wasi:http/outgoing-handler@0.2.3", "stepwell:host/records-write@0.1.0"]),
            "PLUGIN_HTTP_WITH_RECORDS : ",
        ),
        (
            "an example that lies",
            with_manifest(r#""output": { "n": 1 }"#, r#""output": { "n": 2 }"#),
            "PLUGIN_EXAMPLE_FAILED /node-types/0/examples/0: answers {\"n\":1}, expected {\"n\":2}",
        ),
        (
            "a schema that is none",
            with_manifest(r#""output-schema": true"#, r#""output-schema": 1234"#),
            "PLUGIN_SCHEMA_INVALID /node-types/0/ports/0/output-schema: ",
        ),
        (
            "a port of ours",
            with_manifest(r#""name": "harm""#, r#""name": "HARM""#),
            "PLUGIN_MANIFEST_INVALID /node-types/0/name: ",
        ),
        (
            "a claim",
            with_manifest(r#""has": ["check"]"#, r#""has": ["query"]"#),
            "PLUGIN_EXPORT_MISSING /node-types/0/has-query: ",
        ),
    ] {
        let problems = sandbox.load(wasm).await.expect_err(what);
        assert!(told(&problems).starts_with(expected), "{what}: {}", told(&problems));
    }
    assert!(sandbox.plugins().is_empty(), "nothing of it is live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_every_import_and_a_remedy() {
    let wasm = importing(&["wasi:sockets/tcp@0.2.3", "wasi:filesystem/types@0.2.3"]);
    let problems = sandbox().load(wasm).await.unwrap_err();
    let fixes: Vec<_> = problems.iter().filter_map(|problem| problem.fix.as_deref()).collect();
    assert!(
        matches!(fixes[..], [first, second] if first.contains("--disable all") && second.contains("wasm32-unknown-unknown")),
        "{problems:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_over_the_limit_is_not_even_read() {
    let sandbox = Sandbox::new(None, Limits { wasm_bytes_max: 100, ..limits() }).unwrap();
    let problems = sandbox.load(vec![0; 101]).await.unwrap_err();
    assert_eq!(told(&problems), "PLUGIN_TOO_LARGE : the file has 101 bytes, at most 100 are allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_plugin_leaves_the_old_one_live() {
    let rig = Rig::new("hostile").await;
    let before = rig.sandbox.catalog();
    rig.sandbox.load(with_manifest(r#""output": { "n": 1 }"#, r#""output": { "n": 2 }"#)).await.unwrap_err();
    assert_eq!(rig.sandbox.catalog(), before);
    // Another build of the same version takes over for new flows; the old digest still answers.
    let next = rig.sandbox.load(with_manifest(r#""en": "Harm""#, r#""en": "Hurt""#)).await.unwrap();
    assert_ne!(next.digest, rig.plugin.digest);
    assert_eq!(rig.sandbox.catalog().get("hostile/harm@0").unwrap().digest, next.digest.to_string());
    assert_eq!(rig.run(json!({ "do": "good" }), json!(1)).await, "done out 1");
}
