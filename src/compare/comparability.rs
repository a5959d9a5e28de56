//! What must match, what may differ, and what is unknown.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::arguments;
use super::finding::Finding;
use crate::metric::Metric;
use crate::record::format::{Load, Server, Workload};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::Difference;

/// The most warnings shown for the repeats of one scenario.
const REPEAT_WARNINGS: usize = 5;

/// The most characters shown of a value of an extra body.
const SHOWN: usize = 100;

/// Whether and how two runs can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparability {
    /// What must match, but differs.
    pub mismatches: Vec<Difference>,
    /// What differs, as it may.
    pub changes: Vec<Difference>,
    /// Warnings for the reader.
    pub findings: Vec<Finding>,
}

/// Compares everything except the values of the metrics.
pub fn comparability(baseline: &Run, candidate: &Run) -> Comparability {
    let mut found = Comparability::default();
    found.hardware(
        baseline.file.environment.as_ref(),
        candidate.file.environment.as_ref(),
    );
    found.workload(
        baseline.file.workload.as_ref(),
        candidate.file.workload.as_ref(),
    );
    found.server(
        baseline.file.server.as_ref(),
        candidate.file.server.as_ref(),
    );
    for scenario in &candidate.scenarios {
        match baseline.scenario(&scenario.name) {
            Some(accepted) => {
                found.scenario(accepted, scenario);
                found.equal_work(&scenario.name, baseline, candidate);
            }
            None if scenario.adaptive => {}
            None => found
                .findings
                .push(Finding::NewScenario(scenario.name.clone())),
        }
    }
    for scenario in &baseline.scenarios {
        if candidate.scenario(&scenario.name).is_none() && !scenario.adaptive {
            found.mismatch("scenario", Some(scenario.name.clone()), None);
        }
    }
    // Two searches may measure different loads: that is a result, not a mismatch.
    for (side, run, other) in [
        ("baseline", baseline, candidate),
        ("candidate", candidate, baseline),
    ] {
        let alone = run.scenarios.iter().filter(|scenario| scenario.adaptive);
        let alone = alone.filter(|scenario| other.scenario(&scenario.name).is_none());
        let names: Vec<String> = alone.map(|scenario| scenario.name.clone()).collect();
        if !names.is_empty() {
            found.findings.push(Finding::ChosenPoints { side, names });
        }
    }
    for (side, run) in [("baseline", baseline), ("candidate", candidate)] {
        for scenario in &run.scenarios {
            found.repeats(side, scenario);
        }
        found.repeat_warnings(side, run);
    }
    found
}

/// The beginning of a value, which may be a whole JSON Schema.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether two runs had the same hardware, workload and model, as far as both record them.
pub(crate) fn same_fingerprint(one: &Run, other: &Run) -> bool {
    let mut found = Comparability::default();
    found.hardware(
        one.file.environment.as_ref(),
        other.file.environment.as_ref(),
    );
    found.workload(one.file.workload.as_ref(), other.file.workload.as_ref());
    found.server(one.file.server.as_ref(), other.file.server.as_ref());
    found.mismatches.is_empty()
}

