//! Extra headers and body keys of each request.

use crate::cli::bench::LoadArgs;
use crate::config::{Headers, Plan, WrongExtraBody, WrongHeader, check_extra_body, extra_body_of};
use crate::environment::{API_KEY, api_key, environment};
use crate::failure::Failure;
use crate::secret;

/// Overrides the file with the flags, by header name and body key. From here on header values are masked.
pub(crate) fn lay(args: &LoadArgs, plan: &mut Plan) -> Result<(), Failure> {
    let headers = Headers::of_lines(&args.header).map_err(|wrong| wrong_header(&wrong))?;
    plan.headers.override_with(headers);
    plan.headers
        .resolve(&environment)
        .map_err(|wrong| wrong_header(&wrong))?;
    if plan.headers.has("authorization") && api_key(&environment).is_some() {
        let message = format!(
            "both the header `Authorization` and `{API_KEY}`, which is sent as `Authorization: Bearer …`, are set"
        );
        return Err(
            Failure::usage(message).hint(format!("unset `{API_KEY}`, or remove the header"))
        );
    }
    if let Some(text) = &args.extra_body {
        let body = extra_body_of(text).map_err(|wrong| wrong_body(&wrong))?;
        plan.extra_body.extend(body);
    }
    check_extra_body(&plan.extra_body).map_err(|wrong| wrong_body(&wrong))?;
    register_secrets(plan);
    Ok(())
}

/// Refuses a key that is not valid in a header, before any start.
pub(super) fn check_api_key() -> Result<(), Failure> {
    match api_key(&environment) {
        Some(key) if !key.chars().all(|c| matches!(c, ' '..='~')) => {
            let message = format!(
                "the API key in `{API_KEY}` has characters that are not allowed in HTTP headers"
            );
            Err(Failure::usage(message)
                .hint("set a key of printable ASCII characters without line breaks"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Masks every value in errors of servers. In other text it masks values that may be credentials: with a secret name, or
/// long and not one word. Names of the gate or the model stay visible, so that they stay distinguishable.
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

/// Masks header values on an invalid command line: without quotes, a value is a separate argument.
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

/// Masks the value of `NAME: VALUE`, or the whole text without a colon.
fn hide_value(header: &str) {
    secret::register(header.split_once(':').map_or(header, |(_, value)| value));
}

fn wrong_header(wrong: &WrongHeader) -> Failure {
    Failure::usage(wrong.to_string()).hint(wrong.hint())
}

fn wrong_body(wrong: &WrongExtraBody) -> Failure {
    Failure::usage(wrong.to_string()).hint(wrong.hint())
}
