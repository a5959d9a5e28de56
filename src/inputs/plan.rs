//! The plan of a run: the file, overridden by flags.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::base_ref::BaseRef;
use super::{dataset, extras, feasible};
use crate::cli::bench::{DatasetFormatArg, EndpointArg, Latency, LoadArgs, RunArgs, TargetArgs};
use crate::config::{self, Dataset, DatasetFile, DockerPlan, Endpoint, Plan, ServerPlan, Slo};
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::unreadable;
use crate::text::sanitize;
use crate::workload::Lengths;
use crate::workload::dataset::Format;
use crate::{files, launch};

/// The default configuration file.
pub(crate) const DEFAULT_FILE: &str = "perfgate.yaml";

/// The file to read.
pub(crate) fn path(given: Option<&Path>) -> &Path {
    given.unwrap_or_else(|| Path::new(DEFAULT_FILE))
}

/// The plan of the given file, else of the default file if it exists.
pub(crate) fn of_file(given: Option<&Path>) -> Result<Option<Plan>, Failure> {
    let path = path(given);
    let text = match given {
        Some(path) => files::read_text(path).map(Some),
        None => files::read_text_if_there(path),
    };
    let text = text.map_err(unreadable)?;
    text.map(|text| of_text(path, &path.display().to_string(), &text))
        .transpose()
}

/// The plan of the text of the file at `path`; `called` is its name in errors.
pub(crate) fn of_text(path: &Path, called: &str, text: &str) -> Result<Plan, Failure> {
    let mut plan = parse(called, text)?;
    if let (Dataset::File(file), Some(folder)) = (&mut plan.dataset, path.parent()) {
        file.path = folder.join(&file.path);
    }
    Ok(plan)
}

/// Reads the file, if there is one, and overrides it with the flags.
pub(crate) fn resolve(args: &RunArgs, events: &Events) -> Result<Plan, Failure> {
    overlaid(of_file(args.config.as_deref())?, args, None, events)
}

/// Overrides the plan of a file, if there is one, with the flags. Data files come from the base, if there is one.
pub(crate) fn overlaid(
    file: Option<Plan>,
    args: &RunArgs,
    base_ref: Option<&BaseRef>,
    events: &Events,
) -> Result<Plan, Failure> {
    let mut plan = with_model(file, args.model.as_deref())?;
    if let Some(name) = &args.name {
        check_name(name)?;
        plan.name.clone_from(name);
    }
    lay_target(&args.target, &mut plan)?;
    lay_load(&args.load, &mut plan)?;
    lay_dataset(&args.load, &mut plan)?;
    extras::lay(&args.load, &mut plan)?;
    feasible::check_warm_up(&plan)?;
    dataset::settle(&mut plan, base_ref, events)?;
    feasible::check_ramp(&plan)?;
    register_and_check_secrets(&plan)?;
    tracing::debug!(
        "the plan `{}`: {} of model `{}`, {} loads with {} requests each after {} to warm up, {} repeats",
        plan.name,
        plan.server.as_ref().map_or("no server", kind),
        plan.model,
        plan.loads.len(),
        plan.num_requests,
        plan.warmup_requests,
        plan.repeat
    );
    Ok(plan)
}

/// The plan of a file, if there is one, with the model of the flag.
fn with_model(file: Option<Plan>, model: Option<&str>) -> Result<Plan, Failure> {
    match (file, model) {
        (Some(plan), None) => Ok(plan),
        (Some(mut plan), Some(model)) => {
            if plan.served_model_name == plan.model {
                model.clone_into(&mut plan.served_model_name);
            }
            model.clone_into(&mut plan.model);
            Ok(plan)
        }
        // As JSON, which is valid YAML, so that a name cannot add keys.
        (None, Some(model)) => parse("the command line", &json!({"model": model}).to_string()),
        (None, None) => Err(nothing_to_measure()),
    }
}

/// Checks the name of a gate from a flag.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if config::is_safe_name(name) {
        return Ok(());
    }
    let message = format!(
        "the name `{}` is not a valid file name",
        sanitize::line(name)
    );
    let hint = format!("write `--name {}`", config::safe_name(name));
    Err(Failure::usage(message).hint(hint))
}

