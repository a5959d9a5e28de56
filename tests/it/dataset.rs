//! Data sets on the simulator: what is sent of a file, and what is said of one that cannot be used.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ran, command, json as read_json, run, write};

/// A plan in a folder of its own, so that relative paths are seen to be relative to it.
fn folder(plan: &str, name: &str, data: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!("model: demo\nserver: {{simulator: {{seed: 1}}}}\nrepeat: 1\n{plan}");
    write(folder.path(), "perf/perfgate.yaml", &plan);
    write(folder.path(), &format!("perf/{name}"), data);
    folder
}

const BENCH: [&str; 3] = ["bench", "--config", "perf/perfgate.yaml"];

fn bench(folder: &Path, more: &[&str], code: i32) -> String {
    let mut arguments = BENCH.to_vec();
    arguments.extend(more);
    run(folder, &arguments).expect(code).stderr
}

/// The workload and the samples of one repeat.
fn measured(folder: &Path, scenario: &str, repeat: usize) -> (Value, Value) {
    let result = read_json(&folder.join("result.json"));
    assert_eq!(result["scenarios"][0]["name"], scenario);
    let samples = &result["scenarios"][0]["repeats"][repeat]["samples"];
    (result["workload"].clone(), samples.clone())
}

/// `count` prompts of 1, 2, 3 … words that ask for 2, 3, 4 … tokens.
fn prompts(count: usize) -> String {
    let line = |number: usize| {
        let words = vec!["word"; number].join(" ");
        format!(
            "{}\n",
            json!({"prompt": words, "output_tokens": number + 1})
        )
    };
    (1..=count).map(line).collect()
}

#[test]
fn prompts_of_a_file_are_sent_with_their_own_output_lengths() {
    let plan = "dataset: prompts.jsonl\nnum_requests: 20\nwarmup_requests: 4\nrepeat: 2\n";
    let folder = folder(
        &plan.replace("repeat: 2\n", ""),
        "prompts.jsonl",
        &prompts(40),
    );
    bench(folder.path(), &["--repeat", "2"], 0);
    let (workload, first) = measured(folder.path(), "concurrency=16", 0);
    let (_, second) = measured(folder.path(), "concurrency=16", 1);
    assert_eq!(first["prompt_tokens"], second["prompt_tokens"]);
    let numbers = |column: &str| -> Vec<u64> {
        let column = first[column].as_array().unwrap();
        column.iter().map(|value| value.as_u64().unwrap()).collect()
    };
    let (input, output) = (numbers("prompt_tokens"), numbers("output_tokens"));
    assert_eq!(input.len(), 20);
    for (input, output) in input.iter().zip(&output) {
        // Eight words of salt stand before each prompt.
        assert_eq!(input - 8, output - 1);
    }
    assert!(!input.is_sorted(), "{input:?}");
    assert!(
        workload["dataset"]
            .as_str()
            .unwrap()
            .starts_with("jsonl sha256:")
    );
    assert_eq!(workload["output_tokens"], "as in the data set");
    assert_eq!(workload["input_tokens"], Value::Null);
}

