//! The quick version of `cargo bench --bench calibration`: the promises of `docs/concepts/mathematics.md`, with generous bounds.

#[path = "../../benches/calibration/drive.rs"]
pub(crate) mod drive;
#[path = "../../benches/calibration/model.rs"]
pub(crate) mod model;
#[path = "../../benches/calibration/plain.rs"]
mod plain;
#[expect(dead_code, reason = "only the bench simulates")]
#[path = "../../benches/calibration/rules.rs"]
mod rules;
#[expect(dead_code, reason = "only the bench simulates")]
#[path = "../../benches/calibration/scenarios.rs"]
mod scenarios;
#[path = "../../benches/calibration/several.rs"]
mod several;
#[path = "../../benches/calibration/table.rs"]
mod table;

use drive::{Form, GateRun};
use model::World;
use perfgate::metric::Metric;
use perfgate::policy::{Labels, compare_runs};
use perfgate::stats::{Outcome, number};
use plain::Plain;
use rules::{Gates, Rule};
use table::Cell;

/// Gates per rate.
const GATES: u64 = 150;

/// The rule with the base version at hand.
const WITH_BASE: Rule = Rule::WithBase(12);

fn gates(rule: Rule, world: World, slower: f64) -> Vec<GateRun> {
    let drawn = Gates::new(rule, world);
    let gate = |gate: u64| drawn.run(77_000 + gate, &[slower]);
    (0..GATES).flat_map(gate).collect()
}

/// Shares that passed and were blocked.
fn rates(rule: Rule, world: World, slower: f64) -> (f64, f64) {
    let gates = gates(rule, world, slower);
    let share = |outcome: Outcome| {
        let found = gates.iter().filter(|gate| gate.outcome == outcome);
        number(found.count() as u64) / number(GATES)
    };
    (share(Outcome::Pass), share(Outcome::Fail))
}

fn world(noise: f64) -> World {
    World {
        noise,
        ..World::default()
    }
}

#[test]
fn an_innocent_change_is_hardly_ever_blocked_and_nearly_always_passes() {
    for noise in [0.005, 0.02] {
        let (passed, blocked) = rates(WITH_BASE, world(noise), 0.0);
        assert!(
            blocked <= 0.02 && passed >= 0.95,
            "{noise}: {passed} {blocked}"
        );
    }
}

#[test]
fn a_quiet_innocent_change_costs_few_server_starts() {
    let gates = gates(WITH_BASE, world(0.005), 0.0);
    let starts: u32 = gates.iter().map(|gate| gate.starts).sum();
    assert!(number(starts.into()) / number(GATES) < 5.0, "{starts}");
}

#[test]
fn a_regression_is_hardly_ever_passed_and_nearly_always_blocked() {
    for noise in [0.005, 0.02] {
        let (passed, blocked) = rates(WITH_BASE, world(noise), 0.08);
        assert!(
            passed <= 0.06 && blocked >= 0.90,
            "{noise}: {passed} {blocked}"
        );
    }
}

#[test]
fn a_day_three_times_as_noisy_as_the_ledger_is_noticed() {
    let noisy = World {
        today: 3.0,
        ..world(0.01)
    };
    assert!(rates(WITH_BASE, noisy, 0.02).1 <= 0.06);
    assert!(rates(WITH_BASE, noisy, 0.08).0 <= 0.10);
}

#[test]
fn a_baseline_of_a_faster_host_blocks_no_innocent_change_where_a_median_rule_blocks_most() {
    let elsewhere = World {
        stored_slower: -0.06,
        ..world(0.01)
    };
    assert!(rates(WITH_BASE, elsewhere, 0.0).1 <= 0.02);
    assert!(rates(Rule::Plain(Plain::Median), elsewhere, 0.0).1 >= 0.40);
}

#[test]
fn a_baseline_of_a_slower_host_lets_no_regression_pass_where_a_median_rule_passes_all() {
    let elsewhere = World {
        stored_slower: 0.06,
        ..world(0.01)
    };
    assert!(rates(WITH_BASE, elsewhere, 0.08).0 <= 0.05);
    assert!(rates(Rule::Plain(Plain::Median), elsewhere, 0.08).0 >= 0.90);
}

#[test]
fn the_error_rates_stay_within_their_limits_without_a_base_version_or_a_ledger() {
    for (rule, sessions) in [
        (Rule::WithoutBase, 20),
        (WITH_BASE, 0),
        (Rule::WithoutBase, 0),
        (Rule::Compare(0), 20),
        (Rule::Compare(3), 20),
    ] {
        let world = World {
            sessions,
            ..world(0.01)
        };
        assert!(rates(rule, world, 0.0).1 <= 0.03, "{rule:?} {sessions}");
        assert!(rates(rule, world, 0.08).0 <= 0.08, "{rule:?} {sessions}");
    }
}

