//! Headers and an extra body of each request: what the server gets, what a result tells of it, and that no text has a value.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ran, command, json as read_json, run, write};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/recording_server.py"
);

/// Values of headers: of the file, of the environment and of the command line. The last one has what JSON and HTML escape.
const SECRETS: [&str; 3] = [
    "sesame-of-the-file",
    "sesame-of-the-environment",
    "<sesame & \"quotes\">",
];

const EXTRAS: &str = "\
headers:
  X-File: sesame-of-the-file
  X-Key: {env: GATEWAY_KEY}
  X-Model: demo
extra_body: {top_k: 20, seed: 7}
";

fn plan(folder: &Path, extras: &str) {
    let server = format!("server: {{process: {{command: [python3, {SERVER}, \"{{port}}\"]}}}}\n");
    let load = "num_requests: 6\nwarmup_requests: 2\nconcurrency: 1\nrepeat: 1\noutput_tokens: 2\n";
    write(
        folder,
        "perfgate.yaml",
        &format!("model: demo\n{server}{load}{extras}"),
    );
}

fn perfgate(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = command(folder, arguments);
    command.env("GATEWAY_KEY", "sesame-of-the-environment\n");
    Ran::of(&command.output().unwrap())
}

/// With a header and a key of the flags, each over one of the file.
fn bench(folder: &Path, more: &[&str]) -> Ran {
    let flags = [
        "bench",
        "--header",
        "X-Flag: <sesame & \"quotes\">",
        "--header",
        "x-model: other",
        "--extra-body",
        r#"{"seed": 8, "logit_bias": {"7": -1.5}}"#,
    ];
    perfgate(folder, &[&flags, more].concat())
}

/// What the server got.
fn requests(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("requests")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn header<'a>(request: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = request["headers"].as_array().unwrap().iter();
    let named = headers.filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|header| header[1].as_str().unwrap()).collect()
}

/// All files that perfgate wrote, and what it printed.
fn written(folder: &Path, ran: &Ran) -> Vec<(String, String)> {
    let mut texts = vec![
        ("stdout".to_owned(), ran.stdout.clone()),
        ("stderr".to_owned(), ran.stderr.clone()),
    ];
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !["perfgate.yaml", "requests"].contains(&name.as_str()) {
                let bytes = std::fs::read(&path).unwrap();
                texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    texts
}

fn assert_hidden(folder: &Path, ran: &Ran) {
    for (name, text) in written(folder, ran) {
        for secret in SECRETS {
            let escaped = secret.replace('&', "&amp;").replace('<', "&lt;");
            for value in [secret, &escaped, &secret.replace('"', "\\\"")] {
                assert!(!text.contains(value), "`{value}` is in {name}:\n{text}");
            }
        }
    }
}

#[test]
fn every_request_has_the_headers_and_extra_body_and_no_output_shows_a_header_value() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    plan(folder, EXTRAS);
    let ran = bench(folder, &["-vv"]).expect(0);
    let requests = requests(folder);
    let sent: Vec<&Value> = requests
        .iter()
        .filter(|request| request["path"] == "/v1/completions")
        .collect();
    // The warm-up as well.
    assert_eq!(sent.len(), 2 + 6);
    // The look whether the server is ready as well: a gateway asks for them there, too. Not the metrics, as with the API key.
    for request in requests
        .iter()
        .filter(|request| request["path"] != "/metrics")
    {
        assert_eq!(header(request, "X-File"), [SECRETS[0]], "{request}");
        assert_eq!(header(request, "X-Key"), [SECRETS[1]]);
        assert_eq!(header(request, "X-Flag"), [SECRETS[2]]);
        assert_eq!(header(request, "X-Model"), ["other"]);
    }
    for request in sent {
        let body = &request["body"];
        assert_eq!(body["top_k"], 20);
        assert_eq!(body["seed"], 8);
        assert_eq!(body["logit_bias"], json!({"7": -1.5}));
        assert_eq!(body["max_tokens"], 2);
    }

    let result = read_json(&folder.join("result.json"));
    let workload = &result["workload"];
    assert_eq!(
        workload["headers"],
        json!(["X-File", "X-Flag", "X-Key", "x-model"])
    );
    assert_eq!(
        workload["extra_body"],
        json!({"logit_bias": {"7": -1.5}, "seed": 8, "top_k": 20})
    );
    let other = bench(folder, &["--output", "other.json"]).expect(0);
    let compared = [
        "compare",
        "--baseline",
        "result.json",
        "--candidate",
        "other.json",
        "--html",
        "report.html",
    ];
    let comparison = perfgate(folder, &compared);
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(
        page.contains("headers X-File, X-Flag, X-Key, x-model"),
        "{page}"
    );
    assert!(
        page.contains("extra body logit_bias, seed, top_k"),
        "{page}"
    );
    for ran in [ran, other, comparison] {
        assert_hidden(folder, &ran);
    }
}

