//! Meaning of GitHub's answers: done, wait, retry, or refused. Pure.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A complete answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// How to handle an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Success.
    Done,
    /// Rate limited, without effect: retry after this number of seconds.
    Wait(u64),
    /// The server failed; the request may have had its effect.
    Unclear,
    /// Refused permanently.
    Refused(Refusal),
}

/// Why GitHub refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The token lacks the permission.
    Permission,
    /// The conversation is locked.
    Locked,
    /// The body is longer than GitHub's limit.
    TooLong,
    /// The token is invalid or expired.
    Token,
    /// It does not exist, or the token may not see it.
    Absent,
    /// Anything else.
    Other,
}

impl Refusal {
    /// What to do, as the end of a sentence. `permission` is the permission that the job needs.
    pub fn advice(self, permission: &str, from_fork: bool) -> String {
        match self {
            Self::Permission if from_fork => "; the token of a fork's pull request is read-only: publish in a `workflow_run` with `perfgate comment --artifact` (docs/reference/github.md)".to_owned(),
            Self::Permission => format!("; the token lacks the permission: give the job\n    permissions:\n      {permission}"),
            Self::Locked => "; the conversation is locked: unlock it, or use `--comment never`".to_owned(),
            Self::Token => "; the token is invalid or expired".to_owned(),
            Self::Absent => format!("; it does not exist, or the token lacks the permission: give the job\n    permissions:\n      {permission}"),
            Self::TooLong | Self::Other => String::new(),
        }
    }
}

/// GitHub's rule for a secondary limit without `Retry-After`.
const SECONDARY_WAIT: u64 = 60;

/// Upper bound of a wait, so that sums cannot overflow.
const MAX_WAIT: u64 = 1 << 20;

/// The meaning of an answer. `limited` is the number of earlier rate limits, `now` the seconds since the Unix epoch.
pub(super) fn meaning(answer: &Answer, limited: u32, now: u64) -> Meaning {
    let number = |name: &str| {
        let value = answer.headers.get(name)?.to_str().ok()?;
        value.trim().parse::<u64>().ok()
    };
    let message = message(&answer.body).to_lowercase();
    let says = |text: &str| message.contains(text);
    match answer.status {
        200..=299 => Meaning::Done,
        403 | 429 => {
            let doubled = SECONDARY_WAIT.saturating_mul(1 << limited.min(16));
            if let Some(seconds) = number("retry-after") {
                Meaning::Wait(seconds.clamp(1, MAX_WAIT))
            } else if number("x-ratelimit-remaining") == Some(0) {
                let reset = number("x-ratelimit-reset").unwrap_or(now + doubled);
                // Add a second for differences between clocks.
                Meaning::Wait((reset.saturating_sub(now) + 1).min(MAX_WAIT))
            } else if answer.status == 429
                || says("secondary rate limit")
                || says("abuse detection")
            {
                Meaning::Wait(doubled)
            } else if says("locked") {
                Meaning::Refused(Refusal::Locked)
            } else if says("not accessible") || says("must have") {
                Meaning::Refused(Refusal::Permission)
            } else {
                Meaning::Refused(Refusal::Other)
            }
        }
        408 | 500..=599 => Meaning::Unclear,
        401 => Meaning::Refused(Refusal::Token),
        404 | 410 => Meaning::Refused(Refusal::Absent),
        422 if says("too long") || String::from_utf8_lossy(&answer.body).contains("too long") => {
            Meaning::Refused(Refusal::TooLong)
        }
        _ => Meaning::Refused(Refusal::Other),
    }
}

/// GitHub's `message` with its errors for each field, or the beginning of another server's answer.
pub(super) fn message(body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(message) = error["message"].as_str() else {
        return String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    };
    let reasons = error["errors"].as_array().into_iter().flatten();
    let reasons: Vec<String> = reasons.filter_map(reason).take(MAX_REASONS).collect();
    if reasons.is_empty() {
        message.to_owned()
    } else {
        format!("{message}: {}", reasons.join("; "))
    }
}

/// Maximum number of shown reasons of a refusal.
const MAX_REASONS: usize = 3;

/// One of `errors`: a text, or an object with a `message`, or else with the field and a code.
fn reason(error: &Value) -> Option<String> {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let said = error.as_str().or_else(|| text("message"));
    said.map(str::to_owned).or_else(|| {
        let (field, code) = (text("field")?, text("code")?);
        Some(format!("{field}: {code}"))
    })
}

