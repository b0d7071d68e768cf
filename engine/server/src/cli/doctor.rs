//! `stepwell doctor`: would an engine start with these settings?

use std::net::TcpListener;

use stepwell_store::{OpenError, Options, Store};

use crate::config::Config;
use crate::{grants, sealing, token};

/// Looks at everything and says what it finds; fails if an engine could not start.
pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let mut wrong = 0;
    let mut line = |what: &str, found: Result<String, String>| {
        let (mark, text) = match found {
            Ok(text) => ("ok   ", text),
            Err(text) => {
                wrong += 1;
                ("WRONG", text)
            }
        };
        super::result(&format!("{mark}  {what}: {text}\n"));
    };
    line("settings", Ok(format!("data {}, listen {}", config.data.display(), config.listen)));
    line("store", store(config));
    line("token", administrator(config));
    line("secrets", secrets(config));
    if let Some(path) = &config.grants {
        line(
            "grants",
            grants::read(path).map(|file| format!("{} connections", file.connections.len())).map_err(|e| e.to_string()),
        );
    }
    line("port", TcpListener::bind(config.listen).map(|_| "free".to_owned()).map_err(|error| error.to_string()));
    anyhow::ensure!(wrong == 0, "an engine would not start here");
    Ok(())
}

fn store(config: &Config) -> Result<String, String> {
    let opened = if let Some(url) = &config.database_url {
        Store::look(url, config.data.join("engine")).map(|schema| format!("the database answers, schema {schema}"))
    } else {
        let path = config.data.join("stepwell.db");
        if !path.exists() {
            return Ok("none yet; it is made at the first start".to_owned());
        }
        let store = Store::open(&path, Options::default());
        store.map(|store| format!("{} opens, schema {}", path.display(), store.schema()))
    };
    opened.map_err(|error| match error {
        OpenError::InUse { .. } => format!("{error} (an engine is running)"),
        other => other.to_string(),
    })
}

/// Looks at the key of secrets without making one.
fn secrets(config: &Config) -> Result<String, String> {
    let kept = sealing::path(&config.data);
    if config.secret_key.is_none() && config.secret_key_file.is_none() {
        if config.database_url.is_some() {
            return Ok("no key was given: no secret can be kept or used".to_owned());
        }
        if !kept.exists() {
            return Ok("no key yet; it is made at the first start".to_owned());
        }
    }
    let keys = config.secret_keys().map_err(|error| format!("{error:#}"))?;
    Ok(format!("sealed with key {}", keys.id().unwrap_or_default()))
}

fn administrator(config: &Config) -> Result<String, String> {
    if config.admin_token.is_some() {
        return Ok("given".to_owned());
    }
    match token::read(&config.data) {
        Ok(Some(_)) => Ok(format!("kept in {}", token::path(&config.data).display())),
        Ok(None) => Ok("none yet; it is made at the first start".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
