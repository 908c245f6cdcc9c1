//! Computers of their own for a test's programs: Linux network namespaces around a router that loses packets.
//!
//! ```text
//! 10.77.1.2 first computer --- 10.77.1.1 \
//! 10.77.2.2 second computer -- 10.77.2.1 - router
//! 10.77.3.2 third computer --- 10.77.3.1 /
//! ```
//!
//! Packets are dropped where the router passes them on, so that who sends one learns nothing of it, as on a real way.
//! No namespace has a name: each lasts as long as its keeper, a `cat` that ends with this process, however that ends.
//! So networks of different tests cannot meet, and none is ever left behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

/// Where programs are that not everybody has on their path.
const SYSTEM_PROGRAMS: &str = "/usr/sbin:/sbin";

/// What happens to what goes to a computer and comes from it, each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// All of it arrives.
    Whole,
    /// So many of a hundred packets are lost, each by its own chance.
    Loses(u8),
    /// Nothing arrives.
    Cut,
}

/// A router with lines to computers. Dropping it ends them all.
#[derive(Debug)]
pub struct Network {
    router: Keeper,
    lines: AtomicU8,
}

/// A computer with a network interface of its own.
#[derive(Debug)]
pub struct Computer {
    keeper: Keeper,
    /// Which line leads to it, counted from 1.
    line: u8,
    address: Ipv4Addr,
}

/// Holds a namespace.
#[derive(Debug)]
struct Keeper(Child);

impl Network {
    /// Makes a router that nobody is connected to.
    ///
    /// # Panics
    /// This user may not, or a program is missing; the message says what helps.
    #[must_use]
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        if !is_root() {
            // Whoever is root in a user namespace of their own may do this as well.
            command.args(["--user", "--map-root-user"]);
        }
        let router = Keeper::start(command.arg("--net"));
        router.run("sh", &["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]);
        Self { router, lines: AtomicU8::new(0) }
    }

    /// Adds a computer at the end of a line that loses nothing.
    ///
    /// # Panics
    /// A program is missing; the message says how to install it.
    #[must_use]
    pub fn computer(&self) -> Computer {
        let line = self.lines.fetch_add(1, Ordering::Relaxed) + 1;
        let keeper = Keeper::start(self.router.enter().args(["unshare", "--net"]));
        let (here, there) = (format!("line{line}"), format!("end{line}"));
        self.router.ip(&["link", "add", &here, "type", "veth", "peer", "name", &there]);
        self.router.ip(&["link", "set", &there, "netns", &keeper.0.id().to_string(), "name", "eth0"]);
        self.router.ip(&["link", "set", &here, "up"]);
        keeper.ip(&["link", "set", "lo", "up"]);
        keeper.ip(&["link", "set", "eth0", "up"]);
        let computer = Computer { keeper, line, address: Ipv4Addr::new(10, 77, line, 2) };
        self.connect(&computer);
        computer
    }

    /// From now on this happens on a computer's line, both ways.
    ///
    /// # Panics
    /// There is no nftables; the message says how to install it.
    pub fn set(&self, computer: &Computer, line: Line) {
        let verdict = match line {
            Line::Whole => "accept".to_owned(),
            Line::Loses(percent) => format!("numgen random mod 100 < {percent} drop"),
            Line::Cut => "drop".to_owned(),
        };
        let name = format!("line{}", computer.line);
        // Declared before it is deleted, so that there is something to delete the first time; all of it is one step.
        let rules = format!(
            "table ip {name}
             delete table ip {name}
             table ip {name} {{
                 chain forward {{
                     type filter hook forward priority 0;
                     iifname \"{name}\" {verdict}
                     oifname \"{name}\" {verdict}
                 }}
             }}"
        );
        let mut command = self.router.enter();
        let mut nft = start(command.args(["nft", "-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()));
        let told = nft.stdin.take().map(|mut stdin| stdin.write_all(rules.as_bytes()));
        let output = nft.wait_with_output().expect("a child can be waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nft: {said}; {}", install("nft"));
        assert!(matches!(told, Some(Ok(()))), "nft took no rules: {told:?}");
    }

    /// Takes a computer's address away and gives it one in another network, as when somebody walks out of the reach of
    /// their wireless network.
    pub fn move_on(&self, computer: &mut Computer) {
        let [a, b, net, host] = computer.address.octets();
        let before = Ipv4Addr::new(a, b, net, 1);
        computer.keeper.ip(&["address", "flush", "dev", "eth0"]);
        self.router.ip(&["address", "del", &format!("{before}/24"), "dev", &format!("line{}", computer.line)]);
        // Lines are few, so nobody else is there.
        computer.address = Ipv4Addr::new(a, b, net.wrapping_add(100), host);
        self.connect(computer);
    }

    /// Gives both ends of a line their addresses.
    fn connect(&self, computer: &Computer) {
        let [a, b, net, _] = computer.address.octets();
        let gateway = Ipv4Addr::new(a, b, net, 1);
        let line = format!("line{}", computer.line);
        self.router.ip(&["address", "add", &format!("{gateway}/24"), "dev", &line]);
        computer.keeper.ip(&["address", "add", &format!("{}/24", computer.address), "dev", "eth0"]);
        computer.keeper.ip(&["route", "add", "default", "via", &gateway.to_string()]);
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Computer {
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The same command, to be run on this computer. It becomes the program itself, so that signals reach it.
    #[must_use]
    pub fn command(&self, command: &Command) -> Command {
        inside(self.keeper.enter(), command)
    }
}

/// The same command behind one that makes or enters namespaces.
pub(crate) fn inside(mut entering: Command, command: &Command) -> Command {
    entering.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => entering.env(name, value),
            None => entering.env_remove(name),
        };
    }
    entering
}

impl Keeper {
    /// `command` makes the namespaces and runs what follows in them.
    fn start(command: &mut Command) -> Self {
        command.args(["sh", "-c", "echo made; exec cat >/dev/null"]);
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        if line != "made\n" {
            let output = child.wait_with_output().expect("a child can be waited for");
            panic!(
                "no network namespace: {}; run the tests as root, or let users make namespaces: \
                 sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Self(child)
    }

    /// Runs what is appended in this namespace.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:{SYSTEM_PROGRAMS}")).arg("--");
        command
    }

    fn ip(&self, arguments: &[&str]) {
        self.run("ip", arguments);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.enter();
        let child = start(command.arg(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()));
        let output = child.wait_with_output().expect("a child can be waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {}: {said}; {}", arguments.join(" "), install(program));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Already ended is as good as killed; there is nobody to tell about the rest.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn start(command: &mut Command) -> Child {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|error| panic!("{program} cannot be started: {error}; {}", install(&program)))
}

fn install(program: &str) -> String {
    let package = match program {
        "nft" => "nftables",
        "ip" => "iproute2",
        _ => "util-linux",
    };
    format!("if it is missing: apt-get install {package} (or: cargo xtask test)")
}
