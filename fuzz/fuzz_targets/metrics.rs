//! Any text is a scrape or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = perfgate::telemetry::prometheus::Scrape::parse(text, |_| true);
});
