//! Open tasks as a store keeps them: put out and taken back by commits, claimed and locked between them.
//!
//! Not here: whether what is done with them is right (`book`).

use std::sync::Arc;

use stepwell_core::machine::{OpenTask, State, TokenId};
use stepwell_runtime::journal::TaskMoves;

use super::Store;

/// A task that is open.
#[derive(Debug, Clone)]
pub struct Open {
    pub task: OpenTask,
    pub assignee: Option<String>,
    pub worker: Option<String>,
    pub locked_ms: Option<u64>,
}

/// Which task: instance and token.
pub type TaskId = (Arc<str>, TokenId);

/// What became of a claim or a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grasp {
    Held,
    /// It is somebody else's.
    Taken,
    /// It is not open, or not in this attempt.
    Gone,
}

impl Store {
    pub(super) fn move_tasks(&mut self, instance: &Arc<str>, moves: &TaskMoves) {
        for &token in &moves.gone {
            self.tasks.remove(&(instance.clone(), token));
        }
        for task in &moves.open {
            let id = (instance.clone(), task.token);
            let before = self.tasks.remove(&id);
            let assignee = before.as_ref().and_then(|one| one.assignee.clone());
            let held = before.filter(|one| one.task.attempt == task.attempt);
            let (worker, locked_ms) = held.map_or((None, None), |one| (one.worker, one.locked_ms));
            self.tasks.insert(id, Open { task: task.clone(), assignee, worker, locked_ms });
        }
    }

    /// Whether somebody could do it now.
    pub fn is_offered(&self, id: &TaskId) -> bool {
        let state = self.rows.get(&id.0).map(|row| row.header.state);
        matches!(state, Some(State::Running | State::Waiting | State::Incident))
    }

    /// Gives a worker the oldest tasks that are nobody's just now.
    pub fn fetch(&mut self, worker: &str, locked_ms: u64, now_ms: u64, limit: usize) -> Vec<(TaskId, OpenTask)> {
        let free = |(id, open): &(&TaskId, &Open)| {
            open.task.topic.is_some() && open.locked_ms.is_none_or(|end| end <= now_ms) && self.is_offered(id)
        };
        let mut found: Vec<(u64, TaskId)> =
            self.tasks.iter().filter(free).map(|(id, open)| (open.task.since_ms, id.clone())).collect();
        found.sort();
        found.truncate(limit);
        let mut fetched = Vec::new();
        for (_, id) in found {
            if let Some(open) = self.tasks.get_mut(&id) {
                (open.worker, open.locked_ms) = (Some(worker.to_owned()), Some(locked_ms));
                fetched.push((id, open.task.clone()));
            }
        }
        fetched
    }

    /// Makes a worker's lock last until then; one that is over can be had again while nobody else has the task.
    pub fn extend(&mut self, id: &TaskId, attempt: u32, worker: &str, locked_ms: u64) -> Grasp {
        match self.tasks.get_mut(id).filter(|open| open.task.attempt == attempt) {
            None => Grasp::Gone,
            Some(open) if open.worker.as_deref() == Some(worker) => {
                open.locked_ms = Some(locked_ms);
                Grasp::Held
            }
            Some(_) => Grasp::Taken,
        }
    }

    /// Makes a person's task somebody's, if it is nobody's yet.
    pub fn claim(&mut self, id: &TaskId, who: &str) -> Grasp {
        match self.tasks.get_mut(id).filter(|open| open.task.topic.is_none()) {
            None => Grasp::Gone,
            Some(open) if open.assignee.as_deref().is_none_or(|other| other == who) => {
                open.assignee = Some(who.to_owned());
                Grasp::Held
            }
            Some(_) => Grasp::Taken,
        }
    }
}
