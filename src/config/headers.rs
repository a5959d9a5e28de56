//! Headers that requests carry beside the load generator's own. Their names are shown; their values are shown nowhere.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::limits::{self, Limit};

/// What the load generator sends itself, and what would change how a message is framed or how its connection is kept.
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
    /// The name in lower case, which is what tells two headers apart.
    by_name: BTreeMap<String, Header>,
}

#[derive(Clone, PartialEq, Eq)]
struct Header {
    /// As it was given, and as it is sent.
    name: String,
    value: HeaderValue,
}

/// Where the value of a header comes from.
#[derive(Clone, PartialEq, Eq)]
enum HeaderValue {
    /// It was given itself.
    Given(String),
    /// A variable of perfgate's own environment has it.
    Variable {
        variable: String,
        /// Known once the environment was asked.
        value: Option<String>,
    },
}

/// Why a header cannot be sent. No text of it has a value, or a name that may be a value in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongHeader {
    /// Of the command line, counted from 1.
    #[error("`--header` number {0} has no colon between name and value")]
    NoColon(usize),
    /// Of the command line, counted from 1.
    #[error(
        "`--header` number {0} has a name that is empty or has a character that is not allowed"
    )]
    NameOfFlag(usize),
    /// Of the file.
    #[error("the name of a header is empty or has a character that is not allowed")]
    Name,
    /// The load generator decides it.
    #[error("perfgate decides the header `{0}` itself")]
    Own(String),
    /// There is nothing behind the colon.
    #[error("the header `{0}` has no value")]
    NoValue(String),
    /// A control character, or one beyond ASCII.
    #[error("the value of the header `{0}` has a character that no header can carry")]
    Value(String),
    /// One name, however it is written.
    #[error("the header `{0}` is given twice")]
    Twice(String),
    /// Neither a text nor the name of a variable.
    #[error("the header `{0}` must be one text, or `{{env: VARIABLE}}`")]
    Shape(String),
    /// The environment lacks the value.
    #[error(
        "the header `{name}` takes its value from the variable `{variable}`, which is not set or empty"
    )]
    Unset {
        /// Of the header.
        name: String,
        /// Of the environment.
        variable: String,
    },
    /// All of them together.
    #[error("what `headers` and `--header` give together {0}")]
    TooLarge(Limit),
}

impl WrongHeader {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoColon(_) => "write `--header 'NAME: VALUE'`, in quotes",
            Self::NameOfFlag(_) | Self::Name => {
                "a name has letters, digits and signs such as `-` and `_`, and no blanks: `X-Route`"
            }
            Self::Own(_) => "take it out",
            Self::NoValue(_) => {
                "give it one, or take the header out; a variable of the shell that is not set leaves nothing"
            }
            Self::Value(_) => {
                "it may have letters, digits and signs of ASCII, blanks and tabs, and no line break"
            }
            Self::Twice(_) => "keep one of them; upper and lower case are the same name",
            Self::Shape(_) => {
                "write `X-Route: canary`, or `X-Key: {env: GATEWAY_KEY}` for a value from perfgate's own environment"
            }
            Self::Unset { .. } => "set the variable, or take the header out",
            Self::TooLarge(_) => "send less: servers refuse large heads",
        }
    }
}

impl Headers {
    /// Those of a command line, `NAME: VALUE` each.
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

