//! A running relay: listens, accepts, stops.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::files::FileShare;
use crate::http::{Site, router};
use crate::hub::Hub;
use crate::limits::Limits;
use crate::rooms::Rooms;
use crate::stall::Guarded;

/// How long a client may take to send the head of a request, and a connection may idle between two.
const HEAD_TIME: Duration = Duration::from_secs(20);

/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 << 10;

/// How long clients have to take their leave when the relay stops.
const GOODBYE: Duration = Duration::from_secs(3);

/// Pause after the system refused to accept: most often it is out of file descriptors for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How to run a relay.
#[derive(Clone)]
pub struct RelayConfig {
    /// Where to listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Under which address others reach it, `http` or `https`, perhaps with a path; none: where it listens.
    pub public_url: Option<String>,
    /// Makes this relay's rooms its own: one of the same secret knows them.
    pub secret: [u8; 32],
    /// A folder bucket to serve.
    pub files: Option<FileShare>,
    /// How much of everything it takes.
    pub limits: Limits,
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all_but_the_secret = f.debug_struct("RelayConfig");
        all_but_the_secret.field("listen", &self.listen).field("public_url", &self.public_url);
        all_but_the_secret.field("files", &self.files).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A running relay. Dropped, it stops at once.
#[derive(Debug)]
pub struct Relay {
    url: String,
    local_addr: SocketAddr,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: DropGuard,
}

impl Relay {
    /// Binds and serves. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen there (`AddrInUse`, `PermissionDenied`, …), or `InvalidInput` for a public address
    /// that is none.
    pub async fn start(config: RelayConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        Self::serve(listener, config)
    }

    /// Serves on a listener that is bound already; [`RelayConfig::listen`] is ignored.
    ///
    /// # Errors
    /// `InvalidInput` for a public address that is none, or when the listener cannot tell its own.
    pub fn serve(listener: TcpListener, config: RelayConfig) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let url = match &config.public_url {
            Some(url) => public_url(url)?,
            None => format!("http://{}", reachable(local_addr)),
        };
        let limits = config.limits;
        let hub = Arc::new(Hub::new(Rooms::new(config.secret, limits.clone()), limits));
        let tasks = TaskTracker::new();
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let site = Site {
            hub: Arc::clone(&hub),
            public_url: url.clone(),
            files: config.files,
            sockets: tasks.clone(),
            kill: kill.clone(),
        };
        let server = Server { router: router(Arc::new(site)), hub: Arc::clone(&hub), tasks: tasks.clone(), stop, kill };
        let (stop, kill) = (server.stop.clone(), server.kill.clone());
        let clock = Arc::clone(&hub);
        tokio::spawn(kill.clone().run_until_cancelled_owned(async move { clock.keep_time().await }));
        tokio::spawn(server.accept(listener));
        Ok(Self { url, local_addr, hub, tasks, stop, kill: kill.drop_guard() })
    }

    /// The address under which others reach it, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: clients are disconnected, downloads get a moment. Rooms are not closed by that.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.hub.close();
        self.tasks.close();
        if tokio::time::timeout(GOODBYE, self.tasks.wait()).await.is_err() {
            tracing::info!(connections = self.tasks.len(), "cut off what did not end by itself");
        }
        drop(self.kill);
        // What was cut off ends at its next step: after this nothing listens or sends any more.
        self.tasks.wait().await;
    }
}

struct Server {
    router: Router,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        let limits = self.hub.limits();
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
                () = self.kill.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::debug!("a connection too many was closed");
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "small messages may be delayed");
            }
            let stream: Guarded<TcpStream> = Guarded::new(stream, limits.stall, place);
            let service = TowerToHyperService::new(self.router.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
            let stop = self.stop.clone();
            let served = async move {
                let mut connection = std::pin::pin!(connection);
                let ended = tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
            };
            let kill = self.kill.clone();
            self.tasks.spawn(async move { kill.run_until_cancelled_owned(served).await });
        }
    }
}

/// An address that a program on this machine can connect to.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// The address as others write it, without a trailing slash.
fn public_url(text: &str) -> io::Result<String> {
    let invalid = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the public address {text:?} is not like https://relay.example.org"),
        )
    };
    let url = url::Url::parse(text).map_err(|_| invalid())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_checked_and_trimmed() {
        assert_eq!(public_url("https://relay.example/").unwrap(), "https://relay.example");
        assert_eq!(public_url("http://[::1]:80/base/").unwrap(), "http://[::1]/base");
        for wrong in ["relay.example", "ftp://a", "https://", "https://a?b", "https://a#b", "https://u:p@a", ""] {
            assert!(public_url(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_relay_that_listens_everywhere_is_reached_through_loopback() {
        let reached = |listening: &str| reachable(listening.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("192.0.2.1:80"), "192.0.2.1:80");
    }
}
