//! The runner on scripted sides: what happens with void repeats, dying servers and interruptions.

#![cfg(debug_assertions)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::CommandContext;
use super::arm::Arm;
use super::repeat_context::{RepeatContext, server_of};
use super::repeating::{Arms, measure_repeats};
use crate::clock;
use crate::config::{Fresh, Plan, read_plan};
use crate::environment::Environment;
use crate::event::{Event, Events, RunEvent, StartPhase};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::record::format::ResultFile;
use crate::record::{self, Run};

/// A run with scripted sides, and its events.
struct Stage {
    folder: tempfile::TempDir,
    plan: Plan,
    environment: Box<Environment>,
    events: Events,
    recorded: Arc<Mutex<Vec<RunEvent>>>,
    interrupt: Interrupt,
}

impl Stage {
    /// Must be called within a runtime.
    fn new(script: &str) -> Self {
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&recorded);
        let script = script.to_owned();
        let plan = "model: m\nserver: {simulator: {}}\nnum_requests: 8\nconcurrency: [1, 4]\ninput_tokens: 8\noutput_tokens: 4\n";
        Self {
            folder: tempfile::tempdir().unwrap(),
            plan: read_plan("p", plan).unwrap(),
            environment: Box::new(move |name| (name == "PERFGATE_SCRIPT").then(|| script.clone())),
            events: Events::to(move |event| {
                if let Event::Run(event) = event {
                    sink.lock().unwrap().push(event);
                }
            }),
            recorded,
            interrupt: Interrupt::listen().unwrap(),
        }
    }

    fn context(&self, side: &'static str) -> RepeatContext<'_> {
        let command = CommandContext {
            began: clock::unix_time(),
            environment: &*self.environment,
            events: &self.events,
            interrupt: &self.interrupt,
        };
        let output = self.folder.path().join(format!("{side}.json"));
        let server = server_of(&self.plan).unwrap();
        RepeatContext {
            fresh: Fresh::Repeat,
            side,
            ..RepeatContext::new(&self.plan, server, output, command)
        }
    }

    fn arms(&self) -> Arms<'_> {
        let [base, candidate] = ["base", "candidate"].map(|side| self.arm(side));
        Arms { base, candidate }
    }

    fn arm(&self, side: &'static str) -> Arm<'_> {
        Arm::begin(self.context(side), None).unwrap()
    }

    /// The server starts from the events, in order.
    fn starts(&self) -> Vec<String> {
        let recorded = self.recorded.lock().unwrap();
        let starts = recorded.iter().filter_map(|event| {
            let RunEvent::Starting {
                repeat,
                phase: StartPhase::Starting,
            } = event
            else {
                return None;
            };
            Some(format!("{}{}", repeat.side, repeat.number))
        });
        starts.collect()
    }
}

fn on_disk(path: &Path) -> Run {
    record::load(path).unwrap()
}

fn voids(result: &ResultFile) -> Vec<Vec<bool>> {
    let void = |scenario: &record::format::Scenario| {
        let repeats = scenario.repeats.iter();
        repeats.map(|repeat| repeat.void.is_some()).collect()
    };
    result.scenarios.iter().map(void).collect()
}

