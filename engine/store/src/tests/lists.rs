//! What lists find, in which pages, and by which way; one instance; its journal.

use std::sync::Arc;

use serde_json::json;
use stepwell_core::machine::{Error, FailureClass, State};
use stepwell_runtime::journal::{Idempotency, Message};

use super::{admitted, open, published, started};
use crate::{Cursor, Filter, Store};

async fn listed(store: &Store, filter: Filter) -> Vec<String> {
    let page = store.instances(filter, None, 100).await.unwrap();
    page.items.into_iter().map(|one| one.business_key.unwrap_or_default()).collect()
}

#[tokio::test]
async fn every_filter_finds_its_own() {
    let it = open();
    for (flow, hash) in [("f", "1"), ("f", "2"), ("g", "1")] {
        published(&it.store, flow, hash).await;
    }
    let mut ids = Vec::new();
    for (flow, version, state, key) in [
        ("f", 1, State::Completed, "A-1"),
        ("f", 2, State::Waiting, "A-2"),
        ("g", 1, State::Incident, "B-1"),
        ("f", 2, State::Completed, "A-10"),
        ("f", 2, State::Failed, "50%"),
    ] {
        let one = admitted(flow, version, state, Some(key));
        ids.push(one.instance.to_string());
        it.store.append(one).await.unwrap();
    }
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    let flow = |flow: &str| Filter { flow: Some(flow.to_owned()), ..Filter::default() };
    let state = |state: State| Filter { state: Some(state), ..Filter::default() };
    let key = |key: &str| Filter { business_key: Some(key.to_owned()), ..Filter::default() };
    for (filter, found) in [
        (Filter::default(), vec!["50%", "A-10", "B-1", "A-2", "A-1"]),
        (flow("f"), vec!["50%", "A-10", "A-2", "A-1"]),
        (flow("none"), vec![]),
        (Filter { version: Some(2), ..flow("f") }, vec!["50%", "A-10", "A-2"]),
        (state(State::Completed), vec!["A-10", "A-1"]),
        (state(State::Incident), vec!["B-1"]),
        (Filter { state: Some(State::Failed), ..flow("f") }, vec!["50%"]),
        (Filter { state: Some(State::Incident), ..flow("f") }, vec![]),
        (key("A-1"), vec!["A-1"]),
        (Filter { state: Some(State::Waiting), ..key("A-1") }, vec![]),
        (Filter { live: true, ..Filter::default() }, vec!["B-1", "A-2"]),
        (Filter { live: true, version: Some(2), ..flow("f") }, vec!["A-2"]),
        (Filter { live: true, ..flow("g") }, vec!["B-1"]),
        (Filter { live: true, ..state(State::Waiting) }, vec!["A-2"]),
        (Filter { live: true, ..state(State::Completed) }, vec![]),
        (Filter { live: true, ..key("A-1") }, vec![]),
        (Filter { live: true, ..text("a-") }, vec!["A-2"]),
        (text("a-1"), vec!["A-10", "A-1"]),
        (text("%"), vec!["50%"]), // No pattern, just signs.
        (text("_"), vec![]),
        (text("\\"), vec![]),
        (text(&ids[2].to_uppercase()), vec!["B-1"]),
        (
            Filter { flow: Some("g".to_owned()), version: Some(1), state: Some(State::Incident), ..text("b") },
            vec!["B-1"],
        ),
    ] {
        assert_eq!(listed(&it.store, filter.clone()).await, found, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let it = open();
    published(&it.store, "f", "1").await;
    for at in 0..7 {
        it.store.append(admitted("f", 1, State::Completed, Some(&at.to_string()))).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = it.store.instances(Filter::default(), cursor, 3).await.unwrap();
        seen.extend(page.items.into_iter().filter_map(|one| one.business_key));
        let Some(next) = page.next else { break };
        // It goes out as text and comes back.
        cursor = Some(next.to_string().parse::<Cursor>().unwrap());
        // What starts meanwhile is newer, and does not shift the pages.
        it.store.append(admitted("f", 1, State::Completed, Some("new"))).await.unwrap();
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn an_instance_is_shown_whole() {
    let it = open();
    published(&it.store, "f", "1").await;
    let reply = Arc::new(json!({ "status": "accepted", "total_cents": 35_484 }));
    let error = Error {
        class: FailureClass::Rejected,
        code: "OUT_OF_STOCK".to_owned(),
        message: "none left".to_owned(),
        node: Some("reserve".into()),
        data: None,
    };
    for (reply, output, error) in [
        (None, None, None),
        (Some(reply.clone()), Some(reply.clone()), None),
        (Some(reply.clone()), Some(Arc::new(json!("="))), None), // A value that looks like our short form.
        (None, Some(reply.clone()), None),
        (Some(reply.clone()), None, Some(error)),
    ] {
        let mut one = admitted("f", 1, State::Completed, None);
        let id = one.instance.clone();
        (one.header.reply, one.header.output, one.header.error) = (reply.clone(), output.clone(), error.clone());
        one.admission.as_mut().unwrap().idempotency =
            Some(Idempotency { key: id.to_string(), request: "asked".to_owned() });
        it.store.append(one).await.unwrap();
        let shown = it.store.instance(&id).await.unwrap().unwrap();
        assert_eq!((shown.reply, shown.output, &shown.summary.error), (reply, output, &error));
        assert_eq!((shown.summary.started_ms, shown.summary.ended_ms()), (1_000, Some(2_000)));
        let found = it.store.idempotent("f", &id).await.unwrap();
        assert_eq!(found, Some((id.clone(), "asked".to_owned())));
    }
    assert_eq!(it.store.instance("no id").await.unwrap(), None);
    assert_eq!(it.store.instance(&super::new_id()).await.unwrap(), None);
}

#[tokio::test]
async fn a_journal_is_read_in_pages() {
    let it = open();
    published(&it.store, "f", "1").await;
    let mut one = admitted("f", 1, State::Running, None);
    let id = one.instance.clone();
    (one.park, one.entries) = (false, (1..=3).map(started).collect());
    it.store.append(one).await.unwrap();
    for (expected_seq, entries) in [(3, 4..=4), (4, 5..=9)] {
        let mut next = admitted("f", 1, State::Running, None);
        (next.park, next.admission) = (false, None);
        (next.instance, next.expected_seq, next.entries) = (id.clone(), expected_seq, entries.map(started).collect());
        it.store.append(next).await.unwrap();
    }
    assert_eq!(it.store.journal(&id, 9, 10).await.unwrap(), []);
    for (after, limit, found) in [(0, 100, 1..=9_u64), (0, 2, 1..=2), (2, 3, 3..=5), (3, 1, 4..=4), (6, 100, 7..=9)] {
        let seqs: Vec<u64> = it.store.journal(&id, after, limit).await.unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, found.collect::<Vec<_>>(), "after {after}, at most {limit}");
    }
}

#[tokio::test]
async fn what_is_over_is_swept() {
    let it = open();
    published(&it.store, "f", "1").await;
    for at in 0..3 {
        let message = Message {
            name: "paid".into(),
            key: "1".to_owned(),
            id: at.to_string(),
            payload: Arc::new(json!({})),
            at_ms: 1_000,
            ttl_ms: 500,
            by: "test".to_owned(),
        };
        it.store.post(message).await.unwrap();
    }
    let mut one = admitted("f", 1, State::Completed, None);
    one.admission.as_mut().unwrap().idempotency = Some(Idempotency { key: "k".to_owned(), request: String::new() });
    it.store.append(one).await.unwrap();
    let day_ms = 24 * 60 * 60 * 1_000;
    for (now_ms, rows) in [(1_499, 0), (1_500, 3), (1_500, 0), (1_000 + day_ms - 1, 0), (1_000 + day_ms, 4)] {
        let swept = it.store.sweep(now_ms).await.unwrap();
        assert_eq!((swept.rows, swept.more), (rows, false), "at {now_ms}");
    }
}
