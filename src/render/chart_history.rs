//! A judged metric over the accepted sessions, with the two runs and the limit.

use super::chart_axis::{Plot, apart, cut, mark, span};
use super::number::{self, Axis, extent};
use super::short_commit;
use super::svg::{Scale, Svg, WIDTH};
use crate::report::comparison::{History, Session};

const HEIGHT: f64 = 230.0;

/// Room for the names of the lines.
const NAMES: f64 = 190.0;

/// A limit farther away than this factor is not drawn: it would compress everything else into a line.
const FAR: f64 = 2.0;

/// `None` without data.
pub(super) fn history(history: &History, title: &str) -> Option<String> {
    let unit = history.unit;
    let sessions = || (0_u32..).map(f64::from).zip(&history.sessions);
    let runs = || {
        let accepted = history.sessions.iter().map(|session| session.value);
        accepted.chain(history.baseline).chain(history.candidate)
    };
    let (least, most) = extent(runs());
    let near = |limit: f64| limit > least / FAR && limit < most * FAR;
    let limit = history.limit.filter(|limit| near(*limit));
    let (from, to) = span(runs().chain(limit), false)?;
    #[expect(clippy::cast_precision_loss, reason = "a few dozen sessions")]
    let last = history.sessions.len() as f64;
    let plot = plot(last, from, to);
    let mut svg = Svg::new(HEIGHT, title, &described(history));
    plot.rows(&mut svg, Axis::of(unit, from, to), Axis::label);
    let dates = sessions()
        .map(|(place, session)| (plot.x.at(place), day(session)))
        .filter(|(_, day)| !day.is_empty());
    plot.columns(&mut svg, dates);
    if let Some(limit) = limit {
        plot.level(&mut svg, "limit", limit);
    }
    if let Some(baseline) = history.baseline {
        plot.level(&mut svg, "curve base", baseline);
    }
    for (place, session) in sessions() {
        begin(&mut svg, session, place - 0.5, plot);
    }
    svg.polyline(
        "trail",
        sessions().map(|(place, session)| plot.at(place, session.value)),
    );
    for (place, session) in sessions() {
        let (x, y) = plot.at(place, session.value);
        let diamond = format!("M{x:.1} {:.1}l5 5-5 5-5-5z", y - 5.0);
        svg.titled_path("session", &diamond, &named(history, session));
    }
    if let Some(candidate) = history.candidate {
        mark(&mut svg, "head", false, plot.at(last, candidate));
    }
    let names = [
        ("limit", limit),
        ("baseline", history.baseline),
        ("candidate", history.candidate),
    ];
    let names = names
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let names: Vec<(&str, f64)> = names.collect();
    let mut places: Vec<f64> = names
        .iter()
        .map(|(_, value)| plot.y.at(*value) + 4.0)
        .collect();
    apart(&mut places, plot.y.end, plot.y.start);
    for ((name, value), place) in names.into_iter().zip(places) {
        let text = format!("{name} {}", number::value(value, unit));
        svg.text("name", "start", (plot.x.end + 10.0, place), &text);
    }
    Some(svg.closed())
}

/// A position for every session and one for the candidate.
fn plot(last: f64, from: f64, to: f64) -> Plot {
    Plot {
        x: Scale {
            from: -0.5,
            to: last + 0.5,
            start: 84.0,
            end: WIDTH - NAMES,
        },
        y: Scale {
            from,
            to,
            start: HEIGHT - 34.0,
            end: 16.0,
        },
    }
}

/// A vertical line before a session that begins a segment, or at which a step was found.
fn begin(svg: &mut Svg, session: &Session, place: f64, plot: Plot) {
    let (class, title) = match &session.begins_segment {
        Some(because) => ("segment", format!("accepted: {because}")),
        None if session.is_step => (
            "segment found",
            "a step, found by E-divisive, without a reason".to_owned(),
        ),
        None => return,
    };
    let x = plot.x.at(place);
    let line = format!("M{x:.1} {:.1}V{:.1}", plot.y.end, plot.y.start);
    svg.titled_path(class, &line, &title);
}

