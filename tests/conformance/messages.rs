//! Messages and those who wait for them: they meet, once, whoever comes first.

use anyhow::Result;
use futures::future::{join, join_all};
use serde_json::json;
use stepwell_core::machine::State;
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::{Message, Posted};

use crate::subject::{Commit, Subject, commit, message, missed, new_id, payload, posted, same, taken, told};

pub(crate) async fn a_message_and_a_subscription_meet_in_either_order(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    // The message first, for a new instance and for a known one.
    same("kept", posted(journal, message("paid", "1", "m1")).await?, Posted::Buffered)?;
    let id = new_id();
    let inbox = commit(journal, Commit::first(&id).waits_for("paid", "1").waits_for("paid", "2").parked(None)).await?;
    same("met", told(&inbox), vec!["m1".to_owned()])?;
    same("payload", payload(&inbox), json!({ "id": "m1" }))?;
    same("wanted", journal.ready(1_000, 10).await?, vec![id.clone()])?;
    posted(journal, message("shipped", "1", "m2")).await?;
    let it = taken(journal, &id).await?;
    same("taken with", told(&it.inbox), vec!["m1".to_owned()])?;
    let next = Commit::after(&id, 1, it.epoch).takes(&it.inbox).waits_for("shipped", "1");
    same("met later", told(&commit(journal, next).await?), vec!["m2".to_owned()])?;

    // The subscription first: of a parked instance, and of a driven one.
    let parked = new_id();
    commit(journal, Commit::first(&parked).waits_for("paid", "3").parked(None)).await?;
    let awaited = posted(journal, message("paid", "3", "m3")).await?;
    same("awaited", awaited, Posted::Awaited(vec![parked.clone()]))?;
    same("wanted", journal.ready(1_000, 10).await?, vec![parked.clone()])?;
    same("handed over", told(&taken(journal, &parked).await?.inbox), vec!["m3".to_owned()])?;
    let driven = new_id();
    commit(journal, Commit::first(&driven).waits_for("paid", "4")).await?;
    let awaited = posted(journal, message("paid", "4", "m4")).await?;
    same("awaited by a driven one", awaited, Posted::Awaited(vec![driven.clone()]))?;
    same("seen", told(&journal.inbox(&driven).await?), vec!["m4".to_owned()])?;
    let inbox = commit(journal, Commit::after(&driven, 1, 1).waits_for("paid", "4")).await?;
    same("told at its commit", told(&inbox), vec!["m4".to_owned()])
}

/// Many at once share a transaction, and are judged as if they had come one after the other.
pub(crate) async fn messages_that_come_together_are_judged_one_by_one(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let id = new_id();
        commit(journal, Commit::first(&id).waits_for("paid", "1").parked(None)).await?;
        waiting.push(id);
    }
    // Three for those who wait, and as many for nobody; each of them three times.
    let all: Vec<(String, String)> = (0..18).map(|n| (format!("{}", n % 2 + 1), format!("m{}", n % 6))).collect();
    let posted = join_all(all.iter().map(|(key, id)| posted(journal, message("paid", key, id)))).await;
    let posted = posted.into_iter().collect::<Result<Vec<Posted>>>()?;
    for id in 0..6 {
        let told = all.iter().zip(&posted).filter(|((_, other), _)| *other == format!("m{id}"));
        let kept: Vec<&Posted> =
            told.map(|(_, posted)| posted).filter(|posted| **posted != Posted::Duplicate).collect();
        same(&format!("m{id} is kept once"), kept.len(), 1)?;
        same(&format!("m{id} is awaited"), matches!(kept[0], Posted::Awaited(_)), id % 2 == 0)?;
    }
    // Each message makes another one wanted.
    let mut ready = journal.ready(1_000, 10).await?;
    ready.sort_unstable();
    waiting.sort_unstable();
    same("wanted", ready, waiting)
}

pub(crate) async fn a_message_and_a_subscription_meet_in_a_race(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    for round in 0..100 {
        let (id, key) = (new_id(), round.to_string());
        commit(journal, Commit::first(&id)).await?;
        let subscribes = journal.append(Commit::after(&id, 1, 1).waits_for("paid", &key).parked(None).0);
        let posts = journal.post(message("paid", &key, &key));
        let (appended, posted) = if round % 2 == 0 {
            join(subscribes, posts).await
        } else {
            let (posted, appended) = join(posts, subscribes).await;
            (appended, posted)
        };
        let told_owner = !appended?.inbox.is_empty();
        let told_sender = posted? == Posted::Awaited(vec![id.clone()]);
        same(&format!("round {round}: somebody knows"), told_owner || told_sender, true)?;
        same("wanted", journal.ready(1_000, 10).await?, vec![id.clone()])?;
        same("there", told(&taken(journal, &id).await?.inbox), vec![key])?;
    }
    Ok(())
}

pub(crate) async fn a_message_is_posted_once(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    same("first", posted(journal, message("paid", "1", "m1")).await?, Posted::Buffered)?;
    same("again", posted(journal, message("paid", "1", "m1")).await?, Posted::Duplicate)?;
    same("to another key", posted(journal, message("paid", "2", "m1")).await?, Posted::Duplicate)?;
    same("another name", posted(journal, message("shipped", "1", "m1")).await?, Posted::Buffered)?;
    let inbox = commit(journal, Commit::first(&id).waits_for("paid", "1")).await?;
    same("one", told(&inbox), vec!["m1".to_owned()])?;
    commit(journal, Commit::after(&id, 1, 1).takes(&inbox).waits_for("paid", "1")).await?;
    // Taken long ago, and known all the same.
    same("after it was taken", posted(journal, message("paid", "1", "m1")).await?, Posted::Duplicate)?;
    same("nothing came of it", journal.inbox(&id).await?, Vec::new())
}

