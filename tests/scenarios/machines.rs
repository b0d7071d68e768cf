//! The golden machine `tour_order` from the booking to the review, and actions that are plugged into a machine while a
//! thousand orders stand in it.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use serde_json::{Value, json};
use stepwell_tests::orders::{Orders, community_order};
use stepwell_tests::{Client, Options, Stepwell, until};

use crate::{SOON, instance, reaches};

const MINUTE_MS: i64 = 60_000;

fn tour(order: &str, more: &Value) -> Value {
    let mut input = json!({
        "orderId": order, "channel": "web", "seats": 2, "travellers": 2,
        "resources": [{ "id": "hotel", "sku": "HOTEL-1", "quantity": 1 }, { "id": "flight", "sku": "FLIGHT-1", "quantity": 2 }],
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn start(engine: &Client, flow: &str, input: &Value) -> String {
    let reply = engine.post(&format!("/api/v1/flows/{flow}/instances"), &json!({ "input": input })).await;
    reply.expect(202).json()["id"].as_str().unwrap().to_owned()
}

/// Waits until the machine is in this state and can be asked for something.
async fn stands(orders: &Orders, id: &str, state: &str) -> Value {
    until(&format!("{id} is in {state}"), SOON, || async {
        let shown = instance(orders, id).await;
        assert_ne!(shown["state"], "incident", "{:#}", shown["error"]);
        (shown["machine"]["state"] == state && shown["machine"]["rests"] == true).then_some(shown)
    })
    .await
}

async fn says(engine: &Client, name: &str, key: &str, payload: &Value) {
    engine.post("/api/v1/messages", &json!({ "name": name, "key": key, "payload": payload })).await.expect(202);
}

/// The suppliers of all resources answer from outside.
async fn suppliers_say(orders: &Orders, order: &str, message: &str, ok: bool) {
    for resource in ["hotel", "flight"] {
        says(&orders.engine, message, &format!("{order}/{resource}"), &json!({ "ok": ok })).await;
    }
}

async fn task(orders: &Orders, id: &str, node: &str) -> String {
    until(&format!("the task {node}"), SOON, || async {
        let tasks = orders.engine.get("/api/v1/tasks").await.expect(200).json();
        let mine = |task: &&Value| task["instance"] == id && task["node"] == node;
        tasks["items"].as_array().unwrap().iter().find(mine).map(|task| task["id"].as_str().unwrap().to_owned())
    })
    .await
}

async fn complete(orders: &Orders, id: &str, node: &str, output: &Value) {
    let task = task(orders, id, node).await;
    orders.engine.post(&format!("/api/v1/tasks/{task}/complete"), &json!({ "output": output })).await.expect(202);
}

async fn act(engine: &Client, id: &str, action: &str, context: &Value) -> (u16, String) {
    let body = json!({ "action": action, "context": context });
    let reply = engine.post(&format!("/api/v1/instances/{id}/actions"), &body).await;
    (reply.status, if reply.status == 202 { String::new() } else { reply.code() })
}

/// Sets the clock of an engine, at once for whoever reads it.
fn set(file: &Path, ahead_ms: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, ahead_ms.to_string()).unwrap();
    std::fs::rename(&new, file).unwrap();
}

fn with_clock(folder: &Path) -> (PathBuf, Options) {
    let file = folder.join("clock");
    set(&file, 0);
    let env = vec![("STEPWELL_TEST_CLOCK".to_owned(), file.to_str().unwrap().to_owned())];
    (file, Options { env, ..Options::default() })
}

/// The states it has been in, one after the other.
fn states(shown: &Value) -> Vec<String> {
    let mut states: Vec<String> = Vec::new();
    for one in shown["machine"]["evaluations"].as_array().unwrap() {
        let state = one["state"].as_str().unwrap();
        if one["path"] == "" && states.last().is_none_or(|last| last != state) {
            states.push(state.to_owned());
        }
    }
    states
}

/// Subscribed and distributed; each action that was not run has its reason.
async fn subscribed(orders: &Orders, id: &str) {
    // Subscribed and distributed; a telephone order is not held before a desk has it.
    let shown = stands(orders, id, "OS0002").await;
    assert_eq!(shown["vars"]["desk"], "phone");
    let last = shown["machine"]["evaluations"].as_array().unwrap().last().unwrap().clone();
    let why = |action: &str| {
        let all = last["considered"].as_array().unwrap();
        all.iter().find(|one| one["action"] == action).unwrap()["why"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        ["distributeOrder", "distributeOrderFeed", "orderOccupy", "orderCancel", "sign"].map(why),
        ["ran", "waits", "guard-false", "guard-false", "other-state"]
    );
    for (action, status, code) in [
        ("sign", 409, "ACTION_OTHER_STATE"),
        ("orderOccupy", 409, "ACTION_GUARDED"),
        ("nothing", 404, "ACTION_NOT_FOUND"),
    ] {
        assert_eq!(act(&orders.engine, id, action, &Value::Null).await, (status, code.to_owned()), "{action}");
    }
}

/// A crash, and the clock goes on: the order is stuck for as long as it is, and its traveller is asked for.
async fn half_an_hour_later(orders: &mut Orders, clock: &Path, id: &str) {
    // The traveller that is missing is asked for half an hour after, while the suppliers have not answered.
    orders.engine.kill9().await;
    orders.engine.restart().await;
    set(clock, 29 * MINUTE_MS);
    let query = "/api/v1/instances?flow=tour_order&machineState=OS0002A&stuckFor=";
    let stuck = async |orders: &Orders, duration: &str| {
        let page = orders.engine.get(&format!("{query}{duration}")).await.expect(200).json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!((stuck(orders, "20m").await, stuck(orders, "30m").await), (1, 0));
    set(clock, 31 * MINUTE_MS);
    assert_eq!(stuck(orders, "30m").await, 1);
    complete(orders, id, "askTravellers", &json!({ "travellers": 2 })).await;
    let metrics = orders.engine.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("stepwell_machine_instances{flow=\"tour_order\",state=\"OS0002A\"} 1"), "{metrics}");
    let oldest = "stepwell_machine_oldest_seconds{flow=\"tour_order\",state=\"OS0002A\"} ";
    let age = metrics.split(oldest).nth(1).unwrap().lines().next().unwrap().parse::<f64>().unwrap();
    assert!(age >= 1_800.0, "{age}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tour_goes_from_the_booking_to_the_review() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, options) = with_clock(folder.path());
    let mut orders = Orders::start_with(options).await;
    let input = tour("T-1", &json!({ "channel": "phone", "travellers": 1 }));
    let id = start(&orders.engine, "tour_order", &input).await;

    // An order that exists is not begun again: this is the instance that has its number.
    let again = orders.engine.post("/api/v1/flows/tour_order/instances", &json!({ "input": input })).await.expect(409);
    assert_eq!((again.code().as_str(), &again.json()["id"]), ("BUSINESS_KEY_TAKEN", &json!(id)), "{}", again.text());

    subscribed(&orders, &id).await;
    says(&orders.engine, "tour.distributed", "T-1", &json!({ "agent": "desk-7" })).await;

    // Each resource has a machine of its own, which waits for its supplier.
    let shown = stands(&orders, &id, "OS0002A").await;
    let inner = until("both resources are being held", SOON, || async {
        let shown = instance(&orders, &id).await;
        let inner = shown["machine"]["machines"].as_array().unwrap().clone();
        (inner.len() == 2 && inner.iter().all(|one| one["state"] == "RS0002")).then_some(inner)
    })
    .await;
    assert!(inner[0]["path"].as_str().unwrap().starts_with("resourceOccupy.1/"), "{inner:?}");
    assert_eq!(shown["machine"]["running"], "resourceOccupy");
    assert_eq!(orders.effects("T-1").await.len(), 2, "stock of both is reserved");

    half_an_hour_later(&mut orders, &clock, &id).await;
    suppliers_say(&orders, "T-1", "tour.held", true).await;

    // Held. The requirements of a telephone order are confirmed by a person, opened again, and confirmed anew.
    complete(&orders, &id, "requireCfm", &json!({ "ok": true })).await;
    stands(&orders, &id, "OS0003").await;
    says(&orders.engine, "tour.changed", "T-1", &json!({ "room": "twin" })).await;
    complete(&orders, &id, "requireCfm", &json!({ "ok": true })).await;
    stands(&orders, &id, "OS0003").await;
    says(&orders.engine, "tour.signed", "T-1", &json!({ "contract": "C-9" })).await;

    // Confirmed per resource, insured, departed, reviewed.
    stands(&orders, &id, "OS0005").await;
    suppliers_say(&orders, "T-1", "tour.confirmed", true).await;
    stands(&orders, &id, "OS0005G").await;
    says(&orders.engine, "tour.departed", "T-1", &Value::Null).await;
    stands(&orders, &id, "OS0006").await;
    says(&orders.engine, "tour.reviewed", "T-1", &json!({ "stars": 5 })).await;
    let shown = reaches(&orders, &id, "completed").await;
    let output = json!({ "order": "T-1", "state": "OS0009", "agent": "desk-7", "contract": "C-9", "policy": "P-T-1", "stars": 5 });
    assert_eq!(shown["output"], output);
    let passed = [
        "OS0000", "OS0002", "OS0002A", "OS0002G", "OS0003", "OS0002G", "OS0003", "OS0004", "OS0005", "OS0005G",
        "OS0006",
    ];
    assert_eq!(states(&shown), passed);
    let page = orders.engine.get("/api/v1/instances?flow=tour_order&stuckFor=0s").await.expect(200).json();
    assert_eq!(page["items"], json!([]), "an order that has ended stands nowhere");
    orders.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_held_or_not_wanted_is_given_back() {
    let orders = Orders::start().await;
    // One resource is sold out: what was held of the others is released.
    let sold_out = json!([{ "id": "hotel", "sku": "HOTEL-1", "quantity": 1 }, { "id": "flight", "sku": "SOLD-OUT-1", "quantity": 1 }]);
    let id = start(&orders.engine, "tour_order", &tour("T-2", &json!({ "resources": sold_out }))).await;
    stands(&orders, &id, "OS0002A").await;
    says(&orders.engine, "tour.held", "T-2/hotel", &json!({ "ok": true })).await;
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!(shown["output"]["state"], "OS0010");
    assert_eq!(orders.effects("T-2").await, [("stock".to_owned(), true)]);

    // Cancelled by name in the middle of the hold.
    let id = start(&orders.engine, "tour_order", &tour("T-3", &json!({}))).await;
    stands(&orders, &id, "OS0002A").await;
    until("both are reserved", SOON, || async { (orders.effects("T-3").await.len() == 2).then_some(()) }).await;
    assert_eq!(act(&orders.engine, &id, "orderCancel", &json!({ "reason": "rain" })).await, (202, String::new()));
    let shown = reaches(&orders, &id, "completed").await;
    assert_eq!(shown["output"]["state"], "OS0010");
    assert!(orders.effects("T-3").await.iter().all(|(_, undone)| *undone));
    assert_eq!(act(&orders.engine, &id, "orderCancel", &Value::Null).await, (409, "INSTANCE_ENDED".to_owned()));

    // Without anything to confirm the requirements are passed over; the hold is released by name, and nothing is run
    // after that until somebody asks.
    let id = start(&orders.engine, "tour_order", &tour("T-4", &json!({}))).await;
    stands(&orders, &id, "OS0002A").await;
    suppliers_say(&orders, "T-4", "tour.held", true).await;
    stands(&orders, &id, "OS0003").await;
    says(&orders.engine, "tour.changed", "T-4", &Value::Null).await;
    until("it is signed for again", SOON, || async {
        let shown = instance(&orders, &id).await;
        (states(&shown).iter().filter(|state| *state == "OS0003").count() == 2).then_some(())
    })
    .await;

    // An order of another system is loaded in the state it has there.
    let id = start(&orders.engine, "tour_order", &tour("T-5", &json!({ "state": "OS0006" }))).await;
    stands(&orders, &id, "OS0006").await;
    let id = start(&orders.engine, "tour_order", &tour("T-6", &json!({ "state": "OS9999" }))).await;
    let shown = reaches(&orders, &id, "incident").await;
    assert_eq!(shown["error"]["code"], "STATE_UNKNOWN");
    let plain = crate::start(&orders, &community_order("T-7")).await;
    assert_eq!(act(&orders.engine, &plain, "x", &Value::Null).await, (409, "NOT_A_MACHINE".to_owned()));
    orders.stop().await;
}

const ORDERS: usize = 1_000;

fn queue(key: &str, policy: &str) -> Value {
    json!({
        "stepwell": 1, "kind": "machine", "key": key, "businessKey": "=input.order", "initial": "WAITING",
        "actionsPolicy": policy,
        "states": [{ "code": "WAITING" }, { "code": "CHECKED" }, { "code": "DONE", "terminal": true }],
        "actions": [
            { "name": "look", "states": ["WAITING"], "priority": 5, "on": { "message": "look", "key": "=input.order" } },
            { "name": "finish", "states": ["WAITING", "CHECKED"], "priority": 9, "manual": true, "next": "DONE" },
        ],
    })
}

/// Sets a variable and goes to the next state.
fn risk(name: &str, value: u32) -> Value {
    json!({ "name": name, "title": "Risk", "states": ["WAITING"], "priority": 0,
        "run": { "type": "set", "vars": { "risk": value } }, "next": "CHECKED" })
}

async fn standing(engine: &Client, key: &str, state: &str) -> usize {
    let page = engine.get(&format!("/api/v1/machines/{key}")).await.expect(200).json();
    let found = page["standing"].as_array().unwrap().iter().find(|one| one["state"] == state).cloned();
    found.map_or(0, |one| usize::try_from(one["instances"].as_u64().unwrap()).unwrap())
}

/// A thousand orders that rest.
async fn parked(engine: &Client) -> Vec<String> {
    let mut ids = Vec::new();
    for batch in (0..ORDERS).collect::<Vec<_>>().chunks(100) {
        let starts =
            batch.iter().map(async |number| start(engine, "queue", &json!({ "order": format!("O-{number}") })).await);
        ids.extend(join_all(starts).await);
    }
    until("all of them wait", SOON, || async { (standing(engine, "queue", "WAITING").await == ORDERS).then_some(()) })
        .await;
    ids
}

/// What is wrong with an action is said, and changes nothing.
async fn refused(engine: &Client) {
    for (action, code, pointer) in [
        (json!({ "name": "risk", "states": ["WAITNG"] }), "STATE_UNKNOWN", "/action/states/0"),
        (json!({ "name": "finish", "states": ["WAITING"] }), "ACTION_TWICE", "/action/name"),
        (
            json!({ "name": "risk", "states": ["WAITING"], "run": { "type": "task", "uses": "risk/check@1" } }),
            "PLUGIN_MISSING",
            "/action/run/uses",
        ),
        (json!({ "name": "risk", "states": ["WAITING"], "guard": "vars." }), "EXPRESSION_SYNTAX", "/action/guard"),
    ] {
        let reply = engine.post("/api/v1/machines/queue/actions", &json!({ "action": action })).await.expect(422);
        let problems = reply.json()["problems"].clone();
        let found = problems.as_array().unwrap().iter().any(|one| one["code"] == code && one["pointer"] == pointer);
        assert!(found, "{code}: {problems:#}");
    }
}

/// The journal says which revision each evaluation took.
async fn journaled(engine: &Client, id: &str) {
    let shown = engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json();
    assert_eq!((&shown["vars"]["risk"], &shown["machine"]["revision"]), (&json!(1), &json!(1)));
    let page = engine.get(&format!("/api/v1/instances/{id}/journal?limit=500")).await.expect(200).json();
    let revisions: Vec<u64> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["type"] == "evaluated")
        .map(|item| item["data"]["revision"].as_u64().unwrap())
        .collect();
    assert!(revisions.is_sorted() && revisions.contains(&0) && revisions.last() == Some(&1), "{revisions:?}");
}

/// Taken out again: whoever comes now is not checked. Who did it is on record.
async fn taken_out(engine: &Client) {
    let gone = engine.delete("/api/v1/machines/queue/actions/risk").await.expect(200).json();
    assert_eq!(gone["revision"], 2);
    assert_eq!(engine.delete("/api/v1/machines/queue/actions/risk").await.expect(404).code(), "ACTION_NOT_FOUND");
    let last = start(engine, "queue", &json!({ "order": "O-last" })).await;
    until("it waits", SOON, || async { (state_of(engine, &last).await == "WAITING").then_some(()) }).await;
    let actions = engine.get("/api/v1/machines/queue/actions").await.expect(200).json();
    let risk = actions.as_array().unwrap().iter().find(|one| one["name"] == "risk").unwrap().clone();
    assert_eq!(
        (&risk["revision"], &risk["removedRevision"], &risk["addedBy"]),
        (&json!(1), &json!(2), &json!("token:bootstrap"))
    );
    let audit = engine.get("/api/v1/audit?action=machine&target=queue").await.expect(200).json();
    let said: Vec<_> = audit["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(said, ["machine.unplug", "machine.plug"]);
}

async fn state_of(engine: &Client, id: &str) -> Value {
    engine.get(&format!("/api/v1/instances/{id}")).await.expect(200).json()["machine"]["state"].clone()
}

/// All that rest are told to look again.
async fn look_again(engine: &Client) {
    let asked = json!({ "filter": { "flow": "queue" }, "command": "evaluate", "dryRun": false });
    let mut cursor = Value::Null;
    loop {
        let mut asked = asked.clone();
        if !cursor.is_null() {
            asked["cursor"] = cursor;
        }
        let run = engine.post("/api/v1/bulk", &asked).await.expect(200).json();
        cursor = run["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_orders_take_a_new_action_at_their_next_evaluation() {
    let mut engine = Stepwell::start(Options::default()).await;
    for (key, policy) in [("queue", "live"), ("old_queue", "frozen")] {
        engine.publish(&queue(key, policy)).await;
    }
    let ids = parked(&engine).await;
    let frozen = start(&engine, "old_queue", &json!({ "order": "F-1" })).await;
    // Before: an evaluation finds nothing to run.
    says(&engine, "look", "O-0", &Value::Null).await;
    let before = until("it has looked", SOON, || async {
        let shown = engine.get(&format!("/api/v1/instances/{}", ids[0])).await.expect(200).json();
        (shown["machine"]["evaluations"].as_array().unwrap().len() > 2).then_some(shown)
    })
    .await;
    assert_eq!((&before["machine"]["state"], &before["machine"]["revision"]), (&json!("WAITING"), &json!(0)));

    refused(&engine).await;
    let plug = |action: Value| json!({ "action": action });
    for key in ["queue", "old_queue"] {
        let reply = engine.post(&format!("/api/v1/machines/{key}/actions"), &plug(risk("risk", 1))).await.expect(201);
        assert_eq!(reply.json()["revision"], 1);
    }
    let reply = engine.post("/api/v1/machines/queue/actions", &plug(risk("risk", 2))).await.expect(422);
    let problems = reply.json()["problems"].clone();
    assert!(problems.as_array().unwrap().iter().any(|one| one["code"] == "ACTION_TWICE"), "{problems:#}");

    // Nothing moves by itself: what came for the others comes, and each of them takes the new action.
    assert_eq!(standing(&engine, "queue", "WAITING").await, ORDERS);
    for batch in (0..ORDERS / 2).collect::<Vec<_>>().chunks(100) {
        join_all(batch.iter().map(async |number| {
            says(&engine, "look", &format!("O-{number}"), &Value::Null).await;
        }))
        .await;
    }
    until("half of them are checked", SOON, || async {
        (standing(&engine, "queue", "CHECKED").await == ORDERS / 2).then_some(())
    })
    .await;
    // A crash in between, and the rest are told at once.
    engine.kill9().await;
    engine.restart().await;
    look_again(&engine).await;
    until("all of them are checked", SOON, || async {
        (standing(&engine, "queue", "CHECKED").await == ORDERS).then_some(())
    })
    .await;
    for id in [&ids[0], &ids[ORDERS / 3], &ids[ORDERS - 1]] {
        journaled(&engine, id).await;
    }
    // One whose actions are frozen keeps those of its start; one that starts now has the new one.
    engine.post(&format!("/api/v1/instances/{frozen}/evaluate"), &json!({})).await.expect(202);
    let new = start(&engine, "old_queue", &json!({ "order": "F-2" })).await;
    until("the new one is checked", SOON, || async {
        (standing(&engine, "old_queue", "CHECKED").await == 1).then_some(())
    })
    .await;
    assert_eq!((state_of(&engine, &frozen).await, state_of(&engine, &new).await), (json!("WAITING"), json!("CHECKED")));

    taken_out(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_pool_goes_out_and_comes_in() {
    let orders = Orders::start().await;
    let engine = &orders.engine;
    let json_pool = engine.get("/api/v1/machines/tour_order/states").await.expect(200).json();
    let csv = engine.get("/api/v1/machines/tour_order/states?format=csv").await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let text = csv.text();
    assert!(
        text.starts_with(
            "code,title.en,title.zh-CN,service,priority,order,terminal\nOS0000,New,初始状态,SubscribeAction,0,0,\n"
        ),
        "{text}"
    );
    let more = format!("{text}OS0007,On the way,在途,tour,5,65,\n");
    let put = async |body: String, kind: &str| {
        engine.send("PUT", "/api/v1/machines/tour_order/states", &[("content-type", kind)], body).await.unwrap()
    };
    let saved = put(more, "text/csv").await.expect(200).json();
    assert_eq!(saved["problems"][0]["code"], "STATE_WITHOUT_WAY_OUT", "{saved:#}");
    let draft = engine.get("/api/v1/flows/tour_order/draft").await.expect(200).json();
    assert_eq!(draft["document"]["states"].as_array().unwrap().len(), json_pool.as_array().unwrap().len() + 1);
    put(json_pool.to_string(), "application/json").await.expect(200);
    assert_eq!(engine.get("/api/v1/machines/tour_order/states").await.expect(200).json(), json_pool);
    assert_eq!(put("code,priority\nA,high".to_owned(), "text/csv").await.expect(422).pointer(), "/1/priority");
    let refused = engine.get("/api/v1/machines/order-5/states").await.expect(409);
    assert_eq!(refused.code(), "NOT_A_MACHINE");
    orders.stop().await;
}
