//! Our rule against its definition: `tests/statistics/vectors.json` contains every intermediate value of a program that defines it.

use serde_json::Value;

use super::*;

fn all() -> Value {
    serde_json::from_str(include_str!("../../tests/statistics/vectors.json")).unwrap()
}

/// The vectors of one kind: name, input, output.
fn vectors(all: &Value, kind: &str) -> Vec<(String, Value, Value)> {
    let vectors = all["vectors"].as_array().unwrap().iter();
    let found: Vec<_> = vectors
        .filter(|vector| vector["kind"] == kind)
        .map(|vector| {
            let name = format!("{} {}", vector["id"], vector["name"]);
            (name, vector["input"].clone(), vector["output"].clone())
        })
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn number_of(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number_of).collect()
}

/// `null` is a bound at infinity, or a missing value.
#[track_caller]
fn close(what: &str, ours: f64, theirs: &Value) {
    match theirs.as_f64() {
        None => assert!(!ours.is_finite(), "{what}: {ours} for {theirs}"),
        Some(theirs) => assert!(
            (ours - theirs).abs() <= 1e-12 + 1e-8 * theirs.abs(),
            "{what}: {ours} for {theirs}"
        ),
    }
}

#[track_caller]
fn noise_is(what: &str, ours: &Noise, theirs: &Value) {
    close(&format!("{what} s0"), ours.repeat, &theirs["s0"]);
    close(
        &format!("{what} nu0"),
        ours.degrees_of_freedom,
        &theirs["nu0"],
    );
    close(&format!("{what} tau"), ours.host, &theirs["tau"]);
    assert_eq!(u64::from(ours.sessions), theirs["sessions"], "{what}");
}

fn learn(all: &Value, ledger: &Value, step: f64) -> Noise {
    let sessions = &all["ledgers"][ledger.as_str().unwrap()];
    let sessions: Vec<Vec<f64>> = sessions.as_array().unwrap().iter().map(numbers).collect();
    Noise::learn(&sessions, step).unwrap_or(Noise::ASSUMED)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "block",
        Outcome::Undecided => "undecided",
    }
}

fn zone(input: &Value) -> IndifferenceZone {
    let limit = number_of(&input["limit"]);
    if input["higher_is_better"] == true {
        IndifferenceZone::of_loss(limit)
    } else {
        IndifferenceZone::of_growth(limit)
    }
}

#[track_caller]
fn estimate_is(what: &str, ours: &Estimate, theirs: &Value) {
    close(&format!("{what} estimate"), ours.delta, &theirs["estimate"]);
    close(
        &format!("{what} error"),
        ours.standard_error,
        &theirs["standard_error"],
    );
    close(&format!("{what} lower"), ours.lower, &theirs["lower"]);
    close(&format!("{what} upper"), ours.upper, &theirs["upper"]);
    assert_eq!(word(ours.outcome), theirs["answer"], "{what}");
}

fn noise_today_is(what: &str, ours: &TodaysNoise, theirs: &Value) {
    close(&format!("{what} squares"), ours.squares, &theirs["squares"]);
    close(&format!("{what} d"), ours.degrees, &theirs["degrees"]);
    close(&format!("{what} v"), ours.variance, &theirs["v"]);
    close(&format!("{what} f"), ours.degrees_of_freedom, &theirs["f"]);
    close(&format!("{what} g"), ours.caution, &theirs["g"]);
    for (name, probability) in [
        ("arms_probability", ours.arms_probability),
        ("differences_probability", ours.differences_probability),
    ] {
        close(
            &format!("{what} {name}"),
            probability.unwrap_or(f64::INFINITY),
            &theirs[name],
        );
    }
    assert_eq!(ours.doubted_by_arms, theirs["doubted_by_arms"], "{what}");
    assert_eq!(
        ours.doubted_by_differences, theirs["doubted_by_differences"],
        "{what}"
    );
}

fn look_is(what: &str, ours: &Look, theirs: &Value) {
    noise_today_is(what, &ours.today, theirs);
    assert_eq!(ours.is_clipped, theirs["clipped"], "{what}");
    if let Some(stored) = &ours.stored {
        let theirs = &theirs["stored"];
        close(&format!("{what} τ"), stored.host_noise, &theirs["tau"]);
        close(
            &format!("{what} stored variance"),
            stored.stored_variance,
            &theirs["stored_variance"],
        );
        estimate_is(what, &stored.estimate, theirs);
    } else {
        assert_eq!(ours.test.is_clear_only, theirs["clear_only"], "{what}");
        match &ours.pairs {
            None => assert!(theirs["alone"].is_null(), "{what}"),
            Some(estimate) => estimate_is(&format!("{what} alone"), estimate, &theirs["alone"]),
        }
        match &ours.all {
            None => assert!(theirs["all"].is_null(), "{what}"),
            Some(all) => all_is(&format!("{what} all"), all, &theirs["all"]),
        }
    }
    assert_eq!(word(ours.outcome), theirs["answer"], "{what}");
    let basis = ours.basis.map(|basis| match basis {
        Basis::StoredBaseline => "stored",
        Basis::Pairs => "alone",
        Basis::PairsAndStoredBaseline => "all",
    });
    assert_eq!(basis, theirs["basis"].as_str(), "{what}");
}

