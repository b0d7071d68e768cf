//! What is forgotten and what is erased; what must survive that.

use std::sync::Arc;

use serde_json::json;
use stepwell_core::flow::Unique;
use stepwell_core::machine::{Command, Error, FailureClass, State};
use stepwell_runtime::journal::{Append, AppendError, Idempotency};

use super::{Fixture, act, admitted, of_target, open, published};
use crate::{AuditFilter, Change, Erased, FeedItem, Filter, Places, Store};

/// An instance that has ended and may go then.
fn ended(until_ms: Option<u64>) -> Append {
    let mut append = admitted("f", 1, State::Completed, None);
    append.header.forget_ms = until_ms;
    append
}

async fn ids(store: &Store) -> Vec<Arc<str>> {
    store.instances(Filter::default(), None, 1_000).await.unwrap().items.into_iter().map(|one| one.id).collect()
}

async fn completed(store: &Store) -> u64 {
    store.counts().await.unwrap().values().map(|counts| counts.get(State::Completed)).sum()
}

async fn heads(store: &Store) -> Places {
    store.feed_heads().await.unwrap()
}

#[tokio::test]
async fn what_is_over_goes_wholly_and_nothing_else() {
    let it = open();
    published(&it.store, "f", "1").await;
    let kept = [ended(None), ended(Some(5_001)), admitted("f", 1, State::Waiting, None)];
    let gone = [ended(Some(4_000)), ended(Some(5_000))];
    for one in kept.iter().chain(&gone) {
        it.store.append(one.clone()).await.unwrap();
    }
    let before = heads(&it.store).await;
    let swept = it.store.forget(5_000).await.unwrap();
    assert_eq!((swept.rows, swept.more), (2, false));
    let mut left: Vec<_> = kept.iter().map(|one| one.instance.clone()).collect();
    left.reverse();
    assert_eq!(ids(&it.store).await, left);
    assert_eq!(completed(&it.store).await, 2, "what is gone is not counted");
    for one in &gone {
        assert_eq!(it.store.journal(&one.instance, 0, 10).await.unwrap(), []);
        assert!(it.store.instance(&one.instance).await.unwrap().is_none());
    }
    assert_eq!(it.store.forget(5_000).await.unwrap().rows, 0);
    // The feed tells of it, and of what is left; whoever was not told so far reads anew.
    let passed = it.store.feed_passed().await.unwrap();
    assert!(passed.iter().all(|(engine, n)| n <= before.of(engine) && n > 0), "{passed:?} {before:?}");
    let told = it.store.feed_after(before, 10).await.unwrap();
    let [FeedItem::Notice(notice)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(notice.change, Change::Forgotten { flow: "f".to_owned(), instances: 2 });
    let audit = it.store.audit_page(of_target("f"), None, 1).await.unwrap().items.remove(0);
    assert_eq!((&*audit.who, &*audit.action, audit.detail), ("engine", "instance.forget", json!({ "instances": 2 })));
}

#[tokio::test]
async fn no_place_of_the_feed_is_given_out_twice() {
    let Fixture { store, place } = open();
    published(&store, "f", "1").await;
    store.append(ended(Some(5_000))).await.unwrap();
    let before = heads(&store).await;
    store.forget(5_000).await.unwrap();
    // As if the notice of it had been tidied away, too: nothing else remembers the place.
    store
        .write(|tx| {
            tx.db.execute("delete from notice", &[])?;
            tx.db.execute("delete from audit", &[])
        })
        .await
        .unwrap();
    drop(store);
    let store = place.open();
    let after = heads(&store).await;
    assert!(before.iter().all(|(engine, n)| after.of(engine) >= n), "{before:?} {after:?}");
    store.append(ended(None)).await.unwrap();
    assert_eq!(
        store.feed_after(before, 10).await.unwrap().len(),
        1,
        "a reader that was told before is told of the next"
    );
}

#[tokio::test]
async fn a_promised_key_outlives_the_time_and_a_business_key_does_not() {
    let it = open();
    published(&it.store, "f", "1").await;
    let keyed = |key: &str| {
        let mut one = ended(Some(5_000));
        let admission = one.admission.as_mut().unwrap();
        admission.idempotency = Some(Idempotency { key: key.to_owned(), request: "asked".to_owned() });
        one
    };
    let unique = || {
        let mut one = ended(Some(5_000));
        let admission = one.admission.as_mut().unwrap();
        (admission.business_key, admission.unique) = (Some("ORDER-1".to_owned()), Some(Unique::Always));
        one
    };
    let first = keyed("k");
    it.store.append(first.clone()).await.unwrap();
    it.store.append(unique()).await.unwrap();
    assert!(matches!(it.store.append(unique()).await, Err(AppendError::KeyTaken { .. })));
    let until_ms = 1_000 + 24 * 60 * 60 * 1000;
    for (now_ms, goes) in [(5_000, 1), (until_ms - 1, 0), (until_ms, 1)] {
        match it.store.append(keyed("k")).await {
            Err(AppendError::Duplicate { instance, .. }) => assert_eq!(instance, first.instance),
            other => panic!("{other:?}"),
        }
        assert_eq!(it.store.forget(now_ms).await.unwrap().rows, goes, "at {now_ms}");
    }
    it.store.append(keyed("k")).await.unwrap();
    it.store.append(unique()).await.unwrap();
}

#[tokio::test]
async fn much_is_forgotten_in_parts() {
    let it = open();
    published(&it.store, "f", "1").await;
    for one in (0..450).map(|_| ended(Some(5_000))) {
        it.store.append(one).await.unwrap();
    }
    let mut parts = Vec::new();
    loop {
        let swept = it.store.forget(9_000).await.unwrap();
        parts.push(swept.rows);
        if !swept.more {
            break;
        }
    }
    assert_eq!(parts, [200, 200, 50]);
    assert_eq!((ids(&it.store).await.len(), completed(&it.store).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_engines_that_forget_at_once_each_counts_its_own() {
    let it = open();
    published(&it.store, "f", "1").await;
    for one in (0..300).map(|_| ended(Some(5_000))) {
        it.store.append(one).await.unwrap();
    }
    // A file has one engine, which may be asked twice at once.
    let name = tempfile::tempdir().unwrap();
    let other = match &it.place {
        super::Place::File(_) => it.store.clone(),
        super::Place::Server(url, _) => {
            Store::connect(url, name.path().join("engine"), crate::Options::default()).unwrap()
        }
    };
    let all = |store: Store| async move {
        let mut rows = 0;
        for _ in 0..10 {
            rows += store.forget(9_000).await.unwrap().rows;
        }
        rows
    };
    let (one, two) = tokio::join!(tokio::spawn(all(it.store.clone())), tokio::spawn(all(other)));
    assert_eq!(one.unwrap() + two.unwrap(), 300);
    assert_eq!((ids(&it.store).await.len(), completed(&it.store).await), (0, 0));
}

#[tokio::test]
async fn what_is_erased_leaves_only_that_it_was() {
    let it = open();
    published(&it.store, "f", "1").await;
    let secret = "the customer's address";
    let (live, mut failed) = (admitted("f", 1, State::Waiting, None), admitted("f", 1, State::Failed, Some("ORDER-1")));
    failed.header.reply = Some(Arc::new(json!(secret)));
    failed.header.output = Some(Arc::new(json!(secret)));
    failed.header.error = Some(Error {
        class: FailureClass::Rejected,
        code: "NO_STOCK".to_owned(),
        message: secret.to_owned(),
        node: Some("reserve".into()),
        data: Some(Arc::new(json!(secret))),
    });
    for one in [&live, &failed] {
        it.store.append(one.clone()).await.unwrap();
    }
    // What a person answered is in the journal, not in the audit.
    let answer = Command::Complete { token: 1, attempt: 1, output: Arc::new(json!(secret)) };
    it.store.command(&live.instance, answer, "ada", 3_000).await.unwrap();
    assert_eq!(it.store.erase(act(4), &live.instance).await.unwrap(), Erased::Live);
    assert_eq!(it.store.erase(act(4), "nobody").await.unwrap(), Erased::Unknown);
    let before = heads(&it.store).await;
    for _ in 0..2 {
        assert_eq!(it.store.erase(act(7_000), &failed.instance).await.unwrap(), Erased::Gone);
    }
    assert!(heads(&it.store).await.iter().all(|(engine, n)| n >= before.of(engine)));
    let left = it.store.instance(&failed.instance).await.unwrap().unwrap();
    assert_eq!((left.erased_ms, left.reply, left.output), (Some(7_000), None, None));
    assert_eq!((left.summary.state, left.summary.business_key.as_deref()), (State::Failed, Some("ORDER-1")));
    let error = left.summary.error.unwrap();
    assert_eq!((&*error.code, error.node.as_deref(), error.data), ("NO_STOCK", Some("reserve"), None));
    assert_eq!(it.store.journal(&failed.instance, 0, 10).await.unwrap(), []);
    let audit = it.store.audit_page(AuditFilter::default(), None, 50).await.unwrap().items;
    assert_eq!(audit.iter().filter(|one| one.action == "instance.erase").count(), 1, "it is audited once");
    assert!(!audit.iter().any(|one| one.detail.to_string().contains(secret)), "{audit:?}");
}
