//! Any bytes are entries or an error.
#![no_main]

use perfgate::workload::dataset::{self, Format, Units};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut seen = 0;
    if let Ok(census) = dataset::read(Format::Jsonl, Units::default(), bytes, &mut |_| seen += 1) {
        assert_eq!(census.usable, seen);
    }
});
