//! What must arrive is sent twice.
//!
//! The handshake and the data channel go in DTLS records, and what is lost of them waits for timers that nobody can set:
//! DTLS repeats a flight after a second, SCTP a message after one second, two, four, up to sixty (RFC 9260, section 6.3),
//! with one packet in flight. Where a fifth of all packets is lost each way, a question and its answer fail at more than
//! one time in three, and those timers are all that happens. So every such datagram goes once more, a moment later: the
//! record's sequence number makes the second one harmless (RFC 6347, section 4.1.2.6), a fifth becomes a twenty-fifth,
//! and the two kilobytes a second that control needs become four. Audio has its own repetition and is left alone.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use roomtone_protocol::ClockNs;
use tokio::sync::mpsc;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, Transmit};

use crate::attention::Attention;

/// Between a datagram and its repetition. Packets are lost in groups, when a queue is full or a radio link fades for some
/// milliseconds; and half a round trip is soon enough.
const LATER_NS: i64 = 30_000_000;

/// Repetitions that may wait. A handshake's flight and a second's messages are fewer; what is more is a long list or a
/// file's worth of records, whose own repetition works, and takes no more than this many each 30 ms.
const WAITING: usize = 8;

/// First bytes of DTLS among all that shares a socket (RFC 7983, section 7).
const DTLS: std::ops::RangeInclusive<u8> = 20..=63;

/// A socket that sends what must arrive twice.
#[derive(Debug)]
pub(crate) struct RepeatingSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    later: mpsc::Sender<Repetition>,
}

/// A datagram that goes once more.
#[derive(Debug)]
struct Repetition {
    at: ClockNs,
    destination: SocketAddr,
    source: Option<IpAddr>,
    contents: Vec<u8>,
}

impl RepeatingSocket {
    /// Around a socket; what goes once more is sent by a task on this runtime.
    pub(crate) fn new(socket: Arc<dyn AsyncUdpSocket>, attention: Arc<Attention>, runtime: &Arc<dyn Runtime>) -> Self {
        let (later, due) = mpsc::channel(WAITING);
        runtime.spawn(Box::pin(repeat(socket.clone(), attention, due))).detach();
        Self { socket, later }
    }
}

impl AsyncUdpSocket for RepeatingSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = self.socket.poll_send(cx, transmit);
        // What goes in segments is a long run of records.
        let once = transmit.segment_size.is_none() && transmit.contents.first().is_some_and(|byte| DTLS.contains(byte));
        if once && matches!(sent, Poll::Ready(Ok(_))) {
            let at = ClockNs(roomtone_clock::now().0.saturating_add(LATER_NS));
            let contents = transmit.contents.to_vec();
            let repetition = Repetition { at, destination: transmit.destination, source: transmit.src_ip, contents };
            // Too many wait: this one has to get through by itself.
            drop(self.later.try_send(repetition));
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, bufs, meta)
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

/// Sends what is due until the socket's owner is gone.
async fn repeat(socket: Arc<dyn AsyncUdpSocket>, attention: Arc<Attention>, mut due: mpsc::Receiver<Repetition>) {
    while let Some(Repetition { at, destination, source, contents }) = due.recv().await {
        let now = roomtone_clock::now();
        let wait = Duration::from_nanos(u64::try_from(at.0 - now.0).unwrap_or(0));
        tokio::time::sleep(attention.at_a_look(now, wait)).await;
        let transmit = Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: source };
        if let Err(error) = std::future::poll_fn(|cx| socket.poll_send(cx, &transmit)).await {
            tracing::debug!(%error, "a datagram was not repeated");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn handshake_and_messages_go_twice_and_audio_goes_once() {
        let runtime = webrtc::runtime::default_runtime().unwrap();
        let there = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        let here = runtime.wrap_udp_socket(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let socket = RepeatingSocket::new(here, Arc::default(), &runtime);
        // A STUN request, a handshake record, data of the channel, RTP, and something to know the end by.
        for first in [0x00, 22, 23, 0x80, 0x01] {
            socket.send_to(&[first, 7, 7], to).await.unwrap();
        }
        let mut came = Vec::new();
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let came = tokio::task::spawn_blocking(move || {
            while came.len() < 7 {
                let mut datagram = [0; 16];
                let length = there.recv(&mut datagram).unwrap();
                assert_eq!(&datagram[1..length], [7, 7]);
                came.push(datagram[0]);
            }
            came
        });
        assert_eq!(came.await.unwrap(), [0x00, 22, 23, 0x80, 0x01, 22, 23]);
    }
}
