//! The bucket tells when it changes, and everybody in the room has the new list a moment later, whoever changed what.

use std::path::PathBuf;
use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Bucket, Deadline, Host, MiniStack, PATIENCE, Program, Stage, Stopwatch, now_unix_ms};
use serde_json::Value;

/// Longest that people may wait for the new list where a queue tells; listings are compared once a minute.
const QUEUE_BOUND: Duration = Duration::from_secs(2);

/// The same where the system watches a folder.
const FOLDER_BOUND: Duration = Duration::from_secs(1);

/// A key that looks like one of the room's recordings.
fn key(number: usize) -> String {
    format!("team/recordings/first-light_2026010{number}_000000.wav")
}

/// A part of an upload in parts must have so many bytes unless it is the last one.
const PART: usize = 5 << 20;

struct Room {
    stage: Stage,
    server: MiniStack,
    bucket: Bucket,
}

impl Room {
    fn new() -> Self {
        let stage = Stage::new();
        let server = MiniStack::start(stage.place());
        let bucket = server.bucket("talks");
        bucket.create().unwrap();
        let stage = stage.with_environment(server.environment("talks"));
        let stage = stage.with_environment(vec![("S3_RECORDING_PREFIX", "team".to_owned())]);
        Self { stage, server, bucket }
    }

    fn sets_up(&self, more: &[&str]) -> Value {
        let mut command = vec!["storage", "setup-notifications"];
        command.extend(more);
        self.stage.ask_by(&mut self.stage.roomtone("host", &command), PATIENCE).unwrap()
    }

