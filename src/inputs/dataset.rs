//! Reads the data set of a plan, so that all its problems appear before a server starts.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::base_ref::{BaseRef, DataFile};
use crate::config::{Dataset, DatasetFile, Endpoint, LoadPoint, Plan};
use crate::event::{Events, InputEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files::{self, Opened};
use crate::workload::PromptForm;
use crate::workload::dataset::{
    self, Census, Choice, ChoiceError, DatasetError, Entry, Format, Sample, Selection, TimeUnit,
};

/// Replaces the file of the plan by the entries to send, from the base if there is one. A trace sets the load point if
/// none is given.
pub(crate) fn settle(
    plan: &mut Plan,
    base_ref: Option<&BaseRef>,
    events: &Events,
) -> Result<(), Failure> {
    let file = match &plan.dataset {
        Dataset::File(file) => file.clone(),
        Dataset::Synthetic | Dataset::Chosen(_) => return check_synthetic(plan),
    };
    if plan.prompts.is_some() || plan.prefix.share > 0.0 || plan.conversation.is_some() {
        let message = "`prompts`, `prefix` and `conversation` have no effect with a data set: they shape synthetic prompts";
        return Err(Failure::usage(message).hint("remove one of them"));
    }
    let selected = read(&file, plan, base_ref)?;
    report_omitted(&selected.census, &file.path, events);
    take_load(&file, plan, &selected)?;
    if plan.input_tokens.is_some() {
        events.emit(InputEvent::InputTokensUnused);
    }
    let choice = Choice {
        format: selected.format,
        units: file.units,
        sha256: selected.sha256,
        num_requests: plan.num_requests,
        warmup_requests: plan.warmup_requests,
        turns: file.turns,
        pause: file.pause,
        speedup: file.speedup,
        repeat_entries: file.repeat_entries,
        salt: file.salt,
        output_tokens: plan.output_tokens,
        seed: plan.seed,
    };
    let selection = Selection::new(choice, selected.entries)
        .map_err(|error| choice_failure(&file.path, &error))?;
    check_endpoint(&file.path, plan.endpoint, &selection)?;
    report_pace(&file, plan, &selection, events);
    plan.dataset = Dataset::Chosen(Arc::new(selection));
    Ok(())
}

/// Plausible mean gaps between requests of a trace: one server does not answer a thousand requests per second, and one
/// request in five minutes is not a load.
const MIN_GAP: Duration = Duration::from_millis(1);
const MAX_GAP: Duration = Duration::from_mins(5);

/// The hint for a file of another format.
const SUPPORTED_FORMATS: &str = "a data file has one JSON object per line, or a list of objects: ShareGPT (`conversations` of `from` and \
     `value`), prompts (`prompt` or `messages`) or a trace (`timestamp`, `input_length`, `output_length`); docs/reference/workloads.md has an \
     example of each";

fn check_synthetic(plan: &Plan) -> Result<(), Failure> {
    if plan.endpoint == Endpoint::Chat && plan.prompts == Some(PromptForm::TokenIds) {
        let message =
            "`prompts: token_ids` does not work with `endpoint: chat`, which accepts only text";
        return Err(Failure::usage(message).hint("remove one of them"));
    }
    Ok(())
}

/// The selected entries of a file.
struct Selected {
    format: Format,
    sha256: String,
    census: Census,
    entries: Vec<Entry>,
}

/// Reports entries that are left out.
fn report_omitted(census: &Census, path: &Path, events: &Events) {
    let reasons = census.unusable.iter();
    let unusable: usize = census.unusable.values().sum();
    if unusable > 0 {
        events.emit(InputEvent::EntriesUnusable {
            path: path.to_owned(),
            all: census.usable + unusable,
            reasons: reasons
                .map(|(reason, count)| (reason.to_string(), *count))
                .collect(),
        });
    }
}

fn read(file: &DatasetFile, plan: &Plan, base_ref: Option<&BaseRef>) -> Result<Selected, Failure> {
    let path = &file.path;
    let at_base = base_ref
        .map(|base_ref| base_ref.data_file(path))
        .transpose()?;
    let opened = match at_base {
        Some(DataFile::Copied(bytes)) => files::open_copy(path, bytes),
        Some(DataFile::Absent) => {
            let base = base_ref.map_or("the base", |base_ref| &base_ref.name);
            return Err(Failure::usage(format!(
                "{base} has no data set `{}`; that of the change takes effect after the merge",
                path.display()
            )));
        }
        Some(DataFile::Here) | None => files::open(path),
    };
    let mut opened = opened.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            no_such_file(path)
        } else {
            Failure::new(ExitStatus::Usage, error)
        }
    })?;
    let mut sample = Sample::new(
        plan.seed,
        plan.num_requests.saturating_add(plan.warmup_requests),
    );
    if opened.reader().fill_buf().is_ok_and(files::is_lfs_pointer) {
        let message = format!(
            "`{}` is a Git LFS pointer without its content",
            path.display()
        );
        return Err(Failure::usage(message)
            .hint("run `git lfs pull`, or set `lfs: true` for actions/checkout"));
    }
    let read = read_entries(file, &mut opened, &mut |entry| sample.offer(entry));
    let (format, census) = read.map_err(|error| dataset_failure(path, &error))?;
    let sha256 = opened
        .sha256()
        .map_err(|error| dataset_failure(path, &error.into()))?;
    if let Some(wanted) = file.sha256.as_ref().filter(|wanted| **wanted != sha256) {
        let message = format!(
            "`{}` has the SHA-256 {sha256}, but `dataset.sha256` is {wanted}",
            path.display()
        );
        return Err(Failure::usage(message)
            .hint("use the file that belongs to the plan, or correct `dataset.sha256`"));
    }
    Ok(Selected {
        format,
        sha256,
        census,
        entries: sample.into_entries(),
    })
}

