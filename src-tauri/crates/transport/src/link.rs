//! A verified connection between a member and the recorder, as both sides' programs see it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use roomtone_packets::{ClockExchange, Packet};
use roomtone_protocol::ClockNs;
pub use roomtone_protocol::channel::Peer;
use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bulk;

/// Longest message that a link carries, in bytes; what SCTP stacks take without asking.
pub(crate) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Events that may wait for the program: 20 s of packets. Beyond it the sender is slowed down, packets of the live
/// track are dropped, and back-fill brings them later.
pub(crate) const EVENT_QUEUE: usize = 1024;

/// A link: `Out` goes, `In` comes.
#[derive(Debug)]
pub struct Link<Out, In> {
    /// Who is at the other end.
    pub peer: Peer,
    /// To the other end.
    pub sender: LinkSender<Out>,
    /// From the other end; [`LinkEvent::Closed`] is the last.
    pub events: mpsc::Receiver<LinkEvent<In>>,
}

/// The member's end.
pub type ParticipantLink = Link<ToRecorder, ToParticipant>;

/// The recorder's end.
pub type RecorderLink = Link<ToParticipant, ToRecorder>;

/// What comes over a link.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent<In> {
    /// A message. Hellos and clock messages are the transport's own and never show up here.
    Message(In),
    /// Whole records, as `roomtone-packets` frames them.
    Bulk(Bytes),
    /// A live packet of the member's track, in order of arrival: it may be late, repeated, or missing for good.
    Media {
        /// RTP timestamp: the low 32 bits of the first sample's index.
        timestamp: u32,
        /// The packet.
        opus: Bytes,
    },
    /// The same of a member who cannot be asked for the clock, and when it came; at the recorder only.
    Heard {
        /// RTP timestamp.
        timestamp: u32,
        /// The packet.
        opus: Bytes,
        /// On the recorder's clock.
        at: ClockNs,
    },
    /// What such a member's RTP sender says of its clock; at the recorder only.
    Report {
        /// RTP timestamp.
        timestamp: u32,
        /// The sender's clock at that sample, in nanoseconds since 1970.
        sent: ClockNs,
        /// When it came, on the recorder's clock.
        at: ClockNs,
        /// What the connection's checks take there and back, in nanoseconds, as far as that is known.
        round_trip_ns: Option<u64>,
    },
    /// A measurement between the two clocks; at the recorder only.
    Exchange(ClockExchange),
    /// The link is gone; what was sent and not acknowledged may be lost. A new link comes by itself.
    Closed,
}

/// A message could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is gone: wait for the next one and say there what still matters.
    #[error("the link is closed")]
    LinkClosed,
    /// Nothing was sent: make it shorter. The link stays up.
    #[error("a message of {bytes} bytes is longer than the {MAX_MESSAGE_BYTES} that a link carries")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Sends to the other end, in order. Clones share the link; it outlives them.
pub struct LinkSender<Out> {
    lanes: Lanes<Out>,
}

enum Lanes<Out> {
    Wire(WireLanes),
    Local(LocalLanes<Out>),
}

/// Queues of a connection's writer; control goes first.
#[derive(Clone)]
pub(crate) struct WireLanes {
    pub(crate) control: mpsc::Sender<String>,
    pub(crate) bulk: mpsc::Sender<Bytes>,
    /// None at the recorder and for members without a microphone.
    pub(crate) media: Option<mpsc::Sender<(u32, Bytes)>>,
    /// Packets that go like live audio, behind it. None where the other end does not know how.
    pub(crate) asked_for: Option<mpsc::Sender<Packet>>,
    /// Says goodbye: what is queued still goes.
    pub(crate) closing: CancellationToken,
}

struct LocalLanes<Out> {
    there: mpsc::Sender<LinkEvent<Out>>,
    /// Ends both directions.
    close: Arc<dyn Fn() + Send + Sync>,
    closed: CancellationToken,
}

impl<Out> Clone for LinkSender<Out> {
    fn clone(&self) -> Self {
        let lanes = match &self.lanes {
            Lanes::Wire(lanes) => Lanes::Wire(lanes.clone()),
            Lanes::Local(LocalLanes { there, close, closed }) => {
                Lanes::Local(LocalLanes { there: there.clone(), close: close.clone(), closed: closed.clone() })
            }
        };
        Self { lanes }
    }
}

impl<Out> fmt::Debug for LinkSender<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.lanes {
            Lanes::Wire(_) => "wire",
            Lanes::Local(_) => "local",
        };
        f.debug_tuple("LinkSender").field(&kind).finish()
    }
}

impl<Out: Serialize> LinkSender<Out> {
    pub(crate) fn wire(lanes: WireLanes) -> Self {
        Self { lanes: Lanes::Wire(lanes) }
    }

