//! What each request carries beside what perfgate sends itself: headers and an extra body.

use crate::cli::bench::LoadArgs;
use crate::config::{Headers, Plan, WrongExtraBody, WrongHeader, check_extra_body, extra_body_of};
use crate::environment::{API_KEY, api_key, environment};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::secret;

/// Lays the flags over the file, name by name and key by key. From here on no text shows the value of a header.
pub(crate) fn lay(args: &LoadArgs, plan: &mut Plan) -> Result<(), Failure> {
    let headers = Headers::of_lines(&args.header).map_err(|wrong| wrong_header(&wrong))?;
    plan.headers.lay(headers);
    plan.headers
        .resolve(&environment)
        .map_err(|wrong| wrong_header(&wrong))?;
    if plan.headers.has("authorization") && api_key(&environment).is_some() {
        let message = format!(
            "the header `Authorization` is given, and so is `{API_KEY}`, which is sent as `Authorization: Bearer …`"
        );
        return Err(Failure::message(ExitStatus::Usage, message)
            .hint(format!("unset `{API_KEY}`, or take the header out")));
    }
    if let Some(text) = &args.extra_body {
        let body = extra_body_of(text).map_err(|wrong| wrong_body(&wrong))?;
        plan.extra_body.extend(body);
    }
    check_extra_body(&plan.extra_body).map_err(|wrong| wrong_body(&wrong))?;
    register_secrets(plan);
    Ok(())
}

/// Before anything is started: a key that no header can carry is refused.
pub(super) fn check_api_key() -> Result<(), Failure> {
    match api_key(&environment) {
        Some(key) if !key.chars().all(|c| matches!(c, ' '..='~')) => {
            let message = format!(
                "the API key in `{API_KEY}` has characters that an HTTP header cannot carry"
            );
            Err(Failure::message(ExitStatus::Usage, message).hint(
                "use ASCII letters, digits and signs, without a line break, and set it again",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Every value is masked in the errors of servers. In all other texts it is masked where it may be a credential: under a
/// telling name, or where it is long and not one word. What names the gate or the model stays, else two of them
/// would look the same.
fn register_secrets(plan: &Plan) {
    let shown = [&plan.name, &plan.model, &plan.served_model_name];
    for (name, value) in plan.headers.sent() {
        if shown.iter().any(|shown| shown.contains(value)) {
            continue;
        }
        secret::register_sent(value);
        let is_word = value.chars().all(|c| c.is_ascii_lowercase());
        if !is_word || secret::is_secret_name(name) {
            secret::register_variable(name, value);
        }
    }
}

/// Masks what was meant for headers on a command line that cannot be read: without quotes, a value is an argument of its own.
pub fn hide_headers(arguments: impl Iterator<Item = String>) {
    let mut follows = false;
    for argument in arguments {
        if argument == "--header" {
            follows = true;
        } else if let Some(header) = argument.strip_prefix("--header=") {
            follows = true;
            hide_value(header);
        } else if argument.starts_with('-') {
            follows = false;
        } else if follows {
            hide_value(&argument);
        }
    }
}

/// What follows the name in `NAME: VALUE`, and all of it where there is none.
fn hide_value(header: &str) {
    secret::register(header.split_once(':').map_or(header, |(_, value)| value));
}

fn wrong_header(wrong: &WrongHeader) -> Failure {
    Failure::message(ExitStatus::Usage, wrong.to_string()).hint(wrong.hint())
}

fn wrong_body(wrong: &WrongExtraBody) -> Failure {
    Failure::message(ExitStatus::Usage, wrong.to_string()).hint(wrong.hint())
}
