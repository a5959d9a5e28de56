//! The result of a selftest: rates with their intervals, sources of noise, and advice on the limits.

use serde::Serialize;

use crate::compare::{SideValues, request_noise};
use crate::metric::Metric;
use crate::policy::rule::{Action, Policy};
use crate::policy::{ALPHA, Needs, assumed, needs, percent, step};
use crate::record::Run;
use crate::report::comparison::Verdict;
use crate::report::price::{AveragePrice, Price};
use crate::stats::{self, HIGH_EDGE, Noise, number, rate_interval};
use crate::text::count::count;

/// Confidence of the intervals of rates.
const CONFIDENCE: f64 = 0.95;

/// The share of regressions beyond the high edge that must be blocked.
const DETECTION: f64 = 0.80;

/// If requests cause more than this share of the variance between repeats, more requests help most.
const MOSTLY_REQUESTS: f64 = 0.5;

/// One gate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gate {
    pub(crate) verdict: Verdict,
    pub(crate) exit_code: u8,
    /// Server starts.
    pub(crate) starts: u32,
    /// What the whole gate cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Price>,
    pub(crate) headline: String,
}

impl Gate {
    pub(crate) fn in_words(&self) -> String {
        let word = self.verdict.word().to_lowercase();
        let cost = self.price.map_or_else(
            || count(self.starts, "server start"),
            |price| price.to_string(),
        );
        format!("{word} after {cost}: {}", self.headline)
    }
}

/// Several gates of one kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gates {
    pub(crate) passed: u32,
    pub(crate) blocked: u32,
    pub(crate) undecided: u32,
    /// Not comparable: a rule could not be judged.
    pub(crate) not_judged: u32,
    /// Interval of the rate of blocks.
    pub(crate) blocked_low: f64,
    pub(crate) blocked_high: f64,
    pub(crate) mean_starts: f64,
    /// Mean price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mean_price: Option<AveragePrice>,
    pub(crate) each: Vec<Gate>,
}

impl Gates {
    fn of(gates: Vec<Gate>) -> Self {
        let count = |wanted: &[Verdict]| {
            let found = gates.iter().filter(|gate| wanted.contains(&gate.verdict));
            u32::try_from(found.count()).unwrap_or(u32::MAX)
        };
        let all = u32::try_from(gates.len()).unwrap_or(u32::MAX);
        let blocked = count(&[Verdict::Block, Verdict::Report]);
        let (blocked_low, blocked_high) = rate_interval(blocked, all, CONFIDENCE);
        let starts: u64 = gates.iter().map(|gate| u64::from(gate.starts)).sum();
        Self {
            passed: count(&[Verdict::Pass, Verdict::Warn]),
            blocked,
            undecided: count(&[Verdict::Inconclusive]),
            not_judged: count(&[Verdict::Incomparable]),
            blocked_low,
            blocked_high,
            mean_starts: number(starts) / f64::from(all.max(1)),
            mean_price: AveragePrice::of_all(
                &gates
                    .iter()
                    .filter_map(|gate| gate.price)
                    .collect::<Vec<_>>(),
            ),
            each: gates,
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.each.len()).unwrap_or(u32::MAX)
    }
}

/// The noise of one metric by source, as standard deviations relative to its value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NoiseSplit {
    pub(crate) scenario: String,
    pub(crate) metric: Metric,
    /// Between starts of one session.
    pub(crate) repeat: f64,
    /// Between sessions.
    pub(crate) host: f64,
    /// The part of `repeat` that comes from the finite number of requests.
    pub(crate) request: Option<f64>,
    /// Sessions that it was learnt from; 0: too few, so it is assumed.
    pub(crate) sessions: u32,
}

/// The content of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) innocent: Gates,
    pub(crate) slower: Gates,
    /// The slow-down of the slower server.
    pub(crate) slow_down: String,
    /// Whether it is beyond the high edge of a blocking limit, so that it must be blocked.
    pub(crate) must_block: bool,
    pub(crate) noise: Vec<NoiseSplit>,
    pub(crate) advice: Vec<String>,
}

impl Report {
    pub(crate) fn of(
        policy: &Policy,
        innocent: Vec<Gate>,
        slower: Vec<Gate>,
        accepted: &[Run],
        slow_down: String,
        known: Option<f64>,
    ) -> Self {
        let noise = split(policy, accepted);
        let blocking = policy
            .rules
            .iter()
            .filter(|rule| rule.action == Action::Block);
        let limits: Vec<f64> = blocking.filter_map(|rule| rule.limits.regression).collect();
        // A slow-down changes times by its share and rates by a little less: one rule is enough to block.
        let must_block =
            known.is_some_and(|share| limits.iter().any(|limit| share >= HIGH_EDGE * limit - 1e-9));
        Self {
            innocent: Gates::of(innocent),
            slower: Gates::of(slower),
            slow_down,
            must_block,
            advice: advice(policy, &noise, accepted),
            noise,
        }
    }

