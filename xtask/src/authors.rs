//! The tools of others that plugins are built with in C and Python, for the suite `authors`: zig, and `componentize-py`
//! from pip.
//!
//! Invariant: nothing is installed outside the target folder, but pip itself where the machine has none.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::plugins::c_compiler;
use crate::steps::Steps;
use crate::{needs, paths};

/// The version that `stepwell plugin build` names to authors.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// The variables by which `stepwell plugin build` finds them.
pub(crate) fn tools(steps: &mut Steps) -> Result<Vec<(&'static str, OsString)>> {
    fs::create_dir_all(paths::target().join("tools")).context("cannot create the folder for tools")?;
    let cc = steps.call("C compiler for plugins", c_compiler::for_authors)?;
    let python = componentize_py(steps, &paths::target().join("tools"))?;
    Ok(vec![("STEPWELL_CC", cc), ("STEPWELL_COMPONENTIZE_PY", python)])
}

fn componentize_py(steps: &mut Steps, tools: &Path) -> Result<OsString> {
    const VARIABLE: &str = "STEPWELL_COMPONENTIZE_PY";
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Ok(given);
    }
    let home = tools.join(COMPONENTIZE_PY.replace("==", "-"));
    let program = home.join("bin/componentize-py");
    if !program.is_file() {
        needs::pip(steps)?;
        // Beside its place first: a copy that was interrupted must not be taken for a whole one.
        let fresh = tools.join("componentize-py.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.args(["--no-deps", "--target"]).arg(&fresh).arg(COMPONENTIZE_PY);
        steps.run("componentize-py", &mut pip)?;
        ensure!(fresh.join("bin/componentize-py").is_file(), "the package holds no bin/componentize-py");
        fs::rename(&fresh, &home).with_context(|| format!("cannot create {}", home.display()))?;
    }
    // Its folder is on no search path, so it is told of it.
    let mut words = OsString::from("env PYTHONPATH=");
    words.push(&home);
    words.push(" python3 ");
    words.push(&program);
    Ok(words)
}
