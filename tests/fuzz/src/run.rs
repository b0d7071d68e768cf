//! One instance from its start on, with whatever is said to it.

use std::sync::Arc;

use serde_json::{Value, json};
use stepwell_core::flow::Flow;
use stepwell_core::machine::{Effect, Entry, Event, Instance, Outcome, Snapshot, snapshot, step};

/// Events of our own, after those that were given.
const OWN_MAX: usize = 40;

struct Run<'f> {
    flow: &'f Flow,
    it: Instance,
    entries: Vec<Entry>,
    calls: Vec<Event>,
}

/// Starts an instance, gives it these events, then answers what it asks for.
pub(crate) fn through(flow: &Flow, input: Value, events: &[Event]) {
    let input = Arc::new(input);
    let business_key = super::business_key(flow, &input);
    let it = Instance::new("fuzzed".into(), 1);
    let mut run = Run { flow, it, entries: Vec::new(), calls: Vec::new() };
    run.take(Event::Started { input, business_key, priority: 0 });
    for event in events {
        run.take(event.clone());
    }
    for _ in 0..OWN_MAX {
        let Some(event) = run.next() else { break };
        run.take(event);
    }
    run.comes_back();
}

impl Run<'_> {
    fn take(&mut self, event: Event) {
        let before = self.it.clone();
        let at_ms = 1_800_000_000_000 + self.entries.len() as u64;
        let (it, result) = step(self.flow, std::mem::replace(&mut self.it, before.clone()), at_ms, &event);
        match result {
            Err(refused) => assert!(it == before, "refused ({refused:?}) and changed by {event:?}"),
            Ok(effects) => {
                assert!(!before.state().ended(), "{event:?} after the end");
                assert_eq!(it.seq, before.seq + 1);
                self.entries.push(Entry { seq: it.seq, at_ms, event });
                self.calls.extend(effects.iter().filter_map(|effect| match effect {
                    Effect::Call(call) => {
                        let output = Arc::new(json!({ "n": call.visit, "key": call.key }));
                        let outcome = Outcome::Done { port: "out".into(), output };
                        Some(Event::NodeReturned { token: call.token, attempt: call.attempt, op: call.op, outcome })
                    }
                    Effect::Evaluate { token, keep } => {
                        let newest = self.flow.machine().map_or(0, |machine| machine.revision);
                        Some(Event::Evaluated { token: *token, revision: keep.unwrap_or(newest) })
                    }
                    Effect::Reply(_) | Effect::Ended(_) => None,
                }));
            }
        }
        self.it = it;
    }

    /// A call that comes back, a timer, a message.
    fn next(&mut self) -> Option<Event> {
        if let Some(call) = self.calls.pop() {
            return Some(call);
        }
        if let Some(one) = self.it.subscriptions().first() {
            let token = self.it.taker(&one.message, &one.key).expect("who waits takes it");
            let payload = Arc::new(json!({ "status": "PAID", "amount_cents": 1200 }));
            return Some(Event::MessageArrived { token, id: format!("m-{}", self.entries.len()), payload });
        }
        self.it.due().next().map(|(token, due_ms)| Event::TimerFired { token, due_ms })
    }

    /// The snapshot with its rows gives the instance, and the journal gives the snapshot.
    fn comes_back(&self) {
        if self.entries.is_empty() || self.it.state().ended() {
            return;
        }
        let text = snapshot(self.flow, &self.it).expect("what came in as JSON can be written");
        let mut parsed = Snapshot::parse(&text).expect("it is read");
        let rows = parsed.rows();
        let entries: Vec<Entry> = self.entries.iter().filter(|entry| rows.contains(&entry.seq)).cloned().collect();
        let back = parsed.hydrate(self.flow, self.it.id.clone(), &entries).expect("its rows are there");
        assert_eq!(snapshot(self.flow, &back).expect("again"), text);
        let fresh = Instance::new(self.it.id.clone(), self.it.version);
        let replayed = self.entries.iter().fold(fresh, |it, entry| step(self.flow, it, entry.at_ms, &entry.event).0);
        assert!(replayed == self.it, "the journal gives another instance");
    }
}
