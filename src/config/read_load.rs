//! Load points and lengths of `perfgate.yaml`.

use super::LoadPoint;
use super::fields::{Fields, number, scalar};
use super::node::{Node, Value};
use super::problem::{Code, Collector};
use crate::workload::Lengths;

/// Maximum length of prompt or answer in tokens: above every model's context and far below any overflow.
const MAX_TOKENS: u32 = 10_000_000;

/// Maximum number of load points of a run.
const MAX_LOADS: usize = 100;

/// Maximum number of streams of one machine.
const MAX_STREAMS: usize = 65_535;

/// The load points, and whether they are the default because none is set.
pub(super) fn read_loads(
    fields: &mut Fields<'_>,
    collector: &mut Collector<'_>,
) -> (Vec<LoadPoint>, bool) {
    let concurrency = fields.take("concurrency");
    let rate = fields.take("request_rate");
    let burstiness_node = fields.take("burstiness");
    let burstiness = burstiness_node
        .and_then(|node| number_or_infinite(node, "burstiness", collector))
        .unwrap_or(1.0);
    if let (Some(_), Some(node)) = (concurrency, rate) {
        let message = "`concurrency` and `request_rate` are both given".to_owned();
        let hint = "use one of them: closed loop and open loop are separate runs";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    if let (Some(node), None) = (burstiness_node, rate) {
        let message = "`burstiness` has no effect without `request_rate`".to_owned();
        collector.push(Code::Contradiction, node.span.clone(), message);
    }
    let loads = match (concurrency, rate) {
        (Some(node), _) => read_concurrency(node, collector),
        (None, Some(node)) => items(node, "request_rate", collector)
            .into_iter()
            .filter_map(|item| number_or_infinite(item, "request_rate", collector))
            .map(|per_second| LoadPoint::Rate {
                per_second,
                burstiness,
            })
            .collect(),
        (None, None) => vec![LoadPoint::Concurrency(16)],
    };
    // At most `MAX_LOADS` entries, so comparing all pairs is cheap.
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
    (loads, concurrency.or(rate).is_none())
}

/// One value, or the values of a list with 1 to `MAX_LOADS` entries.
fn items<'a>(node: &'a Node, what: &str, collector: &mut Collector<'_>) -> Vec<&'a Node> {
    let Value::Sequence(items) = &node.value else {
        return vec![node];
    };
    let problem = match items.len() {
        0 => format!("`{what}` is an empty list: add at least one load point"),
        1..=MAX_LOADS => return items.iter().collect(),
        count => format!("`{what}` has {count} load points; the maximum is {MAX_LOADS}"),
    };
    collector.push(Code::InvalidValue, node.span.clone(), problem);
    Vec::new()
}

/// A number, a list, or a range `start:stop:step`.
fn read_concurrency(node: &Node, collector: &mut Collector<'_>) -> Vec<LoadPoint> {
    let what = "concurrency";
    if let Value::Scalar { text, .. } = &node.value
        && text.contains(':')
    {
        let range = concurrency_range(text);
        if range.is_none() {
            let message = format!("`{text}` is not a range of concurrencies");
            let hint = "write `start:stop:step`, as in `1:64:8`";
            collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
        }
        return range.unwrap_or_default();
    }
    let read = items(node, what, collector)
        .into_iter()
        .filter_map(|item| number(item, what, &(1..=MAX_STREAMS), collector));
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
        && stop <= MAX_STREAMS
        && step >= 1
        && (stop - start) / step < MAX_LOADS;
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
        return number(node, what, &(1..=MAX_TOKENS), collector).map(Lengths::Constant);
    }
    let mut fields = Fields::of(node, what, collector)?;
    let distribution = fields.take("distribution");
    let [mean, std, min, max] = ["mean", "std", "min", "max"].map(|name| fields.take(name));
    let span = fields.span();
    fields.finish(collector);
    let fallback = if min.or(max).is_some() {
        "uniform"
    } else {
        "normal"
    };
    let shape = match distribution {
        Some(node) => scalar(node, &format!("{what}.distribution"), collector)?,
        None => fallback,
    };
    let given = [("mean", mean), ("std", std), ("min", min), ("max", max)];
    // Required and optional keys of the distribution.
    let (needed, taken): (&[&str], &[&str]) = match shape {
        "uniform" => (&["min", "max"], &[]),
        "normal" | "lognormal" | "constant" => (&["mean"], &["std"]),
        other => {
            let message = format!(
                "`{what}`: `{other}` is not a distribution; use constant, normal, lognormal or uniform"
            );
            let place = distribution.map_or(span, |node| node.span.clone());
            collector.push(Code::InvalidValue, place, message);
            return None;
        }
    };
    for (name, node) in given {
        match node {
            Some(node) if !needed.contains(&name) && !taken.contains(&name) => {
                let message = format!("`{what}.{name}` has no effect on a {shape} distribution");
                collector.push(Code::Contradiction, node.span.clone(), message);
            }
            None if needed.contains(&name) => {
                let message = format!("`{what}`: a {shape} distribution needs `{name}`");
                collector.push(Code::MissingKey, span.clone(), message);
            }
            Some(_) | None => {}
        }
    }
    let (least, greatest) = (
        whole(min, what, "min", collector),
        whole(max, what, "max", collector),
    );
    let mean = decimal(mean, what, "mean", 1.0, collector);
    let deviation = decimal(std, what, "std", 0.0, collector);
    if shape == "uniform" {
        let (min, max) = (least?, greatest?);
        if min > max {
            let message = format!("`{what}`: `min` {min} is above `max` {max}");
            collector.push(Code::Contradiction, span, message);
            return None;
        }
        return Some(Lengths::Uniform { min, max });
    }
    if shape == "constant"
        && let (Some(node), Some(deviation)) = (std, deviation)
        && deviation > 0.0
    {
        let message = format!("`{what}.std` has no effect on a constant distribution");
        let hint = "remove one of them";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    let mean = mean?;
    // An invalid deviation is already reported; it counts as 0 here.
    match (shape, deviation.unwrap_or(0.0)) {
        ("normal", std) if std > 0.0 => Some(Lengths::Normal { mean, std }),
        ("lognormal", std) if std > 0.0 => Some(Lengths::Lognormal { mean, std }),
        _ => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 1 to 10 million"
            )]
            let tokens = mean.round() as u32;
            Some(Lengths::Constant(tokens))
        }
    }
}

