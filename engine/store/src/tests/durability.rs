//! What survives, and what the feed tells.

use stepwell_core::machine::State;

use super::{admitted, open, published};
use crate::{FeedItem, Places};

#[tokio::test]
async fn what_was_written_is_there_after_a_drop() {
    let it = open();
    published(&it.store, "f", "1").await;
    let one = admitted("f", 1, State::Completed, None);
    let id = one.instance.clone();
    it.store.append(one).await.unwrap();
    drop(it.store);
    let store = it.place.open();
    assert_eq!(store.instance(&id).await.unwrap().unwrap().summary.state, State::Completed);
    assert_eq!(store.journal(&id, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_feed_tells_commits_in_order_and_again() {
    let it = open();
    let mut feed = it.store.feed();
    published(&it.store, "f", "1").await;
    let appends = (0..50).map(|_| it.store.append(admitted("f", 1, State::Completed, Some("k"))));
    for appended in futures::future::join_all(appends).await {
        appended.unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 51 {
        told.push(feed.recv().await.unwrap());
    }
    assert!(told.windows(2).all(|pair| pair[0].place() < pair[1].place()), "{told:?}");
    let at = |item: &FeedItem| Places::from_iter([item.place()]);
    assert_eq!(it.store.feed_after(Places::default(), 100).await.unwrap(), told);
    assert_eq!(it.store.feed_after(at(&told[19]), 5).await.unwrap(), told[20..25]);
    assert_eq!(it.store.feed_heads().await.unwrap(), at(&told[50]));
    assert_eq!(it.store.feed_after(at(&told[50]), 5).await.unwrap(), []);
    // A restart goes on counting.
    drop(it.store);
    let store = it.place.open();
    store.append(admitted("f", 1, State::Completed, None)).await.unwrap();
    let after: Vec<FeedItem> = store.feed_after(at(&told[50]), 5).await.unwrap();
    assert_eq!(after.len(), 1);
}