fn read_entries(
    file: &DatasetFile,
    opened: &mut Opened,
    each: &mut dyn FnMut(Entry),
) -> Result<(Format, Census), DatasetError> {
    let mut reader = opened.reader();
    let (format, begin) = match file.format {
        Some(format) => (format, Vec::new()),
        None => dataset::detect_format(&mut reader)?,
    };
    let census = dataset::read(format, file.units, begin.as_slice().chain(reader), each)?;
    Ok((format, census))
}

/// The load point of a trace, and the warm-up derived from it.
fn take_load(file: &DatasetFile, plan: &mut Plan, selected: &Selected) -> Result<(), Failure> {
    if !plan.loads_are_default {
        if file.speedup.is_some() {
            let message =
                "`speedup` has no effect with a given load: it scales a trace's own arrival times";
            return Err(Failure::usage(message)
                .hint("remove `concurrency` and `request_rate`, or `speedup`"));
        }
        return Ok(());
    }
    let first = selected.entries.first();
    if first.is_some_and(|entry| entry.at.is_some()) {
        let was_usual =
            plan.warmup_requests == Plan::default_warmup(&plan.loads, plan.num_requests);
        let speedup = file.speedup.unwrap_or(1.0);
        plan.loads = vec![LoadPoint::Trace { speedup }];
        if was_usual {
            plan.warmup_requests = Plan::default_warmup(&plan.loads, plan.num_requests);
        }
    }
    Ok(())
}

/// Reports the rate of a trace before it is sent, because the file does not contain its time unit.
fn report_pace(file: &DatasetFile, plan: &Plan, selection: &Selection, events: &Events) {
    let [LoadPoint::Trace { speedup }] = plan.loads.as_slice() else {
        return;
    };
    let Some((span, gaps)) = selection.span() else {
        return;
    };
    events.emit(InputEvent::TraceRead {
        path: file.path.clone(),
        requests: gaps.saturating_add(1),
        seconds: span.as_secs_f64() / speedup,
    });
    if let Some(likely) = another_unit(file.units.time, span, gaps) {
        events.emit(InputEvent::TraceUnitUnlikely {
            read_as: file.units.time.name(),
            likely: likely.name(),
        });
    }
}

