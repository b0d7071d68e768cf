//! Users, tokens and sessions: what is kept, what ends with what, and that somebody always administers.

use serde_json::json;
use stepwell_core::machine::State;

use super::{act, admitted, open, published};
use crate::{
    ApiToken, AuditFilter, Bought, Change, FeedItem, Filter, NewUser, Role, Roles, Store, TokenAdded, UserAdded,
    UserChanged, Within,
};

fn roles(of: &[(&str, Role)]) -> Roles {
    of.iter().map(|&(namespace, role)| (namespace.to_owned(), role)).collect()
}

async fn add(store: &Store, name: &str, roles: Roles) -> UserAdded {
    let user = NewUser { name: name.to_owned(), password: format!("hash of {name}"), must_change: false, roles };
    store.add_user(act(1), user).await.unwrap()
}

fn bought(name: &str) -> Bought {
    Bought::ByPassword { name: name.to_owned(), password: format!("hash of {name}") }
}

fn token(id: &str, owner: Option<&str>) -> ApiToken {
    ApiToken {
        id: id.to_owned(),
        name: format!("name of {id}"),
        digest: format!("digest of {id}"),
        owner: owner.map(str::to_owned),
        created_ms: 1,
        expires_ms: None,
        used_ms: None,
        roles: roles(&[("pay", Role::Operator)]),
    }
}

#[tokio::test]
async fn somebody_always_administers() {
    let it = open();
    let (store, everything) = (&it.store, roles(&[("*", Role::Admin)]));
    assert!(!store.is_administered().await.unwrap());
    assert_eq!(add(store, "bo", roles(&[("pay", Role::Admin)])).await, UserAdded::Added);
    // Nobody administers everything yet, so nobody is kept for it.
    assert_eq!(store.set_disabled(act(2), "bo", true).await.unwrap(), UserChanged::Done);
    assert_eq!(store.set_disabled(act(2), "bo", false).await.unwrap(), UserChanged::Done);
    let first = |name: &str| NewUser {
        name: name.to_owned(),
        password: "hash".to_owned(),
        must_change: false,
        roles: Roles::new(),
    };
    assert_eq!(store.add_first_admin(3, first("bo")).await.unwrap(), UserAdded::Exists);
    assert_eq!(store.add_first_admin(3, first("ada")).await.unwrap(), UserAdded::Added);
    assert_eq!(store.add_first_admin(4, first("eve")).await.unwrap(), UserAdded::NotFirst);
    assert!(store.is_administered().await.unwrap());
    for (what, done) in [
        ("roles", store.set_roles(act(5), "ada", roles(&[("*", Role::Designer)])).await),
        ("disable", store.set_disabled(act(5), "ada", true).await),
        ("delete", store.delete_user(act(5), "ada").await),
    ] {
        assert_eq!(done.unwrap(), UserChanged::LastAdmin, "{what}");
    }
    assert_eq!(store.set_roles(act(5), "ada", everything.clone()).await.unwrap(), UserChanged::Done);
    // A second one may take the place of the first, unless disabled.
    assert_eq!(store.set_roles(act(6), "bo", everything).await.unwrap(), UserChanged::Done);
    assert_eq!(store.set_disabled(act(7), "bo", true).await.unwrap(), UserChanged::Done);
    assert_eq!(store.delete_user(act(8), "ada").await.unwrap(), UserChanged::LastAdmin);
    assert_eq!(store.set_disabled(act(9), "bo", false).await.unwrap(), UserChanged::Done);
    assert_eq!(store.delete_user(act(10), "ada").await.unwrap(), UserChanged::Done);
    assert_eq!(store.delete_user(act(10), "ada").await.unwrap(), UserChanged::Unknown);
    let names: Vec<String> = store.directory().await.unwrap().users.into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["bo"]);
}

#[tokio::test]
async fn what_a_user_had_ends_with_it() {
    let it = open();
    let store = &it.store;
    add(store, "ada", roles(&[("pay", Role::Designer)])).await;
    assert_eq!(add(store, "ada", Roles::new()).await, UserAdded::Exists);
    let begin =
        async |name: &str, digest: &str| store.begin_session(act(2), digest, bought(name), 9_000).await.unwrap();
    let holds = async |digest: &str| store.session(digest).await.unwrap().is_some();
    assert!(begin("ada", "1").await && begin("ada", "2").await);
    assert!(!begin("eve", "3").await && !holds("3").await);
    store.end_session(act(3), "1").await.unwrap();
    assert_eq!((holds("1").await, holds("2").await), (false, true));

    let mut feed = store.feed();
    let changed = store.set_password(act(4), "ada", "another hash".to_owned(), true).await.unwrap();
    assert_eq!((changed, holds("2").await), (UserChanged::Done, false));
    let told = feed.try_recv().unwrap();
    assert!(matches!(&told, FeedItem::Notice(notice) if notice.change == Change::Access), "{told:?}");
    // Whoever compared with the password of before comes too late.
    assert!(!begin("ada", "4").await);
    let ada = store.directory().await.unwrap().users.remove(0);
    assert!(ada.must_change);

    assert_eq!(store.add_token(act(5), token("t", Some("ada"))).await.unwrap(), TokenAdded::Added);
    assert_eq!(store.add_token(act(5), token("own", None)).await.unwrap(), TokenAdded::Added);
    assert_eq!(store.add_token(act(5), token("x", Some("eve"))).await.unwrap(), TokenAdded::NoOwner);
    store.set_disabled(act(6), "ada", true).await.unwrap();
    assert_eq!(store.add_token(act(6), token("y", Some("ada"))).await.unwrap(), TokenAdded::NoOwner);
    store.touch(vec![("none".to_owned(), 7)], vec![("t".to_owned(), 7), ("t".to_owned(), 6)]).await.unwrap();
    let tokens = store.directory().await.unwrap().tokens;
    let shown: Vec<_> = tokens.iter().map(|one| (one.id.as_str(), one.used_ms, one.roles.len())).collect();
    assert_eq!(shown, [("own", None, 1), ("t", Some(7), 1)]);
    store.delete_user(act(8), "ada").await.unwrap();
    assert!(store.revoke_token(act(9), "own").await.unwrap() && !store.revoke_token(act(9), "own").await.unwrap());
    let left = store.directory().await.unwrap();
    assert_eq!((left.users.len(), left.tokens.len()), (0, 0));
}

