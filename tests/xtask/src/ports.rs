//! Ports for servers that are started a moment later, or again.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Below what systems give to outgoing connections (Linux from 32768 on, ip(7); others from 49152 on, RFC 6335). A port
/// up there may be gone before its server listens: taken by whoever connects to anything, even by a client that tries
/// to reach that very server and meets itself.
const FIRST: usize = 10_000;
const COUNT: usize = 22_000;

/// A system that does not refuse at once (Windows tries again for two seconds) has nobody there: who listens on the
/// loopback is connected by the kernel, however busy the machine is.
const REFUSED_WITHIN: Duration = Duration::from_millis(200);

/// Where this process looks next.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Ports of the loopback that nobody listened at a moment ago. No two calls of a process get the same one.
///
/// # Panics
/// They are all taken.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Processes that run beside each other begin in different places.
    let begin = std::process::id() as usize * 131;
    let mut found = (0..COUNT).filter_map(|_| {
        let place = begin + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + place % COUNT).expect("it is below 65,536");
        (!is_taken(port)).then_some(port)
    });
    std::array::from_fn(|_| found.next().expect("the loopback has a free port"))
}

/// Whether somebody listens there. Asked by connecting, not by listening oneself for a moment: a program that another
/// thread starts in that moment holds a copy of the listening socket until it runs, and with it the port.
fn is_taken(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), REFUSED_WITHIN).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_listened_at() {
        let ports = [free_ports::<8>(), free_ports()].concat();
        let listeners: Vec<_> = ports.iter().map(|&port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
        assert_eq!(listeners.len(), 16);
        assert!(ports.iter().all(|&port| port < 32_768));
        // One that is taken is not given out.
        assert!(ports.iter().all(|&port| is_taken(port)));
    }

    #[test]
    fn free_ports_stay_free_while_programs_are_started() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let program = std::env::current_exe().unwrap();
                    Command::new(program).arg("--list").stdout(Stdio::null()).status().unwrap();
                }
            });
            for _ in 0..2_000 {
                let [port] = free_ports();
                let listener = TcpListener::bind(("127.0.0.1", port));
                if listener.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                listener.unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
