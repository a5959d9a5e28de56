//! Flags, help and errors.

use crate::support::{run, write};

#[test]
fn help_names_the_commands_and_gate_explains_its_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["--help"]).expect(0).stdout;
    for command in [
        "gate",
        "bench",
        "sweep",
        "mlperf",
        "compare",
        "report",
        "simulate",
        "schema",
        "completions",
    ] {
        assert!(help.contains(command), "{help}");
    }
    let help = run(folder.path(), &["gate", "--help"]).expect(0).stdout;
    assert!(help.contains("130  interrupted"), "{help}");
    assert!(help.contains("\nGlobal:\n  -v, --verbose"), "{help}");
}

#[test]
fn a_wrong_flag_is_a_usage_error_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let stderr = run(folder.path(), &["compare", "--basline", "a.json"])
        .expect(2)
        .stderr;
    assert!(stderr.contains("--baseline"), "{stderr}");
    for (arguments, message) in [
        (
            ["--gpus", "al"],
            "write all, none, a number of GPUs, or ids as in 0,1",
        ),
        (
            ["--pull-request", "x"],
            "write the number of the pull request, as in 7",
        ),
    ] {
        let stderr = run(folder.path(), &[&["gate"], arguments.as_slice()].concat())
            .expect(2)
            .stderr;
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn a_missing_server_is_reported_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(run(folder.path(), &["bench"]).expect(2).stderr, @"
    error: `perfgate.yaml` does not exist, and no flag sets a server
    hint: use `--config FILE`, or `--model M` and one of `--url`, `--image` and `--simulator`
    ");
    insta::assert_snapshot!(run(folder.path(), &["bench", "--model", "m"]).expect(2).stderr, @"
    error: no server is configured
    hint: use `--url`, `--image` or `--simulator`, or set `server` in perfgate.yaml
    ");
    // Before the baseline is looked for and before anything is written.
    insta::assert_snapshot!(run(folder.path(), &["gate", "--model", "m"]).expect(2).stderr, @"
    error: no server is configured
    hint: use `--url`, `--image` or `--simulator`, or set `server` in perfgate.yaml
    ");
    assert!(!folder.path().join("perfgate-out").exists());
}

#[test]
fn every_problem_of_a_bad_file_is_shown_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "perfgate.yaml", "modle: m\nrepeat: 0\n");
    let stderr = run(folder.path(), &["gate"]).expect(2).stderr;
    assert!(
        stderr.contains("perfgate.yaml:1:1") && stderr.contains("perfgate.yaml:2:9"),
        "{stderr}"
    );
    assert!(!folder.path().join("perfgate-out").exists());
}

#[test]
fn a_data_set_that_is_not_there_is_refused_instead_of_replaced() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "perfgate.yaml",
        "model: m\ndataset: ShareGPT_v3\nserver: {simulator: {}}\n",
    );
    insta::assert_snapshot!(run(folder.path(), &["bench"]).expect(2).stderr, @"
    error: the data set `ShareGPT_v3` is missing: the file `ShareGPT_v3` does not exist (perfgate does not download data sets)
    hint: set the file with `--dataset-path FILE`, or in perfgate.yaml with `dataset: {path: FILE}`
    hint: or remove `dataset` to use synthetic prompts with the lengths of `input_tokens`
    ");
}

#[test]
fn completions_are_made_for_the_usual_shells() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            run(folder.path(), &["completions", shell])
                .expect(0)
                .stdout
                .contains("perfgate")
        );
    }
}

#[test]
fn the_simulators_options_are_those_that_the_file_takes() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["simulate", "--help"]).expect(0).stdout;
    for option in perfgate::config::SIMULATOR_OPTIONS {
        assert!(help.contains(&format!("--{option}")), "{option}");
    }
}

#[test]
fn a_result_that_could_not_be_written_is_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "file", "");
    let arguments = [
        "bench",
        "--model",
        "m",
        "--simulator",
        "--output",
        "file/result.json",
    ];
    let stderr = run(folder.path(), &arguments).expect(6).stderr;
    assert!(
        stderr.contains("cannot create `file`") && !stderr.contains("repeat"),
        "{stderr}"
    );
}
