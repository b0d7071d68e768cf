//! `stepwell user`, `stepwell token`: people and programs who may ask a running engine.
//!
//! A password that is made here is shown once, and good for one log-in: the user chooses another then.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::{At, escape};
use crate::http::auth::random_token;

const PASSWORD_BYTES: usize = 15;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make a user with a first password, which is printed
    Add {
        name: String,
        #[command(flatten)]
        roles: RolesGiven,
        #[command(flatten)]
        at: At,
    },
    /// Give a user another first password, which is printed
    Password {
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// List users and their roles
    List {
        #[command(flatten)]
        at: At,
    },
    /// Print a new link for the first administrator
    Link {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make an API token, which is printed
    Add {
        name: String,
        #[command(flatten)]
        roles: RolesGiven,
        /// How long it is good for, such as 30d [default: for good]
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args)]
pub(super) struct RolesGiven {
    /// viewer, operator, designer or admin in a namespace: pay=operator, or *=viewer for all; may be given again
    #[arg(long = "role", value_name = "NAMESPACE=ROLE", required = true)]
    roles: Vec<String>,
}

impl RolesGiven {
    fn json(&self) -> anyhow::Result<Value> {
        let one = |given: &String| {
            let (namespace, role) = given
                .split_once('=')
                .ok_or_else(|| anyhow::anyhow!("--role {given}\nhint: NAMESPACE=ROLE, such as pay=operator"))?;
            Ok(json!({ "namespace": namespace, "role": role }))
        };
        self.roles.iter().map(one).collect::<anyhow::Result<Vec<Value>>>().map(Value::from)
    }
}

pub(super) fn user(command: &UserCommand) -> anyhow::Result<()> {
    let password = random_token(PASSWORD_BYTES);
    match command {
        UserCommand::Add { name, roles, at } => {
            let body = json!({ "name": name, "password": password, "roles": roles.json()? });
            at.ask("POST", "/api/v1/users", Some(&body))?;
            super::result(&format!("{password}\n"));
        }
        UserCommand::Password { name, at } => {
            let path = format!("/api/v1/users/{}/password", escape(name));
            at.ask("PUT", &path, Some(&json!({ "password": password })))?;
            super::result(&format!("{password}\n"));
        }
        UserCommand::List { at } => {
            let answer = at.ask("GET", "/api/v1/users", None)?;
            for one in answer["items"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let roles = one["roles"].as_array().into_iter().flatten();
                let roles: Vec<String> =
                    roles.map(|given| format!("{}={}", text(&given["namespace"]), text(&given["role"]))).collect();
                let disabled = if one["disabled"] == true { "  disabled" } else { "" };
                super::result(&format!("{:<24}  {}{disabled}\n", text(&one["name"]), roles.join(" ")));
            }
        }
        UserCommand::Link { at } => {
            let answer = at.ask("POST", "/api/v1/setup/link", None)?;
            super::result(&format!("{}/?setup={}\n", at.base(), answer["link"].as_str().unwrap_or_default()));
        }
    }
    Ok(())
}

pub(super) fn token(command: &TokenCommand) -> anyhow::Result<()> {
    let TokenCommand::Add { name, roles, expires, at } = command;
    let mut body = json!({ "name": name, "roles": roles.json()? });
    if let Some(expires) = expires {
        body["expiresIn"] = expires.as_str().into();
    }
    let answer = at.ask("POST", "/api/v1/tokens", Some(&body))?;
    super::result(&format!("{}\n", answer["token"].as_str().unwrap_or_default()));
    Ok(())
}
