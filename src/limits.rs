//! How much of anything that comes from outside is taken in: every limit with its reason, in one place. What is larger is
//! refused by name, before it fills the memory.

use std::fmt;

/// The most bytes that are read of one kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What the input is called in errors, with its article: `an event file`.
    pub of: &'static str,
    /// Bytes, unpacked where the input is packed.
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

/// How much larger a packed file may be unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    /// What it limits, with its article.
    pub of: &'static str,
    /// So many times its packed size.
    pub times: u64,
    /// And so many bytes beside that: a small file of one figure again and again.
    pub beside: u64,
}

/// Those of real runs are 10 to 25 times as large.
pub const PACKED_RESULT: Packed = Packed {
    of: "a result file",
    times: 100,
    beside: 16 * MIB,
};

/// Prompts that begin alike pack well. It is read in pieces, so this is about time and not about memory.
pub const PACKED_DATASET: Packed = Packed {
    of: "a data set",
    times: 500,
    beside: 128 * MIB,
};

/// A comparison of a thousand load points with all its charts is below 20 MiB.
pub const COMPARISON: Limit = Limit::new("a comparison file", 64 * MIB);

/// People write these; the longest configuration in use is below 100 KiB.
pub const TEXT: Limit = Limit::new("a configuration or other text file", 4 * MIB);

/// More is nothing that a person reads within a report.
pub const ANALYSIS: Limit = Limit::new("an analysis or explanation", 64 * KIB);

/// GitHub sends no event that is larger than 25 MB.
pub const EVENT: Limit = Limit::new("an event file", 32 * MIB);

/// The files of a gate, packed; without samples they are below 1 MiB.
pub const ARCHIVE: Limit = Limit::new("an artifact", 64 * MIB);

/// A comparison in an archive that a stranger packed, unpacked: four times the largest that a gate wrote.
pub const ARTIFACT: Limit = Limit::new("a comparison in an artifact", 4 * MIB);

/// Servers take heads of 8 to 64 KiB; what is larger they refuse, or close the connection.
pub const HEADERS: Limit = Limit {
    of: "all extra headers",
    bytes: 16 * KIB,
};

/// It goes along with every request, and is in every result. A JSON Schema that answers must follow is below 20 KiB.
pub const EXTRA_BODY: Limit = Limit {
    of: "an extra request body",
    bytes: 64 * KIB,
};

/// Bytes of one string in a JSON file: sixteen times the longest analysis. A name or a version is shown in every report.
pub const STRING: usize = 1 << 20;

/// Bytes of the name of a scenario, a repeat or a gate: some ten times the longest that a load gives.
pub const NAME: usize = 1 << 10;

/// The largest count of requests or tokens in a file. No server reaches it in one repeat, and no sum over the counts of a
/// file within [`RESULT`] wraps: 2^32 times 2^29 bytes is below 2^64.
pub const COUNT: u64 = u32::MAX as u64;

/// The longest time in a file, in seconds: thirty years.
pub const SECONDS: f64 = 1e9;

/// The largest value of any metric, far above the bytes of any device: its square and its sums are finite.
pub const VALUE: f64 = 1e18;

/// The smallest value of any metric that is above zero: a thousandth of a nanosecond. The ratio of any two is finite.
pub const SMALLEST: f64 = 1e-12;
