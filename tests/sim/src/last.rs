//! The end of a run: nothing goes wrong any more, and everything must come to rest, then to an end.

use std::sync::Arc;

use stepwell_core::machine::State;

use crate::script::Script;
use crate::world::{EPOCH_MS, Sim};

/// Long enough for ten tries of an undo, with the longest waits between them.
const ROUND_MS: u64 = 400_000;
const ROUNDS: u32 = 40;

pub(crate) async fn settle(script: &Script) {
    let sim = &script.sim;
    for round in 0..ROUNDS {
        let until_ms = sim.time.now_ms() + ROUND_MS;
        while sim.time.now_ms() < until_ms && !quiet(sim) {
            sim.time.sleep(2_000).await;
            if sim.world().book.violation.is_some() {
                return;
            }
        }
        // Whatever was on its way has arrived.
        sim.time.sleep(30_000).await;
        at_rest(sim);
        if sim.world().store.rows.values().all(|row| row.header.state.ended()) {
            break;
        }
        script.help(round);
        sim.time.sleep(5_000).await;
    }
    everything_ended(sim);
    nothing_is_left_done(sim);
    acknowledged_is_there(script);
}

/// Whether every instance stands still.
fn quiet(sim: &Sim) -> bool {
    let world = sim.world();
    let asleep = world.store.rows.values().all(|row| {
        let still = matches!(row.header.state, State::Waiting | State::Incident | State::Suspended);
        row.header.state.ended() || (still && row.header.due_ms.is_none())
    });
    let open_work = world.store.tasks.keys().any(|id| world.store.is_offered(id));
    asleep && !open_work && world.callbacks.is_empty()
}

/// Nobody is forgotten: whatever could go on does.
fn at_rest(sim: &Sim) {
    let now_ms = (EPOCH_MS + sim.time.now_ms()).saturating_add_signed(sim.world().ahead_ms);
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    {
        let world = sim.world();
        for (id, row) in world.store.rows.iter().filter(|(_, row)| !row.header.state.ended()) {
            let state = row.header.state;
            let inbox = world.store.waiting(id, now_ms);
            if !inbox.is_empty() {
                wrong.push(("no wake-up lost", format!("{id} is {} with {inbox:?} in its inbox", state.name())));
            }
            if row.header.due_ms.is_some_and(|due| due + 60_000 < now_ms) {
                wrong.push(("no wake-up lost", format!("{id} is {} and was due long ago: {row:?}", state.name())));
            }
            let waits = !row.subscriptions.is_empty() || row.header.due_ms.is_some();
            let still = match state {
                State::Incident | State::Suspended => true,
                State::Waiting | State::Compensating => waits,
                _ => false,
            };
            if !still {
                let tokens = world.book.stories.get(id).map(|story| format!("{:?}", story.it.tokens));
                wrong.push(("an end is reached", format!("{id} is {} for nothing: {tokens:?}", state.name())));
            }
        }
    }
    for (invariant, why) in wrong {
        sim.fails(invariant, why);
    }
}

fn everything_ended(sim: &Sim) {
    let open: Vec<(Arc<str>, String)> = {
        let world = sim.world();
        let rows = world.store.rows.iter().filter(|(_, row)| !row.header.state.ended());
        rows.map(|(id, row)| {
            let tokens = world.book.stories.get(id).map(|story| format!("{:?}", story.it.tokens));
            (id.clone(), format!("{} {tokens:?}", row.header.state.name()))
        })
        .collect()
    };
    if let Some((id, how)) = open.first() {
        sim.fails("an end is reached", format!("{id} does not end though it gets all it asks for: {how}"));
    }
}

fn nothing_is_left_done(sim: &Sim) {
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    {
        let world = sim.world();
        for (id, story) in &world.book.stories {
            for key in &story.must_be_undone {
                if world.shop.deeds.get(key).is_some_and(crate::shop::Deed::stands) {
                    wrong.push(("nothing left done", format!("{id}: {key} stands, though all was undone")));
                }
            }
        }
        for (key, deed) in &world.shop.deeds {
            if deed.undo_keys.len() > 1 {
                wrong.push(("undo once", format!("{key} was undone under {:?}", deed.undo_keys)));
            }
            if deed.effects > 1 {
                wrong.push(("one effect per visit", format!("{key} had {} effects", deed.effects)));
            }
        }
    }
    for (invariant, why) in wrong {
        sim.fails(invariant, why);
    }
}

fn acknowledged_is_there(script: &Script) {
    for (key, id) in script.acknowledged() {
        let (there, rivals) = {
            let world = script.sim.world();
            let winner =
                world.store.idempotency.iter().find(|((_, one), _)| *one == key).map(|(_, (_, id))| id.clone());
            (world.store.rows.contains_key(&id), winner.filter(|winner| *winner != id))
        };
        if !there || rivals.is_some() {
            script
                .sim
                .fails("acknowledged starts", format!("{key} was acknowledged as {id}: there {there}, {rivals:?}"));
        }
    }
}
