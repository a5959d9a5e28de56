//! `perfgate init`.

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  perfgate init --model meta-llama/Llama-3.1-8B-Instruct
      a container on a GPU; the image comes from a Dockerfile or compose file with vLLM
  perfgate init --model M --image ghcr.io/me/vllm:main
  perfgate init --model M --url http://127.0.0.1:8000
  perfgate init --simulator                               try it without a GPU
  perfgate init --model M --dry-run                       show the files without writing them

init writes perfgate.yaml, thresholds.yaml, a line of .gitignore, and .github/workflows/perfgate.yml at the top \
of the repository. Existing files are not changed.";

/// Options of `perfgate init`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Name of the gate [default: name of the repository]
    #[arg(long)]
    pub name: Option<String>,
    /// Model of the server [default: from the compose file, if known]
    #[arg(long, short)]
    pub model: Option<String>,
    /// Measure a container of this image
    #[arg(long, group = "target")]
    pub image: Option<String>,
    /// Measure a running server
    #[arg(long, visible_alias = "base-url", group = "target")]
    pub url: Option<String>,
    /// Measure the embedded server
    #[arg(long, group = "target")]
    pub simulator: bool,
    /// The action that the workflow uses: OWNER/REPOSITORY@COMMIT
    #[arg(long, value_name = "ACTION", value_parser = action)]
    pub action: Option<String>,
    /// Overwrite existing files
    #[arg(long)]
    pub force: bool,
    /// Show the files without writing them
    #[arg(long)]
    pub dry_run: bool,
}

/// `OWNER/REPOSITORY@REF`, the name of an action in a workflow.
fn action(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let (repository, reference) = text.split_once('@').unwrap_or_default();
    let parts = repository.split('/').filter(|part| !part.is_empty());
    if parts.count() == 2 && !reference.is_empty() && text.replacen('@', "", 1).chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write an action as OWNER/REPOSITORY@COMMIT".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_repository_at_a_commit() {
        assert!(action("me/perfgate@0123abc").is_ok());
        for wrong in [
            "",
            "perfgate@v1",
            "me/perfgate",
            "me/perfgate@",
            "me//perfgate@v1@v2",
            "me/p@v1 # x",
            "me/p@v1\n- run: x",
        ] {
            assert!(action(wrong).is_err(), "{wrong}");
        }
    }
}
