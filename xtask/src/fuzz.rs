//! `cargo xtask fuzz`: makes up inputs for what takes bytes from outside, as long as it is told to.
//!
//! It begins with what is kept in `tests/fuzz/kept`, whose test `cargo xtask test` runs; what it makes up stays in
//! `target/fuzz`, and an input that breaks something is left there too. Kept by hand, it is a test from then on.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::paths;
use crate::steps::Steps;

const CARGO_FUZZ: &str = "0.13.2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these
    targets: Vec<Target>,
    /// For each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Expression,
    Flow,
    Loader,
    Trigger,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("fuzz")?;
    let tools = paths::target().join("tools").join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = tools.join("bin/cargo-fuzz");
    if !program.is_file() {
        let mut install = Command::new("cargo");
        install.args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"]).arg(&tools);
        steps.run("cargo-fuzz", &mut install)?;
    }
    let targets = if args.targets.is_empty() { Target::value_variants() } else { &args.targets };
    for target in targets {
        let Some(value) = target.to_possible_value() else { continue };
        let name = value.get_name();
        let made_up = paths::target().join("fuzz").join(name);
        fs::create_dir_all(&made_up).with_context(|| format!("cannot create {}", made_up.display()))?;
        let folder = paths::root().join("tests/fuzz");
        let mut fuzz = Command::new(&program);
        // Without a sanitizer a stable compiler can build it; what is unsafe is in libraries, which have theirs.
        fuzz.args(["fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none", "--no-default-features", "--features"]);
        fuzz.arg(if *target == Target::Loader { "libfuzzer,loader" } else { "libfuzzer" }).arg("--target-dir");
        fuzz.arg(paths::target().join("fuzz-build")).arg(name).arg(&made_up).arg(folder.join("kept").join(name));
        fuzz.args(["--", &format!("-max_total_time={}", args.seconds), "-timeout=20", "-rss_limit_mb=4096"]);
        fuzz.arg(format!("-artifact_prefix={}/broken-", made_up.display()));
        // As fast as it must be to try much, and no faster: the release's own way takes minutes to link.
        fuzz.envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")]);
        fuzz.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR").current_dir(&folder);
        steps.attempt(name, &mut fuzz)?;
    }
    steps.finish()
}
