//! Handing a verdict to GitHub, against a server that answers as GitHub does.

mod accepting;
mod artifact;
mod described;
mod fake;
mod faults;
mod publishing;
mod statuses;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fake::{GitHub, HEAD, TOKEN};
use serde_json::{Value, json};

use crate::support::{Ran, run, scripted, wait_until, write};

/// A folder with a comparison of a head commit, an event, and GitHub.
struct Scene {
    folder: tempfile::TempDir,
    github: GitHub,
    event: &'static str,
    /// `GITHUB_SHA`: of a pull request's event the merge that GitHub made.
    sha: String,
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    /// A pull request of the same repository that was just pushed to; the candidate is slower by `factor`.
    fn new(factor: f64) -> Self {
        Self::at(factor, "")
    }

    fn at(factor: f64, prefix: &str) -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            github: GitHub::start(prefix),
            event: "pull_request",
            sha: "1".repeat(40),
            variables: Vec::new(),
        };
        scene.write_comparison("comparison.json", factor, Some(HEAD));
        scene.write_event(&event("synchronize", "acme/llm"));
        scene
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write_event(&self, event: &Value) {
        write(self.path(), "event.json", &event.to_string());
    }

    fn write_comparison(&self, name: &str, factor: f64, head: Option<&str>) {
        write(
            self.path(),
            name,
            &comparison(self.path(), factor, head).to_string(),
        );
    }

    /// Commits what is in the folder, but for what runs write, and makes that the head of the pull request.
    fn commit(&self) -> String {
        write(
            self.path(),
            ".gitignore",
            "out*\nevent.json\noutputs\nsummary\nbaselines\n",
        );
        let base = self.git(
            "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm base --allow-empty && git update-ref refs/remotes/origin/main HEAD && git rev-parse HEAD",
        );
        let head = self.git(
            "git -c user.name=t -c user.email=t@t commit -qm change --allow-empty && git rev-parse HEAD",
        );
        let mut event = event("synchronize", "acme/llm");
        event["pull_request"]["head"]["sha"] = json!(head);
        event["pull_request"]["base"]["sha"] = json!(base);
        self.write_event(&event);
        self.github.world().pull["head"]["sha"] = json!(head);
        head
    }

    fn git(&self, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `perfgate comment` in a step of GitHub Actions.
    fn comment(&self, more: &[&str]) -> Ran {
        self.perfgate(&[&["comment", "comparison.json"], more].concat())
    }

    fn perfgate(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        self.ended(&output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = scripted(self.path(), arguments);
        command
            .env("GITHUB_TOKEN", TOKEN)
            .env("GITHUB_REPOSITORY", "acme/llm")
            .env("GITHUB_API_URL", self.github.address())
            .env("GITHUB_SERVER_URL", "https://github.test")
            .env("GITHUB_EVENT_NAME", self.event)
            .env("GITHUB_EVENT_PATH", self.path().join("event.json"))
            .env("GITHUB_OUTPUT", self.path().join("outputs"))
            .env("GITHUB_SHA", &self.sha)
            .env("GITHUB_RUN_ID", "100")
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("PERFGATE_GITHUB_SECOND_MS", "1")
            .env("NO_PROXY", "127.0.0.1");
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// What came of it; whatever it was, the token is nowhere and GitHub was asked what it can be asked.
    fn ended(&self, output: &Output) -> Ran {
        let ran = Ran::of(output);
        self.token_is_nowhere(&ran);
        described::check(&self.github.world().seen);
        ran
    }

    fn token_is_nowhere(&self, ran: &Ran) {
        let secret = &TOKEN[8..];
        assert!(
            !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        for text in files_below(self.path()) {
            assert!(!String::from_utf8_lossy(&text).contains(secret));
        }
        let sent = self
            .github
            .world()
            .seen
            .iter()
            .filter_map(|seen| seen.body.clone())
            .any(|body| body.to_string().contains(secret));
        assert!(!sent, "the token stands in what was sent");
    }

    fn outputs(&self) -> String {
        std::fs::read_to_string(self.path().join("outputs")).unwrap_or_default()
    }

    /// The one comment of ours.
    fn own(&self) -> String {
        let own = self.github.own();
        assert_eq!(own.len(), 1, "{own:#?}");
        own.into_iter().next().unwrap()
    }
}

fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.is_file() {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

/// A comparison whose candidate is slower by `factor`, of that head.
fn comparison(folder: &Path, factor: f64, head: Option<&str>) -> Value {
    write(
        folder,
        "old.json",
        &crate::support::result(&[1.0, 1.005, 0.995]),
    );
    let slower = [factor, factor * 1.005, factor * 0.995_01];
    write(folder, "new.json", &crate::support::result(&slower));
    let ran = run(
        folder,
        &[
            "compare",
            "--baseline",
            "old.json",
            "--candidate",
            "new.json",
            "--format",
            "json",
        ],
    );
    let mut comparison: Value = serde_json::from_str(&ran.stdout).unwrap();
    comparison["name"] = json!("demo");
    if let Some(head) = head {
        comparison["head"] = json!(head);
    }
    comparison
}

/// The event of a pull request from that repository.
fn event(action: &str, home: &str) -> Value {
    json!({
        "action": action, "number": 7,
        "pull_request": {
            "number": 7, "updated_at": "2026-11-28T03:00:01Z", "body": "Speeds up decoding.",
            "head": {"sha": HEAD, "ref": "faster", "repo": {"id": 1, "full_name": home}},
            "base": {"sha": "0".repeat(40), "ref": "main", "repo": {"id": 1, "full_name": "acme/llm"}}
        },
        "repository": {"id": 1, "full_name": "acme/llm"}
    })
}

#[test]
fn an_interrupt_ends_the_publishing_and_keeps_the_verdict() {
    let scene = Scene::new(1.10);
    scene.github.fail("GET comments", 1, fake::Fault::Hang);
    let child = scene
        .command(&["comment", "comparison.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the question", Duration::from_secs(20), || {
        scene.github.count("GET", "comments") == 1
    });
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let ran = scene.ended(&child.wait_with_output().unwrap()).expect(1);
    assert!(
        ran.stderr.contains("publishing was interrupted"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("BLOCK: do not merge"), "{}", ran.stdout);
}
