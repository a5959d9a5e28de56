//! The initial files of a repository, from what was found in it: values in, texts out.

pub mod compose;
pub mod hints;

use crate::metric::Metric;

/// The image if no file names one.
pub const DEFAULT_IMAGE: &str = "vllm/vllm-openai:v0.32.0";

/// The entry in `.gitignore`.
pub const IGNORED: &str = "/perfgate-out/";

/// Path of the configuration.
pub const PLAN: &str = "perfgate.yaml";

/// Path of the policy.
pub const POLICY: &str = "thresholds.yaml";

/// The workflow of the examples.
const WORKFLOW: &str = include_str!("../../examples/workflows/perfgate.yml");

/// The standard policy.
const THRESHOLDS: &str = include_str!("../../thresholds.yaml");

/// The parts of the example workflow that differ between repositories.
const EXAMPLE_ACTION: &str =
    "OWNER/perfgate@0000000000000000000000000000000000000000 # put the commit of a release here";
const EXAMPLE_RUNNER: &str = "[self-hosted, linux, gpu]";
const EXAMPLE_PLACE: &str = "on a GPU";

/// The server to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A container of this image on a GPU.
    Docker {
        /// The image.
        image: String,
        /// The Dockerfile with which the repository builds the image.
        dockerfile: Option<String>,
        /// Options of the server, without its model and its port.
        args: Vec<String>,
        /// Mounts, `host:container[:ro]`.
        volumes: Vec<String>,
        /// Whether its GPUs are from AMD, which are passed as devices.
        rocm: bool,
    },
    /// A running server, and whether its GPUs are in this machine.
    Url {
        /// Its address.
        url: String,
        /// Whether GPU memory can be measured.
        gpus: bool,
    },
    /// The embedded server.
    Simulator,
}

/// Facts about the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Name of the gate.
    pub name: String,
    /// The model.
    pub model: String,
    /// The name under which the server lists it, if different.
    pub served_name: Option<String>,
    /// The server to measure.
    pub server: Server,
    /// Source of perfgate in the workflow; `None` leaves the example's text.
    pub action: Option<String>,
    /// The folder of the repository for all files except the workflow; empty for the top.
    pub folder: String,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starting {
    /// Path relative to the folder.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl Beginning {
    /// The files, in reading order.
    pub fn files(&self) -> [Starting; 3] {
        [
            (PLAN.to_owned(), self.plan()),
            (POLICY.to_owned(), self.thresholds()),
            (self.workflow_path(), self.workflow()),
        ]
        .map(|(path, text)| Starting { path, text })
    }

    /// GitHub runs only workflows at the top of a repository.
    pub fn workflow_path(&self) -> String {
        let folders = self.folder.split('/').filter(|folder| !folder.is_empty());
        let up = "../".repeat(folders.count());
        format!("{up}.github/workflows/perfgate.yml")
    }

    /// Whether a step of that workflow works in the folder.
    pub fn is_measured_by(&self, workflow: &str) -> bool {
        let of_line = |line: &str| {
            let line = line.trim_start().trim_start_matches("- ");
            let value = line
                .strip_prefix("working-directory:")?
                .split(" #")
                .next()?;
            let folder = value.trim().trim_matches(['"', '\'']);
            Some(folder.trim_start_matches("./").trim_end_matches('/') == self.folder)
        };
        self.folder.is_empty() || workflow.lines().filter_map(of_line).any(|is_it| is_it)
    }

    fn plan(&self) -> String {
        let (server, load) = match &self.server {
            Server::Docker {
                image,
                args,
                volumes,
                rocm,
                ..
            } => (container(image, args, volumes, *rocm), LOAD),
            Server::Url { url, .. } => (format!("server: {{url: {}}}\n", quoted(url)), LOAD),
            Server::Simulator => (
                "server:\n  simulator: {noise: 0.3%, step-noise: 0.5%}   # no GPU: for a first try\n".to_owned(),
                SMALL_LOAD,
            ),
        };
        let served_name = self.served_name.as_ref().map_or(String::new(), |name| {
            format!("served_model_name: {}\n", quoted(name))
        });
        format!(
            "# What to measure. `perfgate doctor` checks the machine; flags of `perfgate gate` override this file.\n\
             name: {}\nmodel: {}\n{served_name}{server}{load}",
            quoted(&self.name),
            quoted(&self.model)
        )
    }

    /// A rule on a metric that cannot be measured would make every run not comparable.
    fn thresholds(&self) -> String {
        let text = THRESHOLDS.replace(
            "docs/reference/thresholds.md",
            "docs/reference/thresholds.md of perfgate",
        );
        match self.server {
            Server::Url { gpus: false, .. } => text
                .split_inclusive('\n')
                .filter(|line| !line.contains(Metric::GPU_MEMORY_PEAK.id()))
                .collect(),
            Server::Docker { .. } | Server::Url { .. } | Server::Simulator => text,
        }
    }

    fn workflow(&self) -> String {
        let (runner, place) = match self.server {
            Server::Docker { .. } => (EXAMPLE_RUNNER, EXAMPLE_PLACE),
            Server::Url { .. } => ("[self-hosted, linux]", "on a server that runs already"),
            Server::Simulator => ("ubuntu-24.04", "on the embedded server"),
        };
        let mut text = WORKFLOW
            .replace(EXAMPLE_RUNNER, runner)
            .replace(EXAMPLE_PLACE, place);
        if let Some(action) = &self.action {
            text = text.replace(EXAMPLE_ACTION, action);
        }
        let folder = (!self.folder.is_empty())
            .then(|| format!("working-directory: {}\n", quoted(&self.folder)));
        let mut inputs: Vec<String> = folder.iter().cloned().collect();
        if let Server::Docker {
            dockerfile: Some(dockerfile),
            ..
        } = &self.server
        {
            let folder = folder.map(|folder| format!("        {folder}"));
            let own_build = format!(
                "      - name: Build the image under test\n{}        \
                 run: docker build --file {dockerfile} --tag \"perfgate-candidate:$GITHUB_SHA\" .\n",
                folder.unwrap_or_default()
            );
            let step = text.rfind("      - uses: ").unwrap_or(text.len());
            text.insert_str(step, &own_build);
            inputs.push("image: perfgate-candidate:${{ github.sha }}\n".to_owned());
        }
        if !inputs.is_empty() {
            text.push_str("        with:\n");
        }
        for input in inputs {
            text.push_str(&format!("          {input}"));
        }
        text
    }
}

