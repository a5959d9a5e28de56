//! What compare makes of results of sweeps, from files.

use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};
use perfgate::record::{self, Run};
use perfgate::report::comparison::{Comparison, Status, Verdict, Warning};
use serde_json::{Value, json};

/// A load point with three repeats, all alike but for a little noise.
fn point(concurrency: u32, adaptive: bool, tpot: f64) -> Value {
    let repeats = [1.0, 1.003, 0.997].map(|noise| {
        json!({
            "requests": {"completed": 1000},
            "metrics": {"tpot.p95": tpot * noise, "throughput": 3000.0 * noise, "e2e.p50": tpot * 100.0}
        })
    });
    json!({
        "name": format!("concurrency={concurrency}"), "load": {"concurrency": concurrency}, "adaptive": adaptive,
        "repeats": repeats
    })
}

fn sweep(capacity: f64) -> Value {
    let repeats = [1.0, 1.01, 0.99]
        .map(|noise| json!({"metrics": {"capacity.concurrency": capacity * noise}}));
    json!({"name": "sweep", "repeats": repeats})
}

fn run(scenarios: &[Value]) -> Run {
    let json = json!({
        "schema": "perfgate.result/1", "environment": {"gpus": [{"name": "H100"}]},
        "workload": {"digest": "sha256:00"}, "scenarios": scenarios
    });
    record::parse("a.json", json.to_string().as_bytes()).unwrap()
}

fn compare(rules: &str, baseline: &Run, candidate: &Run) -> Comparison {
    let text = format!("version: 1\nrules: {{{rules}}}\n");
    let policy = perfgate::config::read_policy("t.yaml", &text).unwrap();
    compare_runs(&policy, baseline, candidate, Labels::default())
}

const CAPACITY: &str = "capacity.concurrency: {regression: 10%}";

#[test]
fn loads_that_only_one_search_chose_are_a_warning_and_not_a_mismatch() {
    let baseline = run(&[point(16, true, 0.02), point(32, true, 0.03), sweep(30.0)]);
    let candidate = run(&[point(16, true, 0.02), point(24, true, 0.03), sweep(30.0)]);
    let comparison = compare("tpot.p95: {regression: 5%}", &baseline, &candidate);
    assert_eq!(comparison.verdict, Verdict::Pass, "{}", comparison.headline);
    let codes: Vec<&str> = comparison.warnings.iter().map(Warning::code).collect();
    assert_eq!(
        codes,
        [
            "other-load-points",
            "other-load-points",
            "capacity-not-judged"
        ]
    );
    insta::assert_snapshot!(comparison.warnings[2].message, @"both runs searched for their concurrency at SLO, and no rule covers it; add `capacity.concurrency: {regression: 5%, action: block}`");
    // What was asked for and is missing is a mismatch, as ever.
    let asked = run(&[point(16, true, 0.02), point(32, false, 0.03), sweep(30.0)]);
    let comparison = compare("tpot.p95: {regression: 5%}", &asked, &candidate);
    assert_eq!(comparison.verdict, Verdict::Incomparable);
}

#[test]
fn loads_with_other_numbers_of_requests_and_other_searches_are_not_compared() {
    let sized = |requests: u32, search: &str| {
        let mut point = point(16, true, 0.02);
        point["load"]["requests"] = json!(requests);
        point["load"]["warmup_requests"] = json!(32);
        let json = json!({
            "schema": "perfgate.result/1", "environment": {"gpus": [{"name": "H100"}]},
            "workload": {"digest": "sha256:00", "search": search}, "scenarios": [point, sweep(30.0)]
        });
        record::parse("a.json", json.to_string().as_bytes()).unwrap()
    };
    let baseline = sized(104, "8 for each");
    let compared = |candidate: &Run| {
        let comparison = compare(CAPACITY, &baseline, candidate);
        let whats = comparison.mismatches.into_iter().map(|found| found.what);
        (
            comparison.verdict,
            whats.collect::<Vec<String>>().join(", "),
        )
    };
    let whole = (Verdict::Pass, String::new());
    assert_eq!(compared(&sized(104, "8 for each")), whole);
    let (verdict, what) = compared(&sized(624, "48 for each"));
    assert_eq!(verdict, Verdict::Incomparable);
    assert_eq!(what, "search, number of requests of `concurrency=16`");
}

