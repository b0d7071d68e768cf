//! `stepwell plugin test`: plays a component's examples and its author's cases in the engine's sandbox.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use stepwell_sandbox::{Case, Played, Ready};

use super::super::result;
use super::case::{self, Given};
use super::project::Project;
use super::{build, difference, inspect, progress};

#[derive(Args)]
pub(in super::super) struct Test {
    /// The project's folder
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// A component that is built already, in place of the project's
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Show what the plugin logged, also where all went well
    #[arg(long)]
    logs: bool,
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(asked: &Test) -> anyhow::Result<()> {
    let (component, cache) = if let Some(file) = &asked.component {
        (std::fs::read(file).with_context(|| file.display().to_string())?, None)
    } else {
        let project = Project::find(&asked.dir)?;
        (build::if_changed(&project)?.component, Some(project.build_folder()?.join("cache")))
    };
    let sandbox = super::sandbox(cache)?;
    let line = progress::Line::new("compiling");
    let examined = Box::pin(sandbox.examine(component)).await;
    drop(line);
    let ready = examined.map_err(|problems| {
        let mut text = String::new();
        for problem in &problems {
            inspect::show_problem(&mut text, problem);
        }
        anyhow::anyhow!("an engine would refuse the component\n{}", text.trim_end())
    })?;
    let given = given(asked, &ready)?;
    let mut failed = 0;
    for one in &given {
        let played = Box::pin(sandbox.play(&ready, &one.case)).await;
        let (lines, logs, micros) = judged(one, played);
        let Case { title, node_type, .. } = &one.case;
        let mark = if lines.is_empty() { "ok    " } else { "FAILED" };
        let took = format!("{}.{:01} ms", micros / 1000, micros % 1000 / 100);
        result(&format!("{mark}  {}  {node_type}: {title}  {took}\n", one.file));
        failed += usize::from(!lines.is_empty());
        let heard = if asked.logs || !lines.is_empty() { logs } else { Vec::new() };
        for line in lines.into_iter().chain(heard.into_iter().map(|line| format!("log {line}"))) {
            result(&format!("          {line}\n"));
        }
    }
    let all = given.len();
    result(&format!("{} of {all} as expected\n", all - failed));
    anyhow::ensure!(failed == 0, "{failed} of {all} failed: - is expected, + is what came");
    Ok(())
}

fn given(asked: &Test, ready: &Ready) -> anyhow::Result<Vec<Given>> {
    let mut given: Vec<Given> = ready
        .examples()
        .into_iter()
        .map(|(case, expected)| {
            let expect = json!({ "port": expected.port, "output": expected.output });
            Given { file: "example".to_owned(), case, expect }
        })
        .collect();
    given.extend(case::read(&asked.dir.join("cases"), &ready.info())?);
    Ok(given)
}

/// What is wrong, what was logged, and microseconds.
fn judged(given: &Given, played: Result<Played, String>) -> (Vec<String>, Vec<String>, u64) {
    let played = match played {
        Ok(played) => played,
        Err(why) => return (vec![why], Vec::new(), 0),
    };
    let got: Value = case::shown(&played.outcome, &given.case.export);
    let mut lines = difference::between(&given.expect, &got);
    lines.extend(played.mismatch);
    if played.requests_left > 0 {
        lines.push(format!("{} requests of the tape were not sent", played.requests_left));
    }
    let logs = played.logs.iter().map(|line| format!("{}: {}", line.level, line.message)).collect();
    (lines, logs, played.duration_us)
}
