//! The price of a gate in everything that shows its verdict, and the budget that ends it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json as value};

use crate::support::{Ran, json, result, run, run_scripted, scripted_by, write};

const PLAN: &str = "\
name: demo
model: demo
num_requests: 120
concurrency: 16
input_tokens: 64
output_tokens: 16
warmup_requests: 16
repeat: 2
";

/// Noise far above the limit, so that no look decides, and a policy that lets that pass.
const NOISY: &str = "server: {simulator: {noise: 10%}, base: {simulator: {noise: 10%}}}\n";
const LENIENT: &str = "\
version: 1
rules: {tpot.p95: {regression: 2%, action: block}}
noise: {on_inconclusive: pass}
";

const GATE: [&str; 3] = ["gate", "--output", "out"];

fn comparison(folder: &Path) -> Value {
    json(&folder.join("out/comparison.json"))
}

fn folder(plan: &str, thresholds: &str) -> tempfile::TempDir {
    let at = tempfile::tempdir().unwrap();
    write(at.path(), "perfgate.yaml", &format!("{PLAN}{plan}"));
    write(at.path(), "thresholds.yaml", thresholds);
    at
}

/// A price of that many seconds on one GPU.
fn price(starts: u32, startup: f64) -> Value {
    value!({"starts": starts, "gpus": 1, "startup": startup, "load": 0.0, "waiting": 0.0})
}

#[test]
fn the_price_of_a_gate_is_in_everything_that_shows_its_verdict() {
    let at = folder(
        "server: {simulator: {}, base: {simulator: {}}}\n",
        "version: 1\nrules: {tpot.p95: {regression: 30%}}\n",
    );
    let ran = run_scripted(at.path(), &GATE).expect(0);
    let comparison = comparison(at.path());
    let evidence = &comparison["price"]["evidence"];
    assert_eq!(
        (&evidence["starts"], &evidence["gpus"]),
        (&value!(5), &value!(1))
    );
    assert_eq!(comparison["price"].get("average"), None);
    let cost = "price: 5 starts, ";
    assert!(ran.stdout.contains(cost), "{}", ran.stdout);
    let read = |name: &str| std::fs::read_to_string(at.path().join("out").join(name)).unwrap();
    assert!(read("comment.md").contains("**Price:** 5 starts, "));
    assert!(read("report.html").contains("Price: 5 starts, "));
    // The accepted result brings the price of the whole gate into the ledger.
    assert_eq!(json(&at.path().join("out/result.json"))["price"], *evidence);
    let because = ["--because", "the first accepted run"];
    let update = [&["baseline", "update", "out/result.json"], &because[..]].concat();
    run(at.path(), &update).expect(0);
    let ran = run_scripted(at.path(), &GATE).expect(0);
    assert!(
        ran.stdout.contains("GPU-hours; the last gate cost "),
        "{}",
        ran.stdout
    );
}

/// A gate that was interrupted after two pairs which decide nothing, in a repository.
fn interrupted() -> tempfile::TempDir {
    let at = folder(NOISY, LENIENT);
    write(at.path(), ".gitignore", "out\n");
    let script = "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm one";
    let mut git = Command::new("sh");
    git.args(["-c", script]).current_dir(at.path());
    assert!(git.status().unwrap().success());
    let third = r#"{"candidate": [{}, {}, {"interrupted": true}]}"#;
    Ran::of(&scripted_by(at.path(), &GATE, third).output().unwrap()).expect(130);
    at
}

/// The evidence files of the one commit.
fn evidence(at: &Path, name: &str) -> PathBuf {
    let entries = at.join("out/evidence").read_dir().unwrap();
    let mut folders = entries.map(|entry| entry.unwrap().path());
    folders.find(|path| path.is_dir()).unwrap().join(name)
}

