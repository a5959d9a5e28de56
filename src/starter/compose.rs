//! Finds the vLLM service in a compose file, and its settings.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser};

use super::hints::{is_vllm, with_arguments};

/// Deeper than any such file, but not too deep for the stack.
const DEEPEST: usize = 32;

/// Most values of a compose file with its aliases expanded.
const MOST_VALUES: usize = 20_000;

/// Path of the Hugging Face cache in a vLLM container.
const HF_CACHE: &str = ".cache/huggingface";

/// The server of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its image, if that is a vLLM image; `None` if it is built from a Dockerfile.
    pub image: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The name under which the server lists it.
    pub served_name: Option<String>,
    /// Its other options, without those that perfgate sets itself and those with a key.
    pub args: Vec<String>,
    /// Options whose values are unknown variables.
    pub unknown: Vec<String>,
    /// Mounts of folders of the machine, `host:container[:ro]`, without the Hugging Face cache.
    pub volumes: Vec<String>,
    /// Whether it has the devices of AMD GPUs.
    pub rocm: bool,
}

/// A value of YAML.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// The first service with a vLLM image or command; `None` if there is none, or the file is not valid YAML.
pub fn vllm_of_compose(text: &str) -> Option<Service> {
    let root = read(text)?;
    let Value::Map(services) = root.get("services")? else {
        return None;
    };
    services.iter().find_map(|(_, service)| of_service(service))
}

fn of_service(service: &Value) -> Option<Service> {
    let image = service
        .text("image")
        .map(|image| with_arguments(image, &BTreeMap::new()));
    let image = image.filter(|image| is_vllm(image));
    let words: Vec<String> = ["entrypoint", "command"]
        .iter()
        .filter_map(|key| service.get(key))
        .flat_map(Value::words)
        .collect();
    if image.is_none() && !words.iter().any(|word| word.contains("vllm")) {
        return None;
    }
    let option = |name: &str| {
        let mut pairs = words
            .iter()
            .zip(words.iter().skip(1).map(Some).chain([None]));
        let value = pairs.find_map(|(word, next)| match word.strip_prefix(name)? {
            "" => next.cloned(),
            rest => rest.strip_prefix('=').map(str::to_owned),
        });
        value.filter(|value| is_plain(value))
    };
    let served = words
        .windows(2)
        .find(|pair| pair[0] == "serve")
        .map(|pair| pair[1].clone());
    // An image with the entry point `vllm serve` takes the model as the first word.
    let first = service
        .get("command")
        .and_then(|command| command.words().into_iter().next());
    let first = first.filter(|word| word.contains('/') && image.is_some());
    let model = option("--model")
        .or(served)
        .or(first)
        .filter(|model| is_plain(model));
    let (args, unknown) = options(&words);
    let devices = service.get("devices").map(Value::items).unwrap_or_default();
    Some(Service {
        image,
        served_name: option("--served-model-name").filter(|name| model.as_ref() != Some(name)),
        model,
        args,
        unknown,
        volumes: service.get("volumes").map(volumes).unwrap_or_default(),
        rocm: devices
            .iter()
            .filter_map(Value::as_text)
            .any(|device| device.starts_with("/dev/kfd")),
    })
}

/// Options that perfgate sets itself, or that a plan must not contain.
const OWN_OPTIONS: [&str; 6] = [
    "--model",
    "--served-model-name",
    "--host",
    "--port",
    "--api-key",
    "--uds",
];

/// The options of a command with their values, and those with unknown values. Empty for a script.
fn options(words: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let is_script = |word: &String| word.contains(['|', ';', '>', '<', '`', '&', '\n']);
    if words.iter().any(is_script) {
        return (known, unknown);
    }
    let is_option = |word: &str| {
        let name = word.strip_prefix('-').unwrap_or_default();
        word.len() > 2 && name.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic())
    };
    let mut option: Vec<String> = Vec::new();
    let mut close = |option: Vec<String>| {
        let name = option.first().and_then(|word| word.split('=').next());
        let is_own = name.is_none_or(|name| OWN_OPTIONS.contains(&name) || name == "-lc");
        if is_own {
            return;
        }
        if option.iter().any(|word| word.contains("${")) {
            unknown.push(option.join(" "));
        } else {
            known.extend(option);
        }
    };
    let begins = |word: &&String| !is_option(word);
    for word in words.iter().skip_while(begins) {
        if is_option(word) {
            close(std::mem::take(&mut option));
        }
        option.push(with_arguments(word, &BTreeMap::new()));
    }
    close(option);
    (known, unknown)
}

