//! The room that a host opens again at its next start, at the same address, for the same invites.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use roomtone_protocol::{ErrorReport, FileLinkKey, Identity, Invite, RoomId, Secret, code};
use roomtone_relay::{FileShare, Limits, Relay, RelayConfig};
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;
use crate::random;

/// Name of the file in the data folder.
const FILE: &str = "room.json";

/// Version of the file.
const SCHEMA: u32 = 1;

/// Where a relay of one's own listens when nothing is set.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Clone, Serialize, Deserialize)]
struct RoomFile {
    schema: u32,
    /// Opens the room on its relay.
    room: Option<RelayedRoom>,
    secret: [u8; 16],
    host_secret: [u8; 16],
    /// Signs what the relay of one's own gives out.
    relay_secret: [u8; 32],
    file_link_key: [u8; 32],
    /// Where the relay of one's own listened last.
    listened: Option<SocketAddr>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RelayedRoom {
    relay: String,
    room: RoomId,
    host_token: String,
}

/// An open room: all that a recorder and its invites are made of.
pub(super) struct OpenRoom {
    /// The relay's base address, as the recorder itself reaches it.
    pub(super) relay: String,
    pub(super) room: RoomId,
    pub(super) host_token: String,
    pub(super) secret: Secret,
    pub(super) host_secret: Secret,
    pub(super) invite: Invite,
    /// The relay of one's own, which ends when this is dropped.
    pub(super) own_relay: Option<Relay>,
    /// Base address and key of links into the bucket folder.
    pub(super) file_links: FileLinks,
}

/// How the files of a folder bucket are linked to.
pub(super) struct FileLinks {
    pub(super) base_url: String,
    pub(super) key: FileLinkKey,
    /// The links work on this computer only, because the room's relay is elsewhere.
    pub(super) local_only: bool,
}

/// Opens the room of the data folder, or a new one.
///
/// With `relay` it lives on that relay, and a small server on loopback gives out the files; otherwise a relay of one's own listens at `listen`.
pub(super) async fn open(
    data_dir: &DataDir,
    identity: &Identity,
    relay: Option<&str>,
    listen: Option<SocketAddr>,
    grace: Duration,
) -> Result<OpenRoom, ErrorReport> {
    let mut file = match data_dir.read::<RoomFile>(FILE)? {
        Some(file) => file,
        None => RoomFile {
            schema: SCHEMA,
            room: None,
            secret: random::bytes()?,
            host_secret: random::bytes()?,
            relay_secret: random::bytes()?,
            file_link_key: random::bytes()?,
            listened: None,
        },
    };
    // Behind a relay elsewhere the own server only gives out files, on this computer.
    let listen =
        if relay.is_some() { DEFAULT_LISTEN } else { reuse_port(listen.unwrap_or(DEFAULT_LISTEN), file.listened) };
    let key = FileLinkKey::from_bytes(file.file_link_key);
    let own = start_relay(data_dir, &file, &key, listen, grace).await?;
    let own_url = own.url().to_owned();
    if relay.is_none() {
        file.listened = Some(own.local_addr());
    }
    let base = relay.map_or_else(|| own_url.clone(), |relay| relay.trim_end_matches('/').to_owned());
    let kept = file.room.clone().filter(|kept| relay.is_none() || kept.relay == base);
    let room = match kept {
        Some(kept) => RelayedRoom { relay: base, ..kept },
        None => {
            let created = roomtone_transport::create_room(&base, identity.public_key()).await?;
            RelayedRoom { relay: base, room: created.room, host_token: created.host_token }
        }
    };
    file.room = Some(room.clone());
    data_dir.write(FILE, &file)?;
    let (secret, host_secret) = (Secret::from_bytes(file.secret), Secret::from_bytes(file.host_secret));
    let invite = Invite {
        relay: room.relay.clone(),
        room: room.room,
        recorder: identity.public_key().hash(),
        secret: secret.clone(),
        host_secret: Some(host_secret.clone()),
    };
    Ok(OpenRoom {
        relay: room.relay,
        room: room.room,
        host_token: room.host_token,
        secret,
        host_secret,
        invite,
        own_relay: Some(own),
        file_links: FileLinks { base_url: own_url, key, local_only: relay.is_some() },
    })
}

/// An old invite names the old port: where any port will do, the one of the last start is taken again.
fn reuse_port(listen: SocketAddr, last: Option<SocketAddr>) -> SocketAddr {
    match last {
        Some(last) if listen.port() == 0 && last.ip() == listen.ip() => last,
        _ => listen,
    }
}

async fn start_relay(
    data_dir: &DataDir,
    file: &RoomFile,
    key: &FileLinkKey,
    listen: SocketAddr,
    grace: Duration,
) -> Result<Relay, ErrorReport> {
    let config = RelayConfig {
        listen,
        public_url: None,
        secret: file.relay_secret,
        files: Some(FileShare { root: data_dir.path("bucket"), key: key.clone() }),
        limits: Limits { grace, ..Limits::default() },
    };
    Relay::start(config).await.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::AddrInUse { code::ADDRESS_IN_USE } else { code::IO };
        ErrorReport::new(
            code,
            format!("the room's relay cannot listen at {listen}: {error}"),
            "stop the program that uses this port, or choose another with --listen",
        )
    })
}

/// This computer's address in its network, for invites that others can follow. Nothing is sent to find it out:
/// connecting a UDP socket only makes the system choose a route (the target is reserved for documentation, RFC 5737).
#[must_use]
pub(crate) fn network_address() -> IpAddr {
    let route = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    route().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_means_the_one_of_the_last_start() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let last: SocketAddr = "127.0.0.1:40123".parse().unwrap();
        let fixed: SocketAddr = "127.0.0.1:7880".parse().unwrap();
        let elsewhere: SocketAddr = "10.0.0.2:0".parse().unwrap();
        assert_eq!(reuse_port(any, Some(last)), last);
        assert_eq!(reuse_port(any, None), any);
        assert_eq!(reuse_port(fixed, Some(last)), fixed);
        assert_eq!(reuse_port(elsewhere, Some(last)), elsewhere);
    }
}