/// A container with its GPUs, the model cache and its mounts.
fn container(image: &str, args: &[String], volumes: &[String], rocm: bool) -> String {
    let gpus = if rocm {
        "devices: [\"/dev/kfd\", \"/dev/dri\"]  # AMD's GPUs\n"
    } else {
        "gpus: all\n"
    };
    let list = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        texts.join(", ")
    };
    let mounts = if volumes.is_empty() {
        String::new()
    } else {
        format!("    volumes: [{}]\n", list(volumes))
    };
    let args = if args.is_empty() {
        "# args: [\"--max-model-len\", \"8192\"]".to_owned()
    } else {
        format!("args: [{}]", list(args))
    };
    format!(
        "\
server:
  docker:
    image: {}
    {gpus}    hf_cache: true                        # models are downloaded once
{mounts}    # env: [HF_TOKEN]                     # for gated models; by name, the value is never stored
    {args}
",
        quoted(image)
    )
}

/// The load of a gate on a GPU: enough requests for P95, at two concurrencies.
const LOAD: &str = "\
num_requests: 400
concurrency: [16, 64]
input_tokens: {mean: 1000, std: 200, distribution: normal}
output_tokens: {mean: 200, std: 50, distribution: normal}
repeat: 3                                 # a fresh server for each, if perfgate starts it
";

/// Takes seconds on any machine.
const SMALL_LOAD: &str = "\
num_requests: 200
concurrency: 16
input_tokens: 200
output_tokens: 48
repeat: 3                                 # a fresh server for each
";

