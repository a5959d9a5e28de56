//! What perfgate does when something fails: every fault, in every phase of a run.
//!
//! Each row of the tables in `docs/reference/faults.md` is a test here; a test holds the page equal to the rows.

mod folder;
mod interrupt;
mod kill;
mod page;
mod server;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Running, command, json, processes_with, run, wait_until, write};

/// The stand-in for a server that fails.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/server.py");

/// Requests of the warm-up; those of the first repeat follow.
const WARM_UP: u32 = 4;

/// A request in the middle of a repeat.
const MIDDLE: u32 = WARM_UP + 6;

/// What the stand-in does wrong: its name for it, and from which request of which start on.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    start: u32,
    request: u32,
}

/// How patient the plan is.
#[derive(Clone, Copy)]
struct Patience {
    request: &'static str,
    ready: &'static str,
}

/// For faults that are waited for.
const SHORT: Patience = Patience {
    request: "1s",
    ready: "3s",
};

/// For faults that the test ends.
const LONG: Patience = Patience {
    request: "5m",
    ready: "5m",
};

/// Two repeats of sixteen requests on the stand-in, in a folder of its own.
struct Scene {
    folder: tempfile::TempDir,
    fault: Fault,
    /// By which the servers of this scene are found.
    mark: String,
}

impl Scene {
    fn new(fault: Fault, patience: Patience) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("mark-{}-{}", fault.name, folder.path().display());
        let Fault {
            name,
            start,
            request,
        } = fault;
        let plan = format!(
            "name: tiny\nmodel: tiny\n\
             server:\n  process:\n    command: [python3, \"{SERVER}\", \"{{port}}\", \"{name}\", \"{start}\", \"{request}\", \"{mark}\"]\n    ready_timeout: {}\n\
             num_requests: 12\nconcurrency: 4\nwarmup_requests: {WARM_UP}\ninput_tokens: 8\noutput_tokens: 8\nrepeat: 2\ntimeout: {}\n",
            patience.ready, patience.request
        );
        write(folder.path(), "perfgate.yaml", &plan);
        Self {
            folder,
            fault,
            mark,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts perfgate; what it says goes to a file.
    fn begin(&self, arguments: &[&str]) -> Perfgate<'_> {
        let stderr = std::fs::File::create(self.path().join("stderr")).unwrap();
        let child = command(self.path(), arguments)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Perfgate { scene: self, child }
    }

    fn bench(&self) -> Perfgate<'_> {
        self.begin(&["bench", "--output", "out/result.json"])
    }

    /// The stand-in as a server that somebody else runs, and its address.
    fn attached(&self) -> (Running, String) {
        let Fault {
            name,
            start,
            request,
        } = self.fault;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let server = Command::new("python3")
            .args([SERVER, &port.to_string(), name])
            .args([start.to_string(), request.to_string()])
            .current_dir(self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Running(server.unwrap());
        wait_until("the server", Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        (server, format!("http://127.0.0.1:{port}"))
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self.path().join("stderr")).unwrap_or_default()
    }

    fn events(&self) -> String {
        std::fs::read_to_string(self.path().join("events")).unwrap_or_default()
    }

    fn wait_for_event(&self, event: &str) {
        wait_until(event, Duration::from_secs(30), || {
            self.events().lines().any(|line| line == event)
        });
    }

    /// Repeats in the result, which must be one that `compare` reads.
    fn kept(&self, result: &str) -> usize {
        self.repeats(result).len()
    }

    /// The same without those that a busy machine made void, and that were measured again.
    fn counting(&self, result: &str) -> usize {
        let repeats = self.repeats(result);
        repeats
            .iter()
            .filter(|repeat| repeat["void"].is_null())
            .count()
    }

    fn repeats(&self, result: &str) -> Vec<serde_json::Value> {
        if !self.path().join(result).exists() {
            return Vec::new();
        }
        let ran = run(
            self.path(),
            &["compare", "--baseline", result, "--candidate", result],
        );
        // Too little for a verdict is one thing, a broken file another.
        assert!(matches!(ran.code, Some(0 | 3 | 4)), "{}", ran.stderr);
        let result = json(&self.path().join(result));
        result["scenarios"][0]["repeats"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Servers, and whatever else has the mark.
    fn left(&self) -> Vec<String> {
        processes_with(&self.mark)
    }
}

/// A perfgate that runs; killed when the test is over, whatever happens.
struct Perfgate<'a> {
    scene: &'a Scene,
    child: Child,
}

impl Perfgate<'_> {
    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// The guards of this perfgate.
    fn guards(&self) -> Vec<String> {
        processes_with(&format!("guard --of {} ", self.child.id()))
    }

    /// Waits for its end; the exit code, `None` after a signal. Nothing of it is left.
    fn end(&mut self) -> Option<i32> {
        wait_until("perfgate's end", Duration::from_mins(1), || {
            self.child.try_wait().unwrap().is_some()
        });
        let code = self.child.wait().unwrap().code();
        let left = [self.scene.left(), self.guards()].concat();
        assert!(left.is_empty(), "{left:?}\n{}", self.scene.stderr());
        code
    }
}

impl Drop for Perfgate<'_> {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Whether `text` has the pieces of `pattern` in their order; `…` stands for anything.
fn says(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('…').all(|piece| {
        let found = rest.find(piece);
        if let Some(at) = found {
            rest = &rest[at + piece.len()..];
        }
        found.is_some()
    })
}
