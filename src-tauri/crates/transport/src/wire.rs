//! A link over a connection: a writer, a reader, one task for the audio, and one that watches over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use roomtone_packets::ClockExchange;
use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use roomtone_protocol::signal::SignalBody;
use roomtone_protocol::{ClockNs, WakeEpoch};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_remote::TrackRemote;

use crate::attention::Attention;
use crate::connection::{Connection, ConnectionEvent};
use crate::incoming::{IncomingTrack, Listening};
use crate::introduce::{acknowledged, parse};
use crate::link::{EVENT_QUEUE, Link, LinkEvent, LinkSender, Peer, WireLanes};
use crate::media::OutgoingTrack;
use crate::messages::{End, Sorted, json};
use crate::watch::Watch;

/// Messages that may wait to be sent.
const CONTROL_QUEUE: usize = 64;
/// Messages of records that may wait, 16 KiB each: back-fill is paced by the connection, not by memory.
const BULK_QUEUE: usize = 4;
/// Live packets that may wait: 2 s.
const MEDIA_QUEUE: usize = 100;
/// Packets that were asked for and may wait behind the live ones: more than a portion of them.
const ASKED_FOR_QUEUE: usize = 64;
/// Clock messages that may wait.
const CLOCK_QUEUE: usize = 16;
/// What was queued before a close may still go out for this long.
const DRAIN: Duration = Duration::from_secs(2);
/// A program that does not read its last event gets none.
const LAST_EVENT: Duration = Duration::from_secs(5);

/// What a verified connection consists of.
pub(crate) struct Verified {
    pub(crate) connection: Connection,
    pub(crate) channel: Arc<dyn DataChannel>,
    /// Goes before everything else: the recorder's hello.
    pub(crate) first: Option<String>,
    /// The member's own audio, at the member.
    pub(crate) track: Option<OutgoingTrack>,
    /// Whether the other end may send audio.
    pub(crate) takes_media: bool,
    /// Whether its clock is heard from that audio, because it cannot be asked for.
    pub(crate) rtp_clock: bool,
    /// Under which id audio says where it belongs, if both ends know how.
    pub(crate) place_id: Option<u8>,
    pub(crate) peer: Peer,
    /// Later candidates of the other side.
    pub(crate) signals: mpsc::Receiver<SignalBody>,
    /// For later candidates of ours.
    pub(crate) candidates: mpsc::Sender<SignalBody>,
}

/// How an endpoint holds on to a link that its program has.
#[derive(Debug, Clone)]
pub(crate) struct LinkControl {
    /// Lets the link end after what is queued.
    pub(crate) closing: CancellationToken,
    /// Ends it at once.
    pub(crate) ended: CancellationToken,
    /// Cancelled when everything of the link is over.
    pub(crate) over: CancellationToken,
    doubt: Arc<Notify>,
}

impl LinkControl {
    /// There is a reason to believe that the other end is gone: do not wait as long as usual for a sign of life.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }
}

/// What the writer says for itself.
enum ClockMessage {
    Ping,
    Pong { t0: ClockNs, t1: ClockNs },
}

/// Starts the tasks of a link on the current runtime.
pub(crate) fn start<E: End>(verified: Verified) -> (Link<E::Out, E::In>, LinkControl) {
    let Verified { connection, channel, first, track, takes_media, rtp_clock, place_id, peer, signals, candidates } =
        verified;
    let (events, events_rx) = mpsc::channel(EVENT_QUEUE);
    let (control, control_rx) = mpsc::channel(CONTROL_QUEUE);
    let (bulk, bulk_rx) = mpsc::channel(BULK_QUEUE);
    let (clock, clock_rx) = mpsc::channel(CLOCK_QUEUE);
    let closing = CancellationToken::new();
    let ended = CancellationToken::new();
    let over = CancellationToken::new();
    let doubt = Arc::new(Notify::new());
    let heard = Arc::new(AtomicI64::new(roomtone_clock::now().0));
    let attention = connection.attention();
    if rtp_clock {
        // What waited for the next look would say nothing about a clock.
        connection.want_reports();
    } else if takes_media {
        attention.gather();
    }

    let (media, asked_for) = track.map_or((None, None), |track| {
        let (media, media_rx) = mpsc::channel(MEDIA_QUEUE);
        let (asked_for, asked_for_rx) = mpsc::channel(ASKED_FOR_QUEUE);
        tokio::spawn(until(ended.clone(), track.run(media_rx, asked_for_rx, place_id)));
        (Some(media), place_id.map(|_| asked_for))
    });
    let queues = Queues { control: control_rx, bulk: bulk_rx, clock: clock_rx };
    tokio::spawn(write(channel.clone(), first, queues, closing.clone(), ended.clone()));
    let reader = Reader::<E> {
        channel,
        events: events.clone(),
        clock: clock.clone(),
        heard: heard.clone(),
        attention: Arc::clone(&attention),
        epoch: peer.epoch,
        pending: None,
    };
    tokio::spawn({
        let ended = ended.clone();
        async move {
            until(ended.clone(), reader.read()).await;
            ended.cancel();
        }
    });
    let supervisor = Supervisor {
        connection,
        signals,
        candidates,
        takes_media,
        rtp_clock,
        place_id,
        events,
        clock,
        attention,
        asks: E::ASKS && !rtp_clock,
        heard,
        doubt: doubt.clone(),
        ended: ended.clone(),
        over: over.clone(),
    };
    tokio::spawn(supervisor.run());

    let sender = LinkSender::wire(WireLanes { control, bulk, media, asked_for, closing: closing.clone() });
    (Link { peer, sender, events: events_rx }, LinkControl { closing, ended, over, doubt })
}

