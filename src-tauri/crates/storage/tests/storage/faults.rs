//! Bad days of networks and stores, between the publisher and a real server: in the end there is one valid object and its
//! metadata, never two and never none, and nobody has to do anything.

use std::time::Duration;

use roomtone_protocol::code;
use roomtone_storage::{Bucket as _, Job, PublishEvent};
use roomtone_tests::{Asked, Fault, Stopwatch};

use crate::day::{Day, MIB, SIZE};
use crate::support::{metadata, recording, room, soon, take};

fn parts(asked: Asked) -> bool {
    asked.part().is_some()
}

fn everything(_: Asked) -> bool {
    true
}

const SLOW_DOWN: &str = "SlowDown";

#[tokio::test]
async fn a_slow_and_distant_store_gets_it() {
    let day = Day::new("slow").await;
    day.proxy.plan(everything, Fault::Late(Duration::from_millis(100)), 4);
    day.proxy.plan(parts, Fault::Slow(8 * MIB as u64), 2);
    let day = day.passes().await;
    assert_eq!((day.errors.len(), day.proxy.whole_parts()), (0, 3));
}

#[tokio::test]
async fn connections_that_break_in_the_middle_of_a_part_are_made_anew() {
    let day = Day::new("resets").await;
    for after in [0, 100_000, 5 * MIB as u64, 8 * MIB as u64 - 1] {
        day.proxy.plan(parts, Fault::Reset(after), 2);
    }
    day.passes().await;
}

#[tokio::test]
async fn a_store_that_closes_late_is_not_waited_for() {
    let day = Day::new("late-close").await;
    day.proxy.plan(everything, Fault::ClosedLate(Duration::from_secs(20)), 20);
    let watch = Stopwatch::start();
    let (publisher, mut events) = day.publisher().await;
    publisher.submit(day.job()).await.unwrap();
    let published = async { while !matches!(events.recv().await.unwrap(), PublishEvent::Published { .. }) {} };
    soon("publishing", published).await;
    assert!(watch.elapsed() < Duration::from_secs(20), "{:?}", watch.elapsed());
    day.is_valid().await;
}

#[tokio::test]
async fn a_store_that_accepts_and_never_answers_is_asked_again() {
    let day = Day::new("silent").await;
    day.proxy.plan(|asked| asked == Asked::Part(2), Fault::Silence, 1);
    day.passes().await;
}

#[tokio::test]
async fn a_store_that_never_answers_small_requests_is_asked_again() {
    let day = Day::new("silent-small").await;
    day.proxy.plan(|asked| asked == Asked::Create, Fault::Silence, 1);
    let day = day.passes().await;
    assert_eq!(day.errors, [code::STORAGE_UNREACHABLE]);
}

#[tokio::test]
async fn a_store_in_trouble_is_tried_until_it_is_well() {
    for (name, status) in [("status-500", 500), ("status-503", 503), ("status-429", 429)] {
        let day = Day::new(name).await;
        day.proxy.plan(parts, Fault::Refused(status, SLOW_DOWN, None), 5);
        day.proxy.plan(|asked| asked == Asked::Complete, Fault::Refused(status, SLOW_DOWN, None), 4);
        day.proxy.plan(|asked| asked == Asked::Put, Fault::Refused(status, SLOW_DOWN, None), 1);
        let day = day.passes().await;
        assert_eq!(day.proxy.whole_parts(), 3, "none went twice");
    }
}

#[tokio::test]
async fn a_store_that_says_when_to_come_back_is_left_alone_until_then() {
    for (name, status) in [("later-503", 503), ("later-429", 429)] {
        let day = Day::new(name).await;
        // One part at a time: the last one to go is the first of the file.
        day.proxy.plan(|asked| asked == Asked::Part(1), Fault::Refused(status, SLOW_DOWN, Some(3)), 1);
        let watch = Stopwatch::start();
        let day = day.passes().await;
        assert!(watch.elapsed() >= Duration::from_secs(3), "{:?}", watch.elapsed());
        assert_eq!(day.errors.len(), 0);
    }
}

#[tokio::test]
async fn credentials_that_expire_hold_it_up_until_there_are_good_ones() {
    let day = Day::new("expired").await;
    day.proxy.plan(parts, Fault::Refused(400, "ExpiredToken", None), 4);
    let day = day.passes().await;
    assert!(day.errors.iter().all(|code| code == code::STORAGE) && !day.errors.is_empty(), "{:?}", day.errors);
    assert_eq!(day.proxy.whole_parts(), 3);
}

#[tokio::test]
async fn a_clock_that_the_store_finds_wrong_holds_it_up_until_it_is_right() {
    let day = Day::new("skewed").await;
    day.proxy.plan(parts, Fault::Refused(403, "RequestTimeTooSkewed", None), 8);
    day.passes().await;
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_or_torn_leaves_one_object() {
    for (name, fault) in [("lost", Fault::AnswerLost), ("torn", Fault::AnswerTorn)] {
        let day = Day::new(name).await;
        day.proxy.plan(|asked| asked == Asked::Complete, fault, 1);
        let day = day.passes().await;
        assert_eq!((day.proxy.whole_parts(), day.open_uploads().await), (3, 0), "{name}");
    }
}

#[tokio::test]
async fn an_answer_to_a_part_that_is_lost_costs_that_part_once_more() {
    let day = Day::new("lost-part").await;
    day.proxy.plan(|asked| asked == Asked::Part(2), Fault::AnswerLost, 1);
    let day = day.passes().await;
    assert_eq!(day.proxy.whole_parts(), 4);
}

#[tokio::test]
async fn torn_answers_to_everything_else_are_asked_for_again() {
    let day = Day::new("torn-all").await;
    day.proxy.plan(|asked| asked == Asked::List, Fault::AnswerTorn, 1);
    day.proxy.plan(|asked| asked == Asked::Create, Fault::AnswerTorn, 1);
    let mut day = day.passes().await;
    // What the first attempt began is known to nobody but the store.
    assert!(day.open_uploads().await <= 1);
    // An interrupted upload asks which parts there are: without an answer it goes by what it knows itself.
    day.proxy.plan(|asked| asked == Asked::Parts, Fault::AnswerTorn, 1);
    let path = take(day.disk.path(), "second.wav", 8, SIZE);
    let metadata = metadata(recording(2), "Other", room(1));
    let second = Job { recording: recording(2), take: path.clone(), metadata };
    let (publisher, mut events) = day.publisher().await;
    day.proxy.plan(|asked| asked == Asked::Complete, Fault::Refused(503, SLOW_DOWN, None), 3);
    publisher.submit(second).await.unwrap();
    let published = async {
        loop {
            match events.recv().await.unwrap() {
                PublishEvent::Published { key, .. } => return key,
                PublishEvent::Retrying { error, .. } => day.errors.push(error.code),
                _ => {}
            }
        }
    };
    let key = soon("publishing", published).await;
    assert!(day.proxy.all_came(), "{:?}", day.errors);
    assert!(day.bucket.get(&key, u64::MAX).await.unwrap() == std::fs::read(&path).unwrap());
}

#[tokio::test]
async fn bytes_that_change_on_the_way_never_become_the_object() {
    let day = Day::new("garbled").await;
    for number in [1, 2] {
        let concerns = if number == 1 { |asked| asked == Asked::Part(1) } else { |asked| asked == Asked::Part(2) };
        day.proxy.plan(concerns, Fault::Garbled, 1);
    }
    day.proxy.plan(|asked| asked == Asked::Put, Fault::Garbled, 1);
    day.passes().await;
}
