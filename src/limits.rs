//! Size limits for all external input, each with its reason. Larger input is refused with the name of the limit, before
//! it fills the memory.

use std::fmt;

/// The maximum size of one kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The name of the input in errors, with its article: `an event file`.
    pub of: &'static str,
    /// Bytes after decompression.
    pub bytes: u64,
}

impl Limit {
    const fn new(of: &'static str, bytes: u64) -> Self {
        Self { of, bytes }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, bytes } = self;
        let (amount, unit) = if *bytes >= MIB {
            (bytes / MIB, "MiB")
        } else {
            (bytes / KIB, "KiB")
        };
        write!(f, "is larger than {amount} {unit}, the limit of {of}")
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A hundred repeats of ten thousand requests take 300 bytes per request as indented JSON.
pub const RESULT: Limit = Limit::new("a result file or ledger", 512 * MIB);

/// How much larger a compressed file may be after decompression.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    /// The limited input, with its article.
    pub of: &'static str,
    /// Factor on its compressed size.
    pub times: u64,
    /// Additional bytes, for small files with one repeated value.
    pub beside: u64,
}

/// Result files of real runs unpack to 10 to 25 times their size.
pub const PACKED_RESULT: Packed = Packed {
    of: "a result file",
    times: 100,
    beside: 16 * MIB,
};

/// Prompts with common prefixes compress well. A data set is read in pieces, so this limits time and not memory.
pub const PACKED_DATASET: Packed = Packed {
    of: "a data set",
    times: 500,
    beside: 128 * MIB,
};

/// A comparison of a thousand load points with all its charts is below 20 MiB.
pub const COMPARISON: Limit = Limit::new("a comparison file", 64 * MIB);

/// Written by hand; the longest known configuration is below 100 KiB.
pub const TEXT: Limit = Limit::new("a configuration or other text file", 4 * MIB);

/// A longer text is not readable in a report.
pub const ANALYSIS: Limit = Limit::new("an analysis or explanation", 64 * KIB);

/// GitHub limits events to 25 MB.
pub const EVENT: Limit = Limit::new("an event file", 32 * MIB);

/// The files of a gate, compressed; without samples they are below 1 MiB.
pub const ARCHIVE: Limit = Limit::new("an artifact", 64 * MIB);

/// A decompressed comparison from an untrusted archive: four times the largest known from a gate.
pub const ARTIFACT: Limit = Limit::new("a comparison in an artifact", 4 * MIB);

/// Servers accept headers of 8 to 64 KiB; for larger ones they return an error or close the connection.
pub const HEADERS: Limit = Limit::new("all extra headers", 16 * KIB);

/// Every request and every result contains it. A JSON Schema for answers is below 20 KiB.
pub const EXTRA_BODY: Limit = Limit::new("an extra request body", 64 * KIB);

/// Bytes of one string in a JSON file: sixteen times the longest analysis.
pub const STRING: usize = 1 << 20;

/// Bytes of the name of a scenario, a repeat or a gate: about ten times the longest generated name.
pub const NAME: usize = 1 << 10;

/// The largest count of requests or tokens in a file. It is far above any real repeat, and sums over a file within
/// [`RESULT`] cannot overflow: 2^32 times 2^29 bytes is below 2^64.
pub const COUNT: u64 = u32::MAX as u64;

/// The longest time in a file, in seconds: thirty years.
pub const SECONDS: f64 = 1e9;

/// The largest value of any metric, far above the bytes of any device: its square and its sums are finite.
pub const VALUE: f64 = 1e18;

/// The smallest value of any metric that is above zero: a thousandth of a nanosecond. The ratio of any two is finite.
pub const SMALLEST: f64 = 1e-12;
