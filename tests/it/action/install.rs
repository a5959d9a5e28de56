//! Where the action takes perfgate from: only bytes that it pins, and never something else instead.

use std::path::Path;
use std::process::Command;

use super::runner::{Job, Runner};
use crate::support::write;

const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

/// An action with a release in a folder that stands for the server of GitHub.
struct Released {
    runner: Runner,
}

impl Released {
    /// Release 1.2.3, whose perfgate only says its version; `pinned` is what the action holds for its checksum.
    fn new(pinned: impl FnOnce(String) -> String) -> Self {
        let mut runner = Runner::new();
        let archive = format!("perfgate-1.2.3-{TARGET}.tar.gz");
        let release = runner
            .path()
            .join("github/me/perfgate/releases/download/v1.2.3");
        write(&release, "perfgate", "#!/bin/sh\necho perfgate 1.2.3\n");
        let release_shown = release.display();
        let checksum = shell(&format!(
            "cd '{release_shown}' && chmod +x perfgate && tar -czf {archive} perfgate && rm perfgate && sha256sum {archive}"
        ));
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let action = runner.path().join("action");
        shell(&format!(
            "mkdir -p '{0}' && cp -r '{1}/action' '{1}/action.yml' '{0}'",
            action.display(),
            here.display()
        ));
        let checksums = format!("# a remark\n{}", pinned(checksum));
        write(&action, "action/checksums.txt", &checksums);
        runner.action = action;
        let server = format!("file://{}", runner.path().join("github").display());
        runner
            .environment
            .push(("GITHUB_SERVER_URL".to_owned(), server));
        // No gh of this machine is asked.
        runner.put_program("gh", "exit 1");
        Self { runner }
    }

