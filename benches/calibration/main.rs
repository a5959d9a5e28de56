//! The tables of `docs/concepts/mathematics.md`: our rule and plain ones in simulated worlds with known truth.
//!
//! `cargo bench --bench calibration` simulates every scenario of `scenarios.txt` with 200 gates for each effect, `-- full` with 2000,
//! `-- 4000` with that many; `--only WORD` those whose name contains it. It fails if a rate is above its bound. `--csv FILE` also writes
//! the raw figures, and `-- page` makes the tables of the documents from the committed ones. Equal seeds give equal figures.

mod drive;
mod model;
mod plain;
mod rules;
mod scenarios;
mod several;
mod table;

use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use perfgate::stats::Outcome;
use rules::Gates;
use scenarios::Scenario;
use table::Cell;

/// Gates for each effect, and for the documents: a rate of 5 % is known to half a percent.
const QUICK_GATES: u64 = 200;
const FULL_GATES: u64 = 2000;

/// The seed of the first gate.
const SEED: u64 = 20_261_124 * 1_000_003;

/// The committed figures, and the page that shows them.
const FIGURES: &str = "docs/concepts/calibration.csv";
const PAGE: &str = "docs/concepts/mathematics.md";

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tables for people"
)]
fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let after = |option: &str| {
        let mut rest = arguments.iter().skip_while(|argument| *argument != option);
        rest.nth(1)
    };
    if has("page") {
        make_page()?;
        return Ok(ExitCode::SUCCESS);
    }
    let gates = arguments.iter().find_map(|argument| argument.parse().ok());
    let usual = if has("full") { FULL_GATES } else { QUICK_GATES };
    let gates = gates.unwrap_or(usual);
    let mut scenarios = scenarios::all();
    if let Some(word) = after("--only") {
        scenarios.retain(|scenario| {
            format!("{}: {}", scenario.group, scenario.title).contains(word.as_str())
        });
    }
    let cells: Vec<Cell> = scenarios
        .iter()
        .flat_map(|scenario| simulate(scenario, gates / scenario.rule.cost()))
        .collect();
    println!("{}", table::markdown(&scenarios, &cells));
    if let Some(path) = after("--csv") {
        write(Path::new(path), &table::csv(&about(gates), &cells))?;
    }
    let broken = table::broken(&scenarios, &cells);
    for line in &broken {
        eprintln!("above its bound: {line}");
    }
    Ok(if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The comments of the CSV.
fn about(gates: u64) -> [String; 3] {
    [
        format!("cargo bench --bench calibration -- full {gates} --csv {FIGURES}"),
        format!("seed {SEED}; limit {} %", 100.0 * drive::LIMIT),
        format!(
            "perfgate {} on {} {}; the figures do not depend on the machine",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH
        ),
    ]
}

/// Makes the tables of the documents from the committed figures.
fn make_page() -> Result<(), Box<dyn std::error::Error>> {
    let cells = table::parse(&std::fs::read_to_string(FIGURES)?);
    let cells = cells.ok_or("the figures are not those of this bench")?;
    let made = table::markdown(&scenarios::all(), &cells);
    let page = table::replaced(&std::fs::read_to_string(PAGE)?, &made);
    write(
        Path::new(PAGE),
        &page.ok_or("the page has no place for the table")?,
    )
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(perfgate::files::write_atomically(path, text.as_bytes())?)
}

/// The cells of a scenario, one for each effect. Every gate has a seed of its own, so that the number of threads changes nothing.
fn simulate(scenario: &Scenario, gates: u64) -> Vec<Cell> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let effects = scenario.effects();
    let drawn = Gates::new(scenario.rule, scenario.world);
    let empty = effects.iter().map(|slower| Cell {
        scenario: scenario.title.clone(),
        slower: *slower,
        gates,
        passed: 0,
        blocked: 0,
        undecided: 0,
        starts: 0,
    });
    let empty: Vec<Cell> = empty.collect();
    let of_thread = |first: u64| {
        let mut cells = empty.clone();
        for gate in (first..gates).step_by(threads) {
            for (cell, run) in cells.iter_mut().zip(drawn.run(SEED + gate, effects)) {
                cell.starts += u64::from(run.starts);
                match run.outcome {
                    Outcome::Pass => cell.passed += 1,
                    Outcome::Fail => cell.blocked += 1,
                    Outcome::Undecided => cell.undecided += 1,
                }
            }
        }
        cells
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || of_thread(first)))
            .collect();
        let mut sums = empty.clone();
        for cells in running.into_iter().filter_map(|thread| thread.join().ok()) {
            for (sum, cell) in sums.iter_mut().zip(cells) {
                sum.passed += cell.passed;
                sum.blocked += cell.blocked;
                sum.undecided += cell.undecided;
                sum.starts += cell.starts;
            }
        }
        sums
    })
}
