use super::super::{Sample, TimeUnit, read};
use super::*;

fn choice(format: Format) -> Choice {
    Choice {
        format,
        units: Units::default(),
        sha256: "0123456789abcdef".to_owned(),
        num_requests: 4,
        warmup_requests: 2,
        turns: None,
        pause: Duration::from_secs(1),
        speedup: None,
        repeat_entries: false,
        salt: true,
        output_tokens: Some(Lengths::Uniform { min: 10, max: 30 }),
        seed: 42,
    }
}

fn select(choice: Choice, text: &str) -> Result<Selection, ChoiceError> {
    let mut sample = Sample::new(choice.seed, choice.num_requests + choice.warmup_requests);
    read(choice.format, choice.units, text.as_bytes(), &mut |entry| {
        sample.offer(entry);
    })
    .unwrap();
    Selection::new(choice, sample.into_entries())
}

fn prompts(count: usize) -> String {
    let line = |number| format!("{{\"prompt\": \"question {number}\"}}\n");
    (0..count).map(line).collect()
}

fn texts(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|request| request.prompt.text())
        .collect()
}

/// The texts without their salts.
fn questions_of(requests: &[Request]) -> Vec<String> {
    let texts = texts(requests).into_iter();
    texts
        .map(|text| text.rsplit("\n\n").next().unwrap().to_owned())
        .collect()
}

const TRACE: &str = r#"{"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [7, 8, 9]}
{"timestamp": 1500, "input_length": 600, "output_length": 6, "hash_ids": [7, 10]}
{"timestamp": 3000, "input_length": 1100, "output_length": 7, "hash_ids": [7, 8]}
"#;

const CHAT: &str = r#"[{"conversations": [
    {"from": "system", "value": "brief"}, {"from": "human", "value": "one"}, {"from": "gpt", "value": "1"},
    {"from": "human", "value": "two"}, {"from": "gpt", "value": "2"}, {"from": "human", "value": "three"}]}]"#;

/// The first warm-up and the measured requests of a repeat.
#[derive(Debug, PartialEq)]
struct Pass {
    warmup: Vec<Request>,
    measured: Vec<Request>,
}

fn pass(selection: &Selection, scenario: &str, repeat: u32) -> Pass {
    Pass {
        warmup: selection.requests(Part::of(Phase::WarmUp(0), scenario, repeat)),
        measured: selection.requests(Part::of(Phase::Measured, scenario, repeat)),
    }
}

#[test]
fn every_round_sends_the_same_entries_in_the_same_order_with_its_own_salt() {
    let selection = select(choice(Format::Jsonl), &prompts(50)).unwrap();
    let first = pass(&selection, "concurrency=1", 0);
    assert_eq!(first, pass(&selection, "concurrency=1", 0));
    for other in [
        pass(&selection, "concurrency=1", 1),
        pass(&selection, "concurrency=2", 0),
    ] {
        assert_eq!(questions_of(&first.measured), questions_of(&other.measured));
        let words = |prompt: &Prompt| prompt.text().split_whitespace().count();
        for (a, b) in first.measured.iter().zip(&other.measured) {
            assert_eq!(a.output_tokens, b.output_tokens);
            assert_eq!(words(&a.prompt), words(&b.prompt));
            // The first words differ, so that no block of a prefix cache matches.
            assert_ne!(a.prompt.text()[..20], b.prompt.text()[..20]);
        }
    }
    // Within a round the head is the same: shared parts of prompts stay shared.
    let heads: Vec<String> = texts(&first.measured)
        .iter()
        .map(|text| text.split("\n\n").next().unwrap().to_owned())
        .collect();
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
    assert_eq!(heads[0].split(' ').count(), 8);
}

#[test]
fn the_warm_up_never_sends_a_measured_prompt() {
    for count in [50, 4] {
        let pass = pass(
            &select(choice(Format::Jsonl), &prompts(count)).unwrap(),
            "concurrency=1",
            0,
        );
        let (warmup, measured) = (texts(&pass.warmup), texts(&pass.measured));
        assert_eq!((warmup.len(), measured.len()), (2, 4));
        assert!(warmup.iter().all(|text| !measured.contains(text)));
        // Not even its beginning: the warm-up has another salt.
        assert_ne!(warmup[0][..20], measured[0][..20]);
    }
}

#[test]
fn too_few_entries_are_an_error_unless_they_may_be_sent_again() {
    let few = select(choice(Format::Jsonl), &prompts(3));
    assert_eq!(few, Err(ChoiceError::TooFew { has: 3, wanted: 4 }));
    let again = Choice {
        repeat_entries: true,
        ..choice(Format::Jsonl)
    };
    let pass = pass(&select(again, &prompts(3)).unwrap(), "concurrency=1", 0);
    let questions = questions_of(&pass.measured);
    assert_eq!(questions[0], questions[3]);
    assert_ne!(pass.measured[0].prompt, pass.measured[3].prompt);
}

