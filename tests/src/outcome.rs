//! A finished recording, as the program tells of it and as it lies on the disk.

use std::path::PathBuf;

use serde_json::Value;

use crate::{Wav, unix_ms};

/// What came of a recording.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its id.
    pub recording: String,
    /// The object's key.
    pub key: String,
    /// The file on the host's disk.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The verdict.
    pub gapless: bool,
    /// The metadata beside the file.
    pub metadata: Value,
}

impl Outcome {
    /// Reads it from an answer of `record stop --wait`, or from a `recording_completed`.
    ///
    /// # Panics
    /// Something that was promised is missing.
    #[must_use]
    pub fn of(told: &Value) -> Self {
        let text = |key: &str| told[key].as_str().unwrap_or_else(|| panic!("no {key} in {told}")).to_owned();
        let path = PathBuf::from(text("path"));
        let metadata = std::fs::read_to_string(path.with_extension("json"));
        let metadata = metadata.unwrap_or_else(|error| panic!("no metadata beside {}: {error}", path.display()));
        Self {
            recording: text("recording"),
            key: text("key"),
            size: told["size"].as_u64().unwrap_or_else(|| panic!("no size in {told}")),
            gapless: told["gapless"] == true,
            metadata: serde_json::from_str(&metadata).unwrap_or_else(|error| panic!("{metadata}: {error}")),
            path,
        }
    }

    /// The file's samples.
    #[must_use]
    pub fn wav(&self) -> Wav {
        Wav::read(&self.path)
    }

    /// Unix time in milliseconds of the first frame.
    ///
    /// # Panics
    /// The metadata does not tell.
    #[must_use]
    pub fn started_ms(&self) -> f64 {
        unix_ms(self.metadata["started_at"].as_str().expect("started_at is a text"))
    }

    /// The metadata of channel `index`.
    #[must_use]
    pub fn channel(&self, index: usize) -> &Value {
        &self.metadata["channels"][index]
    }

    /// The names of the channels, in order.
    ///
    /// # Panics
    /// The metadata does not tell.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let channels = self.metadata["channels"].as_array().expect("channels is a list");
        channels.iter().map(|channel| channel["name"].as_str().expect("name is a text")).collect()
    }
}
