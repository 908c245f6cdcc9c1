//! `cargo xtask bench`: what recording costs, and what long lists do, next to the least that they could.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{need, package_manager, step, tool};

/// Builds what people install, and measures that: `session`, or another of the benchmarks.
pub(crate) fn run(workspace: &Workspace, which: &str) -> Result<(), Failure> {
    package_manager::install(&need::of_the_bench())?;
    let weed = tool::seaweedfs(workspace)?;
    let build = &["build", "--release", "--locked", "--bin", "roomtone"];
    step::run("build", &mut workspace.cargo(build), "mend what the compiler says")?;
    let bench = &["bench", "--locked", "--bench", which];
    step::run("bench", workspace.cargo(bench).env("ROOMTONE_WEED", weed), "what went wrong stands above")
}
