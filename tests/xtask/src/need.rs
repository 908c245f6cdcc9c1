//! What a task needs from the system, how one sees whether it is there, and what package managers call it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::package_manager::PackageManager;

/// Oldest node that the UI's tools run on.
const NODE: (u32, u32) = (20, 19);

/// Something that has to be installed.
pub(crate) struct Need {
    /// What a person calls it.
    pub(crate) name: &'static str,
    probe: Probe,
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    brew: &'static str,
}

/// How one sees that it is there, whoever installed it.
enum Probe {
    Program(&'static str),
    /// A program that says of itself what it is: others go by the same name.
    Named(&'static str, &'static str),
    /// A program that only administrators have on their path.
    SystemProgram(&'static str),
    PkgConfig(&'static str),
    SharedLibrary(&'static str),
    PythonModules(&'static str),
    PythonVenv,
    FontFamily(&'static str),
    Node,
}

impl Need {
    /// Whether it is there.
    pub(crate) fn is_met(&self) -> bool {
        match self.probe {
            Probe::Program(name) => on_path(name),
            Probe::Named(name, itself) => prints(name, &["-version"], itself),
            Probe::SystemProgram(name) => {
                on_path(name) || ["/usr/sbin", "/sbin"].iter().any(|place| Path::new(place).join(name).is_file())
            }
            Probe::PkgConfig(name) => succeeds("pkg-config", &["--exists", name]),
            Probe::SharedLibrary(name) => prints("ldconfig", &["-p"], name) || prints("/sbin/ldconfig", &["-p"], name),
            // Packages install for the system's own python, whatever else stands first on the path.
            Probe::PythonModules(names) => succeeds("/usr/bin/python3", &["-c", &format!("import {names}")]),
            Probe::PythonVenv => succeeds("python3", &["-c", "import venv, ensurepip"]),
            Probe::FontFamily(name) => prints("fc-list", &[], name),
            Probe::Node => on_path("npm") && node_is_recent(),
        }
    }

    /// The packages that bring it, as this manager calls them; None where it has none.
    pub(crate) fn packages(&self, manager: PackageManager) -> Option<&'static str> {
        let packages = match manager {
            PackageManager::Apt => self.apt,
            PackageManager::Dnf => self.dnf,
            PackageManager::Pacman => self.pacman,
            PackageManager::Brew => self.brew,
        };
        (!packages.is_empty()).then_some(packages)
    }
}

const fn need(name: &'static str, probe: Probe, packages: [&'static str; 4]) -> Need {
    let [apt, dnf, pacman, brew] = packages;
    Need { name, probe, apt, dnf, pacman, brew }
}

const COMPILER: Need =
    need("a C compiler", Probe::Program("cc"), ["build-essential", "gcc gcc-c++ make", "base-devel", ""]);
const CMAKE: Need = need("cmake", Probe::Program("cmake"), ["cmake", "cmake", "cmake", "cmake"]);
const NODE_NEED: Need =
    need("node 20.19 or newer, with npm", Probe::Node, ["nodejs npm", "nodejs nodejs-npm", "nodejs npm", "node"]);

const PYTHON: [Need; 2] = [
    need("python3", Probe::Program("python3"), ["python3", "python3", "python", "python"]),
    need("python's virtual environments", Probe::PythonVenv, ["python3 python3-venv", "python3", "python", "python"]),
];

/// To build and run the headless program.
pub(crate) fn of_the_headless_program() -> Vec<Need> {
    let mut needs = vec![COMPILER, CMAKE];
    if cfg!(target_os = "linux") {
        needs.push(need(
            "pkg-config",
            Probe::Program("pkg-config"),
            ["pkg-config", "pkgconf-pkg-config", "pkgconf", ""],
        ));
        needs.push(need("ALSA", Probe::PkgConfig("alsa"), ["libasound2-dev", "alsa-lib-devel", "alsa-lib", ""]));
    }
    needs
}

/// To build and open the window as well.
pub(crate) fn of_the_window() -> Vec<Need> {
    let mut needs = of_the_headless_program();
    needs.push(NODE_NEED);
    if cfg!(target_os = "linux") {
        needs.push(need(
            "WebKitGTK 4.1",
            Probe::PkgConfig("webkit2gtk-4.1"),
            ["libwebkit2gtk-4.1-dev", "webkit2gtk4.1-devel", "webkit2gtk-4.1", ""],
        ));
        needs.push(need(
            "the tray's library",
            Probe::SharedLibrary("libayatana-appindicator3.so.1"),
            ["libayatana-appindicator3-1", "libayatana-appindicator-gtk3", "libayatana-appindicator", ""],
        ));
    }
    needs
}

/// To measure: python brings the S3 server.
pub(crate) fn of_the_bench() -> Vec<Need> {
    let mut needs = of_the_headless_program();
    needs.extend(PYTHON);
    needs
}

/// To run every check as well.
pub(crate) fn of_the_tests() -> Vec<Need> {
    let mut needs = of_the_window();
    let program = |name: &'static str, packages| need(name, Probe::Program(name), packages);
    needs.extend(PYTHON);
    needs.extend([
        program("ffmpeg", ["ffmpeg", "ffmpeg-free", "ffmpeg", "ffmpeg"]),
        program("sox", ["sox", "sox", "sox", "sox"]),
    ]);
    if cfg!(target_os = "linux") {
        needs.extend([
            need(
                "libsndfile",
                Probe::SharedLibrary("libsndfile.so.1"),
                ["libsndfile1", "libsndfile", "libsndfile", ""],
            ),
            need("ip", Probe::SystemProgram("ip"), ["iproute2", "iproute", "iproute2", ""]),
            need("nft", Probe::SystemProgram("nft"), ["nftables", "nftables", "nftables", ""]),
            program("nsenter", ["util-linux", "util-linux", "util-linux", ""]),
            program("pulseaudio", ["pulseaudio", "pulseaudio", "pulseaudio", ""]),
            program("pactl", ["pulseaudio-utils", "pulseaudio-utils", "libpulse", ""]),
            program("Xvfb", ["xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb", ""]),
            program("dbus-run-session", ["dbus", "dbus-daemon", "dbus", ""]),
            program("WebKitWebDriver", ["webkit2gtk-driver", "/usr/bin/WebKitWebDriver", "webkit2gtk-4.1", ""]),
            need(
                "python's D-Bus and GLib modules",
                Probe::PythonModules("dbus, gi"),
                ["python3-dbus python3-gi", "python3-dbus python3-gobject", "python-dbus python-gobject", ""],
            ),
            need(
                "ImageMagick",
                Probe::Named("convert", "Version: ImageMagick"),
                ["imagemagick", "ImageMagick", "imagemagick", ""],
            ),
            need("fc-list", Probe::Program("fc-list"), ["fontconfig", "fontconfig", "fontconfig", ""]),
            need(
                "a font",
                Probe::FontFamily("DejaVu Sans"),
                ["fonts-dejavu-core", "dejavu-sans-fonts", "ttf-dejavu", ""],
            ),
        ]);
    }
    needs
}

/// Whether a program of this name can be started.
pub(crate) fn on_path(name: &str) -> bool {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| {
        let found = |file: &str| Path::new(&place).join(file).is_file();
        found(&file) || (cfg!(windows) && found(&format!("{name}.cmd")))
    })
}

/// Whether a command can be run and says yes.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    run.is_ok_and(|output| output.status.success())
}

fn prints(program: &str, arguments: &[&str], text: &str) -> bool {
    let run = Command::new(program).args(arguments).output();
    run.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(text))
}

fn node_is_recent() -> bool {
    let run = Command::new("node").arg("--version").output();
    run.is_ok_and(|output| recent_node(&String::from_utf8_lossy(&output.stdout)))
}

/// Whether a version such as `v20.20.2` is recent enough.
pub(crate) fn recent_node(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split(['.', '~', '+', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= NODE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_compared_as_numbers() {
        for (version, recent) in
            [("v20.19.0\n", true), ("22.4.1~dfsg-1", true), ("v20.9.1", false), ("18.20.4+dfsg-1", false), ("", false)]
        {
            assert_eq!(recent_node(version), recent, "{version}");
        }
    }

    #[test]
    fn on_linux_every_need_has_a_package_everywhere() {
        for need in of_the_tests().iter().filter(|_| cfg!(target_os = "linux")) {
            for manager in [PackageManager::Apt, PackageManager::Dnf, PackageManager::Pacman] {
                assert!(need.packages(manager).is_some(), "{} with {manager:?}", need.name);
            }
        }
    }
}
