//! `perfgate plan`: the expected price of a gate from the accepted runs.

use std::path::Path;

use serde_json::{Value, json as value};

use crate::support::{Ran, result, run, write};

const PLAN: &str = "name: demo\nmodel: demo\nserver: {simulator: {}, base: {simulator: {}}}\n";

/// Ten sessions of three starts with 1 % of noise, each for 60 s of start-up and 30 s of load a start on two GPUs.
fn ledger(with_price: bool) -> String {
    let session = |index: u32| {
        let level = 1.0 + 1e-4 * f64::from(index);
        let noise = 0.01 + 0.0003 * f64::from(index % 3);
        let factors = [level, level * (1.0 + noise), level * (1.0 - noise)];
        let mut line: Value = serde_json::from_str(&result(&factors)).unwrap();
        if with_price {
            line["price"] =
                value!({"starts": 3, "gpus": 2, "startup": 180.0, "load": 90.0, "waiting": 0.0});
        }
        line.to_string()
    };
    (0..10).map(session).collect::<Vec<_>>().join("\n")
}

fn folder(ledger: &str) -> tempfile::TempDir {
    let at = tempfile::tempdir().unwrap();
    write(at.path(), "perfgate.yaml", PLAN);
    let folder = at.path().join("baselines/demo");
    std::fs::create_dir_all(&folder).unwrap();
    write(&folder, "h100.json", ledger.lines().last().unwrap());
    write(&folder, "h100.ledger.jsonl", ledger);
    at
}

fn plan(folder: &Path, more: &[&str]) -> Ran {
    run(folder, &[&["plan", "--gates", "40"], more].concat())
}

fn plan_json(folder: &Path, more: &[&str]) -> Value {
    let ran = plan(folder, &[more, &["--format", "json"]].concat()).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_plan_shows_starts_and_gpu_hours_of_three_changes() {
    let at = folder(&ledger(true));
    let ran = plan(at.path(), &[]).expect(0);
    insta::assert_snapshot!(ran.stdout, @r"
        demo on h100

        change         starts    GPU-hours     pass    block  undecided
        innocent          4.0         0.20    100 %      0 %        0 %
        8 % slower        7.2         0.36      0 %    100 %        0 %
        15 % slower       5.5         0.27      0 %    100 %        0 %

        a server start takes 1.0 min and a repeat takes 30 s, on 2 GPUs
        the last 10 gates cost 0.15 on average
        largest noise, learnt from 10 sessions: TPOT P95 at concurrency=64, 1.3 % between starts and 0.3 % between sessions
        means of 40 simulated gates each, with the base version at hand
        ");
    assert!(!at.path().join("perfgate-out").exists());
    let all = plan_json(at.path(), &[]);
    let forecast = &all["baselines"][0];
    assert_eq!(
        (&all["has_base"], &forecast["hardware"]),
        (&value!(true), &value!("h100"))
    );
    for change in forecast["changes"].as_array().unwrap() {
        let number = |name: &str| change[name].as_f64().unwrap();
        assert!((number("gpu_hours") - number("starts") * 90.0 * 2.0 / 3600.0).abs() < 1e-9);
        assert_eq!(change["starts"], change["repeats"]);
    }
    // From a seed: the same again.
    assert_eq!(plan_json(at.path(), &[]), all);
}

#[test]
fn without_the_base_version_only_the_candidate_is_measured() {
    let at = folder(&ledger(true));
    let all = plan_json(at.path(), &["--simulator"]);
    assert_eq!(all["has_base"], true);
    write(
        at.path(),
        "perfgate.yaml",
        "name: demo\nmodel: demo\nserver: {simulator: {}}\n",
    );
    let all = plan_json(at.path(), &[]);
    assert_eq!(all["has_base"], false);
    let innocent = &all["baselines"][0]["changes"][0];
    let starts = innocent["starts"].as_f64().unwrap();
    assert!((3.0..=10.0).contains(&starts), "{innocent}");
}

#[test]
fn without_a_price_a_plan_shows_starts_and_how_to_get_one() {
    let at = folder(&ledger(false));
    let ran = plan(at.path(), &[]).expect(0);
    assert!(!ran.stdout.contains("GPU-hours"), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("no price: neither the ledger nor the baseline contains one"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_baseline_is_needed_and_may_be_given() {
    let at = folder(&ledger(true));
    let given = ["--baseline", "baselines/demo/h100.json", "--name", "other"];
    let all = plan_json(at.path(), &given);
    assert_eq!(all["baselines"][0]["baseline"], "baselines/demo/h100.json");
    let error = plan(at.path(), &["--name", "other"]).expect(4).stderr;
    insta::assert_snapshot!(error, @r#"
        error: no baseline of `other`, so the noise of its metrics is unknown
        hint: accept a first run: `perfgate bench`, then `perfgate baseline update result.json --because "the first baseline"`
        "#);
}