#[test]
fn without_a_salt_prompts_are_sent_unchanged_and_the_warm_up_needs_others() {
    let as_they_stand = Choice {
        salt: false,
        ..choice(Format::Jsonl)
    };
    let few = select(as_they_stand.clone(), &prompts(5));
    assert_eq!(few, Err(ChoiceError::NoneLeft { has: 5, wanted: 6 }));
    let pass = pass(
        &select(as_they_stand, &prompts(6)).unwrap(),
        "concurrency=1",
        3,
    );
    let mut all = [texts(&pass.warmup), texts(&pass.measured)].concat();
    all.sort();
    let expected: Vec<String> = (0..6).map(|number| format!("question {number}")).collect();
    assert_eq!(all, expected);
}

#[test]
fn an_output_length_is_that_of_the_entry_or_that_of_the_plan() {
    let text = "{\"prompt\": \"a\", \"output_tokens\": 99}\n{\"prompt\": \"b\"}\n";
    let two = |output_tokens| Choice {
        num_requests: 2,
        warmup_requests: 0,
        output_tokens,
        ..choice(Format::Jsonl)
    };
    let selection = select(two(Some(Lengths::Constant(5))), text).unwrap();
    let mut lengths: Vec<u32> = pass(&selection, "c", 0)
        .measured
        .iter()
        .map(|request| request.output_tokens)
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [5, 99]);
    assert_eq!(selection.output_lengths(), "as in the data set, else 5");
    assert_eq!(select(two(None), text), Err(ChoiceError::NoLength(2)));
}

#[test]
fn the_unit_of_time_stamps_decides_the_span_and_the_digest() {
    let lines: String = (0..8)
        .map(|number| {
            format!(
                "{{\"timestamp\": {}, \"prompt\": \"a\"}}\n",
                7.0 + 0.5 * f64::from(number)
            )
        })
        .collect();
    let of = |time| {
        let units = Units {
            time,
            ..Units::default()
        };
        let choice = Choice {
            units,
            num_requests: 8,
            ..choice(Format::Jsonl)
        };
        let selection = select(choice, &lines).unwrap();
        (selection.span().unwrap(), selection.described())
    };
    let (seconds, milliseconds) = (of(TimeUnit::Seconds), of(TimeUnit::Milliseconds));
    assert_eq!(seconds.0, (Duration::from_millis(3_500), 7));
    assert_eq!(milliseconds.0, (Duration::from_micros(3_500), 7));
    assert_ne!(seconds.1, milliseconds.1);
}

#[test]
fn a_block_has_the_same_tokens_for_every_occurrence_of_its_hash_id() {
    let trace = Choice {
        num_requests: 3,
        warmup_requests: 1,
        output_tokens: None,
        ..choice(Format::Mooncake)
    };
    let pass = pass(&select(trace, TRACE).unwrap(), "trace", 0);
    let ids: Vec<&Vec<u32>> = pass
        .measured
        .iter()
        .map(|request| {
            let Prompt::TokenIds(ids) = &request.prompt else {
                panic!("{request:?}")
            };
            ids
        })
        .collect();
    let lengths: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
    assert_eq!(lengths, [1100, 600, 1100]);
    assert_eq!(ids[0][..512], ids[1][..512]);
    assert_ne!(ids[0][512..600], ids[1][512..600]);
    assert_eq!(ids[0][..1024], ids[2][..1024]);
    // The part without an id is unique.
    assert_ne!(ids[0][1024..], ids[2][1024..]);
    let Prompt::TokenIds(warm) = &pass.warmup[0].prompt else {
        panic!("{pass:?}")
    };
    assert_ne!(warm[..16], ids[0][..16]);
}

#[test]
fn a_trace_is_due_at_its_own_times_divided_by_the_speedup() {
    let due = |speedup, num_requests| {
        let trace = Choice {
            num_requests,
            warmup_requests: 2,
            speedup,
            repeat_entries: true,
            ..choice(Format::Mooncake)
        };
        let pass = pass(&select(trace, TRACE).unwrap(), "trace", 0);
        let due = |requests: &[Request]| {
            let due = requests.iter().map(|request| request.due.unwrap());
            due.map(|due| due.as_millis()).collect::<Vec<u128>>()
        };
        (due(&pass.measured), due(&pass.warmup))
    };
    assert_eq!(due(None, 3), (vec![0, 500, 2000], vec![0, 500]));
    assert_eq!(due(Some(2.0), 3).0, [0, 250, 1000]);
    // The second round starts a mean gap after the first has ended.
    assert_eq!(
        due(None, 5),
        (vec![0, 500, 2000, 3000, 3500], vec![0, 1000])
    );
}

