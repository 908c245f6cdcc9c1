//! Keys and paths: which keys a folder can hold, where they lie, and how they stand in a link.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::info;
use crate::{BucketError, ObjectInfo};

/// The folder below the root, and below any prefix, that is Roomtone's own. Never listed unless asked for by name.
pub(super) const RESERVED: &str = ".roomtone";

/// Longest key in bytes, as in S3.
const LONGEST: usize = 1024;

/// The file of a key. Nothing outside `root` can be named: no `..`, no absolute path, no way through a symbolic link;
/// and nothing hidden but the reserved folder.
pub(super) fn of_key(root: &Path, key: &str) -> Result<PathBuf, BucketError> {
    let invalid = |reason| BucketError::InvalidKey { key: key.to_owned(), reason };
    if let Some(reason) = objection(key) {
        return Err(invalid(reason));
    }
    let mut path = root.to_path_buf();
    for name in key.split('/') {
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => return Err(invalid("it leads through a symbolic link")),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(BucketError::io(path, error)),
        }
    }
    Ok(path)
}

fn objection(key: &str) -> Option<&'static str> {
    if key.is_empty() || key.len() > LONGEST {
        return Some("it is empty or longer than 1024 bytes");
    }
    if key.chars().any(|c| c.is_control() || c == '\\') {
        return Some("it holds a backslash or a control character");
    }
    if key == RESERVED || key.starts_with(".roomtone/tmp") {
        return Some("it is reserved");
    }
    key.split('/').find_map(|name| {
        if name.is_empty() {
            Some("it begins or ends with a slash or holds two in a row")
        } else if name.starts_with('.') && name != RESERVED {
            Some("a name in it begins with a dot")
        } else if cfg!(windows) && (name.contains([':', '*', '?', '"', '<', '>', '|']) || name.ends_with(['.', ' '])) {
            Some("Windows has no such file name")
        } else {
            None
        }
    })
}

/// Every file below `root` whose key begins with `prefix`, in the order of keys. Symbolic links, hidden files and
/// names that are not UTF-8 are not objects.
pub(super) fn list(root: &Path, prefix: &str) -> Result<Vec<ObjectInfo>, BucketError> {
    if !root.is_dir() {
        return Err(BucketError::Unreachable(format!("the folder {} is not there", root.display())));
    }
    let mut objects = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        list_folder(root, &folder, prefix, &mut folders, &mut objects)?;
    }
    objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(objects)
}

/// `folder` is empty or ends in a slash.
fn list_folder(
    root: &Path,
    folder: &str,
    prefix: &str,
    folders: &mut Vec<String>,
    objects: &mut Vec<ObjectInfo>,
) -> Result<(), BucketError> {
    let path = root.join(folder);
    let failed = |error| BucketError::io(&path, error);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        // It went away between being seen and being read.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let key = format!("{folder}{name}");
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        if metadata.is_dir() {
            let inside = format!("{key}/");
            let reserved_and_asked_for = name == RESERVED && prefix.starts_with(&inside);
            let wanted = inside.starts_with(prefix) || prefix.starts_with(&inside);
            if wanted && (!name.starts_with('.') || reserved_and_asked_for) {
                folders.push(inside);
            }
        } else if metadata.is_file() && key.starts_with(prefix) && objection(&key).is_none() {
            objects.push(info(key, &metadata).map_err(failed)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_lead_out_or_hide_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let long = "x".repeat(1025);
        for key in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "../a",
            "a//b",
            "a/",
            "./a",
            ".hidden",
            "a/.b",
            "a\\b",
            "a\0b",
            "a\nb",
            ".roomtone",
            ".roomtone/tmp/x",
            &long,
        ] {
            assert!(matches!(of_key(root.path(), key), Err(BucketError::InvalidKey { .. })), "{key:?}");
        }
        for key in ["a", "a/b.wav", "ü/会議.wav", ".roomtone/probe", "a/.roomtone/probe"] {
            assert!(of_key(root.path(), key).is_ok(), "{key:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_no_way_out() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("secret.wav"), b"x").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("out")).unwrap();
        assert!(of_key(root.path(), "out/secret.wav").is_err());
        assert_eq!(list(root.path(), "").unwrap(), []);
    }

    #[test]
    fn listing_is_by_prefix_of_the_key_and_leaves_hidden_files_out() {
        let root = tempfile::tempdir().unwrap();
        for key in ["a.wav", "b/c.wav", "b/d/e.wav", "bx.wav", ".hidden", ".roomtone/probe", ".git/config"] {
            let path = root.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let keys = |prefix| list(root.path(), prefix).unwrap().into_iter().map(|object| object.key).collect::<Vec<_>>();
        assert_eq!(keys(""), ["a.wav", "b/c.wav", "b/d/e.wav", "bx.wav"]);
        assert_eq!(keys("b"), ["b/c.wav", "b/d/e.wav", "bx.wav"]);
        assert_eq!(keys("b/d/"), ["b/d/e.wav"]);
        assert_eq!(keys(".roomtone/"), [".roomtone/probe"]);
        assert_eq!(keys("zzz"), [""; 0]);
    }
}
