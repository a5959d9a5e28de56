//! Checks a repeat: redundant values must agree, and impossible times and counts are refused.

use super::format::{Column as _, Repeat, RequestCounts, Samples};
use crate::limits;
use crate::metric::{LATENCIES, Latency, Metric, Statistic};
use crate::report::price::Price;
use crate::stats::number;

/// Relative tolerance between two values of the same quantity, for rounding.
const AGREEMENT: f64 = 1e-3;

/// Tolerance of an error rate: other tools round it to 0.1 %.
const RATE_ROOM: f64 = 1e-3;

/// Tolerances of requests per second: other tools round to 0.1/s or to 1 %.
const RATE_SHARE: f64 = 1e-2;
const RATE_ROUNDED: f64 = 0.05;

/// Tolerance of request times, in seconds.
const TIME_ROOM: f64 = 1e-4;

/// Tolerances of the wall time, which ends with the last answer: 1 % and 10 ms.
const WALL_SHARE: f64 = 1e-2;
const WALL_ROOM: f64 = 1e-2;

/// The shortest time that a client can measure, in seconds.
const MIN_TIME: f64 = 1e-9;

/// Problems of a repeat, one sentence each; only the first of every kind.
pub(super) fn of_repeat(repeat: &Repeat) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(duration) = repeat.duration
        && !(MIN_TIME..=limits::SECONDS).contains(&duration)
    {
        problems.push(format!(
            "the duration must be above zero and at most {} s; it is {duration}",
            limits::SECONDS
        ));
    }
    problems.extend(of_metrics(repeat));
    problems.extend(out_of_order(repeat));
    let counts = repeat.requests;
    problems.extend(counts.and_then(too_many));
    problems.extend(counts.and_then(|counts| other_error_rate(counts, repeat)));
    problems.extend(counts.and_then(|counts| other_rate(counts, repeat)));
    if let Some(samples) = &repeat.samples {
        problems.extend(of_columns(samples));
        problems.extend(counts.and_then(|counts| other_counts(counts, samples)));
        problems.extend(
            repeat
                .duration
                .and_then(|duration| too_short(duration, samples)),
        );
    }
    problems
}

/// An impossible price.
pub(super) fn of_price(price: Price) -> Option<String> {
    let Price {
        startup,
        load,
        waiting,
        ..
    } = price;
    let parts = [("startup", startup), ("load", load), ("waiting", waiting)];
    let is_possible = |seconds: f64| (0.0..=limits::SECONDS).contains(&seconds);
    let wrong = parts.into_iter().find(|(_, part)| !is_possible(*part));
    wrong.map(|(name, seconds)| {
        format!(
            "`price.{name}` must be between zero and {} s; it is {seconds}",
            limits::SECONDS
        )
    })
}

fn of_metrics(repeat: &Repeat) -> Vec<String> {
    let mut problems = Vec::new();
    for (metric, value) in repeat.known_metrics() {
        let is_share = metric == Metric::ERROR_RATE && value > 1.0;
        // A gap of zero is possible: two tokens in one chunk. TTFT and E2E must be above zero.
        let must_take_time = matches!(metric.statistic(), Some((Latency::Ttft | Latency::E2e, _)));
        let is_possible = if value > 0.0 {
            (limits::SMALLEST..=limits::VALUE).contains(&value)
        } else {
            value == 0.0 && !must_take_time
        };
        if !is_possible || is_share {
            problems.push(format!(
                "`{metric}` is {value}, which is impossible for this metric"
            ));
        }
    }
    problems
}

