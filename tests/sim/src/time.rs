//! Simulated time: it stands still while anything can run, and then jumps to the next thing that is due.
//!
//! Invariant: whoever waits for the same moment is woken in the order in which they began to wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Clones share the time.
#[derive(Clone, Default)]
pub struct Time(Arc<Mutex<Due>>);

#[derive(Default)]
struct Due {
    now_ms: u64,
    next: u64,
    waiting: BTreeMap<(u64, u64), Waker>,
    /// Of [`Time::turn`].
    hand: Option<Waker>,
}

impl Time {
    fn due(&self) -> MutexGuard<'_, Due> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the beginning of the run.
    pub fn now_ms(&self) -> u64 {
        self.due().now_ms
    }

    pub fn sleep(&self, ms: u64) -> Sleep {
        let due_ms = self.now_ms().saturating_add(ms);
        Sleep { time: self.clone(), due_ms, place: None }
    }

    /// To be spawned: keeps the thread from resting when those who were woken have gone.
    pub(crate) async fn turn(self) {
        std::future::poll_fn::<(), _>(|context| {
            self.due().hand = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Nothing can run: goes on to what is due next. To be called when the only thread is about to rest.
    pub(crate) fn advance(&self) {
        let mut woken = Vec::new();
        {
            let mut due = self.due();
            let Some((&(at, _), _)) = due.waiting.first_key_value() else { return };
            due.now_ms = due.now_ms.max(at);
            while let Some(first) = due.waiting.first_entry()
                && first.key().0 == at
            {
                woken.push(first.remove());
            }
            woken.extend(due.hand.take());
        }
        for waker in woken {
            waker.wake();
        }
    }
}

/// Ends when its time has come.
pub struct Sleep {
    time: Time,
    due_ms: u64,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut due = time.due();
        if due.now_ms >= self.due_ms {
            return Poll::Ready(());
        }
        let place = if let Some(place) = self.place {
            place
        } else {
            due.next += 1;
            self.place = Some(due.next);
            due.next
        };
        due.waiting.insert((self.due_ms, place), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.time.due().waiting.remove(&(self.due_ms, place));
        }
    }
}
