//! Work for workers: what is fetched first, and how those that wait for some are told.

use std::sync::{Arc, mpsc};

use serde_json::json;
use stepwell_core::machine::{OpenTask, State};
use stepwell_runtime::journal::TaskMoves;

use super::{Fixture, admitted, open, published};
use crate::{Grasp, Lock, Store, Within};

/// Puts out a task of a topic, open since then.
async fn put_out(store: &Store, topic: &str, since_ms: u64) -> Arc<str> {
    let mut one = admitted("f", 1, State::Waiting, None);
    let task = OpenTask {
        token: 1,
        attempt: 1,
        visit: 1,
        key: "k".to_owned(),
        name: "work".into(),
        place: "work".into(),
        topic: Some(topic.into()),
        input: json!({}).into(),
        since_ms,
        until_ms: None,
    };
    one.tasks = TaskMoves { open: vec![task], gone: Vec::new() };
    store.append(one.clone()).await.unwrap();
    one.instance
}

fn topics() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned(), "nothing".to_owned()]
}

/// What a worker gets, by when it was put out.
async fn fetched(store: &Store, limit: u32) -> Vec<u64> {
    let got = store.fetch(topics(), Within::Everything, "w".to_owned(), 60_000, 10_000, limit).await.unwrap();
    got.into_iter().map(|task| task.since_ms).collect()
}

#[tokio::test]
async fn the_oldest_is_fetched_first_whatever_its_topic() {
    let Fixture { store, place: _place } = open();
    published(&store, "f", "1").await;
    assert_eq!(fetched(&store, 5).await, [0_u64; 0]);
    for (topic, since_ms) in [("a", 5), ("b", 1), ("other", 0), ("a", 2), ("b", 4), ("a", 3)] {
        put_out(&store, topic, since_ms).await;
    }
    for (limit, expected) in [(1, vec![1]), (3, vec![2, 3, 4]), (9, vec![5]), (9, vec![])] {
        assert_eq!(fetched(&store, limit).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_work_goes_past_the_writer_and_work_rings() {
    let Fixture { store, place: _place } = open();
    published(&store, "f", "1").await;
    let id = put_out(&store, "a", 1).await;
    // The writer is at work for as long as we like.
    let ((let_go, stays), (tells, begun)) = (mpsc::channel::<()>(), mpsc::channel());
    let stays = std::sync::Mutex::new(stays);
    let busy = store.clone();
    let busy = tokio::spawn(async move {
        busy.write(move |_| {
            let _ = tells.send(());
            let _ = stays.lock().unwrap().recv();
            Ok(())
        })
        .await
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
    assert!(store.has_work(topics(), Within::Everything, 10_000).await.unwrap());
    assert!(!store.has_work(vec!["b".to_owned()], Within::Everything, 10_000).await.unwrap());
    drop(let_go);
    busy.await.unwrap().unwrap();
    // Who waits is told of what is put out, and of what is given back.
    assert_eq!(fetched(&store, 9).await, [1]);
    let mut told = waiting(store.work());
    put_out(&store, "b", 2).await;
    told.as_mut().await;
    told = waiting(store.work());
    for (lock, until_ms) in
        [(Lock::Until(90_000), 90_000), (Lock::AtLeast(20_000), 90_000), (Lock::AtLeast(95_000), 95_000)]
    {
        let Grasp::Held(task) = store.extend(&id, 1, 1, "w".to_owned(), lock).await.unwrap() else {
            panic!("{lock:?}")
        };
        assert_eq!(task.locked_ms, Some(until_ms), "{lock:?}");
    }
    let given = store.extend(&id, 1, 1, "w".to_owned(), Lock::Over).await.unwrap();
    assert!(matches!(given, Grasp::Held(_)));
    told.as_mut().await;
}

/// As one that waits already.
fn waiting(work: tokio::sync::futures::OwnedNotified) -> std::pin::Pin<Box<tokio::sync::futures::OwnedNotified>> {
    let mut work = Box::pin(work);
    work.as_mut().enable();
    work
}
