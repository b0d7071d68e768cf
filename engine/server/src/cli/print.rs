//! `stepwell print`: generated files, as they are checked in.

use clap::ValueEnum;

use crate::http::openapi;

#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    /// The API's description (OpenAPI 3.1)
    Openapi,
}

pub fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::Openapi => super::result(openapi::text()),
    }
    Ok(())
}
