//! Any answer of `nvidia-smi` or `amd-smi` is readings or an error, and no reading is negative or not finite.
#![no_main]

use perfgate::telemetry::gpu::{amd_smi, nvidia_smi};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\u{1e}').unwrap_or((text, ""));
    let answers = [nvidia_smi::parse(first, second), amd_smi::parse(first, second)];
    for reading in answers.into_iter().flatten().flatten() {
        let now = reading.now;
        for value in [now.memory_used, now.utilization, now.power].into_iter().flatten() {
            assert!(value.is_finite() && value >= 0.0);
        }
    }
});