    fn install(&self, more: &[(&str, &str)]) -> Job {
        let mut inputs = vec![("command", "install")];
        inputs.extend(more);
        self.runner.run(&inputs)
    }
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(job: &Job, message: &str) {
    assert!(job.failed && job.codes["install"] == 2, "{}", job.log);
    assert!(job.log.contains("::error title=perfgate::"), "{}", job.log);
    assert!(job.log.contains(message), "{}", job.log);
    assert!(
        !job.log.contains("perfgate 1.2.3\n"),
        "it was run: {}",
        job.log
    );
}

#[test]
fn a_release_with_the_pinned_checksum_is_installed() {
    for version in ["", "1.2.3", "v1.2.3"] {
        let job = Released::new(|pinned| pinned).install(&[("version", version)]);
        assert!(!job.failed, "{}", job.log);
        assert!(job.log.contains("perfgate 1.2.3\n"), "{}", job.log);
        assert!(
            job.log
                .contains("::warning title=perfgate::the attestation was not verified"),
            "{}",
            job.log
        );
        assert!(job.used.is_empty());
    }
}

#[test]
fn the_first_line_of_the_pins_is_the_release_that_is_installed() {
    let older = format!("{}  perfgate-1.0.0-{TARGET}.tar.gz\n", "0".repeat(64));
    let job = Released::new(|pinned| pinned + &older).install(&[]);
    assert!(job.log.contains("perfgate 1.2.3\n"), "{}", job.log);
}

#[test]
fn the_release_is_that_of_the_actions_repository_and_not_of_the_one_that_uses_it() {
    let mut released = Released::new(|pinned| pinned);
    let path = format!("releases/download/v1.2.3/perfgate-1.2.3-{TARGET}.tar.gz\n");
    let job = released.install(&[]);
    let of_action = format!("/github/me/perfgate/{path}");
    assert!(!job.failed && job.log.contains(&of_action), "{}", job.log);

    // `uses: ./`: the action is in the repository that uses it, which has no such release here.
    released.runner.repository = "";
    let own = format!("/github/me/serving/{path}");
    let job = released.install(&[]);
    assert!(job.log.contains(&own), "{}", job.log);
    refused(&job, "cannot download file:///");
}

/// Another checksum of the same file.
fn another(mut pinned: String) -> String {
    let first = if pinned.starts_with('0') { "1" } else { "0" };
    pinned.replace_range(..1, first);
    pinned
}

#[test]
fn other_bytes_than_the_pinned_ones_are_refused() {
    refused(
        &Released::new(another).install(&[]),
        "does not match the checksum that this action pins: its SHA-256 is ",
    );
}

#[test]
fn a_release_that_is_not_pinned_is_refused_before_anything_is_downloaded() {
    for version in ["9.9.9", "1.2.3/../..", "$(touch x)", "1.2"] {
        let job = Released::new(|pinned| pinned).install(&[("version", version)]);
        refused(
            &job,
            if version.contains('/') || version.contains('$') {
                "is not a version"
            } else {
                "pins no release"
            },
        );
        assert!(!job.log.contains("downloading"), "{}", job.log);
    }
    let job = Released::new(|_none| String::new()).install(&[]);
    refused(&job, "(pinned: none)");
    assert!(
        job.log.contains("`install: source`") && job.log.contains("`install: path`"),
        "{}",
        job.log
    );
}

#[test]
fn a_release_that_cannot_be_downloaded_is_an_error_and_nothing_else_is_taken() {
    let released = Released::new(|pinned| pinned);
    std::fs::remove_dir_all(released.runner.path().join("github")).unwrap();
    refused(&released.install(&[]), "cannot download file:///");
}

#[test]
fn an_attestation_that_does_not_verify_is_refused() {
    let knows_attestations =
        "[ \"$2\" = --help ] && exit 0; printf '%s ' \"$@\" >\"$GITHUB_WORKSPACE/asked\";";
    for (answer, verifies) in [
        ("exit 0", true),
        ("echo no attestations found >&2; exit 1", false),
    ] {
        let released = Released::new(|pinned| pinned);
        released
            .runner
            .put_program("gh", &format!("{knows_attestations} {answer}"));
        let job = released.install(&[]);
        if verifies {
            assert!(!job.failed && !job.log.contains("::warning"), "{}", job.log);
        } else {
            refused(&job, "is not valid for the release workflow");
        }
        let asked = std::fs::read_to_string(released.runner.workspace().join("asked")).unwrap();
        assert!(asked.starts_with("attestation verify /"), "{asked}");
        let of = "--repo me/perfgate --signer-workflow me/perfgate/.github/workflows/release.yml";
        assert!(asked.contains(of), "{asked}");
    }
}

#[test]
fn a_mirror_serves_the_same_bytes_or_none() {
    let mirrored = |pinned: fn(String) -> String| {
        let mut released = Released::new(pinned);
        let at = released
            .runner
            .path()
            .join("github/me/perfgate/releases/download/v1.2.3");
        let mirror = (
            "PERFGATE_DOWNLOAD_URL".to_owned(),
            format!("file://{}", at.display()),
        );
        released.runner.environment = vec![mirror];
        released.install(&[])
    };
    let job = mirrored(|pinned| pinned);
    assert!(job.log.contains("perfgate 1.2.3\n"), "{}", job.log);
    refused(
        &mirrored(another),
        "does not match the checksum that this action pins",
    );
}

#[test]
fn the_perfgate_on_the_path_is_used_if_the_input_requests_it() {
    let runner = Runner::new();
    let job = runner.run(&[("command", "install"), ("install", "path")]);
    assert!(
        job.log
            .contains(&format!("perfgate {}", env!("CARGO_PKG_VERSION"))),
        "{}",
        job.log
    );

    std::fs::remove_file(runner.path().join("bin/perfgate")).unwrap();
    let job = runner.run(&[("install", "path")]);
    refused(&job, "needs perfgate on the PATH, but it is missing");
    assert!(!job.codes.contains_key("run") && job.used.is_empty());
}

#[test]
fn a_build_from_source_is_of_this_commit_and_its_locked_dependencies() {
    let released = Released::new(|pinned| pinned);
    let cargo = "printf '%s ' \"$@\"; folder=${@: -1}; mkdir \"$folder/bin\"; printf '#!/bin/sh\\necho built\\n' >\"$folder/bin/perfgate\"; chmod +x \"$folder/bin/perfgate\"";
    released.runner.put_program("cargo", cargo);
    let job = released.install(&[("install", "source")]);
    let called = format!(
        "install --locked --path {}/action/.. --root ",
        released.runner.action.display()
    );
    assert!(
        job.log.contains(&called) && job.log.contains("built\n"),
        "{}",
        job.log
    );

    refused(
        &released.install(&[("install", "download")]),
        "install: `download` is not one of release, source, path",
    );
}
