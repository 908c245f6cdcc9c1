//! A relay that belongs to nobody's host.

use std::process::Command;

use xtask::Program;

use crate::{PATIENCE, Stage, programs};

/// A relay that listens. Dropping it kills it.
#[derive(Debug)]
pub struct Relay {
    /// Its program.
    pub program: Program,
    /// Its base address.
    pub url: String,
}

impl Stage {
    /// Starts a relay at `listen` and waits until it does. All relays of a stage share one data directory, so that a
    /// later one is an earlier one started again.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn relay(&self, listen: &str) -> Relay {
        let mut command = Command::new(programs::roomtone_relay());
        command.args(["--listen", listen, "--data-dir"]).arg(self.data_dir("relay"));
        let mut program = Program::start("relay", &mut command).unwrap_or_else(|error| panic!("{error}"));
        let listening = program.wait_for_event("listening", PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        let url = listening["url"].as_str().unwrap_or_else(|| panic!("no url in {listening}")).to_owned();
        Relay { program, url }
    }
}
