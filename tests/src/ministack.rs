//! MiniStack as the AWS of a test: S3, queues (SQS) and topics (SNS) that it tells of changes. On a free port, in memory, gone
//! when the test is over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::runtime::Runtime;

use crate::{Bucket, Deadline, programs};

/// How to get it; also what `cargo xtask test` does.
const INSTALL: &str = "python3 -m venv target/tools/ministack && target/tools/ministack/bin/pip install ministack==1.5.33 \
     (or: cargo xtask test; or name a ministack program in ROOMTONE_MINISTACK)";
/// It is up in two seconds; more on a busy machine.
const STARTING: Duration = Duration::from_secs(90);
/// Whoever asks with them may do everything.
const KEY: &str = "test";
/// Where it says that it is.
const REGION: &str = "us-east-1";

/// A server with nothing in it.
#[derive(Debug)]
pub struct MiniStack {
    port: u16,
    child: Child,
    runtime: Runtime,
}

impl MiniStack {
    /// Starts it; `place` is for its log.
    ///
    /// # Panics
    /// There is no MiniStack, or it does not start; the message says what to do.
    #[must_use]
    pub fn start(place: &Path) -> Self {
        let [port] = xtask::free_ports();
        let log = place.join("ministack.txt");
        let file = std::fs::File::create(&log).expect("the test's directory can be written");
        let errors = file.try_clone().expect("a file can be shared");
        let spawned = Command::new(program())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        let child = spawned.unwrap_or_else(|error| panic!("ministack cannot be started: {error}; {INSTALL}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let mut server = Self { port, child, runtime: runtime.expect("a runtime can be made") };
        let probe = server.bucket("readiness");
        let ready = Deadline::after(STARTING).poll(|| {
            let ended = server.child.try_wait().map(|status| status.is_some());
            if ended.unwrap_or(true) { Some(false) } else { probe.create().ok().map(|()| true) }
        });
        if ready != Some(true) {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("MiniStack ended, or made no bucket within {} s:\n{log}", STARTING.as_secs());
        }
        server
    }

    /// Address of everything.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Another client of the bucket `name`, which need not exist.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::at(&self.endpoint(), name, KEY, KEY)
    }

    /// Settings that point Roomtone at the bucket `name`.
    #[must_use]
    pub fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("S3_RECORDING_BUCKET", name.to_owned()),
            ("S3_RECORDING_ENDPOINT", self.endpoint()),
            ("S3_RECORDING_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ]
    }

    fn queues(&self) -> Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "test"))
            .build();
        Client::from_conf(config)
    }

    /// Makes a queue; answers its address.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn create_queue(&self, name: &str) -> String {
        let made = self.runtime.block_on(self.queues().create_queue().queue_name(name).send());
        made.expect("a queue can be made").queue_url.expect("a queue has an address")
    }

    /// Removes a queue.
    ///
    /// # Panics
    /// It cannot be removed.
    pub fn delete_queue(&self, url: &str) {
        self.runtime.block_on(self.queues().delete_queue().queue_url(url).send()).expect("a queue can be removed");
    }

    /// Every queue's address.
    ///
    /// # Panics
    /// It does not tell.
    #[must_use]
    pub fn queue_urls(&self) -> Vec<String> {
        let listed = self.runtime.block_on(self.queues().list_queues().send());
        listed.expect("queues can be listed").queue_urls.unwrap_or_default()
    }

    /// Puts a message into a queue.
    ///
    /// # Panics
    /// It does not take it.
    pub fn send(&self, url: &str, body: &str) {
        let sent = self.queues().send_message().queue_url(url).message_body(body).send();
        self.runtime.block_on(sent).expect("a queue takes messages");
    }

    /// What a queue says of itself, by the names that AWS has for it.
    ///
    /// # Panics
    /// There is no such queue.
    #[must_use]
    pub fn attribute(&self, url: &str, name: &str) -> Option<String> {
        let asked = self.queues().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let answer = self.runtime.block_on(asked.send()).expect("a queue tells its attributes");
        answer.attributes.unwrap_or_default().remove(&QueueAttributeName::from(name))
    }

    /// Some of the messages that wait in a queue, as they are; they stay.
    ///
    /// # Panics
    /// There is no such queue.
    #[must_use]
    pub fn bodies(&self, url: &str) -> Vec<String> {
        let look = self.queues().receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(0);
        let found = self.runtime.block_on(look.send()).expect("a queue tells its messages");
        found.messages.unwrap_or_default().into_iter().filter_map(|message| message.body).collect()
    }

    /// Messages that nobody has removed.
    ///
    /// # Panics
    /// There is no such queue.
    #[must_use]
    pub fn messages(&self, url: &str) -> usize {
        let count = |name| self.attribute(url, name).and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
        count("ApproximateNumberOfMessages") + count("ApproximateNumberOfMessagesNotVisible")
    }

    /// Makes a topic to which a queue listens; answers its name among all resources (ARN). `raw`: it delivers what it gets as
    /// it is, without an envelope.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn create_topic(&self, name: &str, queue: &str, raw: bool) -> String {
        let queue = self.attribute(queue, "QueueArn").expect("a queue has a name among all resources");
        let made = self.ask_sns(&[("Action", "CreateTopic"), ("Name", name)]);
        let tag = |name: &str| Some(made.split_once(&format!("<{name}>"))?.1.split_once('<')?.0.to_owned());
        let topic = tag("TopicArn").unwrap_or_else(|| panic!("no topic in {made}"));
        let mut subscription =
            vec![("Action", "Subscribe"), ("TopicArn", &*topic), ("Protocol", "sqs"), ("Endpoint", &*queue)];
        if raw {
            subscription.push(("Attributes.entry.1.key", "RawMessageDelivery"));
            subscription.push(("Attributes.entry.1.value", "true"));
        }
        self.ask_sns(&subscription);
        topic
    }

    /// The SDK's own client for topics would be one dependency more for two requests.
    fn ask_sns(&self, fields: &[(&str, &str)]) -> String {
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A"))).collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/sns/aws4_request, SignedHeaders=host, Signature=0"
        );
        self.runtime.block_on(async {
            let request = reqwest::Client::new().post(self.endpoint()).header("authorization", authorization);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.join("&"));
            let answer = request.send().await.expect("MiniStack answers");
            let (status, text) = (answer.status(), answer.text().await.expect("an answer has a text"));
            assert!(status.is_success(), "{fields:?}: {text}");
            text
        })
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // Already ended is as good as killed; there is nobody to tell about the rest.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("ROOMTONE_MINISTACK") {
        return named.into();
    }
    let program = if cfg!(windows) { "Scripts/ministack.exe" } else { "bin/ministack" };
    let installed = programs::tools().join("ministack").join(program);
    if installed.is_file() { installed } else { "ministack".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PATIENCE;

    #[test]
    fn what_is_put_into_a_bucket_is_told_to_its_queue() {
        let place = tempfile::tempdir().unwrap();
        let server = MiniStack::start(place.path());
        let bucket = server.bucket("told");
        bucket.create().unwrap();
        let queue = server.create_queue("q");
        bucket.tell_queue(&server.attribute(&queue, "QueueArn").unwrap()).unwrap();
        let before = server.messages(&queue);
        bucket.put("a.wav", vec![1]).unwrap();
        let told = Deadline::after(PATIENCE).poll(|| (server.messages(&queue) > before).then_some(()));
        assert!(told.is_some());
        server.delete_queue(&queue);
        assert!(server.queue_urls().is_empty());
    }
}
