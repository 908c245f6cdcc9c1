//! Small JSON files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::BucketError;

/// Version of the queue's files.
pub(super) const SCHEMA: u32 = 1;

/// What every version's files say.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

/// Ending of files that are being written.
const UNFINISHED: &str = "tmp";

pub(super) fn serialized(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, BucketError> {
    serde_json::to_vec_pretty(value).map_err(|error| BucketError::io(path, error.into()))
}

/// Whole or not at all, and still there after a power cut.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), BucketError> {
    let unfinished = path.with_extension(UNFINISHED);
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(|error| BucketError::io(&unfinished, error))?;
    fs::rename(&unfinished, path).map_err(|error| BucketError::io(path, error))?;
    // Windows cannot sync a folder.
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| BucketError::io(folder, error))?;
    }
    Ok(())
}

/// Refuses to replace what a newer version wrote.
pub(super) fn refuse_newer(path: &Path) -> Result<(), BucketError> {
    let Ok(text) = fs::read(path) else { return Ok(()) };
    match serde_json::from_slice::<Versioned>(&text) {
        Ok(Versioned { schema }) if schema > SCHEMA => {
            let newer = "a newer version of Roomtone wrote it, and it is left as it is; use that one";
            Err(BucketError::io(path, io::Error::other(newer)))
        }
        _ => Ok(()),
    }
}

/// One that is not there is no error.
pub(super) fn remove(path: &Path) -> Result<(), BucketError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BucketError::io(path, error)),
        _ => Ok(()),
    }
}

/// None if there is no such file, or none that this version understands: it is left as it is.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BucketError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BucketError::io(path, error)),
    };
    match serde_json::from_slice::<Versioned>(&text) {
        Ok(Versioned { schema }) if schema > SCHEMA => {
            tracing::warn!(schema, "a file of the upload queue was written by a newer version; it is left as it is");
            return Ok(None);
        }
        _ => {}
    }
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            tracing::error!(%error, "a file of the upload queue is damaged; it is left as it is");
            Ok(None)
        }
    }
}

/// Every file of the folder that this version understands.
pub(super) fn read_all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, BucketError> {
    let failed = |error| BucketError::io(folder, error);
    let mut values = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            values.extend(read(&path)?);
        }
    }
    Ok(values)
}
