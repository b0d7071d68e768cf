//! What holds where engines share a database: who is taken for dead can write nothing more of what it
//! held, and is as good as new for everything else. Of a file there is one engine, and nothing to try.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use stepwell_core::flow::Unique;
use stepwell_core::machine::State;
use stepwell_runtime::journal::{Append, AppendError, Idempotency};

use super::{Place, admitted, published, started};
use crate::sql::{self, Db, Server, values};
use crate::{Options, Removed, Store};

/// Two engines on one database; `None` on a file.
fn two() -> Option<(Store, Store, Place, tempfile::TempDir)> {
    two_with(Options::default().lease)
}

fn two_with(lease: Duration) -> Option<(Store, Store, Place, tempfile::TempDir)> {
    let place = Place::new();
    let Place::Server(url, own) = &place else { return None };
    let folder = tempfile::tempdir().unwrap();
    let join = |name: &std::path::Path| {
        Store::connect(url, name.join("engine"), Options { lease, ..Options::default() }).unwrap()
    };
    let (one, other) = (join(own.path()), join(folder.path()));
    Some((one, other, place, folder))
}

/// `one` was not heard of for ages, and `other` notices.
async fn bury(one: &Store, other: &Store) {
    let number = one.engine();
    let buried = other.write(move |tx| {
        tx.db.execute("update engine set seen_ms = 0 where number = ?1", &values![number])?;
        tx.seat.map_or(Ok(0), |seat| seat.bury_others(tx.db))
    });
    assert_eq!(buried.await.unwrap(), 1);
}

fn driven(flow: &str) -> Append {
    let mut one = admitted(flow, 1, State::Running, None);
    one.park = false;
    one
}

fn next(of: &Append, epoch: u64) -> Append {
    let mut next = of.clone();
    (next.admission, next.expected_seq, next.epoch, next.entries) = (None, 1, epoch, vec![started(2)]);
    next
}

#[tokio::test]
async fn who_is_taken_for_dead_writes_nothing_more_of_what_it_held() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    let it = driven("f");
    one.append(it.clone()).await.unwrap();
    assert!(other.take(&it.instance).await.unwrap().is_none(), "its owner lives");
    assert_eq!(other.ready(9_000, 10).await.unwrap(), []);
    bury(&one, &other).await;
    assert_eq!(other.ready(9_000, 10).await.unwrap(), std::slice::from_ref(&it.instance));
    // Whatever the batch held is refused, once; then the engine begins anew, and its own guards speak.
    let first = one.append(next(&it, 1)).await;
    assert!(matches!(&first, Err(AppendError::Unavailable(why)) if why.0.contains("lease is over")), "{first:?}");
    let second = one.append(next(&it, 1)).await;
    assert!(matches!(second, Err(AppendError::Conflict(_))), "{second:?}");
    let taken = other.take(&it.instance).await.unwrap().unwrap();
    assert_eq!((taken.epoch, taken.seq), (2, 1));
    assert!(one.take(&it.instance).await.unwrap().is_none(), "it has another owner now");
    other.append(next(&it, 2)).await.unwrap();
    one.append(driven("f")).await.unwrap();
}

#[tokio::test]
async fn one_engine_wins_an_idempotency_key() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 0..20 {
        let start = || {
            let mut start = driven("f");
            let idempotency = Idempotency { key: format!("k{round}"), request: "asked".to_owned() };
            start.admission.as_mut().unwrap().idempotency = Some(idempotency);
            start
        };
        let (of_one, of_other) = (start(), start());
        let ids = [of_one.instance.clone(), of_other.instance.clone()];
        let (first, second) = futures::join!(one.append(of_one), other.append(of_other));
        let (winner, loser) = if first.is_ok() { (&ids[0], second) } else { (&ids[1], first) };
        assert!(matches!(&loser, Err(AppendError::Duplicate { instance, .. }) if instance == winner), "{loser:?}");
    }
}

#[tokio::test]
async fn of_many_that_want_an_instance_one_takes_it() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    let mut ids: Vec<Arc<str>> = Vec::new();
    for _ in 0..50 {
        let it = admitted("f", 1, State::Running, None);
        ids.push(it.instance.clone());
        one.append(it).await.unwrap();
    }
    assert_eq!(one.ready(9_000, 100).await.unwrap().len(), 50);
    let takes = |store: Store| {
        let ids = ids.clone();
        async move { futures::future::join_all(ids.iter().map(|id| store.take(id))).await }
    };
    let (of_one, of_other) = futures::join!(takes(one.clone()), takes(other.clone()));
    for (first, second) in of_one.into_iter().zip(of_other) {
        // One has it; the other is told that somebody has, or that somebody has hold of it just now.
        let owners = [first, second].into_iter().filter(|taken| matches!(taken, Ok(Some(_)))).count();
        assert_eq!(owners, 1);
    }
}

#[tokio::test]
async fn one_engine_wins_a_business_key() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 0..20 {
        let start = || {
            let mut start = driven("f");
            let admission = start.admission.as_mut().unwrap();
            admission.business_key = Some(format!("k{round}"));
            admission.unique = Some(if round % 2 == 0 { Unique::Running } else { Unique::Always });
            start
        };
        let starts: Vec<Append> = (0..6).map(|_| start()).collect();
        let ids: Vec<Arc<str>> = starts.iter().map(|one| one.instance.clone()).collect();
        let stores = [&one, &other].into_iter().cycle();
        let outcomes = futures::future::join_all(stores.zip(starts).map(|(store, start)| store.append(start))).await;
        let winners: Vec<&Arc<str>> =
            ids.iter().zip(&outcomes).filter(|(_, one)| one.is_ok()).map(|(id, _)| id).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        for loser in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(&loser, AppendError::KeyTaken { instance } if instance == winners[0]), "{loser:?}");
        }
    }
}

