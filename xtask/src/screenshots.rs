//! `cargo xtask screenshots`: starts a system with fresh data and lets the designer's script take its pictures.
//!
//! Which pages, in what state, is decided in `tests/designer/scenes.mjs`. All pictures land in `target/screenshots`,
//! to be looked at; choosing the few that documents show, under `docs/images`, is for a person.

use anyhow::Result;

use crate::artifacts::{self, Profile, npm};
use crate::launch::System;
use crate::steps::Steps;
use crate::{needs, paths};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only scenes with this in their name
    scene: Option<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut steps = Steps::new("screenshots")?;
    artifacts::all(&mut steps, Profile::Dev)?;
    if !steps.has("tests/designer/shots.mjs") {
        return steps.finish();
    }
    let chromium = needs::chromium(&mut steps)?;
    let folder = paths::root().join("target/screenshots");
    let system =
        steps.call("start", || System::start(Profile::Dev, &paths::root().join("target/system"), "screenshots"))?;
    let mut command = npm(&["run", "shots", "--"]);
    command.arg(&folder).args(&args.scene).env("CHROMIUM", chromium);
    system.point(&mut command);
    steps.run("pictures", &mut command)?;
    crate::steps::say(&format!("pictures are in {}", folder.display()));
    steps.finish()
}
