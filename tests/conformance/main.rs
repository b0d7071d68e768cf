//! One suite that every store must pass, run on each.
//!
//! `exercise` is the list; a store joins by a [`Subject`] and one test below.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod admission;
mod commits;
mod messages;
mod ownership;
mod records;
mod subject;

use std::sync::Arc;

use serde_json::json;
use stepwell_store::{Act, Options, Publish, Published, Store};
use subject::{FLOW, OTHER_FLOW, Subject};

/// Runs every case on a store of its own. All are run; all that fail are named.
async fn exercise<S: Subject>(open: impl AsyncFn() -> S) {
    let mut failed = Vec::new();
    macro_rules! cases {
        ($($module:ident::$case:ident,)*) => {$(
            let subject = open().await;
            if let Err(why) = $module::$case(subject).await {
                failed.push(format!("{}: {why:#}", stringify!($case)));
            }
        )*};
    }
    cases! {
        admission::an_admitted_instance_is_there_as_it_was_given,
        admission::an_id_is_admitted_once,
        admission::an_idempotency_key_has_one_winner,
        admission::of_many_racing_starts_one_wins,
        admission::a_business_key_stands_for_one_where_the_flow_says_so,
        admission::of_many_racing_starts_one_has_the_business_key,
        admission::nothing_starts_on_a_version_that_is_not_there,
        admission::nothing_goes_on_with_a_version_that_is_not_there,
        commits::only_the_expected_place_and_epoch_are_written,
        commits::a_refused_commit_leaves_no_part_of_it,
        commits::a_commit_that_contradicts_itself_is_refused_for_good,
        commits::a_refused_item_does_not_hurt_its_neighbours,
        commits::entries_are_found_by_number,
        commits::an_ended_instance_is_not_taken,
        commits::a_commit_without_entries_parks,
        commits::what_was_acknowledged_is_there_after_a_restart,
        records::a_record_is_written_with_its_commit,
        records::a_record_that_moved_refuses_the_whole_commit,
        records::of_many_that_claim_at_once_one_wins,
        records::of_many_that_count_at_once_none_is_lost,
        records::a_commit_names_a_record_once,
        ownership::taking_shuts_out_the_owner_before,
        ownership::the_most_urgent_are_ready_first,
        ownership::a_driven_instance_is_not_ready,
        ownership::commands_wait_in_order_and_wake,
        ownership::commands_to_what_is_not_there_are_not_kept,
        messages::a_message_and_a_subscription_meet_in_either_order,
        messages::a_message_and_a_subscription_meet_in_a_race,
        messages::messages_that_come_together_are_judged_one_by_one,
        messages::a_message_is_posted_once,
        messages::a_message_is_taken_by_one,
        messages::a_message_left_over_is_passed_on,
        messages::a_message_ends_with_its_time,
        messages::a_dropped_subscription_is_not_served,
        messages::a_transient_message_is_for_those_who_wait_when_it_comes,
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// Where the store of one case is: in a folder of its own, or in a schema of its own on the server
/// that `STEPWELL_TEST_POSTGRES` names.
enum Place {
    File(tempfile::TempDir),
    Server(String, tempfile::TempDir),
}

struct Subjected {
    store: Option<Store>,
    place: Arc<Place>,
}

impl Subjected {
    async fn open(place: Arc<Place>) -> Self {
        let store = match &*place {
            Place::File(folder) => Store::open(folder.path().join("stepwell.db"), Options::default()),
            Place::Server(url, folder) => Store::connect(url, folder.path().join("engine"), Options::default()),
        };
        let store = store.unwrap();
        for flow in [FLOW, OTHER_FLOW] {
            let publish = Publish {
                flow: flow.to_owned(),
                document: Arc::new(json!({ "key": flow })),
                catalog: Arc::new(json!({ "nodeTypes": {} })),
                hash: "1".to_owned(),
                label: None,
                revision: None,
                triggers: Vec::new(),
                schedules: Vec::new(),
                file: None,
                act: Act { by: "test".to_owned(), at_ms: 1 },
            };
            let published = store.publish(publish).await.unwrap();
            assert!(matches!(published, Published::New(1) | Published::Same(1)), "{published:?}");
        }
        Self { store: Some(store), place }
    }
}

impl Subject for Subjected {
    type Journal = Store;

    fn journal(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    async fn record(&self, kind: &str, id: &str) -> anyhow::Result<Option<(String, u64)>> {
        Ok(self.journal().record(kind, id).await?.map(|record| (record.status, record.revision)))
    }

    async fn restart(mut self) -> Self {
        self.store = None;
        Self::open(self.place.clone()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_rules() {
    let server = std::env::var("STEPWELL_TEST_POSTGRES");
    exercise(async || {
        let place = match &server {
            Ok(url) => {
                let own = format!("{url}?options=-csearch_path%3Dt{}", uuid::Uuid::now_v7().simple());
                Place::Server(own, tempfile::tempdir().unwrap())
            }
            Err(_) => Place::File(tempfile::tempdir().unwrap()),
        };
        Subjected::open(Arc::new(place)).await
    })
    .await;
}