/// Name of a server in a log line.
fn kind(server: &ServerPlan) -> &'static str {
    match server {
        ServerPlan::Docker(_) => "a container",
        ServerPlan::Process(_) => "a process",
        ServerPlan::Url(_) => "an external server",
        ServerPlan::Simulator(_) => "the simulator",
    }
}

/// Masks secrets in the plan's arguments from here on, and checks that the key for the server can be sent.
fn register_and_check_secrets(plan: &Plan) -> Result<(), Failure> {
    launch::register_arguments(&plan.engine_args);
    for server in [&plan.server, &plan.base].into_iter().flatten() {
        match server {
            ServerPlan::Docker(docker) => launch::register_arguments(&docker.args),
            ServerPlan::Process(process) => launch::register_arguments(&process.command),
            ServerPlan::Url(_) | ServerPlan::Simulator(_) => {}
        }
    }
    extras::check_api_key()
}

/// Only the server, with its model and arguments, from the file and the flags.
pub(crate) fn resolve_target(
    config: Option<&Path>,
    args: &RunArgs,
    target: &TargetArgs,
) -> Result<Plan, Failure> {
    let file = match config {
        Some(path) => of_file(Some(path))?,
        None => None,
    };
    let mut plan = with_model(file, args.model.as_deref())?;
    lay_target(target, &mut plan)?;
    register_and_check_secrets(&plan)?;
    Ok(plan)
}

fn nothing_to_measure() -> Failure {
    Failure::usage(format!(
        "`{DEFAULT_FILE}` does not exist, and no flag sets a server"
    ))
    .hint("use `--config FILE`, or `--model M` and one of `--url`, `--image` and `--simulator`")
}

fn parse(file: &str, text: &str) -> Result<Plan, Failure> {
    config::read_plan(file, text).map_err(|problems| Failure::new(ExitStatus::Usage, problems))
}

pub(crate) fn lay_target(args: &TargetArgs, plan: &mut Plan) -> Result<(), Failure> {
    if let Some(url) = &args.url {
        plan.server = Some(checked_url(url)?);
    }
    if let Some(image) = &args.image {
        // The file's container with another image, to gate a pull request's build.
        if let Some(ServerPlan::Docker(docker)) = &mut plan.server {
            docker.image.clone_from(image);
        } else {
            plan.server = Some(ServerPlan::Docker(DockerPlan::of(image)));
        }
    }
    if let Some(options) = &args.simulator {
        let options = simulator_options(options)?;
        if let Some(ServerPlan::Simulator(known)) = &mut plan.server {
            known.extend(options);
        } else {
            plan.server = Some(ServerPlan::Simulator(options));
        }
    }
    if let Some(gpus) = &args.gpus {
        let Some(ServerPlan::Docker(docker)) = &mut plan.server else {
            let message = "`--gpus` has no effect: the server is not a container";
            return Err(Failure::usage(message));
        };
        docker.gpus.clone_from(gpus);
    }
    Ok(())
}

/// Checks an address by the rules of the file; errors omit addresses that may contain a password.
pub(crate) fn checked_url(url: &str) -> Result<ServerPlan, Failure> {
    let source = json!({"model": "m", "server": {"url": url}}).to_string();
    parse("the command line (--url)", &source)?
        .server
        .ok_or_else(nothing_to_measure)
}

/// `slowdown=1.08,seed=1`.
fn simulator_options(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut options = BTreeMap::new();
    let parts = text.split(',').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(Failure::usage(format!("`--simulator {part}` has no value"))
                .hint("write `--simulator slowdown=1.08,seed=1`"));
        };
        let name = name.trim().replace('_', "-");
        if !config::SIMULATOR_OPTIONS.contains(&name.as_str()) {
            let known = config::SIMULATOR_OPTIONS.join(", ");
            return Err(
                Failure::usage(format!("the simulator has no option `{name}`"))
                    .hint(format!("it has {known}")),
            );
        }
        options.insert(name, value.trim().to_owned());
    }
    Ok(options)
}

