//! `cargo xtask screenshots`: starts a system with fresh data and lets the designer's script take its pictures.
//!
//! Which pictures, and of what, is decided in `tests/designer/shots.mjs`; they land in `docs/images`.

use std::fs;

use anyhow::Result;

use crate::artifacts::{self, Profile, npm};
use crate::launch;
use crate::process;
use crate::steps::Steps;
use crate::{needs, paths};

pub(crate) fn main() -> Result<()> {
    let mut steps = Steps::new("screenshots")?;
    artifacts::all(&mut steps, Profile::Dev)?;
    if !steps.has("tests/designer/shots.mjs") {
        return steps.finish();
    }
    let chromium = needs::chromium(&mut steps)?;
    let data = paths::target().join("screenshots");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    launch::private_folder(&data)?;
    let token = launch::fresh_token()?;
    let address = process::loopback(0)?;
    let shop = process::loopback(0)?;
    let logs = paths::logs();
    let _shop = launch::shop(Profile::Dev, &data.join("commerce"), shop, address, &logs.join("screenshots-shop.log"))?;
    let log = logs.join("screenshots-engine.log");
    let engine =
        launch::Engine { profile: Profile::Dev, data: &data, address, token: &token, shop: Some(shop), log: &log };
    let _engine = engine.start()?;
    let mut command = npm(&["run", "shots"]);
    command.env("STEPWELL_URL", format!("http://{address}")).env("STEPWELL_TOKEN", &token);
    command.env("CHROMIUM", chromium).env("SHOTS_DIR", paths::root().join("docs/images"));
    steps.run("pictures", &mut command)?;
    steps.finish()
}
