//! The differences between two command lines, option by option.

/// The options and words of each command line that the other one lacks, in their order: for
/// `serve --max-num-seqs 32 --seed 1` and `serve --max-num-seqs 1 --seed 1` it is `--max-num-seqs 32` and
/// `--max-num-seqs 1`. `None` where both have the same.
pub(super) fn difference(
    baseline: Option<&[String]>,
    candidate: Option<&[String]>,
) -> Option<[Option<String>; 2]> {
    if baseline == candidate {
        return None;
    }
    let (Some(old), Some(new)) = (baseline, candidate) else {
        return Some([baseline, candidate].map(|side| side.map(|words| words.join(" "))));
    };
    let (old_options, new_options) = (options(old), options(new));
    let [old_only, new_only] = [
        without(&old_options, &new_options),
        without(&new_options, &old_options),
    ];
    if old_only.is_empty() && new_only.is_empty() {
        // The same options in another order; of options given twice, the last one applies.
        return Some([old, new].map(|words| Some(words.join(" "))));
    }
    Some([old_only, new_only].map(|options| {
        Some(if options.is_empty() {
            "(not given)".to_owned()
        } else {
            options.join(" ")
        })
    }))
}

/// `--name value …`, and each word before the first option alone.
fn options(words: &[String]) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    let mut named = false;
    for word in words {
        let option = word.starts_with('-') && word.parse::<f64>().is_err();
        match options.last_mut() {
            Some(last) if named && !option => {
                last.push(' ');
                last.push_str(word);
            }
            _ => options.push(word.clone()),
        }
        named |= option;
    }
    options
}

/// Those of `all` that `others` lacks; duplicates are counted.
fn without(all: &[String], others: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = others.iter().collect();
    all.iter()
        .filter(
            |option| match left.iter().position(|other| other == option) {
                Some(place) => {
                    left.swap_remove(place);
                    false
                }
                None => true,
            },
        )
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Option<String> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let sides = difference(Some(&words(old)), Some(&words(new)))?;
        Some(sides.map(Option::unwrap_or_default).join(" → "))
    }

    #[test]
    fn only_the_option_that_differs_is_shown() {
        insta::assert_snapshot!(shown(
            "vllm serve m --port 8000 --max-num-seqs 32 --kv-cache-dtype auto",
            "vllm serve m --port 8000 --max-num-seqs 1 --kv-cache-dtype auto",
        ).unwrap(), @"--max-num-seqs 32 → --max-num-seqs 1");
    }

    #[test]
    fn an_option_that_one_side_lacks_is_not_given_there() {
        insta::assert_snapshot!(shown("serve m", "serve m --enforce-eager").unwrap(), @"(not given) → --enforce-eager");
        insta::assert_snapshot!(shown("serve a --x 1", "serve b --x 1").unwrap(), @"a → b");
    }

    #[test]
    fn options_in_another_order_are_shown_whole() {
        insta::assert_snapshot!(shown("--a 1 --b -2", "--b -2 --a 1").unwrap(), @"--a 1 --b -2 → --b -2 --a 1");
    }

    #[test]
    fn equal_command_lines_do_not_differ() {
        assert_eq!(shown("serve --a 1", "serve --a 1"), None);
    }

    #[test]
    fn an_unknown_command_line_differs_from_a_known_one() {
        let words = ["serve".to_owned()];
        let known = Some("serve".to_owned());
        assert_eq!(difference(Some(&words), None), Some([known, None]));
    }
}