    /// Whether the rates are consistent with the promised error probabilities.
    pub(crate) fn is_within_promise(&self) -> bool {
        let alarms = self.innocent.blocked_low <= ALPHA;
        let seen =
            !self.must_block || self.slower.count() == 0 || self.slower.blocked_high >= DETECTION;
        let judged = self.innocent.not_judged == 0 && self.slower.not_judged == 0;
        alarms && seen && judged
    }
}

/// The noise of every metric with a relative rule, in every scenario.
fn split(policy: &Policy, accepted: &[Run]) -> Vec<NoiseSplit> {
    let Some(last) = accepted.last() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for scenario in &last.scenarios {
        let rules = policy.rules_for(&scenario.name);
        for rule in rules.iter().filter(|rule| rule.limits.regression.is_some()) {
            let sides: Vec<_> = accepted
                .iter()
                .map(|run| run.scenario(&scenario.name))
                .collect();
            let (sessions, values): (Vec<_>, Vec<_>) = sides
                .iter()
                .map(|side| SideValues::of(rule.metric, *side))
                .map(|side| (side.repeats(), side.values))
                .unzip();
            let mut values = values.iter().rev().flatten();
            let Some(level) = values.find_map(|value| value.value) else {
                continue;
            };
            if sessions.iter().all(Vec::is_empty) {
                continue;
            }
            let step = step(rule.metric, level);
            let noise = stats::noise_of_starts(&sessions, step).unwrap_or_else(|| assumed(step));
            found.push(NoiseSplit {
                scenario: scenario.name.clone(),
                metric: rule.metric,
                repeat: noise.repeat,
                host: noise.host,
                request: request_noise(rule.metric, &sides, noise.repeat),
                sessions: noise.sessions,
            });
        }
    }
    found
}

fn advice(policy: &Policy, noise: &[NoiseSplit], accepted: &[Run]) -> Vec<String> {
    let scenarios = accepted.last().map_or(1, |run| run.scenarios.len());
    let blocking = policy
        .rules
        .iter()
        .filter(|rule| rule.action != Action::Warn)
        .count();
    let family = u32::try_from(blocking * scenarios).unwrap_or(u32::MAX);
    // The noisiest scenario decides what a rule needs.
    let worst = |metric: Metric| {
        let of_metric = noise.iter().filter(|split| split.metric == metric);
        of_metric.max_by(|a, b| a.repeat.total_cmp(&b.repeat))
    };
    let known = |metric: Metric| {
        worst(metric).map(|split| Noise {
            repeat: split.repeat,
            host: split.host,
            degrees_of_freedom: f64::from(split.sessions.max(1)),
            sessions: split.sessions,
        })
    };
    let mut advice = Vec::new();
    if noise.iter().all(|split| split.sessions == 0) {
        let fewest = stats::FEWEST_SESSIONS;
        advice.push(format!(
            "fewer than {fewest} sessions were accepted, so the noise is assumed and the needs of the limits are unknown: raise `--gates`"
        ));
        return advice;
    }
    for needs in needs(policy, family, known) {
        advice.push(in_words(&needs));
        let requests = worst(needs.metric).and_then(|split| Some((split.request?, split.repeat)));
        if let Some((request, repeat)) = requests
            && request.powi(2) > MOSTLY_REQUESTS * repeat.powi(2)
        {
            advice.push(format!(
                "{}: most of its noise comes from the small number of requests ({} of {}); four times `num_requests` halves that part",
                needs.metric.label(),
                percent(request),
                percent(repeat)
            ));
        }
    }
    advice
}

fn in_words(needs: &Needs) -> String {
    let Needs {
        metric,
        limit,
        repeats,
        pairs,
        smallest,
    } = needs;
    let limit = percent(*limit);
    let what = match (repeats, pairs) {
        (Some(repeats), _) => format!(
            "{repeats} repeats against a stored baseline of {repeats} repeats decide a limit of {limit}"
        ),
        (None, Some(pairs)) => format!(
            "a stored baseline does not decide a limit of {limit}, but {pairs} alternating pairs do: give the base version (`--base-image`, `server.base`)"
        ),
        (None, None) => format!(
            "too noisy for a limit of {limit}: smallest detectable regression {} with the most pairs; raise the limit, or reduce the noise of the machine",
            percent(*smallest)
        ),
    };
    format!("{}: {what}", metric.label())
}