#[tokio::test]
async fn sessions_are_bounded_and_swept() {
    let it = open();
    add(&it.store, "ada", Roles::new()).await;
    for at_ms in 0..60 {
        it.store.begin_session(act(at_ms), &format!("s{at_ms}"), bought("ada"), 1_000 + at_ms).await.unwrap();
    }
    it.store.begin_session(act(1), "engine", Bought::ByToken, 5_000).await.unwrap();
    let holds = async |digest: &str| it.store.session(digest).await.unwrap().is_some();
    assert_eq!((holds("s9").await, holds("s10").await, holds("s59").await), (false, true, true));
    it.store.touch(vec![("s59".to_owned(), 700)], vec![]).await.unwrap();
    assert_eq!(it.store.session("s59").await.unwrap().unwrap().seen_ms, 700);
    it.store.sweep(1_058).await.unwrap();
    assert_eq!((holds("s58").await, holds("s59").await, holds("engine").await), (false, true, true));
}

#[tokio::test]
async fn lists_and_the_audit_tell_of_ones_own_namespaces() {
    let it = open();
    let store = &it.store;
    let mut ids = Vec::new();
    for flow in ["pay.refund", "pay.late", "ship", "stock.count"] {
        let version = published(store, flow, "1").await;
        for state in [State::Completed, State::Waiting] {
            let one = admitted(flow, version, state, None);
            ids.push((flow, one.instance.to_string()));
            store.append(one).await.unwrap();
        }
    }
    store.audit(act(3), "plugin.load", "p", json!({})).await.unwrap();
    for (names, flows) in [
        (vec!["pay"], vec!["pay.late", "pay.refund"]),
        (vec!["default", "stock"], vec!["ship", "stock.count"]),
        (vec!["none"], vec![]),
        (vec![], vec![]),
    ] {
        let within = Within::Namespaces(names.iter().map(|&name| name.to_owned()).collect());
        let listed = store.flows_within(within.clone(), None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|flow| flow.key.as_str()).collect::<Vec<_>>(), flows);
        for (filter, each) in [
            (Filter::default(), 2),
            (Filter { live: true, ..Filter::default() }, 1),
            (Filter { state: Some(State::Waiting), ..Filter::default() }, 1),
            (Filter { state: Some(State::Completed), ..Filter::default() }, 1),
            (Filter { version: Some(1), ..Filter::default() }, 2),
        ] {
            let filter = Filter { within: within.clone(), ..filter };
            let found = store.instances(filter.clone(), None, 3).await.unwrap();
            let mut all = found.items;
            if let Some(next) = found.next {
                all.extend(store.instances(filter.clone(), Some(next), 10).await.unwrap().items);
            }
            assert_eq!(all.len(), flows.len() * each, "{names:?} {filter:?}");
            assert!(all.iter().all(|one| flows.contains(&&*one.flow)) && all.is_sorted_by_key(|one| -one.n));
        }
        let filter = AuditFilter { within: within.clone(), ..AuditFilter::default() };
        let rows = store.audit_page(filter, None, 100).await.unwrap().items;
        // Of each flow that it was published, and that two were started.
        assert_eq!(rows.len(), flows.len() * 3, "{rows:?}");
    }
    for (flow, id) in &ids {
        assert_eq!(store.flow_of(id).await.unwrap().as_deref(), Some(*flow));
    }
}

#[tokio::test]
async fn the_audit_is_searched_page_by_page() {
    let it = open();
    for at_ms in (0..3_000).map(|n| n * 1_000) {
        let act = crate::Act { by: if at_ms % 7_000 == 0 { "bo" } else { "ada" }.to_owned(), at_ms };
        let action = if at_ms % 2_000 == 0 { "flow.publish" } else { "draft.save" };
        it.store.audit(act, action, if at_ms % 3_000 == 0 { "f" } else { "g" }, json!({})).await.unwrap();
    }
    let who = |who: &str| AuditFilter { who: Some(who.to_owned()), ..AuditFilter::default() };
    let action = |action: &str| AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
    let target = |target: &str| AuditFilter { target: Some(target.to_owned()), ..AuditFilter::default() };
    let time = |from_ms, to_ms| AuditFilter { from_ms, to_ms, ..AuditFilter::default() };
    for (filter, expected) in [
        (AuditFilter::default(), 3_000),
        (who("bo"), 429),
        (who("eve"), 0),
        (action("flow.publish"), 1_500),
        (action("draft"), 1_500),
        (action("draf"), 0),
        (target("f"), 1_000),
        (AuditFilter { who: Some("bo".to_owned()), ..target("f") }, 143),
        (time(Some(100_000), Some(199_999)), 100),
        (time(None, Some(9_000)), 10),
        (time(Some(2_990_000), None), 10),
        (time(Some(5_000_000), None), 0),
        (time(Some(9_000), Some(8_000)), 0),
    ] {
        let (mut found, mut cursor) = (0, None);
        loop {
            let page = it.store.audit_page(filter.clone(), cursor, 400).await.unwrap();
            assert!(page.items.len() <= 400 && page.items.is_sorted_by_key(|entry| std::cmp::Reverse(entry.n)));
            found += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}
