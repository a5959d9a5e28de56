//! Text from outside, through every way in: it forms no command of the runner, steers no terminal, and shows no secret.

use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{
    Ran, Running, TINY_RUN, command, json as read_json, program, result, run, write,
};

/// Both grammars of the runner, at ends of lines of every kind, and what steers a terminal.
const HOSTILE: &str = "x\n::stop-commands::tok\r::add-mask::PASS\u{2028} ::set-output name=verdict::pass\u{85}::error::no\n\u{3000}\u{200b}::debug::x ##[error]no #\u{ad}#[set-env name=a]b\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{e0041}";

/// What the runner would act on, and what a terminal would, beside perfgate's own commands.
fn dangers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.split(['\n', '\r', '\u{2028}', '\u{85}']) {
        let visible: String = line.chars().filter(|c| !c.is_control()).collect();
        let begun = visible
            .trim_start()
            .trim_start_matches(['\u{200b}', '\u{ad}']);
        let is_own = ["error", "warning", "notice"].iter().any(|level| {
            [" title=perfgate", " file="]
                .iter()
                .any(|first| line.starts_with(&format!("::{level}{first}")))
        });
        if (begun.starts_with("::") && !is_own) || visible.replace('\u{ad}', "").contains("##[") {
            found.push(line.to_owned());
        }
    }
    let hidden = |c: char| (c.is_control() && c != '\n') || perfgate::text::hidden::is_hidden(c);
    found.extend(
        text.chars()
            .filter(|c| hidden(*c))
            .map(|c| format!("{c:?}")),
    );
    found
}

/// Runs on Actions, and looks at both streams.
fn tried(what: &str, command: &mut Command) -> Ran {
    let ran = Ran::of(&command.env("GITHUB_ACTIONS", "true").output().unwrap());
    for stream in [&ran.stdout, &ran.stderr] {
        let found = dangers(stream);
        assert!(found.is_empty(), "{what}: {found:?}\nin:\n{stream}");
    }
    ran
}

/// Every path of the value to a text, and to an object that can have one key more; of a list only the first item.
fn places(value: &Value, here: &str, into: &mut Vec<String>) {
    match value {
        Value::String(_) => into.push(here.to_owned()),
        Value::Array(items) => {
            if let Some(first) = items.first() {
                places(first, &format!("{here}/0"), into);
            }
        }
        Value::Object(entries) => {
            into.push(here.to_owned());
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{here}/{key}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The value with hostile text at one place.
fn poisoned(value: &Value, place: &str) -> Value {
    let mut poisoned = value.clone();
    match poisoned.pointer_mut(place).unwrap() {
        Value::Object(entries) => {
            entries.insert(HOSTILE.to_owned(), json!(HOSTILE));
        }
        text @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => *text = json!(HOSTILE),
    }
    poisoned
}

fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &result(&[1.0, 1.001, 0.999]));
    write(folder.path(), "b.json", &result(&[1.3, 1.301, 1.299]));
    folder
}

const COMPARE: [&str; 5] = ["compare", "--baseline", "a.json", "--candidate", "b.json"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&COMPARE, more].concat()
}

#[test]
fn no_text_of_a_result_or_a_ledger_forms_a_command() {
    let folder = scene();
    let at = folder.path();
    let mut good: Value = serde_json::from_str(&result(&[1.3, 1.301, 1.299])).unwrap();
    good["name"] = json!("demo");
    good["source"] = json!({"commit": "77b02d4f0a1b", "branch": "main"});
    good["server"] =
        json!({"kind": "docker", "model": "m", "version": "1", "args": ["--a"], "image": "i"});
    good["environment"]["host"] = json!("h");
    good["scenarios"][0]["repeats"][0]["id"] = json!("r");
    good["scenarios"][0]["repeats"][0]["not_measured"] = json!({"gpu_power": "no meter"});
    let mut all = Vec::new();
    places(&good, "", &mut all);
    for (number, place) in all.iter().enumerate() {
        let text = poisoned(&good, place).to_string();
        write(at, "b.json", &text);
        write(at, "ledger.jsonl", &text);
        let more: &[&str] = match number % 3 {
            0 => &["--format", "json"],
            1 => &["--format", "markdown"],
            _ => &["--color", "always"],
        };
        if number % 3 == 2 {
            // Colours are perfgate's own.
            let ran = Ran::of(&command(at, &with(more)).output().unwrap());
            let plain = ran.stdout.replace("\u{1b}[", "");
            assert!(!plain.contains('\u{1b}'), "{place}: {plain:?}");
        } else {
            tried(place, &mut command(at, &with(more)));
        }
        write(at, "b.json", &result(&[1.3]));
        tried(
            place,
            &mut command(at, &with(&["--ledger", "ledger.jsonl"])),
        );
    }
}