/// Pairs of metrics in which the first cannot exceed the second.
fn out_of_order(repeat: &Repeat) -> Option<String> {
    let mut pairs = vec![(Metric::THROUGHPUT, Metric::TOTAL_THROUGHPUT)];
    for (_, latency) in LATENCIES {
        let percentiles = percentiles(latency);
        for (index, lower) in percentiles.iter().enumerate() {
            let higher = percentiles.iter().skip(index + 1);
            pairs.extend(higher.map(|higher| (*lower, *higher)));
        }
    }
    let whole = percentiles(Latency::E2e);
    pairs.extend(percentiles(Latency::Ttft).into_iter().zip(whole));
    pairs.into_iter().find_map(|(less, more)| {
        let (low, high) = repeat.metric(less).zip(repeat.metric(more))?;
        (low > high * (1.0 + AGREEMENT))
            .then(|| format!("`{less}` is {low} in `metrics`, above `{more}`, which is {high}"))
    })
}

/// The percentiles of a latency by rising share, as the catalogue lists them.
fn percentiles(latency: Latency) -> Vec<Metric> {
    let is_percentile = |metric: &Metric| matches!(metric.statistic(), Some((family, Statistic::Quantile(_))) if family == latency);
    Metric::all().filter(is_percentile).collect()
}

/// The rate must equal completed requests divided by wall time.
fn other_rate(counts: RequestCounts, repeat: &Repeat) -> Option<String> {
    let given = repeat.metric(Metric::QPS)?;
    let duration = repeat.duration.filter(|duration| *duration > 0.0)?;
    let counted = number(counts.completed) / duration;
    let room = (counted * RATE_SHARE).max(RATE_ROUNDED);
    ((given - counted).abs() > room).then(|| {
        format!(
            "`qps` is {given} in `metrics`, but {} completed `requests` in {duration} s are {counted:.6}",
            counts.completed
        )
    })
}

fn too_many(counts: RequestCounts) -> Option<String> {
    let largest = counts.completed.max(counts.failed).max(counts.truncated);
    (largest > limits::COUNT).then(|| {
        format!(
            "`requests` has a count of {largest}; the limit is {}",
            limits::COUNT
        )
    })
}

fn other_error_rate(counts: RequestCounts, repeat: &Repeat) -> Option<String> {
    let given = repeat.metric(Metric::ERROR_RATE)?;
    let bad = counts.failed.checked_add(counts.truncated)?;
    let all = counts.completed.checked_add(bad).filter(|all| *all > 0)?;
    let counted = number(bad) / number(all);
    ((given - counted).abs() > RATE_ROOM).then(|| {
        format!(
            "`error_rate` is {given} in `metrics`, but {bad} of {all} `requests` were not completed"
        )
    })
}

/// Compares the counts with the columns. Without a status column, a request with a latency succeeded, and the columns may
/// list only successful requests.
fn other_counts(given: RequestCounts, samples: &Samples) -> Option<String> {
    let latencies = [&samples.ttft, &samples.tpot, &samples.e2e];
    let longest = latencies.iter().filter_map(|column| column.length()).max();
    let statuses = samples.status.length();
    let mut listed = RequestCounts::default();
    for index in 0..statuses.or(longest).unwrap_or(0) {
        listed.add(samples.ending(index));
    }
    let agrees = if samples.status.is_some() {
        given == listed
    } else {
        given.completed == listed.completed && given.unsuccessful() >= listed.failed
    };
    (!agrees).then(|| {
        let words = |counts: RequestCounts| {
            format!(
                "{} completed, {} failed and {} truncated",
                counts.completed, counts.failed, counts.truncated
            )
        };
        format!(
            "`requests` has {}, but the samples have {}",
            words(given),
            words(listed)
        )
    })
}