    /// Sends a message, as soon as there is room for it.
    ///
    /// # Errors
    /// [`SendError`]; a message that was taken may still be lost if the link breaks.
    pub async fn send(&self, message: Out) -> Result<(), SendError> {
        match &self.lanes {
            Lanes::Wire(lanes) => {
                let json = serde_json::to_string(&message).expect("messages are plain data that JSON can hold");
                if json.len() > MAX_MESSAGE_BYTES {
                    return Err(SendError::TooLong { bytes: json.len() });
                }
                lanes.take(&lanes.control, json).await
            }
            Lanes::Local(lanes) => lanes.put(LinkEvent::Message(message)).await,
        }
    }

    /// Sends records, as fast as the connection takes them and never ahead of a message or of live audio. Whole records
    /// arrive in each [`LinkEvent::Bulk`]. Packets go like live audio where the other end knows how: some may come out of
    /// order, twice or not at all, and are asked for again. Everything else arrives in order.
    ///
    /// # Errors
    /// [`SendError::LinkClosed`].
    pub async fn send_bulk(&self, records: Vec<u8>) -> Result<(), SendError> {
        if let Lanes::Wire(lanes) = &self.lanes
            && let Some(lane) = &lanes.asked_for
            && let Some(packets) = bulk::packets(&records)
        {
            for packet in packets {
                lanes.take(lane, packet).await?;
            }
            return Ok(());
        }
        for message in bulk::messages(records) {
            match &self.lanes {
                Lanes::Wire(lanes) => lanes.take(&lanes.bulk, message).await?,
                Lanes::Local(lanes) => lanes.put(LinkEvent::Bulk(message)).await?,
            }
        }
        Ok(())
    }

    /// Ends the link; what was taken before still goes out, for up to two seconds.
    pub fn close(&self) {
        match &self.lanes {
            Lanes::Wire(lanes) => lanes.closing.cancel(),
            Lanes::Local(lanes) => (lanes.close)(),
        }
    }

    /// Whether the link is gone or going.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.lanes {
            Lanes::Wire(lanes) => lanes.closing.is_cancelled() || lanes.control.is_closed(),
            Lanes::Local(lanes) => lanes.closed.is_cancelled() || lanes.there.is_closed(),
        }
    }
}

impl LinkSender<ToRecorder> {
    /// Sends one live packet; never waits. When the connection does not keep up the packet is dropped: the spool has it
    /// and the recorder will ask for it.
    ///
    /// # Errors
    /// [`SendError::LinkClosed`].
    pub fn send_media(&self, rtp_timestamp: u32, opus: Bytes) -> Result<(), SendError> {
        let full = match &self.lanes {
            Lanes::Wire(lanes) => match &lanes.media {
                None => return Ok(()),
                Some(media) => media.try_send((rtp_timestamp, opus)).map_err(|error| is_full(&error)),
            },
            Lanes::Local(lanes) if lanes.closed.is_cancelled() => Err(false),
            Lanes::Local(lanes) => lanes
                .there
                .try_send(LinkEvent::Media { timestamp: rtp_timestamp, opus })
                .map_err(|error| is_full(&error)),
        };
        match full {
            Ok(()) => Ok(()),
            Err(true) => {
                tracing::debug!("a live packet was dropped: the link does not keep up");
                Ok(())
            }
            Err(false) => Err(SendError::LinkClosed),
        }
    }
}

fn is_full<T>(error: &mpsc::error::TrySendError<T>) -> bool {
    matches!(error, mpsc::error::TrySendError::Full(_))
}

impl WireLanes {
    async fn take<T>(&self, lane: &mpsc::Sender<T>, item: T) -> Result<(), SendError> {
        if self.closing.is_cancelled() {
            return Err(SendError::LinkClosed);
        }
        lane.send(item).await.map_err(|_| SendError::LinkClosed)
    }
}

impl<Out> LocalLanes<Out> {
    async fn put(&self, event: LinkEvent<Out>) -> Result<(), SendError> {
        if self.closed.is_cancelled() {
            return Err(SendError::LinkClosed);
        }
        self.there.send(event).await.map_err(|_| SendError::LinkClosed)
    }
}

