//! `cargo xtask bench`: what recording costs, and what long lists do, next to the least that they could.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{need, package_manager, step, tool};

/// Builds what people install, and measures that.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let weed = prepared(workspace)?;
    let bench = &["bench", "--locked", "--bench", "session"];
    step::run("bench", workspace.cargo(bench).env("ROOMTONE_WEED", weed), ADVICE)
}

/// The same for long lists.
pub(crate) fn catalog(workspace: &Workspace) -> Result<(), Failure> {
    let weed = prepared(workspace)?;
    let bench = &["bench", "--locked", "--bench", "catalog"];
    step::run("bench catalog", workspace.cargo(bench).env("ROOMTONE_WEED", weed), ADVICE)
}

/// The same for storage, next to what the AWS command line takes.
pub(crate) fn storage(workspace: &Workspace) -> Result<(), Failure> {
    let (weed, aws) = (prepared(workspace)?, tool::aws(workspace)?);
    let bench = &["bench", "--locked", "--bench", "storage"];
    let mut command = workspace.cargo(bench);
    step::run("bench storage", command.env("ROOMTONE_WEED", weed).env("ROOMTONE_AWS", aws), ADVICE)
}

const ADVICE: &str = "what went wrong stands above";

/// The program in its release build, and the server.
fn prepared(workspace: &Workspace) -> Result<PathBuf, Failure> {
    package_manager::install(&need::of_the_bench())?;
    let weed = tool::seaweedfs(workspace)?;
    let build = &["build", "--release", "--locked", "--bin", "roomtone"];
    step::run("build", &mut workspace.cargo(build), "mend what the compiler says")?;
    Ok(weed)
}