/// The first impossible entry of each column, and the first request with contradictory columns.
fn of_columns(samples: &Samples) -> Vec<String> {
    let mut problems = Vec::new();
    let times = [
        (
            "ttft",
            &samples.ttft,
            MIN_TIME,
            ", which is impossible for a request",
        ),
        (
            "e2e",
            &samples.e2e,
            MIN_TIME,
            ", which is impossible for a request",
        ),
        (
            "tpot",
            &samples.tpot,
            0.0,
            ", which is impossible for a request",
        ),
        (
            "start",
            &samples.start,
            -limits::SECONDS,
            "; the limit is thirty years",
        ),
    ];
    for (name, column, least, why) in times {
        let found = first(column.as_ref(), |value| {
            !(least..=limits::SECONDS).contains(value)
        });
        problems
            .extend(found.map(|(request, value)| {
                format!("`{name}` of request {request} is {value} s{why}")
            }));
    }
    let mut gaps = samples.itl.iter().flatten().enumerate();
    problems.extend(gaps.find_map(|(request, gaps)| {
        let mut gaps = gaps.iter().flatten();
        let gap = gaps.find(|gap| !(0.0..=limits::SECONDS).contains(*gap))?;
        Some(format!(
            "`itl` of request {request} has a gap of {gap} s, which is impossible for a gap"
        ))
    }));
    let counts = [
        ("prompt_tokens", &samples.prompt_tokens),
        ("output_tokens", &samples.output_tokens),
        ("first_chunk_tokens", &samples.first_chunk_tokens),
        ("chunks", &samples.chunks),
    ];
    for (name, column) in counts {
        let found = first(column.as_ref(), |value| *value > limits::COUNT);
        problems.extend(found.map(|(request, value)| {
            format!("`{name}` of request {request} is {value}, which is impossible for a request")
        }));
    }
    let requests = 0..samples.ttft.length().unwrap_or(0);
    problems.extend(requests.clone().find_map(|request| {
        let (ttft, e2e) = (samples.ttft.entry(request)?, samples.e2e.entry(request)?);
        (ttft > e2e * (1.0 + AGREEMENT)).then(|| format!(
            "request {request} has its first token after {ttft} s, but its whole answer after {e2e} s"
        ))
    }));
    let mut requests = requests;
    problems.extend(requests.find_map(|request| tokens_after_the_answer(samples, request)));
    problems
}

/// Whether the tokens of a request would end after its answer.
fn tokens_after_the_answer(samples: &Samples, request: usize) -> Option<String> {
    let [ttft, e2e, tpot] =
        [&samples.ttft, &samples.e2e, &samples.tpot].map(|column| column.entry(request));
    let (ttft, e2e, tpot) = (ttft?, e2e?, tpot?);
    let output = samples.output_tokens.as_ref()?.get(request).copied()?;
    // If the tokens of the first chunk are unknown, it may contain all tokens but one.
    let first = match samples.first_chunk_tokens {
        Some(_) => samples.first_chunk_tokens.entry(request),
        None => output.map(|output| output.saturating_sub(1)),
    };
    let later = number(
        output
            .zip(first)
            .map_or(1, |(output, first)| output.saturating_sub(first)),
    );
    let (taken, there) = (tpot * later, e2e - ttft);
    (taken > there * (1.0 + AGREEMENT) + TIME_ROOM).then(|| format!(
        "request {request} takes {tpot} s for each of at least {later} tokens after the first chunk, but its whole answer ends {there} s after that"
    ))
}

fn first<T: Copy>(
    column: Option<&Vec<Option<T>>>,
    is_wrong: impl Fn(&T) -> bool,
) -> Option<(usize, T)> {
    let values = column.into_iter().flatten().enumerate();
    values
        .filter_map(|(index, value)| Some((index, (*value)?)))
        .find(|(_, value)| is_wrong(value))
}

/// A wall time shorter than its answers, which would make every rate too high.
fn too_short(duration: f64, samples: &Samples) -> Option<String> {
    let room = duration * (1.0 + WALL_SHARE) + WALL_ROOM;
    let requests = 0..samples.e2e.length().unwrap_or(0);
    let ends = requests.filter_map(|request| {
        let start = match samples.start {
            Some(_) => samples.start.entry(request)?,
            None => 0.0,
        };
        Some(start + samples.e2e.entry(request)?)
    });
    let last = ends.fold(f64::NEG_INFINITY, f64::max);
    let starts = samples.start.iter().flatten().flatten().copied();
    let begun = starts.reduce(f64::min).unwrap_or(0.0);
    let spent = last - begun;
    (spent.is_finite() && spent > room)
        .then(|| format!("`duration` is {duration} s, but its answers take {spent:.3} s"))
}