    /// A host that reads this queue, and somebody who looks on.
    fn opens(&self, queue: &str, more: &[(&'static str, &str)]) -> (Host, Program) {
        let mut command = self.stage.host_command("host", &[]);
        command.env("S3_NOTIFICATION_QUEUE_URL", queue).envs(more.iter().copied());
        let host = self.stage.started_host(&mut command);
        let onlooker = self.stage.join(&host.invite, "Olga", "none", &["--observe"]);
        (host, onlooker)
    }

    /// Until the host takes messages out of the queue.
    fn reads(&self, queue: &str) {
        self.server.send(queue, "is anybody there?");
        let read = Deadline::after(PATIENCE).poll(|| (self.server.messages(queue) == 0).then_some(()));
        assert!(read.is_some(), "nobody reads the queue");
    }
}

/// How long after `change` somebody has the new list. It must be the one that they are told of next.
fn delay(people: &mut [&mut Program], change: impl FnOnce()) -> Duration {
    people.iter_mut().for_each(|person| person.forget());
    let stopwatch = Stopwatch::start();
    change();
    for person in people {
        person.wait_for_event("recordings_changed", PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    }
    stopwatch.elapsed()
}

/// Lets whatever a burst still has to tell go by: nothing more is told for a while.
fn settle(person: &mut Program) {
    let quiet = Duration::from_millis(700);
    while person.wait_for_event("recordings_changed", quiet).is_ok() {}
}

fn said(what: &str, delays: &[Duration]) {
    let ms: Vec<_> = delays.iter().map(Duration::as_millis).collect();
    println!("{what}: {ms:?} ms from the change to the new list");
}

#[test]
fn a_queue_that_was_set_up_by_one_command_tells_everybody_within_two_seconds() {
    let room = Room::new();
    // Somebody else's setting, which has to stay.
    let other = room.server.create_queue("theirs");
    let topic = room.server.create_topic("photos", &other, false);
    room.bucket.tell_topic(&topic, "photos/").unwrap();

    let dry = room.sets_up(&["--dry-run"]);
    let actions: Vec<_> = dry["steps"].as_array().unwrap().iter().map(|step| step["action"].clone()).collect();
    assert_eq!(actions, ["CreateQueue", "SetQueueAttributes", "PutBucketNotificationConfiguration"], "{dry}");
    assert_eq!((&dry["queue_url"], &dry["dry_run"]), (&Value::Null, &Value::from(true)));
    assert_eq!(room.server.queue_urls(), [other.as_str()], "a dry run changes nothing");
    assert_eq!(room.bucket.tells().unwrap(), [topic.as_str()]);

    let done = room.sets_up(&[]);
    let queue = done["queue_url"].as_str().unwrap().to_owned();
    let arn = room.server.attribute(&queue, "QueueArn").unwrap();
    assert_eq!(room.bucket.tells().unwrap(), [topic.as_str(), arn.as_str()], "what was there stays");
    let policy: Value = serde_json::from_str(&room.server.attribute(&queue, "Policy").unwrap()).unwrap();
    let conditions = &policy["Statement"][0]["Condition"];
    assert_eq!(conditions["ArnEquals"]["aws:SourceArn"], "arn:aws:s3:::talks", "{policy}");
    assert_eq!(room.server.attribute(&queue, "MessageRetentionPeriod").as_deref(), Some("3600"));
    // With the account's number in place of the word for it, just what the dry run said.
    let account = arn.split(':').nth(4).unwrap();
    let foretold: Value = serde_json::from_str(&dry["steps"].to_string().replace("ACCOUNT", account)).unwrap();
    assert_eq!(foretold, done["steps"]);
    let again = room.sets_up(&[]);
    assert_eq!(
        (&again["steps"], &again["queue_url"]),
        (&Value::from(vec![Value::Null; 0]), &done["queue_url"]),
        "{again}"
    );

    let (host, mut onlooker) = room.opens(&queue, &[]);
    let microphone = room.stage.microphone(Speaker(1), 300, now_unix_ms());
    let mut ada = room.stage.join(&host.invite, "Ada", &microphone, &[]);
    room.reads(&queue);
    settle(&mut onlooker);
    let mut delays = Vec::new();
    for number in 1..=5 {
        delays.push(delay(&mut [&mut onlooker, &mut ada], || room.bucket.put(&key(number), vec![0; 1_000]).unwrap()));
        settle(&mut onlooker);
    }
    said("queue, put", &delays);
    let parts = vec![vec![1; PART], vec![2; 10]];
    let in_parts = delay(&mut [&mut onlooker, &mut ada], || room.bucket.put_in_parts(&key(6), parts).unwrap());
    settle(&mut onlooker);
    let gone = delay(&mut [&mut onlooker, &mut ada], || room.bucket.delete(&key(1)).unwrap());
    settle(&mut onlooker);
    said("queue, an upload in parts and a deletion", &[in_parts, gone]);
    delays.extend([in_parts, gone]);
    assert!(delays.iter().all(|delay| *delay < QUEUE_BOUND), "{delays:?}");
    let list = room.stage.ask(&["recordings", &host.invite, "list"]).unwrap();
    assert_eq!(list["recordings"].as_array().unwrap().len(), 5, "{list}");

    let emptied = Deadline::after(PATIENCE).poll(|| (room.server.messages(&queue) == 0).then_some(()));
    assert!(emptied.is_some(), "what was read is removed");
    ada.stop(PATIENCE).unwrap();
    onlooker.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn what_a_topic_passes_on_to_the_queue_tells_everybody_in_its_envelope_and_without() {
    for raw in [false, true] {
        let room = Room::new();
        let queue = room.server.create_queue("behind-a-topic");
        let topic = room.server.create_topic("everything", &queue, raw);
        room.bucket.tell_topic(&topic, "").unwrap();
        room.bucket.put("elsewhere.txt", vec![0]).unwrap();
        let bodies = Deadline::after(PATIENCE).poll(|| {
            let bodies = room.server.bodies(&queue);
            (bodies.iter().any(|body| body.contains("elsewhere.txt"))).then_some(bodies)
        });
        let wrapped = |body: &String| body.contains(r#""Type""#) && body.contains(r#""Notification""#);
        assert!(bodies.as_ref().is_some_and(|bodies| bodies.iter().all(|body| wrapped(body) != raw)), "{bodies:?}");
        let (host, mut onlooker) = room.opens(&queue, &[]);
        room.reads(&queue);
        settle(&mut onlooker);
        let put = || room.bucket.put(&key(1), vec![0; 1_000]).unwrap();
        let delay = delay(&mut [&mut onlooker], put);
        said(if raw { "topic, raw" } else { "topic, wrapped" }, &[delay]);
        assert!(delay < QUEUE_BOUND, "{delay:?}");
        onlooker.stop(PATIENCE).unwrap();
        host.program.stop(PATIENCE).unwrap();
    }
}

#[test]
fn a_queue_that_goes_away_is_replaced_by_comparing_and_used_again_when_it_is_back() {
    let room = Room::new();
    let queue = room.server.create_queue("fickle");
    let arn = room.server.attribute(&queue, "QueueArn").unwrap();
    room.bucket.tell_queue(&arn).unwrap();
    let (host, mut onlooker) = room.opens(&queue, &[("ROOMTONE_LISTING_INTERVAL_S", "2")]);
    room.reads(&queue);
    settle(&mut onlooker);

    room.server.delete_queue(&queue);
    let compared = delay(&mut [&mut onlooker], || room.bucket.put(&key(1), vec![0; 1_000]).unwrap());
    settle(&mut onlooker);
    let compared_again = delay(&mut [&mut onlooker], || room.bucket.put(&key(2), vec![0; 1_000]).unwrap());
    settle(&mut onlooker);
    said("no queue", &[compared, compared_again]);

    assert_eq!(room.server.create_queue("fickle"), queue);
    room.bucket.tell_queue(&arn).unwrap();
    room.reads(&queue);
    settle(&mut onlooker);
    let told = delay(&mut [&mut onlooker], || room.bucket.put(&key(3), vec![0; 1_000]).unwrap());
    said("the queue again", &[told]);
    assert!(told < QUEUE_BOUND, "{told:?}");
    onlooker.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn whoever_asks_is_told_which_source_there_is_and_what_is_wrong_with_it() {
    let room = Room::new();
    let asks = |environment: &[(&str, &str)]| {
        let mut command = room.stage.roomtone("host", &["storage", "test"]);
        room.stage.ask_by(command.envs(environment.iter().copied()), PATIENCE)
    };
    let none = asks(&[]).unwrap();
    assert_eq!(none["notifications"], "comparing", "{none}");
    assert!(none["message"].as_str().unwrap().contains("does not let one listen"), "{none}");

    let gone = format!("{}/000000000000/gone", room.server.endpoint());
    let missing = asks(&[("S3_NOTIFICATION_QUEUE_URL", &gone)]).unwrap_err();
    assert!(missing.text.contains("gone") && missing.text.contains("setup-notifications"), "{missing:?}");
    let nonsense = asks(&[("S3_NOTIFICATION_QUEUE_URL", "the one in Frankfurt")]).unwrap_err();
    assert_eq!((nonsense.code.as_str(), nonsense.status), ("invalid_setting", Some(2)), "{nonsense:?}");

    let own = room.sets_up(&[])["queue_url"].as_str().unwrap().to_owned();
    let found = asks(&[("S3_NOTIFICATION_QUEUE_URL", &own)]).unwrap();
    assert_eq!((&found["notifications"], &found["ok"]), (&Value::from("queue"), &Value::from(true)), "{found}");
    assert!(found["message"].as_str().unwrap().contains("this host's own"), "{found}");
    let others = room.server.create_queue("roomtone-talks-0badc0de");
    let shared = asks(&[("S3_NOTIFICATION_QUEUE_URL", &others)]).unwrap_err();
    assert!(shared.text.contains("another host"), "{shared:?}");

    // Two hosts cannot have the same events without a topic in between.
    let second = room.stage.ask_by(&mut room.stage.roomtone("other", &["storage", "setup-notifications"]), PATIENCE);
    let refused = second.unwrap_err();
    assert!(refused.text.contains("SNS topic"), "{refused:?}");
}

#[test]
fn a_folder_tells_everybody_within_a_second() {
    let stage = Stage::new();
    let host = stage.host(&[]);
    let mut onlooker = stage.join(&host.invite, "Olga", "none", &["--observe"]);
    let folder: PathBuf = stage.data_dir("host").join("bucket").join("recordings");
    std::fs::create_dir_all(&folder).unwrap();
    settle(&mut onlooker);
    let key = |number: usize| folder.join(format!("first-light_2026010{number}_000000.wav"));
    let mut delays = Vec::new();
    for number in 1..=5 {
        delays.push(delay(&mut [&mut onlooker], || std::fs::write(key(number), [0; 1_000]).unwrap()));
        settle(&mut onlooker);
    }
    let gone = delay(&mut [&mut onlooker], || std::fs::remove_file(key(1)).unwrap());
    said("folder, put", &delays);
    said("folder, deletion", &[gone]);
    assert!(delays.iter().all(|delay| *delay < FOLDER_BOUND) && gone < FOLDER_BOUND, "{delays:?}, {gone:?}");
    onlooker.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
}
