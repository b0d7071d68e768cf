//! `cargo xtask bench calls`: what a plugin costs, by language: its calls, its way in, its memory; and an engine's start
//! with very many of them.
//!
//! The plugin is the one that `stepwell plugin new` gives an author, with one line more, by which a call can be made that
//! never answers. The figures of calls are taken in one process (`engine/sandbox/examples/call_cost.rs`), so no HTTP and
//! no commit is among them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{standing, usage};
use crate::artifacts::{self, Profile};
use crate::steps::{self, Steps};
use crate::{authors, http, launch, paths};

/// As long as [`numbered`] makes names.
const NAME: &str = "bench00000";
/// A language, its source, the line that a call spins before, that line's twin, and how many builds idle memory is
/// read from: compiling one with a whole Python in it takes long.
const LANGUAGES: [(&str, &str, &str, &str, usize); 4] = [
    (
        "rust",
        "src/lib.rs",
        "        if input.name.is_empty()",
        "        while std::hint::black_box(input.name == \"spin\") {}\n",
        50,
    ),
    ("js", "src/plugin.js", "        if (input.name === '')", "        while (input.name === 'spin');\n", 12),
    ("python", "src/plugin.py", "    if not input.name:", "    while input.name == \"spin\":\n        pass\n", 3),
    (
        "c",
        "src/plugin.c",
        "  if (name.bytes == 0)",
        "  volatile int spin = name.bytes > 0 && sw_same(name, \"spin\");\n  while (spin);\n",
        50,
    ),
];

#[derive(clap::Args)]
pub(crate) struct Calls {
    /// Length of one measured run of calls
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Plugins installed in one engine, to see how it starts with them; 0 leaves that out
    #[arg(long, default_value_t = 1_000)]
    plugins: usize,
    /// Measure what is built already
    #[arg(long)]
    as_built: bool,
}

pub(crate) fn main(args: &Calls, steps: &mut Steps) -> Result<()> {
    if !args.as_built {
        artifacts::all(steps, Profile::Release)?;
        steps.run("call_cost", artifacts::cargo_all("build").args(["--release", "--example", "call_cost"]))?;
    }
    let tools = authors::tools(steps)?;
    let folder = standing::fresh("calls")?;
    let mut found = Vec::new();
    for (lang, ..) in LANGUAGES {
        let wasm = steps.call(&format!("{lang}: build"), || build(lang, &folder, &tools))?;
        let figures = steps.call(&format!("{lang}: measure"), || measure(lang, &wasm, args.seconds))?;
        found.push((lang, wasm, figures));
    }
    show(&found);
    if args.plugins > 0 {
        let rust = &found.iter().find(|(lang, ..)| *lang == "rust").context("no plugin in Rust")?.1;
        let wasm = fs::read(rust)?;
        let said = steps.call("many plugins", || many(&wasm, args.plugins))?;
        steps::say(&said);
    }
    Ok(())
}

