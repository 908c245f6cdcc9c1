//! Installs what is missing: at once as root, with sudo after asking, else by telling the exact command.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::need::{Need, on_path, recent_node, succeeds};
use crate::step;

/// The program that installs things on this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageManager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora.
    Dnf,
    /// Arch.
    Pacman,
    /// macOS.
    Brew,
}

/// How commands get the rights they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    /// This is root, or none are needed.
    Given,
    /// sudo, after asking.
    Ask,
    /// sudo without a password, where nobody is there to be asked.
    Unattended,
    /// There is no way.
    None,
}

impl PackageManager {
    fn detect() -> Option<Self> {
        let known = [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("pacman", Self::Pacman), ("brew", Self::Brew)];
        // brew on Linux does not bring system libraries.
        let suits = |manager: Self| (manager == Self::Brew) == cfg!(target_os = "macos");
        known.into_iter().find(|&(program, manager)| suits(manager) && on_path(program)).map(|(_, manager)| manager)
    }

    /// What installs `packages`, a command a line.
    fn commands(self, packages: &[&str]) -> Vec<Vec<String>> {
        let command = |words: &str, packages: &[&str]| {
            words.split(' ').map(str::to_owned).chain(packages.iter().map(|&package| package.to_owned())).collect()
        };
        match self {
            Self::Apt => vec![
                command("apt-get update", &[]),
                command("env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends", packages),
            ],
            Self::Dnf => vec![command("dnf install -y", packages)],
            Self::Pacman => vec![command("pacman -S --needed --noconfirm", packages)],
            Self::Brew => vec![command("brew install", packages)],
        }
    }

    fn rights(self) -> Rights {
        let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
        if root || self == Self::Brew {
            Rights::Given
        } else if !on_path("sudo") {
            Rights::None
        } else if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            if succeeds("sudo", &["-n", "true"]) { Rights::Unattended } else { Rights::None }
        } else if std::io::stdin().is_terminal() {
            Rights::Ask
        } else {
            Rights::None
        }
    }
}

/// Sees to it that every need is met.
pub(crate) fn install(needs: &[Need]) -> Result<(), Failure> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|need| need.name).collect::<Vec<_>>().join(", ");
    let Some(manager) = PackageManager::detect() else {
        return Err(Failure::new(
            format!("missing: {names}"),
            "install it and try again; of package managers, apt, dnf, pacman and (on macOS) brew are known here",
        ));
    };
    let mut packages: Vec<&str> = Vec::new();
    for need in &missing {
        match need.packages(manager) {
            Some(names) => packages.extend(names.split(' ')),
            None => return Err(Failure::new(format!("missing: {}", need.name), advice_without_package(need))),
        }
    }
    if manager == PackageManager::Apt && packages.contains(&"nodejs") && !apt_has_recent_node() {
        return Err(Failure::new(
            format!("missing: {names}; the node that apt knows is too old"),
            "install node 20.19 or newer from https://nodejs.org or https://github.com/nodesource/distributions",
        ));
    }
    println!("missing: {names}");
    let commands = manager.commands(&packages);
    let typed = commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>();
    let sudo: &[&str] = match manager.rights() {
        Rights::Given => &[],
        Rights::Unattended => &["sudo", "-n"],
        Rights::Ask if agreed(&typed) => &["sudo"],
        Rights::Ask | Rights::None => {
            let by_hand = typed.iter().map(|line| format!("sudo {line}")).collect::<Vec<_>>().join(" && ");
            return Err(Failure::new(format!("missing: {names}"), by_hand));
        }
    };
    for command in &commands {
        let mut words = sudo.iter().copied().chain(command.iter().map(String::as_str));
        let mut run = Command::new(words.next().expect("a command has a first word"));
        run.args(words);
        let by_hand = typed.join(" && ");
        if sudo == ["sudo"] {
            // sudo may want to ask for a password, so this one keeps the terminal.
            let status = run.stdin(Stdio::inherit()).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err(Failure::new("installing failed", format!("run it by hand: {by_hand}")));
            }
        } else {
            step::run("install", &mut run, &format!("run it by hand: {by_hand}"))?;
        }
    }
    match needs.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => Err(Failure::new(
            format!("{} is still missing after installing {}", need.name, packages.join(" ")),
            "install it by hand and try again",
        )),
    }
}

fn advice_without_package(need: &Need) -> &'static str {
    if need.name.contains("C compiler") { "xcode-select --install" } else { "install it by hand and try again" }
}

fn agreed(typed: &[String]) -> bool {
    println!("To install it, this would run:");
    typed.iter().for_each(|line| println!("  sudo {line}"));
    print!("Run it? [y/N] ");
    let mut answer = String::new();
    let asked = std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    asked.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Debian 12 and Ubuntu 24.04 still bring node 18.
fn apt_has_recent_node() -> bool {
    let asked = Command::new("apt-cache").args(["policy", "nodejs"]).output();
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let candidate = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: ").map(str::to_owned));
    candidate.is_some_and(|version| recent_node(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_typed_as_they_are_shown() {
        let typed = |manager: PackageManager| {
            manager.commands(&["cmake", "sox"]).iter().map(|command| command.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(typed(PackageManager::Pacman), ["pacman -S --needed --noconfirm cmake sox"]);
        assert_eq!(typed(PackageManager::Apt)[0], "apt-get update");
        assert!(typed(PackageManager::Apt)[1].ends_with("--no-install-recommends cmake sox"));
    }
}
