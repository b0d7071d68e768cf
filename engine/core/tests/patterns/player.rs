//! Plays the scripts of `flows/patterns/*.json` and shows where an instance stands after each event.
//!
//! What is shown is the marking: the nodes that hold a token, by name, then the state, the error's
//! code and an ended instance's output. After every event it also checks what must always hold: a
//! snapshot gives the same instance back, a take-over makes the same calls, the journal played
//! again gives the same instance.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use stepwell_core::flow::Flow;
use stepwell_core::machine::{
    At, Call, Command, Effect, Entry, Event, Failure, Instance, Outcome, Rejection, Snapshot, Token, TokenId,
    interrupted, resume, snapshot, step,
};

pub(crate) struct Play<'f> {
    flow: &'f Flow,
    it: Instance,
    entries: Vec<Entry>,
    under_way: Vec<Call>,
    /// Every key a forward call was made under: none is used for two visits.
    keys: BTreeSet<String>,
    /// What the last event brought beside the marking.
    said: Vec<String>,
    now_ms: u64,
    /// Messages that nobody has taken yet, by name: the engine keeps them, unless they are sent with no time to live.
    kept: Vec<(String, Arc<Value>)>,
}

impl<'f> Play<'f> {
    pub(crate) fn of(flow: &'f Flow, input: &Value) -> Self {
        let mut play = Self {
            flow,
            it: Instance::new("i".into(), 1),
            entries: Vec::new(),
            under_way: Vec::new(),
            keys: BTreeSet::new(),
            said: Vec::new(),
            now_ms: 1_000,
            kept: Vec::new(),
        };
        play.take(Event::Started { input: Arc::new(input.clone()), business_key: None, priority: 0 });
        play
    }

    /// Lets one thing happen:
    /// - `node=<json>` answers the oldest call under way at the node, or completes its open task;
    ///   `node!CODE` is the answer of a failure;
    /// - `@message=<json>` is a message for the first token that waits for it, kept until there is one;
    ///   `!message=<json>` is one that nobody keeps;
    /// - `tick` is the next time that is due; `cancel`, `suspend`, `resume` and `compensate` are commands;
    /// - `late node` repeats the node's last answer, which nobody waits for any more;
    /// - `move a>b` is the command that takes the token from one node to another.
    pub(crate) fn happen(&mut self, what: &str) {
        self.said.clear();
        let command = |command| Event::Commanded { command, by: String::new() };
        match what {
            "tick" => {
                let (token, due_ms) = self.it.due().min_by_key(|&(id, due_ms)| (due_ms, id)).expect("something is due");
                self.now_ms = due_ms;
                self.take(Event::TimerFired { token, due_ms });
            }
            "cancel" => self.take(command(Command::Cancel { reason: String::new() })),
            "compensate" => self.take(command(Command::Compensate { reason: String::new() })),
            "suspend" => self.take(command(Command::Suspend { reason: String::new() })),
            "resume" => self.take(command(Command::Resume)),
            _ => match what.split_once(' ') {
                Some(("late", node)) => self.repeat(node),
                Some(("move", ends)) => {
                    let (from, to) = ends.split_once('>').expect("move a>b");
                    let token = self.standing_at(from);
                    self.take(command(Command::Move { token, to: to.to_owned() }));
                }
                _ if what.starts_with('@') => self.kept.push(message(&what[1..])),
                _ if what.starts_with('!') => {
                    let (name, payload) = message(&what[1..]);
                    let token = self.waits_for(&name).unwrap_or(TokenId::MAX);
                    self.arrives(token, payload);
                }
                _ => self.answer(what),
            },
        }
        while let Some(place) = self.kept.iter().position(|(name, _)| self.waits_for(name).is_some()) {
            let (name, payload) = self.kept.remove(place);
            let token = self.waits_for(&name).unwrap_or(TokenId::MAX);
            self.arrives(token, payload);
        }
    }

    fn answer(&mut self, what: &str) {
        let (node, outcome) = match (what.split_once('='), what.split_once('!')) {
            (Some((node, value)), _) => {
                let output = Arc::new(serde_json::from_str(value).expect(what));
                (node, Outcome::Done { port: "out".into(), output })
            }
            (None, Some((node, code))) => {
                let rejection = Rejection { code: code.to_owned(), message: "no".to_owned(), data: None };
                (node, Outcome::Failed(Failure::Rejected(rejection)))
            }
            (None, None) => (what, Outcome::Done { port: "out".into(), output: Arc::new(Value::Null) }),
        };
        if let Some(at) = self.under_way.iter().position(|call| &*call.node == node) {
            let Call { token, attempt, op, .. } = self.under_way.remove(at);
            return self.take(Event::NodeReturned { token, attempt, op, outcome });
        }
        let open = self.it.open_tasks(self.flow).into_iter().find(|task| &*task.name == node);
        let task = open.unwrap_or_else(|| panic!("nothing to answer at {node}: {}", self.shown()));
        let (token, attempt) = (task.token, task.attempt);
        let command = match outcome {
            Outcome::Done { output, .. } => Command::Complete { token, attempt, output },
            Outcome::Failed(failure) => Command::Fail { token, attempt, failure },
            Outcome::Waiting { .. } | Outcome::NeverRan | Outcome::Cut(_) => return,
        };
        self.take(Event::Commanded { command, by: String::new() });
    }

    fn waits_for(&self, name: &str) -> Option<TokenId> {
        self.it.subscriptions().into_iter().find(|one| &*one.message == name).map(|one| one.token)
    }