#[test]
fn a_trace_of_extreme_length_is_due_within_the_range_of_a_clock() {
    let trace = "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n\
                 {\"timestamp\": 1e15, \"input_length\": 1, \"output_length\": 1}\n";
    let slow = Choice {
        num_requests: 100,
        speedup: Some(0.001),
        repeat_entries: true,
        ..choice(Format::Mooncake)
    };
    let pass = pass(&select(slow, trace).unwrap(), "trace", 0);
    let last = pass.measured[99].due.unwrap();
    assert!(last > Duration::from_hours(24) && last <= Duration::from_hours(1_000_000));
}

#[test]
fn turns_select_the_sent_part_of_a_conversation() {
    let sent = |turns, num_requests| {
        let chat = Choice {
            num_requests,
            warmup_requests: 0,
            turns,
            salt: false,
            ..choice(Format::ShareGpt)
        };
        let selection = select(chat, CHAT).unwrap();
        let chat_only = selection.first_for_chat().is_some();
        (texts(&pass(&selection, "c", 0).measured), chat_only)
    };
    let whole = "brief\none\n1\ntwo\n2\nthree".to_owned();
    assert_eq!(sent(None, 1), (vec!["one".to_owned()], false));
    assert_eq!(sent(Some(Turns::Last), 1), (vec![whole.clone()], true));
    let all = vec![
        "brief\none".to_owned(),
        "brief\none\n1\ntwo".to_owned(),
        whole,
    ];
    assert_eq!(sent(Some(Turns::All), 2), (all[..2].to_vec(), true));
    assert_eq!(sent(Some(Turns::All), 3), (all, true));
}

#[test]
fn a_turn_follows_the_one_before_and_shares_its_salted_head() {
    let chat = Choice {
        num_requests: 3,
        warmup_requests: 3,
        turns: Some(Turns::All),
        ..choice(Format::ShareGpt)
    };
    let pass = pass(&select(chat, CHAT).unwrap(), "c", 0);
    for requests in [&pass.warmup, &pass.measured] {
        let pause = Duration::from_secs(1);
        let follows: Vec<Option<Follows>> =
            requests.iter().map(|request| request.follows).collect();
        let after = |index| Some(Follows { index, pause });
        assert_eq!(follows, [None, after(0), after(1)]);
        let texts = texts(requests);
        assert!(texts[1].starts_with(&texts[0]) && texts[2].starts_with(&texts[1]));
        assert!(!texts[0].starts_with("brief"));
    }
}

#[test]
fn settings_that_do_not_fit_the_file_are_errors() {
    let turns = Choice {
        turns: Some(Turns::All),
        ..choice(Format::Jsonl)
    };
    assert_eq!(select(turns, &prompts(9)), Err(ChoiceError::NoTurns));
    let speedup = Choice {
        speedup: Some(2.0),
        ..choice(Format::Jsonl)
    };
    assert_eq!(select(speedup, &prompts(9)), Err(ChoiceError::NoTimes));
    assert_eq!(
        Selection::new(choice(Format::ShareGpt), Vec::new()),
        Err(ChoiceError::Nothing)
    );
}

#[test]
fn the_digest_changes_with_everything_that_decides_what_is_sent() {
    let described = |choice| select(choice, TRACE).unwrap().described();
    let same = Choice {
        repeat_entries: true,
        ..choice(Format::Mooncake)
    };
    assert_eq!(described(same.clone()), described(same.clone()));
    let changes: [fn(&mut Choice); 8] = [
        |choice| choice.sha256 = "other".to_owned(),
        |choice| choice.num_requests = 3,
        |choice| choice.warmup_requests = 1,
        |choice| choice.pause = Duration::ZERO,
        |choice| choice.speedup = Some(2.0),
        |choice| choice.salt = false,
        |choice| choice.output_tokens = None,
        |choice| choice.seed = 1,
    ];
    for change in changes {
        let mut other = same.clone();
        change(&mut other);
        assert_ne!(described(same.clone()), described(other));
    }
}

#[test]
fn every_warm_up_sends_the_same_entries_with_its_own_salt() {
    let selection = select(choice(Format::Jsonl), &prompts(50)).unwrap();
    let first = selection.requests(Part::of(Phase::WarmUp(0), "c", 0));
    let second = selection.requests(Part::of(Phase::WarmUp(1), "c", 0));
    assert_eq!(questions_of(&first), questions_of(&second));
    assert_ne!(first[0].prompt.text()[..20], second[0].prompt.text()[..20]);
}
