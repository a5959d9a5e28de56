//! The scenarios of `scenarios.txt`: a world, a rule, and the figures of an independent implementation of that rule.

use super::model::{Bend, Requests, World};
use super::plain::Plain;
use super::rules::Rule;
use super::several::{Family, Shared};

/// Effects of every scenario.
const EFFECTS: [f64; 5] = [0.0, 0.02, 0.08, 0.10, 0.15];

/// At the limit itself both answers are right: measured in the usual world only.
const WITH_LIMIT: [f64; 6] = [0.0, 0.02, 0.05, 0.08, 0.10, 0.15];

/// One world and rule.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) group: String,
    /// The world in words, with its noise.
    pub(crate) title: String,
    pub(crate) rule: Rule,
    pub(crate) world: World,
    pub(crate) expected: Option<Expected>,
}

/// Figures of the independent implementation, in percent; server starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    /// At 0 and 2 % slower.
    pub(crate) blocked: Vec<f64>,
    /// At 8, 10 and 15 % slower.
    pub(crate) passed: Vec<f64>,
    /// At 0 and 8 % slower.
    pub(crate) undecided: Vec<f64>,
    /// At 0, 8 and 15 % slower.
    pub(crate) starts: Vec<f64>,
}

impl Scenario {
    pub(crate) fn effects(&self) -> &'static [f64] {
        if self.title.starts_with("as the ledger") {
            &WITH_LIMIT
        } else {
            &EFFECTS
        }
    }
}

/// Every scenario, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    let (mut group, mut scenarios) = ("", Vec::new());
    for line in include_str!("scenarios.txt").lines() {
        if let Some(name) = line.strip_prefix("# ") {
            group = name;
        } else if !line.is_empty() && !line.starts_with(';') {
            let scenario = scenario(group, line);
            scenarios.push(scenario.unwrap_or_else(|| panic!("not a scenario: {line}")));
        }
    }
    scenarios
}

fn scenario(group: &str, line: &str) -> Option<Scenario> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, rule, world, percent, figures @ ..] = columns.as_slice() else {
        return None;
    };
    let numbers = |text: &&str| -> Option<Vec<f64>> {
        let numbers = text.split('/').map(|number| number.trim().parse().ok());
        numbers.collect()
    };
    let expected = match figures {
        [] => None,
        [blocked, passed, undecided, starts] => Some(Expected {
            blocked: numbers(blocked)?,
            passed: numbers(passed)?,
            undecided: numbers(undecided)?,
            starts: numbers(starts)?,
        }),
        _ => return None,
    };
    let usual = World {
        noise: percent.parse::<f64>().ok()? / 100.0,
        ..World::default()
    };
    let settings = world.split(", ").filter(|setting| !setting.is_empty());
    Some(Scenario {
        group: group.to_owned(),
        title: format!("{name}, {percent} %"),
        rule: parse_rule(rule)?,
        world: settings.map(str::trim).try_fold(usual, with)?,
        expected,
    })
}

/// The world with another setting, `today 3`.
fn with(mut world: World, setting: &str) -> Option<World> {
    let (name, text) = setting.rsplit_once(' ').unwrap_or((setting, "0"));
    let value: f64 = text.parse().ok()?;
    match name {
        "today" => world.today = value,
        "stored" => world.stored_slower = value,
        "unknown" => world.is_host_unknown = true,
        "fleet" => world.fleet = value,
        "sessions" => world.sessions = text.parse().ok()?,
        "requests" => world.requests = Requests::of(text.parse().ok()?)?,
        "steps" => world.rounding = Some((value, 0.0)),
        "offset" => world.rounding = world.rounding.map(|(size, _)| (size, value)),
        "declared" => world.is_declared = true,
        "drift" => world.bend = Bend::Drift(value),
        "machine step" => world.bend = Bend::MachineStep(value),
        "noisy candidate" => world.bend = Bend::NoisyCandidate(value),
        "modes" => world.bend = Bend::Modes(value),
        "modes of candidate" => world.bend = Bend::ModesOfCandidate(value),
        "neighbour" => world.bend = Bend::Neighbour(value),
        "some slow" => world.bend = Bend::SomeSlow(value),
        _ => return None,
    }
    Some(world)
}

/// The rule of `with base 12`.
fn parse_rule(text: &str) -> Option<Rule> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words.as_slice() {
        ["with", "base", pairs] => Rule::WithBase(pairs.parse().ok()?),
        ["retried", pairs] => Rule::Retried(pairs.parse().ok()?),
        ["family", slower] => Rule::Family(Family {
            slower: slower.parse().ok()?,
        }),
        ["without", "base"] => Rule::WithoutBase,
        ["compare", pairs] => Rule::Compare(pairs.parse().ok()?),
        ["shared", baseline, candidate, ledger] => Rule::Shared(Shared {
            sides: (baseline.parse().ok()?, candidate.parse().ok()?),
            session: match *ledger {
                "measurements" => Some((1, 3)),
                "starts" => Some((3, 1)),
                _ => None,
            },
        }),
        ["median"] => Rule::Plain(Plain::Median),
        ["mann-whitney"] => Rule::Plain(Plain::MannWhitney),
        ["welch"] => Rule::Plain(Plain::Welch),
        _ => return None,
    })
}