fn lay_load(args: &LoadArgs, plan: &mut Plan) -> Result<(), Failure> {
    if let Some(endpoint) = args.endpoint {
        plan.endpoint = match endpoint {
            EndpointArg::Completions => Endpoint::Completions,
            EndpointArg::Chat => Endpoint::Chat,
        };
    }
    let warmup_was_usual =
        plan.warmup_requests == Plan::default_warmup(&plan.loads, plan.num_requests);
    if let Some(loads) = load_points(args)? {
        plan.loads = loads;
        plan.loads_are_default = false;
    }
    if let Some(count) = args.num_prompts {
        plan.num_requests = at_least_one("--num-prompts", count)?;
    }
    match args.warmup_requests {
        Some(count) => plan.warmup_requests = count,
        // Values derived from the load are derived again.
        None if warmup_was_usual => {
            plan.warmup_requests = Plan::default_warmup(&plan.loads, plan.num_requests);
        }
        None => {}
    }
    plan.warmup_until_stable = args.warmup_until_stable.or(plan.warmup_until_stable);
    if let Some(mean) = args.synthetic_input_tokens_mean {
        plan.input_tokens = Some(lengths(
            "--synthetic-input-tokens",
            mean,
            args.synthetic_input_tokens_stddev,
        )?);
    }
    if let Some(mean) = args.output_tokens_mean {
        let deviation = args.output_tokens_stddev;
        plan.output_tokens = Some(lengths("--output-tokens", mean, deviation)?);
    }
    if let Some(repeat) = args.repeat {
        at_least_one("--repeat", repeat as usize)?;
        plan.repeat = repeat;
    }
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.timeout = args.timeout.unwrap_or(plan.timeout);
    plan.duration = args.duration.or(plan.duration);
    plan.ramp_up = args.ramp_up.unwrap_or(plan.ramp_up);
    if !args.goodput.is_empty() {
        plan.slo = slo(&args.goodput)?;
    }
    Ok(())
}

fn slo(limits: &[(Latency, Duration)]) -> Result<Slo, Failure> {
    let mut slo = Slo::default();
    for (latency, limit) in limits {
        let place = match latency {
            Latency::Ttft => &mut slo.ttft,
            Latency::Tpot => &mut slo.tpot,
            Latency::E2e => &mut slo.e2e,
        };
        if place.replace(limit.as_secs_f64()).is_some() {
            return Err(Failure::usage(
                "`--goodput` limits one latency twice".to_owned(),
            ));
        }
    }
    Ok(slo)
}

/// The data file of the flags with the options of perfgate.yaml, just as an image replaces that of the container.
fn lay_dataset(args: &LoadArgs, plan: &mut Plan) -> Result<(), Failure> {
    if let Some(name) = &args.dataset {
        plan.dataset = match (config::dataset_named(name), plan.dataset.clone()) {
            (Dataset::File(new), Dataset::File(old)) => Dataset::File(DatasetFile {
                path: new.path,
                ..old
            }),
            (new, _) => new,
        };
    }
    let format = match args.dataset_format {
        None => return Ok(()),
        Some(DatasetFormatArg::Synthetic) => {
            if args
                .dataset
                .as_ref()
                .is_some_and(|name| name != "synthetic")
            {
                let message = "`--dataset` is a file, but `--dataset-format` is `synthetic`";
                return Err(Failure::usage(message));
            }
            plan.dataset = Dataset::Synthetic;
            return Ok(());
        }
        Some(DatasetFormatArg::Sharegpt) => Format::ShareGpt,
        Some(DatasetFormatArg::Jsonl) => Format::Jsonl,
        Some(DatasetFormatArg::Mooncake) => Format::Mooncake,
    };
    let Dataset::File(file) = &mut plan.dataset else {
        let message = format!("`--dataset-format {format}` has no effect without a file");
        return Err(Failure::usage(message)
            .hint("set a file with `--dataset FILE` (perfgate does not download data sets)"));
    };
    file.format = Some(format);
    Ok(())
}

/// The load points of the flags, parsed like those of the file.
fn load_points(args: &LoadArgs) -> Result<Option<Vec<config::LoadPoint>>, Failure> {
    let list = |text: &str| {
        if text.contains(':') {
            format!("\"{text}\"")
        } else {
            format!("[{text}]")
        }
    };
    let source = match (&args.concurrency, &args.request_rate) {
        (Some(concurrency), _) => format!("model: m\nconcurrency: {}\n", list(concurrency)),
        (None, Some(rate)) => {
            let burstiness = args.burstiness.unwrap_or(1.0);
            format!("model: m\nrequest_rate: [{rate}]\nburstiness: {burstiness}\n")
        }
        (None, None) => return Ok(None),
    };
    parse("the command line", &source).map(|plan| Some(plan.loads))
}

