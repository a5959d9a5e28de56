//! The charts of the HTML report: what is in them, that they stay small, and that no comparison breaks them.

use perfgate::compare::ComparisonInputs;
use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, ThisLook, compare_evidence};
use perfgate::record::{self, Run};
use perfgate::render;
use perfgate::report::comparison::{Comparison, Status};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A result with samples, telemetry and the server's own figures: `repeats` repeats of `requests` requests, the last one
/// void, everything `factor` times as slow.
fn result(factor: f64, repeats: u32, requests: u32, created: &str) -> Value {
    let repeat = |number: u32| {
        let noise = 1.0 + 0.002 * f64::from(number % 3);
        let column = |base: f64| -> Vec<f64> {
            (0..requests)
                .map(|place| base * factor * noise * (1.0 + 0.01 * f64::from(place * 7 % 53)))
                .collect()
        };
        let over_time = |base: f64| -> Vec<f64> {
            (0..400_u32)
                .map(|second| base * (1.0 + 0.01 * f64::from((second + number) % 9)))
                .collect()
        };
        let lengths: Vec<u32> = (0..requests).map(|place| 100 + place % 97).collect();
        let mut repeat = json!({
            "started": format!("{created}T08:{number:02}:00Z"),
            "duration": 400.0,
            "requests": {"completed": requests},
            "metrics": {"gpu_memory.peak": 76e9 * factor, "server.queue_time": 0.01 * factor},
            "samples": {
                "status": vec!["ok"; requests as usize],
                "ttft": column(0.15), "tpot": column(0.02), "e2e": column(2.0),
                "prompt_tokens": lengths, "output_tokens": lengths
            },
            "telemetry": {
                "time": over_time(1.0).iter().enumerate().map(|(second, _)| second).collect::<Vec<usize>>(),
                "gpu_memory": over_time(70e9), "gpu_utilization": over_time(0.9),
                "gpu_clock_sm": over_time(1900.0), "running": over_time(60.0),
                "waiting": over_time(0.0), "kv_cache_usage": over_time(0.5),
                "server": {"prefill_mean": 0.1 * factor, "requests": requests}
            }
        });
        if number + 1 == repeats && repeats > 2 {
            repeat["void"] = json!("throttled <b>by heat</b>");
        }
        repeat
    };
    json!({
        "schema": "perfgate.result/1",
        "created": format!("{created}T08:00:00Z"),
        "source": {"commit": "3fa9c1e12d3fa9c1e12d"},
        "environment": {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{
            "name": "concurrency=64",
            "repeats": (0..repeats).map(repeat).collect::<Vec<Value>>()
        }]
    })
}

fn run(factor: f64, repeats: u32, requests: u32, created: &str) -> Run {
    let json = result(factor, repeats, requests, created).to_string();
    record::parse("a.json", json.as_bytes()).unwrap()
}

/// Everything that a comparison can carry for charts.
fn rich() -> Comparison {
    let (baseline, candidate) = (
        run(1.0, 4, 300, "2026-10-11"),
        run(1.08, 4, 300, "2026-10-12"),
    );
    let ledger: Vec<Run> = (1..=9_u32)
        .map(|day| {
            let factor = 1.0 + 0.003 * f64::from(day % 4);
            run(factor, 2, 120, &format!("2026-10-0{day}"))
        })
        .collect();
    let given = ComparisonInputs {
        stored: Some((&baseline, &candidate)),
        ledger: &ledger,
        ..ComparisonInputs::default()
    };
    compare_evidence(
        &Policy::standard(),
        &given,
        Labels::default(),
        ThisLook::ONLY,
    )
}

#[test]
fn the_report_has_every_chart_with_a_text_alternative() {
    let html = render::html::report(&rich()).unwrap();
    for section in [
        "History of accepted runs",
        "GPU and server over time",
        "Server metrics",
        "SM clock, of the slowest GPU",
        "candidate − baseline; above zero is slower",
        "mean queue time",
    ] {
        assert!(html.contains(section), "{section}");
    }
    let drawings: Vec<&str> = html.split("<svg ").skip(1).collect();
    assert!(drawings.len() > 15, "{}", drawings.len());
    for drawing in drawings {
        let (drawing, _) = drawing.split_once("</svg>").unwrap();
        // A line of the forest plot stands between its name and its numbers, and an arrow is a part of it.
        let said_beside = ["aria-hidden=\"true\"", "class=\"arrow\""]
            .iter()
            .any(|begin| drawing.starts_with(begin));
        if !said_beside {
            assert!(drawing.starts_with("role=\"img\""), "{drawing}");
            assert!(!drawing.contains("<title></title>") && !drawing.contains("<desc></desc>"));
            assert!(drawing.contains("<title>") && drawing.contains("<desc>"));
        }
        // Colours are classes, so that both themes and paper have their own.
        assert!(
            !drawing.contains("fill=") && !drawing.contains("stroke="),
            "{drawing}"
        );
    }
}

