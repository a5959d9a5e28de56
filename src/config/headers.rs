//! Extra request headers. perfgate shows their names and never their values.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::limits::{self, Limit};

/// Headers that the load generator sends itself, and headers that change framing or connection handling.
const OWN: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Extra headers, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The key is the name in lower case.
    by_name: BTreeMap<String, Header>,
}

#[derive(Clone, PartialEq, Eq)]
struct Header {
    /// The name as given and sent.
    name: String,
    value: HeaderValue,
}

/// Where the value of a header comes from.
#[derive(Clone, PartialEq, Eq)]
enum HeaderValue {
    /// The value itself.
    Given(String),
    /// The name of an environment variable of perfgate that contains the value.
    Variable {
        variable: String,
        /// The value, once it is read from the environment.
        value: Option<String>,
    },
}

/// Why a header is refused. Messages never contain a value, nor a name that may be a misplaced value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongHeader {
    /// Position on the command line, counted from 1.
    #[error("`--header` number {0} has no colon between name and value")]
    NoColon(usize),
    /// Position on the command line, counted from 1.
    #[error("`--header` number {0} has an empty name or a name with a forbidden character")]
    NameOfFlag(usize),
    /// In the file.
    #[error("the name of a header is empty or has a forbidden character")]
    Name,
    /// The load generator sets this header.
    #[error("perfgate sets the header `{0}` itself")]
    Own(String),
    /// No text follows the colon.
    #[error("the header `{0}` has no value")]
    NoValue(String),
    /// A control character, or a character outside ASCII.
    #[error("the value of the header `{0}` has a character that is not allowed in headers")]
    Value(String),
    /// The same name twice; case does not matter.
    #[error("the header `{0}` is given twice")]
    Twice(String),
    /// Not a text and not the name of a variable.
    #[error("the header `{0}` must be one text, or `{{env: VARIABLE}}`")]
    Shape(String),
    /// The environment variable is missing.
    #[error(
        "the header `{name}` takes its value from the variable `{variable}`, which is unset or empty"
    )]
    Unset {
        /// Name of the header.
        name: String,
        /// Name of the environment variable.
        variable: String,
    },
    /// All headers together are too large.
    #[error("the headers from `headers` and `--header` {0}")]
    TooLarge(Limit),
}

impl WrongHeader {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoColon(_) => "write `--header 'NAME: VALUE'`, in quotes",
            Self::NameOfFlag(_) | Self::Name => {
                "use letters, digits and signs such as `-` and `_`, without spaces: `X-Route`"
            }
            Self::Own(_) => "remove it",
            Self::NoValue(_) => {
                "set a value or remove the header; an unset shell variable expands to an empty value"
            }
            Self::Value(_) => "use printable ASCII, spaces and tabs, without line breaks",
            Self::Twice(_) => "keep one of them; names do not depend on upper and lower case",
            Self::Shape(_) => {
                "write `X-Route: canary`, or `X-Key: {env: GATEWAY_KEY}` for a value from perfgate's own environment"
            }
            Self::Unset { .. } => "set the variable, or remove the header",
            Self::TooLarge(_) => "make them smaller: servers refuse large headers",
        }
    }
}

impl Headers {
    /// Headers from the command line, each `NAME: VALUE`.
    pub fn of_lines(lines: &[String]) -> Result<Self, WrongHeader> {
        let mut headers = Self::default();
        for (place, line) in lines.iter().enumerate() {
            let number = place + 1;
            let (name, value) = line.split_once(':').ok_or(WrongHeader::NoColon(number))?;
            headers.add(name.trim(), value).map_err(|wrong| {
                if wrong == WrongHeader::Name {
                    WrongHeader::NameOfFlag(number)
                } else {
                    wrong
                }
            })?;
        }
        Ok(headers)
    }

