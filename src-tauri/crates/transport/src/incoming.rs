//! A member's audio at the recorder, from the library's queue to the program's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use roomtone_protocol::ClockNs;
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::link::LinkEvent;
use crate::way::Way;
use crate::{media, reports};

/// The audio of one link.
pub(crate) struct IncomingTrack {
    pub(crate) track: Arc<dyn TrackRemote>,
    /// Under which id packets say where they belong, if both ends know how.
    pub(crate) place_id: Option<u8>,
    /// If the member cannot be asked for the clock.
    pub(crate) listening: Option<Listening>,
}

/// To somebody who cannot be asked: when things come is all that there is to know their clock by.
pub(crate) struct Listening {
    /// The last sign of life. Their audio is one, for no answers come.
    heard: Arc<AtomicI64>,
    way: Way,
}

impl Listening {
    pub(crate) fn new(heard: Arc<AtomicI64>, way: Way) -> Self {
        Self { heard, way }
    }

    /// Something came just now.
    fn stamp(&self) -> ClockNs {
        let now = roomtone_clock::now();
        self.heard.fetch_max(now.0, Ordering::Relaxed);
        now
    }
}

impl IncomingTrack {
    /// Drains the library's queue, which holds 256 packets and drops what comes on top.
    pub(crate) async fn drain<In>(self, events: mpsc::Sender<LinkEvent<In>>) {
        let mut dropped: u64 = 0;
        while let Some(event) = self.track.poll().await {
            let Some(event) = self.event(event).await else { continue };
            match events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    dropped += 1;
                    if dropped.is_power_of_two() {
                        tracing::warn!(dropped, "packets are dropped: the recorder does not keep up");
                    }
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }

    async fn event<In>(&self, event: TrackRemoteEvent) -> Option<LinkEvent<In>> {
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => {
                Some(media::event(packet, self.place_id, self.listening.as_ref().map(Listening::stamp)))
            }
            TrackRemoteEvent::OnRtcpPacket(packets) => {
                let listening = self.listening.as_ref()?;
                let (at, (timestamp, sent)) = (listening.stamp(), reports::report(&packets)?);
                let round_trip = listening.way.round_trip().await;
                let round_trip_ns = round_trip.and_then(|took| u64::try_from(took.as_nanos()).ok());
                Some(LinkEvent::Report { timestamp, sent, at, round_trip_ns })
            }
            _ => None,
        }
    }
}
