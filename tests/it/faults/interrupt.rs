//! perfgate that is interrupted, in every phase.

use std::time::Duration;

use rustix::process::Signal;

use super::{Fault, LONG, MIDDLE, Scene};
use crate::support::wait_until;

/// A moment of a run: the stand-in stays in it until somebody acts.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) when: &'static str,
    pub(super) fault: Fault,
    /// What the stand-in tells when it is there; nothing for the very start.
    pub(super) event: Option<&'static str>,
    /// Repeats that are finished.
    pub(super) kept: usize,
}

const fn fault(name: &'static str, start: u32, request: u32) -> Fault {
    Fault {
        name,
        start,
        request,
    }
}

/// In the order of the page. Where the server ignores SIGTERM, the first signal starts its grace of 20 s.
pub(super) const MOMENTS: [Moment; 6] = [
    Moment {
        when: "the server is being started",
        fault: fault("never-ready", 1, 1),
        event: None,
        kept: 0,
    },
    Moment {
        when: "the server loads",
        fault: fault("never-ready", 1, 1),
        event: Some("start 1 asked for health"),
        kept: 0,
    },
    Moment {
        when: "warm-up",
        fault: fault("hangs", 1, 1),
        event: Some("start 1 request 2"),
        kept: 0,
    },
    Moment {
        when: "in a repeat",
        fault: fault("hangs", 1, MIDDLE),
        event: Some("start 1 request 10"),
        kept: 0,
    },
    Moment {
        when: "in the second repeat",
        fault: fault("hangs", 2, MIDDLE),
        event: Some("start 2 request 10"),
        kept: 1,
    },
    Moment {
        when: "between two repeats: the server is being stopped",
        fault: fault("ignores-sigterm", 1, 1),
        event: Some("start 1 asked to stop"),
        kept: 1,
    },
];

impl Moment {
    pub(super) fn wait(&self, scene: &Scene) {
        match self.event {
            Some(event) => scene.wait_for_event(event),
            None => wait_until("the start", Duration::from_secs(30), || {
                scene.stderr().contains("starting the server")
            }),
        }
    }

    /// Interrupts once, or twice where the server ignores that it shall end.
    fn interrupt(&self, signal: Signal) {
        let scene = Scene::new(self.fault, LONG);
        let mut bench = scene.bench();
        self.wait(&scene);
        bench.signal(signal);
        if self.fault.name == "ignores-sigterm" {
            wait_until("a word", Duration::from_secs(5), || {
                scene
                    .stderr()
                    .contains("stopping the server; Ctrl-C again to kill it at once")
            });
            std::thread::sleep(Duration::from_millis(400));
            assert!(bench.child.try_wait().unwrap().is_none());
            bench.signal(signal);
        }
        // Well below the grace of 20 s.
        wait_until("the end", Duration::from_secs(10), || {
            bench.child.try_wait().unwrap().is_some()
        });
        let code = bench.end();
        let stderr = scene.stderr();
        assert_eq!(code, Some(130), "{}: {stderr}", self.when);
        assert!(stderr.contains("error: interrupted"), "{stderr}");
        assert_eq!(scene.kept("out/result.json"), self.kept, "{stderr}");
        assert_eq!(
            stderr.contains("hint: earlier repeats are kept in `out/result.json`"),
            self.kept > 0,
            "{stderr}"
        );
    }
}

fn interrupt_with(signal: Signal) {
    for moment in MOMENTS {
        moment.interrupt(signal);
    }
}

#[test]
fn sigint_ends_every_phase_with_130_and_leaves_nothing() {
    interrupt_with(Signal::INT);
}

#[test]
fn sigterm_ends_every_phase_with_130_and_leaves_nothing() {
    interrupt_with(Signal::TERM);
}

#[test]
fn sighup_ends_every_phase_with_130_and_leaves_nothing() {
    interrupt_with(Signal::HUP);
}

#[test]
fn one_interrupt_waits_for_the_servers_grace_period_and_no_longer() {
    let scene = Scene::new(fault("ignores-sigterm", 1, 1), LONG);
    let mut bench = scene.bench();
    scene.wait_for_event("start 1 asked to stop");
    bench.signal(Signal::INT);
    assert_eq!(bench.end(), Some(130), "{}", scene.stderr());
    assert_eq!(scene.kept("out/result.json"), 1);
}