#[test]
fn plain_tests_of_three_starts_are_blind() {
    let (passed, _) = rates(Rule::Plain(Plain::MannWhitney), world(0.005), 0.15);
    assert!((passed - 1.0).abs() < f64::EPSILON);
    assert!(rates(Rule::Plain(Plain::Welch), world(0.02), 0.08).0 >= 0.2);
}

#[test]
fn a_simulated_run_is_judged_as_its_file_is() {
    let form = Form::of_one(Metric::TPOT_P95, 0.02);
    let file = |factors: &[f64]| {
        let metrics = factors.iter().map(|factor| {
            let value = 0.02 * factor.ln().exp();
            format!(r#"{{"metrics":{{"tpot.p95":{value:e}}}}}"#)
        });
        let repeats = metrics.collect::<Vec<_>>().join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","environment":{{"machine":"here"}},"scenarios":[{{"name":"load 0","repeats":[{repeats}]}}]}}"#
        );
        perfgate::record::parse("run.json", json.as_bytes()).unwrap()
    };
    let built = |number, factors: &[f64]| {
        let logs: Vec<f64> = factors.iter().map(|factor| factor.ln()).collect();
        form.run(number, &logs)
    };
    let (base, candidate) = ([1.0, 1.01, 0.99], [1.08, 1.1, 1.09]);
    let judged = |baseline, candidate| {
        compare_runs(&form.policy(), &baseline, &candidate, Labels::default()).judgements
    };
    let of_files = judged(file(&base), file(&candidate));
    assert_eq!(of_files, judged(built(0, &base), built(1, &candidate)));
    assert!(of_files[0].change.is_some());
}

#[test]
fn plain_tests_agree_with_scipy() {
    // SciPy: the exact method of the one, unequal variances of the other.
    let (a, b) = ([1.0, 2.0, 3.0], [4.0, 5.0, 7.0]);
    assert!((plain::mann_whitney(&a, &b) - 0.1).abs() < 1e-12);
    assert!((plain::welch(&a, &b) - WELCH).abs() < 1e-9);
    let (a, b) = ([1.0, 4.0, 6.0, 8.0], [2.0, 3.0, 9.0, 10.0, 11.0]);
    assert!((plain::mann_whitney(&a, &b) - MANN_WHITNEY).abs() < 1e-9);
}

const WELCH: f64 = 0.041_914_517_471_454_03;
const MANN_WHITNEY: f64 = 0.412_698_412_698_412_7;

