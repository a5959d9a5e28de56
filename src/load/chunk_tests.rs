use proptest::prelude::*;

use super::*;

#[test]
fn a_role_or_an_empty_text_does_not_count_as_a_token() {
    for data in [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#,
    ] {
        let chunk = read_chunk(data.as_bytes()).unwrap();
        assert!(
            !chunk.has_text && !chunk.is_last && chunk.has_choice,
            "{data}"
        );
    }
}

#[test]
fn content_reasoning_and_tool_calls_are_tokens() {
    for delta in [
        r#"{"content":"a"}"#,
        r#"{"reasoning_content":"a"}"#,
        r#"{"reasoning":"\u00e9"}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
    ] {
        let data = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        assert!(read_chunk(data.as_bytes()).unwrap().has_text, "{data}");
    }
}

#[test]
fn the_last_chunk_may_have_only_its_finish_reason() {
    let chunk = read_chunk(br#"{"choices":[{"text":"","finish_reason":"length"}]}"#).unwrap();
    assert!(chunk.is_last && !chunk.has_text);
}

#[test]
fn an_error_in_the_stream_is_a_failure_with_the_servers_message() {
    let object =
        br#"{"error":{"message":"engine is dead","type":"InternalServerError","code":500}}"#;
    assert_eq!(
        read_chunk(object),
        Err(ChunkError::Server("engine is dead".to_owned()))
    );
    assert_eq!(
        read_chunk(br#"{"error":"gone"}"#),
        Err(ChunkError::Server("gone".to_owned()))
    );
}

#[test]
fn an_error_in_another_shape_is_recognised_and_harmless_events_are_not_errors() {
    for (data, message) in [
        (
            r#"{"object":"error","message":"CUDA out of memory","code":500}"#,
            "CUDA out of memory",
        ),
        (
            r#"{"status_code":500,"message":"oom","type":"Internal"}"#,
            "oom",
        ),
        (r#"{"detail":"no\nquota"}"#, "no quota"),
        (r#"{"error":{}}"#, r#"{"error":{}}"#),
        (r#"{"code":500}"#, r#"{"code":500}"#),
        (
            r#"{"object":"error","choices":[]}"#,
            r#"{"object":"error","choices":[]}"#,
        ),
    ] {
        let error = read_chunk(data.as_bytes());
        assert_eq!(error, Err(ChunkError::Server(message.to_owned())), "{data}");
    }
    for data in [
        r#"{"id":"x"}"#,
        r#"{"id":"x","object":"chat.completion.chunk","choices":[],"usage":null}"#,
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1},"message":"bye"}"#,
        r#"{"choices":null,"error":null,"message":null,"code":null,"detail":null}"#,
        r#"{"choices":[],"error":""}"#,
        r#"{"choices":[],"error":{}}"#,
        r#"{"choices":[],"error":false}"#,
    ] {
        let chunk = read_chunk(data.as_bytes()).unwrap();
        assert!(!chunk.has_text && !chunk.is_last, "{data}");
    }
}

#[test]
fn only_the_end_of_a_complete_answer_ends_it() {
    let ended = |reason: &str| {
        let data = format!(r#"{{"choices":[{{"text":"a","finish_reason":{reason}}}]}}"#);
        read_chunk(data.as_bytes()).map(|chunk| chunk.is_last)
    };
    for reason in ["stop", "length", "tool_calls", "function_call"] {
        assert_eq!(ended(&format!("\"{reason}\"")), Ok(true));
    }
    assert_eq!(ended(r#""\u0073top""#), Ok(true));
    assert_eq!(ended(r#""""#), Ok(false));
    for (reason, message) in [
        ("abort", "abort"),
        ("content_filter", "content_filter"),
        (r"a\u001b[31mb", "a [31mb"),
    ] {
        let error = ended(&format!("\"{reason}\""));
        assert_eq!(error, Err(ChunkError::Ended(message.to_owned())));
    }
}

#[test]
fn an_error_body_of_any_shape_becomes_one_line() {
    assert_eq!(
        error_text(r#"{"error":{"message":"too\nlong"}}"#),
        "too long"
    );
    assert_eq!(error_text(r#"{"detail":"Not Found"}"#), "Not Found");
    assert_eq!(error_text("<html>\u{1b}[31m"), "<html> [31m");
}

#[test]
fn a_secret_that_the_server_repeats_is_masked_before_the_text_is_cut() {
    secret::register("repeated <\"sesame\">");
    let long = format!("{}repeated <\"sesame\">", "x".repeat(290));
    let message = serde_json::json!({"message": long}).to_string();
    assert!(error_text(&message).ends_with("xx***"));
    let list = serde_json::json!({"error": ["repeated <\"sesame\">"]}).to_string();
    assert_eq!(error_text(&list), r#"{"error":["***"]}"#);
}

#[test]
fn a_pattern_matches_the_events_of_its_stream_and_leaves_the_rest_to_the_parser() {
    let event = |text: &str, finish: &str| {
        format!(
            r#"{{"id":"x","choices":[{{"index":0,"text":"{text}","finish_reason":{finish}}}]}}"#
        )
    };
    let first = event("a", "null");
    let pattern = Pattern::of(first.as_bytes(), &read_chunk(first.as_bytes()).unwrap()).unwrap();
    for (text, has_text) in [
        (" b", Some(true)),
        ("", Some(false)),
        (r"\n\u00e9", Some(true)),
        ("✓", Some(true)),
        (r"\", None),
        (r#"a","text":"b"#, None),
    ] {
        assert_eq!(
            pattern.has_text(event(text, "null").as_bytes()),
            has_text,
            "{text}"
        );
    }
    assert_eq!(pattern.has_text(event("a", r#""stop""#).as_bytes()), None);
    assert_eq!(pattern.has_text(br#"{"error":{"message":"dead"}}"#), None);
    for special in [
        event("a", r#""length""#),
        r#"{"choices":[{"text":"a"}],"usage":{"completion_tokens":1}}"#.to_owned(),
        r#"{"choices":[{"delta":{"content":"a","tool_calls":[{}]}}]}"#.to_owned(),
    ] {
        assert_eq!(
            Pattern::of(special.as_bytes(), &read_chunk(special.as_bytes()).unwrap()),
            None,
            "{special}"
        );
    }
}

#[test]
fn counts_are_read_by_both_names_and_missing_counts_are_ignored() {
    let usage = |usage: &str| {
        let data = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        read_chunk(data.as_bytes()).map(|chunk| chunk.usage)
    };
    let both = Some((Some(7), 2));
    for (given, counts) in [
        (r#"{"prompt_tokens":7,"completion_tokens":2}"#, both),
        (r#"{"input_tokens":7,"output_tokens":2}"#, both),
        (
            r#"{"prompt_tokens":7,"input_tokens":7,"completion_tokens":2.0,"output_tokens":null}"#,
            both,
        ),
        (r#"{"completion_tokens":20}"#, Some((None, 20))),
        (r#"{"completion_tokens":0}"#, Some((None, 0))),
        (r#"{"prompt_tokens":7,"completion_tokens":null}"#, None),
        (r#"{"prompt_tokens_details":{"cached_tokens":0}}"#, None),
        ("{}", None),
        ("null", None),
    ] {
        assert_eq!(usage(given), Ok(counts), "{given}");
    }
}

#[test]
fn impossible_counts_are_errors_with_the_value() {
    for count in [
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740993",
        "-1",
        "1.5",
        "1e999",
        r#""20""#,
        "true",
    ] {
        for name in ["prompt_tokens", "completion_tokens", "output_tokens"] {
            let data = format!(r#"{{"choices":[],"usage":{{"{name}":{count}}}}}"#);
            let error = read_chunk(data.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("`{count}`")), "{error}");
        }
    }
}

#[test]
fn several_choices_are_an_error() {
    for choices in [r#"{"text":"a"},{"text":"b"}"#, r#"{"index":1,"text":"a"}"#] {
        let data = format!(r#"{{"choices":[{choices}]}}"#);
        assert_eq!(read_chunk(data.as_bytes()), Err(ChunkError::Choices));
    }
}

#[test]
fn a_tool_call_that_is_only_announced_does_not_count_as_a_token() {
    let has_text = |call: &str| {
        let data = format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#);
        read_chunk(data.as_bytes()).unwrap().has_text
    };
    assert!(!has_text(
        r#"{"index":0,"id":"x","function":{"name":"","arguments":""}}"#
    ));
    assert!(has_text(r#"{"function":{"name":"f"}}"#));
    assert!(has_text(r#"{"function":{"arguments":{"a":1}}}"#));
}

#[test]
fn a_text_that_is_not_a_string_is_an_error() {
    assert!(read_chunk(br#"{"choices":[{"text":5}]}"#).is_err());
    assert!(read_chunk(br#"{"choices":[{"text":null,"delta":{"content":null}}]}"#).is_ok());
}

proptest! {
    #[test]
    fn a_pattern_agrees_with_the_parser(
        first in r#"[a-z"\\\\né✓{}:,]{0,6}"#, second in prop::collection::vec(any::<u8>(), 0..8),
        end in prop::sample::select(vec!["null", r#""""#, r#""stop""#, r#""abort""#])
    ) {
        let end = format!(r#"}},"finish_reason":{end}}}]}}"#);
        let event = |text: &[u8]| [br#"{"choices":[{"delta":{"content":""#, text, br#"""#, end.as_bytes()].concat();
        let first = event(first.as_bytes());
        if let Ok(chunk) = read_chunk(&first) && let Some(pattern) = Pattern::of(&first, &chunk) {
            let second = event(&second);
            if let Some(has_text) = pattern.has_text(&second) {
                let parsed = read_chunk(&second).unwrap();
                prop_assert_eq!((parsed.has_text, parsed.has_choice, parsed.is_last, parsed.usage), (has_text, true, false, None));
            }
        }
    }
}