#[test]
fn no_text_of_a_comparison_forms_a_command_and_its_json_keeps_its_values() {
    let folder = scene();
    let at = folder.path();
    let printed = run(at, &with(&["--format", "json"])).stdout;
    let mut good: Value = serde_json::from_str(&printed).unwrap();
    good["accepted"] = json!({"by": "maya", "reason": "r", "source": "label", "lines": ["x"]});
    let mut all = Vec::new();
    places(&good, "", &mut all);
    assert!(all.len() > 40, "{all:?}");
    for (number, place) in all.iter().enumerate() {
        write(at, "c.json", &poisoned(&good, place).to_string());
        let format = ["text", "json", "markdown"][number % 3];
        tried(
            place,
            &mut command(at, &["report", "c.json", "--format", format]),
        );
    }
    good["headline"] = json!(HOSTILE);
    write(at, "c.json", &good.to_string());
    let ran = tried(
        "headline",
        &mut command(at, &["report", "c.json", "--format", "json"]),
    );
    if ran.code != Some(2) {
        let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(shown["headline"], json!(HOSTILE));
    }
}

#[test]
fn no_analysis_or_explanation_of_an_author_forms_a_command() {
    let folder = scene();
    let at = folder.path();
    let words = format!("It grew since the cache is larger now, which is worth it. {HOSTILE}");
    write(at, "why.md", &words);
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules:\n  tpot.p95: {regression: 5%, action: report}\n",
    );
    let body = format!("## perfgate analysis\n\n{words}\n\n## perfgate explanation\n\n{words}\n");
    write(
        at,
        "event.json",
        &json!({"pull_request": {"body": body}}).to_string(),
    );
    for format in ["text", "json", "markdown"] {
        let arguments = with(&["--analysis", "why.md", "--format", format]);
        tried("--analysis", &mut command(at, &arguments));
        let mut of_body = command(at, &with(&["--format", format]));
        tried(
            "body",
            of_body.env("GITHUB_EVENT_PATH", at.join("event.json")),
        );
    }
    let stdout = with(&["--analysis", "why.md", "--markdown", "/dev/stdout"]);
    tried("markdown on stdout", &mut command(at, &stdout));
}

#[test]
fn no_configuration_name_or_argument_forms_a_command() {
    let folder = scene();
    let at = folder.path();
    let quoted = json!(HOSTILE).to_string();
    for yaml in [
        format!("model: {quoted}\n{quoted}: 1\n"),
        format!("model: m\nserver: {{url: {quoted}}}\n"),
        format!("model: m\nserver: {{docker: {{image: {quoted}, gpus: {quoted}}}}}\n"),
        format!(
            "model: m # {}\nserver: 1\n",
            HOSTILE.replace(['\n', '\r', '\u{85}', '\u{2028}'], " ")
        ),
        HOSTILE.to_owned(),
    ] {
        write(at, "perfgate.yaml", &yaml);
        tried(&yaml, &mut command(at, &["gate"]));
        write(at, "thresholds.yaml", &yaml);
        tried(&yaml, &mut command(at, &COMPARE));
        std::fs::remove_file(at.join("thresholds.yaml")).unwrap();
    }
    let name = HOSTILE.replace('/', "-");
    write(at, &format!("baselines/demo/{name}.json"), "{}");
    for arguments in [
        &["baseline", "history", "demo"][..],
        &["baseline", "verify"],
        &["baseline", "list"],
        &["compare", "--baseline", &name, "--candidate", "b.json"],
        &["report", HOSTILE],
        &[HOSTILE],
        &["compare", HOSTILE],
    ] {
        tried(&arguments.join(" "), &mut command(at, arguments));
    }
}

#[test]
fn no_name_within_an_archive_forms_a_command() {
    let folder = scene();
    let at = folder.path();
    for name in [HOSTILE.to_owned(), format!("../{HOSTILE}")] {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(HOSTILE.as_bytes()).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        perfgate::files::write_atomically(&at.join("artifact.zip"), &bytes).unwrap();
        let ran = tried(
            "archive",
            &mut command(at, &["comment", "--artifact", "artifact.zip"]),
        );
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    }
}