#[test]
fn the_forest_plot_also_shows_its_values_as_text() {
    let comparison = rich();
    let html = render::html::report(&comparison).unwrap();
    let (_, plot) = html.split_once("<ul class=\"forest\">").unwrap();
    let (plot, _) = plot.split_once("</ul>").unwrap();
    let view = render::view::View::of(&comparison);
    for row in view.rows.iter().filter(|row| row.chart.is_some()) {
        for words in [row.metric, &row.change, &row.interval, row.sign.word] {
            assert!(plot.contains(words), "{words}: {plot}");
        }
    }
}

#[test]
fn a_void_repeat_has_its_reason_as_text_beside_the_chart() {
    let html = render::html::report(&rich()).unwrap();
    assert!(html.contains(
        "<li>candidate: repeat 4 does not count: throttled &lt;b&gt;by heat&lt;&#x2f;b&gt;</li>"
    ));
    assert!(html.contains("void: throttled &lt;b&gt;"));
    assert!(!html.contains("<b>by heat"));
}

#[test]
fn alternating_pairs_are_drawn_on_one_line_and_joined() {
    let (baseline, candidate) = (
        run(1.0, 4, 300, "2026-10-11"),
        run(1.08, 4, 300, "2026-10-12"),
    );
    let given = ComparisonInputs {
        pairs: Some((&baseline, &candidate)),
        ..ComparisonInputs::default()
    };
    let comparison = compare_evidence(
        &Policy::standard(),
        &given,
        Labels::default(),
        ThisLook::ONLY,
    );
    let html = render::html::report(&comparison).unwrap();
    assert!(html.contains(">pair 4</text>") && html.contains("class=\"join\""));
    let stored = render::html::report(&rich()).unwrap();
    assert!(!stored.contains("class=\"join\""));
}

#[test]
fn chart_data_is_read_back_and_a_file_without_it_still_makes_a_report() {
    let comparison = rich();
    let mut file = serde_json::to_value(&comparison).unwrap();
    assert_eq!(
        serde_json::from_value::<Comparison>(file.clone()).unwrap(),
        comparison
    );
    let fields = file.as_object_mut().unwrap();
    for field in ["history", "timelines", "server_figures"] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    for distribution in file["distributions"].as_array_mut().unwrap() {
        distribution
            .as_object_mut()
            .unwrap()
            .remove("shift")
            .unwrap();
    }
    let older: Comparison = serde_json::from_value(file).unwrap();
    let html = render::html::report(&older).unwrap();
    assert!(!html.contains("History of accepted runs") && !html.contains("over time</h2>"));
}

#[test]
fn ten_repeats_of_ten_thousand_requests_a_side_make_a_page_below_a_megabyte() {
    let (baseline, candidate) = (
        run(1.0, 10, 10_000, "2026-10-11"),
        run(1.08, 10, 10_000, "2026-10-12"),
    );
    let ledger: Vec<Run> = (10..60_u32)
        .map(|day| run(1.0, 2, 120, &format!("2026-{day}-01")))
        .collect();
    let given = ComparisonInputs {
        stored: Some((&baseline, &candidate)),
        ledger: &ledger,
        ..ComparisonInputs::default()
    };
    let comparison = compare_evidence(
        &Policy::standard(),
        &given,
        Labels::default(),
        ThisLook::ONLY,
    );
    let html = render::html::report(&comparison).unwrap();
    // The sizes in docs/reference/outputs.md.
    assert!((110_000..130_000).contains(&html.len()), "{}", html.len());
    let nine = render::html::report(&many_scenarios(&comparison, 9)).unwrap();
    let is_complete = !nine.contains("id=\"undrawn\"");
    assert!(
        (880_000..920_000).contains(&nine.len()) && is_complete,
        "{}, {is_complete}",
        nine.len()
    );
}