#[tokio::test]
async fn a_void_repeat_is_measured_again_and_kept() {
    let stage = Stage::new(r#"{"alone": [{}, {"void": "too hot"}]}"#);
    let mut arm = stage.arm("");
    measure_repeats(&mut arm, 3).await.unwrap();
    let voids = voids(&arm.run.result);
    assert_eq!(
        voids,
        [[false, true, false, false], [false, true, false, false]]
    );
    assert_eq!((arm.run.repeats(), arm.starts), (4, 4));
    let recorded = stage.recorded.lock().unwrap();
    let of_void = recorded.iter().filter_map(|event| {
        let RunEvent::Void {
            repeat: Some(repeat),
            load,
            reason,
        } = event
        else {
            return None;
        };
        Some(format!("{} {load} {reason}", repeat.number))
    });
    let of_void: Vec<String> = of_void.collect();
    assert_eq!(
        of_void,
        ["2 concurrency=1 too hot", "2 concurrency=4 too hot"]
    );
}

/// The names of the server starts of each scenario's repeats, without the id of the run.
fn start_names(result: &ResultFile) -> Vec<Vec<String>> {
    let name = |repeat: &record::format::Repeat| {
        let name = repeat.start.clone().unwrap_or_default();
        name.split_once("-start-")
            .map_or(name.clone(), |(_, ordinal)| ordinal.to_owned())
    };
    let names = |scenario: &record::format::Scenario| scenario.repeats.iter().map(name).collect();
    result.scenarios.iter().map(names).collect()
}

#[tokio::test]
async fn repeats_have_the_name_of_their_server_start() {
    let stage = Stage::new("{}");
    let mut arm = stage.arm("");
    measure_repeats(&mut arm, 2).await.unwrap();
    assert_eq!(start_names(&arm.run.result), [["1", "2"], ["1", "2"]]);
    assert_eq!(arm.run.result.price.unwrap().starts, 2);

    let context = RepeatContext {
        fresh: Fresh::Run,
        ordinals: (1000, 2),
        ..stage.context("shared")
    };
    let mut arm = Arm::begin(context, None).unwrap();
    measure_repeats(&mut arm, 2).await.unwrap();
    assert_eq!(
        start_names(&arm.run.result),
        [["1001", "1001"], ["1001", "1001"]]
    );
    let price = arm.run.result.price.unwrap();
    assert_eq!((price.starts, price.gpus), (1, 1));
    assert_eq!(
        on_disk(&arm.context.output).file.price,
        arm.run.result.price
    );
}

#[tokio::test]
async fn a_start_that_fails_costs_too_and_a_continued_file_adds_up() {
    let stage = Stage::new(r#"{"alone": [{}, {"does_not_start": "no such model"}]}"#);
    measure_repeats(&mut stage.arm(""), 3).await.unwrap_err();
    let path = stage.folder.path().join(".json");
    let price = |file: &ResultFile| file.price.unwrap();
    let failed = on_disk(&path).file;
    assert_eq!(
        (failed.scenarios[0].repeats.len(), price(&failed).starts),
        (1, 2)
    );

    let mut earlier = failed;
    earlier.price.as_mut().unwrap().load += 100.0;
    let again = Stage::new("{}");
    let mut arm = Arm::begin(again.context(""), Some(earlier)).unwrap();
    measure_repeats(&mut arm, 2).await.unwrap();
    let continued = price(&arm.run.result);
    assert_eq!(continued.starts, 3);
    assert!(continued.load > 100.0);
    let names = start_names(&arm.run.result);
    assert_eq!(names, [["1", "2"], ["1", "2"]]);
    let repeats = &arm.run.result.scenarios[0].repeats;
    assert_ne!(repeats[0].start, repeats[1].start);
}

#[tokio::test]
async fn an_attached_server_has_one_name_in_all_arms_of_a_command() {
    let stage = Stage::new("{}");
    let url = read_plan("p", "model: m\nserver: {url: \"http://127.0.0.1:9\"}\n").unwrap();
    let name = |side, repeat| {
        let context = RepeatContext {
            server: server_of(&url).unwrap(),
            ..stage.context(side)
        };
        context.start_name("run", repeat)
    };
    assert_eq!(name("", 0), name("candidate", 1));
    assert_ne!(name("", 0), name("base", 0));
}

#[tokio::test]
async fn a_run_of_void_repeats_ends_after_three_more() {
    let stage = Stage::new(&format!(
        r#"{{"alone": [{}]}}"#,
        [r#"{"void": "too hot"}"#; 9].join(",")
    ));
    let mut arm = stage.arm("");
    measure_repeats(&mut arm, 3).await.unwrap();
    assert_eq!(
        (arm.run.repeats(), arm.run.result.counting_repeats()),
        (4, 0)
    );
}

#[tokio::test]
async fn a_server_that_dies_fails_the_run_and_earlier_repeats_are_kept() {
    let stage = Stage::new(r#"{"alone": [{}, {"dies": true}]}"#);
    let mut arm = stage.arm("");
    let failure = measure_repeats(&mut arm, 3).await.unwrap_err();
    assert_eq!(failure.status, ExitStatus::TargetFailed);
    assert_eq!(
        failure.reason(),
        "the server ended during repeat 2 of concurrency=1"
    );
    let path = stage.folder.path().join(".json");
    let hint = format!("earlier repeats are kept in `{}`", path.display());
    assert_eq!(failure.hints, [hint]);
    assert_eq!(on_disk(&path).counting_repeats(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_start_is_a_failed_target() {
    let stage = Stage::new(r#"{"alone": [{"does_not_start": "no such model"}]}"#);
    let mut arm = stage.arm("");
    let failure = arm.repeat(1).await.unwrap_err();
    assert_eq!(failure.status, ExitStatus::TargetFailed);
    assert_eq!(failure.reason(), "no such model");
    assert_eq!((arm.run.repeats(), arm.starts), (0, 1));
}

#[tokio::test]
async fn an_interruption_keeps_the_repeats_and_a_later_run_continues() {
    let stage = Stage::new(r#"{"alone": [{}, {}, {"interrupted": true}]}"#);
    let failure = measure_repeats(&mut stage.arm(""), 3).await.unwrap_err();
    assert_eq!(failure.status, ExitStatus::Interrupted);
    let path = stage.folder.path().join(".json");
    assert_eq!(on_disk(&path).counting_repeats(), 2);

    let again = Stage::new("{}");
    let context = RepeatContext {
        output: path.clone(),
        ..again.context("")
    };
    let mut arm = Arm::begin(context, Some(on_disk(&path).file)).unwrap();
    measure_repeats(&mut arm, 3).await.unwrap();
    assert_eq!((arm.run.repeats(), arm.starts), (3, 1));
}

#[tokio::test]
async fn half_of_an_interrupted_repeat_is_void() {
    let stage = Stage::new("{}");
    let mut arm = stage.arm("");
    arm.repeat(1).await.unwrap();
    let mut earlier = arm.run.result;
    earlier.scenarios[1].repeats.clear();
    let arm = Arm::begin(stage.context(""), Some(earlier)).unwrap();
    assert_eq!(voids(&arm.run.result), [[false], [true]]);
}

#[tokio::test]
async fn one_server_serves_all_repeats_if_the_plan_sets_it() {
    let stage = Stage::new("{}");
    let context = RepeatContext {
        fresh: Fresh::Run,
        ..stage.context("")
    };
    let mut arm = Arm::begin(context, None).unwrap();
    measure_repeats(&mut arm, 3).await.unwrap();
    assert_eq!((arm.run.repeats(), arm.starts), (3, 1));
}

#[tokio::test]
async fn a_lot_decides_which_side_of_a_pair_starts_first() {
    let stage = Stage::new("{}");
    let mut arms = stage.arms();
    arms.measure_pairs(4, 1).await.unwrap();
    let starts = stage.starts();
    let firsts: Vec<&str> = starts
        .chunks(2)
        .map(|pair| pair[0].trim_end_matches(char::is_numeric))
        .collect();
    assert_eq!(firsts, ["base", "base", "base", "candidate"]);
    assert_eq!(
        arms.base
            .run
            .result
            .counting_pairs(&arms.candidate.run.result),
        4
    );
}

#[tokio::test]
async fn a_void_half_is_measured_again_at_once_and_its_partner_is_kept() {
    for side in ["base", "candidate"] {
        let stage = Stage::new(&format!(r#"{{"{side}": [{{"void": "too hot"}}]}}"#));
        let mut arms = stage.arms();
        arms.measure_pairs(1, 1).await.unwrap();
        assert_eq!(stage.starts().len(), 3, "{side}");
        assert_eq!(
            arms.base
                .run
                .result
                .counting_pairs(&arms.candidate.run.result),
            1
        );
        assert_eq!(
            (arms.base.run.repeats(), arms.candidate.run.repeats()),
            (2, 2)
        );
    }
}

#[tokio::test]
async fn a_half_that_is_void_twice_is_measured_anew_with_its_partner_once() {
    let void = r#"{"void": "too hot"}"#;
    let stage = Stage::new(&format!(r#"{{"candidate": [{void}, {void}]}}"#));
    let mut arms = stage.arms();
    arms.measure_pairs(1, 1).await.unwrap();
    assert_eq!(
        arms.base
            .run
            .result
            .counting_pairs(&arms.candidate.run.result),
        1
    );

    let stage = Stage::new(&format!(
        r#"{{"candidate": [{void}, {void}, {void}, {void}]}}"#
    ));
    let mut arms = stage.arms();
    let failure = arms.measure_pairs(1, 1).await.unwrap_err();
    assert_eq!(failure.status, ExitStatus::EnvironmentFailed);
    assert!(failure.reason().contains("too hot"), "{}", failure.reason());
    assert_eq!(arms.candidate.run.result.counting_repeats(), 0);
}

#[tokio::test]
async fn a_server_that_dies_once_in_a_pair_is_started_again() {
    let stage = Stage::new(r#"{"candidate": [{"dies": true}]}"#);
    let mut arms = stage.arms();
    arms.measure_pairs(2, 1).await.unwrap();
    assert_eq!(
        arms.base
            .run
            .result
            .counting_pairs(&arms.candidate.run.result),
        2
    );
}

#[tokio::test]
async fn half_of_an_interrupted_pair_is_void() {
    let stage =
        Stage::new(r#"{"candidate": [{"interrupted": true}], "base": [{"interrupted": true}]}"#);
    let mut arms = stage.arms();
    let failure: Failure = arms.measure_pairs(1, 1).await.unwrap_err();
    assert_eq!(failure.status, ExitStatus::Interrupted);

    let again = Stage::new("{}");
    let [base, candidate] = [("base", arms.base), ("candidate", arms.candidate)]
        .map(|(side, arm)| Arm::begin(again.context(side), Some(arm.run.result)).unwrap());
    let mut arms = Arms { base, candidate };
    arms.measure_pairs(1, 1).await.unwrap();
    assert_eq!(
        arms.base
            .run
            .result
            .counting_pairs(&arms.candidate.run.result),
        1
    );
    assert_eq!(again.starts().len(), 2);
}

#[tokio::test]
async fn a_failure_of_the_base_is_not_attributed_to_the_candidate() {
    let dies = r#"{"dies": true}"#;
    let stage = Stage::new(&format!(r#"{{"base": [{dies}, {dies}, {dies}, {dies}]}}"#));
    let failure = stage.arms().measure_pairs(1, 1).await.unwrap_err();
    assert!(failure.is_of_base);
    assert_eq!(failure.status, ExitStatus::TargetFailed);
}

#[tokio::test]
async fn the_log_of_a_server_is_named_after_its_side_and_repeat() {
    let stage = Stage::new("{}");
    for (side, name) in [("", "server-2.log"), ("base", "server-base-2.log")] {
        let context = RepeatContext {
            logs: Some("out".into()),
            ..stage.context(side)
        };
        assert_eq!(context.log_file(1), Some(Path::new("out").join(name)));
    }
}

#[tokio::test]
async fn a_script_with_a_mistake_is_refused() {
    let stage = Stage::new(r#"{"alone": [{"vode": 1}]}"#);
    let refused = Arm::begin(stage.context(""), None).err().unwrap();
    assert_eq!(refused.status, ExitStatus::Usage);
    assert!(refused.reason().contains("vode"), "{}", refused.reason());
}
