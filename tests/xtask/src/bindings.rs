//! Whether the TypeScript types in `ui/src/bindings` are what the Rust types generate today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// What to do when they are not.
const ADVICE: &str = "run `cargo test --workspace export_bindings` and commit ui/src/bindings";

/// A directory for freshly generated types, empty. Tests write there when `TS_RS_EXPORT_DIR` names it, and the ones
/// in the clone stay as they are.
pub(crate) fn fresh_directory(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let place = workspace.target("bindings");
    let emptied = if place.exists() { std::fs::remove_dir_all(&place) } else { Ok(()) };
    emptied
        .and_then(|()| std::fs::create_dir_all(&place))
        .map_err(|error| Failure::new(format!("{} cannot be emptied: {error}", place.display()), ""))?;
    Ok(place)
}

/// Compares the generated types with the ones in the clone.
pub(crate) fn compare(workspace: &Workspace, generated: &Path) -> Result<(), Failure> {
    let fresh = types(generated)?;
    let kept = types(&workspace.ui().join("src/bindings"))?;
    let differing = differences(&kept, &fresh);
    if differing.is_empty() {
        println!("{} types are up to date", fresh.len());
        return Ok(());
    }
    Err(Failure::new(format!("the generated TypeScript is out of date: {}", differing.join(", ")), ADVICE))
}

fn differences(kept: &BTreeMap<String, String>, fresh: &BTreeMap<String, String>) -> Vec<String> {
    let mut found: Vec<String> =
        kept.keys().filter(|name| !fresh.contains_key(*name)).map(|name| format!("{name} (no such type)")).collect();
    for (name, text) in fresh {
        match kept.get(name) {
            None => found.push(format!("{name} (missing)")),
            Some(old) if old != text => found.push(format!("{name} (changed)")),
            Some(_) => {}
        }
    }
    found
}

fn types(place: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(format!("{}: {error}", place.display()), ADVICE);
    let mut types = BTreeMap::new();
    for entry in std::fs::read_dir(place).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "ts") {
            let name = path.file_name().expect("it has an extension").to_string_lossy().into_owned();
            // A checkout on Windows may have other line ends.
            types.insert(name, std::fs::read_to_string(&path).map_err(unreadable)?.replace("\r\n", "\n"));
        }
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_a_changed_and_a_leftover_type_are_told_apart() {
        let types = |list: &[(&str, &str)]| list.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
        let kept = types(&[("A.ts", "1"), ("B.ts", "1"), ("C.ts", "1")]);
        let fresh = types(&[("A.ts", "1"), ("B.ts", "2"), ("D.ts", "1")]);
        assert_eq!(differences(&kept, &fresh), ["C.ts (no such type)", "B.ts (changed)", "D.ts (missing)"]);
        assert!(differences(&kept, &kept).is_empty());
    }
}