fn at_least_one(flag: &str, count: usize) -> Result<usize, Failure> {
    if count == 0 {
        Err(Failure::usage(format!("`{flag}` must be at least 1")))
    } else {
        Ok(count)
    }
}

fn lengths(flag: &str, mean: u32, deviation: Option<f64>) -> Result<Lengths, Failure> {
    at_least_one(&format!("{flag}-mean"), mean as usize)?;
    match deviation {
        Some(std) if !std.is_finite() || std < 0.0 => Err(Failure::usage(format!(
            "`{flag}-stddev` must be zero or more"
        ))),
        Some(std) if std > 0.0 => Ok(Lengths::Normal {
            mean: f64::from(mean),
            std,
        }),
        Some(_) | None => Ok(Lengths::Constant(mean)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerUrl;

    fn with(flags: RunArgs) -> Plan {
        let args = RunArgs {
            model: Some("m".to_owned()),
            ..flags
        };
        resolve(&args, &Events::ignored()).unwrap()
    }

    #[test]
    fn flags_alone_are_sufficient() {
        let plan = with(RunArgs {
            target: TargetArgs {
                url: Some("http://127.0.0.1:8000/".to_owned()),
                ..TargetArgs::default()
            },
            load: LoadArgs {
                concurrency: Some("64".to_owned()),
                num_prompts: Some(1280),
                output_tokens_mean: Some(200),
                ..LoadArgs::default()
            },
            ..RunArgs::default()
        });
        assert_eq!(
            plan.server,
            ServerUrl::parse("http://127.0.0.1:8000")
                .ok()
                .map(ServerPlan::Url)
        );
        assert_eq!((plan.num_requests, plan.warmup_requests), (1280, 128));
        assert_eq!(plan.output_tokens, Some(Lengths::Constant(200)));
    }

    #[test]
    fn an_address_of_the_command_line_is_checked_and_its_password_not_shown() {
        for url in [
            "127.0.0.1:8000",
            "http://",
            "http://me:sesame@127.0.0.1:8000",
        ] {
            let message = checked_url(url).unwrap_err().error.to_string();
            assert!(
                message.contains("url") && !message.contains("sesame"),
                "{message}"
            );
        }
    }

    #[test]
    fn simulator_options_are_known_ones_with_values() {
        assert_eq!(simulator_options("slowdown=1.08, seed=1").unwrap().len(), 2);
        assert!(simulator_options("").unwrap().is_empty());
        assert!(
            simulator_options("slow=1")
                .unwrap_err()
                .error
                .to_string()
                .contains("no option `slow`")
        );
        assert!(simulator_options("slowdown").is_err());
    }

    #[test]
    fn loads_of_the_command_line_may_be_lists_ranges_and_rates() {
        let points = |concurrency: &str| {
            let args = LoadArgs {
                concurrency: Some(concurrency.to_owned()),
                ..LoadArgs::default()
            };
            load_points(&args).map(|points| points.unwrap().len())
        };
        assert_eq!(points("1,16,64").unwrap(), 3);
        assert_eq!(points("1:64:8").unwrap(), 8);
        assert!(points("many").is_err());
    }

    #[test]
    fn a_data_set_of_the_command_line_replaces_the_file_and_keeps_its_options() {
        let laid = |source: &str, dataset: Option<&str>, dataset_format| {
            let mut plan = parse("perfgate.yaml", source).unwrap();
            let args = LoadArgs {
                dataset: dataset.map(str::to_owned),
                dataset_format,
                ..LoadArgs::default()
            };
            lay_dataset(&args, &mut plan).map(|()| plan.dataset)
        };
        let file = "model: m\ndataset: {path: a, repeat_entries: true}";
        assert_eq!(
            laid(file, Some("b"), Some(DatasetFormatArg::Jsonl)).unwrap(),
            Dataset::File(DatasetFile {
                format: Some(Format::Jsonl),
                repeat_entries: true,
                ..DatasetFile::at("b")
            })
        );
        for (name, format) in [
            (Some("synthetic"), None),
            (None, Some(DatasetFormatArg::Synthetic)),
        ] {
            assert_eq!(laid(file, name, format).unwrap(), Dataset::Synthetic);
        }
        assert!(laid(file, Some("b"), Some(DatasetFormatArg::Synthetic)).is_err());
        assert!(laid("model: m", None, Some(DatasetFormatArg::Sharegpt)).is_err());
    }
}