/// For people.
pub(crate) fn report_text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line(" gates                  blocked              passed  undecided  starts (mean)");
    for (name, gates) in [
        ("server against itself", &report.innocent),
        ("slower server", &report.slower),
    ] {
        if gates.count() == 0 {
            continue;
        }
        let interval = format!(
            "{} of {} ({:.0}–{:.0} %)",
            gates.blocked,
            gates.count(),
            100.0 * gates.blocked_low,
            100.0 * gates.blocked_high
        );
        line(&format!(
            " {name:<22} {interval:<20} {:>6}  {:>9}  {:>13.1}",
            gates.passed, gates.undecided, gates.mean_starts
        ));
        if let Some(price) = &gates.mean_price {
            line(&format!("   mean price {}", price.cost()));
        }
        if gates.not_judged > 0 {
            let example = gates
                .each
                .iter()
                .find(|gate| gate.verdict == Verdict::Incomparable);
            let why = example.map_or("", |gate| gate.headline.as_str());
            line(&format!(
                "   {} could not be judged: {}",
                gates.not_judged,
                crate::text::sanitize::line(why)
            ));
        }
    }
    line(&format!(
        "\n slower {}; intervals: 95 %",
        crate::text::sanitize::line(&report.slow_down)
    ));
    line("\n noise                  between starts   between sessions   of requests");
    for split in &report.noise {
        let request = split.request.map_or_else(|| "–".to_owned(), percent);
        let source = if split.sessions == 0 {
            "  (assumed)"
        } else {
            ""
        };
        line(&format!(
            " {:<22} {:>14} {:>18} {request:>13}{source}",
            split.metric.label(),
            percent(split.repeat),
            percent(split.host)
        ));
    }
    if !report.advice.is_empty() {
        line("\n advice");
        for advice in &report.advice {
            line(&format!("   {advice}"));
        }
    }
    let verdict = if report.is_within_promise() {
        "as good as promised, as far as this number of gates can show"
    } else {
        "NOT as good as promised: chance does not explain these rates"
    };
    line(&format!("\n {verdict}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    fn gates(verdicts: &[Verdict]) -> Vec<Gate> {
        let gate = |verdict: &Verdict| Gate {
            verdict: *verdict,
            exit_code: 0,
            starts: 3,
            price: None,
            headline: "h".to_owned(),
        };
        verdicts.iter().map(gate).collect()
    }

    fn report(innocent: &[Verdict], slower: &[Verdict]) -> Report {
        let json = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[
            {"metrics":{"tpot.p95":0.02,"throughput":100}},{"metrics":{"tpot.p95":0.0202,"throughput":99}},
            {"metrics":{"tpot.p95":0.0199,"throughput":101}}]}]}"#;
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        let accepted = vec![run; 6];
        Report::of(
            &Policy::standard(),
            gates(innocent),
            gates(slower),
            &accepted,
            "by 8.0 %".to_owned(),
            Some(0.08),
        )
    }

    #[test]
    fn the_report_has_rates_noise_and_advice() {
        let report = report(&[Verdict::Pass; 20], &[Verdict::Block; 20]);
        assert!(report.is_within_promise());
        insta::assert_snapshot!(report_text(&report), @"
        gates                  blocked              passed  undecided  starts (mean)
        server against itself  0 of 20 (0–17 %)         20          0            3.0
        slower server          20 of 20 (83–100 %)       0          0            3.0

        slower by 8.0 %; intervals: 95 %

        noise                  between starts   between sessions   of requests
        TPOT P95                        1.0 %              0.2 %             –
        throughput                      1.3 %              0.3 %             –

        advice
          TPOT P95: 2 repeats against a stored baseline of 2 repeats decide a limit of 5.0 %
          throughput: 2 repeats against a stored baseline of 2 repeats decide a limit of 5.0 %

        as good as promised, as far as this number of gates can show
        ");
    }

    #[test]
    fn the_noise_of_memory_is_that_of_the_sessions_that_have_it() {
        let session = |metrics: &str| {
            let json = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"metrics":{METRICS}}]}]}"#;
            let json = json.replace("METRICS", metrics);
            crate::record::parse("a.json", json.as_bytes()).unwrap()
        };
        let with_memory = r#""tpot.p95":0.02,"gpu_memory.peak":8e10"#;
        let accepted = [session(with_memory), session(r#""tpot.p95":0.02"#)];
        let noise = split(&Policy::standard(), &accepted);
        let memory = noise
            .iter()
            .find(|split| split.metric.unit() == Unit::Bytes);
        assert!(memory.unwrap().repeat < 1e-3, "{noise:?}");
    }

    #[test]
    fn more_false_alarms_or_fewer_detections_than_chance_explains_fail() {
        let half = [vec![Verdict::Block; 3], vec![Verdict::Pass; 7]].concat();
        assert!(!report(&half, &[Verdict::Block; 10]).is_within_promise());
        assert!(!report(&[Verdict::Pass; 10], &half).is_within_promise());
        assert!(!report(&[Verdict::Incomparable; 3], &[Verdict::Block; 3]).is_within_promise());
    }
}
