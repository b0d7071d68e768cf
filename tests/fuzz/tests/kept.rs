//! Every input that was found worth keeping, and changes to it that follow from a seed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and say what they looked at")]

use std::path::{Path, PathBuf};

use stepwell_fuzz::{expression, flow, trigger};

/// Of each kept input.
const CHANGES: u64 = 500;

fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept").join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing is kept for {target}");
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// The next of a row of numbers (splitmix64).
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut n = *seed;
    n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// A few bytes changed, doubled, or taken away.
fn changed(input: &[u8], seed: &mut u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=draw(seed) % 4 {
        let mut below = |n: usize| usize::try_from(draw(seed)).unwrap_or(usize::MAX) % n.max(1);
        let (from, length) = (below(bytes.len()), 1 + below(8));
        let to = (from + length).min(bytes.len());
        match below(4) {
            0 if from < bytes.len() => bytes[from] = u8::try_from(below(256)).unwrap(),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let copy = bytes[from..to].to_vec();
                let at = below(bytes.len() + 1);
                bytes.splice(at..at, copy);
            }
            _ => {
                let signs = b"\"{}[],:=.0-1eE()\\u \x00\xff";
                let at = below(bytes.len() + 1);
                bytes.insert(at, signs[below(signs.len())]);
            }
        }
    }
    bytes
}

fn hold(target: &str, changes: u64, look: fn(&[u8])) {
    for (path, input) in kept(target) {
        println!("{}", path.display());
        look(&input);
        let mut seed = 1;
        for _ in 0..changes {
            let before = seed;
            let bytes = changed(&input, &mut seed);
            // A panic names the input that it came from.
            println!("{} {before}", String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]));
            look(&bytes);
        }
    }
}

#[test]
fn expressions_hold() {
    hold("expression", CHANGES, expression);
}

#[test]
fn flows_hold() {
    hold("flow", CHANGES, flow);
}

#[test]
fn triggers_hold() {
    hold("trigger", CHANGES, trigger);
}

#[cfg(feature = "loader")]
#[test]
fn the_loader_holds() {
    /// A plugin is compiled before it is known to be wrong.
    const CHANGES: u64 = 5;
    hold("loader", CHANGES, stepwell_fuzz::loader);
}
