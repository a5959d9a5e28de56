//! Data sets and the shape of synthetic prompts in `perfgate.yaml`.

use std::time::Duration;

use super::fields::{Fields, boolean, duration, number, percentage, scalar, text};
use super::node::{Node, Value};
use super::problem::{Code, Collector};
use super::{ConversationPlan, Dataset, DatasetFile, Prefix, Prompts};
use crate::workload::dataset::{Format, TimeUnit, Turns, Units};

/// Maximum number of turns; longer conversations exceed every model's context.
const MAX_TURNS: usize = 1_000;

/// Maximum block size in tokens; prefix caches use smaller blocks.
const MAX_BLOCK: u32 = 1 << 20;

/// Maximum number of prefix groups; more groups than requests could not share prefixes.
const MAX_GROUPS: usize = 10_000;

/// A path, a name, or a map with details.
pub(super) fn read_dataset(node: &Node, collector: &mut Collector<'_>) -> Option<Dataset> {
    if !matches!(node.value, Value::Mapping(_)) {
        return text(node, "dataset", collector).map(dataset_named);
    }
    let mut fields = Fields::of(node, "dataset", collector)?;
    let path = fields
        .require("path", "data/prompts.jsonl", collector)
        .and_then(|node| text(node, "dataset.path", collector));
    let format = fields.take("format").and_then(|node| {
        let named = Format::ALL.map(|format| (format.name(), format));
        one_of(node, "dataset.format", &named, collector)
    });
    let sha256 = fields
        .take("sha256")
        .and_then(|node| read_sha256(node, collector));
    let speedup = fields
        .take("speedup")
        .and_then(|node| number(node, "dataset.speedup", &(0.001..=1e6), collector));
    let units = read_units(&mut fields, collector);
    let turns = fields.take("turns").and_then(|node| {
        let named = Turns::ALL.map(|turns| (turns.name(), turns));
        one_of(node, "dataset.turns", &named, collector)
    });
    let pause_node = fields.take("pause");
    let pause = pause_node.and_then(|node| duration(node, "dataset.pause", collector));
    let mut switch = |name: &'static str, place: &str, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| boolean(node, place, collector))
    };
    let repeat_entries = switch("repeat_entries", "dataset.repeat_entries", collector);
    let salt = switch("salt", "dataset.salt", collector);
    fields.finish(collector);
    if let (Some(node), false) = (pause_node, turns == Some(Turns::All)) {
        let message = "`dataset.pause` has no effect: only one turn is sent".to_owned();
        let hint = "add `turns: all`, or remove it";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    let usual = DatasetFile::at(path?);
    Some(Dataset::File(DatasetFile {
        format,
        sha256,
        units,
        speedup,
        turns,
        pause: pause.unwrap_or(usual.pause),
        repeat_entries: repeat_entries.unwrap_or(usual.repeat_entries),
        salt: salt.unwrap_or(usual.salt),
        path: usual.path,
    }))
}

/// The unit of time stamps and the size of blocks.
fn read_units(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Units {
    let usual = Units::default();
    let time = fields.take("timestamp_unit").and_then(|node| {
        let named = TimeUnit::ALL.map(|unit| (unit.name(), unit));
        one_of(node, "dataset.timestamp_unit", &named, collector)
    });
    let block_tokens = fields
        .take("block_size")
        .and_then(|node| number(node, "dataset.block_size", &(1..=MAX_BLOCK), collector));
    Units {
        time: time.unwrap_or(usual.time),
        block_tokens: block_tokens.unwrap_or(usual.block_tokens),
    }
}

/// `synthetic` or a path. Reading the file later checks that it exists.
pub(super) fn dataset_named(name: String) -> Dataset {
    if name == "synthetic" {
        Dataset::Synthetic
    } else {
        Dataset::File(DatasetFile::at(name))
    }
}

fn read_sha256(node: &Node, collector: &mut Collector<'_>) -> Option<String> {
    let written = scalar(node, "dataset.sha256", collector)?.to_ascii_lowercase();
    let hash = written.strip_prefix("sha256:").unwrap_or(&written);
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(hash.to_owned());
    }
    let message = format!("`dataset.sha256` must have 64 hexadecimal digits; it is `{written}`");
    let hint = "copy the output of `sha256sum FILE`";
    collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
    None
}

/// The form of synthetic prompts.
pub(super) fn read_prompts(node: &Node, collector: &mut Collector<'_>) -> Option<Prompts> {
    let named = [("token_ids", Prompts::TokenIds), ("text", Prompts::Text)];
    one_of(node, "prompts", &named, collector)
}

/// The value that belongs to one of the names.
fn one_of<T: Copy>(
    node: &Node,
    what: &str,
    named: &[(&str, T)],
    collector: &mut Collector<'_>,
) -> Option<T> {
    let written = scalar(node, what, collector)?;
    let found = named.iter().find(|(name, _)| *name == written);
    if found.is_none() {
        let names: Vec<String> = named.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("`{what}` must be {}, not `{written}`", names.join(" or "));
        collector.push(Code::InvalidValue, node.span.clone(), message);
    }
    found.map(|(_, value)| *value)
}