pub(crate) async fn a_message_is_taken_by_one(subject: impl Subject) -> Result<()> {
    let (journal, one, two) = (subject.journal(), new_id(), new_id());
    for id in [&one, &two] {
        commit(journal, Commit::first(id).waits_for("paid", "1")).await?;
    }
    posted(journal, message("paid", "1", "m1")).await?;
    let inbox = journal.inbox(&one).await?;
    same("both see it", &journal.inbox(&two).await?, &inbox)?;
    commit(journal, Commit::after(&two, 1, 1).takes(&inbox)).await?;
    missed(journal, Commit::after(&one, 1, 1).takes(&inbox)).await?;
    same("gone", journal.inbox(&one).await?, Vec::new())
}

pub(crate) async fn a_message_left_over_is_passed_on(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    // Two wait. One is woken, takes some of the messages and waits no more (or has ended): whoever
    // still waits must be woken for what is left.
    for (key, messages, takes, ends) in [("1", 1, 0, false), ("2", 1, 0, true), ("3", 2, 1, false)] {
        let ids = [new_id(), new_id()];
        for id in &ids {
            commit(journal, Commit::first(id).waits_for("paid", key).parked(None)).await?;
        }
        for at in 0..messages {
            posted(journal, message("paid", key, &format!("{key}.{at}"))).await?;
        }
        let woken = journal.ready(1_000, 1).await?.remove(0);
        let other = ids.into_iter().find(|id| *id != woken).unwrap();
        let it = taken(journal, &woken).await?;
        let leaves = Commit::after(&woken, 1, it.epoch).takes(&it.inbox[..takes]);
        let leaves = if ends { leaves.state(State::Failed) } else { leaves.parked(None) };
        commit(journal, leaves).await?;
        same(&format!("{key}: wanted"), journal.ready(1_000, 10).await?, vec![other.clone()])?;
        let left = format!("{key}.{}", messages - 1);
        same("with", told(&taken(journal, &other).await?.inbox), vec![left])?;
    }
    Ok(())
}

pub(crate) async fn a_message_ends_with_its_time(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    posted(journal, message("paid", "1", "m1")).await?; // Until 61,000.
    let (early, late) = (new_id(), new_id());
    let inbox = commit(journal, Commit::first(&early).at(60_999).waits_for("paid", "1")).await?;
    same("in time", told(&inbox), vec!["m1".to_owned()])?;
    let inbox = commit(journal, Commit::first(&late).at(61_000).waits_for("paid", "1")).await?;
    same("too late", told(&inbox), Vec::<String>::new())
}

pub(crate) async fn a_dropped_subscription_is_not_served(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id).waits_for("paid", "1").waits_for("paid", "1").waits_for("paid", "2")).await?;
    commit(journal, Commit::after(&id, 1, 1).waits_for("paid", "2").parked(None)).await?;
    same("no taker", posted(journal, message("paid", "1", "m1")).await?, Posted::Buffered)?;
    same("not wanted", journal.ready(1_000, 10).await?, Vec::new())?;
    let awaited = posted(journal, message("paid", "2", "m2")).await?;
    same("still a taker", awaited, Posted::Awaited(vec![id.clone()]))
}

pub(crate) async fn a_transient_message_is_for_those_who_wait_when_it_comes(subject: impl Subject) -> Result<()> {
    let (journal, one, two, late) = (subject.journal(), new_id(), new_id(), new_id());
    let transient = |id: &str| Message { ttl_ms: 0, ..message("alarm", "1", id) };
    same("nobody waits", posted(journal, transient("m1")).await?, Posted::Dropped)?;
    same("again", posted(journal, transient("m1")).await?, Posted::Duplicate)?;
    for id in [&one, &two] {
        let inbox = commit(journal, Commit::first(id).waits_for("alarm", "1").parked(None)).await?;
        same("what was dropped", told(&inbox), Vec::<String>::new())?;
    }
    let awaited = posted(journal, transient("m2")).await?;
    same("two wait", matches!(&awaited, Posted::Awaited(ids) if ids.len() == 2), true)?;
    // However late they come to it.
    let it = taken(journal, &one).await?;
    same("there", told(&it.inbox), vec!["m2".to_owned()])?;
    let later = Commit::after(&one, 1, it.epoch).at(900_000).takes(&it.inbox);
    commit(journal, later.state(State::Completed)).await?;
    // The next is not taken by the one who still waits, and goes with it.
    same("one waits", posted(journal, transient("m3")).await?, Posted::Awaited(vec![two.clone()]))?;
    let it = taken(journal, &two).await?;
    commit(journal, Commit::after(&two, 1, it.epoch).state(State::Failed)).await?;
    let inbox = commit(journal, Commit::first(&late).waits_for("alarm", "1")).await?;
    same("for nobody else", told(&inbox), Vec::<String>::new())?;
    // One that is kept is.
    commit(journal, Commit::after(&late, 1, 1)).await?;
    same("kept", posted(journal, message("alarm", "1", "m4")).await?, Posted::Buffered)
}
