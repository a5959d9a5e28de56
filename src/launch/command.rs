//! Command lines: position of the model, replacement of placeholders. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::LaunchError;

/// The parts of a command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine<'a> {
    /// Model that the engine loads.
    pub(super) model: &'a str,
    /// Name under which it is listed.
    pub(super) served_model_name: &'a str,
    /// `framework.config` as arguments.
    pub(super) args: &'a [String],
}

impl Engine<'_> {
    /// Everything after the model.
    fn arguments(self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.served_model_name != self.model {
            arguments.push("--served-model-name".to_owned());
            arguments.push(self.served_model_name.to_owned());
        }
        arguments.extend_from_slice(self.args);
        arguments
    }

    /// The arguments after a container's entry point. The older `…api_server` takes `--model`; `vllm serve` and wrappers
    /// around it take the model as the first argument.
    pub(super) fn container_command(self, entrypoint: &[String], more: &[String]) -> Vec<String> {
        let mut command = Vec::new();
        if entrypoint
            .last()
            .is_some_and(|last| last.ends_with("api_server"))
        {
            command.push("--model".to_owned());
        }
        command.push(self.model.to_owned());
        command.extend(self.arguments());
        command.extend_from_slice(more);
        command
    }

    /// A process's command with `{model}` and, as a whole element, `{args}` replaced. `{port}` stays, so that the command
    /// is the same for every start.
    pub(super) fn process_command(self, template: &[String]) -> Result<Vec<String>, LaunchError> {
        if template.first().is_none_or(String::is_empty) {
            return Err(refused("the command is empty"));
        }
        if !template.iter().any(|element| element.contains("{port}")) {
            return Err(refused(
                "no element contains `{port}`, so the server does not get a port to listen on",
            ));
        }
        let mut command = Vec::new();
        for element in template {
            if element == "{args}" {
                command.extend(self.arguments());
            } else {
                command.push(element.replace("{model}", self.model));
            }
        }
        Ok(command)
    }
}

/// An unusable command.
pub(super) fn refused(reason: &str) -> LaunchError {
    LaunchError::setting(
        format!("server.process.command: {reason}"),
        "for example: command: [\"vllm\", \"serve\", \"{model}\", \"--port\", \"{port}\", \"{args}\"]",
    )
}

/// The command that starts the embedded server; `{port}` stays.
pub(super) fn simulator_command(
    program: &Path,
    served_model_name: &str,
    ordinal: u32,
    options: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut command = vec![
        program.to_string_lossy().into_owned(),
        "simulate".to_owned(),
        "--port".to_owned(),
        "{port}".to_owned(),
        "--model".to_owned(),
        served_model_name.to_owned(),
        // With a seed, each start of a run still gets its own speed, as real starts have.
        "--start".to_owned(),
        ordinal.to_string(),
    ];
    command.extend(simulator_options(options));
    command
}

/// The simulator's options as arguments.
pub(super) fn simulator_options(options: &BTreeMap<String, String>) -> Vec<String> {
    options
        .iter()
        .flat_map(|(option, value)| [format!("--{}", option.replace('_', "-")), value.clone()])
        .collect()
}

/// The command with `{port}` replaced.
pub(super) fn with_port(command: &[String], port: u16) -> Vec<String> {
    command
        .iter()
        .map(|element| element.replace("{port}", &port.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn container(entrypoint: &str, served: &str) -> String {
        let args = words("--tensor-parallel-size 8");
        let engine = Engine {
            model: "meta/llama",
            served_model_name: served,
            args: &args,
        };
        engine
            .container_command(&words(entrypoint), &words("--max-model-len 8192"))
            .join(" ")
    }

    #[test]
    fn vllm_serve_and_wrappers_take_the_model_first() {
        for entrypoint in ["vllm serve", "/usr/local/bin/start.sh"] {
            assert_eq!(
                container(entrypoint, "meta/llama"),
                "meta/llama --tensor-parallel-size 8 --max-model-len 8192"
            );
        }
    }

    #[test]
    fn the_older_api_server_takes_the_model_by_name() {
        assert_eq!(
            container("python3 -m vllm.entrypoints.openai.api_server", "llama"),
            "--model meta/llama --served-model-name llama --tensor-parallel-size 8 --max-model-len 8192"
        );
    }

    #[test]
    fn a_process_gets_model_port_and_arguments() {
        let args = words("--seed 1");
        let engine = Engine {
            model: "m",
            served_model_name: "s",
            args: &args,
        };
        let command = engine
            .process_command(&words("vllm serve {model} --port={port} {args} --last"))
            .unwrap();
        assert_eq!(
            with_port(&command, 8123).join(" "),
            "vllm serve m --port=8123 --served-model-name s --seed 1 --last"
        );
    }

    #[test]
    fn a_command_without_a_port_is_refused() {
        let engine = Engine {
            model: "m",
            served_model_name: "m",
            args: &[],
        };
        let error = engine.process_command(&words("vllm serve")).unwrap_err();
        insta::assert_snapshot!(error, @"server.process.command: no element contains `{port}`, so the server does not get a port to listen on");
        assert!(engine.process_command(&[]).is_err());
    }

    #[test]
    fn the_simulator_is_started_by_its_options() {
        let options = [("tpot_ms".to_owned(), "12".to_owned())].into();
        let command = simulator_command(Path::new("perfgate"), "sim", 2, &options);
        assert_eq!(
            command.join(" "),
            "perfgate simulate --port {port} --model sim --start 2 --tpot-ms 12"
        );
    }
}