fn all_is(what: &str, ours: &AllEvidence, theirs: &Value) {
    for (name, value) in [
        ("tau", ours.host_noise),
        ("candidate", ours.candidate),
        ("base", ours.base),
        ("stored", ours.stored),
        ("base_variance", ours.base_variance),
        ("stored_variance", ours.stored_variance),
        ("base_weight", ours.base_weight),
    ] {
        close(&format!("{what} {name}"), value, &theirs[name]);
    }
    assert_eq!(ours.agrees, theirs["agree"], "{what}");
    assert_eq!(ours.counts, theirs["counts"], "{what}");
    estimate_is(what, &ours.estimate, theirs);
}

/// Values with the numbers of their starts, which are letters in the vectors.
fn repeats(values: &Value, starts: &Value) -> Vec<(f64, u32)> {
    let starts = starts.as_array().unwrap().iter();
    let starts = starts.map(|name| u32::from(name.as_str().unwrap().as_bytes()[0]));
    numbers(values).into_iter().zip(starts).collect()
}

/// What a look or a look beyond the schedule gets.
struct Given {
    stored: Vec<f64>,
    candidate: Vec<f64>,
    pairs: Vec<(f64, f64)>,
    noise: Noise,
    is_host_known: bool,
    step: f64,
}

impl Given {
    fn of(all: &Value, input: &Value) -> Self {
        let halves = numbers(&input["candidate_halves"]);
        let step = input["step"].as_f64().unwrap_or(0.0);
        Self {
            stored: numbers(&input["stored"]),
            candidate: numbers(&input["candidate"]),
            pairs: numbers(&input["base_halves"])
                .into_iter()
                .zip(halves)
                .collect(),
            noise: learn(all, &input["ledger"], step),
            is_host_known: input["host_known"].as_bool().unwrap_or(true),
            step,
        }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            stored: &self.stored,
            candidate: &self.candidate,
            pairs: &self.pairs,
            noise: self.noise,
            is_host_known: self.is_host_known,
            step: self.step,
            start_variance: 0.0,
        }
    }
}

#[test]
fn noise_is_learnt_as_defined() {
    let all = all();
    for (what, input, output) in vectors(&all, "learn_noise") {
        let step = number_of(&input["step"]);
        noise_is(&what, &learn(&all, &input["ledger"], step), &output);
    }
}

#[test]
fn every_value_of_a_look_is_as_defined() {
    let all = all();
    for (what, input, output) in vectors(&all, "look") {
        let given = Given::of(&all, &input);
        noise_is(&what, &given.noise, &output["noise"]);
        let levels = ErrorLevels {
            alpha: number_of(&input["block_level"]),
            beta: number_of(&input["pass_level"]),
        };
        let look = given.evidence().look(zone(&input), levels);
        look_is(&what, &look.unwrap(), &output);
        let pairs = u32::try_from(given.pairs.len()).unwrap();
        let seed = input["seed"].as_u64().unwrap();
        assert_eq!(order(seed, pairs), input["order"], "{what}");
    }
}

#[test]
fn a_look_beyond_the_schedule_is_as_defined() {
    let all = all();
    for (what, input, output) in vectors(&all, "look_beyond") {
        let total = ErrorLevels {
            alpha: number_of(&input["alpha"]),
            beta: number_of(&input["beta"]),
        };
        let given = Given::of(&all, &input);
        let look = given.evidence().look_beyond(zone(&input), total).unwrap();
        close(&what, look.delta, &output["estimate"]);
        close(&what, look.against_low, &output["e_block"]);
        close(&what, look.against_high, &output["e_pass"]);
        assert_eq!(word(look.outcome), output["answer"], "{what}");
    }
}

#[test]
fn repeats_that_share_a_start_are_compared_as_defined() {
    let all = all();
    for (what, input, output) in vectors(&all, "shared_starts") {
        let sessions = input["ledger"].as_array().unwrap().iter();
        let sessions: Vec<_> = sessions
            .map(|session| repeats(&session["values"], &session["starts"]))
            .collect();
        let stored = repeats(&input["stored"], &input["stored_starts"]);
        let candidate = repeats(&input["candidate"], &input["candidate_starts"]);
        let ours = replicates(&stored, &candidate, &sessions, 0.0, Noise::ASSUMED);
        let kind = match ours.kind {
            Replicate::Start => "starts",
            Replicate::Measurement => "passes",
        };
        assert_eq!(kind, output["kind"], "{what}");
        close(&what, ours.start_variance, &output["start_variance"]);
        noise_is(&what, &ours.noise, &output["noise"]);
        let evidence = Evidence {
            stored: &ours.stored,
            candidate: &ours.candidate,
            pairs: &[],
            noise: ours.noise,
            is_host_known: true,
            step: 0.0,
            start_variance: ours.start_variance,
        };
        let levels = ErrorLevels {
            alpha: 0.02,
            beta: 0.05,
        };
        look_is(
            &what,
            &evidence.look(zone(&input), levels).unwrap(),
            &output,
        );
    }
}