/// The day of a session; foreign text.
fn day(session: &Session) -> String {
    let created = session.created.as_deref().unwrap_or_default();
    created.chars().take(10).collect()
}

fn named(history: &History, session: &Session) -> String {
    let words = [
        day(session),
        short_commit(session.commit.as_deref().unwrap_or_default()),
        number::value(session.value, history.unit),
    ];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn described(history: &History) -> String {
    let text = |value: f64| number::value(value, history.unit);
    let sessions = || history.sessions.iter().map(|session| session.value);
    let low = sessions().min_by(f64::total_cmp).map(text);
    let high = sessions().max_by(f64::total_cmp).map(text);
    let mut parts = vec![format!(
        "{} accepted sessions from {} to {}",
        history.sessions.len(),
        low.unwrap_or_default(),
        high.unwrap_or_default()
    )];
    for (name, value) in [
        ("baseline", history.baseline),
        ("candidate", history.candidate),
        ("limit", history.limit),
    ] {
        parts.extend(value.map(|value| format!("{name} {}", text(value))));
    }
    let accepted = history.sessions.iter().filter_map(|session| {
        let because = session.begins_segment.as_deref()?;
        let day = day(session);
        Some(format!("step of {day} accepted: {}", cut(because, 120)))
    });
    parts.extend(accepted);
    let found = history.sessions.iter().filter(|session| session.is_step);
    parts.extend(found.map(|session| format!("step of {} without a reason", day(session))));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Metric, Unit};

    fn session(day: u32, value: f64) -> Session {
        Session {
            created: Some(format!("2026-10-{day:02}T08:00:00Z")),
            commit: Some("3fa9c1e<script>".to_owned()),
            value,
            begins_segment: None,
            is_step: false,
        }
    }

    fn ten_days() -> History {
        History {
            scenario: "c".to_owned(),
            metric: Metric::parse("tpot.p95").unwrap(),
            unit: Unit::Seconds,
            sessions: (1..=10)
                .map(|day| session(day, 0.02 + f64::from(day) * 1e-5))
                .collect(),
            baseline: Some(0.0201),
            candidate: Some(0.0215),
            limit: Some(0.0211),
        }
    }

    #[test]
    fn sessions_both_runs_and_the_limit_are_drawn_and_described() {
        let svg = history(&ten_days(), "TPOT P95").unwrap();
        assert_eq!(svg.matches("class=\"session\"").count(), 10);
        assert!(svg.contains("limit 21.10 ms") && svg.contains("candidate 21.50 ms"));
        assert!(svg.contains("10 accepted sessions from 20.01 ms to 20.10 ms; baseline"));
        assert!(svg.contains("2026-10-01") && !svg.contains("<script"));
        // There is no room for ten dates side by side.
        assert!(svg.matches("text-anchor=\"middle\"").count() < 8);
    }

    #[test]
    fn an_accepted_step_is_a_line_with_its_reason() {
        let mut stepped = ten_days();
        stepped.sessions[4].begins_segment = Some("a <new> sampler".to_owned());
        stepped.sessions[7].is_step = true;
        let svg = history(&stepped, "TPOT P95").unwrap();
        assert_eq!(svg.matches("class=\"segment\"").count(), 1);
        let step = "step of 2026-10-05 accepted: a &lt;new&gt; sampler";
        assert!(svg.contains(step), "{svg}");
        assert_eq!(svg.matches("class=\"segment found\"").count(), 1);
        assert!(svg.contains("step of 2026-10-08 without a reason"), "{svg}");
    }

    #[test]
    fn a_budget_far_away_does_not_stretch_the_axis_and_is_described() {
        let far = History {
            limit: Some(2.0),
            ..ten_days()
        };
        let svg = history(&far, "TPOT P95").unwrap();
        assert!(!svg.contains("class=\"limit\"") && svg.contains("limit 2.00 s"));
    }
}
