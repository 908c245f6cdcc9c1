//! `cargo deny`: what is built in, from where, under which licence, and with which known flaws.

use std::process::Command;

use crate::failure::Failure;
use crate::step;
use crate::tool;
use crate::workspace::Workspace;

/// Where known flaws of crates are listed.
const ADVISORIES: &str = "https://github.com/rustsec/advisory-db";

/// Runs it. Returns what had to be left out.
pub(crate) fn check(workspace: &Workspace) -> Result<Option<&'static str>, Failure> {
    let deny = tool::cargo_deny(workspace)?;
    let advice = "the rules stand in .deny.toml; choose another crate, or allow it there with the reason";
    let mut checks = vec!["bans", "licenses", "sources"];
    let left_out = if advisories_can_be_had() {
        checks.push("advisories");
        None
    } else {
        Some("advisories (cargo deny): the list at github.com/rustsec/advisory-db cannot be reached from here")
    };
    let mut command = Command::new(deny);
    command.current_dir(workspace.root()).args(["--workspace", "--locked", "check", "--hide-inclusion-graph"]);
    step::run("cargo deny", command.args(checks), advice)?;
    Ok(left_out)
}

fn advisories_can_be_had() -> bool {
    let limits = ["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=10"];
    let mut asked = Command::new("git");
    asked.args(limits).args(["ls-remote", "--quiet", ADVISORIES, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
    asked.output().is_ok_and(|output| output.status.success())
}
