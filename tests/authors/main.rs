//! What a plugin's author does, by the commands of the guide: from an empty folder to a node that a flow uses, in every
//! language; and what they are told when something is wrong.
//!
//! C and Python need tools of others. `cargo xtask test authors` installs them and names them to the program; without
//! that, those two tests fail with the line that installs what is absent.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]

mod desk;
mod live;

use desk::Desk;
use serde_json::Value;

/// New, test, inspect: what every language must pass with what the template holds.
fn goes_from_nothing_to_a_tested_node(lang: &str, bytes_max: u64) {
    let desk = Desk::new(lang);
    let tested = desk.run(&["test"]);
    assert!(tested.ok, "{lang}: {tested:?}");
    for line in ["ok      example  greet: Ada", "ok      greet.json  greet: nobody is refused", "as expected"] {
        assert!(tested.out.contains(line), "{lang}: {tested:?}");
    }
    let inspected = desk.run(&["inspect", "--json", "build/plugin.wasm"]);
    let found: Value = serde_json::from_str(&inspected.out).unwrap_or_else(|error| panic!("{error}: {inspected:?}"));
    assert_eq!(found["effect"], "pure", "{lang}");
    assert_eq!(found["nodeTypes"][0]["uses"], "greeting/greet@0", "{lang}");
    assert_eq!(found["nodeTypes"][0]["input"]["properties"]["name"]["title"], "Who is greeted", "{lang}");
    assert_eq!(found["nodeTypes"][0]["errors"][0]["code"], "NO_NAME", "{lang}");
    let imports = found["imports"].as_array().unwrap();
    assert!(imports.iter().all(|import| import["name"] == "stepwell:host/log@0.1.0"), "{lang}: {imports:?}");
    let bytes = found["bytes"].as_u64().unwrap();
    assert!(bytes <= bytes_max, "{lang}: {bytes} bytes, at most {bytes_max} are what the guide says");
}

#[test]
fn a_node_in_rust() {
    goes_from_nothing_to_a_tested_node("rust", 150 << 10);
}

#[test]
fn a_node_in_javascript() {
    goes_from_nothing_to_a_tested_node("js", 1300 << 10);
}

#[test]
fn a_node_in_python() {
    goes_from_nothing_to_a_tested_node("python", 20 << 20);
}

#[test]
fn a_node_in_c() {
    goes_from_nothing_to_a_tested_node("c", 16 << 10);
}

