//! `stepwell plugin new`: a project from the templates that the binary carries, so it needs no network.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use rust_embed::{Embed, EmbeddedFile};

use super::super::result;
use super::project::Language;
use super::{c, python};

#[derive(Embed)]
#[folder = "../../plugins/templates"]
struct Templates;

/// A Rust project brings its SDK along: it is not on any registry.
#[derive(Embed)]
#[folder = "../../plugins/sdk"]
struct Sdk;

/// What templates are called, to be replaced.
const NAME: &str = "my-plugin";
const NAME_BYTES_MAX: usize = 64;
/// Where the SDK looks for the contract from: two folders up.
const SDK_FOLDER: &str = "stepwell/sdk";

#[derive(Args)]
pub(in super::super) struct New {
    /// Name of the package and of its folder: lower-case letters, digits and `-`
    name: String,
    /// The language
    #[arg(long, value_enum)]
    lang: Language,
    /// Where the folder is made
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(asked: &New) -> anyhow::Result<()> {
    let New { name, lang, dir } = asked;
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    anyhow::ensure!(
        name.bytes().all(letters) && name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()),
        "{name} is no name of a package: a lower-case letter, then lower-case letters, digits and `-`, at most {NAME_BYTES_MAX}"
    );
    let folder = dir.join(name);
    anyhow::ensure!(!folder.exists(), "{} is there already", folder.display());
    let prefix = format!("{}/", lang.name());
    for path in Templates::iter().filter(|path| path.starts_with(&prefix)) {
        let file = Templates::get(&path).context("a template is missing")?;
        write(&folder.join(&path[prefix.len()..]), &renamed(&file, name))?;
    }
    if *lang == Language::Rust {
        with_sdk(&folder)?;
    }
    if let Some(absent) = absent(*lang) {
        super::super::say(&absent);
    }
    result(&format!(
        "{} is ready\n  cd {}\n  stepwell plugin test    builds it, plays its example and its case\n  stepwell plugin dev     builds and pushes whenever a file changes\n",
        folder.display(),
        folder.display()
    ));
    Ok(())
}

fn renamed(file: &EmbeddedFile, name: &str) -> Vec<u8> {
    match std::str::from_utf8(&file.data) {
        Ok(text) => text.replace(NAME, name).into_bytes(),
        Err(_) => file.data.to_vec(),
    }
}

fn with_sdk(folder: &Path) -> anyhow::Result<()> {
    for path in Sdk::iter().filter(|path| path.starts_with("src/") || *path == "Cargo.toml") {
        let file = Sdk::get(&path).context("the SDK is missing")?;
        write(&folder.join(SDK_FOLDER).join(&*path), &file.data)?;
    }
    for (path, text) in stepwell_guests::WIT {
        write(&folder.join("wit").join(path), text.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// What is to be installed before the project builds, if anything.
fn absent(language: Language) -> Option<String> {
    match language {
        // The compiler is in this binary.
        Language::Js => None,
        Language::Rust => (!super::tools::succeeds("cargo", &["--version"])).then(|| {
            "to build it: install Rust from https://rustup.rs, then: rustup target add wasm32-unknown-unknown"
                .to_owned()
        }),
        Language::C => c::compiler().err().map(|error| format!("to build it: {error:#}")),
        Language::Python => python::tool(Path::new(".")).err().map(|error| format!("to build it: {error:#}")),
    }
}