    /// Adds a header with its value.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), WrongHeader> {
        check_name(name)?;
        let value = checked_value(name, value)?;
        self.insert(name, HeaderValue::Given(value))
    }

    /// Adds a header whose value is in an environment variable.
    pub fn add_variable(&mut self, name: &str, variable: &str) -> Result<(), WrongHeader> {
        check_name(name)?;
        if !is_name(variable) {
            return Err(WrongHeader::Shape(name.to_owned()));
        }
        let value = HeaderValue::Variable {
            variable: variable.to_owned(),
            value: None,
        };
        self.insert(name, value)
    }

    fn insert(&mut self, name: &str, value: HeaderValue) -> Result<(), WrongHeader> {
        let header = Header {
            name: name.to_owned(),
            value,
        };
        match self.by_name.insert(name.to_ascii_lowercase(), header) {
            Some(_) => Err(WrongHeader::Twice(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Overrides headers with others of the same name and adds the rest.
    pub fn override_with(&mut self, over: Self) {
        self.by_name.extend(over.by_name);
    }

    /// Reads the values of variables from the environment; then all headers can be sent.
    pub fn resolve(
        &mut self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), WrongHeader> {
        for Header { name, value } in self.by_name.values_mut() {
            if let HeaderValue::Variable { variable, value } = value {
                let found = environment(variable).filter(|found| !found.trim().is_empty());
                let found = found.ok_or_else(|| WrongHeader::Unset {
                    name: name.clone(),
                    variable: variable.clone(),
                })?;
                // A secret that is read from a file often ends with a line end.
                *value = Some(checked_value(name, found.trim())?);
            }
        }
        let bytes: usize = self
            .sent()
            .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
            .sum();
        if bytes as u64 > limits::HEADERS.bytes {
            return Err(WrongHeader::TooLarge(limits::HEADERS));
        }
        Ok(())
    }

    /// Names and values as sent. Call `resolve` first to include values of variables.
    pub fn sent(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.values().filter_map(|header| {
            let value = match &header.value {
                HeaderValue::Given(value) => value,
                HeaderValue::Variable { value, .. } => value.as_ref()?,
            };
            Some((header.name.as_str(), value.as_str()))
        })
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.by_name
            .values()
            .map(|header| header.name.clone())
            .collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether there is a header of that name, given in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Each header as text for the workload's digest: its name and a hash of its value. A value from the environment is a
    /// credential, which can change while the request stays the same: for it only the name counts.
    pub fn described(&self) -> impl Iterator<Item = String> {
        self.by_name
            .iter()
            .map(|(name, header)| match &header.value {
                HeaderValue::Given(value) => {
                    format!("{name} sha256:{:x}", Sha256::digest(value.as_bytes()))
                }
                HeaderValue::Variable { .. } => format!("{name} of the environment"),
            })
    }
}

impl fmt::Debug for Headers {
    /// Shows no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.described()).finish()
    }
}

/// A token (RFC 9110 §5.6.2) that is not the load generator's.
fn check_name(name: &str) -> Result<(), WrongHeader> {
    if !is_header_name(name) {
        return Err(WrongHeader::Name);
    }
    if OWN.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(WrongHeader::Own(name.to_owned()));
    }
    Ok(())
}

/// Whether `text` can be the name of an environment variable.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a header can have this name.
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_token)
}

