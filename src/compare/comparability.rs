//! What must match, what may differ, and what is unknown.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::arguments;
use crate::code::Code;
use crate::metric::Metric;
use crate::record::format::{Load, Repeat, ResultFile, Server, Workload};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{Difference, Warning};
use crate::text::count::count;

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
    pub warnings: Vec<Warning>,
}

/// A value of the baseline and of the candidate, where the runs record it.
pub(super) type Values = [Option<String>; 2];

/// Compares everything except the values of the metrics.
pub fn comparability(baseline: &Run, candidate: &Run) -> Comparability {
    let mut found = Comparability::default();
    found.fingerprint([&baseline.file, &candidate.file]);
    for scenario in &candidate.scenarios {
        let name = &scenario.name;
        match baseline.scenario(name) {
            Some(accepted) => {
                found.scenario(accepted, scenario);
                found.equal_work(name, baseline, candidate);
            }
            None if scenario.adaptive => {}
            None => found.warn(
                Code::NewScenario,
                format!("scenario `{name}` is new: the baseline does not have it, so only its budgets are judged"),
            ),
        }
    }
    for scenario in &baseline.scenarios {
        if candidate.scenario(&scenario.name).is_none() && !scenario.adaptive {
            found.mismatch("scenario", [Some(scenario.name.clone()), None]);
        }
    }
    // Two searches may measure different loads: that is a result, not a mismatch.
    for (side, run, other) in [
        ("baseline", baseline, candidate),
        ("candidate", candidate, baseline),
    ] {
        let alone = run.scenarios.iter().filter(|scenario| scenario.adaptive);
        let alone = alone.filter(|scenario| other.scenario(&scenario.name).is_none());
        let names: Vec<&str> = alone.map(|scenario| scenario.name.as_str()).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            found.warn(
                Code::OtherLoadPoints,
                format!("load points that only the {side} measured are not compared: {names}"),
            );
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
    found.fingerprint([&one.file, &other.file]);
    found.mismatches.is_empty()
}

impl Comparability {
    pub(super) fn warn(&mut self, code: Code, message: String) {
        self.warnings.push(Warning::new(code, message));
    }

    /// Adds the warnings that are not in the list yet.
    pub(super) fn take_warnings(&mut self, other: Self) {
        for warning in other.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    pub(super) fn mismatch(&mut self, what: impl Into<String>, [baseline, candidate]: Values) {
        self.mismatches.push(Difference {
            what: what.into(),
            baseline,
            candidate,
        });
    }

    pub(super) fn must_match(&mut self, what: &str, values: Values) {
        let side = match values {
            [Some(_), Some(_)] => return self.must_match_if_given(what, values),
            [None, None] => {
                return self.warn(
                    Code::UnknownIdentity,
                    format!("neither run records its {what}, so it is unknown whether they match"),
                );
            }
            [None, Some(_)] => "baseline",
            [Some(_), None] => "candidate",
        };
        self.warn(
            Code::UnknownIdentity,
            format!("the {side} does not record its {what}, so it is unknown whether both match"),
        );
    }

    /// As [`Self::must_match`], but without a warning where a side does not record it.
    pub(super) fn must_match_if_given(&mut self, what: impl Into<String>, values: Values) {
        if values.iter().all(Option::is_some) && values[0] != values[1] {
            self.mismatch(what, values);
        }
    }

    pub(super) fn may_differ(&mut self, what: &str, [baseline, candidate]: Values) {
        if baseline != candidate {
            self.changes.push(Difference {
                what: what.to_owned(),
                baseline,
                candidate,
            });
        }
    }

    /// As [`Self::may_differ`], for what results of older versions do not record: that is not a change.
    pub(super) fn may_differ_if_given(&mut self, what: &str, values: Values) {
        if values.iter().all(Option::is_some) {
            self.may_differ(what, values);
        }
    }

    /// What must be equal for any comparison of two runs, and its details.
    fn fingerprint(&mut self, sides: [&ResultFile; 2]) {
        self.hardware(sides.map(|side| side.environment.as_ref()));
        self.workload(sides.map(|side| side.workload.as_ref()));
        self.server(sides.map(|side| side.server.as_ref()));
    }

    fn workload(&mut self, sides: [Option<&Workload>; 2]) {
        let of = |field: fn(&Workload) -> Option<String>| sides.map(|side| side.and_then(field));
        let before = self.mismatches.len();
        self.must_match_if_given("data set", of(|side| side.dataset.clone()));
        self.must_match_if_given("seed", of(|side| Some(side.seed?.to_string())));
        let requests = of(|side| Some(side.num_requests?.to_string()));
        self.must_match_if_given("number of requests", requests);
        self.must_match_if_given("endpoint", of(|side| side.endpoint.clone()));
        self.must_match_if_given("prompt lengths", of(|side| side.input_tokens.clone()));
        self.must_match_if_given("output lengths", of(|side| side.output_tokens.clone()));
        let warmup = of(|side| Some(side.warmup_requests?.to_string()));
        self.must_match_if_given("warm-up requests", warmup);
        self.must_match_if_given("search", of(|side| side.search.clone()));
        if let [Some(baseline), Some(candidate)] = sides {
            self.extras([baseline, candidate]);
        }
        let digests = of(|side| side.digest.clone());
        let named = self.mismatches.len() > before;
        // The digest shows only that something differs; it is left out where another line names the difference.
        if !named || digests[0] == digests[1] {
            self.must_match("workload digest", digests);
        }
    }

    /// Extra headers and body of the requests, for runs that record them completely. No file contains the value of a header.
    fn extras(&mut self, sides: [&Workload; 2]) {
        if sides.iter().any(|side| side.digest.is_none()) {
            return;
        }
        let headers = sides.map(|side| {
            let names = side.headers.iter().flatten();
            let names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        });
        if headers[0] != headers[1] {
            self.mismatch("extra headers", headers);
        }
        let bodies = sides.map(|side| side.extra_body.as_ref());
        let keys: BTreeSet<&String> = bodies.into_iter().flatten().flat_map(Map::keys).collect();
        for key in keys {
            let values = bodies.map(|body| body?.get(key));
            if values[0] != values[1] {
                let what = format!("`{key}` of the extra body");
                self.mismatch(what, values.map(|value| value.map(shortened)));
            }
        }
    }

    fn server(&mut self, sides: [Option<&Server>; 2]) {
        let of = |field: fn(&Server) -> Option<String>| sides.map(|side| side.and_then(field));
        self.must_match_if_given("model", of(|side| side.model.clone()));
        // Repeats on one warm server are not independent starts.
        self.must_match_if_given("fresh servers", of(|side| side.fresh.clone()));
        self.may_differ("server", of(|side| side.kind.clone()));
        self.may_differ("image", of(|side| side.image.clone()));
        self.may_differ("image digest", of(|side| side.digest.clone()));
        self.may_differ("server version", of(|side| side.version.clone()));
        self.may_differ("engine configuration", of(|side| side.fingerprint.clone()));
        let [baseline, candidate] = sides.map(|side| side?.args.as_deref());
        if let Some(arguments) = arguments::difference(baseline, candidate) {
            self.may_differ("arguments", arguments);
        }
    }

    fn scenario(&mut self, baseline: &ScenarioRun, candidate: &ScenarioRun) {
        let name = &candidate.name;
        let loads = [baseline, candidate].map(|side| side.load.as_ref());
        self.must_match_if_given(
            format!("load of `{name}`"),
            loads.map(|load| load.map(describe_load)),
        );
        // With more requests a growing queue has more time to grow.
        self.must_match_if_given(
            format!("number of requests of `{name}`"),
            loads.map(|load| planned_requests(load?)),
        );
        let metrics = lost_metrics(baseline, candidate);
        if !metrics.is_empty() {
            let metrics = metrics.join(", ");
            self.warn(
                Code::LostMetrics,
                format!("scenario `{name}`: the candidate lacks {metrics}, which the baseline has"),
            );
        }
    }

    /// A sentence that several repeats share is shown once. Sentences that differ in a number are many: only the first ones of
    /// each scenario are shown.
    fn repeat_warnings(&mut self, side: &str, run: &Run) {
        for scenario in &run.file.scenarios {
            let mut sentences: Vec<(&str, usize)> = Vec::new();
            let counting = scenario
                .repeats
                .iter()
                .filter(|repeat| repeat.void.is_none());
            for sentence in counting.flat_map(Repeat::warnings) {
                match sentences.iter_mut().find(|(known, _)| *known == sentence) {
                    Some((_, times)) => *times += 1,
                    None => sentences.push((sentence, 1)),
                }
            }
            for (sentence, times) in sentences.into_iter().take(REPEAT_WARNINGS) {
                let (name, repeats) = (&scenario.name, count(times, "repeat"));
                self.warn(
                    Code::RepeatWarning,
                    format!("scenario `{name}`, {repeats} of the {side}: {sentence}"),
                );
            }
        }
    }

    fn repeats(&mut self, side: &str, scenario: &ScenarioRun) {
        let name = &scenario.name;
        for (index, repeat) in scenario.repeats.iter().enumerate() {
            if let Some(reason) = &repeat.void {
                let number = index + 1;
                self.warn(
                    Code::VoidRepeat,
                    format!(
                        "scenario `{name}`: repeat {number} of the {side} does not count: {reason}"
                    ),
                );
            }
        }
        let (failed, all) = failed_and_all(scenario);
        if failed > 0 {
            self.warn(
                Code::FailedRequests,
                format!("scenario `{name}`: {failed} of {all} requests of the {side} failed; percentiles count them as the slowest, and means leave them out"),
            );
        }
    }
}

/// Failed or truncated requests and all requests, over the repeats that count.
pub(crate) fn failed_and_all(scenario: &ScenarioRun) -> (u64, u64) {
    let counts = scenario.counting().filter_map(|repeat| repeat.requests);
    counts.fold((0, 0), |(failed, all), counts| {
        (failed + counts.unsuccessful(), all + counts.all())
    })
}

/// Metrics that a counting repeat of the baseline has and no counting repeat of the candidate.
fn lost_metrics(baseline: &ScenarioRun, candidate: &ScenarioRun) -> Vec<&'static str> {
    let has = |scenario: &ScenarioRun, metric: Metric| {
        let mut counting = scenario.counting();
        counting.any(|repeat| repeat.metrics.contains_key(&metric))
    };
    // Without a counting repeat another warning is more important.
    let any = candidate.counting().next().is_some();
    Metric::all()
        .filter(|metric| any && has(baseline, *metric) && !has(candidate, *metric))
        .map(Metric::id)
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
    fn differing_headers_and_body_keys_are_named() {
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
        let mut warnings = found.warnings.iter();
        assert!(warnings.any(|warning| warning.is(Code::NewScenario)));
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
        let found = comparability(&both, &run("", REPEAT)).warnings;
        let sentences: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        let lost =
            "scenario `concurrency=4`: the candidate lacks kv_cache.tokens, which the baseline has";
        assert!(sentences.contains(&lost), "{sentences:?}");
    }

    #[test]
    fn unknown_hardware_failed_requests_and_void_repeats_are_warnings() {
        let quiet = run("", REPEAT);
        let candidate = run(
            "",
            r#"{"metrics": {"qps": 1}, "requests": {"completed": 98, "failed": 1, "truncated": 1}},
               {"metrics": {"qps": 1}, "void": "the GPU was throttled"}"#,
        );
        let found: Vec<String> = comparability(&quiet, &candidate)
            .warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        neither run records its GPU, so it is unknown whether they match
        neither run records its workload digest, so it is unknown whether they match
        scenario `concurrency=4`: repeat 2 of the candidate does not count: the GPU was throttled
        scenario `concurrency=4`: 2 of 100 requests of the candidate failed; percentiles count them as the slowest, and means leave them out
        ");
    }
}
