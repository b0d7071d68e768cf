//! A component with more in it than a guest: modules beside it that want memory, tables or time of their own.

use crate::rig::{guest, limits, told};
use stepwell_sandbox::Sandbox;

/// Sections of a component that hold a core module, and instances of core modules.
const MODULE: u8 = 1;
const INSTANCES: u8 = 2;
const PREAMBLE_BYTES: usize = 8;

fn number(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(n & 0x7f).unwrap();
        n >>= 7;
        if n == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The number that begins here, and what comes after it.
fn read(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let low = |n: usize, (at, byte): (usize, &u8)| n | usize::from(byte & 0x7f) << (7 * at);
    (bytes[..length].iter().enumerate().fold(0, low), &bytes[length..])
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &number(content.len())[..], content].concat()
}

/// An honest guest, and so many instances of a module beside it.
fn beside(module: &str, instances: usize) -> Vec<u8> {
    let mut encoder = wit_component::ComponentEncoder::default().module(&guest("hostile")).unwrap();
    let mut component = encoder.encode().unwrap();
    let (mut rest, mut index) = (&component[PREAMBLE_BYTES..], 0);
    while let [id, more @ ..] = rest {
        index += usize::from(*id == MODULE);
        let (length, content) = read(more);
        rest = &content[length..];
    }
    component.extend(section(MODULE, &wat::parse_str(module).unwrap()));
    // Each: instantiate, the module, no arguments.
    let one = [&[0][..], &number(index), &[0]].concat();
    component.extend(section(INSTANCES, &[number(instances), one.repeat(instances)].concat()));
    component
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_beside_a_guest_has_its_limits_too() {
    let sandbox = Sandbox::new(None, limits()).unwrap();
    let table_that_grows = "(module (table 1 funcref) (func $s
        (if (i32.eq (i32.const -1) (table.grow (ref.null func) (i32.const 100000000))) (then unreachable))) (start $s))";
    let pages_that_grow = "(module (memory 1) (func $s
        (if (i32.eq (i32.const -1) (memory.grow (i32.const 250))) (then unreachable))) (start $s))";
    for (what, module, instances, expected) in [
        ("nothing", "(module)", 1, ""),
        (
            "900 memories",
            "(module (memory 1))",
            900,
            "PLUGIN_NOT_DESCRIBED : `describe` was cut (Trap): resource limit",
        ),
        (
            "memories that fit one by one",
            pages_that_grow,
            12,
            "PLUGIN_NOT_DESCRIBED : `describe` was cut (Memory): asked for ",
        ),
        (
            "a table of 100,000,000",
            "(module (table 100000000 funcref))",
            1,
            "PLUGIN_NOT_COMPILED : module table does not fit",
        ),
        ("a table that grows", table_that_grows, 1, "PLUGIN_NOT_DESCRIBED : `describe` was cut (Memory): asked for "),
        (
            "a start without an end",
            "(module (func $s (loop (br 0))) (start $s))",
            1,
            "PLUGIN_NOT_DESCRIBED : `describe` gave no answer",
        ),
        ("10,000 instances", "(module)", 10_000, "PLUGIN_NOT_COMPILED : failed to parse"),
    ] {
        let said = sandbox.load(beside(module, instances)).await.err().map(|problems| told(&problems));
        assert!(said.as_deref().unwrap_or("").starts_with(expected), "{what}: {said:?}");
        assert_eq!(said.is_none(), expected.is_empty(), "{what}: {said:?}");
    }
}