/// The address of the next page in a `Link` header: `<https://…?page=2>; rel="next", <…>; rel="last"`.
pub(super) fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get("link")?.to_str().ok()?;
    for link in links.split('<').skip(1) {
        let (address, parameters) = link.split_once('>')?;
        let mut parameters = parameters.split([';', ',']).map(str::trim);
        if parameters.any(|parameter| matches!(parameter, r#"rel="next""# | "rel=next")) {
            return Some(address.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Answer {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn of(status: u16, headers: &[(&str, &str)], message: &str) -> Meaning {
        let body = serde_json::json!({"message": message}).to_string();
        meaning(&answer(status, headers, &body), 1, 1000)
    }

    #[test]
    fn the_four_kinds_of_403_are_distinguished() {
        let secondary = "You have exceeded a secondary rate limit.";
        let permission = Meaning::Refused(Refusal::Permission);
        assert_eq!(
            of(403, &[("retry-after", "7")], secondary),
            Meaning::Wait(7)
        );
        assert_eq!(of(403, &[], secondary), Meaning::Wait(120), "doubled");
        assert_eq!(of(429, &[], ""), Meaning::Wait(120));
        let primary = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1030"),
        ];
        assert_eq!(
            of(403, &primary, "API rate limit exceeded"),
            Meaning::Wait(31)
        );
        assert_eq!(
            of(403, &[], "Resource not accessible by integration"),
            permission
        );
        let locked = "Unable to create comment because issue is locked.";
        assert_eq!(of(403, &[], locked), Meaning::Refused(Refusal::Locked));
        // With a remaining allowance it is not a rate limit.
        let allowed = [("x-ratelimit-remaining", "12")];
        assert_eq!(
            of(403, &allowed, "Resource not accessible by integration"),
            permission
        );
    }

    #[test]
    fn a_server_failure_is_unclear_and_a_refusal_is_final() {
        assert_eq!(of(502, &[], ""), Meaning::Unclear);
        assert_eq!(of(201, &[], ""), Meaning::Done);
        assert_eq!(
            of(401, &[], "Bad credentials"),
            Meaning::Refused(Refusal::Token)
        );
        let long = answer(
            422,
            &[],
            r#"{"message":"Validation Failed","errors":[{"message":"Body is too long (maximum is 65536 characters)"}]}"#,
        );
        assert_eq!(meaning(&long, 0, 0), Meaning::Refused(Refusal::TooLong));
    }

    #[test]
    fn a_refusal_lists_the_errors_of_each_field() {
        let of = |body: &str| message(body.as_bytes());
        assert_eq!(
            of(
                r#"{"message":"Validation Failed","errors":[{"resource":"Status","code":"custom","field":"target_url","message":"target_url must use http(s) scheme"}]}"#
            ),
            "Validation Failed: target_url must use http(s) scheme"
        );
        assert_eq!(
            of(
                r#"{"message":"Validation Failed","errors":["a", {"field":"sha","code":"invalid"}, 7]}"#
            ),
            "Validation Failed: a; sha: invalid"
        );
        assert_eq!(of(r#"{"message":"No","errors":"odd"}"#), "No");
        assert_eq!(of("<html>"), "<html>");
    }

    #[test]
    fn the_next_page_comes_from_the_header() {
        let link = r#"<https://x/repositories/1/comments?page=1>; rel="prev", <https://x/repositories/1/comments?page=3>; rel="next", <https://x/l>; rel="last""#;
        let headers = answer(200, &[("link", link)], "").headers;
        assert_eq!(
            next_page(&headers).as_deref(),
            Some("https://x/repositories/1/comments?page=3")
        );
        let last = answer(200, &[("link", r#"<https://x/l>; rel="last""#)], "").headers;
        assert_eq!(next_page(&last), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(
            status in 100_u16..999,
            value in "[ -~]{0,30}",
            link in "(<|>|;|,| |rel=\"next\"|https://x|\"){0,20}",
            body in prop::collection::vec(any::<u8>(), 0..300),
            limited in any::<u32>(),
            now in any::<u32>()
        ) {
            let headers = [("retry-after", value.as_str()), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &value), ("link", &link)];
            let mut odd = answer(status, &headers, "");
            odd.body = body;
            let _next = next_page(&odd.headers);
            let _message = message(&odd.body);
            if let Meaning::Wait(seconds) = meaning(&odd, limited, u64::from(now)) {
                prop_assert!((1..=MAX_WAIT * 64).contains(&seconds));
            }
        }
    }
}
