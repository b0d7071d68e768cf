//! What programs can do, and how they fail.

use super::Program;
use super::machine;
use stepwell_sdk::testing::{answer, call, show, show_query, show_undo, undo_call};
use stepwell_sdk::{Plugin, Signal, SignalKind};

const HEAD: &str =
    "import { plugin, rejected, transient, permanent, unknown, leave, wait, neverRan } from 'stepwell';\n";

fn started(files: &[(&str, &str)]) -> Result<(), String> {
    let files: serde_json::Map<_, _> =
        files.iter().map(|(path, text)| ((*path).to_owned(), serde_json::Value::from(*text))).collect();
    machine::start(&serde_json::Value::Object(files).to_string())
}

/// A program with one node whose functions are these.
fn with_node(functions: &str) {
    let text = format!(
        "{HEAD}export default plugin({{ name: 'p', version: '1.0.0', licence: 'MIT', nodes: {{ n: {{ {functions} }} }} }});"
    );
    assert_eq!(started(&[("plugin.js", &text)]), Ok(()), "{functions}");
}

#[test]
fn an_answer_is_what_the_function_returns_or_throws() {
    for (run, expected) in [
        ("return { a: given.input.a + 1 }", r#"done out {"a":2}"#),
        ("return undefined", "done out null"),
        ("return leave('big', [given.config])", "done big [{\"b\":2}]"),
        ("return wait({ message: 'm', key: 'k', memo: 1 })", "wait m k - 1"),
        ("return given.call.key", r#"done out "example""#),
        ("throw rejected('NO', 'never', { x: 1 })", r#"rejected NO never {"x":1}"#),
        ("reject('NO', 'never')", "rejected NO never "),
        ("throw transient('later', 50)", "transient later 50"),
        ("throw permanent('wrong')", "permanent wrong"),
        ("throw unknown('who knows')", "unknown who knows"),
        ("throw 7", "permanent the node threw 7"),
        ("return nothing", "permanent ReferenceError: nothing is not defined (plugin.js:2)"),
        ("return Promise.resolve(1)", "permanent TypeError: run returned a promise"),
        ("return Date.now()", "permanent Error: Date.now() is not available"),
        ("console.log('seen', { a: 1 }); return 1", "done out 1"),
    ] {
        with_node(&format!("run(given) {{ {run} }}"));
        let shown = answer::<Program>("n", r#"{"b":2}"#, r#"{"a":1}"#);
        assert!(shown.starts_with(expected), "{run}: {shown}");
    }
    assert!(answer::<Program>("other", "{}", "{}").starts_with("permanent TypeError: node other has no function run"));
}

#[test]
fn optional_functions_are_claimed_and_called() {
    with_node(
        "run() {}, undo({ call, output }) { if (output === null) throw transient(call.forwardKey) },
         resume({ memo, signal }) { return [memo, signal] }, query() { return neverRan },
         check(config) { return config.a ? [] : [{ pointer: '/a', code: 'NO_A', message: 'a is missing' }] }",
    );
    let node_type = &Program::manifest().node_types[0];
    assert!(node_type.has_undo && node_type.has_resume && node_type.has_query && node_type.has_check);
    assert_eq!(show_undo(Program::undo("n", &undo_call(), "{}", "{}", Some("1"))), "undone");
    assert_eq!(show_undo(Program::undo("n", &undo_call(), "{}", "{}", None)), "transient example -");
    let signal = Signal { kind: SignalKind::Message, payload: r#"{"p":1}"#.to_owned() };
    let resumed = show(Program::resume("n", &call(), "{}", "7", &signal));
    assert_eq!(resumed, r#"done out [7,{"kind":"message","payload":{"p":1}}]"#);
    assert_eq!(show_query(Program::query("n", &call(), "{}", "{}")), "never ran");
    assert_eq!(Program::check("n", "{}")[0].code, "NO_A");
    assert!(Program::check("n", r#"{"a":1}"#).is_empty());
}

#[test]
fn a_program_may_be_many_files() {
    let main = "import { plugin } from 'stepwell'; import { twice } from './lib/twice.js';
        export default plugin({ name: 'p', version: '1.0.0', licence: 'MIT', nodes: { n: { run: ({ input }) => twice(input) } } });";
    let files = [
        ("plugin.js", main),
        ("lib/twice.js", "import { by } from '../by.js'; export const twice = (n) => n * by.two;"),
        ("by.js", "import table from './table.json'; export const by = table;"),
        ("table.json", r#"{ "two": 2 }"#),
    ];
    assert_eq!(started(&files), Ok(()));
    assert_eq!(answer::<Program>("n", "{}", "21"), "done out 42");
}

#[test]
fn what_is_wrong_with_a_program_is_said_when_it_is_built() {
    for (text, expected) in [
        ("export default 7", "plugin.js must export default plugin("),
        ("export default { nodes: { n: {} } }", "node n has no function run"),
        ("import { x } from './gone.js'", "gone.js"),
        ("const a =", "plugin.js:1"),
        ("throw new Error('at once')", "at once"),
        ("export default { nodes: {} }", "missing field `name`"),
    ] {
        let shown = started(&[("plugin.js", text)]).err().unwrap_or_default();
        assert!(shown.contains(expected), "{text}: {shown}");
    }
    assert_eq!(started(&[("other.js", "")]), Err("there is no src/plugin.js".to_owned()));
}
