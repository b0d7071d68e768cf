//! A flow's triggers: paths with their auth, and schedules.
//!
//! Not here: whether another flow has a path (`store`), whether a connection has the secrets that are
//! named (asked when a request comes, because they may come later).

use serde_json::Value;

use super::{Checker, Reading, Sees};
use crate::expr::{Expr, Template};
use crate::flow::pointer::child;
use crate::flow::schedule::{self, Schedule};
use crate::flow::trigger::{
    Dedupe, Hmac, HmacDocument, HttpTriggerDocument, ScheduleDocument, Scheme, SignatureAt, Signed,
    StandardWebhooksDocument, TimestampAt, Trigger, TriggerAuth, TriggerAuthWord, TriggerMessage,
    TriggerMessageDocument, parts,
};
use crate::machine::{MESSAGE_NAME_BYTES_MAX, fits_message};
use crate::problem::Problem;

/// Secrets that one path takes at once: the new and the old, and some.
pub const SECRETS_MAX: usize = 4;
/// Paths and schedules of one flow.
const TRIGGERS_MAX: usize = 100;
/// How long a trigger's caller is kept, unless the document says otherwise.
const WAIT_MS: u64 = 10_000;
/// How long a trigger's caller is kept at most.
const WAIT_MS_MAX: u64 = 60_000;
const TOLERANCE_MS: u64 = 5 * 60_000;
const TOLERANCE_MS_MAX: u64 = 24 * 3_600_000;
const TTL_MS_MAX: u64 = 30 * 86_400_000;
const GRACE_MS: u64 = 12 * 3_600_000;
/// A start is known by its due time for 24 hours; one that came later could come twice.
const GRACE_MS_MAX: u64 = 23 * 3_600_000;
const SCHEDULE_NAME_BYTES_MAX: usize = 64;
/// Where the checker looks for a first due time. It reads no clock; a schedule without a due time in
/// the years after this has none.
const EPOCH_MS: u64 = 1_750_000_000_000;

