//! `perfgate init`: what it writes works as it is.

use std::path::Path;
use std::process::Command;

use crate::support::{command, run, write};

/// A repository with a remote, in which nothing of this machine is found.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["init", "--quiet", "--initial-branch", "trunk"][..],
        &[
            "remote",
            "add",
            "origin",
            "git@github.com:me/Serving_Stack.git",
        ],
    ] {
        let done = Command::new("git")
            .args(arguments)
            .current_dir(folder.path())
            .status();
        assert!(done.unwrap().success());
    }
    folder
}

/// Init on a machine without a GPU.
fn init(folder: &Path, more: &[&str]) -> crate::support::Ran {
    let mut arguments = vec!["init"];
    arguments.extend(more);
    let mut command = command(folder, &arguments);
    command.env("PERFGATE_NVML_LIBRARY", "libno-such-ml.so.9");
    command.env("PATH", "/usr/bin:/bin");
    crate::support::Ran::of(&command.output().unwrap())
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn what_it_writes_gates_the_embedded_server_end_to_end() {
    let folder = repository();
    let at = folder.path();
    insta::assert_snapshot!(init(at, &["--simulator"]).expect(0).stdout, @r"
    wrote    perfgate.yaml
    wrote    thresholds.yaml
    wrote    .github/workflows/perfgate.yml
    added    /perfgate-out/ to .gitignore

    Next:
      1. perfgate doctor   can this machine measure it?
      2. perfgate bench --output baselines/serving_stack/simulated-gpu-80gb.json   on trunk, and commit that file: the accepted run
      3. perfgate gate   measures and compares; it passes where nothing became slower
      4. in .github/workflows/perfgate.yml, put the repository and the commit of a perfgate release for `uses: OWNER/perfgate@0000…`
      5. commit all of it, open a pull request against trunk, and make the status `perfgate` required there
    ");
    run(
        at,
        &[
            "bench",
            "--output",
            "baselines/serving_stack/simulated-gpu-80gb.json",
        ],
    )
    .expect(0);
    run(at, &["gate"]).expect(0);
    run(at, &["gate", "--simulator", "slowdown=1.15"]).expect(1);
    assert_eq!(read(at, ".gitignore"), "/perfgate-out/\n");
}

#[test]
fn what_the_repository_says_is_not_asked_for() {
    let folder = repository();
    let at = folder.path();
    write(
        at,
        "Dockerfile",
        "FROM vllm/vllm-openai:v0.31.0\nRUN pip install ours\nCMD [\"--model\", \"Qwen/Qwen3-8B\"]\n",
    );
    let said = init(at, &["--action", "me/perfgate@0123"]).expect(0).stdout;
    let plan = perfgate::config::read_plan("perfgate.yaml", &read(at, "perfgate.yaml")).unwrap();
    assert_eq!(
        (plan.name.as_str(), plan.model.as_str()),
        ("serving_stack", "Qwen/Qwen3-8B")
    );
    assert!(read(at, "perfgate.yaml").contains("image: \"vllm/vllm-openai:v0.31.0\""));
    assert!(
        said.contains("against trunk") && !said.contains("OWNER"),
        "{said}"
    );
    let workflow = read(at, ".github/workflows/perfgate.yml");
    assert!(
        workflow.contains("docker build --file Dockerfile ")
            && workflow.contains("uses: me/perfgate@0123\n")
    );
}

#[test]
fn nobody_knows_the_model_and_it_says_how_to_go_on() {
    let folder = repository();
    insta::assert_snapshot!(init(folder.path(), &[]).expect(2).stderr, @r"
    error: nothing here says which model is served
    hint: give it: `perfgate init --model meta-llama/Llama-3.1-8B-Instruct`
    hint: or, to see how it works without a GPU: `perfgate init --simulator`
    ");
    assert!(!folder.path().join("perfgate.yaml").exists());
}

#[test]
fn what_is_there_is_left_as_it_is_unless_it_is_to_be_overwritten() {
    let folder = repository();
    let at = folder.path();
    write(at, "thresholds.yaml", "version: 1\n# mine\n");
    write(at, ".gitignore", "perfgate-out");
    let said = init(at, &["--simulator"]).expect(0).stdout;
    assert!(
        said.contains("left     thresholds.yaml as it is (--force overwrites it)\n"),
        "{said}"
    );
    assert_eq!(read(at, "thresholds.yaml"), "version: 1\n# mine\n");
    assert_eq!(read(at, ".gitignore"), "perfgate-out");
    init(at, &["--simulator", "--force"]).expect(0);
    assert!(!read(at, "thresholds.yaml").contains("# mine"));
}

#[test]
fn a_dry_run_shows_the_files_and_writes_none() {
    let folder = repository();
    let shown = init(
        folder.path(),
        &[
            "--model",
            "m",
            "--url",
            "http://10.0.0.7:8000/",
            "--dry-run",
        ],
    );
    let shown = shown.expect(0).stdout;
    for said in [
        "--- perfgate.yaml\n",
        "server: {url: \"http://10.0.0.7:8000\"}",
        "--- .github/workflows/perfgate.yml\n",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    let left: Vec<_> = folder
        .path()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".git"]);
}

#[test]
fn names_that_cannot_be_written_are_refused_before_anything_is() {
    let folder = repository();
    let at = folder.path();
    init(at, &["--simulator", "--name", "../x"]).expect(2);
    init(at, &["--model", "", "--image", "i"]).expect(2);
    init(at, &["--model", "m", "--url", "http://me:sesame@x"]).expect(2);
    init(at, &["--model", "m", "--simulator", "--image", "i"]).expect(2);
    assert!(!at.join("perfgate.yaml").exists() && !at.join(".gitignore").exists());
}

/// The linters of workflows, as .ci/run installs them; elsewhere they may be missing.
#[test]
fn the_workflow_is_clean_under_zizmor_and_actionlint() {
    let linters: [(&str, &[&str]); 2] = [
        // A label of the user's own runners.
        ("actionlint", &["-ignore", "label \"gpu\" is unknown"]),
        ("zizmor", &["--offline", "--quiet", "--no-progress"]),
    ];
    for target in [
        &["--simulator"][..],
        &["--url", "http://10.0.0.7"],
        &["--image", "i"],
        &[],
    ] {
        let folder = repository();
        write(
            folder.path(),
            "Dockerfile",
            "FROM vllm/vllm-openai:v0.32.0\n",
        );
        let mut arguments = vec![
            "--model",
            "m",
            "--action",
            "me/perfgate@08c6903cd8c0fde910a37f88322edcfb5dd907a8",
        ];
        arguments.extend(target);
        init(folder.path(), &arguments).expect(0);
        for (linter, options) in linters {
            let ran = Command::new(linter)
                .args(options)
                .arg(".github/workflows/perfgate.yml")
                .current_dir(folder.path())
                .output();
            match ran {
                Ok(ran) => assert!(
                    ran.status.success(),
                    "{linter}: {}{}",
                    String::from_utf8_lossy(&ran.stdout),
                    String::from_utf8_lossy(&ran.stderr)
                ),
                Err(error) => {
                    assert!(std::env::var_os("CI").is_none(), "{linter}: {error}");
                    eprintln!("skipped: {linter} is not installed: {error}");
                }
            }
        }
    }
}
