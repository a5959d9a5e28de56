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
    once: BTreeSet<String>,
    /// The current request counter.
    counting: Option<Counting>,
    /// Repeats the phase during a wait.
    reminder: Option<Background>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn show(&self, event: &Event) {
        let mut state = locked(&self.state);
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
                state.counting = Some(Counting::begin(Counter {
                    bar: self.has_bars.then(|| bar(&label, *total)),
                    label,
                    total: *total,
                    done: Arc::clone(done),
                }));
            }
            Progress::Sent { finished } => {
                // Without its bar, one line shows the final count.
                let counter = state.counting.take().map(|ended| ended.counter.clone());
                if let (Some(counter), true) = (counter, finished) {
                    counter.show();
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
            Line::Once(about, text) => self.once.insert(about).then_some(text),
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
        let phase = &locked(&state).phase;
        note(&format!("{phase} (still waiting after {minutes} min)"));
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
#[derive(Clone)]
struct Counter {
    bar: Option<ProgressBar>,
    label: String,
    total: usize,
    done: Arc<AtomicUsize>,
}

impl Counter {
    fn show(&self) {
        let done = self.done.load(Ordering::Relaxed);
        note(&format!("{}: {done}/{} requests", self.label, self.total));
    }

    /// Shows how `done` approaches `total`.
    async fn follow(self) {
        let interval = if self.bar.is_some() {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        };
        let mut ticks = tokio::time::interval(interval);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match &self.bar {
                Some(bar) => bar.set_position(self.done.load(Ordering::Relaxed) as u64),
                None => self.show(),
            }
        }
    }
}

/// Follows a counter until it is dropped.
struct Counting {
    _task: Option<Background>,
    counter: Counter,
}

impl Counting {
    fn begin(counter: Counter) -> Self {
        Self {
            _task: Background::spawn(counter.clone().follow()),
            counter,
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(bar) = &self.counter.bar {
            bar.finish_and_clear();
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