#[test]
fn a_load_that_a_rule_names_must_be_there() {
    let baseline = run(&[point(16, true, 0.02), point(32, true, 0.03)]);
    let candidate = run(&[point(16, true, 0.02)]);
    let text = "version: 1\nscenarios: {\"concurrency=32\": {tpot.p95: {regression: 5%}}}\n";
    let policy = perfgate::config::read_policy("t.yaml", text).unwrap();
    let comparison = compare_runs(&policy, &baseline, &candidate, Labels::default());
    assert_eq!(comparison.verdict, Verdict::Incomparable);
}

#[test]
fn a_rule_on_the_capacity_judges_the_sweep_and_nothing_else() {
    let baseline = run(&[point(16, true, 0.02), sweep(30.0)]);
    let judged = |capacity: f64| {
        let comparison = compare(
            CAPACITY,
            &baseline,
            &run(&[point(16, true, 0.02), sweep(capacity)]),
        );
        let rows: Vec<(String, Status)> = comparison
            .judgements
            .into_iter()
            .map(|row| (row.scenario, row.status))
            .collect();
        (comparison.verdict, rows)
    };
    assert_eq!(
        judged(30.0),
        (Verdict::Pass, vec![("sweep".to_owned(), Status::Pass)])
    );
    assert_eq!(
        judged(24.0),
        (
            Verdict::Block,
            vec![("sweep".to_owned(), Status::Regressed)]
        )
    );
}

#[test]
fn a_capacity_that_one_side_does_not_have_does_not_pass() {
    let (with, without) = (
        run(&[point(16, true, 0.02), sweep(30.0)]),
        run(&[point(16, true, 0.02)]),
    );
    for (baseline, candidate) in [(&with, &without), (&without, &with), (&without, &without)] {
        let comparison = compare(CAPACITY, baseline, candidate);
        assert_eq!(
            comparison.verdict,
            Verdict::Incomparable,
            "{}",
            comparison.headline
        );
    }
    // Nor does a rule on load points where there is none.
    let only = run(&[sweep(30.0)]);
    let comparison = compare(
        &format!("tpot.p95: {{regression: 5%}}, {CAPACITY}"),
        &only,
        &only,
    );
    assert_eq!(
        comparison.verdict,
        Verdict::Incomparable,
        "{}",
        comparison.headline
    );
}

#[test]
fn budgets_do_not_apply_to_loads_that_a_search_chose() {
    let rules = "tpot.p95: {regression: 5%, max: 50ms}";
    let searched = run(&[point(16, true, 0.02), point(64, true, 0.09)]);
    assert_eq!(compare(rules, &searched, &searched).verdict, Verdict::Pass);
    let asked = run(&[point(16, false, 0.02), point(64, false, 0.09)]);
    assert_eq!(compare(rules, &asked, &asked).verdict, Verdict::Block);
}

#[test]
fn the_standard_rules_take_two_sweeps() {
    let gpu = |mut scenario: Value| {
        for repeat in scenario["repeats"].as_array_mut().unwrap() {
            repeat["metrics"]["gpu_memory.peak"] = json!(76_480_000_000_u64);
            repeat["metrics"]["ttft.p95"] = json!(0.1);
        }
        scenario
    };
    let both = run(&[gpu(point(16, true, 0.02)), sweep(30.0)]);
    let comparison = compare_runs(&Policy::standard(), &both, &both, Labels::default());
    assert_eq!(comparison.verdict, Verdict::Pass, "{}", comparison.headline);
    assert!(
        comparison
            .judgements
            .iter()
            .all(|row| row.scenario == "concurrency=16")
    );
    let shown: Vec<&str> = comparison
        .measurements
        .iter()
        .filter(|row| row.scenario == "sweep")
        .map(|row| row.metric.id())
        .collect();
    assert_eq!(shown, ["capacity.concurrency"]);
}
