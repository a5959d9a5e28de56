//! Hints about the server from a repository's own files.

use std::collections::BTreeMap;

/// The base image of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A vLLM image that registries know.
    Vllm(String),
    /// Another image, although a stage has vLLM in its name.
    Other(String),
}

/// Most stages that are followed.
const MOST_STAGES: usize = 64;

/// The base image of a Dockerfile's last stage, which is the one that is built: stages based on others are followed, and
/// arguments have their values from the file. `None` if the base is unknown or has nothing to do with vLLM.
pub fn base_of_dockerfile(text: &str) -> Option<Base> {
    let mut arguments = BTreeMap::new();
    let mut stages: Vec<(String, Option<String>)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default();
        if instruction.eq_ignore_ascii_case("arg") && stages.is_empty() {
            let given = words.filter_map(|word| word.split_once('='));
            arguments.extend(given.map(|(name, value)| (name.to_owned(), unquoted(value))));
        } else if instruction.eq_ignore_ascii_case("from") {
            let mut words = words.filter(|word| !word.starts_with("--"));
            let image = with_arguments(words.next()?, &arguments);
            let is_named = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("as"));
            let name = words.next().filter(|_| is_named).map(str::to_lowercase);
            stages.push((image, name));
        }
    }
    let mut at = stages.len().checked_sub(1)?;
    let mut of_vllm = false;
    for _stage in 0..MOST_STAGES {
        let (image, name) = stages.get(at)?;
        of_vllm |= is_vllm(image) || name.as_deref().is_some_and(is_vllm);
        // A stage can only be based on earlier ones.
        let above = stages.iter().take(at);
        let stage = above
            .rev()
            .position(|(_, name)| name.as_deref() == Some(image.to_lowercase().as_str()));
        match stage {
            Some(back) => at -= back + 1,
            None if is_vllm(image) => return Some(Base::Vllm(image.clone())),
            None if of_vllm && !image.contains('$') => return Some(Base::Other(image.clone())),
            None => return None,
        }
    }
    None
}

/// `${NAME}`, `${NAME:-value}` and `$NAME` replaced, if a value is known.
pub(super) fn with_arguments(image: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut whole = String::new();
    let mut rest = image;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        let braced = after.strip_prefix('{');
        let (name, end) = braced
            .and_then(|inner| inner.split_once('}'))
            .unwrap_or_else(|| {
                let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                after.split_at(after.find(is_end).unwrap_or(after.len()))
            });
        let (name, usual) = name.split_once(":-").unwrap_or((name, ""));
        match arguments.get(name) {
            Some(value) => whole.push_str(value),
            None if !usual.is_empty() => whole.push_str(usual),
            None => {
                whole.push_str("${");
                whole.push_str(name);
                whole.push('}');
            }
        }
        rest = end;
    }
    whole + rest
}

fn unquoted(value: &str) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

/// The model of the first `--model NAME`, `--model=NAME` or `vllm serve NAME`, in any list or string syntax.
pub fn model_of_command(text: &str) -> Option<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<&str> = lines
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"'[],".contains(c)))
        .filter(|word| !word.is_empty() && *word != "-" && *word != "\\")
        .collect();
    let named = words
        .iter()
        .enumerate()
        .find_map(|(index, word)| match *word {
            "--model" => words.get(index + 1).copied(),
            "serve" if index > 0 && words[index - 1].ends_with("vllm") => {
                words.get(index + 1).copied()
            }
            other => other.strip_prefix("--model="),
        })?;
    let is_name = !named.is_empty() && !named.starts_with('-') && !named.contains(['$', '{', '}']);
    is_name.then(|| named.to_owned())
}

/// Whether it names a vLLM image. Names with variables do not count, because their values are unknown.
pub(super) fn is_vllm(image: &str) -> bool {
    image.contains("vllm") && !image.contains(['$', '{', '}', '\\'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_image_is_that_of_the_last_stage_with_vllm() {
        let text = "# FROM vllm/old\nARG V=1\nFROM --platform=linux/amd64 vllm/vllm-openai:v0.31.0 AS base\nRUN x\nfrom vllm/vllm-openai:v0.32.0\n";
        let vllm = |tag: &str| Some(Base::Vllm(format!("vllm/vllm-openai:{tag}")));
        assert_eq!(base_of_dockerfile(text), vllm("v0.32.0"));
        assert_eq!(
            base_of_dockerfile("FROM python:3.12\nRUN pip install vllm"),
            None
        );
        assert_eq!(base_of_dockerfile("FROM vllm/vllm-openai:${V}"), None);
        for text in [
            "ARG V=v1\nFROM vllm/vllm-openai:${V}",
            "ARG V=\"v1\"\nFROM vllm/vllm-openai:$V AS app",
            "FROM vllm/vllm-openai:${V:-v1}",
        ] {
            assert_eq!(base_of_dockerfile(text), vllm("v1"), "{text}");
        }
    }

    #[test]
    fn stages_are_followed_to_their_base_image() {
        let app = "FROM vllm/vllm-openai:v0.31.0 AS vllm-runtime\nRUN x\nFROM vllm-runtime AS app\nCOPY . /app\n";
        assert_eq!(
            base_of_dockerfile(app),
            Some(Base::Vllm("vllm/vllm-openai:v0.31.0".to_owned()))
        );
        let own = "ARG C=12.9\nFROM nvidia/cuda:${C}-devel AS base\nFROM base AS vllm-base\nFROM vllm-base AS vllm-openai\n";
        assert_eq!(
            base_of_dockerfile(own),
            Some(Base::Other("nvidia/cuda:12.9-devel".to_owned()))
        );
        // A stage with the name of its own image is not a cycle.
        assert_eq!(
            base_of_dockerfile("FROM vllm AS vllm"),
            Some(Base::Vllm("vllm".to_owned()))
        );
        assert_eq!(
            base_of_dockerfile("FROM vllm/x:1 AS one\nFROM python:3\n"),
            None
        );
    }

    #[test]
    fn a_model_is_found_in_every_syntax_of_the_command() {
        for text in [
            "command: --model m/x --port 1",
            "command:\n  - --model\n  - m/x\n",
            "command:\n  - --model=m/x\n",
            "CMD [\"vllm\", \"serve\", \"m/x\"]",
            "# --model old\nvllm serve m/x",
        ] {
            assert_eq!(model_of_command(text).as_deref(), Some("m/x"), "{text}");
        }
        for text in ["--model ${MODEL}", "--model --port", "serve m/x", ""] {
            assert_eq!(model_of_command(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(FROM |ARG A=| AS |\\$\\{|image:|--model[ =]|vllm|serve |\\PC|\n|\"){0,40}") {
            base_of_dockerfile(&text);
            model_of_command(&text);
        }
    }
}
