//! `stepwell machine`: the actions and the state pool of machines on a running engine.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stepwell_core::flow::pool;

use super::ask::{At, escape, read};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the actions of a machine, with those that were plugged in and taken out
    Actions(Named),
    /// Plug an action into a machine that runs
    Plug(Plug),
    /// Take an action out of a machine that runs
    Unplug(Unplug),
    /// Write the state pool, as CSV or JSON
    States(States),
    /// Read a state pool (.csv or .json) into the draft
    ImportStates(Import),
    /// Run one action of an instance, and no other
    Act(Act),
}

#[derive(Args)]
pub(super) struct Named {
    /// The machine's key
    machine: String,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Plug {
    /// The machine's key
    machine: String,
    /// File of the action; - reads standard input
    file: PathBuf,
    /// Let the instances that rest look again at once
    #[arg(long)]
    evaluate: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Unplug {
    /// The machine's key
    machine: String,
    /// The action's name
    action: String,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct States {
    /// The machine's key
    machine: String,
    /// As JSON; a table unless given
    #[arg(long)]
    json: bool,
    /// Where to; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Import {
    /// The machine's key
    machine: String,
    /// The pool
    file: PathBuf,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(super) struct Act {
    /// The instance's id
    instance: String,
    /// The action's name
    action: String,
    /// File of what the guard and the action see as `machine.context`; - reads standard input
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Actions(asked) => actions(asked),
        Command::Plug(asked) => plug(asked),
        Command::Unplug(asked) => unplug(asked),
        Command::States(asked) => states(asked),
        Command::ImportStates(asked) => import(asked),
        Command::Act(asked) => act(asked),
    }
}

fn path(machine: &str, what: &str) -> String {
    format!("/api/v1/machines/{}/{what}", escape(machine))
}

fn actions(asked: &Named) -> anyhow::Result<()> {
    let answer = asked.at.ask("GET", &path(&asked.machine, "actions"), None)?;
    for one in answer.as_array().into_iter().flatten() {
        let document = &one["document"];
        let states: Vec<&str> = document["states"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let out = one["removedRevision"].as_u64().map(|revision| format!("  out since {revision}")).unwrap_or_default();
        super::result(&format!(
            "{:<28} {:>4}  r{}{out}  {}\n",
            one["name"].as_str().unwrap_or_default(),
            document["priority"].as_i64().unwrap_or(0),
            one["revision"],
            states.join(","),
        ));
    }
    Ok(())
}

fn plug(asked: &Plug) -> anyhow::Result<()> {
    let body = json!({ "action": read(&asked.file)?, "evaluate": asked.evaluate });
    changed(&asked.at.ask("POST", &path(&asked.machine, "actions"), Some(&body))?);
    Ok(())
}

fn unplug(asked: &Unplug) -> anyhow::Result<()> {
    let path = path(&asked.machine, &format!("actions/{}", escape(&asked.action)));
    changed(&asked.at.ask("DELETE", &path, None)?);
    Ok(())
}

fn changed(answer: &Value) {
    let key = answer["key"].as_str().unwrap_or_default();
    let told = answer["told"].as_u64().filter(|told| *told > 0);
    let told = told.map(|told| format!(", {told} instances told")).unwrap_or_default();
    super::result(&format!("{key}@{} revision {}{told}\n", answer["version"], answer["revision"]));
}

fn states(asked: &States) -> anyhow::Result<()> {
    let states = asked.at.ask("GET", &path(&asked.machine, "states"), None)?;
    let text = if asked.json { serde_json::to_string_pretty(&states)? + "\n" } else { pool::to_csv(&states) };
    if let Some(file) = &asked.out {
        std::fs::write(file, text).with_context(|| file.display().to_string())
    } else {
        super::result(&text);
        Ok(())
    }
}

fn import(asked: &Import) -> anyhow::Result<()> {
    let shown = asked.file.display().to_string();
    let states = if asked.file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) {
        let text = std::fs::read_to_string(&asked.file).context(shown.clone())?;
        pool::from_csv(&text).map_err(|problems| {
            let lines = problems.iter().map(|one| format!("\n{} {}: {}", one.code, one.pointer, one.message));
            anyhow::anyhow!("{shown} cannot be read{}", lines.collect::<String>())
        })?
    } else {
        read(&asked.file)?
    };
    let answer = asked.at.ask("PUT", &path(&asked.machine, "states"), Some(&states))?;
    super::result(&format!("draft of {} at revision {}\n", asked.machine, answer["revision"].as_str().unwrap_or("?")));
    for line in super::ask::problems(&answer).lines().filter(|line| !line.is_empty()) {
        super::result(&format!("{line}\n"));
    }
    Ok(())
}

fn act(asked: &Act) -> anyhow::Result<()> {
    let context = asked.context.as_deref().map(read).transpose()?.unwrap_or_default();
    let body = json!({ "action": asked.action, "context": context });
    asked.at.ask("POST", &format!("/api/v1/instances/{}/actions", escape(&asked.instance)), Some(&body))?;
    super::result(&format!("{} is asked for\n", asked.action));
    Ok(())
}
