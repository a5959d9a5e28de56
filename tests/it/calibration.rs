//! The quick version of `cargo bench --bench calibration`: the promises of `docs/concepts/mathematics.md`, with generous bounds.

#[path = "../../benches/calibration/drive.rs"]
pub(crate) mod drive;
#[path = "../../benches/calibration/model.rs"]
mod model;
#[path = "../../benches/calibration/rules.rs"]
pub(crate) mod rules;
#[path = "../../benches/calibration/table.rs"]
mod table;

use model::{Chance, World};
use perfgate::stats::{Outcome, number};
use rules::Rule;

/// Gates per rate.
const GATES: u64 = 150;

/// Shares that passed and were blocked.
fn rates(rule: Rule, world: World) -> (f64, f64) {
    let (mut passed, mut blocked) = (0.0, 0.0);
    for gate in 0..GATES {
        match rule.gate(&world, &mut Chance::new(77_000 + gate)).outcome {
            Outcome::Pass => passed += 1.0,
            Outcome::Fail => blocked += 1.0,
            Outcome::Undecided => {}
        }
    }
    (passed / number(GATES), blocked / number(GATES))
}

fn world(noise: f64, effect: f64) -> World {
    World {
        noise,
        effect,
        ..World::default()
    }
}

#[test]
fn an_innocent_change_is_hardly_ever_blocked_and_nearly_always_passes() {
    for noise in [0.005, 0.02] {
        let (passed, blocked) = rates(Rule::WithBase, world(noise, 0.0));
        assert!(
            blocked <= 0.02 && passed >= 0.95,
            "{noise}: {passed} {blocked}"
        );
    }
}

#[test]
fn a_quiet_innocent_change_costs_few_server_starts() {
    let gate = |gate| Rule::WithBase.gate(&world(0.005, 0.0), &mut Chance::new(gate));
    let starts: u32 = (0..GATES).map(|number| gate(number).starts).sum();
    assert!(number(starts.into()) / number(GATES) < 6.0, "{starts}");
}

#[test]
fn a_regression_is_hardly_ever_passed_and_nearly_always_blocked() {
    for noise in [0.005, 0.02] {
        let (passed, blocked) = rates(Rule::WithBase, world(noise, 0.08));
        assert!(
            passed <= 0.08 && blocked >= 0.88,
            "{noise}: {passed} {blocked}"
        );
    }
}

#[test]
fn a_day_three_times_as_noisy_as_the_ledger_is_noticed() {
    let noisy = |effect| World {
        today: 3.0,
        ..world(0.01, effect)
    };
    assert!(rates(Rule::WithBase, noisy(0.02)).1 <= 0.06);
    assert!(rates(Rule::WithBase, noisy(0.08)).0 <= 0.10);
}

#[test]
fn a_slower_host_blocks_no_innocent_change_where_a_median_rule_blocks_most() {
    let elsewhere = World {
        slower_host: 0.06,
        ..world(0.01, 0.0)
    };
    assert!(rates(Rule::WithBase, elsewhere).1 <= 0.02);
    assert!(rates(Rule::Median, elsewhere).1 >= 0.40);
}

#[test]
fn the_error_rates_stay_within_their_limits_without_a_base_image_or_a_ledger() {
    for (rule, sessions) in [
        (Rule::WithoutBase, 20),
        (Rule::WithBase, 0),
        (Rule::WithoutBase, 0),
        (Rule::Compare, 20),
    ] {
        let of = |effect| World {
            sessions,
            ..world(0.01, effect)
        };
        assert!(rates(rule, of(0.0)).1 <= 0.03, "{rule:?} {sessions}");
        assert!(rates(rule, of(0.08)).0 <= 0.08, "{rule:?} {sessions}");
    }
}

#[test]
fn plain_tests_of_three_repeats_are_blind() {
    let (passed, _) = rates(Rule::MannWhitney, world(0.005, 0.15));
    assert!((passed - 1.0).abs() < f64::EPSILON);
    assert!(rates(Rule::Welch, world(0.02, 0.08)).0 >= 0.2);
}

