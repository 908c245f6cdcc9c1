//! A virtual microphone: a PulseAudio daemon of its own whose default source hears what is played into it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Deadline, PATIENCE};

/// How to get it.
const INSTALL: &str = "apt-get install pulseaudio pulseaudio-utils (or: cargo xtask test)";

/// One daemon, one microphone. Ends with its owner.
#[derive(Debug)]
pub struct PulseServer {
    place: PathBuf,
    child: Child,
}

impl PulseServer {
    /// Starts a daemon in a directory below `place`.
    ///
    /// # Panics
    /// There is no PulseAudio, or it does not start.
    #[must_use]
    pub fn start(place: &Path) -> Self {
        let place = place.join("pulse");
        std::fs::create_dir_all(&place).expect("the test's directory can be written");
        // norewinds: what was played is heard unchanged; else a rewind rewrites what the source already heard.
        let script = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}\n\
             load-module module-null-sink sink_name=room rate=48000 channels=1 format=s16le norewinds=1\n\
             set-default-sink room\n\
             set-default-source room.monitor\n",
            place.join("native").display()
        );
        std::fs::write(place.join("script.pa"), script).expect("the test's directory can be written");
        let log = std::fs::File::create(place.join("log.txt")).expect("the test's directory can be written");
        let spawned = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"])
            .args(["--log-target=stderr", "--file"])
            .arg(place.join("script.pa"))
            .current_dir(&place)
            .envs(["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH"].map(|name| (name, &place)))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let child = spawned.unwrap_or_else(|error| panic!("pulseaudio cannot be started: {error}; {INSTALL}"));
        let server = Self { place, child };
        let ready = Deadline::after(PATIENCE).poll(|| {
            let asked = server.client("pactl").args(["get-default-source"]).output();
            let asked = asked.unwrap_or_else(|error| panic!("pactl cannot be started: {error}; {INSTALL}"));
            asked.stdout.starts_with(b"room.monitor").then_some(())
        });
        if ready.is_none() {
            let log = std::fs::read_to_string(server.place.join("log.txt")).unwrap_or_default();
            panic!("pulseaudio did not get ready:\n{log}");
        }
        server
    }

    /// Settings that make a program use this daemon, and so this microphone.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let place = self.place.display();
        vec![("PULSE_SERVER", format!("unix:{place}/native")), ("PULSE_COOKIE", format!("{place}/cookie"))]
    }

    /// A client program of this daemon.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment()).stdin(Stdio::null());
        command
    }
}

impl Drop for PulseServer {
    fn drop(&mut self) {
        // Already ended is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
