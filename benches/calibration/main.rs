//! The goal table of `docs/concepts/mathematics.md`: our rule and plain ones in a simulated world with known truth.
//!
//! `cargo bench --bench calibration` prints the short table in a few minutes; `-- full` every cell, `-- 4000` that many
//! gates per cell. `-- full --csv FILE` also writes the raw figures, and `-- page` makes the table of the documents from
//! the committed ones. Equal seeds give equal figures.

mod drive;
mod model;
mod rules;
mod table;

use std::num::NonZero;
use std::path::Path;
use std::thread;

use model::{Chance, World};
use perfgate::stats::Outcome;
use rules::Rule;
use table::Cell;

/// Noise of one start, as coefficient of variation.
const NOISES: [f64; 4] = [0.005, 0.01, 0.02, 0.04];

/// Gates per cell: rates are known to about half a percent.
const DEFAULT_GATES: u64 = 2000;

const SEED: u64 = 20_261_124;

/// The committed figures, and the page that shows them.
const FIGURES: &str = "docs/concepts/calibration.csv";
const PAGE: &str = "docs/concepts/mathematics.md";

/// One row: the same world at every noise.
struct Row {
    name: String,
    rule: Rule,
    world: World,
}

#[expect(clippy::print_stdout, reason = "a table for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if has("page") {
        return make_page();
    }
    let gates = arguments.iter().find_map(|argument| argument.parse().ok());
    let gates = gates.unwrap_or(DEFAULT_GATES);
    let cells: Vec<Cell> = rows(has("full"))
        .into_iter()
        .flat_map(|row| NOISES.map(|noise| simulate(&row, noise, gates)))
        .collect();
    println!("{}", table::markdown(&cells));
    let path = arguments
        .iter()
        .skip_while(|argument| *argument != "--csv")
        .nth(1);
    if let Some(path) = path {
        let about = [
            format!("cargo bench --bench calibration -- full {gates} --csv {FIGURES}"),
            format!("seed {SEED}; limit {} %", 100.0 * rules::LIMIT),
            format!(
                "perfgate {} on {} {}; the figures do not depend on the machine",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        ];
        write(Path::new(path), &table::csv(&about, &cells))?;
    }
    Ok(())
}

/// Makes the table of the documents from the committed figures.
fn make_page() -> Result<(), Box<dyn std::error::Error>> {
    let cells = table::parse(&std::fs::read_to_string(FIGURES)?);
    let cells = cells.ok_or("the figures are not those of this bench")?;
    let page = table::replaced(&std::fs::read_to_string(PAGE)?, &table::markdown(&cells));
    write(
        Path::new(PAGE),
        &page.ok_or("the page has no place for the table")?,
    )
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(perfgate::files::write_atomically(path, text.as_bytes())?)
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
fn simulate(row: &Row, noise: f64, gates: u64) -> Cell {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let world = World { noise, ..row.world };
    let empty = Cell {
        row: row.name.clone(),
        noise,
        gates,
        passed: 0,
        blocked: 0,
        undecided: 0,
        starts: 0,
    };
    let of_thread = |first: u64| {
        let mut cell = empty.clone();
        for gate in (first..gates).step_by(threads) {
            let mut chance = Chance::new(SEED.wrapping_mul(1_000_003) + gate);
            let run = row.rule.gate(&world, &mut chance);
            cell.starts += u64::from(run.starts);
            match run.outcome {
                Outcome::Pass => cell.passed += 1,
                Outcome::Fail => cell.blocked += 1,
                Outcome::Undecided => cell.undecided += 1,
            }
        }
        cell
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || of_thread(first)))
            .collect();
        let mut sum = empty.clone();
        for cell in running.into_iter().filter_map(|thread| thread.join().ok()) {
            sum.passed += cell.passed;
            sum.blocked += cell.blocked;
            sum.undecided += cell.undecided;
            sum.starts += cell.starts;
        }
        sum
    })
}
