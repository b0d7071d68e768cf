//! `cargo xtask check`: everything that can be said of a change without running it.
//!
//! Format, lints, licences, generated files, the designer's lint and types, the repository's rules. Goes on after a
//! failure, so one run names everything. `--fix` mends what a machine can: format and generated files.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::artifacts::{self, Profile, cargo_all, cargo_xtask, npm};
use crate::steps::Steps;
use crate::{browser, licences, needs, paths, suites};

/// Files that a program of ours writes: the file, and how to have it printed.
const GENERATED: [(&str, [&str; 2]); 3] = [
    ("flows/flow.schema.json", ["print", "schema"]),
    ("engine/server/openapi.json", ["print", "openapi"]),
    ("docs/plugins/contract.md", ["print", "contract"]),
];

/// Cargo workspaces beside the root's, each built for WebAssembly.
const GUESTS: [&str; 2] = ["plugins", browser::PART];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Mend the format and the generated files instead of refusing them
    #[arg(long)]
    fix: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("check")?;
    needs::rust_targets(&mut steps)?;
    format(&mut steps, args.fix)?;
    dependencies(&mut steps)?;
    // The program embeds the designer, so even to be looked at by the compiler it needs it built.
    artifacts::designer(&mut steps)?;
    if steps.has("designer/package.json") {
        let script = if args.fix { "fix" } else { "check" };
        steps.attempt("designer lint and types", &mut npm(&["run", script]))?;
    }
    lints(&mut steps)?;
    // The tests are built along with the program that prints: `test` needs both, and builds nothing again.
    let suites = suites::build(&mut steps)?;
    generated(&mut steps, args.fix)?;
    for tidy in suites.iter().filter(|suite| suite.name == "tidy") {
        steps.attempt("repository rules", &mut tidy.command())?;
    }
    steps.finish()
}

fn format(steps: &mut Steps, fix: bool) -> Result<()> {
    for folder in workspaces() {
        let mut command = Command::new("cargo");
        command.args(["fmt", "--all"]).current_dir(paths::root().join(folder));
        if !fix {
            command.arg("--check");
        }
        steps.attempt(&format!("format {folder}"), &mut command)?;
    }
    Ok(())
}

fn dependencies(steps: &mut Steps) -> Result<()> {
    for folder in workspaces() {
        let name = format!("licences {folder}");
        let manifest = paths::root().join(folder).join("Cargo.toml");
        if needs::has_program("cargo-deny") {
            let mut command = Command::new("cargo");
            command.args(["deny", "--locked", "--manifest-path"]).arg(&manifest);
            command.args(["check", "--config"]).arg(paths::root().join("deny.toml"));
            steps.attempt(&name, command.args(["bans", "licenses", "sources"]))?;
        } else {
            steps.attempt_call(&name, || licences::check(&manifest))?;
        }
    }
    Ok(())
}

fn lints(steps: &mut Steps) -> Result<()> {
    let deny = ["--all-targets", "--", "-D", "warnings"];
    steps.attempt("lints .", cargo_all("clippy").args(deny))?;
    steps.attempt("lints xtask", cargo_xtask("clippy").args(deny))?;
    for guest in GUESTS {
        if steps.has(&format!("{guest}/Cargo.toml")) {
            // For this machine, not for WebAssembly: their tests are looked at too, and their C needs no other compiler.
            let mut command = Command::new("cargo");
            command.args(["clippy", "--workspace", "--locked", "--target-dir"]).arg(paths::target());
            command.args(deny).current_dir(paths::root().join(guest));
            steps.attempt(&format!("lints {guest}"), &mut command)?;
        }
    }
    Ok(())
}

/// Has each generated file printed again and compares.
fn generated(steps: &mut Steps, fix: bool) -> Result<()> {
    for (file, arguments) in GENERATED {
        if !fix && !steps.has(file) {
            continue;
        }
        steps.attempt_call(&format!("generated {file}"), || {
            let output = Command::new(artifacts::program(Profile::Dev, "stepwell")).args(arguments).output()?;
            if !output.status.success() {
                bail!("stepwell {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
            }
            let path = paths::root().join(file);
            if fix {
                return fs::write(&path, output.stdout).with_context(|| format!("cannot write {file}"));
            }
            if fs::read(&path).ok().as_deref() != Some(output.stdout.as_slice()) {
                bail!("{file} is not what the program prints\nhint: cargo xtask check --fix");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The folders with a cargo workspace of their own that are in the repository.
fn workspaces() -> Vec<&'static str> {
    let guests = GUESTS.into_iter().filter(|guest| paths::present(&format!("{guest}/Cargo.toml")));
    std::iter::once(".").chain(guests).collect()
}
