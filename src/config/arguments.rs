//! Options in a list of server arguments.

/// The value of an option, `--port 8000` or `--port=8000`. The last one counts, as in servers. `None` if the option or
/// its value is missing.
pub fn option_value<'a>(arguments: &'a [String], option: &str) -> Option<&'a str> {
    let with_value = |(place, argument): (usize, &'a String)| {
        if argument == option {
            return arguments.get(place + 1).map(String::as_str);
        }
        argument.strip_prefix(option)?.strip_prefix('=')
    };
    arguments.iter().enumerate().rev().find_map(with_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_both_spellings_and_never_that_of_a_longer_option() {
        let value = |text: &str, option: &str| {
            let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
            option_value(&arguments, option).map(str::to_owned)
        };
        assert_eq!(value("m --port 1", "--port").as_deref(), Some("1"));
        assert_eq!(value("m --port=1 --port 2", "--port").as_deref(), Some("2"));
        assert_eq!(value("m --port-range 1", "--port"), None);
        assert_eq!(value("m --port", "--port"), None);
    }
}
