//! Data sets and the shape of synthetic prompts in `perfgate.yaml`.

use std::time::Duration;

use super::fields::{Fields, boolean, duration, number, one_of, percentage, scalar, text};
use super::node::{Node, Value};
use super::problem::Collector;
use super::{Dataset, DatasetFile};
use crate::workload::dataset::{Format, TimeUnit, Turns};
use crate::workload::{Conversation, Prefix};

/// Maximum number of turns; longer conversations exceed every model's context.
const MAX_TURNS: usize = 1_000;

/// Maximum block size in tokens; prefix caches use smaller blocks.
const MAX_BLOCK: u32 = 1 << 20;

/// Maximum number of prefix groups; more groups than requests could not share prefixes.
const MAX_GROUPS: usize = 10_000;

/// A path, a name, or a map with details.
pub(super) fn read_dataset(node: &Node, what: &str, collector: &mut Collector) -> Option<Dataset> {
    if !matches!(node.value, Value::Mapping(_)) {
        return text(node, what, collector).map(dataset_named);
    }
    let mut fields = Fields::of(node, what, collector)?;
    let path = fields.require("path", "data/prompts.jsonl", text);
    let mut file = DatasetFile::at(path.as_deref().unwrap_or_default());
    file.format = fields.read("format", one_of(&Format::ALL.map(|it| (it.name(), it))));
    file.sha256 = fields.read("sha256", read_sha256);
    file.speedup = fields.read("speedup", number(0.001..=1e6));
    let times = TimeUnit::ALL.map(|unit| (unit.name(), unit));
    fields.update("timestamp_unit", &mut file.units.time, one_of(&times));
    fields.update(
        "block_size",
        &mut file.units.block_tokens,
        number(1..=MAX_BLOCK),
    );
    file.turns = fields.read("turns", one_of(&Turns::ALL.map(|it| (it.name(), it))));
    fields.update("pause", &mut file.pause, duration);
    fields.update("repeat_entries", &mut file.repeat_entries, boolean);
    fields.update("salt", &mut file.salt, boolean);
    if let (Some(node), false) = (fields.take("pause"), file.turns == Some(Turns::All)) {
        let message = "`dataset.pause` has no effect: only one turn is sent";
        fields
            .collector
            .contradiction(node, message, "add `turns: all`, or remove it");
    }
    fields.finish();
    path.map(|_| Dataset::File(file))
}

/// `synthetic` or a path. Reading the file later checks that it exists.
pub(super) fn dataset_named(name: String) -> Dataset {
    if name == "synthetic" {
        Dataset::Synthetic
    } else {
        Dataset::File(DatasetFile::at(name))
    }
}

fn read_sha256(node: &Node, what: &str, collector: &mut Collector) -> Option<String> {
    let written = scalar(node, what, collector)?.to_ascii_lowercase();
    let hash = written.strip_prefix("sha256:").unwrap_or(&written);
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(hash.to_owned());
    }
    let message = format!("`{what}` must have 64 hexadecimal digits; it is `{written}`");
    collector.invalid_with_hint(node, message, "copy the output of `sha256sum FILE`")
}

/// What synthetic prompts have in common.
pub(super) fn read_prefix(node: &Node, what: &str, collector: &mut Collector) -> Option<Prefix> {
    let mut fields = Fields::of(node, what, collector)?;
    let share = fields.require("share", "50%", percentage(0.0..=1.0));
    let groups = fields.read("groups", number(1..=MAX_GROUPS));
    fields.finish();
    Some(Prefix {
        share: share?,
        groups: groups.unwrap_or(Prefix::default().groups),
    })
}

/// Synthetic conversations.
pub(super) fn read_conversation(
    node: &Node,
    what: &str,
    collector: &mut Collector,
) -> Option<Conversation> {
    let mut fields = Fields::of(node, what, collector)?;
    let turns = fields.require("turns", "3", number(1..=MAX_TURNS));
    let pause = fields.read("pause", duration);
    fields.finish();
    Some(Conversation {
        turns: turns?,
        pause: pause.unwrap_or(Duration::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, read_plan};
    use super::*;
    use crate::workload::PromptForm;
    use crate::workload::dataset::Units;

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
            problem.contains("must be `s`, `ms` or `us`, not `h`"),
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
        assert_eq!(plan.prompts, Some(PromptForm::Words));
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