#[test]
fn what_is_wrong_is_said_where_it_is_wrong() {
    for (file, was, is, command, expected) in [
        ("cases/greet.json", "Hello, 王芳", "Hello, 李雷", "test", r#"/output/text: - "Hello, 李雷"  + "Hello, 王芳""#),
        ("cases/greet.json", "NO_NAME", "NOBODY", "test", r#"/rejected/code: - "NOBODY"  + "NO_NAME""#),
        ("cases/greet.json", "\"input\"", "\"inputs\"", "test", "unknown field `inputs`"),
        ("cases/greet.json", "\"name\": \"\"", "\"name\": 7", "test", "its input does not match the schema: /name"),
        ("src/plugin.js", "text: 'Hello, Ada'", "text: 'Hullo'", "test", r#"/output/text: - "Hullo"  + "Hello, Ada""#),
        ("src/plugin.js", "text: `Hello", "txt: `Hello", "test", "the output does not match the schema of port `out`"),
        (
            "src/plugin.js",
            "run({ input }) {",
            "run({ input }) { nothing();",
            "test",
            "ReferenceError: nothing is not defined (plugin.js:",
        ),
        ("src/plugin.js", "run({ input }) {", "run({ input }) { console.warn('seen', input);", "test", "as expected"),
        ("src/plugin.js", "run({ input })", "walk({ input })", "build", "node greet has no function run"),
        ("src/plugin.js", "export default", "export default =", "build", "plugin.js:3"),
        ("src/plugin.js", "'0.1.0'", "'one'", "test", "MANIFEST"),
        ("src/plugin.js", "type: 'string'", "type: 'text'", "test", "PLUGIN_SCHEMA"),
    ] {
        let desk = Desk::new("js");
        desk.edit(file, was, is);
        let said = desk.run(&[command]);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains(expected), "{is}: {all}");
        assert_eq!(said.ok, expected == "as expected", "{is}: {all}");
    }
}

#[test]
fn logs_are_shown_where_they_are_asked_for() {
    let desk = Desk::new("js");
    desk.edit("src/plugin.js", "run({ input }) {", "run({ input }) { console.warn('seen', input);");
    assert!(!desk.run(&["test"]).out.contains("seen"));
    assert!(desk.run(&["test", "--logs"]).out.contains(r#"log warn: seen {"name":"Ada"}"#));
}

#[test]
fn a_tool_that_is_absent_is_named_with_the_line_that_installs_it() {
    for (lang, expected) in [
        ("rust", "rustup target add wasm32-unknown-unknown"),
        ("c", "apt install clang lld, or: pip install ziglang"),
        ("python", ".venv/bin/pip install componentize-py=="),
    ] {
        let desk = Desk::without_tools(lang);
        assert!(desk.made.err.contains(expected), "{lang}: {:?}", desk.made);
        let built = desk.run(&["build"]);
        assert!(!built.ok && built.err.contains(expected), "{lang}: {built:?}");
    }
    let desk = Desk::without_tools("js");
    assert!(desk.run(&["build"]).ok, "JavaScript needs nothing");
}

#[test]
fn a_project_is_made_once_and_under_a_proper_name() {
    let desk = Desk::new("js");
    for (arguments, expected) in [
        (["new", "greeting", "--lang", "js", "--dir", ".."].as_slice(), "is there already"),
        (&["new", "Greeting", "--lang", "js"], "is no name of a package"),
        (&["new", "9to5", "--lang", "js"], "is no name of a package"),
        (&["new", "other", "--lang", "cobol"], "possible values: rust, js, python, c"),
        (&["build", "--dir", "cases"], "is no plugin: none of Cargo.toml"),
        (&["push", "gone.wasm"], "hint: stepwell plugin build"),
    ] {
        let said = desk.run(arguments);
        assert!(!said.ok && said.err.contains(expected), "{arguments:?}: {said:?}");
    }
}

/// A plugin that sends: external by its import, played from a tape, and able to take back what it did.
#[test]
fn a_plugin_that_sends_is_played_from_a_tape() {
    let desk = Desk::new("js");
    desk.write("src/plugin.js", include_str!("charge.js"));
    desk.write("cases/greet.json", include_str!("charge.json"));
    let tested = desk.run(&["test"]);
    assert!(tested.ok && tested.out.contains("6 of 6 as expected"), "{tested:?}");
    let inspected = desk.run(&["inspect", "build/plugin.wasm"]);
    for line in [
        "effect   external",
        "  external: this makes the component so\n         to drop it: ",
        "JavaScript: do not import `stepwell/http`",
        "offers   undo, query",
    ] {
        assert!(inspected.out.contains(line), "{line}: {inspected:?}");
    }
}

#[test]
fn a_component_that_reaches_for_files_is_refused_with_the_way_out() {
    let desk = Desk::new("js");
    let component = r#"(component (import "wasi:filesystem/types@0.2.0" (instance (export "open" (func)))))"#;
    std::fs::write(desk.project().join("files.wasm"), wat::parse_str(component).unwrap()).unwrap();
    let inspected = desk.run(&["inspect", "files.wasm"]);
    assert!(!inspected.ok && inspected.err.contains("an engine would refuse it"), "{inspected:?}");
    for line in [
        "imports  wasi:filesystem/types@0.2.0  REFUSED\n         to drop it: Rust: build for wasm32-unknown-unknown",
        "PLUGIN_IMPORT",
    ] {
        assert!(inspected.out.contains(line), "{line}: {inspected:?}");
    }
}
