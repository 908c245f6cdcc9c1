//! One WebRTC connection between a member and the recorder, behind a type of our own: nothing else in the project
//! knows which library does the work.
//!
//! It carries at most one audio section, Opus only, from the member to the recorder, and one reliable, ordered data
//! channel. There is nothing here that could send audio to a member.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomtone_protocol::signal::SignalBody;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{
    NackGeneratorBuilder, NackResponderBuilder, ReceiverReportBuilder, Registry, SenderReportBuilder, Slot,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription,
    SettingEngineBuilder,
};

use crate::attention::Attention;
use crate::media::{self, OutgoingTrack};
use crate::reports::Reports;
use crate::runtime::LinkRuntime;
use crate::way::Way;
use crate::{addresses, random, sdp};

/// Payload type of Opus in our offers; what browsers use too.
const OPUS_PAYLOAD_TYPE: u8 = 111;

/// Parameters of Opus (RFC 7587, section 7). No in-band FEC: with it the encoder leaves CELT for a mode that sounds
/// worse, and back-fill makes it useless. No DTX: silence is recorded as it is.
pub(crate) const OPUS_PARAMETERS: &str = "minptime=10;useinbandfec=0;usedtx=0;stereo=0";

/// Packets that a receiver keeps track of for its NACKs: 5 s of audio that comes back at sixteen times real time, longer
/// than it asks for one of them. A power of two.
const NACK_WINDOW_PACKETS: u16 = 4096;

/// Packets that a sender keeps for retransmission, as many. A power of two.
const RETRANSMIT_PACKETS: u16 = 4096;

/// Requests for one lost packet, 100 ms apart; what is still missing then comes by back-fill.
const MAX_NACKS_PER_PACKET: u16 = 10;

/// SRTP replay window in packets: the default of 64 throws away retransmissions that are older than 1.3 s.
const SRTP_REPLAY_WINDOW_PACKETS: usize = 8192;

/// Pause between connectivity checks; the default of 200 ms is most of the time that connecting takes.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Checks of one candidate pair before it is given up: together longer than a handshake may take, because checks
/// begin before the other side has our description.
const ICE_MAX_CHECKS: u16 = 240;

/// Without a sign of life for this long ICE counts as disconnected. The watchdog of the link decides, this only hints.
const ICE_DISCONNECTED: Duration = Duration::from_secs(5);
/// And after as long again as failed.
const ICE_FAILED: Duration = Duration::from_secs(10);
/// Between ICE's own signs of life.
const ICE_KEEPALIVE: Duration = Duration::from_secs(2);

/// Bytes that may wait for the other side's acknowledgment on the data channel: sending waits above it. Enough for
/// 1 MB/s at a round trip of 100 ms, and no more than a second's delay for a clock answer on a 1 Mbit/s uplink.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How long a description waits for its candidates, which spares a message each; later ones trickle.
const GATHERING_WAIT: Duration = Duration::from_millis(200);

/// Events that may wait; there are a dozen in the life of a connection.
const EVENT_QUEUE: usize = 256;

/// The library refused something; the connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// In the library.
    #[error("WebRTC: {0}")]
    WebRtc(#[from] webrtc::error::Error),
    /// A description is missing that must be there.
    #[error("the connection holds no local description")]
    NoDescription,
    /// The library was built without tokio.
    #[error("the WebRTC library has no runtime")]
    NoRuntime,
}

/// What happens to a connection.
pub(crate) enum ConnectionEvent {
    /// Another candidate of ours, to be sent to the other side.
    Candidate(SignalBody),
    /// ICE lost the other side and may find it again.
    Disconnected,
    /// It is over.
    Failed,
    /// The other side opened the data channel.
    Channel(Arc<dyn DataChannel>),
    /// The first packet of the other side's audio came.
    Track(Arc<dyn TrackRemote>),
}

/// What the driver reports; some of it is for this module only.
enum Report {
    Event(ConnectionEvent),
    Gathered,
}

/// A connection. Dropping it closes it.
pub(crate) struct Connection {
    library: Arc<dyn PeerConnection>,
    reports: mpsc::Receiver<Report>,
    /// Events that came while something else was waited for.
    early: VecDeque<ConnectionEvent>,
    attention: Arc<Attention>,
    /// Whether sender reports are handed over.
    reports_wanted: Arc<AtomicBool>,
    runtime: Handle,
}

