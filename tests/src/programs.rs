//! Where Roomtone's programs are: beside the test that runs.

use std::path::PathBuf;

/// The headless program.
///
/// # Panics
/// It has not been built; the message says how.
#[must_use]
pub fn roomtone() -> PathBuf {
    built("roomtone", "roomtone-cli")
}

/// The relay.
///
/// # Panics
/// It has not been built; the message says how.
#[must_use]
pub fn roomtone_relay() -> PathBuf {
    built("roomtone-relay", "roomtone-relay")
}

/// The target directory's part for tools that `cargo xtask test` installs.
#[must_use]
pub fn tools() -> PathBuf {
    let mut place = profile_dir();
    place.pop();
    place.join("tools")
}

fn built(name: &str, package: &str) -> PathBuf {
    let path = profile_dir().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is not there; build it: cargo build -p {package}", path.display());
    path
}

/// Tests run from `{target}/{profile}/deps`.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    test.ancestors().nth(2).expect("tests lie in {target}/{profile}/deps").to_owned()
}