/// A plan whose server is a shell script; `{port}` is part of it.
fn script(at: &Path, script: &str, more: &str) {
    let plan = json!({
        "model": "demo", "concurrency": 1, "num_requests": 2, "repeat": 1, "warmup_requests": 0,
        "input_tokens": {"mean": 20}, "output_tokens": {"mean": 4}, "max_error_rate": "100%",
        "server": {"process": {"command": ["sh", "-c", script, "{port}"], "ready_timeout": "30s"}}
    });
    let mut text = serde_json::to_string(&plan).unwrap();
    if !more.is_empty() {
        text = text.replace("\"ready_timeout\"", &format!("{more},\"ready_timeout\""));
    }
    write(at, "perfgate.yaml", &text);
}

#[test]
fn no_log_line_or_model_name_of_a_server_forms_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "words", HOSTILE);
    script(at, "cat words; cat words >&2; exit 3; # {port}", "");
    let ran = tried(
        "last words",
        &mut command(at, &["bench", "--output", "r.json"]),
    );
    assert!(ran.stderr.contains("server| "), "{}", ran.stderr);
    let mut server = command(at, &["simulate", "--port", "0", "--model", HOSTILE]);
    let mut server = Running(server.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let arguments = [
        "bench", "--url", &url, "--model", "demo", "--output", "r.json",
    ];
    let ran = tried("model", &mut command(at, &arguments));
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
}

#[test]
fn no_output_shows_a_secret_and_the_server_cannot_write_to_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let words = format!(
        "echo args --api-key open-sesame-4711 --hf-token=short7; env; exec {} simulate --port {{port}} --model demo",
        program().display()
    );
    script(
        at,
        &words,
        "\"env\": {\"REGISTRY_PASSWORD\": \"pass-word-4711\"}",
    );
    let mut bench = command(at, &["bench", "--output", "r.json"]);
    let files = [
        "GITHUB_ENV",
        "GITHUB_PATH",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_STATE",
    ];
    for name in files {
        bench.env(name, at.join("job"));
    }
    bench
        .env("HF_TOKEN", "inherited-4711")
        .env("PERFGATE_API_KEY", " key-of-the-job-4711\n");
    let ran = tried("secrets", &mut bench);
    let log = std::fs::read_to_string(at.join("r.logs/server-1.log")).unwrap();
    assert!(log.contains("args --api-key *** --hf-token=***"), "{log}");
    for name in files {
        assert!(!log.contains(&format!("{name}=")), "{log}");
    }
    let kept = std::fs::read_to_string(at.join("r.json")).unwrap_or_default();
    for secret in [
        "open-sesame",
        "short7",
        "pass-word-4711",
        "inherited-4711",
        "key-of-the-job",
    ] {
        for text in [&ran.stdout, &ran.stderr, &log, &kept] {
            assert!(!text.contains(secret), "{secret} is in:\n{text}");
        }
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = command(
        folder.path(),
        &["bench", "--url", "http://127.0.0.1:9", "--model", "m"],
    );
    let ran = tried("key", bench.env("PERFGATE_API_KEY", "one\ntwo"));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("PERFGATE_API_KEY"), "{}", ran.stderr);
}

#[test]
fn without_certificates_everything_but_https_can_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let bench = |target: &[&str]| {
        let bench = ["bench", "--repeat", "1", "--output", "r.json", "-v"];
        let mut command = command(at, &[&bench[..], &TINY_RUN, target].concat());
        command
            .env("SSL_CERT_FILE", "/nowhere")
            .env("SSL_CERT_DIR", "/nowhere");
        Ran::of(&command.output().unwrap())
    };
    let stderr = bench(&["--simulator"]).stderr;
    assert!(at.join("r.json").is_file(), "{stderr}");
    // What perfgate does, and nothing of the libraries beneath it.
    assert!(
        stderr.contains("the server is ready") && !stderr.contains("hyper"),
        "{stderr}"
    );
    assert_eq!(read_json(&at.join("r.json"))["server"]["kind"], "simulator");
    let ran = bench(&["--url", "https://127.0.0.1:9"]);
    assert!(ran.stderr.contains("SSL_CERT_FILE"), "{}", ran.stderr);
}
