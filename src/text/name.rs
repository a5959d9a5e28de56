//! Names that become the names of files.

/// The name of a gate or a baseline, which becomes a file name: letters, digits, dot, dash and underscore, beginning
/// with a letter or digit, at most 64 characters, never `..`.
pub fn is_safe_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain)
        && !name.contains("..")
}

/// Any text made into such a name: lower case, everything else a dash.
pub fn safe_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            c
        } else {
            '-'
        };
        let repeated = matches!(c, '-' | '.') && name.ends_with(c);
        let leading = name.is_empty() && !c.is_ascii_alphanumeric();
        if !repeated && !leading && name.len() < 64 {
            name.push(c);
        }
    }
    let trimmed = name.trim_end_matches(['-', '.']);
    if trimmed.is_empty() {
        "unnamed".to_owned()
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_models_and_gpus_become_file_names() {
        assert_eq!(safe_name("meta-llama/Llama-3-8B"), "meta-llama-llama-3-8b");
        assert_eq!(
            safe_name("2 × NVIDIA H100 80GB HBM3"),
            "2-nvidia-h100-80gb-hbm3"
        );
        assert!(!is_safe_name("../x") && !is_safe_name("") && is_safe_name("llama-3.1_8b"));
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_safe_name(text in "\\PC{0,80}") {
            let name = safe_name(&text);
            prop_assert!(is_safe_name(&name), "{name}");
        }
    }
}