/// What synthetic prompts have in common.
pub(super) fn read_prefix(node: &Node, collector: &mut Collector<'_>) -> Option<Prefix> {
    let mut fields = Fields::of(node, "prefix", collector)?;
    let share = fields
        .require("share", "50%", collector)
        .and_then(|node| percentage(node, "prefix.share", &(0.0..=1.0), collector));
    let groups = fields
        .take("groups")
        .and_then(|node| number(node, "prefix.groups", &(1..=MAX_GROUPS), collector));
    fields.finish(collector);
    Some(Prefix {
        share: share?,
        groups: groups.unwrap_or(Prefix::default().groups),
    })
}

/// Synthetic conversations.
pub(super) fn read_conversation(
    node: &Node,
    collector: &mut Collector<'_>,
) -> Option<ConversationPlan> {
    let mut fields = Fields::of(node, "conversation", collector)?;
    let turns = fields
        .require("turns", "3", collector)
        .and_then(|node| number(node, "conversation.turns", &(1..=MAX_TURNS), collector));
    let pause = fields
        .take("pause")
        .and_then(|node| duration(node, "conversation.pause", collector));
    fields.finish(collector);
    Some(ConversationPlan {
        turns: turns?,
        pause: pause.unwrap_or(Duration::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, read_plan};
    use super::*;

    fn plan(source: &str) -> Plan {
        read_plan("perfgate.yaml", &format!("model: m\n{source}")).unwrap()
    }

    #[test]
    fn a_data_set_is_a_name_a_path_or_a_map() {
        assert_eq!(plan("dataset: synthetic").dataset, Dataset::Synthetic);
        let named = Dataset::File(DatasetFile::at("data/x.jsonl"));
        assert_eq!(plan("dataset: data/x.jsonl").dataset, named);
        assert_eq!(plan("dataset: {path: data/x.jsonl}").dataset, named);
        let hash = "AB".repeat(32);
        let full = plan(&format!(
            "dataset: {{path: a.gz, format: sharegpt, sha256: \"sha256:{hash}\", turns: all, pause: 2s, repeat_entries: true, salt: false}}"
        ));
        assert_eq!(
            full.dataset,
            Dataset::File(DatasetFile {
                format: Some(Format::ShareGpt),
                sha256: Some("ab".repeat(32)),
                turns: Some(Turns::All),
                pause: Duration::from_secs(2),
                repeat_entries: true,
                salt: false,
                ..DatasetFile::at("a.gz")
            })
        );
    }

    #[test]
    fn a_trace_has_a_unit_of_time_and_a_size_of_blocks() {
        let units = |source: &str| match plan(&format!("dataset: {source}")).dataset {
            Dataset::File(file) => file.units,
            other @ (Dataset::Synthetic | Dataset::Chosen(_)) => panic!("{other:?}"),
        };
        assert_eq!(units("{path: a}"), Units::default());
        assert_eq!(
            units("{path: a, timestamp_unit: s, block_size: 16}"),
            Units {
                time: TimeUnit::Seconds,
                block_tokens: 16
            }
        );
        let problem = read_plan(
            "perfgate.yaml",
            "model: m\ndataset: {path: a, timestamp_unit: h, block_size: 0}\n",
        );
        let problem = problem.unwrap_err().to_string();
        assert!(
            problem.contains("must be `s` or `ms` or `us`, not `h`"),
            "{problem}"
        );
        assert!(problem.contains("dataset.block_size"), "{problem}");
    }

    #[test]
    fn synthetic_prompts_have_groups_of_prefixes_turns_and_a_form() {
        let plan = plan(
            "prefix: {share: 50%, groups: 8}\nconversation: {turns: 3, pause: 2s}\nprompts: text",
        );
        assert_eq!((plan.prefix.share, plan.prefix.groups), (0.5, 8));
        let conversation = plan.conversation.unwrap();
        assert_eq!(conversation.turns, 3);
        assert_eq!(conversation.pause, Duration::from_secs(2));
        assert_eq!(plan.prompts, Some(Prompts::Text));
    }

    #[test]
    fn impossible_values_are_reported_at_once() {
        let source = "\
model: m
dataset: {format: csv, sha256: abc, speedup: 0, turns: some, pause: 1s, salted: true}
request_rate: 2
prefix: {share: 50%, groups: 0}
conversation: {pause: 0s}
prompts: words
";
        insta::assert_snapshot!(read_plan("perfgate.yaml", source).unwrap_err().to_string());
        let source = "model: m\ndataset: {path: a, speedup: 2}\nconcurrency: 2\nprefix: {share: 5%}\nprompts: text\nconversation: {turns: 2}\n";
        insta::assert_snapshot!(read_plan("perfgate.yaml", source).unwrap_err().to_string());
    }
}