#[test]
fn another_file_is_another_workload() {
    let plan = "dataset: prompts.jsonl\nnum_requests: 20\nwarmup_requests: 0\n";
    let folder = folder(plan, "prompts.jsonl", &prompts(20));
    bench(folder.path(), &["--output", "a.json"], 0);
    write(folder.path(), "perf/prompts.jsonl", &prompts(21));
    bench(folder.path(), &["--output", "b.json"], 0);
    let compare = ["compare", "--baseline", "a.json", "--candidate", "b.json"];
    let ran = run(folder.path(), &compare).expect(4);
    assert!(
        ran.stdout.contains("data set") || ran.stderr.contains("data set"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn every_turn_of_a_conversation_is_a_request_with_its_history() {
    let conversation = json!([
        {"conversations": [{"from": "human", "value": "one"}]},
        {"conversations": [
            {"from": "human", "value": "one two"}, {"from": "gpt", "value": "three four five"},
            {"from": "human", "value": "six"}, {"from": "gpt", "value": "seven"},
        ]},
    ]);
    let plan = "endpoint: chat\ndataset: {path: chat.json.gz, turns: all, pause: 10ms}\nnum_requests: 2\n\
                warmup_requests: 2\noutput_tokens: 4\n";
    let folder = folder(plan, "unused", "");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(conversation.to_string().as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    perfgate::files::write_atomically(&folder.path().join("perf/chat.json.gz"), &packed).unwrap();
    let stderr = bench(folder.path(), &[], 0);
    assert!(
        stderr.contains(
            "note: 1 of 2 entries of `perf/chat.json.gz` ignored: 1 with fewer than two turns"
        ),
        "{stderr}"
    );
    let (workload, samples) = measured(folder.path(), "concurrency=16", 0);
    // Eight words of salt, eight tokens of the chat template.
    assert_eq!(samples["prompt_tokens"], json!([16 + 2, 16 + 2 + 3 + 1]));
    assert_eq!(samples["output_tokens"], json!([4, 4]));
    assert_eq!(workload["output_tokens"], "4");
}

const TRACE: &str = r#"{"timestamp": 5000, "input_length": 600, "output_length": 5, "hash_ids": [7, 8]}
{"timestamp": 5200, "input_length": 900, "output_length": 6, "hash_ids": [7, 9]}
{"timestamp": 5800, "input_length": 40, "output_length": 7, "hash_ids": [11]}
"#;

#[test]
fn a_trace_is_sent_at_its_own_times_with_exact_lengths() {
    let plan = "dataset: trace.jsonl\nnum_requests: 3\nwarmup_requests: 1\n";
    let folder = folder(plan, "trace.jsonl", TRACE);
    bench(folder.path(), &[], 0);
    let (workload, samples) = measured(folder.path(), "trace", 0);
    assert!(
        workload["dataset"]
            .as_str()
            .unwrap()
            .starts_with("mooncake sha256:")
    );
    assert_eq!(samples["prompt_tokens"], json!([600, 900, 40]));
    assert_eq!(samples["output_tokens"], json!([5, 6, 7]));
    let start: Vec<f64> = samples["start"]
        .as_array()
        .unwrap()
        .iter()
        .map(|start| start.as_f64().unwrap())
        .collect();
    // From the schedule, or from when a busy machine sent it.
    for (start, due) in start.iter().zip([0.0, 0.2, 0.8]) {
        assert!(
            (due - 0.001..due + 0.15).contains(start),
            "{start} for {due}"
        );
    }

    write(
        folder.path(),
        "perf/perfgate.yaml",
        "model: demo\nserver: {simulator: {seed: 1}}\nrepeat: 1\nnum_requests: 3\nwarmup_requests: 0\n\
         dataset: {path: trace.jsonl, format: mooncake, speedup: 4}\n",
    );
    bench(folder.path(), &[], 0);
    measured(folder.path(), "trace_speedup=4", 0);
    let result = read_json(&folder.path().join("result.json"));
    assert_eq!(
        result["scenarios"][0]["load"],
        json!({"trace_speedup": 4.0})
    );
    let stderr = bench(folder.path(), &["--concurrency", "2"], 2);
    assert!(
        stderr.contains("`speedup` has no effect with a given load"),
        "{stderr}"
    );
}

#[test]
fn a_trace_may_be_sent_at_another_load() {
    let plan = "dataset: trace.jsonl\nnum_requests: 3\nwarmup_requests: 1\n";
    let folder = folder(plan, "trace.jsonl", TRACE);
    bench(folder.path(), &["--concurrency", "2"], 0);
    measured(folder.path(), "concurrency=2", 0);
}

#[test]
fn drawn_conversations_and_texts_are_sent_too() {
    let plan = "conversation: {turns: 3, pause: 10ms}\nprompts: text\nprefix: {share: 50%, groups: 2}\n\
                input_tokens: 10\noutput_tokens: 4\nnum_requests: 6\nwarmup_requests: 0\n";
    let folder = folder(plan, "unused", "");
    for (endpoint, template) in [("completions", 0), ("chat", 8)] {
        bench(folder.path(), &["--endpoint", endpoint], 0);
        let (_, samples) = measured(folder.path(), "concurrency=16", 0);
        let tokens = [10, 24, 38, 10, 24, 38].map(|words| words + template);
        assert_eq!(samples["prompt_tokens"], json!(tokens), "{endpoint}");
    }
}

#[test]
fn the_flags_of_other_load_generators_name_a_file_and_its_format() {
    let folder = folder(
        "num_requests: 5\nwarmup_requests: 0\n",
        "x.jsonl",
        &prompts(5),
    );
    let flags = ["--dataset-name", "custom", "--dataset-path", "perf/x.jsonl"];
    bench(folder.path(), &flags, 0);
    let (workload, _) = measured(folder.path(), "concurrency=16", 0);
    assert!(
        workload["dataset"]
            .as_str()
            .unwrap()
            .starts_with("jsonl sha256:")
    );
    let stderr = bench(folder.path(), &["--dataset-name", "sharegpt"], 2);
    assert!(stderr.contains("has no effect without a file"), "{stderr}");
}

#[test]
fn an_invalid_data_set_is_reported_before_a_server_starts() {
    let chat = json!([{"conversations": [
        {"from": "human", "value": "one"}, {"from": "gpt", "value": "two"}, {"from": "human", "value": "three"},
    ]}])
    .to_string();
    let two = prompts(2);
    let cases = [
        ("dataset: ShareGPT_v3", "a.json", ""),
        ("dataset: a.jsonl", "a.jsonl", two.as_str()),
        (
            "dataset: a.jsonl",
            "a.jsonl",
            "{\"prompt\": \"one\"}\n{\"prompt\": 2}\n",
        ),
        ("dataset: a.jsonl", "a.jsonl", "{\"prompt\": \"one\"}\n"),
        ("dataset: a.jsonl", "a.jsonl", "{\"text\": \"one\"}\n"),
        (
            "dataset: {path: a.jsonl, format: mooncake}",
            "a.jsonl",
            two.as_str(),
        ),
        (
            "dataset: {path: a.json, turns: all}\noutput_tokens: 4",
            "a.json",
            chat.as_str(),
        ),
        (
            "dataset: {path: a.jsonl, turns: all}",
            "a.jsonl",
            two.as_str(),
        ),
        (
            "dataset: {path: a.jsonl, speedup: 2}",
            "a.jsonl",
            two.as_str(),
        ),
        (
            "dataset: {path: a.jsonl, salt: false}\nwarmup_requests: 2",
            "a.jsonl",
            two.as_str(),
        ),
        ("dataset: trace.jsonl\nendpoint: chat", "trace.jsonl", TRACE),
        ("dataset: a.json.zst", "a.json.zst", "no archive"),
        ("dataset: a.json", "a.json", "[{\"conversations\": []}]"),
    ];
    let mut messages = String::new();
    for (plan, name, data) in cases {
        let wanted = match plan {
            "dataset: a.jsonl" if data == two => 5,
            _ if data == chat => 2,
            _ => 1,
        };
        let folder = folder(&format!("num_requests: {wanted}\n{plan}\n"), name, data);
        let stderr = bench(folder.path(), &[], 2);
        assert!(!stderr.contains("waiting for the server"), "{stderr}");
        messages.push_str(&format!("{plan}\n{stderr}\n"));
    }
    let hash = "ab".repeat(32);
    let plan = format!("num_requests: 1\ndataset: {{path: a.jsonl, sha256: {hash}}}\n");
    let folder = folder(&plan, "a.jsonl", &two);
    messages.push_str(&bench(folder.path(), &[], 2));
    insta::assert_snapshot!(messages);
}

/// The blocks of a document that are fenced as `language`, with what they begin at.
fn fenced<'a>(text: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let fence = format!("```{language}\n");
    let blocks = text.match_indices(&fence).map(|(at, fence)| {
        let begin = at + fence.len();
        let length = text[begin..].find("```").unwrap();
        (at, &text[begin..begin + length])
    });
    blocks.collect()
}

#[test]
fn every_example_of_the_document_runs() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/workloads.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (plans, data) = (fenced(&text, "yaml"), fenced(&text, "json"));
    assert_eq!((plans.len(), data.len()), (7, 5));
    for (at, plan) in plans {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "perfgate.yaml", plan);
        // The file of a plan is the one that stands before it.
        let before = data.iter().rev().find(|(begin, _)| *begin < at);
        let path = plan.find("data/").map(|begin| {
            let path = &plan[begin..];
            &path[..path.find([',', '\n']).unwrap()]
        });
        if let (Some((_, data)), Some(path)) = (before, path) {
            write(folder.path(), path, data);
        }
        let mut bench = command(folder.path(), &["bench", "--simulator", "--repeat", "1"]);
        bench.env("GATEWAY_KEY", "of the example with headers");
        let run = Ran::of(&bench.output().unwrap());
        assert_eq!(run.code, Some(0), "{plan}\n{}", run.stderr);
    }
}

#[test]
fn a_sweep_repeats_the_entries_of_a_data_set_only_if_the_plan_allows_it() {
    let lines = "{\"prompt\": \"word\", \"output_tokens\": 48}\n".repeat(12);
    let swept = |dataset: &str| {
        let plan = format!("dataset: {dataset}\nnum_requests: 10\nwarmup_requests: 2\n");
        let folder = folder(&plan, "prompts.jsonl", &lines);
        let arguments = [
            "sweep",
            "--config",
            "perf/perfgate.yaml",
            "--concurrency",
            "4",
        ];
        let stderr = run(folder.path(), &arguments).expect(0).stderr;
        let result = read_json(&folder.path().join("sweep.json"));
        let scenario = &result["scenarios"][0];
        let sent = scenario["repeats"][0]["requests"]["completed"].clone();
        assert_eq!(scenario["load"]["requests"], sent);
        (sent, stderr)
    };
    let (sent, stderr) = swept("prompts.jsonl");
    assert_eq!(sent, 10);
    let ended = "the data set ends after 10 requests, but concurrency=4 needs 32";
    assert!(stderr.contains(ended), "{stderr}");
    let (sent, stderr) = swept("{path: prompts.jsonl, repeat_entries: true}");
    assert_eq!(sent, 32);
    assert!(!stderr.contains("ends after"), "{stderr}");
}
