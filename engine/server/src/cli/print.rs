//! `stepwell print`: generated files, as they are checked in.

use clap::ValueEnum;
use stepwell_core::flow::document;

use crate::http::openapi;

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum What {
    /// The API's description (`OpenAPI` 3.1)
    Openapi,
    /// The flow document's JSON Schema
    Schema,
    /// The contract with plugins, as a page
    Contract,
}

pub(super) fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::Openapi => super::result(openapi::text()),
        What::Schema => super::result(&(serde_json::to_string_pretty(&document::schema())? + "\n")),
        What::Contract => super::result(&stepwell_guests::reference()?),
    }
    Ok(())
}
