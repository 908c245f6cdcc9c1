//! What `cargo xtask test --long` does at another length than CI.

use std::fmt;

/// A setting that a test reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) variable: &'static str,
    pub(crate) value: &'static str,
    /// What it brings about.
    what: &'static str,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}={})", self.what, self.variable, self.value)
    }
}

/// Together about nine hours, of which the soak test takes eight.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant { variable: "ROOMTONE_KILLS", value: "1000", what: "a host that is killed a thousand times" },
    Variant {
        variable: "ROOMTONE_UPLOAD_KILLS",
        value: "20",
        what: "a host that is killed twenty times in one upload",
    },
    Variant { variable: "ROOMTONE_SEEDS", value: "5000", what: "five thousand simulated sessions of every kind" },
    Variant { variable: "ROOMTONE_SOX_READS_ALL", value: "1", what: "sox reads more than 4 GiB to the end" },
    Variant { variable: "ROOMTONE_SOAK_HOURS", value: "8", what: "people who come and go for eight hours" },
];
