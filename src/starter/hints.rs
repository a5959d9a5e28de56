//! What a repository's own files say of the server that it builds or runs.

/// The image that a Dockerfile builds upon, where that is a vLLM.
pub fn base_of_dockerfile(text: &str) -> Option<String> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let begins = words.next()?.eq_ignore_ascii_case("from");
        let image = words.find(|word| !word.starts_with("--"))?;
        (begins && is_vllm(image)).then(|| image.to_owned())
    };
    // The last stage is what is built.
    text.lines().filter_map(of_line).next_back()
}

/// The image of the first service in a compose file that is a vLLM.
pub fn image_of_compose(text: &str) -> Option<String> {
    let of_line = |line: &str| {
        let value = line
            .trim()
            .trim_start_matches("- ")
            .strip_prefix("image:")?;
        let image = value.split('#').next()?.trim().trim_matches(['"', '\'']);
        is_vllm(image).then(|| image.to_owned())
    };
    text.lines().find_map(of_line)
}

/// The model of the first `--model NAME`, `--model=NAME` or `vllm serve NAME`, however lists and strings write it.
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

/// Names with variables are none: nobody knows what they will be.
fn is_vllm(image: &str) -> bool {
    image.contains("vllm") && !image.contains(['$', '{', '}', '\\'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_image_is_that_of_the_last_stage_with_vllm() {
        let text = "# FROM vllm/old\nARG V=1\nFROM --platform=linux/amd64 vllm/vllm-openai:v0.31.0 AS base\nRUN x\nfrom vllm/vllm-openai:v0.32.0\n";
        assert_eq!(
            base_of_dockerfile(text).as_deref(),
            Some("vllm/vllm-openai:v0.32.0")
        );
        assert_eq!(
            base_of_dockerfile("FROM python:3.12\nRUN pip install vllm"),
            None
        );
        assert_eq!(base_of_dockerfile("FROM vllm/vllm-openai:${V}"), None);
    }

    #[test]
    fn a_compose_file_says_image_and_model() {
        let text = "services:\n  db: {}\n  llm:\n    image: \"vllm/vllm-openai:v0.32.0\" # pinned\n    command: [\"--model\", \"Qwen/Qwen3-8B\", \"--port\", \"80\"]\n";
        assert_eq!(
            image_of_compose(text).as_deref(),
            Some("vllm/vllm-openai:v0.32.0")
        );
        assert_eq!(model_of_command(text).as_deref(), Some("Qwen/Qwen3-8B"));
    }

    #[test]
    fn a_model_is_found_however_the_command_is_written() {
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
        fn no_text_panics(text in "(FROM |image:|--model[ =]|vllm|serve |\\PC|\n|\"){0,40}") {
            base_of_dockerfile(&text);
            image_of_compose(&text);
            model_of_command(&text);
        }
    }
}