/// What the offering side has besides the connection.
pub(crate) struct Offering {
    pub(crate) connection: Connection,
    pub(crate) channel: Arc<dyn DataChannel>,
    /// With a microphone only.
    pub(crate) track: Option<OutgoingTrack>,
}

impl Connection {
    /// The member's side. Without a microphone there is no audio section at all.
    pub(crate) async fn offering(addresses: &[IpAddr], microphone: bool) -> Result<Offering, ConnectionError> {
        let connection = Self::new(addresses).await?;
        let track = if microphone {
            let ssrc = u32::from_le_bytes(random::bytes());
            let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
                "roomtone".to_owned(),
                "microphone".to_owned(),
                "microphone".to_owned(),
                RtpCodecKind::Audio,
                vec![RTCRtpEncodingParameters {
                    rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
                    codec: opus(),
                    ..Default::default()
                }],
            )));
            let send_only =
                RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Sendonly, ..Default::default() };
            connection.library.add_transceiver_from_track(track.clone(), Some(send_only)).await?;
            Some(OutgoingTrack::new(track, ssrc, OPUS_PAYLOAD_TYPE))
        } else {
            None
        };
        // Without options: reliable and ordered.
        let channel = connection.library.create_data_channel("roomtone", None).await?;
        Ok(Offering { connection, channel, track })
    }

    /// The recorder's side.
    pub(crate) async fn answering(addresses: &[IpAddr]) -> Result<Self, ConnectionError> {
        Self::new(addresses).await
    }

    async fn new(addresses: &[IpAddr]) -> Result<Self, ConnectionError> {
        let mut engine = MediaEngine::default();
        engine.register_codec(
            RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE },
            RtpCodecKind::Audio,
        )?;
        let place = RTCRtpHeaderExtensionCapability { uri: media::PLACE.to_owned() };
        engine.register_header_extension(place, RtpCodecKind::Audio, None)?;
        let reports_wanted = Arc::new(AtomicBool::new(false));
        let interceptors = Registry::new()
            .with(Slot::NackResponder, NackResponderBuilder::new().with_size(RETRANSMIT_PACKETS).build())
            .with(
                Slot::NackGenerator,
                NackGeneratorBuilder::new()
                    .with_size(NACK_WINDOW_PACKETS)
                    .with_max_nacks_per_packet(MAX_NACKS_PER_PACKET)
                    .build(),
            )
            .with(Slot::ReceiverReport, Reports::new(ReceiverReportBuilder::new().build(), Arc::clone(&reports_wanted)))
            .with(Slot::SenderReport, SenderReportBuilder::new().build());
        let settings = SettingEngineBuilder::new()
            // It fails without a multicast route, and our candidates are addresses anyway.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_srtp_replay_protection_window(SRTP_REPLAY_WINDOW_PACKETS)
            // The offering side starts the handshake as soon as it has the answer: measured 5-35 ms instead of 200.
            .with_answering_dtls_role(RTCDtlsRole::Server)
            .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_MAX_CHECKS))
            .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
            .with_host_acceptance_min_wait(Some(Duration::ZERO))
            .with_include_loopback_candidate(true)
            .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(SctpMaxMessageSize::MAX_MESSAGE_SIZE))
            .build();
        let (reporter, reports) = mpsc::channel(EVENT_QUEUE);
        let handler = Reporter { reports: reporter, has_channel: AtomicBool::new(false) };
        let runtime = webrtc::runtime::default_runtime().ok_or(ConnectionError::NoRuntime)?;
        let attention = Arc::new(Attention::default());
        let library = PeerConnectionBuilder::new()
            .with_runtime(Arc::new(LinkRuntime::new(runtime, Arc::clone(&attention))))
            .with_media_engine(engine)
            .with_interceptor_registry(interceptors)
            .with_setting_engine(settings)
            .with_handler(Arc::new(handler))
            .with_udp_addrs(addresses::to_bind(addresses))
            .with_data_channel_send_buffer_limit(SEND_BUFFER_BYTES)
            .build()
            .await?;
        let library = Arc::new(library);
        let runtime = Handle::current();
        Ok(Self { library, reports, early: VecDeque::new(), attention, reports_wanted, runtime })
    }

    /// Our offer, with the candidates that are known quickly.
    pub(crate) async fn offer(&mut self) -> Result<String, ConnectionError> {
        let offer = self.library.create_offer(None).await?;
        self.library.set_local_description(offer).await?;
        self.description_with_candidates().await
    }

    /// Our answer to an offer that the policy let pass.
    pub(crate) async fn answer(&mut self, offer: String) -> Result<String, ConnectionError> {
        self.library.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
        let answer = self.library.create_answer(None).await?;
        self.library.set_local_description(answer).await?;
        Ok(sdp::with_our_opus_parameters(&self.description_with_candidates().await?))
    }

    /// The other side's answer to our offer.
    pub(crate) async fn accept_answer(&self, answer: String) -> Result<(), ConnectionError> {
        Ok(self.library.set_remote_description(RTCSessionDescription::answer(answer)?).await?)
    }

    /// A candidate of the other side, in addition to those in its description.
    pub(crate) async fn add_candidate(
        &self,
        candidate: String,
        mid: Option<String>,
        mline_index: Option<u16>,
    ) -> Result<(), ConnectionError> {
        let candidate =
            RTCIceCandidateInit { candidate, sdp_mid: mid, sdp_mline_index: mline_index, ..Default::default() };
        Ok(self.library.add_ice_candidate(candidate).await?)
    }

    /// What happens next; None when the connection is gone. Safe to cancel.
    pub(crate) async fn next_event(&mut self) -> Option<ConnectionEvent> {
        if let Some(event) = self.early.pop_front() {
            return Some(event);
        }
        loop {
            match self.reports.recv().await? {
                Report::Event(event) => return Some(event),
                Report::Gathered => {}
            }
        }
    }

    /// How soon what comes in is looked at.
    pub(crate) fn attention(&self) -> Arc<Attention> {
        Arc::clone(&self.attention)
    }

    /// From now on the track says what sender reports say.
    pub(crate) fn want_reports(&self) {
        self.reports_wanted.store(true, Ordering::Relaxed);
    }

    /// The way that it takes.
    pub(crate) fn way(&self) -> Way {
        Way::new(self.library.clone())
    }

    /// Closes the connection and waits until its driver has ended.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.library.close().await {
            tracing::debug!(%error, "closing a connection");
        }
    }

    async fn description_with_candidates(&mut self) -> Result<String, ConnectionError> {
        let gathering = async {
            while let Some(report) = self.reports.recv().await {
                match report {
                    Report::Gathered => return,
                    // In the description itself by then.
                    Report::Event(ConnectionEvent::Candidate(_)) => {}
                    Report::Event(event) => self.early.push_back(event),
                }
            }
        };
        if tokio::time::timeout(GATHERING_WAIT, gathering).await.is_err() {
            tracing::debug!("candidates are still being gathered; the rest trickles");
        }
        let description = self.library.local_description().await.ok_or(ConnectionError::NoDescription)?;
        Ok(description.sdp)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The library's driver outlives the handle unless it is closed.
        let library = self.library.clone();
        self.runtime.spawn(async move {
            if let Err(error) = library.close().await {
                tracing::debug!(%error, "closing a connection");
            }
        });
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: roomtone_protocol::SAMPLE_RATE,
        channels: 2,
        sdp_fmtp_line: OPUS_PARAMETERS.to_owned(),
        // Off by default for audio; both ends must say it.
        rtcp_feedback: vec![RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() }],
    }
}

/// Hands the driver's callbacks over. They run on the driver itself: nothing here may wait.
struct Reporter {
    reports: mpsc::Sender<Report>,
    has_channel: AtomicBool,
}

impl Reporter {
    fn report(&self, report: Report) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.reports.try_send(report) {
            tracing::warn!("a connection reports more than anybody reads");
        }
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Reporter {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => self.report(Report::Event(ConnectionEvent::Candidate(SignalBody::Candidate {
                candidate: candidate.candidate,
                mid: candidate.sdp_mid,
                mline_index: candidate.sdp_mline_index,
            }))),
            Err(error) => tracing::debug!(%error, "a candidate cannot be written down"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.report(Report::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tracing::debug!(%state, "connection");
        match state {
            RTCPeerConnectionState::Disconnected => self.report(Report::Event(ConnectionEvent::Disconnected)),
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => {
                self.report(Report::Event(ConnectionEvent::Failed));
            }
            _ => {}
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        if self.has_channel.swap(true, Ordering::Relaxed) {
            tracing::warn!("a second data channel is ignored");
        } else {
            self.report(Report::Event(ConnectionEvent::Channel(channel)));
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.report(Report::Event(ConnectionEvent::Track(track)));
    }
}

#[cfg(test)]
mod tests;
