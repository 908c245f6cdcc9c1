//! `cargo xtask run`: builds the window and opens it, or records a session where there is no screen to show one.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{need, package_manager, session, step};

/// Runs it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    if !has_display() {
        println!("There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): recording a session without one.");
        return session::run(workspace);
    }
    package_manager::install(&need::of_the_window())?;
    step::run("npm ci", &mut workspace.npm(&["ci", "--no-audit", "--no-fund"]), "check that npm reaches its registry")?;
    step::run("UI build", &mut workspace.npm(&["run", "build"]), "mend what vite says")?;
    // With --workspace dependencies get the features that all packages together ask for, as in the build of the tests:
    // with --package they would get fewer, and each of the two would build anew what the other has built.
    let build = &["build", "--locked", "--workspace", "--bin", "roomtone-desktop"];
    step::run("desktop build", &mut workspace.cargo(build), "mend what the compiler says")?;
    let mut desktop = std::process::Command::new(workspace.built("roomtone-desktop"));
    step::run("Roomtone", &mut desktop, "its log is above; roomtone-desktop --debug says more")
}

fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