#[test]
fn pairs_that_share_a_start_become_one_as_defined() {
    for (what, input, output) in vectors(&all(), "merge_pairs") {
        let base = repeats(&input["base_halves"], &input["base_starts"]);
        let halves = repeats(&input["candidate_halves"], &input["candidate_starts"]);
        let beside = repeats(&input["candidate"], &input["beside_starts"]);
        let (pairs, alone) = merge_pairs(&base, &halves, &beside);
        let (bases, candidates): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        for (ours, theirs) in [
            (bases, &output["base_halves"]),
            (candidates, &output["candidate_halves"]),
            (alone, &output["candidate"]),
        ] {
            let theirs = theirs.as_array().unwrap();
            assert_eq!(ours.len(), theirs.len(), "{what}");
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                close(&what, ours, theirs);
            }
        }
    }
}

#[test]
fn a_host_is_known_as_defined() {
    for (what, input, output) in vectors(&all(), "host_is_known") {
        let noise = Noise {
            sessions: u32::try_from(input["sessions"].as_u64().unwrap()).unwrap(),
            ..Noise::ASSUMED
        };
        let hosts: Vec<&str> = input["ledger_hosts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|host| host.as_str().unwrap())
            .collect();
        let host = |key: &str| input[key].as_str().unwrap();
        let ours = is_host_known(&noise, &hosts, &host("baseline_host"), &host("todays_host"));
        assert_eq!(ours, output["known"], "{what}");
    }
}

fn order(seed: u64, pairs: u32) -> String {
    let pair = |pair| {
        if base_starts_first(seed, pair) {
            "BC"
        } else {
            "CB"
        }
    };
    format!("C{}", (1..=pairs).map(pair).collect::<String>())
}

#[test]
fn the_order_of_starts_is_as_defined() {
    for (what, input, output) in vectors(&all(), "order_of_starts") {
        let seed = input["seed"].as_u64().unwrap();
        assert_eq!(order(seed, MOST_PAIRS), output["order"], "{what}");
    }
}

const GATE: ErrorLevels = ErrorLevels {
    alpha: 0.02,
    beta: 0.05,
};

/// What is left of a gate's levels after runs of so many pairs on other machines.
fn left_after(earlier: &[u32]) -> ErrorLevels {
    let schedule = PairSchedule::new(GATE, 1, MOST_PAIRS);
    earlier.iter().fold(GATE, |left, pairs| {
        let spent = (1..=*pairs).map(|pairs| schedule.shares(pairs));
        let (alpha, beta) = spent.fold((1.0, 1.0), |(alpha, beta), share| {
            (alpha - share.alpha, beta - share.beta)
        });
        left.times(ErrorLevels { alpha, beta })
    })
}

#[test]
fn what_is_left_after_runs_elsewhere_is_as_defined() {
    for (what, input, output) in vectors(&all(), "what_is_left") {
        let earlier: Vec<u32> = input["earlier_pairs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pairs| u32::try_from(pairs.as_u64().unwrap()).unwrap())
            .collect();
        let left = left_after(&earlier);
        close(&what, left.alpha, &output["alpha"]);
        close(&what, left.beta, &output["beta"]);
    }
}

#[test]
fn the_levels_of_all_looks_are_as_defined() {
    let all = all();
    let mut tables = 0;
    for (name, table) in all["levels"].as_object().unwrap() {
        let shared = |family| GATE.shared_among(family);
        let (total, first) = match name.as_str() {
            "about" => continue,
            "claim" => (GATE, 3),
            "gate, alpha 0.02 / 1, beta 0.05" => (GATE, 1),
            "gate, alpha 0.02 / 4, beta 0.05" => (shared(4), 1),
            "gate, alpha 0.02 / 12, beta 0.05" => (shared(12), 1),
            "gate, M = 1, after a run of 3 pairs elsewhere" => (left_after(&[3]), 1),
            "gate, M = 1, after a run of 6 pairs elsewhere" => (left_after(&[6]), 1),
            other => panic!("an unknown table: {other}"),
        };
        let ours = PairSchedule::new(total, first, MOST_PAIRS);
        for (pairs, levels) in table.as_object().unwrap() {
            let ours = ours.at(pairs.parse().unwrap());
            let theirs = levels.as_array().unwrap();
            close(&format!("{name} {pairs}"), ours.alpha, &theirs[0]);
            close(&format!("{name} {pairs}"), ours.beta, &theirs[1]);
        }
        tables += 1;
    }
    assert_eq!(tables, 6);
}
