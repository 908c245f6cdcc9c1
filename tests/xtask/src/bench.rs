//! `cargo xtask bench`: what recording costs, next to the least that it could.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{need, package_manager, step, tool};

/// Builds what people install, and measures that.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    package_manager::install(&need::of_the_bench())?;
    let weed = tool::seaweedfs(workspace)?;
    let build = &["build", "--release", "--locked", "--bin", "roomtone"];
    step::run("build", &mut workspace.cargo(build), "mend what the compiler says")?;
    let bench = &["bench", "--locked", "--bench", "session"];
    step::run("bench", workspace.cargo(bench).env("ROOMTONE_WEED", weed), "what went wrong stands above")
}