/// Both ends of a link inside one program: the host's own microphone, which needs no network. `peer` is the participant
/// as the recorder sees it. Both share one clock, and one exchange says so.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use]
pub fn local_link(peer: Peer) -> (ParticipantLink, RecorderLink) {
    let (to_recorder, at_recorder) = mpsc::channel(EVENT_QUEUE);
    let (to_participant, at_participant) = mpsc::channel(EVENT_QUEUE);
    let now = roomtone_clock::now();
    let exchange = ClockExchange { epoch: peer.epoch, t0: now, t1: now, t2: now, t3: now };
    to_recorder.try_send(LinkEvent::Exchange(exchange)).expect("the queue is new and empty");

    let closed = CancellationToken::new();
    let runtime = tokio::runtime::Handle::current();
    let close: Arc<dyn Fn() + Send + Sync> = {
        // Weak, so that an end whose owner is gone still ends the other one.
        let (closed, recorder, participant) = (closed.clone(), to_recorder.downgrade(), to_participant.downgrade());
        Arc::new(move || {
            if closed.is_cancelled() {
                return;
            }
            closed.cancel();
            let (recorder, participant) = (recorder.upgrade(), participant.upgrade());
            runtime.spawn(async move {
                // An end that nobody reads any more needs no farewell.
                if let Some(recorder) = recorder {
                    recorder.send(LinkEvent::Closed).await.unwrap_or_default();
                }
                if let Some(participant) = participant {
                    participant.send(LinkEvent::Closed).await.unwrap_or_default();
                }
            });
        })
    };
    let recorder = Peer { host: true, ..peer.clone() };
    let to_recorder = LocalLanes { there: to_recorder, close: close.clone(), closed: closed.clone() };
    let to_participant = LocalLanes { there: to_participant, close, closed };
    (
        Link { peer: recorder, sender: LinkSender { lanes: Lanes::Local(to_recorder) }, events: at_participant },
        Link { peer, sender: LinkSender { lanes: Lanes::Local(to_participant) }, events: at_recorder },
    )
}

#[cfg(test)]
mod tests {
    use roomtone_packets::Record;
    use roomtone_protocol::state::Role;
    use roomtone_protocol::{ParticipantId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    fn peer() -> Peer {
        Peer {
            participant: ParticipantId::from_bytes([1; 16]),
            role: Role::Participant,
            host: true,
            passing: false,
            epoch: WakeEpoch(4),
            name: None,
        }
    }

    #[tokio::test]
    async fn the_local_link_behaves_like_any_other() {
        let (mut participant, mut recorder) = local_link(peer());
        let Some(LinkEvent::Exchange(exchange)) = recorder.events.recv().await else { panic!("an exchange first") };
        assert_eq!((exchange.epoch, exchange.t0, exchange.t1), (WakeEpoch(4), exchange.t3, exchange.t2));

        participant.sender.send(ToRecorder::Leave).await.unwrap();
        participant.sender.send_media(960, Bytes::from_static(b"opus")).unwrap();
        participant.sender.send_bulk(vec![1, 2, 3]).await.unwrap();
        recorder.sender.send(ToParticipant::RoomClosed).await.unwrap();
        assert_eq!(recorder.events.recv().await, Some(LinkEvent::Message(ToRecorder::Leave)));
        let media = LinkEvent::Media { timestamp: 960, opus: Bytes::from_static(b"opus") };
        assert_eq!(recorder.events.recv().await, Some(media));
        assert_eq!(recorder.events.recv().await, Some(LinkEvent::Bulk(Bytes::from_static(&[1, 2, 3]))));
        assert_eq!(participant.events.recv().await, Some(LinkEvent::Message(ToParticipant::RoomClosed)));
    }

    #[tokio::test]
    async fn packets_go_like_audio_to_who_knows_how_and_over_the_channel_to_others() {
        let segment = SegmentKey { epoch: WakeEpoch(4), segment: SegmentId(0) };
        let packet = Packet { segment, index: SampleIndex(960), samples: 960, opus: vec![0xfc; 320] };
        let mut records = Vec::new();
        roomtone_packets::encode(&Record::Packet(packet.clone()), &mut records);
        for knows in [true, false] {
            let (control, _control) = mpsc::channel(1);
            let (bulk, mut over_the_channel) = mpsc::channel(1);
            let (asked_for, mut like_audio) = mpsc::channel(1);
            let asked_for = knows.then_some(asked_for);
            let lanes = WireLanes { control, bulk, media: None, asked_for, closing: CancellationToken::new() };
            LinkSender::<ToRecorder>::wire(lanes).send_bulk(records.clone()).await.unwrap();
            let took = (like_audio.try_recv().ok(), over_the_channel.try_recv().ok());
            let expected =
                if knows { (Some(packet.clone()), None) } else { (None, Some(Bytes::from(records.clone()))) };
            assert_eq!(took, expected);
        }
    }

    #[tokio::test]
    async fn closing_one_end_of_the_local_link_ends_both() {
        let (mut participant, mut recorder) = local_link(peer());
        recorder.events.recv().await;
        participant.sender.close();
        assert_eq!(recorder.events.recv().await, Some(LinkEvent::Closed));
        assert_eq!(participant.events.recv().await, Some(LinkEvent::Closed));
        assert_eq!(recorder.sender.send(ToParticipant::RoomClosed).await, Err(SendError::LinkClosed));
        assert_eq!(participant.sender.send_media(0, Bytes::new()), Err(SendError::LinkClosed));
    }
}