impl Checker<'_> {
    pub(super) fn triggers(&mut self) -> (Vec<Trigger>, Vec<Schedule>) {
        let (mut triggers, mut schedules) = (Vec::new(), Vec::new());
        let Some(source) = self.reader.raw("triggers") else { return (triggers, schedules) };
        let Some(list) = source.as_array() else {
            self.problem(Problem::error("WRONG_TYPE", "/triggers", "`triggers` is a list"));
            return (triggers, schedules);
        };
        if list.len() > TRIGGERS_MAX {
            let message = format!("{} triggers; a flow has at most {TRIGGERS_MAX}", list.len());
            self.problem(Problem::error("FLOW_TOO_LARGE", "/triggers", message).fix("split the flow"));
            return (triggers, schedules);
        }
        for (index, value) in list.iter().enumerate() {
            let pointer = format!("/triggers/{index}");
            match self.tag(value, &pointer, "type", ["http", "schedule"]) {
                Some((0, rest)) => {
                    if let Some(document) = self.reader.piece(&rest, &pointer) {
                        let trigger = self.http_trigger(document, &pointer, &triggers);
                        triggers.push(trigger);
                    }
                }
                Some((_, rest)) => {
                    if let Some(document) = self.reader.piece(&rest, &pointer) {
                        let schedule = self.schedule(document, &pointer, &schedules);
                        schedules.extend(schedule);
                    }
                }
                None => {}
            }
        }
        (triggers, schedules)
    }

    /// Which of `known` the object's tag says, and the object without it.
    fn tag<const N: usize>(
        &mut self,
        value: &Value,
        pointer: &str,
        tag: &str,
        known: [&str; N],
    ) -> Option<(usize, Value)> {
        let Some(mut fields) = value.as_object().cloned() else {
            self.problem(Problem::error("WRONG_TYPE", pointer, "this is an object"));
            return None;
        };
        let fix = format!("use one of {}", known.join(", "));
        let problem = match fields.remove(tag) {
            Some(Value::String(word)) => {
                if let Some(place) = known.iter().position(|one| *one == word) {
                    return Some((place, Value::Object(fields)));
                }
                let message = format!("`{word}` is not one of the values here");
                Problem::error("UNKNOWN_VALUE", child(pointer, tag), message).fix(fix)
            }
            Some(_) => Problem::error("WRONG_TYPE", child(pointer, tag), format!("`{tag}` is a text")),
            None => Problem::error("MISSING_FIELD", pointer, format!("`{tag}` is missing")).fix(fix),
        };
        self.problem(problem);
        None
    }

    fn http_trigger(&mut self, document: HttpTriggerDocument, pointer: &str, others: &[Trigger]) -> Trigger {
        let path = document.path;
        if !crate::flow::is_trigger_path(&path) {
            let problem = Problem::error("TRIGGER_PATH", child(pointer, "path"), format!("`{path}` is no path"));
            self.problem(problem.fix("use letters, digits, `_`, `-`, `.` and `/`, without a leading slash"));
        }
        if others.iter().any(|other| other.path == path) {
            let message = format!("two triggers have the path `{path}`");
            self.problem(Problem::error("TRIGGER_PATH", child(pointer, "path"), message).fix("remove one"));
        }
        let wait_ms = self.duration(document.wait.as_deref(), &child(pointer, "wait"), 0..=WAIT_MS_MAX, None);
        let auth =
            document.auth.map_or(Some(TriggerAuth::Token), |auth| self.trigger_auth(&auth, &child(pointer, "auth")));
        let known_again = document.dedupe.is_some();
        let dedupe = document.dedupe.and_then(|dedupe| self.dedupe(&dedupe, &child(pointer, "dedupe")));
        if document.answer.is_some() && document.message.is_none() {
            let problem =
                Problem::error("TRIGGER_FORM", child(pointer, "answer"), "a flow that is started gives its own answer");
            self.problem(problem.fix("remove `answer`, or add `message`"));
        }
        if document.redeliver && (document.message.is_some() || !known_again) {
            let message = "what is sent again must be known again, and start an instance";
            let problem = Problem::error("TRIGGER_FORM", child(pointer, "redeliver"), message);
            self.problem(problem.fix("say by `dedupe` what makes two requests the same, and leave out `message`"));
        }
        let message = document.message.and_then(|message| self.trigger_message(message, &child(pointer, "message")));
        Trigger {
            path,
            // A mistake in it keeps the flow from being published.
            auth: auth.unwrap_or(TriggerAuth::Token),
            wait_ms: wait_ms.unwrap_or(WAIT_MS),
            dedupe,
            message,
            answer: document.answer,
            redeliver: document.redeliver,
        }
    }

    fn trigger_auth(&mut self, auth: &Value, pointer: &str) -> Option<TriggerAuth> {
        if auth.is_string() {
            return Some(match self.reader.piece::<TriggerAuthWord>(auth, pointer)? {
                TriggerAuthWord::Token => TriggerAuth::Token,
                TriggerAuthWord::None => TriggerAuth::None,
            });
        }
        let signed = match self.tag(auth, pointer, "type", ["hmac", "standard-webhooks"])? {
            (0, rest) => {
                let document = self.reader.piece(&rest, pointer)?;
                self.hmac(document, pointer)?
            }
            (_, rest) => {
                let document: StandardWebhooksDocument = self.reader.piece(&rest, pointer)?;
                self.secrets(&document.secrets, pointer);
                let tolerance_ms = self.tolerance(document.tolerance.as_deref(), pointer);
                let StandardWebhooksDocument { connection, secrets, .. } = document;
                Signed { connection, secrets, tolerance_ms, scheme: Scheme::StandardWebhooks }
            }
        };
        Some(TriggerAuth::Signed(Box::new(signed)))
    }

    fn secrets(&mut self, secrets: &[String], pointer: &str) {
        // None, or too many, and the mistake is one of form.
        if !(1..=SECRETS_MAX).contains(&secrets.len()) {
            let message = format!("{} secrets; a path takes 1 to {SECRETS_MAX}", secrets.len());
            self.problem(Problem::error("TRIGGER_FORM", child(pointer, "secrets"), message));
        }
    }

    fn tolerance(&mut self, tolerance: Option<&str>, pointer: &str) -> u64 {
        let bounds = 1_000..=TOLERANCE_MS_MAX;
        self.duration(tolerance, &child(pointer, "tolerance"), bounds, None).unwrap_or(TOLERANCE_MS)
    }

    fn hmac(&mut self, document: HmacDocument, pointer: &str) -> Option<Signed> {
        let mut refuse = |at: &str, message: String| {
            self.reader.problems.push(Problem::error("TRIGGER_FORM", child(pointer, at), message));
        };
        if document.prefix.is_some() && document.field.is_some() {
            refuse("prefix", "a signature stands after a `prefix` or in a `field`, not both".to_owned());
        }
        if document.timestamp_header.is_some() && document.timestamp_field.is_some() {
            refuse("timestampField", "the time stands in a header or in a field, not both".to_owned());
        }
        if document.timestamp_field.is_some() && document.field.is_none() {
            refuse("timestampField", "the signature's header is no list: it has no `field`".to_owned());
        }
        for (at, name) in [("header", Some(&document.header)), ("timestampHeader", document.timestamp_header.as_ref())]
        {
            if let Some(name) = name.filter(|name| !is_header(name)) {
                refuse(at, format!("`{name}` is no header's name"));
            }
        }
        let timestamp = document.timestamp_field.map(TimestampAt::Field);
        let timestamp =
            timestamp.or(document.timestamp_header.map(|name| TimestampAt::Header(name.to_ascii_lowercase())));
        let usual = if timestamp.is_some() { "{timestamp}.{body}" } else { "{body}" };
        let signs = match parts(document.signs.as_deref().unwrap_or(usual)) {
            Ok(signs) => signs,
            Err(message) => {
                refuse("signs", message);
                return None;
            }
        };
        // A time that is not signed proves nothing, and one that is signed must come from somewhere.
        if signs.contains(&crate::flow::trigger::Part::Timestamp) != timestamp.is_some() {
            refuse("signs", "{timestamp} is signed where, and only where, a header or field has it".to_owned());
        }
        self.secrets(&document.secrets, pointer);
        let tolerance_ms = self.tolerance(document.tolerance.as_deref(), pointer);
        let at = match document.field {
            Some(field) => SignatureAt::Field(field),
            None => SignatureAt::After(document.prefix.unwrap_or_default()),
        };
        let scheme = Scheme::Hmac(Hmac {
            header: document.header.to_ascii_lowercase(),
            at,
            algorithm: document.algorithm.unwrap_or_default(),
            encoding: document.encoding.unwrap_or_default(),
            timestamp,
            signs,
        });
        Some(Signed { connection: document.connection, secrets: document.secrets, tolerance_ms, scheme })
    }

    fn dedupe(&mut self, text: &str, pointer: &str) -> Option<Dedupe> {
        if text.starts_with('=') {
            return self.expression(text, pointer, None, Sees::Input).map(Dedupe::By);
        }
        if !is_header(text) {
            let problem = Problem::error("TRIGGER_FORM", pointer, format!("`{text}` is no header's name"));
            self.problem(problem.fix("begin an expression with `=`"));
        }
        Some(Dedupe::Header(text.to_ascii_lowercase()))
    }

    fn trigger_message(&mut self, message: TriggerMessageDocument, pointer: &str) -> Option<TriggerMessage> {
        if !fits_message(&message.name, MESSAGE_NAME_BYTES_MAX) {
            let text = format!("a message's name has 1 to {MESSAGE_NAME_BYTES_MAX} bytes");
            self.problem(Problem::error("MESSAGE_NAME", child(pointer, "name"), text));
        }
        let ttl_ms = self.duration(message.ttl.as_deref(), &child(pointer, "ttl"), 0..=TTL_MS_MAX, None);
        let key = self.expression(&message.key, &child(pointer, "key"), None, Sees::Input);
        let id = message.id.and_then(|id| self.expression(&id, &child(pointer, "id"), None, Sees::Input));
        Some(TriggerMessage { name: message.name, key: key?, id, ttl_ms })
    }

    fn schedule(&mut self, document: ScheduleDocument, pointer: &str, others: &[Schedule]) -> Option<Schedule> {
        let name = document.name.unwrap_or_else(|| (others.len() + 1).to_string());
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || b"_-".contains(&letter);
        if !(1..=SCHEDULE_NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(letters) {
            let problem = Problem::error("SCHEDULE_NAME", child(pointer, "name"), format!("`{name}` is no name"));
            self.problem(problem.fix("use letters, digits, `_` and `-`, at most 64"));
        }
        if others.iter().any(|other| other.name == name) {
            let message = format!("two schedules are called `{name}`");
            self.problem(Problem::error("SCHEDULE_NAME", pointer, message).fix("give each a `name`"));
        }
        let timezone = match document.timezone {
            None => self.timezone,
            Some(zone) => zone.parse().unwrap_or_else(|_| {
                let problem =
                    Problem::error("TIMEZONE", child(pointer, "timezone"), format!("`{zone}` is no time zone"));
                self.problem(problem.fix("use an IANA name such as Asia/Shanghai"));
                self.timezone
            }),
        };
        let grace_ms = self.duration(document.grace.as_deref(), &child(pointer, "grace"), 0..=GRACE_MS_MAX, None);
        let input = self.schedule_input(&document.input.unwrap_or_default(), &child(pointer, "input"));
        let at = child(pointer, "schedule");
        let cron = match schedule::cron(&document.schedule) {
            Ok(cron) => cron,
            Err(error) => {
                let message = format!("`{}` is no schedule: {error}", document.schedule);
                let problem = Problem::error("SCHEDULE_CRON", at, message);
                self.problem(problem.fix("write minute, hour, day, month, weekday: `0 9 * * 1-5`"));
                return None;
            }
        };
        let schedule = Schedule {
            name,
            text: document.schedule,
            timezone,
            cron: Box::new(cron),
            input,
            missed: document.missed.unwrap_or_default(),
            grace_ms: grace_ms.unwrap_or(GRACE_MS),
        };
        if schedule.after(EPOCH_MS).is_none() {
            let message = format!("`{}` is never due", schedule.text);
            self.problem(Problem::error("SCHEDULE_NEVER", at, message).fix("no month has that day"));
        }
        Some(schedule)
    }

    /// The template, checked against the flow's input as far as it is literal.
    fn schedule_input(&mut self, source: &Value, pointer: &str) -> Template {
        let mut found: Vec<(String, Expr)> = Vec::new();
        let template = Template::compile(source, pointer, self.timezone, &mut self.reader.problems, &mut found);
        if found.is_empty()
            && let Some(schema) = self.input_schema.map(crate::schema::Schema::compile).and_then(Result::ok)
        {
            for problem in schema.check(source) {
                let at = format!("{pointer}{}", problem.pointer);
                self.problem(
                    Problem::error("SCHEDULE_INPUT", at, problem.message).fix("give what the flow's `input` asks for"),
                );
            }
        }
        let sees = Sees::Fields(Some(vec!["schedule".to_owned()]));
        let readings = found.into_iter();
        self.readings.extend(readings.map(|(pointer, expr)| Reading { node: None, pointer, expr, sees: sees.clone() }));
        template
    }
}

/// A name that a request can have a header of.
fn is_header(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter))
}