#[tokio::test]
async fn a_start_at_one_engine_and_a_removal_at_another_never_both_win() {
    let Some((one, other, _place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    for round in 1..40 {
        published(&one, "f", &format!("{}", round + 1)).await;
        let act = crate::Act { by: "ada".to_owned(), at_ms: 9 };
        let (started, removed) = futures::join!(
            one.append(admitted("f", round, State::Waiting, None)),
            other.remove_version(act, "f", round)
        );
        match (started, removed.unwrap()) {
            (Ok(_), Removed::Needed(_)) | (Err(AppendError::Retired), Removed::Gone) => {}
            both => panic!("{both:?}"),
        }
    }
}

/// Makes a transaction fail as the server does where two change the same row: its view is older than what a rival has
/// committed meanwhile.
fn lose(db: &mut Db, rival: &Server, number: i64) -> sql::Result<()> {
    db.run("rollback")?;
    db.run("begin isolation level repeatable read")?;
    db.query("select 1 from engine where number = ?1", &values![number], |_| Ok(()))?;
    let change = "update engine set counter = counter where number = ?1";
    sql::Place::Postgres(Box::new(rival.clone())).writing()?.execute(change, &values![number])?;
    let lost = db.execute(change, &values![number]).map(drop);
    assert!(lost.as_ref().is_err_and(|error| error.to_string().contains("(40001)")), "{lost:?}");
    lost
}

fn rival(place: &Place) -> Server {
    let Place::Server(url, _) = place else { panic!("a server") };
    Server::new(url).unwrap()
}

#[tokio::test]
async fn a_batch_that_lost_is_written_once_and_everybody_is_answered() {
    let Some((one, other, place, _folder)) = two() else { return };
    published(&one, "f", "1").await;
    let (rival, number, tries) = (rival(&place), other.engine(), Arc::new(AtomicU32::new(0)));
    // What comes while the first item keeps the writer busy is one batch.
    let (let_go, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let first = one.write(move |_| {
        let _: () = waits.lock().unwrap().recv().unwrap_or_default();
        Ok(())
    });
    let counted = tries.clone();
    let loses = one.write(move |tx| {
        if counted.fetch_add(1, Ordering::SeqCst) < 2 {
            lose(tx.db, &rival, number)?;
        }
        tx.db.execute("update engine set counter = counter + 1000000 where number = ?1", &values![number])
    });
    let starts: Vec<Append> = (0..20).map(|_| driven("f")).collect();
    let appends = futures::future::join_all(starts.iter().map(|start| one.append(start.clone())));
    let all = async { futures::join!(first, loses, appends) };
    let goes = async move {
        // Polled after the others: all of them are in the queue.
        let_go.send(()).unwrap();
    };
    let ((first, loses, appends), ()) = futures::join!(all, goes);
    first.unwrap();
    assert_eq!(loses.unwrap(), 1);
    assert!(appends.iter().all(Result::is_ok), "{appends:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 3, "lost twice");
    let written = one.read(|db| db.only("select count(*) from journal", &[], |row| row.get::<i64>(0))).await.unwrap();
    assert_eq!(written, 20, "each once");
}

#[tokio::test]
async fn a_read_that_lost_is_asked_again_and_one_that_never_wins_is_given_up() {
    let Some((one, other, place, _folder)) = two() else { return };
    for (losses, answered) in [(2, true), (u32::MAX, false)] {
        let (rival, number, tries) = (rival(&place), other.engine(), Arc::new(AtomicU32::new(0)));
        let counted = tries.clone();
        let read = one.read(move |db| {
            if counted.fetch_add(1, Ordering::SeqCst) < losses {
                lose(db, &rival, number)?;
            }
            Ok(7)
        });
        assert_eq!(read.await.is_ok_and(|seven| seven == 7), answered);
        assert_eq!(tries.load(Ordering::SeqCst), if answered { losses + 1 } else { sql::TRIES });
    }
}

#[tokio::test]
async fn an_engine_that_falls_silent_in_a_transaction_is_taken_for_dead_after_its_lease() {
    let Some((one, other, _place, _folder)) = two_with(Duration::from_secs(1)) else { return };
    published(&one, "f", "1").await;
    let it = driven("f");
    one.append(it.clone()).await.unwrap();
    let (let_go, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let silent = one.write(move |tx| {
        waits.lock().unwrap().recv().unwrap_or_default();
        tx.db.execute("update engine set counter = counter", &[])
    });
    let others = async {
        let taken = async {
            while other.take(&it.instance).await.unwrap().is_none() {
                other.write(|tx| tx.seat.map_or(Ok(0), |seat| seat.bury_others(tx.db))).await.unwrap();
            }
        };
        // Far less than a server leaves a silent transaction by itself.
        tokio::time::timeout(Duration::from_secs(15), taken).await.unwrap();
        let_go.send(()).unwrap();
    };
    let (silent, ()) = futures::join!(silent, others);
    assert!(silent.is_err(), "{silent:?}");
}
