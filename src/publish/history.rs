//! The pushes of a pull request, one line each, stored in perfgate's comment.

use super::sha::Sha;
use crate::text::sanitize;

/// Maximum number of listed pushes.
const MOST: usize = 30;

/// Maximum characters of a line's text.
const MAX_LENGTH: usize = 240;

/// Markers around the lines.
const BEGIN: &str = "<!-- perfgate:pushes -->";
const END: &str = "<!-- perfgate:end -->";

/// One push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Push {
    /// Its commit, shortened.
    commit: String,
    /// Verdict and headline as sanitised Markdown.
    text: String,
}

impl Push {
    /// A push with its verdict.
    pub(super) fn new(head: &Sha, icon: &str, word: &str, headline: &str) -> Self {
        let short: String = headline.chars().take(140).collect();
        let dots = if short.len() < headline.len() {
            "…"
        } else {
            ""
        };
        Self {
            commit: head.short().to_owned(),
            text: format!("{icon} {word}: {}{dots}", sanitize::markdown(&short)),
        }
    }

    fn line(&self) -> String {
        format!("- `{}` {}\n", self.commit, self.text)
    }

    /// Parses a line of ours; `None` for other lines and for lines with active content.
    fn parse(line: &str) -> Option<Self> {
        let (commit, text) = line.strip_prefix("- `")?.split_once("` ")?;
        let is_commit = commit.len() == 10 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let text = text.trim();
        let acts = |c: char| {
            matches!(
                c,
                '<' | '>' | '`' | '[' | ']' | '@' | '|' | '*' | '_' | '!' | '\\'
            ) || c.is_control()
        };
        let is_text = !text.is_empty() && text.len() <= 4 * MAX_LENGTH && !text.contains(acts);
        (is_commit && is_text).then(|| Self {
            commit: commit.to_owned(),
            text: text.to_owned(),
        })
    }
}

/// The pushes in a comment, oldest first.
pub(super) fn read(body: &str) -> Vec<Push> {
    let Some(begin) = body.rfind(BEGIN) else {
        return Vec::new();
    };
    let rest = &body[begin + BEGIN.len()..];
    let lines = rest.split(END).next().unwrap_or_default().lines();
    lines.filter_map(|line| Push::parse(line.trim())).collect()
}

/// Adds the push as the last one and replaces an earlier entry of it; drops the oldest beyond the maximum.
pub(super) fn with(mut pushes: Vec<Push>, push: Push) -> Vec<Push> {
    pushes.retain(|earlier| earlier.commit != push.commit);
    pushes.push(push);
    pushes.split_off(pushes.len().saturating_sub(MOST))
}

/// A folded list of at most `room` characters; drops the oldest pushes that do not fit.
pub(super) fn folded(pushes: &[Push], room: usize) -> String {
    let head = format!(
        "\n<details><summary>Pushes ({}), newest last</summary>\n\n{BEGIN}\n\n",
        pushes.len()
    );
    let tail = format!("\n{END}\n</details>\n");
    let mut left = room.saturating_sub(head.chars().count() + tail.chars().count());
    let mut kept = Vec::new();
    for push in pushes.iter().rev() {
        let line = push.line();
        let length = line.chars().count();
        if length > left {
            break;
        }
        left -= length;
        kept.push(line);
    }
    kept.reverse();
    format!("{head}{}{tail}", kept.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push(digit: char, headline: &str) -> Push {
        let sha = Sha::parse(&digit.to_string().repeat(40)).unwrap();
        Push::new(&sha, "⛔", "BLOCK", headline)
    }

    #[test]
    fn pushes_round_trip_and_each_is_listed_once() {
        let mut pushes = with(Vec::new(), push('a', "TPOT P95 is 7.1 % slower"));
        pushes = with(pushes, push('b', "a | <b> @me `x`"));
        pushes = with(pushes, push('a', "TPOT P95 is 6.9 % slower"));
        let body = format!("<!-- m -->\nx\n{}\nfoot", folded(&pushes, 10_000));
        assert_eq!(read(&body), pushes);
        insta::assert_snapshot!(folded(&pushes, 10_000), @"

        <details><summary>Pushes (2), newest last</summary>

        <!-- perfgate:pushes -->

        - `bbbbbbbbbb` ⛔ BLOCK: a &#124; &#60;b&#62; &#64;&#8203;me &#96;x&#96;
        - `aaaaaaaaaa` ⛔ BLOCK: TPOT P95 is 6.9 % slower

        <!-- perfgate:end -->
        </details>
        ");
        let many = (0..40).fold(Vec::new(), |pushes, n| {
            let sha = Sha::parse(&format!("{n:0>39}f")).unwrap();
            let mut line = Push::new(&sha, "✅", "PASS", "fine");
            line.commit = format!("{n:0>10}");
            with(pushes, line)
        });
        assert_eq!(many.len(), MOST);
        assert!(folded(&many, 500).chars().count() <= 500);
    }

    #[test]
    fn a_line_with_active_content_is_dropped() {
        for line in [
            "- `aaaaaaaaaa` <img src=x>",
            "- `aaaaaaaaaa` @everyone",
            "- `aaaaaaaaaa` [x](http://x)",
            "- `../..` PASS: x",
            "- aaaaaaaaaa PASS: x",
            "- `aaaaaaaaaa` ",
        ] {
            assert_eq!(Push::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_comment_gives_a_line_with_active_content(
            middle in "(\\PC|\n|- `|aaaaaaaaaa` |<b>|@me|<!-- perfgate:end -->|<!-- perfgate:pushes -->){0,40}"
        ) {
            let pushes = read(&format!("{BEGIN}\n{middle}"));
            let shown = folded(&pushes, 20_000).replace(BEGIN, "").replace(END, "");
            prop_assert!(!shown.contains("<b>") && !shown.contains('@'), "{shown}");
        }
    }
}