/// Names with variables are unknown, and options are not names.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.starts_with('-') && !value.contains(['$', '{', '}'])
}

/// Mounts of folders in their short form, without named volumes.
fn volumes(list: &Value) -> Vec<String> {
    let short = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Map(_) => {
            let (source, target) = (value.text("source")?, value.text("target")?);
            let read_only = value.text("read_only") == Some("true");
            Some(format!(
                "{source}:{target}{}",
                if read_only { ":ro" } else { "" }
            ))
        }
        Value::List(_) => None,
    };
    let home = BTreeMap::from([("HOME".to_owned(), "~".to_owned())]);
    list.items()
        .iter()
        .filter_map(short)
        .map(|mount| with_arguments(&mount, &home))
        .filter(|mount| {
            let is_folder = mount.starts_with(['/', '~', '.']);
            let target = mount.split(':').nth(1).unwrap_or_default();
            is_folder
                && target.starts_with('/')
                && !target.contains(HF_CACHE)
                && !mount.contains('$')
        })
        .collect()
}

impl Value {
    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        let own = entries.iter().find(|(name, _)| name == key);
        let merged = || {
            let merged = entries.iter().filter(|(name, _)| name == "<<");
            merged
                .flat_map(|(_, value)| value.items())
                .find_map(|value| value.get(key))
        };
        own.map(|(_, value)| value).or_else(merged)
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The items of a list; a single value counts as one item.
    fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Map(_) => std::slice::from_ref(self),
        }
    }

    /// The words of a command, from a text or a list.
    fn words(&self) -> Vec<String> {
        let texts = self.items().iter().filter_map(Self::as_text);
        let whole = matches!(self, Self::Text(_));
        let words = texts.flat_map(|text| {
            let is_line = whole || text.contains("vllm serve");
            let words = text.split(move |c: char| is_line && c.is_whitespace());
            words.filter(move |word| !is_line || !matches!(*word, "" | "\\"))
        });
        words
            .map(|word| word.trim_matches(['"', '\'']).to_owned())
            .collect()
    }
}

/// An open collection: a list, or a map with the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Map(Vec<(String, Value)>, Option<String>),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "events without data are skipped"
)]
fn read(text: &str) -> Option<Value> {
    let mut open: Vec<(Open, usize)> = Vec::new();
    let mut anchors: BTreeMap<usize, Value> = BTreeMap::new();
    let mut left = MOST_VALUES;
    for item in Parser::new_from_str(text) {
        let (event, _) = item.ok()?;
        let (value, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (Value::Text(text.into_owned()), anchor),
            Event::Alias(anchor) => (anchors.get(&anchor)?.clone(), 0),
            Event::SequenceStart(_, anchor, _) => {
                open.push((Open::List(Vec::new()), anchor));
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                open.push((Open::Map(Vec::new(), None), anchor));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                (Open::List(items), anchor) => (Value::List(items), anchor),
                (Open::Map(entries, _), anchor) => (Value::Map(entries), anchor),
            },
            _ => continue,
        };
        left = left.checked_sub(size(&value, 0))?;
        if anchor != 0 {
            anchors.insert(anchor, value.clone());
        }
        if open.len() > DEEPEST {
            return None;
        }
        match open.last_mut() {
            None => return Some(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map(entries, key), _)) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => *key = Some(value.as_text().unwrap_or_default().to_owned()),
            },
        }
    }
    None
}

