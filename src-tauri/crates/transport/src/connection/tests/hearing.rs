//! A member whose clock cannot be asked for, over a real connection.

use roomtone_protocol::state::Role;
use roomtone_protocol::{ClockNs, ParticipantId, WakeEpoch};

use super::*;
use crate::link::{LinkEvent, Peer};
use crate::messages::AtRecorder;
use crate::wire::{self, Verified};

/// Longer than a link lasts from which no answer comes.
const LASTS_NS: i64 = 10_500_000_000;

fn since(began: ClockNs, at: ClockNs) -> i64 {
    at.0 - began.0
}

#[tokio::test]
async fn who_cannot_be_asked_is_heard_at_once_and_never_asked() {
    let test = async {
        let (mut member, connection, channel, ..) = connected(true).await;
        let (_signals, signals) = mpsc::channel(1);
        let (candidates, _candidates) = mpsc::channel(16);
        let participant = ParticipantId::from_bytes([1; 16]);
        let role = Role::Participant;
        let peer = Peer { participant, role, host: false, passing: false, epoch: WakeEpoch(1), name: None };
        let (mut link, _control) = wire::start::<AtRecorder>(Verified {
            connection,
            channel,
            first: None,
            track: None,
            takes_media: true,
            rtp_clock: true,
            place_id: None,
            peer,
            signals,
            candidates,
        });
        let mut track = member.track.take().unwrap();
        let (began, wall_ns) = (roomtone_clock::now(), roomtone_clock::wall_ns());
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for n in 0u32.. {
                pace.tick().await;
                if track.send(n * 960, Bytes::from_static(&[0xfc; 320])).await.is_err() {
                    return;
                }
            }
        });
        let asked = tokio::spawn(async move { message(&member.channel).await });

        let (mut late, mut reports) = (Vec::new(), Vec::new());
        while since(began, roomtone_clock::now()) < LASTS_NS {
            match link.events.recv().await.expect("the link stays") {
                LinkEvent::Heard { timestamp, at, .. } => {
                    late.push(since(began, at) - i64::from(timestamp) * 125_000 / 6)
                }
                LinkEvent::Report { timestamp, sent, at, round_trip_ns } => {
                    reports.push((timestamp, sent, at, round_trip_ns));
                }
                event => panic!("{event:?}"),
            }
        }
        assert!(!asked.is_finished(), "it was asked");
        let least = |late: &[i64]| late.iter().min().copied().unwrap();
        let by_second: Vec<i64> = late.chunks(50).map(least).collect();
        let trips: Vec<u64> = reports.iter().filter_map(|(.., round_trip_ns)| *round_trip_ns).collect();
        println!(
            "{} packets, late {by_second:?} ns; {} reports, there and back {trips:?} ns",
            late.len(),
            reports.len()
        );
        assert!(late.len() > 480 && reports.len() >= 8, "{} packets, {} reports", late.len(), reports.len());
        // Gathered, they would lie on a grid of 50 ms. One in twenty may be late on a machine with other things to do.
        let near = late.iter().filter(|late| **late < least(&by_second) + 10_000_000).count();
        assert!(near * 20 >= late.len() * 10, "{near} of {} packets came at once", late.len());
        for (timestamp, sent, at, _) in &reports {
            // The sender's clock is this machine's wall clock, and its samples run with the clock that we read.
            let on_wall = sent.0 - wall_ns - since(began, *at);
            assert!(on_wall.abs() < 500_000_000, "{on_wall} ns off the wall clock");
            let behind = since(began, *at) - i64::from(*timestamp) * 125_000 / 6;
            assert!(behind > -30_000_000 && behind < 500_000_000, "{behind} ns behind its samples");
        }
        assert!(trips.iter().any(|trip| *trip < 100_000_000), "{trips:?}");
    };
    tokio::time::timeout(Duration::from_secs(40), test).await.expect("within 40 s");
}
