//! Progress on stderr: a bar on a terminal, a plain line now and then elsewhere.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

pub(crate) use super::note;
use super::screen;
use crate::terminal;

/// How often a bar moves.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// How often a plain line is written: a log of an hour stays readable.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a line repeats what perfgate waits for.
const REMIND_INTERVAL: Duration = Duration::from_mins(1);

/// Where progress goes.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    /// What was said last, and what is to be said once.
    said: Mutex<(String, BTreeSet<String>)>,
}

impl Progress {
    pub(crate) fn new(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            terminal: screen::stderr_can_redraw(environment),
            said: Mutex::default(),
        }
    }

    /// A line that is said at most once a run.
    pub(crate) fn note_once(&self, text: &str) {
        self.note_first(text, text);
    }

    /// A line that is said at most once a run, whatever words a later one about the same thing has.
    pub(crate) fn note_first(&self, about: &str, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.1.insert(about.to_owned()) {
            note(text);
        }
    }

    /// What is being waited for; the same thing twice is said once.
    pub(crate) fn phase(&self, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.0 != text {
            text.clone_into(&mut said.0);
            note(text);
        }
    }

    /// Does the work. While it takes longer than that, repeats the last message, so that a log shows that perfgate still
    /// waits, and for what.
    pub(crate) async fn reminding<T>(&self, work: impl Future<Output = T>) -> T {
        // On the heap: it holds a whole start, and so would everybody who waits for it.
        let mut work = Box::pin(work);
        let began = tokio::time::Instant::now();
        let mut reminders = tokio::time::interval_at(began + REMIND_INTERVAL, REMIND_INTERVAL);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = reminders.tick() => {
                    let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                    let minutes = began.elapsed().as_secs() / REMIND_INTERVAL.as_secs();
                    note(&format!("{} (still, after {minutes} min)", said.0));
                }
            }
        }
    }

    /// Shows how `done` approaches `total` until it is finished or dropped.
    pub(crate) fn count(&self, label: &str, total: usize, done: &Arc<AtomicUsize>) -> Counting {
        let bar = self.terminal.then(|| bar(label, total));
        let interval = if self.terminal {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        };
        let task = tokio::spawn(follow(
            label.to_owned(),
            total,
            Arc::clone(done),
            bar.clone(),
            interval,
        ));
        Counting {
            task,
            bar,
            label: label.to_owned(),
            total,
            done: Arc::clone(done),
        }
    }
}

/// A count that is being shown.
#[derive(Debug)]
pub(crate) struct Counting {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
    label: String,
    total: usize,
    done: Arc<AtomicUsize>,
}

impl Counting {
    /// Leaves one line that says how far it came.
    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        note(&format!(
            "{}: {}/{} requests",
            self.label,
            self.done.load(Ordering::Relaxed),
            self.total
        ));
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn follow(
    label: String,
    total: usize,
    done: Arc<AtomicUsize>,
    bar: Option<ProgressBar>,
    interval: Duration,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let done = done.load(Ordering::Relaxed);
        match &bar {
            Some(bar) => bar.set_position(done as u64),
            None => note(&format!("{label}: {done}/{total} requests")),
        }
    }
}

fn bar(label: &str, total: usize) -> ProgressBar {
    let bar = terminal::add_bar(ProgressBar::new(total as u64), label);
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
