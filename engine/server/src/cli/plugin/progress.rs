//! What is under way, in the terminal's last line; nothing where there is no terminal.

use std::cmp::Ordering;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const REDRAWN_EVERY: Duration = Duration::from_millis(100);
const BAR_CHARS: u64 = 30;
const LINE_CHARS: usize = 78;

/// A step of unknown length: its name, the seconds so far, its last word.
pub(super) struct Line {
    last: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
    drawing: Option<JoinHandle<()>>,
}

impl Line {
    pub(super) fn new(what: &str) -> Self {
        let (last, over) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicBool::new(false)));
        let drawing = std::io::stderr().is_terminal().then(|| {
            let (what, last, over, begun) = (what.to_owned(), Arc::clone(&last), Arc::clone(&over), Instant::now());
            thread::spawn(move || {
                while !over.load(atomic::Ordering::Acquire) {
                    let last = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    draw(&format!("{what} {:.1} s  {last}", begun.elapsed().as_secs_f64()));
                    thread::park_timeout(REDRAWN_EVERY);
                }
                draw("");
            })
        });
        Self { last, over, drawing }
    }

    pub(super) fn say(&self, text: &str) {
        text.trim().clone_into(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.over.store(true, atomic::Ordering::Release);
        if let Some(drawing) = self.drawing.take() {
            drawing.thread().unpark();
            let _ = drawing.join();
        }
    }
}

/// A bar of how much of a whole is done.
pub(super) fn bar(what: &str, done: u64, of: u64) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let full = (done * BAR_CHARS).checked_div(of).unwrap_or(BAR_CHARS).min(BAR_CHARS);
    let drawn: String = (0..BAR_CHARS).map(|at| if at < full { '█' } else { '░' }).collect();
    draw(&format!("{what} {drawn} {} of {}", bytes(done), bytes(of)));
}

/// A bar of steps that follow one another: how many are behind, the name of the one under way, the time so far.
pub(super) fn stages(all: &[&str], at: &str, so_far: Duration) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let nth = all.iter().position(|one| *one == at).unwrap_or_default();
    let part = |one: usize| match one.cmp(&nth) {
        Ordering::Less => "██",
        Ordering::Equal => "▓▓",
        Ordering::Greater => "░░",
    };
    let drawn: String = (0..all.len()).map(part).collect();
    draw(&format!("push {drawn} {at} {:.1} s", so_far.as_secs_f64()));
}

/// Takes the line away.
pub(super) fn clear() {
    if std::io::stderr().is_terminal() {
        draw("");
    }
}

fn draw(line: &str) {
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(LINE_CHARS).collect();
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush());
}

/// A size for people.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}