async fn until(ended: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = ended.cancelled() => {}
        () = work => {}
    }
}

struct Queues {
    control: mpsc::Receiver<String>,
    bulk: mpsc::Receiver<Bytes>,
    clock: mpsc::Receiver<ClockMessage>,
}

/// What goes next.
enum Outgoing {
    Clock(ClockMessage),
    Text(String),
    Binary(Bytes),
}

/// Sends clock messages first, then messages, then records. Ends the link when the channel is of no use any more, or
/// when it was asked to close and everything has gone.
async fn write(
    channel: Arc<dyn DataChannel>,
    first: Option<String>,
    mut queues: Queues,
    closing: CancellationToken,
    ended: CancellationToken,
) {
    let work = async {
        let mut first = first.map(Outgoing::Text);
        loop {
            let next = match first.take() {
                Some(first) => first,
                None => tokio::select! {
                biased;
                Some(message) = queues.clock.recv() => Outgoing::Clock(message),
                Some(text) = queues.control.recv() => Outgoing::Text(text),
                Some(records) = queues.bulk.recv() => Outgoing::Binary(records),
                () = closing.cancelled() => return,
                },
            };
            if let Err(error) = send(&channel, next).await {
                tracing::debug!(%error, "the data channel takes nothing more");
                return;
            }
        }
    };
    until(ended.clone(), work).await;
    // From here on senders are told that the link is closed; the supervisor waits for nobody.
    let drain = async {
        queues.control.close();
        queues.bulk.close();
        while let Some(text) = queues.control.recv().await {
            send(&channel, Outgoing::Text(text)).await?;
        }
        while let Some(records) = queues.bulk.recv().await {
            send(&channel, Outgoing::Binary(records)).await?;
        }
        acknowledged(&channel).await
    };
    if closing.is_cancelled() && !ended.is_cancelled() {
        match tokio::time::timeout(DRAIN, drain).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "what was queued at the close is lost"),
            Err(_) => tracing::debug!("what was queued at the close did not get through in time"),
        }
    }
    ended.cancel();
}

/// Stamps clock messages only when the channel takes them: what waits behind records must not count as travel.
async fn send(channel: &Arc<dyn DataChannel>, next: Outgoing) -> webrtc::error::Result<()> {
    match next {
        Outgoing::Clock(message) => {
            channel.writable().await?;
            let text = match message {
                ClockMessage::Ping => json(&ToParticipant::ClockPing { t0: roomtone_clock::now() }),
                ClockMessage::Pong { t0, t1 } => json(&ToRecorder::ClockPong { t0, t1, t2: roomtone_clock::now() }),
            };
            channel.send_text(&text).await
        }
        Outgoing::Text(text) => channel.send_text(&text).await,
        Outgoing::Binary(records) => channel.send(BytesMut::from(&records[..])).await,
    }
}

struct Reader<E: End> {
    channel: Arc<dyn DataChannel>,
    events: mpsc::Sender<LinkEvent<E::In>>,
    clock: mpsc::Sender<ClockMessage>,
    /// The last sign of life, on the timeline clock.
    heard: Arc<AtomicI64>,
    attention: Arc<Attention>,
    /// The member's.
    epoch: WakeEpoch,
    pending: Option<LinkEvent<E::In>>,
}

impl<E: End> Reader<E> {
    async fn read(mut self) {
        while let Some(event) = self.channel.poll().await {
            let now = roomtone_clock::now();
            match event {
                DataChannelEvent::OnMessage(message) => {
                    self.heard.store(now.0, Ordering::Relaxed);
                    self.sort(now, message.is_string, message.data);
                }
                DataChannelEvent::OnClosing | DataChannelEvent::OnClose => return,
                _ => {}
            }
            let Some(event) = self.pending.take() else { continue };
            // A program that takes its time is no silence of the other side.
            self.heard.store(i64::MAX, Ordering::Relaxed);
            if self.events.send(event).await.is_err() {
                tracing::debug!("nobody reads this link any more");
                return;
            }
            self.heard.store(roomtone_clock::now().0, Ordering::Relaxed);
        }
    }

