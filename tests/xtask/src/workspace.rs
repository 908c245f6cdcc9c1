//! Where the sources stand and where everything else goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;

/// The clone and its target directory.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let asked = Command::new(cargo()).args(["metadata", "--no-deps", "--format-version", "1"]).output();
        let output = asked.map_err(|error| Failure::new(format!("cargo cannot be started: {error}"), ""))?;
        if !output.status.success() {
            return Err(Failure::new(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)), ""));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::new(format!("cargo metadata cannot be read: {error}"), ""))?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from);
        match (path("workspace_root"), path("target_directory")) {
            (Some(root), Some(target)) => Ok(Self { root, target }),
            _ => Err(Failure::new("cargo metadata names no directories", "")),
        }
    }

    /// The top of the clone.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The web UI's package.
    pub(crate) fn ui(&self) -> PathBuf {
        self.root.join("ui")
    }

    /// Inside the target directory, which `CARGO_TARGET_DIR` moves.
    pub(crate) fn target(&self, below: &str) -> PathBuf {
        self.target.join(below)
    }

    /// A program that `cargo build` made.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// cargo, at the top of the clone, building into the same target directory as this task.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // cargo tells this task about its own package; build scripts that look there (ring's does) would see another
        // environment than in a plain cargo build, and half of everything would be built again each time.
        let about_xtask = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| about_xtask(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
    }

    /// npm, in the web UI's package.
    pub(crate) fn npm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        command.args(arguments).current_dir(self.ui());
        command
    }
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