/// Number of values; an alias counts in full.
fn size(value: &Value, depth: usize) -> usize {
    if depth > DEEPEST {
        return MOST_VALUES;
    }
    let inner = match value {
        Value::Text(_) => 0,
        Value::List(items) => items.iter().map(|item| size(item, depth + 1)).sum(),
        Value::Map(entries) => entries.iter().map(|(_, item)| size(item, depth + 1)).sum(),
    };
    inner + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_service_has_image_model_name_and_mounts() {
        let text = r#"
x-env: &env {image: "redis:7"}
services:
  # image: vllm/old
  cache:
    <<: *env
    labels: {note: "image: vllm/not-this"}
  llm:
    image: "vllm/vllm-openai:${TAG:-v0.32.0}" # pinned
    command: ["--model", "Qwen/Qwen3-8B", "--served-model-name=qwen", "--port", "80"]
    volumes:
      - ~/.cache/huggingface:/root/.cache/huggingface
      - ${HOME}/models:/models:ro
      - named:/data
      - {type: bind, source: /srv/templates, target: /templates, read_only: true}
"#;
        let service = vllm_of_compose(text).unwrap();
        assert_eq!(service.image.as_deref(), Some("vllm/vllm-openai:v0.32.0"));
        assert_eq!(service.model.as_deref(), Some("Qwen/Qwen3-8B"));
        assert_eq!(service.served_name.as_deref(), Some("qwen"));
        assert_eq!(service.args, Vec::<String>::new());
        assert_eq!(
            service.volumes,
            ["~/models:/models:ro", "/srv/templates:/templates:ro"]
        );
        assert!(!service.rocm);
    }

    #[test]
    fn the_options_of_a_service_are_those_that_matter_for_the_measurement() {
        let options = |command: &str| {
            let text = format!(
                "services:\n  llm:\n    image: vllm/vllm-openai:v1\n    command: {command}\n"
            );
            let service = vllm_of_compose(&text).unwrap();
            (service.args.join(" "), service.unknown.join(" "))
        };
        for (command, known, unknown) in [
            (
                "--model m/x --served-model-name a b --max-model-len 8192 --port 80 -tp 2 --api-key k",
                "--max-model-len 8192 -tp 2",
                "",
            ),
            (
                "[m/x, --enable-prefix-caching, --override, '{\"a\": 1}', --seed=-1, --shift, -3]",
                "--enable-prefix-caching --override {\"a\": 1} --seed=-1 --shift -3",
                "",
            ),
            (
                "bash -lc 'vllm serve m/x --max-num-seqs ${SEQS:-4} --dtype ${DTYPE}'",
                "--max-num-seqs 4",
                "--dtype ${DTYPE}",
            ),
            ("sh -c 'sleep 1; vllm serve m/x --max-num-seqs 4'", "", ""),
        ] {
            assert_eq!(
                options(command),
                (known.to_owned(), unknown.to_owned()),
                "{command}"
            );
        }
    }

    #[test]
    fn a_service_for_amd_gpus_is_recognised_by_its_devices() {
        let text = "services:\n  llm:\n    image: rocm/vllm:latest\n    devices: [/dev/kfd, /dev/dri]\n    command: vllm serve m/x --served-model-name m/x\n";
        let service = vllm_of_compose(text).unwrap();
        assert!(service.rocm);
        assert_eq!(service.model.as_deref(), Some("m/x"));
        assert_eq!(service.served_name, None);
    }

    #[test]
    fn other_files_have_no_service() {
        for text in [
            "",
            "services: {db: {image: postgres}}",
            "image: vllm/vllm-openai:v1",
            "services:\n  a: {command: [serve, m/x]}",
            "{",
        ] {
            assert_eq!(vllm_of_compose(text), None, "{text}");
        }
        let nested = format!("services: {}", "[".repeat(100));
        assert_eq!(vllm_of_compose(&nested), None);
        // Each line doubles the expanded size of the one before.
        let lines: String = (1..40)
            .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1))
            .collect();
        assert_eq!(vllm_of_compose(&format!("a0: &a0 x\n{lines}")), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(services:|\n|  |llm:|image: vllm|command: |- |&a |\\*a|\\[|\\]|--model|\\PC){0,40}") {
            drop(vllm_of_compose(&text));
        }
    }
}
