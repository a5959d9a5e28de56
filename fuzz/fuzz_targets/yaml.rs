//! Any text is a plan or a list of problems that can be shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = perfgate::config::read_plan("perfgate.yaml", text) {
        assert!(!problems.to_string().is_empty());
    }
    if let Err(problems) = perfgate::config::read_policy("thresholds.yaml", text) {
        assert!(!problems.to_string().is_empty());
    }
});