    /// One more, with its value.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), WrongHeader> {
        check_name(name)?;
        let value = checked_value(name, value)?;
        self.insert(name, HeaderValue::Given(value))
    }

    /// One more, whose value a variable of the environment has.
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

    /// Lays others over these, name by name.
    pub fn lay(&mut self, over: Self) {
        self.by_name.extend(over.by_name);
    }

    /// Takes the values of variables from the environment, after which all of them can be sent.
    pub fn settle(
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

    /// Names and values as they are sent; those of variables once they are settled.
    pub fn sent(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.values().filter_map(|header| {
            let value = match &header.value {
                HeaderValue::Given(value) => value,
                HeaderValue::Variable { value, .. } => value.as_ref()?,
            };
            Some((header.name.as_str(), value.as_str()))
        })
    }

    /// Their names, in an order that does not depend on how they were given.
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

    /// Whether there is one of that name, which is in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Each as text for the workload's digest: its name, and a hash of its value. A value of the environment is a
    /// credential, which may be another one tomorrow without another request: of it the name alone counts.
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
    /// Without values.
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

/// The value without the blanks around it, which are none of it (RFC 9110 §5.5).
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

    fn said(lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let settled = Headers::of_lines(&lines).and_then(|mut headers| {
            headers.settle(&|_| None)?;
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
        insta::assert_snapshot!(said(&["X-Route: canary", "b:\t a: \"b\" ", "Authorization:Bearer x"]), @r#"Authorization=Bearer x, b=a: "b", X-Route=canary"#);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_no_value_shown() {
        insta::assert_snapshot!(said(&["A: b", "sesame"]), @"`--header` number 2 has no colon between name and value; write `--header 'NAME: VALUE'`, in quotes");
        insta::assert_snapshot!(said(&["Bearer sesame: x"]), @"`--header` number 1 has a name that is empty or has a character that is not allowed; a name has letters, digits and signs such as `-` and `_`, and no blanks: `X-Route`");
        insta::assert_snapshot!(said(&["A\r\nX: sesame"]), @"`--header` number 1 has a name that is empty or has a character that is not allowed; a name has letters, digits and signs such as `-` and `_`, and no blanks: `X-Route`");
        insta::assert_snapshot!(said(&[": sesame"]), @"`--header` number 1 has a name that is empty or has a character that is not allowed; a name has letters, digits and signs such as `-` and `_`, and no blanks: `X-Route`");
        insta::assert_snapshot!(said(&["X-Key: sesame\r\nHost: evil"]), @"the value of the header `X-Key` has a character that no header can carry; it may have letters, digits and signs of ASCII, blanks and tabs, and no line break");
        insta::assert_snapshot!(said(&["X-Key: sesame\0"]), @"the value of the header `X-Key` has a character that no header can carry; it may have letters, digits and signs of ASCII, blanks and tabs, and no line break");
        insta::assert_snapshot!(said(&["X-Key: "]), @"the header `X-Key` has no value; give it one, or take the header out; a variable of the shell that is not set leaves nothing");
        insta::assert_snapshot!(said(&["X-Key: sesame", "x-key: other"]), @"the header `x-key` is given twice; keep one of them; upper and lower case are the same name");
        insta::assert_snapshot!(said(&[&format!("X-Key: {}", "s".repeat(20_000))]), @"what `headers` and `--header` give together is larger than 16 KiB, the limit of all extra headers; send less: servers refuse large heads");
        for own in OWN {
            let said = said(&[&format!("{}: sesame", own.to_ascii_uppercase())]);
            assert!(said.starts_with("perfgate decides the header"), "{said}");
        }
    }

    #[test]
    fn a_variable_gives_its_value_when_it_is_asked_for() {
        let mut headers = Headers::default();
        headers.add_variable("X-Key", "GATEWAY_KEY").unwrap();
        assert_eq!(headers.sent().count(), 0);
        let mut unset = headers.clone();
        insta::assert_snapshot!(unset.settle(&|_| Some(" ".to_owned())).unwrap_err(), @"the header `X-Key` takes its value from the variable `GATEWAY_KEY`, which is not set or empty");
        headers.settle(&|_| Some("sesame\n".to_owned())).unwrap();
        assert_eq!(headers.sent().collect::<Vec<_>>(), [("X-Key", "sesame")]);
        assert!(headers.add_variable("X-Other", "no name").is_err());
    }

    #[test]
    fn the_digest_knows_values_by_their_hash_and_those_of_the_environment_by_their_name() {
        let of = |line: &str| {
            let headers = Headers::of_lines(&[line.to_owned()]).unwrap();
            format!("{headers:?}")
        };
        assert_eq!(of("X-Route: canary"), of("x-route:canary"));
        assert_ne!(of("X-Route: canary"), of("X-Route: stable"));
        assert!(!of("X-Route: canary").contains("canary"));
        let mut rotated = Headers::default();
        rotated.add_variable("X-Key", "GATEWAY_KEY").unwrap();
        let told = |headers: &Headers| headers.described().collect::<Vec<String>>();
        let before = told(&rotated);
        rotated.settle(&|_| Some("sesame".to_owned())).unwrap();
        assert_eq!(told(&rotated), before);
    }

    #[test]
    fn a_flag_is_laid_over_the_file_name_by_name() {
        let lines = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            Headers::of_lines(&lines).unwrap()
        };
        let mut headers = lines(&["A: 1", "B: 2"]);
        headers.lay(lines(&["b: 3", "C: 4"]));
        let sent: Vec<(&str, &str)> = headers.sent().collect();
        assert_eq!(sent, [("A", "1"), ("b", "3"), ("C", "4")]);
    }
}