/// A file of the documents.
fn document(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn the_tables_of_the_documents_are_made_from_the_committed_figures() {
    let cells = table::parse(&document("docs/concepts/calibration.csv")).unwrap();
    let page = document("docs/concepts/mathematics.md");
    let scenarios = scenarios::all();
    let made = table::markdown(&scenarios, &cells);
    assert_eq!(
        table::in_page(&page).unwrap(),
        made,
        "run `cargo bench --bench calibration -- page`"
    );
    assert_eq!(table::replaced(&page, &made).unwrap(), page);
    assert_eq!(table::parse(&table::csv(&[], &cells)).unwrap(), cells);
    let measured = |scenario: &scenarios::Scenario| {
        let mut cells = cells.iter();
        cells.any(|cell| cell.scenario == scenario.title)
    };
    assert!(scenarios.iter().all(measured));
    assert_eq!(table::broken(&scenarios, &cells), Vec::<String>::new());
}

/// Figures of a scenario at these noises, as the tables show them.
fn figures(cells: &[Cell], name: &str, noises: &[&str], slower: f64, counted: Counted) -> String {
    let figure = |noise: &&str| {
        let title = format!("{name}, {noise} %");
        let mut cells = cells.iter();
        let found = cells
            .find(|cell| cell.scenario == title && (cell.slower - slower).abs() < f64::EPSILON);
        let cell = found.unwrap_or_else(|| panic!("{title} at {slower}"));
        let (count, is_rate) = counted(cell);
        let share = number(count) / number(cell.gates);
        table::text(if is_rate { 100.0 * share } else { share }, is_rate)
    };
    noises.iter().map(figure).collect::<Vec<_>>().join(" / ")
}

/// What is counted, and whether it is a rate.
type Counted = fn(&Cell) -> (u64, bool);

const PASSED: Counted = |cell| (cell.passed, true);
const BLOCKED: Counted = |cell| (cell.blocked, true);
const UNDECIDED: Counted = |cell| (cell.undecided, true);
const STARTS: Counted = |cell| (cell.starts, false);

#[test]
fn the_summaries_of_the_documents_quote_the_figures() {
    let cells = table::parse(&document("docs/concepts/calibration.csv")).unwrap();
    let page = document("docs/concepts/mathematics.md");
    let all = |name: &str, slower, counted| {
        figures(&cells, name, &["0.5", "1", "2", "4"], slower, counted)
    };
    let usual = "as the ledger says";
    let today = |times: u32| {
        let name = format!("today {times} × as noisy");
        let [blocked, passed] = [all(&name, 0.02, BLOCKED), all(&name, 0.08, PASSED)];
        format!("{blocked} %, {passed} %")
    };
    let reached = [
        all(usual, 0.0, BLOCKED) + " %",
        all(usual, 0.02, BLOCKED) + " %",
        all(usual, 0.08, PASSED) + " %",
        all(usual, 0.10, PASSED) + " %",
        all(usual, 0.15, PASSED) + " %",
        all(usual, 0.05, PASSED) + " %, " + &all(usual, 0.05, BLOCKED) + " %",
        all(usual, 0.0, UNDECIDED) + " %",
        all(usual, 0.0, STARTS),
        all(usual, 0.08, STARTS),
        all("baseline's host 6 % slower", 0.08, PASSED) + " %",
        all("baseline's host 6 % faster", 0.0, BLOCKED) + " %",
        today(3),
        today(10),
    ];
    for figures in reached {
        assert!(page.contains(&format!(" | {figures} |")), "{figures}");
    }
    let readme = document("README.md");
    let noisy = |name: &str, slower, counted| figures(&cells, name, &["2", "4"], slower, counted);
    let elsewhere = |name: &str, how: &str| format!("{name}, baseline's host 6 % {how}");
    let rules = [
        (
            "threshold script: median over the limit",
            "median over the limit",
        ),
        ("Mann-Whitney test and limit", "Mann-Whitney and limit"),
        ("Welch's t-test and limit", "Welch and limit"),
    ];
    for (name, rule) in rules {
        let row = format!(
            "| {name} | {} % | {} % | {} % | {} % | – |",
            noisy(rule, 0.0, BLOCKED),
            noisy(&elsewhere(rule, "faster"), 0.0, BLOCKED),
            noisy(rule, 0.08, PASSED),
            noisy(&elsewhere(rule, "slower"), 0.08, PASSED)
        );
        assert!(readme.contains(&row), "{row}");
    }
    let row = format!(
        "| perfgate with ledger and base version | {} % | {} % | {} % | {} % | {} % |",
        noisy(usual, 0.0, BLOCKED),
        noisy("baseline's host 6 % faster", 0.0, BLOCKED),
        noisy(usual, 0.08, PASSED),
        noisy("baseline's host 6 % slower", 0.08, PASSED),
        noisy(usual, 0.08, UNDECIDED)
    );
    assert!(readme.contains(&row), "{row}");
    let starts = format!(
        "on average {} for the same version and {} for one that is 8 % slower",
        noisy(usual, 0.0, STARTS),
        noisy(usual, 0.08, STARTS)
    );
    assert!(readme.contains(&starts), "{starts}");
}

/// Server starts of 2000 gates of the rule before this one (at 7ca8284) on the same draws: 0, 8 and 15 % slower, by noise in percent.
const BEFORE: [(&str, [u64; 3]); 4] = [
    ("0.5", [9510, 20_076, 18_510]),
    ("1", [9474, 20_748, 18_546]),
    ("2", [12_918, 26_106, 18_948]),
    ("4", [25_458, 42_336, 22_668]),
];

/// Seconds of a server start with its load.
const SECONDS: [f64; 3] = [60.0 + 30.0, 180.0 + 60.0, 600.0 + 60.0];

#[test]
fn the_price_of_a_gate_in_the_documents_follows_from_the_figures() {
    let cells = table::parse(&document("docs/concepts/calibration.csv")).unwrap();
    let page = document("docs/concepts/mathematics.md");
    for (noise, before) in BEFORE {
        let changes = [
            ("innocent", 0.0),
            ("8 % slower", 0.08),
            ("15 % slower", 0.15),
        ];
        for ((change, slower), before) in changes.into_iter().zip(before) {
            let title = format!("as the ledger says, {noise} %");
            let is_it = |cell: &&Cell| {
                cell.scenario == title && (cell.slower - slower).abs() < f64::EPSILON
            };
            let cell = cells.iter().find(is_it).unwrap();
            let now = number(cell.starts) / number(cell.gates);
            let before = number(before) / 2000.0;
            let [short, usual, long] =
                SECONDS.map(|seconds| format!("{:.0} → {:.0}", before * seconds, now * seconds));
            let saved = 100.0 * (1.0 - now / before);
            let row = format!(
                "| {noise} % | {change} | {before:.1} → {now:.1} | {short} | {usual} | {long} | {saved:.0} % |"
            );
            assert!(page.contains(&row), "{row}");
        }
    }
}
