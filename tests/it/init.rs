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
        // As a clone has it.
        &[
            "symbolic-ref",
            "refs/remotes/origin/HEAD",
            "refs/remotes/origin/trunk",
        ],
    ] {
        git(folder.path(), arguments);
    }
    folder
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=me", "-c", "user.email=me@example.com"]);
    command.args(arguments).current_dir(folder);
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

/// Runs what a printed step has before its remark, as a shell would.
fn follow(folder: &Path, output: &str, step: &str) {
    let step = output.lines().find(|line| line.contains(step)).unwrap();
    let (_, step) = step.split_once(". ").unwrap();
    let (commands, _) = step.split_once("   ").unwrap();
    for command in commands.split(" && ") {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "perfgate");
        run(folder, &words[1..]).expect(0);
    }
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
fn the_written_files_gate_the_embedded_server_end_to_end() {
    let folder = repository();
    let at = folder.path();
    let stdout = init(at, &["--simulator"]).expect(0).stdout;
    insta::assert_snapshot!(stdout, @r"
    wrote    perfgate.yaml
    wrote    thresholds.yaml
    wrote    .github/workflows/perfgate.yml
    added    /perfgate-out/ to .gitignore

    Next:
      1. perfgate doctor   checks this machine
      2. in .github/workflows/perfgate.yml, replace `uses: OWNER/perfgate@0000…` by the repository and commit of a perfgate release
      3. commit these files and merge them into trunk
      4. perfgate bench --output result.json && perfgate baseline update result.json   on trunk; then commit the files in baselines
      5. perfgate gate   measures and compares; passes without a regression
      6. open a pull request against trunk, and make the status `perfgate` a required check
    ");
    git(at, &["add", "--all"]);
    git(at, &["commit", "--quiet", "--message", "perfgate"]);
    follow(at, &stdout, "perfgate bench");
    let listed = run(at, &["baseline", "list"]).expect(0).stdout;
    assert!(listed.contains("serving_stack"), "{listed}");
    // Far above the noise of a busy machine.
    let wide = ["gate", "--threshold", "50%"];
    run(at, &wide).expect(0);
    run(at, &[&wide[..], &["--simulator", "slowdown=3"]].concat()).expect(1);
    assert_eq!(read(at, ".gitignore"), "/perfgate-out/\n");
}

#[test]
fn values_from_the_repository_need_no_flags() {
    let folder = repository();
    let at = folder.path();
    write(
        at,
        "Dockerfile",
        "FROM vllm/vllm-openai:v0.31.0\nRUN pip install ours\nCMD [\"--model\", \"Qwen/Qwen3-8B\"]\n",
    );
    let stdout = init(at, &["--action", "me/perfgate@0123"]).expect(0).stdout;
    let plan = perfgate::config::read_plan("perfgate.yaml", &read(at, "perfgate.yaml")).unwrap();
    assert_eq!(
        (plan.name.as_str(), plan.model.as_str()),
        ("serving_stack", "Qwen/Qwen3-8B")
    );
    assert!(read(at, "perfgate.yaml").contains("image: \"vllm/vllm-openai:v0.31.0\""));
    assert!(
        stdout.contains("against trunk") && !stdout.contains("OWNER"),
        "{stdout}"
    );
    let workflow = read(at, ".github/workflows/perfgate.yml");
    assert!(
        workflow.contains("docker build --file Dockerfile ")
            && workflow.contains("uses: me/perfgate@0123\n")
    );
}

#[test]
fn a_branch_that_git_does_not_know_as_the_main_one_is_named() {
    let folder = repository();
    let at = folder.path();
    git(
        at,
        &["symbolic-ref", "--delete", "refs/remotes/origin/HEAD"],
    );
    let stdout = init(at, &["--simulator"]).expect(0).stdout;
    let update = "perfgate baseline update result.json --branch 'trunk'   on trunk;";
    assert!(stdout.contains(update), "{stdout}");
}

#[test]
fn in_a_folder_of_a_repository_the_workflow_goes_where_github_looks_for_it() {
    let folder = repository();
    let top = folder.path();
    let [at, other] = ["services/llm", "services/other"].map(|name| top.join(name));
    let gate = ["--model", "m", "--action", "me/perfgate@0123"];
    write(&at, "Dockerfile", "FROM vllm/vllm-openai:v0.31.0\n");
    insta::assert_snapshot!(init(&at, &gate).expect(0).stdout, @r"
    wrote    perfgate.yaml
    wrote    thresholds.yaml
    wrote    ../../.github/workflows/perfgate.yml
    added    /perfgate-out/ to .gitignore

    Next:
      1. perfgate doctor   on the machine with the GPU (this machine has none)
      2. commit these files and merge them into trunk
      3. perfgate bench --output result.json && perfgate baseline update result.json   on trunk, on that machine; then commit the files in baselines
      4. perfgate gate   measures and compares; passes without a regression
      5. open a pull request against trunk, and make the status `perfgate` a required check
    ");
    assert!(at.join("perfgate.yaml").is_file() && !at.join(".github").exists());
    assert!(!top.join("perfgate.yaml").exists());
    let workflow = read(top, ".github/workflows/perfgate.yml");
    let folders = workflow.matches("working-directory: \"services/llm\"\n");
    assert_eq!(folders.count(), 2, "{workflow}");

    // A second one takes no first one's gate away, and is not silently left out.
    write(&other, "Dockerfile", "FROM vllm/vllm-openai:v0.31.0\n");
    insta::assert_snapshot!(init(&other, &gate).expect(0).stdout, @r"
    wrote    perfgate.yaml
    wrote    thresholds.yaml
    kept     ../../.github/workflows/perfgate.yml (--force overwrites it)
    added    /perfgate-out/ to .gitignore

    Next:
      1. perfgate doctor   on the machine with the GPU (this machine has none)
      2. ../../.github/workflows/perfgate.yml does not measure this folder yet: add a step with `working-directory: services/other` and its own `artifact-name` and `status-context`, and set a `name` in perfgate.yaml that differs from the other gate
      3. commit these files and merge them into trunk
      4. perfgate bench --output result.json && perfgate baseline update result.json   on trunk, on that machine; then commit the files in baselines
      5. perfgate gate   measures and compares; passes without a regression
      6. open a pull request against trunk, and make the status `perfgate` a required check
    ");
    assert_eq!(read(top, ".github/workflows/perfgate.yml"), workflow);
}

#[test]
fn a_folder_with_an_expression_in_its_name_is_refused() {
    let folder = repository();
    let at = folder.path().join("${{ secrets.X }}");
    std::fs::create_dir(&at).unwrap();
    let stderr = init(&at, &["--simulator"]).expect(2).stderr;
    assert!(
        stderr.contains("a workflow cannot refer to the folder"),
        "{stderr}"
    );
    assert!(at.read_dir().unwrap().next().is_none());
}

#[test]
fn an_unknown_model_is_an_error_with_the_next_step() {
    let folder = repository();
    insta::assert_snapshot!(init(folder.path(), &[]).expect(2).stderr, @r"
    error: no file in this folder contains the model
    hint: set it: `perfgate init --model meta-llama/Llama-3.1-8B-Instruct`
    hint: to try it without a GPU: `perfgate init --simulator`
    ");
    assert!(!folder.path().join("perfgate.yaml").exists());
}

#[test]
fn existing_files_are_kept_unless_force_is_set() {
    let folder = repository();
    let at = folder.path();
    write(at, "thresholds.yaml", "version: 1\n# mine\n");
    write(at, ".gitignore", "perfgate-out");
    let stdout = init(at, &["--simulator"]).expect(0).stdout;
    assert!(
        stdout.contains("kept     thresholds.yaml (--force overwrites it)\n"),
        "{stdout}"
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
    for expected in [
        "--- perfgate.yaml\n",
        "server: {url: \"http://10.0.0.7:8000\"}",
        "--- .github/workflows/perfgate.yml\n",
    ] {
        assert!(shown.contains(expected), "{shown}");
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
fn invalid_values_are_refused_before_any_file_is_written() {
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
    for (at, target) in [
        ("", &["--simulator"][..]),
        ("", &["--url", "http://10.0.0.7"]),
        ("", &["--image", "i"]),
        ("", &[]),
        ("services/my llm", &[]),
    ] {
        let folder = repository();
        let at = folder.path().join(at);
        write(&at, "Dockerfile", "FROM vllm/vllm-openai:v0.32.0\n");
        let mut arguments = vec![
            "--model",
            "m",
            "--action",
            "me/perfgate@08c6903cd8c0fde910a37f88322edcfb5dd907a8",
        ];
        arguments.extend(target);
        init(&at, &arguments).expect(0);
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

#[test]
fn a_compose_service_is_measured_even_beside_a_dockerfile() {
    let folder = repository();
    let at = folder.path();
    write(
        at,
        "compose.yaml",
        "services:\n  llm:\n    build: .\n    devices: [/dev/kfd, /dev/dri]\n    command: vllm serve m/x --max-num-seqs 8 --port 80 --dtype ${DTYPE}\n    volumes: [/srv/models:/models:ro]\n",
    );
    write(at, "Dockerfile", "FROM rocm/vllm-dev:main\n");
    let ran = init(at, &[]).expect(0);
    assert!(ran.stderr.contains("`--dtype ${DTYPE}`"), "{}", ran.stderr);
    let plan = read(at, "perfgate.yaml");
    for part in [
        "image: \"rocm/vllm-dev:main\"",
        "devices: [\"/dev/kfd\", \"/dev/dri\"]",
        "volumes: [\"/srv/models:/models:ro\"]",
        "    args: [\"--max-num-seqs\", \"8\"]",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
}
