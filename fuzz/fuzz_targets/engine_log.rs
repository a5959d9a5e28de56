//! The log of a starting engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::telemetry::EngineLog;

fuzz_target!(|text: &str| {
    let found = EngineLog::read(text.lines());
    let _sum = found.engine_memory();
});
