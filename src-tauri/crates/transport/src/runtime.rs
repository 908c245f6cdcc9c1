//! The runtime that the WebRTC library gets: its own, but for the sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use webrtc::runtime::{AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime};

use crate::attention::Attention;
use crate::gathering::GatheringSocket;
use crate::repeating::RepeatingSocket;

/// The library's runtime with our sockets: what must arrive goes out twice, and what may wait is taken in together.
#[derive(Debug)]
pub(crate) struct LinkRuntime {
    library: Arc<dyn Runtime>,
    attention: Arc<Attention>,
}

impl LinkRuntime {
    /// One for a connection, whose sockets are looked at as `attention` says.
    pub(crate) fn new(library: Arc<dyn Runtime>, attention: Arc<Attention>) -> Self {
        Self { library, attention }
    }
}

impl Runtime for LinkRuntime {
    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let gathering = GatheringSocket::new(socket, Arc::clone(&self.attention))?;
        Ok(Arc::new(RepeatingSocket::new(Arc::new(gathering), Arc::clone(&self.attention), &self.library)))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.library.spawn(future)
    }

    fn spawn_reactor(&self, size: usize, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.library.spawn_reactor(size, future)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.library.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.library.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.library.resolve_host(host)
    }

    fn now(&self) -> std::time::Instant {
        self.library.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        // Only connections sleep: their timers count seconds, or tenths of them.
        self.library.sleep(self.attention.at_a_look(roomtone_clock::now(), duration))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.library.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.library.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.library.yield_now()
    }

    fn name(&self) -> &'static str {
        self.library.name()
    }
}
