//! JavaScript: the binary carries `QuickJS` as a module (`plugins/js`). A build gives it the project's files, starts it,
//! and keeps what stands then in memory: no other tool is needed, and a call pays for no start.

use std::path::Path;

use anyhow::Context as _;
use rust_embed::Embed;
use serde_json::{Map, Value};

use super::progress::Line;
use super::project::Project;

#[derive(Embed)]
#[folder = "../../dist/runtimes"]
#[allow_missing = true]
struct Runtimes;

const PURE: &str = "js.wasm";
const WITH_HTTP: &str = "js-http.wasm";
/// A plugin of more source is something else.
const SOURCE_BYTES_MAX: usize = 4 << 20;

pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let mut files = Map::new();
    read(&project.folder.join("src"), "", &mut files)?;
    // Only who imports it has to be granted anything.
    let sends = files.values().filter_map(Value::as_str).any(|text| text.contains("stepwell/http"));
    let name = if sends { WITH_HTTP } else { PURE };
    let runtime = Runtimes::get(name)
        .with_context(|| format!("this program was built without {name}\nhint: cargo xtask build plugins programs"))?;
    let line = Line::new("QuickJS");
    let program = Value::Object(files).to_string();
    let core = stepwell_guests::started_with(&runtime.data, program.as_bytes())?;
    let component = stepwell_guests::component(&core)?;
    drop(line);
    Ok(component)
}

/// All `.js` files, by their path below `src/`.
fn read(folder: &Path, prefix: &str, files: &mut Map<String, Value>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            read(&path, &format!("{prefix}{name}/"), files)?;
        } else if path.extension().is_some_and(|extension| extension == "js" || extension == "json") {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.insert(format!("{prefix}{name}"), Value::String(text));
        }
    }
    let bytes: usize = files.values().filter_map(Value::as_str).map(str::len).sum();
    anyhow::ensure!(bytes <= SOURCE_BYTES_MAX, "more than {SOURCE_BYTES_MAX} bytes of source");
    Ok(())
}
