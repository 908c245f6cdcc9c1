//! What may wait is taken in together.
//!
//! A packet that is fetched the moment it comes wakes a sleeping thread, and all threads behind it on its way to the disk:
//! with eight people, some hundred times a second each. While its connection gathers, a socket is not
//! watched by the reactor at all, which the kernel would wake for every datagram; it is looked at by the clock, at the same
//! instants as all others, and what has come meanwhile lies in the kernel's buffer.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::io::Interest;
use tokio::time::Sleep;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use crate::attention::Attention;

/// A socket that is watched, or looked at by the clock.
pub(crate) struct GatheringSocket {
    socket: UdpSocket,
    /// What the kernel can do in one call.
    batch: UdpSocketState,
    attention: Arc<Attention>,
    waiting: Arc<AtomicWaker>,
    reactor: Mutex<Reactor>,
}

/// What wakes whoever waits for the socket. The reactor knows other handles to it, so that it can be told to forget them.
#[derive(Default)]
struct Reactor {
    /// Wakes for what comes.
    watched: Option<tokio::net::UdpSocket>,
    /// Wakes when there is room for what goes.
    room: Option<tokio::net::UdpSocket>,
    /// The next look, if everything that came has been fetched.
    next_look: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for GatheringSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatheringSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl GatheringSocket {
    /// Of a socket that does not block.
    pub(crate) fn new(socket: UdpSocket, attention: Arc<Attention>) -> io::Result<Self> {
        let batch = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let waiting = attention.join();
        Ok(Self { socket, batch, attention, waiting, reactor: Mutex::default() })
    }

    fn reactor(&self) -> MutexGuard<'_, Reactor> {
        self.reactor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registered<'a>(&self, handle: &'a mut Option<tokio::net::UdpSocket>) -> io::Result<&'a tokio::net::UdpSocket> {
        if handle.is_none() {
            *handle = Some(tokio::net::UdpSocket::from_std(self.socket.try_clone()?)?);
        }
        Ok(handle.as_ref().expect("it was put there"))
    }

    /// What has come; `WouldBlock` if nothing has.
    fn fetch(&self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> io::Result<usize> {
        let count = self.batch.recv(UdpSockRef::from(&self.socket), bufs, meta)?;
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        // An empty datagram has no length to cut by.
        meta[..count].iter_mut().for_each(|one| one.stride = one.stride.max(1));
        Ok(count)
    }
}

impl AsyncUdpSocket for GatheringSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let send = || self.batch.try_send(UdpSockRef::from(&self.socket), transmit).map(|()| transmit.contents.len());
        let mut reactor = self.reactor();
        let mut sent = send();
        while matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            let room = self.registered(&mut reactor.room)?;
            ready!(room.poll_send_ready(cx))?;
            sent = room.try_io(Interest::WRITABLE, send);
        }
        reactor.room = None;
        Poll::Ready(sent)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut reactor = self.reactor();
        if !self.attention.may_wait(&self.waiting, cx.waker()) {
            reactor.next_look = None;
            loop {
                let watched = self.registered(&mut reactor.watched)?;
                ready!(watched.poll_recv_ready(cx))?;
                match watched.try_io(Interest::READABLE, || self.fetch(bufs, meta)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    fetched => return Poll::Ready(fetched),
                }
            }
        }
        reactor.watched = None;
        if let Some(look) = &mut reactor.next_look {
            ready!(look.as_mut().poll(cx));
            reactor.next_look = None;
        }
        match self.fetch(bufs, meta) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut look = Box::pin(tokio::time::sleep(self.attention.until_next_look(roomtone_clock::now())));
                let due = look.as_mut().poll(cx);
                reactor.next_look = Some(look);
                if due.is_ready() {
                    // Only a clock that jumps gets here.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            fetched => Poll::Ready(fetched),
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.batch.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.batch.gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn sockets(look_every: Duration) -> (Arc<Attention>, Arc<GatheringSocket>, UdpSocket) {
        let attention = Arc::new(Attention::new(look_every));
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        here.set_nonblocking(true).unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.connect(here.local_addr().unwrap()).unwrap();
        let socket = GatheringSocket::new(here, Arc::clone(&attention)).unwrap();
        (attention, Arc::new(socket), there)
    }

    async fn next(socket: &GatheringSocket) -> u8 {
        let mut datagram = [0; 16];
        let received = tokio::time::timeout(Duration::from_secs(10), socket.recv_from(&mut datagram));
        received.await.expect("it is looked at").unwrap();
        datagram[0]
    }

    /// Whether nothing is to be had without waiting.
    fn rests(socket: &GatheringSocket) -> bool {
        let mut datagram = [0; 16];
        let mut bufs = [IoSliceMut::new(&mut datagram)];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        socket.poll_recv(&mut cx, &mut bufs, &mut [RecvMeta::default()]).is_pending()
    }

    #[tokio::test]
    async fn what_may_wait_comes_together_at_the_next_look() {
        let (attention, socket, there) = sockets(Duration::from_millis(20));
        there.send(&[1]).unwrap();
        assert_eq!(next(&socket).await, 1);
        attention.gather();
        assert!(rests(&socket));
        for one in 2..5 {
            there.send(&[one]).unwrap();
        }
        assert_eq!([next(&socket).await, next(&socket).await, next(&socket).await], [2, 3, 4]);
    }

    #[tokio::test]
    async fn an_answer_that_is_awaited_does_not_wait_for_the_next_look() {
        let (attention, socket, there) = sockets(HOUR);
        attention.gather();
        assert!(rests(&socket));
        there.send(&[1]).unwrap();
        assert!(rests(&socket), "the next look is far away");
        let waiting = tokio::spawn({
            let socket = Arc::clone(&socket);
            async move { next(&socket).await }
        });
        tokio::task::yield_now().await;
        attention.await_answer();
        assert_eq!(waiting.await.unwrap(), 1);
        assert!(rests(&socket));
        there.send(&[2]).unwrap();
        assert_eq!(next(&socket).await, 2);

        attention.answered();
        assert!(rests(&socket));
        there.send(&[3]).unwrap();
        assert!(rests(&socket), "it waits again");
    }

    #[tokio::test]
    async fn sending_does_not_wait() {
        let (attention, socket, there) = sockets(HOUR);
        attention.gather();
        assert!(rests(&socket));
        socket.send_to(&[7], there.local_addr().unwrap()).await.unwrap();
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut datagram = [0; 16];
        assert_eq!(there.recv(&mut datagram).unwrap(), 1);
    }
}
