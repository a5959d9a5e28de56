//! What a result file tells of its server starts, and what they cost.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use perfgate::record::Run;
use perfgate::report::price::Price;

use crate::support::{TINY_RUN, run, simulator, write};

/// Measures three repeats: the result, its price, and the wall-clock time.
fn bench(folder: &Path, options: &[&str]) -> (Run, Price, Duration) {
    let arguments = [
        &["bench", "--repeat", "3", "--output", "r.json"][..],
        options,
        &TINY_RUN,
    ];
    let began = Instant::now();
    let ran = run(folder, &arguments.concat()).expect(0);
    let took = began.elapsed();
    let result = perfgate::record::load(&folder.join("r.json")).unwrap();
    let price = result.file.price.unwrap();
    let line = format!("price: {price}");
    let lines = ran.stderr.lines();
    assert_eq!(
        lines.filter(|other| *other == line).count(),
        1,
        "{}",
        ran.stderr
    );
    (result, price, took)
}

/// The names of the server starts of the repeats.
fn starts(result: &Run) -> BTreeSet<String> {
    let repeats = result.scenarios[0].repeats.iter();
    repeats
        .map(|repeat| repeat.start.clone().unwrap())
        .collect()
}

#[test]
fn every_fresh_server_is_a_start_and_the_price_is_the_time_of_the_measurement() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "perfgate.yaml",
        "model: demo\nserver: {simulator: {startup: 1s}}\n",
    );
    let (result, price, took) = bench(folder.path(), &[]);
    // On a busy machine a repeat may be void and measured again.
    let repeats = result.scenarios[0].repeats.len();
    assert!(repeats >= 3);
    assert_eq!(starts(&result).len(), repeats);
    assert_eq!((price.starts as usize, price.gpus), (repeats, 1));
    assert!(price.startup >= 3.0 && price.load > 0.0, "{price:?}");
    // The rest of the command is the start of the program, and the report.
    let took = took.as_secs_f64();
    let shares = 0.8 * took..=took;
    assert!(shares.contains(&price.seconds()), "{price:?} of {took} s");
}

#[test]
fn repeats_on_one_server_share_its_start() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "perfgate.yaml",
        "model: demo\nserver: {simulator: {startup: 300ms, gpus: 0}, fresh: run}\n",
    );
    let (result, price, _) = bench(folder.path(), &[]);
    // A void last repeat needs one more server.
    assert_eq!(starts(&result).len(), price.starts as usize);
    assert!(price.starts < 3 && result.scenarios[0].repeats.len() >= 3);
    assert!(price.startup >= 0.3, "{price:?}");
}

#[test]
fn an_attached_server_is_one_start_in_all_runs_and_none_of_perfgates() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = simulator(folder.path(), &[]);
    let (first, price, _) = bench(folder.path(), &["--url", &url]);
    assert_eq!(starts(&first).len(), 1);
    assert_eq!((price.starts, price.gpus), (0, 1));
    let (second, ..) = bench(folder.path(), &["--url", &url]);
    assert_eq!(starts(&second), starts(&first));
    // Another process at any address is another start.
    let (_other, url) = simulator(folder.path(), &[]);
    let (third, ..) = bench(folder.path(), &["--url", &url]);
    assert_ne!(starts(&third), starts(&first));
}

#[test]
fn baseline_and_ledger_keep_the_price_and_the_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (result, price, _) = bench(folder.path(), &["--simulator"]);
    let update = [
        "baseline",
        "update",
        "r.json",
        "--because",
        "first accepted run",
    ];
    run(folder.path(), &update).expect(0);
    let found = walk(&folder.path().join("baselines"));
    let of = |ending: &str| found.iter().find(|path| path.ends_with(ending)).unwrap();
    let baseline = perfgate::record::load(Path::new(of(".json"))).unwrap();
    let ledger = perfgate::record::load_ledger(Path::new(of(".ledger.jsonl"))).unwrap();
    for kept in [&baseline, &ledger[0]] {
        assert_eq!(kept.file.price, Some(price));
        assert_eq!(starts(kept), starts(&result));
    }
    let average = perfgate::record::average_price(&ledger).unwrap();
    assert_eq!(
        (average.sessions, average.gpu_hours),
        (1, price.gpu_hours())
    );
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            walk(&path)
        } else {
            vec![path.display().to_string()]
        }
    });
    files.collect()
}
