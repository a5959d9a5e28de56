//! A real repository with a history whose commits have servers of their own, drawn from a seed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, program, scripted, write};

/// Rules for what a short run on a busy machine can tell.
const THRESHOLDS: &str = "\
version: 1
rules:
  tpot.p50: {regression: 5%, action: block}
";

/// What each commit says of its server, and a load of a third of a second.
pub(super) fn plan(server: &str) -> String {
    format!(
        "name: demo\nmodel: demo\nserver: {server}\nnum_requests: 24\nconcurrency: 8\ninput_tokens: 16\n\
         output_tokens: 16\nwarmup_requests: 8\nrepeat: 3\n"
    )
}

/// A simulator whose starts differ by 2 %, each start with a speed of its own.
pub(super) fn simulator(decode: f64, noise: &str) -> String {
    format!("{{simulator: {{noise: {noise}, decode-slowdown: {decode}, step-per-running: 10us}}}}")
}

/// The build that the commits have: a script that some of them broke.
pub(super) const BUILD: [&str; 2] = ["--build", "sh build.sh"];

/// A repository in a folder of its own.
pub(super) struct History {
    folder: tempfile::TempDir,
    /// Commits in the order in which they were made; the merged branches' own among them.
    pub(super) commits: Vec<String>,
}

impl History {
    pub(super) fn new() -> Self {
        let history = Self {
            folder: tempfile::tempdir().unwrap(),
            commits: Vec::new(),
        };
        history.git(&["init", "--quiet", "--initial-branch", "main"]);
        write(history.path(), "thresholds.yaml", THRESHOLDS);
        write(history.path(), "build.sh", "echo built > built\n");
        history
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where perfgate keeps what belongs to the search.
    pub(super) fn state(&self, file: &str) -> PathBuf {
        self.path().join(".git/perfgate-bisect").join(file)
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let ran = Ran::of(&git_command(self.path()).args(arguments).output().unwrap());
        ran.expect(0).stdout.trim().to_owned()
    }

    /// A commit of everything as it is, which `subject` makes unlike the one before.
    pub(super) fn commit(&mut self, subject: &str) -> String {
        write(self.path(), "notes.txt", subject);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", subject]);
        let id = self.git(&["rev-parse", "HEAD"]);
        self.commits.push(id.clone());
        id
    }

    pub(super) fn set_server(&self, server: &str) {
        write(self.path(), "perfgate.yaml", &plan(server));
    }

    /// Commits with these servers, one after the other.
    pub(super) fn of_servers(servers: &[String]) -> Self {
        let mut history = Self::new();
        for (index, server) in servers.iter().enumerate() {
            history.set_server(server);
            history.commit(&format!("change {index}"));
        }
        history
    }

    /// Runs `perfgate bisect` with these arguments at the top of the tree.
    pub(super) fn bisect(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.bisect_command(arguments).output().unwrap())
    }

    pub(super) fn bisect_command(&self, arguments: &[&str]) -> Command {
        let all: Vec<&str> = ["bisect"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let mut command = scripted(self.path(), &all);
        isolate(&mut command);
        command
    }

    /// `bisect start` from the first to the last commit.
    pub(super) fn start(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["start", &self.commits[0], "main"];
        arguments.extend(more);
        self.bisect(&arguments)
    }

    /// `git bisect run perfgate bisect` with these arguments.
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        let program = program();
        let mut command = git_command(self.path());
        command.env("PERFGATE_SCRIPT", "{}");
        command.args(["bisect", "run", program.to_str().unwrap(), "bisect"]);
        Ran::of(&command.args(arguments).output().unwrap())
    }
}

fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder);
    isolate(&mut command);
    command
}

/// Somebody writes the commits whatever the machine's configuration says, and submodules may be folders.
fn isolate(command: &mut Command) {
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ALLOW_PROTOCOL", "file");
    for (name, value) in [("NAME", "Ada Author"), ("EMAIL", "ada@example.org")] {
        command.env(format!("GIT_AUTHOR_{name}"), value);
        command.env(format!("GIT_COMMITTER_{name}"), value);
    }
}