/// The unit that makes the mean gap plausible, if the current one does not.
fn another_unit(unit: TimeUnit, span: Duration, gaps: u32) -> Option<TimeUnit> {
    let mean = span / gaps;
    match unit {
        TimeUnit::Milliseconds if mean <= MIN_GAP => Some(TimeUnit::Seconds),
        TimeUnit::Microseconds if mean <= MIN_GAP => Some(TimeUnit::Milliseconds),
        TimeUnit::Seconds if mean > MAX_GAP => Some(TimeUnit::Milliseconds),
        TimeUnit::Milliseconds if mean > MAX_GAP => Some(TimeUnit::Microseconds),
        TimeUnit::Seconds | TimeUnit::Milliseconds | TimeUnit::Microseconds => None,
    }
}

fn check_endpoint(path: &Path, endpoint: Endpoint, selection: &Selection) -> Result<(), Failure> {
    let (entry, what, hint) = match endpoint {
        Endpoint::Completions => (
            selection.first_for_chat(),
            "a conversation, which `endpoint: completions` does not support",
            "write `endpoint: chat`; for ShareGPT, `turns: first` in `dataset` sends only the first question",
        ),
        Endpoint::Chat => (
            selection.first_for_completions(),
            "token ids, which `endpoint: chat` does not support",
            "write `endpoint: completions`",
        ),
    };
    let Some(entry) = entry else { return Ok(()) };
    let message = format!("`{}`: entry {entry} sends {what}", path.display());
    Err(Failure::usage(message).hint(hint))
}

fn no_such_file(path: &Path) -> Failure {
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let message = format!(
        "the data set `{name}` is missing: the file `{}` does not exist (perfgate does not download data sets)",
        path.display()
    );
    Failure::usage(message)
        .hint("set the file with `--dataset-path FILE`, or in perfgate.yaml with `dataset: {path: FILE}`")
        .hint("or remove `dataset` to use synthetic prompts with the lengths of `input_tokens`")
}

fn dataset_failure(path: &Path, error: &DatasetError) -> Failure {
    let place = match error {
        DatasetError::Entry { .. } | DatasetError::Json(_) => ",",
        DatasetError::Read(_) | DatasetError::Empty | DatasetError::Unknown(_) => "",
    };
    let failure = Failure::usage(format!("`{}`{place} {error}", path.display()));
    if matches!(error, DatasetError::Read(_)) {
        failure
    } else {
        failure.hint(SUPPORTED_FORMATS)
    }
}

fn choice_failure(path: &Path, error: &ChoiceError) -> Failure {
    let failure = Failure::usage(format!("`{}` {error}", path.display()));
    match error {
        ChoiceError::TooFew { has, .. } => failure.hint(format!(
            "write `num_requests: {has}`, or `repeat_entries: true` in `dataset` to send entries again"
        )),
        ChoiceError::NoneLeft { .. } => failure.hint(
            "lower `num_requests` or `warmup_requests`, or remove `salt: false` from `dataset`: \
             a prompt that was sent before would be answered by the prefix cache",
        ),
        ChoiceError::NoLength(_) => failure.hint(
            "set `output_tokens: 128` or `--output-tokens-mean 128` for entries without a length",
        ),
        ChoiceError::NoTurns | ChoiceError::NoTimes => failure.hint("remove it"),
        ChoiceError::Nothing => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_gaps_suggest_another_unit_and_plausible_ones_do_not() {
        let span = Duration::from_micros(3_500);
        assert_eq!(
            another_unit(TimeUnit::Milliseconds, span, 7),
            Some(TimeUnit::Seconds)
        );
        // A request per second, in seconds.
        let span = Duration::from_millis(7);
        assert_eq!(
            another_unit(TimeUnit::Milliseconds, span, 7),
            Some(TimeUnit::Seconds)
        );
        let span = Duration::from_secs(7_000_000);
        assert_eq!(
            another_unit(TimeUnit::Milliseconds, span, 7),
            Some(TimeUnit::Microseconds)
        );
        for unit in TimeUnit::ALL {
            assert_eq!(another_unit(unit, Duration::from_secs(14), 7), None);
        }
    }
}