fn whole(
    node: Option<&Node>,
    what: &str,
    name: &str,
    collector: &mut Collector<'_>,
) -> Option<u32> {
    let place = format!("{what}.{name}");
    number(node?, &place, &(1..=MAX_TOKENS), collector)
}

fn decimal(
    node: Option<&Node>,
    what: &str,
    name: &str,
    least: f64,
    collector: &mut Collector<'_>,
) -> Option<f64> {
    let place = format!("{what}.{name}");
    number(node?, &place, &(least..=f64::from(MAX_TOKENS)), collector)
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;
    use super::*;

    fn messages(source: &str) -> String {
        let problems = read_plan("perfgate.yaml", &format!("model: m\n{source}")).unwrap_err();
        let messages: Vec<String> = problems
            .problems
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        messages.join("\n")
    }

    #[test]
    fn a_list_without_load_points_is_refused() {
        insta::assert_snapshot!(messages("request_rate: []"), @"`request_rate` is an empty list: add at least one load point");
        insta::assert_snapshot!(messages("concurrency: []"), @"`concurrency` is an empty list: add at least one load point");
    }

    #[test]
    fn an_endless_list_of_load_points_is_refused() {
        let many: Vec<String> = (1..=101).map(|load: u32| load.to_string()).collect();
        insta::assert_snapshot!(messages(&format!("concurrency: [{}]", many.join(", "))), @"`concurrency` has 101 load points; the maximum is 100");
    }

    #[test]
    fn a_length_without_effect_is_a_contradiction() {
        insta::assert_snapshot!(messages("input_tokens: {mean: 5, std: 3, distribution: constant}"), @"`input_tokens.std` has no effect on a constant distribution");
        insta::assert_snapshot!(messages("input_tokens: {min: 5, max: 30, mean: 9}"), @"`input_tokens.mean` has no effect on a uniform distribution");
        insta::assert_snapshot!(messages("input_tokens: {mean: 9, std: 2, min: 1, distribution: normal}"), @"`input_tokens.min` has no effect on a normal distribution");
    }

    #[test]
    fn a_constant_length_may_have_a_deviation_of_zero() {
        let source = "model: m\ninput_tokens: {mean: 5, std: 0, distribution: constant}";
        let plan = read_plan("perfgate.yaml", source).unwrap();
        assert_eq!(plan.input_tokens, Some(Lengths::Constant(5)));
    }

    #[test]
    fn a_missing_part_of_a_length_is_reported_once() {
        insta::assert_snapshot!(messages("input_tokens: {mean: .nan}"), @"`input_tokens.mean` must be a finite number, not `.nan`");
        insta::assert_snapshot!(messages("input_tokens: {max: 3}"), @"`input_tokens`: a uniform distribution needs `min`");
        insta::assert_snapshot!(messages("input_tokens: {min: 9, max: 3}"), @"`input_tokens`: `min` 9 is above `max` 3");
        insta::assert_snapshot!(messages("input_tokens: {mean: 9, distribution: zipf}"), @"`input_tokens`: `zipf` is not a distribution; use constant, normal, lognormal or uniform");
    }
}
