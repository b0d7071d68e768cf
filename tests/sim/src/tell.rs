//! What happened, in few words, for whoever reads a run that failed.

use stepwell_core::machine::{Event, Outcome};

/// The part of an instance's id that differs.
pub fn short(id: &str) -> &str {
    id.get(30..).unwrap_or(id)
}

pub fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { .. } => "done".to_owned(),
        Outcome::Waiting { message, key, .. } => format!("waits for {message}/{}", short(key)),
        Outcome::NeverRan => "never ran".to_owned(),
        Outcome::Failed(failure) => format!("{failure:?}").split(' ').next().unwrap_or_default().to_owned(),
        Outcome::Cut(cut) => format!("cut {:?}", cut.reason),
    }
}

pub fn event_text(event: &Event) -> String {
    match event {
        Event::NodeReturned { token, attempt, op, outcome } => {
            format!("{op:?} {token}.{attempt} {}", outcome_text(outcome))
        }
        Event::Started { .. } => "started".to_owned(),
        Event::MessageArrived { token, id, .. } => format!("message {id} to {token}"),
        Event::TimerFired { token, .. } => format!("timer of {token}"),
        Event::Commanded { command, .. } => format!("{command:?}"),
        Event::LimitReached { .. } | Event::Evaluated { .. } => format!("{event:?}"),
    }
}
