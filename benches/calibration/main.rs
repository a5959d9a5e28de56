//! The goal table of `docs/concepts/mathematics.md`: our rule and plain ones in a simulated world with known truth.
//!
//! `cargo bench --bench calibration` prints the short table in a few minutes; `-- full` every cell, `-- 4000` that many
//! gates per cell. Equal seeds give equal tables.

mod drive;
mod model;
mod rules;

use std::fmt::Write as _;
use std::num::NonZero;
use std::thread;

use model::{Chance, World};
use perfgate::stats::{Answer, number};
use rules::Rule;

/// Noise of one start, as coefficient of variation.
const NOISES: [f64; 4] = [0.005, 0.01, 0.02, 0.04];

/// Gates per cell: rates are known to about half a percent.
const USUAL_GATES: u64 = 2000;

const SEED: u64 = 20_261_124;

/// One row: the same world at every noise.
struct Row {
    name: String,
    rule: Rule,
    world: World,
}

/// Rates of one cell.
#[derive(Default)]
struct Cell {
    passed: u64,
    blocked: u64,
    open: u64,
    starts: u64,
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().any(|argument| argument == "full");
    let gates = arguments.iter().find_map(|argument| argument.parse().ok());
    let gates = gates.unwrap_or(USUAL_GATES);
    println!(
        "{gates} gates per cell, limit {:.0} %, seed {SEED}. Cells: % passed / % blocked / % undecided, mean server starts\n",
        100.0 * rules::LIMIT
    );
    println!("| world and rule | 0.5 % noise | 1 % | 2 % | 4 % |\n| --- | --- | --- | --- | --- |");
    for row in rows(full) {
        let mut line = format!("| {} |", row.name);
        for noise in NOISES {
            let world = World { noise, ..row.world };
            let cell = simulate(row.rule, &world, gates);
            let share = |count: u64| 100.0 * number(count) / number(gates);
            let _ = write!(
                line,
                " {:.1} / {:.1} / {:.1}, {:.1} |",
                share(cell.passed),
                share(cell.blocked),
                share(cell.open),
                number(cell.starts) / number(gates)
            );
        }
        println!("{line}");
    }
}

/// Every effect that is simulated.
const EFFECTS: [f64; 6] = [0.0, 0.02, 0.05, 0.08, 0.10, 0.15];

/// The effects of the short table where not all are shown.
const ENDS: [f64; 2] = [0.0, 0.08];

/// A rule in a world, at several effects.
fn at(effects: &[f64], what: &str, rule: Rule, world: World) -> Vec<Row> {
    let row = |effect: &f64| Row {
        name: format!("{:.0} % slower{what}", 100.0 * effect),
        rule,
        world: World {
            effect: *effect,
            ..world
        },
    };
    effects.iter().map(row).collect()
}

fn rows(full: bool) -> Vec<Row> {
    let some: &[f64] = if full { &EFFECTS } else { &ENDS };
    let usual = World::default();
    let elsewhere = World {
        slower_host: 0.06,
        ..usual
    };
    let without_ledger = World {
        sessions: 0,
        ..usual
    };
    let noisier = |today| World { today, ..usual };
    let mut rows = at(&EFFECTS, ", ledger and base image", Rule::WithBase, usual);
    for (what, today) in [("today 3 × as noisy", 3.0), ("today 10 × as noisy", 10.0)] {
        rows.extend(at(
            &[0.0, 0.02, 0.08],
            &format!(", {what}"),
            Rule::WithBase,
            noisier(today),
        ));
    }
    rows.extend(at(&ENDS, ", host 6 % slower", Rule::WithBase, elsewhere));
    for (what, rule) in [
        ("median over the limit", Rule::Median),
        ("Mann-Whitney and limit", Rule::MannWhitney),
        ("Welch and limit", Rule::Welch),
    ] {
        rows.extend(at(some, &format!(": {what}"), rule, usual));
        rows.extend(at(
            &[0.0],
            &format!(", host 6 % slower: {what}"),
            rule,
            elsewhere,
        ));
    }
    rows.extend(at(
        some,
        ", ledger, no base image",
        Rule::WithoutBase,
        usual,
    ));
    rows.extend(at(
        some,
        ", base image, no ledger",
        Rule::WithBase,
        without_ledger,
    ));
    rows.extend(at(some, ", neither", Rule::WithoutBase, without_ledger));
    rows.extend(at(some, ", `compare` once, ledger", Rule::Compare, usual));
    if full {
        rows.extend(further());
    }
    rows
}

/// Worlds that are unlike the usual one.
fn further() -> Vec<Row> {
    let usual = World::default();
    let five = World {
        repeats: 5,
        ..usual
    };
    let mut rows = at(
        &EFFECTS,
        ", 5 repeats, ledger and base image",
        Rule::WithBase,
        five,
    );
    let worlds = [
        (
            ", most noise drifts",
            World {
                drift: 0.9,
                ..usual
            },
        ),
        (
            ", no outliers",
            World {
                outliers: 0.0,
                ..usual
            },
        ),
        (
            ", 10 % outliers",
            World {
                outliers: 0.10,
                ..usual
            },
        ),
        (
            ", ledger of 7 sessions",
            World {
                sessions: 6,
                ..usual
            },
        ),
    ];
    for (what, world) in worlds {
        rows.extend(at(&ENDS, what, Rule::WithBase, world));
    }
    for today in [3.0, 10.0] {
        let world = World { today, ..usual };
        let what = format!(", today {today} × as noisy, no base image");
        rows.extend(at(&ENDS, &what, Rule::WithoutBase, world));
    }
    rows
}

/// Every gate has a seed of its own, so that the number of threads changes nothing.
fn simulate(rule: Rule, world: &World, gates: u64) -> Cell {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let of_thread = |first: u64| {
        let mut cell = Cell::default();
        for gate in (first..gates).step_by(threads) {
            let outcome = rule.gate(world, &mut Chance::new(SEED.wrapping_mul(1_000_003) + gate));
            cell.starts += u64::from(outcome.starts);
            match outcome.answer {
                Answer::Pass => cell.passed += 1,
                Answer::Block => cell.blocked += 1,
                Answer::Open => cell.open += 1,
            }
        }
        cell
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || of_thread(first)))
            .collect();
        let mut sum = Cell::default();
        for cell in running.into_iter().filter_map(|thread| thread.join().ok()) {
            sum.passed += cell.passed;
            sum.blocked += cell.blocked;
            sum.open += cell.open;
            sum.starts += cell.starts;
        }
        sum
    })
}