/// The value without surrounding whitespace (RFC 9110 §5.5).
fn checked_value(name: &str, value: &str) -> Result<String, WrongHeader> {
    let value = value.trim_matches([' ', '\t']);
    if value.is_empty() {
        return Err(WrongHeader::NoValue(name.to_owned()));
    }
    if !value.chars().all(|c| matches!(c, ' '..='~' | '\t')) {
        return Err(WrongHeader::Value(name.to_owned()));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let settled = Headers::of_lines(&lines).and_then(|mut headers| {
            headers.resolve(&|_| None)?;
            Ok(headers)
        });
        match settled {
            Ok(headers) => {
                let sent = headers
                    .sent()
                    .map(|(name, value)| format!("{name}={value}"));
                sent.collect::<Vec<String>>().join(", ")
            }
            Err(wrong) => format!("{wrong}; {}", wrong.hint()),
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        insta::assert_snapshot!(message(&["X-Route: canary", "b:\t a: \"b\" ", "Authorization:Bearer x"]), @r#"Authorization=Bearer x, b=a: "b", X-Route=canary"#);
    }

    #[test]
    fn a_forbidden_header_is_refused_and_its_value_never_shown() {
        insta::assert_snapshot!(message(&["A: b", "sesame"]), @"`--header` number 2 has no colon between name and value; write `--header 'NAME: VALUE'`, in quotes");
        insta::assert_snapshot!(message(&["Bearer sesame: x"]), @"`--header` number 1 has an empty name or a name with a forbidden character; use letters, digits and signs such as `-` and `_`, without spaces: `X-Route`");
        insta::assert_snapshot!(message(&["A\r\nX: sesame"]), @"`--header` number 1 has an empty name or a name with a forbidden character; use letters, digits and signs such as `-` and `_`, without spaces: `X-Route`");
        insta::assert_snapshot!(message(&[": sesame"]), @"`--header` number 1 has an empty name or a name with a forbidden character; use letters, digits and signs such as `-` and `_`, without spaces: `X-Route`");
        insta::assert_snapshot!(message(&["X-Key: sesame\r\nHost: evil"]), @"the value of the header `X-Key` has a character that is not allowed in headers; use printable ASCII, spaces and tabs, without line breaks");
        insta::assert_snapshot!(message(&["X-Key: sesame\0"]), @"the value of the header `X-Key` has a character that is not allowed in headers; use printable ASCII, spaces and tabs, without line breaks");
        insta::assert_snapshot!(message(&["X-Key: "]), @"the header `X-Key` has no value; set a value or remove the header; an unset shell variable expands to an empty value");
        insta::assert_snapshot!(message(&["X-Key: sesame", "x-key: other"]), @"the header `x-key` is given twice; keep one of them; names do not depend on upper and lower case");
        insta::assert_snapshot!(message(&[&format!("X-Key: {}", "s".repeat(20_000))]), @"the headers from `headers` and `--header` is larger than 16 KiB, the limit of all extra headers; make them smaller: servers refuse large headers");
        for own in OWN {
            let message = message(&[&format!("{}: sesame", own.to_ascii_uppercase())]);
            assert!(message.starts_with("perfgate sets the header"), "{message}");
        }
    }

    #[test]
    fn a_value_is_read_from_a_variable_on_resolve() {
        let mut headers = Headers::default();
        headers.add_variable("X-Key", "GATEWAY_KEY").unwrap();
        assert_eq!(headers.sent().count(), 0);
        let mut unset = headers.clone();
        insta::assert_snapshot!(unset.resolve(&|_| Some(" ".to_owned())).unwrap_err(), @"the header `X-Key` takes its value from the variable `GATEWAY_KEY`, which is unset or empty");
        headers.resolve(&|_| Some("sesame\n".to_owned())).unwrap();
        assert_eq!(headers.sent().collect::<Vec<_>>(), [("X-Key", "sesame")]);
        assert!(headers.add_variable("X-Other", "no name").is_err());
    }

    #[test]
    fn the_digest_has_hashes_of_values_and_only_names_of_variables() {
        let of = |line: &str| {
            let headers = Headers::of_lines(&[line.to_owned()]).unwrap();
            format!("{headers:?}")
        };
        assert_eq!(of("X-Route: canary"), of("x-route:canary"));
        assert_ne!(of("X-Route: canary"), of("X-Route: stable"));
        assert!(!of("X-Route: canary").contains("canary"));
        let mut rotated = Headers::default();
        rotated.add_variable("X-Key", "GATEWAY_KEY").unwrap();
        let described = |headers: &Headers| headers.described().collect::<Vec<String>>();
        let before = described(&rotated);
        rotated.resolve(&|_| Some("sesame".to_owned())).unwrap();
        assert_eq!(described(&rotated), before);
    }

    #[test]
    fn a_flag_overrides_the_header_of_the_file_by_name() {
        let lines = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            Headers::of_lines(&lines).unwrap()
        };
        let mut headers = lines(&["A: 1", "B: 2"]);
        headers.override_with(lines(&["b: 3", "C: 4"]));
        let sent: Vec<(&str, &str)> = headers.sent().collect();
        assert_eq!(sent, [("A", "1"), ("b", "3"), ("C", "4")]);
    }
}
