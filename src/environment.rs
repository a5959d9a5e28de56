//! The environment of this process, read in one place: functions that need a variable take the look-up as an argument.

use crate::secret;

/// Looks a variable up by name.
pub(crate) type Environment = dyn Fn(&str) -> Option<String> + Sync;

/// Variables by which git finds a repository. They must not reach commands in another repository.
pub(crate) const GIT_LOCATION_VARIABLES: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
];

/// The variable with the key for the server under test.
pub(crate) const API_KEY: &str = "PERFGATE_API_KEY";

/// The only function that reads the environment; functions that need a variable take it as an argument.
pub(crate) fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one function that reads the environment"
    )]
    std::env::var(name).ok()
}

/// All variables that are valid text: a server started here inherits them.
pub(crate) fn full_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The key for the server under test. Secrets read from files often end with a line end, which headers do not allow.
pub(crate) fn api_key(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let key = environment(API_KEY)?.trim().to_owned();
    (!key.is_empty()).then_some(key)
}

/// Masks variables with secret names: a server that inherits them may print them.
pub(crate) fn register_secrets() {
    for (name, value) in full_environment() {
        if secret::is_secret_name(&name) && value.len() >= secret::LONG {
            secret::register(&value);
        }
    }
    if let Some(key) = api_key(&environment) {
        secret::register(&key);
    }
}