#[test]
fn header_values_that_the_server_repeats_are_masked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    plan(folder, &EXTRAS.replace("top_k", "repeat"));
    // A word that perfgate's own texts have as well.
    let ran = bench(folder, &["-vv", "--header", "X-Side: requests"]).expect(5);
    for name in ["X-File", "X-Flag", "X-Key", "X-Side"] {
        let masked = format!("'{name}': '***'");
        assert!(ran.stderr.contains(&masked), "{}", ran.stderr);
    }
    let result = read_json(&folder.join("result.json"));
    assert_eq!(result["workload"]["num_requests"], 6);
    assert!(ran.stderr.contains("HTTP 400"), "{}", ran.stderr);
    assert_hidden(folder, &ran);
}

#[test]
fn the_digest_follows_what_is_sent_and_not_the_credentials() {
    let digest = |extras: &str, key: &str| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let plan = format!(
            "model: demo\nserver: {{simulator: {{}}}}\nnum_requests: 4\nconcurrency: 1\nrepeat: 1\noutput_tokens: 4\n{extras}"
        );
        write(folder, "perfgate.yaml", &plan);
        let mut command = command(folder, &["bench"]);
        command.env("GATEWAY_KEY", key);
        Ran::of(&command.output().unwrap()).expect(0);
        read_json(&folder.join("result.json"))["workload"]["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let plain = digest("", "a");
    assert_eq!(digest("headers: {}\nextra_body: {}", "a"), plain);
    let with = [
        "headers: {X-Route: canary}",
        "headers: {X-Route: stable}",
        "headers: {X-Route: {env: GATEWAY_KEY}}",
        "extra_body: {top_k: 20}",
        "extra_body: {top_k: 21}",
    ]
    .map(|extras| digest(extras, "a"));
    for (place, one) in with.iter().enumerate() {
        assert!(*one != plain && !with[..place].contains(one), "{with:?}");
    }
    assert_eq!(
        digest("headers: {x-route: {env: GATEWAY_KEY}}", "b"),
        with[2]
    );
}

#[test]
fn invalid_headers_and_bodies_are_refused_before_a_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    plan(folder, "");
    let stderr_of = |arguments: &[&str]| {
        let ran = run(folder, &[&["bench"], arguments].concat()).expect(2);
        assert!(!ran.stderr.contains("sesame"), "{}", ran.stderr);
        ran.stderr
    };
    insta::assert_snapshot!(stderr_of(&["--header", "open-sesame"]), @"
        error: `--header` number 1 has no colon between name and value
        hint: write `--header 'NAME: VALUE'`, in quotes
        ");
    insta::assert_snapshot!(stderr_of(&["--header", "X-Key: sesame\r\nX-Other: sesame"]), @"
        error: the value of the header `X-Key` has a character that is not allowed in headers
        hint: use printable ASCII, spaces and tabs, without line breaks
        ");
    insta::assert_snapshot!(stderr_of(&["--header", "Content-Length: 7"]), @"
        error: perfgate sets the header `Content-Length` itself
        hint: remove it
        ");
    insta::assert_snapshot!(stderr_of(&["--extra-body", "{\"top_k\": 1, \"top_k\": 2}"]), @r#"
        error: `--extra-body` cannot be read: duplicate key `top_k` at line 1 column 20
        hint: write it as in `--extra-body '{"top_k": 20}'`, in quotes
        "#);
    insta::assert_snapshot!(stderr_of(&["--extra-body", "{\"stream\": false}"]), @"
        error: perfgate sets the body key `stream` itself
        hint: remove it: perfgate measures streams and needs their `usage`
        ");
    // Without quotes, the value is an argument of its own.
    insta::assert_snapshot!(stderr_of(&["--header", "Authorization:", "Bearer", "open-sesame", "--repeat", "1"]), @"
        error: unexpected argument '***' found

        Usage: perfgate bench [OPTIONS]

        For more information, try '--help'.
        ");
    let mut twice = command(
        folder,
        &["bench", "--header", "Authorization: Bearer open-sesame"],
    );
    twice.env("PERFGATE_API_KEY", "other-sesame");
    insta::assert_snapshot!(Ran::of(&twice.output().unwrap()).expect(2).stderr, @"
        error: both the header `Authorization` and `PERFGATE_API_KEY`, which is sent as `Authorization: Bearer …`, are set
        hint: unset `PERFGATE_API_KEY`, or remove the header
        ");
    plan(
        folder,
        "headers: {X-Key: {env: PERFGATE_NO_SUCH_VARIABLE}}\n",
    );
    insta::assert_snapshot!(stderr_of(&[]), @"
        error: the header `X-Key` takes its value from the variable `PERFGATE_NO_SUCH_VARIABLE`, which is unset or empty
        hint: set the variable, or remove the header
        ");
    plan(
        folder,
        "headers: {X-Key: open-sesame, host: open-sesame}\nextra_body: {model: other}\n",
    );
    insta::assert_snapshot!(stderr_of(&[]).replace(SERVER, "SERVER"), @"
        error: `perfgate.yaml` has 2 problems

        error[invalid-value]: perfgate sets the header `host` itself
         --> perfgate.yaml:8:31
          |
        8 | headers: {X-Key: ***********, host: ***********}
          |                               ^^^^
          |
          = help: remove it

        error[contradiction]: perfgate sets `extra_body.model` itself
         --> perfgate.yaml:9:14
          |
        9 | extra_body: {model: other}
          |              ^^^^^
          |
          = help: use `model` and `served_model_name`
        ");
    assert!(!folder.join("requests").exists());
}

#[test]
fn a_search_keeps_no_header_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    crate::baseline_ref::repository(folder);
    let arguments = [
        "bisect",
        "start",
        "HEAD",
        "HEAD",
        "--header",
        "X-Key: open-sesame",
    ];
    let stderr = run(folder, &arguments).expect(2).stderr;
    insta::assert_snapshot!(stderr, @"
    error: `bisect start` stores its options in a file, but header values must not be stored
    hint: set the value in an environment variable, with `headers: {NAME: {env: VARIABLE}}` in the file of `--config`
    ");
}

/// The packing of chunks then hides nothing: the first chunk's tokens are known.
#[test]
fn the_tokens_of_each_chunk_are_recorded_if_the_extra_body_requests_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let options = r#"{"stream_options": {"continuous_usage_stats": true}}"#;
    let arguments = [
        "bench",
        "--simulator",
        "--model",
        "demo",
        "--num-requests",
        "8",
        "--repeat",
        "1",
    ];
    run(
        at,
        &[
            &arguments[..],
            &["--concurrency", "2", "--extra-body", options],
        ]
        .concat(),
    )
    .expect(0);
    let result = read_json(&at.join("result.json"));
    assert_eq!(
        result["workload"]["extra_body"]["stream_options"]["continuous_usage_stats"],
        json!(true)
    );
    let first = &result["scenarios"][0]["repeats"][0]["samples"]["first_chunk_tokens"];
    assert_eq!(*first, json!([1, 1, 1, 1, 1, 1, 1, 1]));
}
