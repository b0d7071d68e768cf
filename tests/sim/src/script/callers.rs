//! Callers that start instances, wait for them, and send messages, each until it is acknowledged.

use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_runtime::journal::{Idempotency, Message};
use stepwell_runtime::{Answer, StartError, StartRequest};

use super::{Offer, Script, SimEngine, TRIES_MAX, lock};
use crate::flows::MESSAGES;
use crate::tell::short;
use crate::world::{EPOCH_MS, Health};

impl Script {
    pub fn start(&self) {
        let (offer, n, wait) = {
            let mut world = self.sim.world();
            world.count.asked += 1;
            world.count.instances += 1;
            let n = world.count.instances;
            let offer = world.chance.pick(&self.offers).cloned();
            (offer, n, world.chance.permille(500))
        };
        if let Some(offer) = offer {
            let task = self.clone().ask_to_start(offer, n, wait);
            *lock(&self.open) += 1;
            let open = self.open.clone();
            tokio::spawn(async move {
                task.await;
                *lock(&open) -= 1;
            });
        }
    }

    /// Asks until it is acknowledged, under one Idempotency-Key.
    async fn ask_to_start(self, offer: Offer, n: u64, wait: bool) {
        let key = format!("K{n}");
        let input = fill(&offer.input, &key, n);
        for _ in 0..TRIES_MAX {
            if let Some((host, engine)) = self.engine() {
                let request = StartRequest {
                    flow: offer.flow.clone(),
                    version: 1,
                    input: input.clone(),
                    business_key: None,
                    priority: i32::try_from(n % 3).unwrap_or_default(),
                    idempotency: Some(Idempotency { key: key.clone(), request: key.clone() }),
                    traceparent: None,
                    bound_by: None,
                    by: "caller".into(),
                    wait,
                };
                let asked = self.ask_once(&engine, request, wait);
                let acknowledged = tokio::select! {
                    biased;
                    acknowledged = asked => acknowledged,
                    () = self.sim.gone(host) => None,
                };
                if let Some(id) = acknowledged.filter(|_| self.sim.health(host) != Health::Dead) {
                    self.sim.tell(|| format!("caller: {key} is acknowledged as {}", short(&id)));
                    if !self.sim.world().store.rows.contains_key(&id) {
                        self.sim.fails(
                            "acknowledged starts",
                            format!("{key} was acknowledged as {id}, which is not there"),
                        );
                    }
                    lock(&self.acknowledged).insert((key, id));
                    return;
                }
            }
            self.sim.time.sleep(500).await;
        }
    }

    async fn ask_once(&self, engine: &SimEngine, request: StartRequest, wait: bool) -> Option<Arc<str>> {
        let mut started = engine.start(request).ok()?;
        let id = started.id.clone();
        let result = if wait {
            let answer = started.answer(self.sim.time.sleep(5_000)).await;
            answer.map(|answer| answer.iter().for_each(|answer| self.answered(&id, answer)))
        } else {
            started.committed().await.map(|_| ())
        };
        match result {
            Ok(()) => Some(id),
            Err(StartError::Duplicate { instance, other_request }) => {
                if other_request {
                    self.sim.fails("acknowledged starts", "the same request was taken for another");
                }
                Some(instance)
            }
            Err(_) => None,
        }
    }

    /// Whatever a caller is told is in the store.
    fn answered(&self, id: &Arc<str>, answer: &Answer) {
        let stored = {
            let world = self.sim.world();
            world.store.rows.get(id).map(|row| (row.header.state, row.header.reply.clone(), row.header.output.clone()))
        };
        let why = match stored {
            None => Some("it is not there".to_owned()),
            Some((_, reply, _)) if answer.replied && reply != answer.output => Some(format!("the reply is {reply:?}")),
            Some((state, ..)) if !answer.replied && answer.state.ended() && state != answer.state => {
                Some(format!("it is {}", state.name()))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            self.sim.fails("acknowledged answers", format!("{id} was answered with {answer:?}, but {why}"));
        }
    }

    /// Somebody waits for an instance that runs already.
    pub(super) fn watch(&self) {
        let Some(id) = self.some_instance(false) else { return };
        let Some((host, engine)) = self.engine() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            let answer = tokio::select! {
                biased;
                answer = engine.watch(&id, this.sim.time.sleep(3_000)) => answer,
                () = this.sim.gone(host) => None,
            };
            if let Some(answer) = answer.filter(|_| this.sim.health(host) != Health::Dead) {
                this.answered(&id, &answer);
            }
        });
    }

    pub(super) fn message(&self) {
        let (name, key, id) = {
            let mut world = self.sim.world();
            world.count.asked += 1;
            let (asked, instances) = (world.count.asked, world.count.instances);
            let name = world.chance.pick(&MESSAGES).copied().unwrap_or("paid");
            // For one that is there, one that is still to come, or whoever shares a key.
            let key = match world.chance.below(3) {
                0 => format!("shared-{}", world.chance.below(3)),
                _ => format!("K{}", world.chance.between(1, instances + 2)),
            };
            (name, key, format!("m{asked}"))
        };
        tokio::spawn(self.clone().post(name.into(), key, id));
    }

    /// Posts until it is acknowledged, under one id.
    pub async fn post(self, name: Arc<str>, key: String, id: String) {
        for _ in 0..TRIES_MAX {
            if let Some((host, engine)) = self.engine() {
                let message = Message {
                    name: name.clone(),
                    key: key.clone(),
                    id: id.clone(),
                    payload: Arc::new(json!({ "status": "PAID", "id": id })),
                    at_ms: EPOCH_MS + self.sim.time.now_ms(),
                    ttl_ms: 24 * 60 * 60 * 1000,
                    by: "gateway".to_owned(),
                };
                let posted = tokio::select! {
                    biased;
                    posted = engine.post(message) => posted.is_ok(),
                    () = self.sim.gone(host) => false,
                };
                if posted && self.sim.health(host) != Health::Dead {
                    self.sim.tell(|| format!("gateway: {name}/{} {id} is acknowledged", short(&key)));
                    return;
                }
            }
            self.sim.time.sleep(300).await;
        }
    }

    /// The shop's own messages, each for a call that waits for one.
    pub(super) async fn call_back(self) {
        loop {
            self.sim.time.sleep(20).await;
            let now_ms = self.sim.time.now_ms();
            let due: Vec<(u64, String)> = {
                let mut world = self.sim.world();
                let later = world.callbacks.split_off(&(now_ms + 1, String::new()));
                std::mem::replace(&mut world.callbacks, later).into_iter().collect()
            };
            for (_, key) in due {
                let id = format!("cb-{key}");
                tokio::spawn(self.clone().post("callback".into(), key, id));
            }
        }
    }
}

/// An input with its own key and number.
fn fill(input: &Value, key: &str, n: u64) -> Value {
    match input {
        Value::String(text) if text == "$key" => json!(key),
        Value::String(text) if text == "$n" => json!(n),
        Value::String(text) if text == "$depth" => json!(n % 3),
        Value::String(text) if text == "$shared" => json!(format!("shared-{}", n % 3)),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), fill(value, key, n))).collect(),
        Value::Array(items) => items.iter().map(|item| fill(item, key, n)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => input.clone(),
    }
}
