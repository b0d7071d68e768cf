//! Who drives an instance, who is wanted, and what commands do to both.

use anyhow::Result;
use stepwell_core::machine::State;
use stepwell_runtime::Journal as _;
use stepwell_runtime::journal::CommandKept;

use crate::subject::{Commit, Subject, cancel, commit, missed, new_id, refused, same, taken, told};

pub(crate) async fn taking_shuts_out_the_owner_before(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    let first = taken(journal, &id).await?;
    let second = taken(journal, &id).await?;
    same("epochs", (first.epoch, second.epoch), (2, 3))?;
    refused(journal, Commit::after(&id, 1, 1)).await?;
    refused(journal, Commit::after(&id, 1, first.epoch)).await?;
    commit(journal, Commit::after(&id, 1, second.epoch).parked(None)).await?;
    // Parking gives up ownership: the same owner must take it again.
    refused(journal, Commit::after(&id, 2, second.epoch)).await?;
    let third = taken(journal, &id).await?;
    commit(journal, Commit::after(&id, 2, third.epoch)).await?;
    Ok(())
}

pub(crate) async fn the_most_urgent_are_ready_first(subject: impl Subject) -> Result<()> {
    let journal = subject.journal();
    let mut ids = Vec::new();
    for (priority, due_ms) in [(0, Some(3_000)), (0, Some(2_000)), (-5, Some(4_000)), (7, Some(1_000)), (0, None)] {
        let id = new_id();
        commit(journal, Commit::first(&id).priority(priority).parked(due_ms)).await?;
        ids.push(id);
    }
    // Each commit says it anew: the last one has become the most urgent of all.
    let id = new_id();
    commit(journal, Commit::first(&id).priority(9)).await?;
    commit(journal, Commit::after(&id, 1, 1).priority(-9).parked(Some(5_000))).await?;
    ids.push(id);
    same("due", journal.next_due_ms().await?, Some(1_000))?;
    for (now_ms, limit, expected) in [
        (500, 10, vec![]),
        (1_000, 10, vec![3]),
        (2_500, 10, vec![1, 3]),
        (9_000, 10, vec![5, 2, 1, 0, 3]), // The smaller priority first, then the earlier due; the last is never due.
        (9_000, 2, vec![5, 2]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|at: usize| ids[at].clone()).collect();
        same(&format!("{limit} at {now_ms}"), journal.ready(now_ms, limit).await?, expected)?;
    }
    Ok(())
}

pub(crate) async fn a_driven_instance_is_not_ready(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id)).await?;
    same("driven", journal.ready(9_000, 10).await?, Vec::new())?;
    commit(journal, Commit::after(&id, 1, 1).parked(Some(2_000))).await?;
    same("parked", journal.ready(9_000, 10).await?, vec![id.clone()])?;
    let it = taken(journal, &id).await?;
    same("taken", journal.ready(9_000, 10).await?, Vec::new())?;
    same("due", journal.next_due_ms().await?, None)?;
    // Let go of in the middle of work: somebody must go on with it now.
    let mut given_up = Commit::after(&id, 2, it.epoch).state(State::Running);
    given_up.0.park = true;
    commit(journal, given_up).await?;
    same("given up", journal.ready(1, 10).await?, vec![id.clone()])
}

pub(crate) async fn commands_wait_in_order_and_wake(subject: impl Subject) -> Result<()> {
    let (journal, id, other) = (subject.journal(), new_id(), new_id());
    commit(journal, Commit::first(&id).parked(Some(90_000))).await?;
    commit(journal, Commit::first(&other)).await?;
    same("kept", journal.command(&id, cancel("first"), "ada", 1_500).await?, CommandKept::Kept)?;
    same("kept", journal.command(&id, cancel("second"), "ada", 1_500).await?, CommandKept::Kept)?;
    same("ready", journal.ready(1_500, 10).await?, vec![id.clone()])?;
    let it = taken(journal, &id).await?;
    same("inbox", told(&it.inbox), vec!["first".to_owned(), "second".to_owned()])?;
    // Another instance cannot take what is not its own.
    missed(journal, Commit::after(&other, 1, 1).takes(&it.inbox[..1])).await?;
    let left = commit(journal, Commit::after(&id, 1, it.epoch).takes(&it.inbox[..1])).await?;
    same("left", told(&left), vec!["second".to_owned()])?;
    missed(journal, Commit::after(&id, 2, it.epoch).takes(&it.inbox[..1])).await?;
    // Parked over something in its inbox: it is told, and wanted at once.
    let left = commit(journal, Commit::after(&id, 2, it.epoch).parked(Some(90_000))).await?;
    same("left at parking", told(&left), vec!["second".to_owned()])?;
    same("ready again", journal.ready(1_500, 10).await?, vec![id.clone()])?;
    let it = taken(journal, &id).await?;
    let left = commit(journal, Commit::after(&id, 3, it.epoch).takes(&it.inbox).parked(None)).await?;
    same("nothing left", (left, journal.ready(90_000, 10).await?), (Vec::new(), Vec::new()))
}

pub(crate) async fn commands_to_what_is_not_there_are_not_kept(subject: impl Subject) -> Result<()> {
    let (journal, id) = (subject.journal(), new_id());
    commit(journal, Commit::first(&id).state(State::Failed)).await?;
    same("ended", journal.command(&id, cancel(""), "ada", 1).await?, CommandKept::Ended)?;
    same("unknown", journal.command(&new_id(), cancel(""), "ada", 1).await?, CommandKept::Unknown)?;
    same("no id", journal.command("x", cancel(""), "ada", 1).await?, CommandKept::Unknown)
}
