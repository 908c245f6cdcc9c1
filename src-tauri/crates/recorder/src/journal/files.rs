//! The files of a log: their names, and what is read of them.

use std::path::{Path, PathBuf};

use roomtone_disk::{AppendFile, Disk, ReadFile};
use roomtone_packets::{Record, Scanned, Scanner};
use serde::de::DeserializeOwned;

use super::header::{self, MAX_HEADER_BYTES};
use super::{EXTENSION, JournalError};

/// Bytes read at once while scanning.
const SCAN_BYTES: usize = 64 * 1024;

/// The name of a stem's file: `stem.rtj`, `stem.2.rtj`, …
pub(super) fn file_name(stem: &str, number: u32) -> String {
    match number {
        0 | 1 => format!("{stem}.{EXTENSION}"),
        _ => format!("{stem}.{number}.{EXTENSION}"),
    }
}

/// Stem and number of a file's name.
pub(super) fn parse_name(name: &str) -> Option<(&str, u32)> {
    let name = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let Some((stem, number)) = name.rsplit_once('.') else { return Some((name, 1)) };
    let number = number.parse().ok().filter(|number| *number >= 2)?;
    // One name for one file: no leading zeros or signs.
    (file_name(stem, number).len() == name.len() + 1 + EXTENSION.len()).then_some((stem, number))
}

/// The stem of a name that [`list`] gave.
pub(super) fn stem(name: &str) -> &str {
    parse_name(name).map_or(name, |(stem, _)| stem)
}

/// All journal files in a folder, by name.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io(dir))?;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| parse_name(name).is_some());
    names.sort_unstable();
    Ok(names)
}

/// Refuses a file that a later version wrote, before anything in its folder is touched.
pub(super) fn refuse_newer(disk: &dyn Disk, path: &Path) -> Result<(), JournalError> {
    let mut file = disk.read(path).map_err(JournalError::io(path))?;
    let mut prefix = [0; header::PREFIX_BYTES];
    let read = fill(&mut *file, 0, &mut prefix).map_err(JournalError::io(path))?;
    header::check_schema(path, &prefix[..read])
}

/// What a scan found.
pub(super) struct ScannedFile<H> {
    /// None where it is torn or damaged.
    pub(super) header: Option<H>,
    /// Length without the torn tail.
    pub(super) length: u64,
    /// Length as it was found.
    pub(super) total: u64,
}

/// Reads one file. Offsets of records count from its first byte.
pub(super) fn scan<H: DeserializeOwned>(
    disk: &dyn Disk,
    path: &Path,
    mut on_record: impl FnMut(u64, u32, Record),
) -> Result<ScannedFile<H>, JournalError> {
    let mut file = disk.read(path).map_err(JournalError::io(path))?;
    let mut bytes = vec![0; MAX_HEADER_BYTES];
    let read = fill(&mut *file, 0, &mut bytes).map_err(JournalError::io(path))?;
    bytes.truncate(read);
    let decoded = header::decode::<H>(path, &bytes)?;
    let (header, records_from) = decoded.map_or((None, 0), |(header, length)| (Some(header), length));
    let mut scanner = Scanner::new(records_from);
    let mut total = bytes.len() as u64;
    bytes.drain(..usize::try_from(records_from).expect("a header fits in memory"));
    let mut take = |scanned: Scanned| match scanned {
        Scanned::Record { offset, bytes, record } => on_record(offset, bytes, record),
        Scanned::Unknown { offset, kind } => tracing::info!(kind, offset, "a record of a later version is skipped"),
        Scanned::Damage { from, to } => tracing::warn!(from, to, "damage in a journal; what it held will be missing"),
    };
    loop {
        scanner.push(&bytes);
        std::iter::from_fn(|| scanner.next_scanned()).for_each(&mut take);
        bytes.resize(SCAN_BYTES, 0);
        let read = fill(&mut *file, total, &mut bytes).map_err(JournalError::io(path))?;
        bytes.truncate(read);
        total += read as u64;
        if read == 0 {
            break;
        }
    }
    std::iter::from_fn(|| scanner.next_at_end()).for_each(&mut take);
    Ok(ScannedFile { header, length: scanner.tail(), total })
}

/// Cuts a torn tail. The file that stands ready behind it, or None if the disk does not allow it: then nothing is lost,
/// readers skip the tail, and writing goes on in another file.
pub(super) fn cut_tail<H>(disk: &dyn Disk, path: &Path, scanned: &ScannedFile<H>) -> Option<Box<dyn AppendFile>> {
    let ready = disk.open(path).and_then(|mut file| {
        if scanned.length < scanned.total {
            tracing::info!(length = scanned.length, of = scanned.total, "the torn tail of a journal is cut");
            file.truncate(scanned.length)?;
        }
        Ok(file)
    });
    ready.inspect_err(|error| tracing::warn!(%error, "a journal cannot be written to; it goes on in another file")).ok()
}

/// Reads until `bytes` is full or the file ends; how much it was.
fn fill(file: &mut dyn ReadFile, offset: u64, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(offset + filled as u64, &mut bytes[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The files of one stem, in the order in which they were begun. Names may be missing: a power cut can take one that
/// held nothing durable and leave the next.
pub(super) fn of_stem(dir: &Path, names: &[String], stem: &str) -> Vec<(u32, PathBuf)> {
    let parsed = names.iter().filter_map(|name| parse_name(name).map(|(of, number)| (of, number, name)));
    let mut files: Vec<_> =
        parsed.filter(|(of, ..)| *of == stem).map(|(_, number, name)| (number, dir.join(name))).collect();
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_comes_after_what() {
        for (stem, number) in [("recording", 1), ("recording", 2), ("track-a.b", 1), ("track-ad", 4_000_000_000)] {
            let name = file_name(stem, number);
            let expected = (stem != "track-a.b").then_some((stem, number));
            assert_eq!(parse_name(&name), expected, "{name}");
        }
        for other in ["recording", "recording.wav", "recording.1.rtj", "recording.02.rtj", "recording.+2.rtj", "rtj"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn files_come_in_the_order_in_which_they_were_begun() {
        let names: Vec<String> = (1..=11).map(|number| file_name("a", number)).chain([file_name("b", 1)]).collect();
        let found = of_stem(Path::new("/"), &names, "a");
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
    }
}