/// The same scenario under that many names; the last one is worse.
fn many_scenarios(one: &Comparison, count: usize) -> Comparison {
    fn named<T: Clone>(all: &[T], count: usize, name: impl Fn(&mut T, String)) -> Vec<T> {
        let copies = (0..count).flat_map(|index| all.iter().cloned().map(move |it| (index, it)));
        let copies = copies.map(|(index, mut it)| {
            name(&mut it, format!("load {index}"));
            it
        });
        copies.collect()
    }
    let mut many = one.clone();
    many.judgements = named(&one.judgements, count, |row, name| row.scenario = name);
    many.measurements = named(&one.measurements, count, |row, name| row.scenario = name);
    many.distributions = named(&one.distributions, count, |row, name| row.scenario = name);
    many.history = named(&one.history, count, |row, name| row.scenario = name);
    many.timelines = named(&one.timelines, count, |row, name| row.scenario = name);
    many.strata = named(&one.strata, count, |row, name| row.scenario = name);
    for row in &mut many.judgements {
        row.status = if row.scenario == format!("load {}", count - 1) {
            Status::Regressed
        } else {
            Status::Pass
        };
    }
    many
}

#[test]
fn a_page_of_many_scenarios_stays_small_and_draws_violated_rules_first() {
    let html = render::html::report(&many_scenarios(&rich(), 60)).unwrap();
    assert!(html.len() <= 1_000_000, "{}", html.len());
    let (_, note) = html.split_once("<p id=\"undrawn\">").unwrap();
    let (note, after) = note.split_once("</p>").unwrap();
    assert!(note.contains("of 60 scenarios have charts"), "{note}");
    assert!(after.contains("load 59"));
    let few = render::html::report(&many_scenarios(&rich(), 3)).unwrap();
    assert!(!few.contains("id=\"undrawn\""));
}

#[test]
fn a_scenario_without_rules_has_its_charts_on_a_page_that_leaves_none_out() {
    let mut two = many_scenarios(&rich(), 2);
    two.judgements.retain(|row| row.scenario == "load 1");
    let html = render::html::report(&two).unwrap();
    assert!(!html.contains("id=\"undrawn\""));
    let (_, section) = html.split_once("<section id=\"where\">").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    assert!(section.contains("load 0") && section.contains("load 1"));
}

#[test]
fn a_page_of_hundreds_of_load_points_stays_small_and_reports_the_omitted_ones() {
    let mut many = many_scenarios(&rich(), 1000);
    for row in &mut many.judgements {
        row.baseline.values[0].void = Some("throttled".to_owned());
    }
    let html = render::html::report(&many).unwrap();
    assert!(html.len() <= 1_000_000, "{}", html.len());
    // Repeats that do not count are listed where their rows are.
    let void = |load: usize| format!("load {load}: repeat 1 does not count");
    assert!(html.contains(&void(999)) && !html.contains(&void(998)));
    assert!(html.contains("scenarios are left out too"));
    // The summary is of all scenarios, listed or not.
    assert!(html.contains("1000 scenarios"));
    // What does not hold stays.
    assert!(html.contains("load 999"));
}

/// Replaces numbers, and empties or shortens lists, as `choices` says in turn.
fn twist(value: &mut Value, choices: &mut impl Iterator<Item = u8>) {
    const FLOATS: [f64; 8] = [0.0, -0.0, 1e308, -1e308, 5e-324, -3.5, 1e17, 0.1];
    match value {
        Value::Array(list) => {
            match choices.next() {
                Some(choice) if choice < 10 => list.clear(),
                Some(choice) if choice < 30 => list.truncate(1),
                _ => {}
            }
            for item in list.iter_mut() {
                twist(item, choices);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| twist(field, choices)),
        Value::Number(number) if number.is_f64() => {
            let choice = choices.next().unwrap_or(255);
            if let Some(float) = FLOATS.get(usize::from(choice / 8)) {
                *value = json!(float);
            }
        }
        Value::Number(_) => {
            if choices.next().is_some_and(|choice| choice < 30) {
                *value = json!(u32::from(choices.next().is_some_and(|choice| choice > 99)) * 9999);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_comparison_makes_a_renderer_panic_or_draw_what_is_no_number(
        choices in prop::collection::vec(any::<u8>(), 64..512)
    ) {
        static FILE: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
        let mut file = FILE.get_or_init(|| serde_json::to_value(rich()).unwrap()).clone();
        twist(&mut file, &mut choices.iter().copied().cycle());
        let Ok(comparison) = serde_json::from_value::<Comparison>(file) else {
            return Ok(());
        };
        let html = render::html::report(&comparison).unwrap();
        for wrong in ["NaN", "\"inf", "\"-inf"] {
            let found = html.find(wrong).map(|place| &html[..place]);
            let before: Option<String> = found.map(|text| text.chars().rev().take(300).collect());
            prop_assert!(before.is_none(), "{} after {}", wrong, before.unwrap().chars().rev().collect::<String>());
        }
        render::markdown::comparison(&comparison, None);
        render::terminal::comparison(&comparison, perfgate::text::screen::Screen::NONE);
    }
}
