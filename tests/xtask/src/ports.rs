//! Ports for servers that are started a moment later, or again.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below what systems give to outgoing connections (Linux from 32768 on, ip(7); others from 49152 on, RFC 6335). A port
/// up there may be gone before its server listens: taken by whoever connects to anything, even by a client that tries
/// to reach that very server and meets itself.
const FIRST: usize = 10_000;
const COUNT: usize = 22_000;

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
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    std::array::from_fn(|_| found.next().expect("the loopback has a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_listened_at() {
        let ports = [free_ports::<8>(), free_ports()].concat();
        let listeners: Vec<_> = ports.iter().map(|&port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
        assert_eq!(listeners.len(), 16);
        assert!(ports.iter().all(|&port| port < 32_768));
        // One that is taken is not given out.
        assert!(free_ports::<8>().iter().all(|port| !ports.contains(port)));
    }
}