/// As YAML's double-quoted text, which includes JSON's strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The entry that `.gitignore` lacks, for its end; `None` if it already ignores the output.
pub fn ignoring(text: &str) -> Option<String> {
    let is_there = text
        .lines()
        .any(|line| line.trim().trim_matches('/') == IGNORED.trim_matches('/'));
    let newline = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    (!is_there).then(|| format!("{newline}{IGNORED}\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{ServerPlan, read_plan, read_policy};

    fn beginning(server: Server) -> Beginning {
        Beginning {
            name: "serving".to_owned(),
            model: "m/x".to_owned(),
            served_name: None,
            server,
            action: Some("me/perfgate@0123".to_owned()),
            folder: String::new(),
        }
    }

    fn container(dockerfile: Option<&str>) -> Server {
        Server::Docker {
            image: "vllm/vllm-openai:v0.32.0".to_owned(),
            dockerfile: dockerfile.map(str::to_owned),
            args: Vec::new(),
            volumes: Vec::new(),
            rocm: false,
        }
    }

    #[test]
    fn the_placeholders_of_the_example_workflow_are_filled_in() {
        for open in [EXAMPLE_ACTION, EXAMPLE_RUNNER, EXAMPLE_PLACE] {
            assert!(WORKFLOW.contains(open), "{open}");
        }
        let [_, _, workflow] = beginning(Server::Simulator).files();
        assert!(workflow.text.contains("runs-on: ubuntu-24.04\n"));
        assert!(workflow.text.ends_with("- uses: me/perfgate@0123\n"));
    }

    #[test]
    fn a_repository_that_builds_its_image_measures_that_image() {
        let [_, _, workflow] = beginning(container(Some("docker/Dockerfile"))).files();
        let steps = &workflow.text[workflow.text.find("    steps:").unwrap()..];
        insta::assert_snapshot!(steps, @r#"
            steps:
              - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
                with:
                  fetch-depth: 0 # the limits are read from the commit where the change branched off
                  persist-credentials: false
              - name: Build the image under test
                run: docker build --file docker/Dockerfile --tag "perfgate-candidate:$GITHUB_SHA" .
              - uses: me/perfgate@0123
                with:
                  image: perfgate-candidate:${{ github.sha }}
        "#);
    }

    #[test]
    fn mounts_and_devices_of_a_service_are_kept() {
        let server = Server::Docker {
            image: "rocm/vllm:latest".to_owned(),
            dockerfile: None,
            args: vec!["--max-num-seqs".to_owned(), "64".to_owned()],
            volumes: vec!["~/models:/models:ro".to_owned()],
            rocm: true,
        };
        let beginning = Beginning {
            served_name: Some("x".to_owned()),
            ..beginning(server)
        };
        let plan = read_plan("perfgate.yaml", &beginning.plan()).unwrap();
        assert_eq!(plan.served_model_name, "x");
        let Some(ServerPlan::Docker(docker)) = plan.server else {
            panic!("not a container");
        };
        assert_eq!(docker.args, ["--max-num-seqs", "64"]);
        assert_eq!(docker.volumes, ["~/models:/models:ro"]);
        assert_eq!(docker.devices, ["/dev/kfd", "/dev/dri"]);
        assert_eq!(docker.gpus, crate::config::GpuRequest::None);
    }

    #[test]
    fn a_folder_of_a_repository_is_built_and_measured_in_that_folder() {
        let beginning = Beginning {
            folder: "services/my llm".to_owned(),
            ..beginning(container(Some("Dockerfile")))
        };
        let [plan, _, workflow] = beginning.files();
        assert_eq!(plan.path, "perfgate.yaml");
        assert_eq!(workflow.path, "../../.github/workflows/perfgate.yml");
        let steps = &workflow.text[workflow.text.find("      - name: Build").unwrap()..];
        insta::assert_snapshot!(steps, @r#"
              - name: Build the image under test
                working-directory: "services/my llm"
                run: docker build --file Dockerfile --tag "perfgate-candidate:$GITHUB_SHA" .
              - uses: me/perfgate@0123
                with:
                  working-directory: "services/my llm"
                  image: perfgate-candidate:${{ github.sha }}
        "#);
        assert!(beginning.is_measured_by(&workflow.text));
        assert!(!beginning.is_measured_by(WORKFLOW));
        for (line, is_it) in [
            ("- working-directory: './services/my llm/' # ours", true),
            ("working-directory: services", false),
        ] {
            assert_eq!(beginning.is_measured_by(line), is_it, "{line}");
        }
    }

    #[test]
    fn memory_that_cannot_be_measured_has_no_rule() {
        let remote = |gpus| Server::Url {
            url: "http://10.0.0.7:8000".to_owned(),
            gpus,
        };
        for (server, is_ruled) in [
            (remote(false), false),
            (remote(true), true),
            (container(None), true),
        ] {
            let [_, thresholds, _] = beginning(server).files();
            let policy = read_policy("thresholds.yaml", &thresholds.text).unwrap();
            assert_eq!(policy.rules.len(), if is_ruled { 4 } else { 3 });
        }
    }

    #[test]
    fn the_output_is_ignored_once() {
        assert_eq!(ignoring("").as_deref(), Some("/perfgate-out/\n"));
        assert_eq!(ignoring("/target").as_deref(), Some("\n/perfgate-out/\n"));
        assert_eq!(ignoring("x\nperfgate-out/\n"), None);
        assert_eq!(ignoring("/perfgate-out\r\n"), None);
    }

    proptest! {
        #[test]
        fn names_of_models_and_images_stay_what_they_are(
            model in "[a-zA-Z0-9:#{}\"'\\\\ ./-]{1,20}[a-z]", image in "[a-z][a-z0-9:#./@-]{0,30}[a-z]"
        ) {
            let server = Server::Docker { image: image.clone(), dockerfile: None, args: Vec::new(), volumes: Vec::new(), rocm: false };
            let [plan, _, _] = Beginning { model: model.clone(), ..beginning(server) }.files();
            // Whatever the parser finds in such names, it never changes them.
            if let Ok(plan) = read_plan("perfgate.yaml", &plan.text) {
                prop_assert_eq!(plan.model, model);
                let is_that = matches!(plan.server, Some(ServerPlan::Docker(docker)) if docker.image == image);
                prop_assert!(is_that);
            }
        }
    }
}
