//! Which of this machine's addresses media goes through.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// More candidates than this only slow down the connectivity checks; machines with dozens of container bridges exist.
const MAX_ADDRESSES: usize = 16;

/// Where to bind: the wanted addresses, or every usable one of this machine including loopback, which the library's
/// own wildcard leaves out and which a recorder on the same computer is reached by.
pub(crate) fn to_bind(wanted: &[IpAddr]) -> Vec<SocketAddr> {
    let any_port = |ip| SocketAddr::new(ip, 0);
    if !wanted.is_empty() {
        return wanted.iter().copied().map(any_port).collect();
    }
    let interfaces = match rtc::shared::ifaces::ifaces() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "the network interfaces cannot be listed; media stays on this computer");
            Vec::new()
        }
    };
    let found = interfaces.into_iter().filter_map(|interface| interface.addr).map(|address| address.ip());
    usable(found).into_iter().map(any_port).collect()
}

/// Addresses that a peer can reach us by, loopback last, so that a real address is preferred where both work.
fn usable(found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut usable: Vec<IpAddr> = Vec::new();
    for ip in found.chain([IpAddr::from([127, 0, 0, 1])]) {
        let reachable = match ip {
            IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
            // A link-local address means nothing without its scope, which does not fit into a candidate.
            IpAddr::V6(v6) => !is_link_local(v6) && !v6.is_unspecified() && !v6.is_multicast(),
        };
        if reachable && !usable.contains(&ip) {
            usable.push(ip);
        }
    }
    usable.sort_by_key(IpAddr::is_loopback);
    if usable.len() > MAX_ADDRESSES {
        let loopback = usable.iter().filter(|ip| ip.is_loopback()).count();
        let keep = MAX_ADDRESSES.saturating_sub(loopback);
        usable.drain(keep..usable.len() - loopback);
    }
    usable
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_addresses_are_taken_as_they_are() {
        let wanted = ["10.0.0.7".parse().unwrap()];
        assert_eq!(to_bind(&wanted), [SocketAddr::new(wanted[0], 0)]);
    }

    #[test]
    fn loopback_is_always_among_the_default_addresses_and_comes_last() {
        let found = ["::1", "fe80::1", "169.254.3.4", "192.168.1.5", "127.0.0.1", "192.168.1.5"];
        let usable = usable(found.into_iter().map(|ip| ip.parse().unwrap()));
        let expected: Vec<IpAddr> =
            ["192.168.1.5", "::1", "127.0.0.1"].into_iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(usable, expected);
    }

    #[test]
    fn a_machine_with_very_many_addresses_keeps_some_and_loopback() {
        let usable = usable((0..40).map(|n| IpAddr::from([10, 0, 0, n])));
        assert_eq!(usable.len(), MAX_ADDRESSES);
        assert!(usable.last().unwrap().is_loopback());
    }
}
