//! Load points and lengths of `perfgate.yaml`.

use super::LoadPoint;
use super::fields::{Fields, number, scalar};
use super::problem::{Code, Collector};
use super::yaml::{Node, Value};
use crate::workload::Lengths;

/// Longest prompt or answer that is asked for: more than any model takes, and far below what overflows anything.
const MOST_TOKENS: u32 = 10_000_000;

/// More streams than one machine can hold.
const MOST_STREAMS: usize = 65_535;

pub(super) fn read_loads(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Vec<LoadPoint> {
    let concurrency = fields.take("concurrency");
    let rate = fields.take("request_rate");
    let burstiness_node = fields.take("burstiness");
    let burstiness = burstiness_node
        .and_then(|node| number_or_infinite(node, "burstiness", collector))
        .unwrap_or(1.0);
    if let (Some(_), Some(node)) = (concurrency, rate) {
        let message = "`concurrency` and `request_rate` are both given".to_owned();
        let hint = "closed loop and open loop are two runs; keep one";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    if let (Some(node), None) = (burstiness_node, rate) {
        let message = "`burstiness` shapes arrivals and needs a `request_rate`".to_owned();
        collector.push(Code::Contradiction, node.span.clone(), message);
    }
    let loads = match (concurrency, rate) {
        (Some(node), _) => read_concurrency(node, collector),
        (None, Some(node)) => {
            let rates: Option<Vec<f64>> = items(node)
                .into_iter()
                .map(|item| number_or_infinite(item, "request_rate", collector))
                .collect();
            let rates = rates.unwrap_or_default().into_iter();
            rates
                .map(|per_second| LoadPoint::Rate {
                    per_second,
                    burstiness,
                })
                .collect()
        }
        (None, None) => vec![LoadPoint::Concurrency(16)],
    };
    for (index, load) in loads.iter().enumerate() {
        if loads[..index].contains(load) {
            let span = concurrency.or(rate).map_or(0..0, |node| node.span.clone());
            collector.push(
                Code::DuplicateKey,
                span,
                format!("the load point `{}` is given twice", load.name()),
            );
        }
    }
    loads
}

fn items(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::Sequence(items) => items.iter().collect(),
        Value::Scalar { .. } | Value::Mapping(_) => vec![node],
    }
}

/// A number, a list, or a range `start:stop:step`.
fn read_concurrency(node: &Node, collector: &mut Collector<'_>) -> Vec<LoadPoint> {
    let what = "concurrency";
    if let Value::Scalar { text, .. } = &node.value
        && text.contains(':')
    {
        let range = concurrency_range(text);
        if range.is_none() {
            let message = format!("`{text}` is no range of concurrencies");
            let hint = "write `start:stop:step`, as in `1:64:8`";
            collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
        }
        return range.unwrap_or_default();
    }
    let given = items(node);
    if given.is_empty() {
        collector.push(
            Code::InvalidValue,
            node.span.clone(),
            "`concurrency` is an empty list".to_owned(),
        );
    }
    let read = given
        .into_iter()
        .filter_map(|item| number(item, what, &(1..=MOST_STREAMS), collector));
    read.map(LoadPoint::Concurrency).collect()
}

fn concurrency_range(text: &str) -> Option<Vec<LoadPoint>> {
    let parts: Vec<usize> = text
        .split(':')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    let (start, stop, step) = match parts.as_slice() {
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return None,
    };
    let sensible = start >= 1
        && stop >= start
        && stop <= MOST_STREAMS
        && step >= 1
        && (stop - start) / step < 100;
    sensible.then(|| {
        (start..=stop)
            .step_by(step)
            .map(LoadPoint::Concurrency)
            .collect()
    })
}

fn number_or_infinite(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<f64> {
    if let Value::Scalar { text, .. } = &node.value
        && text == "inf"
    {
        return Some(f64::INFINITY);
    }
    number(node, what, &(1e-6..=1e6), collector)
}

pub(super) fn read_lengths(
    node: &Node,
    what: &'static str,
    collector: &mut Collector<'_>,
) -> Option<Lengths> {
    if !matches!(node.value, Value::Mapping(_)) {
        return number(node, what, &(1..=MOST_TOKENS), collector).map(Lengths::Constant);
    }
    let mut fields = Fields::of(node, what, collector)?;
    let tokens = 0.0..=f64::from(MOST_TOKENS);
    let distribution = fields
        .take("distribution")
        .and_then(|node| scalar(node, "distribution", collector));
    let mean = fields
        .take("mean")
        .and_then(|node| number(node, "mean", &(1.0..=f64::from(MOST_TOKENS)), collector));
    let std = fields
        .take("std")
        .and_then(|node| number(node, "std", &tokens, collector))
        .unwrap_or(0.0);
    let ends = [fields.take("min"), fields.take("max")].map(|node| {
        node.and_then(|node| number(node, "min and max", &(1..=MOST_TOKENS), collector))
    });
    let span = fields.span();
    fields.finish(collector);
    let problem = |message: String, collector: &mut Collector<'_>| {
        collector.push(Code::InvalidValue, span.clone(), message);
        None
    };
    match (
        distribution.unwrap_or(if ends[0].is_some() {
            "uniform"
        } else {
            "normal"
        }),
        mean,
        ends,
    ) {
        ("normal", Some(mean), _) if std > 0.0 => Some(Lengths::Normal { mean, std }),
        ("lognormal", Some(mean), _) if std > 0.0 => Some(Lengths::Lognormal { mean, std }),
        ("normal" | "lognormal" | "constant", Some(mean), _) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 1 to 10 million"
            )]
            let tokens = mean.round() as u32;
            Some(Lengths::Constant(tokens))
        }
        ("uniform", _, [Some(min), Some(max)]) if min <= max => Some(Lengths::Uniform { min, max }),
        ("uniform", _, [Some(min), Some(max)]) => problem(
            format!("`{what}`: `min` {min} is above `max` {max}"),
            collector,
        ),
        ("uniform", ..) => problem(
            format!("`{what}`: a uniform distribution needs `min` and `max`"),
            collector,
        ),
        ("normal" | "lognormal" | "constant", None, _) => {
            problem(format!("`{what}` needs a `mean`"), collector)
        }
        (other, ..) => problem(
            format!(
                "`{what}`: `{other}` is no distribution; there are constant, normal, lognormal and uniform"
            ),
            collector,
        ),
    }
}