    fn arrives(&mut self, token: TokenId, payload: Arc<Value>) {
        self.take(Event::MessageArrived { token, id: format!("m{}", self.entries.len()), payload });
    }

    fn repeat(&mut self, node: &str) {
        let flow = self.flow;
        let answers = |entry: &&Entry| {
            let token = match &entry.event {
                Event::NodeReturned { token, .. }
                | Event::Commanded { command: Command::Complete { token, .. }, .. } => *token,
                _ => return false,
            };
            let before = usize::try_from(entry.seq).unwrap_or_default() - 1;
            let it = replayed(flow, &self.entries[..before]);
            it.tokens.get(&token).is_some_and(|one| name(flow, &it, one) == node)
        };
        let event = self.entries.iter().rev().find(answers).map(|entry| entry.event.clone());
        self.take(event.unwrap_or_else(|| panic!("{node} has not been answered")));
    }

    fn standing_at(&self, wanted: &str) -> TokenId {
        let is_there = |(_, token): &(&TokenId, &Token)| name(self.flow, &self.it, token) == wanted && !is_guard(token);
        self.it.tokens.iter().find(is_there).map_or(TokenId::MAX, |(&id, _)| id)
    }

    fn take(&mut self, event: Event) {
        let before = self.it.clone();
        let (it, result) = step(self.flow, before.clone(), self.now_ms, &event);
        match result {
            Ok(effects) => {
                self.entries.push(Entry { seq: it.seq, at_ms: it.now_ms, event });
                self.it = it;
                let it = &self.it;
                self.under_way.retain(|call| it.awaits(call.token, call.attempt, call.op));
                for effect in effects {
                    self.see(effect);
                }
            }
            Err(refused) => {
                assert_eq!(it, before, "a refused event changes nothing");
                self.said.push(format!("refused: {refused}"));
            }
        }
        self.must_hold();
    }

    fn see(&mut self, effect: Effect) {
        match effect {
            Effect::Call(call) => {
                assert!(self.keys.insert(format!("{} {}", call.key, call.attempt)), "{} is called twice", call.key);
                self.under_way.push(*call);
            }
            Effect::Evaluate { .. } => panic!("no pattern is a machine"),
            Effect::Reply(output) => self.said.push(format!("reply {output}")),
            Effect::Ended(_) => self.under_way.clear(),
        }
    }

    fn must_hold(&self) {
        let text = snapshot(self.flow, &self.it).unwrap();
        let mut parsed = Snapshot::parse(&text).unwrap();
        let rows = parsed.rows();
        let entries: Vec<Entry> = self.entries.iter().filter(|entry| rows.contains(&entry.seq)).cloned().collect();
        let back = parsed.hydrate(self.flow, self.it.id.clone(), &entries).unwrap();
        assert_eq!(back, self.it, "a snapshot gives the same instance back");
        assert_eq!(replayed(self.flow, &self.entries), self.it, "the journal played again gives the same instance");
        let named = |call: &Call| format!("{} {:?} {} {}", call.token, call.op, call.attempt, call.key);
        let mut again = BTreeSet::new();
        for effect in resume(self.flow, &self.it) {
            let Effect::Call(call) = effect else { panic!("a take-over only makes calls") };
            again.insert(named(&call));
        }
        if interrupted(self.flow, &self.it).is_empty() {
            let open: BTreeSet<String> = self.under_way.iter().map(named).collect();
            assert_eq!(again, open, "a take-over makes the calls that were under way");
        }
        assert!(self.it.end.is_none() || self.it.tokens.is_empty(), "an ended instance has no tokens");
    }

    /// `b c | running`
    pub(crate) fn shown(&self) -> String {
        let mut marking: Vec<String> = Vec::new();
        for token in self.it.tokens.values().filter(|token| !is_guard(token)) {
            let mut name = name(self.flow, &self.it, token);
            match &token.at {
                At::Incident { error, .. } => name = format!("{name}!{}", error.code),
                At::Abandoned(_) => name.push_str("(given up)"),
                At::Locked => name.push_str("(locked)"),
                _ if token.at.visit().is_some_and(|visit| visit.undoing.is_some()) => name.push_str("(undo)"),
                _ => {}
            }
            marking.push(name);
        }
        marking.sort();
        let mut shown = vec![marking.join(" ")];
        shown.extend(self.said.clone());
        let mut state = self.it.state().name().to_owned();
        if let Some(error) = self.it.end.as_ref().and_then(|end| end.error.as_ref()) {
            state = format!("{state} {}", error.code);
        }
        if let Some(output) = self.it.output().filter(|_| self.it.end.is_some()) {
            state = format!("{state} {}", output.value);
        }
        shown.push(state);
        shown.retain(|part| !part.is_empty());
        shown.join(" | ")
    }
}

fn message(what: &str) -> (String, Arc<Value>) {
    let (name, payload) = what.split_once('=').unwrap_or((what, "null"));
    (name.to_owned(), Arc::new(serde_json::from_str(payload).expect(what)))
}

/// A node's id, with the path of the scope its token is in.
fn name(flow: &Flow, it: &Instance, token: &Token) -> String {
    let path = it.scopes.get(&token.scope).map_or("", |scope| &*scope.path);
    format!("{path}{}", flow.nodes[token.node].id)
}

fn is_guard(token: &Token) -> bool {
    matches!(token.at, At::Guard { .. })
}

fn replayed(flow: &Flow, entries: &[Entry]) -> Instance {
    let mut it = Instance::new("i".into(), 1);
    for entry in entries {
        let (next, result) = step(flow, it, entry.at_ms, &entry.event);
        assert!(result.is_ok(), "a journal entry is never refused");
        it = next;
    }
    it
}