/// From an empty folder to a component, by the commands of the guide.
fn build(lang: &str, folder: &Path, tools: &[(&'static str, OsString)]) -> Result<PathBuf> {
    let home = folder.join(lang);
    fs::create_dir_all(&home)?;
    let plugin = |arguments: &[&str], at: &Path| -> Result<()> {
        let mut command = Command::new(artifacts::program(Profile::Release, "stepwell"));
        command.arg("plugin").args(arguments).current_dir(at).envs(tools.iter().cloned());
        command.env("CARGO_TARGET_DIR", paths::target().join("tmp/bench-authors"));
        // Cargo started this with its own toolchain's variables; an author's shell has none of them.
        for variable in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
            command.env_remove(variable);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    plugin(&["new", NAME, "--lang", lang], &home)?;
    let project = home.join(NAME);
    let (_, source, line, spin, _) =
        LANGUAGES.into_iter().find(|(one, ..)| *one == lang).context("no such language")?;
    let text = fs::read_to_string(project.join(source))?;
    ensure!(text.contains(line), "{source} does not say {line}");
    fs::write(project.join(source), text.replace(line, &format!("{spin}{line}")))?;
    plugin(&["build"], &project)?;
    Ok(project.join("build/plugin.wasm"))
}

fn measure(lang: &str, wasm: &Path, seconds: f64) -> Result<Value> {
    let cache = wasm.with_file_name("cache");
    launch::private_folder(&cache)?;
    let program = paths::target().join("release/examples/call_cost");
    let told = |command: &mut Command| -> Result<Value> {
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("no JSON")
    };
    let mut found = told(Command::new(&program).arg("measure").arg(wasm).arg(&cache).arg(seconds.to_string()))?;
    let bytes = fs::read(wasm)?;
    found["wasm_bytes"] = json!(bytes.len());
    let copies = LANGUAGES.into_iter().find(|(one, ..)| *one == lang).map_or(2, |(.., copies)| copies);
    let files = (0..copies).map(|n| {
        let file = wasm.with_file_name(format!("copy{n}.wasm"));
        // A custom section makes it another build, and says nothing.
        let section = [&[0, 6, 1, b'n'], u32::try_from(n)?.to_be_bytes().as_slice()].concat();
        fs::write(&file, [bytes.as_slice(), &section].concat())?;
        Ok(file)
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let mut idle = Command::new(&program);
    idle.arg("idle").arg(&cache).args(&files);
    told(&mut idle)?; // Compiles them; the next one finds their machine code.
    for (name, value) in told(&mut idle)?.as_object().context("an object")? {
        found[name.as_str()] = value.clone();
    }
    Ok(found)
}

fn show(found: &[(&str, PathBuf, Value)]) {
    steps::say(
        "\n| language | instance | 0.2 KB p50 / p99 µs | 1 KB | 64 KB | calls/s, one task | two tasks |\n|---|---|---|---|---|---|---|",
    );
    for (lang, _, figures) in found {
        for kind in ["fresh", "reused"] {
            let of = &figures[kind];
            let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            let size = |bytes: &str| {
                let (p50, p99) = (number(&of[bytes]["p50_us"]), number(&of[bytes]["p99_us"]));
                if p50 < 100.0 { format!("{p50:.1} / {p99:.1}") } else { format!("{p50:.0} / {p99:.0}") }
            };
            steps::say(&format!(
                "| {lang} | {kind} | {} | {} | {} | {:.0} | {:.0} |",
                size("200"),
                size("1024"),
                size("65536"),
                number(&of["per_second_1"]),
                number(&of["per_second_2"]),
            ));
        }
    }
    steps::say(
        "\n| language | component | checked, compiled, rehearsed | back from the cache | idle | a call under way |\n|---|---|---|---|---|---|",
    );
    for (lang, _, figures) in found {
        let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
        steps::say(&format!(
            "| {lang} | {:.0} KB | {:.0} ms | {:.1} ms | {:.2} MB | {:.2} MB |",
            number("wasm_bytes") / 1e3,
            number("load_ms"),
            number("restore_ms"),
            number("idle_bytes") / 1e6,
            number("live_bytes") / 1e6,
        ));
    }
}

/// One engine, so many plugins of as many names, and its start with them.
fn many(wasm: &[u8], plugins: usize) -> Result<String> {
    let data = standing::fresh("many-plugins")?;
    let token = launch::fresh_token()?;
    let (engine, empty) = standing::Subject::start(&data, &token)?;
    let empty_mb = engine.rss_mb();
    let mut taken_us = Vec::new();
    for n in 0..plugins {
        let begun = Instant::now();
        let wasm = numbered(wasm, n);
        let answer = http::send(engine.address(), "POST", "/api/v1/plugins", Some(&token), "application/wasm", &wasm)?;
        ensure!(answer.status < 300, "plugin {n}: {} {}", answer.status, answer.body);
        taken_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    engine.stop()?;
    let mut starts = Vec::new();
    let mut with_mb = 0;
    for _ in 0..5 {
        let (engine, started) = standing::Subject::start(&data, &token)?;
        with_mb = usage::rss_bytes(&[engine.pid()]) / 1_000_000;
        starts.push(u64::try_from(started.as_millis()).unwrap_or(u64::MAX));
        engine.stop()?;
    }
    Ok(format!(
        "{plugins} plugins: from the upload to live in us: {}; start to ready in ms: {} ({} with none but the bundled); \
         RSS {with_mb} MB, {empty_mb} MB with none but the bundled",
        standing::spread(taken_us),
        standing::spread(starts),
        empty.as_millis(),
    ))
}

/// The same plugin under another name of the same length.
fn numbered(wasm: &[u8], n: usize) -> Vec<u8> {
    let name = format!("bench{n:05}");
    let (mut renamed, mut rest) = (Vec::with_capacity(wasm.len()), wasm);
    while let Some(at) = rest.windows(NAME.len()).position(|part| part == NAME.as_bytes()) {
        renamed.extend_from_slice(&rest[..at]);
        renamed.extend_from_slice(name.as_bytes());
        rest = &rest[at + NAME.len()..];
    }
    renamed.extend_from_slice(rest);
    renamed
}

#[test]
fn a_name_is_replaced_wherever_it_stands() {
    assert_eq!(numbered(b"a bench00000 bench00000b", 42), b"a bench00042 bench00042b");
}
