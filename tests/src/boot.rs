//! A computer that has just booted, as its programs see it: a Linux time namespace has a clock of its own
//! (time_namespaces(7)), and a file that is mounted over the kernel's has another name of the boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::network::{inside, is_root};

/// How long it has been up, in seconds.
const UP_S: i64 = 30;

/// Where the kernel names the boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A boot. Its wall clock is that of the machine, which a namespace cannot change.
#[derive(Debug)]
pub struct Boot {
    /// A file with its name.
    id: PathBuf,
    /// What its clock is ahead of the machine's, in seconds.
    ahead_s: i64,
}

impl Boot {
    /// Boots. `id` is a UUID that no other boot has; `place` is a directory of the test.
    ///
    /// # Panics
    /// This user may not, or a program is missing; the message says what helps.
    #[must_use]
    pub fn new(place: &Path, id: &str) -> Self {
        let path = place.join(format!("boot-{id}"));
        fs::write(&path, format!("{id}\n")).expect("the test's directory can be written");
        let boot = Self { id: path, ahead_s: UP_S - up_s(&fs::read_to_string("/proc/uptime").expect("Linux has it")) };
        let seen = boot.command(Command::new("cat").args(["/proc/uptime", BOOT_ID])).stdout(Stdio::piped()).output();
        let seen = seen
            .unwrap_or_else(|error| panic!("no time namespace: {error}; if it is missing: apt-get install util-linux"));
        let (said, failed) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
        assert!(
            seen.status.success() && said.ends_with(&format!("{id}\n")) && (UP_S..UP_S + 60).contains(&up_s(&said)),
            "no boot of its own, but {said:?} {failed:?}; this needs Linux 6.3 or newer and unshare of util-linux 2.36 or \
             newer (apt-get install util-linux), and root, or users who may make namespaces: \
             sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
        );
        boot
    }

    /// The same command, to be run after this boot. It becomes the program itself, so that signals reach it.
    #[must_use]
    pub fn command(&self, command: &Command) -> Command {
        let mut unshare = Command::new("unshare");
        if !is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--mount", "--time", "--boottime", &self.ahead_s.to_string()]);
        let mount = format!("mount --bind \"$0\" {BOOT_ID} && exec \"$@\"");
        unshare.args(["sh", "-c", &mount]).arg(&self.id);
        inside(unshare, command)
    }
}

/// Whole seconds of /proc/uptime.
fn up_s(uptime: &str) -> i64 {
    let seconds = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
    seconds.unwrap_or_else(|| panic!("{uptime:?} is no uptime"))
}
