//! Capabilities of stdout and stderr: colour and columns of the terminal.

use std::io::IsTerminal as _;

use crate::text::screen::Screen;

/// Looks up an environment variable.
type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Stdout.
pub(crate) fn of_stdout(color: Color, environment: &Environment<'_>) -> Screen {
    let stdout = std::io::stdout();
    let screen = Screen::NONE.coloured(stdout_is_coloured(color, environment));
    if !stdout.is_terminal() {
        return screen;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    match columns.filter(|columns| *columns > 0) {
        Some(columns) => screen.wide(columns),
        None => screen,
    }
}

/// Whether to colour what goes to stdout.
pub(crate) fn stdout_is_coloured(color: Color, environment: &Environment<'_>) -> bool {
    is_coloured(color, std::io::stdout().is_terminal(), environment)
}

/// Whether to colour what goes to stderr.
pub(crate) fn stderr_is_coloured(color: Color, environment: &Environment<'_>) -> bool {
    is_coloured(color, std::io::stderr().is_terminal(), environment)
}

/// Whether stderr is a terminal that can move its cursor.
pub(crate) fn stderr_can_redraw(environment: &Environment<'_>) -> bool {
    std::io::stderr().is_terminal() && !is_dumb(environment)
}

fn is_dumb(environment: &Environment<'_>) -> bool {
    environment("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Precedence: the command line, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the detected
/// terminal.
fn is_coloured(color: Color, is_terminal: bool, environment: &Environment<'_>) -> bool {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if given("NO_COLOR").is_some() => false,
        Color::Auto if given("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto => is_terminal && !is_dumb(environment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_settings_override_the_detected_terminal() {
        let coloured = |color, is_terminal, variables: &[(&str, &str)]| {
            let environment = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            is_coloured(color, is_terminal, &environment)
        };
        let no_color = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")];
        assert!(coloured(Color::Auto, true, &[("TERM", "xterm")]));
        assert!(!coloured(Color::Auto, false, &[("TERM", "xterm")]));
        assert!(!coloured(Color::Auto, true, &[("TERM", "dumb")]));
        assert!(!coloured(Color::Auto, true, &no_color));
        assert!(coloured(Color::Auto, true, &[("NO_COLOR", "")]));
        assert!(coloured(Color::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!coloured(Color::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(coloured(Color::Always, false, &no_color));
        assert!(!coloured(Color::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }
}
