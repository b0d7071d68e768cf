//! What operators ask for, at moments that do not suit; and what they do at the end, so that all can end.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwell_core::machine::{At, Command, State, TokenId};

use super::Script;
use crate::book::Story;
use crate::flows::NOTE;
use crate::tell::short;
use crate::world::{Health, World};

impl Script {
    pub(super) fn command(&self) {
        let Some(id) = self.some_instance(true) else { return };
        let command = {
            let mut world = self.sim.world();
            drawn(&mut world, &id)
        };
        let Some(command) = command else { return };
        self.sim.world().count.asked += 1;
        self.sim.tell(|| format!("operator: {command:?} for {}", short(&id)));
        tokio::spawn(self.clone().order(id, command));
    }

    pub async fn order(self, id: Arc<str>, command: Command) {
        self.order_by(&id, command, "operator").await;
    }

    /// Whether the command is in the inbox.
    pub(super) async fn order_by(&self, id: &Arc<str>, command: Command, by: &str) -> bool {
        let Some((host, engine)) = self.engine() else { return false };
        let kept = tokio::select! {
            biased;
            kept = engine.command(id, command, by) => kept.is_ok(),
            () = self.sim.gone(host) => false,
        };
        kept && self.sim.health(host) != Health::Dead
    }

    /// Posts what instances wait for, resumes those that stand still, and has incidents tried again.
    pub fn help(&self, round: u32) {
        let (mut awaited, mut orders) = (Vec::new(), Vec::new());
        for (id, story) in self.sim.world().book.stories.iter().filter(|(_, story)| story.it.end.is_none()) {
            let needed = story.it.subscriptions().into_iter().filter(|one| *one.message != *NOTE);
            awaited.extend(needed.map(|one| (one.message, one.key)));
            if story.it.state() == State::Suspended {
                orders.push((id.clone(), Command::Resume));
            } else if story.it.tokens.values().any(|token| matches!(token.at, At::Incident { .. })) {
                let end = Command::Cancel { reason: "the end".to_owned() };
                let again = Command::Retry { token: None, new_key: false };
                orders.push((id.clone(), if round < 4 { again } else { end }));
            }
        }
        for (at, (name, key)) in awaited.into_iter().enumerate() {
            tokio::spawn(self.clone().post(name, key, format!("help{round}-{at}")));
        }
        for (id, command) in orders {
            tokio::spawn(self.clone().order(id, command));
        }
    }
}

fn drawn(world: &mut World, id: &Arc<str>) -> Option<Command> {
    let World { chance, book, .. } = world;
    let story = book.stories.get(id)?;
    let tokens: Vec<TokenId> = story.it.tokens.keys().copied().collect();
    let token = chance.pick(&tokens).copied();
    Some(match chance.below(24) {
        0 => Command::Cancel { reason: "no longer wanted".to_owned() },
        1..4 => Command::Compensate { reason: String::new() },
        4..7 => Command::SkipUndo { token: token? },
        7..10 => Command::Retry { token, new_key: false },
        10..12 => Command::Retry { token: None, new_key: false },
        12..14 => Command::Retry { token: token.filter(|_| chance.permille(500)), new_key: true },
        14..17 => Command::Suspend { reason: String::new() },
        17..20 => Command::Resume,
        20..22 => {
            let body = story.flow.nodes[story.it.tokens.get(&token?)?.node].body;
            let nodes: Vec<_> = story.flow.nodes.iter().filter(|node| node.body == body).collect();
            let to = chance.pick(&nodes)?.id.to_string();
            Command::Move { token: token?, to }
        }
        _ => {
            let (version, nodes) = other_version(story, &book.renamed)?;
            Command::Migrate { version, from: None, nodes }
        }
    })
}

type Renamed = BTreeMap<(Arc<str>, u32), BTreeMap<String, String>>;

/// The version after an instance's own, or before it; and what nodes are called there.
fn other_version(story: &Story, renamed: &Renamed) -> Option<(u32, BTreeMap<String, String>)> {
    let names = renamed.get(&(story.flow.key.as_str().into(), 1))?;
    if story.it.version == 1 {
        return Some((2, names.clone()));
    }
    Some((1, names.iter().map(|(old, new)| (new.clone(), old.clone())).collect()))
}