impl Comparability {
    /// Adds findings that are not in the list yet.
    pub(super) fn take_findings(&mut self, other: Self) {
        for finding in other.findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    pub(super) fn mismatch(
        &mut self,
        what: &str,
        baseline: Option<String>,
        candidate: Option<String>,
    ) {
        self.mismatches.push(Difference {
            what: what.to_owned(),
            baseline,
            candidate,
        });
    }

    pub(super) fn must_match(
        &mut self,
        what: &'static str,
        baseline: Option<String>,
        candidate: Option<String>,
    ) {
        match (&baseline, &candidate) {
            (Some(accepted), Some(new)) if accepted != new => {
                self.mismatch(what, baseline, candidate);
            }
            (Some(_), Some(_)) => {}
            (None, None) => self.findings.push(Finding::Unknown {
                what,
                side: "neither run",
            }),
            (None, Some(_)) => self.findings.push(Finding::Unknown {
                what,
                side: "baseline",
            }),
            (Some(_), None) => self.findings.push(Finding::Unknown {
                what,
                side: "candidate",
            }),
        }
    }

    /// As [`Self::must_match`], but without a finding where a side does not record it.
    pub(super) fn must_match_if_given(
        &mut self,
        what: &str,
        baseline: Option<String>,
        candidate: Option<String>,
    ) {
        if baseline.is_some() && candidate.is_some() && baseline != candidate {
            self.mismatch(what, baseline, candidate);
        }
    }

    pub(super) fn may_differ(
        &mut self,
        what: &str,
        baseline: Option<String>,
        candidate: Option<String>,
    ) {
        if baseline != candidate {
            self.changes.push(Difference {
                what: what.to_owned(),
                baseline,
                candidate,
            });
        }
    }

    fn workload(&mut self, baseline: Option<&Workload>, candidate: Option<&Workload>) {
        let of =
            |side: Option<&Workload>, field: fn(&Workload) -> Option<String>| side.and_then(field);
        let before = self.mismatches.len();
        for (what, field) in [
            (
                "data set",
                (|side| side.dataset.clone()) as fn(&Workload) -> Option<String>,
            ),
            ("seed", |side| side.seed.map(|seed| seed.to_string())),
            ("number of requests", |side| {
                side.num_requests.map(|count| count.to_string())
            }),
            ("endpoint", |side| side.endpoint.clone()),
            ("prompt lengths", |side| side.input_tokens.clone()),
            ("output lengths", |side| side.output_tokens.clone()),
            ("warm-up requests", |side| {
                side.warmup_requests.map(|count| count.to_string())
            }),
            ("search", |side| side.search.clone()),
        ] {
            self.must_match_if_given(what, of(baseline, field), of(candidate, field));
        }
        if let (Some(baseline), Some(candidate)) = (baseline, candidate) {
            self.extras(baseline, candidate);
        }
        let digest = |side: &Workload| side.digest.clone();
        let named = self.mismatches.len() > before;
        // The digest shows only that something differs; it is left out where another line names the difference.
        if !named || of(baseline, digest) == of(candidate, digest) {
            self.must_match(
                "workload digest",
                of(baseline, digest),
                of(candidate, digest),
            );
        }
    }

    /// Extra headers and body of the requests, for runs that record them completely. No file contains the value of a header.
    fn extras(&mut self, baseline: &Workload, candidate: &Workload) {
        if baseline.digest.is_none() || candidate.digest.is_none() {
            return;
        }
        let names = |side: &Workload| {
            let names = side.headers.iter().flatten();
            let names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let [accepted, new] = [baseline, candidate].map(names);
        if accepted != new {
            self.mismatch("extra headers", accepted, new);
        }
        let sides = [baseline, candidate].map(|side| side.extra_body.as_ref());
        let keys: BTreeSet<&String> = sides.into_iter().flatten().flat_map(Map::keys).collect();
        for key in keys {
            let [accepted, new] = sides.map(|side| side.and_then(|body| body.get(key)));
            if accepted != new {
                let shown = |value: Option<&Value>| value.map(shortened);
                let what = format!("`{key}` of the extra body");
                self.mismatch(&what, shown(accepted), shown(new));
            }
        }
    }

    fn server(&mut self, baseline: Option<&Server>, candidate: Option<&Server>) {
        let of = |side: Option<&Server>, field: fn(&Server) -> Option<String>| side.and_then(field);
        self.must_match_if_given(
            "model",
            of(baseline, |side| side.model.clone()),
            of(candidate, |side| side.model.clone()),
        );
        // Repeats on one warm server are not independent starts.
        self.must_match_if_given(
            "fresh servers",
            of(baseline, |side| side.fresh.clone()),
            of(candidate, |side| side.fresh.clone()),
        );
        for (what, field) in [
            (
                "server",
                (|side| side.kind.clone()) as fn(&Server) -> Option<String>,
            ),
            ("image", |side| side.image.clone()),
            ("image digest", |side| side.digest.clone()),
            ("server version", |side| side.version.clone()),
            ("engine configuration", |side| side.fingerprint.clone()),
        ] {
            self.may_differ(what, of(baseline, field), of(candidate, field));
        }
        let words = [baseline, candidate].map(|side| side.and_then(|side| side.args.as_deref()));
        if let Some([baseline, candidate]) = arguments::difference(words[0], words[1]) {
            self.may_differ("arguments", baseline, candidate);
        }
    }

    fn scenario(&mut self, baseline: &ScenarioRun, candidate: &ScenarioRun) {
        let name = &candidate.name;
        let load = |side: &ScenarioRun| side.load.as_ref().map(describe_load);
        self.must_match_if_given(
            &format!("load of `{name}`"),
            load(baseline),
            load(candidate),
        );

        // With more requests a growing queue has more time to grow.
        let planned = |side: &ScenarioRun| side.load.as_ref().and_then(planned_requests);
        self.must_match_if_given(
            &format!("number of requests of `{name}`"),
            planned(baseline),
            planned(candidate),
        );

        let metrics = lost_metrics(baseline, candidate);
        if !metrics.is_empty() {
            self.findings.push(Finding::LostMetrics {
                scenario: name.clone(),
                metrics,
            });
        }
    }

    /// A sentence that several repeats share is shown once. Sentences that differ in a number are many: only the first ones of
    /// each scenario are shown.
    fn repeat_warnings(&mut self, side: &'static str, run: &Run) {
        for scenario in &run.file.scenarios {
            let mut sentences: Vec<(String, usize)> = Vec::new();
            for repeat in scenario
                .repeats
                .iter()
                .filter(|repeat| repeat.void.is_none())
            {
                for sentence in repeat.warnings() {
                    match sentences.iter_mut().find(|(known, _)| known == sentence) {
                        Some((_, count)) => *count += 1,
                        None => sentences.push((sentence.to_owned(), 1)),
                    }
                }
            }
            for (warning, repeats) in sentences.into_iter().take(REPEAT_WARNINGS) {
                self.findings.push(Finding::RepeatWarning {
                    side,
                    scenario: scenario.name.clone(),
                    warning,
                    repeats,
                });
            }
        }
    }

    fn repeats(&mut self, side: &'static str, scenario: &ScenarioRun) {
        for (index, repeat) in scenario.repeats.iter().enumerate() {
            if let Some(reason) = &repeat.void {
                self.findings.push(Finding::VoidRepeat {
                    side,
                    scenario: scenario.name.clone(),
                    number: index + 1,
                    reason: reason.clone(),
                });
            }
        }
        let (failed, all) = failed_and_all(scenario);
        if failed > 0 {
            self.findings.push(Finding::FailedRequests {
                side,
                scenario: scenario.name.clone(),
                failed,
                all,
            });
        }
    }
}

/// Failed or truncated requests and all requests, over the repeats that count.
pub(crate) fn failed_and_all(scenario: &ScenarioRun) -> (u64, u64) {
    let counts = scenario.counting().filter_map(|repeat| repeat.requests);
    counts.fold((0, 0), |(failed, all), counts| {
        let bad = counts.failed + counts.truncated;
        (failed + bad, all + bad + counts.completed)
    })
}

/// Metrics that a counting repeat of the baseline has and no counting repeat of the candidate.
fn lost_metrics(baseline: &ScenarioRun, candidate: &ScenarioRun) -> Vec<Metric> {
    let has = |scenario: &ScenarioRun, metric: &Metric| {
        scenario
            .counting()
            .any(|repeat| repeat.metrics.contains_key(metric))
    };
    // Without a counting repeat another finding is more important.
    let any = candidate.counting().next().is_some();
    Metric::all()
        .filter(|metric| any && has(baseline, metric) && !has(candidate, metric))
        .collect()
}

/// `64 in flight`, `2 requests/s, burstiness 0.5, for 60 s`, or `all at once`.
fn describe_load(load: &Load) -> String {
    let mut words = vec![
        match (load.concurrency, load.request_rate, load.trace_speedup) {
            (Some(concurrency), _, _) => format!("{concurrency} in flight"),
            (None, Some(rate), _) => format!("{rate} requests/s"),
            (None, None, Some(speedup)) => format!("a trace at {speedup} times its speed"),
            (None, None, None) => "all at once".to_owned(),
        },
    ];
    let rest = [
        load.burstiness.map(|shape| format!("burstiness {shape}")),
        load.ramp_up
            .map(|seconds| format!("growing for {seconds} s")),
        load.duration.map(|seconds| format!("for {seconds} s")),
    ];
    words.extend(rest.into_iter().flatten());
    words.join(", ")
}

/// `104, after 26 warm-up requests`, for a load that fixes it.
fn planned_requests(load: &Load) -> Option<String> {
    let (requests, warmup) = load.requests.zip(load.warmup_requests)?;
    Some(format!("{requests}, after {warmup} warm-up requests"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(top: &str, repeat: &str) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1",{top}"scenarios":[{{"name":"concurrency=4","repeats":[{repeat}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    const REPEAT: &str = r#"{"metrics": {"qps": 1}}"#;

    fn mismatches(baseline: &Run, candidate: &Run) -> Vec<String> {
        let found = comparability(baseline, candidate);
        found
            .mismatches
            .into_iter()
            .map(|difference| difference.what)
            .collect()
    }

    #[test]
    fn another_gpu_another_seed_and_another_model_do_not_compare() {
        let h100 = run(
            r#""environment": {"gpus": [{"name": "H100"}]}, "workload": {"digest": "sha256:a", "seed": 1},
               "server": {"model": "m"},"#,
            REPEAT,
        );
        let a100 = run(
            r#""environment": {"gpus": [{"name": "A100"}]}, "workload": {"digest": "sha256:b", "seed": 2},
               "server": {"model": "n"},"#,
            REPEAT,
        );
        assert_eq!(mismatches(&h100, &a100), ["GPU", "seed", "model"]);
        assert_eq!(mismatches(&h100, &h100), Vec::<String>::new());
    }

    #[test]
    fn another_number_of_gpus_does_not_compare() {
        let one = run(r#""environment": {"gpus": [{"name": "H100"}]},"#, REPEAT);
        let two = run(
            r#""environment": {"gpus": [{"name": "H100"}, {"name": "H100"}]},"#,
            REPEAT,
        );
        assert_eq!(mismatches(&one, &two), ["GPU"]);
        assert_eq!(
            mismatches(&one, &run(r#""environment": {"gpus": []},"#, REPEAT)),
            ["GPU"]
        );
    }

    #[test]
    fn a_digest_that_differs_for_an_unknown_reason_is_named_itself() {
        let a = run(r#""workload": {"digest": "sha256:a"},"#, REPEAT);
        let b = run(r#""workload": {"digest": "sha256:b"},"#, REPEAT);
        assert_eq!(mismatches(&a, &b), ["workload digest"]);
    }

    #[test]
    fn what_differs_of_headers_and_extra_body_is_named() {
        let with = |digest: &str, extras: &str| {
            let workload = format!(r#""workload": {{"digest": "sha256:{digest}"{extras}}},"#);
            run(&workload, REPEAT)
        };
        let a = with(
            "a",
            r#", "headers": ["X-Route"], "extra_body": {"top_k": 20, "seed": 1}"#,
        );
        let b = with("b", r#", "extra_body": {"top_k": 40, "seed": 1}"#);
        assert_eq!(
            mismatches(&a, &b),
            ["extra headers", "`top_k` of the extra body"]
        );
        let found = comparability(&a, &with("b", ""));
        let shown: Vec<(Option<String>, Option<String>)> = found
            .mismatches
            .into_iter()
            .map(|found| (found.baseline, found.candidate))
            .collect();
        let accepted = |text: &str| (Some(text.to_owned()), None);
        assert_eq!(shown, [accepted("x-route"), accepted("1"), accepted("20")]);
        // Names ignore case, and only the digest covers values.
        let c = with(
            "c",
            r#", "headers": ["x-route"], "extra_body": {"top_k": 20, "seed": 1}"#,
        );
        assert_eq!(mismatches(&a, &c), ["workload digest"]);
        // A result of another tool does not record what it sent.
        let foreign = run(r#""workload": {"dataset": "synthetic"},"#, REPEAT);
        assert!(mismatches(&a, &foreign).is_empty());
    }

    #[test]
    fn without_a_gpu_the_cpu_is_the_hardware() {
        let a = run(
            r#""environment": {"gpus": [], "cpu": "EPYC", "cpus": 2},"#,
            REPEAT,
        );
        let b = run(
            r#""environment": {"gpus": [], "cpu": "EPYC", "cpus": 4},"#,
            REPEAT,
        );
        assert_eq!(mismatches(&a, &b), ["CPU"]);
    }

    #[test]
    fn a_dropped_load_point_does_not_pass_and_a_new_one_is_named() {
        let both = crate::record::parse(
            "a.json",
            br#"{"schema":"perfgate.result/1","scenarios":[{"name":"concurrency=4","repeats":[{"metrics":{"qps":1}}]},
                {"name":"concurrency=8","repeats":[{"metrics":{"qps":1}}]}]}"#,
        )
        .unwrap();
        let one = run("", REPEAT);
        assert_eq!(mismatches(&both, &one), ["scenario"]);
        let found = comparability(&one, &both);
        assert!(found.mismatches.is_empty());
        assert!(
            found
                .findings
                .contains(&Finding::NewScenario("concurrency=8".to_owned()))
        );
    }

    #[test]
    fn shortened_outputs_do_not_compare() {
        let repeat = |tokens: u32| {
            format!(
                r#"{{"samples": {{"ttft": [0.1, 0.1], "e2e": [1, 1], "output_tokens": [{tokens}, {tokens}]}}}}"#
            )
        };
        let found = mismatches(&run("", &repeat(128)), &run("", &repeat(100)));
        assert_eq!(found, ["mean output length in `concurrency=4`"]);
    }

    #[test]
    fn a_metric_that_got_lost_is_named() {
        let both = run("", r#"{"metrics": {"qps": 1, "kv_cache.tokens": 100}}"#);
        let found = comparability(&both, &run("", REPEAT)).findings;
        let sentences: Vec<String> = found.iter().map(Finding::to_string).collect();
        let lost =
            "scenario `concurrency=4`: the candidate lacks kv_cache.tokens, which the baseline has";
        assert!(sentences.iter().any(|line| line == lost), "{sentences:?}");
    }

    #[test]
    fn unknown_hardware_failed_requests_and_void_repeats_are_findings() {
        let quiet = run("", REPEAT);
        let candidate = run(
            "",
            r#"{"metrics": {"qps": 1}, "requests": {"completed": 98, "failed": 1, "truncated": 1}},
               {"metrics": {"qps": 1}, "void": "the GPU was throttled"}"#,
        );
        let found: Vec<String> = comparability(&quiet, &candidate)
            .findings
            .iter()
            .map(Finding::to_string)
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        neither run records its GPU, so it is unknown whether they match
        neither run records its workload digest, so it is unknown whether they match
        scenario `concurrency=4`: repeat 2 of the candidate does not count: the GPU was throttled
        scenario `concurrency=4`: 2 of 100 requests of the candidate failed; percentiles count them as the slowest, and means leave them out
        ");
    }
}