    fn sort(&mut self, now: ClockNs, is_text: bool, data: BytesMut) {
        if !is_text {
            self.pending = Some(LinkEvent::Bulk(data.freeze()));
            return;
        }
        let Some(message) = parse::<E::In>(is_text, &data) else { return };
        match E::sort(message) {
            Sorted::Program(message) => self.pending = Some(LinkEvent::Message(message)),
            Sorted::Ping { t0 } => {
                if self.clock.try_send(ClockMessage::Pong { t0, t1: now }).is_err() {
                    tracing::debug!("a clock question stays without an answer: the link does not keep up");
                }
            }
            // A pong that answers nothing of ours would bend the clock map; times in order are the least it must show.
            Sorted::Pong { t0, t1, t2 } if t0 <= now && t1 <= t2 => {
                self.attention.answered();
                self.pending = Some(LinkEvent::Exchange(ClockExchange { epoch: self.epoch, t0, t1, t2, t3: now }));
            }
            Sorted::Pong { .. } => tracing::debug!("an impossible clock answer is ignored"),
            Sorted::Hello(_) | Sorted::Refused(_) => tracing::debug!("a hello out of place is ignored"),
        }
    }
}

struct Supervisor<In> {
    connection: Connection,
    signals: mpsc::Receiver<SignalBody>,
    candidates: mpsc::Sender<SignalBody>,
    takes_media: bool,
    rtp_clock: bool,
    place_id: Option<u8>,
    events: mpsc::Sender<LinkEvent<In>>,
    clock: mpsc::Sender<ClockMessage>,
    attention: Arc<Attention>,
    asks: bool,
    heard: Arc<AtomicI64>,
    doubt: Arc<Notify>,
    ended: CancellationToken,
    over: CancellationToken,
}

impl<In: Send + 'static> Supervisor<In> {
    async fn run(mut self) {
        let mut watch = Watch::new(roomtone_clock::now(), self.asks);
        let mut takes_signals = true;
        loop {
            tokio::select! {
                () = self.ended.cancelled() => break,
                () = self.doubt.notified() => watch.doubt(roomtone_clock::now()),
                event = self.connection.next_event() => match event {
                    Some(ConnectionEvent::Candidate(candidate)) => {
                        if self.candidates.try_send(candidate).is_err() {
                            tracing::debug!("a late candidate stays here: the relay is away");
                        }
                    }
                    Some(ConnectionEvent::Disconnected) => watch.doubt(roomtone_clock::now()),
                    Some(ConnectionEvent::Track(track)) => self.take_media(track),
                    Some(ConnectionEvent::Channel(_)) => {}
                    Some(ConnectionEvent::Failed) | None => break,
                },
                signal = self.signals.recv(), if takes_signals => match signal {
                    Some(SignalBody::Candidate { candidate, mid, mline_index }) => {
                        if let Err(error) = self.connection.add_candidate(candidate, mid, mline_index).await {
                            tracing::debug!(%error, "a late candidate is of no use");
                        }
                    }
                    Some(_) => {}
                    None => takes_signals = false,
                },
                () = tokio::time::sleep(watch.until_due(roomtone_clock::now())) => {
                    let due = watch.due(roomtone_clock::now(), ClockNs(self.heard.load(Ordering::Relaxed)));
                    if due.ask {
                        self.attention.await_answer();
                        if self.clock.try_send(ClockMessage::Ping).is_err() {
                            tracing::debug!("a clock question is left out: the link does not keep up");
                        }
                    }
                    if due.dead {
                        tracing::info!("the other end has been silent for too long");
                        break;
                    }
                }
            }
        }
        self.ended.cancel();
        self.connection.close().await;
        // A program that is slow to hear of it must not hold up the next link.
        self.over.cancel();
        if self.events.send_timeout(LinkEvent::Closed, LAST_EVENT).await.is_err() {
            tracing::debug!("nobody was told that a link ended");
        }
    }

    fn take_media(&mut self, track: Arc<dyn TrackRemote>) {
        if !std::mem::take(&mut self.takes_media) {
            tracing::warn!("a track that was not agreed on is ignored");
            return;
        }
        let listening = self.rtp_clock.then(|| Listening::new(self.heard.clone(), self.connection.way()));
        let incoming = IncomingTrack { track, place_id: self.place_id, listening };
        tokio::spawn(until(self.ended.clone(), incoming.drain(self.events.clone())));
    }
}
