//! The environment of this process, read in one place: a function that needs a variable gets the look-up as an argument.

use crate::secret;

/// Looks a variable up by name.
pub(crate) type Environment = dyn Fn(&str) -> Option<String> + Sync;

/// Variables by which git finds a repository: they must not reach a command that runs in another one.
pub(crate) const PLACES_OF_GIT: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
];

/// The variable with the key for the server under test.
pub(crate) const API_KEY: &str = "PERFGATE_API_KEY";

/// The only place that reads the environment; what needs a variable gets this as an argument.
pub(crate) fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the place where a reader looks for it"
    )]
    std::env::var(name).ok()
}

/// All of it that is text: what a server that is started here inherits.
pub(crate) fn whole_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The key for the server under test. A secret that is read from a file often ends with a line end, which no header can carry.
pub(crate) fn api_key(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let key = environment(API_KEY)?.trim().to_owned();
    (!key.is_empty()).then_some(key)
}

/// Variables with the name of a secret are masked: a server that inherits them may print them.
pub(crate) fn register_secrets() {
    for (name, value) in whole_environment() {
        if secret::is_secret_name(&name) && value.len() >= secret::LONG {
            secret::register(&value);
        }
    }
    if let Some(key) = api_key(&environment) {
        secret::register(&key);
    }
}
