//! Shows events of a run on stderr: a progress bar on a terminal, otherwise a plain line at intervals.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub(crate) use super::note;
use super::screen;
use super::wording::lines;
use super::wording::run::{Line, load_label};
use crate::event::{Event, Events, Progress};
use crate::terminal;

/// Update interval of a bar.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// Interval of plain lines, so that long logs stay readable.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Interval of reminder lines during a wait.
const REMIND_INTERVAL: Duration = Duration::from_mins(1);

/// Events shown on stderr. Once-per-run messages appear once per receiver.
pub(crate) fn on_stderr(environment: &dyn Fn(&str) -> Option<String>) -> Events {
    let shown = Shown {
        has_bars: screen::stderr_can_redraw(environment),
        state: Arc::default(),
    };
    Events::to(move |event| shown.show(&event))
}

/// State of stderr.
struct Shown {
    /// Whether stderr is a terminal that can redraw a bar.
    has_bars: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The last shown phase.
    phase: String,
    /// Topics of once-per-run messages that are already shown.
    said: BTreeSet<String>,
    /// The current request counter.
    counting: Option<Counting>,
    /// Repeats the phase during a wait.
    reminder: Option<Background>,
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, event: &Event) {
        let mut state = self.state();
        if let Event::Progress(progress) = event {
            self.show_progress(progress, &mut state);
        }
        for line in lines(event) {
            if let Some(text) = state.not_yet_shown(line) {
                note(&text);
            }
        }
    }

    fn show_progress(&self, progress: &Progress, state: &mut State) {
        match progress {
            Progress::WaitBegins => {
                state.reminder = Background::spawn(remind(Arc::clone(&self.state)));
            }
            Progress::WaitEnds => state.reminder = None,
            Progress::Sending {
                repeat,
                load,
                part,
                total,
                done,
            } => {
                let label = load_label(repeat, load, *part);
                state.counting = Some(Counting::begin(label, *total, done, self.has_bars));
            }
            Progress::Sent { finished } => {
                if let (Some(counting), true) = (state.counting.take(), finished) {
                    counting.finish();
                }
            }
        }
    }
}

impl State {
    /// The text, unless it is already shown.
    fn not_yet_shown(&mut self, line: Line) -> Option<String> {
        match line {
            Line::Always(text) => Some(text),
            Line::Phase(text) => (self.phase != text).then(|| {
                self.phase.clone_from(&text);
                text
            }),
            Line::Once(about, text) => self.said.insert(about).then_some(text),
        }
    }
}

/// Reminds in logs that perfgate still waits, and for what.
async fn remind(state: Arc<Mutex<State>>) {
    let began = tokio::time::Instant::now();
    let mut reminders = tokio::time::interval_at(began + REMIND_INTERVAL, REMIND_INTERVAL);
    loop {
        reminders.tick().await;
        let minutes = began.elapsed().as_secs() / REMIND_INTERVAL.as_secs();
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        note(&format!(
            "{} (still waiting after {minutes} min)",
            state.phase
        ));
    }
}

/// A task that ends when this value is dropped.
struct Background(JoinHandle<()>);

impl Background {
    /// `None` outside of a runtime.
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        Some(Self(runtime.spawn(task)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A visible request counter.
struct Counting {
    _task: Option<Background>,
    bar: Option<ProgressBar>,
    label: String,
    total: usize,
    done: Arc<AtomicUsize>,
}

impl Counting {
    /// Shows how `done` approaches `total` until it is finished or dropped.
    fn begin(label: String, total: usize, done: &Arc<AtomicUsize>, has_bar: bool) -> Self {
        let bar = has_bar.then(|| bar(&label, total));
        let following = follow(label.clone(), total, Arc::clone(done), bar.clone());
        Self {
            _task: Background::spawn(following),
            bar,
            label,
            total,
            done: Arc::clone(done),
        }
    }

    /// Ends with one line that shows the final count.
    fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let done = self.done.load(Ordering::Relaxed);
        note(&format!("{}: {done}/{} requests", self.label, self.total));
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn follow(label: String, total: usize, done: Arc<AtomicUsize>, bar: Option<ProgressBar>) {
    let interval = if bar.is_some() {
        BAR_INTERVAL
    } else {
        LINE_INTERVAL
    };
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
