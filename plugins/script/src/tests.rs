//! What scripts can do, and how they fail: the examples, and the cases that none of them shows.

use super::Script;
use stepwell_sdk::Plugin;
use stepwell_sdk::testing::{answer, examples};

fn play(script: &str, input: &str) -> String {
    answer::<Script>("js", &serde_json::json!({ "script": script }).to_string(), input)
}

#[test]
fn the_examples_are_true() {
    examples::<Script>();
}

#[test]
fn a_script_returns_a_value() {
    for (script, input, expected) in [
        ("input.a + 1", r#"{"a":1}"#, "done out 2"),
        ("return input.a + 1", r#"{"a":1}"#, "done out 2"),
        ("({ b: input.a })", r#"{"a":[1,null]}"#, r#"done out {"b":[1,null]}"#),
        ("{ b: input.a }", r#"{"a":1}"#, r#"done out {"b":1}"#), // Read as an expression first.
        ("const x = input.a;\nreturn { x };", r#"{"a":1}"#, r#"done out {"x":1}"#),
        ("input.map((x) => { return x * 2 })", "[1,2]", "done out [2,4]"),
        ("input // note", "1.5", "done out 1.5"),
        ("'中' + '\\n'", "null", "done out \"中\\n\""),
        ("undefined", "{}", "done out null"),
        ("", "{}", "done out null"),
        ("const x = 1", "{}", "done out null"),
        ("new Date(0).toISOString()", "{}", "done out \"1970-01-01T00:00:00.000Z\""),
        ("new Date('2026-01-02').getTime() === Date.parse('2026-01-02')", "{}", "done out true"),
        ("new Date(5) instanceof Date", "{}", "done out true"),
        ("new Date(2026, 0, 1).getTimezoneOffset()", "{}", "done out 0"),
        ("[...new Map([[1, 2]])].flat()", "{}", "done out [1,2]"),
        ("/a(.)/.exec('abc')[1]", "{}", "done out \"b\""),
    ] {
        assert_eq!(play(script, input), expected, "{script}");
    }
}

#[test]
fn a_throw_names_message_and_line() {
    for (script, expected) in [
        ("throw new Error('no')", "permanent Error: no (line 1)"),
        ("const a = 1;\n\nthrow new RangeError('far')", "permanent RangeError: far (line 3)"),
        (
            "function f() {\n  return input.a.b;\n}\nreturn f()",
            "permanent TypeError: cannot read property 'b' of undefined (line 2)",
        ),
        ("nothing", "permanent ReferenceError: nothing is not defined (line 1)"),
        ("throw { a: 1 }", r#"permanent the script threw {"a":1}"#),
        ("throw undefined", "permanent the script threw undefined"),
        ("x = 1; return x", "permanent ReferenceError: x is not defined (line 1)"),
        ("const a = {}; a.a = a; return a", "permanent TypeError: circular reference"),
        ("return 1n", "permanent TypeError: "),
        ("async function f() {}\nreturn f()", "permanent the script returned a promise"),
        ("const a =\n  (1", "permanent SyntaxError: "),
        ("function f() { return f() + 1 }\nreturn f()", "permanent RangeError: Maximum call stack size exceeded"),
        ("Date.now()", "permanent Error: Date.now() is not available in a script, because running it again"),
        ("new Date()", "permanent Error: new Date() is not available in a script"),
        ("Date()", "permanent Error: Date() is not available in a script"),
        ("new (new Date(0).constructor)()", "permanent Error: new Date() is not available"),
        ("new (class extends Date {})()", "permanent Error: new Date() is not available"),
        ("const a = 1;\nreturn Math.random()", "hint: pass a number in with the input (line 2)"),
        ("performance.now()", "permanent ReferenceError: performance is not defined"),
        ("reject('SOLD_OUT', 'none left', { left: 0 })", r#"rejected SOLD_OUT none left {"left":0}"#),
        ("try { reject('A') } catch (e) { throw e }", "rejected A  "),
    ] {
        let shown = play(script, "{}");
        assert!(shown.contains(expected), "{script}: {shown}");
    }
}

#[test]
fn syntax_is_checked_without_running() {
    for (script, line) in [
        ("return 1", None),
        ("input.a", None),
        ("throw new Error('runs only later')", None),
        ("const a = 1;\nconst b = ;", Some(2)),
        ("if (input.a {", Some(1)),
        ("return 'abc", Some(1)),
        ("}", Some(1)),
    ] {
        let problems = Script::check("js", &serde_json::json!({ "script": script }).to_string());
        assert_eq!(problems.first().map(|problem| problem.line), line.map(Some), "{script}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.code == "SCRIPT_SYNTAX" && problem.pointer == "/script"));
    }
    assert_eq!(Script::check("js", "{}")[0].code, "SCRIPT_MISSING");
}
