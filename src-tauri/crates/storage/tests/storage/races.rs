//! Things that happen at the very moment at which an upload is completed.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use roomtone_protocol::RecordingId;
use roomtone_storage::{Bucket as _, GrowingTake, Growth, Job, PublishEvent, Publisher};
use roomtone_tests::{Asked, Fault};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use crate::day::{Day, MIB, SIZE};
use crate::support::{metadata, recording, room, soon, take, until};

/// Long enough for something else to be done meanwhile.
const A_WHILE: Duration = Duration::from_millis(700);

fn completing(asked: Asked) -> bool {
    asked == Asked::Complete
}

/// Waits until the store is asked to put the parts together.
async fn is_completing(day: &Day) {
    let asked = || async { day.proxy.passed().iter().any(|passed| passed.asked == Asked::Complete).then_some(()) };
    until("the completion", asked).await;
}

async fn published(events: &mut mpsc::Receiver<PublishEvent>, recording: RecordingId) -> String {
    let published = async {
        loop {
            match events.recv().await.unwrap() {
                PublishEvent::Published { recording: of, key, .. } if of == recording => return key,
                _ => {}
            }
        }
    };
    soon("publishing", published).await
}

#[tokio::test]
async fn a_recording_that_is_discarded_while_it_is_completed_is_gone() {
    for (name, answer) in [("discard-late", None), ("discard-lost", Some(Fault::AnswerLost))] {
        let day = Day::new(name).await;
        // Carried out, but answered when nobody asks any more; or never.
        day.proxy.plan(completing, answer.unwrap_or(Fault::ClosedLate(A_WHILE)), 1);
        let (publisher, mut events) = day.publisher().await;
        publisher.submit(day.job()).await.unwrap();
        is_completing(&day).await;
        publisher.discard(recording(1)).await.unwrap();
        let gone = async { while !matches!(events.recv().await.unwrap(), PublishEvent::Discarded { .. }) {} };
        soon("discarding", gone).await;
        assert_eq!(day.bucket.list(&day.prefix()).await.unwrap(), [], "{name}");
        assert_eq!(day.open_uploads().await, 0, "{name}");
    }
}

#[tokio::test]
async fn a_program_that_dies_between_completion_and_its_own_note_finds_the_object_and_sends_nothing() {
    for (name, fault) in [("dies-lost", Fault::AnswerLost), ("dies-late", Fault::ClosedLate(A_WHILE))] {
        let day = Day::new(name).await;
        day.proxy.plan(completing, fault, 1);
        let (publisher, events) = day.publisher().await;
        publisher.submit(day.job()).await.unwrap();
        is_completing(&day).await;
        // Only once the store has carried it out: its ledger on this disk still says that it was not.
        until("the object", || async { day.stored().await.then_some(()) }).await;
        drop((publisher, events));
        let ledgers = std::fs::read_dir(day.disk.path().join("ledgers")).unwrap().count();
        let (publisher, mut events) = day.publisher().await;
        assert_eq!(published(&mut events, recording(1)).await, day.key());
        drop(publisher);
        println!("{name}: {ledgers} ledgers when it died");
        assert_eq!(day.proxy.whole_parts(), 3, "{name}: none was sent again");
        // Whatever was known of its hashes, they are computed later where nobody knows them any more.
        assert_eq!(day.is_whole().await["id"], recording(1).to_string());
    }
}

#[tokio::test]
async fn a_repair_at_the_moment_of_completion_takes_the_place_of_what_was_completed() {
    let day = Day::new("repaired").await;
    day.proxy.plan(completing, Fault::Late(A_WHILE), 1);
    let (publisher, mut events) = day.publisher().await;
    publisher.submit(day.job()).await.unwrap();
    let parts = || async { (day.proxy.whole_parts() == 3).then_some(()) };
    until("the parts", parts).await;
    let repaired = take(day.disk.path(), "take.2.wav", 9, SIZE);
    let mut metadata = day.job().metadata;
    metadata.sha256 = Some("of the repaired file".into());
    publisher.revise(Job { recording: recording(1), take: repaired.clone(), metadata }).await.unwrap();
    assert_eq!(published(&mut events, recording(1)).await, day.key());
    // Nobody waits for more repairs.
    assert!(publisher.drain(crate::support::BOUND).await);
    let keys: Vec<_> = day.bucket.list(&day.prefix()).await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, [day.metadata_key(), day.key()]);
    assert!(day.bucket.get(&day.key(), u64::MAX).await.unwrap() == std::fs::read(&repaired).unwrap());
    let beside: serde_json::Value =
        serde_json::from_slice(&day.bucket.get(&day.metadata_key(), 1 << 20).await.unwrap()).unwrap();
    assert_eq!(beside["sha256"], "of the repaired file");
    assert_eq!(day.open_uploads().await, 0);
}

/// A take that grows to this size, in a file of two channels.
fn grows(publisher: &Publisher, day: &Day, n: u8, bytes: u64) -> mpsc::UnboundedSender<Growth> {
    let started_at = metadata(recording(n), "Band", room(1)).started_at;
    let started_at = OffsetDateTime::parse(&started_at, &Rfc3339).unwrap();
    let growth = publisher.grow(GrowingTake { recording: recording(n), room: "Band".into(), started_at }).unwrap();
    let path = day.disk.path().join(format!("growing-{n}.wav"));
    // Fast enough to be there soon.
    growth.send(Growth::Begun { path, channels: 2, bytes_per_s: 2 * MIB as u64 }).unwrap();
    growth.send(Growth::Settled { bytes }).unwrap();
    growth
}

#[tokio::test]
async fn a_recording_that_begins_while_another_goes_up_does_not_disturb_it() {
    let day = Day::new("beside").await;
    day.proxy.plan(completing, Fault::Late(A_WHILE), 1);
    let (publisher, mut events) = day.publisher().await;
    publisher.submit(day.job()).await.unwrap();
    let growing = take(day.disk.path(), "growing-2.wav", 11, 3 * 17 * MIB);
    let growth = grows(&publisher, &day, 2, 3 * 17 * MIB as u64);
    // The one that grows had its key first.
    let first = published(&mut events, recording(1)).await;
    let mut file = std::fs::File::options().write(true).open(&growing).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(b"RIFF").unwrap();
    growth.send(Growth::Whole { path: growing.clone(), bytes: 3 * 17 * MIB as u64 }).unwrap();
    let mut metadata = metadata(recording(2), "Band", room(1));
    metadata.size = 3 * 17 * MIB as u64;
    publisher.submit(Job { recording: recording(2), take: growing.clone(), metadata }).await.unwrap();
    let key = published(&mut events, recording(2)).await;
    assert_ne!(key, first, "of the same room in the same second");
    assert!(day.bucket.get(&key, u64::MAX).await.unwrap() == std::fs::read(&growing).unwrap());
    assert!(day.bucket.get(&first, u64::MAX).await.unwrap() == std::fs::read(&day.take).unwrap());
    assert_eq!((day.bucket.list(&day.prefix()).await.unwrap().len(), day.open_uploads().await), (4, 0));
}
