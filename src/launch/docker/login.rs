//! Logins that `docker login` stored. The engine keeps no passwords, so each pull request must carry one.

use std::process::Stdio;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Phase;
use super::address::{Lookup, docker_folder};
use crate::{files, secret};

/// The registry of a reference without one, as the docker program stores it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A helper that opens a key store waits for ever for a password on a machine without a user.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// A helper answers at once; a longer wait is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// A login is some kilobytes at most.
const LONGEST_LOGIN: u64 = 64 << 10;

/// The user name of a login that is a token.
const TOKEN_USER: &str = "<token>";

/// Output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The login for the registry of an image, from `config.json` or from the credential helper in it; `None` without one.
/// An unreadable login is reported and ignored: the registry decides whether it needs one.
pub(super) async fn find(
    reference: &str,
    lookup: Lookup<'_>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Option<DockerCredentials> {
    let registry = registry_of(reference);
    let path = docker_folder(lookup)?.join("config.json");
    let text = files::read_text(&path).ok()?;
    let helper = helper_for(registry, &text);
    let found = match &helper {
        Some(helper) => ask_helper(helper, registry, HELPER_TIMEOUT, progress).await,
        None => stored(registry, &text).map_err(|error| format!("`{}`: {error}", path.display())),
    };
    match found {
        Ok(login) => login,
        Err(reason) => {
            tracing::warn!("no login for {registry}: {reason}");
            None
        }
    }
}

/// The credential helper of a registry.
fn helper_for(registry: &str, config: &str) -> Option<String> {
    let config: Value = serde_json::from_str(config).ok()?;
    let of_registry = config.get("credHelpers").and_then(|all| all.get(registry));
    let helper = of_registry.or_else(|| config.get("credsStore"))?.as_str()?;
    (!helper.is_empty()).then(|| format!("docker-credential-{helper}"))
}

/// The login that the file itself contains.
fn stored(registry: &str, config: &str) -> Result<Option<DockerCredentials>, String> {
    match get_credential_from_reader(config.as_bytes(), registry) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(login(registry, &username, password)))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(login(registry, TOKEN_USER, token))),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound,
        ) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn login(registry: &str, username: &str, password: String) -> DockerCredentials {
    secret::register(&password);
    let mut login = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    if username == TOKEN_USER {
        login.identitytoken = Some(password);
    } else {
        login.username = Some(username.to_owned());
        login.password = Some(password);
    }
    login
}

