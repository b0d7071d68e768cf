//! Python: `componentize-py` from `PyPI`, which brings `CPython` as a component. Its WASI imports are stubbed, so what
//! comes of it is pure.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::project::Project;
use super::tools;

/// Set to the words that start another one.
const VARIABLE: &str = "STEPWELL_COMPONENTIZE_PY";
const PACKAGE: &str = "componentize-py==0.25.1";
/// What joins the project with its helper; classes are found by their names.
const APP: &str =
    "import plugin  # The nodes register themselves.\nfrom stepwell import Check, Node, Query, Resume, Undo\n";

/// Every export, and the log, which is where prints go.
const WORLD: &str = "package stepwell:node@0.1.0;\nworld python {\n  include plugin-full;\n  include logging;\n}\n";

/// The command that makes components.
pub(super) fn tool(folder: &Path) -> anyhow::Result<Command> {
    if let Some(command) = tools::from_environment(VARIABLE) {
        return Ok(command);
    }
    let own: PathBuf = folder.join(".venv/bin/componentize-py");
    let found = tools::is_program(&own).then_some(own).or_else(|| tools::on_path("componentize-py"));
    found.map(Command::new).with_context(|| {
        format!(
            "componentize-py is not there\nhint: python3 -m venv .venv && .venv/bin/pip install {PACKAGE}, \
             or name one in {VARIABLE}"
        )
    })
}

pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let mut command = tool(&project.folder)?;
    let build = project.build_folder()?;
    let contract = build.join("wit");
    for (path, text) in stepwell_guests::WIT {
        let file = contract.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(&contract))?;
        std::fs::write(file, text)?;
    }
    std::fs::write(contract.join("python.wit"), WORLD)?;
    let app = build.join("python");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("stepwell_app.py"), APP)?;
    let made = build.join("python.wasm");
    command.arg("--wit-path").arg(&contract).args(["--world", "python", "componentize", "--stub-wasi"]);
    command.arg("--python-path").arg(&app).arg("--python-path").arg(project.folder.join("src"));
    command.arg("--output").arg(&made).arg("stepwell_app").current_dir(&project.folder);
    tools::run("componentize-py", &mut command)?;
    std::fs::read(&made).with_context(|| made.display().to_string())
}
