//! A place for the result that fails.

use std::process::{Command, Stdio};

use super::{Fault, MIDDLE, SHORT, Scene, says};
use crate::support::{program, write};

/// A row of the page.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) code: i32,
    pub(super) says: &'static str,
    pub(super) kept: usize,
}

const NO_FOLDER: Row = Row {
    what: "the folder cannot be made (found before a server is started)",
    code: 6,
    says: "error: cannot create `out`: …hint: free disk space or fix the permissions",
    kept: 0,
};

const READ_ONLY: Row = Row {
    what: "the folder is not writable (found before a server is started)",
    code: 6,
    says: "error: cannot write `out/result.json`: Read-only file system…hint: free disk space or fix the permissions",
    kept: 0,
};

const FULL: Row = Row {
    what: "the disk becomes full in the second repeat",
    code: 6,
    says: "error: cannot write `out/result.json`: No space left on device…hint: free disk space or fix the permissions…hint: earlier repeats are kept in `out/result.json`",
    kept: 1,
};

const REMOVED: Row = Row {
    what: "the folder is removed in the second repeat: it is made anew",
    code: 0,
    says: "result written to `out/result.json`",
    kept: 2,
};

/// All of them, in the order of the page.
pub(super) const ROWS: [Row; 4] = [NO_FOLDER, READ_ONLY, FULL, REMOVED];

impl Row {
    fn check(&self, scene: &Scene, code: Option<i32>, stderr: &str, result: &str) {
        assert_eq!(code, Some(self.code), "{stderr}");
        assert!(says(stderr, self.says), "{stderr}");
        let kept = if self.code == 0 {
            scene.counting(result)
        } else {
            scene.kept(result)
        };
        assert_eq!(kept, self.kept, "{stderr}");
        // What cannot be kept is not measured.
        assert_eq!(scene.events().is_empty(), self.kept == 0);
    }
}

const fn fault(name: &'static str, start: u32) -> Fault {
    Fault {
        name,
        start,
        request: MIDDLE,
    }
}

/// Runs a shell line with a mount table of its own, in which `out` is a file system of its own; what it said and its
/// code. `None`, said as skipped, where this user may not mount.
fn with_mount(scene: &Scene, options: &str, arguments: &str) -> Option<(i32, String)> {
    std::fs::create_dir(scene.path().join("out")).unwrap();
    let unshare = |line: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", line])
            .current_dir(scene.path())
            .stdin(Stdio::null());
        command
    };
    let mount = format!("mount -t tmpfs -o {options} none out");
    if !unshare(&mount)
        .output()
        .is_ok_and(|mounted| mounted.status.success())
    {
        eprintln!("skipped: this user may not mount a file system");
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI nothing may be skipped"
        );
        return None;
    }
    let program = program().display().to_string();
    // The result is taken out of the mount, which ends with the shell.
    let line = format!(
        "{mount} && {program} {arguments}; code=$?; cp out/result.json . 2>/dev/null; exit $code"
    );
    let output = unshare(&line).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(scene.left().is_empty(), "{stderr}");
    Some((output.status.code().unwrap(), stderr))
}

#[test]
fn a_disk_that_becomes_full_is_a_failure_of_the_surroundings_and_leaves_what_was_written() {
    let scene = Scene::new(fault("fills-the-disk", 2), SHORT);
    let Some((code, stderr)) = with_mount(&scene, "size=256k", "bench --output out/result.json")
    else {
        return;
    };
    FULL.check(&scene, Some(code), &stderr, "result.json");
}

#[test]
fn a_full_disk_also_ends_a_gate_with_its_reason() {
    let scene = Scene::new(fault("fills-the-disk", 2), SHORT);
    let Some((code, stderr)) = with_mount(&scene, "size=256k", "gate --output out") else {
        return;
    };
    assert_eq!(code, 6, "{stderr}");
    assert!(
        says(
            &stderr,
            "error: cannot write `out/evidence/…No space left on device…hint: free disk space"
        ),
        "{stderr}"
    );
}

#[test]
fn a_read_only_folder_is_found_before_a_server_is_started() {
    let scene = Scene::new(fault("none", 1), SHORT);
    let Some((code, stderr)) = with_mount(&scene, "ro", "bench --output out/result.json") else {
        return;
    };
    READ_ONLY.check(&scene, Some(code), &stderr, "result.json");
}

#[test]
fn an_output_folder_that_is_a_file_is_found_before_a_server_is_started() {
    let scene = Scene::new(fault("none", 1), SHORT);
    write(scene.path(), "out", "a file");
    let code = scene.bench().end();
    NO_FOLDER.check(&scene, code, &scene.stderr(), "out/result.json");
}

#[test]
fn a_deleted_output_folder_is_created_again() {
    let scene = Scene::new(fault("removes-the-folder", 2), SHORT);
    let code = scene.bench().end();
    REMOVED.check(&scene, code, &scene.stderr(), "out/result.json");
}