/// Asks the helper, and waits for at most `timeout`. Its output may contain the password, so it is never shown. On drop
/// the helper is killed.
async fn ask_helper(
    helper: &str,
    registry: &str,
    timeout: Duration,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Option<DockerCredentials>, String> {
    let waited = async {
        tokio::time::sleep(REPORT_AFTER.min(timeout)).await;
        progress(Phase::AskingForLogin {
            helper: helper.to_owned(),
            at_most: timeout,
        });
        tokio::time::sleep(timeout.saturating_sub(REPORT_AFTER)).await;
    };
    let answer = tokio::select! {
        biased;
        answer = run_helper(helper, registry) => answer?,
        () = waited => return Err(format!(
            "the credential helper `{helper}` did not answer within {} s; it may wait for a password of a key store",
            timeout.as_secs()
        )),
    };
    Ok(answer.map(|answer| login(registry, &answer.username, answer.secret)))
}

async fn run_helper(helper: &str, registry: &str) -> Result<Option<Answer>, String> {
    let failed = |reason: &str| format!("the credential helper `{helper}` {reason}");
    let mut child = tokio::process::Command::new(helper)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format!("does not start: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input still answers.
        drop(stdin.write_all(registry.as_bytes()).await);
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(LONGEST_LOGIN).read_to_end(&mut output).await;
        read.map_err(|error| failed(&format!("has unreadable output: {error}")))?;
    }
    let status = child.wait().await;
    if !status.is_ok_and(|status| status.success()) {
        // The helper's output if it has no login, as for a public registry.
        return if String::from_utf8_lossy(&output).contains("credentials not found") {
            Ok(None)
        } else {
            Err(failed("failed"))
        };
    }
    let answer = serde_json::from_slice(&output);
    answer.map(Some).map_err(|error| {
        failed(&format!(
            "printed something other than a login (column {})",
            error.column()
        ))
    })
}

/// The first part of a reference is a registry if it contains a dot or a port, or is `localhost`.
fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" => DOCKER_HUB,
            registry => registry,
        },
        Some(_) | None => DOCKER_HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn login(config: &str, reference: &str) -> Option<DockerCredentials> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        files::write_atomically(&path, config.as_bytes()).unwrap();
        let place = folder.path().display().to_string();
        let lookup = move |name: &str| (name == "DOCKER_CONFIG").then(|| place.clone());
        find(reference, &lookup, &|_| {}).await
    }

    /// A helper that runs the script.
    fn helper(folder: &tempfile::TempDir, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join("docker-credential-test");
        files::write_atomically(&path, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn a_helper_gets_the_registry_and_is_given_up_if_it_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let ask = async |script: &str, timeout: u64| {
            let helper = helper(&folder, script);
            let timeout = Duration::from_millis(timeout);
            let phases = std::sync::Mutex::new(Vec::new());
            let report = |phase: Phase| phases.lock().unwrap().push(phase.to_string());
            let found = ask_helper(&helper, "ghcr.io", timeout, &report).await;
            (found, phases.into_inner().unwrap())
        };
        let answer =
            r#"read -r registry; echo "{\"Username\": \"me at $registry\", \"Secret\": \"s\"}""#;
        let (found, _) = ask(answer, 30_000).await;
        let found = found.unwrap().unwrap();
        assert_eq!(found.username.as_deref(), Some("me at ghcr.io"));
        let token = r#"echo '{"Username": "<token>", "Secret": "t"}'"#;
        let found = ask(token, 30_000).await.0.unwrap().unwrap();
        assert_eq!(found.identitytoken.as_deref(), Some("t"));
        let none = ask(
            "echo credentials not found in native keychain; exit 1",
            30_000,
        )
        .await;
        assert!(none.0.unwrap().is_none());
        let failed = ask("echo my-secret; exit 1", 30_000).await.0.unwrap_err();
        assert!(failed.ends_with("failed") && !failed.contains("my-secret"));
        let (hung, phases) = ask("exec sleep 60", 100).await;
        assert!(hung.unwrap_err().contains("did not answer within"));
        assert!(phases[0].contains("docker-credential-test"));
    }

    /// `me:open-sesame` in base64.
    const AUTH: &str = "bWU6b3Blbi1zZXNhbWU=";

    #[tokio::test]
    async fn a_login_is_for_the_registry_of_the_image_alone() {
        let config = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{AUTH}"}}, "https://index.docker.io/v1/": {{"identitytoken": "t"}}}}}}"#
        );
        let found = login(&config, "ghcr.io/me/vllm:pr-7").await.unwrap();
        assert_eq!(found.username.as_deref(), Some("me"));
        assert_eq!(found.password.as_deref(), Some("open-sesame"));
        assert_eq!(found.serveraddress.as_deref(), Some("ghcr.io"));
        for of_hub in [
            "vllm/vllm-openai:v1",
            "ubuntu",
            "docker.io/vllm/vllm-openai",
        ] {
            let found = login(&config, of_hub).await.unwrap();
            assert_eq!(found.identitytoken.as_deref(), Some("t"), "{of_hub}");
        }
        assert!(login(&config, "localhost:5000/vllm").await.is_none());
    }

    #[tokio::test]
    async fn an_unreadable_login_is_ignored() {
        for broken in [
            "rubbish",
            "{}",
            r#"{"auths": {"ghcr.io": {"auth": "%%%"}}}"#,
            r#"{"credsStore": "no-such-helper"}"#,
        ] {
            assert!(login(broken, "ghcr.io/me/vllm").await.is_none(), "{broken}");
        }
        assert!(find("ghcr.io/me/vllm", &|_| None, &|_| {}).await.is_none());
    }
}
