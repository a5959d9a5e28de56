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
pub(super) fn read_loads(fields: &mut Fields<'_, '_>) -> (Vec<LoadPoint>, bool) {
    let concurrency = fields.take("concurrency");
    let rate = fields.take("request_rate");
    let burstiness = fields.read("burstiness", number_or_infinite).unwrap_or(1.0);
    let burstiness_node = fields.take("burstiness");
    let collector = &mut *fields.collector;
    if let (Some(_), Some(node)) = (concurrency, rate) {
        let message = "`concurrency` and `request_rate` are both given";
        let hint = "use one of them: closed loop and open loop are separate runs";
        collector.contradiction(node, message, hint);
    }
    if let (Some(node), None) = (burstiness_node, rate) {
        let message = "`burstiness` has no effect without `request_rate`";
        collector.push(Code::Contradiction, &node.span, message);
    }
    let (node, loads) = match (concurrency, rate) {
        (Some(node), _) => (node, read_concurrency(node, collector)),
        (None, Some(node)) => {
            let rates = read_items(node, "request_rate", number_or_infinite, collector);
            let load = |per_second| LoadPoint::Rate {
                per_second,
                burstiness,
            };
            (node, rates.into_iter().map(load).collect())
        }
        (None, None) => return (vec![LoadPoint::Concurrency(16)], true),
    };
    // At most `MAX_LOADS` entries, so comparing all pairs is cheap.
    for (index, load) in loads.iter().enumerate() {
        if loads[..index].contains(load) {
            let message = format!("the load point `{}` is given twice", load.name());
            collector.push(Code::DuplicateKey, &node.span, message);
        }
    }
    (loads, false)
}

/// One value, or the values of a list with 1 to `MAX_LOADS` entries.
fn read_items<T>(
    node: &Node,
    what: &str,
    read: impl Fn(&Node, &str, &mut Collector) -> Option<T>,
    collector: &mut Collector,
) -> Vec<T> {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar { .. } | Value::Mapping(_) => std::slice::from_ref(node),
    };
    let problem = match items.len() {
        0 => format!("`{what}` is an empty list: add at least one load point"),
        1..=MAX_LOADS => {
            let read = items.iter().filter_map(|item| read(item, what, collector));
            return read.collect();
        }
        count => format!("`{what}` has {count} load points; the maximum is {MAX_LOADS}"),
    };
    collector.push(Code::InvalidValue, &node.span, problem);
    Vec::new()
}

/// A number, a list, or a range `start:stop:step`.
fn read_concurrency(node: &Node, collector: &mut Collector) -> Vec<LoadPoint> {
    if let Value::Scalar { text, .. } = &node.value
        && text.contains(':')
    {
        return concurrency_range(text).unwrap_or_else(|| {
            let message = format!("`{text}` is not a range of concurrencies");
            let hint = "write `start:stop:step`, as in `1:64:8`";
            collector.push_with_hint(Code::InvalidValue, &node.span, message, hint);
            Vec::new()
        });
    }
    let streams = read_items(node, "concurrency", number(1..=MAX_STREAMS), collector);
    streams.into_iter().map(LoadPoint::Concurrency).collect()
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

fn number_or_infinite(node: &Node, what: &str, collector: &mut Collector) -> Option<f64> {
    if let Value::Scalar { text, .. } = &node.value
        && text == "inf"
    {
        return Some(f64::INFINITY);
    }
    number(1e-6..=1e6)(node, what, collector)
}

pub(super) fn read_lengths(node: &Node, what: &str, collector: &mut Collector) -> Option<Lengths> {
    let tokens = number(1..=MAX_TOKENS);
    if !matches!(node.value, Value::Mapping(_)) {
        return tokens(node, what, collector).map(Lengths::Constant);
    }
    let mut fields = Fields::of(node, what, collector)?;
    let distribution = fields.take("distribution");
    let given = ["mean", "std", "min", "max"].map(|name| (name, fields.take(name)));
    let mean = fields.read("mean", number(1.0..=f64::from(MAX_TOKENS)));
    let deviation = fields.read("std", number(0.0..=f64::from(MAX_TOKENS)));
    let (least, greatest) = (fields.read("min", &tokens), fields.read("max", &tokens));
    fields.finish();
    let [_, (_, std), (_, min), (_, max)] = given;
    let shape = match distribution {
        Some(node) => scalar(node, &format!("{what}.distribution"), collector)?,
        None if min.or(max).is_some() => "uniform",
        None => "normal",
    };
    // Required and optional keys of the distribution.
    let (needed, taken): (&[&str], &[&str]) = match shape {
        "uniform" => (&["min", "max"], &[]),
        "normal" | "lognormal" | "constant" => (&["mean"], &["std"]),
        other => {
            let message = format!(
                "`{what}`: `{other}` is not a distribution; use constant, normal, lognormal or uniform"
            );
            return collector.invalid(distribution.unwrap_or(node), message);
        }
    };
    for (name, given) in given {
        match given {
            Some(given) if !needed.contains(&name) && !taken.contains(&name) => {
                let message = format!("`{what}.{name}` has no effect on a {shape} distribution");
                collector.push(Code::Contradiction, &given.span, message);
            }
            None if needed.contains(&name) => {
                let message = format!("`{what}`: a {shape} distribution needs `{name}`");
                collector.push(Code::MissingKey, &node.span, message);
            }
            Some(_) | None => {}
        }
    }
    if shape == "uniform" {
        let (min, max) = (least?, greatest?);
        if min > max {
            let message = format!("`{what}`: `min` {min} is above `max` {max}");
            collector.push(Code::Contradiction, &node.span, message);
            return None;
        }
        return Some(Lengths::Uniform { min, max });
    }
    // An invalid deviation is already reported; it counts as 0 here.
    let deviation = deviation.unwrap_or(0.0);
    if let (Some(std), "constant", true) = (std, shape, deviation > 0.0) {
        let message = format!("`{what}.std` has no effect on a constant distribution");
        collector.contradiction(std, message, "remove one of them");
    }
    let mean = mean?;
    match (shape, deviation) {
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