#[test]
fn a_budget_that_ends_is_no_decision_and_exits_with_3_whatever_the_policy_is() {
    let at = interrupted();
    let path = evidence(at.path(), "ab-baseline.json");
    let mut base = json(&path);
    base["price"] = price(2, 1000.0);
    perfgate::files::write_atomically(&path, base.to_string().as_bytes()).unwrap();
    let budget = [&GATE[..], &["--budget", "5m"]].concat();
    let ran = run_scripted(at.path(), &budget).expect(3);
    assert!(
        ran.stderr.contains("stopping before that measurement: the budget of 5.0 min of server time is too small; missing are about 2 starts, "),
        "{}",
        ran.stderr
    );
    let ended = comparison(at.path());
    assert_eq!(ended["verdict"], "inconclusive");
    assert_eq!(ended["decision"]["on_inconclusive"], "pass");
    assert_eq!(ended["decision"]["pairs"], 2);
    assert_eq!(ended["warnings"][0]["code"], "budget-ended");
    assert_eq!(ended["budget"]["budget"], value!({"seconds": 300.0}));
    assert_eq!(ended["budget"]["most"]["starts"], 20);
    let headline = ended["headline"].as_str().unwrap();
    assert!(headline.ends_with("; the budget ended"), "{headline}");
    assert!(
        ran.stdout.contains("next: raise the budget by about "),
        "{}",
        ran.stdout
    );
    // The file alone leads to the same code, and rows are marked as those that stop the merge.
    let report = run(at.path(), &["report", "out/comparison.json"]).expect(3);
    assert!(report.stdout.contains("NO DECISION"), "{}", report.stdout);
    let mut forged = ended.clone();
    forged["exit_code"] = value!(0);
    write(at.path(), "forged.json", &forged.to_string());
    run(at.path(), &["report", "forged.json"]).expect(2);
    // With a larger budget the same evidence goes on.
    let more = [&GATE[..], &["--budget", "100h"]].concat();
    let ran = run_scripted(at.path(), &more);
    assert!(
        ran.stderr.contains("adding to its evidence"),
        "{}",
        ran.stderr
    );
    assert_ne!(ran.code, Some(3));
    assert_eq!(comparison(at.path()).get("budget"), None);
}

#[test]
fn a_budget_below_the_price_of_a_first_look_measures_nothing() {
    let at = folder(
        NOISY,
        "version: 1\nrules: {tpot.p95: {regression: 2%}}\nnoise: {on_inconclusive: pass, budget: 0.05gpu-h}\n",
    );
    let mut baseline: Value = serde_json::from_str(&result(&[1.0, 1.01, 0.99])).unwrap();
    baseline["price"] = price(3, 300.0);
    let accepted = at.path().join("baselines/demo");
    std::fs::create_dir_all(&accepted).unwrap();
    for name in ["some-gpu.json", "some-gpu.ledger.jsonl"] {
        write(&accepted, name, &baseline.to_string());
    }
    let ran = run_scripted(at.path(), &GATE).expect(3);
    insta::assert_snapshot!(ran.stderr.lines().skip_while(|line| !line.starts_with("error")).collect::<Vec<_>>().join("\n"), @r"
        error: nothing was judged: the budget of 0.050 GPU-hours is too small; missing are about 3 starts, 0.083 GPU-hours for the next interim look; at most 25 starts, 0.69 GPU-hours for the last interim look
        hint: raise the budget (`--budget`, `noise.budget` in thresholds.yaml); a run on the same commit adds to the evidence so far
        ");
    assert!(!at.path().join("out/result.json").exists());
    // The flag wins.
    let more = [&GATE[..], &["--budget", "1gpu-h", "--threshold", "90%"]].concat();
    run_scripted(at.path(), &more).expect(0);
}

#[test]
fn a_budget_without_a_unit_is_refused_in_both_places() {
    let at = folder(
        NOISY,
        "version: 1\nrules: {tpot.p95: {regression: 2%}}\nnoise: {budget: 5 euros}\n",
    );
    let stderr = run(at.path(), &GATE).expect(2).stderr;
    assert!(stderr.contains("thresholds.yaml:3:17"), "{stderr}");
    assert!(
        stderr.contains("use gpu-h, gpu-min, s, m, h, d"),
        "{stderr}"
    );
    let flag = [&GATE[..], &["--budget", "0.5"]].concat();
    let stderr = run(at.path(), &flag).expect(2).stderr;
    assert!(stderr.contains("write `0.5gpu-h` or `0.5m`"), "{stderr}");
}
