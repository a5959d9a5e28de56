//! Histories of forty commits drawn from a seed: the guilty commit is found in each of them.

use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::history::{BUILD, History, simulator};
use super::variable;
use crate::support::{json, write};

const COMMITS: usize = 40;

/// Variable that says how many seeds are tried; two where it is not set.
const SEEDS: &str = "PERFGATE_TEST_BISECT_SEEDS";

/// A history, and the commit in it that makes decoding 8 % slower.
struct Drawn {
    history: History,
    guilty: String,
    broken: usize,
    merges: usize,
}

/// Odd seeds have branches that are merged, every seed has commits that do not build but one in four.
fn drawn(seed: u64) -> Drawn {
    let mut random = Pcg32::seed_from_u64(seed);
    let mut history = History::new();
    // Not next to the ends, so that every search takes all its steps.
    let guilty_place = random.random_range(3..COMMITS - 3);
    let mut guilty = String::new();
    let (mut broken, mut merges) = (0, 0);
    let mut on_branch: Option<usize> = None;
    let mut made = 0;
    let mut decode = 1.0;
    while made < COMMITS {
        match on_branch {
            None if seed % 2 == 1 && made > 1 && made + 4 < COMMITS && random.random_bool(0.15) => {
                history.git(&["checkout", "--quiet", "-b", &format!("topic-{made}")]);
                on_branch = Some(made + random.random_range(1..4));
            }
            Some(until) if made >= until => {
                // The other side moves on, too, so that there is something to merge. It has not what the branch has.
                let topic = history.git(&["rev-parse", "HEAD"]);
                history.git(&["checkout", "--quiet", "main"]);
                write(history.path(), "other.txt", &format!("{made}"));
                history.commit(&format!("beside {made}"));
                history.git(&[
                    "merge",
                    "--quiet",
                    "--no-edit",
                    "--strategy-option",
                    "theirs",
                    &topic,
                ]);
                history.commits.push(history.git(&["rev-parse", "HEAD"]));
                on_branch = None;
                merges += 1;
                made += 2;
            }
            _ => {}
        }
        // A merge may take the place at which the guilty one was to be.
        let is_guilty = guilty.is_empty() && made >= guilty_place;
        if is_guilty {
            decode = 1.08;
        }
        history.set_server(&simulator(decode, "2%"));
        let is_broken =
            !seed.is_multiple_of(4) && !is_guilty && made > 0 && random.random_bool(0.1);
        let is_neighbour = made + 1 == guilty_place || made >= COMMITS - 2;
        let breaks = is_broken && !is_neighbour;
        write(
            history.path(),
            "build.sh",
            if breaks {
                "echo no such header; exit 1\n"
            } else {
                "echo built > built\n"
            },
        );
        let id = history.commit(&format!("change {made}"));
        broken += usize::from(breaks);
        if is_guilty {
            guilty = id;
        }
        made += 1;
    }
    if on_branch.is_some() {
        let topic = history.git(&["rev-parse", "HEAD"]);
        history.git(&["checkout", "--quiet", "main"]);
        history.git(&["merge", "--quiet", "--no-ff", "--no-edit", &topic]);
        merges += 1;
    }
    Drawn {
        history,
        guilty,
        broken,
        merges,
    }
}

/// Finds the commit; what was found and what it cost.
fn hunt(seed: u64) -> (bool, String) {
    let Drawn {
        history,
        guilty,
        broken,
        merges,
    } = drawn(seed);
    let began = Instant::now();
    let started = history.start(&BUILD);
    assert_eq!(started.code, Some(0), "seed {seed}: {}", started.stderr);
    let ran = history.run(&[]);
    let seconds = began.elapsed().as_secs_f64();
    let summary = history.state("summary.json");
    if !summary.is_file() {
        return (
            false,
            format!("seed {seed}: no summary\n{}\n{}", ran.stdout, ran.stderr),
        );
    }
    let summary = json(&summary);
    let found = summary["commit"]["id"].as_str().unwrap_or("no commit");
    let is_right = found == guilty
        && summary["outcome"] == "found"
        && ran
            .stdout
            .contains(&format!("{guilty} is the first bad commit"));
    let steps = summary["steps"].as_array().unwrap();
    let judged = steps.iter().filter(|step| step["role"] == "search").count();
    let starts = &summary["cost"]["server_starts"];
    let line = format!(
        "seed {seed:>2}: {} · {judged} steps, {starts} server starts, {seconds:.0} s · {broken} commits do not build, {merges} merges",
        if is_right { "right" } else { "WRONG" }
    );
    if is_right {
        (true, line)
    } else {
        (false, format!("{line}\n{}\n{}", ran.stdout, ran.stderr))
    }
}

/// `PERFGATE_TEST_BISECT_SEEDS=20 cargo nextest run --no-capture -E 'test(seeded)'` tries all twenty.
#[test]
fn the_guilty_commit_is_found_in_every_seeded_history() {
    let seeds = variable(SEEDS).map_or(2, |seeds| seeds.parse().unwrap());
    let mut wrong = Vec::new();
    for seed in 1..=seeds {
        let (is_right, line) = hunt(seed);
        eprintln!("{line}");
        if !is_right {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