#[test]
fn plain_tests_agree_with_scipy() {
    // SciPy: the exact method of the one, unequal variances of the other.
    let (a, b) = ([1.0, 2.0, 3.0], [4.0, 5.0, 7.0]);
    assert!((rules::mann_whitney(&a, &b) - 0.1).abs() < 1e-12);
    assert!((rules::welch(&a, &b) - WELCH).abs() < 1e-9);
    let (a, b) = ([1.0, 4.0, 6.0, 8.0], [2.0, 3.0, 9.0, 10.0, 11.0]);
    assert!((rules::mann_whitney(&a, &b) - MANN_WHITNEY).abs() < 1e-9);
}

const WELCH: f64 = 0.041_914_517_471_454_03;
const MANN_WHITNEY: f64 = 0.412_698_412_698_412_7;

#[test]
fn the_table_of_the_documents_is_made_from_the_committed_figures() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/concepts");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let cells = table::parse(&read("calibration.csv")).unwrap();
    let page = read("mathematics.md");
    let made = table::replaced(&page, &table::markdown(&cells)).unwrap();
    assert!(
        made == page,
        "run `cargo bench --bench calibration -- page`"
    );
    assert_eq!(table::in_page(&page).unwrap(), table::markdown(&cells));
    let again = table::parse(&table::csv(&[], &cells)).unwrap();
    assert_eq!(again, cells);
}

/// The figures of a row of the table of all cells: passed, blocked, undecided, server starts; one per column of noise.
fn figures(page: &str, world: &str, which: usize) -> Vec<String> {
    let row = page.lines().find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        (cells.next() == Some(world)).then(|| cells.collect::<Vec<_>>())
    });
    let cells = row.unwrap().into_iter();
    let figure = |cell: &str| cell.split([',', '/']).nth(which).unwrap().trim().to_owned();
    cells.map(figure).collect()
}

#[test]
fn the_summaries_of_the_documents_quote_the_table_of_all_cells() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (page, readme) = (read("docs/concepts/mathematics.md"), read("README.md"));
    let all = |world: &str, which| figures(&page, world, which).join(" / ");
    let noisy = |world: &str, which| figures(&page, world, which)[2..].join(" / ");
    let [same, slower] =
        ["0 % slower", "8 % slower"].map(|world| format!("{world}, ledger and base image"));
    let today = |times: u32| {
        let blocked = all(&format!("2 % slower, today {times} × as noisy"), 1);
        let passed = all(&format!("8 % slower, today {times} × as noisy"), 0);
        format!("{blocked} %, {passed} %")
    };
    let reached = [
        all(&same, 1) + " %",
        all("2 % slower, ledger and base image", 1) + " %",
        all(&slower, 0) + " %",
        all("10 % slower, ledger and base image", 0) + " %",
        all("15 % slower, ledger and base image", 0) + " %",
        all(&same, 2) + " %",
        all(&same, 3),
        today(3),
        today(10),
        all("0 % slower, host 6 % slower", 1) + " %",
    ];
    for figures in reached {
        assert!(page.contains(&format!(" | {figures} |")), "{figures}");
    }
    let rules = [
        (
            "threshold script: median over the limit",
            ": median over the limit",
        ),
        ("Mann-Whitney test and limit", ": Mann-Whitney and limit"),
        ("Welch's t-test and limit", ": Welch and limit"),
    ];
    for (name, rule) in rules {
        let row = format!(
            "| {name} | {} % | {} % | {} % | – |",
            noisy(&format!("0 % slower{rule}"), 1),
            noisy(&format!("0 % slower, host 6 % slower{rule}"), 1),
            noisy(&format!("8 % slower{rule}"), 0)
        );
        assert!(readme.contains(&row), "{row}");
    }
    let row = format!(
        "| perfgate with ledger and base version | {} % | {} % | {} % | {} % |",
        noisy(&same, 1),
        noisy("0 % slower, host 6 % slower", 1),
        noisy(&slower, 0),
        noisy(&slower, 2)
    );
    assert!(readme.contains(&row), "{row}");
    let starts = format!(
        "on average {} for the same version and {} for one that is 8 % slower",
        noisy(&same, 3),
        noisy(&slower, 3)
    );
    assert!(readme.contains(&starts), "{starts}");
}
