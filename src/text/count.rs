//! Counts with their nouns: the only place that forms plurals.

use std::fmt::Display;

/// `1 repeat`, `2 repeats`, `0 entries`.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// `repeat` of one, `repeats` of any other number.
pub fn plural<N: Copy + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) {
        return noun.to_owned();
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("ch") => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noun_has_the_number_of_its_count() {
        assert_eq!(count(1_usize, "repeat"), "1 repeat");
        assert_eq!(count(0_u32, "repeat"), "0 repeats");
        assert_eq!(count(2_u64, "entry"), "2 entries");
        assert_eq!(plural(2_u32, "day"), "days");
        assert_eq!(plural(3_u32, "branch"), "branches");
    }
}
